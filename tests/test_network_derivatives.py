"""Derivatives through networks: at fixed spikes, and with a surrogate."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import couplings, models


DT = 0.1
EXACT = jn.Grid(DT, jn.Exponential())
NEVER = 1e6


def source(size):
    return models.Population(models.SpikeSource(), size)


def never_firing(size, **parameters):
    return models.Population(models.LIF(threshold=NEVER, **parameters), size)


# Derivatives at fixed spikes.

GRADIENT_STEPS = 195
# Weights of three projections, time constants, a current, resting and reset potentials.
POINT = np.array([1.51, 1.57, 2.48, 0.53, 0.34, 0.31, 3.74, 7.49, 6.98, 2.59, 0.04, -0.08])
DIFFERENCE = 1e-6


def end_of(x, method=EXACT):
    """The final voltages of two populations, the drive of the second one delayed."""
    drive = couplings.Sparse.from_pairs([0, 1, 1], [0, 0, 1], x[:3], shape=(2, 2))
    network = models.Network(
        {
            "x": source(2),
            "e": models.Population(
                models.LIF(
                    tau=jnp.stack([x[7], x[8]]),
                    refractory_period=1.0,
                    resting_potential=x[10],
                    reset_potential=x[11],
                ),
                2,
            ),
            "i": models.Population(models.LIF(tau=5.0, hold_voltage=False), 1),
        },
        {
            "drive": models.Projection("x", "e", drive, models.ExponentialSynapse(x[6])),
            "onward": models.Projection("e", "i", couplings.Dense(x[None, 3:5]), delay=0.7),
            "back": models.Projection(
                "i",
                "e",
                couplings.AllToAll(-x[5], sources=1, targets=2),
                models.ExponentialSynapse(3.0),
                delay=0.3,
            ),
        },
    )
    train = jn.inputs.SpikeTrain([1.0, 4.0, 5.0, 11.0, 16.0], [0, 1, 0, 0, 1], size=2)
    solution = jn.simulate(
        network,
        network.initial_state(),
        t1=GRADIENT_STEPS * DT,
        u={"x": train, "e": x[9], "i": 0.6},
        method=method,
        save=jn.SaveAt(t1=True),
    )
    neurons = solution.ys.neurons
    return jnp.concatenate([neurons["e"][-1], neurons["i"][-1]]), solution.spikes


@pytest.fixture(scope="module")
def derivatives():
    """In a batch, the point itself, and a step up and a step down for each number."""
    weights = np.random.default_rng(2).normal(size=3)

    def backward(x):
        end, pull, spikes = jax.vjp(end_of, x, has_aux=True)
        return end, spikes, pull(weights)[0]

    steps = DIFFERENCE * np.eye(len(POINT))
    points = np.concatenate([POINT[None], POINT + steps, POINT - steps])
    ends, spikes, gradients = jax.jit(jax.vmap(backward))(points)
    up, down = np.split(np.asarray(ends)[1:], 2)
    return ends, spikes, weights, gradients, ((up - down) / (2 * DIFFERENCE)).T


def test_derivatives_at_fixed_spikes_equal_central_differences(derivatives):
    """Reverse mode in a batch, forward mode without one."""
    ends, spikes, weights, gradients, jacobian = derivatives
    valid = np.asarray(spikes.valid)[0]
    counts = np.bincount(np.asarray(spikes.index)[0, valid], minlength=5)
    assert counts.min() >= 2
    for times in spikes.time:
        np.testing.assert_array_equal(times, spikes.time[0])
    # Every number matters.
    assert np.abs(jacobian).max(axis=0).min() > 1e-3
    scale = np.abs(jacobian).max()
    np.testing.assert_allclose(gradients[0], weights @ jacobian, rtol=0, atol=1e-7 * scale)

    direction = np.random.default_rng(3).normal(size=len(POINT))
    forward = jax.jit(lambda x, v: jax.jvp(end_of, (x,), (v,), has_aux=True))
    end, slope, alone = forward(POINT, direction)
    np.testing.assert_allclose(slope, jacobian @ direction, rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(end, ends[0], rtol=1e-12)
    np.testing.assert_array_equal(alone.time, spikes.time[0])


# A surrogate.

LAYER_STEPS, LAYER_TAU = 30, 5.0
SLOPE = jn.surrogate.FastSigmoid(2.0)
W_IN, W_OUT = np.array([0.4, 0.7, -0.3]), np.array([0.5, -1.0, 0.8])


def layers(weights, method):
    """The output's last voltage, with a hidden layer that one spike does not make fire."""
    w_in, w_out = weights
    network = models.Network(
        {
            "x": source(1),
            "hidden": models.Population(models.LIF(tau=LAYER_TAU), 3),
            "out": never_firing(1, tau=2 * LAYER_TAU),
        },
        {
            "in": models.Projection(
                "x", "hidden", couplings.Sparse(3, [0, 3], [0, 1, 2], w_in)
            ),
            "on": models.Projection(
                "hidden", "out", couplings.Dense(w_out[None]), delay=0.2
            ),
        },
    )
    solution = jn.simulate(
        network,
        network.initial_state(),
        t1=LAYER_STEPS * DT,
        u={"x": jn.inputs.SpikeTrain([DT], [0], size=1)},
        method=method,
        save=jn.SaveAt(t1=True),
    )
    return solution.ys.neurons["out"][-1, 0], solution.spikes.count


def slope_of_layers(w_in, w_out):
    """By hand: the derivative of the output with respect to each weight of the input."""
    gradient = np.zeros(3)
    for n in range(3):
        v, dv, spikes = 0.0, 0.0, []
        for step in range(LAYER_STEPS):
            decay = math.exp(-DT / LAYER_TAU)
            v, dv = decay * v, decay * dv
            ds = dv * 2.0 / (2 * (1 + 2.0 * abs(v - 1.0)) ** 2)
            spikes.append(ds)
            if step == 0:
                v, dv = v + w_in[n], dv + 1.0
            # The reset to 0 of a neuron that did not fire.
            dv -= ds * v
        for step, ds in enumerate(spikes):
            flows = LAYER_STEPS - 1 - (step + 2)
            if flows >= 0:
                gradient[n] += w_out[n] * ds * math.exp(-flows * DT / (2 * LAYER_TAU))
    return gradient


def test_with_a_surrogate_the_weights_onto_silent_neurons_have_a_gradient():
    gradient = eqx.filter_jit(jax.grad(layers, has_aux=True))
    weights = jnp.asarray(W_IN), jnp.asarray(W_OUT)
    plain, surrogate = (
        gradient(weights, jn.Grid(DT, jn.Exponential(), surrogate=s)) for s in (None, SLOPE)
    )
    # The source alone has fired.
    assert int(plain[1]) == int(surrogate[1]) == 1
    assert (np.asarray(plain[0][0]) == 0).all()
    expected = slope_of_layers(W_IN, W_OUT)
    assert np.abs(expected).min() > 1e-2
    np.testing.assert_allclose(surrogate[0][0], expected, rtol=1e-10)
    # What a silent neuron sends is zero, whatever the weight.
    assert (np.asarray(surrogate[0][1]) == 0).all()
