"""Fits of a thousand targets in one call, and what the gradient of a run costs.

A target is the period and the amplitude of a limit cycle of the Wilson-Cowan model, sought
from a silent one. The gradient of a run is in reverse mode with checkpoints, on a grid.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxnet as jn

from ._ratio import median_seconds, Ratio, seconds


TARGETS, PAIRS = 1000, 5


class Run(NamedTuple):
    """A loss of some parameter, and its value."""

    name: str
    loss: Callable
    parameter: Any


def thousand_targets() -> list[Ratio]:
    silent = jn.models.WilsonCowan(w_ee=5.5, w_ei=5.0, w_ie=6.0, w_ii=1.0, tau_i=2.0)
    driven = jn.Driven(silent, (1.0, 0.0))
    where = lambda s: (s.system.w_ee, s.system.w_ei, s.system.w_ie, s.system.w_ii)

    @jax.jit
    @jax.vmap
    def fit(period, amplitude):
        rhythm = jn.objectives.Cycle(period, amplitude, (0.4, 0.3))
        found = jn.fit(
            driven,
            rhythm,
            where=lambda s: (where(s), s.input.value[0]),
            constraints=(jn.constraints.Positive(), None),
            method=jn.AllAtOnce(max_steps=50),
        )
        return found.result == jn.RESULTS.successful, found.steps

    periods = jnp.linspace(8.0, 16.0, TARGETS)
    amplitudes = jnp.tile(jnp.linspace(0.15, 0.3, 10), TARGETS // 10)
    first = seconds(fit, periods, amplitudes)
    time = median_seconds(fit, periods, amplitudes, runs=3)
    one = periods[:1], amplitudes[:1]
    seconds(fit, *one)
    single = median_seconds(fit, *one)
    met, steps = fit(periods, amplitudes)
    return [
        Ratio(
            f"{TARGETS} cycles fitted in one call, times a single one",
            f"< {TARGETS}",
            time / single,
            time < TARGETS * single,
            f"{time:.2f} s against {1000 * single:.1f} ms; first run, with compilation, "
            f"{first:.1f} s; {int(met.sum())} targets met in at most {int(steps.max())} "
            "steps",
        )
    ]


def runs() -> list[Run]:
    key = jax.random.key(0)
    slope = jn.surrogate.FastSigmoid()
    counts = jn.RecordCounts(with_slope=True)
    last = jn.SaveAt(t1=True)

    def wilson_cowan(w):
        model = jn.models.WilsonCowan(w_ee=w)
        method = jn.Grid(0.05, checkpoint=True)
        run = jn.simulate(
            model, (0.1, 0.1), t1=500.0, u=(1.0, 0.0), method=method, save=last
        )
        return jnp.sum(run.ys[0] ** 2)

    weights = jax.random.normal(key, (200, 200)) / 200**0.5

    def rate_network(weights):
        method = jn.Grid(0.1, checkpoint=True)
        model = jn.models.RateNetwork(weights)
        y0 = 0.1 * jnp.ones(200)
        run = jn.simulate(model, y0, t1=100.0, method=method, save=last)
        return jnp.sum(run.ys**2)

    kernel = lambda sigma: jn.couplings.TorusGaussian(sigma, size=64, taps=31)

    def rate_sheet(w):
        sheet = jn.models.RateSheet(kernel(2.0), kernel(32.0), w_ee=w)
        y0 = sheet.uniform_state(0.1, 0.1)
        method = jn.Grid(0.1, checkpoint=True)
        run = jn.simulate(sheet, y0, t1=50.0, u=(1.0, 0.0), method=method, save=last)
        return jnp.sum(run.ys.r_e**2)

    def neurons(current):
        method = jn.Grid(0.1, record=counts, surrogate=slope, checkpoint=True)
        v0 = jnp.linspace(-70.0, -55.0, 1000)
        neuron = jn.models.LIF()
        run: Any = jn.simulate(neuron, v0, t1=100.0, u=current, method=method, save=last)
        return jnp.sum(run.spikes.count)

    mask = np.asarray(
        jn.connectivity.bernoulli(400, 400, 0.1, key=key, self_connections=False)
    )
    table = jn.couplings.Sparse.from_mask(mask, 0.5)

    def network(w):
        cells = jn.models.Population(jn.models.LIF(), 400)
        coupling = eqx.tree_at(lambda c: c.weights, table, w * table.weights)
        projection = jn.models.Projection(
            "cells", "cells", coupling, jn.models.ExponentialSynapse(5.0)
        )
        model = jn.models.Network({"cells": cells}, {"all": projection})
        y0 = model.initial_state(cells=jnp.linspace(-70.0, -50.0, 400))
        method = jn.Grid(
            0.1, jn.Exponential(), record=counts, surrogate=slope, checkpoint=True
        )
        run: Any = jn.simulate(
            model, y0, t1=100.0, u={"cells": 18.0}, method=method, save=last
        )
        return jnp.sum(run.spikes.count)

    one = jnp.asarray
    return [
        Run("Wilson-Cowan, 10,000 steps", wilson_cowan, one(9.0)),
        Run("network of 200 rates, 1,000 steps", rate_network, weights),
        Run("rate sheet of 64 x 64, 500 steps", rate_sheet, one(9.0)),
        Run("1,000 neurons, 1,000 steps", neurons, one(20.0)),
        Run("spiking network of 400, 1,000 steps", network, one(1.0)),
    ]


def gradient(run: Run) -> list[Ratio]:
    forward = jax.jit(run.loss)
    backward = jax.jit(jax.value_and_grad(run.loss)).lower(run.parameter).compile()
    for function in (forward, backward):
        seconds(function, run.parameter)
    pairs = [
        (seconds(backward, run.parameter), seconds(forward, run.parameter))
        for _ in range(PAIRS)
    ]
    ratio = float(np.median([a / b for a, b in pairs]))
    analysis: Any = backward.memory_analysis()
    memory = analysis.temp_size_in_bytes / 1e6
    return [
        Ratio(
            f"gradient of a run, {run.name}, in forward runs",
            "<= 4",
            ratio,
            ratio <= 4,
            f"{1000 * np.median(pairs, axis=0)[1]:.1f} ms forward; {memory:.1f} MB of "
            "working memory backward",
        )
    ]


def main() -> list[Ratio]:
    return [*thousand_targets(), *(r for run in runs() for r in gradient(run))]
