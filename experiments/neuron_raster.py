"""A hundred neurons from different voltages: their raster.

Each neuron follows dv/dt = (2 - v)/tau and so fires every 7 ms, tau ln 2 in whole steps.
Where it starts only shifts its spikes: in 50 ms a neuron fires 7 times, and an eighth time
if it comes to the threshold within the first ten steps, from above 2 - exp(0.1). Initial
voltages drawn uniformly from 0 to 1, as in the source document, give
700 + 100 (exp(0.1) - 1) spikes on average.

Source of the spikes from evenly spaced voltages: Brian2 2.10.1.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import agrees, equal, Report


N, DRIVE, T1, DT = 100, 2.0, 50.0, 0.1
NEURONS = jn.models.LIF(tau=10.0)
# Spikes are stamped as Brian2 does.
TIMES = jn.Grid(DT, jn.Exponential(), stamp_at_start=True)
COUNTS = jn.Grid(DT, jn.Exponential(), record=jn.RecordCounts())
# Seven periods of 7 ms leave ten steps.
EIGHTH = 2 - math.exp(0.1)


def spikes_from(v0, method: jn.Grid) -> Any:
    last = jn.SaveAt(t1=True)
    return jn.simulate(NEURONS, v0, t1=T1, u=DRIVE, method=method, save=last).spikes


def spike_times(spikes, neuron: int) -> list[float]:
    chosen = spikes.valid & (spikes.index == neuron)
    return [round(float(t), 6) for t in spikes.time[chosen]]


def draw(ax, spikes, title: str) -> None:
    jn.plot.raster(ax, spikes, color="k")
    ax.set(xlabel="time t (ms)", xlim=(0, T1), ylim=(-1, N), title=title)


def main(*, quick: bool, seed: int) -> Report:
    even = spikes_from(jnp.linspace(0, 1, N), TIMES)
    draws = 1000 if quick else 20_000
    v0 = jax.random.uniform(jax.random.key(seed), (draws, N))
    counts = jax.vmap(lambda v: spikes_from(v, COUNTS).count.sum())(v0)

    fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.8), sharey=True)
    draw(axes[0], even, "evenly spaced initial voltages")
    draw(axes[1], spikes_from(v0[0], TIMES), "random initial voltages")
    axes[0].set_ylabel("neuron")

    intervals = jn.measure.interspike_intervals(even)
    by_hand = 7 * N + (v0 > EIGHTH).sum(axis=1)
    claims = [
        equal("spikes in 50 ms, evenly spaced, Brian2", 711, int(even.count)),
        equal(
            "spikes of neuron 0, from 0 (ms), Brian2",
            [6.9, 13.9, 20.9, 27.9, 34.9, 41.9, 48.9],
            spike_times(even, 0),
        ),
        equal(
            "spikes of neuron 99, from 1 (ms), Brian2",
            [0.0, 7.0, 14.0, 21.0, 28.0, 35.0, 42.0, 49.0],
            spike_times(even, 99),
        ),
        equal(
            "intervals between spikes (ms): 10 ln 2 in whole steps",
            [round(math.ceil(10 * math.log(2) / DT) * DT, 6)],
            np.unique(np.round(intervals.value[intervals.valid], 6)).tolist(),
        ),
        equal(
            f"random draws, of {draws}, that differ from the count by hand",
            0,
            int((counts != by_hand).sum()),
        ),
        agrees(
            "spikes in 50 ms, random, mean against 700 + 100 (exp(0.1) - 1)",
            7 * N + N * (1 - EIGHTH),
            0.0,
            counts.mean(),
            counts.std(ddof=1) / np.sqrt(draws),
        ),
    ]
    return Report(claims, {"neuron_raster": fig})
