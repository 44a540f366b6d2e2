"""A rate network that is trained to integrate pulses and to hold their sum."""

import functools as ft
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

import jaxnet as jn


TAU, DT = 10.0, 2.0
METHOD = jn.Grid(DT)
# In steps: a pulse lasts one time constant. For another two after it, and for the first
# three of a trial, nothing is asked.
PULSE, SETTLE = 5, 15
TRIAL, ONSETS, BATCH = 120, (15, 50), 16
LEARNING_RATE = 5e-3


class Integrator(NamedTuple):
    """A trained network, the weights of its input and those of its linear readout."""

    network: jn.models.RateNetwork
    input_weights: Float[Array, " n"]
    readout: Float[Array, " n"]


def pulses_between(
    levels: Float[Array, " pulses"], onsets: tuple[int, ...], steps: int
) -> Float[Array, " samples"]:
    """Pulses whose integral over τ goes from 0 to each of the levels, at each step."""
    times = jnp.arange(steps + 1)
    sizes = jnp.diff(levels, prepend=0.0) * TAU / (DT * PULSE)
    pulses = [a * _during(times, k, PULSE) for a, k in zip(sizes, onsets, strict=True)]
    return jnp.sum(jnp.stack(pulses), axis=0)


def respond(
    integrator: Integrator, pulses: Float[Array, " samples"]
) -> Float[Array, "samples n"]:
    """The states at each step, from silence on."""
    network, input_weights, _ = integrator
    u = jn.inputs.Sampled(pulses[:, None] * input_weights, DT)
    t1 = DT * (len(pulses) - 1)
    save = jn.SaveAt(t0=True, steps=True)
    silence = jnp.zeros(len(input_weights))
    return jn.simulate(network, silence, t1=t1, u=u, method=METHOD, save=save).ys


def train_integrator(key, *, size: int, steps: int) -> Integrator:
    """Trained from random weights and thresholds to hold the sum of two pulses.

    The sum is between -1 and 1. The thresholds differ, so that the states that hold it
    lie on a curve and not on a straight line. With no `steps` it is the network before
    training.
    """
    key_weights, key_thresholds, key_input, key_trials = jax.random.split(key, 4)
    input_weights = 2 * jax.random.normal(key_input, (size,)) / jnp.sqrt(size)
    params = (
        0.8 * jax.random.normal(key_weights, (size, size)) / jnp.sqrt(size),
        0.5 * jax.random.normal(key_thresholds, (size,)),
        input_weights,
        input_weights / 4,
    )
    if steps == 0:
        return _integrator(params)
    # The steps shrink to nothing, so that the end does not jitter.
    descent = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps)),
    )

    @jax.jit
    def train(params):
        def step(carry, key):
            params, state = carry
            gradient = jax.grad(_loss)(params, key)
            updates, state = descent.update(gradient, state)
            return (optax.apply_updates(params, updates), state), None

        keys = jax.random.split(key_trials, steps)
        return jax.lax.scan(step, (params, descent.init(params)), keys)[0]

    return _integrator(train(params)[0])


def _during(times: Int[Array, " t"], start: int, length: int) -> Bool[Array, " t"]:
    return (times >= start) & (times < start + length)


def _integrator(params) -> Integrator:
    weights, thresholds, input_weights, readout = params
    network = jn.models.RateNetwork(weights, TAU, jn.transfer.Tanh(theta=thresholds))
    return Integrator(network, input_weights, readout)


def _loss(params, key) -> Float[Array, ""]:
    """The mean square error of the readout while the sum is held."""
    integrator = _integrator(params)
    levels = jax.random.uniform(key, (BATCH, len(ONSETS)), minval=-1.0, maxval=1.0)
    pulses = jax.vmap(lambda x: pulses_between(x, ONSETS, TRIAL))(levels)
    states = jax.vmap(ft.partial(respond, integrator))(pulses)
    # At its pulses the sum is off by one step, but there nothing is asked.
    wanted = jnp.cumsum(pulses, axis=1) * DT / TAU
    times = jnp.arange(TRIAL + 1)
    busy = [_during(times, k, SETTLE) for k in (0, *ONSETS)]
    errors = (states @ integrator.readout - wanted) ** 2
    return jnp.mean(errors, where=~jnp.any(jnp.stack(busy), axis=0))
