"""A rate sheet tuned by exact gradients to the onset of waves of a chosen length."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn

from ._report import close, equal, Report
from .rate_sheet_onset import Case, fit as strongest_mode, run, uniform, waves


FREQUENCY = 15.0
OMEGA = 2 * np.pi * FREQUENCY / 1000
WANTED = (2, 0), (1, 0)
MAX_STEPS = 150
# Above the weight at onset, and of the noise that starts the run.
ABOVE, AMPLITUDE = 1.01, 1e-6


class Tuned(NamedTuple):
    """A sheet at the onset, its dispersion relation, and a run a little above."""

    fit: jn.Fit
    case: Case
    relation: jn.DispersionRelation
    frames: np.ndarray


def select(driven):
    sheet = driven.system
    weights = sheet.w_ee, sheet.w_ei, sheet.w_ie, sheet.w_ii, sheet.tau_i
    return weights, (sheet.excitation.sigma, sheet.inhibition.sigma), driven.input


def tune(wavenumber: tuple[int, int], starts: int, seed: int) -> jn.Fit:
    start = waves()
    driven = jn.Driven(start.with_weight(6.0), start.u)
    y = start.sheet.uniform_state(0.3, 0.3)
    return jn.fit(
        driven,
        jn.objectives.CriticalWave(wavenumber, OMEGA, y),
        where=select,
        constraints=(jn.constraints.Positive(), jn.constraints.Positive(), None),
        method=jn.AllAtOnce(max_steps=MAX_STEPS),
        starts=starts,
        spread=0.2,
        key=jax.random.key(seed),
    )


def study(wavenumber: tuple[int, int], starts: int, seed: int) -> Tuned:
    fit = tune(wavenumber, starts, seed)
    driven: Any = fit.system
    case = Case(driven.system, driven.input.value)
    w = driven.system.w_ee
    at_onset, above = uniform(case, w), uniform(case, ABOVE * w)
    one = lambda x: jnp.asarray(x)[None]
    rest = jax.tree.map(one, above.y)
    frames = run(case, one(ABOVE * w), rest, one(AMPLITUDE), jax.random.key(seed + 1))
    return Tuned(fit, case, at_onset.relation, np.asarray(frames[0]))


def main(*, quick: bool, seed: int) -> Report:
    wanted = WANTED[:1] if quick else WANTED
    starts = 2 if quick else 8
    found = {k: study(k, starts, seed) for k in wanted}
    claims = []
    for k, tuned in found.items():
        wave = tuned.relation.most_unstable
        seen = strongest_mode(tuned.frames)
        met = int(jnp.sum(tuned.fit.trials.result == jn.RESULTS.successful))
        predicted = tuple(sorted(abs(int(x)) for x in wave.wavenumber))
        claims += [
            equal(f"{k}: some of {starts} starts succeed", True, met > 0),
            equal(f"{k}: wave that grows first, theory", tuple(sorted(k)), predicted),
            close(f"{k}: its growth rate (1/ms)", 0.0, wave.growth_rate, 1e-8),
            close(f"{k}: its frequency (Hz)", FREQUENCY, wave.frequency, 1e-6),
            equal(f"{k}: wave of a run 1 % above", tuple(sorted(k)), seen.wavenumber),
            close(f"{k}: its frequency (Hz)", FREQUENCY, seen.frequency, 1.0),
        ]
    return Report(claims, {"fit_to_a_wave": draw(found)})


def draw(found: dict[tuple[int, int], Tuned]) -> Figure:
    columns = len(found) + 1
    fig, axes = plt.subplots(1, columns, figsize=(1.7 * columns + 1.6, 2.2))
    first, *maps = axes
    for number, (k, tuned) in enumerate(found.items()):
        waves = tuned.relation.by_length
        colour = jn.plot.COLOURS[number]
        first.plot(waves.length, waves.growth_rate, ".-", color=colour, lw=0.8, ms=3)
        first.axvline(np.hypot(*k), color=colour, lw=0.5, ls=":")
        maps[number].imshow(tuned.frames[-1].T, cmap="RdBu_r", interpolation="nearest")
        maps[number].set_title(f"k = {k}", color=colour)
        maps[number].set(xticks=[], yticks=[])
    first.axhline(0.0, color="0.6", lw=0.5)
    first.set(
        xlabel="wavenumber |k|",
        ylabel="growth rate (1/ms)",
        xlim=(0, 6),
        ylim=(-0.05, 0.005),
    )
    return fig
