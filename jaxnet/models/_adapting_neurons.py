"""Spiking neurons of two variables: the voltage, and what recovers slowly."""

import equinox as eqx
import jax.numpy as jnp

from .._exprel import at_most
from .._parameters import Parameter, parameter
from ._neurons import AbstractIntegrateAndFire, exponential_onset, jump, plus_current


class AbstractAdaptingNeuron(AbstractIntegrateAndFire):
    """A neuron whose state is the pair of its voltage v and a slow variable w.

    A spike sets v to the reset potential and adds a jump to w.
    """

    reset_potential: eqx.AbstractVar[Parameter]
    adaptation_jump: eqx.AbstractVar[Parameter]

    def voltage(self, y):
        return y[0]

    def with_voltage(self, y, v):
        return v, y[1]

    def reset(self, t, y, spikes, u):
        v, w = y
        return jump(v, self.reset_potential, spikes), w + spikes * self.adaptation_jump


class AdaptiveExponentialLIF(AbstractAdaptingNeuron):
    r"""Adaptive exponential integrate-and-fire neurons.

    $$C \dot v = g_L (E_L - v) + g_L \Delta e^{(v - v_T) / \Delta} - w + u$$
    $$\tau_w \dot w = a (v - E_L) - w$$

    The state is the pair (v, w), in mV and pA. The input `u` is a current (pA); `None` is
    no current. A spike is fired at the cutoff; it resets v and adds b to w.

    **Arguments:**

    - `capacitance`: C (pF).
    - `leak_conductance`: $g_L$ (nS).
    - `resting_potential`: $E_L$ (mV).
    - `threshold`, `sharpness`: $v_T$ and $\Delta$ (mV).
    - `cutoff`, `reset_potential`: (mV).
    - `tau_w`: time constant of the adaptation (ms).
    - `adaptation`: a (nS), by which w follows v.
    - `adaptation_jump`: b (pA), which each spike adds to w.
    - `refractory_period`, `hold_voltage`: as for [`jaxnet.models.LIF`][]; w is never held.

    Source: Brette and Gerstner 2005, doi:10.1152/jn.00686.2005, with its parameters.

    ```pycon
    >>> import jaxnet as jn
    >>> neuron = jn.models.AdaptiveExponentialLIF()
    >>> run = jn.simulate(
    ...     neuron, neuron.resting_state(1), t1=100.0, u=1000.0, method=jn.Grid(0.01)
    ... )
    >>> int(run.spikes.count)
    5
    ```
    """

    capacitance: Parameter = parameter(281.0, positive=True)
    leak_conductance: Parameter = parameter(30.0, positive=True)
    resting_potential: Parameter = parameter(-70.6)
    threshold: Parameter = parameter(-50.4)
    sharpness: Parameter = parameter(2.0, positive=True)
    cutoff: Parameter = parameter(20.0)
    reset_potential: Parameter = parameter(-70.6)
    tau_w: Parameter = parameter(144.0, positive=True)
    adaptation: Parameter = parameter(4.0)
    adaptation_jump: Parameter = parameter(80.5)
    refractory_period: Parameter = parameter(0.0, nonnegative=True)
    hold_voltage: bool = eqx.field(static=True, default=True)

    def resting_state(self, size):
        return jnp.broadcast_to(self.resting_potential, (size,)), jnp.zeros(size)

    def rates(self, t, y, u):
        v, w = y
        # Beyond the cutoff a step of finite size would soon be infinite.
        v = at_most(v, self.cutoff)
        onset = exponential_onset(v, self.threshold, self.sharpness)
        leak = self.leak_conductance * (self.resting_potential - v + onset)
        dv = plus_current(leak - w, 1.0, u) / self.capacitance
        dw = (self.adaptation * (v - self.resting_potential) - w) / self.tau_w
        return dv, dw

    def guard(self, t, y, u):
        return y[0] - self.cutoff


class Izhikevich(AbstractAdaptingNeuron):
    r"""Izhikevich's simple model of spiking neurons.

    $$\dot v = 0.04 v^2 + 5 v + 140 - w + u, \qquad \dot w = a (b v - w)$$

    The state is the pair (v, w); v is in mV, w is Izhikevich's recovery variable u. The
    input `u` is a current (dimensionless, thalamic in the source); `None` is no current.
    A spike is fired above the cutoff; it sets v to c and adds d to w. The defaults are
    regular spiking; (a, b, c, d) = (0.1, 0.2, -65, 2) is fast spiking,
    (0.02, 0.2, -50, 2) chattering. Where b > 0.27 there is no rest, and `resting_state` is
    NaN.

    **Arguments:**

    - `a`: rate of the recovery (1/ms).
    - `b`: how w follows v.
    - `reset_potential`: c (mV).
    - `adaptation_jump`: d.
    - `cutoff`: (mV).
    - `refractory_period`, `hold_voltage`: as for [`jaxnet.models.LIF`][]; w is never held.

    Source: Izhikevich 2003, doi:10.1109/TNN.2003.820440.

    ```pycon
    >>> import jaxnet as jn
    >>> neuron = jn.models.Izhikevich()
    >>> run = jn.simulate(
    ...     neuron, neuron.resting_state(1), t1=100.0, u=10.0, method=jn.Grid(0.01)
    ... )
    >>> int(run.spikes.count)
    3
    ```
    """

    a: Parameter = parameter(0.02, positive=True)
    b: Parameter = parameter(0.2)
    reset_potential: Parameter = parameter(-65.0)
    adaptation_jump: Parameter = parameter(8.0)
    cutoff: Parameter = parameter(30.0)
    refractory_period: Parameter = parameter(0.0, nonnegative=True)
    hold_voltage: bool = eqx.field(static=True, default=True)

    def resting_state(self, size):
        # The lower root of 0.04 v^2 + (5 - b) v + 140, where w = b v.
        slope = 5.0 - self.b
        v = (-slope - jnp.sqrt(slope**2 - 4 * 0.04 * 140.0)) / (2 * 0.04)
        return jnp.broadcast_to(v, (size,)), jnp.broadcast_to(self.b * v, (size,))

    def rates(self, t, y, u):
        v, w = y
        # Beyond the cutoff a step of finite size would soon be infinite.
        v = at_most(v, self.cutoff)
        dv = plus_current((0.04 * v + 5.0) * v + 140.0 - w, 1.0, u)
        return dv, self.a * (self.b * v - w)

    def guard(self, t, y, u):
        return y[0] - self.cutoff
