"""Slow points of a trained network: the line that holds a sum, and the drift along it."""

import functools as ft
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, Claim, equal, Report
from ._trained_network import (
    DT,
    Integrator,
    METHOD,
    PULSE,
    pulses_between,
    respond,
    TAU,
    train_integrator,
)


SIZE, LEVELS = 64, 65
# Of the trials: the step at which their one pulse starts, and the steps in all.
ONSET, STEPS = 15, 620
# Steps after a pulse: from where the search starts, and where a value counts as held.
START, HELD = 5, 100
# A tenth of 1/τ (1/ms), and a hundredth of the speed at which the state moves while a
# pulse lasts (per ms).
SLOW_RATE, MAX_SPEED = 0.1 / TAU, 1e-3


class Line(NamedTuple):
    """The slow points in the order of their readout, and the slow mode at each.

    `along_left` is the part of the vector field along the left eigenvector of that mode,
    and `drift` the velocity of the readout (per ms) that follows from it.
    """

    y: np.ndarray
    readout: np.ndarray
    speed: np.ndarray
    eigenvalues: np.ndarray
    tangent: np.ndarray
    mode: np.ndarray
    along_left: np.ndarray
    drift: np.ndarray


class FixedPoints(NamedTuple):
    """The fixed points on the line."""

    y: np.ndarray
    readout: np.ndarray
    stable: np.ndarray


def line_of(integrator: Integrator, points: jn.SlowPoints) -> Line:
    """The line of slow points, and the drift along it by the slow mode alone.

    At a slow point the vector field f is parallel to the left eigenvector ℓ of the slow
    mode and not to the line: the Jacobian is not normal. What is not along the right
    eigenvector r decays at once, and what stays moves at r (ℓ·f)/(ℓ·r).
    """
    network, _, readout = integrator
    (rows,) = np.nonzero(points.distinct)
    rows = rows[np.argsort(np.asarray(points.y)[rows] @ readout)]
    y, speed, jacobian, eigenvalues = (
        np.asarray(x)[rows]
        for x in (points.y, points.speed, points.jacobian, points.eigenvalues)
    )
    tangent = np.gradient(y, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)

    field = jax.vmap(lambda y: network.vector_field(jnp.zeros(()), y, None))(y)
    values, right = np.linalg.eig(jacobian)
    slow = np.argmax(np.real(values), axis=1)
    every = np.arange(len(y))
    mode = np.real(right[every, :, slow])
    left = np.real(np.linalg.inv(right)[every, slow])
    # The left eigenvectors are scaled such that ℓ·r = 1.
    rate = np.sum(left * field, axis=1)
    along_left = np.abs(rate) / np.linalg.norm(left, axis=1)
    drift = rate * (mode @ readout)
    return Line(
        y,
        y @ np.asarray(readout),
        speed,
        eigenvalues,
        tangent,
        mode,
        along_left,
        drift,
    )


def simulated_drift(integrator: Integrator, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The readout and its velocity (per ms), once all but the slow mode has decayed."""
    free = lambda y: jn.simulate(integrator.network, y, t1=20 * TAU, method=METHOD).ys
    z = np.asarray(jax.vmap(free)(jnp.asarray(y)) @ integrator.readout)
    middle, half = round(15 * TAU / DT), round(5 * TAU / DT)
    change = z[:, middle + half - 1] - z[:, middle - half - 1]
    return z[:, middle - 1], change / (2 * half * DT)


def predicted(line: Line, z: np.ndarray, duration: float) -> np.ndarray:
    """Where the drift along the line takes the readout."""
    for _ in range(round(duration / DT)):
        z = z + DT * np.interp(z, line.readout, line.drift)
    return z


def find(integrator: Integrator, states) -> jn.SlowPoints:
    """The slow points, from where the network is soon after a pulse."""
    return jn.slow_points(
        integrator.network,
        states[:, ONSET + PULSE + START],
        slow_rate=SLOW_RATE,
        max_speed=MAX_SPEED,
    )


def main(*, quick: bool, seed: int) -> Report:
    steps = 1000 if quick else 4500
    levels = jnp.linspace(-1.0, 1.0, LEVELS)
    pulses = jax.vmap(lambda x: pulses_between(x[None], (ONSET,), STEPS))(levels)
    trials = jax.jit(lambda integrator: jax.vmap(ft.partial(respond, integrator))(pulses))

    key = jax.random.key(seed)
    trained = train_integrator(key, size=SIZE, steps=steps)
    states = trials(trained)
    points = find(trained, states)
    line = line_of(trained, points)
    z = np.asarray(states @ trained.readout)
    held, end = ONSET + PULSE + HELD, STEPS

    untrained = train_integrator(key, size=SIZE, steps=0)
    nothing = find(untrained, trials(untrained))

    inside = np.abs(z[:, held]) < 0.7
    expected = predicted(line, z[inside, held], (end - held) * DT)
    wandered = z[inside, end] - z[inside, held]
    where, drift = simulated_drift(trained, line.y)
    known = (where > line.readout[0]) & (where < line.readout[-1])
    difference = (drift - np.interp(where, line.readout, line.drift))[known]
    cosine = np.abs(np.sum(line.mode * line.tangent, axis=1))
    cosine /= np.linalg.norm(line.mode, axis=1)
    roots = jn.fixed_points(trained.network, jnp.asarray(line.y), max_points=32)
    at = np.asarray(roots.y @ trained.readout)
    within = np.asarray(roots.valid) & (at > line.readout[0]) & (at < line.readout[-1])
    rest = FixedPoints(
        np.asarray(roots.y)[within], at[within], np.asarray(roots.stability.stable)[within]
    )
    changes = np.sum(np.diff(np.sign(line.drift)) != 0)
    real = np.real(line.eigenvalues)

    claims = [
        below(
            f"sums held for {HELD * DT / TAU:.0f} time constants, largest error",
            0.05,
            np.abs(z[:, held] - levels).max(),
        ),
        equal("slow points before training", 1, int(nothing.distinct.sum())),
        Claim(
            "after it they lie on a line, from one readout to another",
            "-0.7 to 0.7 or more",
            f"{line.readout[0]:.2f} to {line.readout[-1]:.2f}",
            bool(line.readout[0] < -0.7 and line.readout[-1] > 0.7),
        ),
        below("largest gap of the line, in the readout", 0.1, np.diff(line.readout).max()),
        below("largest speed on it (per ms)", MAX_SPEED, line.speed.max()),
        below(
            "first eigenvalue there, largest size, times τ",
            0.05,
            TAU * np.abs(real[:, 0]).max(),
        ),
        Claim(
            "all others, largest real part, times τ",
            "< -0.25",
            f"{TAU * real[:, 1].max():.3f}",
            bool(TAU * real[:, 1].max() < -0.25),
        ),
        below("1 - |cosine| of its eigenvector and the line", 0.01, 1 - cosine.min()),
        below(
            "speed, less the field along the left eigenvector, over largest speed",
            0.01,
            np.abs(line.speed - line.along_left).max() / line.speed.max(),
        ),
        below(
            "drift by the slow mode and in simulations, difference over largest drift",
            0.1,
            np.abs(difference).max() / np.abs(drift).max(),
        ),
        below(
            f"drift over {(end - held) * DT:.0f} ms by it, error over largest drift",
            0.1,
            np.abs(z[inside, end] - expected).max() / np.abs(wandered).max(),
        ),
        equal(
            "fixed points on the line, and changes of the sign of the drift",
            int(changes),
            len(rest.readout),
        ),
    ]
    return Report(claims, {"slow_points": draw(states, line, rest, (where, drift))})


def draw(states, line: Line, rest: FixedPoints, simulated):
    middle = line.y.mean(axis=0)
    axes_of = np.linalg.svd(line.y - middle, full_matrices=False)[2][:2]
    plane = lambda y: ((np.asarray(y) - middle) @ axes_of.T).T
    fig, ((ax_plane, ax_readout), (ax_spectrum, ax_drift)) = plt.subplots(
        2, 2, figsize=(6.6, 5.0)
    )
    for run in states[::8]:
        ax_plane.plot(*plane(run[ONSET : ONSET + PULSE + HELD]), color="0.7", lw=0.8)
    ax_plane.plot([], [], color="0.7", lw=0.8, label="trajectories")
    dots = ax_plane.scatter(
        *plane(line.y),
        c=1e3 * line.speed,
        s=10,
        cmap="viridis",
        zorder=3,
        label="slow points",
    )
    ax_plane.set(xlabel="first component", ylabel="second component")
    ax_plane.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    # Their names are in the legend of the drift.
    x, y = plane(rest.y)
    mark(ax_plane, x, y, rest.stable)
    fig.colorbar(dots, ax=ax_plane, label="speed (1/s)")

    lengths = np.linalg.norm(np.diff(line.y, axis=0), axis=1)
    ax_readout.plot(np.cumsum([0.0, *lengths]), line.readout, ".-", ms=4)
    ax_readout.set(xlabel="position along the line", ylabel="readout")

    others, first = TAU * line.eigenvalues[:, 1:].ravel(), TAU * line.eigenvalues[:, 0]
    ax_spectrum.plot(np.real(others), np.imag(others), ".", ms=2)
    ax_spectrum.plot(np.real(first), np.imag(first), ".", ms=6)
    ax_spectrum.axvline(0.0, color="0.5", lw=0.8, ls="--", zorder=0)
    ax_spectrum.annotate(
        "along\nthe line",
        (0, 0),
        (-4, 14),
        textcoords="offset points",
        ha="right",
        color="C1",
    )
    ax_spectrum.set(xlabel="τ Re λ", ylabel="τ Im λ")

    ax_drift.axhline(0.0, color="0.5", lw=0.8, ls="--", zorder=0)
    ax_drift.plot(line.readout, 1e3 * line.drift, label="by the slow mode")
    where, drift = simulated
    ax_drift.plot(where, 1e3 * drift, ".", ms=4, label="simulated")
    mark(ax_drift, rest.readout, np.zeros(len(rest.readout)), rest.stable)
    ax_drift.set(xlabel="readout", ylabel="drift of the readout (1/s)")
    ax_drift.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return fig


def mark(ax, x, y, stable) -> None:
    """Fixed points: filled where stable, open where not."""
    for rows, fill, label in ((stable, "k", "stable"), (~stable, "w", "unstable")):
        ax.plot(
            x[rows], y[rows], "o", ms=5, mec="k", mfc=fill, ls="none", zorder=4, label=label
        )
