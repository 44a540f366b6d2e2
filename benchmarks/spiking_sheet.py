"""The spiking sheet through `simulate`, against a bare scan with dense couplings.

Both step the settled state at a refractory period of 6 ms, with excitatory lattices of
150, 300 and 600 cells a side. The bare scan is the same algorithm, written for this one
model: its couplings are products with circulant matrices, K S K^T.
"""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxnet as jn
from jaxnet.couplings import TorusGaussian
from jaxnet.models import SheetState, SpikingSheet

from ._ratio import median_seconds, Ratio, seconds
from ._torus_alternatives import ALTERNATIVES


DT, TAU, PERIOD, W_E, W_I = 0.5, 3.0, 6.0, 0.12, 0.06
TAPS, SIGMA_E, SIGMA_I = 101, 18.0, 400.0
GOALS = {150: 0.65, 300: 0.4, 600: 0.25}
STEPS = {150: 600, 300: 200, 600: 60}
SETTLE_MS, PAIRS = 330.0, 7
GRADIENT_STEPS = 400


def sheet_of(size: int) -> SpikingSheet:
    return SpikingSheet(
        TorusGaussian(SIGMA_E, size=size, taps=TAPS),
        TorusGaussian(SIGMA_I, size=size // 2, taps=TAPS),
        refractory_period=PERIOD,
    )


@eqx.filter_jit
def settled(sheet: SpikingSheet, key) -> tuple[SheetState, jax.Array]:
    """The state after noise and a free run, and the spikes of its last step."""
    sizes = sheet.excitation.size, sheet.inhibition.size
    noise = [
        jn.inputs.During(jn.inputs.UniformNoise(0.0, 5.0, shape=(n, n)), 30.0)
        for n in sizes
    ]
    run = jn.simulate(
        sheet,
        sheet.initial_state(),
        t1=SETTLE_MS,
        u=tuple(noise),
        method=jn.Grid(DT, record=jn.RecordRaster()),
        save=jn.SaveAt(t1=True),
        key=key,
    )
    raster: Any = run.spikes
    spikes_e, _ = sheet.lattices(raster.unpack()[-1])
    return jax.tree.map(lambda x: x[0], run.ys), spikes_e


def by_jaxnet(steps: int):
    method = jn.Grid(DT, record=jn.RecordCounts())

    @jax.jit
    def run(sheet, y):
        save = jn.SaveAt(t1=True)
        return jn.simulate(sheet, y, t1=steps * DT, method=method, save=save)

    return run


def by_bare_scan(size: int, steps: int):
    def circulant(n, sigma):
        offsets = np.arange(-(TAPS // 2), TAPS // 2 + 1)
        rows = np.zeros((n, n))
        for i in range(n):
            np.add.at(rows[i], (i + offsets) % n, np.exp(-(offsets**2) / sigma))
        return jnp.asarray(rows, float)

    matrices = circulant(size, SIGMA_E), circulant(size // 2, SIGMA_I)
    held, blocked = round(PERIOD / DT), round(PERIOD / DT) + 1

    def move(v, g_e, g_i, last, k):
        v = v + DT * (-0.05 * (v + 70.0) + g_e * (0.0 - v) + g_i * (-80.0 - v))
        spikes = (v > -50.0) & (k - last >= blocked)
        last = jnp.where(spikes, k, last)
        return jnp.where(k - last < held, -70.0, v), spikes, last

    def synapse(s, spikes, matrix):
        return s + DT / TAU * (-s + matrix @ spikes.astype(float) @ matrix)

    @jax.jit
    def run(matrices, y):
        def step(carry, k):
            v_e, v_i, s_e, s_i, last_e, last_i, counts = carry
            onto_e = W_I * jnp.repeat(jnp.repeat(s_i, 2, 0), 2, 1)
            v_e, spikes_e, last_e = move(v_e, W_E * s_e, onto_e, last_e, k)
            v_i, spikes_i, last_i = move(v_i, W_E * s_e[::2, ::2], W_I * s_i, last_i, k)
            s_e = synapse(s_e, spikes_e, matrices[0])
            s_i = synapse(s_i, spikes_i, matrices[1])
            counts = counts[0] + spikes_e, counts[1] + spikes_i
            return (v_e, v_i, s_e, s_i, last_e, last_i, counts), None

        never = [jnp.full(v.shape, -(10**6), jnp.int32) for v in (y.v_e, y.v_i)]
        none = tuple(jnp.zeros(v.shape, jnp.int32) for v in (y.v_e, y.v_i))
        start = (y.v_e, y.v_i, y.s_e, y.s_i, *never, none)
        return jax.lax.scan(step, start, jnp.arange(steps, dtype=jnp.int32))[0]

    return ft.partial(run, matrices)


def main() -> list[Ratio]:
    ratios, times = [], {}
    for size in GOALS:
        sheet = sheet_of(size)
        y, spikes = settled(sheet, jax.random.key(0))
        found, times[size] = compare(size, sheet, y)
        ratios += [*found, couplings(size, spikes)]
        if size == min(GOALS):
            ratios += gradient(sheet, y)
    return [*ratios, growth(times)]


def compare(size: int, sheet: SpikingSheet, y: SheetState) -> tuple[list[Ratio], float]:
    steps = STEPS[size]
    ours, bare = by_jaxnet(steps), by_bare_scan(size, steps)
    first = seconds(ours, sheet, y)
    run, (*state, counts) = ours(sheet, y), bare(y)
    pairs = [(seconds(ours, sheet, y), seconds(bare, y)) for _ in range(PAIRS)]
    our_time, bare_time = 1000 * np.median(pairs, axis=0) / steps
    ratio = float(np.median([a / b for a, b in pairs]))
    error = float(jnp.max(jnp.abs(run.ys.v_e[0] - state[0])))
    our_counts = sheet.lattices(run.spikes.count)
    differ = sum(int(jnp.sum(a != b)) for a, b in zip(our_counts, counts, strict=True))
    name = f"spiking sheet, {size} x {size}"
    goal = GOALS[size]
    return [
        Ratio(
            f"{name}, times a scan with dense couplings",
            f"<= {goal}",
            ratio,
            ratio <= goal,
            f"{our_time:.3f} against {bare_time:.3f} ms a step, medians of {PAIRS} pairs "
            f"of {steps} steps; first run, with compilation, {first:.1f} s",
        ),
        Ratio(
            f"{name}, cells with another number of spikes",
            "0",
            differ,
            differ == 0,
            f"voltages differ by at most {error:.0e} mV",
        ),
    ], our_time


def growth(times: dict[int, float]) -> Ratio:
    """The growth of the time of a step, in units of that of N^2 log N."""
    small, large = min(times), max(times)
    cost = lambda n: n**2 * np.log(n)
    ratio = float(times[large] / times[small] / (cost(large) / cost(small)))
    return Ratio(
        f"spiking sheet, growth of a step from {small} to {large}, in that of N^2 log N",
        "<= 1",
        ratio,
        ratio <= 1,
        ", ".join(f"{n}: {t:.3f} ms" for n, t in times.items()),
    )


def couplings(size: int, spikes) -> Ratio:
    """The coupling of the excitatory lattice alone, and the ways that were not taken."""
    steps = max(10, STEPS[size] // 4)
    times = {
        name: 1e6
        * median_seconds(jax.jit(make(size, SIGMA_E, TAPS, steps)), spikes)
        / steps
        for name, make in ALTERNATIVES.items()
    }
    ratio = times["Fourier"] / times["dense"]
    return Ratio(
        f"spiking sheet, {size} x {size}, Fourier coupling, times the dense one",
        "< 1",
        ratio,
        ratio < 1,
        f"{int(spikes.sum())} spikes; us: "
        + ", ".join(f"{name} {t:.0f}" for name, t in times.items()),
    )


def gradient(sheet: SpikingSheet, y: SheetState) -> list[Ratio]:
    """A reverse-mode derivative through 400 steps, with a surrogate and checkpoints."""
    method = jn.Grid(
        DT,
        record=jn.RecordCounts(),
        surrogate=jn.surrogate.FastSigmoid(beta=1.0),
        checkpoint=True,
    )

    def loss(w_e, y):
        tuned = eqx.tree_at(lambda s: s.w_e, sheet, w_e)
        save = jn.SaveAt(t1=True)
        t1 = GRADIENT_STEPS * DT
        run = jn.simulate(tuned, y, t1=t1, method=method, save=save)
        return jnp.mean(run.ys.s_e)

    w_e = jnp.asarray(W_E)
    forward = jax.jit(loss)
    backward = jax.jit(jax.value_and_grad(loss)).lower(w_e, y).compile()
    for function in (forward, backward):
        seconds(function, w_e, y)
    pairs = [(seconds(backward, w_e, y), seconds(forward, w_e, y)) for _ in range(PAIRS)]
    ratio = float(np.median([a / b for a, b in pairs]))
    analysis: Any = backward.memory_analysis()
    memory = analysis.temp_size_in_bytes / 1e6
    name = f"spiking sheet, surrogate gradient through {GRADIENT_STEPS} steps"
    return [
        Ratio(
            f"{name}, in forward runs",
            "<= 4",
            ratio,
            ratio <= 4,
            f"{np.median(pairs, axis=0)[0]:.3f} s, median of {PAIRS} pairs",
        ),
        Ratio(
            f"{name}, MB of working memory",
            "<= 200",
            memory,
            memory <= 200,
            "temporary buffers of the compiled program",
        ),
    ]
