"""What else the source says of the spiking sheet: critical range, bumps, deaths, meetings.

Each run starts with 30 ms of noise and then is free for 800 ms (quick: 400 ms). Patterns
are those of the cells that spiked in the last 10 ms. A pattern is fast if over the next
30 ms it goes more than 0.4 cells/ms, and slow below 0.2: the centre of a bump that fires
in rings shakes, so that from one frame to the next it may seem to be fast.

The source, and what is measured, p being the refractory period:

- Bumps and waves are there together at p from 6 to 7.2 ms. Found: at 6 for long; at 6.5
  and 7 in the first 100 ms, then waves are left alone. At 5.5 there are bumps alone.
- There are 5 to 6 bumps at p = 5. Found: 4 to 5.
- A negative weight of inhibition excites. Found: all cells fire as fast as they can.
- A bump fires in rings that go outwards, in a flicker of all its cells, or scattered.
  Found: in rings, which go outwards though not always from the centre, or scattered; a
  flicker is rare.
- Less inhibition makes bumps wider; larger weights make them fire faster. Both hold. That
  larger weights turn rings into a flicker does not: 1.5 times as large, they make rings.
- Waves get narrow before they die. It holds.
- Waves that meet repel each other, or become a bump. Found: mostly one dies, and the other
  goes on.
- Waves become strips at p = 9, or with w_I = 0.02 at p = 8 (0.2 there, a slip). Found: not
  at p = 9, where they are as at 8; with w_I = 0.02 they go around the sheet.
"""

from collections import Counter

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import jaxnet as jn

from . import _sheet
from ._balanced import mean_and_error, show
from ._report import Claim, Report
from ._sheet_behaviour import (
    BUMPS,
    BUMPS_SD,
    changes,
    Condition,
    Firing,
    firings,
    meetings,
    MODES,
    NEGATIVE,
    OUTCOMES,
    part_fast,
    part_with_both,
    Run,
    run_all,
    Runs,
    scaled,
    STRIPS,
    USUAL,
    W_E,
    width_of_waves,
    widths_of_dying,
)


def differ(statement: str, x, y, sign: int, unit: str, digits: int = 1) -> Claim:
    """A claim that the mean of y is more, or less, than that of x, by two errors."""
    (a, a_error), (b, b_error) = mean_and_error(x), mean_and_error(y)
    return Claim(
        statement,
        f"{'more' if sign > 0 else 'less'}, by 2 s.e.m.",
        f"{show(x, digits)} to {show(y, digits)} {unit}",
        bool(sign * (b - a) > 2 * np.hypot(a_error, b_error)),
    )


def at_most(statement: str, bound: float, x) -> Claim:
    return Claim(statement, f"< {bound:g}", show(x), bool(np.mean(x) < bound))


def more_than_none(statement: str, x) -> Claim:
    """In half of the runs at least, so that few of them can tell."""
    some = int((np.asarray(x) > 0).sum())
    return Claim(
        statement,
        "in some part of half of the runs",
        f"{show(x)}, in {some} of {np.size(x)} runs",
        2 * some >= np.size(x),
    )


def claims_of_range(runs: Runs, ms: float, *, quick: bool) -> list[Claim]:
    settled = _sheet.SETTLED_MS
    at = lambda rp: runs[Condition(rp)]
    claims = [
        at_most("p = 5: part of fast patterns", 0.05, part_fast(at(5.0), 0.0, ms)),
        more_than_none(
            "p = 6: part of the first 200 ms with bumps and waves",
            part_with_both(at(6.0), 0.0, settled),
        ),
        at_most(
            "p = 6.5, by the source mixed: the same from 200 ms on",
            0.05,
            part_with_both(at(6.5), settled, ms),
        ),
        at_most(
            "p = 7, by the source mixed: the same from 100 ms on",
            0.05,
            part_with_both(at(7.0), 100.0, ms),
        ),
    ]
    if quick:
        return claims
    to_wave, to_bump = changes(at(6.0))
    return [
        *claims,
        at_most("p = 5.5: the same at any time", 0.02, part_with_both(at(5.5), 0.0, ms)),
        more_than_none(
            "p = 6: the same from 200 ms on", part_with_both(at(6.0), settled, ms)
        ),
        more_than_none(
            "p = 6.5: the same in the first 100 ms", part_with_both(at(6.5), 0.0, 100.0)
        ),
        Claim(
            "p = 6: patterns that change, from bump to wave and back",
            "both occur",
            f"{to_wave} to wave, {to_bump} to bump",
            to_wave > 0 and to_bump > 0,
        ),
    ]


def claims_of_bumps(runs: Runs) -> list[Claim]:
    number = runs[USUAL].number
    error = 3 * BUMPS_SD / np.sqrt(number.size)
    fired, fired_more = (
        [np.mean([f.rate for f in bumps]) for bumps in firings(runs[condition])]
        for condition in (USUAL, scaled(1.5))
    )
    negative = runs[NEGATIVE]
    wide, narrow = (runs[USUAL._replace(w_i=w)] for w in (0.05, 0.065))
    return [
        Claim(
            "p = 5: number of bumps, by the source 5 to 6",
            f"4.5 to 4.9, ± {error:.2f}",
            show(number),
            bool(4.5 - error <= number.mean() <= 4.9 + error),
        ),
        Claim(
            "w_I = -0.06 excites: part of cells active in 10 ms, and rate (Hz)",
            "> 0.95, and ten times that at 0.06",
            f"{show(negative.active)}, {show(negative.rate, 1)}; "
            f"{show(runs[USUAL].rate, 1)} at 0.06",
            bool(
                negative.active.mean() > 0.95
                and negative.rate.mean() > 10 * runs[USUAL].rate.mean()
            ),
        ),
        differ(
            "size of a bump, from w_I = 0.065 to 0.05",
            narrow.settled_mean(narrow.size),
            wide.settled_mean(wide.size),
            1,
            "cells",
            digits=0,
        ),
        differ(
            "rate in a bump, from weights to 1.5 times weights",
            fired,
            fired_more,
            1,
            "Hz",
        ),
    ]


def shares(run: Run) -> Counter[str]:
    return Counter(f.mode for bumps in firings(run) for f in bumps)


def show_counts(x: Counter[str], names) -> str:
    return ", ".join(f"{name} {x[name]}" for name in names)


def claims_of_firing(runs: Runs) -> list[Claim]:
    usual, larger = shares(runs[USUAL]), shares(runs[scaled(1.5)])
    part = lambda x, name: x[name] / x.total()
    rings = [
        f.outwards
        for condition in (USUAL, scaled(1.5))
        for bumps in firings(runs[condition])
        for f in bumps
        if f.mode == "rings"
    ]
    return [
        Claim(
            "p = 5: how bumps fire, by the source in three ways: mostly in two",
            "rings, scattered > 0.2; flicker < 0.1",
            show_counts(usual, MODES),
            bool(
                min(part(usual, "rings"), part(usual, "scattered")) > 0.2
                and part(usual, "flicker") < 0.1
            ),
        ),
        Claim(
            "part of rings that go outwards",
            "> 0.9",
            f"{np.mean(rings):.2f} of {len(rings)}",
            bool(np.mean(rings) > 0.9),
        ),
        Claim(
            "weights 1.5 times, by the source a flicker: more rings instead",
            "rings > 0.6, flicker < 0.2",
            show_counts(larger, MODES),
            part(larger, "rings") > 0.6 and part(larger, "flicker") < 0.2,
        ),
    ]


def claims_of_strips(runs: Runs) -> list[Claim]:
    late, early, strips = (runs[c] for c in (Condition(9.0), Condition(7.0), STRIPS))
    most = mean_and_error(late.settled_mean(late.aspect > 3))[0]
    around = strips.settled_mean(strips.wraps)
    return [
        Claim(
            "p = 9, by the source strips: not so; aspect ratio, and part above 3",
            "1.8 to 2.2, < 0.05",
            f"{show(late.settled_mean(late.aspect))}, {most:.2f}",
            bool(abs(late.settled_mean(late.aspect).mean() - 2) < 0.2 and most < 0.05),
        ),
        Claim(
            "w_I = 0.02, p = 8: part of patterns that go around the sheet",
            "> 0.25; 0 at w_I = 0.06",
            f"{show(around)}; {show(early.settled_mean(early.wraps))} at p = 7",
            bool(around.mean() > 0.25 and not early.settled_mean(early.wraps).any()),
        ),
    ]


def claims_of_waves(runs: Runs) -> list[Claim]:
    """What needs many seeds."""
    usual = [c for c in runs if c == Condition(c.rp)]
    dying = np.concatenate([widths_of_dying(runs[c]) for c in usual if 6 <= c.rp <= 7])
    living = np.mean([width_of_waves(runs[c]) for c in usual if 6 <= c.rp <= 7])
    change = dying[:, 1] - dying[:, 0]
    error = mean_and_error(change)[1]
    met = Counter(x for c in usual if c.rp >= 7 for x in meetings(runs[c]))
    return [
        Claim(
            "p from 6 to 7: waves get narrow before they die; width 25 to 50 ms before, "
            "in the last 15 ms, and of all waves (cells)",
            "narrower by 2 s.e.m., also than all waves",
            f"{show(dying[:, 0], 1)}, {show(dying[:, 1], 1)}, {living:.1f}; "
            f"{len(dying)} deaths",
            bool(change.mean() < -2 * error and dying[:, 1].mean() < living - 2 * error),
        ),
        Claim(
            "p from 7 to 9: waves that meet, by the source repel or become a bump: "
            "mostly one goes on",
            "one goes on in more than half",
            show_counts(met, OUTCOMES),
            met["one goes on"] > met.total() / 2,
        ),
    ]


def plot_range(ax: Axes, runs: Runs, ms: float) -> None:
    usual = sorted(c for c in runs if c == Condition(c.rp) and 5 <= c.rp <= 8)
    settled = _sheet.SETTLED_MS
    for since, until, label in (
        (0.0, 100.0, "both, 0 to 100 ms"),
        (settled, ms, f"both, {settled:g} to {ms:g} ms"),
    ):
        values = [part_with_both(runs[c], since, until) for c in usual]
        mean, error = mean_and_error(values)
        ax.errorbar([c.rp for c in usual], mean, error, marker="o", ms=3, label=label)
    mean, error = mean_and_error([part_fast(runs[c], settled, ms) for c in usual])
    ax.errorbar(
        [c.rp for c in usual], mean, error, marker="o", ms=3, ls="--", label="fast, later"
    )
    ax.set(xlabel="refractory period p (ms)", ylabel="part", ylim=(-0.03, 1.65))
    ax.set_yticks((0.0, 0.5, 1.0))
    ax.legend(loc="upper left")


def plot_modes(ax: Axes, runs: Runs) -> None:
    conditions = [c for c in (scaled(f) for f in (1.0, 1.25, 1.5)) if c in runs]
    names = [f"{c.w_e / W_E:g}" for c in conditions]
    counts = [shares(runs[c]) for c in conditions]
    bottom = np.zeros(len(names))
    for mode in MODES:
        part = np.array([found[mode] / found.total() for found in counts])
        ax.bar(names, part, 0.6, bottom, label=mode)
        bottom += part
    ax.set(xlabel="weights, p = 5 (times)", ylabel="part of bumps", ylim=(0, 1.55))
    ax.set_yticks((0.0, 0.5, 1.0))
    ax.legend(loc="upper left")


def plot_scans(runs: Runs, ms: float) -> Figure:
    fig, axes = plt.subplots(2, 3, figsize=(7.2, 4.6))
    style = {"marker": "o", "ms": 3, "capsize": 2}
    plot_range(axes[0, 0], runs, ms)

    bumps = sorted(c for c in runs if c.rp == BUMPS and c.w_e == W_E and c.w_i > 0)
    sizes = [runs[c].settled_mean(runs[c].size) for c in bumps]
    axes[0, 1].errorbar([c.w_i for c in bumps], *mean_and_error(sizes), **style)
    axes[0, 1].set(xlabel="$w_I$ (uS), p = 5", ylabel="size of a bump (cells)")
    axes[0, 1].set_xticks((0.05, 0.06))

    factors = [f for f in (1.0, 1.25, 1.5) if scaled(f) in runs]
    rates = [
        [np.mean([x.rate for x in found]) for found in firings(runs[scaled(f)])]
        for f in factors
    ]
    axes[0, 2].errorbar(factors, *mean_and_error(rates), **style)
    axes[0, 2].set(xlabel="weights, p = 5 (times)", ylabel="rate in a bump (Hz)")
    plot_modes(axes[1, 0], runs)

    usual = sorted(c for c in runs if c == Condition(c.rp))
    dying = np.concatenate([widths_of_dying(runs[c]) for c in usual if 6 <= c.rp <= 7])
    for x in dying:
        axes[1, 1].plot((0, 1), x, color="0.7", lw=0.6, marker="o", ms=2)
    if len(dying) > 1:
        axes[1, 1].errorbar((0, 1), *mean_and_error(dying.T), lw=1.5, **style)
    axes[1, 1].set(ylabel="width of dying waves (cells)", xlim=(-0.3, 1.3), ylim=(0, None))
    axes[1, 1].set_xticks((0, 1), ("25 to 50 ms\nbefore", "last 15 ms"))

    met = Counter(x for c in usual if c.rp >= 7 for x in meetings(runs[c]))
    axes[1, 2].barh(OUTCOMES, [met[x] for x in OUTCOMES], color=jn.plot.COLOURS[0])
    axes[1, 2].invert_yaxis()
    axes[1, 2].xaxis.get_major_locator().set_params(integer=True)
    axes[1, 2].set(xlabel="meetings of waves, p ≥ 7", ylabel="40 ms later")
    return fig


def example(runs: Runs, mode: str) -> tuple[Condition, Firing] | None:
    """The clearest of the bumps that fire in this way, at the first weights with any."""
    for condition in (scaled(1.0), scaled(1.25), scaled(1.5)):
        found = firings(runs[condition]) if condition in runs else []
        bumps = [f for run in found for f in run if f.mode == mode]
        if bumps:
            order = lambda f: -f.order if mode == "scattered" else f.order
            return condition, max(bumps, key=order)
    return None


def plot_sheets(runs: Runs) -> Figure:
    """Active cells at the end, and single bumps by how they fire."""
    shown = {
        "p = 6 ms": Condition(6.0),
        "p = 9 ms": Condition(9.0),
        "p = 8 ms, $w_I$ = 0.02": STRIPS,
    }
    fig, axes = plt.subplots(2, 3, figsize=(6.6, 4.6))
    for ax, (title, condition) in zip(axes[0], shown.items(), strict=True):
        jn.plot.sheet(ax, runs[condition].frame[0], cmap="Greys", vmin=0, vmax=1)
        ax.set(title=title, xlabel="column", xticks=(0, 50, 100), yticks=(0, 50, 100))
    axes[0, 0].set(ylabel="row")
    drawn = None
    for ax, mode in zip(axes[1], MODES, strict=True):
        found = example(runs, mode)
        if found is None:
            ax.set(title=f"{mode}: none")
            ax.axis("off")
            continue
        condition, firing = found
        image = {"vmin": 0.0, "vmax": 6.0, "cmap": "viridis", "extent": (-14.5, 14.5) * 2}
        drawn = ax.imshow(firing.last, **image)
        times = condition.w_e / W_E
        weights = "" if times == 1 else f", weights {times:g} times"
        ax.set(title=f"{mode}{weights}", xlabel="columns from the centre")
    axes[1, 0].set(ylabel="rows from the centre")
    if drawn is not None:
        fig.colorbar(drawn, ax=axes[1], label="time since the spike (ms)")
    return fig


def main(*, quick: bool, seed: int) -> Report:
    seeds, ms = (3, 400.0) if quick else (16, 800.0)
    periods = (5.0, 6.0, 6.5, 7.0, 9.0)
    weights, factors = (0.05, 0.065), (1.5,)
    if not quick:
        periods = (*np.arange(5.0, 8.1, 0.5).tolist(), 9.0)
        weights, factors = (0.05, 0.055, 0.065), (1.25, 1.5)
    conditions = [
        *map(Condition, periods),
        *(USUAL._replace(w_i=w) for w in weights),
        *map(scaled, factors),
        NEGATIVE,
        STRIPS,
    ]
    keys = jax.random.split(jax.random.key(seed), seeds)
    runs = {
        c: Run(*map(np.asarray, run_all(jnp.array(c), keys, ms=ms))) for c in conditions
    }
    claims = [
        *claims_of_range(runs, ms, quick=quick),
        *claims_of_bumps(runs),
        *claims_of_firing(runs),
        *claims_of_strips(runs),
    ]
    if not quick:
        claims += claims_of_waves(runs)
    return Report(claims, {"scans": plot_scans(runs, ms), "sheets": plot_sheets(runs)})
