"""Fits of cells to recorded voltages."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


DT, T1, NOISE = 0.025, 10.0, 0.5
METHOD = jn.Grid(DT, jn.Staggered(), record=jn.RecordCounts())
CELL = jn.models.ball_and_stick()
# A short current makes a spike; then the soma is hyperpolarised through the dendrite.
STIMULUS = jn.inputs.Pulse(0.5, 1.0, CELL.inject(0.5, "soma")) + jn.inputs.Pulse(
    6.0, 3.0, CELL.inject(-0.3, "dendrite")
)


def selected(cell):
    channels, leak = cell.mechanisms["channels"], cell.mechanisms["leak"]
    return channels.g_na, channels.g_k, leak.conductance, cell.axial_resistivity


def soma(y):
    return y.v[0]


TRUTH = np.array(selected(CELL))


def simulated(cell):
    y0 = cell.resting_state()
    return jn.simulate(cell, y0, t1=T1, u=STIMULUS, method=METHOD).ys.v[:, 0]


def trace(values, noise=NOISE):
    run = jn.objectives.Run(CELL.resting_state(), T1, METHOD)
    return jn.objectives.Trace(values, run, of=soma, noise=noise)


def with_values(values):
    return eqx.tree_at(selected, CELL, tuple(jnp.asarray(values, float)))


HOW = {
    "where": selected,
    "constraints": jn.constraints.Positive(),
    "u": STIMULUS,
}


@pytest.fixture(scope="module")
def fitted():
    """Two starts, one with all values too large and one with some too small."""
    clean = simulated(CELL)
    noise = NOISE * jax.random.normal(jax.random.key(0), clean.shape)
    starts = TRUTH * np.array([[1.3, 1.4, 1.3, 1.4], [0.8, 1.3, 0.7, 0.75]])
    recorded = trace(clean + noise)
    columns = tuple(jnp.asarray(c) for c in starts.T)
    method = jn.LeastSquares(max_steps=40)
    return recorded, jn.fit(CELL, recorded, starts=columns, method=method, **HOW)


def test_all_starts_end_at_one_point_whose_misfit_is_the_noise(fitted):
    _, fit = fitted
    ends = np.stack(fit.trials.parameters, axis=1) / TRUTH
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5)
    samples = round(T1 / DT) + 1
    np.testing.assert_allclose(2 * fit.loss, 1.0, atol=4 * np.sqrt(2 / samples))


@pytest.mark.slow
def test_the_errors_are_as_large_as_they_are_said_to_be(fitted):
    recorded, fit = fitted
    left = jn.uncertainty(fit.system, recorded, **HOW)
    assert left.identifiable.all()
    errors = np.array(left.standard_errors)
    found = np.array(selected(fit.system))
    assert (errors < 0.05 * TRUTH).all()
    assert (np.abs(found - TRUTH) < 4 * errors).all()


def test_conductances_are_recovered_from_a_noisy_trace(fitted):
    _, fit = fitted
    np.testing.assert_allclose(np.array(selected(fit.system)), TRUTH, rtol=0.05)


@pytest.mark.slow
def test_the_gradient_of_a_trace_is_that_of_differences():
    start = with_values(1.2 * TRUTH)
    check = jn.check_gradient(trace(simulated(CELL)), start, **HOW)
    np.testing.assert_allclose(check.estimate, check.reference, rtol=1e-6)


@pytest.mark.slow
def test_without_noise_the_parameters_are_exact():
    recorded = trace(simulated(CELL), noise=1.0)
    start = with_values(1.2 * TRUTH)
    fit = jn.fit(start, recorded, method=jn.LeastSquares(), **HOW)
    assert fit.result == jn.RESULTS.successful
    np.testing.assert_allclose(np.array(selected(fit.system)), TRUTH, rtol=1e-6)


@pytest.mark.slow
def test_a_fit_by_differences_ends_where_an_exact_one_does(fitted):
    recorded, fit = fitted
    differences = jn.gradients.FiniteDifferences(1e-4)
    method = jn.LeastSquares(differences=differences, max_steps=40)
    other = jn.fit(with_values(1.2 * TRUTH), recorded, method=method, **HOW)
    np.testing.assert_allclose(
        np.array(selected(other.system)), np.array(selected(fit.system)), rtol=1e-4
    )
