"""A stored pattern retrieved from a corrupted cue: the document's network, and corrected.

Three patterns of 100 units are stored, and 30 units of the first are flipped to make the
cue. In the document the rates lie between 0 and 1, and the cue is a constant input. Its
overlap with a pattern cannot pass the fraction of +1 in it, about one half. Nor is there an
attractor: along a pattern the gain of the loop is 0.1 (N - 3)/3 / 4 = 0.81, and without the
input a pattern and its opposite lead to one state, in all but 3 of 2000 draws. The overlap
is what the input keeps up, and sign(r - 1/2) is little better than the cue, whose overlap
is 0.4.

Corrected, the units lie between -1 and 1 and the cue is the initial state:
tau dr/dt = -r + tanh(4 W r), with W the mean over the units of the outer products, without
self-connections as in the document. With x = W r it is tau dx/dt = -x + W tanh(4 x).

Sources: the document's loop in numpy, over 4000 draws of its own; the rule of binary units,
Hopfield 1982, doi:10.1073/pnas.79.8.2554.
"""

from typing import NamedTuple

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import agrees, below, Claim, equal, Report


N, PATTERNS, FLIPPED = 100, 3, 30
TAU, DT = 20.0, 1.0
# The document's 200 points; and until rest.
T1, T1_CORRECTED = 199.0, 600.0
# Mean overlap at the end, that of sign(r - 1/2), and the percentage of draws with more than
# one state of rest, with their standard errors.
NUMPY = {"rates": (0.1352, 0.0024), "signs": (0.4933, 0.0063), "bistable": (0.15, 0.09)}


class Draws(NamedTuple):
    """Patterns, the cue and the document's initial rates; a leading axis of draws."""

    patterns: np.ndarray
    cue: np.ndarray
    r0: np.ndarray


class Retrieval(NamedTuple):
    """The overlap with the first pattern in time, and the last state."""

    overlap: jax.Array
    end: jax.Array


def make_draws(number: int, seed: int) -> Draws:
    rng = np.random.default_rng(seed)
    patterns = rng.choice([-1.0, 1.0], (number, PATTERNS, N))
    flipped = rng.permuted(np.tile(np.arange(N) < FLIPPED, (number, 1)), axis=1)
    cue = np.where(flipped, -patterns[:, 0], patterns[:, 0])
    return Draws(patterns, cue, 0.1 * rng.random((number, N)))


def outer_products(patterns):
    """The sum over the patterns, without self-connections."""
    return patterns.T @ patterns - len(patterns) * np.eye(N)


def document(patterns) -> jn.models.RateNetwork:
    weights = 0.1 * outer_products(patterns) / PATTERNS
    return jn.models.RateNetwork(weights, TAU, jn.transfer.Logistic())


def corrected(patterns) -> jn.models.RateNetwork:
    return jn.models.RateNetwork(outer_products(patterns) / N, TAU, jn.transfer.Tanh(4.0))


def retrieve(network, r0, patterns, t1: float, u=None) -> Retrieval:
    run = jn.simulate(network, r0, t1=t1, u=u, method=jn.Grid(DT))
    return Retrieval(jn.measure.overlap(run.ys, patterns[:1])[:, 0], run.ys[-1])


def retrieve_both(draw: Draws) -> tuple[Retrieval, Retrieval]:
    patterns, cue, r0 = draw
    return (
        retrieve(document(patterns), r0, patterns, T1, 0.5 * cue),
        retrieve(corrected(patterns), cue, patterns, T1_CORRECTED),
    )


@jax.jit
@jax.vmap
def rest_without_input(patterns, r0):
    """The end of the document's network; a step of tau finds the same states of rest."""
    last, method = jn.SaveAt(t1=True), jn.Grid(TAU)
    return jn.simulate(document(patterns), r0, t1=1000 * TAU, method=method, save=last).ys


def document_loop(patterns, cue, r) -> np.ndarray:
    """The overlap in time by the document's loop."""
    weights = 0.1 * outer_products(patterns) / PATTERNS
    overlap = [patterns[0] @ r / N]
    for _ in range(round(T1 / DT)):
        h = weights @ r + 0.5 * cue
        r = r + DT / TAU * (-r + 1 / (1 + np.exp(-h)))
        overlap.append(patterns[0] @ r / N)
    return np.array(overlap)


def loop_of_x(patterns, cue) -> np.ndarray:
    """The end of tau dx/dt = -x + W tanh(4 x), started at W times the cue."""
    weights = outer_products(patterns) / N
    x = weights @ cue
    for _ in range(round(T1_CORRECTED / DT)):
        x = x + DT / TAU * (-x + weights @ np.tanh(4 * x))
    return x


def flips_left(draws: Draws, end) -> int:
    """How many units, over all draws, the rule of binary units would still flip."""
    weights = np.array([outer_products(p) for p in draws.patterns])
    s = np.sign(end)
    return int((np.einsum("dij,dj->di", weights, s) * s < 0).sum())


def show_pattern(ax, state, pattern, title: str) -> None:
    """A state as 10 x 10 units, with a cross where it is not the pattern."""
    ax.imshow(state.reshape(10, 10), cmap="RdBu_r", vmin=-1.6, vmax=1.6)
    wrong = np.argwhere((state != pattern).reshape(10, 10))
    ax.plot(wrong[:, 1], wrong[:, 0], "kx", ms=3.5, mew=0.9)
    ax.set_title(title)
    ax.axis("off")


def draw(draws: Draws, literal: Retrieval, fixed: Retrieval):
    """The draw whose overlap in the document's network is nearest to the mean."""
    at_end = literal.overlap[:, -1]
    shown = int(np.argmin(np.abs(at_end - at_end.mean())))
    fig, axes = plt.subplot_mosaic(
        [["original", "cue", "document", "corrected"], ["overlap"] * 4],
        figsize=(6.4, 3.9),
        height_ratios=(1, 1.25),
    )
    pattern = draws.patterns[shown, 0]
    states = {
        "original": (pattern, "stored pattern"),
        "cue": (draws.cue[shown], f"cue: {FLIPPED} flipped"),
        "document": (np.sign(literal.end[shown] - 0.5), "document: sign(r − ½)"),
        "corrected": (np.sign(fixed.end[shown]), "corrected: sign(r)"),
    }
    for name, (state, title) in states.items():
        show_pattern(axes[name], np.asarray(state), pattern, title)
    ax = axes["overlap"]
    lines = ((fixed, "corrected"), (literal, "document"))
    for (retrieval, label), colour in zip(lines, jn.plot.COLOURS, strict=False):
        time = np.arange(retrieval.overlap.shape[1]) * DT
        ax.plot(time, retrieval.overlap[:50].T, color=colour, lw=0.4, alpha=0.35)
        ax.plot(time, retrieval.overlap[shown], color=colour, lw=2, label=label)
    ax.axhline(0.5, color="0.4", lw=0.8, ls="--")
    ax.text(198, 0.52, "no more for rates from 0 to 1", ha="right", fontsize=7)
    ax.set(
        xlabel="time t (ms)",
        ylabel="overlap with the pattern",
        xlim=(0, T1),
        xticks=(0, 50, 100, 150),
    )
    ax.legend(loc="center right", bbox_to_anchor=(1, 0.78))
    return fig


def main(*, quick: bool, seed: int) -> Report:
    number = 100 if quick else 1000
    draws = make_draws(number, seed)
    literal, fixed = jax.tree.map(
        np.asarray, jax.lax.map(retrieve_both, draws, batch_size=100)
    )
    first = [x[0] for x in draws]

    positive = (draws.patterns[:, 0] > 0).mean(axis=1)
    signs = (np.sign(literal.end - 0.5) * draws.patterns[:, 0]).mean(axis=1)
    at_end = {"rates": literal.overlap[:, -1], "signs": signs}
    error = lambda x: np.std(x, ddof=1) / np.sqrt(number)
    x = outer_products(draws.patterns[0]) / N @ fixed.end[0]
    retrieved = int((fixed.overlap[:, -1] > 0.99).sum())

    ends = [
        rest_without_input(draws.patterns, (1 + sign * draws.patterns[:, 0]) / 2)
        for sign in (1, -1)
    ]
    bistable = np.abs(ends[0] - ends[1]).max(axis=1) > 1e-3
    claims = [
        below(
            "document: overlap in time against its loop in numpy",
            1e-12,
            np.abs(literal.overlap[0] - document_loop(*first)).max(),
        ),
        agrees(
            f"document, {number} draws: overlap at the end, numpy",
            *NUMPY["rates"],
            at_end["rates"].mean(),
            error(at_end["rates"]),
        ),
        agrees(
            "the same: overlap of sign(r - 1/2), numpy",
            *NUMPY["signs"],
            signs.mean(),
            error(signs),
        ),
        equal(
            "the same: overlaps above the fraction of +1, ever",
            0,
            int((literal.overlap > positive[:, None]).sum()),
        ),
        agrees(
            "the same, without input: draws with more than one state of rest (%), numpy",
            *NUMPY["bistable"],
            100 * bistable.mean(),
            100 * error(bistable),
        ),
        below(
            "corrected: W r against a loop of tau dx/dt = -x + W tanh(4 x)",
            1e-12,
            np.abs(x - loop_of_x(*first[:2])).max(),
        ),
        Claim(
            f"corrected, {number} draws: retrieved, with an overlap above 0.99",
            f"at least {0.95 * number:.0f}",
            str(retrieved),
            retrieved >= 0.95 * number,
        ),
        equal(
            "the same: units at rest that the binary rule would flip",
            0,
            flips_left(draws, fixed.end),
        ),
        below(
            "the same: largest change of the overlap in the last 20 ms",
            1e-5,
            np.abs(fixed.overlap[:, -1] - fixed.overlap[:, -21]).max(),
        ),
    ]
    return Report(claims, {"hopfield_retrieval": draw(draws, literal, fixed)})
