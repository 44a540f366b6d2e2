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
