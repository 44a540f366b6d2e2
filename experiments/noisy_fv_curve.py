"""Firing rate against the drive of noisy neurons that are held while refractory.

A hundred neurons follow dv = (v0 - v) dt/tau + sigma dW/sqrt(tau), with v0 from 0 to 3.
Without noise a neuron fires only for v0 > 1, at 1/(t_ref + tau ln(v0/(v0 - 1))). Noise
makes it fire below, and smooths the edge.

In Euler's steps the noisy voltage is a Markov chain, whose density is carried from step to
step by an integral. So the expected number of spikes is known without drawing a number:
what leaves below the threshold is the law of the first spike, and renewal gives the rest.
Forty trials of Brian2 2.10.1 are the second source.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import agrees, below, equal, Report


N, T1, DT = 100, 1000.0, 0.1
TAU, SIGMA, REFRACTORY = 10.0, 0.2, 5.0
V0 = np.arange(N) * 3.0 / (N - 1)
NEURONS = jn.models.LIF(tau=TAU, refractory_period=REFRACTORY)
NOISY = jn.Noisy(NEURONS, SIGMA / math.sqrt(TAU))
LAST = jn.SaveAt(t1=True)

# Mean rate (Hz) of neuron i in 40 trials of Brian2 2.10.1, and its standard error.
BRIAN2 = {
    20: (1.4, 0.220),
    25: (9.25, 0.395),
    33: (30.95, 0.340),
    40: (46.975, 0.204),
    50: (63.95, 0.186),
    66: (84.15, 0.162),
    99: (111.025, 0.110),
}


def expected_rate(v0: float) -> float:
    """The expected number of spikes of the chain in a second (Hz), by quadrature."""
    steps, held = round(T1 / DT), round(REFRACTORY / DT) - 1
    low, nodes = -0.8, 160
    x, weights = np.polynomial.legendre.leggauss(nodes)
    x, weights = low + (x + 1) * (1 - low) / 2, weights * (1 - low) / 2
    spread = SIGMA * math.sqrt(DT / TAU)

    def density(start):
        z = (x[:, None] - start - DT / TAU * (v0 - start)) / spread
        return np.exp(-(z**2) / 2) / (spread * math.sqrt(2 * math.pi))

    carry, p = density(x[None]) * weights, density(np.zeros((1, 1)))[:, 0]
    below_threshold = np.ones(steps + 1)
    for step in range(steps):
        below_threshold[step + 1] = weights @ p
        p = carry @ p
    first = -np.diff(below_threshold)
    after = np.concatenate([np.zeros(held + 1), first])
    fires = np.zeros(steps)
    for step in range(steps):
        fires[step] = first[step] + fires[:step] @ after[step:0:-1]
    return fires.sum() / T1 * 1000


def spikes_of(system, method: jn.Grid, key=None) -> Any:
    return jn.simulate(
        system, jnp.zeros(N), t1=T1, u=V0, method=method, save=LAST, key=key
    ).spikes


def rates(trials: int, key) -> np.ndarray:
    """The rate of each noisy neuron in each trial (Hz)."""
    method = jn.Grid(DT, record=jn.RecordCounts())

    @jax.jit
    @jax.vmap
    def counts(key):
        run = jn.simulate(
            NOISY, jnp.zeros(N), t1=T1, u=V0, method=method, save=LAST, key=key
        )
        return run.spikes

    return np.asarray(counts(jax.random.split(key, trials)).count) / T1 * 1000


def time_to_threshold(v0: np.ndarray) -> np.ndarray:
    """From the reset to the threshold without noise (ms); infinite for v0 up to 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(v0 > 1, TAU * np.log(v0 / (v0 - 1)), np.inf)


def without_noise(spikes) -> list:
    """The claims about the neurons without noise, from their spikes."""
    steps, held = np.ceil(time_to_threshold(V0) / DT), round(REFRACTORY / DT) - 1
    counts = np.floor((round(T1 / DT) - steps[V0 > 1]) / (steps[V0 > 1] + held)) + 1
    measured = jn.measure.interspike_intervals(spikes)
    neuron, interval = measured.index[measured.valid], measured.value[measured.valid]
    on_grid = steps[neuron] * DT + REFRACTORY - DT
    closed_form = time_to_threshold(V0[neuron]) + REFRACTORY
    return [
        equal(
            "spikes in 1 s, all neurons, by the period in whole steps",
            int(counts.sum()),
            int(spikes.count),
        ),
        below(
            "intervals against ceil(tau ln(v0/(v0 - 1))/dt) dt + t_ref - dt (ms)",
            1e-9,
            np.abs(interval - on_grid).max(),
        ),
        below(
            "intervals against t_ref + tau ln(v0/(v0 - 1)) (ms): less than a step",
            DT,
            np.abs(interval - closed_form).max(),
        ),
    ]


def draw(shown, mean, silent, expected):
    fig, axes = plt.subplots(1, 2, figsize=(6.4, 2.7))
    jn.plot.raster(axes[0], shown, color="k", markersize=0.8)
    axes[0].set(xlabel="time t (ms)", ylabel="neuron", xlim=(0, T1), ylim=(-1, N))
    fine = np.linspace(1, 3, 2001)[1:]
    rate = 1000 / (REFRACTORY + time_to_threshold(fine))
    axes[1].plot(
        np.append([0, 1], fine),
        np.append([0, 0], rate),
        color="0.5",
        lw=0.8,
        label="no noise, expected",
    )
    axes[1].plot(V0, silent, ".", color="0.5", ms=3, label="no noise")
    axes[1].plot(V0, mean, color=jn.plot.COLOURS[0], label="noise")
    axes[1].plot(
        V0[list(expected)],
        list(expected.values()),
        "o",
        color=jn.plot.COLOURS[1],
        mfc="none",
        ms=5,
        label="noise, expected",
    )
    axes[1].set(
        xlabel="drive $v_0$", ylabel="firing rate (Hz)", xlim=(0, 3.05), ylim=(-3, 115)
    )
    axes[1].legend(loc="upper left")
    return fig


def main(*, quick: bool, seed: int) -> Report:
    rates_key, raster_key = jax.random.split(jax.random.key(seed))
    trials = 32 if quick else 400
    noisy = rates(trials, rates_key)
    mean, error = noisy.mean(axis=0), noisy.std(axis=0, ddof=1) / math.sqrt(trials)
    shown = spikes_of(NOISY, jn.Grid(DT), key=raster_key)
    silent = spikes_of(NEURONS, jn.Grid(DT, jn.Exponential(), stamp_at_start=True))
    silent_rate = jn.measure.firing_rates(silent, N, t0=0.0, t1=T1)
    expected = {i: expected_rate(V0[i]) for i in BRIAN2}

    claims = [
        agrees(
            f"rate at v0 = {V0[i]:.2f} (Hz), against quadrature", r, 0.0, mean[i], error[i]
        )
        for i, r in expected.items()
    ]
    apart = [abs(mean[i] - r) / math.hypot(error[i], e) for i, (r, e) in BRIAN2.items()]
    claims.append(
        below("the same against Brian2, largest distance in standard errors", 3, max(apart))
    )
    claims += without_noise(silent)
    return Report(claims, {"noisy_fv_curve": draw(shown, mean, silent_rate, expected)})
