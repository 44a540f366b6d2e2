"""Measures: numbers that describe a simulation."""

from ._dwell import (
    dwell_times as dwell_times,
    DwellTimes as DwellTimes,
    hysteresis as hysteresis,
    pooled_mean as pooled_mean,
    TwoStates as TwoStates,
)
