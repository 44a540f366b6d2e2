"""Inputs: constants, waveforms, samples and noise. ``a + b`` is their sum."""

from ._base import (
    AbstractFunctionOfTime as AbstractFunctionOfTime,
    AbstractInput as AbstractInput,
    as_input as as_input,
    Constant as Constant,
    FunctionOfTime as FunctionOfTime,
    is_constant as is_constant,
    Sum as Sum,
)
from ._ornstein_uhlenbeck import (
    AbstractOrnsteinUhlenbeck as AbstractOrnsteinUhlenbeck,
    EulerOrnsteinUhlenbeck as EulerOrnsteinUhlenbeck,
    OrnsteinUhlenbeck as OrnsteinUhlenbeck,
)
from ._sampled import Sampled as Sampled
from ._waveforms import (
    Pulse as Pulse,
    Ramp as Ramp,
    Sine as Sine,
    Step as Step,
)
