"""Integrate-and-fire neurons of one variable, and what all spiking neurons share."""

import abc
import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Bool, Real

from .._exprel import at_most
from .._parameters import Parameter, parameter
from .._system import AbstractHybridSystem
from .._types import InputValue, State


def jump(
    value: Real[Array, "..."], to: Real[Array, "..."], spikes: Real[Array, "..."]
) -> Real[Array, "..."]:
    """`to` where a unit spiked, `value` elsewhere, smooth in `spikes`."""
    return (1 - spikes) * value + spikes * to


# A spike has long started where the exponential is so large; float32 ends at 88.
_LARGEST_EXPONENT = 50.0


def exponential_onset(v: Real[Array, "..."], threshold, sharpness) -> Real[Array, "..."]:
    """The current that starts a spike."""
    exponent = at_most((v - threshold) / sharpness, _LARGEST_EXPONENT)
    return sharpness * jnp.exp(exponent)


def require_one_a_unit(model: eqx.Module, shape: tuple[int, ...]) -> None:
    """Raise unless every parameter is one number, or one a unit."""
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if eqx.is_array(value) and jnp.shape(value) not in ((), shape):
            raise ValueError(
                f"`{field.name}` of `{type(model).__name__}` must be one number, or one a "
                f"unit, {shape}, but its shape is {jnp.shape(value)}."
            )


class AbstractNeuron(AbstractHybridSystem):
    """Neurons of one kind that do not interact, each with a voltage.

    Every parameter is one number, or one a neuron. The state has one entry a neuron, or
    is a scalar for a single one. A spike is fired where the voltage is *above* the
    threshold, and the neuron is not refractory.
    """

    @abc.abstractmethod
    def voltage(self, y: State) -> Real[Array, "..."]:
        """The voltage of each neuron, from the state."""

    @abc.abstractmethod
    def with_voltage(self, y: State, v: Real[Array, "..."]) -> State:
        """The state with another voltage."""

    @abc.abstractmethod
    def resting_state(self, size: int) -> State:
        """The state of so many neurons at the resting potential."""

    @abc.abstractmethod
    def rates(self, t: Real[Array, ""], y: State, u: InputValue) -> State:
        """The derivative of the state, unit by unit."""

    def vector_field(self, t, y, u):
        self.check_state(y)
        return self.rates(t, y, u)

    def receive(self, t, y, arrivals, u):
        return y

    def state_shape(self, size: int) -> tuple[int, ...]:
        """The shape of the first variable of the state of so many neurons."""
        return (size,)

    def check_state(self, y: State) -> None:
        """Raise unless this is a state, and the parameters go with it."""
        self.check_parameters(jnp.shape(jtu.tree_leaves(y)[0]))

    def check_parameters(self, shape: tuple[int, ...]) -> None:
        """Raise unless the parameters go with a state of this shape."""
        require_one_a_unit(self, shape)

    def site(self, compartment: int | None) -> Any:
        """Where a synapse is, as an index into the voltage."""
        if compartment is not None:
            raise ValueError(
                f"`compartment` is {compartment}, but a `{type(self).__name__}` has none. "
                "Leave it out; only a `Cell` has compartments."
            )
        return ...

    def with_current(
        self, u: InputValue, current: Real[Array, " units"], site: Any
    ) -> InputValue:
        """The input with the current of synapses added to it."""
        return current if u is None else u + current


class AbstractIntegrateAndFire(AbstractNeuron):
    """A neuron that is reset by a spike, and may be refractory then."""

    refractory_period: eqx.AbstractVar[Parameter]
    hold_voltage: eqx.AbstractVar[bool]

    def refractory_periods(self):
        return self.refractory_period

    def hold(self, before, after, refractory: Bool[Array, "..."]):
        if not self.hold_voltage:
            return after
        v = jnp.where(refractory, self.voltage(before), self.voltage(after))
        return self.with_voltage(after, v)


class AbstractVoltageNeuron(AbstractIntegrateAndFire):
    """A neuron whose state is its voltage alone."""

    resting_potential: eqx.AbstractVar[Parameter]
    reset_potential: eqx.AbstractVar[Parameter]

    def resting_state(self, size):
        return jnp.broadcast_to(self.resting_potential, (size,))

    def voltage(self, y):
        return y

    def with_voltage(self, y, v):
        return v

    def reset(self, t, y, spikes, u):
        return jump(y, self.reset_potential, spikes)


def plus_current(drive, resistance, u: InputValue):
    """The drive and what the current `u` adds to it; `None` is no current."""
    return drive if u is None else drive + resistance * u


class LIF(AbstractVoltageNeuron):
    r"""Leaky integrate-and-fire neurons: $\tau \dot v = v_{rest} - v + R u$.

    The state is the voltage v. The input `u` is a current; `None` is no current. The
    defaults are dimensionless; in mV, R is in MOhm and `u` in nA, or R is 1 and `u` is
    in mV.

    **Arguments:**

    - `tau`: membrane time constant (ms).
    - `threshold`: a spike is fired above it.
    - `resting_potential`, `reset_potential`: where v goes without input, after a spike.
    - `resistance`: R.
    - `refractory_period`: (ms) no second spike is fired that soon; in whole steps, see
        [`jaxnet.Grid.refractory_steps`][].
    - `hold_voltage`: whether the refractory period also holds v: it does not move, and
        what arrives is lost. Otherwise v moves on and only spikes are blocked; one that
        is due is fired when the period ends, if v is still above the threshold.

    White noise is added by [`jaxnet.Noisy`][].

    Source: Gerstner et al. 2014, Neuronal Dynamics, doi:10.1017/CBO9781107447615.

    ```pycon
    >>> import jaxnet as jn
    >>> lif = jn.models.LIF(tau=10.0, refractory_period=5.0)
    >>> method = jn.Grid(0.1, jn.Exponential())
    >>> run = jn.simulate(lif, 0.0, t1=50.0, u=1.2, method=method)
    >>> [round(float(t), 1) for t in run.spikes.time[run.spikes.valid]]
    [18.0, 40.9]
    ```
    """

    tau: Parameter = parameter(10.0, positive=True)
    threshold: Parameter = parameter(1.0)
    resting_potential: Parameter = parameter(0.0)
    reset_potential: Parameter = parameter(0.0)
    resistance: Parameter = parameter(1.0)
    refractory_period: Parameter = parameter(0.0, nonnegative=True)
    hold_voltage: bool = eqx.field(static=True, default=True)

    def rates(self, t, y, u):
        # Times 1 / tau, since XLA would divide anew for every neuron.
        drive = plus_current(self.resting_potential - y, self.resistance, u)
        return drive * (1 / self.tau)

    def guard(self, t, y, u):
        return y - self.threshold


class ExponentialLIF(AbstractVoltageNeuron):
    r"""Exponential integrate-and-fire neurons.

    $$\tau \dot v = v_{rest} - v + \Delta e^{(v - v_T) / \Delta} + R u$$

    Above the threshold $v_T$ a spike grows by itself, and is fired at the cutoff. The
    state is the voltage v (mV). The input `u` is a current; `None` is no current.

    **Arguments:**

    - `tau`: membrane time constant (ms).
    - `threshold`: $v_T$ (mV), where the slope of the vector field changes its sign.
    - `sharpness`: $\Delta$ (mV), the smaller, the sharper is the onset of a spike.
    - `cutoff`: a spike is fired above it (mV).
    - `resting_potential`, `reset_potential`: (mV).
    - `resistance`: R (MOhm for `u` in nA; 1 for `u` in mV).
    - `refractory_period`, `hold_voltage`: as for [`jaxnet.models.LIF`][].

    Source: Fourcaud-Trocme et al. 2003, doi:10.1523/JNEUROSCI.23-37-11628.2003.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> points = jn.fixed_points(jn.models.ExponentialLIF(), jnp.linspace(-70, -40, 8))
    >>> [round(float(v), 2) for v in points.y[points.valid]]
    [-63.9, -57.01]
    ```
    """

    tau: Parameter = parameter(10.0, positive=True)
    threshold: Parameter = parameter(-59.9)
    sharpness: Parameter = parameter(3.48, positive=True)
    cutoff: Parameter = parameter(-30.0)
    resting_potential: Parameter = parameter(-65.0)
    reset_potential: Parameter = parameter(-68.0)
    resistance: Parameter = parameter(1.0)
    refractory_period: Parameter = parameter(1.7, nonnegative=True)
    hold_voltage: bool = eqx.field(static=True, default=True)

    def rates(self, t, y, u):
        # Beyond the cutoff a step of finite size would soon be infinite.
        v = at_most(y, self.cutoff)
        onset = exponential_onset(v, self.threshold, self.sharpness)
        drive = self.resting_potential - v + onset
        return plus_current(drive, self.resistance, u) / self.tau

    def guard(self, t, y, u):
        return y - self.cutoff


class QuadraticLIF(AbstractVoltageNeuron):
    r"""Quadratic integrate-and-fire neurons, the normal form of a spike's onset.

    $$\tau \dot v = k (v - v_{rest})(v - v_c) + R u$$

    The state is the voltage v. The input `u` is a current; `None` is no current. The
    defaults are the dimensionless normal form $\tau \dot v = v^2 + u$: with u > 0 it
    fires with the period $\tau (\arctan(v_p/\sqrt u) - \arctan(v_r/\sqrt u)) / \sqrt u$.

    **Arguments:**

    - `tau`: time constant (ms).
    - `curvature`: k (per unit of v).
    - `resting_potential`, `critical_potential`: the zeros without input.
    - `cutoff`: $v_p$; a spike is fired above it.
    - `reset_potential`: $v_r$.
    - `resistance`: R.
    - `refractory_period`, `hold_voltage`: as for [`jaxnet.models.LIF`][].

    Source: Ermentrout 1996, doi:10.1162/neco.1996.8.5.979.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.models.QuadraticLIF().vector_field(0.0, 2.0, 1.0).item()
    0.5
    ```
    """

    tau: Parameter = parameter(10.0, positive=True)
    curvature: Parameter = parameter(1.0, positive=True)
    resting_potential: Parameter = parameter(0.0)
    critical_potential: Parameter = parameter(0.0)
    cutoff: Parameter = parameter(10.0)
    reset_potential: Parameter = parameter(-10.0)
    resistance: Parameter = parameter(1.0)
    refractory_period: Parameter = parameter(0.0, nonnegative=True)
    hold_voltage: bool = eqx.field(static=True, default=True)

    def rates(self, t, y, u):
        # Beyond the cutoff a step of finite size would soon be infinite.
        v = at_most(y, self.cutoff)
        drive = self.curvature * (v - self.resting_potential)
        drive = drive * (v - self.critical_potential)
        return plus_current(drive, self.resistance, u) / self.tau

    def guard(self, t, y, u):
        return y - self.cutoff
