"""Checkpoints of a grid change no number, and bound what reverse mode keeps."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


NETWORK = jn.models.Network(
    {"cells": jn.models.Population(jn.models.LIF(refractory_period=0.4), 3)},
    {
        "kick": jn.models.Projection(
            "cells",
            "cells",
            jn.couplings.Dense(0.1 * (np.ones((3, 3)) - np.eye(3))),
            jn.models.ExponentialSynapse(2.0),
            delay=0.3,
        )
    },
)
DRIVE = {"cells": jnp.array([1.5, 2.0, 2.5])}
SAVES = {
    "every step": jn.SaveAt(t0=True, steps=1),
    "every seventh": jn.SaveAt(steps=7, t1=True),
    "the end": jn.SaveAt(t1=True),
}


def run(drive, steps, save, *, checkpoint, noisy=False):
    method = jn.Grid(
        0.1,
        diffrax.Heun(),
        record=jn.RecordRaster(),
        surrogate=jn.surrogate.FastSigmoid(beta=1.0),
        checkpoint=checkpoint,
    )
    system = jn.Noisy(NETWORK, 0.05) if noisy else NETWORK
    return jn.simulate(
        system,
        NETWORK.initial_state(cells=jnp.array([0.2, 0.5, 0.9])),
        t1=0.1 * steps,
        u={"cells": drive},
        method=method,
        save=save,
        key=jax.random.key(0),
    )


def loss(drive, *args, **options):
    saved = jax.tree.leaves(run(drive, *args, **options).ys)
    return sum(jnp.sum(jnp.cos(x)) for x in saved)


@pytest.mark.parametrize("save", SAVES)
def test_numbers_and_derivatives_are_those_without(save):
    args = DRIVE["cells"], 59, SAVES[save]
    both = [eqx.filter_jit(run)(*args, checkpoint=c, noisy=True) for c in (False, True)]
    np.testing.assert_array_equal(both[0].spikes.bits, both[1].spikes.bits)
    assert both[0].spikes.unpack().any()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), both[0].ys, both[1].ys
    )
    plain, kept = (
        eqx.filter_jit(jax.grad(loss))(*args, checkpoint=c) for c in (False, True)
    )
    assert jnp.abs(plain).max() > 1e-3
    np.testing.assert_allclose(kept, plain, rtol=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_runs_of_few_steps(steps):
    args = DRIVE["cells"], steps, SAVES["the end"]
    plain, kept = (
        eqx.filter_jit(jax.grad(loss))(*args, checkpoint=c) for c in (False, True)
    )
    np.testing.assert_allclose(kept, plain, rtol=1e-9)


def test_memory_grows_with_the_square_root_of_the_steps():
    def memory(steps, checkpoint):
        save = jn.SaveAt(t1=True, fn=lambda t, y, args: y)
        method = jn.Grid(0.1, checkpoint=checkpoint)

        def end(u):
            network = jn.models.RateNetwork(weights=0.1 * jnp.eye(200))
            run = jn.simulate(
                network, jnp.zeros(200), t1=0.1 * steps, u=u, method=method, save=save
            )
            return jnp.sum(run.ys)

        compiled = jax.jit(jax.grad(end)).lower(jnp.ones(200)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    plain = memory(6400, False) / memory(400, False)
    kept = memory(6400, True) / memory(400, True)
    assert plain > 10
    assert kept < 5


def test_a_batch_of_derivatives_is_each_alone():
    drives = jnp.stack([DRIVE["cells"], DRIVE["cells"] + 0.3])
    grad = eqx.filter_jit(
        jax.grad(lambda u: loss(u, 40, SAVES["the end"], checkpoint=True))
    )
    np.testing.assert_allclose(
        jax.vmap(grad)(drives), jnp.stack([grad(u) for u in drives]), rtol=1e-9
    )
