"""Two neurons, with the synapse between them and without.

Neuron 0 is driven and fires every 7 ms; neuron 1 has no input. A spike of neuron 0 lets the
voltage of neuron 1 jump by 0.2, and between the spikes it leaks. The jumps sum to
0.2 (1 - q^n) / (1 - q) with q = exp(-7/100), which the sixth one lifts above the threshold.

Source of the spike times and of the highest voltage: Brian2 2.10.1.
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import close, equal, Report


T1, TAU, DRIVE, WEIGHT = 100.0, (10.0, 100.0), (2.0, 0.0), 0.2
# Spikes are stamped as Brian2 does.
METHOD = jn.Grid(0.1, jn.Exponential(), stamp_at_start=True)
DRIVER_SPIKES = [round(6.9 + 7.0 * n, 1) for n in range(14)]


def simulate(projections: dict[str, jn.models.Projection]) -> jn.Solution:
    pair = jn.models.Population(jn.models.LIF(tau=np.array(TAU)), 2)
    network = jn.models.Network({"neurons": pair}, projections)
    u = {"neurons": np.array(DRIVE)}
    return jn.simulate(network, network.initial_state(), t1=T1, u=u, method=METHOD)


def voltages(run) -> np.ndarray:
    return np.asarray(run.ys.neurons["neurons"])


def spike_times(run, neuron: int) -> list[float]:
    chosen = run.spikes.valid & (run.spikes.index == neuron)
    return [round(float(t), 6) for t in run.spikes.time[chosen]]


def draw(ax, run) -> None:
    """Both voltages, and the spikes above them."""
    ax.axhline(1.0, color="0.5", lw=0.8, ls="--")
    for neuron, (v, width) in enumerate(zip(voltages(run).T, (0.8, 1.6), strict=True)):
        colour = jn.plot.COLOURS[neuron]
        ax.plot(run.ts, v, color=colour, lw=width, label=f"neuron {neuron}")
        times = spike_times(run, neuron)
        ax.plot(times, np.full(len(times), 1.12 + 0.14 * neuron), "|", color=colour)
    ax.set(ylabel="voltage v", xlim=(0, T1), yticks=(0, 0.5, 1))


def main(*, quick: bool, seed: int) -> Report:
    coupling = jn.couplings.Sparse.from_pairs([0], [1], WEIGHT, shape=(2, 2))
    synapse = jn.models.Projection("neurons", "neurons", coupling)
    runs = {
        "with the synapse": simulate({"synapse": synapse}),
        "without the synapse": simulate({}),
    }

    fig, axes = plt.subplots(2, 1, figsize=(4.4, 3.2), sharex=True, sharey=True)
    for ax, (name, run) in zip(axes, runs.items(), strict=True):
        draw(ax, run)
        ax.set_title(name, loc="left")
    axes[1].set_xlabel("time t (ms)")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")

    connected, alone = runs.values()
    q = math.exp(-7.0 / TAU[1])
    claims = [
        equal("spikes of neuron 0 (ms), Brian2", DRIVER_SPIKES, spike_times(connected, 0)),
        equal("spikes of neuron 1 (ms), Brian2", [42.0, 84.0], spike_times(connected, 1)),
        close(
            "highest voltage of neuron 1, Brian2",
            1.0145616264898798,
            voltages(connected)[:, 1].max(),
            1e-12,
        ),
        close(
            "the same by the closed form for six jumps",
            WEIGHT * (1 - q**6) / (1 - q),
            voltages(connected)[:, 1].max(),
            1e-12,
        ),
        equal(
            "without the synapse: spikes of neuron 0", DRIVER_SPIKES, spike_times(alone, 0)
        ),
        equal("without the synapse: spikes of neuron 1", [], spike_times(alone, 1)),
        equal(
            "without the synapse: highest voltage of neuron 1",
            0.0,
            float(voltages(alone)[:, 1].max()),
        ),
    ]
    return Report(claims, {"two_neurons": fig})
