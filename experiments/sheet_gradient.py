"""How far a surrogate gradient through the spiking sheet can be trusted."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from . import _sheet
from ._report import Claim, Report


RP, W_E = 5.0, 0.12
SETTLE_MS = 200.0
STEPS = 120
# The slopes of the surrogate (per mV).
SLOPES = (0.1, 1.0)
# The change in the weight of the finite differences, 2 %.
CHANGE = 0.02 * W_E


def main(*, quick: bool, seed: int) -> Report:
    keys = jax.random.split(jax.random.key(seed), 4 if quick else 16)
    states = jax.lax.map(settled, keys)
    surrogate = {
        beta: np.asarray(jax.lax.map(ft.partial(derivative, beta=beta), states))
        for beta in SLOPES
    }
    differences = np.asarray(jax.lax.map(difference, states))
    steep = np.median(np.abs(surrogate[1.0]), axis=0)
    per_10_ms = growth(steep)
    claims = [
        Claim(
            "differences: the response of the mean s to the weight stays below",
            "1e3 in 60 ms",
            f"{np.abs(differences.mean(0)).max():.0f}",
            bool(np.abs(differences.mean(0)).max() < 1e3),
        ),
        Claim(
            "slope 1 per mV: from 10 ms to 50 ms the derivative explodes",
            "> 1e3 times",
            f"{steep[99] / steep[19]:.0e} times",
            bool(steep[99] / steep[19] > 1e3),
        ),
        Claim(
            "slope 1 per mV: its growth in 10 ms, after the first 10",
            "> 5 times",
            f"{per_10_ms:.0f} times",
            bool(per_10_ms > 5),
        ),
    ]
    return Report(claims, {"horizon": figure(surrogate, differences)})


@jax.jit
def settled(key):
    run = _sheet.simulate(_sheet.sheet(RP), _sheet.drive(), key, ms=SETTLE_MS)
    return jax.tree.map(lambda x: x[0], run.ys)


def mean_activation(w_e, y, surrogate=None):
    """The mean synaptic activation of the excitatory lattice after every step."""
    sheet = eqx.tree_at(lambda s: s.w_e, _sheet.sheet(RP), jnp.asarray(w_e, float))
    method = jn.Grid(_sheet.DT, record=jn.RecordCounts(), surrogate=surrogate)
    save = jn.SaveAt(steps=1, fn=lambda t, y, args: jnp.mean(y.s_e))
    return jn.simulate(sheet, y, t1=STEPS * _sheet.DT, method=method, save=save).ys


@ft.partial(jax.jit, static_argnames="beta")
def derivative(y, beta: float):
    """In the excitatory weight, of the mean activation after every step."""
    surrogate = jn.surrogate.FastSigmoid(beta=beta)
    run = lambda w_e: mean_activation(w_e, y, surrogate)
    return jax.jvp(run, (W_E,), (1.0,))[1]


@jax.jit
def difference(y):
    """The same by a difference of 2 % to either side."""
    higher, lower = (mean_activation(W_E + d, y) for d in (CHANGE, -CHANGE))
    return (higher - lower) / (2 * CHANGE)


def growth(sizes) -> float:
    """By how much the derivative grows in 10 ms, fitted after the first 10."""
    times = _sheet.DT * np.arange(1, STEPS + 1)
    late = times >= 10.0
    slope, _ = np.polyfit(times[late], np.log(sizes[late]), 1)
    return float(np.exp(10.0 * slope))


def figure(surrogate, differences):
    fig, ax = plt.subplots()
    times = _sheet.DT * np.arange(1, STEPS + 1)
    for beta, values in surrogate.items():
        middle = np.median(np.abs(values), axis=0)
        ax.plot(times, middle, label=f"surrogate, slope {beta:g} per mV")
    mean = np.abs(differences.mean(0))
    ax.plot(times, mean, "k", lw=1, label="differences of 2 %, mean over runs")
    ax.axvline(10.0, color="0.6", lw=0.8, ls=":")
    ax.set(
        yscale="log",
        xlabel="horizon (ms)",
        ylabel="|d mean s$_E$ / d w$_E$| (1/µS)",
        title=f"Derivatives through the sheet, rp = {RP:g} ms",
    )
    ax.legend(fontsize=7)
    return fig
