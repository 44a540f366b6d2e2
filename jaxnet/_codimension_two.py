"""Cusps, Bogdanov-Takens points and generalised Hopf points: two parameters decide."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._critical import (
    BogdanovTakensUnknowns,
    Bordered,
    check_can_turn,
    FoldUnknowns,
    HopfUnknowns,
    live_where,
    null_vectors,
    oriented,
    outcome,
    solve_critical,
    start_of_hopf,
    unravel_complex,
)
from ._family import Family, Parameters, prepare_family
from ._multilinear import multilinear
from ._newton import Vector
from ._normal_forms import (
    first_lyapunov,
    flow_at_zero,
    ImaginaryPair,
    second_lyapunov,
    ZeroEigenvalue,
)
from ._result import RESULTS, SUCCESS
from ._selection import Where
from ._system import AbstractSystem
from ._tree import nan_unless
from ._types import InputValue, RealScalarLike, State


class Cusp(eqx.Module):
    r"""A cusp: two curves of folds meet and end.

    One, or many with leading axes; those that are not valid are NaN.

    **Attributes:**

    - `y`, `parameters`: where it is; the two parameters on the last axis.
    - `null_vector`: v, of unit length, its largest entry positive.
    - `coefficient`: c (per ms) of the flow $\dot\xi = c \xi^3$ along v.
    - `valid`: whether it was found.
    - `result`: success, or why not.
    """

    y: State
    parameters: Float[Array, "... 2"]
    null_vector: State
    coefficient: Float[Array, "..."]
    valid: Bool[Array, "..."]
    result: RESULTS


class BogdanovTakens(eqx.Module):
    r"""A Bogdanov-Takens point: a curve of Hopf points ends on a curve of folds.

    One, or many with leading axes; those that are not valid are NaN.

    **Attributes:**

    - `y`, `parameters`: where it is; the two parameters on the last axis.
    - `null_vector`, `generalised_vector`: $q_0$, of unit length, its largest entry
        positive, and $q_1$ across it, with $J q_0 = 0$ and $J q_1 = q_0$.
    - `a`, `b`: of the normal form $\dot w_0 = w_1$, $\dot w_1 = a w_0^2 + b w_0 w_1$.
    - `valid`: whether it was found.
    - `result`: success, or why not.

    Source of the coefficients: Kuznetsov 1999, doi:10.1137/S0036142998335005.
    """

    y: State
    parameters: Float[Array, "... 2"]
    null_vector: State
    generalised_vector: State
    a: Float[Array, "..."]
    b: Float[Array, "..."]
    valid: Bool[Array, "..."]
    result: RESULTS


class GeneralisedHopf(eqx.Module):
    r"""A generalised Hopf (Bautin) point: between sub- and supercritical Hopf points.

    One, or many with leading axes; those that are not valid are NaN.

    **Attributes:**

    - `y`, `parameters`: where it is; the two parameters on the last axis.
    - `omega`: the angular frequency (rad/ms).
    - `vector`: q, of unit length, with $J q = i\omega q$.
    - `second_lyapunov`: $l_2 = \mathrm{Re}\, c_2 / \omega$ of $\dot z = i\omega z + c_1 z
        |z|^2 + c_2 z |z|^4$ with $x = x_0 + z q + \bar z \bar q + \ldots$
    - `valid`: whether it was found.
    - `result`: success, or why not.

    Source of the coefficient: Kuznetsov 1999, doi:10.1137/S0036142998335005.
    """

    y: State
    parameters: Float[Array, "... 2"]
    omega: Float[Array, "..."]
    vector: State
    second_lyapunov: Float[Array, "..."]
    valid: Bool[Array, "..."]
    result: RESULTS


def cusp(
    system: AbstractSystem,
    where: Where,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
) -> Cusp:
    r"""The cusp near a state and the two parameters of the system, by Newton's method.

    It solves the equations of [`jaxnet.fold`][] together with $a = 0$, where a is the
    coefficient of the fold.

    **Arguments:**

    - `system`: the system; of a noisy one, the flow. Its values of the two parameters are
        where the search begins, and nothing else.
    - `where`: from the system to a tuple of two parameters.
    - `y`: the state where the search begins.
    - `u`: the input.
    - `t`: the time (ms) at which an input that varies is frozen.

    **Returns:** [`jaxnet.Cusp`][], with derivatives of any order in all other parameters,
    in forward and reverse mode. A search that fails does not raise: see `result`.

    ```pycon
    >>> import jaxnet as jn
    >>> driven = jn.Driven(jn.models.RatePopulation(w=4.1), 0.7)
    >>> cusp = jn.cusp(driven, lambda s: (s.system.w, s.input.value), 0.4)
    >>> [round(float(p), 4) for p in cusp.parameters]
    [3.3333, 1.2452]
    ```
    """
    family, result = prepare_family(system, where, y, u, t, name="y", parameters=2)
    return _cusp(family, result)


@eqx.filter_jit
def _cusp(family: Family, result: RESULTS) -> Cusp:
    return refine_cusp(family, family.state, family.parameters, result)


def bogdanov_takens(
    system: AbstractSystem,
    where: Where,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
) -> BogdanovTakens:
    r"""The Bogdanov-Takens point near a state and the two parameters of the system.

    By Newton's method it solves $f = 0$, $J q_0 = 0$, $J q_1 = q_0$, $|q_0| = 1$,
    $q_0 q_1 = 0$. The arguments are those of [`jaxnet.cusp`][].

    **Returns:** [`jaxnet.BogdanovTakens`][], with derivatives of any order in all other
    parameters, in forward and reverse mode. A search that fails does not raise: see
    `result`.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> class NormalForm(jn.AbstractSystem):
    ...     p: jn.Parameter = jn.parameter(0.1)
    ...     q: jn.Parameter = jn.parameter(0.1)
    ...
    ...     def vector_field(self, t, y, u):
    ...         x, v = y
    ...         return jnp.stack([v, self.p + self.q * v + x**2 - x * v])
    >>> point = jn.bogdanov_takens(NormalForm(), lambda s: (s.p, s.q), (0.1, 0.0))
    >>> round(float(point.a), 6), round(float(point.b), 6)
    (1.0, -1.0)
    ```
    """
    family, result = prepare_family(system, where, y, u, t, name="y", parameters=2)
    check_can_turn(family)
    return _bogdanov_takens(family, result)


@eqx.filter_jit
def _bogdanov_takens(family: Family, result: RESULTS) -> BogdanovTakens:
    return refine_bogdanov_takens(family, family.state, family.parameters, result)


def generalised_hopf(
    system: AbstractSystem,
    where: Where,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
) -> GeneralisedHopf:
    r"""The generalised Hopf point near a state and the two parameters of the system.

    By Newton's method it solves the equations of [`jaxnet.hopf`][] together with $l_1 =
    0$, where $l_1$ is the first Lyapunov coefficient. The arguments are those of
    [`jaxnet.cusp`][].

    **Returns:** [`jaxnet.GeneralisedHopf`][], with derivatives of any order in all other
    parameters, in forward and reverse mode. A search that fails does not raise: see
    `result`.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> class NormalForm(jn.AbstractSystem):
    ...     p: jn.Parameter = jn.parameter(0.1)
    ...     q: jn.Parameter = jn.parameter(0.1)
    ...
    ...     def vector_field(self, t, y, u):
    ...         r = jnp.sum(y**2)
    ...         growth = self.p + self.q * r - r**2
    ...         return growth * y + jnp.stack([-y[1], y[0]])
    >>> point = jn.generalised_hopf(NormalForm(), lambda s: (s.p, s.q), (0.0, 0.0))
    >>> round(abs(float(point.parameters[1])), 6), round(float(point.second_lyapunov), 4)
    (0.0, -4.0)
    ```
    """
    family, result = prepare_family(system, where, y, u, t, name="y", parameters=2)
    check_can_turn(family)
    return _generalised_hopf(family, result)


@eqx.filter_jit
def _generalised_hopf(family: Family, result: RESULTS) -> GeneralisedHopf:
    return refine_generalised_hopf(family, family.state, family.parameters, result)


def refine_cusp(family: Family, x: Vector, parameters: Parameters, before: RESULTS) -> Cusp:
    """The cusp near a state and two parameters, unless something failed before."""

    def equations(family: Family, z: FoldUnknowns):
        # Not the coefficient itself, which is infinite at a double eigenvalue.
        null = ZeroEigenvalue.of(family.jacobian(z.x, z.parameters), z.v, left)
        square = multilinear(lambda x: family.field(x, z.parameters), z.x, z.v, z.v)
        along = jnp.vdot(null.w, square) / jnp.linalg.norm(null.w)
        return jnp.append(z.equations(family), along)

    left, v = null_vectors(family, x, parameters, scaled=True)
    found, converged = solve_critical(family, FoldUnknowns(x, v, parameters), equations)
    result = outcome(family, found.parameters, converged, before)
    good = result == SUCCESS
    found, alive = live_where(good, (found, family))
    v = oriented(found.v)
    flow, _ = flow_at_zero(alive, found.x, v, found.parameters, left)
    values = family.unravel(found.x), found.parameters, family.unravel(v), flow.cubic
    return Cusp(*nan_unless(good, values), valid=good, result=result)


def refine_bogdanov_takens(
    family: Family, x: Vector, parameters: Parameters, before: RESULTS
) -> BogdanovTakens:
    """The Bogdanov-Takens point near a state and two parameters, unless something failed
    before."""
    matrix = family.jacobian(x, parameters)
    left, right = null_vectors(family, x, parameters, scaled=True)
    # J q_1 = q_0, but for what of q_0 lies along the left null vector.
    across = Bordered.of(matrix, left, right).solve(right)
    start = BogdanovTakensUnknowns(x, right, across, parameters)
    found, converged = solve_critical(family, start, lambda family, z: z.equations(family))
    result = outcome(family, found.parameters, converged, before)
    good = result == SUCCESS
    found, alive = live_where(good, (found, family))

    q0 = oriented(found.q0)
    q1 = found.q1 * jnp.vdot(q0, found.q0)
    form = lambda a, b: multilinear(
        lambda x: alive.field(x, found.parameters), found.x, a, b
    )
    transposed = Bordered.of(alive.jacobian(found.x, found.parameters).T, q0, q1)
    p1 = transposed.solve(jnp.zeros_like(q0), 1.0)
    p0 = transposed.solve(p1)
    a = jnp.vdot(p1, form(q0, q0)) / 2
    b = jnp.vdot(p1, form(q0, q1)) + jnp.vdot(p0, form(q0, q0))
    unravel = family.unravel
    values = unravel(found.x), found.parameters, unravel(q0), unravel(q1), a, b
    return BogdanovTakens(*nan_unless(good, values), valid=good, result=result)


def refine_generalised_hopf(
    family: Family, x: Vector, parameters: Parameters, before: RESULTS
) -> GeneralisedHopf:
    """The generalised Hopf point near a state and two parameters, unless something failed
    before."""
    v, c, kappa = start_of_hopf(family.jacobian(x, parameters))

    def pair_of(family: Family, z: HopfUnknowns) -> ImaginaryPair:
        return ImaginaryPair.of(family.jacobian(z.x, z.parameters), z.v, z.kappa[0])

    def equations(family: Family, z: HopfUnknowns):
        l1 = first_lyapunov(family, z.x, pair_of(family, z), z.parameters)
        return jnp.append(z.equations(family, c), l1)

    start = HopfUnknowns(x, v, kappa[None], parameters)
    found, converged = solve_critical(family, start, equations)
    result = outcome(family, found.parameters, converged, before)
    good = result == SUCCESS
    found, alive = live_where(good, (found, family))
    pair = pair_of(alive, found._replace(kappa=jnp.where(good, found.kappa, 1.0)))
    l2 = second_lyapunov(alive, found.x, pair, found.parameters)
    vector = unravel_complex(family, pair.q)
    values = family.unravel(found.x), found.parameters, pair.omega, vector, l2
    return GeneralisedHopf(*nan_unless(good, values), valid=good, result=result)
