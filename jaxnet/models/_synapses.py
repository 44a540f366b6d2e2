"""Synapses: what arriving spikes do to their target."""

import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Real

from .._parameters import Parameter, parameter, Parametric
from .._types import State


class AbstractSynapse(Parametric):
    """What arriving spikes do to their target: a kernel, and a current that it gives.

    All spikes of a projection act on one state for each target neuron, since the kernels
    are linear: the collapse is exact.
    """

    @abc.abstractmethod
    def zero_state(self, size: int) -> State:
        """The state of so many targets at which no spike has arrived."""

    @abc.abstractmethod
    def vector_field(self, s: State) -> State:
        """The derivative of the state between spikes."""

    @abc.abstractmethod
    def receive(self, s: State, arrivals: Real[Array, " targets"]) -> State:
        """The state after the arrival of spikes, given the sum of their weights."""

    @abc.abstractmethod
    def voltage_jump(
        self, arrivals: Real[Array, " targets"]
    ) -> Real[Array, " targets"] | None:
        """By how much the target's voltage jumps; `None` where it never does."""

    @abc.abstractmethod
    def current(
        self, s: State, v: Real[Array, " targets"]
    ) -> Real[Array, " targets"] | None:
        """The current into the target at voltage `v`; `None` where there is none."""


class VoltageJump(AbstractSynapse):
    """A spike lets the target's voltage jump by its weight, in the units of the voltage.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.models.VoltageJump().voltage_jump(0.2)
    0.2
    ```
    """

    def zero_state(self, size):
        return None

    def vector_field(self, s):
        return None

    def receive(self, s, arrivals):
        return None

    def voltage_jump(self, arrivals):
        return arrivals

    def current(self, s, v):
        return None


class AbstractKernelSynapse(AbstractSynapse):
    """A synapse that opens at a spike, and then follows a kernel.

    Without a reversal potential the kernel is a current. With one, E, it is a
    conductance g, and the current is $g (E - v)$.
    """

    reversal_potential: eqx.AbstractVar[Parameter | None]

    @abc.abstractmethod
    def kernel(self, s: State) -> Real[Array, " targets"]:
        """The value of the kernel."""

    def voltage_jump(self, arrivals):
        return None

    def current(self, s, v):
        if self.reversal_potential is None:
            return self.kernel(s)
        return self.kernel(s) * (self.reversal_potential - v)


class ExponentialSynapse(AbstractKernelSynapse):
    r"""A spike adds its weight to a kernel that decays: $\dot g = -g / \tau$.

    **Arguments:**

    - `tau`: time constant (ms), one number or one a target.
    - `reversal_potential`: E, for a conductance; `None` for a current.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.models.ExponentialSynapse(5.0, reversal_potential=0.0).current(2.0, -60.0).item()
    120.0
    ```
    """

    tau: Parameter = parameter(5.0, positive=True)
    reversal_potential: Parameter | None = parameter(None, optional=True)

    def zero_state(self, size):
        return jnp.zeros(size)

    def vector_field(self, s):
        # Times 1 / tau, since XLA would divide anew for every target.
        return -s * (1 / self.tau)

    def receive(self, s, arrivals):
        return s + arrivals

    def kernel(self, s):
        return s


class AlphaSynapse(AbstractKernelSynapse):
    r"""A kernel that rises and falls, $w\,(t/\tau)\,e^{1 - t/\tau}$.

    It reaches the weight w of the spike at the time $\tau$ after it. The state is the
    pair of the kernel g and of what feeds it: $\tau\dot g = x - g$, $\tau\dot x = -x$.

    **Arguments:**

    - `tau`: time to the peak (ms), one number or one a target.
    - `reversal_potential`: E, for a conductance; `None` for a current.

    ```pycon
    >>> import jaxnet as jn
    >>> g, x = jn.models.AlphaSynapse(2.0).receive((0.0, 0.0), 1.0)
    >>> round(float(x), 4)
    2.7183
    ```
    """

    tau: Parameter = parameter(5.0, positive=True)
    reversal_potential: Parameter | None = parameter(None, optional=True)

    def zero_state(self, size):
        return jnp.zeros(size), jnp.zeros(size)

    def vector_field(self, s):
        g, x = s
        return (x - g) / self.tau, -x / self.tau

    def receive(self, s, arrivals):
        g, x = s
        return g, x + np.e * arrivals

    def kernel(self, s):
        return s[0]
