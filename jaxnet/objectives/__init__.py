"""Objectives: what a fitted system should do."""

from ._base import AbstractObjective as AbstractObjective
from ._cycle import Cycle as Cycle, CycleCheck as CycleCheck, Orbit as Orbit
from ._equilibria import (
    CriticalFold as CriticalFold,
    CriticalHopf as CriticalHopf,
    EigenvalueAt as EigenvalueAt,
    FixedPointAt as FixedPointAt,
    SpectralAbscissa as SpectralAbscissa,
)
from ._runs import AbstractRunObjective as AbstractRunObjective, Run as Run
from ._statistics import (
    ISICV as ISICV,
    Rate as Rate,
    SpectralPeak as SpectralPeak,
    Statistic as Statistic,
)
from ._sum import Sum as Sum
from ._traces import SpikeTrain as SpikeTrain, Trace as Trace
from ._waves import CriticalWave as CriticalWave
