"""Branches of fixed points: what they pass, where they end, how they fail."""

import functools

import _published as published
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxnet as jn


SUCCESS = jn.RESULTS.successful


P = lambda s: s.p
CURRENT = lambda s: s.input.value[0]
# Radians that a branch may turn in one step.
LARGEST_TURN = 0.3


def assert_close(got, expected, tolerance=1e-9):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def valid(points, name="parameter"):
    return np.asarray(getattr(points, name)[points.valid])


def check_branch(system, where, branch, span, *, u=None, method=None, ends=True):
    """What holds of every branch: it solves the equations, and it never jumps."""
    method = jn.PseudoArclength() if method is None else method
    count = int(branch.accepted.sum())
    assert branch.accepted.tolist() == [True] * count + [False] * (
        len(branch.accepted) - count
    )
    flat = jax.vmap(lambda y: ravel_pytree(y)[0])
    y, tangent_y = flat(branch.y), flat(branch.tangent_y)
    n = y.shape[1]

    def field(y, p):
        at = (
            jn.Driven(eqx.tree_at(where, system, p), u)
            if u is not None
            else (eqx.tree_at(where, system, p))
        )
        if isinstance(at, jn.Driven):
            value = at.system.vector_field(0.0, y, at.input.value)
        else:
            value = at.vector_field(0.0, y, None)
        return ravel_pytree(value)[0]

    residual = jax.vmap(field)(branch.y, branch.parameter)
    assert jnp.max(jnp.abs(residual)) < 1e-10
    unit, width = method.scale * n**0.5, span[1] - span[0]
    join = lambda y, p: np.column_stack([y / unit, p / width])[:count]
    z = join(y, branch.parameter)
    tangent = join(tangent_y, branch.tangent_parameter)
    assert_close(np.linalg.norm(tangent, axis=1), 1.0)
    steps = np.diff(z, axis=0)
    length = np.linalg.norm(steps, axis=1)
    assert np.all(length <= 1.5 * method.max_step)
    assert np.all(np.sum(tangent[1:] * tangent[:-1], axis=1) > np.cos(LARGEST_TURN))
    moved = steps[length > 1e-9] / length[length > 1e-9, None]
    assert np.all(
        np.sum(moved * tangent[:-1][length > 1e-9], axis=1) > np.cos(LARGEST_TURN)
    )
    if ends:
        at_ends = branch.parameter[jnp.array([0, count - 1])]
        distance = jnp.min(jnp.abs(at_ends[:, None] - jnp.asarray(span)), axis=1)
        assert jnp.all(distance <= 1e-9 * width)


# Wilson and Cowan

TURNING = {"w_ee": 6.4, "w_ei": 4.8, "w_ie": 6.0, "w_ii": 1.2}
BISTABLE = {"w_ee": 9.0, "w_ei": 4.0, "w_ie": 13.0, "w_ii": 11.0}
SPAN = (-2.0, 3.0)
WEIGHTS = lambda s: (s.system.w_ee, s.system.w_ei, s.system.w_ie, s.system.w_ii)
SETTINGS = {"method": jn.PseudoArclength(200, max_step=0.02), "max_points": 3}


def wilson_cowan(weights, current):
    return jn.Driven(jn.models.WilsonCowan(**weights, tau_i=2.0), (current, 0.0))


@functools.cache
def turning_branch(current=0.8, y=(0.57, 0.27)):
    system = wilson_cowan(TURNING, current)
    return jn.continuation(system, CURRENT, jnp.asarray(y), SPAN, **SETTINGS)


@functools.cache
def bistable_branch():
    system = wilson_cowan(BISTABLE, 0.0)
    return jn.continuation(system, CURRENT, jnp.zeros(2), SPAN, **SETTINGS)


def test_branch_of_wilson_and_cowan_has_its_known_folds_and_hopf_point():
    branch = turning_branch()
    assert branch.result == SUCCESS
    assert not branch.closed
    assert_close(valid(branch.folds), [0.7134637490, 0.6371621813], 1e-10)
    assert_close(valid(branch.hopf_points), [0.9991460419], 1e-10)
    assert_close(valid(branch.hopf_points, "omega"), [0.6769616272], 1e-10)
    assert np.all(valid(branch.hopf_points, "supercritical"))
    assert len(valid(branch.branch_points)) == 0


def test_bistable_branch_has_its_known_folds_and_no_hopf_point():
    branch = bistable_branch()
    assert branch.result == SUCCESS
    assert_close(valid(branch.folds), [0.4575325319, -0.8410153851], 1e-10)
    assert len(valid(branch.hopf_points)) == 0
    assert not jnp.any(branch.hopf_after)


def test_the_bistable_branch_passes_two_neutral_saddles():
    # The trace is zero there too, but of two real eigenvalues that are opposite.
    branch = bistable_branch()
    values = np.asarray(branch.eigenvalues)[np.asarray(branch.accepted)]
    trace = values.sum(axis=1).real
    (places,) = np.nonzero(np.sign(trace[1:]) != np.sign(trace[:-1]))
    assert len(places) == 2
    assert np.all(values.imag[places] == 0)
    assert np.all(values.real[places, 0] > 0.1)


def test_branches_solve_the_equations_and_end_on_the_span_and_never_jump():
    for branch, weights in ((turning_branch(), TURNING), (bistable_branch(), BISTABLE)):
        system = wilson_cowan(weights, 0.0)
        check_branch(system, CURRENT, branch, SPAN, method=SETTINGS["method"])
        assert_close(branch.parameter[0], SPAN[0], 1e-12)
        assert_close(branch.parameter[-1], SPAN[1], 1e-12)


def test_eigenvalues_and_stability_are_those_of_the_points():
    branch = turning_branch()
    for row in (0, 20, 45, 70):
        system = wilson_cowan(TURNING, branch.parameter[row])
        expected = jn.eigenvalues(system, branch.y[row])
        assert_close(branch.eigenvalues[row], expected)
        assert branch.stability.stable[row] == bool(jnp.all(expected.real < 0))
    known = jn.fixed_points(
        jn.models.WilsonCowan(**TURNING, tau_i=2.0),
        jnp.array([[0.57, 0.27]]),
        u=(0.8, 0.0),
        max_points=1,
    )
    assert_close(known.eigenvalues[0, 0], 0.106884 + 0.561753j, 1e-6)


def test_the_masks_lie_between_the_rows_on_both_sides_of_a_point():
    branch = turning_branch()
    for mask, points in (
        (branch.fold_after, branch.folds),
        (branch.hopf_after, branch.hopf_points),
    ):
        (rows,) = np.nonzero(mask)
        assert len(rows) == points.valid.sum()
        for row, y in zip(rows, points.y, strict=False):
            gap = np.linalg.norm(branch.y[row + 1] - branch.y[row])
            middle = (branch.y[row + 1] + branch.y[row]) / 2
            assert np.linalg.norm(y - middle) < gap


@pytest.mark.parametrize(
    ("current", "y"),
    [
        (-2.0, (-0.03, -0.02)),
        (3.0, (0.8, 0.6)),
        # Exactly on a fold, and on a Hopf point.
        (0.7134637489786, None),
        (0.9991460418779, None),
    ],
)
def test_where_a_branch_starts_makes_no_difference(current, y):
    reference = turning_branch()
    if y is None:
        points = (reference.folds, reference.hopf_points)
        found = points[current > 0.9]
        y = tuple(np.asarray(found.y[0]).tolist())
    else:
        starts = jnp.asarray(y)[None]
        system = jn.models.WilsonCowan(**TURNING, tau_i=2.0)
        found = jn.fixed_points(system, starts, u=(current, 0.0), max_points=1)
        y = tuple(np.asarray(found.y[0]).tolist())
    branch = turning_branch(current, y)
    assert branch.result == SUCCESS
    assert_close(sorted(valid(branch.folds)), [0.6371621813, 0.7134637490], 1e-10)
    assert_close(valid(branch.hopf_points), [0.9991460419], 1e-10)
    check_branch(
        wilson_cowan(TURNING, 0.0), CURRENT, branch, SPAN, method=SETTINGS["method"]
    )


@pytest.mark.slow
def test_a_weight_as_the_parameter_finds_the_subcritical_hopf_point():
    system = wilson_cowan(TURNING, 0.8)
    where = lambda s: s.system.w_ee
    branch = jn.continuation(system, where, (0.57, 0.27), (5.0, 9.0))
    assert branch.result == SUCCESS
    assert_close(valid(branch.hopf_points), [6.8229061868], 1e-10)
    assert not np.any(valid(branch.hopf_points, "supercritical"))
    check_branch(system, where, branch, (5.0, 9.0))


@functools.cache
def batch_of_branches():
    def follow(weights, current, y):
        system = eqx.tree_at(WEIGHTS, wilson_cowan(TURNING, 0.8), tuple(weights))
        system = eqx.tree_at(CURRENT, system, current)
        return jn.continuation(system, CURRENT, y, SPAN, **SETTINGS)

    one, two = (jnp.array(list(w.values())) for w in (TURNING, BISTABLE))
    weights = jnp.stack([one, one.at[2].set(jnp.nan), two, one, one])
    current = jnp.array([0.8, 0.8, 0.0, 4.0, 0.8])
    y = jnp.array([[0.57, 0.27], [0.57, 0.27], [0.0, 0.0], [0.8, 0.6], [0.9, 0.1]])
    return jax.jit(jax.vmap(follow))(weights, current, y)


def test_each_element_of_a_batch_keeps_its_own_result():
    batch = batch_of_branches()
    codes = jn.RESULTS
    for code, elements in (
        (SUCCESS, [0, 2]),
        (codes.nan_input, [1]),
        (codes.start_outside_span, [3]),
        (codes.start_not_on_branch, [4]),
    ):
        assert np.flatnonzero(batch.result == code).tolist() == elements
    assert jnp.any(batch.accepted, axis=1).tolist() == [True, False, True, False, False]
    assert jnp.all(jnp.isnan(batch.y[jnp.array([1, 3, 4])]))
    assert not jnp.any(batch.folds.valid[jnp.array([1, 3, 4])])


def test_good_elements_of_a_batch_are_as_alone():
    batch = batch_of_branches()
    for i, alone in ((0, turning_branch()), (2, bistable_branch())):
        assert batch.accepted[i].tolist() == alone.accepted.tolist()
        assert_close(batch.y[i], alone.y)
        assert_close(batch.parameter[i], alone.parameter)
        for name in ("folds", "hopf_points"):
            ours = jax.tree.map(lambda x, i=i: x[i], getattr(batch, name))
            assert_close(valid(ours), valid(getattr(alone, name)))


# Derivatives


@functools.cache
def derivatives_of_a_branch():
    """Of the turning branch in all parameters, in forward mode."""
    system = wilson_cowan(TURNING, 0.8)
    dynamic, static = eqx.partition(system, eqx.is_inexact_array)
    at, unravel = ravel_pytree(dynamic)

    def follow(x):
        system = eqx.combine(unravel(x), static)
        branch = jn.continuation(system, CURRENT, jnp.array([0.57, 0.27]), SPAN, **SETTINGS)
        points = branch.folds.parameter[:2], branch.hopf_points.parameter[:1]
        return branch.y, branch.parameter, jnp.concatenate(points)

    return at, lambda x: eqx.combine(unravel(x), static), jax.jit(jax.jacfwd(follow))(at)


def test_derivatives_of_what_a_branch_passes_are_those_of_the_solved_points():
    at, system_of, (_, _, derivatives) = derivatives_of_a_branch()
    branch = turning_branch()

    def locate(x):
        system = system_of(x)
        near = lambda current: eqx.tree_at(CURRENT, system, current)
        fold = lambda current, y: jn.fold(near(current), CURRENT, y).parameter
        folds = jax.vmap(fold)(branch.folds.parameter[:2], branch.folds.y[:2])
        hopf_point = near(branch.hopf_points.parameter[0])
        hopf = jn.hopf(hopf_point, CURRENT, branch.hopf_points.y[0]).parameter
        return jnp.append(folds, hopf)

    shifts = 1e-5 * jnp.eye(at.size)
    values = jax.jit(jax.vmap(locate))(jnp.concatenate([at + shifts, at - shifts]))
    up, down = jnp.split(values, 2)
    np.testing.assert_allclose(derivatives, (up - down).T / 2e-5, rtol=1e-6, atol=1e-6)
    assert np.sum(np.any(np.abs(derivatives) > 1e-9, axis=0)) == at.size - 1


def test_derivatives_of_the_rows_are_in_the_plane_that_is_normal_to_the_branch():
    at, system_of, (of_y, of_p, _) = derivatives_of_a_branch()
    branch = turning_branch()
    unit, width = 2**0.5, SPAN[1] - SPAN[0]

    def residual(x, z, y, p, tangent_y, tangent_p):
        system = eqx.tree_at(CURRENT, system_of(x), z[2])
        field = system.system.vector_field(0.0, z[:2], system.input.value)
        plane = jnp.vdot(tangent_y, z[:2] - y) / unit**2 + tangent_p * (z[2] - p) / width**2
        return jnp.append(field, plane)

    def solve(x, *row):
        z = jnp.append(*row[:2])
        for _ in range(4):
            matrix = jax.jacfwd(residual, argnums=1)(x, z, *row)
            z = z - jnp.linalg.solve(matrix, residual(x, z, *row))
        return z

    over_rows = jax.vmap(solve, in_axes=(None, 0, 0, 0, 0))
    over_all = jax.jit(jax.vmap(over_rows, in_axes=(0, None, None, None, None)))
    shifts = 1e-5 * jnp.eye(at.size)
    rows = branch.y, branch.parameter, branch.tangent_y, branch.tangent_parameter
    change = (over_all(at + shifts, *rows) - over_all(at - shifts, *rows)) / 2e-5
    expected = jnp.moveaxis(change, 0, -1)
    ours = jnp.concatenate([of_y, of_p[:, None]], axis=1)
    keep = np.asarray(branch.accepted)
    # The input that varies is not one of the other parameters.
    moving = np.any(np.abs(ours) > 0, axis=(0, 1))
    assert moving.sum() == at.size - 1
    np.testing.assert_allclose(
        ours[keep][..., moving], expected[keep][..., moving], rtol=1e-6, atol=1e-6
    )


def test_reverse_mode_gives_the_closed_form_of_the_folds():
    a, theta = 1.2, 2.8

    def closed(w):
        s = (1 + jnp.array([-1.0, 1.0]) * jnp.sqrt(1 - 4 / (a * w))) / 2
        r = s - 1 / (1 + jnp.exp(a * theta))
        return theta + jnp.log(s / (1 - s)) / a - w * r

    def solved(w):
        system = jn.Driven(jn.models.RatePopulation(w=w), -1.0)
        branch = jn.continuation(
            system, lambda s: s.input.value, -0.03, (-1.0, 1.0), **SETTINGS
        )
        return jnp.dot(branch.folds.parameter[:2], jnp.array([1.0, 2.0]))

    value, gradient = jax.jit(jax.value_and_grad(solved))(5.0)
    expected, slope = jax.value_and_grad(lambda w: closed(w) @ jnp.array([1.0, 2.0]))(5.0)
    assert_close(value, expected, 1e-11)
    assert_close(gradient, slope, 1e-10)


@pytest.mark.slow
def test_reverse_mode_is_forward_mode():
    at, system_of, (of_y, of_p, of_points) = derivatives_of_a_branch()

    def loss(x):
        branch = jn.continuation(
            system_of(x), CURRENT, jnp.array([0.57, 0.27]), SPAN, **SETTINGS
        )
        points = [*branch.folds.parameter[:2], branch.hopf_points.parameter[0]]
        return sum(points) + jnp.sum(branch.y) + jnp.sum(branch.parameter)

    gradient = jax.jit(jax.grad(loss))(at)
    expected = of_y.sum(axis=(0, 1)) + of_p.sum(axis=0) + of_points.sum(axis=0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-9)


# Polynomials of one state variable


class Line(jn.AbstractSystem):
    """dy/dt = sum of c[i, j] y^i p^j."""

    p: jn.Parameter = jn.parameter()
    c: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        powers = lambda x: jnp.stack([jnp.ones_like(x), x, x**2, x**3])
        return powers(y) @ self.c @ powers(self.p)


def line(at, constant=0.0, **terms):
    """``constant=0.1, p=1.0, yyp=2.0`` is 0.1 + p + 2 y^2 p."""
    c = np.zeros((4, 4))
    c[0, 0] = constant
    for name, value in terms.items():
        c[name.count("y"), name.count("p")] = value
    return Line(at, c)


SQUARE = (-1.0, 1.0)
CIRCLE = {"constant": -0.25, "pp": 1.0, "yy": 1.0}
PITCHFORK = {"yp": 1.0, "yyy": -1.0}


def follow(system, y, span=SQUARE, **settings):
    return jn.continuation(system, P, y, span, **settings)


@pytest.mark.parametrize("p", [0.3, -0.1, 0.5, -0.5])
def test_a_closed_branch_is_followed_once(p):
    # A circle of radius 1/2, also from its folds.
    system = line(p, **CIRCLE)
    branch = follow(system, np.sqrt(0.25 - p**2))
    assert branch.result == SUCCESS
    assert branch.closed
    assert_close(sorted(valid(branch.folds)), [-0.5, 0.5])
    count = int(branch.accepted.sum())
    assert_close(branch.y[0], branch.y[count - 1])
    assert_close(branch.parameter[0], branch.parameter[count - 1])
    angle = np.unwrap(np.arctan2(branch.y, branch.parameter)[:count])
    assert_close(abs(angle[-1] - angle[0]), 2 * np.pi)
    check_branch(system, P, branch, SQUARE, ends=False)


@pytest.mark.slow
def test_derivatives_around_a_closed_branch_are_radial():
    # The radius is sqrt(-c): each point moves along the normal of the circle. In units of
    # the span of 2 the normal is another one, so the state is given that unit too.
    method = jn.PseudoArclength(scale=2.0)

    def point(constant):
        system = eqx.tree_at(
            lambda s: s.c, line(0.3, **CIRCLE), line(0.3, **CIRCLE).c.at[0, 0].set(constant)
        )
        branch = follow(system, 0.4, method=method)
        return branch.parameter, branch.y, branch.accepted

    value, change = jax.jvp(lambda c: point(c)[:2], (-0.25,), (1.0,))
    keep = np.asarray(point(-0.25)[2])
    assert keep.sum() > 20
    # d radius / d constant = -1 / (2 radius), with radius 1/2.
    assert_close(change[0][keep], -2 * value[0][keep], 1e-8)
    assert_close(change[1][keep], -2 * value[1][keep], 1e-8)


def test_trivial_branch_passes_a_pitchfork_and_the_other_one_is_switched_to():
    system = line(-0.5, **PITCHFORK)
    branch = follow(system, 0.0)
    assert branch.result == SUCCESS
    assert_close(valid(branch.branch_points), [0.0])
    assert branch.branch_points.pitchfork[0]
    assert_close(valid(branch.branch_points, "cubic"), [-1.0])
    assert_close(branch.y, 0.0)
    assert len(valid(branch.folds)) == 0
    stable = np.asarray(branch.stability.stable)
    assert stable.tolist() == (np.asarray(branch.parameter) < 0).tolist()
    check_branch(system, P, branch, SQUARE)

    point = jax.tree.map(lambda x: x[0], branch.branch_points)
    other = jn.switch_branch(system, P, point, (-1.0, 0.25))
    keep = np.asarray(other.accepted)
    assert_close(other.y[keep] ** 2, other.parameter[keep])
    assert_close(np.abs(other.y[0]), 0.5)
    assert_close(other.y[keep][-1], -other.y[0])


@pytest.mark.slow
def test_the_first_direction_of_a_branch_point_is_the_branch_that_was_followed():
    system = line(-0.5, **PITCHFORK)
    points = follow(system, 0.0).branch_points
    point = jax.tree.map(lambda x: x[0], points)
    same = jn.switch_branch(system, P, point, (-1.0, 0.25), direction=0)
    assert_close(same.y[same.accepted], 0.0)
    check_branch(system, P, same, (-1.0, 0.25))


def test_transcritical_point_between_two_lines():
    system = line(-0.5, yp=1.0, yy=-2.0)
    branch = follow(system, 0.0)
    assert branch.result == SUCCESS
    assert_close(valid(branch.branch_points), [0.0])
    point = jax.tree.map(lambda x: x[0], branch.branch_points)
    assert not point.pitchfork
    other = jn.switch_branch(system, P, point, SQUARE)
    assert other.result == SUCCESS
    keep = np.asarray(other.accepted)
    assert_close(other.y[keep], other.parameter[keep] / 2)
    check_branch(system, P, other, SQUARE)


def test_a_broken_pitchfork_has_a_fold_on_its_other_branch():
    # p y - y^3 + e: the fold is where p = 3 y^2 and 2 y^3 = -e.
    e = 1e-2
    system = line(-0.5, constant=e, **PITCHFORK)
    branch = follow(system, 0.02)
    assert branch.result == SUCCESS
    assert len(valid(branch.branch_points)) == 0
    assert jnp.all(branch.y[branch.accepted] > 0)
    check_branch(system, P, branch, SQUARE)
    other = follow(line(0.9, constant=e, **PITCHFORK), -0.94)
    assert other.result == SUCCESS
    assert_close(valid(other.folds), [3 * (e / 2) ** (2 / 3)])
    assert_close(valid(other.folds, "y"), [-((e / 2) ** (1 / 3))])


def test_a_cusp_on_the_branch_is_no_fold():
    system = line(0.125, p=1.0, yyy=-1.0)
    branch = follow(system, 0.5)
    assert branch.result == SUCCESS
    assert not jnp.any(branch.fold_after)
    assert not jnp.any(branch.branch_point_after)
    check_branch(system, P, branch, SQUARE)


@pytest.mark.parametrize("p", SQUARE)
def test_a_start_on_an_end_of_the_span(p):
    system = line(p, p=1.0, yyy=-1.0)
    branch = follow(system, p)
    assert branch.result == SUCCESS
    check_branch(system, P, branch, SQUARE)


def test_a_branch_that_goes_to_infinity_is_unfinished():
    system = line(0.5, constant=-1.0, yp=1.0)
    branch = follow(system, 2.0)
    assert branch.result == jn.RESULTS.branch_unfinished
    assert_close(branch.y * branch.parameter, 1.0)
    assert jnp.all(branch.parameter > 0)
    check_branch(system, P, branch, SQUARE, ends=False)


def test_a_vertical_branch_is_unfinished_and_has_no_folds():
    # p (1 + y^2): all y are fixed points at p = 0.
    branch = follow(line(0.0, p=1.0, yyp=1.0), 0.0)
    assert branch.result == jn.RESULTS.branch_unfinished
    assert_close(branch.parameter, 0.0)
    assert len(valid(branch.folds)) == 0


@pytest.mark.slow
def test_too_few_steps_are_unfinished_and_what_is_accepted_is_right():
    system = line(0.0, p=1.0, yyy=-1.0, y=1.0)
    short = jn.PseudoArclength(20)
    branch = follow(system, 0.0, method=short)
    assert branch.result == jn.RESULTS.branch_unfinished
    assert_close(branch.parameter, branch.y**3 - branch.y)
    check_branch(system, P, branch, SQUARE, ends=False)


def test_too_many_points_keep_the_first_ones():
    # p = 2 y^3 - 1.5 y: folds at y = 1/2 and -1/2, p = -1/2 and 1/2.
    system = line(0.0, p=1.0, yyy=-2.0, y=1.5)
    both = follow(system, 0.0)
    assert_close(valid(both.folds), [-0.5, 0.5])
    one = follow(system, 0.0, max_points=1)
    assert one.result == jn.RESULTS.too_many_bifurcations
    assert_close(valid(one.folds), valid(both.folds)[:1])
    assert one.fold_after.sum() == 2


class Waves(jn.AbstractSystem):
    """p = sin(8 y) + y / 10 has many folds, at cos(8 y) = -1/80."""

    p: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        return self.p - jnp.sin(8 * y) - 0.1 * y


@pytest.mark.slow
def test_a_branch_with_28_folds_has_them_all_in_order():
    method = jn.PseudoArclength(1600, max_step=0.02)
    branch = jn.continuation(Waves(), P, 0.0, (-1.5, 1.5), method=method, max_points=32)
    assert branch.result == SUCCESS
    y = (np.arccos(-1 / 80) + 2 * np.pi * np.arange(-9, 9)) / 8
    y = np.sort(np.concatenate([y, -y]))
    y = y[np.abs(np.sin(8 * y) + 0.1 * y) < 1.5]
    first, last = sorted([branch.y[0], branch.y[branch.accepted][-1]])
    y = y[(y > first) & (y < last)]
    assert len(y) == 28
    got = valid(branch.folds, "y")
    assert_close(np.sort(got), y)
    assert np.all(np.diff(got) > 0) or np.all(np.diff(got) < 0)
    check_branch(Waves(), P, branch, (-1.5, 1.5), method=method)


@pytest.mark.slow
def test_long_steps_find_the_same_folds():
    method = jn.PseudoArclength(1600, max_step=1.0, first_step=0.5)
    branch = jn.continuation(Waves(), P, 0.0, (-1.5, 1.5), method=method, max_points=32)
    assert branch.result == SUCCESS
    assert branch.folds.valid.sum() == 28
    check_branch(Waves(), P, branch, (-1.5, 1.5), method=method)


# Bad input


def test_a_start_that_is_on_no_branch():
    branch = follow(line(0.0, p=1.0, y=-1.0), 0.7)
    assert branch.result == jn.RESULTS.start_not_on_branch
    assert jnp.all(jnp.isnan(branch.y))
    assert not jnp.any(branch.accepted)
    # There is no fixed point at all.
    branch = follow(line(0.0, constant=1.0, yy=1.0, p=0.5), 0.0)
    assert branch.result == jn.RESULTS.start_not_on_branch


def test_a_start_outside_the_span():
    branch = follow(line(2.0, p=1.0, y=-1.0), 2.0)
    assert branch.result == jn.RESULTS.start_outside_span
    assert jnp.all(jnp.isnan(branch.parameter))


def test_a_parameter_without_effect():
    branch = follow(line(0.3, y=-1.0), 0.0)
    assert branch.result == jn.RESULTS.parameter_without_effect
    assert jnp.all(jnp.isnan(branch.y))


@pytest.mark.parametrize("terms", [{"yp": 1.0, "yy": -1.0, "pp": 1.0}, PITCHFORK])
def test_a_start_where_branches_cross(terms):
    branch = follow(line(0.0, **terms), 0.0)
    assert branch.result == jn.RESULTS.nonhyperbolic_start
    assert jnp.all(jnp.isnan(branch.y))


def test_a_parameter_may_have_no_effect_to_first_order_where_a_branch_starts():
    # The circle again, from its top, where p^2 has no slope.
    branch = follow(line(0.0, **CIRCLE), 0.5)
    assert branch.result == SUCCESS
    assert branch.closed


def test_the_curved_branch_of_a_pitchfork_has_no_fold():
    # The parameter turns back on it, but no two points vanish there.
    branch = follow(line(0.49, **PITCHFORK), 0.7)
    assert branch.result == SUCCESS
    assert_close(valid(branch.branch_points), [0.0])
    assert not jnp.any(branch.fold_after)


def test_switching_at_a_pitchfork_succeeds():
    system = line(-0.5, **PITCHFORK)
    point = jax.tree.map(lambda x: x[0], follow(system, 0.0).branch_points)
    other = jn.switch_branch(system, P, point, (-1.0, 0.25))
    assert other.result == SUCCESS


@pytest.mark.parametrize("e", [1e-3, 1e-5])
def test_branches_that_nearly_cross_are_not_confused(e):
    # p y - y^3 + e, to the left of the fold: one branch alone, above zero.
    y = e / (0.5 + e**2)
    branch = follow(line(-0.5, constant=e, **PITCHFORK), y)
    jumped = bool(jnp.any(branch.y[branch.accepted] < 0))
    assert not (jumped and branch.result == SUCCESS)


def test_a_jump_across_a_near_crossing_is_said():
    # The branches are nearer to each other than a step.
    branch = follow(line(-0.5, constant=1e-7, **PITCHFORK), 2e-7)
    assert branch.result == jn.RESULTS.near_crossing


def test_a_branch_point_that_is_none_is_not_switched_at():
    system = line(0.1, constant=0.1, **PITCHFORK)
    point = jn.branch_point(system, P, 0.05)
    assert point.valid
    assert abs(point.imperfection) > 1e-3
    branch = jn.switch_branch(system, P, point, SQUARE)
    assert branch.result == jn.RESULTS.isolated_point
    assert not jnp.any(branch.accepted)


def test_a_span_must_lie_in_the_range_of_the_parameter():
    population = jn.models.RatePopulation(w=5.0)
    with pytest.raises(ValueError, match=r"tau` of .* must be positive"):
        jn.continuation(population, lambda s: s.tau, 0.0, (-1.0, 2.0), u=0.5)


def test_messages_are_remedies():
    codes = jn.RESULTS
    assert "fixed_points" in codes[codes.start_not_on_branch]
    assert "switch_branch" in codes[codes.nonhyperbolic_start]
    assert "max_steps" in codes[codes.branch_unfinished]
    assert "max_points" in codes[codes.too_many_bifurcations]
    assert "span" in codes[codes.start_outside_span]


@pytest.mark.parametrize("span", [(1.0, -1.0), (1.0, 1.0), (jnp.nan, 1.0), (0.0, jnp.nan)])
def test_a_span_that_does_not_rise_raises(span):
    with pytest.raises(ValueError, match="`span`"):
        follow(line(0.0, p=1.0, y=-1.0), 0.0, span)


@pytest.mark.parametrize(
    "where",
    [
        lambda s: s.c,
        lambda s: s,
        lambda s: (s.p, s.p),
        lambda s: s.c[0],
        lambda s: 2 * s.p,
        lambda s: 0,
    ],
)
def test_where_must_select_one_number(where):
    with pytest.raises(ValueError, match="`where` must select one number"):
        jn.continuation(line(0.0, p=1.0, y=-1.0), where, 0.0, SQUARE)


def test_bad_states_and_parameters_raise():
    with pytest.raises(ValueError, match="shape"):
        jn.continuation(wilson_cowan(TURNING, 0.8), CURRENT, jnp.zeros(3), SPAN)
    with pytest.raises(ValueError, match="NaN"):
        follow(line(0.0, p=1.0, y=-1.0), jnp.nan)
    with pytest.raises(ValueError, match="NaN"):
        follow(line(jnp.nan, p=1.0, y=-1.0), 0.0)


@pytest.mark.parametrize(
    "name", ["max_steps", "max_step", "first_step", "min_step", "scale"]
)
@pytest.mark.parametrize("value", [0, -1, np.nan])
def test_lengths_and_counts_of_steps_must_be_positive(name, value):
    if name == "max_steps" and value != value:
        pytest.skip("a count is no NaN by its type")
    with pytest.raises(ValueError, match=f"`{name}`"):
        jn.PseudoArclength(**{name: value})


@pytest.mark.parametrize("name", ["max_points", "n_eigenvalues"])
def test_counts_must_be_positive(name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        follow(line(0.0, p=1.0, y=-1.0), 0.0, **{name: 0})


def test_switching_takes_one_branch_point():
    system = line(-0.5, **PITCHFORK)
    branch = follow(system, 0.0)
    with pytest.raises(ValueError, match="`point` must be one"):
        jn.switch_branch(system, P, branch.branch_points, SQUARE)
    point = jax.tree.map(lambda x: x[0], branch.branch_points)
    with pytest.raises(ValueError, match="`direction`"):
        jn.switch_branch(system, P, point, SQUARE, direction=2)
    isolated = jn.branch_point(line(0.1, pp=1.0, yy=1.0), P, 0.05)
    nothing = jn.switch_branch(system, P, isolated, SQUARE)
    assert nothing.result == jn.RESULTS.isolated_point


# Other states, scales and precisions


class Pair(jn.AbstractSystem):
    """A Hopf normal form whose state is a tree: {"a": x, "b": (y,)}."""

    p: jn.Parameter = jn.parameter(-0.5)

    def vector_field(self, t, y, u):
        x, (z,) = y["a"], y["b"]
        growth = self.p - x**2 - z**2
        return {"a": growth * x - z, "b": (growth * z + x,)}


@pytest.mark.slow
def test_a_state_may_be_a_tree():
    branch = jn.continuation(Pair(), P, {"a": 0.0, "b": (0.0,)}, SQUARE)
    assert branch.result == SUCCESS
    assert_close(valid(branch.hopf_points), [0.0])
    assert branch.y["a"].shape == branch.parameter.shape
    assert branch.hopf_points.vector["b"][0].shape == (8,)
    check_branch(Pair(), P, branch, SQUARE)


@pytest.mark.slow
@pytest.mark.parametrize("leak", [10.599])
def test_the_squid_axon_in_millivolts_has_two_hopf_points(leak):
    system = published.HodgkinHuxley(0.0, leak)
    rest = jn.fixed_points(system, jnp.array([[0.0, 0.05, 0.6, 0.3]]), max_points=1)
    method = jn.PseudoArclength(scale=50.0)
    span = (0.0, 180.0)
    where = lambda s: s.current
    branch = jn.continuation(system, where, rest.y[0], span, method=method)
    assert branch.result == SUCCESS
    assert_close(valid(branch.hopf_points), published.HODGKIN_HUXLEY_CURRENTS[leak], 1e-11)
    assert_close(
        valid(branch.hopf_points, "lyapunov"), published.HODGKIN_HUXLEY_LYAPUNOV, 1e-10
    )
    assert valid(branch.hopf_points, "supercritical").tolist() == [False, True]
    assert len(valid(branch.folds)) == 0


@pytest.mark.slow
def test_branch_of_tsodyks_and_markram_has_two_folds_and_two_hopf_points():
    system = published.TsodyksMarkram(-2.0)
    where = lambda s: s.e_0
    start = jnp.array([[0.3, 0.95, 0.35]])
    low = jn.fixed_points(system, start, max_points=1)
    method = jn.PseudoArclength(2000, scale=5.0, max_step=0.005)
    span = (-2.0, -0.9)
    branch = jn.continuation(system, where, low.y[0], span, method=method)
    assert branch.result == SUCCESS
    assert_close(valid(branch.folds), published.TSODYKS_MARKRAM_FOLDS, 1e-10)
    assert_close(valid(branch.hopf_points), published.TSODYKS_MARKRAM_HOPF, 1e-10)


@pytest.mark.slow
def test_branch_of_the_oxidation_of_carbon_monoxide_passes_its_four_points():
    start = jnp.asarray(published.CARBON_MONOXIDE_HOPF_STATES[0])
    system = published.CarbonMonoxide(1.0525)
    point = jn.fixed_points(system, start[None], max_points=1)
    span = (1.03, 1.06)
    method = jn.PseudoArclength(1000)
    branch = jn.continuation(system, lambda s: s.q_2, point.y[0], span, method=method)
    assert branch.result == SUCCESS
    expected = published.CARBON_MONOXIDE_FOLDS
    assert_close(sorted(valid(branch.folds)), sorted(expected), 1e-10)
    expected = published.CARBON_MONOXIDE_HOPF
    assert_close(sorted(valid(branch.hopf_points)), sorted(expected), 1e-10)


@pytest.mark.slow
def test_branch_of_morris_and_lecar_has_one_hopf_point_and_not_its_neutral_saddle():
    system = published.MorrisLecar(-0.1)
    start = jnp.array([[-0.5, 0.001]])
    low = jn.fixed_points(system, start, max_points=1)
    span = (-0.1, 0.2)
    branch = jn.continuation(system, lambda s: s.y, low.y[0], span)
    assert branch.result == SUCCESS
    expected = sorted(published.MORRIS_LECAR_FOLDS)
    assert_close(sorted(valid(branch.folds)), expected, 1e-10)
    assert_close(valid(branch.hopf_points), [published.MORRIS_LECAR_HOPF], 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("n", [3])
def test_normal_forms_in_other_coordinates_are_found_from_afar(n):
    terms = published.rotation(2.0, -0.7, 0.4)
    system, y, image = published.planar_form(terms, n, near=(-0.5, 0.0))
    origin = published.ORIGIN[0]
    span = (origin - 1, origin + 1)
    branch = jn.continuation(system, P, jnp.asarray(y), span)
    assert branch.result == SUCCESS
    assert_close(valid(branch.hopf_points), [origin])
    length = np.linalg.norm(image(published.CIRCLE))
    assert_close(valid(branch.hopf_points, "lyapunov"), [-0.35 / length**2])
    check_branch(system, P, branch, span)


@pytest.mark.slow
def test_single_precision():
    with jax.enable_x64(False):
        system = line(0.3, p=1.0, yyy=-2.0, y=1.5)
        branch = follow(system, 0.95)
        assert branch.result == SUCCESS
        assert branch.y.dtype == jnp.float32
        np.testing.assert_allclose(valid(branch.folds), [0.5, -0.5], atol=1e-5)
        np.testing.assert_allclose(valid(branch.folds, "y"), [-0.5, 0.5], atol=1e-4)


class TwoPairs(jn.AbstractSystem):
    """Two oscillators whose Hopf points lie at 0 and at `apart`."""

    apart: jn.Parameter = jn.parameter()
    p: jn.Parameter = jn.parameter(-0.5)

    def vector_field(self, t, y, u):
        def turn(y, growth, omega):
            rotated = jnp.stack([-y[1], y[0]])
            return (growth - jnp.sum(y**2)) * y + omega * rotated

        both = turn(y[:2], self.p, 1.0), turn(y[2:], self.p - self.apart, 2.5)
        return jnp.concatenate(both)


@pytest.mark.slow
@pytest.mark.parametrize("apart", [0.2, 1e-3])
def test_two_hopf_points_are_two_or_one_is_said_to_be_missing(apart):
    branch = jn.continuation(TwoPairs(apart=apart), P, jnp.zeros(4), SQUARE)
    found = valid(branch.hopf_points)
    if len(found) == 2:
        assert_close(found, [0.0, apart])
    else:
        assert branch.result == jn.RESULTS.not_refined


class Slow(jn.AbstractSystem):
    """A fold of a fast variable, and a variable that is 1e9 times slower."""

    p: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        fast, slow = y
        return jnp.stack([1e6 * (self.p - fast + fast**3 / 3), 1e-3 * (fast - slow)])


@pytest.mark.slow
def test_time_scales_that_are_far_apart_are_no_crossing():
    branch = jn.continuation(Slow(), P, jnp.zeros(2), SQUARE)
    assert branch.result == SUCCESS
    assert_close(np.sort(valid(branch.folds)), [-2 / 3, 2 / 3])


class RandomNetwork(jn.AbstractSystem):
    """dy/dt = -y + tanh(W y + p b)."""

    p: jn.Parameter = jn.parameter()
    weights: jn.Parameter = jn.parameter()
    b: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return -y + jnp.tanh(self.weights @ y + self.p * self.b)


def random_network(n):
    """With one strong direction, so that the branch has two folds."""
    rng = np.random.default_rng(n)
    b = rng.normal(size=n)
    b = b / np.linalg.norm(b) * n**0.5
    weights = 1.8 * np.outer(b, b) / n + 0.3 * rng.normal(size=(n, n)) / n**0.5
    return RandomNetwork(-2.0, weights, b)


@pytest.mark.slow
@pytest.mark.parametrize("n", [50])
def test_matrix_free_branches_are_the_dense_ones(n):
    system = random_network(n)
    start = jn.fixed_points(system, -jnp.sign(system.b)[None], max_points=1).y[0]
    span = (-2.0, 2.0)
    run = lambda **k: jn.continuation(system, P, start, span, **k)
    dense = run(method=jn.PseudoArclength(300))
    free = run(method=jn.PseudoArclength(300, matrix_free=True))
    assert dense.result == SUCCESS
    assert free.result == SUCCESS
    assert len(valid(dense.folds)) >= 2
    assert_close(valid(free.folds), valid(dense.folds))
    assert_close(valid(free.folds, "coefficient"), valid(dense.folds, "coefficient"), 1e-8)
    some = run(method=jn.PseudoArclength(300), n_eigenvalues=4)
    assert some.result == SUCCESS
    assert some.eigenvalues.shape == (301, 4)
    rows = np.asarray(dense.accepted)
    assert_close(some.eigenvalues.real[rows], dense.eigenvalues.real[rows, :4], 1e-6)
    assert_close(valid(some.folds), valid(dense.folds))
    check_branch(system, P, dense, span)


LONG_STEPS = jn.PseudoArclength(150, max_step=0.03)


@pytest.mark.slow
def test_a_large_network_needs_no_matrix():
    n = 300
    system = random_network(n)
    start = jn.fixed_points(system, -jnp.sign(system.b)[None], max_points=1).y[0]
    branch = jn.continuation(system, P, start, (-2.0, 2.0), method=LONG_STEPS, max_points=2)
    assert branch.result == SUCCESS
    assert branch.eigenvalues.shape == (151, 8)
    assert len(valid(branch.folds)) == 2
    # At a fold of the network the matrix is singular.
    for i in range(2):
        at = eqx.tree_at(P, system, branch.folds.parameter[i])
        values = np.linalg.svd(jn.jacobian(at, branch.folds.y[i]), compute_uv=False)
        assert values[-1] < 1e-8
    check_branch(system, P, branch, (-2.0, 2.0), method=LONG_STEPS)
