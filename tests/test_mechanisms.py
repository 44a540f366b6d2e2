"""Channels against their formulas, and cells of one compartment."""

import decimal
import functools
from decimal import Decimal
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import jaxnet as jn
from jaxnet import couplings, inputs, mechanisms, models
from jaxnet.mechanisms import HodgkinHuxley, Leak, TraubMiles


DT = 0.025
STAGGERED = jn.Grid(DT, jn.Staggered())

# Rates and their derivatives, in fifty digits.


def linoid(x, order):
    """x / (e^x - 1) and its first two derivatives."""
    if x == 0:
        return [Decimal(1), Decimal(-1) / 2, Decimal(1) / 6][order]
    e = x.exp()
    if order == 0:
        return x / (e - 1)
    if order == 1:
        return (e - 1 - x * e) / (e - 1) ** 2
    return e * (x * (e + 1) - 2 * (e - 1)) / (e - 1) ** 3


def exponential(x, order):
    return x.exp()


def logistic(x, order):
    """1 / (1 + e^x) and its first two derivatives."""
    e = x.exp()
    return [1 / (1 + e), -e / (1 + e) ** 2, e * (e - 1) / (1 + e) ** 3][order]


# Each rate is a scale times a kind of ((v - shift) / width); widths have a sign.
RATES = {
    HodgkinHuxley: {
        "opening m": ("1", linoid, "-40", "-10"),
        "opening h": ("0.07", exponential, "-65", "-20"),
        "opening n": ("0.1", linoid, "-55", "-10"),
        "shutting m": ("4", exponential, "-65", "-18"),
        "shutting h": ("1", logistic, "-35", "-10"),
        "shutting n": ("0.125", exponential, "-65", "-80"),
    },
    TraubMiles: {
        "opening m": ("1.28", linoid, "-50", "-4"),
        "opening h": ("0.128", exponential, "-46", "-18"),
        "opening n": ("0.16", linoid, "-48", "-5"),
        "shutting m": ("1.4", linoid, "-23", "5"),
        "shutting h": ("4", logistic, "-23", "-5"),
        "shutting n": ("0.5", exponential, "-53", "-40"),
    },
}
SINGULAR = {HodgkinHuxley: (-40.0, -55.0), TraubMiles: (-50.0, -48.0, -23.0)}
KINDS = pytest.mark.parametrize("kind", RATES, ids=lambda kind: kind.__name__)


def exact(kind, name, v, order):
    scale, shape, shift, width = RATES[kind][name]
    width = Decimal(width)
    with decimal.localcontext(prec=60):
        x = (Decimal(v) - Decimal(shift)) / width
        return float(Decimal(scale) * shape(x, order) / width**order)


def rate(kind, name):
    which, gate = name.split()
    index = ("opening", "shutting").index(which)
    return lambda v: getattr(kind().transition_rates(v)[index], gate)


@functools.cache
def rates_and_derivatives(kind, voltages, x64):
    """Of all rates, in the order of `RATES`: the value, and the slope by reverse mode."""

    def rates(v):
        table = []
        for f in (rate(kind, name) for name in RATES[kind]):
            slope = lambda v, f=f: jax.vjp(f, v)[1](jnp.ones_like(v))[0]
            table.append([f(v), *jax.jvp(slope, (v,), (jnp.ones_like(v),))])
        return jnp.array(table), jnp.array(jax.tree.leaves(kind().steady_gates(v)))

    with jax.enable_x64(x64):
        return [np.asarray(x) for x in jax.jit(rates)(jnp.array(voltages))]


# The first two are those at which all is open, or shut.
FAR = (-1e8, 1e8, -1e4, 1e4, -500.0, 500.0)


def voltages_near(kind):
    """Ordinary ones, and those about the singularities."""
    away = np.array([0, 1e-12, -1e-9, 1e-6, -1e-4, 1e-3, -0.01, 0.1, -1.0])
    ordinary = np.linspace(-120, 60, 19)
    return np.concatenate([ordinary, *(at + away for at in SINGULAR[kind])])


@KINDS
def test_rates_and_their_derivatives_are_those_of_the_formulas(kind):
    v = voltages_near(kind)
    found, _ = rates_and_derivatives(kind, (*FAR, *v), x64=True)
    found = found[..., len(FAR) :]
    for i, name in enumerate(RATES[kind]):
        for order, rtol in enumerate((1e-13, 1e-12, 1e-11)):
            expected = np.array([exact(kind, name, x, order) for x in v])
            scale = np.abs(expected).max() if order else np.abs(expected)
            error = np.abs(found[i, order] - expected) / scale
            assert error.max() < rtol, (name, order, v[error.argmax()])


@KINDS
@pytest.mark.parametrize("x64", [True, False])
def test_rates_are_finite_however_far_the_voltage(kind, x64):
    """What ran away must not become NaN, nor its derivatives."""
    found, gates = rates_and_derivatives(kind, (*FAR, *voltages_near(kind)), x64)
    assert found.dtype == (np.float64 if x64 else np.float32)
    assert np.isfinite(found).all()
    assert (found[:, 0] >= 0).all()
    assert ((gates >= 0) & (gates <= 1)).all()
    # All open, or all shut: m and n at 1e8 mV, h at -1e8 mV.
    m, h, n = gates[:, :2]
    np.testing.assert_allclose([m, n], [[0, 1], [0, 1]], rtol=0, atol=1e-6)
    np.testing.assert_allclose(h, [1, 0], rtol=0, atol=1e-6)


@KINDS
def test_gates_relax_to_where_they_are_steady(kind):
    channels = kind()
    v = jnp.array([-80.0, -50.0, 0.0])
    steady = channels.steady_gates(v)
    for leaf in jax.tree.leaves(channels.gate_rates(v, steady)):
        np.testing.assert_allclose(leaf, 0, rtol=0, atol=1e-15)
    shut = jax.tree.map(jnp.zeros_like, steady)
    opening = np.array([exact(kind, f"opening {g}", float(v[0]), 0) for g in "mhn"])
    rates = channels.gate_rates(v, shut)
    np.testing.assert_allclose([rates.m[0], rates.h[0], rates.n[0]], opening, rtol=1e-13)


def test_ten_degrees_make_the_gates_of_the_squid_three_times_as_fast():
    v = jnp.linspace(-80, 20, 5)
    cold, warm = HodgkinHuxley(), HodgkinHuxley(celsius=16.3)
    gates = mechanisms.Gates(jnp.full(5, 0.1), jnp.full(5, 0.4), jnp.full(5, 0.7))
    for slow, fast in zip(
        *(jax.tree.leaves(c.gate_rates(v, gates)) for c in (cold, warm)), strict=True
    ):
        np.testing.assert_allclose(fast, 3 * slow, rtol=1e-13)
    for a, b in zip(
        *(jax.tree.leaves(c.steady_gates(v)) for c in (cold, warm)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-13)


@KINDS
def test_the_current_of_channels_is_that_of_open_gates(kind):
    channels = kind(g_na=0.2, g_k=0.03, e_na=45.0, e_k=-80.0)
    gates = mechanisms.Gates(jnp.array(0.5), jnp.array(0.25), jnp.array(0.75))
    expected = 0.2 * 0.5**3 * 0.25 * (-60 - 45) + 0.03 * 0.75**4 * (-60 + 80)
    found = channels.current(jnp.array(-60.0), gates)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


# Cells of one compartment.


def passive(**kwargs):
    """5e-5 S/cm2 on 20000 um2 are 10 nS; with 1 uF/cm2 the time constant is 20 ms."""
    return models.PointCell({"leak": Leak(5e-5, -60.0)}, area=20_000.0, **kwargs)


def test_a_passive_cell_has_the_resistance_and_the_time_constant_of_its_membrane():
    cell, ts = passive(), jnp.linspace(0, 100, 11)
    run = jn.simulate(cell, cell.state_at(-60.0), t1=100.0, u=0.1, save=jn.SaveAt(ts=ts))
    np.testing.assert_allclose(run.ys.v, -60 + 10 * (1 - np.exp(-ts / 20)), rtol=1e-8)


def implicit_euler(v, current, threshold, steps):
    """A passive cell by its recurrence, and the steps in which it rises above."""
    trace, crossings = [v], []
    for k in range(steps):
        # 10 nS, 0.2 nF.
        drive = current(DT * (k + 0.5)) / 0.2 + -60 / 20
        trace.append((trace[-1] + DT * drive) / (1 + DT / 20))
        if trace[-2] <= threshold < trace[-1]:
            crossings.append(DT * (k + 1))
    return np.array(trace), crossings


@pytest.mark.parametrize("start", [-60.0, 10.001, 30.0])
def test_a_spike_is_one_upward_crossing(start):
    """Two pulses; a cell that starts above has not crossed, and falls first.

    A pulse is on in the steps whose middle is in it.
    """
    pulses = inputs.Pulse(10.01, 15.0, 2.0) + inputs.Pulse(50.02, 20.0, 2.0)
    current = lambda t: 2.0 * (10.01 <= t < 25.01 or 50.02 <= t < 70.02)
    cell = passive()
    run = jn.simulate(cell, cell.state_at(start), t1=80.0, u=pulses, method=STAGGERED)
    trace, crossings = implicit_euler(start, current, 10.0, 3200)
    np.testing.assert_allclose(run.ys.v, trace, rtol=0, atol=1e-10)
    assert len(crossings) == 2
    assert int(run.spikes.count) == 2
    np.testing.assert_allclose(run.spikes.time[:2], crossings, rtol=0, atol=1e-9)


def test_a_cell_that_stays_above_never_spikes():
    cell = passive()
    run = jn.simulate(cell, cell.state_at(20.0), t1=50.0, u=1.0, method=STAGGERED)
    assert run.ys.v.min() > 10
    assert int(run.spikes.count) == 0


def test_the_threshold_is_a_parameter_one_a_cell():
    cell = passive(threshold=jnp.array([-50.0, 10.0, 1000.0]))
    run = jn.simulate(cell, cell.state_at(-60.0, 3), t1=80.0, u=1.0, method=STAGGERED)
    for unit, threshold in enumerate((-50.0, 10.0, 1000.0)):
        _, crossings = implicit_euler(-60.0, lambda t: 1.0, threshold, 3200)
        mine = run.spikes.valid & (run.spikes.index == unit)
        np.testing.assert_allclose(run.spikes.time[mine], crossings, rtol=0, atol=1e-9)
    assert int(run.spikes.count) == 2


def test_what_makes_its_spikes_by_channels_says_so():
    assert passive().spikes_by_crossing()
    assert passive().is_smooth()
    assert not models.LIF().spikes_by_crossing()
    assert not models.LIF().is_smooth()
    network = models.Network(
        {
            "cells": models.Population(passive(), 2),
            "lif": models.Population(models.LIF(), 1),
        }
    )
    assert np.asarray(network.spikes_by_crossing()).tolist() == [True, True, False]
    with pytest.raises(ValueError, match=r"`Adaptive` does not locate spikes.*`Grid"):
        jn.simulate(network, network.initial_state(), t1=1.0)


def test_a_voltage_that_runs_away_is_told():
    """A leak of the wrong sign: v grows by e in 2 ms, and passes 200 mV."""
    growing = models.PointCell({"leak": Leak(0.0)}, area=1e5)
    run = jn.simulate(
        growing,
        growing.state_at(jnp.array([0.0, 50.0, 0.0]), 3),
        t1=20.0,
        u=jnp.array([0.0, 10.0, 8.0]),
        method=STAGGERED,
        throw=False,
    )
    # 10 uA/cm2 into 1 uF/cm2: 10 mV/ms.
    assert run.result == jn.RESULTS.diverged
    assert int(run.stats["diverged_unit"]) == 1
    assert float(run.stats["diverged_at"]) == pytest.approx(15.0, abs=1.5 * DT)


class Potassium(mechanisms.AbstractMechanism):
    """Without gates, as a leak would be."""

    g: jn.Parameter = jn.parameter(1e-4, nonnegative=True)

    def steady_gates(self, v):
        return None

    def gate_rates(self, v, gates):
        return None

    def current(self, v, gates):
        return self.g * (v + 90)


def test_a_mechanism_of_ones_own_adds_its_current():
    cell = models.PointCell({"leak": Leak(1e-4, -60.0), "k": Potassium()}, area=20_000.0)
    method = jn.Grid(1e12, jn.Staggered())
    run = jn.simulate(cell, cell.resting_state(), t1=1e12, method=method)
    np.testing.assert_allclose(run.ys.v[-1], -75, rtol=1e-9)


# The squid's axon by itself: 1 nA on 1e5 um2 is 1 uA/cm2.


def axon(**kwargs):
    return models.PointCell(
        {"channels": HodgkinHuxley(**kwargs), "leak": Leak(0.0003, -54.3)}, area=1e5
    )


def by_hand(y, u):
    """The flow of the axon in NumPy; y is v, m, h and n."""
    v, m, h, n = y
    a_m = (v + 40) / 10 / (1 - np.exp(-(v + 40) / 10))
    a_n = 0.1 * (v + 55) / 10 / (1 - np.exp(-(v + 55) / 10))
    a_h, b_h = 0.07 * np.exp(-(v + 65) / 20), 1 / (1 + np.exp(-(v + 35) / 10))
    b_m, b_n = 4 * np.exp(-(v + 65) / 18), 0.125 * np.exp(-(v + 65) / 80)
    current = 120 * m**3 * h * (v - 50) + 36 * n**4 * (v + 77) + 0.3 * (v + 54.3)
    return np.array(
        [
            u - current,
            a_m * (1 - m) - b_m * m,
            a_h * (1 - h) - b_h * h,
            a_n * (1 - n) - b_n * n,
        ]
    )


def rest_by_hand(u):
    start = np.array([-65.0, 0.05, 0.6, 0.32])
    return scipy.optimize.fsolve(by_hand, start, args=(u,), xtol=1e-13)


def eigenvalues_by_hand(y, u):
    """By complex steps."""
    steps = 1e-30j * np.eye(4)
    jacobian = np.stack([by_hand(y + s, u).imag / 1e-30 for s in steps], axis=1)
    values = np.linalg.eigvals(jacobian)
    return values[np.lexsort((-values.imag, -values.real))]


@pytest.mark.parametrize(("u", "stable"), [(0.0, True), (9.6, True), (10.0, False)])
def test_the_rest_of_the_axon_and_its_stability(u, stable):
    """Between 9.78 uA/cm2 and 154 it fires: Hassard 1978."""
    cell = axon()
    starts = jax.vmap(cell.state_at)(jnp.array([-80.0, -65.0, -50.0]))
    points = jn.fixed_points(cell, starts, u=u, max_points=3)
    assert int(points.count) == 1
    expected = rest_by_hand(u)
    point = jax.tree.map(lambda x: x[0], points.y)
    gates = point.gates["channels"]
    np.testing.assert_allclose([point.v, gates.m, gates.h, gates.n], expected, rtol=1e-9)
    np.testing.assert_allclose(
        points.eigenvalues[0], eigenvalues_by_hand(expected, u), rtol=1e-6
    )
    assert bool(points.stability.stable[0]) == stable
    assert bool(jn.stability(cell, point, u=u).stable) == stable


def test_one_parameter_a_cell_is_as_many_cells():
    values = jnp.array([0.08, 0.12, 0.2])
    method, save = STAGGERED, jn.SaveAt(t0=True, steps=8)
    many = axon(g_na=values)
    run = jn.simulate(
        many, many.resting_state(3), t1=15.0, u=20.0, method=method, save=save
    )

    def one(g_na):
        cell = axon(g_na=g_na)
        y0 = cell.resting_state()
        return jn.simulate(cell, y0, t1=15.0, u=20.0, method=method, save=save).ys.v

    np.testing.assert_allclose(run.ys.v.T, jax.vmap(one)(values), rtol=1e-10)
    assert np.ptp(run.ys.v, axis=1).max() > 10


def test_noise_on_the_voltage_has_the_variance_of_its_recurrence():
    """x' = x / (1 + a dt) + s sqrt(dt) z, and no noise on the rest of the state."""
    cell, dt, strength, cells = passive(), 0.5, 2.0, 4000
    noisy = jn.Noisy(cell, models.CellState(jnp.array(strength), {"leak": None}))
    run = jn.simulate(
        noisy,
        cell.state_at(-60.0, cells),
        t1=150.0,
        method=jn.Grid(dt, jn.Staggered()),
        save=jn.SaveAt(t1=True),
        key=jax.random.key(0),
    )
    variance = strength**2 * dt / (1 - 1 / (1 + dt / 20) ** 2)
    v = np.asarray(run.ys.v[-1])
    assert v.mean() == pytest.approx(-60, abs=4 * np.sqrt(variance / cells))
    assert v.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / cells))


# COBAHH of Brette et al. 2007, in small: 200 cells, 30 ms.


@functools.cache
def brian2():
    """Brian2 2.9.0, exponential Euler, with numpy code generation."""
    with np.load(Path(__file__).parent / "data" / "neuron" / "cobahh.npz") as data:
        return dict(data)


@pytest.fixture(scope="module")
def cobahh():
    size, excitatory = 200, 160
    data = brian2()
    cell = models.PointCell(
        {"channels": TraubMiles(), "leak": Leak(5e-5, -60.0)},
        area=20_000.0,
        threshold=-20.0,
    )
    source, target = (data[end].astype(int) for end in ("source", "target"))

    def projection(chosen, weight, tau, reversal):
        coupling = couplings.Sparse.from_pairs(
            source[chosen], target[chosen], weight, shape=(size, size)
        )
        synapse = models.ExponentialSynapse(tau, reversal_potential=reversal)
        return models.Projection("cells", "cells", coupling, synapse)

    is_excitatory = source < excitatory
    network = models.Network(
        {"cells": models.Population(cell, size)},
        {
            "excitatory": projection(is_excitatory, 0.006, 5.0, 0.0),
            "inhibitory": projection(~is_excitatory, 0.067, 10.0, -80.0),
        },
    )
    shut = jnp.zeros(size)
    start = models.CellState(
        jnp.asarray(1e3 * data["start_v"]),
        {"channels": mechanisms.Gates(shut, shut, shut), "leak": None},
    )
    conductances = {
        "excitatory": jnp.asarray(1e6 * data["start_ge"]),
        "inhibitory": jnp.asarray(1e6 * data["start_gi"]),
    }
    return jn.simulate(
        network,
        models.NetworkState({"cells": start}, conductances),
        t1=30.0,
        method=jn.Grid(0.1, jn.Exponential(), stamp_at_start=True),
        save=jn.SaveAt(t0=True, steps=10, fn=lambda t, y, args: y.neurons["cells"].v),
    )


def test_cobahh_fires_in_the_steps_of_brian2(cobahh):
    count = int(cobahh.spikes.count)
    assert count == len(brian2()["spike_steps"]) == 182
    steps = np.asarray(cobahh.spikes.time[:count]) / 0.1
    np.testing.assert_allclose(steps, brian2()["spike_steps"], rtol=0, atol=1e-6)
    assert cobahh.spikes.index[:count].tolist() == brian2()["spike_cells"].tolist()


def test_cobahh_has_the_voltages_of_brian2(cobahh):
    np.testing.assert_allclose(cobahh.ys, brian2()["v"].T, rtol=0, atol=1e-9)


# Bad parameters, inputs and states.

LEAK = {"leak": Leak()}


def run_of(cell, size=None, *, y0=None, u=None):
    y0 = cell.resting_state(size) if y0 is None else y0
    return jn.simulate(cell, y0, t1=DT, u=u, method=STAGGERED)


BAD = {
    "no mechanisms": (
        lambda: models.PointCell({}),
        r"`mechanisms` is no dictionary.*\{'leak': jaxnet.mechanisms.Leak\(\)\}",
    ),
    "no mechanism": (
        lambda: models.PointCell({"leak": 1e-4}),
        r"`mechanisms\['leak'\]` must be one of `jaxnet.mechanisms`.*such as `Leak\(\)`",
    ),
    "a negative leak": (
        lambda: Leak(-1e-4),
        "`conductance` of `Leak` must be nonnegative.*Pass a nonnegative",
    ),
    "a negative g_na": (
        lambda: HodgkinHuxley(g_na=-0.12),
        "`g_na` of `HodgkinHuxley` must be nonnegative.*Pass a nonnegative",
    ),
    "a negative g_k": (
        lambda: TraubMiles(g_k=-0.03),
        "`g_k` of `TraubMiles` must be nonnegative.*Pass a nonnegative",
    ),
    "no area": (
        lambda: models.PointCell(LEAK, area=0.0),
        "`area` of `PointCell` must be positive.*Pass a positive",
    ),
    "no capacitance": (
        lambda: models.PointCell(LEAK, capacitance=0.0),
        "`capacitance` of `PointCell` must be positive.*Pass a positive",
    ),
    "a mechanism of other cells": (
        lambda: run_of(models.PointCell({"leak": Leak(jnp.ones(3))}), 2),
        r"`conductance` of `mechanisms\['leak'\]` must be one number, or.*\(2,\)",
    ),
    "a capacitance of other cells": (
        lambda: run_of(models.PointCell(LEAK, capacitance=jnp.ones(3)), 2),
        r"`capacitance` of `PointCell` must be one number, or.*\(2,\)",
    ),
    "an area of other cells": (
        lambda: run_of(models.PointCell(LEAK, area=jnp.ones(3)), 2),
        r"`area` of `PointCell` must be one number, or.*\(2,\)",
    ),
    "thresholds of other cells": (
        lambda: run_of(models.PointCell(LEAK, threshold=jnp.ones(3)), 2),
        r"`threshold` of `PointCell` must be one number, or.*\(2,\)",
    ),
    "a population of other cells": (
        lambda: models.Population(models.PointCell(LEAK, area=jnp.ones(3)), 2),
        r"`area` of `PointCell` must be one number, or.*\(2,\)",
    ),
    "an input of other cells": (
        lambda: run_of(models.PointCell(LEAK), 2, u=jnp.ones(3)),
        r"`u`.*(one number|one a cell)",
    ),
    "a number as the state": (
        lambda: run_of(models.PointCell(LEAK), y0=-65.0),
        "`y0`.*`CellState`.*`resting_state`",
    ),
    "a state without the gates": (
        lambda: run_of(axon(), y0=models.CellState(jnp.array(-65.0), {"leak": None})),
        "(`y0`|gates).*`resting_state`",
    ),
}


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", BAD)
def test_what_is_bad_is_told_with_its_remedy(name):
    make, message = BAD[name]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make()
