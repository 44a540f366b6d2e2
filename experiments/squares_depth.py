"""The depth of the inhibitory square has no effect: positions are for pictures alone.

The text of the document puts the inhibitory cells at z = -1 um, its code at -50 um. The
runs are equal to the last bit, in both networks: a connection has a delay of 5 ms whatever
its length, and no current flows through the space between the cells. NEURON's runs are also
equal to the last bit, and have the same spikes.

Source of NEURON's spikes: NEURON 9.0.2 with exact rates and steps of 0.025 ms,
`Squares(h, 3)` of `benchmarks/_neuron_squares.py`, where cell k stands at x = 25 (k // 3),
y = 25 (k % 3), and those of I at z = -1 or -50 um, by `pt3dchange`.
"""

import equinox as eqx
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import equal, Report
from ._squares import (
    DEPTH,
    distinct_first_spikes,
    first_spikes,
    positions,
    run,
    soma_voltages,
    squares,
)


N = 3
SIZE = N * N
NAMES, UNITS = ("E0", "E1", "I0", "I1"), (0, 1, SIZE, SIZE + 1)
# Before the literal network diverges (ms), at 42.6 ms.
T1 = 42.0
DEPTHS = (-1.0, DEPTH)
# NEURON's first spikes of E0, other E, I0 and other I (ms), the same for both depths.
NEURON = {
    "negative weight": [[10.925], [31.025], [10.95], [37.5]],
    "inhibitory synapse": [[10.925], [], [10.95], []],
}


def at_depth(network: jn.models.Network, z: float) -> jn.models.Network:
    """The network whose inhibitory cells are moved down."""
    return eqx.tree_at(
        lambda n: n.populations["i"].neuron.morphology.points,
        network,
        replace_fn=lambda points: points + jnp.array([0.0, 0.0, z]),
    )


def draw_cells(ax, z: float) -> None:
    cell = jn.models.ball_and_stick()
    for colour, depth in zip(jn.plot.COLOURS, (0.0, z), strict=False):
        jn.plot.cells(ax, cell, positions(N, depth), colour=colour, width=0.35)
    ax.set(xticks=(0, 100, 200), yticks=(), zticks=(z,))
    ax.tick_params(pad=-2)
    ax.set_box_aspect(ax.get_box_aspect(), zoom=1.6)
    ax.view_init(elev=20, azim=-68)
    ax.set_title(f"I at z = {z:.0f} µm", y=0.88)


def draw_runs(ax, runs) -> None:
    """The first depth below in broad lines, the second one above in thin ones."""
    for each, width, alpha in zip(runs, (3.2, 0.9), (0.35, 1.0), strict=True):
        for k, (name, unit) in enumerate(zip(NAMES, UNITS, strict=True)):
            ax.plot(
                each.ts,
                each.ys[:, unit],
                lw=width,
                alpha=alpha,
                color=jn.plot.COLOURS[k],
                label=name if alpha == 1 else None,
            )


def main(*, quick: bool, seed: int) -> Report:
    fig = plt.figure(figsize=(6.4, 3.6))
    grid = fig.add_gridspec(2, 2, width_ratios=(1, 1.1))
    for row, z in enumerate(DEPTHS):
        draw_cells(fig.add_subplot(grid[row, 0], projection="3d"), z)
    axes = [fig.add_subplot(grid[row, 1]) for row in (0, 1)]
    claims = []
    for ax, (name, expected) in zip(axes, NEURON.items(), strict=True):
        network = squares(N, corrected=name == "inhibitory synapse")
        runs = [run(at_depth(network, z), t1=T1, save=soma_voltages()) for z in DEPTHS]
        draw_runs(ax, runs)
        ax.set(ylim=(-120, 60), ylabel="soma's voltage (mV)")
        ax.set_title(name, loc="left")
        near, far = (np.asarray(each.ys, float).view(np.uint64) for each in runs)
        claims.append(
            equal(f"{name}: voltages that differ in any bit", 0, (near != far).sum())
        )
        for z, each in zip(DEPTHS, runs, strict=True):
            first = distinct_first_spikes(first_spikes(each, 2 * SIZE))
            claims.append(
                equal(f"{name}, z = {z:.0f} µm: first spikes (ms), NEURON", expected, first)
            )
    axes[0].tick_params(labelbottom=False)
    axes[1].legend(title="broad: -1 µm, thin: -50 µm", ncols=2)
    axes[1].set_xlabel("time t (ms)")
    return Report(claims, {"squares_depth": fig})
