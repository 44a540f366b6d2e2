"""The document's E-I network is silent; with a drive in Hz it fires at gamma.

Literal: 80 e and 20 i at rest get 20 mV in a random tenth of the steps of 0.1 ms, which is
2 mV on average, against 15 mV from rest to threshold. The reason in a sentence: the drive
has the probability `0.01 / dt` a step, where a rate times `dt` is meant, so that how strong
it is depends on the step, and at 0.1 ms it is too weak.

Corrected: 400 e and 100 i, as `_balanced` describes them, with PSPs of 0.25 mV (e to e),
0.5 (e to i), -0.75 (i to e) and -0.6 (i to i). The drive (x) is that of 400 Poisson neurons
of 25 Hz; each neuron hears 80 of them, by PSPs of 0.9 mV (e) and 0.7 mV (i).

Why gamma: an excess of e excites i, which silences e, after two delays and the lags of two
synapses. At frequency f a delay d turns the phase by 2πfd, and a synapse by atan(2πfτ);
where the turns add up to π, the loop feeds itself (Brunel and Wang 2003,
doi:10.1152/jn.01095.2002). With 1.5 ms twice, 3 ms and 7 ms this is at 59 Hz if the neurons
themselves follow at once, and at 22 Hz if each of them lags by π/4, as they do where their
input is fast and the noise white. A neuron skips cycles (Brunel 2000,
doi:10.1023/A:1008925309027).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._balanced import (
    DELAY,
    draw_table,
    in_range,
    irregularity,
    neuron,
    projection,
    recurrent_projections,
    recurrent_tables,
    REST,
    spikes_of,
    stack,
    SYNAPSE_TAU,
    TAU,
    THRESHOLD,
    weight,
)
from ._report import below, Claim, close, equal, Report


SEEDS, ENOUGH = 8, 6
GAMMA = (30.0, 80.0)
BLUE, RED, GREEN = jn.plot.COLOURS[:3]

# The document's network.
LITERAL_E, LITERAL_I, LITERAL_T1 = 80, 20, 500.0
KICK, PER_STEP = 20.0, 0.01

# The corrected one.
SIZES = {"e": 400, "i": 100}
SOURCES, HEARD, SOURCE_RATE = 400, 80, 25.0
DRIVE_PSP = {"e": 0.9, "i": 0.7}
DT, TRANSIENT, BIN, SEGMENT = 0.1, 200.0, 1.0, 200.0
MAX_SPIKES_PER_MS = 40


class Literal(NamedTuple):
    """Runs of the document's network, one a seed: voltage from rest and drive (mV)."""

    v: np.ndarray
    spikes: np.ndarray
    drive: np.ndarray
    weights: np.ndarray


def literal(dt: float, t1: float, seeds: int, seed: int) -> Literal:
    """What the document's loop does, step by step: drive, synapses, threshold."""
    rng, n = np.random.default_rng(seed), LITERAL_E + LITERAL_I
    size = np.repeat([0.3, -1.0], [LITERAL_E, LITERAL_I])
    p = np.repeat([0.2, 0.5], [LITERAL_E, LITERAL_I])
    shape = seeds, n, n
    weights = size * rng.random(shape) * (rng.random(shape) < p) * (1 - np.eye(n))
    drive = KICK * (rng.random((round(t1 / dt), seeds, n)) < PER_STEP / dt)
    v = np.zeros((len(drive) + 1, seeds, n))
    fired = np.zeros(v.shape, bool)
    for k, kick in enumerate(drive):
        synapses = 50 * (weights @ fired[k, ..., None])[..., 0] if fired[k].any() else 0.0
        v[k + 1] = v[k] + dt / TAU * (kick + synapses - v[k])
        fired[k + 1] = v[k + 1] >= THRESHOLD - REST
        v[k + 1, fired[k + 1]] = 0.0
    return Literal(v, fired, drive, weights)


def literal_by_jaxnet(weights: np.ndarray, drive: np.ndarray):
    """The voltages of the same network with the same drive, as a `Network`."""
    jump = jn.couplings.Dense(jnp.asarray(50 * DT / TAU * weights))
    cells = jn.models.LIF(tau=TAU, threshold=THRESHOLD - REST)
    network = jn.models.Network(
        {"cells": jn.models.Population(cells, len(weights))},
        {"all": jn.models.Projection("cells", "cells", jump, delay=DT)},
    )
    return jn.simulate(
        network,
        network.initial_state(),
        t1=len(drive) * DT,
        u={"cells": jn.inputs.Sampled(drive, DT)},
        method=jn.Grid(DT, record=jn.RecordCounts()),
        save=jn.SaveAt(t0=True, steps=1, fn=lambda t, y, args: y.neurons["cells"]),
    ).ys


def literal_claims(seed: int) -> tuple[list[Claim], dict[float, Literal]]:
    """What is wrong with the document's network, and its runs at three steps."""
    coarse = literal(DT, LITERAL_T1, SEEDS, seed)
    fine = literal(DT / 2, LITERAL_T1 / 2, SEEDS, seed)
    finest = literal(PER_STEP, 100.0, 1, seed)
    settled = lambda run: run.v[len(run.v) // 2 :].mean(axis=(0, 2))
    per_ms = lambda run, dt: (run.drive > 0).mean() / dt
    ours = literal_by_jaxnet(coarse.weights[0], coarse.drive[:, 0])
    claims = [
        equal(
            "literal: seeds without a spike",
            SEEDS,
            int((~coarse.spikes.any(axis=(0, 2))).sum()),
        ),
        in_range(
            "literal, dt 0.1 ms: depolarisation (mV), 2 of 15 needed",
            1.95,
            2.05,
            settled(coarse),
            at_least=SEEDS,
            digits=3,
        ),
        in_range(
            "literal, dt 0.05 ms: depolarisation (mV), 4: as 1/dt",
            3.95,
            4.05,
            settled(fine),
            at_least=SEEDS,
            digits=3,
        ),
        close(
            "literal: drive spikes per ms, dt 0.05 over dt 0.1, as 1/dt²",
            4.0,
            per_ms(fine, DT / 2) / per_ms(coarse, DT),
            0.05,
        ),
        close(
            "literal, dt 0.01 ms: first spike (ms), at τ ln(20/5)",
            TAU * np.log(4.0),
            PER_STEP * np.flatnonzero(finest.spikes.any(axis=(1, 2)))[0],
            2 * PER_STEP,
        ),
        below(
            "literal: jaxnet against the loop in numpy (mV)",
            1e-11,
            np.abs(ours - coarse.v[:, 0]).max(),
        ),
    ]
    return claims, {DT: coarse, DT / 2: fine, PER_STEP: finest}


def rate_formula_claims() -> list[Claim]:
    """The document's population rate of 80 neurons that fire at 10 Hz."""
    n, period, t1 = LITERAL_E, 100.0, 1000.0
    steps = np.arange(round(t1 / DT))
    fires = (steps[:, None] + 10 * np.arange(n)) % round(period / DT) == 0
    step, unit = np.nonzero(fires)
    window = np.ones(50) / 50
    by_document = np.convolve(fires.sum(axis=1), window, mode="same") / 0.08 * 1000
    spikes = jn.Spikes(
        jnp.asarray(step * DT),
        jnp.asarray(unit),
        jnp.ones(len(step), bool),
        jnp.asarray(len(step)),
    )
    ours = jax.jit(partial(jn.measure.population_rate, units=n, t0=0.0, t1=t1, dt=period))
    return [
        close(
            "rate of neurons that fire at 10 Hz, document over truth",
            100.0,
            by_document[1000:-1000].mean() / 10.0,
            0.5,
        ),
        close("their rate by population_rate (Hz)", 10.0, ours(spikes).mean(), 1e-9),
    ]


def draw_network(key) -> jn.models.Network:
    *drive_keys, key = jax.random.split(key, 1 + len(SIZES))
    drive = {
        "x" + target: projection(
            "x",
            target,
            draw_table(size, SOURCES, HEARD, weight(DRIVE_PSP[target], "x"), key=drive_key),
        )
        for (target, size), drive_key in zip(SIZES.items(), drive_keys, strict=True)
    }
    populations = {"x": jn.models.Population(jn.models.SpikeSource(), SOURCES)} | {
        name: jn.models.Population(neuron(), size) for name, size in SIZES.items()
    }
    tables = recurrent_tables(SIZES, key=key)
    return jn.models.Network(populations, drive | recurrent_projections(tables))


class Run(NamedTuple):
    """What is kept of a run of the corrected network."""

    spikes: jn.Spikes
    v: jax.Array
    e_rate: jax.Array
    i_rate: jax.Array
    cv: jax.Array
    spectrum: jn.measure.Spectrum
    peak: jax.Array


def simulate(network: jn.models.Network, key, t1: float) -> Run:
    v_key, run_key = jax.random.split(key)
    v = jax.random.uniform(v_key, (sum(SIZES.values()),), minval=REST, maxval=THRESHOLD)
    run = jn.simulate(
        network,
        network.initial_state(e=v[: SIZES["e"]], i=v[SIZES["e"] :]),
        t1=t1,
        u={"x": jn.inputs.Poisson(SOURCE_RATE, size=SOURCES)},
        method=jn.Grid(
            DT,
            jn.Exponential(),
            record=jn.RecordTimes(round(MAX_SPIKES_PER_MS * t1)),
        ),
        save=jn.SaveAt(steps=1, fn=lambda t, y, args: y.neurons["e"][:1]),
        key=run_key,
    )
    spikes, e, i = spikes_of(run), network.units("e"), network.units("i")
    rates = {"t0": TRANSIENT, "t1": t1, "dt": BIN}
    e_rate = jn.measure.population_rate(spikes, e, **rates)
    i_rate = jn.measure.population_rate(spikes, i, **rates)
    spectrum = jn.measure.welch(activity(e_rate, i_rate), BIN, segment=SEGMENT)
    audible = jnp.where(spectrum.frequency > 5.0, spectrum.density, 0.0)
    return Run(
        spikes,
        run.ys[:, 0],
        e_rate,
        i_rate,
        irregularity(spikes, e, TRANSIENT),
        spectrum,
        spectrum.frequency[jnp.argmax(audible)],
    )


def activity(e_rate, i_rate):
    """The rate of a neuron of either kind (Hz)."""
    return (SIZES["e"] * e_rate + SIZES["i"] * i_rate) / sum(SIZES.values())


def loop_frequency(lag_of_neurons: float) -> float:
    """Where delays, synapses and neurons turn the phase of the loop by π (Hz)."""
    frequency = np.linspace(1.0, 200.0, 20_000)
    per_ms = 2 * np.pi * frequency / 1000
    phase = 2 * DELAY * per_ms + lag_of_neurons
    phase += sum(np.arctan(tau * per_ms) for tau in (SYNAPSE_TAU["e"], SYNAPSE_TAU["i"]))
    return float(np.interp(np.pi, phase, frequency))


def corrected_claims(runs: Run) -> list[Claim]:
    rate = runs.e_rate.mean(axis=1)
    slowest, fastest = loop_frequency(np.pi / 2), loop_frequency(0.0)
    return [
        in_range("corrected: rate of e (Hz)", 15.0, 40.0, rate, at_least=ENOUGH),
        in_range("corrected: CV of e", 0.4, np.inf, runs.cv, at_least=ENOUGH),
        in_range(
            "corrected: largest density above 5 Hz, at (Hz)",
            *GAMMA,
            runs.peak,
            at_least=ENOUGH,
        ),
        in_range(
            "corrected: the same, against the phase of the loop (Hz)",
            round(slowest, 1),
            round(fastest, 1),
            runs.peak,
            at_least=ENOUGH,
        ),
        in_range(
            "corrected: spikes of an e in a cycle",
            0.0,
            1.0,
            rate / runs.peak,
            at_least=SEEDS,
        ),
    ]


def plot_voltages(literals: dict[float, Literal], run: Run):
    fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.3), sharey=True)
    for (dt, one), colour in zip(literals.items(), (BLUE, GREEN, RED), strict=True):
        t = dt * np.arange(len(one.v))
        shown = t <= 100.0
        axes[0].plot(t[shown], one.v[shown, 0, 0], lw=0.9, color=colour, label=f"{dt:g} ms")
    axes[0].legend(
        title="literal, in steps of",
        loc="upper center",
        ncols=3,
        handlelength=1.2,
        columnspacing=1.2,
    )
    t = DT * np.arange(1, len(run.v) + 1) - TRANSIENT
    axes[1].plot(t, run.v - REST, lw=0.9, color=BLUE, label="corrected")
    axes[1].legend(loc="upper center")
    for ax in axes:
        ax.axhline(THRESHOLD - REST, color="0.4", lw=0.8, ls="--")
        ax.set_xlabel("time t (ms)")
    axes[1].text(302, THRESHOLD - REST, "threshold", va="center", fontsize=7)
    axes[0].set(xlim=(0, 100), ylabel="depolarisation (mV)")
    axes[1].set(xlim=(0, 300), ylim=(-2, 23), yticks=(0, 5, 10, 15))
    return fig


def plot_raster(run: Run, network: jn.models.Network):
    fig, axes = plt.subplots(2, 1, figsize=(5.6, 3.8), sharex=True, height_ratios=(2.4, 1))
    spikes = jax.tree.map(np.asarray, run.spikes)
    for name, rate, colour in (("e", run.e_rate, BLUE), ("i", run.i_rate, RED)):
        units = network.units(name)
        mine = (spikes.index >= units.start) & (spikes.index < units.stop) & spikes.valid
        neuron = spikes.index[mine] - SOURCES
        axes[0].plot(spikes.time[mine], neuron, "|", ms=1.5, mew=0.5, color=colour)
        t = TRANSIENT + BIN * (np.arange(len(rate)) + 0.5)
        axes[1].plot(t, rate, lw=0.9, color=colour)
        middle = (units.start + units.stop) / 2 - SOURCES
        axes[0].text(604, middle, name, color=colour, va="center", fontsize=10)
    axes[0].set(ylabel="neuron", ylim=(-5, 505), yticks=(0, 200, 400, 500))
    axes[1].set(xlabel="time t (ms)", ylabel="rate (Hz)", xlim=(200, 600), ylim=(0, None))
    return fig


def plot_spectrum(runs: Run):
    fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.3))
    signal = activity(runs.e_rate, runs.i_rate)
    t = TRANSIENT + BIN * (np.arange(signal.shape[1]) + 0.5)
    axes[0].plot(t, signal[0], lw=0.8, color=BLUE, label="corrected")
    axes[0].plot(t, 0 * t, lw=1.4, color=RED, label="literal: no spike")
    axes[0].set(xlabel="time t (ms)", ylabel="activity (Hz)", xlim=(200, 500))
    axes[0].set_ylim(top=1.35 * float(signal[0].max()))
    axes[0].legend(loc="upper left", ncols=2, columnspacing=1.0)
    frequency, density = runs.spectrum.frequency[0], runs.spectrum.density
    axes[1].axvspan(*GAMMA, color=jn.plot.COLOURS[4], alpha=0.25, lw=0)
    axes[1].semilogy(frequency, density.T, lw=0.5, color=BLUE, alpha=0.4)
    axes[1].semilogy(frequency, density.mean(axis=0), color=BLUE)
    independent = 2 * float(signal.mean()) / sum(SIZES.values())
    axes[1].axhline(independent, color="0.4", lw=0.8, ls="--")
    axes[1].text(198, 1.15 * independent, "independent neurons", ha="right", fontsize=7)
    axes[1].text(55, 200, "gamma", ha="center", fontsize=7)
    axes[1].set(xlabel="frequency f (Hz)", ylabel="density (Hz²/Hz)")
    axes[1].set(xlim=(5, 200), ylim=(0.05, 300))
    return fig


def main(*, quick: bool, seed: int) -> Report:
    t1 = 1000.0 if quick else 4000.0
    claims, literals = literal_claims(seed)
    claims += rate_formula_claims()

    keys = jax.random.split(jax.random.key(seed), (SEEDS, 2))
    networks = stack([draw_network(key) for key in keys[:, 0]])
    many = jax.jit(jax.vmap(lambda network, key: simulate(network, key, t1)))
    runs = many(networks, keys[:, 1])
    claims += corrected_claims(runs)
    first = jax.tree.map(lambda x: x[0], runs)
    network = jax.tree.map(lambda x: x[0], networks)
    return Report(
        claims,
        {
            "voltages": plot_voltages(literals, first),
            "raster": plot_raster(first, network),
            "spectrum": plot_spectrum(runs),
        },
    )
