"""Where a uniform rate sheet gives way to a pattern, static or in waves: theory and run."""

from typing import NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import jaxnet as jn

from ._report import below, close, equal, Report


SIZE = 32
STEP = 0.5
SAVE_EVERY = 4
T1 = 1800.0
# Of the critical weight. There are runs at the second, and at the last two.
FACTORS = np.array([0.95, 0.98, 1.0, 1.02, 1.05])
AMPLITUDES = np.array([1e-3, 1e-6, 1e-2])


def gaussian(sigma: float) -> jn.couplings.TorusGaussian:
    return jn.couplings.TorusGaussian(sigma, size=SIZE, taps=SIZE - 1)


class Case(NamedTuple):
    """A sheet and its input; its weight w_EE is what is varied."""

    sheet: jn.models.RateSheet
    u: tuple[jax.Array, jax.Array]

    def with_weight(self, w) -> jn.models.RateSheet:
        return eqx.tree_at(lambda s: s.w_ee, self.sheet, jnp.asarray(w, float))


def static() -> Case:
    """Inhibition reaches further than excitation."""
    sheet = jn.models.RateSheet(
        gaussian(4.0), gaussian(64.0), w_ei=20.0, w_ie=24.0, w_ii=12.0, tau_e=5.0, tau_i=5.0
    )
    return Case(sheet, (jnp.asarray(10.5), jnp.asarray(-1.4)))


def waves() -> Case:
    """And it is slow, and strong onto itself: what is uniform it damps most."""
    sheet = jn.models.RateSheet(
        gaussian(8.0),
        gaussian(64.0),
        w_ei=19.0,
        w_ie=24.0,
        w_ii=18.0,
        tau_e=5.0,
        tau_i=15.0,
    )
    return Case(sheet, (jnp.asarray(8.9), jnp.asarray(1.5)))


class Uniform(NamedTuple):
    """The uniform fixed point at a weight, and how its fastest mode grows there."""

    y: jn.models.RateSheetState
    count: jax.Array
    relation: jn.DispersionRelation
    growth_rate: jax.Array
    slope: jax.Array


@eqx.filter_jit
def uniform(case: Case, w) -> Uniform:
    starts = jn.lattice((0.0, 0.0), (1.0, 1.0), 5)

    def look(w):
        sheet = case.with_weight(w)
        points = jn.fixed_points(sheet.wilson_cowan(), starts, u=case.u)
        y = sheet.uniform_state(*points.y[0])
        relation = jn.dispersion_relation(sheet, y, u=case.u)
        return relation.most_unstable.growth_rate, (y, points.count, relation)

    growth_rate, slope, aux = jax.jvp(look, (w,), (jnp.ones_like(w),), has_aux=True)
    y, count, relation = aux
    return Uniform(y, count, relation, growth_rate, slope)


@eqx.filter_jit
@eqx.filter_vmap(in_axes=(None, 0, 0, 0, None))
def run(case: Case, w, rest, amplitude, key):
    """Excitatory rates less the uniform one, from small random perturbations of it."""
    noise = amplitude * jax.random.normal(key, (SIZE, SIZE))
    y0 = eqx.tree_at(lambda y: y.r_e, rest, rest.r_e + noise)
    save = jn.SaveAt(t0=True, steps=SAVE_EVERY, fn=lambda t, y, _: y.r_e - rest.r_e)
    method = jn.Grid(STEP, diffrax.Heun())
    sheet = case.with_weight(w)
    return jn.simulate(sheet, y0, t1=T1, u=case.u, method=method, save=save).ys


class Fit(NamedTuple):
    """What a run says of its strongest mode."""

    wavenumber: tuple[int, ...]
    growth_rate: float
    frequency: float


def without_signs(wavenumber) -> tuple[int, ...]:
    """What the symmetries of a square leave of a wavenumber."""
    return tuple(sorted(abs(int(k)) for k in wavenumber))


def fit(frames: np.ndarray) -> Fit:
    """The strongest mode of the late frames, and its eigenvalue by Prony's method."""
    late = np.fft.fft2(frames[len(frames) // 2 :])
    power = np.mean(np.abs(late[-50:]) ** 2, axis=0)
    place = np.unravel_index(np.argmax(power), power.shape)
    # Two exponentials, for waves in both directions: x[n + 2] = a x[n + 1] + b x[n].
    lag = 5
    x = late[::lag, *place]
    a, b = np.linalg.lstsq(np.stack([x[1:-1], x[:-2]], axis=1), x[2:], rcond=None)[0]
    powers = np.roots([1.0, -a, -b]) ** np.arange(len(x))[:, None]
    parts = powers * np.linalg.lstsq(powers, x, rcond=None)[0]
    strongest = np.argmax(np.abs(parts).sum(axis=0))
    value = np.log(powers[1, strongest]) / (lag * SAVE_EVERY * STEP)
    wavenumber = [SIZE - k if k > SIZE // 2 else k for k in place]
    frequency = abs(value.imag) * 1000 / (2 * np.pi)
    return Fit(without_signs(wavenumber), float(value.real), float(frequency))


class Onset(NamedTuple):
    """Theory and runs around one critical weight."""

    critical: float
    around: list[Uniform]
    frames: np.ndarray
    fits: list[Fit]

    @property
    def critical_of_runs(self) -> float:
        """Where the growth rate of the runs on either side is zero, on a line."""
        rates = [f.growth_rate for f in self.fits]
        return self.critical * float(np.interp(0.0, rates, FACTORS[[1, 3]]))


def study(case: Case, start: float, seed: int) -> Onset:
    w = jnp.asarray(start)
    for _ in range(8):
        here = uniform(case, w)
        w = w - here.growth_rate / here.slope
    around = [uniform(case, w * factor) for factor in FACTORS]
    runs = [1, 3, 4]
    rest = jax.tree.map(lambda *y: jnp.stack(y), *(around[i].y for i in runs))
    weights = w * FACTORS[runs]
    frames = run(case, weights, rest, jnp.asarray(AMPLITUDES), jax.random.key(seed))
    frames = np.asarray(frames)
    return Onset(float(w), around, frames, [fit(f) for f in frames[:2]])


def claims_of(onset: Onset, name: str) -> list:
    below_, critical, above = (onset.around[i].relation.most_unstable for i in (1, 2, 3))
    predicted = without_signs(critical.wavenumber)
    slower, faster = onset.fits
    return [
        equal(f"{name}: uniform fixed points at onset", 1, int(onset.around[2].count)),
        close(
            f"{name}: critical w_EE of the runs",
            onset.critical,
            onset.critical_of_runs,
            1e-3 * onset.critical,
        ),
        equal(f"{name}: wavenumber below", predicted, slower.wavenumber),
        equal(f"{name}: wavenumber above", predicted, faster.wavenumber),
        *(
            close(f"{name}: growth rate {side} (1/ms)", rate, got, 5e-5)
            for side, rate, got in (
                ("2 % below", below_.growth_rate, slower.growth_rate),
                ("2 % above", above.growth_rate, faster.growth_rate),
            )
        ),
        close(f"{name}: frequency above (Hz)", above.frequency, faster.frequency, 0.1),
    ]


def main(*, quick: bool, seed: int) -> Report:
    onsets = {"static": study(static(), 5.0, seed), "waves": study(waves(), 6.6, seed)}
    claims = [c for name, onset in onsets.items() for c in claims_of(onset, name)]
    at_onset = onsets["static"].around[2].relation.most_unstable
    claims.append(below("static: frequency at onset (Hz)", 1e-9, at_onset.frequency))
    return Report(
        claims,
        {"dispersion": draw_relations(onsets), "patterns": draw_patterns(onsets)},
    )


def draw_relations(onsets: dict[str, Onset]) -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(6.4, 2.6), sharey=True)
    for ax, (name, onset) in zip(axes, onsets.items(), strict=True):
        draw_relation(ax, onset)
        ax.set(title=f"{name}, critical $w_{{EE}}$ = {onset.critical:.3f}")
        ax.set(xlabel="wavenumber (cycles per side)", xlim=(0, 9.2))
    axes[0].set(ylabel="growth rate (1/ms)", ylim=(-0.1, 0.03))
    handles = [
        Line2D([], [], color="0.3", marker="o", ls="", ms=3.5, mfc=fill, label=label)
        for fill, label in (("0.3", "oscillates"), ("white", "does not"))
    ]
    axes[1].legend(handles=handles, loc="lower left")
    axes[0].legend(loc="lower right", title="$w_{EE}$")
    return fig


def draw_relation(ax: Axes, onset: Onset) -> None:
    ax.axhline(0.0, color="0.6", lw=0.8)
    for row, label, colour in (
        (4, "5 % above", jn.plot.COLOURS[1]),
        (2, "critical", jn.plot.COLOURS[6]),
        (0, "5 % below", jn.plot.COLOURS[0]),
    ):
        profile = onset.around[row].relation.by_length
        k, rate = profile.length, profile.growth_rate
        turns = np.asarray(profile.frequency > 1e-6)
        ax.plot(k, rate, color=colour, lw=0.9, label=label)
        ax.plot(k[turns], rate[turns], "o", color=colour, ms=2.6)
        ax.plot(k[~turns], rate[~turns], "o", color=colour, ms=2.6, mfc="white", mew=0.7)


def draw_patterns(onsets: dict[str, Onset]) -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(6.8, 2.6), width_ratios=(1, 1, 1.4))
    pattern = onsets["static"].frames[2][-1]
    growing = onsets["waves"].frames[1][-100:]
    last = growing[-1]
    for ax, picture, title in (
        (axes[0], pattern, "static, 5 % above"),
        (axes[1], last, "waves, 2 % above"),
    ):
        exponent = int(np.floor(np.log10(np.abs(picture).max())))
        picture = picture / 10.0**exponent
        image = ax.imshow(picture, **colours_of(picture), origin="lower")
        ax.set(title=title, xlabel="column", ylabel="row", xticks=(0, 15, 31))
        ax.set_yticks((0, 15, 31))
        bar = fig.colorbar(image, ax=ax, location="bottom")
        bar.set_label(rf"$r_E$ less the uniform one ($10^{{{exponent}}}$)", fontsize=7)
    times = T1 - SAVE_EVERY * STEP * np.arange(len(growing))[::-1]
    column = np.unravel_index(np.argmax(np.abs(last)), last.shape)[1]
    image = axes[2].pcolormesh(
        times, np.arange(SIZE), growing[:, :, column].T, **colours_of(last), rasterized=True
    )
    axes[2].set(title=f"waves, column {column}", xlabel="time (ms)", ylabel="row")
    axes[2].set(xticks=(1600, 1700, 1800), yticks=(0, 15, 31))
    return fig


def colours_of(picture: np.ndarray) -> dict:
    bound = np.abs(picture).max()
    return {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound}
