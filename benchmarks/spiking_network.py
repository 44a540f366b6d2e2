"""The CUBA network through `Network` and `simulate`, against a bare loop in JAX.

CUBA is the benchmark of current-based synapses of Brette et al. 2007,
doi:10.1007/s10827-007-0038-6. The bare loop is the same algorithm, written for this one
network: exact steps, one spike a turn of a loop, synapses in chunks of its source's row.
"""

import dataclasses
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

import jaxnet as jn

from ._ratio import Ratio, seconds


DT, T1, MAX_SPIKES = 0.1, 1000.0, 100_000
TAU, TAU_E, TAU_I = 20.0, 5.0, 10.0
THRESHOLD, RESET, REST, REFRACTORY = -50.0, -60.0, -49.0, 5.0
SIZES = ((1000, 0.1), (4000, 0.02), (10_000, 0.02))
RUNS, LANES = 9, 8
CHUNK = 128


@dataclasses.dataclass(frozen=True)
class Cuba:
    """Weights, synapses and initial voltages of a network of n neurons."""

    n: int
    w_e: float
    w_i: float
    excitatory: jn.couplings.Sparse
    inhibitory: jn.couplings.Sparse
    v0: jax.Array

    @staticmethod
    def draw(n: int, p: float, key) -> "Cuba":
        key_mask, key_v = jax.random.split(key)
        mask = np.asarray(
            jn.connectivity.bernoulli(n, n, p, key=key_mask, self_connections=True)
        )
        is_excitatory = np.arange(n) < 0.8 * n
        w_e, w_i = 1.62 * 80 / (p * n), -9.0 * 80 / (p * n)
        return Cuba(
            n,
            w_e,
            w_i,
            jn.couplings.Sparse.from_mask(mask & is_excitatory, w_e),
            jn.couplings.Sparse.from_mask(mask & ~is_excitatory, w_i),
            jax.random.uniform(key_v, (n,), minval=RESET, maxval=THRESHOLD),
        )


def by_jaxnet(cuba: Cuba):
    models = jn.models
    neuron = models.LIF(
        tau=TAU,
        threshold=THRESHOLD,
        resting_potential=REST,
        reset_potential=RESET,
        refractory_period=REFRACTORY,
    )
    network = models.Network(
        {"cells": models.Population(neuron, cuba.n)},
        {
            "excitatory": models.Projection(
                "cells", "cells", cuba.excitatory, models.ExponentialSynapse(TAU_E)
            ),
            "inhibitory": models.Projection(
                "cells", "cells", cuba.inhibitory, models.ExponentialSynapse(TAU_I)
            ),
        },
    )
    method = jn.Grid(DT, jn.Exponential(), record=jn.RecordTimes(MAX_SPIKES))

    @jax.jit
    def run(network, v0):
        state = network.initial_state(cells=v0)
        save = jn.SaveAt(t1=True)
        return jn.simulate(network, state, t1=T1, method=method, save=save).spikes

    return run, (network, cuba.v0)


def by_bare_loop(cuba: Cuba):
    n = cuba.n
    flow = np.diag([-1 / TAU, -1 / TAU_E, -1 / TAU_I])
    flow[0, 1:] = 1 / TAU
    decay = scipy.linalg.expm(DT * flow)
    held_steps = math.floor(REFRACTORY / DT + 1e-3)
    lanes = jnp.arange(CHUNK, dtype=jnp.int32)

    def add_row(g, table, weight, j):
        indptr, indices = table
        end = indptr[j + 1]

        def chunk(state):
            g, k = state
            first = jnp.minimum(k, indices.size - CHUNK)
            slots = first + lanes
            targets = jax.lax.dynamic_slice(indices, (first,), (CHUNK,))
            values = jnp.where((slots >= k) & (slots < end), weight, 0.0)
            return g.at[targets].add(values, mode="promise_in_bounds"), k + CHUNK

        return jax.lax.while_loop(lambda s: s[1] < end, chunk, (g, indptr[j]))[0]

    def words(flags):
        padded = jnp.pad(flags, (0, -flags.size % 8)).astype(jnp.uint8)
        return jax.lax.bitcast_convert_type(padded.reshape(-1, 8), jnp.uint64)

    def lowest(word):
        return ((jax.lax.population_count(word ^ (word - 1)) - 1) // 8).astype(jnp.int32)

    def for_each(fired, body, carry):
        return jax.lax.while_loop(
            lambda s: s[2],
            lambda s: (look_through(s[1], body, s[0]), s[1], False),
            (carry, fired, fired.any()),
        )[0]

    def look_through(fired, body, carry):
        table = words(fired)
        groups = words(table != 0)
        numbers = jnp.arange(groups.size, dtype=jnp.int32)
        after = lambda g: jnp.where(
            (groups != 0) & (numbers > g), numbers, groups.size
        ).min()

        def turn(state: tuple[jax.Array, ...]):
            g, group, word, carry = state
            carry = body(carry, (g * 8 + lowest(group)) * 8 + lowest(word))
            word = word & (word - 1)
            group = jnp.where(word == 0, group & (group - 1), group)
            g = jnp.where(group == 0, after(g), g)
            group = jnp.where(group == 0, groups[g], group)
            word = jnp.where(word == 0, table[g * 8 + lowest(group)], word)
            return g, group, word, carry

        g = after(-1)
        start = (g, groups[g], table[g * 8 + lowest(groups[g])], carry)
        return jax.lax.while_loop(lambda s: s[0] < groups.size, turn, start)[-1]

    @jax.jit
    def run(excitatory, inhibitory, v0):
        def step(carry, k):
            v, ge, gi, last, log = carry
            active = k - last >= held_steps
            moved = REST + decay[0, 0] * (v - REST) + decay[0, 1] * ge + decay[0, 2] * gi
            v = jnp.where(active, moved, v)
            ge, gi = decay[1, 1] * ge, decay[2, 2] * gi
            fired = active & (v > THRESHOLD)

            def deliver(g, j):
                return (
                    add_row(g[0], excitatory, cuba.w_e, j),
                    add_row(g[1], inhibitory, cuba.w_i, j),
                )

            def record(log, j):
                steps, units, count = log
                steps = steps.at[count].set(k, mode="drop")
                return steps, units.at[count].set(j, mode="drop"), count + 1

            ge, gi = for_each(fired, deliver, (ge, gi))
            log = for_each(fired, record, log)
            v = jnp.where(fired, RESET, v)
            return (v, ge, gi, jnp.where(fired, k, last), log), None

        empty = jnp.zeros(MAX_SPIKES, jnp.int32)
        start = (
            v0,
            jnp.zeros(n),
            jnp.zeros(n),
            jnp.full(n, -(10**6), jnp.int32),
            (empty, empty, jnp.zeros((), jnp.int32)),
        )
        return jax.lax.scan(step, start, jnp.arange(round(T1 / DT), dtype=jnp.int32))[0][-1]

    tables = [(c.indptr, c.indices) for c in (cuba.excitatory, cuba.inhibitory)]
    return run, (*tables, cuba.v0)


def main() -> list[Ratio]:
    return [ratio for n, p in SIZES for ratio in compare(n, p)] + [lanes(*SIZES[0])]


def lanes(n: int, p: float) -> Ratio:
    """What a batch costs, in single runs."""
    cuba = Cuba.draw(n, p, jax.random.key(1))
    run, (network, _) = by_jaxnet(cuba)
    batch = jax.jit(jax.vmap(run, (None, 0)))
    v0 = jax.random.uniform(jax.random.key(2), (LANES, n), minval=RESET, maxval=THRESHOLD)
    one_by_one = lambda: [run(network, v) for v in v0]
    seconds(batch, network, v0)
    seconds(one_by_one)
    pairs = [(seconds(batch, network, v0), seconds(one_by_one)) for _ in range(RUNS)]
    together, alone = np.median(pairs, axis=0)
    ratio = LANES * float(np.median([a / b for a, b in pairs]))
    return Ratio(
        f"CUBA, {n} neurons, {LANES} lanes of vmap in single runs",
        "<= 9",
        ratio,
        ratio <= 9,
        f"{together:.3f} s together, {alone:.3f} s one by one, medians of {RUNS} pairs",
    )


def compare(n: int, p: float) -> list[Ratio]:
    cuba = Cuba.draw(n, p, jax.random.key(1))
    (ours, our_arguments), (bare, bare_arguments) = by_jaxnet(cuba), by_bare_loop(cuba)
    start = time.perf_counter()
    compiled = ours.lower(*our_arguments).compile()
    compile_seconds = time.perf_counter() - start
    first = seconds(compiled, *our_arguments)
    seconds(bare, *bare_arguments)
    pairs = [
        (seconds(compiled, *our_arguments), seconds(bare, *bare_arguments))
        for _ in range(RUNS)
    ]
    our_time, bare_time = np.median(pairs, axis=0)
    ratio = float(np.median([a / b for a, b in pairs]))
    spikes, (_, _, count) = compiled(*our_arguments), bare(*bare_arguments)
    difference = abs(int(spikes.count) - int(count)) / int(count)
    rate = int(spikes.count) / n / (T1 / 1000)
    name = f"CUBA, {n} neurons"
    return [
        Ratio(
            f"{name}, times a bare loop",
            "<= 1.3",
            ratio,
            ratio <= 1.3,
            f"{our_time:.3f} s against {bare_time:.3f} s for 1 s of activity at {rate:.2f} "
            f"Hz, medians of {RUNS} pairs; first run {first:.3f} s",
        ),
        Ratio(
            f"{name}, seconds to compile",
            "<= 3",
            compile_seconds,
            compile_seconds <= 3,
            "tracing and compilation",
        ),
        Ratio(
            f"{name}, relative difference of the number of spikes",
            "<= 0.02",
            difference,
            difference <= 0.02,
            f"{int(spikes.count)} against {int(count)} spikes; rounding differs",
        ),
    ]
