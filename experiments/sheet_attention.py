"""A cross that is shown to the spiking sheet holds activity best where its states mix.

A current of 1 nA is switched on, and stays, on a cross of excitatory cells: rows 70 to 79
from column 25 to 124, and columns 70 to 79 from row 25 to 124 (1 nA too where both are). It
alone brings a cell just to the threshold. The time t is that of the run: noise until 30 ms,
the cross from 170 ms or 300 ms on, and the end at 830 ms (quick: the cross from 170 ms, and
the end at 530 ms). Each run has a control of the same noise without a cross.

The gain is the part of all excitatory spikes that fall on the cross, less that of the
control, from 200 ms after the onset. The source of the model says that the sheet responds
best, and fastest, near the refractory period p = 6 ms, where bumps and waves mix; that
bumps, at 5 ms, drift a little towards the cross; and that it can't stop waves, at 8 ms.

What is measured: the gain is largest at 6 ms, more than twice that at 5, 7 and 8 ms, and
there the patterns become slower. Bumps drift, and waves go on as before. Is the response
at 6 ms the fastest too? It is the first to reach a set level, since it ends higher; half
of its own end is reached no later at 5 and at 8 ms.

Numbers agree if they differ by less than three standard errors, of the spread of single
runs that is written below, since few seeds don't tell theirs.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

import jaxnet as jn

from . import _sheet
from ._balanced import mean_and_error, show
from ._report import Claim, Report


SIDE = _sheet.SIZES[0]
MIDDLE, ARM = slice(70, 80), slice(25, 125)
CROSS = np.zeros((SIDE, SIDE), bool)
CROSS[MIDDLE, ARM] = CROSS[ARM, MIDDLE] = True
BUMPS, MIXED, WAVES = 5.0, 6.0, 8.0
SETTLED_MS = 200.0
# Patterns are looked for from here on (ms).
FIRST_MS = 150.0
# The gain that was found before, its error, and the standard deviation over single runs.
GAINS = {BUMPS: (0.09, 0.02), MIXED: (0.175, 0.03), WAVES: (0.07, 0.03)}
GAIN_SD = {BUMPS: 0.06, MIXED: 0.12, WAVES: 0.05}
# The speed that a cross takes from the patterns of mixed states, and its spread.
SLOWER, SPEED_SD = (-0.325, 0.075), 0.25
# A response: so much more of the spikes on the cross than in controls, for so long.
LEVEL, STAYS_MS, SLIDING_MS = 0.1, 50.0, 20.0
DRAWS = 500


class Run(NamedTuple):
    """Of single runs: spikes at each step, patterns at each frame, and maps."""

    on_cross: Any
    spikes: Any
    distance: Any
    speed: Any
    frame: Any
    rate: Any


def distance_to_cross(centre):
    """From the nearer of the two centre lines (cells)."""
    middle = (SIDE - 1) / 2
    away = centre - middle
    away = jnp.abs(away - SIDE * jnp.round(away / SIDE))
    beyond = jnp.maximum(away - (ARM.stop - ARM.start) / 2, 0.0)
    # The line along the columns, and that along the rows.
    return jnp.min(jnp.hypot(beyond, away[..., ::-1]), axis=-1)


def measure(rp, image, onset, key, end: float) -> Run:
    system = _sheet.sheet(rp)
    u = _sheet.drive(image * jnp.asarray(CROSS, float), onset)
    run = _sheet.simulate(system, u, key, ms=end - _sheet.NOISE_MS)
    spikes, _ = system.lattices(_sheet.raster_of(run).unpack())
    frames = _sheet.active_frames(system, _sheet.raster_of(run), FIRST_MS, end)
    patterns = _sheet.patterns_of(frames)
    tracks = jn.measure.tracks(patterns, lag=_sheet.LAG_MS)
    length = jnp.hypot(tracks.velocity[..., 0], tracks.velocity[..., 1])
    distance = distance_to_cross(patterns.centre)
    is_late = _sheet.raster_of(run).time > onset + SETTLED_MS
    late = jnp.where(is_late[:, None, None], spikes, 0).sum(axis=0)
    return Run(
        jnp.sum(spikes & CROSS, axis=(1, 2)),
        jnp.sum(spikes, axis=(1, 2)),
        jnp.min(jnp.where(patterns.valid, distance, jnp.inf), axis=-1),
        jnp.where(tracks.moved, length, jnp.nan),
        frames[-1],
        late / (end - onset - SETTLED_MS) * 1000,
    )


class Runs:
    """The runs of a scan: for each p, the controls, and those of each onset."""

    def __init__(self, periods, onsets, keys, end: float):
        self.periods, self.onsets, self.end = periods, onsets, end
        one = lambda rp, image, onset: lambda key: measure(rp, image, onset, key, end)
        scan = jax.jit(lambda *values: jax.lax.map(one(*values), keys))

        def run(rp, image, onset) -> Run:
            return Run(*map(np.asarray, scan(rp, image, onset)))

        self.control = {rp: run(rp, 0.0, onsets[0]) for rp in periods}
        self.driven = {(rp, on): run(rp, 1.0, on) for rp in periods for on in onsets}

    def pairs(self, rp: float):
        """Driven runs and their controls, with the onset."""
        return [(self.driven[rp, on], self.control[rp], on) for on in self.onsets]

    def over_onsets(self, difference, rp: float) -> np.ndarray:
        """A number of pairs, the mean over onsets, for each seed."""
        return np.mean([difference(*pair) for pair in self.pairs(rp)], axis=0)

    def gain(self, driven: Run, control: Run, onset: float) -> np.ndarray:
        since = onset + SETTLED_MS
        return fraction(driven, since, self.end) - fraction(control, since, self.end)

    def slower(self, driven: Run, control: Run, onset: float) -> np.ndarray:
        after = frames_from(onset + SETTLED_MS)
        speeds = [np.nanmean(x.speed[:, after], axis=(1, 2)) for x in (driven, control)]
        return speeds[0] - speeds[1]

    def nearer(self, driven: Run, control: Run, onset: float) -> np.ndarray:
        """By how much the nearest pattern is farther than in the control, at the end."""
        late = frames_from(self.end - 100.0)
        ours, theirs = (x.distance[:, late].mean(axis=1) for x in (driven, control))
        return ours - theirs

    def response(self, rp: float) -> np.ndarray:
        """The sliding difference in the part of spikes on the cross (seeds, steps)."""
        steps = step(self.end - self.onsets[-1])
        parts = [
            (sliding(d) - sliding(c))[:, step(on) : step(on) + steps]
            for d, c, on in self.pairs(rp)
        ]
        return np.mean(parts, axis=0)

    def latency(self, rp: float) -> tuple[np.ndarray, float, float]:
        """Until the level is reached, or the end; how many reach it, and of controls."""
        most = self.end - self.onsets[-1] - STAYS_MS

        def times(is_driven: bool):
            return np.minimum(
                [
                    [first_stay(x) for x in self.is_high(pair, is_driven=is_driven)]
                    for pair in self.pairs(rp)
                ],
                most,
            )

        driven, control = times(True), times(False)
        part = lambda x: float(np.mean(x < most))
        return driven.mean(axis=0), part(driven), part(control)

    def is_high(self, pair, *, is_driven: bool) -> np.ndarray:
        """When the part on the cross is above the level, from the onset on."""
        driven, control, onset = pair
        usual = fraction(control, onset, self.end).mean()
        part = sliding(driven if is_driven else control)
        return part[:, step(onset) :] > usual + LEVEL


def step(ms: float) -> int:
    return round(ms / _sheet.DT)


def frames_from(t: float) -> slice:
    return slice(round((t - FIRST_MS) / _sheet.LAG_MS), None)


def fraction(run: Run, since: float, until: float) -> np.ndarray:
    """The part of the spikes that falls on the cross, of each run."""
    part = slice(step(since), step(until))
    return run.on_cross[:, part].sum(axis=1) / run.spikes[:, part].sum(axis=1)


def sliding(run: Run) -> np.ndarray:
    """The same in the last 20 ms, at each step."""
    width = step(SLIDING_MS)

    def total(x):
        sums = np.cumsum(np.pad(x, ((0, 0), (width, 0))), axis=1)
        return sums[:, width:] - sums[:, :-width]

    return total(run.on_cross) / np.maximum(total(run.spikes), 1)


def first_stay(is_high: np.ndarray) -> float:
    """When it becomes true and stays so for a while (ms); infinite if never."""
    width = step(STAYS_MS)
    stays = np.convolve(is_high, np.ones(width), "valid") == width
    return float(np.argmax(stays)) * _sheet.DT if stays.any() else np.inf


def half_time(response: np.ndarray) -> float:
    """When the mean response first reaches half of what it is at last (ms)."""
    mean = response.mean(axis=0)
    half = mean[step(SETTLED_MS) :].mean() / 2
    return float(np.argmax(mean >= half)) * _sheet.DT


def half_time_and_error(response: np.ndarray) -> tuple[float, float]:
    """The error is from drawing the seeds anew."""
    rng = np.random.default_rng(0)
    seeds = len(response)
    draws = [half_time(response[rng.integers(seeds, size=seeds)]) for _ in range(DRAWS)]
    return half_time(response), float(np.std(draws))


def agrees_within(
    statement: str, expected: float, error: float, x, sd: float, digits: int = 3
) -> Claim:
    """A claim that a mean over runs of a known spread is what was found before."""
    own = sd / np.sqrt(np.size(x))
    return Claim(
        statement,
        f"{expected:.{digits}f} ± {error:.{digits}f}",
        f"{np.mean(x):.{digits}f} ± {own:.{digits}f}",
        bool(abs(np.mean(x) - expected) < 3 * np.hypot(error, own)),
    )


def apart(statement: str, x, sign: int, digits: int = 3) -> Claim:
    """A claim that a mean over runs is more than two standard errors from 0."""
    mean, error = mean_and_error(x)
    return Claim(
        statement,
        "> 2 s.e.m." if sign > 0 else "< -2 s.e.m.",
        show(x, digits),
        bool(sign * mean > 2 * error),
    )


def quick_claims(runs: Runs) -> list[Claim]:
    """What few seeds can tell."""
    gains = {rp: runs.over_onsets(runs.gain, rp) for rp in runs.periods}
    slower = runs.over_onsets(runs.slower, MIXED)
    unmoved = runs.over_onsets(runs.slower, WAVES)
    return [
        *(
            agrees_within(f"p = {rp:g}: gain", *GAINS[rp], gains[rp], GAIN_SD[rp])
            for rp in (BUMPS, MIXED, WAVES)
        ),
        apart(
            "gain, over all p", np.mean([gains[rp] for rp in runs.periods], axis=0), sign=1
        ),
        agrees_within("p = 6: change of speed (cells/ms)", *SLOWER, slower, SPEED_SD),
        Claim(
            "p = 8: the cross does not stop waves; change of speed (cells/ms)",
            "> -0.05",
            show(unmoved, 3),
            bool(unmoved.mean() > -0.05),
        ),
    ]


def full_claims(runs: Runs) -> list[Claim]:
    gains = {rp: runs.over_onsets(runs.gain, rp) for rp in runs.periods}
    others = [rp for rp in runs.periods if rp != MIXED]
    latency = {rp: runs.latency(rp) for rp in runs.periods}
    halves = {rp: half_time_and_error(runs.response(rp)) for rp in runs.periods}
    show_all = lambda x: ", ".join(f"{rp:g}: {show(y)}" for rp, y in x.items())
    first = min(latency, key=lambda rp: latency[rp][0].mean())
    least_gap = min(
        (halves[rp][0] - halves[MIXED][0]) / np.hypot(halves[rp][1], halves[MIXED][1])
        for rp in (BUMPS, WAVES)
    )
    return [
        Claim(
            "p of the largest gain",
            f"{MIXED:g}",
            show_all(gains),
            max(gains, key=lambda rp: gains[rp].mean()) == MIXED,
        ),
        *(
            apart(f"gain at 6 less that at {rp:g}", gains[MIXED] - gains[rp], sign=1)
            for rp in others
        ),
        apart("p = 6: change of speed", runs.over_onsets(runs.slower, MIXED), sign=-1),
        apart(
            "p = 5: bumps drift towards the cross; change of the least distance (cells)",
            runs.over_onsets(runs.nearer, BUMPS),
            sign=-1,
            digits=1,
        ),
        Claim(
            f"fastest at 6: time until the part on the cross is {LEVEL:g} above controls "
            f"for {STAYS_MS:g} ms (ms; {runs.end - runs.onsets[-1] - STAYS_MS:g} if never)",
            f"least at {MIXED:g}",
            ", ".join(
                f"{rp:g}: {show(x, 0)} ({part:.0%} reach it, {chance:.0%} of controls)"
                for rp, (x, part, chance) in latency.items()
            ),
            first == MIXED,
        ),
        Claim(
            "not so by the time to half of its own last value (ms)",
            "6 not 2 s.e. before both 5 and 8",
            ", ".join(
                f"{rp:g}: {x:.0f} ± {error:.0f}" for rp, (x, error) in halves.items()
            ),
            bool(least_gap < 2),
        ),
    ]


def plot_gain(runs: Runs) -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.4))
    for on, colour in zip(runs.onsets, jn.plot.COLOURS, strict=False):
        style = {"color": colour, "marker": "o", "ms": 3, "capsize": 2}
        for ax, number in zip(axes[:2], (runs.gain, runs.slower), strict=True):
            pairs = [(runs.driven[rp, on], runs.control[rp], on) for rp in runs.periods]
            mean, error = mean_and_error([number(*pair) for pair in pairs])
            ax.errorbar(runs.periods, mean, error, label=f"from {on:g} ms", **style)
    for ax, label in zip(axes[:2], ("gain", "change of speed (cells/ms)"), strict=True):
        ax.axhline(0.0, color="0.6", lw=0.6)
        ax.set(xlabel="refractory period p (ms)", ylabel=label)
    axes[0].set(ylim=(-0.02, None))
    axes[1].legend(loc="lower right")
    for rp, colour in zip((BUMPS, MIXED, WAVES), jn.plot.COLOURS[2:], strict=False):
        response = runs.response(rp)
        time = np.arange(response.shape[1]) * _sheet.DT
        mean, error = mean_and_error(response.T)
        axes[2].plot(time, mean, color=colour, label=f"p = {rp:g} ms")
        axes[2].fill_between(
            time, mean - error, mean + error, color=colour, alpha=0.2, lw=0
        )
    axes[2].axhline(0.0, color="0.6", lw=0.6)
    axes[2].set(xlabel="time since the onset (ms)", ylabel="gain, last 20 ms")
    axes[2].set(ylim=(-0.15, 0.55))
    axes[2].legend(loc="upper left")
    return fig


def outline(ax: Axes) -> None:
    """The border of the cross."""
    a, b, c, d = (x - 0.5 for x in (ARM.start, MIDDLE.start, MIDDLE.stop, ARM.stop))
    x = [b, c, c, d, d, c, c, b, b, a, a, b, b]
    y = [a, a, b, b, c, c, d, d, c, c, b, b, a]
    ax.plot(x, y, color=jn.plot.COLOURS[1], lw=0.8)


def plot_sheets(runs: Runs) -> Figure:
    """One seed at three p: the active cells at the end, and the rates on the way there."""
    shown, onset = (BUMPS, MIXED, WAVES), runs.onsets[0]
    fig, axes = plt.subplots(2, 3, figsize=(6.6, 4.2), sharex=True, sharey=True)
    rates = [runs.driven[rp, onset].rate[0] for rp in shown]
    image = {"cmap": "Greys", "norm": PowerNorm(0.5, 0.0, max(x.max() for x in rates))}
    for column, rp, rate in zip(axes.T, shown, rates, strict=True):
        jn.plot.sheet(column[0], runs.driven[rp, onset].frame[0], cmap="Greys")
        jn.plot.sheet(column[1], rate, **image)
        column[0].set(title=f"p = {rp:g} ms")
        column[1].set(xlabel="column")
        for ax in column:
            outline(ax)
            ax.set(xticks=(0, 50, 100), yticks=(0, 50, 100))
    axes[0, 0].set(ylabel=f"active at {runs.end:g} ms\nrow")
    axes[1, 0].set(ylabel=f"rate from {onset + SETTLED_MS:g} ms on\nrow")
    fig.colorbar(axes[1, 0].images[0], ax=axes[1], label="Hz")
    return fig


def main(*, quick: bool, seed: int) -> Report:
    if quick:
        seeds, end, periods, onsets = 3, 530.0, (5.0, 6.0, 8.0), (170.0,)
    else:
        seeds, end, periods, onsets = 16, 830.0, (5.0, 6.0, 7.0, 8.0), (170.0, 300.0)
    keys = jax.random.split(jax.random.key(seed), seeds)
    runs = Runs(periods, onsets, keys, end)
    claims = quick_claims(runs) + ([] if quick else full_claims(runs))
    return Report(claims, {"gain": plot_gain(runs), "sheets": plot_sheets(runs)})
