"""The intervals between spikes, and how regular they are."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._solution import Spikes
from ._spikes import as_range, require_one_trial, Units


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
    require_one_trial(spikes, Spikes, "spikes", "`jaxnet.RecordTimes`")
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
    - `units`: a number N for the units 0 to N - 1, or a slice, such as that of a
        population from ``network.units(name)``.

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
    require_one_trial(intervals, InterspikeIntervals, "intervals", "`interspike_intervals`")
    population = as_range(units)
    size = len(population)
    unit = intervals.index - population.start
    of_population = intervals.valid & (unit >= 0) & (unit < size)
    unit = jnp.where(of_population, unit, size)
    # NaN in the padding would come back in the gradient, also where it is not used.
    value = jnp.where(of_population, intervals.value, 0.0)

    def total(x: Float[Array, " max_spikes"]) -> Float[Array, " units"]:
        return jnp.zeros(size, x.dtype).at[unit].add(x, mode="drop")

    number = total(jnp.ones_like(value))
    enough = number >= 2
    mean = total(value) / jnp.where(enough, number, 1.0)
    deviation = value - mean.at[unit].get(mode="fill", fill_value=0.0)
    variance = total(deviation**2) / jnp.where(enough, number - 1, 1.0)
    # The root has no derivative at 0, which is regular firing.
    varies = variance > 0
    spread = jnp.where(varies, jnp.sqrt(jnp.where(varies, variance, 1.0)), 0.0)
    return jnp.where(enough, spread / jnp.where(enough, mean, 1.0), jnp.nan)
