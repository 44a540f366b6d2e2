"""Order parameters of the spiking sheet against its refractory period and its weights.

Two scans of the sheet, each by one mapped call over all values and seeds: of the refractory
period p, and of the ratio of its weights at p = 7 ms, where w_E is 0.12 µS and w_I is
varied. Runs are free after 30 ms of noise and measured from 200 ms after it on.

Φ is the coherence of the directions in which patterns move, and its null is what as many
patterns of the same speeds have in random directions. Ours is of the cells that spiked in
the last 10 ms, every 5 ms, with the best assignment, on the torus; where a pattern is alone
there is none. That of the source is of the cells above -53 mV, in groups whose cells are no
more than 7 cells apart, every step of 0.5 ms of the last 200 ms, with greedy assignment and
without the torus; where a pattern is alone it is 0.

What is measured: our Φ is within 0.05 of its null in bumps, and more in crescents, which
come to move along one line: then it is 1 if all go one way, 1/3 if one of three goes the
other way, and 0 for two against each other. So single runs tell little; speed, and the part
that moves, tell the states apart. The Φ of the source is on average within 0.02 of its
null, and rises with p as far as its null does, which follows the number of patterns. That
it falls with w_E / w_I is less clear, -0.06 ± 0.04, and its null does as much. At w_E / w_I
= 1 activity died out in 5 of 8 runs that were tried, so the scan begins at 1.5.
"""

import functools as ft
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import jaxnet as jn

from . import _sheet
from ._report import agrees, Claim, equal, Report


W_E, W_I, RATIO_PERIOD = 0.12, 0.06, 7.0
LAST_STATIC, FIRST_WAVES = 5.0, 7.0
DOCUMENT_MS, DOCUMENT_MV = 200.0, -53.0
# Of the mean of eight runs, from the spread of single ones.
PHI_ERROR = 0.12
BLUE, RED, GREEN = jn.plot.COLOURS[:3]


class Phi(NamedTuple):
    """A coherence and that of random directions; NaN where there is none."""

    phi: jax.Array
    null: jax.Array


class Measures(NamedTuple):
    """Of single runs."""

    ours: Phi
    document: Phi
    speed: jax.Array
    moving: jax.Array
    number: jax.Array


def phi_of_document(system, run, key) -> Phi:
    steps = round(DOCUMENT_MS / _sheet.DT)
    units = system.excitation.size**2
    frames = jnp.unpackbits(run.ys[-steps:], axis=-1, count=units).astype(bool)
    find = ft.partial(
        jn.measure.patterns, reach=7, periodic=False, max_patterns=_sheet.MAX_PATTERNS
    )
    size = system.excitation.size
    patterns = jax.lax.map(find, frames.reshape(-1, size, size))
    tracks = jn.measure.tracks(
        patterns, lag=_sheet.DT, max_distance=10.0, periodic=False, greedy=True
    )
    velocity, moved = tracks.velocity, tracks.moved
    return Phi(
        jnp.mean(jn.measure.direction_coherence(velocity, moved)),
        jnp.mean(jn.measure.coherence_null(velocity, moved, key=key, draws=50)),
    )


def measure(rp, w_i, key, ms: float) -> Measures:
    key, *null_keys = jax.random.split(key, 3)
    system = _sheet.sheet(rp, W_E, w_i)
    # Eight cells a byte.
    save = jn.SaveAt(steps=1, fn=lambda t, y, _: jnp.packbits(y.v_e >= DOCUMENT_MV))
    run = _sheet.simulate(system, _sheet.drive(), key, ms=ms, save=save)
    seen = _sheet.observed(system, run, null_keys[0], since=_sheet.SETTLED_MS, until=ms)
    return Measures(
        ours=Phi(seen.motion.coherence, seen.null),
        document=phi_of_document(system, run, null_keys[1]),
        speed=seen.motion.speed,
        moving=seen.motion.moving,
        number=seen.number,
    )


@ft.partial(jax.jit, static_argnames="ms")
def scan(rp, w_i, keys, *, ms: float) -> Measures:
    """At each pair of values (rows), for each seed (columns)."""
    values = [jnp.repeat(x, keys.shape[1]) for x in (rp, w_i)]
    one = lambda x: measure(x[0], x[1], x[2], ms)
    # By eight together; but a CPU is quicker one by one, and needs less memory.
    batch = None if jax.default_backend() == "cpu" else 8
    runs = jax.lax.map(one, (*values, keys.ravel()), batch_size=batch)
    return jax.tree.map(lambda x: x.reshape(keys.shape), runs)


def mean_and_error(x) -> tuple[np.ndarray, np.ndarray]:
    """Over the seeds that have a number, along the last axis, and its standard error."""
    x = np.asarray(x)
    there = np.isfinite(x)
    count = there.sum(axis=-1)
    mean = np.where(there, x, 0.0).sum(axis=-1) / np.maximum(count, 1)
    squares = np.where(there, (x - mean[..., None]) ** 2, 0.0).sum(axis=-1)
    error = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
    return np.where(count > 0, mean, np.nan), np.where(count > 1, error, np.nan)


def show(mean, error) -> str:
    return f"{float(mean):.3f} ± {float(error):.3f}"


def pooled(x) -> tuple[float, float]:
    """The mean over all values and seeds, and its standard error."""
    mean, error = mean_and_error(np.ravel(x))
    return float(mean), float(error)


def change(x, low, high) -> tuple[float, float]:
    """From some values to others, of the mean over them and over seeds."""
    (a, a_error), (b, b_error) = pooled(x[low]), pooled(x[high])
    return b - a, float(np.hypot(a_error, b_error))


def positive(statement: str, estimate: tuple[float, float], sign: int = 1) -> Claim:
    """A claim that an estimate is more than two standard errors above, or below, zero."""
    mean, error = estimate
    expected = "> 2 s.e.m." if sign > 0 else "< -2 s.e.m."
    return Claim(statement, expected, show(mean, error), bool(sign * mean > 2 * error))


def near_zero(statement: str, bound: float, estimate: tuple[float, float]) -> Claim:
    """A claim that an estimate is small, or not to be told from zero."""
    mean, error = estimate
    return Claim(
        statement,
        f"within {bound:g} of 0, or 3 s.e.m.",
        show(mean, error),
        bool(abs(mean) < max(bound, 3 * error)),
    )


def told_apart(low, high) -> float:
    """The part of runs on the right side of the best threshold; NaN is on none."""
    values = np.concatenate([np.ravel(low), np.ravel(high)])
    thresholds = values[np.isfinite(values)]
    right = [(low <= t).sum() + (high > t).sum() for t in thresholds]
    return float(max(right)) / values.size


def claims_of_periods(rp: np.ndarray, runs: Measures) -> list[Claim]:
    bumps, mixed, waves = rp <= LAST_STATIC, rp == 6.0, rp >= FIRST_WAVES
    phi, null = runs.ours
    excess = phi - null
    of_document = runs.document.phi - runs.document.null
    apart = {
        name: told_apart(x[bumps], x[waves])
        for name, x in (("speed", runs.speed), ("moving", runs.moving), ("phi", phi))
    }
    in_waves = phi[waves][np.isfinite(phi[waves])]
    return [
        near_zero("our Φ less its null, p ≤ 5", 0.05, pooled(excess[bumps])),
        near_zero("our Φ less its null, p = 6", 0.05, pooled(excess[mixed])),
        *(
            agrees(f"our Φ at p = {p:g}", expected, PHI_ERROR, *pooled(phi[rp == p]))
            for p, expected in ((7.0, 0.8), (8.0, 0.9))
        ),
        Claim(
            "our Φ of single runs, p ≥ 7",
            "from below 0.4 to above 0.95",
            f"{in_waves.min():.2f} to {in_waves.max():.2f}",
            bool(in_waves.min() < 0.4 and in_waves.max() > 0.95),
        ),
        equal("runs of p ≤ 5 and p ≥ 7 told apart by their speed", 1.0, apart["speed"]),
        equal("the same by the part that moves", 1.0, apart["moving"]),
        Claim(
            "the same by our Φ at its best threshold",
            "< 0.95",
            f"{apart['phi']:.2f}",
            apart["phi"] < 0.95,
        ),
        near_zero("Φ of the source less its null, all p", 0.02, pooled(of_document)),
        positive(
            "Φ of the source, from p ≤ 5 to p ≥ 7",
            change(runs.document.phi, bumps, waves),
        ),
        near_zero("the same less its null", 0.02, change(of_document, bumps, waves)),
    ]


def claims_of_ratios(ratio: np.ndarray, runs: Measures) -> list[Claim]:
    low, high = ratio <= 2.0, ratio >= 3.0
    phi, null = runs.document
    return [
        positive(
            "null of our Φ, from w_E / w_I ≤ 2 to ≥ 3",
            change(runs.ours.null, low, high),
            -1,
        ),
        agrees(
            "Φ of the source, the same: as its null changes",
            *change(null, low, high),
            *change(phi, low, high),
        ),
        near_zero("Φ of the source less its null, all ratios", 0.02, pooled(phi - null)),
    ]


def plot_phi(ax: Axes, values, phi: Phi) -> None:
    for x, colour, style, label in (
        (phi.phi, BLUE, "-", "Φ"),
        (phi.null, RED, "--", "null"),
    ):
        mean, error = mean_and_error(x)
        ax.errorbar(
            values, mean, error, color=colour, ls=style, marker="o", ms=2.5, label=label
        )
    ax.set(ylim=(0, 1.05))


def plot_scan(values, runs: Measures, label: str, *, shaded: bool) -> Figure:
    fig, axes = plt.subplots(1, 4, figsize=(7.2, 2.3))
    plot_phi(axes[0], values, runs.ours)
    plot_phi(axes[1], values, runs.document)
    for ax, x, top in zip(axes[2:], (runs.speed, runs.moving), (1.3, 1.05), strict=True):
        ax.errorbar(values, *mean_and_error(x), color=GREEN, marker="o", ms=2.5)
        ax.set(ylim=(0, top))
    titles = ("our Φ", "Φ of the source", "mean speed", "part that moves")
    for ax, title in zip(axes, titles, strict=True):
        ax.set(title=title, xlabel=label)
        if shaded:
            ax.axvspan(values[0], LAST_STATIC, color="0.92", lw=0)
            ax.axvspan(FIRST_WAVES, values[-1], color="0.85", lw=0)
    if shaded:
        for x, name in ((LAST_STATIC - 0.5, "bumps"), (FIRST_WAVES + 0.5, "crescents")):
            axes[3].text(x, 0.5, name, rotation=90, ha="center", va="center")
    axes[0].legend(loc="lower left")
    axes[0].set(ylabel="coherence")
    axes[2].set(ylabel="cells/ms")
    return fig


def claim_of_waves(rp: np.ndarray, periods: Measures, ratios: Measures) -> Claim:
    """The runs of both scans together, as single ones differ so much."""
    at_periods = (periods.ours.phi - periods.ours.null)[rp >= FIRST_WAVES]
    together = [np.ravel(at_periods), np.ravel(ratios.ours.phi - ratios.ours.null)]
    mean, error = pooled(np.concatenate(together))
    return Claim(
        "our Φ less its null in waves: p ≥ 7, and all ratios",
        "> 2 s.e.m.",
        f"{show(mean, error)}; p ≥ 7 alone {show(*pooled(at_periods))}",
        mean > 2 * error,
    )


def main(*, quick: bool, seed: int) -> Report:
    seeds, ms = (3, 400.0) if quick else (8, 800.0)
    rp = np.arange(4.0, 8.1, 1.0) if quick else np.arange(4.0, 9.1, 0.5)
    ratio = np.linspace(1.5, 3.5, 5) if quick else np.linspace(1.5, 4.0, 11)
    shape = (2, len(rp), seeds)
    of_rp, of_ratio = jax.random.split(jax.random.key(seed), shape)
    like = jnp.ones(len(rp))
    periods = scan(jnp.asarray(rp), W_I * like, of_rp, ms=ms)
    ratios = scan(RATIO_PERIOD * like, jnp.asarray(W_E / ratio), of_ratio, ms=ms)
    periods, ratios = (jax.tree.map(np.asarray, runs) for runs in (periods, ratios))
    return Report(
        [
            *claims_of_periods(rp, periods),
            claim_of_waves(rp, periods, ratios),
            *claims_of_ratios(ratio, ratios),
        ],
        {
            "periods": plot_scan(rp, periods, "refractory period p (ms)", shaded=True),
            "ratios": plot_scan(ratio, ratios, "weights $w_E / w_I$", shaded=False),
        },
    )
