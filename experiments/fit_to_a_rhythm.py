"""Silent circuits fitted to a rhythm of a chosen period, and what other losses do."""

from typing import Any, NamedTuple

import diffrax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from scipy.integrate import solve_ivp

import jaxnet as jn

from ._report import below, Claim, equal, Report
from .fit_to_an_onset import (
    chosen,
    CONSTRAINTS,
    driven,
    MODELS,
    NEAR,
    silent_circuits,
    slopes_and_field,
)


# Its fields are told in another order by a type checker.
objectives: Any = jn.objectives
# Of the rhythm (ms), and of the first harmonic of r_E.
PERIOD, AMPLITUDE = 15.0, 0.25
OTHERS, LONGEST = (8.0, 10.0, 25.0), 40.0
# From one to the next, each circuit starts where the one before ended.
PERIODS = (15.0, 20.0, 25.0, 30.0, 35.0, 40.0)
NODES = 33, 65, 129
# Of the runs that the other losses look at: the last periods of many count.
METHOD, SAMPLES = jn.Grid(0.5, diffrax.Tsit5()), 30
RUN, COUNTED = 14, 4
# A search by least squares takes at most so many steps; the others are by descent.
STEPS, DESCENT = 100, optax.adam(0.03)
# Of the states that a simulation starts from, relative to the orbit.
DISPLACED, FURTHER = 1e-5, 1e-3


class Rhythm(NamedTuple):
    """Of each circuit in the long run: the period (ms) and the first harmonic of r_E."""

    period: np.ndarray
    amplitude: np.ndarray


def simulate(values, y, times):
    """By scipy: states of all circuits at given times, along the second axis."""
    field = lambda t, x: slopes_and_field(values, x.reshape(-1, 2))[1].ravel()
    span = (0.0, times[-1])
    run = solve_ivp(field, span, np.ravel(y), "DOP853", times, rtol=1e-10, atol=1e-12)
    return np.moveaxis(run.y.reshape(-1, 2, len(run.t)), -1, 1)


def returns(values, orbit, period):
    """How far from its first node each orbit is after its period."""
    start = np.asarray(orbit.nodes)[:, 0]
    end = simulate(values, start, np.array([0.0, period]))[:, -1]
    return np.abs(end - start).max(axis=1)


def long_run(values, period, y=(0.05, 0.05), cycles=24) -> Rhythm:
    """What circuits do in the end, from far away; NaN where they are silent."""
    times = np.linspace(0.0, cycles * period, 200 * cycles + 1)
    r_e = simulate(values, np.broadcast_to(y, (len(values), 2)), times)[:, :, 0]
    late = times > cycles * period / 2
    found = [_rhythm(times[late], x) for x in r_e[:, late]]
    return Rhythm(*np.array(found).T)


def _rhythm(times, x) -> tuple[float, float]:
    if np.ptp(x) < 1e-3:
        return np.nan, 0.0
    middle = (x.max() + x.min()) / 2
    (k,) = np.nonzero((x[:-1] < middle) & (x[1:] >= middle))
    crossings = times[k] + (times[1] - times[0]) * (middle - x[k]) / (x[k + 1] - x[k])
    period = np.diff(crossings).mean()
    one = (times >= crossings[0]) & (times < crossings[0] + period)
    return period, 2 * np.abs(np.mean(x[one] * np.exp(-2j * np.pi * times[one] / period)))


def is_right(rhythm: Rhythm, period):
    """The period to 1 % and the amplitude to 5 %."""
    near = np.abs(rhythm.period / period - 1) < 0.01
    return near & (np.abs(rhythm.amplitude / AMPLITUDE - 1) < 0.05)


def search(values, objective, method):
    """From all circuits as they are; and the parameters that were found."""
    trials = jn.fit(
        driven(values[0]),
        objective,
        where=chosen,
        starts=tuple(jnp.asarray(values.T)),
        constraints=CONSTRAINTS,
        method=method,
    ).trials
    return trials, np.stack(trials.parameters, axis=-1)


def cycle(values, period, nodes=33):
    objective = jn.objectives.Cycle(period, AMPLITUDE, NEAR, nodes=nodes)
    return search(values, objective, jn.AllAtOnce(max_steps=STEPS))


class Found(NamedTuple):
    """Orbits of one period, and what simulations say of them."""

    trials: jn.Trials
    values: np.ndarray
    accepted: np.ndarray
    right: np.ndarray
    right_from_further: np.ndarray
    right_from_afar: np.ndarray
    missed: np.ndarray
    tail: np.ndarray


def find(values, period, nodes=NODES[0]) -> Found:
    trials, fitted = cycle(values, period, nodes)
    orbit = np.asarray(trials.unknowns.nodes)
    start, size = orbit[:, 0], np.ptp(orbit, axis=1).max(axis=1)
    # One run for all: from near the orbits and from afar.
    starts = [start * (1 - DISPLACED), start * (1 - FURTHER), np.full_like(start, 0.05)]
    rhythm = long_run(np.tile(fitted, (3, 1)), period, np.concatenate(starts))
    harmonics = np.abs(np.fft.rfft(orbit, axis=1))[:, 1:]
    near, further, from_afar = is_right(rhythm, period).reshape(3, -1)
    return Found(
        trials,
        fitted,
        np.asarray(trials.result == jn.RESULTS.successful),
        near,
        further,
        from_afar,
        returns(fitted, trials.unknowns, period) / size,
        harmonics[:, -1].max(axis=1) / harmonics.max(axis=(1, 2)),
    )


def trace_of(known, start, late: bool) -> jn.objectives.Trace:
    """The difference to a trace of r_E of a circuit that is known to have the rhythm.

    Either all of it, from the very state in which the known circuit starts; or its late
    part alone, from another state, since a trace of r_E does not tell r_I.
    """
    periods = RUN if late else COUNTED
    t1, transient = periods * PERIOD, (periods - COUNTED) * PERIOD
    save = jn.SaveAt(t0=True, steps=True)
    ys = jn.simulate(driven(known), start, t1=t1, method=METHOD, save=save).ys
    run = jn.objectives.Run(NEAR if late else start, t1, METHOD, transient=transient)
    return jn.objectives.Trace(ys[:, 0], run, of=lambda y: y[0])


def power(ys):
    """At the wanted frequency, late in the run, in units of the wanted power."""
    late = ys[-COUNTED * SAMPLES :, 0]
    wave = np.exp(-2j * np.pi * np.arange(COUNTED * SAMPLES) / SAMPLES)
    return jnp.abs(2 * jnp.mean(late * wave) / AMPLITUDE) ** 2


def spectral_loss():
    run = jn.objectives.Run(NEAR, RUN * PERIOD, METHOD)
    return objectives.Statistic(lambda solution: power(solution.ys), 1.0, run)


def main(*, quick: bool, seed: int) -> Report:
    values, _ = silent_circuits(seed)
    found = find(values, PERIOD)
    shown = OTHERS[-1:] if quick else OTHERS
    others = [find(values, period) for period in shown]
    many = lambda x: f"{int(np.sum(x))} of {MODELS}"
    most = int(found.trials.steps.max())
    afar = long_run(found.values, PERIOD)
    claims = [
        equal(
            "silent circuits", MODELS, int((long_run(values, PERIOD).amplitude == 0).sum())
        ),
        equal("brought to a period of 15 ms", MODELS, int(found.accepted.sum())),
        Claim("steps, most", "at most 25", str(most), most <= 25),
        below(
            "after one period scipy is back at the first node, largest distance",
            1e-6,
            returns(found.values, found.trials.unknowns, PERIOD).max(),
        ),
        below(
            "period from afar by its crossings, largest relative error",
            1e-6,
            np.abs(afar.period / PERIOD - 1).max(),
        ),
        below(
            "amplitude from afar, largest relative error",
            1e-4,
            np.abs(afar.amplitude / AMPLITUDE - 1).max(),
        ),
    ]
    for period, other in zip(shown, others, strict=True):
        claims += [
            Claim(
                f"brought to {period:.0f} ms, and known to be right",
                "all" if period < PERIOD else "most",
                many(other.accepted),
                bool(other.accepted.mean() > (0.99 if period < PERIOD else 0.5)),
            ),
            equal(
                "    of these wrong in a simulation",
                0,
                int((other.accepted & ~other.right).sum()),
            ),
            Claim(
                "    and from afar, where a circuit may rest too",
                "most",
                many(other.right_from_afar),
                bool(other.right_from_afar.mean() > 0.5),
            ),
        ]
    longest = {nodes: find(values, LONGEST, nodes) for nodes in NODES[: 1 if quick else 3]}
    for nodes, one in longest.items():
        small = np.asarray(one.trials.loss) < 1e-14
        unstable = np.asarray(one.trials.result == jn.RESULTS.cycle_unstable)
        rejected = small & ~one.accepted
        claims += [
            Claim(
                f"at 40 ms with {nodes} nodes: small misfit",
                "most",
                many(small),
                bool(small.mean() > 0.5),
            ),
            Claim(
                "    rejected: not resolved, unstable",
                "some",
                f"{int((rejected & ~unstable).sum())}, {int(unstable.sum())}",
                bool(rejected.any()),
            ),
            equal(
                "    accepted, but wrong in a simulation",
                0,
                int((one.accepted & ~one.right).sum()),
            ),
            Claim(
                "    accepted, and right also from a thousandth beside",
                "most",
                f"{int((one.accepted & one.right_from_further).sum())} of "
                f"{int(one.accepted.sum())}",
                bool(one.right_from_further[one.accepted].mean() > 0.5),
            ),
        ]
        if nodes == NODES[0]:
            wrong = rejected & ~one.right
            claims.append(
                Claim(
                    "    rejected, and wrong in a simulation",
                    "most",
                    f"{int(wrong.sum())} of {int(rejected.sum())}",
                    bool(wrong.sum() > rejected.sum() / 2),
                )
            )
    bars = {"cycle": found.right & found.accepted}
    if not quick:
        stepped = find(values, PERIODS[0], NODES[1])
        for period in PERIODS[1:]:
            stepped = find(stepped.values, period, NODES[1])
        good = stepped.accepted & stepped.right & stepped.right_from_afar
        claims.append(
            equal("at 40 ms by steps of 5 ms, 65 nodes: right", MODELS, int(good.sum()))
        )

    known, start = found.values[0], found.trials.unknowns.nodes[0, 0]
    descent = jn.Descent(DESCENT, max_steps=STEPS if quick else 10 * STEPS)
    least = jn.LeastSquares(max_steps=STEPS)
    losses = {"power, adam": (spectral_loss(), descent)}
    if not quick:
        losses = {
            "trace, state known": (trace_of(known, start, False), least),
            "    the same, adam": (trace_of(known, start, False), descent),
            "trace, state unknown": (trace_of(known, start, True), least),
            "    the same, adam ": (trace_of(known, start, True), descent),
            "power, adam": losses["power, adam"],
        }
    for name, (objective, method) in losses.items():
        moved = search(values, objective, method)[1]
        bars[name] = is_right(long_run(moved, PERIOD), PERIOD)
        claims.append(
            Claim(
                f"{name.rstrip()}: right in a simulation",
                "fewer, or as many",
                many(bars[name]),
                bool(bars[name].sum() <= found.right.sum()),
            )
        )
    # The power is zero at the start, and so is its gradient.
    trials, fitted = search(values, *losses["power, adam"])
    start_power = 1 - np.sqrt(2 * np.asarray(trials.history)[:, 0])
    claims += [
        below(
            "power at the start, largest, in units of the wanted one",
            1e-9,
            start_power.max(),
        ),
        below(
            "change of any parameter by its descent", 1e-2, np.abs(fitted - values).max()
        ),
    ]
    return Report(claims, {"fit_to_a_rhythm": picture(found, others[-1], longest, bars)})


def picture(found: Found, long: Found, longest: dict[int, Found], bars):
    fig, axes = plt.subplots(1, 3, figsize=(7.6, 2.7), width_ratios=(1, 1, 1.3))
    blue, orange = jn.plot.COLOURS[:2]
    orbit = np.asarray(found.trials.unknowns.nodes)
    harmonics = np.fft.rfft(orbit, axis=1) / NODES[0]
    for curve in np.fft.irfft(201 * harmonics, 201, axis=1):
        axes[0].plot(*np.append(curve, curve[:1], axis=0).T, lw=0.8)
    axes[0].set(xlabel="$r_E$", ylabel="$r_I$")

    tested = [long, longest[NODES[0]]]
    for colour, is_so, label in ((blue, True, "right"), (orange, False, "wrong")):
        for fill, accepted in ((colour, True), ("w", False)):
            rows = [(f.right == is_so) & (f.accepted == accepted) for f in tested]
            x, y = (
                np.concatenate(
                    [getattr(f, name)[r] for f, r in zip(tested, rows, strict=True)]
                )
                for name in ("tail", "missed")
            )
            name = f"{label}, {'accepted' if accepted else 'rejected'}"
            if len(x):
                axes[1].loglog(x, y, "o", ms=4, mfc=fill, color=colour, label=name)
    axes[1].axvline(1e-4, color="0.5", lw=0.8, ls="--", zorder=0)
    axes[1].axhline(1e-4, color="0.5", lw=0.8, ls="--", zorder=0)
    axes[1].set(xlabel="spectral tail", ylabel="distance after one period")
    fig.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncols=4)

    counts = [int(right.sum()) for right in bars.values()]
    axes[2].barh(range(len(bars)), counts, color=[blue] + [orange] * (len(bars) - 1))
    for k, count in enumerate(counts):
        axes[2].text(count + 0.3, k, str(count), va="center")
    axes[2].set_yticks(range(len(bars)), bars)
    axes[2].tick_params(axis="y", length=0)
    axes[2].invert_yaxis()
    axes[2].set(xlabel=f"right rhythm, of {MODELS}", xlim=(0, MODELS + 2))
    return fig
