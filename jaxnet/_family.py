"""A family of flows: a system of which some parameters are unknowns."""

import operator
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Real

from ._linearise import flat_field, flow_field, frozen_time
from ._newton import Vector
from ._prepare import prepare_driven, prepare_state
from ._result import is_concrete, RESULTS, worst
from ._selection import Place, put, select, Where
from ._system import AbstractSystem, decompose
from ._tree import is_inexact
from ._types import InputValue, RealScalarLike, State


Parameters: TypeAlias = Float[Array, " parameters"]
# The smallest and the largest value of a parameter.
Span: TypeAlias = tuple[RealScalarLike, RealScalarLike]


class Family(eqx.Module):
    """The vector fields of a system, between vectors.

    **Attributes:**

    - `system`: with its input.
    - `like`: a state, of whose structure all are.
    - `t`: the time at which the input is frozen (ms).
    - `chosen`: the places of the parameters that vary among the leaves of the system.
    """

    system: AbstractSystem
    like: State
    t: Real[Array, ""]
    chosen: tuple[int, ...] = eqx.field(static=True)

    def at(self, parameters: Parameters) -> AbstractSystem:
        """The system with other values of the parameters that vary."""
        return put(self.system, self.chosen, parameters)

    def field(self, x: Vector, parameters: Parameters) -> Vector:
        """The vector field of the system with these parameters (per ms)."""
        flow = flow_field(decompose(self.at(parameters)), self.t)
        return flat_field(flow, self.unravel)(x)

    def jacobian(self, x: Vector, parameters: Parameters) -> Float[Array, "n n"]:
        return jax.jacfwd(self.field)(x, parameters)

    def unravel(self, x: Vector) -> State:
        return ravel_pytree(self.like)[1](x)

    @property
    def parameters(self) -> Parameters:
        """The values that the system itself has."""
        leaves = jtu.tree_leaves(self.system)
        return jnp.stack([leaves[place] for place in self.chosen])

    @property
    def state(self) -> Vector:
        return ravel_pytree(self.like)[0]


def prepare_family(
    system: AbstractSystem,
    where: Where,
    y: State,
    u: InputValue,
    t: RealScalarLike | None,
    *,
    name: str,
    parameters: int = 1,
) -> tuple[Family, RESULTS]:
    """What every verb of bifurcations does first, and whether the values are good."""
    driven, system_result = prepare_driven(system, u)
    # The input, if there is one, comes after the leaves of the system.
    chosen = _places(system, where, parameters)
    parts = decompose(driven)
    y, state_result = prepare_state(parts, y, name)
    family = Family(driven, y, frozen_time(parts, t), chosen)
    return family, worst(system_result, state_result)


def as_span(span: Span, name: str) -> Float[Array, " 2"]:
    """The two ends of a span; concrete ones that do not rise raise."""
    try:
        low, high = span
    except (TypeError, ValueError) as e:
        raise ValueError(f"`{name}` must be two rising numbers, but it is {span}.") from e
    rises = jnp.isfinite(low) & jnp.isfinite(high) & (jnp.asarray(low) < high)
    if is_concrete(rises) and not rises:
        raise ValueError(
            f"`{name}` must be two rising finite numbers, but it is ({low}, {high}). Give "
            "the smallest and the largest value of the parameter."
        )
    return jnp.stack([jnp.asarray(low, float), jnp.asarray(high, float)])


def as_count(value: int, name: str) -> int:
    """A count as a Python integer; what is none, or is below 1, raises."""
    try:
        count = operator.index(value)
    except TypeError as e:
        raise ValueError(f"`{name}` must be a whole number, but it is {value!r}.") from e
    if count < 1:
        raise ValueError(f"`{name}` must be at least 1, but it is {count}.")
    return count


def _places(system: AbstractSystem, where: Where, count: int) -> tuple[int, ...]:
    """The places of the parameters among the leaves; equal for equal functions."""
    kind = "one number" if count == 1 else f"a tuple of {count} different numbers"
    remedy = (
        f"`where` must select {kind} of the system, such as `lambda s: s.w` or, of one "
        "with an input, `lambda s: s.input.value`. "
    )
    chosen = select(system, where, remedy)
    chosen = (chosen,) if count == 1 else chosen
    if (
        not isinstance(chosen, tuple | list)
        or len(chosen) != count
        or not all(isinstance(place, Place) for place in chosen)
        or len(set(chosen)) != count
    ):
        raise ValueError(f"{remedy}It selects {where(system)!r}.")
    leaves = jtu.tree_leaves(system)
    places = tuple(place.index for place in chosen)
    for place in places:
        if not is_inexact(leaves[place]) or jnp.shape(leaves[place]) != ():
            raise ValueError(f"{remedy}It selects {leaves[place]!r}.")
    return places
