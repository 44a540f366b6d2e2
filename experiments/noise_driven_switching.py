"""Noise drives a bistable population between its two states: dwell times."""

from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import agrees, below, Report


LOW, HIGH, TRANSIENT = 0.2, 0.7, 100.0
SIGMA, TAU, MEAN = 0.7, 1.0, 0.56
POPULATION = jn.models.RatePopulation(w=5.0)


class Scheme(NamedTuple):
    """How noise and flow are discretised, and the dwell times (ms) known for that."""

    name: str
    noise: jn.inputs.AbstractOrnsteinUhlenbeck
    method: jn.Grid
    up: float
    down: float


SCHEMES = (
    Scheme(
        "Euler OU, Euler at 0.1 ms",
        jn.inputs.EulerOrnsteinUhlenbeck(sigma=SIGMA, tau=TAU),
        jn.Grid(0.1),
        53.95,
        24.76,
    ),
    Scheme(
        "exact OU, Euler at 0.1 ms",
        jn.inputs.OrnsteinUhlenbeck(sigma=SIGMA, tau=TAU),
        jn.Grid(0.1),
        55.97,
        25.49,
    ),
    Scheme(
        "exact OU, Heun at 0.05 ms",
        jn.inputs.OrnsteinUhlenbeck(sigma=SIGMA, tau=TAU),
        jn.Grid(0.05, diffrax.Heun()),
        54.9,
        25.07,
    ),
)


def code(t, r, args):
    """Below the low threshold 0, above the high one 2, between them 1: one byte."""
    return (1 + (r > HIGH).astype(jnp.int8) - (r < LOW).astype(jnp.int8)).astype(jnp.int8)


def switching(
    scheme: Scheme, trials: int, t1: float, key
) -> tuple[jn.measure.TwoStates, float]:
    """The up and down states of many trials after the transient, and their step."""
    save = jn.SaveAt(steps=True, fn=code)

    @jax.jit
    @jax.vmap
    def run(key):
        codes = jn.simulate(
            POPULATION,
            0.2,
            t1=t1,
            u=MEAN + scheme.noise,
            method=scheme.method,
            save=save,
            key=key,
        ).ys
        codes = codes[round(TRANSIENT / scheme.method.dt) :]
        return jn.measure.hysteresis(codes == 0, codes == 2)

    return run(jax.random.split(key, trials)), scheme.method.dt


def single_dwells(up: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """The completed stays of one trial in the up and in the down state (ms)."""
    changes = np.flatnonzero(np.diff(up)) + 1
    lengths, is_up = np.diff(changes) * dt, up[changes[:-1]]
    return lengths[is_up], lengths[~is_up]


def legacy_path(steps: int, dt: float, seed: int) -> np.ndarray:
    """The path of the source document: numpy's legacy generator, Euler-Maruyama."""
    z = np.random.RandomState(seed).randn(steps)
    path = np.empty(steps)
    path[0] = SIGMA * z[0]
    for k in range(steps - 1):
        path[k + 1] = (
            path[k] - dt / TAU * path[k] + np.sqrt(2 * dt / TAU) * SIGMA * z[k + 1]
        )
    return path


def main(*, quick: bool, seed: int) -> Report:
    dt, steps = 0.1, 10_000
    path = legacy_path(steps, dt, 2020)
    sampled = jn.inputs.Sampled(path, dt)
    run = jn.simulate(
        POPULATION, 0.2, t1=(steps - 1) * dt, u=MEAN + sampled, method=jn.Grid(dt)
    )
    r = np.empty(steps)
    r[0] = 0.2
    offset = 1 / (1 + np.exp(1.2 * 2.8))
    for k in range(steps - 1):
        drive = 5.0 * r[k] + MEAN + path[k]
        r[k + 1] = r[k] + dt * (-r[k] + 1 / (1 + np.exp(-1.2 * (drive - 2.8))) - offset)
    claims = [
        below(
            "the document's path against a loop in numpy", 1e-11, np.abs(run.ys - r).max()
        )
    ]

    trials, t1 = (256, 2100.0) if quick else (2048, 8100.0)
    keys = jax.random.split(jax.random.key(seed), len(SCHEMES))
    shown: tuple = ()
    for scheme, key in zip(SCHEMES, keys, strict=True):
        states, step = switching(scheme, trials, t1, key)
        dwells = jax.vmap(jn.measure.dwell_times, (0, None))(states, step)
        up = jn.measure.pooled_mean(dwells.time_up, dwells.exits_up)
        down = jn.measure.pooled_mean(dwells.time_down, dwells.exits_down)
        claims.append(agrees(f"mean up time (ms), {scheme.name}", scheme.up, 0.1, *up))
        claims.append(
            agrees(f"mean down time (ms), {scheme.name}", scheme.down, 0.04, *down)
        )
        if not shown:
            per_trial = [single_dwells(np.asarray(x), step) for x in states.up]
            shown = tuple(np.concatenate(x) for x in zip(*per_trial, strict=True))

    fig, axes = plt.subplots(2, 1, figsize=(5.4, 3.4), sharex=True)
    axes[0].plot(run.ts, MEAN + path, lw=0.4, color="0.4")
    axes[0].set_ylabel("input I (a.u.)")
    axes[1].plot(run.ts, run.ys, lw=0.6)
    for level, label in ((HIGH, "up above"), (LOW, "down below")):
        axes[1].axhline(level, color=jn.plot.COLOURS[1], lw=0.8, ls="--")
        axes[1].text(1005, level, label, va="center", fontsize=7)
    axes[1].set(xlabel="time t (ms)", ylabel="rate r (a.u.)", xlim=(0, 1000))

    histogram, axes = plt.subplots(1, 2, figsize=(5.4, 2.4), sharey=True)
    for ax, lengths, label in zip(axes, shown, ("up", "down"), strict=True):
        mean = lengths.mean()
        bins = np.linspace(0, 5 * mean, 40)
        ax.hist(lengths, bins, density=True, alpha=0.5)
        ax.plot(
            bins,
            np.exp(-bins / mean) / mean,
            label=f"exponential, mean of\ncompleted stays {mean:.1f} ms",
        )
        ax.set(xlabel=f"time in the {label} state (ms)", yscale="log")
        ax.legend()
    axes[0].set_ylabel("density (1/ms)")
    return Report(claims, {"path": fig, "dwell_times": histogram})
