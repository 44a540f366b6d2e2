"""Folds: where two fixed points meet and vanish."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._critical import (
    FoldUnknowns,
    live_where,
    null_vectors,
    oriented,
    outcome,
    solve_critical,
)
from ._family import Family, Parameters, prepare_family
from ._linearise import default_tolerance
from ._newton import Vector
from ._normal_forms import flow_at_zero
from ._result import result_if, RESULTS, SUCCESS, worst
from ._selection import Where
from ._system import AbstractSystem
from ._tree import nan_unless
from ._types import InputValue, RealScalarLike, State


class Fold(eqx.Module):
    r"""A fold (saddle-node, limit point): two fixed points meet and vanish.

    One, or many with leading axes; those that are not valid are NaN.

    **Attributes:**

    - `y`, `parameter`: where it is.
    - `null_vector`: v, of unit length: the direction in which the two meet. Its largest
        entry is positive.
    - `coefficient`: a (per ms) of the flow $\dot\xi = a \xi^2$ along v; infinite at a
        Bogdanov-Takens point, zero at a cusp.
    - `valid`: whether it was found.
    - `result`: success, or why not.
    """

    y: State
    parameter: Float[Array, "..."]
    null_vector: State
    coefficient: Float[Array, "..."]
    valid: Bool[Array, "..."]
    result: RESULTS


def fold(
    system: AbstractSystem,
    where: Where,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
) -> Fold:
    r"""The fold near a state and the parameter of the system, by Newton's method.

    It solves $f = 0$, $J v = 0$, $|v| = 1$ for the state, the parameter and v (Moore and
    Spence 1980, doi:10.1137/0717048).

    **Arguments:**

    - `system`: the system; of a noisy one, the flow. Its value of the parameter is where
        the search begins, and nothing else.
    - `where`: from the system to the parameter, one of its numbers, as for
        `equinox.tree_at`. Of a `Driven` system it may be one of the input.
    - `y`: the state where the search begins.
    - `u`: the input.
    - `t`: the time (ms) at which an input that varies is frozen.

    **Returns:** [`jaxnet.Fold`][], with derivatives of any order in all other parameters,
    in forward and reverse mode. A search that fails does not raise: see `result`.

    ```pycon
    >>> import jaxnet as jn
    >>> driven = jn.Driven(jn.models.RatePopulation(w=5.0), 0.7)
    >>> fold = jn.fold(driven, lambda s: s.input.value, 0.1)
    >>> round(float(fold.parameter), 4)
    0.8138
    ```
    """
    family, result = prepare_family(system, where, y, u, t, name="y")
    return _fold(family, result)


@eqx.filter_jit
def _fold(family: Family, result: RESULTS) -> Fold:
    return refine_fold(family, family.state, family.parameters, result)


def refine_fold(family: Family, x: Vector, parameters: Parameters, before: RESULTS) -> Fold:
    """The fold near a state and a parameter, unless something failed before."""
    left, v = null_vectors(family, x, parameters, scaled=True)
    start = FoldUnknowns(x, v, parameters)
    found, converged = solve_critical(family, start, lambda family, z: z.equations(family))
    result = worst(
        outcome(family, found.parameters, converged, before),
        result_if(~_crosses_transversally(family, found), RESULTS.no_bifurcation),
    )
    good = result == SUCCESS
    found, alive = live_where(good, (found, family))
    v = oriented(found.v)
    flow, _ = flow_at_zero(alive, found.x, v, found.parameters, left)
    unravel = family.unravel
    values = unravel(found.x), found.parameters[0], unravel(v), flow.quadratic
    return Fold(*nan_unless(good, values), valid=good, result=result)


def _crosses_transversally(family: Family, found: FoldUnknowns) -> Bool[Array, ""]:
    """Whether the parameter moves the state along the left null vector.

    If not, branches cross there.
    """
    left, _ = null_vectors(family, found.x, found.parameters)
    slope = jax.jacfwd(family.field, argnums=1)(found.x, found.parameters)[:, 0]
    along = jnp.abs(jnp.vdot(left, slope))
    return jax.lax.stop_gradient(along > default_tolerance() * jnp.linalg.norm(slope))
