"""The rate sheet: uniform states are those of Wilson and Cowan, the rest a convolution."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


Gaussian = jn.couplings.TorusGaussian
INPUT = (0.7, 0.3)


def lopsided(size):
    weights = np.random.default_rng(3).uniform(0.1, 1.0, (3, 3))
    return jn.couplings.TorusKernel(weights, size=size)


def small(size_e=6, size_i=3, **parameters):
    return jn.models.RateSheet(
        Gaussian(2.0, 2.5, size=size_e, taps=5), lopsided(size_i), **parameters
    )


def random_state(sheet, seed=0):
    rng = np.random.default_rng(seed)
    e, i = sheet.excitation.size, sheet.inhibition.size
    return jn.models.RateSheetState(
        jnp.asarray(rng.uniform(0, 0.6, (e, e))), jnp.asarray(rng.uniform(0, 0.6, (i, i)))
    )


@jax.jit
def rate_of_change(sheet, y, u):
    return sheet.vector_field(0.0, y, u)


@jax.jit
def end(sheet, y0, u):
    method = jn.Grid(0.1, diffrax.Heun())
    return jn.simulate(sheet, y0, t1=2.0, u=u, method=method, save=jn.SaveAt(t1=True)).ys


def around(kernel, x, row, column):
    """The mean around a place, weighted by a kernel, term by term."""
    n, total = len(x), 0.0
    for i in range(n):
        for j in range(n):
            total += kernel[(row - i) % n, (column - j) % n] * x[i, j]
    return total / kernel.sum()


def sigmoid(x, a, theta):
    return 1 / (1 + np.exp(-a * (x - theta))) - 1 / (1 + np.exp(a * theta))


# Values


@pytest.mark.parametrize(("size_e", "size_i"), [(4, 4), (6, 3), (9, 3)])
def test_a_uniform_state_is_that_of_wilson_and_cowan(size_e, size_i):
    sheet = small(size_e, size_i, w_ee=7.0, w_ei=5.0, tau_e=3.0, tau_i=4.0)
    got = rate_of_change(sheet, sheet.uniform_state(0.3, 0.2), INPUT)
    expected = sheet.wilson_cowan().vector_field(0.0, jnp.array([0.3, 0.2]), INPUT)
    np.testing.assert_allclose(got.r_e, np.full((size_e,) * 2, expected[0]), rtol=1e-12)
    np.testing.assert_allclose(got.r_i, np.full((size_i,) * 2, expected[1]), rtol=1e-12)


def test_the_model_of_the_uniform_states_has_all_parameters_of_the_sheet():
    values = {"w_ee": 1, "w_ei": 2, "w_ie": 3, "w_ii": 4, "tau_e": 5, "tau_i": 6}
    transfer = {"transfer_e": jn.transfer.Tanh(2.0), "transfer_i": jn.transfer.Tanh(3.0)}
    local = small(**values, **transfer).wilson_cowan()
    assert {name: float(getattr(local, name)) for name in values} == values
    assert float(local.transfer_e.a) == 2.0
    assert float(local.transfer_i.a) == 3.0


def test_a_uniform_run_is_that_of_wilson_and_cowan():
    sheet = small()
    got = end(sheet, sheet.uniform_state(0.1, 0.4), INPUT)
    method = jn.Grid(0.1, diffrax.Heun())
    local = sheet.wilson_cowan()
    run = jn.simulate(local, (0.1, 0.4), t1=2.0, u=INPUT, method=method)
    np.testing.assert_allclose(got.r_e[0], np.full((6, 6), run.ys[-1, 0]), rtol=1e-12)
    np.testing.assert_allclose(got.r_i[0], np.full((3, 3), run.ys[-1, 1]), rtol=1e-12)


@pytest.mark.parametrize(("size_e", "size_i"), [(4, 4), (6, 3)])
def test_the_vector_field_is_the_equations_term_by_term(size_e, size_i):
    sheet = small(size_e, size_i)
    y, r = random_state(sheet), size_e // size_i
    u = (np.random.default_rng(1).normal(size=(size_e,) * 2), -0.2)
    got = rate_of_change(sheet, y, u)
    kernel_e, kernel_i = sheet.excitation.kernel(), sheet.inhibition.kernel()
    kernel_e, kernel_i = np.asarray(kernel_e), np.asarray(kernel_i)
    r_e, r_i = np.asarray(y.r_e), np.asarray(y.r_i)
    for row, column in np.ndindex(size_e, size_e):
        place_i = row // r, column // r
        drive = 9 * around(kernel_e, r_e, row, column)
        drive += -4 * around(kernel_i, r_i, *place_i) + u[0][row, column]
        expected = -r_e[row, column] + sigmoid(drive, 1.2, 2.8)
        np.testing.assert_allclose(got.r_e[row, column], expected, rtol=1e-11)
    for row, column in np.ndindex(size_i, size_i):
        drive = 13 * around(kernel_e, r_e, r * row, r * column)
        drive += -11 * around(kernel_i, r_i, row, column) + u[1]
        expected = (-r_i[row, column] + sigmoid(drive, 1.0, 4.0)) / 2
        np.testing.assert_allclose(got.r_i[row, column], expected, rtol=1e-11)


def test_the_weight_of_a_kernel_is_of_no_effect():
    one, other = (
        jn.models.RateSheet(
            Gaussian(2.0, weight, size=4, taps=3), Gaussian(3.0, size=4, taps=3)
        )
        for weight in (1.0, 7.0)
    )
    y = random_state(one)
    for a, b in zip(
        jax.tree.leaves(rate_of_change(one, y, None)),
        jax.tree.leaves(rate_of_change(other, y, None)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_shifted_state_has_a_shifted_derivative():
    sheet, y = small(), random_state(small())
    shifted = jn.models.RateSheetState(jnp.roll(y.r_e, 2, 0), jnp.roll(y.r_i, 1, 0))
    got, expected = (rate_of_change(sheet, s, INPUT) for s in (shifted, y))
    np.testing.assert_allclose(got.r_e, np.roll(expected.r_e, 2, 0), atol=1e-14)
    np.testing.assert_allclose(got.r_i, np.roll(expected.r_i, 1, 0), atol=1e-14)


def test_no_input_is_an_input_of_zero_and_a_lattice_may_be_uniform():
    sheet, y = small(), random_state(small())
    nothing = rate_of_change(sheet, y, None)
    for u in ((0.0, 0.0), (np.zeros((6, 6)), np.zeros((3, 3)))):
        got = rate_of_change(sheet, y, u)
        np.testing.assert_array_equal(got.r_e, nothing.r_e)
        np.testing.assert_array_equal(got.r_i, nothing.r_i)


def test_noise_is_drawn_for_every_population():
    noisy = jn.Noisy(small(), 0.1)
    y0 = small().uniform_state(0.1, 0.1)
    run = jn.simulate(noisy, y0, t1=0.2, method=jn.Grid(0.1), key=jax.random.key(0))
    assert len(np.unique(run.ys.r_e[-1])) == 36
    assert len(np.unique(run.ys.r_i[-1])) == 9


# Derivatives and batches


def test_derivatives_of_a_run_are_those_of_finite_differences():
    y0 = random_state(small())

    @jax.jit
    def loss(p):
        sheet = small(w_ee=p["w_ee"], w_ii=p["w_ii"], tau_i=p["tau_i"])
        sheet = eqx.tree_at(lambda s: s.excitation.sigma, sheet, p["sigma"])
        y = end(sheet, y0, (p["u"], 0.1))
        return jnp.mean(y.r_e**2) + jnp.mean(y.r_i)

    at = {"w_ee": 8.0, "w_ii": 9.0, "tau_i": 2.5, "sigma": 2.0, "u": 0.4}
    at = jax.tree.map(jnp.asarray, at)
    reverse, forward = jax.jacrev(loss)(at), jax.jacfwd(loss)(at)
    for name, value in at.items():
        up, down = (loss(at | {name: value + h}) for h in (1e-5, -1e-5))
        np.testing.assert_allclose(reverse[name], (up - down) / 2e-5, rtol=1e-6)
        np.testing.assert_allclose(forward[name], reverse[name], rtol=1e-11)


def test_a_batch_of_weights_is_each_of_them():
    y0, weights = random_state(small()), jnp.array([6.0, 8.0, 10.0])
    batch = jax.vmap(lambda w: end(small(w_ee=w), y0, INPUT))(weights)
    for k, w in enumerate(weights):
        one = end(small(w_ee=w), y0, INPUT)
        np.testing.assert_allclose(batch.r_e[k], one.r_e, rtol=1e-12)
        np.testing.assert_allclose(batch.r_i[k], one.r_i, rtol=1e-12)


# Bad input


def field_of(y, u=None, sheet=None):
    sheet = small() if sheet is None else sheet
    return sheet.vector_field(0.0, y, u)


GOOD = small().uniform_state(0.1, 0.1)
SWAPPED = jn.models.RateSheetState(GOOD.r_i, GOOD.r_e)
NO_SUM = [[-1.0, -1.0, -1.0], [-1.0, 8.0, -1.0], [-1.0, -1.0, -1.0]]

BALANCED = jnp.full((3, 3), 0.1).at[1, 1].set(-0.8)

BAD = {
    "a kernel that sums to zero but for rounding": (
        lambda: jn.models.RateSheet(
            jn.couplings.TorusKernel(BALANCED, size=4),
            jn.couplings.TorusKernel(np.ones((3, 3)), size=4),
        ),
        "The kernel of `excitation` of `RateSheet` sums to zero",
    ),
    "sizes": (lambda: small(6, 4), "`size` of `excitation`, 6, must be a whole multiple"),
    "no coupling": (
        lambda: jn.models.RateSheet(excitation=3.0),
        "`excitation` must be a coupling on a torus",
    ),
    "kernel": (
        lambda: jn.models.RateSheet(inhibition=jn.couplings.TorusKernel(NO_SUM, size=75)),
        "The kernel of `inhibition` of `RateSheet` sums to zero.*Give a kernel of one sign",
    ),
    "tau": (lambda: small(tau_i=0.0), "`tau_i` of `RateSheet` must be positive"),
    "state": (
        lambda: field_of(SWAPPED),
        r"lattices of shapes \(\(6, 6\), \(3, 3\)\).*`sheet.uniform_state`",
    ),
    "kind of state": (
        lambda: field_of(jnp.zeros(2)),
        "the state of a `RateSheet` is a `RateSheetState`.*`sheet.uniform_state`",
    ),
    "state of a run": (
        lambda: jn.simulate(small(), (0.1, 0.2), t1=1.0),
        "the state of a `RateSheet` is a `RateSheetState`",
    ),
    "input": (lambda: field_of(GOOD, 0.5), "the input `u` of a `RateSheet` is a pair"),
    "shape of the input": (
        lambda: field_of(GOOD, (np.zeros((3, 3)), 0.0)),
        r"`u_e` of this `RateSheet` must be one number, or a lattice of shape \(6, 6\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_a_remedy(case, unchecked_shapes):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_a_bad_element_of_a_batch_leaves_the_others_right():
    def one(tau):
        method, y0 = jn.Grid(0.1), small().uniform_state(0.1, 0.1)
        run = jn.simulate(small(tau_e=tau), y0, t1=0.2, method=method, throw=False)
        return run.ys.r_e[-1], run.result

    r_e, result = jax.vmap(one)(jnp.array([1.0, -1.0]))
    assert np.isfinite(r_e[0]).all()
    assert np.isnan(r_e[1]).all()
    assert bool((result == jn.RESULTS.parameter_out_of_range)[1])
