"""Continuation: a branch of fixed points as one parameter varies."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, Float

from . import _small_linear
from ._arnoldi import rightmost_eigenvalues
from ._branch import Branch
from ._branch_points import BranchPoint, refine_branch_point
from ._critical import live_where
from ._curve import as_method, Box, Follower, kernel, PseudoArclength
from ._detect import detect, detected_from_crossing
from ._family import as_count, as_span, Family, prepare_family, Span
from ._folds import refine_fold
from ._hopf_points import refine_hopf
from ._linearise import classify, default_tolerance
from ._newton import Vector
from ._parameters import check_ranges
from ._passed import map_rows, refine_passed, Row
from ._result import result_if, RESULTS, SUCCESS, worst
from ._selection import Where
from ._system import AbstractSystem
from ._tree import all_true, nan_unless
from ._types import InputValue, RealScalarLike, State


# How far from a fixed point a start may be, as a part of the scale of the state.
_START_DISTANCE = 0.1
# From here on linear systems are solved without their matrix, and not all eigenvalues are
# computed.
_LARGE = 256
_EIGENVALUES_OF_LARGE = 8
_KRYLOV_DIMENSION = 160


def continuation(
    system: AbstractSystem,
    where: Where,
    y0: State,
    span: Span,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    method: PseudoArclength | None = None,
    max_points: int = 8,
    n_eigenvalues: int | None = None,
) -> Branch:
    r"""Follow a branch of fixed points in both directions as a parameter varies.

    By pseudo-arclength continuation, so that it goes around folds. Each step predicts along
    the tangent and corrects by Newton's method; its length follows how much the branch
    turns. Between two points a fold is seen where the parameter turns back, a branch point
    where the determinant of the Jacobian bordered by the tangent changes its sign, and a
    Hopf point where two more eigenvalues gain or lose a positive real part. So a neutral
    saddle, whose two real eigenvalues are opposite, is none. Each of the points is then
    solved for by its own equations: see [`jaxnet.fold`][], [`jaxnet.hopf`][] and
    [`jaxnet.branch_point`][].

    **Arguments:**

    - `system`: the system; of a noisy one, the flow. Its value of the parameter is where
        the branch starts.
    - `where`: from the system to the parameter, one of its numbers, as for
        `equinox.tree_at`. Of a `Driven` system it may be one of the input.
    - `y0`: a fixed point there, or a state within a tenth of the method's `scale` of one.
    - `span`: the smallest and the largest value of the parameter. The branch ends on them.
    - `u`: the input.
    - `t`: the time (ms) at which an input that varies is frozen.
    - `method`: how it is followed, a [`jaxnet.PseudoArclength`][], which is the default.
    - `max_points`: of each kind of bifurcation point.
    - `n_eigenvalues`: how many eigenvalues are computed. All by default, by a dense solver;
        for more than 256 state variables, the 8 with the largest real parts, by Arnoldi's
        method. At least as many are needed as ever become positive, and two more.

    **Returns:** [`jaxnet.Branch`][]. All is differentiable, in forward and reverse mode: a
    change of another parameter moves the points of the branch in the plane that is normal
    to it, and its bifurcation points where they go. What fails does not raise: see
    `result`.

    ```pycon
    >>> import jaxnet as jn
    >>> driven = jn.Driven(jn.models.RatePopulation(w=5.0), -1.0)
    >>> branch = jn.continuation(driven, lambda s: s.input.value, 0.0, (-1.0, 1.0))
    >>> [round(float(p), 4) for p in branch.folds.parameter[:2]]
    [0.8138, 0.1219]
    ```
    """
    family, result = prepare_family(system, where, y0, u, t, name="y0")
    run = _prepare_run(family, span, method, max_points, n_eigenvalues)
    return run.from_state(family, worst(result, _check_range(family, run)))


def switch_branch(
    system: AbstractSystem,
    where: Where,
    point: BranchPoint,
    span: Span,
    *,
    direction: int = 1,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    method: PseudoArclength | None = None,
    max_points: int = 8,
    n_eigenvalues: int | None = None,
) -> Branch:
    r"""Follow the other branch through a branch point, in both directions.

    **Arguments:**

    - `point`: one valid branch point, from [`jaxnet.branch_point`][] or a row of
        `branch_points` of a [`jaxnet.Branch`][]: ``jax.tree.map(lambda x: x[0], points)``.
    - `direction`: 1 for the second of the directions of `point`, which is that of the
        branch that was not followed; 0 for the first.

    The other arguments, and what is returned, are those of [`jaxnet.continuation`][].

    ```pycon
    >>> import jaxnet as jn
    >>> class Pitchfork(jn.AbstractSystem):
    ...     p: jn.Parameter = jn.parameter(0.0)
    ...
    ...     def vector_field(self, t, y, u):
    ...         return self.p * y - y**3
    >>> point = jn.branch_point(Pitchfork(0.1), lambda s: s.p, 0.05)
    >>> branch = jn.switch_branch(Pitchfork(), lambda s: s.p, point, (-1.0, 0.25))
    >>> round(float(branch.y[0]), 6), round(float(branch.y[-1]), 6)
    (-0.5, 0.5)
    ```
    """
    if direction not in (0, 1):
        raise ValueError(f"`direction` must be 0 or 1, but it is {direction}.")
    if jnp.shape(point.parameter) != ():
        raise ValueError(
            f"`point` must be one branch point, but there are {point.parameter.shape}. "
            "Take one: `jax.tree.map(lambda x: x[0], points)`."
        )
    family, result = prepare_family(system, where, point.y, u, t, name="point.y")
    run = _prepare_run(family, span, method, max_points, n_eigenvalues)
    before = worst(point.result, result, _check_range(family, run))
    return run.from_branch_point(family, point, direction, before)


def _prepare_run(
    family: Family,
    span: Span,
    method: PseudoArclength | None,
    max_points: int,
    n_eigenvalues: int | None,
) -> "_Continuation":
    method = as_method(method)
    n = family.state.size
    is_large = n > _LARGE
    if n_eigenvalues is None:
        n_eigenvalues = _EIGENVALUES_OF_LARGE if is_large else n
    matrix_free = is_large if method.matrix_free is None else method.matrix_free
    low, high = as_span(span, "span")
    return _Continuation(
        follow=Follower(method, matrix_free),
        low=low,
        high=high,
        max_points=as_count(max_points, "max_points"),
        n_eigenvalues=min(as_count(n_eigenvalues, "n_eigenvalues"), n),
    )


def _misses(points: BranchPoint, rate: Float[Array, ""]) -> Bool[Array, "..."]:
    """Whether branches do not quite cross, at the rates of a flow (1/ms)."""
    return jnp.abs(points.imperfection) > rate * default_tolerance() / 10


def _check_range(family: Family, run: "_Continuation") -> RESULTS:
    """Whether the parameter may be as small and as large as the span."""
    ends = [check_ranges(family.at(end[None])) for end in (run.low, run.high)]
    return result_if(~all_true(ends), RESULTS.parameter_out_of_range)


class _Scaled(eqx.Module):
    """A family in units that make its state and its parameter comparable.

    Points are vectors of both: the state by the `scale` of its root mean square, and the
    parameter by the span.
    """

    family: Family
    scale: RealScalarLike
    span: Float[Array, ""]

    def equations(self, z: Float[Array, " unknowns"]) -> Float[Array, " unknowns-1"]:
        return self.family.field(*self.to_units(z))

    def to_units(
        self, z: Float[Array, " unknowns"]
    ) -> tuple[Float[Array, " unknowns-1"], Float[Array, " 1"]]:
        return z[:-1] * self.state_unit, z[-1:] * self.span

    def from_units(self, x: Vector, p: Float[Array, " 1"]) -> Float[Array, " n+1"]:
        return jnp.concatenate([x / self.state_unit, p / self.span])

    @property
    def state_unit(self) -> Float[Array, ""]:
        return self.scale * self.family.state.size**0.5


class _Continuation(eqx.Module):
    """The settings of a run, compiled once for all values of its arrays."""

    follow: Follower
    low: Float[Array, ""]
    high: Float[Array, ""]
    max_points: int = eqx.field(static=True)
    n_eigenvalues: int = eqx.field(static=True)

    @eqx.filter_jit
    def from_state(self, family: Family, before: RESULTS) -> Branch:
        scaled = self._scaled(family)
        guess = jax.lax.stop_gradient(scaled.from_units(family.state, family.parameters))
        start, tangent, found = self._start(scaled, guess)
        result = worst(before, self._check_inside(family.parameters[0]), found)
        return self._branch(scaled, start, tangent, result, starts_on_crossing=False)

    @eqx.filter_jit
    def from_branch_point(
        self, family: Family, point: BranchPoint, direction: int, before: RESULTS
    ) -> Branch:
        scaled = self._scaled(family)
        start = scaled.from_units(family.state, point.parameter[None])
        along_y = jtu.tree_map(lambda d: d[direction], point.direction_y)
        flat = jnp.concatenate([x.ravel() for x in jtu.tree_leaves(along_y)])
        tangent = scaled.from_units(flat, point.direction_parameter[direction][None])
        tangent = jax.lax.stop_gradient(tangent / jnp.linalg.norm(tangent))
        rate = jnp.max(jnp.abs(family.jacobian(family.state, point.parameter[None])))
        result = worst(
            before,
            self._check_inside(point.parameter),
            result_if(~jnp.all(jnp.isfinite(tangent)), RESULTS.isolated_point),
            result_if(_misses(point, rate), RESULTS.isolated_point),
        )
        return self._branch(scaled, start, tangent, result, starts_on_crossing=True)

    def _scaled(self, family: Family) -> _Scaled:
        return _Scaled(family, self.follow.method.scale, self.high - self.low)

    def _check_inside(self, p: Float[Array, ""]) -> RESULTS:
        return result_if(~((p >= self.low) & (p <= self.high)), RESULTS.start_outside_span)

    def _check_parameter(self, scaled: _Scaled, start: Vector) -> RESULTS:
        """Whether the flow depends on the parameter somewhere around the start.

        At the start itself the derivative may be zero and the branch be a branch still.
        """
        noise = np.random.default_rng(0).normal(size=(8, start.size))
        noise[:4, -1] = 0
        probes = start + jnp.asarray(noise, float)
        along = jnp.zeros_like(start).at[-1].set(1.0)
        change = jax.vmap(lambda z: jax.jvp(scaled.equations, (z,), (along,))[1])(probes)
        return result_if(jnp.all(change == 0), RESULTS.parameter_without_effect)

    def _start(self, scaled: _Scaled, guess: Vector) -> tuple[Vector, Vector, RESULTS]:
        """A point of the branch, its tangent along which the parameter rises, and whether
        there are such."""
        axis = jnp.zeros_like(guess).at[-1].set(1.0)
        row, crossing = axis, jnp.asarray(False)
        if not self.follow.matrix_free:
            # At a fold the parameter cannot be held.
            tangent, crossing = kernel(scaled.equations, guess)
            row = jnp.where(jnp.abs(tangent[-1]) > 1e-3, axis, tangent)
            at_rest = jnp.max(jnp.abs(scaled.equations(guess))) <= default_tolerance()
            crossing = crossing & at_rest
        root = self.follow.correct(scaled.equations, guess, row)
        near = jnp.linalg.norm(root.x - guess) <= _START_DISTANCE
        if self.follow.matrix_free:
            tangent = self.follow.tangent(scaled.equations, root.x, row)
        else:
            tangent, again = kernel(scaled.equations, root.x)
            crossing = crossing | (root.converged & again)
        result = worst(
            result_if(crossing, RESULTS.nonhyperbolic_start),
            result_if(~(root.converged & near), RESULTS.start_not_on_branch),
            self._check_parameter(scaled, root.x),
        )
        tangent = jnp.where(tangent[-1] < 0, -tangent, tangent)
        return root.x, tangent, result

    def _branch(
        self,
        scaled: _Scaled,
        start: Vector,
        tangent: Vector,
        before: RESULTS,
        *,
        starts_on_crossing: bool,
    ) -> Branch:
        unbounded = jnp.full(start.size - 1, jnp.inf)
        low, high = self.low / scaled.span, self.high / scaled.span
        box = Box(jnp.append(-unbounded, low), jnp.append(unbounded, high))
        living = eqx.tree_at(
            lambda s: s.family, scaled, live_where(before == SUCCESS, scaled.family)
        )
        curve = self.follow(
            living.equations,
            start,
            tangent,
            box,
            is_start=before == SUCCESS,
            is_regular=not starts_on_crossing,
        )
        family = living.family
        points, tangents = (jax.vmap(scaled.to_units)(z) for z in (curve.x, curve.tangent))
        x, p = points
        eigenvalues, exact = self._eigenvalues(family, curve.accepted, x, p)
        passed = detect(scaled.equations, curve, eigenvalues)
        if starts_on_crossing:
            passed = detected_from_crossing(passed, curve)
        fold_after, hopf_after, branch_point_after, coincide = passed
        rows = Row(x, p, jnp.concatenate(tangents, axis=1))

        def refine(passed, refine_one):
            return refine_passed(
                passed,
                rows,
                refine_one,
                lambda point: point.parameter[None],
                (scaled.state_unit, scaled.span[None]),
                self.max_points,
            )

        folds, folds_found = refine(
            fold_after,
            lambda r, result: refine_fold(family, r.x, r.parameters, result),
        )
        hopf_points, hopf_found = refine(
            hopf_after,
            lambda r, result: refine_hopf(family, r.x, r.parameters, result),
        )
        branch_points, branch_points_found = refine(
            branch_point_after,
            lambda r, result: refine_branch_point(
                family, r.x, r.parameters, r.tangent, result
            ),
        )
        # A step may have led from one branch to the other.
        missed = _misses(branch_points, jnp.max(jnp.abs(eigenvalues)))
        unravel = jax.vmap(family.unravel)
        values = nan_unless(
            before == SUCCESS,
            (
                unravel(x),
                p[:, 0],
                unravel(tangents[0]),
                tangents[1][:, 0],
                eigenvalues,
            ),
        )
        return Branch(
            *values,
            # By the signs, as they are counted to see what is passed.
            stability=jax.vmap(lambda v: classify(v, tolerance=0.0))(eigenvalues),
            accepted=curve.accepted,
            fold_after=fold_after,
            hopf_after=hopf_after,
            branch_point_after=branch_point_after,
            folds=folds,
            hopf_points=hopf_points,
            branch_points=branch_points,
            closed=curve.closed,
            result=worst(
                before,
                curve.result,
                folds_found,
                hopf_found,
                branch_points_found,
                result_if(coincide, RESULTS.not_refined),
                result_if(jnp.any(missed), RESULTS.near_crossing),
                result_if(~exact, RESULTS.eigenvalues_inexact),
            ),
        )

    def _eigenvalues(self, family: Family, accepted, x, p):
        """Of the points, and whether they are known well."""
        if self.n_eigenvalues == family.state.size:
            of_one = lambda x, p: _small_linear.eigenvalues(family.jacobian(x, p))
            return map_rows(of_one, accepted, x, p), jnp.asarray(True)

        def some_of_one(x, p):
            x, p = jax.lax.stop_gradient((x, p))
            linear = lambda v: jax.jvp(lambda x: family.field(x, p), (x,), (v,))[1]
            return rightmost_eigenvalues(
                linear, x.size, self.n_eigenvalues, _KRYLOV_DIMENSION
            )

        values, residuals = map_rows(some_of_one, accepted, x, p)
        size = jnp.max(jnp.abs(values), axis=1)
        return values, jnp.all(residuals <= 1e-3 * size)
