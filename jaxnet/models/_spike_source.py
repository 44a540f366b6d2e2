"""Units that fire when they are told to."""

import jax.numpy as jnp

from .._parameters import Parameter, parameter
from ._neurons import AbstractNeuron


class SpikeSource(AbstractNeuron):
    """Units that fire when their input says so: recorded or random spikes for a network.

    The input `u` is the number of spikes of each unit in the step, as
    [`jaxnet.inputs.Poisson`][] and [`jaxnet.inputs.SpikeTrain`][] give it; `None` is no
    spike. A unit fires once in a step: of two spikes in one step the second is fired in
    the next one, and none is lost. The state is the number of spikes that wait.

    **Arguments:**

    - `refractory_period`: (ms) spikes that come sooner wait; `None` for no clock at all.

    ```pycon
    >>> import jaxnet as jn
    >>> train = jn.inputs.SpikeTrain([1.0, 1.0, 3.0], [0, 0, 1], size=2)
    >>> source = jn.models.SpikeSource()
    >>> run = jn.simulate(
    ...     source, source.resting_state(2), t1=5.0, u=train, method=jn.Grid(0.5)
    ... )
    >>> [float(t) for t in run.spikes.time[run.spikes.valid]]
    [1.0, 1.5, 3.0]
    ```
    """

    refractory_period: Parameter | None = parameter(None, nonnegative=True, optional=True)

    def voltage(self, y):
        raise ValueError("A `SpikeSource` has no voltage, and cannot be a target.")

    def with_voltage(self, y, v):
        raise ValueError("A `SpikeSource` has no voltage, and cannot be a target.")

    def resting_state(self, size):
        return jnp.zeros(size)

    def rates(self, t, y, u):
        if u is not None and jnp.shape(u) not in ((), jnp.shape(y)):
            raise ValueError(
                f"the input `u` of {y.size} `SpikeSource`s must be one number a unit, but "
                f"its shape is {jnp.shape(u)}"
            )
        return jnp.zeros_like(y)

    def guard(self, t, y, u):
        return _waiting(y, u) - 0.5

    def refractory_periods(self):
        return self.refractory_period

    def reset(self, t, y, spikes, u):
        return _waiting(y, u) - spikes


def _waiting(y, u):
    return y if u is None else y + u
