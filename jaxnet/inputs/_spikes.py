"""Spikes as inputs: random ones, and recorded ones."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._random import require_key
from .._result import is_concrete
from .._time_grid import TimeGrid
from .._tree import as_float_array, numerics_for
from ._base import AbstractInput, as_input, Constant


_MS_PER_S = 1000.0


def require_positive(size: int) -> None:
    """Raise unless there are units."""
    if size < 1:
        raise ValueError(
            f"`size` must be positive, but it is {size}. It is the number of units."
        )


class AbstractSpikes(AbstractInput):
    """How many spikes each unit fires in a step; for a [`jaxnet.models.SpikeSource`][]."""

    size: eqx.AbstractVar[int]

    def __call__(self, t):
        raise ValueError(
            f"`{type(self).__name__}` counts the spikes of each step and has no value at "
            "an arbitrary time. Use the method `Grid`."
        )

    def breakpoints(self):
        return jnp.zeros(0)

    def value_shape(self):
        return jax.ShapeDtypeStruct((self.size,), jnp.result_type(float))


class Poisson(AbstractSpikes):
    r"""Independent Poisson spike trains: 1 for a unit that fires in a step, 0 otherwise.

    A unit fires in a step with the probability $1 - e^{-\lambda dt}$ that a Poisson process
    has an event in it. So the mean rate is lower than $\lambda$: by 0.5 % at 100 Hz and
    0.1 ms, by 37 % at 10 kHz. For a high rate take many units, not one. The derivative with
    respect to the rate is zero: the number of spikes is piecewise constant.

    **Arguments:**

    - `rate`: $\lambda$ (Hz), one number or one a unit; or an input that gives it, for
        rates that vary in time.
    - `size`: the number of units.

    The key is that of `simulate`. The input is meant for [`jaxnet.models.SpikeSource`][].

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> source = jn.models.SpikeSource()
    >>> run = jn.simulate(
    ...     source,
    ...     source.resting_state(100),
    ...     t1=1000.0,
    ...     u=jn.inputs.Poisson(10.0, size=100),
    ...     method=jn.Grid(1.0),
    ...     key=jax.random.key(0),
    ... )
    >>> 900 < int(run.spikes.count) < 1100
    True
    ```
    """

    rate: AbstractInput = eqx.field(converter=as_input)
    size: int = eqx.field(static=True, kw_only=True)

    def __check_init__(self):
        require_positive(self.size)
        shape = jax.tree.map(lambda x: x.shape, self.rate.value_shape())
        if shape not in ((), (self.size,)):
            raise ValueError(
                f"`rate` must be one number, or one a unit, ({self.size},), but it has the "
                f"shape {shape}."
            )
        rate = self.rate.value if isinstance(self.rate, Constant) else 0.0
        if is_concrete(rate) and np.any(np.asarray(rate) < 0):
            raise ValueError(
                f"`rate` must not be negative, but it is {rate}. Pass it in Hz."
            )

    def require(self, start, end):
        self.rate.require(start, end)

    def init(self, grid, key):
        spikes_key, rate_key = jax.random.split(require_key(key, "`Poisson`"))
        rate = self.rate.init(grid, rate_key)
        return spikes_key, rate, self._draw(spikes_key, rate, grid, 0)

    def advance(self, carry, grid, step):
        key, rate, _ = carry
        rate = self.rate.advance(rate, grid, step)
        return key, rate, self._draw(key, rate, grid, step + 1)

    def on_grid(self, carry, grid, step, fraction):
        return carry[2]

    def _draw(self, key, rate, grid: TimeGrid, step) -> Float[Array, " size"]:
        per_step: Array = self.rate.on_grid(rate, grid, step, 0.0) * grid.dt / _MS_PER_S
        draws = jax.random.uniform(jax.random.fold_in(key, step), (self.size,))
        fires = (draws < -jnp.expm1(-per_step)).astype(float)
        # What is no rate has no spikes to give.
        return jnp.where(per_step >= 0, fires, jnp.nan)


def _as_times(times) -> Float[Array, " spikes"]:
    """The times of spikes, and never for what is none."""
    given: Array = as_float_array(times)
    xp = numerics_for(given)
    return jnp.asarray(xp.where(xp.isnan(given), np.inf, given), given.dtype)


def _as_indices(indices) -> Int[Array, " spikes"]:
    indices = jnp.asarray(indices)
    is_whole = jnp.issubdtype(indices.dtype, jnp.integer)
    if indices.size and not is_whole:
        raise ValueError(
            f"`indices` must be whole numbers, but they are of type {indices.dtype}. Pass "
            "the number of the unit of each spike."
        )
    return indices.astype(jnp.int32)


class SpikeTrain(AbstractSpikes):
    """Recorded spikes: for each unit, how many it fires in a step.

    A spike belongs to the step whose spikes are stamped with its time, or with the nearest
    one: so a recording that is played back with the `dt` and the stamps it was made with
    gives itself.

    **Arguments:**

    - `times`: of the spikes (ms), in any order. NaN is no spike: the padding of a
        [`jaxnet.Spikes`][] may stay.
    - `indices`: the unit of each spike.
    - `size`: the number of units.

    The input is meant for [`jaxnet.models.SpikeSource`][]. Spikes before the first step and
    after the last one are not fired; with stamps at the end of a step, one at `t0` belongs
    to the step before the first.
    """

    times: Float[Array, " spikes"] = eqx.field(converter=_as_times)
    indices: Int[Array, " spikes"] = eqx.field(converter=_as_indices)
    size: int = eqx.field(static=True, kw_only=True)

    def __check_init__(self):
        require_positive(self.size)
        shapes = jnp.shape(self.times), jnp.shape(self.indices)
        if shapes[0] != shapes[1] or len(shapes[0]) != 1:
            raise ValueError(
                "`times` and `indices` must be two vectors of one length, but their shapes "
                f"are {shapes[0]} and {shapes[1]}."
            )
        if is_concrete(self.indices) and is_concrete(self.times):
            indices = np.asarray(self.indices)[np.isfinite(np.asarray(self.times))]
            if indices.size and not (indices.min() >= 0 and indices.max() < self.size):
                raise ValueError(
                    f"`indices` must lie in 0 to {self.size - 1}, but they reach from "
                    f"{indices.min()} to {indices.max()}."
                )

    def require(self, start, end):
        pass

    def init(self, grid, key):
        is_spike = jnp.isfinite(self.times)
        step = grid.step_of_spike(jnp.where(is_spike, self.times, grid.t0))
        step = jnp.where(is_spike & (step >= 0), step, grid.steps)
        counts = jnp.zeros((grid.steps, self.size), jnp.int32)
        counts = counts.at[step, self.indices].add(1, mode="drop")
        inside = (self.indices >= 0) & (self.indices < self.size)
        return counts, jnp.all(inside | ~is_spike)

    def advance(self, carry, grid, step):
        return carry

    def on_grid(self, carry, grid, step, fraction):
        counts, is_good = carry
        # A traced index of no unit has no spike to give.
        return jnp.where(is_good, counts[step].astype(float), jnp.nan)
