"""Three layers of spiking neurons, as the source document has them, and corrected.

In the document a spike is a current that lasts one step of Euler, and so lifts the voltage
by 10/20 · 0.1 ms = 0.05 mV for a weight of 1, where 15 mV are needed: no hidden neuron
fires. After the last column of the input array the document repeats this column, which is
the one drive that can fire a neuron; it does so in one draw of 44.

Corrected, a spike is a jump in mV, and silence follows the input. Input and weights are
those of the document, 500 Hz in 10 neurons for 50 ms, but for the scale of the weights:
standard deviations of 1 mV into the hidden layer and of 5 mV into the output.

Sources: the document's loop in numpy, which in 4000 draws fires no hidden neuron while the
input lasts; the normal distribution of a sum of weights for the repeated column; Brian2
2.9.0 for the corrected network.
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
BRIAN2 = {
    "hidden": [32, 41, 23, 22, 31, 31, 20, 35],
    "output": [4, 10, 1, 4, 11, 9, 3, 0],
}


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


def many_documents(draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of many draws, the hidden spikes while the input lasts and thereafter."""
    rng = np.random.default_rng(seed)
    spikes = rng.random((draws, COLUMNS, SIZES[0])) < P
    weights = 0.5 * rng.standard_normal((draws, SIZES[1], SIZES[0]))

    def hidden(draw):
        spikes, weights = draw
        run = document_layer(document_input(spikes), weights, jn.SaveAt(t1=True))
        fired = run.spikes.unpack().sum(axis=1)
        # The column of step k is k + 1.
        return fired[: COLUMNS - 1].sum(), fired[COLUMNS - 1 :].sum()

    during, after = jax.lax.map(hidden, (spikes, weights), batch_size=100)
    return np.asarray(during), np.asarray(after)


def chance_of_repeated_column() -> float:
    """The chance that the repeated column takes a hidden neuron to the threshold.

    With k spikes in it, the drive is 10 times the sum of k weights, and has 50 ms. What
    then remains of the voltage before is left out; it is a tenth of a millivolt.
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
def corrected_run(spikes, first, second):
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


def corrected_spikes(seed: int) -> Any:
    return jax.tree.map(np.asarray, corrected_run(*document_draw(seed)))


def counts_of_layers(spikes) -> np.ndarray:
    ends = np.cumsum((0, *SIZES))
    return np.histogram(spikes.index[spikes.valid], ends)[0]


def draw(literal: list, highest: float, spikes):
    """Each layer's raster, of the document on the left and corrected on the right."""
    fig, axes = plt.subplots(3, 2, figsize=(6.2, 3.8), sharex=True, sharey="row")
    ends = np.cumsum((0, *SIZES))
    layers = zip(axes, ("input", "hidden", "output"), literal, strict=True)
    for i, (row, name, raster) in enumerate(layers):
        step, unit = np.nonzero(raster)
        chosen = spikes.valid & (spikes.index >= ends[i]) & (spikes.index < ends[i + 1])
        rasters = (
            ((step + 1) * DT, unit),
            (spikes.time[chosen], spikes.index[chosen] - ends[i]),
        )
        for ax, raster in zip(row, rasters, strict=True):
            ax.axvspan(COLUMNS * DT, T1, color="0.93", lw=0)
            ax.plot(*raster, "k|", ms=70 / (SIZES[i] + 4), mew=0.7)
        row[0].set(ylim=(-0.7, SIZES[i] - 0.3), yticks=(0, SIZES[i] - 1))
        row[0].set_ylabel(f"{name}\n(N = {SIZES[i]})")
    notes = (
        (axes[0, 0], 75, 4.5, "the last column,\nrepeated: no spike"),
        (axes[0, 1], 75, 4.5, "silence"),
        (
            axes[1, 0],
            25,
            9.5,
            f"no spike, v reaches\n−{-highest:.1f} of −{-THRESHOLD:.0f} mV",
        ),
        (axes[2, 0], 25, 2, "no spike, no input"),
    )
    for ax, x, y, note in notes:
        ax.text(x, y, note, ha="center", va="center", color="0.35")
    axes[0, 0].set(title="the document", xlim=(0, T1))
    axes[0, 1].set_title("corrected")
    for ax in axes[2]:
        ax.set_xlabel("time t (ms)")
    return fig


def of_document(shown, first, hidden, output) -> list[Claim]:
    """The claims about the document's own draw."""
    one = np.ones((1, 1))
    lift = document_layer(one, one).ys[-1, 0] - REST
    return [
        close("document: lift by one spike of weight 1 (mV)", 0.05, lift, 1e-12),
        below(
            "document: hidden voltages against its loop in numpy (mV)",
            1e-11,
            np.abs(hidden.ys - loop_in_numpy(shown, first)).max(),
        ),
        equal(
            "document: spikes of the hidden and of the output layer",
            (0, 0),
            (int(hidden.spikes.unpack().sum()), int(output.spikes.unpack().sum())),
        ),
    ]


def of_many_documents(draws: int, seed: int) -> list[Claim]:
    during, after = many_documents(draws, seed)
    fires = after > 0
    error = math.sqrt(fires.mean() * (1 - fires.mean()) / draws)
    return [
        equal(
            f"document, {draws} draws: hidden spikes while the input lasts, numpy",
            0,
            int(during.sum()),
        ),
        agrees(
            "the same: draws in which the repeated column fires (%), closed form",
            100 * chance_of_repeated_column(),
            0.0,
            100 * fires.mean(),
            100 * error,
        ),
    ]


def of_corrected(runs: list) -> list[Claim]:
    counts = np.array([counts_of_layers(run) for run in runs])
    late = [run.valid & (run.time > COLUMNS * DT) for run in runs]
    claims = [
        equal(
            "corrected, 8 draws: spikes after the end of the input",
            0,
            sum(int(x.sum()) for x in late),
        )
    ]
    for layer, known in BRIAN2.items():
        i = 1 + list(BRIAN2).index(layer)
        rate = counts[:, i] / (SIZES[i] * COLUMNS * DT) * 1000
        mean, error = rate.mean(), rate.std(ddof=1) / math.sqrt(len(rate))
        claims += [
            equal(f"the same: {layer} spikes, Brian2", known, counts[:, i].tolist()),
            Claim(
                f"the same: {layer} rate while the input lasts (Hz)",
                "above 0 by 3 errors",
                f"{mean:.1f} ± {error:.1f}",
                bool(mean > 3 * error),
            ),
        ]
    return claims


def main(*, quick: bool, seed: int) -> Report:
    shown, first, second = document_draw(42)
    hidden = document_layer(document_input(shown), first)
    output = document_layer(hidden.spikes.unpack().astype(float), second)
    claims = of_document(shown, first, hidden, output)
    claims += of_many_documents(1000 if quick else 4000, seed)
    claims += of_corrected([corrected_spikes(i) for i in range(8)])

    literal = [shown[1:], hidden.spikes.unpack(), output.spikes.unpack()]
    spikes = corrected_spikes(42)
    fig = draw(literal, float(hidden.ys.max()), spikes)
    return Report(claims, {"feedforward_raster": fig})
