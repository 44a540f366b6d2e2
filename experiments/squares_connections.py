"""The squares in space: their cells, and who is connected to whom.

Each excitatory cell excites the inhibitory one below it, and this one inhibits all
excitatory cells but that one: 1 and n^2 - 1 connections a cell.
"""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import equal, Report
from ._squares import DEPTH, positions, squares


SIZES = (3, 5, 10, 15, 20)
CELL = jn.models.ball_and_stick()
E_COLOUR, I_COLOUR = jn.plot.COLOURS[:2]
E_TO_I, I_TO_E = "#7fb7d8", "#eaae80"


def targets_of(coupling: jn.couplings.AbstractCoupling, source: int) -> np.ndarray:
    """Which cells a spike of one source reaches."""
    alone = jnp.zeros(coupling.shape[1]).at[source].set(1.0)
    return np.flatnonzero(np.asarray(coupling.mv(alone)))


def couplings(n: int) -> tuple[jn.couplings.AbstractCoupling, ...]:
    projections = squares(n).projections
    return projections["e to i"].coupling, projections["i to e"].coupling


def counts(coupling: jn.couplings.AbstractCoupling) -> list[int]:
    """The numbers of targets that occur: of the first, the middle and the last cell."""
    size = coupling.shape[1]
    return sorted(
        {len(targets_of(coupling, source)) for source in (0, size // 2, size - 1)}
    )


def lines(
    coupling: jn.couplings.AbstractCoupling,
    sources: range,
    start: np.ndarray,
    end: np.ndarray,
) -> np.ndarray:
    """From the soma of each source to the middle of the target's dendrite."""
    pairs = [(k, target) for k in sources for target in targets_of(coupling, k)]
    source, target = np.array(pairs).T
    points = np.asarray(CELL.morphology.points)
    soma, synapse = points[0].mean(axis=0), points[1].mean(axis=0)
    return np.stack([start[source] + soma, end[target] + synapse], axis=1)


def draw(ax, n: int, e_sources: range, i_sources: range, title: str) -> None:
    e, i = positions(n), positions(n, DEPTH)
    one_to_one, all_but_partner = couplings(n)
    jn.plot.cells(
        ax,
        CELL,
        e,
        lines(one_to_one, e_sources, e, i) if e_sources else None,
        colour=E_COLOUR,
        connection_colour=E_TO_I,
        connection_width=0.8,
    )
    jn.plot.cells(
        ax,
        CELL,
        i,
        lines(all_but_partner, i_sources, i, e) if i_sources else None,
        colour=I_COLOUR,
        connection_colour=I_TO_E,
        connection_width=0.6,
    )
    ax.set(xticks=(0, 100, 200), yticks=(0, 25), zticks=(DEPTH, 0.0))
    ax.set_xlabel("x (µm)", labelpad=4)
    ax.set_ylabel("y (µm)", labelpad=-4)
    ax.set_zlabel("z (µm)", labelpad=-6)
    ax.tick_params(pad=-2)
    ax.set_box_aspect(ax.get_box_aspect(), zoom=1.6)
    ax.set_title(title, y=0.88)
    ax.view_init(elev=24, azim=-68)


def main(*, quick: bool, seed: int) -> Report:
    n = 3
    fig = plt.figure(figsize=(4.6, 3.9))
    axes = [fig.add_subplot(2, 1, k, projection="3d") for k in (1, 2)]
    draw(axes[0], n, range(n * n), range(0), "E to I: each cell to its partner")
    draw(
        axes[1],
        n,
        range(0),
        range(n * n // 2, n * n // 2 + 1),
        "I to E: one cell to all but its partner",
    )
    for colour, name in ((E_COLOUR, "excitatory"), (I_COLOUR, "inhibitory")):
        axes[0].plot([], [], [], color=colour, lw=2.5, label=name)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

    claims = []
    for size in SIZES:
        one_to_one, all_but_partner = couplings(size)
        claims += [
            equal(f"n = {size}: targets of a cell of E, 1", [1], counts(one_to_one)),
            equal(
                f"n = {size}: targets of a cell of I, n² - 1",
                [size * size - 1],
                counts(all_but_partner),
            ),
        ]
    one_to_one, all_but_partner = couplings(n)
    everyone = set(range(n * n))
    claims += [
        equal(
            f"n = {n}: cells of E that reach their partner alone",
            n * n,
            sum(set(targets_of(one_to_one, k)) == {k} for k in everyone),
        ),
        equal(
            f"n = {n}: cells of I that reach all but their partner",
            n * n,
            sum(set(targets_of(all_but_partner, k)) == everyone - {k} for k in everyone),
        ),
    ]
    return Report(claims, {"squares_connections": fig})
