"""What patterns of the spiking sheet do: how bumps fire, waves die, and patterns meet."""

import functools as ft
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet as jn

from . import _sheet


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
