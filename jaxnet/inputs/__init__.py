"""Inputs: constants, waveforms, samples, noise and spikes. ``a + b`` is their sum."""

from ._base import (
    AbstractFunctionOfTime as AbstractFunctionOfTime,
    AbstractInput as AbstractInput,
    as_input as as_input,
    Constant as Constant,
    Each as Each,
    FunctionOfTime as FunctionOfTime,
    is_constant as is_constant,
    Sum as Sum,
)
from ._during import During as During
from ._ornstein_uhlenbeck import (
    AbstractOrnsteinUhlenbeck as AbstractOrnsteinUhlenbeck,
    EulerOrnsteinUhlenbeck as EulerOrnsteinUhlenbeck,
    OrnsteinUhlenbeck as OrnsteinUhlenbeck,
)
from ._periodic_spikes import PeriodicSpikes as PeriodicSpikes
from ._sampled import Sampled as Sampled
from ._spikes import Poisson as Poisson, SpikeTrain as SpikeTrain
from ._uniform import UniformNoise as UniformNoise
from ._waveforms import (
    Pulse as Pulse,
    Ramp as Ramp,
    Sine as Sine,
    Step as Step,
)
