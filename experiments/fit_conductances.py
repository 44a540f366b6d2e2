"""Conductances of a ball and stick, recovered from one noisy trace of its soma.

Free are the sodium, potassium and leak conductances of the soma and the resistivity inside.
The cell is stimulated by three currents: one that hyperpolarises the soma for 8 ms, a short
one into the soma, and a short one into the dendrite. The first shows what the membrane
leaks, the last what lies between soma and dendrite, and the two spikes the channels. Starts
are drawn log-uniformly, within a factor of 2 each way.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, Claim, close, Report


# Its fields are told in another order by a type checker.
objectives: Any = jn.objectives
NAMES = ("g_Na", "g_K", "g_L", "R_a")
LABELS = ("$g_{Na}$", "$g_K$", "$g_L$", "$R_a$")
T1, DT, NOISE = 45.0, 0.025, 0.5
STARTS, FACTOR = 8, 2.0
WITHIN = 0.02
CELL = jn.models.ball_and_stick
METHOD = jn.Grid(DT, jn.Staggered(), record=jn.RecordCounts())
BLUE, RED, GREEN, PURPLE = jn.plot.COLOURS[:4]


class Pulse(NamedTuple):
    """A current (nA) into the middle of a branch, from an onset on for a while (ms)."""

    onset: float
    duration: float
    value: float
    branch: str


PULSES = (
    Pulse(2.0, 8.0, -0.1, "soma"),
    Pulse(17.0, 1.0, 0.5, "soma"),
    Pulse(30.0, 2.0, 0.5, "dendrite"),
)
# The same program serves for it: two of the currents are none.
LONG_STEP = (
    Pulse(2.0, 30.0, 0.1, "soma"),
    Pulse(40.0, 1.0, 0.0, "soma"),
    Pulse(40.0, 1.0, 0.0, "dendrite"),
)


def stimulus(pulses):
    cell = CELL()
    first, *others = (
        jn.inputs.Pulse(p.onset, p.duration, cell.inject(p.value, p.branch)) for p in pulses
    )
    return sum(others, first)


def selected(cell):
    channels, leak = cell.mechanisms["channels"], cell.mechanisms["leak"]
    return channels.g_na, channels.g_k, leak.conductance, cell.axial_resistivity


def soma(y):
    return y.v[0]


TRUTH = np.array(selected(CELL()))


def simulated(cell, pulses=PULSES):
    """The voltage of the soma at every step."""
    y0, u = cell.resting_state(), stimulus(pulses)
    return jn.simulate(cell, y0, t1=T1, u=u, method=METHOD).ys.v[:, 0]


def recorded(key, pulses=PULSES):
    clean = simulated(CELL(), pulses)
    return clean + NOISE * jax.random.normal(key, clean.shape)


def objective(trace):
    run = objectives.Run(CELL().resting_state(), T1, METHOD)
    return objectives.Trace(trace, run, of=soma, noise=NOISE)


def draw_starts(key, number: int, factor: float):
    """Log-uniformly around the truth, within a factor each way."""
    powers = jax.random.uniform(key, (number, len(TRUTH)), minval=-1.0, maxval=1.0)
    return TRUTH * factor ** np.asarray(powers)


class Found(NamedTuple):
    """In units of the truth, start by start; the misfit in units of the noise."""

    starts: np.ndarray
    values: np.ndarray
    misfit: np.ndarray
    history: np.ndarray
    best: int
    system: Any

    @property
    def near(self):
        return np.abs(self.values - 1).max(axis=1) < WITHIN


def search(trace, starts, pulses=PULSES) -> Found:
    fit = jn.fit(
        CELL(),
        objective(trace),
        where=selected,
        constraints=jn.constraints.Positive(),
        u=stimulus(pulses),
        starts=tuple(jnp.asarray(column) for column in starts.T),
        method=jn.LeastSquares(max_steps=60),
    )
    values = np.stack([np.asarray(x) for x in fit.trials.parameters], axis=1)
    return Found(
        starts / TRUTH,
        values / TRUTH,
        np.sqrt(2 * np.asarray(fit.trials.loss)),
        np.sqrt(2 * np.asarray(fit.trials.history)),
        int(fit.best),
        fit.system,
    )


def errors_left(trace, system, pulses=PULSES):
    """The standard errors, in units of the truth, and the correlations."""
    left = jn.uncertainty(
        system,
        objective(trace),
        where=selected,
        constraints=jn.constraints.Positive(),
        u=stimulus(pulses),
    )
    sizes = np.sqrt(np.diag(left.covariance))
    correlations = np.asarray(left.covariance) / np.outer(sizes, sizes)
    return np.array(left.standard_errors) / TRUTH, correlations


def percent(values) -> str:
    return ", ".join(f"{100 * x:.2f}" for x in values)


def claims_of(found: Found, errors) -> list[Claim]:
    number, samples = len(found.starts), round(T1 / DT) + 1
    best = found.values[found.best]
    near = int(found.near.sum())
    return [
        Claim(
            "starts from which all four are recovered within 2 %",
            f"{number} of {number}",
            f"{near} of {number}",
            near == number,
        ),
        Claim(
            "errors of the best: g_Na, g_K, g_L, R_a (%)",
            "< 2",
            percent(np.abs(best - 1)),
            bool(np.abs(best - 1).max() < WITHIN),
        ),
        below(
            "all end at one point: largest difference, relative",
            1e-4,
            np.ptp(found.values[found.near], axis=0).max(),
        ),
        # Its square has a mean of 1 and the variance 2 / samples.
        close(
            "root of the mean square misfit, in units of the noise",
            1.0,
            found.misfit[found.best],
            round(3 / np.sqrt(2 * samples), 3),
        ),
        Claim(
            "standard errors (%)",
            "< 0.5",
            percent(errors),
            bool(errors.max() < 0.005),
        ),
        Claim(
            "errors over standard errors, largest",
            "< 3.5",
            f"{np.abs((best - 1) / errors).max():.1f}",
            bool(np.abs((best - 1) / errors).max() < 3.5),
        ),
    ]


def repeated(key, errors, number: int) -> Claim:
    """The same with other noises, each from one start, against the standard errors."""
    start_key, noise_key = jax.random.split(key)
    starts = draw_starts(start_key, number, FACTOR)
    keys = jax.random.split(noise_key, number)
    ends = [
        search(recorded(k), start[None]).values[0]
        for k, start in zip(keys, starts, strict=True)
    ]
    size = np.sqrt(np.mean(((np.array(ends) - 1) / errors) ** 2))
    return Claim(
        f"with {number} other noises and starts: root of the mean square of that",
        "1.0 ± 0.3",
        f"{size:.2f}",
        bool(abs(size - 1) < 0.3),
    )


def other_searches(key, errors) -> tuple[list[Claim], np.ndarray]:
    """Starts from further off, and a stimulus that tells less."""
    far_key, step_key, noise_key = jax.random.split(key, 3)
    trace = recorded(noise_key)
    # One program for all: so many at a time.
    far = [search(trace, draw_starts(k, STARTS, 4.0)) for k in jax.random.split(far_key, 4)]
    near = np.concatenate([one.near for one in far])
    lost = np.concatenate([one.misfit for one in far])[~near]
    trace = recorded(noise_key, LONG_STEP)
    step = search(trace, draw_starts(step_key, STARTS, FACTOR), LONG_STEP)
    of_step, _ = errors_left(trace, step.system, LONG_STEP)
    claims = [
        Claim(
            "starts within a factor of 4: recovered",
            "most",
            f"{int(near.sum())} of {len(near)}",
            bool(near.mean() > 0.75),
        ),
        # So that one sees which.
        Claim(
            "    misfit of the others, in units of the noise",
            "> 2",
            ", ".join(f"{x:.1f}" for x in lost) or "none",
            bool((lost > 2).all()),
        ),
        Claim(
            "one step of 0.1 nA for 30 ms instead: recovered",
            "most",
            f"{int(step.near.sum())} of {STARTS}",
            bool(step.near.mean() > 0.5),
        ),
        Claim(
            "    its standard errors (%)",
            "all larger",
            percent(of_step),
            bool((of_step > errors).all()),
        ),
    ]
    return claims, of_step


def gradient_claim(trace, start) -> Claim:
    """The derivative in reverse mode at a start, against central differences."""
    check = jn.check_gradient(
        objective(trace),
        eqx.tree_at(selected, CELL(), tuple(jnp.asarray(start))),
        where=selected,
        constraints=jn.constraints.Positive(),
        u=stimulus(PULSES),
    )
    error = np.abs(check.bias).max() / np.abs(check.reference).max()
    return below("gradient by adjoint and by central differences, error", 1e-5, error)


def main(*, quick: bool, seed: int) -> Report:
    noise_key, start_key, key = jax.random.split(jax.random.key(seed), 3)
    trace = recorded(noise_key)
    starts = draw_starts(start_key, 3 if quick else STARTS, FACTOR)
    found = search(trace, starts)
    errors, correlations = errors_left(trace, found.system)
    claims = claims_of(found, errors)
    others = {"pulses": errors}
    if not quick:
        repeat_key, other_key = jax.random.split(key)
        more, others["one step"] = other_searches(other_key, errors)
        claims += [
            gradient_claim(trace, starts[0]),
            repeated(repeat_key, errors, 16),
            *more,
        ]
    figures = {
        "fit_conductances": picture(trace, found),
        "what_is_left": plot_errors(others, correlations),
    }
    return Report(claims, figures)


def injected(ts):
    """The currents into soma and dendrite at each time."""
    soma, dendrite = np.zeros((2, len(ts)))
    for p in PULSES:
        on = (ts >= p.onset) & (ts < p.onset + p.duration)
        into = soma if p.branch == "soma" else dendrite
        into[on] += p.value
    return soma, dendrite


def picture(trace, found: Found):
    fig = plt.figure(figsize=(7.6, 4.8))
    grid = fig.add_gridspec(3, 2, height_ratios=(0.35, 1, 1))
    top = fig.add_subplot(grid[0, :])
    run = fig.add_subplot(grid[1, :], sharex=top)
    ends, misfit = fig.add_subplot(grid[2, 0]), fig.add_subplot(grid[2, 1])
    ts = DT * np.arange(len(trace))
    for current, name, color in zip(
        injected(ts), ("into the soma", "into the dendrite"), (BLUE, GREEN), strict=True
    ):
        top.plot(ts, current, color=color, lw=1, label=name)
    top.set(ylabel="I (nA)")
    top.tick_params(labelbottom=False)
    top.legend(loc="upper left", bbox_to_anchor=(1.0, 1.1))

    # What the starts do, the recording on top of it, and the fit.
    for k, start in enumerate(found.starts):
        cell = eqx.tree_at(selected, CELL(), tuple(jnp.asarray(start * TRUTH)))
        label = None if k else "starts"
        run.plot(ts, simulated(cell), color="0.75", lw=0.7, label=label)
    run.plot(ts, trace, ".", ms=1.5, color=BLUE, label="recorded", rasterized=True)
    run.plot(ts, simulated(found.system), color=RED, lw=1, label="fit")
    run.set(xlabel="time t (ms)", ylabel="soma (mV)", xlim=(0, T1))
    run.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=3)

    for k in range(len(LABELS)):
        place = k + np.linspace(-0.25, 0.25, len(found.starts))
        ends.vlines(place, found.starts[:, k], found.values[:, k], color="0.8", lw=0.8)
        ends.plot(place, found.starts[:, k], "o", ms=3, mfc="w", color="0.4")
        ends.plot(place, found.values[:, k], "o", ms=3, color=RED)
    ends.plot([], [], "o", ms=3, mfc="w", color="0.4", label="start")
    ends.plot([], [], "o", ms=3, color=RED, label="found")
    ends.axhline(1, color="0.5", lw=0.8, zorder=0)
    ends.set_yscale("log", base=2)
    ends.set_yticks([0.5, 1, 2], ["1/2", "1", "2"])
    ends.set_xticks(range(len(LABELS)), LABELS)
    ends.set(ylabel="value / truth", ylim=(0.45, 2.9))
    ends.legend(loc="upper center", ncols=2)

    for row in found.history:
        misfit.semilogy(row, ".-", ms=3, lw=0.8)
    misfit.axhline(1, color="0.5", lw=0.8, ls="--", label="noise")
    misfit.set_yticks([1, 10], ["1", "10"])
    misfit.set(xlabel="step", ylabel="misfit / noise")
    misfit.legend()
    return fig


def plot_errors(errors, correlations):
    fig, (bars, matrix) = plt.subplots(1, 2, figsize=(5.6, 2.5))
    width = 0.8 / len(errors)
    for k, (name, values) in enumerate(errors.items()):
        place = np.arange(len(LABELS)) + (k - (len(errors) - 1) / 2) * width
        bars.bar(place, 100 * values, width * 0.9, color=(RED, "0.6")[k], label=name)
    bars.set_xticks(range(len(LABELS)), LABELS)
    bars.set(ylabel="standard error (%)")
    if len(errors) > 1:
        bars.legend()
    image = matrix.imshow(correlations, vmin=-1, vmax=1, cmap="RdBu_r")
    matrix.set_xticks(range(len(LABELS)), LABELS)
    matrix.set_yticks(range(len(LABELS)), LABELS)
    for i, j in np.ndindex(*correlations.shape):
        strong = abs(correlations[i, j]) > 0.6
        text = f"{correlations[i, j]:.2f}".replace("-", "−")
        matrix.text(j, i, text, ha="center", va="center", color="w" if strong else "k")
    fig.colorbar(image, ax=matrix, label="correlation")
    return fig
