"""The equations of bifurcation points, and their solution.

The unknowns are a state, a vector or two that the Jacobian J there maps to zero, and some
parameters. With as many equations as unknowns they define points, with one parameter more
curves.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Complex, Float, Inexact

from . import _small_linear
from ._family import Family, Parameters
from ._linearise import default_tolerance
from ._newton import implicit_root, newton, Vector
from ._parameters import check_ranges
from ._result import result_if, RESULTS, worst
from ._tree import is_inexact
from ._types import State


Matrix = Float[Array, "n n"]
_NEWTON_STEPS = 20
_Unknowns = TypeVar("_Unknowns")
_Tree = TypeVar("_Tree")


class FoldUnknowns(NamedTuple):
    r"""$f = 0$, $J v = 0$, $|v| = 1$ (Moore and Spence)."""

    x: Vector
    v: Vector
    parameters: Parameters

    def equations(self, family: Family) -> Float[Array, " equations"]:
        field = lambda x: family.field(x, self.parameters)
        value, along = jax.jvp(field, (self.x,), (self.v,))
        return jnp.concatenate([value, along, _is_unit(self.v)])


class HopfUnknowns(NamedTuple):
    r"""$f = 0$, $(J^2 + \kappa) v = 0$, $|v| = 1$, $c v = 0$ with a fixed vector c.

    J has the eigenvalues $\pm\sqrt{-\kappa}$: imaginary ones at a Hopf point, opposite
    real ones at a neutral saddle, two zeros between them at a Bogdanov-Takens point.
    """

    x: Vector
    v: Vector
    kappa: Float[Array, " 1"]
    parameters: Parameters

    def equations(self, family: Family, c: Vector) -> Float[Array, " equations"]:
        field = lambda x: family.field(x, self.parameters)
        value, linear = jax.linearize(field, self.x)
        twice = linear(linear(self.v)) + self.kappa * self.v
        phase = jnp.vdot(c, self.v)[None]
        return jnp.concatenate([value, twice, _is_unit(self.v), phase])


class BranchPointUnknowns(NamedTuple):
    r"""$f + \mu w_0 = 0$, $w^T J = 0$, $w^T f_p = 0$, $|w| = 1$, with a fixed $w_0$.

    $\mu$ is zero where two branches cross. Where they only come near each other it tells
    by how much they miss.
    """

    x: Vector
    w: Vector
    mu: Float[Array, " 1"]
    parameters: Parameters

    def equations(self, family: Family, w_0: Vector) -> Float[Array, " equations"]:
        value, pullback = jax.vjp(family.field, self.x, self.parameters)
        of_state, of_parameter = pullback(self.w)
        return jnp.concatenate(
            [value + self.mu * w_0, of_state, of_parameter, _is_unit(self.w)]
        )


class BogdanovTakensUnknowns(NamedTuple):
    r"""$f = 0$, $J q_0 = 0$, $J q_1 = q_0$, $|q_0| = 1$, $q_0 q_1 = 0$."""

    x: Vector
    q0: Vector
    q1: Vector
    parameters: Parameters

    def equations(self, family: Family) -> Float[Array, " equations"]:
        field = lambda x: family.field(x, self.parameters)
        value, linear = jax.linearize(field, self.x)
        chain = [linear(self.q0), linear(self.q1) - self.q0]
        phase = jnp.vdot(self.q0, self.q1)[None]
        return jnp.concatenate([value, *chain, _is_unit(self.q0), phase])


def _is_unit(v: Vector) -> Float[Array, " 1"]:
    return jnp.vdot(v, v)[None] - 1.0


def oriented(v: Vector) -> Vector:
    """The vector or its opposite, so that its largest entry is positive."""
    return v * jnp.sign(v[jnp.argmax(jnp.abs(v))])


def null_vectors(
    family: Family, x: Vector, parameters: Parameters, *, scaled: bool = False
) -> tuple[Vector, Vector]:
    """The left and the right vector of the smallest singular value of the Jacobian.

    Each variable may have a time scale of its own. Where the parameters move the state
    along the null vector, the rows of all derivatives tell it, and are `scaled` by it.
    """
    both = jax.jacfwd(family.field, argnums=(0, 1))(x, parameters)
    matrix, of_parameters = jax.lax.stop_gradient(both)
    size: Array = jnp.linalg.norm(jnp.concatenate([matrix, of_parameters], axis=1), axis=1)
    size = jnp.where(scaled & (size > 0), size, 1.0)
    left, _, right = jnp.linalg.svd(matrix / size[:, None])
    left: Vector = left[:, -1] / size
    return left / jnp.linalg.norm(left), right[-1]


class Bordered(NamedTuple):
    r"""$\begin{pmatrix} J & b \\ c^T & 0 \end{pmatrix}$, regular where J is singular."""

    matrix: Inexact[Array, "m m"]

    @classmethod
    def of(
        cls,
        matrix: Inexact[Array, "n n"],
        column: Inexact[Array, " n"],
        row: Inexact[Array, " n"],
    ) -> "Bordered":
        top = jnp.concatenate([matrix, column[:, None]], axis=1)
        return cls(jnp.concatenate([top, jnp.append(row, 0.0)[None]]))

    def solve(self, right: Inexact[Array, " n"], last: float = 0.0) -> Inexact[Array, " n"]:
        """The solution without its last entry."""
        return _small_linear.solve(self.matrix, jnp.append(right, last))[:-1]


def solve_critical(
    family: _Tree,
    unknowns: _Unknowns,
    equations: Callable[[_Tree, _Unknowns], Float[Array, " equations"]],
) -> tuple[_Unknowns, Bool[Array, ""]]:
    """The unknowns that fulfil the equations, differentiable, and whether they do."""
    start, unravel = ravel_pytree(unknowns)
    root = newton(lambda z: equations(family, unravel(z)), start, max_steps=_NEWTON_STEPS)
    # What diverged is replaced, so that it has finite derivatives, if meaningless ones.
    x = jnp.where(root.converged, root.x, jax.lax.stop_gradient(start))
    alive = live_where(root.converged, family)
    flat = lambda z: equations(alive, unravel(z))
    x = implicit_root(flat, x, root.converged)
    return unravel(x), root.converged


def live_where(good: Bool[Array, ""], tree: _Tree) -> _Tree:
    """What does not depend on any parameter where it is not good.

    So that an infinite derivative of a point that is thrown away does not spoil those of
    the others.
    """

    def live(leaf):
        if not is_inexact(leaf):
            return leaf
        return jnp.where(good, leaf, jax.lax.stop_gradient(leaf))

    return jtu.tree_map(live, tree)


def outcome(
    family: Family, parameters: Parameters, converged: Bool[Array, ""], before: RESULTS
) -> RESULTS:
    """How a search ended, whose parameters may have left their ranges."""
    in_range = check_ranges(family.at(parameters))
    return worst(
        before,
        result_if(~converged, RESULTS.no_bifurcation),
        result_if(~in_range, RESULTS.parameter_out_of_range),
    )


def unravel_complex(family: Family, q: Complex[Array, " n"]) -> State:
    """A complex vector in the structure of the state."""
    return jtu.tree_map(jax.lax.complex, family.unravel(q.real), family.unravel(q.imag))


def check_can_turn(family: Family) -> None:
    if family.state.size < 2:
        raise ValueError(
            f"`{type(family.system).__name__}` has one state variable, so it has no Hopf "
            "points: they take two."
        )


def start_of_hopf(
    matrix: Float[Array, "n n"],
) -> tuple[Vector, Vector, Float[Array, ""]]:
    r"""Two vectors of the plane of a pair of eigenvalues, and the product of the pair.

    Of the complex pairs, that nearest to the imaginary axis; where all are real, the two
    whose sum is nearest to zero.
    """
    matrix = jax.lax.stop_gradient(matrix)
    values = _small_linear.eigenvalues(matrix)
    i, j = np.triu_indices(len(values), 1)
    total, product = values[i] + values[j], values[i] * values[j]
    scale = jnp.max(jnp.abs(values))
    small = default_tolerance() * scale
    is_pair = (jnp.abs(total.imag) <= small) & (jnp.abs(product.imag) <= small * scale)
    turns = jnp.abs(values[i].imag) > small
    # First the complex pairs, then the real ones, and what is no pair never.
    score = jnp.abs(total.real) + jnp.where(turns, 0.0, 4 * scale)
    best = jnp.argmin(jnp.where(is_pair, score, jnp.inf))
    s, product = total[best].real, product[best].real
    # By Cayley and Hamilton this has the plane for its kernel.
    quadratic = matrix @ matrix - s * matrix + product * jnp.eye(len(matrix))
    _, _, right = jnp.linalg.svd(quadratic)
    return right[-1], right[-2], product
