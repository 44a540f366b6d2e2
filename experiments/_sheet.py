"""The spiking sheet of the experiments: its protocol, and how its patterns are measured."""

import functools as ft
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxnet as jn


DT = 0.5
NOISE_MS, NOISE_NA = 30.0, 5.0
# From here on a free run has settled (ms after the noise).
SETTLED_MS = 200.0
# A cell is active if it spiked this recently, and a velocity is taken over this lag (ms).
WINDOW_MS, LAG_MS = 10.0, 5.0
MAX_PATTERNS = 16
SHEET = jn.models.SpikingSheet()
SIZES = SHEET.excitation.size, SHEET.inhibition.size
METHOD = jn.Grid(DT, record=jn.RecordRaster())


def sheet(rp=5.0, w_e=0.12, w_i=0.06) -> jn.models.SpikingSheet:
    """The sheet of the source, with another refractory period or other weights."""
    where = lambda s: (s.refractory_period, s.w_e, s.w_i)
    return eqx.tree_at(where, SHEET, tuple(jnp.asarray(x, float) for x in (rp, w_e, w_i)))


def drive(image=None, onset=jnp.inf) -> tuple[jn.inputs.AbstractInput, ...]:
    """Noise onto all cells at the start, and an image (nA), shown from `onset` on."""
    noises: list[jn.inputs.AbstractInput] = [
        jn.inputs.During(jn.inputs.UniformNoise(0.0, NOISE_NA, shape=(n, n)), NOISE_MS)
        for n in SIZES
    ]
    if image is not None:
        # The noise of a run with an image is that of its control, with an image of zeros.
        noises[0] = noises[0] + jn.inputs.Step(onset=onset, value=image)
    return tuple(noises)


def simulate(system, u, key, *, ms: float, save=None) -> jn.Solution:
    """From rest, through the noise, and freely for so many ms."""
    return jn.simulate(
        system,
        system.initial_state(),
        t1=NOISE_MS + ms,
        u=u,
        method=METHOD,
        save=jn.SaveAt(t1=True) if save is None else save,
        key=key,
    )


def raster_of(run: jn.Solution) -> jn.SpikeRaster:
    """The spikes of a run, as `METHOD` records them."""
    return cast(jn.SpikeRaster, run.spikes)


def active_frames(system, raster: jn.SpikeRaster, since: float, until: float, every=LAG_MS):
    """The excitatory cells that spiked in the last 10 ms (frames, rows, columns)."""
    times = jnp.arange(since, until + every / 2, every)
    active = jn.measure.spiked_within(raster, times, WINDOW_MS)
    return system.lattices(active)[0]


def patterns_of(frames) -> jn.measure.Patterns:
    find = ft.partial(jn.measure.patterns, max_patterns=MAX_PATTERNS)
    return jax.lax.map(find, frames)


class Observed(eqx.Module):
    """What is measured of the settled part of a run."""

    patterns: jn.measure.Patterns
    tracks: jn.measure.Tracks
    motion: jn.measure.MotionSummary
    null: jax.Array
    rate: jax.Array

    @property
    def number(self):
        """The mean number of patterns."""
        return jnp.mean(self.patterns.count, axis=-1, dtype=float)

    @property
    def aspect(self):
        """The mean aspect ratio over all patterns."""
        valid = self.patterns.valid
        total = jnp.sum(jnp.where(valid, self.patterns.aspect, 0.0), axis=(-2, -1))
        return total / jnp.sum(valid, axis=(-2, -1))


def observed(system, run: jn.Solution, key, *, since: float, until: float) -> Observed:
    """What is measured of a run, between two times after the noise (ms)."""
    start, end = NOISE_MS + since, NOISE_MS + until
    patterns = patterns_of(active_frames(system, raster_of(run), start, end))
    tracks = jn.measure.tracks(patterns, lag=LAG_MS)
    null = jn.measure.coherence_null(tracks.velocity, tracks.moved, key=key, draws=50)
    has_two = jnp.sum(tracks.moved, axis=-1) > 1
    spikes = raster_of(run).unpack()[round(start / DT) : round(end / DT)]
    spikes_e, _ = system.lattices(spikes)
    return Observed(
        patterns,
        tracks,
        jn.measure.motion_summary(tracks.velocity, tracks.moved),
        jnp.sum(jnp.where(has_two, null, 0.0)) / jnp.sum(has_two),
        jnp.mean(spikes_e, dtype=float) * 1000 / DT,
    )


@ft.partial(jax.jit, static_argnames="ms")
def observe(system, key, *, ms: float) -> Observed:
    """One free run, and its patterns from `SETTLED_MS` on."""
    key, null_key = jax.random.split(key)
    run = simulate(system, drive(), key, ms=ms)
    return observed(system, run, null_key, since=SETTLED_MS, until=ms)
