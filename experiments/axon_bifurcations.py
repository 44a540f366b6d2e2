"""The squid's axon under a current: Hopf points, and where rest and firing coexist.

The membrane of Hodgkin and Huxley, with voltages as in NEURON, where rest is at -65 mV. In
the paper the leak reverses 10.613 mV above rest, with which rest is not quite at 0; with
10.599 mV it is, and NEURON has 10.7 mV.

By hand each voltage gives a fixed point: the current is what a clamp needs. Its eigenvalues
are those of a Jacobian by complex steps, and the Hopf point is where the real part of a
pair changes its sign.
"""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, Claim, close, equal, Report


# Where the leak reverses (mV): 10.599, 10.613 and 10.7 above -65.
LEAKS = (-54.401, -54.387, -54.3)
# C. Hendrick, draft of 2026, not refereed, https://github.com/ChaseHendrick/hh-dynamics:
# the currents of the two Hopf points (uA/cm2) for the first two, proven by ball arithmetic,
# the angular frequencies (rad/ms) and the first Lyapunov coefficients.
PUBLISHED = (
    (9.7796379953931263, 154.5266336658080008),
    (9.7754379953931263, 154.5224336658080008),
)
OMEGAS = (0.5862338131302925, 1.062921806760336)
LYAPUNOV = (0.014793648131008077780, -0.0047285026950739886388)
SPAN, HEAT = (0.0, 180.0), (6.0, 30.0)
# A state at the peak of a spike, at 6.5 uA/cm2: V, m, h, n.
PEAK = (29.738, 0.90037, 0.23301, 0.56373)
COARSE = jn.Grid(0.1, diffrax.Tsit5(), record=jn.RecordCounts())
BLUE, RED, GREEN, PURPLE = jn.plot.COLOURS[:4]


def current(system):
    return system.input.value


def axon(leak: float = LEAKS[0]) -> jn.models.PointCell:
    """With this area a current of 1 nA is 1 uA/cm2."""
    membrane = {
        "channels": jn.mechanisms.HodgkinHuxley(),
        "leak": jn.mechanisms.Leak(0.0003, leak),
    }
    return jn.models.PointCell(membrane, area=1e5)


# By hand.


class Membrane(NamedTuple):
    """A soma with the channels, and a passive dendrite or none: areas (um2) and leak."""

    leak: float
    soma: float = 1e5
    dendrite: float = 0.0
    coupling: float = 0.0
    celsius: float = 6.3

    def clamp(self, v):
        """The voltages at the fixed point with this one at the soma, and the current."""
        gates, _ = rates(v)
        size = 1e-5 * np.array([self.soma, self.dendrite])
        if self.dendrite == 0:
            return np.append(v, gates), size[0] * ionic(v, gates, self.leak)
        w = (self.coupling * v - size[1] * 65) / (self.coupling + size[1])
        drawn = size[0] * ionic(v, gates, self.leak) + self.coupling * (v - w)
        return np.concatenate([[v], gates, [w]]), drawn

    def field(self, y, injected) -> Any:
        v, gates = y[0], y[1:4]
        steady, speed = rates(v)
        size = 1e-5 * np.array([self.soma, self.dendrite])
        inward = injected - size[0] * ionic(v, gates, self.leak)
        change = 3 ** ((self.celsius - 6.3) / 10) * speed * (steady - gates)
        if self.dendrite == 0:
            return np.append(inward / size[0], change)
        along = self.coupling * (v - y[4])
        beyond = (along - size[1] * (y[4] + 65)) / size[1]
        return np.concatenate([[(inward - along) / size[0]], change, [beyond]])

    def pair(self, v):
        """The current, and the complex eigenvalue with the largest real part."""
        y, injected = self.clamp(v)
        steps = y + 1e-30j * np.eye(len(y))
        matrix = np.array([self.field(z, injected).imag / 1e-30 for z in steps]).T
        values: Any = np.linalg.eigvals(matrix)
        values = values[values.imag > 1e-9]
        return injected, values[np.argmax(values.real)]

    def hopf(self, low, high):
        """The current, ω, and the slope of the growth rate; between two voltages."""
        sign = np.sign(self.pair(low)[1].real)
        for _ in range(60):
            middle = (low + high) / 2
            same = np.sign(self.pair(middle)[1].real) == sign
            low, high = (middle, high) if same else (low, middle)
        at, value = self.pair(low)
        (before, one), (after, other) = self.pair(low - 1e-4), self.pair(low + 1e-4)
        return at, value.imag, (other - one).real / (after - before)


def hottest() -> float:
    """The temperature (degrees) from which on no state of rest is unstable."""

    def growth(celsius):
        membrane = Membrane(LEAKS[0], celsius=celsius)
        return max(membrane.pair(v)[1].real for v in np.arange(-52.0, -44.0, 0.02))

    low, high = 28.0, 30.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if growth(middle) > 0 else (low, middle)
    return low


def rates(v):
    """The steady state and the speed of m, h and n."""
    linoid = lambda x: x / np.expm1(x)
    opening = np.array(
        [linoid(-(v + 40) / 10), 0.07 * np.exp(-(v + 65) / 20), linoid(-(v + 55) / 10) / 10]
    )
    shutting = np.array(
        [
            4 * np.exp(-(v + 65) / 18),
            1 / (1 + np.exp(-(v + 35) / 10)),
            0.125 * np.exp(-(v + 65) / 80),
        ]
    )
    return opening / (opening + shutting), opening + shutting


def ionic(v, gates, leak):
    """The current through the membrane (uA/cm2)."""
    m, h, n = gates
    return 120 * m**3 * h * (v - 50) + 36 * n**4 * (v + 77) + 0.3 * (v - leak)


def ball_and_stick() -> Membrane:
    side, length, resistivity = 12.6157, 200.0, 100.0
    halves = 2 / (np.pi * side) + length / 2 / (np.pi / 4)
    areas = np.pi * side**2, np.pi * length
    return Membrane(-54.3, *areas, 100 / (resistivity * halves))


# By simulation.


class Swings(NamedTuple):
    """The largest and the smallest voltage at the end, from rest and while it fires."""

    currents: np.ndarray
    high: np.ndarray
    low: np.ndarray


def of_peak(cell, v, m, h, n):
    y = cell.resting_state()
    gates = type(y.gates["channels"])(jnp.asarray(m), jnp.asarray(h), jnp.asarray(n))
    return eqx.tree_at(lambda y: (y.v, y.gates["channels"]), y, (jnp.asarray(v), gates))


def voltage(t, y, args):
    return y.v


def simulated(branch, currents, *, t1: float) -> Swings:
    """From the fixed point with 0.1 mV more, and from the peak of a spike."""
    cell, currents = axon(), np.asarray(currents)
    rest = fixed_points(branch, currents)
    peak = jax.tree.map(lambda x: jnp.full(len(currents), x), of_peak(cell, *PEAK))
    moved = eqx.tree_at(lambda y: y.v, rest, rest.v + 0.1)
    starts = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), moved, peak)
    every = jn.SaveAt(steps=1, fn=voltage)

    @jax.jit
    @jax.vmap
    def run(y, u):
        end: Any = jn.simulate(cell, y, t1=t1, u=u, method=COARSE, save=every)
        v = end.ys[-600:]
        return v.max(), v.min()

    both = jnp.concatenate([currents, currents])
    high, low = (np.asarray(x).reshape(2, -1) for x in run(starts, both))
    return Swings(currents, high, low)


def fixed_points(branch, currents):
    """The states of the branch, interpolated: the current rises along it."""
    accepted = np.asarray(branch.accepted)
    at = np.asarray(branch.parameter)[accepted]
    between = lambda x: jnp.asarray(np.interp(currents, at, np.asarray(x)[accepted]))
    return jax.tree.map(between, branch.y)


def unstable_cycles(branch, currents, *, t1: float) -> Swings:
    """The cycles between rest and firing, by bisection of the way from one to the other.

    What starts on the edge of a basin stays near the unstable cycle, until rounding
    decides. Seen are the last 25 ms before two neighbours part; or before the middle of the
    run, since at its end those that have not come to fire yet count as at rest.
    """
    cell, every = axon(), jn.SaveAt(steps=1, fn=voltage)
    rests, peak = fixed_points(branch, currents), of_peak(cell, *PEAK)

    def trace(rest, u, part) -> Any:
        y = jax.tree.map(lambda x, y: x + part * (y - x), rest, peak)
        return jn.simulate(cell, y, t1=t1, u=u, method=COARSE, save=every).ys

    def edge(rest, u):
        def halve(_, ends):
            middle = (ends[0] + ends[1]) / 2
            fires = trace(rest, u, middle)[-300:].max() > -20
            below, above = jnp.array([ends[0], middle]), jnp.array([middle, ends[1]])
            return jnp.where(fires, below, above)

        low, high = jax.lax.fori_loop(0, 50, halve, jnp.array([0.0, 1.0]))
        one, other = trace(rest, u, low), trace(rest, u, high)
        steps = jnp.arange(one.size)
        last = jnp.argmax(jnp.append(jnp.abs(one - other) > 0.05, True))
        last = jnp.minimum(last, one.size // 2)
        seen = (steps >= last - 250) & (steps < last)
        return one.max(where=seen, initial=-jnp.inf), one.min(where=seen, initial=jnp.inf)

    high, low = jax.jit(jax.vmap(edge))(rests, jnp.asarray(currents))
    return Swings(np.asarray(currents), np.asarray(high), np.asarray(low))


def predicted_swing(hopf, speed, distance):
    """Half the range of V at a distance from a Hopf point, by the normal form.

    The radial part is ρ' = ρ (g d + l₁ ω ρ²), where g is the slope of the growth rate, and
    V has 2 ρ |q_V|.
    """
    radius = np.sqrt(np.abs(speed * distance / (hopf.lyapunov * hopf.omega)))
    return 2 * radius * np.abs(complex(hopf.vector.v))


def number(points, k):
    return jax.tree.map(lambda x: x[k], points)


def hopf_claims(branches) -> list[Claim]:
    claims = []
    for leak, branch in zip(LEAKS, branches, strict=True):
        by_hand = [
            Membrane(leak).hopf(*ends)[0] for ends in ((-63.0, -56.0), (-50.0, -40.0))
        ]
        found = np.asarray(branch.hopf_points.parameter[:2])
        named = f"leak {leak + 65:.3f} mV above rest"
        claims.append(
            equal(f"{named}: Hopf points", 2, int(branch.hopf_points.valid.sum()))
        )
        for place, x, y in zip(("lower", "upper"), by_hand, found, strict=True):
            claims.append(close(f"    {place}, by hand (uA/cm2)", x, y, 1e-9))
    for leak, published, branch in zip(LEAKS, PUBLISHED, branches, strict=False):
        error = np.abs(np.asarray(branch.hopf_points.parameter[:2]) - published).max()
        claims.append(
            below(f"{leak + 65:.3f} mV: both as published, error (uA/cm2)", 1e-9, error)
        )
    points = branches[0].hopf_points
    for k, place in enumerate(("lower", "upper")):
        claims += [
            close(f"{place}: ω (rad/ms)", OMEGAS[k], points.omega[k], 1e-9),
            close(
                f"{place}: first Lyapunov coefficient",
                LYAPUNOV[k],
                points.lyapunov[k],
                1e-9,
            ),
            equal(f"{place}: is supercritical", k == 1, bool(points.supercritical[k])),
        ]
    return claims


def swing_claims(swings: Swings, onset: float, end: float) -> list[Claim]:
    ranges = swings.high - swings.low
    between = (swings.currents > 6.3) & (swings.currents < onset - 0.1)
    # Near the points it takes long to leave the fixed point, or to settle.
    past = (swings.currents >= 12) & (swings.currents < end - 12)
    fires = ranges[1] > 50
    first = swings.currents[fires].min()
    before = swings.currents[(swings.currents < first)].max()
    return [
        below(
            "from rest, below the lower point: range of V (mV)",
            1.0,
            ranges[0, between].max(),
        ),
        Claim(
            "while it fires, at the same currents: range of V (mV)",
            "> 90",
            f"{ranges[1, between].min():.1f}",
            bool(ranges[1, between].min() > 90),
        ),
        below(
            "between the points: difference of both ranges (mV)",
            0.5,
            np.abs(ranges[0, past] - ranges[1, past]).max(),
        ),
        Claim(
            "the cycle is born (uA/cm2)",
            "between 6.2 and 6.3",
            f"between {before:.3f} and {first:.3f}",
            bool(6.2 <= before < first <= 6.3),
        ),
    ]


# Derivatives, temperature, and a dendrite.

SHARES = ("$g_{Na}$", "$g_K$", "$g_L$", "$C$")


def four(cell):
    """What the onset is of first degree in."""
    channels, leak = cell.mechanisms["channels"], cell.mechanisms["leak"]
    return channels.g_na, channels.g_k, leak.conductance, cell.capacitance


def derivative_claims(lower) -> tuple[list[Claim], np.ndarray]:
    cell = axon()
    onset = lambda s: jn.hopf(s, current, lower.y).parameter
    at = lambda cell: jn.Driven(cell, float(lower.parameter))
    gradient = eqx.filter_grad(onset)(at(cell)).system
    values = np.array(four(cell))
    share = values * np.array(four(gradient))
    claims = []
    for k, name in enumerate(("g_Na", "g_K", "g_L", "C")):
        moved = values + 1e-4 * values * np.eye(4)[k] * np.array([[1], [-1]])
        up, down = (float(onset(at(eqx.tree_at(four, cell, tuple(x))))) for x in moved)
        claims.append(
            close(
                f"derivative of the lower point in {name}, gradient / central difference",
                1.0,
                share[k] / ((up - down) / 2e-4),
                1e-6,
            )
        )
    channels, leak = gradient.mechanisms["channels"], gradient.mechanisms["leak"]
    here = float(lower.parameter)
    claims += [
        close("derivative in the leak's reversal", -0.3, leak.reversal_potential, 1e-10),
        close("scaling of all currents: Σ x dI/dx over g and C", here, share.sum(), 1e-9),
        close("derivative in the area, times the area", here, 1e5 * gradient.area, 1e-9),
        close(
            "a warmer cell is one with more capacitance: dI/dT, from C dI/dC",
            share[3] * np.log(3) / 10,
            channels.celsius,
            1e-9,
        ),
    ]
    return claims, share


def of_temperature(lower):
    where = lambda s: (s.input.value, s.system.mechanisms["channels"].celsius)
    method = jn.PseudoArclength(scale=50.0, max_step=0.1, max_steps=600)
    driven = jn.Driven(axon(), float(lower.parameter))
    return jn.hopf_curve(driven, where, lower.y, (SPAN, HEAT), method=method)


def temperature_claims(curve) -> list[Claim]:
    accepted = np.asarray(curve.accepted)
    currents, heat = np.asarray(curve.parameters)[accepted].T
    top = int(heat.argmax())
    near = np.polyfit(currents[top - 1 : top + 2], heat[top - 1 : top + 2], 2)
    top_heat = np.polyval(near, -near[1] / (2 * near[0]))
    # 6.3 degrees is met twice.
    again = np.interp(6.3, heat[top:][::-1], currents[top:][::-1])
    generalised = curve.generalised_hopf
    at = np.asarray(generalised.parameters)[np.asarray(generalised.valid)]
    return [
        close(
            "the points meet at the temperature (degrees), by hand",
            hottest(),
            top_heat,
            2e-3,
        ),
        close("the curve returns to 6.3 degrees at (uA/cm2)", PUBLISHED[0][1], again, 0.1),
        equal("generalised Hopf points on it", 1, len(at)),
        Claim(
            "there, current and temperature",
            "below the hottest",
            f"{at[0, 0]:.2f}, {at[0, 1]:.3f}",
            bool(at[0, 1] < top_heat),
        ),
    ]


def of_stick():
    cell = jn.models.ball_and_stick()
    method = jn.PseudoArclength(scale=50.0)
    return jn.continuation(
        jn.Driven(cell, 0.0), current, cell.resting_state(), (0.0, 1.5), method=method
    )


def stick_claims(branch) -> list[Claim]:
    hopf = branch.hopf_points
    by_hand = [ball_and_stick().hopf(*ends) for ends in ((-58.0, -53.0), (-46.0, -43.0))]
    claims = [equal("ball and stick: Hopf points", 2, int(hopf.valid.sum()))]
    for k, place in enumerate(("lower", "upper")):
        claims += [
            close(f"    {place}, by hand (nA)", by_hand[k][0], hopf.parameter[k], 1e-9),
            close("    its ω (rad/ms)", by_hand[k][1], hopf.omega[k], 1e-9),
            equal("    is supercritical", k == 1, bool(hopf.supercritical[k])),
        ]
    return claims


def main(*, quick: bool, seed: int) -> Report:
    # One program for all, so that others than the first cost nothing.
    method = jn.PseudoArclength(scale=50.0)
    start = axon().resting_state()
    branches = [
        jn.continuation(jn.Driven(axon(leak), 0.0), current, start, SPAN, method=method)
        for leak in LEAKS
    ]
    branch = branches[0]
    lower, upper = (number(branch.hopf_points, k) for k in (0, 1))
    onset, end = float(lower.parameter), float(upper.parameter)
    fine = np.arange(6.2, 6.3, 0.01 if quick else 0.004)
    near = np.concatenate([[5.6, 6.0], fine, np.arange(6.4, 10.6, 0.3)])
    far = np.concatenate([np.arange(12, 150, 6.0), end - np.geomspace(0.3, 6, 6)[::-1]])
    swings = simulated(
        branch, np.concatenate([near, far, [160.0, 175.0]]), t1=500.0 if quick else 3000.0
    )
    distance = np.array([0.8, 0.4] if quick else [0.8, 0.4, 0.2])
    lower_half = np.arange(6.3, onset - 1.0, 0.3 if quick else 0.1)
    unstable = unstable_cycles(
        branch,
        np.concatenate([lower_half, onset - distance]),
        t1=600.0 if quick else 1500.0,
    )
    by_hand = Membrane(LEAKS[0])
    speed = by_hand.hopf(-63.0, -56.0)[2]
    swing = (unstable.high - unstable.low)[-2:] / 2
    ratio = swing / predicted_swing(lower, speed, distance[-2:])
    claims = [
        *hopf_claims(branches),
        *swing_claims(swings, onset, end),
        # At small distances it is off by a multiple of the distance.
        close(
            "unstable cycle: amplitude of V / that by l₁, in the limit of no distance",
            1.0,
            2 * ratio[1] - ratio[0],
            0.02 if quick else 0.005,
        ),
    ]
    figures = {
        "axon_bifurcations": picture(branch, swings, unstable),
    }
    if not quick:
        more, share = derivative_claims(lower)
        curve, stick = of_temperature(lower), of_stick()
        claims += [*more, *temperature_claims(curve), *stick_claims(stick)]
        figures["beyond_the_current"] = second_picture(share, onset, curve, stick)
    return Report(claims, figures)


def picture(branch, swings: Swings, unstable: Swings):
    fig = plt.figure(figsize=(7.2, 4.6))
    grid = fig.add_gridspec(2, 2, height_ratios=(1.35, 1))
    whole, zoom = fig.add_subplot(grid[0, 0]), fig.add_subplot(grid[0, 1])
    traces = [fig.add_subplot(grid[1, k]) for k in (0, 1)]
    fires = swings.high[1] - swings.low[1] > 0.5
    at = swings.currents[fires]
    hopf = number(branch.hopf_points, 0)
    for ax in (whole, zoom):
        jn.plot.bifurcation_diagram(ax, branch, lambda y: y.v)
        for k, name in enumerate(("high", "low")):
            stable, edge = getattr(swings, name)[1, fires], getattr(unstable, name)
            labels = ("stable cycle", "unstable cycle") if k == 0 else (None, None)
            ax.plot(at, stable, color=PURPLE, label=labels[0])
            # From the first stable one to the Hopf point.
            ax.plot(
                [at[0], *unstable.currents, float(hopf.parameter)],
                [stable[0], *edge, float(hopf.y.v)],
                ls=(0, (3, 2)),
                color=PURPLE,
                label=labels[1],
            )
        ax.set(xlabel="current I (µA/cm²)", ylabel="voltage V (mV)")
    whole.set(xlim=(0, 180), ylim=(-80, 40))
    zoom.set(xlim=(5.5, 10.7), ylim=(-80, 40))
    zoom.axvspan(at[0], float(hopf.parameter), color="0.93", lw=0, zorder=0)
    middle = (at[0] + float(hopf.parameter)) / 2
    zoom.text(middle, 10, "rest or firing", ha="center", color="0.35")
    whole.legend(loc="upper right", handlelength=1.8)

    cell, t1 = axon(), 100.0
    for ax, u in zip(traces, (8.0, 50.0), strict=True):
        rest = jax.tree.map(lambda x: x[0], fixed_points(branch, np.array([u])))
        for y, color, label in (
            (of_peak(cell, *PEAK), PURPLE, "from the peak of a spike"),
            (eqx.tree_at(lambda y: y.v, rest, rest.v + 1.0), BLUE, "1 mV off rest"),
        ):
            run = jn.simulate(cell, y, t1=t1, u=u, method=COARSE)
            ax.plot(run.ts, run.ys.v, color=color, lw=1, label=label)
        ax.set(xlabel="time t (ms)", ylabel="voltage V (mV)", ylim=(-80, 65))
        ax.set_title(f"I = {u:g} µA/cm²")
        ax.set_yticks([-80, -40, 0, 40])
    traces[0].legend(loc="upper left", ncols=2)
    return fig


def second_picture(share, onset, curve, stick):
    fig, (bars, plane, one) = plt.subplots(1, 3, figsize=(8.4, 2.7))
    colours = [RED if s > 0 else BLUE for s in share]
    bars.barh(range(4), share / 100, color=colours)
    bars.set_yticks(range(4), SHARES)
    bars.tick_params(axis="y", length=0)
    bars.axvline(0, color="0.3", lw=0.8)
    bars.set(xlabel="shift of the lower point\nper +1 % (µA/cm²)")
    jn.plot.two_parameter_diagram(plane, curve)
    plane.axhline(6.3, color="0.6", lw=0.8, zorder=0)
    plane.set(xlabel="current I (µA/cm²)", ylabel="temperature (°C)")
    plane.set_ylim(0, 30)
    plane.text(82, 5.8, "6.3 °C", color="0.4", ha="center", va="top")
    plane.legend(loc="center", handlelength=1.6)
    jn.plot.bifurcation_diagram(
        one, stick, lambda y: y.v[1], label="dendrite", color="0.5", marks=False
    )
    jn.plot.bifurcation_diagram(one, stick, lambda y: y.v[0], label="soma")
    one.set(xlabel="current I (nA)", ylabel="voltage V (mV)")
    one.legend(loc="lower right", handlelength=1.6)
    return fig
