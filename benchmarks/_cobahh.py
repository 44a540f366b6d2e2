"""COBAHH of Brette et al. 2007, doi:10.1007/s10827-007-0038-6, as a `Network`."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet as jn


N, P, T1, DT = 4000, 0.02, 1000.0, 0.1
EXCITATORY_PART = 0.8
W_E, W_I, TAU_E, TAU_I = 0.006, 0.067, 5.0, 10.0
LEAK_REVERSAL = -60.0


def network(key, n: int = N, p: float = P) -> jn.models.Network:
    mask = np.asarray(jn.connectivity.bernoulli(n, n, p, key=key, self_connections=True))
    is_excitatory = np.arange(n) < EXCITATORY_PART * n
    cell = jn.models.PointCell(
        {
            "channels": jn.mechanisms.TraubMiles(),
            "leak": jn.mechanisms.Leak(5e-5, LEAK_REVERSAL),
        },
        area=20_000.0,
        threshold=-20.0,
    )

    def projection(part, weight, tau, reversal):
        coupling = jn.couplings.Sparse.from_mask(mask & part, weight)
        synapse = jn.models.ExponentialSynapse(tau=tau, reversal_potential=reversal)
        return jn.models.Projection("cells", "cells", coupling, synapse)

    return jn.models.Network(
        {"cells": jn.models.Population(cell, n)},
        {
            "excitatory": projection(is_excitatory, W_E, TAU_E, 0.0),
            "inhibitory": projection(~is_excitatory, W_I, TAU_I, -80.0),
        },
    )


def initial_state(net: jn.models.Network, key) -> jn.models.NetworkState:
    n = net.populations["cells"].size
    v, g_e, g_i = jax.random.normal(key, (3, n))
    shut = jnp.zeros(n)
    start = jn.models.CellState(
        LEAK_REVERSAL + 5 * v - 5,
        {"channels": jn.mechanisms.Gates(shut, shut, shut), "leak": None},
    )
    synapses = {"excitatory": 0.01 * (1.5 * g_e + 4), "inhibitory": 0.01 * (12 * g_i + 20)}
    return jn.models.NetworkState({"cells": start}, synapses)
