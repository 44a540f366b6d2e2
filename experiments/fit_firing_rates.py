"""Two rates of a spiking network fitted without derivatives: least squares and descent.

The network is the corrected one of `balanced_network`: 400 e, 100 i and a drive from
outside, here in steps of 0.25 ms. It fires at 20 Hz (e) and 40 Hz (i), and is to fire at
5 and 10 Hz. What is free are the weights of the drive onto e and onto i.

An evaluation is a batch of runs, the trials, whose rates are averaged. Least squares takes
differences with one set of random numbers for all of its steps; descents draw new ones at
each step. A fit is judged by seeds that it did not use.

Weights are free as logarithms (`Positive`), so that a step of 0.1 is a tenth of each. The
network is chaotic: steps of a hundredth drown in noise, and lead into silence.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxnet as jn

from . import balanced_network
from ._balanced import REST, show, THRESHOLD
from ._report import Claim, Report


# Its fields are told in another order by a type checker.
objectives: Any = jn.objectives
CELLS_E, CELLS_I = (balanced_network.SIZES[kind] for kind in "ei")
SOURCES = balanced_network.SOURCES
TARGET = np.array([5.0, 10.0])
DT, TRANSIENT = 0.25, 200.0
# Of the misfits of a fit, and of fresh seeds; larger where little is averaged.
TOLERANCE, NEAR = 0.04, 0.1
TOLERANCE_QUICK, NEAR_QUICK = 0.05, 0.15
FRESH = 8
METHOD = jn.Grid(DT, jn.Exponential(), record=jn.RecordRaster())
DRIVE = {"x": jn.inputs.Poisson(balanced_network.SOURCE_RATE, size=SOURCES)}
BLUE, RED, GREEN = jn.plot.COLOURS[:3]


class Search(NamedTuple):
    """A method, and how many runs one of its steps takes."""

    name: str
    method: Any
    runs_per_step: int


class Found(NamedTuple):
    """What a search found, with what effort, and the losses on the way."""

    system: jn.models.Network
    result: jn.RESULTS
    runs: int
    steps: int
    history: np.ndarray


def searches(trials: int, *, all_of_them: bool) -> list[Search]:
    parameters = 2
    differences = jn.gradients.FiniteDifferences(0.1)
    found = [
        Search(
            "least squares",
            jn.LeastSquares(differences=differences, max_steps=12),
            trials * differences.evaluations(parameters),
        )
    ]
    estimators = {
        "SPSA": jn.gradients.SPSA(0.1),
        "evolution strategy": jn.gradients.EvolutionStrategy(0.1, pairs=2),
    }
    for name, estimator in estimators.items():
        method = jn.Descent(optax.adam(0.2), estimator=estimator, max_steps=25)
        found.append(Search(name, method, trials * estimator.evaluations(parameters)))
    return found if all_of_them else found[:1]


def drive_weights(network: Any):
    return tuple(network.projections[name].coupling.weights for name in ("xe", "xi"))


def mean_rates(rates):
    """Of e and of i, from those of all units."""
    return jnp.stack(
        [jnp.mean(rates[SOURCES : SOURCES + CELLS_E]), jnp.mean(rates[-CELLS_I:])]
    )


def initial_state(network: jn.models.Network, key):
    v = jax.random.uniform(key, (CELLS_E + CELLS_I,), minval=REST, maxval=THRESHOLD)
    return network.initial_state(e=v[:CELLS_E], i=v[CELLS_E:])


def search(
    network: jn.models.Network, y0, one: Search, *, t1, trials, tolerance=TOLERANCE, key
) -> Found:
    run = jn.objectives.Run(y0, t1, METHOD, transient=TRANSIENT, trials=trials)
    fit = jn.fit(
        network,
        objectives.Rate(TARGET, run, of=mean_rates),
        where=drive_weights,
        constraints=jn.constraints.Positive(),
        u=DRIVE,
        method=one.method,
        tolerance=tolerance,
        key=key,
    )
    runs = one.runs_per_step * (int(fit.steps) + 1)
    history = np.asarray(fit.history)[: int(fit.steps) + 1]
    return Found(fit.system, fit.result, runs, int(fit.steps), history)


class Fresh(NamedTuple):
    """Runs of seeds of their own: the rates, and the spikes of the first."""

    rates: np.ndarray
    spikes: np.ndarray


@eqx.filter_jit
def _fresh(networks, keys, t1: float):
    def one(row):
        network, key = row
        state_key, key = jax.random.split(key)
        run: Any = jn.simulate(
            network,
            initial_state(network, state_key),
            t1=t1,
            u=DRIVE,
            method=METHOD,
            save=jn.SaveAt(t1=True),
            key=key,
        )
        late = run.spikes.unpack()[round(TRANSIENT / DT) :]
        return mean_rates(jnp.mean(late, axis=0, dtype=float) * 1000 / DT), late[
            :, SOURCES:
        ]

    rates, spikes = jax.lax.map(one, (networks, keys))
    return rates, spikes[0]


def fresh(networks: list[jn.models.Network], keys, t1: float) -> Fresh:
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *networks)
    return Fresh(*map(np.asarray, _fresh(stacked, keys, t1)))


def verified(name: str, rates: np.ndarray, *, quick: bool) -> Claim:
    """That fresh seeds have the rates: each of them, or, of short fits, their mean."""
    means = f"{show(rates[:, 0])} and {show(rates[:, 1])}"
    near = np.all(np.abs(rates / TARGET - 1) <= NEAR, axis=1)
    if quick:
        off = np.abs(rates.mean(axis=0) / TARGET - 1).max()
        expected, holds = f"5 and 10 within {NEAR_QUICK:.0%} on average", off <= NEAR_QUICK
    else:
        expected, holds = f"5 and 10 within {NEAR:.0%} in each", near.all()
    return Claim(
        f"{name}: rates of e and i in {len(rates)} fresh seeds (Hz)",
        expected,
        f"{means}; within {NEAR:.0%} in {near.sum()}",
        bool(holds),
    )


def claims_of(
    found: dict[str, Found], after: dict[str, Fresh], *, quick: bool
) -> list[Claim]:
    tolerance = TOLERANCE_QUICK if quick else TOLERANCE
    misfit = {name: np.sqrt(2 * np.nanmin(one.history)) for name, one in found.items()}
    (best, by_squares), *others = found.items()
    is_met = bool(by_squares.result == jn.RESULTS.successful)
    claims = [
        Claim(
            f"{best}: both rates within {tolerance:.0%} of the target; its cost",
            "met",
            f"{'met' if is_met else 'not met'}, {by_squares.runs} runs",
            is_met,
        ),
        verified(best, after[best].rates, quick=quick),
    ]
    # Along random directions the same number of runs does not do.
    for name, one in others:
        claims.append(
            Claim(
                f"{name}: relative misfit after its runs",
                f"above {misfit[best]:.2f}",
                f"{misfit[name]:.2f} after {one.runs} runs",
                misfit[name] > misfit[best],
            )
        )
    return claims


def plot_history(found: dict[str, Found], tolerance: float):
    """The misfit of both rates together, at each step."""
    fig, ax = plt.subplots(figsize=(3.6, 2.5))
    for (name, one), colour in zip(found.items(), (BLUE, RED, GREEN), strict=False):
        runs = one.runs / (one.steps + 1) * np.arange(1, one.steps + 2)
        misfit = np.sqrt(2 * one.history)
        ax.semilogy(runs, misfit, ".-", ms=4, lw=0.9, color=colour, label=name)
    # Above it one misfit at least is too large.
    ax.axhline(np.sqrt(2) * tolerance, color="0.4", lw=0.8, ls="--")
    ax.set(xlabel="runs", ylabel="relative misfit of both rates")
    ax.legend()
    return fig


def plot_fresh(before: Fresh, after: dict[str, Fresh]):
    fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.5))
    everything = {"before": before, **after}
    for ax, target, kind, column in zip(axes, TARGET, "ei", (0, 1), strict=True):
        ax.axhspan(*target * np.array([1 - NEAR, 1 + NEAR]), color="0.88", lw=0)
        ax.axhline(target, color="0.4", lw=0.8, ls="--")
        for place, one in enumerate(everything.values()):
            rates = one.rates[:, column]
            across = place + np.linspace(-0.2, 0.2, len(rates))
            ax.plot(across, rates, "o", ms=3, color=("0.5", BLUE, RED, GREEN)[place])
        names = [name.replace(" ", "\n") for name in everything]
        ax.set_xticks(range(len(names)), names)
        ax.set(ylabel=f"rate of {kind} in fresh seeds (Hz)", ylim=(0, None))
    return fig


def plot_rasters(before: Fresh, after: Fresh):
    fig, axes = plt.subplots(1, 2, figsize=(6.2, 2.6), sharey=True)
    for ax, one, title in zip(axes, (before, after), ("before", "after"), strict=True):
        step, unit = np.nonzero(one.spikes)
        for is_kind, colour in ((unit < CELLS_E, BLUE), (unit >= CELLS_E, RED)):
            ax.plot(
                TRANSIENT + DT * step[is_kind],
                unit[is_kind],
                "|",
                ms=1.5,
                mew=0.5,
                color=colour,
            )
        e, i = one.rates[0]
        ax.set(xlabel="time t (ms)", title=f"{title}: e {e:.1f}, i {i:.1f} Hz")
        ax.set(xlim=(TRANSIENT, TRANSIENT + 300), ylim=(-5, CELLS_E + CELLS_I + 5))
    axes[0].set(ylabel="neuron", yticks=(0, 200, CELLS_E, CELLS_E + CELLS_I))
    return fig


def main(*, quick: bool, seed: int) -> Report:
    t1, trials, fresh_t1 = (700.0, 2, 1200.0) if quick else (1200.0, 6, 4200.0)
    tolerance = TOLERANCE_QUICK if quick else TOLERANCE
    net_key, state_key, fit_key, key = jax.random.split(jax.random.key(seed), 4)
    network = balanced_network.draw_network(net_key)
    y0 = initial_state(network, state_key)
    found = {
        one.name: search(
            network, y0, one, t1=t1, trials=trials, tolerance=tolerance, key=fit_key
        )
        for one in searches(trials, all_of_them=not quick)
    }
    fresh_keys = jax.random.split(key, FRESH)
    before = fresh([network] * FRESH, fresh_keys, fresh_t1)
    after = {
        name: fresh([one.system] * FRESH, fresh_keys, fresh_t1)
        for name, one in found.items()
    }
    claims = claims_of(found, after, quick=quick)
    figures = {
        "history": plot_history(found, tolerance),
        "fresh_seeds": plot_fresh(before, after),
        "rasters": plot_rasters(before, after["least squares"]),
    }
    return Report(claims, figures)
