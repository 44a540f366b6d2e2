"""Slow points: ghosts and lines that are known, and least squares by another method."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import jaxnet as jn


SUCCESS = jn.RESULTS.successful
A, THETA = 1.2, 2.8


class Ghost(jn.AbstractSystem):
    """x' = p + x^2, and z' = k (b x - z): for p > 0 nothing rests, and x is slow near 0."""

    p: jn.Parameter = jn.parameter(0.01)
    b: jn.Parameter = jn.parameter(0.5)
    k: jn.Parameter = jn.parameter(1.0)

    def vector_field(self, t, y, u):
        x, z = y
        return jnp.stack([self.p + x**2, self.k * (self.b * x - z)])


class Line(jn.AbstractSystem):
    """x' = drift, and z' = bend x^2 - z: the line z = bend x^2, at any x, is slow."""

    drift: jn.Parameter = jn.parameter(1e-4)
    bend: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        x, z = y
        return jnp.stack([self.drift, self.bend * x**2 - z])


class Tree(jn.AbstractSystem):
    """The line with its two variables apart."""

    def vector_field(self, t, y, u):
        return {"x": 1e-4 + 0 * y["x"], "z": y["x"] - y["z"]}


@eqx.filter_jit
def compiled(system, starts, settings, u):
    return jn.slow_points(system, starts, **settings, u=u)


def search(system, starts, slow_rate=0.1, max_speed=0.02, separation=0.01, u=None):
    settings = {"slow_rate": slow_rate, "max_speed": max_speed, "separation": separation}
    # As arrays, so that one compilation is for all values.
    settings = {name: jnp.asarray(value, float) for name, value in settings.items()}
    return compiled(system, starts, settings, u)


def rows(*states):
    """Starts, repeated such that there are always 8: a search is compiled once."""
    return jnp.asarray(np.resize(np.array(states, float), (8, 2)))


def weights_of_a_network(n=6, gain=1.5):
    rng = np.random.default_rng(4)
    return gain * rng.normal(size=(n, n)) / np.sqrt(n), rng.normal(size=n)


# Ghosts


def population_ghost(w, u):
    """The state at which -r + F(w r + u) is nearest to zero, and its speed there.

    Where w F' = 1: with s = F + c the two solutions of w a s (1 - s) = 1.
    """
    c = 1 / (1 + np.exp(A * THETA))
    s = (1 - np.sqrt(1 - 4 / (A * w))) / 2
    r = (THETA + np.log(s / (1 - s)) / A - u) / w
    return r, abs(s - c - r)


def test_ghost_of_a_fold_is_found_with_its_speed():
    # The fold is at 0.81376: a little above it nothing rests near it.
    r, speed = population_ghost(5.0, 0.82)
    starts = jnp.array([0.05, 0.13, 0.25])
    points = search(jn.models.RatePopulation(w=5.0), starts, 0.02, 0.02, u=0.82)
    assert points.result == SUCCESS
    assert points.valid.tolist() == [True] * 3
    assert 1e-3 < speed < 2e-2
    # A descent ends where |J f| is below a tenth of the slow rate times |f|: |J| < 0.002.
    assert np.all(np.abs(points.eigenvalues[:, 0]) < 0.0021)
    curvature = 5 * A * (1 - 2 * (r + 1 / (1 + np.exp(A * THETA))))
    np.testing.assert_allclose(points.y, r, rtol=0, atol=0.0021 / curvature * 1.5)
    np.testing.assert_allclose(points.speed, speed, rtol=1e-3)
    assert points.distinct.tolist() == [True, False, False]


@pytest.mark.parametrize("p", [1e-4, 1e-2])
def test_speed_at_a_ghost_is_the_distance_to_the_fold(p):
    starts = rows([-0.5, 0.3], [0.1, -1.0], [0.4, 0.0], [0.0, 0.0])
    points = search(Ghost(p=p), starts, 0.05, 2 * p)
    assert jnp.all(points.valid)
    # |2 x| is below a tenth of the slow rate there, and z has gone to b x.
    assert np.all(np.abs(points.y[:, 0]) < 0.003)
    np.testing.assert_allclose(points.speed, p, rtol=0.02, atol=7e-6)
    np.testing.assert_allclose(points.jacobian[:, 1], [[0.5, -1.0]] * 8, atol=1e-12)


def test_ghost_that_is_too_fast_is_not_valid():
    points = search(Ghost(p=0.03), rows([0.1, 0.0], [-0.1, 0.0]), 0.1, 0.02)
    assert not jnp.any(points.valid)
    assert not jnp.any(points.distinct)
    assert points.result == jn.RESULTS.no_slow_point
    np.testing.assert_allclose(points.speed, 0.03, rtol=0.05)


# Lines


@pytest.mark.parametrize("bend", [0.0, 0.4])
def test_line_of_slow_points_is_covered_and_not_slid_along(bend):
    x = jnp.linspace(-1.0, 1.0, 21)
    starts = jnp.stack([x, 0.3 + 0 * x], axis=1)
    points = search(Line(bend=bend), starts, 0.1, 1e-3)
    assert jnp.all(points.valid)
    where, z = np.asarray(points.y).T
    np.testing.assert_allclose(z, bend * where**2, rtol=0, atol=1e-4)
    if bend == 0:
        # A step along the line is at most the drift over the slow rate.
        np.testing.assert_allclose(where, x, rtol=0, atol=1e-6)
    else:
        # Least squares moves at a right angle to the line, from within 0.7 of it.
        assert np.all(np.abs(where - x) < 0.3)
    np.testing.assert_allclose(points.speed, 1e-4, rtol=0.05)
    slow = np.abs(points.eigenvalues[:, 0])
    np.testing.assert_allclose(slow, 0.0, atol=1e-12)
    np.testing.assert_allclose(points.eigenvalues[:, 1], -1.0, atol=1e-12)
    # A rate of zero is slow.
    assert jnp.all(points.stability.kind == jn.EQUILIBRIUM.nonhyperbolic)


@pytest.mark.parametrize("separation", [0.05, 0.11, 0.35])
def test_distinct_points_cover_a_line_at_the_separation(separation):
    x = jnp.linspace(-1.0, 1.0, 21)
    points = search(Line(), jnp.stack([x, x], axis=1), 0.1, 1e-3, separation)
    assert jnp.all(points.valid)
    chosen = np.asarray(points.y[points.distinct, 0])
    gaps = np.diff(np.sort(chosen))
    every = int(np.floor(separation / 0.1)) + 1
    np.testing.assert_allclose(chosen, np.asarray(x)[::every], rtol=0, atol=1e-6)
    assert np.all(gaps > separation)
    # And none of the others is farther from them all.
    apart = np.abs(np.asarray(points.y[:, :1]) - chosen)
    assert np.all(apart.min(axis=1) <= separation)


# Fixed points


def test_fixed_points_of_wilson_and_cowan_are_slow_points():
    starts = rows([0.01, 0.02], [0.93, 0.67], [0.34, 0.17], [1.0, 0.6])
    points = search(jn.models.WilsonCowan(), starts, 0.05, 1e-3)
    known = [[0, 0], [0.938430, 0.672481], [0.336852, 0.168420], [0.938430, 0.672481]]
    np.testing.assert_allclose(points.y[:4], known, rtol=0, atol=1e-6)
    assert jnp.all(points.valid)
    assert points.distinct.tolist() == 3 * [True] + 5 * [False]
    stable = points.stability.stable[:4].tolist()
    assert stable == [True, True, False, True]


def test_fixed_point_of_a_network_is_a_slow_point():
    W, b = weights_of_a_network(20, 0.5)
    network = jn.models.RateNetwork(W, 1.0, jn.transfer.Tanh(theta=b))
    points = search(network, jnp.ones((2, 20)))
    root = scipy.optimize.fsolve(lambda y: -y + np.tanh(W @ y - b), np.zeros(20))
    np.testing.assert_allclose(points.y, [root, root], rtol=0, atol=1e-7)
    assert points.valid.tolist() == [True, True]
    assert points.distinct.tolist() == [True, False]
    assert jnp.all(points.steps < 50)


# Another method


def test_slow_points_are_the_minima_of_another_method():
    # With a slow rate that is nearly zero, a slow point is a minimum of |f|^2.
    W, b = weights_of_a_network()
    network = jn.models.RateNetwork(W, 1.0, jn.transfer.Tanh(theta=b))
    # As its equation stands in the docstring, in numpy.
    theirs = lambda y: -y + np.tanh(W @ y - b)
    starts = np.random.default_rng(5).normal(size=(8, 6))
    points = search(network, jnp.asarray(starts), 1e-4, 10.0)
    ends = [
        scipy.optimize.least_squares(theirs, y, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        for y in np.asarray(points.y) + 1e-3
    ]
    speeds = np.array([np.linalg.norm(end.fun) for end in ends])
    np.testing.assert_allclose(points.speed, speeds, rtol=1e-4, atol=1e-6)
    for y, end in zip(np.asarray(points.y), ends, strict=True):
        np.testing.assert_allclose(y, end.x, rtol=0, atol=2e-3)


def test_jacobian_and_eigenvalues_are_those_of_numpy():
    W, b = weights_of_a_network()
    network = jn.models.RateNetwork(W, 2.0, jn.transfer.Tanh(theta=b))
    points = search(network, jnp.zeros((8, 6)), 0.05, 10.0)
    y = np.asarray(points.y[0])
    slope = 1 - np.tanh(W @ y - b) ** 2
    expected = (-np.eye(6) + slope[:, None] * W) / 2
    np.testing.assert_allclose(points.jacobian[0], expected, rtol=0, atol=1e-12)
    values = np.linalg.eigvals(expected)
    values = values[np.lexsort((-values.imag, -values.real))]
    np.testing.assert_allclose(points.eigenvalues[0], values, rtol=0, atol=1e-10)
    speed = np.linalg.norm(-y + np.tanh(W @ y - b)) / 2
    np.testing.assert_allclose(points.speed[0], speed, rtol=1e-9, atol=1e-15)


# What comes back


def test_rates_below_the_slow_rate_count_as_zero():
    # The rate along x is 2 x.
    points = search(Ghost(p=1e-3), rows([0.2, 0.0]), 0.1, 0.02)
    assert jnp.all(points.valid)
    assert jnp.all(jnp.abs(points.eigenvalues[:, 0]) < 0.1)
    assert jnp.all(points.stability.kind == jn.EQUILIBRIUM.nonhyperbolic)
    assert not jnp.any(points.stability.stable)


def test_few_steps_do_not_suffice():
    points = jn.slow_points(
        Ghost(), jnp.array([[3.0, 0.0]]), slow_rate=0.1, max_speed=0.02, max_steps=1
    )
    assert points.steps.tolist() == [1]
    assert points.valid.tolist() == [False]
    assert points.result == jn.RESULTS.no_slow_point


def test_starts_that_are_nan_lead_to_none():
    x = jnp.linspace(-1.0, 1.0, 21).at[3].set(jnp.nan).at[5].set(jnp.inf)
    points = search(Line(), jnp.stack([x, 0 * x + 0.3], axis=1))
    finite = np.isfinite(x)
    assert points.valid.tolist() == finite.tolist()
    assert points.distinct.tolist() == finite.tolist()
    assert points.result == SUCCESS


def test_states_may_be_trees():
    x = jnp.linspace(-1.0, 1.0, 5)
    points = search(Tree(), {"x": x, "z": jnp.zeros(5)})
    assert jnp.all(points.valid)
    np.testing.assert_allclose(points.y["z"], points.y["x"], rtol=0, atol=2e-4)
    assert points.jacobian.shape == (5, 2, 2)


def test_an_input_that_varies_is_frozen_at_the_time():
    population = jn.models.RatePopulation(w=5.0)
    find = lambda **time: jn.slow_points(
        population,
        jnp.array([0.1]),
        slow_rate=0.02,
        max_speed=0.02,
        u=lambda t: 0.082 * t,
        **time,
    )
    _, speed = population_ghost(5.0, 0.82)
    np.testing.assert_allclose(find(t=10.0).speed, speed, rtol=1e-3)
    with pytest.raises(ValueError, match=r"Pass `t=`"):
        find()


def test_a_bad_element_of_a_batch_leaves_the_others_right():
    starts = jnp.array([[0.05, 0.0], [0.2, 0.1]])

    def find(p):
        return jn.slow_points(Ghost(p=p), starts, slow_rate=0.05, max_speed=0.02)

    points = jax.jit(jax.vmap(find))(jnp.array([0.01, jnp.nan, 0.005]))
    assert (points.result == SUCCESS).tolist() == [True, False, True]
    assert (points.result == jn.RESULTS.nan_input).tolist() == [False, True, False]
    assert points.valid.all(axis=1).tolist() == [True, False, True]
    np.testing.assert_allclose(points.speed[::2, 0], [0.01, 0.005], rtol=0.02)
    assert jnp.all(jnp.isnan(points.y[1]))
    assert jnp.all(jnp.isnan(points.speed[1]))


def test_eigenvalues_are_differentiated_at_the_points_as_they_are():
    def second_rate(b):
        found = search(Ghost(k=b), rows([0.1, 0.0]), 0.05, 0.02)
        return found.eigenvalues[0, 1].real, found.y

    (value, _), (slope, moved) = jax.jvp(second_rate, (2.0,), (1.0,))
    assert value == pytest.approx(-2.0, abs=1e-9)
    h = 1e-4
    difference = (second_rate(2.0 + h)[0] - second_rate(2.0 - h)[0]) / (2 * h)
    np.testing.assert_allclose(slope, difference, rtol=1e-5)
    np.testing.assert_array_equal(moved, 0.0)


@pytest.mark.parametrize("name", ["slow_rate", "max_speed", "separation", "max_steps"])
@pytest.mark.parametrize("value", [0, -1])
def test_values_that_are_not_positive_are_named(name, value):
    settings = {"slow_rate": 0.1, "max_speed": 0.1} | {name: value}
    with pytest.raises(ValueError, match=f"`{name}` must be positive"):
        jn.slow_points(Ghost(), jnp.zeros((1, 2)), **settings)


@pytest.mark.parametrize(
    ("starts", "words"),
    [
        (jnp.zeros(2), "states|shape|leading"),
        (jnp.zeros((3, 3)), "Ghost"),
        (jnp.full((2, 2), jnp.nan), "no finite start"),
    ],
)
def test_bad_starts_are_named(starts, words, unchecked_shapes):
    with pytest.raises(ValueError, match=words):
        jn.slow_points(Ghost(), starts, slow_rate=0.1, max_speed=0.1)
