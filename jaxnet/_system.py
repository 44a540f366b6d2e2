"""What a model is: a flow, and for spiking models a guard, a reset and a receiver."""

import abc
from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, ArrayLike, Bool, Int, PyTree, Real

from ._cable import Cable
from ._parameters import Parameter, Parametric
from ._time_grid import whole_steps_of_period
from ._tree import as_float_array
from ._types import InputValue, State
from .inputs import AbstractInput, as_input, Constant


class AbstractSystem(Parametric):
    r"""A dynamical system $\dot y = f(t, y, u)$ whose array leaves are its parameters.

    A subclass has the parameters as fields (see [`jaxnet.parameter`][]) and gives the
    vector field. It must be a pure function of its arguments.
    """

    @abc.abstractmethod
    def vector_field(self, t: Real[Array, ""], y: State, u: InputValue) -> State:
        """The derivative of the state.

        **Arguments:**

        - `t`: time (ms).
        - `y`: the state, any pytree of real arrays.
        - `u`: the instantaneous input, as the system documents it; `None` for no input.

        **Returns:** the derivative, with the structure and the shapes of `y`.
        """

    def voltages(self, y: State) -> list[Real[Array, "..."]]:
        """The variables of the state that belong to `cables()`, in their order.

        But for the cable, the derivative of a voltage depends on no other one.
        """
        return []

    def cables(self) -> list[Cable]:
        """What joins compartments, for [`jaxnet.Staggered`][]."""
        return []


class RefractorySteps(eqx.Module):
    """How many steps of a grid a spike keeps its unit refractory, its own step included.

    Each is one number, or has the structure of the guard.

    **Attributes:**

    - `held`: the steps in which what a refractory period holds does not move.
    - `blocked`: the steps in which no second spike is fired.
    """

    held: PyTree[Int[Array, "..."]]
    blocked: PyTree[Int[Array, "..."]]


class AbstractHybridSystem(AbstractSystem):
    """A system that also jumps: a flow between spikes, and what a spike does.

    A step on a grid is: flow, guard, receive, reset. What the system declares, its method
    does: it keeps the spikes that are under way, and the clock of the refractory period.
    """

    @abc.abstractmethod
    def guard(
        self, t: Real[Array, ""], y: State, u: InputValue
    ) -> PyTree[Real[Array, "..."]]:
        """A unit spikes when its entry is positive, unless it is refractory.

        One array, or a tree of them: what is given to or asked of units below has the
        structure and the shapes of the guard. A record numbers the units in the order of
        its leaves.
        """

    @abc.abstractmethod
    def receive(
        self,
        t: Real[Array, ""],
        y: State,
        arrivals: PyTree,
        u: InputValue,
    ) -> State:
        """The state after spikes have reached their targets; smooth in `arrivals`.

        `arrivals` has the structure of `delays()`, and for each delay that of the guard: 1
        where a spike that its source fired this long ago arrives now, 0 elsewhere.
        """

    @abc.abstractmethod
    def reset(
        self,
        t: Real[Array, ""],
        y: State,
        spikes: PyTree[Real[Array, "..."]],
        u: InputValue,
    ) -> State:
        """The state after the reset of the units that fired; smooth in `spikes`.

        `spikes` is 1 where a unit fired, 0 elsewhere.
        """

    def delays(self) -> PyTree[float]:
        """The delays (ms) after which spikes are received: one, or a tree of them."""
        return 0.0

    def refractory_periods(self) -> PyTree[Parameter] | None:
        """How long a unit can't spike again (ms), one number or one a unit.

        `None` where no unit is ever refractory, which saves the clock.
        """
        return None

    def refractory_steps(self, dt: float) -> RefractorySteps | None:
        """What a grid of step `dt` (ms) makes of the refractory periods."""
        periods = self.refractory_periods()
        if periods is None:
            return None
        steps = jtu.tree_map(lambda p: whole_steps_of_period(p, dt), periods)
        return RefractorySteps(held=steps, blocked=steps)

    def spikes_by_crossing(self) -> PyTree[Bool[ArrayLike, "..."]]:
        """Which units spike only where their guard has come from below zero.

        Others spike as long as it is positive, so it is for what no reset brings back.
        """
        return False

    def is_smooth(self) -> bool:
        """Whether spikes change nothing in the system itself, so that its flow is all."""
        return False

    def escaped(self, y: State) -> PyTree[Bool[Array, "..."]] | None:
        """Which units have left the range in which the system means something.

        `None` where there is no such range.
        """
        return None

    def hold(
        self, before: State, after: State, refractory: PyTree[Bool[Array, "..."]]
    ) -> State:
        """The state after a flow or an arrival, given which units are refractory.

        What a refractory period holds keeps its value from `before`, and nothing else is
        done: the method also asks for the rates of a flow, with zeros for `before`. By
        default it holds nothing, and the period only blocks spikes.
        """
        return after


class Driven(AbstractSystem):
    """A system with its input, itself a system without one.

    So an input is a parameter like any other: ``lambda s: s.input.value`` names it.

    **Arguments:**

    - `system`: the system that is driven.
    - `input`: an [`jaxnet.inputs.AbstractInput`][]; a function of time; or a constant.

    ```pycon
    >>> import jaxnet as jn
    >>> driven = jn.Driven(jn.models.RatePopulation(w=5.0), 0.5)
    >>> float(driven.input.value)
    0.5
    ```
    """

    system: AbstractSystem
    input: AbstractInput = eqx.field(converter=as_input)

    def __check_init__(self):
        if decompose(self.system).is_driven:
            raise ValueError(
                "`system` already has an input. Add the two inputs instead: "
                "`Driven(system, first + second)`."
            )

    def vector_field(self, t, y, u):
        if u is not None:
            raise ValueError("A `Driven` system has its input; `u` must be None.")
        return self.system.vector_field(t, y, self.input(t))


Diffusion: TypeAlias = PyTree[Real[Array, "..."]] | Callable


def _as_diffusion(diffusion: Any) -> Diffusion:
    return diffusion if callable(diffusion) else as_float_array(diffusion)


class Noisy(AbstractSystem):
    r"""A system with white noise, $dy = f\,dt + g\,dW$ in the sense of Ito.

    The noise is diagonal: each entry of the state has a Wiener process of its own.

    **Arguments:**

    - `system`: the system that gives the flow.
    - `diffusion`: $g$ (units of the state per square root of ms), a tree of numbers
        that broadcasts to the state (additive noise), or a function ``g(t, y, u)``. One
        number in place of a branch of the state serves all its leaves.

    The analysis of a noisy system is that of its flow.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> noisy = jn.Noisy(jn.models.RatePopulation(), 0.1)
    >>> run = jn.simulate(noisy, 0.2, t1=1.0, method=jn.Grid(0.1), key=jax.random.key(0))
    >>> run.ys.shape
    (11,)
    ```
    """

    system: AbstractSystem
    diffusion: Diffusion = eqx.field(converter=_as_diffusion)

    def __check_init__(self):
        if decompose(self.system).diffusion is not None:
            raise ValueError(
                "`system` is already noisy. Give one `Noisy` the square root of the sum "
                "of the squares."
            )

    def vector_field(self, t, y, u):
        return self.system.vector_field(t, y, u)


class Parts(eqx.Module):
    """A system taken apart: its flow, its input, and its noise."""

    flow: AbstractSystem
    input: AbstractInput
    diffusion: Diffusion | None
    is_driven: bool = eqx.field(static=True)


def decompose(system: AbstractSystem) -> Parts:
    """Take `Driven` and `Noisy` off a system, in whatever order they were put on."""
    input_, diffusion = None, None
    while isinstance(system, Driven | Noisy):
        if isinstance(system, Driven):
            input_ = system.input
        else:
            diffusion = system.diffusion
        system = system.system
    is_driven = input_ is not None
    return Parts(system, input_ if is_driven else Constant(None), diffusion, is_driven)


def drive(system: AbstractSystem, u: InputValue) -> AbstractSystem:
    """`Driven(system, u)`, or the system itself where `u` is None."""
    return system if u is None else Driven(system, u)


def is_additive(diffusion: Diffusion) -> bool:
    """Whether the noise does not depend on the state."""
    return not callable(diffusion)


def diffusion_at(diffusion: Diffusion, t, y: State, u: InputValue) -> State:
    """The strength of the noise for every entry of the state."""
    strength = diffusion(t, y, u) if callable(diffusion) else diffusion
    try:
        # One strength may serve a whole branch of the state.
        strength = jax.tree.broadcast(strength, y)
        return jtu.tree_map(
            lambda g, leaf: jnp.broadcast_to(g, jnp.shape(leaf)), strength, y
        )
    except (TypeError, ValueError) as e:
        raise ValueError(
            "`diffusion` must have the structure of the state, or of its upper part, and "
            f"shapes that broadcast to it: {e}"
        ) from e
