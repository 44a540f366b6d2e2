"""What comes back from a simulation."""

from typing import Any, TypeAlias

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt8

from ._result import RESULTS


class Spikes(eqx.Module):
    """Spikes in the order of their time, in a buffer of fixed size.

    **Attributes:**

    - `time`: of each spike (ms), NaN in the padding; by default the end of the step that
        crossed the threshold.
    - `index`: the unit that fired.
    - `valid`: whether an entry of the buffer holds a spike.
    - `count`: how many spikes were fired, also those that found no room.
    """

    time: Float[Array, " max_spikes"]
    index: Int[Array, " max_spikes"]
    valid: Bool[Array, " max_spikes"]
    count: Int[Array, ""]


class SpikeRaster(eqx.Module):
    """Which unit fired in which step, eight units a byte.

    **Attributes:**

    - `time`: of the spikes of each step (ms).
    - `bits`: the spikes of each step, packed.
    - `units`: the number of units.
    """

    time: Float[Array, " steps"]
    bits: UInt8[Array, "steps bytes"]
    units: int = eqx.field(static=True)

    def unpack(self) -> Bool[Array, "steps units"]:
        """Whether each unit fired in each step."""
        return jnp.unpackbits(self.bits, axis=-1, count=self.units).astype(bool)


class SpikeCounts(eqx.Module):
    """How often each unit fired.

    **Attributes:**

    - `count`: the number of spikes of each unit.
    """

    count: Int[Array, " units"] | Float[Array, " units"]


SpikeRecord: TypeAlias = Spikes | SpikeRaster | SpikeCounts


class Solution(eqx.Module):
    """The solution of a simulation.

    **Attributes:**

    - `ts`: the times that were saved (ms).
    - `ys`: the state at these times, or what `save` made of it; a leading time axis.
    - `spikes`: of a hybrid system, the spikes that were fired, as its method was told to
        record them; else `None`.
    - `result`: how it ended; compare with `RESULTS.successful`.
    - `stats`: counts, such as the number of steps.
    """

    ts: PyTree[Float[Array, " times"]]
    ys: PyTree
    spikes: SpikeRecord | None
    result: RESULTS
    stats: dict[str, Any]
