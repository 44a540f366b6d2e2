"""A network of excitatory and inhibitory neurons, and what the experiments ask of it.

The proportions are those of the document: four excitatory neurons (e) for an inhibitory
one (i); a neuron hears a fifth of all e and half of all i; τ = 20 ms, and 15 mV from rest
to threshold. What a network needs besides is added: synapses that last (3 ms from e, 7 ms
from i), a delay of 1.5 ms, a refractory period of 2 ms.

The size of a PSP is its area over τ (mV): the jump that the voltage would make, if the
synapse did not last. A drive from outside (x) has the synapses of e.
"""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from numpy.typing import ArrayLike

import jaxnet as jn

from ._report import Claim


TAU, REST, THRESHOLD, RESET, REFRACTORY = 20.0, -70.0, -55.0, -65.0, 2.0
SYNAPSE_TAU = {"x": 3.0, "e": 3.0, "i": 7.0}
SHARE = {"e": 0.2, "i": 0.5}
DELAY = 1.5

# Sizes (mV) by source and target, in a network of 400 e and 100 i.
PSP = {("e", "e"): 0.25, ("e", "i"): 0.5, ("i", "e"): -0.75, ("i", "i"): -0.6}
SIZE_OF_PSP = {"e": 400, "i": 100}

Tables = dict[str, jn.couplings.Sparse]


def neuron() -> jn.models.LIF:
    return jn.models.LIF(
        tau=TAU,
        threshold=THRESHOLD,
        resting_potential=REST,
        reset_potential=RESET,
        refractory_period=REFRACTORY,
    )


def weight(psp: float, source: str) -> float:
    """The current (mV) with which a synapse opens, from the size of its PSP."""
    return psp * TAU / SYNAPSE_TAU[source]


def draw_table(
    targets: int, sources: int, degree: int, weight: float, *, key
) -> jn.couplings.Sparse:
    """As many synapses for every target, so that the tables of many seeds can be stacked.

    No neuron is connected to itself, nor, where two populations have one size, to its
    partner.
    """
    mask = jn.connectivity.fixed_in_degree(
        targets, sources, degree, key=key, self_connections=False
    )
    return jn.couplings.Sparse.from_mask(mask, weight)


def recurrent_tables(sizes: dict[str, int], *, key) -> Tables:
    """Who is connected to whom. In a smaller network PSPs are larger, their sum is not."""
    keys = jax.random.split(key, len(PSP))
    return {
        source + target: draw_table(
            sizes[target],
            sizes[source],
            round(SHARE[source] * sizes[source]),
            weight(psp * SIZE_OF_PSP[source] / sizes[source], source),
            key=k,
        )
        for ((source, target), psp), k in zip(PSP.items(), keys, strict=True)
    }


def recurrent_projections(tables: Tables) -> dict[str, jn.models.Projection]:
    return {
        source + target: projection(source, target, tables[source + target])
        for source, target in PSP
    }


def projection(
    source: str, target: str, table: jn.couplings.Sparse
) -> jn.models.Projection:
    synapse = jn.models.ExponentialSynapse(SYNAPSE_TAU[source])
    return jn.models.Projection(source, target, table, synapse, delay=DELAY)


def stack(trees: Sequence[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def spikes_of(run: jn.Solution) -> jn.Spikes:
    """The spikes of a run that records their times."""
    return cast(jn.Spikes, run.spikes)


def after(spikes: jn.Spikes, t0: float) -> jn.Spikes:
    """The spikes after a transient."""
    return jn.Spikes(
        spikes.time, spikes.index, spikes.valid & (spikes.time >= t0), spikes.count
    )


def irregularity(spikes: jn.Spikes, units: slice, t0: float) -> Float[Array, ""]:
    """The CV of the intervals, averaged over the neurons that have at least two."""
    intervals = jn.measure.interspike_intervals(after(spikes, t0))
    return jnp.nanmean(jn.measure.cv(intervals, units))


def mean_and_error(x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The mean over seeds, along the last axis, and its standard error."""
    x = np.asarray(x, float)
    return x.mean(axis=-1), x.std(axis=-1, ddof=1) / np.sqrt(x.shape[-1])


def show(x: ArrayLike, digits: int = 2) -> str:
    """The mean over seeds and its standard error, to print."""
    mean, error = mean_and_error(x)
    return f"{mean:.{digits}f} ± {error:.{digits}f}"


def in_range(
    statement: str,
    low: float,
    high: float,
    x: ArrayLike,
    *,
    at_least: int,
    digits: int = 2,
) -> Claim:
    """A claim that in so many seeds a number is inside a range."""
    x = np.asarray(x)
    inside = int(((x >= low) & (x <= high)).sum())
    bounds = f"at least {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"
    return Claim(
        statement,
        f"{bounds} in {at_least} of {x.size} seeds",
        f"{show(x, digits)}, in {inside}",
        inside >= at_least,
    )
