"""Linearisation: Jacobians, eigenvalues and kinds of fixed points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import eig

import jaxnet as jn


KINDS = jn.EQUILIBRIUM


class Linear(jn.AbstractSystem):
    """dy/dt = A y + u."""

    matrix: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return self.matrix @ y + (0.0 if u is None else u)


@jax.jit
def spectrum(matrix):
    """The eigenvalues of a linear system."""
    return jn.eigenvalues(Linear(matrix), jnp.zeros(matrix.shape[0]))


def in_order(values):
    """By falling real part; the upper one of a pair first."""
    return values[np.lexsort((-values.imag, -values.real))]


def random_matrix(n, seed=0):
    return np.random.default_rng([n, seed]).normal(size=(n, n)) / np.sqrt(n)


def sigmoid(x, a=1.2, theta=2.8):
    return 1 / (1 + np.exp(-a * (x - theta)))


def gain(x, a=1.2, theta=2.8):
    s = sigmoid(x, a, theta)
    return a * s * (1 - s)


# Jacobians


@pytest.mark.parametrize("r", [-0.2, 0.04, 0.45, 0.9])
def test_jacobian_of_a_population_is_its_formula(r):
    population = jn.models.RatePopulation(w=5.0, tau=2.0)
    got = jn.jacobian(population, r, u=0.5)
    assert got.shape == (1, 1)
    np.testing.assert_allclose(got, [[(-1 + 5 * gain(5 * r + 0.5)) / 2]], rtol=1e-12)


def test_jacobian_of_wilson_cowan_is_its_formula():
    r_e, r_i = 0.3, 0.2
    to_e = gain(9 * r_e - 4 * r_i + 0.1)
    to_i = gain(13 * r_e - 11 * r_i - 0.2, 1.0, 4.0)
    expected = [[-1 + 9 * to_e, -4 * to_e], [13 * to_i / 2, (-1 - 11 * to_i) / 2]]
    got = jn.jacobian(jn.models.WilsonCowan(), (r_e, r_i), u=(0.1, -0.2))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_jacobian_of_a_network_is_its_formula():
    weights, tau = random_matrix(6), np.linspace(1.0, 4.0, 6)
    y = np.linspace(-0.5, 0.7, 6)
    network = jn.models.RateNetwork(weights=weights, tau=tau)
    slopes = 1 / np.cosh(weights @ y + 0.3) ** 2
    expected = (-np.eye(6) + slopes[:, None] * weights) / tau[:, None]
    got = jn.jacobian(network, y, u=0.3)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-14)


def test_jacobian_of_a_tree_has_its_leaves_one_after_the_other():
    class Tree(jn.AbstractSystem):
        def vector_field(self, t, y, u):
            a, b = y["a"], y["b"]
            return {"a": a * b[0] + 3 * b[1], "b": jnp.stack([a**2, b[0] * b[1]])}

    got = jn.jacobian(Tree(), {"a": 2.0, "b": np.array([5.0, 7.0])})
    np.testing.assert_allclose(got, [[5, 2, 3], [4, 0, 0], [0, 7, 5]], rtol=1e-14)


def test_jacobian_is_that_of_the_flow_of_a_driven_and_noisy_system():
    population = jn.models.RatePopulation(w=5.0)
    expected = -1 + 5 * gain(5 * 0.4 + 0.5)
    for system in (
        jn.Driven(population, 0.5),
        jn.Noisy(jn.Driven(population, 0.5), jnp.asarray(0.3)),
        jn.Driven(jn.Noisy(population, jnp.asarray(0.3)), 0.5),
    ):
        np.testing.assert_allclose(jn.jacobian(system, 0.4), expected, rtol=1e-12)


def test_an_input_that_varies_needs_a_time():
    population, ramp = jn.models.RatePopulation(w=5.0), lambda t: 0.1 * t
    for verb in (jn.jacobian, jn.eigenvalues, jn.stability):
        with pytest.raises(ValueError, match=r"Pass `t=`"):
            verb(population, 0.4, u=ramp)
    got = jn.jacobian(population, 0.4, u=ramp, t=5.0)
    np.testing.assert_allclose(got, -1 + 5 * gain(5 * 0.4 + 0.5), rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match=r"`y.*` is NaN or infinite"):
        jn.jacobian(jn.models.WilsonCowan(), np.array([0.1, bad]))


def test_a_bad_element_leaves_the_others_right():
    r, tau = jnp.array([0.4, jnp.nan, 0.4]), jnp.array([2.0, 2.0, -2.0])

    def values(r, tau):
        system = jn.models.RatePopulation(w=5.0, tau=tau)
        return jn.jacobian(system, r)[0, 0], jn.eigenvalues(system, r)[0].real

    expected = (-1 + 5 * gain(5 * 0.4)) / 2
    for got in jax.vmap(values)(r, tau):
        np.testing.assert_allclose(got, [expected, np.nan, np.nan], rtol=1e-12)


# Eigenvalues


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_eigenvalues_are_those_of_numpy_in_order(n):
    for seed in range(4):
        matrix = random_matrix(n, seed)
        got = np.asarray(spectrum(matrix))
        expected = in_order(np.linalg.eigvals(matrix).astype(complex))
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
        assert np.all(np.diff(got.real) <= 0)
        is_pair = np.abs(got[:-1] - np.conj(got[1:])) < 1e-12
        assert np.all(got.imag[:-1][is_pair] >= 0)


def test_eigenvalues_of_two_by_two_matrices_are_those_of_numpy():
    matrices = np.random.default_rng(1).normal(size=(500, 2, 2))
    got = np.asarray(jax.jit(jax.vmap(spectrum))(matrices))
    expected = np.array([in_order(v) for v in np.linalg.eigvals(matrices) + 0j])
    # Near a double eigenvalue it moves as the square root of the rounding.
    gap = np.abs(expected[:, 0] - expected[:, 1])
    error = np.abs(got - expected).max(axis=1)
    assert np.all(error < 1e-14 * (1 + 1 / gap) * 10)
    assert 0.2 < np.mean(expected[:, 0].imag > 0) < 0.8


@pytest.mark.parametrize(
    ("matrix", "values"),
    [
        ([[0, 1], [-4, 0]], [2j, -2j]),
        ([[-1, 2], [-2, -1]], [-1 + 2j, -1 - 2j]),
        ([[3, 0], [0, -5]], [3, -5]),
        ([[-5, 0], [0, 3]], [3, -5]),
        ([[0, 3], [3, 0]], [3, -3]),
        ([[-2, 0], [0, -2]], [-2, -2]),
        ([[-2, 1], [0, -2]], [-2, -2]),
        ([[1, 1], [-1, -1]], [0, 0]),
        ([[0, 0], [0, 0]], [0, 0]),
    ],
)
def test_two_by_two_cases_are_exact(matrix, values):
    np.testing.assert_array_equal(spectrum(np.array(matrix, float)), np.array(values) + 0j)


@pytest.mark.parametrize("n", [2, 3])
def test_derivatives_of_eigenvalues_are_those_of_perturbation_theory(n):
    matrix = random_matrix(n, seed=3)
    values, left, right = eig(matrix, left=True, right=True)
    # d lambda / d A_ij = conj(w_i) v_j / (w^H v)
    derivative = np.stack(
        [
            np.outer(w.conj(), v) / (w.conj() @ v)
            for w, v in zip(left.T, right.T, strict=True)
        ]
    )
    derivative = derivative[np.lexsort((-values.imag, -values.real))]

    def parts(matrix):
        values = spectrum(matrix)
        return jnp.stack([values.real, values.imag])

    expected = np.stack([derivative.real, derivative.imag])
    for jacobian in (jax.jacfwd, jax.jacrev):
        got = jax.jit(jacobian(parts))(matrix)
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("matrix", [[[-2, 0], [0, -2]], [[-2, 1], [0, -2]]])
@pytest.mark.parametrize("jacobian", [jax.jacfwd, jax.jacrev])
def test_gradient_at_a_double_eigenvalue_is_that_of_the_mean(matrix, jacobian):
    parts = lambda m: jnp.stack([spectrum(m).real, spectrum(m).imag])
    got = jax.jit(jacobian(parts))(jnp.array(matrix, float))
    np.testing.assert_array_equal(got[0], [np.eye(2) / 2] * 2)
    np.testing.assert_array_equal(got[1], np.zeros((2, 2, 2)))


# Kinds


CASES = [
    ([-0.5], "node", True),
    ([0.5], "node", False),
    ([-0.5, -2.0], "node", True),
    ([2.0, 0.5], "node", False),
    ([-1 + 2j, -1 - 2j], "focus", True),
    ([1 + 2j, 1 - 2j], "focus", False),
    ([-0.1, -1 + 2j, -1 - 2j], "focus", True),
    ([0.5, -2.0], "saddle", False),
    ([0.5, -1 + 2j, -1 - 2j], "saddle", False),
    ([1 + 2j, 1 - 2j, -0.5], "saddle", False),
    ([3j, -3j], "centre", False),
    ([3j, 2j, -2j, -3j], "centre", False),
    ([0.0], "nonhyperbolic", False),
    ([0.0, -1.0], "nonhyperbolic", False),
    ([1.0, 0.0], "nonhyperbolic", False),
    ([1.0, 0.0, -1.0], "nonhyperbolic", False),
    ([0.0, 0.0], "nonhyperbolic", False),
    ([3j, -3j, -1.0], "nonhyperbolic", False),
    ([3j, 0.0, -3j], "nonhyperbolic", False),
    # By default what is below 1.5e-8 counts as zero.
    ([-1e-9], "nonhyperbolic", False),
    ([1e-9], "nonhyperbolic", False),
    ([-1e-7], "node", True),
    ([-1 + 1e-9j, -1 - 1e-9j], "node", True),
    ([-1 + 1e-7j, -1 - 1e-7j], "focus", True),
    ([-1e-9 + 3j, -1e-9 - 3j], "centre", False),
]


@pytest.mark.parametrize(("values", "kind", "stable"), CASES)
def test_kind_follows_from_the_eigenvalues(values, kind, stable):
    got = jn.classify(jnp.array(values, complex))
    assert got.kind == getattr(KINDS, kind)
    assert bool(got.stable) is stable
    np.testing.assert_array_equal(got.eigenvalues, np.array(values, complex))
    named = kind in ("node", "focus")
    prefix = ("stable " if stable else "unstable ") if named else ""
    assert str(got) == prefix + kind


@pytest.mark.parametrize("n", [1, 2, 3])
def test_kinds_of_a_batch_are_those_of_its_elements(n):
    cases = [case for case in CASES if len(case[0]) == n]
    batch = jax.vmap(jn.classify)(jnp.array([values for values, _, _ in cases], complex))
    assert batch.stable.tolist() == [stable for _, _, stable in cases]
    for name in ("node", "focus", "saddle", "centre", "nonhyperbolic"):
        expected = [kind == name for _, kind, _ in cases]
        assert (batch.kind == getattr(KINDS, name)).tolist() == expected


def test_tolerance_decides_what_counts_as_zero():
    slow, turning = jnp.array([-1e-3 + 0j]), jnp.array([-1 + 1e-3j, -1 - 1e-3j])
    assert jn.classify(slow).kind == KINDS.node
    assert jn.classify(slow, tolerance=1e-2).kind == KINDS.nonhyperbolic
    assert jn.classify(turning).kind == KINDS.focus
    assert jn.classify(turning, tolerance=1e-2).kind == KINDS.node
    assert jn.classify(jnp.array([-1e-12 + 0j]), tolerance=0.0).stable
    assert jn.classify(jnp.array([1e-12 + 0j]), tolerance=0.0).kind == KINDS.node


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        ([[-1, 0], [0, -3]], "stable node"),
        ([[1, 0], [0, 3]], "unstable node"),
        ([[-1, 2], [-2, -1]], "stable focus"),
        ([[1, 2], [-2, 1]], "unstable focus"),
        ([[1, 0], [0, -1]], "saddle"),
        ([[0, 1], [-4, 0]], "centre"),
        ([[0, 0], [0, -1]], "nonhyperbolic"),
    ],
)
def test_stability_of_a_linear_system_reads_as_its_name(matrix, text):
    system = Linear(np.array(matrix, float))
    assert str(jn.stability(system, jnp.zeros(2))) == text


def test_stability_takes_input_time_and_tolerance():
    population = jn.models.RatePopulation(w=5.0)
    middle = 0.4471192241
    assert str(jn.stability(population, middle, u=0.5)) == "unstable node"
    assert str(jn.stability(population, middle, u=lambda t: t, t=0.5)) == "unstable node"
    flat = jn.stability(population, middle, u=0.5, tolerance=1.0)
    assert flat.kind == KINDS.nonhyperbolic


def test_stability_of_wilson_cowan_without_input_is_a_stable_focus():
    got = jn.stability(jn.models.WilsonCowan(), (0.0, 0.0))
    assert str(got) == "stable focus"
    expected = [-0.6234 + 0.1311j, -0.6234 - 0.1311j]
    np.testing.assert_allclose(got.eigenvalues, expected, rtol=0, atol=6e-5)


def test_stability_under_vmap_is_that_of_each_state():
    states = jnp.array([0.0415366990, 0.4471192241, 0.8997171539])
    population = jn.models.RatePopulation(w=5.0)
    got = jax.vmap(lambda r: jn.stability(population, r, u=0.5))(states)
    assert got.stable.tolist() == [True, False, True]
    assert jnp.all(got.kind == KINDS.node)
