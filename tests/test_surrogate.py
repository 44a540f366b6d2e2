"""Surrogates against their integrals, and gradients against a recursion by hand."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import jaxnet as jn
from jaxnet import models, surrogate


def triangle_step(x, width):
    z = np.clip(x / width, -1, 1)
    return 0.5 + z - z * np.abs(z) / 2


# The smooth steps from 0 to 1 whose derivatives the slopes are.
SMOOTH_STEPS = {
    "FastSigmoid": lambda x, beta: (1 + beta * x / (1 + beta * np.abs(x))) / 2,
    "Logistic": lambda x, beta: 1 / (1 + np.exp(-beta * x)),
    "ArcTangent": lambda x, beta: 0.5 + np.arctan(beta * x) / np.pi,
    "Triangle": triangle_step,
    "Gaussian": lambda x, sigma: norm.cdf(x / sigma),
}
DEFAULTS = {
    "FastSigmoid": 1.0,
    "Logistic": 4.0,
    "ArcTangent": 3.0,
    "Triangle": 1.0,
    "Gaussian": 0.5,
}
every_surrogate = pytest.mark.parametrize("name", SMOOTH_STEPS)
every_size = pytest.mark.parametrize("size", [0.3, 2.0, 25.0])
GUARDS = np.array([-3.0, -0.7, -0.21, -0.04, 0.03, 0.19, 0.8, 2.5])


@every_size
@every_surrogate
def test_the_integral_of_a_slope_is_one(name, size):
    slope = getattr(surrogate, name)(size).slope
    f = lambda x: float(slope(x))
    # Near the guard's zero, and the tails.
    near = [0.0, size, 1 / size]
    inner = quad(f, 0, max(near), points=near, epsabs=1e-9)[0]
    half = inner + quad(f, max(near), np.inf, epsabs=1e-9)[0]
    assert half == pytest.approx(0.5, abs=1e-6)


@every_size
@every_surrogate
def test_a_slope_is_the_derivative_of_a_smooth_step(name, size):
    step, h = SMOOTH_STEPS[name], 1e-6
    expected = (step(GUARDS + h, size) - step(GUARDS - h, size)) / (2 * h)
    found = getattr(surrogate, name)(size).slope(GUARDS)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@every_surrogate
def test_a_slope_has_the_size_that_is_documented_by_default(name):
    step, h = SMOOTH_STEPS[name], 1e-6
    expected = (step(GUARDS + h, DEFAULTS[name]) - step(GUARDS - h, DEFAULTS[name])) / 2e-6
    found = getattr(surrogate, name)().slope(GUARDS)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@every_surrogate
def test_a_slope_is_symmetric_and_largest_at_the_threshold(name):
    slope = getattr(surrogate, name)().slope
    x = np.linspace(0.0, 5.0, 101)
    np.testing.assert_allclose(slope(x), slope(-x), rtol=0, atol=1e-15)
    assert np.all(np.diff(slope(x)) <= 0)
    assert float(slope(0.0)) > float(slope(1.0))


@every_surrogate
def test_the_value_is_a_step_and_the_derivative_is_the_slope_in_both_modes(name):
    spike = getattr(surrogate, name)()
    guards = jnp.array([-jnp.inf, -2.0, -1e-300, 0.0, 1e-300, 0.4, jnp.inf])
    assert spike(guards).tolist() == [0, 0, 0, 0, 1, 1, 1]
    forward = jax.vmap(jax.jacfwd(spike))(guards)
    backward = jax.vmap(jax.grad(spike))(guards)
    expected = np.asarray(spike.slope(guards))
    assert np.all(np.isfinite(expected))
    np.testing.assert_array_equal(forward, expected)
    np.testing.assert_array_equal(backward, expected)


@every_surrogate
def test_the_steepness_has_no_derivative(name):
    make = getattr(surrogate, name)
    assert float(jax.grad(lambda size: make(size)(jnp.asarray(0.1)))(0.7)) == 0.0


STEPS, DT, DELAY, REFRACTORY = 340, 0.1, 3, 15
# w_10, w_21, drives, tau, threshold, reset, rest, resistance.
POINT = np.array([0.9, 0.8, 1.9, 0.4, 9.0, 1.0, -0.1, 0.05, 1.1])


def chain(p, slope):
    """Three neurons in a row, and by `slope` the derivatives of their recursion by hand.

    Flow, guard, receive, reset. What is refractory, or has just fired, receives nothing.
    """
    n = len(p)
    one = np.eye(n)
    w, dw = np.zeros((3, 3)), np.zeros((3, 3, n))
    w[1, 0], w[2, 1], dw[1, 0], dw[2, 1] = p[0], p[1], one[0], one[1]
    u, du = np.array([p[2], p[3], 0.0]), np.stack([one[2], one[3], 0 * one[0]])
    tau, threshold, reset, rest, resistance = p[4:]
    v, dv = np.zeros(3), np.zeros((3, n))
    last, spikes = np.full(3, -(10**6)), []
    for k in range(STEPS):
        rate = (rest - v + resistance * u) / tau
        drate = one[7] - dv + np.outer(u, one[8]) + resistance * du
        drate = drate / tau - np.outer(rate / tau, one[4])
        is_held = k - last < REFRACTORY
        v = np.where(is_held, v, v + DT * rate)
        dv = np.where(is_held[:, None], dv, dv + DT * drate)
        guard, dguard = v - threshold, dv - one[5]
        s = ((guard > 0) & ~is_held).astype(float)
        ds = (slope(guard) * ~is_held)[:, None] * dguard
        spikes.append((s, ds))
        sent, dsent = spikes[k - DELAY] if k >= DELAY else (0 * s, 0 * ds)
        receives = ~is_held & (s == 0)
        v = v + receives * (w @ sent)
        dv = dv + receives[:, None] * (w @ dsent + np.einsum("ijp,j->ip", dw, sent))
        dv = (1 - s)[:, None] * dv + (reset - v)[:, None] * ds + np.outer(s, one[6])
        v = (1 - s) * v + s * reset
        last = np.where(s > 0, k, last)
    return v, dv, np.array([s for s, _ in spikes], dtype=bool)


def simulated_chain(p, slopes):
    neuron = models.LIF(
        tau=p[4],
        threshold=p[5],
        reset_potential=p[6],
        resting_potential=p[7],
        resistance=p[8],
        refractory_period=REFRACTORY * DT,
    )
    weights = jnp.zeros((3, 3)).at[1, 0].set(p[0]).at[2, 1].set(p[1])
    coupling = jn.couplings.Dense(weights)
    network = models.Network(
        {"e": models.Population(neuron, 3)},
        {"next": models.Projection("e", "e", coupling, delay=DELAY * DT)},
    )
    solution = jn.simulate(
        network,
        network.initial_state(e=0.0),
        t1=STEPS * DT,
        u={"e": jnp.array([p[2], p[3], 0.0])},
        method=jn.Grid(DT, record=jn.RecordRaster(), surrogate=slopes),
        save=jn.SaveAt(t1=True),
    )
    v = solution.ys.neurons["e"][0]
    return v, (v, solution.spikes.unpack())


def differentiated_chain(slopes):
    forward = jax.jacfwd(simulated_chain, has_aux=True)(POINT, slopes)
    backward, _ = jax.jacrev(simulated_chain, has_aux=True)(POINT, slopes)
    (v, spikes), by_forward = forward[1], forward[0]
    return v, spikes, by_forward, backward


BETAS = np.array([0.5, 3.0, 20.0])


@functools.cache
def chains_with_a_surrogate():
    make = lambda beta: differentiated_chain(surrogate.FastSigmoid(beta))
    return jax.jit(jax.vmap(make))(BETAS)


@functools.cache
def chain_without_one():
    return jax.jit(lambda: differentiated_chain(None))()


def assert_is_chain(found, slope):
    v, spikes, forward, backward = map(np.asarray, found)
    expected_v, expected, expected_spikes = chain(POINT, slope)
    assert np.array_equal(spikes, expected_spikes)
    assert spikes.sum(axis=0).min() >= 2
    np.testing.assert_allclose(v, expected_v, rtol=0, atol=1e-12)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(forward, expected, rtol=0, atol=1e-11 * scale)
    np.testing.assert_allclose(backward, expected, rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize("i", range(len(BETAS)))
def test_the_gradient_with_a_surrogate_is_that_of_the_recursion_by_hand(i):
    beta = BETAS[i]
    slope = lambda x: beta / (2 * (1 + beta * np.abs(x)) ** 2)
    assert_is_chain([x[i] for x in chains_with_a_surrogate()], slope)
    # The last neuron feels the drive of the first one, through two spikes.
    assert abs(chain(POINT, slope)[1][2, 2]) > 1e-3


def test_without_a_surrogate_the_gradient_is_that_at_fixed_spikes():
    assert_is_chain(chain_without_one(), np.zeros_like)
    jacobian = np.asarray(chain_without_one()[2])
    # No more does the last neuron feel the drive of the first one, or the threshold.
    assert np.all(jacobian[2, 2] == 0)
    assert np.all(jacobian[:, 5] == 0)
    assert np.all(np.abs(jacobian[:, 4]) > 1e-4)


def test_the_gradient_at_fixed_spikes_equals_finite_differences():
    h = 1e-6
    differences = []
    for step in h * np.eye(len(POINT)):
        (up, _, spikes_up), (down, _, spikes_down) = (
            chain(POINT + sign * step, np.zeros_like) for sign in (1, -1)
        )
        assert np.array_equal(spikes_up, spikes_down)
        differences.append((up - down) / (2 * h))
    found = chain_without_one()[3]
    np.testing.assert_allclose(found, np.array(differences).T, rtol=1e-6, atol=1e-8)


@functools.cache
def crowd(name):
    """Many neurons that excite and inhibit one another, after 30 ms."""
    size = 30
    weights = np.random.default_rng(1).normal(size=(size, size)) * 0.15
    population = models.Population(models.LIF(refractory_period=1.0), size)
    coupling = jn.couplings.Dense(weights)
    network = models.Network(
        {"e": population}, {"all": models.Projection("e", "e", coupling, delay=0.2)}
    )
    slopes = None if name is None else getattr(surrogate, name)()
    return jn.simulate(
        network,
        network.initial_state(),
        t1=30.0,
        u={"e": np.linspace(0.8, 2.5, size)},
        method=jn.Grid(DT, record=jn.RecordRaster(), surrogate=slopes),
    )


@every_surrogate
def test_a_surrogate_changes_no_bit_of_the_simulation(name):
    without, found = crowd(None), crowd(name)
    assert without.spikes.unpack().sum() > 50
    assert np.array_equal(found.spikes.bits, without.spikes.bits)
    np.testing.assert_array_equal(found.ys.neurons["e"], without.ys.neurons["e"])


@pytest.mark.parametrize("hold", [True, False])
def test_nothing_flows_through_a_neuron_that_is_refractory(hold):
    """After one spike the source is refractory for ever: its guard has no more say."""
    tau, weight, steps, start = 10.0, 0.4, 100, 1.3

    def end_of_target(v0):
        source = models.LIF(refractory_period=np.inf, hold_voltage=hold)
        target = models.LIF(threshold=1e9)
        network = models.Network(
            {
                "source": models.Population(source, 1),
                "target": models.Population(target, 1),
            },
            {
                "kick": models.Projection(
                    "source", "target", jn.couplings.OneToOne(weight, size=1)
                )
            },
        )
        solution = jn.simulate(
            network,
            network.initial_state(source=v0, target=0.0),
            t1=steps * DT,
            u={"source": 1.5},
            method=jn.Grid(
                DT, record=jn.RecordCounts(), surrogate=surrogate.ArcTangent(2.0)
            ),
            save=jn.SaveAt(t1=True),
        )
        return solution.ys.neurons["target"][0, 0], solution.spikes.count

    slope, count = jax.jit(jax.grad(end_of_target, has_aux=True))(start)
    decay = 1 - DT / tau
    guard = decay * start + DT / tau * 1.5 - 1.0
    at_spike = 2.0 / (math.pi * (1 + (2.0 * guard) ** 2)) * decay
    assert count.tolist() == [1, 0]
    assert float(slope) == pytest.approx(
        weight * at_spike * decay ** (steps - 1), rel=1e-10
    )


@every_surrogate
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_size_that_is_not_positive_is_refused(name, value):
    message = f"of `{name}` must be positive, but it is {value}. Pass a positive value"
    with pytest.raises(ValueError, match=message):
        getattr(surrogate, name)(value)


@every_surrogate
def test_a_size_that_is_nan_is_refused(name):
    with pytest.raises(ValueError, match=rf"`{name}\.(beta|width|sigma)` is NaN"):
        getattr(surrogate, name)(math.nan)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("value", [surrogate.FastSigmoid, 2.0, np.tanh])
def test_what_is_no_surrogate_is_refused(value):
    with pytest.raises(ValueError, match="`surrogate`"):
        jn.Grid(0.1, surrogate=value)
