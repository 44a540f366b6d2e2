"""Exercise 1: below half of the coupling no synchrony, above it more and more.

The network is that of `balanced_network`, with 160 e and 40 i. Its PSPs are scaled by one
factor, 0 to 1.5, where 1 is the network that fires at gamma. The drive of each neuron is
its own: the Ornstein-Uhlenbeck current that 80 Poisson neurons of 25 Hz, with PSPs of
0.9 mV (e) and 0.7 mV (i), have for their limit if they are many (Brunel and Wang 2003,
doi:10.1152/jn.01095.2002).

Synchrony is Golomb's χ of the voltages of e, which for N independent neurons is 1/√N, and
the mean correlation of their spike counts in bins of 5 ms.

What is measured: at half of the coupling χ is still below 1.5 times that of independent
neurons; it has doubled somewhere between 0.5 and 1; at 1 it is four times as large or
more. Meanwhile the rate falls and the intervals become *less* regular: the neurons, driven
over threshold when they are alone, skip more and more of the cycles.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._balanced import (
    in_range,
    irregularity,
    mean_and_error,
    neuron,
    recurrent_projections,
    recurrent_tables,
    REST,
    spikes_of,
    stack,
    SYNAPSE_TAU,
    Tables,
    TAU,
    THRESHOLD,
)
from ._report import Claim, Report


SIZES = {"e": 160, "i": 40}
SPIKES_PER_MS = 80 * 25.0 / 1000
DRIVE_PSP = {"e": 0.9, "i": 0.7}
DT, TRANSIENT, SAMPLE, BIN = 0.25, 200.0, 1.0, 5.0
MAX_SPIKES_PER_MS = 25
FACTORS = (0.0, 0.25, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5)
INDEPENDENT = 1 / np.sqrt(SIZES["e"])


class Measures(NamedTuple):
    """Of a run: synchrony, correlation, and the rate (Hz) and CV of e."""

    chi: jax.Array
    correlation: jax.Array
    rate: jax.Array
    cv: jax.Array


def drive(key, t1: float) -> jn.inputs.Sampled:
    """A path of the drive: its mean and its fluctuations, the same at every coupling."""
    area = TAU * np.repeat([DRIVE_PSP[name] for name in SIZES], list(SIZES.values()))
    tau, first_i = SYNAPSE_TAU["x"], SIZES["e"]
    sigma = area * np.sqrt(SPIKES_PER_MS / (2 * tau))
    noise = jn.inputs.OrnsteinUhlenbeck(sigma=sigma, tau=tau)
    path = area * SPIKES_PER_MS + noise.path(t0=0.0, t1=t1, dt=DT, key=key).values
    return jn.inputs.Sampled({"e": path[:, :first_i], "i": path[:, first_i:]}, DT)


def scaled(tables: Tables, factor) -> Tables:
    return {
        name: jn.couplings.Sparse(t.targets, t.indptr, t.indices, factor * t.weights)
        for name, t in tables.items()
    }


def measure(tables: Tables, factor, key, t1: float) -> Measures:
    network = jn.models.Network(
        {name: jn.models.Population(neuron(), size) for name, size in SIZES.items()},
        recurrent_projections(scaled(tables, factor)),
    )
    v_key, drive_key = jax.random.split(key)
    v = jax.random.uniform(v_key, (sum(SIZES.values()),), minval=REST, maxval=THRESHOLD)
    run = jn.simulate(
        network,
        network.initial_state(e=v[: SIZES["e"]], i=v[SIZES["e"] :]),
        t1=t1,
        u=drive(drive_key, t1),
        method=jn.Grid(
            DT, jn.Exponential(), record=jn.RecordTimes(round(MAX_SPIKES_PER_MS * t1))
        ),
        save=jn.SaveAt(steps=round(SAMPLE / DT), fn=lambda t, y, args: y.neurons["e"]),
    )
    spikes, e = spikes_of(run), network.units("e")
    counts = jn.measure.raster(spikes, e, t0=TRANSIENT, t1=t1, dt=BIN)
    return Measures(
        jn.measure.synchrony(run.ys[round(TRANSIENT / SAMPLE) :]),
        jn.measure.pairwise_correlation(counts),
        1000 * counts.mean() / BIN,
        irregularity(spikes, e, TRANSIENT),
    )


def doubling(factors: np.ndarray, chi: np.ndarray) -> float:
    """The coupling at which χ√N passes 2, on a line between two couplings."""
    k = int(np.argmax(chi > 2))
    return float(np.interp(2, chi[k - 1 : k + 1], factors[k - 1 : k + 1])) if k else np.nan


def claims(factors: np.ndarray, runs: Measures) -> list[Claim]:
    chi, cv = np.asarray(runs.chi) / INDEPENDENT, np.asarray(runs.cv)
    most = chi.shape[1] - chi.shape[1] // 8
    half, full = (int(np.flatnonzero(factors == f)[0]) for f in (0.5, 1.0))
    onset = [doubling(factors, x) for x in chi.T]
    return [
        in_range("χ√N without coupling: independent", 0.8, 1.2, chi[0], at_least=most),
        in_range("χ√N at half of the coupling", 0.0, 1.5, chi[half], at_least=most),
        in_range("χ√N at all of the coupling", 4.0, np.inf, chi[full], at_least=most),
        in_range("coupling at which χ√N = 2", 0.5, 1.0, onset, at_least=most),
        in_range(
            "CV of e, at coupling 1 less that at 0",
            0.2,
            np.inf,
            cv[full] - cv[0],
            at_least=most,
        ),
    ]


def plot(factors: np.ndarray, runs: Measures):
    fig, axes = plt.subplots(1, 4, figsize=(7.2, 2.2))
    labels = ("synchrony χ", "correlation of counts", "rate of e (Hz)", "CV of e")
    for ax, x, label in zip(axes, runs, labels, strict=True):
        mean, error = mean_and_error(x)
        ax.plot(factors, x, ".", ms=2, color="0.7")
        ax.errorbar(factors, mean, error, marker="o", ms=3, capsize=2)
        ax.set(xlabel="coupling", ylabel=label, ylim=(0, None), xticks=(0, 0.5, 1, 1.5))
    axes[0].axhline(INDEPENDENT, color="0.4", lw=0.8, ls="--")
    axes[0].text(1.5, 0.5 * INDEPENDENT, "1/√N", ha="right", fontsize=7)
    return fig


def main(*, quick: bool, seed: int) -> Report:
    seeds, t1 = (8, 600.0) if quick else (16, 2200.0)
    factors = np.array(FACTORS) if quick else np.arange(13) / 8
    keys = jax.random.split(jax.random.key(seed), (seeds, 2))
    tables = stack([recurrent_tables(SIZES, key=key) for key in keys[:, 0]])

    def one(tables, factor, key):
        return measure(tables, factor, key, t1)

    over_seeds = jax.vmap(one, (0, None, 0))
    scan = jax.jit(jax.vmap(over_seeds, (None, 0, None)))
    runs = scan(tables, jnp.asarray(factors), keys[:, 1])
    return Report(claims(factors, runs), {"synchrony": plot(factors, runs)})
