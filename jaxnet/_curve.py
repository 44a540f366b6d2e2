"""A curve that equations with one unknown too many define, followed from a point on it."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ._newton import (
    Equations,
    implicit_root,
    LinearSolver,
    newton,
    solve_dense,
    solve_krylov,
    Vector,
)
from ._result import is_concrete, result_if, RESULTS, worst
from ._tree import as_arrays, float_dtype
from ._types import RealScalarLike


# Radians that the tangent should turn in one step, and must not exceed.
_USUAL_TURN, _LARGEST_TURN = 0.1, 0.3
_NEWTON_STEPS = 8


class Box(NamedTuple):
    """Where a curve is followed: each unknown between two bounds, which may be infinite."""

    lower: Vector
    upper: Vector


class Curve(NamedTuple):
    """Points in order along a curve, in rows of which the last may be padding.

    **Attributes:**

    - `x`: the points; rows that are not accepted repeat the last one that is.
    - `tangent`: of unit length, pointing to the next row.
    - `accepted`: which rows hold a point.
    - `start`: the row of the point that was started from.
    - `closed`: whether the last point is the first again.
    - `result`: success, or why the curve is not whole.
    """

    x: Float[Array, "rows unknowns"]
    tangent: Float[Array, "rows unknowns"]
    accepted: Bool[Array, " rows"]
    start: Int[Array, ""]
    closed: Bool[Array, ""]
    result: RESULTS


class _Walk(NamedTuple):
    """A walk along a curve: ahead from its start, then back from its start, then over."""

    x: Vector
    tangent: Vector
    step: RealScalarLike
    walked: Float[Array, ""]
    leg: Int[Array, ""]
    closed: Bool[Array, ""]
    stuck: Bool[Array, ""]


def _as_real(x: RealScalarLike) -> RealScalarLike:
    # Python integers would be compiled in.
    return float(x) if isinstance(x, int) else x


class PseudoArclength(eqx.Module):
    """How a curve is followed: steps along it of adaptive length.

    Each step predicts along the tangent and corrects by Newton's method in the plane that
    is normal to it. Its length follows how much the curve turns. Lengths are measured by
    the parameters in units of their spans, and by the root mean square of the state in
    units of `scale`.

    **Arguments:**

    - `max_steps`: how many steps are tried in all; those that are rejected count.
    - `max_step`, `first_step`, `min_step`: lengths of steps. Of two bifurcation points that
        lie within one step of each other, one or both may not be seen.
    - `scale`: the size of the state, such as 50 for voltages in mV.
    - `matrix_free`: whether linear systems are solved by GMRES, from products with the
        Jacobian alone. By default, where a branch has more than 256 state variables. GMRES
        has no preconditioner: it suits networks of rates, and does not suit stiff systems.
        Bifurcation points are solved for with matrices all the same, of two to three times
        the size of the state.

    Source: Keller 1977; Doedel, Keller and Kernevez 1991, doi:10.1142/S0218127491000397.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.PseudoArclength(max_step=0.005).max_steps
    800
    ```
    """

    max_steps: int = eqx.field(static=True, default=800)
    max_step: RealScalarLike = eqx.field(converter=_as_real, default=0.01, kw_only=True)
    first_step: RealScalarLike = eqx.field(converter=_as_real, default=0.005, kw_only=True)
    min_step: RealScalarLike = eqx.field(converter=_as_real, default=1e-6, kw_only=True)
    scale: RealScalarLike = eqx.field(converter=_as_real, default=1.0, kw_only=True)
    matrix_free: bool | None = eqx.field(static=True, default=None, kw_only=True)

    def __check_init__(self):
        if not isinstance(self.max_steps, int):
            raise ValueError(
                f"`max_steps` must be a whole number, but it is {self.max_steps!r}."
            )
        for name in ("max_steps", "max_step", "first_step", "min_step", "scale"):
            value = getattr(self, name)
            if is_concrete(value) and not value > 0:
                raise ValueError(
                    f"`{name}` of `PseudoArclength` must be positive, but it is {value}."
                )


def as_method(method: PseudoArclength | None) -> PseudoArclength:
    """The default for None; what is no such method raises."""
    method = PseudoArclength() if method is None else method
    if not isinstance(method, PseudoArclength):
        raise ValueError(
            f"`method` must be a `jaxnet.PseudoArclength`, but it is {method}. The methods "
            "of `simulate` follow trajectories, not branches."
        )
    return method


class Follower(eqx.Module):
    """Pseudo-arclength continuation of any curve, in units that make its unknowns alike.

    **Attributes:**

    - `method`: what the user chose.
    - `matrix_free`: whether linear systems are solved without their matrix.
    """

    method: PseudoArclength = eqx.field(converter=as_arrays)
    matrix_free: bool = eqx.field(static=True)

    @property
    def solve(self) -> LinearSolver:
        return solve_krylov if self.matrix_free else solve_dense

    def correct(self, equations: Equations, x: Vector, row: Vector):
        """The point of the curve in the plane through `x` that is normal to `row`."""
        return newton(
            lambda z: jnp.append(equations(z), jnp.vdot(row, z - x)),
            x,
            max_steps=_NEWTON_STEPS,
            solve=self.solve,
        )

    def tangent(self, equations: Equations, x: Vector, towards: Vector) -> Vector:
        """The unit tangent at a point that makes a sharp angle with `towards`."""

        def linear(v):
            along = jax.jvp(equations, (x,), (v,))[1]
            return jax.lax.stop_gradient(jnp.append(along, jnp.vdot(towards, v)))

        tangent = self.solve(linear, jnp.zeros_like(x).at[-1].set(1.0))
        return tangent / jnp.linalg.norm(tangent)

    def __call__(
        self,
        equations: Equations,
        start: Vector,
        tangent: Vector,
        box: Box,
        *,
        is_start: Bool[Array, ""],
        is_regular: bool = True,
    ) -> Curve:
        """The curve through `start`, to where it leaves the box on both sides.

        It is differentiable: a change of a parameter moves each point in the plane that
        is normal to the curve. Where curves cross that is not defined: a start that is not
        regular brings its own derivatives. Without a start there is no curve.
        """
        live_start, start = start, jax.lax.stop_gradient(start)
        tangent = jax.lax.stop_gradient(tangent)
        walk = _Walk(
            x=start,
            tangent=tangent,
            step=self.method.first_step,
            walked=jnp.zeros(()),
            leg=jnp.where(is_start, 0, 2),
            closed=jnp.asarray(False),
            stuck=jnp.asarray(False),
        )
        advance = lambda walk, _: self._advance(equations, start, tangent, box, walk)
        walk, (x, tangents, walked, accepted) = jax.lax.scan(
            advance, walk, length=self.method.max_steps
        )
        # In order along the curve, the start among them; what was rejected comes last.
        x = jnp.concatenate([start[None], x])
        tangents = jnp.concatenate([tangent[None], tangents])
        accepted = jnp.append(is_start, accepted)
        walked = jnp.where(accepted, jnp.append(0.0, walked), jnp.inf)
        order = jnp.argsort(walked)
        last = jnp.maximum(jnp.sum(accepted) - 1, 0)
        order = order[jnp.minimum(jnp.arange(len(order)), last)]
        x, tangents = x[order], tangents[order]
        accepted = jnp.arange(len(order)) < jnp.sum(accepted)

        def live(point, normal, is_point):
            in_plane = lambda z: jnp.append(equations(z), jnp.vdot(normal, z - point))
            return implicit_root(in_plane, point, is_point, self.solve)

        if is_regular:
            x = jax.vmap(live)(x, tangents, accepted)
        else:
            at_start = order == 0
            x = jax.vmap(live)(x, tangents, accepted & ~at_start)
            x = jnp.where(at_start[:, None], live_start, x)
        return Curve(
            x=x,
            tangent=tangents,
            accepted=accepted,
            start=jnp.argmin(order),
            closed=walk.closed,
            result=worst(
                result_if(walk.stuck, RESULTS.branch_stuck),
                result_if(walk.leg < 2, RESULTS.branch_unfinished),
            ),
        )

    def _advance(
        self, equations: Equations, start: Vector, first: Vector, box: Box, walk: _Walk
    ):
        """Try one step; the walk after it, and what came of it."""
        length, axis, exits = _to_the_end(walk, box)
        predicted = walk.x + length * walk.tangent
        # The last point lies on the face of the box exactly.
        row = jnp.where(exits, axis, walk.tangent)
        x, converged = self.correct(equations, predicted, row)
        tangent = self.tangent(equations, x, walk.tangent)

        cosine = jnp.vdot(tangent, walk.tangent)
        at_end = exits & (length <= self.method.min_step)
        inside = ((x >= box.lower) & (x <= box.upper)) | (exits & (axis > 0))
        good = (
            converged
            & ~at_end
            & (cosine > jnp.cos(_LARGEST_TURN))
            & (jnp.linalg.norm(x - predicted) <= length / 2)
            & jnp.all(inside)
            & (walk.leg < 2)
        )
        closes = (
            good
            & (walk.walked > 0)
            & (jnp.vdot(start - walk.x, walk.tangent) > 0)
            & (jnp.vdot(start - x, tangent) <= 0)
            & (jnp.linalg.norm(start - x) <= length)
            & (jnp.vdot(first, tangent) > jnp.cos(_LARGEST_TURN))
        )
        x, tangent = jnp.where(closes, start, x), jnp.where(closes, first, tangent)
        sign = jnp.where(walk.leg == 0, 1.0, -1.0)
        walked = walk.walked + sign * length

        turn = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
        factor = jnp.clip(_USUAL_TURN / jnp.maximum(turn, 1e-3), 0.5, 1.5)
        longer = jnp.minimum(walk.step * factor, self.method.max_step)
        step = jnp.where(good, longer, length / 2)
        stuck = ~good & ~at_end & (step < self.method.min_step) & (walk.leg < 2)
        leg_ends: Array = (good & exits) | at_end | stuck
        ahead = _Walk(
            x=jnp.where(good, x, walk.x),
            tangent=jnp.where(good, tangent, walk.tangent),
            step=step,
            walked=jnp.where(good, walked, walk.walked),
            leg=jnp.where(closes, 2, walk.leg + leg_ends),
            closed=walk.closed | closes,
            stuck=walk.stuck | stuck,
        )
        back = ahead._replace(
            x=start, tangent=-first, step=self.method.first_step, walked=jnp.zeros(())
        )
        walk = jtu.tree_map(lambda a, b: jnp.where(leg_ends, a, b), back, ahead)
        return walk, (x, sign * tangent, walked, good)


def _to_the_end(walk: _Walk, box: Box):
    """How far to go, the axis of the face that is met first, and whether it is met."""
    bound = jnp.where(walk.tangent > 0, box.upper, box.lower)
    moves = (walk.tangent != 0) & jnp.isfinite(bound)
    gap = jnp.where(moves, bound - walk.x, jnp.inf)
    distance = jnp.where(moves, gap / jnp.where(moves, walk.tangent, 1.0), jnp.inf)
    first = jnp.argmin(distance)
    exits = distance[first] <= walk.step
    length = jnp.where(exits, distance[first], walk.step)
    return length, jnp.zeros_like(walk.x).at[first].set(1.0), exits


def kernel(equations: Equations, z: Vector) -> tuple[Vector, Bool[Array, ""]]:
    """The direction in which the equations do not change, and whether there are two."""
    matrix = jax.lax.stop_gradient(jax.jacfwd(equations)(z))
    # Each equation may have a time scale of its own.
    size = jnp.linalg.norm(matrix, axis=1, keepdims=True)
    matrix = matrix / jnp.where(size > 0, size, 1.0)
    _, values, right = jnp.linalg.svd(matrix, full_matrices=True)
    return right[-1], values[-1] <= float(np.finfo(float_dtype()).eps) ** 0.5 * values[0]
