"""The transfer function of a cell with a dendrite: its rate against a current at the soma.

The document asks what corresponds to the transfer function of a perceptron. It is the f-I
curve: one or two spikes at the onset of a weak current, then a jump to some 70 Hz, a slow
rise, and again nothing but the onset at a strong one, where sodium stays inactivated
(depolarisation block). So the curve is not monotone. Rest becomes unstable only above the
jump: in between a cell may rest or fire.

The peaks shrink as the current grows. Soon a detector at 10 mV, as NEURON's `NetCon` has it
and all connections of the document use it, no longer sees the spikes; above 0.45 nA one at
-20 mV doesn't either.

Source of the counts: NEURON 9.0.2 with exact rates, steps of 0.025 ms, a start at -65 mV.
The cell is `cell(h, "E", -65)`, or -60 for I, of `benchmarks/_neuron_squares.py`; an
`IClamp` at `soma(0.5)` lasts from 50 to 1050 ms, and a `NetCon` counts.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float, Int

import jaxnet as jn

from ._report import close, equal, Report
from ._squares import CLAMP


# The reversal potential of the dendrite's leak (mV).
CELLS = {"E": -65.0, "I": -60.0}
# Of a spike (mV).
THRESHOLDS = (10.0, -20.0)
ONSET, DURATION = 50.0, 1000.0
# Currents (nA), and NEURON's counts at them for each cell and threshold.
CURRENTS = (0.1, 0.115, 0.13, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
NEURON = {
    ("E", 10.0): [1, 2, 70, 77, 1, 1, 1, 1, 1, 1],
    ("I", 10.0): [2, 71, 76, 2, 1, 1, 1, 1, 1, 1],
    ("E", -20.0): [1, 2, 70, 77, 90, 106, 119, 2, 1, 1],
    ("I", -20.0): [2, 71, 76, 82, 93, 109, 121, 2, 1, 1],
}
# Fewer spikes than this in a second are those of the onset alone.
FEW = 20
SHOWN = (0.1, 0.3, 1.0)


class Runs(NamedTuple):
    """One entry for each current."""

    counts: Int[Array, " currents"]
    ts: Float[Array, "currents times"]
    soma: Float[Array, "currents times"]


class Rest(NamedTuple):
    """The fixed point at each current, and whether it is stable."""

    soma: Float[Array, " currents"]
    stable: np.ndarray


def cell(passive_reversal_potential, threshold) -> jn.models.Cell:
    made = jn.models.ball_and_stick(passive_reversal_potential=passive_reversal_potential)
    return eqx.tree_at(lambda c: c.threshold, made, jnp.asarray(threshold, float))


@jax.jit
def scan(currents, passive_reversal_potential, threshold) -> Runs:
    """All runs of one kind of cell at once."""
    model = cell(passive_reversal_potential, threshold)

    def one(current):
        run: Any = jn.simulate(
            model,
            model.resting_state(),
            t1=ONSET + DURATION,
            u=jn.inputs.Pulse(onset=ONSET, duration=DURATION, value=current),
            method=CLAMP,
            save=jn.SaveAt(t0=True, steps=8, fn=lambda t, y, args: y.v[0]),
        )
        return Runs(run.spikes.count, run.ts, run.ys)

    return jax.vmap(one)(currents)


def rest(currents: Float[Array, " currents"], model: jn.models.Cell) -> Rest:
    starts = jax.tree.map(lambda x: x[None], model.resting_state())

    def one(current):
        found = jn.fixed_points(model, starts, u=current, max_points=1)
        return found.y.v[0, 0], jnp.max(found.eigenvalues[0].real)

    soma, growth = jax.vmap(one)(currents)
    return Rest(soma, np.asarray(growth) < 0)


def draw(currents: np.ndarray, runs: dict[tuple[str, float], Runs]):
    fig = plt.figure(figsize=(6.4, 3.4))
    grid = fig.add_gridspec(3, 2, width_ratios=(1, 1.35))
    for row, current in enumerate(SHOWN):
        ax = fig.add_subplot(grid[row, 0])
        k = int(np.argmin(np.abs(currents - current)))
        shown = runs["E", -20.0]
        ax.plot(shown.ts[k], shown.soma[k], lw=0.9)
        for threshold in THRESHOLDS:
            ax.axhline(threshold, color="0.6", lw=0.6, ls="--")
        ax.set(xlim=(40, 200), ylim=(-85, 50), yticks=(-65, 0))
        ax.set_title(f"{current} nA", loc="left", pad=2)
        ax.tick_params(labelbottom=row == 2)
        ax.set_ylabel("v (mV)")
    fig.axes[-1].set_xlabel("time t (ms)")
    ax = fig.add_subplot(grid[:, 1])
    for colour, name in zip(jn.plot.COLOURS, CELLS, strict=False):
        for threshold, style in zip(THRESHOLDS, (":", "-"), strict=True):
            ax.plot(
                currents,
                np.asarray(runs[name, threshold].counts) * 1000 / DURATION,
                style,
                color=colour,
                label=f"{name}, counted at {threshold:.0f} mV",
            )
        ax.plot(CURRENTS, NEURON[name, -20.0], "o", ms=4, mfc="none", color=colour)
    ax.plot([], [], "o", ms=4, mfc="none", color="0.3", label="NEURON, at -20 mV")
    ax.set(xlabel="current at the soma (nA)", ylabel="rate (Hz)", ylim=(-3, 160))
    ax.legend(loc="upper right")
    return fig


def main(*, quick: bool, seed: int) -> Report:
    fine = np.linspace(0.0, 1.0, 21 if quick else 201)
    currents = np.unique(np.concatenate([fine, CURRENTS]).round(6))
    runs = {
        (name, threshold): scan(jnp.asarray(currents), leak, threshold)
        for name, leak in CELLS.items()
        for threshold in THRESHOLDS
    }
    at = np.searchsorted(currents, CURRENTS)
    claims = [
        equal(
            f"{name}: spikes counted at {threshold:.0f} mV, NEURON",
            NEURON[name, threshold],
            np.asarray(runs[name, threshold].counts)[at].tolist(),
        )
        for name, threshold in NEURON
    ]

    still = rest(jnp.asarray(CURRENTS), cell(CELLS["E"], THRESHOLDS[1]))
    firing = np.asarray(runs["E", -20.0].counts)[at] >= FEW
    claims += [
        equal(
            "E: rest is stable, and yet a step makes it fire, at (nA)",
            [0.13, 0.15],
            [c for c, s, f in zip(CURRENTS, still.stable, firing, strict=True) if s and f],
        ),
        equal(
            "E: rest is unstable at (nA)",
            [0.2, 0.3, 0.4, 0.6],
            [c for c, s in zip(CURRENTS, still.stable, strict=True) if not s],
        ),
        close(
            "E: depolarisation block at 1 nA: the fixed point (mV)",
            still.soma[-1],
            runs["E", -20.0].soma[np.searchsorted(currents, 1.0), -1],
            1e-6,
        ),
    ]
    return Report(claims, {"cell_transfer_function": draw(currents, runs)})
