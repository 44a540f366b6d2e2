"""A branched cell: NEURON's voltages, the orders of convergence, and the cable equation.

A soma with the squid's channels and six passive dendrites, as in `benchmarks/_neuron_cell`:
d0 leads to d1 and d2, d1 to d3 and d4, and d5 starts on the other side of the soma. A
current into the end of d3 makes the soma spike, and the spike travels back.

A passive cable with a sealed end, of the electrotonic length L, has V(X) / V(0) =
cosh(L - X) / cosh(L), and the input resistance that of an endless one times coth(L).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, Claim, close, Report


# Parent, where on it (0 or 1), length and diameter (um), and a direction for the picture.
DENDRITES = {
    "d0": ("soma", 1, 100, 3, (1, 0, 0)),
    "d1": ("d0", 1, 80, 2, (1, 0.7, 0)),
    "d2": ("d0", 1, 120, 1.5, (1, -0.6, 0)),
    "d3": ("d1", 1, 90, 1, (1, 0.15, 0)),
    "d4": ("d1", 1, 60, 0.8, (0.2, 1, 0)),
    "d5": ("soma", 0, 150, 1.2, (-1, 0.25, 0)),
}
PLACES = {"soma": ("soma", 0.5), "d3": ("d3", 0.95), "d4": ("d4", 0.95), "d5": ("d5", 0.95)}
T1 = 40.0
# The largest voltage (mV) and its time (ms) in NEURON 9.0.2, with exact rates, 10 segments
# a branch and the time step 0.025 ms, and then 0.001 ms.
NEURON = {
    0.025: {
        "soma": (32.7462547, 7.900),
        "d3": (108.4477951, 8.850),
        "d4": (30.3133356, 8.725),
        "d5": (10.6313810, 8.525),
    },
    0.001: {
        "soma": (33.0361127, 7.857),
        "d3": (108.9469308, 8.825),
        "d4": (30.7469653, 8.702),
        "d5": (11.1382241, 8.495),
    },
}
# For the orders: times (ms) on the rise of the spike, with a current into d3, or the soma.
AT, RISE = 6.5, 3.0
STEPS = tuple(0.1 / 2**k for k in range(6))
SEGMENTS = (5, 10, 20, 40)
RESISTIVITY, LEAK, REST = 150.0, 1e-4, -65.0
BLUE, RED, GREEN, PURPLE = jn.plot.COLOURS[:4]
COLOURS = dict(zip(PLACES, (BLUE, RED, GREEN, PURPLE), strict=True))


def draw_cell(segments: int = 10) -> jn.models.Cell:
    branches = {"soma": jn.models.Branch(20.0, 20.0)}
    for name, (parent, at, length, diameter, direction) in DENDRITES.items():
        branches[name] = jn.models.Branch(
            length, diameter, segments=segments, parent=parent, at=at, direction=direction
        )
    return jn.models.Cell(
        jn.models.Morphology(branches),
        {
            "channels": (jn.mechanisms.HodgkinHuxley(), "soma"),
            "leak": (jn.mechanisms.Leak(0.0003, -54.3), "soma"),
            "passive": (jn.mechanisms.Leak(LEAK, REST), list(DENDRITES)),
        },
        axial_resistivity=RESISTIVITY,
    )


def staggered(dt: float) -> jn.Grid:
    return jn.Grid(dt, jn.Staggered(), record=jn.RecordCounts())


def into_dendrite(cell):
    return jn.inputs.Pulse(onset=5.0, duration=20.0, value=cell.inject(0.5, "d3", 0.95))


def sites(cell) -> list[int]:
    return [cell.morphology.compartment(*place) for place in PLACES.values()]


def run(dt: float):
    """All voltages of the cell with 10 segments, at every step."""
    cell = draw_cell()
    y0, u = cell.resting_state(), into_dendrite(cell)
    return jn.simulate(cell, y0, t1=T1, u=u, method=staggered(dt))


def peaks(dt: float) -> dict[str, tuple[float, float]]:
    cell = draw_cell()
    places = np.array(sites(cell))
    solution = jn.simulate(
        cell,
        cell.resting_state(),
        t1=10.0,
        u=into_dendrite(cell),
        method=staggered(dt),
        save=jn.SaveAt(t0=True, steps=1, fn=lambda t, y, args: y.v[places]),
    )
    v = np.asarray(solution.ys)
    at = v.argmax(axis=0)
    return {
        name: (float(v[k, n]), float(solution.ts[k]))
        for n, (name, k) in enumerate(zip(PLACES, at, strict=True))
    }


def by_step(dt: float) -> np.ndarray:
    """The voltages of the places as the soma rises."""
    cell = draw_cell()
    places = np.array(sites(cell))
    end = jn.simulate(
        cell,
        cell.resting_state(),
        t1=AT,
        u=into_dendrite(cell),
        method=staggered(dt),
        save=jn.SaveAt(t1=True),
    )
    return np.asarray(end.ys.v[-1, places])


def by_segments(segments: int) -> float:
    """The voltage of the soma as it rises, with a current into it.

    A current into a dendrite would move with its compartment.
    """
    cell = draw_cell(segments)
    end = jn.simulate(
        cell,
        cell.resting_state(),
        t1=RISE,
        u=jn.inputs.Pulse(onset=0.5, duration=20.0, value=1.0),
        method=staggered(0.025),
        save=jn.SaveAt(t1=True),
    )
    return float(end.ys.v[-1, 0])


# The passive cable.


class Passive(NamedTuple):
    """At rest, for each length: the places X, the voltage (mV), and what is expected."""

    places: np.ndarray
    voltage: np.ndarray
    expected: np.ndarray


def space_constant(diameter: float) -> float:
    """In um."""
    return 1e4 * np.sqrt(1e-4 * diameter / (4 * RESISTIVITY * LEAK))


def input_resistance(diameter: float, ends) -> np.ndarray:
    """Of a cable with a sealed end (Mohm)."""
    area = np.pi / 4 * (1e-4 * diameter) ** 2
    endless = RESISTIVITY * 1e-4 * space_constant(diameter) / area
    return 1e-6 * endless / np.tanh(ends)


def passive(ends, *, diameter: float = 2.0, segments: int, drawn: float = 0.1) -> Passive:
    """A current into a point at the start: one step of any length leads to rest."""
    unit, forever = space_constant(diameter), 1e12

    @jax.jit
    @jax.vmap
    def rest(end):
        point = jn.models.Branch(1e-3, diameter)
        cable = jn.models.Branch(end * unit, diameter, segments=segments, parent="point")
        cell = jn.models.Cell(
            jn.models.Morphology({"point": point, "cable": cable}),
            {"leak": jn.mechanisms.Leak(LEAK, REST)},
            axial_resistivity=RESISTIVITY,
        )
        y0, method = cell.state_at(REST), staggered(forever)
        return jn.simulate(cell, y0, t1=forever, u=drawn, method=method).ys.v[-1] - REST

    ends = np.asarray(ends)
    middles = (np.arange(segments) + 0.5) / segments
    places = ends[:, None] * np.append(0.0, middles)
    start = drawn * input_resistance(diameter, ends)[:, None]
    expected = start * np.cosh(ends[:, None] - places) / np.cosh(ends)[:, None]
    return Passive(places, np.asarray(rest(jnp.asarray(ends))), expected)


def neuron_claims(found) -> list[Claim]:
    claims = []
    for dt, one in found.items():
        late = np.array([[one[n][k] - NEURON[dt][n][k] for n in PLACES] for k in (0, 1)])
        claims += [
            below(
                f"dt = {dt} ms: peaks at four places against NEURON's (mV)",
                1e-6,
                np.abs(late[0]).max(),
            ),
            below("    their times (ms)", 1e-9, np.abs(late[1]).max()),
        ]
    return claims


def order_claims(by_dt, by_n) -> list[Claim]:
    halved, doubled = np.diff(by_dt, axis=0), np.diff(by_n)
    ratios = np.abs(halved[-2] / halved[-1])
    first = f"error of the step, on halving from {2e3 * STEPS[len(by_dt) - 2]:g} us: ratios"
    return [
        Claim(
            first,
            "2.0 ± 0.1",
            ", ".join(f"{r:.2f}" for r in ratios),
            bool(np.abs(ratios - 2).max() < 0.1),
        ),
        close(
            f"error of the segments, on doubling to {SEGMENTS[len(by_n) - 1]}: ratio",
            4.0,
            doubled[-2] / doubled[-1],
            0.1,
        ),
    ]


def passive_claims(one: Passive, ends) -> list[Claim]:
    error = one.voltage / one.expected - 1
    return [
        claim
        for end, row in zip(ends, error, strict=True)
        for claim in (
            below(
                f"L = {end:g}: error of the input resistance, relative", 1e-3, abs(row[0])
            ),
            below("    of the profile", 1e-3, np.abs(row).max()),
        )
    ]


def main(*, quick: bool, seed: int) -> Report:
    found = {dt: peaks(dt) for dt in ((0.025,) if quick else NEURON)}
    steps, segments = STEPS[: 4 if quick else None], SEGMENTS[: 3 if quick else None]
    by_dt = np.array([by_step(dt) for dt in steps])
    by_n = np.array([by_segments(n) for n in segments])
    ends = (0.5, 1.0, 2.0)
    cable = passive(ends, segments=50)
    claims = [
        *neuron_claims(found),
        *order_claims(by_dt, by_n),
        *passive_claims(cable, ends),
    ]
    if not quick:
        errors = [np.abs(passive(ends, segments=n).voltage[:, 0]) for n in (10, 20)]
        exact = cable.expected[:, 0]
        ratio = (errors[0] / exact - 1) / (errors[1] / exact - 1)
        claims.append(
            close("segments of the cable, doubled: ratio of errors", 4, ratio[-1], 0.1)
        )
    figures = {
        "branched_cell": picture(run(0.025)),
        "convergence": plot_orders(steps, by_dt, segments, by_n, cable, ends),
    }
    return Report(claims, figures)


def along(cell) -> tuple[np.ndarray, np.ndarray]:
    """The compartments from the end of d5 to that of d3, and how far they are (um)."""
    numbers, lengths = [], []
    for name, backward in (
        ("d5", True),
        ("soma", False),
        ("d0", False),
        ("d1", False),
        ("d3", False),
    ):
        inside = cell.morphology.region(name)
        numbers.append(inside[::-1] if backward else inside)
        lengths.append(np.asarray(cell.morphology.length)[inside])
    lengths = np.concatenate(lengths)
    middles = np.cumsum(lengths) - lengths / 2
    from_soma = middles - middles[len(cell.morphology.region("d5"))]
    return np.concatenate(numbers), from_soma


def picture(solution):
    cell = draw_cell()
    fig = plt.figure(figsize=(7.6, 4.9))
    grid = fig.add_gridspec(2, 2, width_ratios=(1, 1.1))
    shape: Any = fig.add_subplot(grid[0, 0], projection="3d")
    jn.plot.cells(shape, cell, colour="0.35", width=0.42)
    middles = np.asarray(cell.morphology.points).mean(axis=1)
    for (name, color), k in zip(COLOURS.items(), sites(cell), strict=True):
        shape.scatter(*middles[k], color=color, s=22, depthshade=False, clip_on=False)
        shape.text(*(middles[k] + [4, 14, 0]), name, color=color, ha="center")
    shape.view_init(elev=90, azim=-90)
    shape.set_proj_type("ortho")
    shape.set_axis_off()
    lengths = np.ptp(np.asarray(cell.morphology.points), axis=(0, 1))
    shape.set_box_aspect((*lengths[:2], 20.0), zoom=1.42)

    v, ts = np.asarray(solution.ys.v), np.asarray(solution.ts)
    trace = fig.add_subplot(grid[0, 1])
    for (name, color), k in zip(COLOURS.items(), sites(cell), strict=True):
        trace.plot(ts, v[:, k], color=color, lw=1.2, label=name)
        peak, at = NEURON[0.025][name]
        trace.plot(at, peak, "o", ms=5, mfc="none", color=color)
    trace.plot([], [], "o", ms=5, mfc="none", color="0.4", label="NEURON, peak")
    trace.set(xlabel="time t (ms)", ylabel="voltage V (mV)", xlim=(4, T1))
    trace.legend(loc="upper right")

    numbers, places = along(cell)
    wave = fig.add_subplot(grid[1, :])
    inside = (ts >= 5) & (ts <= 15)
    drawn = wave.pcolormesh(
        ts[inside],
        places,
        v[inside][:, numbers].T,
        shading="nearest",
        cmap="magma",
        rasterized=True,
    )
    fig.colorbar(drawn, ax=wave, label="voltage V (mV)")
    wave.axhline(0, color="w", lw=0.6, ls=":")
    for place, name in ((-140, "d5"), (20, "soma, d0"), (125, "d1"), (200, "d3")):
        wave.text(14.9, place, name, color="w", ha="right", va="bottom")
    peak = v[inside][:, numbers].argmax(axis=0)
    wave.plot(ts[inside][peak], places, color="w", lw=1, label="largest voltage")
    wave.legend(loc="lower center", labelcolor="w")
    wave.set(xlabel="time t (ms)", ylabel="distance from the soma (µm)", xlim=(5, 15))
    return fig


def plot_orders(steps, by_dt, segments, by_n, cable: Passive, ends):
    fig, (one, two, three) = plt.subplots(1, 3, figsize=(7.8, 2.7))
    # Richardson's limit stands for what is not known.
    limit = 2 * by_dt[-1] - by_dt[-2]
    for k, (name, color) in enumerate(COLOURS.items()):
        one.loglog(
            steps, np.abs(by_dt[:, k] - limit[k]), "o-", ms=3, color=color, label=name
        )
    one.loglog(steps, 8 * np.array(steps), color="0.5", lw=0.8, ls="--", label="order 1")
    one.set_xticks(steps, [f"{1e3 * dt:.3g}" for dt in steps], rotation=45)
    one.set_xticks([], minor=True)
    one.set_yticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
    one.set_yticks([], minor=True)
    one.set(xlabel="step dt (µs)", ylabel="error of V (mV)", ylim=(None, 4))
    one.legend(ncols=2, loc="upper left", handlelength=1.4)
    limit = (4 * by_n[-1] - by_n[-2]) / 3
    n = np.array(segments)
    two.loglog(n, np.abs(by_n - limit), "o-", ms=3, color=BLUE, label="soma")
    two.loglog(n, 6 / n**2, color="0.5", lw=0.8, ls="--", label="order 2")
    two.set_xticks(n, [str(k) for k in n])
    two.set_xticks([], minor=True)
    two.set_yticks([0.001, 0.01, 0.1], ["0.001", "0.01", "0.1"])
    two.set_yticks([], minor=True)
    two.set(xlabel="segments a branch", ylabel="error of V (mV)")
    two.legend()
    worst = np.abs(cable.voltage / cable.expected - 1).max()
    for k, end in enumerate(ends):
        x, scale = np.linspace(0, end, 100), cable.expected[k, 0]
        color = (BLUE, RED, GREEN)[k]
        three.plot(x, np.cosh(end - x) / np.cosh(end), color=color, label=f"L = {end:g}")
        three.plot(
            cable.places[k, ::5], cable.voltage[k, ::5] / scale, "o", ms=3, color=color
        )
    three.plot([], [], color="0.5", label="closed form")
    three.plot([], [], "o", ms=3, color="0.5", label="50 segments")
    three.set(xlabel="X (space constants)", ylabel="V(X) / V(0)", ylim=(0, 1.05))
    three.set_title(f"{1e2 * worst:.2g} % at most from it")
    three.legend(ncols=1, loc="lower left", fontsize=6)
    return fig
