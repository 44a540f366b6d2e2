"""Exercise 3: too many excitatory neurons and the network runs away, where theory says.

200 neurons, each of which hears 50 others, by jumps of the voltage: 0.8 mV from an
excitatory neuron, g times as much downwards from an inhibitory one. Size, number of
synapses and weights stay as they are; the part f of neurons that are excitatory is scanned
from 0.5 to 0.95, with g = 3 and g = 6. Each neuron has a drive and white noise of its own
(14 mV, and 4 mV of the voltage without threshold), τ = 20 ms, 10 mV from reset to
threshold, and a delay of 1.5 ms: model A of Brunel 2000, doi:10.1023/A:1008925309027, made
small.

A spike adds K J (f - g (1 - f)) to the voltages of all its targets together, and costs
the 10 mV from reset to threshold. Where it adds more than it costs, each spike makes more
than one, and only the refractory period of 2 ms ends the growth:

f* = (g + 10 mV / (K J)) / (1 + g), which is 0.81 for g = 3 and 0.89 for g = 6.

At f* the rate is about the square root of the 24 Hz that the drive alone makes times the
500 Hz of the refractory period, 110 Hz. A network that fires at more than 100 Hz is called
a runaway.

What is measured: f* is where the rate passes 100 Hz, on average within 0.02; 0.1 below
f* no network runs away, and 0.05 above it all do. Firing is irregular below f* and regular
above; the population's count varies most just below f*.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._balanced import (
    DELAY,
    draw_table,
    in_range,
    irregularity,
    mean_and_error,
    neuron,
    RESET,
    REST,
    show,
    spikes_of,
    stack,
    TAU,
    THRESHOLD,
)
from ._report import Claim, Report


NEURONS, HEARD, PSP = 200, 50, 0.8
RATIOS = (3.0, 6.0)
EXCITATORY = (0.5, 0.6, 0.7, 0.75, 0.8, 0.825, 0.85, 0.875, 0.9, 0.95)
DRIVE, NOISE = 14.0, 4.0
RUNAWAY = 100.0
DT, TRANSIENT, BIN = 0.25, 100.0, 5.0
MAX_RATE = 330.0
SHOWN, (BLUE, RED) = 3.0, jn.plot.COLOURS[:2]


class Measures(NamedTuple):
    """Of a run: rate (Hz), CV, Fano factor of the population's count, and the spikes."""

    rate: jax.Array
    cv: jax.Array
    fano: jax.Array
    spikes: jn.Spikes


def boundary(g: float) -> float:
    """The part of excitatory neurons above which a spike makes more than one."""
    return (g + (THRESHOLD - RESET) / (HEARD * PSP)) / (1 + g)


def with_signs(
    table: jn.couplings.Sparse, excitatory: jax.Array, g: jax.Array
) -> jn.couplings.Sparse:
    is_excitatory = table.source_of_synapse < jnp.round(excitatory * NEURONS)
    weights = PSP * jnp.where(is_excitatory, 1.0, -g)
    return jn.couplings.Sparse(table.targets, table.indptr, table.indices, weights)


def measure(table: jn.couplings.Sparse, g, excitatory, key, t1: float) -> Measures:
    coupling = with_signs(table, excitatory, g)
    network = jn.models.Network(
        {"cells": jn.models.Population(neuron(), NEURONS)},
        {"all": jn.models.Projection("cells", "cells", coupling, delay=DELAY)},
    )
    v_key, run_key = jax.random.split(key)
    v = jax.random.uniform(v_key, (NEURONS,), minval=REST, maxval=THRESHOLD)
    run = jn.simulate(
        jn.Noisy(network, NOISE * np.sqrt(2 / TAU)),
        network.initial_state(cells=v),
        t1=t1,
        u={"cells": DRIVE},
        method=jn.Grid(
            DT,
            jn.Exponential(),
            record=jn.RecordTimes(round(NEURONS * MAX_RATE * t1 / 1000)),
        ),
        save=jn.SaveAt(t1=True),
        key=run_key,
    )
    spikes = spikes_of(run)
    counts = jn.measure.raster(spikes, NEURONS, t0=TRANSIENT, t1=t1, dt=BIN)
    return Measures(
        1000 * counts.mean() / BIN,
        irregularity(spikes, slice(0, NEURONS), TRANSIENT),
        jn.measure.fano_factor(counts.sum(axis=1)),
        spikes,
    )


def crossing(rate: np.ndarray) -> float:
    """Where the rate passes that of a runaway, on a line between two values of f."""
    k = int(np.argmax(rate > RUNAWAY))
    if k == 0:
        return np.nan
    return float(np.interp(RUNAWAY, rate[k - 1 : k + 1], EXCITATORY[k - 1 : k + 1]))


def claims_at(g: float, rate: np.ndarray, cv: np.ndarray, fano: np.ndarray) -> list[Claim]:
    """The claims for one g, from arrays of shape (values of f, seeds)."""
    f, edge = np.array(EXCITATORY), boundary(g)
    most = rate.shape[1] - rate.shape[1] // 8
    below, above = f <= edge - 0.1, f >= edge + 0.05
    runaways = lambda rows: np.mean(rate[rows] > RUNAWAY, axis=0)
    passes = [crossing(x) for x in rate.T]
    most_varied = f[np.argmax(fano.mean(axis=1))]
    return [
        Claim(
            f"g = {g:g}: f at which the rate passes 100 Hz, by theory f*",
            f"{edge:.3f} ± 0.02",
            show(passes, 3),
            bool(abs(np.mean(passes) - edge) < 0.02),
        ),
        in_range(
            f"g = {g:g}: part of runaways below f* - 0.1",
            0.0,
            0.0,
            runaways(below),
            at_least=most,
        ),
        in_range(
            f"g = {g:g}: part of runaways above f* + 0.05",
            1.0,
            1.0,
            runaways(above),
            at_least=most,
        ),
        in_range(f"g = {g:g}: CV at f = 0.5", 0.5, np.inf, cv[0], at_least=most),
        in_range(f"g = {g:g}: CV at f = 0.95", 0.0, 0.25, cv[-1], at_least=most),
        Claim(
            f"g = {g:g}: f of the largest Fano factor",
            f"{edge - 0.1:.3f} to {edge + 0.02:.3f}",
            f"{most_varied:.3f}",
            bool(edge - 0.1 <= most_varied <= edge + 0.02),
        ),
    ]


def plot_scan(runs: Measures):
    fig, axes = plt.subplots(1, 4, figsize=(7.2, 2.3))
    runaway = np.asarray(runs.rate) > RUNAWAY
    panels = (
        (runs.rate, "rate (Hz)"),
        (runaway, "part of runaways"),
        (runs.cv, "CV of intervals"),
        (runs.fano, "Fano factor, 5 ms"),
    )
    for ax, (values, label) in zip(axes, panels, strict=True):
        for g, x, colour in zip(RATIOS, values, jn.plot.COLOURS, strict=False):
            mean, error = mean_and_error(x)
            ax.axvline(boundary(g), color=colour, lw=0.8, ls="--")
            ax.errorbar(
                EXCITATORY, mean, error, marker="o", ms=3, capsize=2, label=f"g = {g:g}"
            )
        ax.set(xlabel="excitatory part f", ylabel=label, ylim=(0, None))
    axes[0].legend(loc="upper left")
    return fig


def plot_rasters(runs: Measures, t1: float):
    fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.2), sharey=True)
    for ax, f in zip(axes, (0.6, 0.8, 0.9), strict=True):
        k = RATIOS.index(SHOWN), EXCITATORY.index(f), 0
        index, time = np.asarray(runs.spikes.index[k]), np.asarray(runs.spikes.time[k])
        is_excitatory = index < round(f * NEURONS)
        for chosen, colour in (is_excitatory, BLUE), (~is_excitatory, RED):
            ax.plot(time[chosen], index[chosen], "|", ms=1.5, mew=0.4, color=colour)
        ax.set(title=f"f = {f:g}", xlabel="time t (ms)", xlim=(t1 - 200, t1))
    axes[0].set(ylabel=f"neuron (g = {SHOWN:g})", ylim=(0, NEURONS))
    return fig


def main(*, quick: bool, seed: int) -> Report:
    seeds, t1 = (8, 400.0) if quick else (16, 1100.0)
    keys = jax.random.split(jax.random.key(seed), (seeds, 2))
    tables = stack(
        [draw_table(NEURONS, NEURONS, HEARD, 1.0, key=key) for key in keys[:, 0]]
    )

    def one(table, g, excitatory, key):
        return measure(table, g, excitatory, key, t1)

    over_seeds = jax.vmap(one, (0, None, None, 0))
    over_parts = jax.vmap(over_seeds, (None, None, 0, None))
    scan = jax.jit(jax.vmap(over_parts, (None, 0, None, None)))
    runs = scan(tables, jnp.array(RATIOS), jnp.array(EXCITATORY), keys[:, 1])
    claims = [
        claim
        for g, *measures in zip(RATIOS, *map(np.asarray, runs[:3]), strict=True)
        for claim in claims_at(g, *measures)
    ]
    return Report(claims, {"scan": plot_scan(runs), "rasters": plot_rasters(runs, t1)})
