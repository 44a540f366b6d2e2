"""Three layers of spiking neurons, as the source document has them, and corrected.

In the document a spike is a current that lasts one step of Euler, and so lifts the voltage
by 10/20 · 0.1 ms = 0.05 mV for a weight of 1, where 15 mV are needed: no hidden neuron
fires. After the last column of the input array the document repeats this column, which is
the one drive that can fire a neuron; it does so in one draw of 44.

Corrected, a spike is a jump in mV, and silence follows the input. Input and weights are
those of the document, 500 Hz in 10 neurons for 50 ms, but for the scale of the weights:
standard deviations of 1 mV into the hidden layer and of 5 mV into the output.

Sources: the document's loop in numpy; Brian2 2.9.0 for the corrected network.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import agrees, below, Claim, close, equal, Report


SIZES, COLUMNS, P = (10, 20, 5), 500, 0.05
T1, DT, TAU = 100.0, 0.1, 20.0
THRESHOLD, REST = -55.0, -70.0
NEURON = jn.models.LIF(
    tau=TAU, threshold=THRESHOLD, resting_potential=REST, reset_potential=REST
)
# The document's weights have a standard deviation of 0.5.
SCALES = (2.0, 10.0)
# Spikes of the hidden and of the output layer for the seeds 0 to 7, from Brian2 2.9.0.
BRIAN2 = ((32, 41, 23, 22, 31, 31, 20, 35), (4, 10, 1, 4, 11, 9, 3, 0))


def document_draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input (columns, neurons) and both weights, by numpy's legacy generator."""
    draws = np.random.RandomState(seed)
    spikes = draws.rand(SIZES[0], COLUMNS) < P
    first = draws.randn(SIZES[1], SIZES[0]) * 0.5
    return spikes.T.astype(float), first, draws.randn(SIZES[2], SIZES[1]) * 0.5


def document_input(spikes):
    """The columns that the document's steps read: the last one, again and again."""
    return spikes[np.minimum(np.arange(1, round(T1 / DT)), len(spikes) - 1)]


def document_layer(spikes, weights, save: jn.SaveAt | None = None) -> Any:
    """A layer of the document, from the input that each of its steps reads."""
    current = jn.inputs.Sampled(10 * spikes @ weights.T, DT)
    return jn.simulate(
        NEURON,
        jnp.full(len(weights), REST),
        t1=len(spikes) * DT,
        u=current,
        method=jn.Grid(DT, record=jn.RecordRaster()),
        save=save,
    )


def loop_in_numpy(spikes, weights) -> np.ndarray:
    """The voltages of a layer that never fires, by the document's loop."""
    v = np.full((round(T1 / DT), len(weights)), REST)
    for t in range(1, len(v)):
        drive = weights @ spikes[min(t, len(spikes) - 1)]
        v[t] = v[t - 1] + (-(v[t - 1] - REST) + drive * 10) / TAU * DT
    return v


def many_documents(draws: int, key) -> tuple[np.ndarray, np.ndarray]:
    """For each of many draws, the hidden spikes while the input lasts and thereafter."""

    def hidden(key):
        input_key, weight_key = jax.random.split(key)
        spikes = jax.random.bernoulli(input_key, P, (COLUMNS, SIZES[0])).astype(float)
        weights = 0.5 * jax.random.normal(weight_key, (SIZES[1], SIZES[0]))
        run = document_layer(document_input(spikes), weights, jn.SaveAt(t1=True))
        # The column of step k is k + 1.
        fired = run.spikes.unpack().sum(axis=1)
        return fired[: COLUMNS - 1].sum(), fired[COLUMNS - 1 :].sum()

    during, after = jax.lax.map(hidden, jax.random.split(key, draws), batch_size=100)
    return np.asarray(during), np.asarray(after)


def chance_of_repeated_column() -> float:
    """The chance that the repeated column takes a hidden neuron to the threshold.

    With k spikes in it, the drive is 10 times the sum of k weights, and has 50 ms.
    """
    reached = 1 - math.exp(-(T1 - COLUMNS * DT) / TAU)
    chance = 0.0
    for k in range(1, SIZES[0] + 1):
        z = (THRESHOLD - REST) / (reached * 10 * 0.5 * math.sqrt(k))
        below_threshold = (1 + math.erf(z / math.sqrt(2))) / 2
        binomial = math.comb(SIZES[0], k) * P**k * (1 - P) ** (SIZES[0] - k)
        chance += binomial * (1 - below_threshold ** SIZES[1])
    return chance


def corrected(first, second) -> jn.models.Network:
    models, dense = jn.models, jn.couplings.Dense
    return models.Network(
        {
            "input": models.Population(models.SpikeSource(), SIZES[0]),
            "hidden": models.Population(NEURON, SIZES[1]),
            "output": models.Population(NEURON, SIZES[2]),
        },
        {
            "first": models.Projection("input", "hidden", dense(SCALES[0] * first)),
            "second": models.Projection("hidden", "output", dense(SCALES[1] * second)),
        },
    )


@jax.jit
def corrected_spikes(spikes, first, second) -> Any:
    network = corrected(first, second)
    silence = jnp.zeros((round(T1 / DT) - COLUMNS, SIZES[0]))
    return jn.simulate(
        network,
        network.initial_state(),
        t1=T1,
        u={"input": jn.inputs.Sampled(jnp.concatenate([spikes, silence]), DT)},
        method=jn.Grid(DT, stamp_at_start=True),
        save=jn.SaveAt(t1=True),
    ).spikes


def draw(literal: list, spikes) -> plt.Figure:
    """Each layer's raster, of the document on the left and corrected on the right."""
    fig, axes = plt.subplots(3, 2, figsize=(6.0, 3.6), sharex=True, sharey="row")
    network = corrected(*document_draw(42)[1:])
    for row, (name, raster) in enumerate(zip(network.names, literal, strict=True)):
        step, unit = np.nonzero(raster)
        axes[row, 0].plot((step + 1) * DT, unit, "k.", ms=2, mew=0)
        units = network.units(name)
        chosen = spikes.valid & (spikes.index >= units.start) & (spikes.index < units.stop)
        axes[row, 1].plot(
            spikes.time[chosen], spikes.index[chosen] - units.start, "k.", ms=2, mew=0
        )
        size = units.stop - units.start
        axes[row, 0].set(ylabel=f"{name}\n(N = {size})", ylim=(-0.7, size - 0.3))
    return fig


def main(*, quick: bool, seed: int) -> Report:
    shown, first, second = document_draw(42)
    hidden = document_layer(document_input(shown), first)
    output = document_layer(hidden.spikes.unpack().astype(float), second)
    by_loop = loop_in_numpy(shown, first)
    lift = document_layer(np.array([[1.0]]), np.array([[1.0]])).ys[-1, 0] - REST

    draws = 1000 if quick else 20_000
    during, after = many_documents(draws, jax.random.key(seed))
    repeated = after[during == 0] > 0
    error = math.sqrt(repeated.mean() * (1 - repeated.mean()) / draws)

    runs = [corrected_spikes(*document_draw(i)) for i in range(8)]
    ends = np.cumsum((0, *SIZES))
    counts = np.array([np.histogram(run.index[run.valid], ends)[0] for run in runs])
    last = max(float(run.time[run.valid & (run.index >= SIZES[0])].max()) for run in runs)

    claims = [
        close("document: lift by one spike of weight 1 (mV)", 0.05, lift, 1e-12),
        below(
            "document: hidden voltages against its loop in numpy (mV)",
            1e-11,
            np.abs(hidden.ys - by_loop).max(),
        ),
        equal(
            "document: spikes of the hidden and of the output layer",
            (0, 0),
            (int(hidden.spikes.unpack().sum()), int(output.spikes.unpack().sum())),
        ),
        equal(
            f"document, {draws} draws: hidden spikes while the input lasts",
            0,
            int(during.sum()),
        ),
        agrees(
            f"the same: draws (%) in which the repeated column fires, closed form",
            100 * chance_of_repeated_column(),
            0.0,
            100 * repeated.mean(),
            100 * error,
        ),
    ]
    for layer, name in ((1, "hidden"), (2, "output")):
        rate = counts[:, layer] / (SIZES[layer] * COLUMNS * DT) * 1000
        mean, error = rate.mean(), rate.std(ddof=1) / math.sqrt(len(rate))
        claims += [
            equal(
                f"corrected: {name} spikes in 8 draws, Brian2",
                list(BRIAN2[layer - 1]),
                counts[:, layer].tolist(),
            ),
            Claim(
                f"corrected: mean {name} rate while the input lasts (Hz)",
                "> 0 by 3 standard errors",
                f"{mean:.1f} ± {error:.1f}",
                bool(mean > 3 * error),
            ),
        ]
    claims.append(
        equal("corrected: spikes after the end of the input", True, last <= COLUMNS * DT)
    )
    literal = [shown[1:], hidden.spikes.unpack(), output.spikes.unpack()]
    return Report(
        claims, {"feedforward_raster": draw(literal, corrected_spikes(*document_draw(42)))}
    )
