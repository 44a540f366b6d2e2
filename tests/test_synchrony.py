"""Synchrony, correlation and overlap against numpy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jaxnet as jn


synchrony_gradient = jax.jit(jax.grad(jn.measure.synchrony))
correlation_gradient = jax.jit(jax.grad(jn.measure.pairwise_correlation))


def normals(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def common_and_own(common, units, seed=0, steps=20_000):
    """Of unit variance, of which a part is common to all units."""
    shared, own = normals(seed, steps, 1), normals(seed + 1, steps, units)
    return jnp.asarray(np.sqrt(common) * shared + np.sqrt(1 - common) * own)


def test_synchrony_is_the_ratio_of_the_variances_of_numpy():
    v = -65.0 + normals(0, 300, 7) * np.arange(1, 8) + normals(1, 300, 1)
    expected = np.sqrt(v.mean(1).var() / v.var(0).mean())
    assert float(jn.measure.synchrony(jnp.asarray(v))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("units", [1, 2, 30])
def test_units_that_do_the_same_have_a_synchrony_of_1(units):
    v = np.repeat(-65.0 + normals(2, 300, 1), units, axis=1)
    chi = jn.measure.synchrony(jnp.asarray(v))
    assert float(chi) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("units", [10, 100])
@pytest.mark.parametrize("common", [0.0, 0.3])
def test_synchrony_and_correlation_of_a_common_input(common, units):
    """Of independent units it is 1 / sqrt(N), and the correlation is the common part."""
    v = common_and_own(common, units)
    chi = float(jn.measure.synchrony(v))
    expected = np.sqrt(common + (1 - common) / units)
    assert chi == pytest.approx(expected, rel=4 / np.sqrt(2 * len(v)))

    pairs = units * (units - 1) / 2
    error = 4 * (np.sqrt(2) * common + 1 / np.sqrt(pairs)) / np.sqrt(len(v))
    correlation = float(jn.measure.pairwise_correlation(v))
    assert correlation == pytest.approx(common, abs=error)


def test_units_in_antiphase_have_no_synchrony_and_a_finite_gradient():
    wave = jnp.sin(jnp.linspace(0.0, 20.0, 100))
    v = jnp.stack([wave, -wave], axis=1)
    assert jn.measure.synchrony(v) == 0.0
    assert float(jn.measure.pairwise_correlation(v)) == pytest.approx(-1.0, rel=1e-12)
    assert np.all(np.isfinite(synchrony_gradient(v)))


def test_units_that_never_vary_have_no_synchrony_to_speak_of():
    v = jnp.full((20, 4), 0.1)
    # Rounding errors have a variance too, which is none of the units'.
    assert np.all(np.asarray(jnp.var(v, axis=0)) > 0)
    assert np.isnan(jn.measure.synchrony(v))
    assert np.all(np.asarray(synchrony_gradient(v)) == 0.0)


def test_the_correlation_is_the_mean_of_those_of_numpy():
    counts = np.random.default_rng(3).poisson(2.0, (50, 6)) + np.random.default_rng(
        4
    ).poisson(1.0, (50, 1))
    matrix = np.corrcoef(counts.T)
    expected = matrix[np.triu_indices(6, 1)].mean()
    measured = jn.measure.pairwise_correlation(jnp.asarray(counts))
    assert measured.dtype == float
    assert float(measured) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, 7.0])
def test_a_unit_that_never_varies_is_left_out_of_the_correlation(constant):
    counts = jnp.asarray(normals(5, 10, 4))
    with_constant = jnp.insert(counts, 2, constant, axis=1)
    expected = float(jn.measure.pairwise_correlation(counts))
    measured = float(jn.measure.pairwise_correlation(with_constant))
    assert measured == pytest.approx(expected, rel=1e-12)

    expected = jnp.insert(correlation_gradient(counts), 2, 0.0, axis=1)
    gradient = correlation_gradient(with_constant)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("varying", [0, 1])
def test_fewer_than_two_units_that_vary_have_no_correlation(varying):
    counts = jnp.full((10, 3), 0.1).at[:, :varying].set(normals(6, 10, varying))
    assert np.isnan(jn.measure.pairwise_correlation(counts))
    assert np.all(np.isfinite(correlation_gradient(counts)))


def test_a_count_that_is_not_known_is_not_passed_over():
    counts = jnp.asarray(normals(13, 10, 4)).at[3, 1].set(jnp.nan)
    assert np.isnan(jn.measure.pairwise_correlation(counts))
    assert np.isnan(jn.measure.synchrony(counts))


PATTERNS = jnp.asarray(np.sign(normals(7, 3, 400)))


def test_the_overlap_is_a_mean_over_units():
    state = jnp.asarray(normals(8, 400))
    expected = [np.mean(np.asarray(xi) * np.asarray(state)) for xi in PATTERNS]
    np.testing.assert_allclose(jn.measure.overlap(state, PATTERNS), expected, rtol=1e-12)


def test_a_pattern_has_an_overlap_of_1_with_itself_and_a_small_one_with_others():
    overlaps = np.asarray(jn.measure.overlap(PATTERNS, PATTERNS))
    np.testing.assert_array_equal(np.diag(overlaps), 1.0)
    np.testing.assert_array_equal(jn.measure.overlap(-PATTERNS, PATTERNS), -overlaps)
    others = overlaps[np.triu_indices(3, 1)]
    assert np.all(np.abs(others) < 4 / np.sqrt(400))
    assert np.any(others != 0.0)


def test_flipped_units_lower_the_overlap_by_twice_their_part():
    state = PATTERNS[0].at[:100].multiply(-1)
    assert jn.measure.overlap(state, PATTERNS)[0] == 0.5
    whole_numbers = jn.measure.overlap(state.astype(int), PATTERNS.astype(int))
    np.testing.assert_array_equal(whole_numbers, jn.measure.overlap(state, PATTERNS))


def test_the_overlaps_of_a_trajectory_are_those_of_its_states():
    states = jnp.asarray(normals(9, 5, 400))
    expected = [jn.measure.overlap(state, PATTERNS) for state in states]
    np.testing.assert_allclose(jn.measure.overlap(states, PATTERNS), expected, rtol=1e-12)


def test_gradients_agree_with_finite_differences():
    series = jnp.asarray(normals(10, 6, 4) + normals(11, 6, 1))
    patterns = PATTERNS[:, :4]

    @jax.jit
    def answers(x):
        return (
            jn.measure.synchrony(x),
            jn.measure.pairwise_correlation(x),
            jn.measure.overlap(x, patterns),
        )

    check_grads(answers, (series,), 1, ["fwd", "rev"], atol=1e-7, rtol=1e-7)
    gradient = jax.grad(lambda s: jn.measure.overlap(s, patterns)[1])(series[0])
    np.testing.assert_allclose(gradient, patterns[1] / 4, rtol=1e-14)


def test_a_batch_of_trials_is_a_loop_over_them():
    trials = jnp.asarray(normals(12, 3, 20, 4)).at[1, :, 2].set(0.1).at[2].set(0.1)

    def answers(x):
        return jn.measure.synchrony(x), jn.measure.pairwise_correlation(x)

    batch = jax.jit(jax.vmap(answers))(trials)
    for i, trial in enumerate(trials):
        for many, one in zip(batch, answers(trial), strict=True):
            np.testing.assert_allclose(many[i], one, rtol=1e-12)
    assert np.isnan(batch[0]).tolist() == [False, False, True]


BAD = {
    "one unit's series": (
        lambda: jn.measure.synchrony(jnp.ones(10)),
        r"`voltages` must have the shape \(time, units\).*\(10,\)",
    ),
    "trials": (
        lambda: jn.measure.synchrony(jnp.ones((3, 10, 2))),
        r"it is \(3, 10, 2\). For many trials use `jax.vmap`",
    ),
    "one time": (
        lambda: jn.measure.synchrony(jnp.ones((1, 10))),
        "with two times at least",
    ),
    "one bin": (
        lambda: jn.measure.pairwise_correlation(jnp.ones((1, 10))),
        "`counts` must have the shape",
    ),
    "other units": (
        lambda: jn.measure.overlap(jnp.ones(5), PATTERNS),
        r"`state` and of `patterns`.*\(5,\) and \(3, 400\). Give the patterns in rows",
    ),
    "patterns in columns": (
        lambda: jn.measure.overlap(jnp.ones(400), PATTERNS.T),
        "Give the patterns in rows",
    ),
    "one pattern": (
        lambda: jn.measure.overlap(jnp.ones(400), PATTERNS[0]),
        "Give the patterns in rows",
    ),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input_names_the_parameter_and_the_remedy(bad):
    call, message = BAD[bad]
    with pytest.raises(ValueError, match=message):
        call()
