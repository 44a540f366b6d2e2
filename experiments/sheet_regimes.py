"""The spiking sheet at rest, mixed and in waves, as its cells are refractory for longer.

The source of the model says that its refractory period p sets the state: static bumps at
4 to 5 ms, bumps and moving crescents together at 6, crescents alone at 7 to 9. Each run
starts with 30 ms of noise and then is free. Patterns are those of the cells that spiked in
the last 10 ms; unless it is said, numbers are from 200 ms after the noise on.

What is measured: bumps and crescents are as the source says. The mixed state does not
last: bumps turn into crescents or die, so that by 200 ms after the noise most of what is
left moves. By the source there are 4 to 6 bumps, or 2 to 4 crescents, in a run; of 64 runs
with bumps three had 3 of them, and of 96 with crescents two had 1 and one had 5.

A mean agrees with a range if it is inside it, give or take three standard errors; these
are from the spread of single runs that is written below, since few seeds don't tell theirs.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure

import jaxnet as jn

from . import _sheet
from ._balanced import in_range, show
from ._report import Claim, Report


PERIODS = (4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
BUMPS, MIXED, CRESCENTS = (4.0, 5.0), 6.0, (7.0, 8.0, 9.0)
# The standard deviations over single runs, from 32 of them at each p.
BUMPS_SD, CRESCENTS_SD, ASPECT_SD, SPEED_SD = 0.67, 0.7, 0.11, 0.025
EARLY_MS = 200.0
PHASES = {"bumps": 5.0, "mixed": 6.0, "crescents": 8.0}
# A film is of this part of a free run (ms after the noise).
FILM = (100.0, 200.0)
FILM_STEPS = 4
TRACE_MS = 60.0
# The cells whose voltages are shown, and their distance from where the pattern is at last.
CELLS = (0, -8, -20)
CELL_COLOURS = tuple(jn.plot.COLOURS[k] for k in (1, 0, 2))
VOLTAGES: dict[str, Any] = {"vmin": -80.0, "vmax": -50.0, "cmap": "viridis"}


class Measures(NamedTuple):
    """Of each run, settled; and of the first 200 ms after the noise."""

    number: Any
    least: Any
    speed: Any
    moving: Any
    aspect: Any
    rate: Any
    early_moving: Any
    births: Any
    deaths: Any


def measure(rp, key, ms: float) -> Measures:
    key, null_key = jax.random.split(key)
    system = _sheet.sheet(rp)
    run = _sheet.simulate(system, _sheet.drive(), key, ms=ms)
    settled, early = (
        _sheet.observed(system, run, null_key, since=since, until=until)
        for since, until in ((_sheet.SETTLED_MS, ms), (0.0, EARLY_MS))
    )
    return Measures(
        number=settled.number,
        least=settled.patterns.count.min(),
        speed=settled.motion.speed,
        moving=settled.motion.moving,
        aspect=settled.aspect,
        rate=settled.rate,
        early_moving=early.motion.moving,
        births=early.tracks.births.sum(),
        deaths=early.tracks.deaths.sum(),
    )


def measure_all(keys, ms: float) -> dict[float, Measures]:
    """The measures at each refractory period, over seeds."""
    run = jax.jit(lambda rp, keys: jax.lax.map(lambda key: measure(rp, key, ms), keys))
    return {
        rp: Measures(*map(np.asarray, run(rp, k)))
        for rp, k in zip(PERIODS, keys, strict=True)
    }


def mean_within(statement: str, low: float, high: float, x, sd: float) -> Claim:
    """A claim that a mean over runs is inside a range, within three standard errors."""
    error = 3 * sd / np.sqrt(np.size(x))
    return Claim(
        statement,
        f"{low:g} to {high:g}, ± {error:.2f}",
        show(x),
        bool(low - error <= np.mean(x) <= high + error),
    )


def single_runs(what: str, runs, periods, source, found) -> Claim:
    """A claim on the numbers in single runs, which leave the range of the source."""
    number = np.concatenate([runs[rp].number for rp in periods])
    low, high = source
    outside = int(((number < low - 0.5) | (number > high + 0.5)).sum())
    low, high = found
    return Claim(
        f"p = {periods[0]:g} to {periods[-1]:g}: {what} of a run, "
        f"by the source {source[0]} to {source[1]}",
        f"{low} to {high}",
        f"{number.min():.1f} to {number.max():.1f}, {outside} of {number.size} beyond "
        "the source's",
        bool(number.min() > low - 0.5 and number.max() < high + 0.5),
    )


def claims_of(runs: dict[float, Measures]) -> list[Claim]:
    seeds = runs[MIXED].number.size
    most = seeds - seeds // 8
    claims = []
    for rp in BUMPS:
        x, at = runs[rp], f"p = {rp:g}:"
        claims += [
            mean_within(f"{at} number of bumps", 4.5, 4.9, x.number, BUMPS_SD),
            in_range(f"{at} speed (cells/ms)", 0.0, 0.1, x.speed, at_least=most),
        ]
    x, at = runs[MIXED], f"p = {MIXED:g}, first {EARLY_MS:g} ms:"
    claims += [
        in_range(f"{at} part that moves", 0.2, 0.9, x.early_moving, at_least=most),
        in_range(f"{at} births", 1, np.inf, x.births, at_least=most, digits=1),
        in_range(f"{at} deaths", 1, np.inf, x.deaths, at_least=most, digits=1),
        Claim(
            f"p = {MIXED:g}: the mixed state does not last; part that moves later",
            f"> {show(x.early_moving)}",
            show(x.moving),
            bool(x.moving.mean() > x.early_moving.mean()),
        ),
    ]
    for rp in CRESCENTS:
        x, at = runs[rp], f"p = {rp:g}:"
        claims += [
            mean_within(f"{at} number of crescents", 2.5, 3.2, x.number, CRESCENTS_SD),
            mean_within(f"{at} speed (cells/ms)", 1.05, 1.15, x.speed, SPEED_SD),
            mean_within(f"{at} aspect ratio", 1.9, 2.1, x.aspect, ASPECT_SD),
            in_range(f"{at} part that moves", 0.95, 1.0, x.moving, at_least=most),
        ]
    alive = sum(int((x.least > 0).sum()) for x in runs.values())
    return [
        *claims,
        single_runs("bumps", runs, BUMPS, (4, 6), (3, 6)),
        single_runs("crescents", runs, CRESCENTS, (2, 4), (1, 5)),
        Claim(
            "runs in which activity survives",
            f"{seeds * len(runs)}",
            f"{alive}",
            alive == seeds * len(runs),
        ),
    ]


class Film(NamedTuple):
    """A part of a run: voltages and spikes at each step, patterns at each frame."""

    time: jax.Array
    voltage: jax.Array
    spikes: jax.Array
    patterns: jn.measure.Patterns
    velocity: jax.Array


@jax.jit
def film(rp, key) -> Film:
    system = _sheet.sheet(rp)
    save = jn.SaveAt(steps=1, fn=lambda t, y, _: y.v_e.astype(jnp.float32))
    run = _sheet.simulate(system, _sheet.drive(), key, ms=FILM[1], save=save)
    start, end = (_sheet.NOISE_MS + ms for ms in FILM)
    lag = FILM_STEPS * _sheet.DT
    frames = _sheet.active_frames(system, _sheet.raster_of(run), start, end, every=lag)
    patterns = _sheet.patterns_of(frames)
    # One step later than the first frame, the last of these is at the last frame.
    part = slice(-round((FILM[1] - FILM[0]) / _sheet.DT), None)
    return Film(
        run.ts[part] - _sheet.NOISE_MS,
        run.ys[part],
        system.lattices(_sheet.raster_of(run).unpack()[part])[0],
        jax.tree.map(lambda x: x[1:], patterns),
        _velocity(patterns, lag),
    )


def _velocity(patterns, lag: float):
    """Of each pattern at the later frame of a step: how it came there."""
    tracks = jn.measure.tracks(patterns, lag=lag)
    place = jnp.where(tracks.moved, tracks.successor, _sheet.MAX_PATTERNS)
    put = lambda place, v: jnp.zeros_like(v).at[place].set(v, mode="drop")
    return jax.vmap(put)(place, tracks.velocity)


def plot_snapshots(films: dict[str, Film]) -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.4), sharey=True)
    for ax, (name, x) in zip(axes, films.items(), strict=True):
        last = jax.tree.map(lambda leaf: leaf[-1], x.patterns)
        jn.plot.sheet(
            ax, x.voltage[-1], last, x.velocity[-1], arrow=15.0, colour="red", **VOLTAGES
        )
        ax.set(title=f"{name}, p = {PHASES[name]:g} ms", xlabel="column (cells)")
    axes[0].set(ylabel="row (cells)", yticks=axes[0].get_xticks()[1:-1])
    fig.colorbar(axes[0].images[0], ax=axes, label="voltage (mV)", shrink=0.8)
    return fig


class Cut(NamedTuple):
    """What happens along a row or a column, with a pattern that moves along it."""

    voltage: np.ndarray
    spikes: np.ndarray

    @property
    def distance(self) -> np.ndarray:
        """From where the pattern is at last, in the direction in which it moves."""
        cells = self.voltage.shape[1]
        return np.arange(cells) - cells // 2


def cut(x: Film) -> Cut:
    """Along the way of the pattern that is the fastest at last."""
    steps = round(TRACE_MS / _sheet.DT)
    velocity = np.asarray(x.velocity[-1])
    fastest = np.argmax(np.hypot(*velocity.T))
    v = velocity[fastest]
    along = int(np.argmax(np.abs(v)))
    centre = np.round(np.asarray(x.patterns.centre[-1, fastest])).astype(int)

    def line(values) -> np.ndarray:
        values = np.asarray(values[-steps:])
        values = np.take(values, centre[1 - along], axis=2 - along)
        cells = values.shape[1]
        values = np.roll(values, cells // 2 - centre[along], axis=1)
        # Backwards, an even number of cells has its middle one cell further.
        return values if v[along] >= 0 else np.roll(values[:, ::-1], 1, axis=1)

    return Cut(line(x.voltage), line(x.spikes))


def plot_traces(films: dict[str, Film]) -> Figure:
    """The spikes along a cut, and the voltages of three of its cells, spikes above."""
    fig, axes = plt.subplots(2, 3, figsize=(7.2, 3.8), sharex=True, sharey="row")
    for (top, bottom), (name, x) in zip(axes.T, films.items(), strict=True):
        along = cut(x)
        time = np.asarray(x.time)[-len(along.voltage) :]
        step, place = np.nonzero(along.spikes)
        top.plot(time[step], along.distance[place], ".", ms=1.5, color="black")
        for k, (away, colour) in enumerate(zip(CELLS, CELL_COLOURS, strict=True)):
            cell = int(np.flatnonzero(along.distance == away)[0])
            top.axhline(away, color=colour, lw=0.8, zorder=0)
            bottom.plot(time, along.voltage[:, cell], color=colour, lw=0.8)
            fired = time[along.spikes[:, cell]]
            bottom.plot(fired, np.full(len(fired), k * 2 - 48.0), "|", ms=4, color=colour)
        top.set(title=f"{name}, p = {PHASES[name]:g} ms", ylim=(-55, 25))
        bottom.set(xlabel="time after the noise (ms)", ylim=(-82, -42))
    axes[1, 0].set_yticks([-80, -70, -60, -50])
    axes[0, 0].set(ylabel="distance (cells)")
    axes[1, 0].set(ylabel="voltage (mV)")
    return fig


def animate(films: dict[str, Film], frames: int) -> FuncAnimation:
    fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.6), sharey=True)
    stacked = jax.tree.map(lambda *x: np.stack(x), *films.values())
    part = slice(-frames, None)
    animation = jn.plot.animate_sheet(
        axes,
        stacked.voltage[:, FILM_STEPS - 1 :: FILM_STEPS][:, part],
        jax.tree.map(lambda x: x[:, part], stacked.patterns),
        stacked.velocity[:, part],
        time=stacked.time[0, FILM_STEPS - 1 :: FILM_STEPS][part],
        arrow=15.0,
        colour="red",
        **VOLTAGES,
    )
    for ax, name in zip(axes, films, strict=True):
        ax.set_title(f"{name}, p = {PHASES[name]:g} ms")
        ax.set(xlabel="column (cells)")
    axes[0].set(ylabel="row (cells)", yticks=axes[0].get_xticks()[1:-1])
    fig.colorbar(axes[0].images[0], ax=axes, label="voltage (mV)", shrink=0.8)
    # The layout is that of the first frame: it would take most of the time.
    fig.draw_without_rendering()
    fig.set_layout_engine("none")
    return animation


def main(*, quick: bool, seed: int) -> Report:
    seeds, ms, frames = (3, 400.0, 8) if quick else (8, 800.0, 40)
    key, film_key = jax.random.split(jax.random.key(seed))
    runs = measure_all(jax.random.split(key, (len(PERIODS), seeds)), ms)
    films = {name: film(rp, film_key) for name, rp in PHASES.items()}
    return Report(
        claims_of(runs),
        {"snapshots": plot_snapshots(films), "traces": plot_traces(films)},
        {"phases": animate(films, frames)},
    )
