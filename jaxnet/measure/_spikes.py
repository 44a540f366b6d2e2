"""Counts, rates and intervals of spikes."""

from typing import TypeAlias

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree, Real

from .._result import is_concrete
from .._solution import Spikes
from .._time_grid import concrete_float
from .._types import RealScalarLike


# The first N units, or a population: units that follow each other.
Units: TypeAlias = int | range | slice

_MS_PER_S = 1000.0
# A window of 10 s has 1e5 bins of 0.1 ms, and (t1 - t0) / dt is off by 1e-11 of a bin.
_WHOLE_BIN_TOLERANCE = 1e-6
_CONCRETE_REMEDY = "It fixes the number of bins, which is compiled into the program."


class InterspikeIntervals(eqx.Module):
    """The intervals between successive spikes of a unit, in the buffer of the spikes.

    **Attributes:**

    - `value`: the interval that ends with this spike (ms); NaN where there is none.
    - `index`: the unit that fired.
    - `valid`: whether an entry holds an interval; a unit's first spike ends none.
    """

    value: Float[Array, " max_spikes"]
    index: Int[Array, " max_spikes"]
    valid: Bool[Array, " max_spikes"]


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

    A time that lies within its rounding, four units of the last place of the largest
    time, of the edge of a bin is on this edge, and so in the bin that begins there. A
    spike before `t0`, at `t1` or after is left out, and so is one of another unit.

    **Arguments:**

    - `spikes`: of one trial; for many trials use `jax.vmap`.
    - `units`: a number N for the units 0 to N - 1, or a range or slice of units.
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
    units, bins = _as_range(units), _bins(t0, t1, dt)
    bin, unit, known = _place(spikes, units, bins)
    counts = jnp.zeros((bins.number, len(units))).at[bin, unit].add(1.0, mode="drop")
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
    - `units`: the population: a number N for the units 0 to N - 1, or a range or slice.

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
    >>> rate = jn.measure.population_rate(spikes, range(2, 4), t0=0.0, t1=30.0, dt=10.0)
    >>> rate.tolist()
    [50.0, 50.0, 0.0]
    ```
    """
    units, bins = _as_range(units), _bins(t0, t1, dt)
    bin, _, known = _place(spikes, units, bins)
    counts = jnp.zeros(bins.number).at[bin].add(1.0, mode="drop")
    rate = counts / (len(units) * bins.width) * _MS_PER_S
    return jnp.where(known, rate, jnp.nan)


def interspike_intervals(spikes: Spikes) -> InterspikeIntervals:
    """The intervals between successive spikes of each unit.

    Of the spikes that found room in the buffer; the entries are those of the spikes. To
    leave out a transient, make `valid` of the spikes false there.

    **Arguments:**

    - `spikes`: of one trial; for many trials use `jax.vmap`.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> spikes = jn.Spikes(
    ...     time=jnp.array([1.0, 2.0, 4.0, 7.0]),
    ...     index=jnp.array([1, 0, 1, 0]),
    ...     valid=jnp.array([True, True, True, True]),
    ...     count=jnp.array(4),
    ... )
    >>> intervals = jn.measure.interspike_intervals(spikes)
    >>> intervals.value[intervals.valid].tolist()
    [3.0, 5.0]
    ```
    """
    _require_one_trial(spikes, Spikes, "spikes")
    # Padding comes last. The sort is stable, so that a unit's spikes stay in order.
    unit = jnp.where(spikes.valid, spikes.index, jnp.iinfo(spikes.index.dtype).max)
    by_unit = jnp.argsort(unit, stable=True)
    before, after = by_unit[:-1], by_unit[1:]
    same = spikes.valid[before] & spikes.valid[after] & (unit[before] == unit[after])
    difference = jnp.where(same, spikes.time[after] - spikes.time[before], jnp.nan)
    return InterspikeIntervals(
        value=jnp.full_like(spikes.time, jnp.nan).at[after].set(difference),
        index=spikes.index,
        valid=jnp.zeros_like(spikes.valid).at[after].set(same),
    )


def cv(intervals: InterspikeIntervals, units: Units) -> Float[Array, " units"]:
    r"""The coefficient of variation of the interspike intervals of each unit.

    $$CV = \sigma_T / \langle T \rangle, \qquad
    \sigma_T^2 = \tfrac{1}{n - 1} \sum (T - \langle T \rangle)^2$$

    It is 0 for regular firing, 1 for a Poisson process, and NaN for a unit with fewer
    than two intervals; `jnp.nanmean` is then the mean over all other units.

    **Arguments:**

    - `intervals`: from [`jaxnet.measure.interspike_intervals`][].
    - `units`: a number N for the units 0 to N - 1, or a range or slice of units.

    Source: Softky and Koch 1993, doi:10.1523/JNEUROSCI.13-01-00334.1993.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> spikes = jn.Spikes(
    ...     time=jnp.array([0.0, 1.0, 2.0, 4.0, 6.0]),
    ...     index=jnp.array([0, 1, 0, 0, 0]),
    ...     valid=jnp.ones(5, bool),
    ...     count=jnp.array(5),
    ... )
    >>> jn.measure.cv(jn.measure.interspike_intervals(spikes), 2).tolist()
    [0.0, nan]
    ```
    """
    _require_one_trial(intervals, InterspikeIntervals, "intervals")
    units = _as_range(units)
    unit = intervals.index - units.start
    of_units = intervals.valid & (unit >= 0) & (unit < len(units))
    unit = jnp.where(of_units, unit, len(units))
    # NaN in the padding would come back in the gradient, also where it is not used.
    value = jnp.where(of_units, intervals.value, 0.0)

    def total(x: Float[Array, " max_spikes"]) -> Float[Array, " units"]:
        return jnp.zeros(len(units), x.dtype).at[unit].add(x, mode="drop")

    number = total(jnp.ones_like(value))
    enough = number >= 2
    mean = total(value) / jnp.where(enough, number, 1.0)
    deviation = value - mean.at[unit].get(mode="fill", fill_value=0.0)
    variance = total(deviation**2) / jnp.where(enough, number - 1, 1.0)
    # The root has no derivative at 0, which is regular firing.
    varies = variance > 0
    spread = jnp.where(varies, jnp.sqrt(jnp.where(varies, variance, 1.0)), 0.0)
    return jnp.where(enough, spread / jnp.where(enough, mean, 1.0), jnp.nan)


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
    return jnp.where(
        fired,
        jnp.var(counts, axis=0, ddof=1) / jnp.where(fired, mean, 1.0),
        jnp.nan,
    )


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
    if not end > start:
        raise ValueError(
            f"`t1` must be after `t0`, but `t0` = {start} and `t1` = {end}. Take a later "
            "`t1`."
        )
    return start, end


def _bins(t0: RealScalarLike, t1: RealScalarLike, dt: RealScalarLike) -> _Bins:
    start, end = _window(t0, t1)
    width = concrete_float(dt, "dt", _CONCRETE_REMEDY)
    if not width > 0:
        raise ValueError(f"`dt` must be positive, but it is {width}.")
    number = round((end - start) / width)
    if number < 1 or abs(start + number * width - end) > _WHOLE_BIN_TOLERANCE * width:
        raise ValueError(
            f"`t1 - t0` = {end - start} is not a whole number of bins of `dt` = {width}. "
            f"Take `t1` = {start + max(number, 1) * width:.12g}, or another `dt`."
        )
    return _Bins(start, end, number)


def _as_range(units: Units) -> range:
    if isinstance(units, slice):
        if units.stop is None:
            raise ValueError("`units` must have an end: pass `slice(first, last + 1)`.")
        chosen = range(units.start or 0, units.stop, units.step or 1)
    else:
        chosen = units if isinstance(units, range) else range(units)
    if len(chosen) == 0 or chosen.start < 0 or chosen.step != 1:
        raise ValueError(
            "`units` must be a positive number, or a range of units that follow each "
            f"other, but it is {units}. Pass `range(first, last + 1)`."
        )
    return chosen


def _require_one_trial(x: PyTree, kind: type, name: str) -> None:
    if not isinstance(x, kind):
        raise ValueError(
            f"`{name}` must be `{kind.__name__}`, but it is `{type(x).__name__}`. The time "
            "and the unit of each spike are needed."
        )
    if x.valid.ndim != 1:
        raise ValueError(
            f"`{name}` must be of one trial, with arrays of shape (max_spikes,), but their "
            f"shape is {x.valid.shape}. For many trials use `jax.vmap`."
        )


def _place(
    spikes: Spikes, units: range, bins: _Bins
) -> tuple[Int[Array, " max_spikes"], Int[Array, " max_spikes"], Bool[Array, " bins"]]:
    """The bin and the unit of each spike, and which bins the buffer had room for.

    The bin of a spike that is left out is one past the last.
    """
    _require_one_trial(spikes, Spikes, "spikes")
    latest = max(abs(bins.t0), abs(bins.t1))
    rounding = 4 * float(jnp.finfo(spikes.time.dtype).eps) * latest / bins.width
    if rounding > 0.5:
        raise ValueError(
            f"`dt` = {bins.width} is less than what {spikes.time.dtype} can tell apart at "
            "these times. Take a wider `dt`, or float64 (`JAX_ENABLE_X64=1`)."
        )
    position = jnp.floor((spikes.time - bins.t0) / bins.width + rounding)
    unit = spikes.index - units.start
    is_counted = (
        spikes.valid
        & (position >= 0)
        & (position < bins.number)
        & (unit >= 0)
        & (unit < len(units))
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
