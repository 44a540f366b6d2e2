"""Resting and initial voltage: where a cell ends, and where it starts.

The document asks for the difference. The initial voltage is where a run starts, with all
gates in equilibrium there. Rest is the fixed point, which follows from the channels and the
leaks, and is the same for all starts: -65.0 mV for E. The leak of I's dendrite reverses at
-60 mV and lifts its rest to -63.3 mV, not to -60, so that -65 mV is not rest.

A start from below may fire, by rebound, as sodium is ready then. One from above does not,
not even -45 mV, since sodium is inactivated from the start. It does if the voltage alone is
set, and the gates are those of rest. The threshold follows from the channels too: the -52
and -40 mV of the document are used nowhere.

Source of all numbers: NEURON 9.0.2 with exact rates and steps of 0.025 ms. The cell is
`cell(h, "E", -65)`, or -60 for I, of `benchmarks/_neuron_squares.py`, started by
`finitialize` for 300 ms. For the voltage alone it rested for 300 ms, and then `v` was set
in both sections.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float

import jaxnet as jn

from ._report import below, close, equal, Report
from ._squares import CLAMP


# The reversal potential of the dendrite's leak (mV).
CELLS = {"E": -65.0, "I": -60.0}
T1 = 300.0
STARTS = (-100.0, -80.0, -70.0, -65.0, -60.0, -45.0, -20.0)
# When NEURON's cells fire from each start (ms).
NEURON = {
    "E": [[7.325], [7.075], [], [], [], [], []],
    "I": [[5.35], [4.55], [5.225], [], [], [], []],
}
# NEURON's soma and dendrite at the end (mV).
REST = {"E": (-64.983747145, -64.990972226), "I": (-63.275723672, -61.819525980)}
# When NEURON's cells fire after rest if the voltage alone is set to -45 mV (ms).
KICKED = {"E": [0.825], "I": [0.9]}
KICK = -45.0


class Measured(NamedTuple):
    """What one kind of cell did; the last run is that whose voltage alone was set."""

    ts: Float[Array, "runs times"]
    v: Float[Array, "runs times 2"]
    spikes: list[list[float]]
    rest: jn.FixedPoints


def measure(name: str) -> Measured:
    cell = jn.models.ball_and_stick(passive_reversal_potential=CELLS[name])
    starts = jax.vmap(cell.state_at)(jnp.array(STARTS))
    rest = jn.fixed_points(cell, starts, max_points=4)
    at_rest = jax.tree.map(lambda x: x[0], rest.y)
    kicked = cell.with_voltage(at_rest, jnp.full(2, KICK))
    all_starts = jax.tree.map(lambda x, y: jnp.concatenate([x, y[None]]), starts, kicked)

    def one(y0):
        return jn.simulate(cell, y0, t1=T1, method=CLAMP, save=jn.SaveAt(t0=True, steps=1))

    runs: Any = jax.vmap(one)(all_starts)
    spikes = [
        np.asarray(time)[np.asarray(valid)].round(6).tolist()
        for time, valid in zip(runs.spikes.time, runs.spikes.valid, strict=True)
    ]
    return Measured(runs.ts, runs.ys.v, spikes, rest)


def draw(measured: dict[str, Measured]):
    fig, axes = plt.subplots(2, 2, figsize=(6.4, 4.0), sharex="col", sharey="col")
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(STARTS)))
    for row, (name, each) in zip(axes, measured.items(), strict=True):
        for k, (start, colour) in enumerate(zip(STARTS, colours, strict=True)):
            label = f"{start:.0f} mV"
            row[0].plot(each.ts[k], each.v[k, :, 0], lw=1.0, color=colour, label=label)
        row[1].plot(each.ts[-1], each.v[-1, :, 0], lw=1.2, color=jn.plot.COLOURS[1])
        at_start = STARTS.index(KICK)
        row[1].plot(
            each.ts[at_start], each.v[at_start, :, 0], lw=1.2, color=colours[at_start]
        )
        for ax in row:
            ax.axhline(float(each.rest.y.v[0, 0]), color="0.6", lw=0.6, ls="--")
        row[0].set_ylabel(f"{name}, soma's voltage (mV)")
    axes[0, 0].set_title("gates in equilibrium with the start", loc="left")
    axes[0, 1].set_title(f"start at {KICK:.0f} mV", loc="left")
    axes[0, 1].plot([], [], color=colours[STARTS.index(KICK)], label="gates of -45 mV")
    axes[0, 1].plot([], [], color=jn.plot.COLOURS[1], label="gates of rest")
    axes[0, 0].set(xlim=(0, 40), ylim=(-105, 60))
    axes[0, 1].set(xlim=(0, 15), ylim=(-105, 60))
    axes[0, 0].legend(title="start", ncols=2, loc="upper right")
    axes[0, 1].legend(loc="upper right")
    for ax in axes[1]:
        ax.set_xlabel("time t (ms)")
    return fig


def main(*, quick: bool, seed: int) -> Report:
    measured = {name: measure(name) for name in CELLS}
    claims = []
    for name, each in measured.items():
        rest = np.asarray(each.rest.y.v[0])
        claims += [
            equal(
                f"{name}: spikes from the starts {[int(v) for v in STARTS]} (ms), NEURON",
                NEURON[name],
                each.spikes[:-1],
            ),
            equal(
                f"{name}: spikes if the voltage alone is set to -45 mV (ms), NEURON",
                KICKED[name],
                each.spikes[-1],
            ),
            equal(f"{name}: fixed points from all starts", 1, int(each.rest.count)),
            close(f"{name}: rest of the soma (mV), NEURON", REST[name][0], rest[0], 1e-8),
            close(
                f"{name}: rest of the dendrite (mV), NEURON", REST[name][1], rest[1], 1e-8
            ),
            below(
                f"{name}: largest distance of a run's end from the fixed point (mV)",
                1e-8,
                np.abs(np.asarray(each.v)[:, -1] - rest).max(),
            ),
        ]
    return Report(claims, {"cell_initial_voltage": draw(measured)})
