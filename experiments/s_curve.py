"""The S-curve of a population: its two folds, and how they meet in a cusp."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize

import jaxnet as jn

from ._report import below, close, equal, Report


A, THETA = 1.2, 2.8
AT_ZERO = 1 / (1 + np.exp(A * THETA))
CUSP = (THETA - 2 / A * (1 - 2 * AT_ZERO), 4 / A)
WEIGHTS = np.linspace(1.0, 7.0, 13)
SHOWN = 8  # w = 5
# Of the input, and of the weight.
SPANS = (-1.5, 3.0), (1.0, 7.0)


def input_at(r, w):
    """The input that holds the rate `r`: the inverse of the transfer function."""
    s = r + AT_ZERO
    return np.log(s / (1 - s)) / A + THETA - w * r


def rates_at_folds(w):
    """Where the gain is 1 / w: the rates of the lower and of the upper end of an S."""
    half_width = np.sqrt(np.maximum(1 - 4 / (A * w), 0.0)) / 2
    return 0.5 - half_width - AT_ZERO, 0.5 + half_width - AT_ZERO


def gain_slope(r):
    """The second derivative of the transfer function where its value is `r`."""
    s = r + AT_ZERO
    return A**2 * s * (1 - s) * (1 - 2 * s)


@jax.jit
@jax.vmap
def diagram(w):
    driven = jn.Driven(jn.models.RatePopulation(w=w), SPANS[0][0])
    return jn.continuation(driven, lambda s: s.input.value, 0.0, SPANS[0])


def main(*, quick: bool, seed: int) -> Report:
    weights = WEIGHTS if quick else np.linspace(1.0, 7.0, 121)
    branches = diagram(jnp.asarray(weights))
    one = jax.tree.map(lambda x: x[np.searchsorted(weights, 5.0 - 1e-9)], branches)
    accepted = np.asarray(branches.accepted)
    r, p = np.asarray(branches.y), np.asarray(branches.parameter)
    off_branch = np.abs(p - input_at(r, weights[:, None]))[accepted]

    population = jn.Driven(jn.models.RatePopulation(w=5.0), one.folds.parameter[0])
    where = lambda s: (s.input.value, s.system.w)
    curve = jn.fold_curve(population, where, one.folds.y[0], SPANS)
    known = np.asarray(curve.accepted)
    i, w = np.asarray(curve.parameters)[known].T
    r_fold = np.asarray(curve.y)[known]
    low, high = rates_at_folds(w)
    # On the curve itself the lower folds come first, and the cusp divides them.
    r_by_hand = np.where(r_fold < 0.5 - AT_ZERO, low, high)

    bistable = weights > CUSP[1]
    found = np.asarray(branches.folds.parameter)[bistable, :2]
    by_hand = np.stack(rates_at_folds(weights[bistable]), axis=1)
    by_hand = input_at(by_hand, weights[bistable, None])
    coefficients = np.asarray(one.folds.coefficient)[:2]
    r_5 = np.asarray(rates_at_folds(5.0))
    claims = [
        equal(
            f"of {len(weights)} diagrams at other weights, whole",
            len(weights),
            int((branches.result == jn.RESULTS.successful).sum()),
        ),
        below(
            "their points, largest distance from the closed form", 1e-9, off_branch.max()
        ),
        equal(
            "number of folds of each: 0 below the cusp, 2 above it",
            np.where(bistable, 2, 0).tolist()[:: len(weights) // 6],
            branches.folds.valid.sum(axis=1).tolist()[:: len(weights) // 6],
        ),
        below("their folds, largest error in I", 1e-9, np.abs(found - by_hand).max()),
        close("upper fold at w = 5, I", 0.8137568753, one.folds.parameter[0], 1e-9),
        close("lower fold at w = 5, I", 0.1219353575, one.folds.parameter[1], 1e-9),
        below(
            "their coefficients w² F'' / 2, largest error (1/ms)",
            1e-9,
            np.abs(coefficients - 25 * gain_slope(r_5) / 2).max(),
        ),
        below("curve of folds, largest error in r", 1e-6, np.abs(r_fold - r_by_hand).max()),
        below(
            "curve of folds, largest error in I",
            1e-9,
            np.abs(i - input_at(r_by_hand, w)).max(),
        ),
        equal("cusps on it", 1, int(curve.cusps.valid.sum())),
        close("cusp, I", CUSP[0], curve.cusps.parameters[0, 0], 1e-9),
        close("cusp, w", CUSP[1], curve.cusps.parameters[0, 1], 1e-9),
        close(
            "coefficient of the cusp, w³ F''' / 6 (1/ms)",
            -4 / 3,
            curve.cusps.coefficient[0],
            1e-9,
        ),
    ]
    return Report(claims, {"s_curve": picture(weights, branches, curve)})


def picture(weights, branches, curve):
    fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.6))
    colours, scale = plt.get_cmap("viridis_r"), Normalize(SPANS[1][0] - 1, SPANS[1][1])
    for w in WEIGHTS[::2]:
        k = np.searchsorted(weights, w - 1e-9)
        branch = jax.tree.map(lambda x, k=k: x[k], branches)
        is_main = w == WEIGHTS[SHOWN]
        jn.plot.bifurcation_diagram(
            axes[0],
            branch,
            marks=is_main,
            color=colours(scale(w)),
            lw=2.0 if is_main else 0.9,
        )
        axes[1].axhline(w, color=colours(scale(w)), lw=2.0 if is_main else 0.9, zorder=0)
    known = np.asarray(curve.accepted)
    locus = np.asarray(curve.parameters)[known, 0], np.asarray(curve.y)[known]
    axes[0].plot(*locus, color=jn.plot.COLOURS[1], lw=0.9)
    cusp = float(curve.cusps.parameters[0, 0]), float(curve.cusps.y[0])
    axes[0].plot(*cusp, "^", color=jn.plot.COLOURS[3], zorder=3)
    axes[0].set(xlabel="input I (a.u.)", ylabel="rate r (a.u.)", xlim=SPANS[0])
    axes[0].plot([], [], "k-", lw=1, label="stable")
    axes[0].plot([], [], "k--", lw=1, label="unstable")
    axes[0].legend(loc="lower left", bbox_to_anchor=(0.0, 0.1))
    jn.plot.two_parameter_diagram(axes[1], curve)
    axes[1].set(xlabel="input I (a.u.)", ylabel="weight w", xlim=SPANS[0], ylim=(0.8, 7.2))
    axes[1].legend(frameon=True, framealpha=1, edgecolor="none", loc="lower left")
    return fig
