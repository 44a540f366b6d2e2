"""A small pass in float32: the same answers to its precision, and no other dtype."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


@pytest.fixture(autouse=True)
def single_precision():
    with jax.enable_x64(False):
        yield


def sigmoid(x, a=1.2, theta=2.8):
    return 1 / (1 + np.exp(-a * (x - theta))) - 1 / (1 + np.exp(a * theta))


def assert_single(tree):
    """Every floating-point leaf has single precision, and there is one at least."""
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    assert len(leaves) > 0
    assert {leaf.dtype.name for leaf in leaves} <= {"float32", "complex64"}


def bistable_points(u=0.5):
    population = jn.models.RatePopulation(w=5.0)
    return jn.fixed_points(population, jnp.linspace(0, 1, 17), u=u, max_points=4)


def test_models_are_made_in_single_precision():
    assert_single(jn.models.RatePopulation(w=np.float64(5.0)))
    assert_single(jn.models.WilsonCowan())
    assert_single(jn.models.RateNetwork(weights=np.eye(3), tau=np.ones(3)))
    assert_single(jn.inputs.Constant(np.float64(0.5)))


def test_roots_of_the_bistable_population():
    points = bistable_points()
    assert_single(points)
    assert points.count == 3
    assert points.result == jn.RESULTS.successful
    roots = [0.0415366990, 0.4471192241, 0.8997171539]
    np.testing.assert_allclose(points.y[:3], roots, rtol=0, atol=1e-5)
    values = [-0.5832098636, 0.4977623836, -0.6264225077]
    np.testing.assert_allclose(points.eigenvalues[:3, 0], values, rtol=0, atol=1e-5)
    assert points.stability.stable[:3].tolist() == [True, False, True]


def test_wilson_cowan_has_three_points():
    points = jn.fixed_points(jn.models.WilsonCowan(), jn.lattice((0, 0), (1, 1), 11))
    assert_single(points)
    assert points.count == 3
    known = [[0, 0], [0.336852, 0.168420], [0.938430, 0.672481]]
    np.testing.assert_allclose(points.y[:3], known, rtol=0, atol=1e-5)
    values = [[-0.6234 + 0.1311j, -0.6234 - 0.1311j], [1.0572, -0.8727], [-0.9596, -1.4220]]
    np.testing.assert_allclose(points.eigenvalues[:3], values, rtol=0, atol=1e-4)


def test_jacobian_and_eigenvalues_of_a_random_system():
    weights = np.random.default_rng(2).normal(size=(5, 5)) / np.sqrt(5)
    network = jn.models.RateNetwork(weights=weights)
    matrix = jn.jacobian(network, jnp.zeros(5))
    values = jn.eigenvalues(network, jnp.zeros(5))
    assert_single((matrix, values))
    np.testing.assert_allclose(matrix, weights - np.eye(5), rtol=0, atol=1e-6)
    expected = np.linalg.eigvals(weights - np.eye(5))
    expected = expected[np.lexsort((-expected.imag, -expected.real))]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5)


def test_grid_is_the_euler_recurrence():
    population = jn.models.RatePopulation(w=5.0)
    solution = jn.simulate(population, 0.3, t1=10.0, u=0.5, method=jn.Grid(0.1))
    assert_single(solution)
    expected = [0.3]
    for _ in range(100):
        r = expected[-1]
        expected.append(r + 0.1 * (-r + sigmoid(5 * r + 0.5)))
    assert solution.ys.shape == (101,)
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(solution.ts, 0.1 * np.arange(101), rtol=1e-6)


def test_adaptive_steps_follow_the_closed_form():
    population = jn.models.RatePopulation(w=0.0, tau=2.0)
    solution = jn.simulate(population, 0.9, t1=10.0, u=2.0)
    assert_single(solution)
    assert solution.result == jn.RESULTS.successful
    rest = sigmoid(2.0)
    expected = 0.9 + (rest - 0.9) * (1 - np.exp(-np.linspace(0, 10, 201) / 2))
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("jacobian", [jax.jacfwd, jax.jacrev])
def test_derivatives_of_the_root_and_of_its_eigenvalue(jacobian):
    def low(u):
        points = bistable_points(u)
        return jnp.stack([points.y[0], points.eigenvalues[0, 0].real])

    got = jax.jit(jacobian(low))(0.5)
    assert_single(got)
    s = 1 / (1 + np.exp(-1.2 * (5 * 0.0415366990 + 0.5 - 2.8)))
    slope, bend = 1.2 * s * (1 - s), 1.2**2 * s * (1 - s) * (1 - 2 * s)
    by_input = slope / (1 - 5 * slope)
    expected = [by_input, 5 * bend * (1 + 5 * by_input)]
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_the_tolerances_are_those_of_the_dtype():
    with jax.enable_x64(False):
        grid = jnp.meshgrid(jnp.linspace(1, 7, 200), jnp.linspace(0, 3, 200), indexing="ij")
        search = lambda w, u: (
            jn.fixed_points(
                jn.models.RatePopulation(w=w), jnp.linspace(0, 1, 17), u=u
            ).count
        )
        count = jax.jit(jax.vmap(search))(*(m.ravel() for m in grid))
        run = jn.simulate(jn.models.RatePopulation(w=5.0), 0.2, t1=20.0, u=0.5)
    # One cell lies 2.4e-7 inside a fold, below the resolution of the input.
    assert np.bincount(np.asarray(count), minlength=4)[[0, 3]].tolist() in (
        [0, 4004],
        [0, 4005],
    )
    assert int(run.stats["num_steps"]) < 40


def test_a_run_can_be_taken_up_where_it_ended():
    with jax.enable_x64(False):
        population, method = jn.models.RatePopulation(), jn.Grid(0.1)
        first = jn.simulate(population, 0.2, t1=20.1, method=method)
        second = jn.simulate(
            population, first.ys[-1], t0=first.ts[-1], t1=40.2, method=method
        )
    assert second.stats["num_steps"] == 201
