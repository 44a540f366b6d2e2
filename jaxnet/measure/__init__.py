"""Measures: numbers that describe a simulation."""

from ._dwell import (
    dwell_times as dwell_times,
    DwellTimes as DwellTimes,
    hysteresis as hysteresis,
    pooled_mean as pooled_mean,
    TwoStates as TwoStates,
)
from ._intervals import (
    cv as cv,
    interspike_intervals as interspike_intervals,
    InterspikeIntervals as InterspikeIntervals,
)
from ._motion import (
    coherence_null as coherence_null,
    direction_coherence as direction_coherence,
    motion_summary as motion_summary,
    MotionSummary as MotionSummary,
    Tracks as Tracks,
    tracks as tracks,
)
from ._patterns import (
    Patterns as Patterns,
    patterns as patterns,
    spiked_within as spiked_within,
)
from ._spectrum import (
    band_power as band_power,
    peak_frequency as peak_frequency,
    Spectrum as Spectrum,
    welch as welch,
)
from ._spikes import (
    fano_factor as fano_factor,
    firing_rates as firing_rates,
    population_rate as population_rate,
    raster as raster,
)
from ._synchrony import (
    overlap as overlap,
    pairwise_correlation as pairwise_correlation,
    synchrony as synchrony,
)
