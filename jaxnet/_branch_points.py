"""Branch points: where two branches of fixed points cross."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._critical import (
    Bordered,
    BranchPointUnknowns,
    live_where,
    null_vectors,
    oriented,
    outcome,
    solve_critical,
)
from ._family import Family, Parameters, prepare_family
from ._linearise import default_tolerance
from ._multilinear import multilinear
from ._newton import Vector
from ._normal_forms import flow_at_zero
from ._result import RESULTS, SUCCESS
from ._selection import Where
from ._system import AbstractSystem
from ._tree import nan_unless
from ._types import InputValue, RealScalarLike, State


class BranchPoint(eqx.Module):
    r"""A branch point: two branches of fixed points cross.

    One, or many with leading axes; those that are not valid are NaN.

    **Attributes:**

    - `y`, `parameter`: where it is.
    - `direction_y`, `direction_parameter`: of the two branches, along a last axis of 2 (the
        state's shape comes after it). Together they have unit length. The first is that of
        the branch that was followed, or the one that is more along the parameter. NaN if
        the point is isolated.
    - `quadratic`, `cubic`: a and c (per ms) of the flow $\dot\xi = b\, p\, \xi + a \xi^2 +
        c \xi^3$ along the null vector of unit length. a is zero at a pitchfork, which is
        supercritical if c < 0; elsewhere the point is transcritical.
    - `transversality`: b: how fast the eigenvalue passes zero along the branch that is not
        along the null vector.
    - `imperfection`: by how much (per ms) the flow would have to change for the branches to
        cross; 0 but for rounding where they do. Its derivatives tell which parameters
        break the branch point.
    - `valid`: whether it was found.
    - `result`: success, or why not.
    """

    y: State
    parameter: Float[Array, "..."]
    direction_y: State
    direction_parameter: Float[Array, "... 2"]
    quadratic: Float[Array, "..."]
    cubic: Float[Array, "..."]
    transversality: Float[Array, "..."]
    imperfection: Float[Array, "..."]
    valid: Bool[Array, "..."]
    result: RESULTS

    @property
    def pitchfork(self) -> Bool[Array, "..."]:
        """Whether one branch leaves at a right angle to the parameter."""
        return jnp.min(jnp.abs(self.direction_parameter), axis=-1) < default_tolerance()


def branch_point(
    system: AbstractSystem,
    where: Where,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
) -> BranchPoint:
    r"""The branch point near a state and the parameter of the system, by Newton's method.

    It solves $f + \mu w_0 = 0$, $w^T J = 0$, $w^T f_p = 0$, $|w| = 1$ for the state, the
    parameter, w and $\mu$, with a fixed $w_0$. For two branches that do not quite meet it
    finds the point between them, and `imperfection` is $\mu$.

    The arguments are those of [`jaxnet.fold`][].

    **Returns:** [`jaxnet.BranchPoint`][], with derivatives of any order in all other
    parameters, in forward and reverse mode. A search that fails does not raise: see
    `result`.

    Source: Griewank and Reddien 1984, doi:10.1137/0721012.

    ```pycon
    >>> import jaxnet as jn
    >>> class Pitchfork(jn.AbstractSystem):
    ...     p: jn.Parameter = jn.parameter(0.0)
    ...
    ...     def vector_field(self, t, y, u):
    ...         return self.p * y - y**3
    >>> point = jn.branch_point(Pitchfork(0.1), lambda s: s.p, 0.05)
    >>> bool(point.pitchfork), round(float(point.cubic), 6)
    (True, -1.0)
    ```
    """
    family, result = prepare_family(system, where, y, u, t, name="y")
    return _branch_point(family, result)


@eqx.filter_jit
def _branch_point(family: Family, result: RESULTS) -> BranchPoint:
    along_parameter = jnp.zeros(family.state.size + 1).at[-1].set(1.0)
    return refine_branch_point(
        family, family.state, family.parameters, along_parameter, result
    )


def refine_branch_point(
    family: Family,
    x: Vector,
    parameters: Parameters,
    along: Float[Array, " n+1"],
    before: RESULTS,
) -> BranchPoint:
    """The branch point near a state and a parameter, unless something failed before.

    `along` is the direction of the branch that is to come first.
    """
    w_0, v = null_vectors(family, x, parameters)
    start = BranchPointUnknowns(x, w_0, jnp.zeros(1), parameters)
    found, converged = solve_critical(
        family, start, lambda family, z: z.equations(family, w_0)
    )
    result = outcome(family, found.parameters, converged, before)
    good = result == SUCCESS
    found, alive = live_where(good, (found, family))
    x, parameters = found.x, found.parameters
    matrix = alive.jacobian(x, parameters)
    # J^T w = 0, so w is its right null vector, and v that of J.
    v = Bordered.of(matrix, found.w, v).solve(jnp.zeros_like(x), 1.0)
    v = oriented(v / jnp.linalg.norm(v))
    flow, null = flow_at_zero(alive, x, v, parameters, w_0)

    # The two directions (alpha v + beta z, beta) with z = dy/dp across v.
    both = lambda point: alive.field(point[:-1], point[-1:])
    point = jnp.concatenate([x, parameters])
    slope = jax.jacfwd(both)(point)[:, -1]
    basis = jnp.append(v, 0.0), jnp.append(null.inverse(-slope), 1.0)
    form = lambda a, b: jnp.vdot(null.w, multilinear(both, point, basis[a], basis[b]))
    directions = _crossing(form(0, 0), form(0, 1), form(1, 1))
    directions = directions @ jnp.stack(basis)
    directions = jax.vmap(_rising)(directions)
    alike = jnp.abs(directions @ along)
    directions = jnp.where(alike[0] >= alike[1], directions, directions[::-1])

    values = (
        family.unravel(x),
        parameters[0],
        jax.vmap(family.unravel)(directions[:, :-1]),
        directions[:, -1],
        flow.quadratic,
        flow.cubic,
        form(0, 1) / flow.overlap,
        found.mu[0],
    )
    return BranchPoint(*nan_unless(good, values), valid=good, result=result)


def _rising(direction: Vector) -> Vector:
    """Of unit length, and so that the parameter rises, or else the largest entry is
    positive."""
    unit: Vector = direction / jnp.linalg.norm(direction)
    across = jnp.abs(unit[-1]) < default_tolerance()
    return jnp.where(across, oriented(unit), unit * jnp.where(unit[-1] < 0, -1.0, 1.0))


def _crossing(
    a: Float[Array, ""], b: Float[Array, ""], c: Float[Array, ""]
) -> Float[Array, "2 2"]:
    r"""The two directions in which $a \alpha^2 + 2 b \alpha\beta + c \beta^2$ is zero."""
    discriminant = b**2 - a * c
    root = jnp.sqrt(jnp.where(discriminant > 0, discriminant, jnp.nan))
    # The two terms of one sign, so that none cancels.
    large = -(b + jnp.where(b < 0, -root, root))
    return jnp.stack([jnp.stack([large, a]), jnp.stack([c, large])])
