"""Spikes at equal intervals."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._parameters import Parameter, parameter
from ._spikes import AbstractSpikes, require_positive


class PeriodicSpikes(AbstractSpikes):
    """Spikes at equal intervals: for each unit, how many it fires in a step.

    As for [`jaxnet.inputs.SpikeTrain`][], a spike belongs to the step whose spikes are
    stamped with its time, or with the nearest one, and the input is meant for
    [`jaxnet.models.SpikeSource`][]. The derivatives are zero: the number of spikes is
    piecewise constant.

    **Arguments:**

    - `onset`: the time of the first spike (ms), one number or one a unit.
    - `period`: from a spike to the next (ms), one number or one a unit.
    - `number`: of spikes, one number or one a unit; without end by default.
    - `size`: the number of units.

    ```pycon
    >>> import jaxnet as jn
    >>> spikes = jn.inputs.PeriodicSpikes(9.0, 4.0, 3, size=1)
    >>> source = jn.models.SpikeSource()
    >>> run = jn.simulate(
    ...     source, source.resting_state(1), t1=50.0, u=spikes, method=jn.Grid(0.5)
    ... )
    >>> [float(t) for t in run.spikes.time[run.spikes.valid]]
    [9.0, 13.0, 17.0]
    ```
    """

    onset: Parameter = parameter()
    period: Parameter = parameter(positive=True)
    number: Parameter = parameter(np.inf, nonnegative=True)
    size: int = eqx.field(static=True, kw_only=True)

    def __check_init__(self):
        require_positive(self.size)
        for name in ("onset", "period", "number"):
            shape = jnp.shape(getattr(self, name))
            if shape not in ((), (self.size,)):
                raise ValueError(
                    f"`{name}` of `PeriodicSpikes` must be one number, or one a unit, "
                    f"({self.size},), but its shape is {shape}."
                )

    def require(self, start, end):
        pass

    def init(self, grid, key):
        return None

    def advance(self, carry, grid, step):
        return None

    def on_grid(self, carry, grid, step, fraction):
        stamp = grid.spike_time(step)
        count = self._before(stamp + grid.dt / 2) - self._before(stamp - grid.dt / 2)
        return jnp.broadcast_to(count, (self.size,)).astype(float)

    def _before(self, t):
        """The number of spikes before a time."""
        return jnp.clip(jnp.ceil((t - self.onset) / self.period), 0, self.number)
