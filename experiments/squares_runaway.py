"""A negative weight on an excitatory synapse runs away; an inhibitory synapse does not.

The weight of a synapse is a conductance. In the document the inhibitory cells act with
-0.01 µS through a synapse that reverses at 0 mV. At rest this hyperpolarises, but the
membrane of the dendrite is left with a negative conductance, as its leak has 0.0063 µS, and
the current that lowers the voltage grows as it falls. The one spike of I0 is survived: its
effect decays in 2 ms, and all cells of E but E0 rebound and fire. Then their partners fire
at once, and up to n² - 1 of these spikes meet at a cell of E, which diverges.

With an inhibitory synapse, 0.01 µS to -80 mV, the first pair fires alone.

Sources of the first spikes and of the divergence: NEURON 9.0.2 with exact rates and steps
of 0.025 ms, `benchmarks/_neuron_squares.py`. From n = 10 on such a step is too long for the
divergence: dt (n² - 1) 0.01 µS / C passes 1, and implicit Euler takes growth for decay. So
it comes late, and what precedes it means little.
"""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import close, equal, Report
from ._squares import (
    CLAMP,
    DELAY,
    distinct_first_spikes,
    first_spikes,
    run,
    soma_voltages,
    squares,
)


T1 = 60.0
FINE = jn.Grid(0.001, jn.Staggered())
# The first soma beyond 200 mV (ms), by NEURON.
DIVERGED = {3: 42.75, 5: 42.55, 10: 44.9, 15: 46.625, 20: 47.775}
# The first spikes of E0, the other cells of E, I0, and the other cells of I, by NEURON.
FIRST = [[10.925], [31.025], [10.95], [37.5]]
FIRST_CORRECTED = [[10.925], [], [10.95], []]
NAMES = ("E0", "E1", "I0", "I1")


class Run(NamedTuple):
    """Somas' voltages of E and then I, in time, and what became of them."""

    ts: np.ndarray
    v: np.ndarray
    first: np.ndarray
    result: jn.RESULTS
    diverged_at: float
    diverged_unit: int

    @property
    def cells(self) -> int:
        """Of one square."""
        return self.v.shape[1] // 2

    def trusted(self) -> np.ndarray:
        """Voltages until the first one diverges, and NaN from there."""
        after = ~(self.ts < self.diverged_at) & np.isfinite(self.diverged_at)
        return np.where(after[:, None], np.nan, self.v)

    def distinct(self) -> list[list[float]]:
        return distinct_first_spikes(self.first)

    def soma_beyond(self, largest: float = 200.0) -> float:
        """When the first soma leaves the range (ms)."""
        beyond = ~(np.abs(self.v) <= largest)
        return float(self.ts[np.argmax(beyond.any(axis=1))])


def simulate(n: int, *, corrected: bool, t1: float = T1, method: jn.Grid = CLAMP) -> Run:
    network = squares(n, corrected=corrected)
    found = run(network, t1=t1, method=method, save=soma_voltages())
    return Run(
        np.asarray(found.ts),
        np.asarray(found.ys),
        first_spikes(found, 2 * n * n),
        found.result,
        float(found.stats["diverged_at"]),
        int(found.stats["diverged_unit"]),
    )


def draw_image(ax, run: Run, title: str) -> None:
    ax.imshow(
        run.trusted().T,
        aspect="auto",
        interpolation="nearest",
        extent=(run.ts[0], run.ts[-1], 2 * run.cells - 0.5, -0.5),
        cmap="viridis",
        vmin=-80.0,
        vmax=40.0,
    )
    ax.axhline(run.cells - 0.5, color="w", lw=0.8)
    middle = (run.cells - 1) / 2
    ax.set_yticks([middle, middle + run.cells], ["E cells", "I cells"])
    ax.tick_params(axis="y", length=0)
    if np.isfinite(run.diverged_at):
        ax.text((run.diverged_at + T1) / 2, run.cells, "diverged", ha="center", va="center")
    ax.set_title(title)


def draw_traces(ax, run: Run) -> None:
    v, size = run.trusted(), run.cells
    for name, k in zip(NAMES, (0, 1, size, size + 1), strict=True):
        ax.plot(run.ts, v[:, k], label=name, lw=2.4 if name == "E0" else 1.0)
    if np.isfinite(run.diverged_at):
        ax.axvline(run.diverged_at, color="0.5", lw=0.8, ls="--")
    ax.set(ylim=(-170, 60), xlabel="time t (ms)")


def main(*, quick: bool, seed: int) -> Report:
    sizes = (3, 5) if quick else (3, 5, 10, 15, 20)
    literal = {n: simulate(n, corrected=False) for n in sizes}
    corrected = {n: simulate(n, corrected=True) for n in sizes[1:]}

    shown = 5
    pair = (literal[shown], corrected[shown])
    fig, axes = plt.subplots(2, 2, figsize=(6.2, 4.2), sharex=True, sharey="row")
    titles = ("negative weight, -0.01 µS to 0 mV", "inhibitory synapse, 0.01 µS to -80 mV")
    for column, each, title in zip(axes.T, pair, titles, strict=True):
        draw_image(column[0], each, title)
        draw_traces(column[1], each)
    axes[1, 0].set_ylabel("soma's voltage (mV)")
    axes[1, 1].legend(ncols=2)
    fig.colorbar(axes[0, 0].images[0], ax=axes[0], label="voltage (mV)", extend="both")

    claims = []
    for n, found in literal.items():
        claims += [
            equal(
                f"n = {n}: first spikes of E0, other E, I0, other I (ms), NEURON",
                FIRST,
                found.distinct(),
            ),
            close(
                f"n = {n}: first soma beyond 200 mV (ms), NEURON",
                DIVERGED[n],
                found.soma_beyond(),
                CLAMP.dt if n < 10 else 0.1,
            ),
            equal(
                f"n = {n}: the result, and the square of the first cell",
                ("diverged", "E"),
                (
                    "diverged" if found.result == jn.RESULTS.diverged else "else",
                    "E" if 0 <= found.diverged_unit < n * n else "I",
                ),
            ),
        ]
    for n, found in corrected.items():
        claims += [
            equal(
                f"n = {n}, inhibitory synapse: first spikes (ms), NEURON",
                FIRST_CORRECTED,
                found.distinct(),
            ),
            equal(
                f"n = {n}, inhibitory synapse: the result",
                "successful",
                "successful" if found.result == jn.RESULTS.successful else "else",
            ),
        ]
    if not quick:
        fine = simulate(10, corrected=False, t1=50.0, method=FINE)
        claims.append(
            close(
                "n = 10, steps of 0.001 ms: divergence (ms), when the spikes arrive",
                fine.distinct()[3][0] + DELAY,
                fine.diverged_at,
                0.1,
            )
        )
    return Report(claims, {"squares_runaway": fig})
