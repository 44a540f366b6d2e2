"""A thousand bifurcation diagrams in one call, with folds and Hopf points held by hand."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize

import jaxnet as jn

from ._report import below, equal, Report
from .wilson_cowan_bifurcations import E_AT_ZERO, model, on_nullcline


COUNT = 1000
# Of the input I_E, and of the weight w_EE.
SPANS = (-1.5, 2.0), (5.0, 9.0)


def bisect(function, low, high):
    """The roots between `low` and `high`, at which the function has opposite signs."""
    sign = np.sign(function(low))
    for _ in range(60):
        middle = (low + high) / 2
        is_low = np.sign(function(middle)) == sign
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return (low + high) / 2


class ByHand(NamedTuple):
    """Folds, or Hopf points: of which diagram, the input, and both rates."""

    diagram: np.ndarray
    input: np.ndarray
    rates: np.ndarray


def by_hand(weights, kind) -> ByHand:
    """All folds, or all Hopf points, of the diagrams, by rising rate r_E in each."""
    grid = np.linspace(1e-6, 1 - 1e-6, 4001) - E_AT_ZERO
    above = getattr(on_nullcline(grid), kind) > weights[:, None]
    which, k = np.nonzero(above[:, 1:] != above[:, :-1])
    w = weights[which]
    r = bisect(lambda r: getattr(on_nullcline(r), kind) - w, grid[k], grid[k + 1])
    point = on_nullcline(r)
    inputs = point.input(w)
    kept = (inputs > SPANS[0][0]) & (inputs < SPANS[0][1])
    if kind == "neutral":
        # With the trace at zero a positive determinant makes two imaginary eigenvalues.
        kept &= point.fold > w
    rates = np.stack([point.r_e, point.r_i], axis=1)
    return ByHand(which[kept], inputs[kept], rates[kept])


def are_apart(points: ByHand, other: ByHand, step: float) -> np.ndarray:
    """Whether no point of either kind is within a step along the same branch."""
    where = lambda p: np.column_stack([p.input / np.ptp(SPANS[0]), p.rates / 2**0.5])
    apart = np.ones(len(points.diagram), bool)
    for some in (points, other):
        gap = np.linalg.norm(where(points)[:, None] - where(some)[None], axis=2)
        same = points.diagram[:, None] == some.diagram[None]
        if some is points:
            np.fill_diagonal(same, False)
        apart &= ~np.any(same & (gap < step), axis=1)
    return apart


def least(kind):
    """The least weight that makes the determinant, or the trace, zero."""
    r = np.linspace(0.01, 0.95, 1001)
    middle = r[0]
    for _ in range(12):
        middle = r[np.argmin(getattr(on_nullcline(r), kind)[1:-1]) + 1]
        step = r[1] - r[0]
        r = np.linspace(middle - step, middle + step, 21)
    return float(getattr(on_nullcline(middle), kind))


def takens_weight():
    """The least weight at which both are zero."""
    both = lambda r: on_nullcline(r).fold - on_nullcline(r).neutral
    grid = np.linspace(1e-6, 1 - 1e-6, 4001) - E_AT_ZERO
    k = np.flatnonzero(np.diff(np.sign(both(grid))))
    return float(on_nullcline(bisect(both, grid[k], grid[k + 1])).fold.min())


def main(*, quick: bool, seed: int) -> Report:
    step = 0.02 if quick else 0.005
    method = jn.PseudoArclength(400 if quick else 1000, max_step=step)
    weights = np.linspace(*SPANS[1], COUNT)

    @jax.jit
    @jax.vmap
    def diagram(w_ee):
        driven = jn.Driven(model(w_ee), (SPANS[0][0], 0.0))
        where = lambda s: s.input.value[0]
        return jn.continuation(driven, where, (0.0, 0.0), SPANS[0], method=method)

    branches = diagram(jnp.asarray(weights))
    whole = branches.result == jn.RESULTS.successful
    claims = [equal("diagrams in one call that are whole", COUNT, int(whole.sum()))]

    folds, hopfs = by_hand(weights, "fold"), by_hand(weights, "neutral")
    clear = np.ones(COUNT, bool)
    for name, points, other, found in (
        ("folds", folds, hopfs, branches.folds),
        ("Hopf points", hopfs, folds, branches.hopf_points),
    ):
        # Of two points in one step neither is seen.
        apart = are_apart(points, other, step)
        clear[points.diagram[~apart]] = False
        p = np.where(found.valid, found.parameter, np.inf)
        error = np.abs(p[points.diagram] - points.input[:, None]).min(axis=1)
        is_found = error < 1e-9
        claims += [
            equal(
                f"{name} found, of those by hand a step or more from any other",
                int(apart.sum()),
                int((apart & is_found).sum()),
            ),
            equal(
                f"{name} found that are none", 0, int(found.valid.sum() - is_found.sum())
            ),
            below(f"{name}, largest error in I_E", 1e-12, error[is_found].max()),
        ]
    cusp, first_hopf, takens = least("fold"), least("neutral"), takens_weight()
    fold_counts = 2 * (weights > cusp)
    hopf_counts = 2 * (weights > first_hopf) - 1 * (weights > takens)
    for name, found, expected in (
        (f"folds, 0 or, from the cusp at {cusp:.4f}, 2", branches.folds, fold_counts),
        (
            f"Hopf points, 0, from {first_hopf:.4f} 2, from the Bogdanov-Takens point at "
            f"{takens:.4f} 1",
            branches.hopf_points,
            hopf_counts,
        ),
    ):
        right = np.asarray(found.valid.sum(axis=1)) == expected
        claims.append(
            equal(
                f"diagrams with this number of {name}; of those with points apart",
                int(clear.sum()),
                int((right & clear).sum()),
            )
        )
    return Report(claims, {"many_diagrams": picture(weights, branches)})


def picture(weights, branches):
    fig, axes = plt.subplots(1, 2, figsize=(5.8, 2.8))
    scale = Normalize(*SPANS[1])
    accepted = np.asarray(branches.accepted)
    p, r = np.asarray(branches.parameter), np.asarray(branches.y)[..., 0]
    p, r = np.where(accepted, p, np.nan), np.where(accepted, r, np.nan)
    lines = LineCollection(
        list(np.stack([p, r], axis=-1)), cmap="viridis", norm=scale, lw=0.4, rasterized=True
    )
    lines.set_array(weights)
    axes[0].add_collection(lines)
    kinds = (
        ("folds", branches.folds, "white", jn.plot.COLOURS[1]),
        ("Hopf points", branches.hopf_points, "black", jn.plot.COLOURS[2]),
    )
    for name, points, colour, other in kinds:
        valid = np.asarray(points.valid)
        i, r_e = np.asarray(points.parameter)[valid], np.asarray(points.y)[valid, 0]
        w = np.broadcast_to(weights[:, None], valid.shape)[valid]
        axes[0].plot(i, r_e, ".", color=colour, ms=1.2)
        axes[1].plot(i, w, ".", color=other, ms=1.5)
        axes[1].plot([], [], color=other, label=name)
    axes[0].text(0.12, 0.33, "folds", color="white")
    axes[0].text(0.72, 0.72, "Hopf points")
    axes[0].set(
        xlabel="input $I_E$ (a.u.)",
        ylabel="rate $r_E$ (a.u.)",
        xlim=SPANS[0],
        ylim=(-0.04, 1.0),
    )
    axes[1].legend(loc="lower left")
    # The bar of colours is the axis of the weight.
    fig.colorbar(lines, ax=axes[1], location="left", label="weight $w_{EE}$", pad=0.0)
    axes[1].set(xlabel="input $I_E$ (a.u.)", yticks=[], ylim=SPANS[1])
    return fig
