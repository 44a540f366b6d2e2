"""The squid's axon as a cell: published Hopf points, two attractors, derivatives."""

import _published as published
import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


REST = -65.0
CURRENT = lambda s: s.input.value
POINTS = pytest.mark.parametrize("k", [0, 1])


def axon(leak_reversal):
    """The leak reverses so many mV above rest; 1 nA is 1 uA/cm2."""
    membrane = {
        "channels": jn.mechanisms.HodgkinHuxley(),
        "leak": jn.mechanisms.Leak(0.0003, REST + leak_reversal),
    }
    return jn.models.PointCell(membrane, area=1e5)


def hopf(cell, k, current=None):
    """The Hopf point near a published one."""
    if current is None:
        current = published.HODGKIN_HUXLEY_CURRENTS[10.613][k] + 0.05
    v = REST + published.HODGKIN_HUXLEY_STATES[k][0]
    return jn.hopf(jn.Driven(cell, current), CURRENT, cell.state_at(v))


@POINTS
@pytest.mark.parametrize("leak", published.HODGKIN_HUXLEY_CURRENTS)
def test_the_hopf_points_are_the_published_ones(leak, k):
    found = hopf(axon(leak), k)
    assert found.result == jn.RESULTS.successful
    expected = published.HODGKIN_HUXLEY_CURRENTS[leak][k]
    np.testing.assert_allclose(found.parameter, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.omega, published.HODGKIN_HUXLEY_OMEGAS[k], rtol=1e-9)
    gates = found.y.gates["channels"]
    state = np.array([found.y.v - REST, gates.m, gates.h, gates.n])
    np.testing.assert_allclose(state, published.HODGKIN_HUXLEY_STATES[k], rtol=1e-9)
    np.testing.assert_allclose(
        found.lyapunov, published.HODGKIN_HUXLEY_LYAPUNOV[k], rtol=1e-7
    )
    assert found.supercritical == (k == 1)


@POINTS
def test_the_reversal_of_the_leak_moves_the_onset_by_its_conductance(k):
    """NEURON's is 10.7 mV above rest; the state at the point stays."""
    shift = 0.3 * (10.7 - 10.599)
    expected = published.HODGKIN_HUXLEY_CURRENTS[10.599][k] - shift
    np.testing.assert_allclose(hopf(axon(10.7), k).parameter, expected, rtol=0, atol=1e-9)


def test_rest_and_firing_coexist_below_the_lower_point():
    """They do from about 6.26 uA/cm2 on, where the cycles are born."""
    cell = axon(10.599)
    # Rest alone, then rest or firing, and firing alone.
    currents = jnp.array([6.0, 6.4, 9.6, 14.0])
    calm = [cell.state_at(v) for v in (-61.2, -61.1, -59.7, -58.0)]
    gates = jn.mechanisms.Gates(*map(jnp.asarray, (0.9, 0.23, 0.56)))
    peak = eqx.tree_at(
        lambda y: (y.v, y.gates["channels"]), calm[0], (jnp.asarray(30.0), gates)
    )
    method = jn.Grid(0.1, diffrax.Tsit5(), record=jn.RecordCounts())
    save = jn.SaveAt(steps=1, fn=lambda t, y, args: y.v)

    @jax.jit
    @jax.vmap
    def swing(y, current):
        run = jn.simulate(cell, y, t1=400.0, u=current, method=method, save=save)
        return jnp.ptp(run.ys[-300:])

    starts = jax.tree.map(lambda *x: jnp.stack(x), *calm, *[peak] * 4)
    fires = np.asarray(swing(starts, jnp.tile(currents, 2))).reshape(2, 4) > 50
    assert fires.tolist() == [[False, False, False, True], [False, True, True, True]]


def four(cell):
    channels, leak = cell.mechanisms["channels"], cell.mechanisms["leak"]
    return channels.g_na, channels.g_k, leak.conductance, cell.capacitance


@pytest.mark.slow
@POINTS
def test_the_derivatives_of_the_onset_scale_as_the_currents_do(k):
    cell = axon(10.599)
    here = published.HODGKIN_HUXLEY_CURRENTS[10.599][k]
    onset = lambda cell: hopf(cell, k, here).parameter
    slope = eqx.filter_grad(onset)(cell)
    values, slopes = np.array(four(cell)), np.array(four(slope))
    close = lambda got, expected: np.testing.assert_allclose(got, expected, rtol=1e-9)
    # All conductances, the capacitance and the current grow together; so with the area.
    close(values @ slopes, here)
    close(cell.area * slope.area, here)
    close(slope.mechanisms["leak"].reversal_potential, -0.3)
    # A warmer cell is one with more capacitance.
    warmer = cell.capacitance * slope.capacitance * np.log(3) / 10
    close(slope.mechanisms["channels"].celsius, warmer)
    for value, step, expected in zip(values, np.diag(values), slopes, strict=True):
        moved = (eqx.tree_at(four, cell, tuple(values + h * step)) for h in (1e-4, -1e-4))
        up, down = (float(onset(c)) for c in moved)
        np.testing.assert_allclose((up - down) / (2e-4 * value), expected, rtol=1e-6)


@pytest.mark.slow
def test_many_onsets_at_once_are_those_one_by_one():
    leaks = jnp.array([10.599, 10.613])
    found = jax.jit(jax.vmap(lambda leak: hopf(axon(leak), 0).parameter))(leaks)
    expected = [published.HODGKIN_HUXLEY_CURRENTS[x][0] for x in (10.599, 10.613)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_the_branch_has_two_hopf_points_and_no_fold():
    cell = axon(10.599)
    branch = jn.continuation(
        jn.Driven(cell, 0.0),
        CURRENT,
        cell.resting_state(),
        (0.0, 180.0),
        method=jn.PseudoArclength(scale=50.0),
    )
    assert branch.result == jn.RESULTS.successful
    valid = np.asarray(branch.hopf_points.valid)
    np.testing.assert_allclose(
        branch.hopf_points.parameter[valid],
        published.HODGKIN_HUXLEY_CURRENTS[10.599],
        rtol=0,
        atol=1e-9,
    )
    assert not branch.folds.valid.any()
    stable = np.asarray(branch.stability.stable)[np.asarray(branch.accepted)]
    assert np.count_nonzero(np.diff(stable)) == 2


@pytest.mark.slow
def test_the_onset_of_a_ball_and_stick_has_a_pair_of_imaginary_eigenvalues():
    """By differences of its flow, and by a run on each side of the point."""
    cell = jn.models.ball_and_stick()
    found = jn.hopf(jn.Driven(cell, 0.15), CURRENT, cell.state_at(-57.0))
    assert found.valid
    assert not found.supercritical
    flat, unravel = jax.flatten_util.ravel_pytree(found.y)
    flow = jax.jit(
        lambda x: jax.flatten_util.ravel_pytree(
            cell.rates(0.0, unravel(x), found.parameter)
        )[0]
    )
    np.testing.assert_allclose(flow(flat), 0.0, atol=1e-9)
    h = 1e-5 * np.eye(len(flat))
    matrix = np.array([(flow(flat + d) - flow(flat - d)) / 2e-5 for d in h]).T
    values = np.linalg.eigvals(matrix)
    pair = values[np.argsort(-values.real)[:2]]
    np.testing.assert_allclose(pair.real, 0.0, atol=1e-7)
    np.testing.assert_allclose(np.abs(pair.imag), found.omega, rtol=1e-7)
