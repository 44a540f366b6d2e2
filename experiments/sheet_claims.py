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

import functools as ft
from collections import Counter
from typing import Any, NamedTuple

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


W_E, W_I = 0.12, 0.06
BUMPS = 5.0
SIDE = _sheet.SIZES[0]
# A pattern is fast, or slow, by its way in the next 30 ms (steps of frames, cells/ms).
WAY_STEPS, FAST, SLOW = 6, 0.4, 0.2
# The standard deviation over single runs of the number of bumps.
BUMPS_SD = 0.67
# Bumps fire in rings if steps of the phase, from cell to cell, are like those near by: the
# mean phasor of 9 of them is 1 then, and 1/3 at random. They fire in a flicker if all cells
# do so together: if their mean phasor is longer than that of phases over half a period.
FIRING_MS, LOCAL, TOGETHER = 60.0, 0.53, 2 / np.pi
MODES = ("rings", "flicker", "scattered")
# A bump is seen from its centre this far in rows and columns.
VIEW = 14
# A death is that of a track of 50 ms, with no other pattern near (cells).
OLD, ALONE = 10, 30.0
# Waves meet if they come this near in the first 300 ms; what becomes of them, 40 ms later.
NEAR, MEETING_MS, LATER = 30.0, 300.0, 8
OUTCOMES = ("both go on", "one goes on", "one, as a bump", "none")


class Condition(NamedTuple):
    """Refractory period (ms) and weights (uS)."""

    rp: float
    w_e: float = W_E
    w_i: float = W_I


USUAL = Condition(BUMPS)
NEGATIVE = Condition(BUMPS, w_i=-W_I)
STRIPS = Condition(8.0, w_i=0.02)


def scaled(factor: float, rp: float = BUMPS) -> Condition:
    return Condition(rp, round(factor * W_E, 3), round(factor * W_I, 4))


class Run(NamedTuple):
    """Of single runs; the first axis is for the seeds."""

    centre: Any
    size: Any
    aspect: Any
    valid: Any
    wraps: Any
    track: Any
    successor: Any
    rate: Any
    active: Any
    firing: Any
    frame: Any

    def settled_mean(self, x) -> np.ndarray:
        """Over all patterns of each run, from 200 ms on."""
        part = slice(frame_at(_sheet.SETTLED_MS), None)
        valid = self.valid[:, part]
        return np.where(valid, x[:, part], 0).sum(axis=(1, 2)) / valid.sum(axis=(1, 2))

    @property
    def number(self) -> np.ndarray:
        settled = self.valid[:, frame_at(_sheet.SETTLED_MS) :]
        return settled.sum(axis=-1).mean(axis=1)


Runs = dict[Condition, Run]


def frame_at(ms: float) -> int:
    return round(ms / _sheet.LAG_MS)


def goes_around(label):
    """Whether each pattern of a frame has cells in all rows, or in all columns."""
    is_in = label == jnp.arange(_sheet.MAX_PATTERNS)[:, None, None]
    return is_in.any(axis=1).all(axis=-1) | is_in.any(axis=2).all(axis=-1)


def measure(values, key, ms: float) -> Run:
    system = _sheet.sheet(*values)
    run = _sheet.simulate(system, _sheet.drive(), key, ms=ms)
    start, end = _sheet.NOISE_MS, _sheet.NOISE_MS + ms
    frames = _sheet.active_frames(system, _sheet.raster_of(run), start, end)
    patterns = _sheet.patterns_of(frames)
    tracks = jn.measure.tracks(patterns, lag=_sheet.LAG_MS)
    spikes, _ = system.lattices(_sheet.raster_of(run).unpack())
    late = spikes[round((start + _sheet.SETTLED_MS) / _sheet.DT) :]
    return Run(
        centre=patterns.centre,
        size=patterns.size,
        aspect=patterns.aspect,
        valid=patterns.valid,
        wraps=jax.lax.map(goes_around, patterns.label),
        track=tracks.track,
        successor=tracks.successor,
        rate=jnp.mean(late, dtype=float) * 1000 / _sheet.DT,
        active=jnp.mean(frames[frame_at(_sheet.SETTLED_MS) :], dtype=float),
        firing=jnp.packbits(spikes[-round(FIRING_MS / _sheet.DT) :], axis=-1),
        frame=frames[-1],
    )


@ft.partial(jax.jit, static_argnames="ms")
def run_all(values, keys, *, ms: float) -> Run:
    return jax.lax.map(lambda key: measure(values, key, ms), keys)


def way(a, b) -> np.ndarray:
    """From a to b, the shorter way around."""
    d = b - a
    return d - SIDE * np.round(d / SIDE)


def length(d) -> np.ndarray:
    return np.hypot(d[..., 0], d[..., 1])


def net_speed(run: Run, seed: int) -> np.ndarray:
    """Of each pattern, by its way in the next 30 ms; NaN if it does not go on."""
    centre, successor = run.centre[seed], run.successor[seed]
    frames = np.arange(len(successor) - WAY_STEPS + 1)[:, None]
    index = np.tile(np.arange(centre.shape[1]), (len(frames), 1))
    goes_on = run.valid[seed][: len(frames)].copy()
    for k in range(WAY_STEPS):
        follower = successor[frames + k, index]
        goes_on &= follower >= 0
        index = np.where(goes_on, follower, 0)
    went = length(way(centre[: len(frames)], centre[frames + WAY_STEPS, index]))
    return np.where(goes_on, went / (WAY_STEPS * _sheet.LAG_MS), np.nan)


def part_with_both(run: Run, since: float, until: float) -> np.ndarray:
    """The part of the time with a fast pattern and a slow one, for each run."""
    part = slice(frame_at(since), frame_at(until))
    speeds = [net_speed(run, seed)[part] for seed in range(len(run.valid))]
    return np.array([((x > FAST).any(1) & (x < SLOW).any(1)).mean() for x in speeds])


def part_fast(run: Run, since: float, until: float) -> np.ndarray:
    """The part of fast ones, of fast and slow patterns, for each run."""
    part = slice(frame_at(since), frame_at(until))
    speeds = [net_speed(run, seed)[part] for seed in range(len(run.valid))]
    return np.array(
        [(x > FAST).sum() / max(((x > FAST) | (x < SLOW)).sum(), 1) for x in speeds]
    )


def changes(run: Run) -> tuple[int, int]:
    """How many patterns, once slow, are fast later; and the other way round."""
    to_wave = to_bump = 0
    for seed in range(len(run.valid)):
        speed = net_speed(run, seed)
        track = run.track[seed][: len(speed)]
        for t in np.unique(track[track >= 0]):
            x = speed[track == t]
            slow, fast = np.flatnonzero(x < SLOW), np.flatnonzero(x > FAST)
            if slow.size and fast.size:
                to_wave += int(slow[0] < fast[-1])
                to_bump += int(fast[0] < slow[-1])
    return to_wave, to_bump


class Firing(NamedTuple):
    """How a bump fires, its rate (Hz), and how long ago each cell did (ms)."""

    mode: str
    order: float
    outwards: bool
    rate: float
    last: np.ndarray


def neighbours(x) -> np.ndarray:
    """The sum over each cell and the eight around it."""
    shifts = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    return np.sum([np.roll(x, shift, (0, 1)) for shift in shifts], axis=0)


def firing_of(run: Run, seed: int, pattern: int) -> Firing:
    """By the phases of the cells of a bump, some times in its last 60 ms.

    The phase of a cell is the time since its last spike, in periods of the bump.
    """
    centre = run.centre[seed, -1, pattern]
    spikes = np.unpackbits(run.firing[seed], axis=-1, count=SIDE).astype(bool)
    shift = tuple(VIEW - round(float(x)) for x in centre)
    spikes = np.roll(spikes, shift, axis=(1, 2))[:, : 2 * VIEW + 1, : 2 * VIEW + 1]
    place = np.indices(spikes.shape[1:]) - float(VIEW)
    distance = np.hypot(*place)
    # The outermost cells fire less often.
    inside = distance < 0.9 * np.sqrt(run.size[seed, -1, pattern] / np.pi)
    rate = spikes[:, inside].mean() / _sheet.DT
    found = []
    for end in range(len(spikes), len(spikes) // 2, -7):
        since = np.argmax(spikes[:end][::-1], axis=0) * _sheet.DT
        z = np.where(inside, np.exp(2j * np.pi * rate * since), 0)
        order, flow = [], 0.0
        for axis in (0, 1):
            is_pair = inside & np.roll(inside, -1, axis)
            step = np.where(is_pair, z * np.conj(np.roll(z, -1, axis)), 0)
            alike = np.abs(neighbours(step)) / np.maximum(neighbours(is_pair * 1), 1)
            order.append(alike[is_pair].mean())
            # Towards a neighbour that fires later.
            flow += (np.angle(step) * place[axis])[is_pair].sum()
        found.append((np.mean(order), np.abs(z.sum()) / inside.sum(), flow))
    local, together, outwards = np.mean(found, axis=0)
    ordered = "flicker" if together > TOGETHER else "rings"
    mode = "scattered" if local < LOCAL else ordered
    last = np.where(inside, np.argmax(spikes[::-1], axis=0) * _sheet.DT, np.nan)
    return Firing(mode, float(local), bool(outwards > 0), float(rate) * 1000, last)


def firings(run: Run) -> list[list[Firing]]:
    """Of the bumps of each run, at its end."""
    whole = run.valid[:, -1] & (run.size[:, -1] > 100)
    return [
        [firing_of(run, seed, int(k)) for k in np.flatnonzero(x)]
        for seed, x in enumerate(whole)
    ]


def width(size, aspect) -> np.ndarray:
    """The short axis of an ellipse of this size (cells)."""
    return 2 * np.sqrt(size / (np.pi * np.maximum(aspect, 1)))


def widths_of_dying(run: Run) -> np.ndarray:
    """For each death of a wave alone: 25 to 50 ms before, and in the last 15 ms."""
    found = []
    for seed in range(len(run.valid)):
        valid, track, centre = run.valid[seed], run.track[seed], run.centre[seed]
        speed = net_speed(run, seed)
        all_widths = width(run.size[seed], run.aspect[seed])
        for k, j in np.argwhere(valid[:-1] & (run.successor[seed] < 0)):
            others = centre[k + 1][valid[k + 1]]
            its = track == track[k, j]
            x = all_widths[its]
            is_alone = length(way(centre[k, j], others)).min(initial=np.inf) > ALONE
            was = speed[its[: len(speed)]]
            if len(x) >= OLD and is_alone and np.nanmax(was, initial=0) > FAST:
                found.append((x[-10:-5].mean(), x[-3:].mean()))
    return np.reshape(found, (-1, 2))


def width_of_waves(run: Run) -> float:
    """The mean of all fast patterns."""
    fast = np.stack([net_speed(run, seed) for seed in range(len(run.valid))]) > FAST
    part = np.s_[:, : fast.shape[1]]
    return float(width(run.size[part], run.aspect[part])[fast].mean())


def meetings(run: Run) -> list[str]:
    """What became of each pair of waves that came near each other."""
    outcomes = []
    for seed in range(len(run.valid)):
        valid, track, centre = run.valid[seed], run.track[seed], run.centre[seed]
        frames = min(frame_at(MEETING_MS), len(valid) - LATER)
        where = {(int(track[k, j]), int(k)): centre[k, j] for k, j in np.argwhere(valid)}

        def velocity(t, a, b, where=where):
            return way(where[t, a], where[t, b]) / ((b - a) * _sheet.LAG_MS)

        met = set()
        for k in range(4, frames):
            here = [t for t in track[k][valid[k]].tolist() if (t, k - 4) in where]
            pairs = [(a, b) for a in here for b in here if a < b and (a, b) not in met]
            for pair in pairs:
                a, b = pair
                apart = length(way(where[a, k], where[b, k]))
                before = length(way(where[a, k - 2], where[b, k - 2]))
                slower = min(length(velocity(t, k - 4, k)) for t in pair)
                if apart > NEAR or before <= apart or slower < FAST:
                    continue
                met.add(pair)
                end = k + LATER
                left = [t for t in pair if (t, end) in where]
                if len(left) == 1:
                    speed = length(velocity(left[0], end - 4, end))
                    outcomes.append("one, as a bump" if speed < 0.3 else "one goes on")
                else:
                    outcomes.append("both go on" if left else "none")
    return outcomes


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
