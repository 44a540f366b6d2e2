"""Curves of folds in the plane of two parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._codimension_two import (
    BogdanovTakens,
    Cusp,
    refine_bogdanov_takens,
    refine_cusp,
)
from ._critical import (
    FoldUnknowns,
    live_where,
    null_vectors,
)
from ._curve import PseudoArclength
from ._family import Family, prepare_family, Span
from ._multilinear import multilinear
from ._normal_forms import flow_at_zero
from ._passed import changes_sign
from ._plane import ParameterPlane, prepare_plane, VECTOR_UNIT
from ._result import RESULTS, SUCCESS, worst
from ._selection import Where
from ._system import AbstractSystem
from ._tree import nan_unless
from ._types import InputValue, RealScalarLike, State


class FoldCurve(eqx.Module):
    """A curve of folds in the plane of two parameters, in order along it.

    Rows that are not `accepted` come last and repeat the last one that is.

    **Attributes:**

    - `y`, `parameters`: the folds; a leading axis of ``method.max_steps + 1``, and
        the two parameters on the last axis.
    - `null_vector`, `coefficient`: as of a [`jaxnet.Fold`][], but that the vector changes
        along the curve without jumps.
    - `accepted`: which rows hold a point. Mask by it before you reduce.
    - `cusp_after`, `bogdanov_takens_after`: which rows have such a point between them and
        the next one.
    - `cusps`, `bogdanov_takens`: the points themselves, with a leading axis of
        `max_points`; those that are not valid are NaN.
    - `closed`: whether the curve is a loop.
    - `result`: success, or why not.
    """

    y: State
    parameters: Float[Array, "rows 2"]
    null_vector: State
    coefficient: Float[Array, " rows"]
    accepted: Bool[Array, " rows"]
    cusp_after: Bool[Array, " rows"]
    bogdanov_takens_after: Bool[Array, " rows"]
    cusps: Cusp
    bogdanov_takens: BogdanovTakens
    closed: Bool[Array, ""]
    result: RESULTS


def fold_curve(
    system: AbstractSystem,
    where: Where,
    y: State,
    spans: tuple[Span, Span],
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    method: PseudoArclength | None = None,
    max_points: int = 4,
) -> FoldCurve:
    """Follow a curve of folds in two parameters, in both directions.

    The search for its first fold varies the first of the two parameters, as
    [`jaxnet.fold`][] does. The curve goes through cusps, where its picture in the plane of
    the parameters has a point, and through Bogdanov-Takens points.

    **Arguments:**

    - `system`: the system; of a noisy one, the flow.
    - `where`: from the system to a tuple of two parameters.
    - `y`: a state near a fold at the parameters of the system.
    - `spans`: the smallest and the largest value of each of the two. The curve ends on
        them.
    - `u`, `t`, `method`: as for [`jaxnet.continuation`][], but never without matrices.
    - `max_points`: of each kind of point on it.

    **Returns:** [`jaxnet.FoldCurve`][], differentiable in forward and reverse mode. What
    fails does not raise: see `result`.

    ```pycon
    >>> import jaxnet as jn
    >>> driven = jn.Driven(jn.models.RatePopulation(w=5.0), 0.8)
    >>> where = lambda s: (s.input.value, s.system.w)
    >>> curve = jn.fold_curve(driven, where, 0.15, ((-3.0, 3.0), (0.0, 8.0)))
    >>> [round(float(p), 4) for p in curve.cusps.parameters[0]]
    [1.2452, 3.3333]
    ```
    """
    family, result = prepare_family(system, where, y, u, t, name="y", parameters=2)
    return _fold_curve(prepare_plane(spans, method, max_points), family, result)


@eqx.filter_jit
def _fold_curve(plane: ParameterPlane, family: Family, before: RESULTS) -> FoldCurve:
    x, p = family.state, family.parameters
    _, v = null_vectors(family, x, p, scaled=True)
    units = FoldUnknowns(
        jnp.full_like(x, plane.state_unit(x.size)),
        jnp.full_like(v, VECTOR_UNIT),
        plane.spans,
    )
    anything = jnp.full_like(x, jnp.inf)
    lower = FoldUnknowns(-anything, -anything, plane.low)
    upper = FoldUnknowns(anything, anything, plane.high)
    points, curve, start = plane.follow(
        family,
        FoldUnknowns(x, v, p),
        lambda family, z: z.equations(family),
        units,
        lower,
        upper,
        before,
    )
    left, along_v, overlap = _fold_tests(family, points)
    cusp_after = changes_sign(along_v, curve.accepted)
    takens_after = changes_sign(overlap, curve.accepted)
    cusps, cusps_found = plane.refine(family, points, curve, cusp_after, refine_cusp)
    takens, takens_found = plane.refine(
        family, points, curve, takens_after, refine_bogdanov_takens
    )
    alive = live_where(start == SUCCESS, family)
    flow_at = lambda z, left: flow_at_zero(alive, z.x, z.v, z.parameters, left)[0]
    flow = jax.vmap(flow_at)(points, left)
    unravel = jax.vmap(family.unravel)
    values = unravel(points.x), points.parameters, unravel(points.v), flow.quadratic
    return FoldCurve(
        *nan_unless(start == SUCCESS, values),
        accepted=curve.accepted,
        cusp_after=cusp_after,
        bogdanov_takens_after=takens_after,
        cusps=cusps,
        bogdanov_takens=takens,
        closed=curve.closed,
        result=worst(start, curve.result, cusps_found, takens_found),
    )


def _fold_tests(
    family: Family, points: FoldUnknowns
) -> tuple[Float[Array, "rows n"], Float[Array, " rows"], Float[Array, " rows"]]:
    """The left null vectors; what is zero at a cusp; what at a Bogdanov-Takens point."""

    def one(z):
        left, _ = null_vectors(family, z.x, z.parameters, scaled=True)
        square = multilinear(lambda x: family.field(x, z.parameters), z.x, z.v, z.v)
        return left, jnp.vdot(left, square), jnp.vdot(left, z.v)

    left, along_v, overlap = jax.vmap(one)(jax.lax.stop_gradient(points))
    # A left vector may be the opposite of that of the row before.
    turned = jnp.sum(left[1:] * left[:-1], axis=1) < 0
    sign = jnp.cumprod(jnp.append(1.0, jnp.where(turned, -1.0, 1.0)))
    return left, sign * along_v, sign * overlap
