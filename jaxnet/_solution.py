"""What comes back from a simulation."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int, PyTree

from ._result import RESULTS


class Spikes(eqx.Module):
    """Spikes in the order of their time, in a buffer of fixed size.

    **Attributes:**

    - `time`: of each spike (ms), the end of the step that crossed the threshold.
    - `index`: the unit that fired.
    - `valid`: whether an entry of the buffer holds a spike.
    - `count`: how many spikes were fired, also those that found no room.
    """

    time: Float[Array, " max_spikes"]
    index: Int[Array, " max_spikes"]
    valid: Bool[Array, " max_spikes"]
    count: Int[Array, ""]


class Solution(eqx.Module):
    """The solution of a simulation.

    **Attributes:**

    - `ts`: the times that were saved (ms).
    - `ys`: the state at these times, or what `save` made of it; a leading time axis.
    - `spikes`: of a hybrid system, the spikes that were fired; else `None`.
    - `result`: how it ended; compare with `RESULTS.successful`.
    - `stats`: counts, such as the number of steps.
    """

    ts: PyTree[Float[Array, " times"]]
    ys: PyTree
    spikes: Spikes | None
    result: RESULTS
    stats: dict[str, Any]
