"""The dispersion relation: eigenvalues of a torus, wavenumber by wavenumber."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import jaxnet as jn


Gaussian = jn.couplings.TorusGaussian
U = (1.2, -0.4)


def kernel_of(size, seed):
    """One that is not even, so that waves travel."""
    weights = np.random.default_rng(seed).uniform(0.1, 1.0, (3, 3))
    return jn.couplings.TorusKernel(weights, size=size)


def even(size_e, size_i, **parameters):
    return jn.models.RateSheet(
        Gaussian(2.0, size=size_e, taps=5), Gaussian(3.0, size=size_i, taps=3), **parameters
    )


def uneven(size_e, size_i, **parameters):
    return jn.models.RateSheet(kernel_of(size_e, 1), kernel_of(size_i, 2), **parameters)


@eqx.filter_jit
def relation_of(system, y, u=U):
    return jn.dispersion_relation(system, y, u=u)


@eqx.filter_jit
def dense_of(system, y, u=U):
    return jn.jacobian(system, y, u=u)


@jax.jit
def read(relation):
    """All that is read from a relation; it takes a leading axis too."""
    both = (relation.most_unstable, relation.by_length)
    return [relation.growth_rate] + [
        x for w in both for x in (w.wavenumber, w.length, w.growth_rate, w.frequency)
    ]


class Tree(jn.AbstractSystem):
    """One-way transport along the rows, decay, and diffusion of a stack of two."""

    speed: jn.Parameter = jn.parameter(2.0)
    diffusion: jn.Parameter = jn.parameter(0.3)
    decay: jn.Parameter = jn.parameter(1.0)

    def vector_field(self, t, y, u):
        moved, spread = y["moved"], y["spread"]
        neighbours = sum(jnp.roll(spread, s, axis) for s in (1, -1) for axis in (1, 2))
        return {
            "moved": self.speed * (jnp.roll(moved, 1, 0) - moved),
            "spread": self.diffusion * (neighbours - 4 * spread) - self.decay * spread,
        }


def tree_state(size):
    return {"moved": jnp.zeros((size, size)), "spread": jnp.zeros((2, size, size))}


# Values


@pytest.mark.parametrize(
    ("make", "sizes"),
    [(uneven, (4, 4)), (uneven, (6, 3)), (even, (8, 4))],
)
def test_eigenvalues_are_those_of_the_full_jacobian(make, sizes):
    sheet = make(*sizes)
    y = sheet.uniform_state(0.3, 0.2)
    got = np.asarray(relation_of(sheet, y).eigenvalues)
    dense = np.asarray(dense_of(sheet, y))
    assert got.shape == (sizes[1], sizes[1], 1 + (sizes[0] // sizes[1]) ** 2)
    expected = np.linalg.eigvals(dense)
    assert got.size == expected.size
    gap = np.abs(got.ravel()[:, None] - expected)
    # Where a lattice is finer there are defective double eigenvalues, whose rounding is
    # the square root, or a higher one, of that of the matrix.
    tolerance = 1e-12 if sizes[0] == sizes[1] else 1e-4
    assert gap[linear_sum_assignment(gap)].max() < tolerance
    power = np.eye(len(dense))
    for exponent in range(1, 6):
        power = power @ dense
        np.testing.assert_allclose((got**exponent).sum(), np.trace(power), rtol=1e-11)


def test_a_sheet_of_one_size_has_the_two_by_two_matrices_of_the_textbook():
    sheet = uneven(4, 4, tau_e=3.0, tau_i=5.0)
    y = sheet.uniform_state(0.3, 0.2)
    # Of the local model: -1 / tau, and the slopes times the weights.
    leak = -np.diag([1 / 3, 1 / 5])
    weights = np.asarray(jn.jacobian(sheet.wilson_cowan(), (0.3, 0.2), u=U)) - leak
    kernels = [sheet.excitation.kernel(), sheet.inhibition.kernel()]
    spectra = np.stack([np.fft.fft2(k / k.sum()) for k in kernels], axis=-1)
    expected = np.linalg.eigvals(leak + weights * spectra[..., None, :])
    got = np.asarray(relation_of(sheet, y).eigenvalues)
    order = np.argsort(-expected.real, axis=-1)
    expected = np.take_along_axis(expected, order, axis=-1)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_a_finer_lattice_is_that_of_the_jacobian_between_waves():
    sheet = uneven(6, 3)
    y = sheet.uniform_state(0.3, 0.2)
    dense = np.asarray(dense_of(sheet, y))
    got = relation_of(sheet, y)
    row, column = np.indices((6, 6)).reshape(2, -1)
    row_i, column_i = np.indices((3, 3)).reshape(2, -1)
    for k in ((0, 0), (1, 0), (1, 2), (2, 2)):
        waves = np.zeros((36 + 9, 5), complex)
        phase = np.exp(2j * np.pi * (k[0] * (row // 2) + k[1] * (column // 2)) / 3)
        waves[np.arange(36), 2 * (row % 2) + column % 2] = phase
        waves[36:, 4] = np.exp(2j * np.pi * (k[0] * row_i + k[1] * column_i) / 3)
        matrix = waves.conj().T @ dense @ waves / 9
        np.testing.assert_allclose(dense @ waves, waves @ matrix, atol=1e-13)
        expected = np.linalg.eigvals(matrix)
        gap = np.abs(np.asarray(got.eigenvalues[k])[:, None] - expected)
        assert gap[linear_sum_assignment(gap)].max() < 1e-6


def test_a_tree_of_lattices_has_the_closed_form_of_its_waves():
    n = 5
    got = jn.dispersion_relation(Tree(), tree_state(n))
    k = 2 * np.pi * got.wavenumber / n
    moved = 2.0 * (np.exp(-1j * k[..., 0]) - 1)
    spread = 0.3 * (2 * np.cos(k).sum(axis=-1) - 4) - 1
    expected = np.stack([moved, spread + 0j, spread + 0j], axis=-1)
    order = np.argsort(-expected.real.round(9), axis=-1, kind="stable")
    expected = np.take_along_axis(expected, order, axis=-1)
    np.testing.assert_allclose(got.eigenvalues, expected, rtol=0, atol=1e-13)


def test_a_spiking_sheet_has_the_eigenvalues_of_its_flow():
    sheet = jn.models.SpikingSheet(
        Gaussian(2.0, size=6, taps=5), Gaussian(3.0, size=3, taps=3), w_e=0.3
    )
    y, u = sheet.initial_state(), (0.5, 0.0)
    got = np.sort(np.asarray(relation_of(sheet, y, u).eigenvalues).real.ravel())
    expected = np.linalg.eigvals(np.asarray(dense_of(sheet, y, u)))
    np.testing.assert_allclose(got, np.sort(expected.real), atol=1e-12)


def test_a_driven_and_noisy_system_has_the_relation_of_its_flow():
    sheet = even(4, 4)
    y = sheet.uniform_state(0.3, 0.2)
    expected = relation_of(sheet, y).eigenvalues
    noisy = jn.Noisy(jn.Driven(sheet, U), 0.1)
    got = jn.dispersion_relation(noisy, y)
    np.testing.assert_array_equal(got.eigenvalues, expected)
    ramp = lambda t: (0.12 * t, -0.04 * t)
    with pytest.raises(ValueError, match="Pass `t=`"):
        jn.dispersion_relation(sheet, y, u=ramp)


def test_the_residual_tells_a_fixed_point():
    sheet = even(4, 4)
    point = jn.fixed_points(sheet.wilson_cowan(), jnp.array([[0.3, 0.2]]), u=U).y[0]
    at_rest = relation_of(sheet, sheet.uniform_state(*point))
    assert at_rest.residual < 1e-14
    assert at_rest.result == jn.RESULTS.successful
    local = sheet.wilson_cowan().vector_field(0.0, jnp.array([0.3, 0.2]), U)
    elsewhere = relation_of(sheet, sheet.uniform_state(0.3, 0.2))
    np.testing.assert_allclose(elsewhere.residual, np.abs(local).max(), rtol=1e-12)


# What is read from it


def test_wavenumbers_are_whole_and_in_the_order_of_the_transform():
    k = relation_of(even(4, 4), even(4, 4).uniform_state(0.3, 0.2)).wavenumber
    assert k[:, 0, 0].tolist() == [0, 1, -2, -1]
    assert k[0, :, 1].tolist() == [0, 1, -2, -1]


def test_waves_in_the_profile_are_the_fastest_of_each_length():
    sheet = uneven(6, 3, w_ee=14.0)
    relation = relation_of(sheet, sheet.uniform_state(0.3, 0.2))
    lengths = np.linalg.norm(relation.wavenumber, axis=-1).round(9)
    profile = relation.by_length
    np.testing.assert_allclose(profile.length, np.unique(lengths), rtol=1e-8)
    for wave, length in enumerate(np.unique(lengths)):
        best = np.asarray(relation.growth_rate)[lengths == length].max()
        np.testing.assert_allclose(profile.growth_rate[wave], best, rtol=1e-11)
    fastest = relation.most_unstable
    assert fastest.growth_rate == profile.growth_rate.max()
    at = tuple(np.asarray(fastest.wavenumber))
    assert relation.eigenvalues[(*at, 0)] == fastest.eigenvalue
    turns = np.abs(fastest.eigenvalue.imag) / (2 * np.pi) * 1000
    np.testing.assert_allclose(fastest.frequency, turns, rtol=1e-12)


def test_of_waves_that_are_tied_the_first_is_named():
    """In a sheet with all symmetries of a square, up to eight waves of one length."""
    sheet = even(8, 8)
    waves = [
        relation_of(sheet, sheet.uniform_state(rate, 0.2)).by_length.wavenumber.tolist()
        for rate in (0.1, 0.2, 0.3)
    ]
    assert waves[0] == waves[1] == waves[2]
    assert waves[0][1:6] == [[0, 1], [1, 1], [0, 2], [1, 2], [2, 2]]


# Derivatives and batches


def test_derivatives_are_those_of_finite_differences():
    @jax.jit
    def parts(p):
        sheet = even(6, 3, w_ee=p["w_ee"], w_ii=p["w_ii"], tau_i=p["tau_i"])
        sheet = eqx.tree_at(lambda s: s.inhibition.sigma, sheet, p["sigma"])
        y = sheet.uniform_state(p["r"], 0.2)
        relation = jn.dispersion_relation(sheet, y, u=(p["u"], 0.0))
        wave = relation.most_unstable
        leading = relation.eigenvalues[1, :, 0]
        return jnp.stack([wave.growth_rate, wave.frequency, *leading.real, *leading.imag])

    at = {"w_ee": 12.0, "w_ii": 9.0, "tau_i": 2.5, "sigma": 3.0, "r": 0.3, "u": 1.0}
    at = jax.tree.map(jnp.asarray, at)
    forward, reverse = jax.jit(jax.jacfwd(parts))(at), jax.jit(jax.jacrev(parts))(at)
    for name, value in at.items():
        up, down = (parts(at | {name: value + h}) for h in (1e-5, -1e-5))
        expected = (up - down) / 2e-5
        np.testing.assert_allclose(forward[name], expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(forward[name], reverse[name], rtol=1e-9, atol=1e-11)


class Triangular(jn.AbstractSystem):
    """A defective double eigenvalue, -1, and a single one, the growth."""

    growth: jn.Parameter = jn.parameter(0.5)

    def vector_field(self, t, y, u):
        a, b, c = y
        return -a + b, -b, self.growth * c


@pytest.mark.parametrize("jacobian", [jax.jacfwd, jax.jacrev])
def test_a_defective_eigenvalue_leaves_the_derivatives_of_others(jacobian):
    zero = (jnp.zeros((2, 2)),) * 3

    def growth(p):
        return jn.dispersion_relation(Triangular(p), zero).most_unstable.growth_rate

    assert jax.jit(jacobian(growth))(0.5) == 1.0


def test_a_double_eigenvalue_of_two_variables_has_the_derivative_of_the_mean():
    sheet = even(4, 4, w_ee=0.0, w_ei=0.0, w_ie=0.0, w_ii=0.0, tau_i=1.0)

    def growth(tau):
        y = sheet.uniform_state(0.0, 0.0)
        sheet_ = eqx.tree_at(lambda s: s.tau_e, sheet, tau)
        return jn.dispersion_relation(sheet_, y).growth_rate[0, 0]

    np.testing.assert_allclose(jax.jit(jax.grad(growth))(1.0), 0.5, rtol=1e-12)


def test_where_growth_begins_is_found_through_the_fixed_point():
    """The weight at which the fastest wave stands: Newton's method on the derivative."""

    def growth(w):
        weights = {"w_ee": w, "w_ei": 12.0, "w_ie": 14.0, "w_ii": 12.0}
        kernels = (Gaussian(sigma, size=8, taps=7) for sigma in (1.0, 6.0))
        sheet = jn.models.RateSheet(*kernels, **weights, tau_i=1.0)
        u = (5.7, 3.3)
        points = jn.fixed_points(sheet.wilson_cowan(), jnp.full((1, 2), 0.45), u=u)
        y = sheet.uniform_state(*points.y[0])
        return jn.dispersion_relation(sheet, y, u=u).most_unstable.growth_rate

    look = jax.jit(lambda w: jax.jvp(growth, (w,), (jnp.ones_like(w),)))
    w = jnp.asarray(5.5)
    for _ in range(8):
        value, slope = look(w)
        w = w - value / slope
    value, slope = look(w)
    assert abs(value) < 1e-12
    below, above = look(w - 1e-4)[0], look(w + 1e-4)[0]
    assert below < 0 < above
    np.testing.assert_allclose(slope, (above - below) / 2e-4, rtol=1e-6)


def test_a_batch_is_each_of_its_elements_and_so_is_what_is_read_from_it():
    weights = jnp.array([6.0, 10.0, 14.0])

    def one(w):
        sheet = even(6, 3, w_ee=w)
        return jn.dispersion_relation(sheet, sheet.uniform_state(0.3, 0.2), u=U)

    batch = jax.jit(jax.vmap(one))(weights)
    assert batch.wavenumber.shape == (3, 3, 2)
    single = jax.jit(one)
    for k, w in enumerate(weights):
        alone = single(w)
        for got, expected in zip(read(batch), read(alone), strict=True):
            np.testing.assert_allclose(got[k], expected, rtol=1e-10, atol=1e-6)


# Bad input


def test_a_bad_element_of_a_batch_has_its_code_and_leaves_the_others_right():
    sheet = even(4, 4)
    flat = jnp.full((4, 4), 0.3)
    states = jnp.stack([flat, flat.at[1, 2].add(0.1), flat.at[0, 0].set(jnp.nan), flat])
    taus = jnp.array([1.0, 1.0, 1.0, -1.0])

    def one(r_e, tau):
        y = jn.models.RateSheetState(r_e, flat)
        here = eqx.tree_at(lambda s: s.tau_e, sheet, tau)
        return jn.dispersion_relation(here, y, u=U)

    batch = jax.jit(jax.vmap(one))(states, taus)
    codes = jn.RESULTS
    expected = [
        codes.successful,
        codes.not_homogeneous,
        codes.nan_input,
        codes.parameter_out_of_range,
    ]
    for k, code in enumerate(expected):
        assert bool((batch.result == code)[k])
        assert bool(np.isnan(batch.eigenvalues[k]).all()) is (k > 0)
    alone = relation_of(sheet, jn.models.RateSheetState(flat, flat))
    np.testing.assert_allclose(batch.eigenvalues[0], alone.eigenvalues, atol=1e-14)


class Pair(jn.AbstractSystem):
    def vector_field(self, t, y, u):
        return jax.tree.map(lambda x: -x, y)


SHEET = even(4, 4)
FLAT = SHEET.uniform_state(0.3, 0.2)
BUMP = eqx.tree_at(lambda y: y.r_i, FLAT, FLAT.r_i.at[1, 1].add(1e-3))
THETA = 2.8 + np.eye(4)

BAD = {
    "no lattice": (
        lambda: jn.dispersion_relation(jn.models.WilsonCowan(), (0.1, 0.2)),
        r"Every leaf of `y` must be a square lattice.*shape \(2,\).*`jaxnet.eigenvalues`",
    ),
    "no square": (
        lambda: jn.dispersion_relation(Pair(), jnp.zeros((3, 4))),
        r"must be a square lattice.*shape \(3, 4\)",
    ),
    "sizes": (
        lambda: jn.dispersion_relation(Pair(), (jnp.zeros((6, 6)), jnp.zeros((4, 4)))),
        r"whole multiple of that of the coarsest, 4, but one has the shape \(6, 6\)",
    ),
    "state": (
        lambda: jn.dispersion_relation(SHEET, BUMP, u=U),
        "`y` is no homogeneous state of this `RateSheet`.*Give the same values",
    ),
    "input": (
        lambda: jn.dispersion_relation(SHEET, FLAT, u=(np.eye(4), 0.0)),
        "`y` is no homogeneous state of this `RateSheet`",
    ),
    "parameter": (
        lambda: jn.dispersion_relation(
            even(4, 4, transfer_e=jn.transfer.Sigmoid(theta=THETA)), FLAT
        ),
        "`y` is no homogeneous state of this `RateSheet`",
    ),
    "shape of the state": (
        lambda: jn.dispersion_relation(even(8, 4), FLAT),
        r"lattices of shapes \(\(8, 8\), \(4, 4\)\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_a_remedy(case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_a_lattice_of_inputs_that_is_uniform_is_homogeneous():
    u = np.full((4, 4), 1.2), -0.4
    got = jn.dispersion_relation(SHEET, FLAT, u=u)
    expected = relation_of(SHEET, FLAT)
    np.testing.assert_allclose(got.eigenvalues, expected.eigenvalues, atol=1e-14)
