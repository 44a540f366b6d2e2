"""A handwritten digit drives the square of excitatory cells, a Poisson train a pixel.

The document asks how an image can excite the cells: by a value to frequency. The image is
averaged over the n x n squares, and the mean of a square, between 0 and 1, is the share of
the highest frequency at which a source fires. It acts on its cell of E through a synapse of
its own. The cells of I are those of the corrected network.

The image is the third of the optical digits of the UCI repository, a 2 of 8 x 8 pixels with
values from 0 to 16: E. Alpaydin and C. Kaynak 1998, doi:10.24432/C50P49, licence CC BY 4.0.
"""

import math

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import agrees, below, close, equal, Report
from ._squares import DENDRITE, squares


DIGIT = np.array(
    [
        [0, 0, 0, 4, 15, 12, 0, 0],
        [0, 0, 3, 16, 15, 14, 0, 0],
        [0, 0, 8, 13, 8, 16, 0, 0],
        [0, 0, 1, 6, 15, 11, 0, 0],
        [0, 1, 8, 13, 15, 1, 0, 0],
        [0, 9, 16, 16, 5, 0, 0, 0],
        [0, 3, 13, 16, 16, 11, 5, 0],
        [0, 0, 0, 3, 11, 16, 9, 0],
    ]
)
WHITE = 16
HIGHEST_RATE = 80.0
WEIGHT, DELAY = 0.04, 1.0
METHOD = jn.Grid(0.025, jn.Staggered(), record=jn.RecordTimes(50_000))
# Of the raster (ms).
SHOWN = 1000.0


def shares(pixels: int, n: int) -> np.ndarray:
    """How much of each of n equal intervals every pixel of a row covers."""
    edges = np.linspace(0, pixels, n + 1)
    low = np.maximum(edges[:-1, None], np.arange(pixels))
    high = np.minimum(edges[1:, None], np.arange(1, pixels + 1))
    return np.maximum(high - low, 0) * n / pixels


def area_average(image: np.ndarray, n: int) -> np.ndarray:
    """The mean of the image over each of n x n squares."""
    across = shares(len(image), n)
    return across @ image @ across.T


def network(n: int) -> jn.models.Network:
    """The corrected squares, with a source for each cell of E instead of the stimulus."""
    inner, size = squares(n, corrected=True), n * n
    return jn.models.Network(
        {
            "e": inner.populations["e"],
            "i": inner.populations["i"],
            "pixels": jn.models.Population(jn.models.SpikeSource(), size),
        },
        {
            "e to i": inner.projections["e to i"],
            "i to e": inner.projections["i to e"],
            "pixels to e": jn.models.Projection(
                "pixels",
                "e",
                jn.couplings.OneToOne(WEIGHT, size=size),
                jn.models.ExponentialSynapse(tau=2.0, reversal_potential=0.0),
                compartment=DENDRITE,
                delay=DELAY,
            ),
        },
    )


def draw(n: int, image: np.ndarray, e_rate: np.ndarray, system, spikes):
    fig = plt.figure(figsize=(6.4, 3.6))
    grid = fig.add_gridspec(2, 5, width_ratios=(1, 1, 0.08, 3.2, 0.01))
    pictures = (
        (grid[0, 0], DIGIT / WHITE, "digit, 8 x 8", "gray_r", 1.0),
        (grid[0, 1], image, f"mean, {n} x {n}", "gray_r", 1.0),
        (grid[1, 0], HIGHEST_RATE * image, "sources (Hz)", "viridis", HIGHEST_RATE),
        (grid[1, 1], e_rate, "cells of E (Hz)", "viridis", HIGHEST_RATE),
    )
    for place, values, title, colours, most in pictures:
        ax = fig.add_subplot(place)
        drawn = jn.plot.sheet(ax, values, cmap=colours, vmin=0.0, vmax=most)
        ax.set_title(title)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(True)
        if colours == "viridis" and place.colspan.start == 1:
            fig.colorbar(drawn, cax=fig.add_subplot(grid[1, 2]))
    rasters = [fig.add_subplot(grid[row, 3]) for row in (0, 1)]
    for k, (ax, name) in enumerate(zip(rasters, "ei", strict=True)):
        options = {"color": jn.plot.COLOURS[k], "markersize": 2.0}
        jn.plot.raster(ax, spikes, system.units(name), **options)
        ax.set(xlim=(0, SHOWN), ylim=(n * n - 0.5, -0.5), ylabel=f"cell of {name.upper()}")
    rasters[0].tick_params(labelbottom=False)
    rasters[1].set_xlabel("time t (ms)")
    return fig


def counts_of(system: jn.models.Network, spikes) -> dict[str, np.ndarray]:
    """How often each unit of a population fired."""
    fired = np.asarray(spikes.index)[np.asarray(spikes.valid)]
    counts = np.bincount(fired, minlength=system.units(system.names[-1]).stop)
    return {name: counts[system.units(name)] for name in system.names}


def main(*, quick: bool, seed: int) -> Report:
    n, t1 = (5, 1000.0) if quick else (8, 5000.0)
    image = area_average(DIGIT / WHITE, n)
    rate = HIGHEST_RATE * image.ravel()
    system = network(n)
    run = jn.simulate(
        system,
        system.initial_state(),
        t1=t1,
        u={"pixels": jn.inputs.Poisson(rate, size=n * n)},
        method=METHOD,
        save=jn.SaveAt(t1=True),
        key=jax.random.key(seed),
    )
    counts = counts_of(system, run.spikes)
    fig = draw(n, image, counts["e"].reshape(n, n) / t1 * 1000, system, run.spikes)

    # A source fires at most once a step.
    chance = -np.expm1(-rate * METHOD.dt / 1000)
    steps = round(t1 / METHOD.dt)
    expected, variance = steps * chance, steps * chance * (1 - chance)
    lit = rate > 0
    z2 = (counts["pixels"] - expected)[lit] ** 2 / variance[lit]
    correlations = {
        name: np.corrcoef(image.ravel(), counts[name])[0, 1] for name in ("e", "i")
    }
    claims = [
        close("the mean of the image is kept", DIGIT.mean() / WHITE, image.mean(), 1e-12),
        agrees(
            "spikes of all sources, those of a Poisson process",
            expected.sum(),
            math.sqrt(variance.sum()),
            counts["pixels"].sum(),
            0.0,
        ),
        agrees(
            "mean square of their errors in standard errors, 1",
            1.0,
            math.sqrt(2 / lit.sum()),
            z2.mean(),
            0.0,
        ),
        equal("spikes of cells of E whose pixel is 0", 0, int(counts["e"][~lit].sum())),
        below(
            "1 - correlation of E with the image",
            0.1,
            1 - correlations["e"],
        ),
        below(
            "1 - correlation of I with the image",
            0.1,
            1 - correlations["i"],
        ),
        equal(
            "cells of I that fired more often than their partner",
            0,
            int((counts["i"] > counts["e"]).sum()),
        ),
        equal("the run succeeds", True, bool(run.result == jn.RESULTS.successful)),
    ]
    return Report(claims, {"squares_digit": fig})
