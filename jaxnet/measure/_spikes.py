"""Counts and rates of spikes."""

import math
from typing import TypeAlias

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree, Real

from .._result import is_concrete
from .._solution import Spikes
from .._time_grid import concrete_float
from .._types import RealScalarLike


# The first N units, or units that follow each other, such as those of a population.
Units: TypeAlias = int | slice

_MS_PER_S = 1000.0
# A window of 10 s has 1e5 bins of 0.1 ms, and (t1 - t0) / dt is off by 1e-11 of a bin.
_WHOLE_BIN_TOLERANCE = 1e-6
_CONCRETE_REMEDY = "It fixes the number of bins, which is compiled into the program."


def raster(
    spikes: Spikes,
    units: Units,
    *,
    t0: RealScalarLike,
    t1: RealScalarLike,
    dt: RealScalarLike,
) -> Float[Array, "bins units"]:
    r"""How many spikes each unit fires in each bin of time.

    $$n_{ki} = \#\{\text{spikes of unit } i : t_0 + k\,dt \le t < t_0 + (k + 1)\,dt\}$$

    Times are rounded: one within $4 \varepsilon \max(|t_0|, |t_1|)$ of the edge of a bin,
    with the machine epsilon of the times, is on this edge, and so in the bin that begins
    there. A spike before `t0`, at `t1` or after is left out, and so is one of another unit.

    **Arguments:**

    - `spikes`: of one trial; for many trials use `jax.vmap`.
    - `units`: a number N for the units 0 to N - 1, or a slice, such as that of a
        population from ``network.units(name)``.
    - `t0`, `t1`: the window (ms), a whole number of bins.
    - `dt`: the width of a bin (ms).

    A `ValueError` is raised if the buffer of the spikes was full before `t1`. Under
    `jax.jit` and `jax.vmap` the counts that are not known are NaN instead.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> spikes = jn.Spikes(
    ...     time=jnp.array([0.1, 0.3, 0.3, jnp.nan]),
    ...     index=jnp.array([1, 0, 1, 0]),
    ...     valid=jnp.array([True, True, True, False]),
    ...     count=jnp.array(3),
    ... )
    >>> jn.measure.raster(spikes, 2, t0=0.0, t1=0.4, dt=0.1).tolist()
    [[0.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    ```
    """
    population, bins = as_range(units), _bins(t0, t1, dt)
    bin, unit, known = _place(spikes, population, bins)
    counts = jnp.zeros((bins.number, len(population))).at[bin, unit].add(1.0, mode="drop")
    return jnp.where(known[:, None], counts, jnp.nan)


def firing_rates(
    spikes: Spikes,
    units: Units,
    *,
    t0: RealScalarLike,
    t1: RealScalarLike,
) -> Float[Array, " units"]:
    r"""The mean firing rate of each unit (Hz).

    $$\nu_i = \frac{\#\{\text{spikes of unit } i : t_0 \le t < t_1\}}{t_1 - t_0}$$

    **Arguments:**

    - `spikes`, `units`: as in [`jaxnet.measure.raster`][], and so are its errors.
    - `t0`, `t1`: the window (ms).

    Source: Gerstner et al. 2014, Neuronal Dynamics, section 7.2,
    doi:10.1017/CBO9781107447615.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> spikes = jn.Spikes(
    ...     time=jnp.array([10.0, 20.0, 60.0]),
    ...     index=jnp.array([1, 0, 1]),
    ...     valid=jnp.array([True, True, True]),
    ...     count=jnp.array(3),
    ... )
    >>> jn.measure.firing_rates(spikes, 2, t0=0.0, t1=100.0).tolist()
    [10.0, 20.0]
    ```
    """
    start, end = _window(t0, t1)
    counts = raster(spikes, units, t0=start, t1=end, dt=end - start)
    return counts[0] / (end - start) * _MS_PER_S


def population_rate(
    spikes: Spikes,
    units: Units,
    *,
    t0: RealScalarLike,
    t1: RealScalarLike,
    dt: RealScalarLike,
) -> Float[Array, " bins"]:
    r"""The rate of a population in each bin of time, per neuron (Hz).

    $$A_k = \frac{1}{N\,dt} \sum_{i=1}^N n_{ki}$$

    **Arguments:**

    - `spikes`, `t0`, `t1`, `dt`: as in [`jaxnet.measure.raster`][], and so are its errors.
    - `units`: the population: a number N for the units 0 to N - 1, or a slice, as from
        ``network.units(name)``.

    Source: Gerstner et al. 2014, Neuronal Dynamics, section 7.2,
    doi:10.1017/CBO9781107447615.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> spikes = jn.Spikes(
    ...     time=jnp.array([1.0, 5.0, 15.0]),
    ...     index=jnp.array([2, 0, 3]),
    ...     valid=jnp.array([True, True, True]),
    ...     count=jnp.array(3),
    ... )
    >>> rate = jn.measure.population_rate(spikes, slice(2, 4), t0=0.0, t1=30.0, dt=10.0)
    >>> rate.tolist()
    [50.0, 50.0, 0.0]
    ```
    """
    population, bins = as_range(units), _bins(t0, t1, dt)
    bin, _, known = _place(spikes, population, bins)
    counts = jnp.zeros(bins.number).at[bin].add(1.0, mode="drop")
    rate = counts / (len(population) * bins.width) * _MS_PER_S
    return jnp.where(known, rate, jnp.nan)


def fano_factor(counts: Real[Array, "samples *units"]) -> Float[Array, "*units"]:
    r"""The variance of a count over its mean.

    $$F = \sigma_n^2 / \langle n \rangle, \qquad
    \sigma_n^2 = \tfrac{1}{m - 1} \sum (n - \langle n \rangle)^2$$

    It is 1 for a Poisson process, and NaN for a unit that never fired.

    **Arguments:**

    - `counts`: of m windows or trials of one length, along the first axis; one factor
        for each of the other entries. Windows that do not overlap come from
        [`jaxnet.measure.raster`][]; of many trials, reshape them into one axis.

    Source: Fano 1947, doi:10.1103/PhysRev.72.26.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> counts = jnp.array([[2, 0], [4, 0], [6, 0]])
    >>> [round(float(f), 6) for f in jn.measure.fano_factor(counts)]
    [1.0, nan]
    ```
    """
    if counts.ndim == 0 or len(counts) < 2:
        raise ValueError(
            "`counts` must have two windows or trials at least, along its first axis, but "
            f"its shape is {counts.shape}. Take more windows, or shorter ones."
        )
    mean = jnp.mean(counts, axis=0)
    fired = mean > 0
    factor = jnp.var(counts, axis=0, ddof=1) / jnp.where(fired, mean, 1.0)
    return jnp.where(fired, factor, jnp.nan)


class _Bins(eqx.Module):
    """A window in bins of one width (ms)."""

    t0: float
    t1: float
    number: int

    @property
    def width(self) -> float:
        return (self.t1 - self.t0) / self.number


def _window(t0: RealScalarLike, t1: RealScalarLike) -> tuple[float, float]:
    start = concrete_float(t0, "t0", _CONCRETE_REMEDY)
    end = concrete_float(t1, "t1", _CONCRETE_REMEDY)
    if not 0 < end - start < math.inf:
        raise ValueError(
            f"`t1` must be after `t0`, and both finite, but `t0` = {start} and `t1` = "
            f"{end}. Take a window of the run."
        )
    return start, end


def _bins(t0: RealScalarLike, t1: RealScalarLike, dt: RealScalarLike) -> _Bins:
    start, end = _window(t0, t1)
    width = concrete_float(dt, "dt", _CONCRETE_REMEDY)
    if not 0 < width < math.inf:
        raise ValueError(f"`dt` must be positive and finite, but it is {width}.")
    number = round((end - start) / width)
    if number < 1 or abs(start + number * width - end) > _WHOLE_BIN_TOLERANCE * width:
        raise ValueError(
            f"`t1 - t0` = {end - start} is not a whole number of bins of `dt` = {width}. "
            f"Take `t1` = {start + max(number, 1) * width:.12g}, or another `dt`."
        )
    return _Bins(start, end, number)


def as_range(units: Units) -> range:
    """The units that are meant; a `ValueError` if they are none, or have gaps."""
    if isinstance(units, slice):
        # An open end becomes an empty range, which is refused.
        chosen = range(units.start or 0, units.stop or 0, units.step or 1)
    else:
        chosen = range(units)
    if len(chosen) == 0 or chosen.start < 0 or chosen.step != 1:
        raise ValueError(
            "`units` must be a positive number, or a slice of units that follow each "
            f"other, but it is {units}. Pass `slice(first, last + 1)`."
        )
    return chosen


def require_one_trial(x: PyTree, kind: type, name: str, maker: str) -> None:
    """A `ValueError` for anything but the spikes, or the intervals, of one trial."""
    if not isinstance(x, kind):
        raise ValueError(
            f"`{name}` must be `{kind.__name__}`, but it is `{type(x).__name__}`. Take "
            f"what {maker} makes."
        )
    if x.valid.ndim != 1:
        raise ValueError(
            f"`{name}` must be of one trial, with arrays of shape (max_spikes,), but their "
            f"shape is {x.valid.shape}. For many trials use `jax.vmap`."
        )


def _place(
    spikes: Spikes, population: range, bins: _Bins
) -> tuple[Int[Array, " max_spikes"], Int[Array, " max_spikes"], Bool[Array, " bins"]]:
    """The bin and the unit of each spike, and which bins the buffer had room for.

    The bin of a spike that is left out is one past the last.
    """
    require_one_trial(spikes, Spikes, "spikes", "`jaxnet.RecordTimes`")
    latest = max(abs(bins.t0), abs(bins.t1))
    rounding = 4 * float(jnp.finfo(spikes.time.dtype).eps) * latest / bins.width
    if rounding > 0.5:
        raise ValueError(
            f"`dt` = {bins.width} is less than what {spikes.time.dtype} can tell apart at "
            "these times. Take a wider `dt`, or float64 (`JAX_ENABLE_X64=1`)."
        )
    position = jnp.floor((spikes.time - bins.t0) / bins.width + rounding)
    unit = spikes.index - population.start
    is_counted = (
        spikes.valid
        & (position >= 0)
        & (position < bins.number)
        & (unit >= 0)
        & (unit < len(population))
    )
    bin = jnp.where(is_counted, position, bins.number).astype(int)

    # What a full buffer lacks was fired no earlier than the last spike that it holds.
    had_room = spikes.count <= spikes.valid.size
    last = jnp.max(position, initial=-jnp.inf, where=spikes.valid)
    known = had_room | (jnp.arange(bins.number) < last)
    if is_concrete(known) and not known.all():
        raise ValueError(
            f"`spikes` has room for the first {spikes.valid.size} of {spikes.count} "
            f"spikes, and was full before `t1` = {bins.t1} ms. Raise `max_spikes`, or "
            "take an earlier `t1`."
        )
    return bin, unit, known
