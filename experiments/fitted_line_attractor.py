"""A network fitted to hold a sum, and the line of slow points by which it does."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from jaxtyping import Array, Float

import jaxnet as jn

from ._report import below, Claim, equal, Report
from ._trained_network import DT, ONSETS, PULSE, pulses_between, SETTLE, TAU, TRIAL


# Its fields are told in another order by a type checker.
objectives: Any = jn.objectives
SIZE, RATE = 24, 1e-2
METHOD = jn.Grid(DT, checkpoint=True)
# How many trials are fitted, of two pulses; the sums after one that are looked at; and a
# few sums, for a fit to these alone.
TRIALS, FEW = 32, np.linspace(-1.0, 1.0, 4)
LEVELS = np.linspace(-1.0, 1.0, 41)[:, None]
# Steps: of a longer run, after a pulse until the search starts, and until all is held.
STEPS, START, HELD = 320, 5, 100
SLOW_RATE, MAX_SPEED = 0.2 / TAU, 2e-3


class Trials(jn.AbstractSystem):
    """Copies of one network, each with a pulse train of its own.

    The state has the shape ``(trials, n)`` and the input ``(trials,)``.
    """

    network: jn.models.RateNetwork
    input_weights: Float[Array, " n"]

    def vector_field(self, t, y, u):
        one = lambda y, u: self.network.vector_field(t, y, u * self.input_weights)
        return jax.vmap(one)(y, u)


def pulses_of(levels, onsets, steps):
    return jax.vmap(lambda x: pulses_between(x, onsets, steps))(jnp.asarray(levels))


def respond(trials: Trials, levels, steps):
    """The states of all trials, one pulse each, along the second axis."""
    pulses = pulses_of(levels, ONSETS[:1], steps)
    u = jn.inputs.Sampled(pulses.T, DT)
    silence = jnp.zeros((len(levels), SIZE))
    save = jn.SaveAt(t0=True, steps=True)
    run = jn.simulate(trials, silence, t1=DT * steps, u=u, method=METHOD, save=save)
    return jnp.swapaxes(run.ys, 0, 1)


def train(key, levels, steps: int) -> tuple[Trials, jn.Fit, Float[Array, " n"]]:
    """Before and after the fit, and the weights of the readout, which are not fitted."""
    key_weights, key_thresholds, key_input = jax.random.split(key, 3)
    input_weights = 2 * jax.random.normal(key_input, (SIZE,)) / jnp.sqrt(SIZE)
    readout = input_weights / 4
    weights = 0.8 * jax.random.normal(key_weights, (SIZE, SIZE)) / jnp.sqrt(SIZE)
    transfer = jn.transfer.Tanh(theta=0.5 * jax.random.normal(key_thresholds, (SIZE,)))
    before = Trials(jn.models.RateNetwork(weights, TAU, transfer), input_weights)

    pulses = pulses_of(levels, ONSETS, TRIAL)
    wanted = jnp.cumsum(pulses, axis=1).T * DT / TAU
    times = np.arange(TRIAL + 1)
    # While a pulse lasts, and soon after it, nothing is asked.
    asked = ~np.any([(times >= k) & (times < k + SETTLE) for k in (0, *ONSETS)], axis=0)
    error = lambda solution: (solution.ys @ readout - wanted)[asked]
    run = jn.objectives.Run(jnp.zeros((len(levels), SIZE)), DT * TRIAL, METHOD)
    nothing = np.zeros((asked.sum(), len(levels)))
    # The loss is then half the mean of the squares.
    scale = np.full_like(nothing, np.sqrt(nothing.size))
    holds = objectives.Statistic(error, nothing, run, scale=scale)
    # The steps shrink to nothing, so that the end does not jitter.
    descent = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.cosine_decay_schedule(RATE, steps)),
    )
    fit = jn.fit(
        before,
        holds,
        where=lambda s: (s.network.weights, s.network.transfer.theta, s.input_weights),
        constraints=jn.constraints.Free(),
        u=jn.inputs.Sampled(pulses.T, DT),
        method=jn.Descent(descent, max_steps=steps),
    )
    return before, fit, readout


class Line(NamedTuple):
    """The slow points in the order of their readout."""

    y: np.ndarray
    readout: np.ndarray
    speed: np.ndarray
    eigenvalues: np.ndarray


def find(trials: Trials, states, readout) -> Line:
    """From where the network is soon after a pulse."""
    starts = states[:, ONSETS[0] + PULSE + START]
    points = jn.slow_points(
        trials.network, starts, slow_rate=SLOW_RATE, max_speed=MAX_SPEED
    )
    (rows,) = np.nonzero(points.distinct)
    rows = rows[np.argsort(np.asarray(points.y)[rows] @ readout)]
    y, speed = np.asarray(points.y)[rows], np.asarray(points.speed)[rows]
    # By numpy, of the Jacobian by hand.
    weights = np.asarray(trials.network.weights)
    transfer: Any = trials.network.transfer
    theta = np.asarray(transfer.theta)
    slopes = 1 - np.tanh(y @ weights.T - theta) ** 2
    matrices = (slopes[:, :, None] * weights - np.eye(SIZE)) / TAU
    values = np.linalg.eigvals(matrices)
    order = np.argsort(-values.real, axis=1)
    return Line(y, y @ readout, speed, np.take_along_axis(values, order, axis=1))


def main(*, quick: bool, seed: int) -> Report:
    steps = 1000 if quick else 4000
    key, key_levels = jax.random.split(jax.random.key(seed))
    levels = jax.random.uniform(key_levels, (TRIALS, 2), minval=-1.0, maxval=1.0)
    before, fit, readout = train(key, levels, steps)
    readout = np.asarray(readout)
    nothing = find(before, respond(before, LEVELS, STEPS), readout)
    states = respond(fit.system, LEVELS, STEPS)
    line = find(fit.system, states, readout)
    z = np.asarray(states) @ readout
    held = ONSETS[0] + PULSE + HELD
    error = np.abs(z[:, held] - LEVELS[:, 0])
    first, second = TAU * np.real(line.eigenvalues)[:, :2].T
    middle = np.abs(line.readout) < 0.8

    claims = [
        below("half the mean square error of the fit", 1e-3, fit.loss),
        below(
            f"new sums held for {HELD * DT / TAU:.0f} time constants, largest error",
            0.1,
            error.max(),
        ),
        equal("slow points before the fit", 1, len(nothing.y)),
        Claim(
            "after it they lie on a line, from one readout to another",
            "-0.8 to 0.8 or more",
            f"{line.readout[0]:.2f} to {line.readout[-1]:.2f}",
            bool(line.readout[0] < -0.8 and line.readout[-1] > 0.8),
        ),
        below("largest gap of the line, in the readout", 0.2, np.diff(line.readout).max()),
        below("largest speed on it (per ms)", MAX_SPEED, line.speed.max()),
        below(
            "first eigenvalue there by numpy, largest size, times τ",
            0.1,
            np.abs(first[middle]).max(),
        ),
        Claim(
            "all others, largest real part, times τ",
            "< -0.25",
            f"{second[middle].max():.3f}",
            bool(second[middle].max() < -0.25),
        ),
    ]
    if not quick:
        few = np.stack(np.meshgrid(FEW, FEW), axis=-1).reshape(-1, 2)
        _, other, _ = train(key, few, steps)
        runs = respond(other.system, LEVELS, STEPS)
        there = find(other.system, runs, readout)
        gap = np.diff(there.readout).max()
        wrong = np.abs(np.asarray(runs[:, held]) @ readout - LEVELS[:, 0]).max()
        claims += [
            Claim(
                "fitted to four sums alone: largest error of others",
                "> 0.1",
                f"{wrong:.2f}",
                bool(wrong > 0.1),
            ),
            Claim(
                "    and largest gap of the line", "> 0.2", f"{gap:.2f}", bool(gap > 0.2)
            ),
        ]
    figure = picture(states, z, line, fit.history)
    return Report(claims, {"fitted_line_attractor": figure})


def picture(states, z, line: Line, history):
    middle = line.y.mean(axis=0)
    axes_of = np.linalg.svd(line.y - middle, full_matrices=False)[2][:2]
    plane = lambda y: ((np.asarray(y) - middle) @ axes_of.T).T
    colour = lambda x: plt.get_cmap("viridis")((x + 1) / 2)
    fig, ((ax_loss, ax_z), (ax_plane, ax_spectrum)) = plt.subplots(2, 2, figsize=(6.2, 4.8))
    ax_loss.semilogy(2 * np.asarray(history))
    ax_loss.set(xlabel="step", ylabel="mean square error")

    times = DT * np.arange(z.shape[1])
    for level, one in zip(LEVELS[::4, 0], z[::4], strict=True):
        ax_z.plot(times, one, color=colour(level), lw=1)
    ax_z.set(xlabel="time (ms)", ylabel="readout")

    shown = slice(ONSETS[0], ONSETS[0] + PULSE + HELD)
    for run in np.asarray(states)[::4, shown]:
        ax_plane.plot(*plane(run), color="0.7", lw=0.8)
    ax_plane.scatter(*plane(line.y), c=colour(line.readout), s=12, zorder=3)
    ax_plane.set(xlabel="first component", ylabel="second component")

    others, first = TAU * line.eigenvalues[:, 1:].ravel(), TAU * line.eigenvalues[:, 0]
    ax_spectrum.plot(others.real, others.imag, ".", ms=2)
    ax_spectrum.plot(first.real, first.imag, ".", ms=6)
    ax_spectrum.axvline(0.0, color="0.5", lw=0.8, ls="--", zorder=0)
    ax_spectrum.annotate(
        "along\nthe line",
        (0, 0),
        (-6, 14),
        textcoords="offset points",
        ha="right",
        color="C1",
    )
    ax_spectrum.set(xlabel="τ Re λ", ylabel="τ Im λ")
    return fig
