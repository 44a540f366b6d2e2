"""Couplings on a torus against plain sums over taps, their derivatives, and batches."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.couplings import Dense, TorusGaussian, TorusKernel


# Taps fewer than the cells, as many, and more, also many turns around the torus; lattices
# on both sides of the size at which the way of computing changes.
CASES = [(1, 1), (1, 5), (5, 1), (5, 3), (5, 5), (5, 9), (5, 27), (6, 9)]
LARGE_CASES = [(64, 21), (64, 101), (65, 1), (65, 21), (65, 101), (75, 101)]


def gaussian_taps(taps, sigma, weight=1.0):
    d = np.arange(taps) - taps // 2
    return weight * np.exp(-(d[:, None] ** 2 + d[None, :] ** 2) / sigma)


def sum_over_taps(taps, x):
    """Every cell sends each tap to where it falls, round the torus."""
    c = len(taps) // 2
    y = np.zeros(x.shape)
    for i, row in enumerate(taps):
        for j, weight in enumerate(row):
            y += weight * np.roll(x, (i - c, j - c), axis=(0, 1))
    return y


def matrix_of(taps, size):
    """Source by source, what each cell of the lattice gets."""
    columns = [sum_over_taps(taps, row.reshape(size, size)) for row in np.eye(size**2)]
    return np.stack([c.ravel() for c in columns], axis=1)


def activity(size, seed=0):
    return np.random.default_rng(seed).normal(size=(size, size))


def odd_kernel(taps, seed=1):
    """No symmetry at all, so that a flip or a transpose shows."""
    return np.random.default_rng(seed).normal(size=(taps, taps))


field = eqx.filter_jit(lambda coupling, x: coupling.field(x))


@pytest.mark.parametrize(("size", "taps"), CASES + LARGE_CASES)
def test_a_gaussian_is_the_sum_over_its_taps(size, taps):
    sigma, weight = 0.3 * taps**2, -0.7
    x = activity(size)
    gaussian = TorusGaussian(sigma, weight, size=size, taps=taps)
    expected = sum_over_taps(gaussian_taps(taps, sigma, weight), x)
    tolerance = 1e-14 * np.abs(gaussian_taps(taps, sigma)).sum()
    np.testing.assert_allclose(field(gaussian, x), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("size", "taps"), [*CASES[:3], (5, 9), (6, 9), (64, 9), (65, 9), (20, 31)]
)
def test_any_kernel_is_the_sum_over_its_taps(size, taps):
    x, weights = activity(size), odd_kernel(taps)
    found = field(TorusKernel(weights, size=size), x)
    tolerance = 1e-14 * np.abs(weights).sum()
    expected = sum_over_taps(weights, x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("size", "taps"), [(64, 21), (65, 21)])
def test_a_gaussian_is_the_kernel_of_its_weights(size, taps):
    gaussian = TorusGaussian(8.0, 0.3, size=size, taps=taps)
    kernel = TorusKernel(gaussian_taps(taps, 8.0, 0.3), size=size)
    x = activity(size)
    kernels = gaussian.kernel(), kernel.kernel()
    np.testing.assert_allclose(*kernels, rtol=0, atol=1e-15)
    np.testing.assert_allclose(field(gaussian, x), field(kernel, x), rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "coupling",
    [
        TorusGaussian(3.0, size=5, taps=9),
        TorusKernel(odd_kernel(9), size=6),
    ],
)
def test_a_coupling_is_the_dense_matrix_of_its_kernel(coupling):
    n, kernel = coupling.size, np.asarray(coupling.kernel())
    matrix = np.zeros((n, n, n, n))
    for i, j, k, m in np.ndindex(matrix.shape):
        matrix[i, j, k, m] = kernel[(i - k) % n, (j - m) % n]
    dense = Dense(matrix.reshape(n**2, n**2))
    x = activity(n).ravel()
    assert coupling.shape == dense.shape
    np.testing.assert_allclose(coupling.mv(x), dense.mv(x), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(coupling.mv(x), coupling.field(x.reshape(n, n)).ravel())


def test_the_kernel_is_what_one_cell_sends():
    for coupling in (
        TorusKernel(odd_kernel(7), size=5),
        TorusGaussian(2.0, size=5, taps=7),
    ):
        one = np.zeros((5, 5))
        one[0, 0] = 1.0
        found = coupling.field(one)
        np.testing.assert_allclose(found, coupling.kernel(), rtol=0, atol=1e-14)


def test_the_kernel_of_a_gaussian_is_even_and_that_of_the_document():
    """101 taps on 75 cells: each cell has one or two taps a side, which add up."""
    kernel = np.asarray(TorusGaussian(400.0, size=75, taps=101).kernel())
    np.testing.assert_allclose(kernel, kernel.T, rtol=0, atol=1e-15)
    mirrored = np.roll(kernel[::-1, ::-1], 1, axis=(0, 1))
    np.testing.assert_allclose(kernel, mirrored, rtol=0, atol=1e-15)
    profile = np.zeros(75)
    for d in range(-50, 51):
        profile[d % 75] += np.exp(-(d**2) / 400.0)
    np.testing.assert_allclose(kernel, np.outer(profile, profile), rtol=1e-13)
    assert profile[30] == pytest.approx(np.exp(-900 / 400) + np.exp(-(45**2) / 400))


@pytest.mark.parametrize("size", [6, 64, 65])
def test_a_sum_of_activities_gives_the_sum(size):
    coupling = TorusGaussian(4.0, size=size, taps=9)
    x, y = activity(size, 1), activity(size, 2)
    expected = 2.0 * field(coupling, x) - 3.0 * field(coupling, y)
    found = field(coupling, 2.0 * x - 3.0 * y)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_spikes_of_any_kind_are_numbers(unchecked_shapes):
    coupling = TorusGaussian(4.0, size=6, taps=5)
    spikes = activity(6) > 0
    expected = coupling.field(spikes.astype(float))
    np.testing.assert_array_equal(coupling.field(spikes), expected)
    np.testing.assert_array_equal(coupling.mv(spikes.ravel().astype(int)), expected.ravel())


# Derivatives and batches, on both sides of the size at which the computation changes.


@functools.partial(jax.jit, static_argnums=2)
def slopes(at, direction, size, step=1e-5):
    """Along a direction: by reverse mode, by forward mode, and by central differences."""

    def loss(point):
        sigma, weight, x = point
        coupling = TorusGaussian(sigma, weight, size=size, taps=9)
        return jnp.sum(jnp.sin(coupling.field(x) / size))

    gradient = jax.grad(loss)(at)
    reverse = sum(map(jnp.vdot, gradient, direction))
    _, forward = jax.jvp(loss, (at,), (direction,))
    moved = lambda h: jax.tree.map(lambda a, d: a + h * d, at, direction)
    return reverse, forward, (loss(moved(step)) - loss(moved(-step))) / (2 * step)


@pytest.mark.parametrize("size", [64, 65])
def test_derivatives_of_a_gaussian_agree_with_finite_differences(size):
    at = (jnp.asarray(3.0), jnp.asarray(0.4), jnp.asarray(activity(size)))
    zero = (jnp.zeros(()), jnp.zeros(()), jnp.zeros((size, size)))
    for i, along in enumerate((1.0, 1.0, activity(size, 5))):
        direction = (*zero[:i], jnp.asarray(along), *zero[i + 1 :])
        reverse, forward, difference = map(float, slopes(at, direction, size))
        assert abs(difference) > 1e-3
        assert reverse == pytest.approx(difference, rel=1e-6)
        assert forward == pytest.approx(reverse, rel=1e-11)


def test_derivatives_of_a_kernel_are_those_of_its_matrix():
    size, weights, x = 5, odd_kernel(7), activity(5)
    pull = jax.grad(lambda w: jnp.sum(x * TorusKernel(w, size=size).field(x)))(weights)
    expected = np.zeros((7, 7))
    for i, j in np.ndindex(7, 7):
        expected[i, j] = np.sum(x * np.roll(x, (i - 3, j - 3), axis=(0, 1)))
    np.testing.assert_allclose(pull, expected, rtol=0, atol=1e-13)
    transposed = jax.grad(lambda y: jnp.sum(x * TorusKernel(weights, size=size).field(y)))(
        x
    )
    by_matrix = matrix_of(weights, size).T @ x.ravel()
    np.testing.assert_allclose(transposed.ravel(), by_matrix, rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", [5, 65])
def test_a_batch_gives_what_each_element_gives_alone(size):
    sigmas = jnp.array([1.0, 4.0, 9.0])
    xs = jnp.stack([activity(size, seed) for seed in range(3)])
    one = lambda sigma, x: TorusGaussian(sigma, size=size, taps=7).field(x)
    together = jax.jit(jax.vmap(one))(sigmas, xs)
    shared = jax.jit(jax.vmap(one, (0, None)))(sigmas, xs[0])
    for sigma, x, found, of_first in zip(sigmas, xs, together, shared, strict=True):
        for activity_, result in ((x, found), (xs[0], of_first)):
            expected = sum_over_taps(gaussian_taps(7, float(sigma)), np.asarray(activity_))
            np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "taps"), [(64, 31), (65, 31)])
def test_in_single_precision_the_sums_are_right_to_its_digits(size, taps):
    sigma, x = 0.2 * taps**2, np.abs(activity(size))
    expected = sum_over_taps(gaussian_taps(taps, sigma), x)
    with jax.enable_x64(False):
        couplings = [
            TorusGaussian(sigma, size=size, taps=taps),
            TorusKernel(gaussian_taps(taps, sigma), size=size),
        ]
        for coupling in couplings:
            found = field(coupling, x)
            assert found.dtype == jnp.float32
            assert coupling.kernel().dtype == jnp.float32
            error = np.abs(np.asarray(found, float) - expected).max()
            assert error < 1e-6 * np.abs(expected).max()


def test_a_torus_serves_a_network():
    """In place of a dense matrix, with one delay: the neighbours get what a cell sends."""
    weights = odd_kernel(3)
    ways = {"b": TorusKernel(weights, size=3), "c": Dense(matrix_of(weights, 3))}
    never_firing = jn.models.Population(jn.models.LIF(threshold=1e6), 9)
    source = jn.models.Population(jn.models.SpikeSource(), 9)
    network = jn.models.Network(
        {"a": source, "b": never_firing, "c": never_firing},
        {n: jn.models.Projection("a", n, c, delay=0.5) for n, c in ways.items()},
    )
    train = jn.inputs.SpikeTrain([0.5, 1.0], [0, 5], size=9)
    run = jn.simulate(
        network, network.initial_state(), t1=3.0, u={"a": train}, method=jn.Grid(0.5)
    )
    v = run.ys.neurons
    assert np.abs(v["c"]).max() > 0.1
    np.testing.assert_allclose(v["b"], v["c"], rtol=0, atol=1e-13)


# What is refused.

BAD = {
    "even taps": (
        lambda: TorusGaussian(1.0, size=5, taps=4),
        "`taps` must be a whole, odd number",
    ),
    "no taps": (
        lambda: TorusGaussian(1.0, size=5, taps=0),
        "`taps` must be a whole, odd number",
    ),
    "negative taps": (
        lambda: TorusGaussian(1.0, size=5, taps=-3),
        "`taps` must be a whole, odd number",
    ),
    "broken taps": (lambda: TorusGaussian(1.0, size=5, taps=2.5), "`taps` must be"),
    "taps of a float": (lambda: TorusGaussian(1.0, size=5, taps=3.0), "`taps` must be"),
    "size 0": (
        lambda: TorusGaussian(1.0, size=0, taps=3),
        "`size` must be a positive whole",
    ),
    "size 2.5": (lambda: TorusGaussian(1.0, size=2.5, taps=3), "`size` must be a positive"),
    "size of a kernel": (lambda: TorusKernel(np.ones((3, 3)), size=-1), "`size` must be"),
    "sigma 0": (
        lambda: TorusGaussian(0.0, size=5, taps=3),
        "`sigma` of `TorusGaussian` must be positive, but it is 0.0",
    ),
    "negative sigma": (
        lambda: TorusGaussian(-1.0, size=5, taps=3),
        "`sigma` of `TorusGaussian` must be positive, but it is -1.0",
    ),
    "NaN sigma": (
        lambda: TorusGaussian(np.nan, size=5, taps=3),
        r"`TorusGaussian\.sigma` is NaN",
    ),
    "NaN weight": (
        lambda: TorusGaussian(1.0, np.nan, size=5, taps=3),
        r"`TorusGaussian\.weight` is NaN",
    ),
    "NaN tap": (
        lambda: TorusKernel(np.full((3, 3), np.nan), size=5),
        r"`TorusKernel\.weights` is NaN at index \[0, 0\]",
    ),
    "even kernel": (
        lambda: TorusKernel(np.ones((2, 2)), size=5),
        "`weights` must be a whole, odd number",
    ),
    "oblong kernel": (
        lambda: TorusKernel(np.ones((3, 5)), size=5),
        r"`weights` of `TorusKernel` must be a square, but its shape is \(3, 5\)",
    ),
    "flat kernel": (lambda: TorusKernel(np.ones(3), size=5), "must be a square"),
    "activity of another lattice": (
        lambda: TorusGaussian(1.0, size=5, taps=3).field(np.ones((4, 4))),
        r"`x` must be the activity of 5 x 5 cells, .* \(4, 4\)",
    ),
    "a batch of activities": (
        lambda: TorusGaussian(1.0, size=5, taps=3).field(np.ones((2, 5, 5))),
        r"\(2, 5, 5\). For many activities use `jax.vmap`",
    ),
    "a vector for a lattice": (
        lambda: TorusGaussian(1.0, size=5, taps=3).field(np.ones(25)),
        "`x` must be the activity of 5 x 5 cells",
    ),
    "a lattice for a vector": (
        lambda: TorusGaussian(1.0, size=5, taps=3).mv(np.ones((5, 5))),
        "`x` must be the activity of 25 sources",
    ),
    "a vector for the width": (
        lambda: TorusGaussian(np.ones(5), size=5, taps=3).field(np.eye(5)),
        r"`sigma` of `TorusGaussian` must be one number, but its shape is \(5,\)",
    ),
    "a vector for the weight": (
        lambda: TorusGaussian(1.0, np.ones(70), size=70, taps=3).field(np.eye(70)),
        "`weight` of `TorusGaussian` must be one number.*`jax.vmap`",
    ),
    "True for a number": (lambda: TorusGaussian(1.0, size=5, taps=True), "`taps` must be"),
    "a delay a synapse": (
        lambda: TorusGaussian(1.0, size=3, taps=3).split(np.ones((9, 9)), (1.0,)),
        "`delay` must be one number for `TorusGaussian`.*`Dense` or `Sparse`",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_its_remedy(case, unchecked_shapes):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_whole_numbers_of_numpy_are_whole_numbers():
    coupling = TorusGaussian(1.0, size=np.int64(5), taps=np.int32(3))
    assert (coupling.size, coupling.taps) == (5, 3)
    assert type(coupling.size) is int
