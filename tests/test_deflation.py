"""Fixed points beside those that are known, and branches that are not connected."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import jaxnet as jn


SUCCESS = jn.RESULTS.successful
A, THETA = 1.2, 2.8
P = lambda s: s.p


def sigmoid(x):
    return 1 / (1 + np.exp(-A * (x - THETA))) - 1 / (1 + np.exp(A * THETA))


def gain(x):
    s = 1 / (1 + np.exp(-A * (x - THETA)))
    return A * s * (1 - s)


def population_roots(w, u):
    """The three rates, between the turning points of F(w r + u) - r."""
    s = (1 + np.array([-1.0, 1.0]) * np.sqrt(1 - 4 / (A * w))) / 2
    turns = (THETA + np.log(s / (1 - s)) / A - u) / w
    at = lambda r: sigmoid(w * r + u) - r
    edges = [-1.0, *turns, 2.0]
    return [brentq(at, a, b, xtol=1e-14) for a, b in itertools.pairwise(edges)]


ROOTS = population_roots(5.0, 0.5)


class Cubics(jn.AbstractSystem):
    """x' and y' are cubic, each in its own variable."""

    x: jn.Parameter = jn.parameter()
    y: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return {"x": jnp.polyval(self.x, y["x"]), "y": jnp.polyval(self.y, y["y"])}


class Isola(jn.AbstractSystem):
    """x' = -(x + 1 - p / 3) ((x - 2)^2 + p^2 - 1 / 4): a line and, apart, a circle."""

    p: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        return -(y + 1 - self.p / 3) * ((y - 2) ** 2 + self.p**2 - 0.25)


@eqx.filter_jit
def beside(starts, known, u=0.5, w=5.0):
    population = jn.models.RatePopulation(w=w)
    return jn.deflated_fixed_points(population, starts, known, u=u, max_points=4)


def other_roots(values):
    """The two upper rates of the population."""
    w, u = values
    low = jax.lax.stop_gradient(jnp.array([ROOTS[0]]))
    return beside(low + 0.01, low, u, w).y[:2]


# The roots of one population


@pytest.mark.parametrize("which", [0, 1, 2])
def test_the_other_two_roots_are_found_from_beside_a_known_one(which):
    known = jnp.array([ROOTS[which]])
    points = beside(known + 0.01, known)
    assert points.count == 2
    assert points.valid.tolist() == [True, True, False, False]
    assert not points.overflow
    assert points.result == SUCCESS
    others = [r for i, r in enumerate(ROOTS) if i != which]
    np.testing.assert_allclose(points.y[:2], others, rtol=0, atol=1e-12)
    values = [-1 + 5 * gain(5 * r + 0.5) for r in others]
    np.testing.assert_allclose(points.eigenvalues[:2, 0], values, rtol=0, atol=1e-10)
    assert points.stability.stable[:2].tolist() == [v < 0 for v in values]


def test_what_is_known_is_not_found_again():
    starts = jnp.array([ROOTS[0] + 0.01, ROOTS[0] + 1e-6, 0.2])
    points = beside(starts, jnp.array([ROOTS[0], ROOTS[2], ROOTS[0]]))
    assert points.count == 1
    np.testing.assert_allclose(points.y[0], ROOTS[1], rtol=0, atol=1e-12)


def test_where_nothing_is_left_the_result_says_so():
    starts = jnp.array([ROOTS[0] + 0.01, 0.3, 0.7])
    points = beside(starts, jnp.array(ROOTS))
    assert points.count == 0
    assert not jnp.any(points.valid)
    assert points.result == jn.RESULTS.no_fixed_point
    assert jnp.all(jnp.isfinite(points.y))


def test_starts_and_known_points_that_are_nan_are_passed_over():
    nan = jnp.nan
    known = jnp.array([nan, ROOTS[0], nan])
    points = beside(jnp.array([nan, ROOTS[0] + 0.01, jnp.inf]), known)
    assert points.result == SUCCESS
    np.testing.assert_allclose(points.y[:2], ROOTS[1:], rtol=0, atol=1e-12)
    # Nothing known: as `fixed_points`, but that no root is found twice.
    points = beside(jnp.array([0.0, 0.5, 1.0]), jnp.full(3, nan))
    np.testing.assert_allclose(points.y[:3], ROOTS, rtol=0, atol=1e-12)


def test_a_start_that_is_known_leads_on():
    known = jnp.array([ROOTS[0]])
    points = beside(known, known)
    np.testing.assert_allclose(points.y[:2], ROOTS[1:], rtol=0, atol=1e-12)
    assert points.valid.tolist() == [True, True, False, False]


# Many roots


def test_all_roots_of_two_cubics_are_found_from_beside_one():
    x, y = [-1.0, 0.2, 1.1], [-0.7, 0.5, 2.0]
    system = Cubics(-np.poly(x), -np.poly(y))
    grid = np.array(list(itertools.product(x, y)))
    known = {"x": jnp.array([0.2]), "y": jnp.array([0.5])}
    starts = {"x": jnp.array([0.3, -0.9, 1.0]), "y": jnp.array([0.6, -0.6, 1.9])}
    points = jn.deflated_fixed_points(system, starts, known, max_points=9)
    assert points.count == 8
    assert points.valid.tolist() == [True] * 8 + [False]
    found = np.stack([points.y["x"], points.y["y"]], axis=1)[:8]
    # Roots with one x are in the order of their rounding.
    found = found[np.lexsort(np.round(found.T[::-1], 6))]
    expected = np.array([r for r in grid if tuple(r) != (0.2, 0.5)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


def test_no_more_are_searched_for_than_asked():
    known = jnp.array([ROOTS[0]])
    population = jn.models.RatePopulation(w=5.0)
    points = jn.deflated_fixed_points(population, known + 0.01, known, u=0.5, max_points=1)
    assert points.valid.tolist() == [True]
    assert not points.overflow
    assert np.abs(np.array(ROOTS[1:]) - float(points.y[0])).min() < 1e-12


# Derivatives and batches


def test_what_is_found_has_the_derivatives_of_the_implicit_function():
    values = jnp.array([5.0, 0.5])
    both = jax.jit(lambda v: (jax.jacfwd(other_roots)(v), jax.jacrev(other_roots)(v)))
    forward, reverse = both(values)
    r = np.array(ROOTS[1:])
    slope = gain(5 * r + 0.5)
    expected = np.stack([slope * r, slope], axis=1) / (1 - 5 * slope)[:, None]
    np.testing.assert_allclose(forward, expected, rtol=1e-9)
    np.testing.assert_allclose(reverse, expected, rtol=1e-9)
    h = 1e-5
    difference = [
        (other_roots(values + step) - other_roots(values - step)) / (2 * h)
        for step in h * jnp.eye(2)
    ]
    np.testing.assert_allclose(forward, np.transpose(difference), rtol=1e-6)


def test_a_bad_element_of_a_batch_leaves_the_others_right():
    inputs = jnp.array([0.5, jnp.nan, 0.3])
    known = jnp.array([[ROOTS[0]], [0.0], [population_roots(5.0, 0.3)[0]]])
    points = jax.jit(jax.vmap(beside))(known + 0.01, known, inputs)
    assert points.count.tolist() == [2, 0, 2]
    assert (points.result == SUCCESS).tolist() == [True, False, True]
    np.testing.assert_allclose(points.y[0, :2], ROOTS[1:], rtol=0, atol=1e-12)
    expected = population_roots(5.0, 0.3)[1:]
    np.testing.assert_allclose(points.y[2, :2], expected, rtol=0, atol=1e-12)
    assert jnp.all(jnp.isnan(points.y[1]))


# Bad input


@pytest.mark.parametrize("name", ["max_points", "max_steps"])
def test_a_count_below_one_is_named(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1"):
        jn.deflated_fixed_points(
            jn.models.RatePopulation(), jnp.zeros(1), jnp.zeros(1), **{name: 0}
        )


@pytest.mark.parametrize(
    ("starts", "known", "words"),
    [
        (0.1, jnp.zeros(1), "`starts` must have a leading axis"),
        (jnp.zeros(1), 0.1, "`known` must have a leading axis"),
        (jnp.zeros(1), jnp.zeros((2, 3)), r"`known\[0\]`"),
        (jnp.full(2, jnp.nan), jnp.zeros(1), "no finite start"),
    ],
)
def test_bad_states_are_named(starts, known, words):
    with pytest.raises(ValueError, match=words):
        jn.deflated_fixed_points(jn.models.RatePopulation(), starts, known)


# Branches that are not connected


def follow(y):
    method = jn.PseudoArclength(300, max_step=0.03)
    return jn.continuation(Isola(), P, y, (-1.0, 1.0), method=method)


@pytest.fixture(scope="module")
def line():
    return follow(-1.0)


@pytest.fixture(scope="module")
def circle():
    return follow(2.5)


def test_a_branch_that_is_not_connected_is_found_and_followed(line):
    assert line.result == SUCCESS
    on_line = np.asarray(line.y - (line.parameter / 3 - 1))
    np.testing.assert_allclose(on_line, 0.0, rtol=0, atol=1e-9)
    known = line.crossings(0.0)
    others = jn.deflated_fixed_points(Isola(), line.y, known, max_points=4)
    assert others.count == 2
    np.testing.assert_allclose(others.y[:2], [1.5, 2.5], rtol=0, atol=1e-10)
    second = follow(others.y[0])
    assert second.result == SUCCESS
    assert second.closed
    radius = (second.y - 2) ** 2 + second.parameter**2
    np.testing.assert_allclose(radius, 0.25, rtol=0, atol=1e-10)
    folds = np.sort(second.folds.parameter[second.folds.valid])
    np.testing.assert_allclose(folds, [-0.5, 0.5], rtol=0, atol=1e-9)


# Where a branch passes a value of its parameter


@pytest.mark.parametrize("p", [-0.45, 0.0, 0.3])
def test_a_circle_passes_a_value_on_both_sides(circle, p):
    y = np.asarray(circle.crossings(p))
    assert y.shape == (300,)
    height = (0.25 - p**2) ** 0.5
    # A chord is off by the square of its length, over eight times the radius.
    passes = np.sort(y[np.isfinite(y)])
    np.testing.assert_allclose(passes, [2 - height, 2 + height], rtol=0, atol=2e-3)


def test_crossings_lie_on_the_chords_between_rows(circle):
    p, y = np.asarray(circle.parameter), np.asarray(circle.y)
    at = np.asarray(circle.crossings(0.3))
    (rows,) = np.nonzero(np.isfinite(at))
    for k in rows:
        ends = np.argsort(p[k : k + 2]) + k
        assert p[ends[0]] <= 0.3 < p[ends[1]]
        assert at[k] == pytest.approx(np.interp(0.3, p[ends], y[ends]), rel=1e-12)


@pytest.mark.parametrize("p", [-0.6, 0.6])
def test_a_value_that_is_not_passed_has_no_crossing(circle, p):
    assert jnp.all(jnp.isnan(circle.crossings(p)))


def test_a_value_of_a_row_is_passed_once(line):
    (rows,) = np.nonzero(line.accepted)
    for k in rows[1:6]:
        y = np.asarray(line.crossings(line.parameter[k]))
        assert np.isfinite(y).sum() == 1
        assert np.nanmin(np.abs(y - line.y[k])) < 1e-12


@pytest.mark.parametrize("p", [-1.0, 1.0])
def test_the_ends_of_the_span_are_passed(line, p):
    y = np.asarray(line.crossings(p))
    np.testing.assert_allclose(y[np.isfinite(y)], [p / 3 - 1], rtol=0, atol=1e-9)


def test_crossings_of_a_state_that_is_a_tree_have_its_structure(circle):
    double = jnp.stack([circle.y, -circle.y], axis=1)
    tree = eqx.tree_at(lambda b: b.y, circle, {"a": circle.y, "b": double})
    crossings = tree.crossings(0.3)
    y = circle.crossings(0.3)
    np.testing.assert_array_equal(crossings["a"], y)
    np.testing.assert_array_equal(crossings["b"], np.stack([y, -y], axis=1))


def test_crossings_can_be_batched_and_compiled(circle):
    at = jax.jit(jax.vmap(circle.crossings))(jnp.array([0.3, 0.6]))
    np.testing.assert_array_equal(at[0], circle.crossings(0.3))
    assert jnp.all(jnp.isnan(at[1]))


def test_crossings_are_differentiated_along_the_branch(line):
    slope = jax.jit(jax.grad(lambda p: jnp.nansum(line.crossings(p))))(0.36)
    assert slope == pytest.approx(1 / 3, rel=1e-9)
