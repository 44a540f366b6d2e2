"""Curves of Hopf points in the plane of two parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._codimension_two import (
    BogdanovTakens,
    GeneralisedHopf,
    refine_bogdanov_takens,
    refine_generalised_hopf,
)
from ._critical import (
    check_can_turn,
    HopfUnknowns,
    live_where,
    start_of_hopf,
)
from ._curve import Curve, PseudoArclength
from ._family import Family, prepare_family, Span
from ._linearise import default_tolerance
from ._normal_forms import first_lyapunov, ImaginaryPair
from ._passed import changes_sign
from ._plane import ParameterPlane, prepare_plane, VECTOR_UNIT
from ._result import result_if, RESULTS, SUCCESS, worst
from ._selection import Where
from ._system import AbstractSystem
from ._tree import nan_unless
from ._types import InputValue, RealScalarLike, State


class HopfCurve(eqx.Module):
    """A curve of Hopf points in the plane of two parameters, in order along it.

    It ends on Bogdanov-Takens points, where the frequency is zero. Rows that are not
    `accepted` come last and repeat the last one that is.

    **Attributes:**

    - `y`, `parameters`: the Hopf points; a leading axis of ``method.max_steps + 1``, and
        the two parameters on the last axis.
    - `omega`, `lyapunov`: as of a [`jaxnet.Hopf`][]; where the frequency
        is zero, there is no coefficient: it is NaN.
    - `accepted`: which rows hold a point. Mask by it before you reduce.
    - `generalised_hopf_after`: which rows have such a point between them and the next one.
    - `generalised_hopf`: the points themselves, with a leading axis of `max_points`.
    - `bogdanov_takens`: the points at its two ends, with a leading axis of 2. What is not
        valid is NaN.
    - `closed`: whether the curve is a loop.
    - `result`: success, or why not.
    """

    y: State
    parameters: Float[Array, "rows 2"]
    omega: Float[Array, " rows"]
    lyapunov: Float[Array, " rows"]
    accepted: Bool[Array, " rows"]
    generalised_hopf_after: Bool[Array, " rows"]
    generalised_hopf: GeneralisedHopf
    bogdanov_takens: BogdanovTakens
    closed: Bool[Array, ""]
    result: RESULTS


def hopf_curve(
    system: AbstractSystem,
    where: Where,
    y: State,
    spans: tuple[Span, Span],
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    method: PseudoArclength | None = None,
    max_points: int = 4,
) -> HopfCurve:
    """Follow a curve of Hopf points in two parameters, in both directions.

    The search for its first point varies the first of the two parameters, as
    [`jaxnet.hopf`][] does. The curve ends where the frequency becomes zero, on a
    Bogdanov-Takens point.

    The arguments are those of [`jaxnet.fold_curve`][].

    **Returns:** [`jaxnet.HopfCurve`][], differentiable in forward and reverse mode. What
    fails does not raise: see `result`.

    ```pycon
    >>> import jaxnet as jn
    >>> model = jn.models.WilsonCowan(w_ee=6.4, w_ei=4.8, w_ie=6.0, w_ii=1.2, tau_i=2.0)
    >>> driven = jn.Driven(model, (0.9, 0.0))
    >>> where = lambda s: (s.input.value[0], s.system.w_ee)
    >>> curve = jn.hopf_curve(driven, where, (0.65, 0.35), ((-2.0, 3.0), (4.0, 9.0)))
    >>> int(curve.bogdanov_takens.valid.sum())
    1
    ```
    """
    family, result = prepare_family(system, where, y, u, t, name="y", parameters=2)
    check_can_turn(family)
    return _hopf_curve(prepare_plane(spans, method, max_points), family, result)


@eqx.filter_jit
def _hopf_curve(plane: ParameterPlane, family: Family, before: RESULTS) -> HopfCurve:
    x, p = family.state, family.parameters
    v, c, kappa = start_of_hopf(family.jacobian(x, p))
    kappa = kappa[None]
    kappa_unit = VECTOR_UNIT * jnp.abs(kappa)
    vector_unit = jnp.full_like(v, VECTOR_UNIT)
    units = HopfUnknowns(
        jnp.full_like(x, plane.state_unit(x.size)), vector_unit, kappa_unit, plane.spans
    )
    # The curve goes on as one of neutral saddles, which are not wanted.
    anything = jnp.full_like(x, jnp.inf)
    lower = HopfUnknowns(-anything, -anything, jnp.zeros(1), plane.low)
    upper = HopfUnknowns(anything, anything, jnp.full(1, jnp.inf), plane.high)
    points, curve, start = plane.follow(
        family,
        HopfUnknowns(x, v, kappa, p),
        lambda family, z: z.equations(family, c),
        units,
        lower,
        upper,
        before,
    )
    turns = points.kappa[:, 0] > default_tolerance() * kappa_unit[0]
    alive = live_where(start == SUCCESS, family)

    def coefficients(z: HopfUnknowns, turns: Array):
        z, living = live_where(turns, (z, alive))
        matrix = living.jacobian(z.x, z.parameters)
        pair = ImaginaryPair.of(matrix, z.v, jnp.where(turns, z.kappa[0], 1.0))
        return pair.omega, first_lyapunov(living, z.x, pair, z.parameters)

    omega, lyapunov = jax.vmap(coefficients)(points, turns)
    omega, lyapunov = jnp.where(turns, omega, 0.0), jnp.where(turns, lyapunov, jnp.nan)
    generalised_after = changes_sign(lyapunov, curve.accepted & turns)
    generalised, generalised_found = plane.refine(
        family, points, curve, generalised_after, refine_generalised_hopf
    )
    takens, takens_found = _at_ends(family, points, curve, ~turns)
    values = jax.vmap(family.unravel)(points.x), points.parameters, omega, lyapunov
    return HopfCurve(
        *nan_unless(start == SUCCESS, values),
        accepted=curve.accepted,
        generalised_hopf_after=generalised_after,
        generalised_hopf=generalised,
        bogdanov_takens=takens,
        closed=curve.closed,
        result=worst(start, curve.result, generalised_found, takens_found),
    )


def _at_ends(family: Family, points: HopfUnknowns, curve: Curve, at_zero):
    """The Bogdanov-Takens points at the first and at the last row."""
    last = jnp.maximum(jnp.sum(curve.accepted) - 1, 0)
    rows = jnp.stack([jnp.zeros_like(last), last])
    is_end = at_zero[rows] & curve.accepted[rows]

    def one(row, is_end):
        x, p = jax.lax.stop_gradient((points.x[row], points.parameters[row]))
        nothing = result_if(~is_end, RESULTS.no_bifurcation)
        return refine_bogdanov_takens(family, x, p, nothing)

    ends = jax.vmap(one)(rows, is_end)
    return ends, result_if(jnp.any(is_end & ~ends.valid), RESULTS.not_refined)
