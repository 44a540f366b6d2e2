"""What a grid records of the spikes."""

import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree, Real

from ._events import for_each_event, lane_and_unit, lanes_of, primitive_of_lanes
from ._result import result_if, RESULTS, SUCCESS
from ._solution import SpikeCounts, SpikeRaster, SpikeRecord, Spikes
from ._time_grid import TimeGrid


class AbstractRecord(eqx.Module):
    """What is kept of the spikes: on the way in a carry, or step by step."""

    @abc.abstractmethod
    def init(self, units: int) -> PyTree:
        """What is carried before the first step."""

    @abc.abstractmethod
    def add(
        self,
        carry: PyTree,
        fired: Bool[Array, " units"],
        spikes: Real[Array, " units"] | Bool[Array, " units"],
        step: Int[Array, ""],
    ) -> tuple[PyTree, PyTree]:
        """What is carried on, and what is kept of this step alone.

        `spikes` is 1 where a unit fired, with the slope of a surrogate if there is one.
        """

    @abc.abstractmethod
    def finish(
        self, carry: PyTree, steps: PyTree, grid: TimeGrid, units: int
    ) -> tuple[SpikeRecord, RESULTS]:
        """The record, from what was carried and from what was kept of each step."""


class RecordTimes(AbstractRecord):
    """Record the time and the unit of each spike, as [`jaxnet.Spikes`][].

    **Arguments:**

    - `max_spikes`: how many spikes there is room for. If there are more, the first ones
        are kept, and `result` says so.
    """

    max_spikes: int = eqx.field(static=True, default=10_000)

    def __check_init__(self):
        if self.max_spikes < 1:
            raise ValueError(f"`max_spikes` must be positive, not {self.max_spikes}.")

    def init(self, units):
        empty = jnp.zeros(self.max_spikes, jnp.int32)
        return _Log(empty, empty, jnp.zeros((), jnp.int32))

    def add(self, carry, fired, spikes, step):
        arrays = (carry.step, carry.index, carry.count, fired, step)
        log = append_p.bind(*(x[None] for x in arrays))
        return _Log(*(x[0] for x in log)), None

    def finish(self, carry, steps, grid, units):
        valid = jnp.arange(self.max_spikes) < carry.count
        time = jnp.asarray(grid.spike_time(carry.step), float)
        spikes = Spikes(jnp.where(valid, time, jnp.nan), carry.index, valid, carry.count)
        is_full = carry.count > self.max_spikes
        return spikes, result_if(is_full, RESULTS.spike_buffer_full)


class RecordRaster(AbstractRecord):
    """Record whether each unit fired in each step, as [`jaxnet.SpikeRaster`][].

    There is always room. A second of 10,000 units in steps of 0.1 ms takes 12.5 MB.
    """

    def init(self, units):
        return None

    def add(self, carry, fired, spikes, step):
        return None, jnp.packbits(fired)

    def finish(self, carry, steps, grid, units):
        time = jnp.asarray(grid.spike_time(np.arange(grid.steps)), float)
        return SpikeRaster(time, steps, units), SUCCESS


class RecordCounts(AbstractRecord):
    """Record how often each unit fired, as [`jaxnet.SpikeCounts`][].

    **Arguments:**

    - `with_slope`: whether the counts are real numbers, which have the derivative that the
        surrogate of the `Grid` gives them.
    """

    with_slope: bool = eqx.field(static=True, default=False)

    def init(self, units):
        return jnp.zeros(units, float if self.with_slope else jnp.int32)

    def add(self, carry, fired, spikes, step):
        return carry + (spikes if self.with_slope else fired), None

    def finish(self, carry, steps, grid, units):
        return SpikeCounts(carry if self.with_slope else carry.astype(int)), SUCCESS


class _Log(eqx.Module):
    """The step and the unit of every spike so far."""

    step: Int[Array, " max_spikes"]
    index: Int[Array, " max_spikes"]
    count: Int[Array, ""]


def _append(steps, units, counts, fired, step) -> list[Array]:
    """Append the spikes of a step to the log of each lane."""
    lanes, size = lanes_of(steps, units, counts, fired, step), fired.shape[1]
    everywhere = lambda x: jnp.broadcast_to(x, (lanes, *x.shape[1:]))
    steps, units, counts, fired, step = map(everywhere, (steps, units, counts, fired, step))

    def append(log, event):
        steps, units, counts = log
        lane, unit = lane_and_unit(event, lanes, size)
        # A slot past the end drops the spike; the count goes on.
        slot = lane, counts[lane]
        write = lambda array, x: array.at[slot].set(x.astype(array.dtype), mode="drop")
        return write(steps, step[lane]), write(units, unit), counts.at[lane].add(1)

    return list(for_each_event(fired.ravel(), append, (steps, units, counts)))


append_p = primitive_of_lanes("append_spikes", _append)
