"""How long a cell is refractory, by two pulses: it depends on the strength of the second.

The document sets `refrac` to 5 ms for the cells of E and to 2 ms for those of I. This is an
attribute of the Python object, which NEURON never reads. The channels are those of one
squid in both cells, and so is the refractory period that they make: it falls from 14 ms for
a weak second pulse in E, of 0.2 nA, to 6.4 ms for a strong one, of 1 nA, in both cells.
Even the strong one can't reach the spike detector, at 10 mV, without sodium. So the
refractory period is no fixed number.

Source of all numbers: NEURON 9.0.2 with exact rates, steps of 0.025 ms, a start at -65 mV.
The cell is `cell(h, "E", -65)`, or -60 for I, of `benchmarks/_neuron_squares.py`; two
`IClamp`s at `soma(0.5)` last 0.5 ms each, and a `NetCon` counts what crosses 10 mV.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float, Int

import jaxnet as jn

from ._report import close, equal, Report
from ._squares import CLAMP


# The reversal potential of the dendrite's leak (mV).
CELLS = {"E": -65.0, "I": -60.0}
DOCUMENT = {"E": 5.0, "I": 2.0}
ONSET, WIDTH, T1 = 20.0, 0.5, 60.0
FIRST = 0.5
# Of the second pulse (nA); and NEURON's shortest interval between the onsets after which it
# fires a second spike, of 2, 2.1, ... 30 ms.
STRENGTHS = (0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
NEURON = {
    "E": [13.9, 11.7, 10.5, 8.9, 8.0, 6.7, 6.4],
    "I": [12.1, 10.7, 9.7, 8.5, 7.7, 6.7, 6.4],
}
# NEURON's threshold for one pulse lies between these (nA).
THRESHOLD = {"E": (0.15559, 0.15562), "I": (0.13271, 0.13274)}
# NEURON's highest voltage in a pulse of 1 nA without sodium (mV).
PASSIVE = {"E": -5.6307, "I": -6.2475}
SHOWN = (5.0, 7.0, 8.0, 10.0, 14.0)


class Runs(NamedTuple):
    """One entry for each run."""

    counts: Int[Array, "..."]
    ts: Float[Array, "... times"]
    soma: Float[Array, "... times"]


@jax.jit
def two_pulses(cell: jn.models.Cell, first, second, interval) -> Runs:
    """All runs of one cell at once, each with two pulses."""

    def one(first, second, interval):
        pulses = jn.inputs.Pulse(onset=ONSET, duration=WIDTH, value=first)
        pulses += jn.inputs.Pulse(onset=ONSET + interval, duration=WIDTH, value=second)
        run: Any = jn.simulate(
            cell,
            cell.resting_state(),
            t1=T1,
            u=pulses,
            method=CLAMP,
            save=jn.SaveAt(t0=True, steps=1, fn=lambda t, y, args: y.v[0]),
        )
        return Runs(run.spikes.count, run.ts, run.ys)

    return jax.vmap(one)(*jnp.broadcast_arrays(first, second, interval))


class Measured(NamedTuple):
    """What one kind of cell did."""

    shortest: np.ndarray
    alone: list[int]
    passive: float
    shown: Runs


def measure(name: str, intervals: np.ndarray) -> Measured:
    cell = jn.models.ball_and_stick(passive_reversal_potential=CELLS[name])
    pairs = [(a, d) for a in STRENGTHS for d in intervals]
    pairs += [(FIRST, d) for d in SHOWN]
    strength, interval = np.array(pairs).T
    first = np.full(len(pairs), FIRST)
    # One pulse alone is two of which the second has no strength.
    first = np.append(first, THRESHOLD[name])
    strength = np.append(strength, [0.0, 0.0])
    interval = np.append(interval, [10.0, 10.0])
    runs = two_pulses(cell, first, strength, interval)

    counts = np.asarray(runs.counts)
    grid = counts[: -len(SHOWN) - 2].reshape(len(STRENGTHS), len(intervals))
    # From the shortest interval on every one is long enough.
    enough = np.minimum.accumulate((grid >= 2)[:, ::-1], axis=1)[:, ::-1]
    without = eqx.tree_at(lambda c: c.mechanisms["channels"].g_na, cell, jnp.zeros(()))
    passive = two_pulses(
        without, np.full(len(first), STRENGTHS[-1]), 0 * strength, interval
    )
    return Measured(
        intervals[np.argmax(enough, axis=1)],
        counts[-2:].tolist(),
        float(jnp.max(passive.soma[0])),
        jax.tree.map(lambda x: x[-len(SHOWN) - 2 : -2], runs),
    )


def draw(measured: dict[str, Measured]):
    fig, axes = plt.subplots(
        1, 2, figsize=(6.4, 2.9), gridspec_kw={"width_ratios": (1.15, 1)}
    )
    shown = measured["E"].shown
    for k, interval in enumerate(SHOWN):
        colour = plt.get_cmap("viridis")(k / len(SHOWN))
        axes[0].plot(
            shown.ts[k], shown.soma[k], lw=1.0, color=colour, label=f"{interval:.0f} ms"
        )
        axes[0].plot(ONSET + interval, 58, "v", ms=4, color=colour)
    axes[0].plot(ONSET, 58, "v", ms=4, color="k")
    axes[0].axhline(10.0, color="0.6", lw=0.6, ls="--")
    axes[0].set(xlim=(18, 48), ylim=(-80, 65))
    axes[0].set(xlabel="time t (ms)", ylabel="soma's voltage (mV)")
    axes[0].legend(title="interval", loc="center right")
    axes[0].set_title("E: two pulses of 0.5 nA", loc="left")
    for colour, (name, each) in zip(jn.plot.COLOURS, measured.items(), strict=False):
        axes[1].plot(STRENGTHS, each.shortest, color=colour, label=name)
        axes[1].plot(STRENGTHS, NEURON[name], "o", mfc="none", ms=4, color=colour)
        axes[1].axhline(DOCUMENT[name], color=colour, lw=0.8, ls="--")
        axes[1].text(1.0, DOCUMENT[name] + 0.2, f"`refrac` of {name}", ha="right")
    axes[1].plot([], [], "o", mfc="none", ms=4, color="0.3", label="NEURON")
    axes[1].set(xlabel="second pulse (nA)", ylabel="shortest interval (ms)", ylim=(0, 15))
    axes[1].legend()
    return fig


def main(*, quick: bool, seed: int) -> Report:
    low, high = (5.0, 16.0) if quick else (2.0, 30.0)
    intervals = np.arange(low, high + 0.05, 0.1).round(1)
    measured = {name: measure(name, intervals) for name in CELLS}
    claims = []
    for name, each in measured.items():
        claims += [
            equal(
                f"{name}: shortest interval (ms), NEURON",
                NEURON[name],
                each.shortest.tolist(),
            ),
            equal(
                f"{name}: spikes just below and above NEURON's threshold",
                [0, 1],
                each.alone,
            ),
            close(
                f"{name}: highest voltage without sodium (mV), NEURON",
                PASSIVE[name],
                each.passive,
                1e-3,
            ),
        ]
    claims += [
        close(
            "the strongest pulse: I's interval (ms) is E's, not 3 ms less",
            measured["E"].shortest[-1],
            measured["I"].shortest[-1],
            0.1,
        ),
        equal(
            "a refractory period that is set",
            None,
            jn.models.ball_and_stick().refractory_periods(),
        ),
    ]
    return Report(claims, {"cell_refractory_period": draw(measured)})
