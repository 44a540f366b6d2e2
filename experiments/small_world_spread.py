"""Exercise 2: shortcuts speed up what one spike starts, and stop what needs three.

An excitable ring of 300 neurons at rest, each connected to 5 neighbours on either side;
every edge is rewired with the same probability (Watts and Strogatz 1998,
doi:10.1038/30918). Ten neighbours are kicked over threshold, and the spikes spread in
hops of a delay of 1.5 ms and one step. A neuron fires once: it stays refractory.

A neuron fires when one, two or three neighbours have fired: one is enough with a PSP of
16 mV, two with 9 mV, three with 6 mV, against 15 mV from rest to threshold. On the ring
the front then advances by 5, 4 or 3 neurons a hop. Shortcuts come alone, so they carry
on what one spike starts, and nothing that needs three (Centola and Macy 2007,
doi:10.1086/521848).

What is measured: with 5 % of the edges rewired, half of the network is reached in less
than half of the time where one spike is enough, while clustering is still above 80 % of
the ring's. Where three are needed, nothing gets faster, and at 50 % the spread dies near
where it began.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._balanced import in_range, mean_and_error, spikes_of, stack
from ._report import Claim, close, Report


NEURONS, NEIGHBOURS, KICKED = 300, 5, 10
TAU, THRESHOLD, DELAY, DT, T1 = 20.0, 15.0, 1.5, 0.25, 150.0
PSP = {1: 16.0, 2: 9.0, 3: 6.0}
REWIRING = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
FEW, MANY = 0.05, 0.5
# Rewiring with probability 0 has no place on a logarithmic axis.
ZERO_AT = 2e-4


Graphs = dict[float, jn.connectivity.GraphStatistics]


class Spread(NamedTuple):
    """When and where a neuron fired, and how many did."""

    time: jax.Array
    index: jax.Array
    reached: jax.Array

    @property
    def half(self) -> np.ndarray:
        """When half of the network had fired (ms); NaN if that never was."""
        return np.asarray(self.time[..., NEURONS // 2 - 1])


def spread(table: jn.couplings.Sparse, psp) -> Spread:
    coupling = jn.couplings.Sparse(table.targets, table.indptr, table.indices, psp)
    neuron = jn.models.LIF(tau=TAU, threshold=THRESHOLD, refractory_period=T1)
    network = jn.models.Network(
        {"cells": jn.models.Population(neuron, NEURONS)},
        {"edges": jn.models.Projection("cells", "cells", coupling, delay=DELAY)},
    )
    kicked = jnp.arange(NEURONS) < KICKED
    run = jn.simulate(
        network,
        network.initial_state(cells=jnp.where(kicked, THRESHOLD + 1.0, 0.0)),
        t1=T1,
        method=jn.Grid(DT, jn.Exponential(), record=jn.RecordTimes(NEURONS)),
        save=jn.SaveAt(t1=True),
    )
    spikes = spikes_of(run)
    return Spread(spikes.time, spikes.index, spikes.count / NEURONS)


def half_on_ring(needed: int) -> float:
    """When half of a ring has fired (ms): two fronts, in hops of a delay and one step."""
    per_hop = NEIGHBOURS + 1 - needed
    hops = np.ceil((NEURONS / 2 - KICKED) / 2 / per_hop)
    return DT + hops * (DELAY + DT)


def statistics(
    masks: np.ndarray, every: int
) -> dict[float, jn.connectivity.GraphStatistics]:
    """Of the first seed's graphs, for some probabilities, those of the claims included."""
    chosen = set(REWIRING[::every]) | {0.0, FEW}
    return {
        p: jn.connectivity.statistics(masks[REWIRING.index(p), 0], seed=0, random_graphs=1)
        for p in sorted(chosen)
    }


def claims(runs: Spread, graphs: Graphs) -> list[Claim]:
    half, reached = runs.half, np.asarray(runs.reached)
    few, many = REWIRING.index(FEW), REWIRING.index(MANY)
    most = half.shape[2] - half.shape[2] // 8
    clustering = graphs[FEW].clustering / graphs[0.0].clustering
    one, three = 0, 2
    return [
        *(
            close(
                f"ring, {needed} needed: time to half (ms), as hops",
                half_on_ring(needed),
                half[needed - 1, 0].mean(),
                1e-9,
            )
            for needed in PSP
        ),
        in_range(
            f"one is enough: time to half at {FEW:.0%} over the ring's",
            0.0,
            0.5,
            half[one, few] / half[one, 0],
            at_least=most,
        ),
        Claim(
            f"clustering at {FEW:.0%} over the ring's",
            "at least 0.8",
            f"{clustering:.3f}",
            clustering >= 0.8,
        ),
        in_range(
            f"three are needed: the same time at {FEW:.0%}",
            1.0,
            np.inf,
            half[three, few] / half[three, 0],
            at_least=most,
        ),
        in_range(
            "three are needed: part of the network reached on the ring",
            1.0,
            1.0,
            reached[three, 0],
            at_least=most,
        ),
        in_range(
            f"three are needed: part of the network reached at {MANY:.0%}",
            0.0,
            0.2,
            reached[three, many],
            at_least=most,
        ),
    ]


def on_log_axis(ax) -> None:
    ax.set(xscale="log", xlabel="rewired edges", xlim=(1.2e-4, 1.5))
    ax.set_xticks([ZERO_AT, 0.001, 0.01, 0.1, 1.0], ["0", "0.1%", "1%", "10%", "100%"])
    ax.minorticks_off()


def plot_curves(runs: Spread, graphs: Graphs):
    fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.4))
    x = np.array([ZERO_AT, *REWIRING[1:]])
    labels = ("one is enough", "two are needed", "three are needed")
    for half, reached, label in zip(runs.half, runs.reached, labels, strict=True):
        # Where most seeds never get to half of the network, there is no time to show.
        shown = np.isfinite(half).sum(axis=1) > half.shape[1] / 2
        finite = [row[np.isfinite(row)] for row in half[shown]]
        mean, error = np.transpose([mean_and_error(row) for row in finite])
        axes[0].errorbar(x[shown], mean, error, marker="o", ms=3, capsize=2, label=label)
        axes[1].errorbar(x, *mean_and_error(reached), marker="o", ms=3, capsize=2)
    axes[0].set(yscale="log", ylabel="time to half the network (ms)")
    axes[0].set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    axes[0].legend(loc="lower left")
    axes[1].set(ylabel="part of the network reached", ylim=(0, 1.12))
    axes[1].text(1.3, 1.03, "one, two", ha="right", fontsize=7)
    axes[1].text(0.2, 0.5, "three", ha="right", fontsize=7)
    ring = graphs[0.0]
    at = [ZERO_AT if p == 0 else p for p in graphs]
    for name, label, marker in (
        ("path_length", "path length", "s"),
        ("clustering", "clustering", "o"),
    ):
        y = [getattr(g, name) / getattr(ring, name) for g in graphs.values()]
        axes[2].plot(at, y, marker=marker, ms=3, label=label, color=jn.plot.COLOURS[-1])
    axes[2].lines[0].set_linestyle("--")
    axes[2].set(ylabel="over that of the ring", ylim=(0, 1.05))
    axes[2].legend()
    for ax in axes:
        on_log_axis(ax)
    return fig


def plot_rasters(runs: Spread):
    fig, axes = plt.subplots(2, 3, figsize=(7.2, 3.2), sharex=True, sharey=True)
    kinds = ((1, "one is enough"), (3, "three are needed"))
    for row, (needed, label) in enumerate(kinds):
        colour = jn.plot.COLOURS[needed - 1]
        for ax, p in zip(axes[row], (0.0, FEW, MANY), strict=True):
            k = needed - 1, REWIRING.index(p), 0
            # The kicked neurons are shown in the middle.
            index = (runs.index[k] + NEURONS // 2) % NEURONS
            ax.plot(runs.time[k], index, ".", ms=1.5, color=colour)
            if row == 0:
                ax.set_title(f"{p:.0%} rewired")
        axes[row, 0].set_ylabel(f"{label}\nneuron")
    for ax in axes[1]:
        ax.set_xlabel("time t (ms)")
    axes[0, 0].set(xlim=(-2, 90), ylim=(0, NEURONS))
    return fig


def main(*, quick: bool, seed: int) -> Report:
    seeds = 8 if quick else 32
    keys = jax.random.split(jax.random.key(seed), seeds)
    masks = np.array(
        [
            [jn.connectivity.small_world(NEURONS, NEIGHBOURS, p, key=key) for key in keys]
            for p in REWIRING
        ]
    )
    tables = stack(
        [stack([jn.couplings.Sparse.from_mask(m, 1.0) for m in row]) for row in masks]
    )
    over_graphs = jax.vmap(jax.vmap(spread, (0, None)), (0, None))
    scan = jax.jit(jax.vmap(over_graphs, (None, 0)))
    runs = scan(tables, jnp.array(list(PSP.values())))
    graphs = statistics(masks, every=2 if quick else 1)
    return Report(
        claims(runs, graphs),
        {"spread": plot_curves(runs, graphs), "rasters": plot_rasters(runs)},
    )
