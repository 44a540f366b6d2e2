"""Objectives of numbers that a simulation gives: rates, regularity, frequencies."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Float, PyTree

from .. import measure
from .._result import is_concrete
from .._solution import Solution, SpikeCounts, SpikeRaster
from .._system import AbstractSystem
from ._runs import (
    AbstractRunObjective,
    grid_of,
    require_spikes,
    Run,
    times_of,
    units_of,
    why_no_gradient,
)


_MS_PER_S = 1000.0


class AbstractStatistic(AbstractRunObjective):
    """An objective of some numbers of a simulation: the misfit is relative."""

    target: eqx.AbstractVar[Float[Array, "..."]]
    scale: eqx.AbstractVar[Float[Array, "..."] | None]

    @abc.abstractmethod
    def value(self, system: AbstractSystem, solution: Solution) -> Float[Array, "..."]:
        """The numbers, in the shape of the target."""

    def of_solution(self, system, solution):
        value = jnp.asarray(self.value(system, solution))
        if value.shape != self.target.shape:
            raise ValueError(
                f"`of` of `{type(self).__name__}` must give as many numbers as the target, "
                f"of shape {self.target.shape}, but it gives {value.shape}."
            )
        scale = jnp.abs(self.target) if self.scale is None else self.scale
        positive = jnp.all(scale > 0)
        if is_concrete(positive) and not positive:
            raise ValueError(
                f"A target of `{type(self).__name__}` is 0, so a misfit cannot be relative "
                "to it. Give a positive `scale`, in the unit of the target."
            )
        return jnp.ravel((value - self.target) / scale)


def _as_target(x) -> Array:
    return jnp.asarray(x, float)


def _as_scale(x) -> Array | None:
    return None if x is None else jnp.asarray(x, float)


def _scale_field() -> Any:
    return eqx.field(default=None, converter=_as_scale, kw_only=True)


class Statistic(AbstractStatistic):
    """Any numbers of a simulation.

    **Arguments:**

    - `of`: from a [`jaxnet.Solution`][] of one trial to the numbers.
    - `target`: what they should be.
    - `run`: the simulation. The transient is left to `of`.
    - `scale`: what a misfit is measured in, the target itself by default.

    ```pycon
    >>> import jaxnet as jn
    >>> run = jn.objectives.Run(0.0, 20.0, jn.Grid(0.1))
    >>> last = jn.objectives.Statistic(lambda solution: solution.ys[-1], 0.3, run)
    >>> fit = jn.fit(jn.models.RatePopulation(w=1.0), last, where=lambda s: s.w, u=2.0)
    >>> print(jn.RESULTS[fit.result] or "met")
    met
    ```
    """

    of: Callable[[Solution], Float[Array, "..."]]
    target: Float[Array, "..."] = eqx.field(converter=_as_target)
    run: Run
    scale: Float[Array, "..."] | None = _scale_field()

    def value(self, system, solution):
        return self.of(solution)

    def check_system(self, system):
        pass

    def why_no_gradient(self, system):
        return why_no_gradient(self, system, "is made of spikes, maybe")


def _mean(x: PyTree) -> Float[Array, ""]:
    leaves = jtu.tree_leaves(x)
    if len(leaves) != 1:
        raise ValueError(
            "The state has several arrays. Say by `of` which one is meant, such as "
            "`of=lambda y: y[0]`."
        )
    return jnp.mean(leaves[0])


class Rate(AbstractStatistic):
    """The mean rate: of spikes (Hz), or of a rate model (its own unit).

    The record of the method may be of any kind; `jaxnet.RecordRaster()` always has room.

    **Arguments:**

    - `target`: the rate, or several.
    - `run`: the simulation.
    - `of`: from the firing rates of all units, or from the mean of the state of a rate
        model, to the numbers that are meant; the mean of all by default.
    - `scale`: what a misfit is measured in, the target itself by default.

    ```pycon
    >>> import jaxnet as jn
    >>> run = jn.objectives.Run(0.0, 100.0, jn.Grid(0.1), transient=50.0)
    >>> rate = jn.objectives.Rate(0.3, run)
    >>> fit = jn.fit(jn.models.RatePopulation(w=1.0), rate, where=lambda s: s.w, u=2.0)
    >>> print(jn.RESULTS[fit.result] or "met")
    met
    ```
    """

    target: Float[Array, "..."] = eqx.field(converter=_as_target)
    run: Run
    of: Callable = eqx.field(default=_mean, kw_only=True)
    scale: Float[Array, "..."] | None = _scale_field()

    def value(self, system, solution):
        if solution.spikes is None:
            after = solution.ts >= self.run.transient
            mean = lambda y: jnp.tensordot(after.astype(y.dtype), y, 1) / jnp.sum(after)
            return self.of(jtu.tree_map(mean, solution.ys))
        return self.of(_firing_rates(solution, self.run, units_of(system, self.run)))

    def check_system(self, system):
        pass

    def why_no_gradient(self, system):
        return why_no_gradient(self, system, "counts spikes")


class ISICV(AbstractStatistic):
    """The coefficient of variation of the interspike intervals.

    **Arguments:**

    - `target`: the coefficient: 0 is regular firing, 1 is that of a Poisson process.
    - `run`: the simulation, whose method records times (`jaxnet.RecordTimes`).
    - `of`: from the coefficients of all units, NaN where there are fewer than two
        intervals, to the numbers that are meant; `jnp.nanmean` by default.
    - `scale`: what a misfit is measured in, the target itself by default.

    ```pycon
    >>> import jaxnet as jn
    >>> run = jn.objectives.Run(-65.0, 100.0, jn.Grid(0.1))
    >>> regularity = jn.objectives.ISICV(0.8, run)
    >>> float(regularity.target)
    0.8...
    ```
    """

    target: Float[Array, "..."] = eqx.field(converter=_as_target)
    run: Run
    of: Callable = eqx.field(default=jnp.nanmean, kw_only=True)
    scale: Float[Array, "..."] | None = _scale_field()

    def value(self, system, solution):
        spikes = times_of(solution, "ISICV")
        late = eqx.tree_at(
            lambda s: s.valid, spikes, spikes.valid & (spikes.time >= self.run.transient)
        )
        intervals = measure.interspike_intervals(late)
        return self.of(measure.cv(intervals, units_of(system, self.run)))

    def check_system(self, system):
        require_spikes(system, "ISICV")

    def why_no_gradient(self, system):
        return why_no_gradient(self, system, "is made of the times of spikes", always=True)


class SpectralPeak(AbstractStatistic):
    """The frequency (Hz) of the highest peak in the power spectrum.

    The gradient is that of the peak's place alone: where there is none, as in a silent
    system, the misfit is NaN. To make a silent system oscillate take
    [`jaxnet.objectives.Cycle`][].

    **Arguments:**

    - `frequency`: of the peak (Hz).
    - `run`: the simulation, on a `jaxnet.Grid`.
    - `of`: from the states along time, or from the rate of the population of spiking units
        (Hz) in steps of `dt`, to one signal; the mean over units by default.
    - `band`: the lowest and the highest frequency that counts (Hz).
    - `segment`: the length of a segment of Welch's method (ms), by default a quarter of the
        window.

    ```pycon
    >>> import jaxnet as jn
    >>> run = jn.objectives.Run((0.4, 0.3), 500.0, jn.Grid(0.1), transient=100.0)
    >>> gamma = jn.objectives.SpectralPeak(40.0, run, of=lambda y: y[:, 0])
    >>> gamma.band
    (1.0, 200.0)
    ```
    """

    frequency: Float[Array, "..."] = eqx.field(converter=_as_target)
    run: Run
    of: Callable | None = eqx.field(default=None, kw_only=True)
    band: tuple[float, float] = eqx.field(static=True, default=(1.0, 200.0), kw_only=True)
    segment: float | None = eqx.field(static=True, default=None, kw_only=True)
    scale: Float[Array, "..."] | None = _scale_field()

    @property
    def target(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.frequency

    def value(self, system, solution):
        dt = grid_of(self.run, "SpectralPeak").dt
        start, end = self.run.transient, self.run.t1
        if solution.spikes is not None:
            spikes = times_of(solution, "SpectralPeak")
            units = units_of(system, self.run)
            signal = measure.population_rate(spikes, units, t0=start, t1=end, dt=dt)
            signal = signal if self.of is None else self.of(signal)
        else:
            first = round(start / dt)
            late = jtu.tree_map(lambda y: y[first:], solution.ys)
            signal = _one_signal(late) if self.of is None else self.of(late)
        segment = (end - start) / 4 if self.segment is None else self.segment
        spectrum = measure.welch(signal, dt, segment=segment)
        return measure.peak_frequency(spectrum, *self.band)

    def check_system(self, system):
        grid_of(self.run, "SpectralPeak")

    def why_no_gradient(self, system):
        return why_no_gradient(self, system, "is made of spikes", always=True)


def _firing_rates(solution: Solution, run: Run, units: int) -> Float[Array, " units"]:
    """Of each unit (Hz), from any record."""
    spikes, window = solution.spikes, run.t1 - run.transient
    if isinstance(spikes, SpikeCounts):
        if run.transient > 0:
            raise ValueError(
                "`RecordCounts` counts from the start, so `Rate` has no transient with it. "
                "Give the `Grid` the record `jaxnet.RecordRaster()`."
            )
        return spikes.count / window * _MS_PER_S
    if isinstance(spikes, SpikeRaster):
        late = spikes.time > run.transient
        counts = jnp.sum(spikes.unpack() & late[:, None], axis=0)
        return counts / window * _MS_PER_S
    times = times_of(solution, "Rate")
    return measure.firing_rates(times, units, t0=run.transient, t1=run.t1)


def _one_signal(y: PyTree) -> Float[Array, " time"]:
    leaves = jtu.tree_leaves(y)
    if len(leaves) != 1:
        raise ValueError("The state has several arrays. Say by `of` which signal is meant.")
    return jnp.mean(leaves[0].reshape(len(leaves[0]), -1), axis=1)
