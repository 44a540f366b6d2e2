"""Spiking neurons against closed forms, scipy with restarts, and finite differences."""

import functools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import lambertw

import jaxnet as jn
from jaxnet import models


UNITS, T1 = 3, 39.0
COARSE, FINE = 0.1, 0.0125
FREQUENCY, DEPTH = 40.0, 0.3
EULER, HEUN, EXPONENTIAL = diffrax.Euler(), diffrax.Heun(), jn.Exponential()
NAN, INF = float("nan"), float("inf")


class Case(NamedTuple):
    """Three neurons with parameters of their own, and their flow in plain Python."""

    neuron: Callable
    parameters: dict[str, list[float]]
    drive: list[float]
    start: tuple[list[float], ...]
    peak: str
    flow: Callable

    def of_unit(self, unit):
        return SimpleNamespace(**{k: v[unit] for k, v in self.parameters.items()})


def lif(p, u, v):
    return ((p.resting_potential - v + p.resistance * u) / p.tau,)


def exponential_lif(p, u, v):
    onset = p.sharpness * math.exp((v - p.threshold) / p.sharpness)
    return ((p.resting_potential - v + onset + p.resistance * u) / p.tau,)


def quadratic_lif(p, u, v):
    parabola = p.curvature * (v - p.resting_potential) * (v - p.critical_potential)
    return ((parabola + p.resistance * u) / p.tau,)


def adaptive_exponential_lif(p, u, v, w):
    onset = p.sharpness * math.exp((v - p.threshold) / p.sharpness)
    leak = p.leak_conductance * (p.resting_potential - v + onset)
    dw = (p.adaptation * (v - p.resting_potential) - w) / p.tau_w
    return (leak - w + u) / p.capacitance, dw


def izhikevich(p, u, v, w):
    return 0.04 * v**2 + 5 * v + 140 - w + u, p.a * (p.b * v - w)


CASES = {
    "LIF": Case(
        models.LIF,
        {
            "tau": [10.0, 20.0, 7.0],
            "threshold": [1.0, 2.0, -50.0],
            "resting_potential": [0.0, 0.3, -65.0],
            "reset_potential": [0.0, -0.4, -70.0],
            "resistance": [1.0, 0.7, 2.5],
            "refractory_period": [2.05, 0.0, 5.05],
        },
        [1.9, 5.0, 10.0],
        ([0.2, 1.1, -60.0],),
        "threshold",
        lif,
    ),
    "ExponentialLIF": Case(
        models.ExponentialLIF,
        {
            "tau": [10.0, 20.0, 7.0],
            "threshold": [-59.9, -50.0, -55.0],
            "sharpness": [3.48, 2.0, 1.2],
            "cutoff": [-40.0, -40.0, -45.0],
            "resting_potential": [-65.0, -70.0, -68.0],
            "reset_potential": [-68.0, -60.0, -66.0],
            "resistance": [1.0, 2.0, 0.7],
            "refractory_period": [2.05, 0.0, 5.05],
        },
        [9.0, 15.0, 26.0],
        ([-66.0, -55.0, -68.0],),
        "cutoff",
        exponential_lif,
    ),
    "QuadraticLIF": Case(
        models.QuadraticLIF,
        {
            "tau": [10.0, 2.0, 5.0],
            "curvature": [1.0, 0.04, 0.3],
            "resting_potential": [0.0, -65.0, -1.0],
            "critical_potential": [0.5, -50.0, 1.0],
            "cutoff": [10.0, 30.0, 20.0],
            "reset_potential": [-4.0, -70.0, -3.0],
            "resistance": [1.0, 2.0, 0.7],
            "refractory_period": [2.05, 0.0, 5.05],
        },
        [3.0, 4.0, 6.0],
        ([-1.0, -65.0, 0.0],),
        "cutoff",
        quadratic_lif,
    ),
    "AdaptiveExponentialLIF": Case(
        models.AdaptiveExponentialLIF,
        {
            "capacitance": [281.0, 200.0, 100.0],
            "leak_conductance": [30.0, 12.0, 10.0],
            "resting_potential": [-70.6, -70.0, -65.0],
            "threshold": [-50.4, -50.0, -55.0],
            "sharpness": [2.0, 2.5, 1.5],
            "cutoff": [-40.0, -39.0, -47.0],
            "reset_potential": [-70.6, -58.0, -68.0],
            "tau_w": [144.0, 100.0, 30.0],
            "adaptation": [4.0, 2.0, -1.0],
            "adaptation_jump": [80.5, 20.0, 50.0],
            "refractory_period": [2.05, 0.0, 5.05],
        },
        [1000.0, 500.0, 400.0],
        ([-70.6, -60.0, -63.0], [0.0, 30.0, -20.0]),
        "cutoff",
        adaptive_exponential_lif,
    ),
    "Izhikevich": Case(
        models.Izhikevich,
        {
            "a": [0.02, 0.1, 0.03],
            "b": [0.2, 0.25, 0.2],
            "reset_potential": [-65.0, -60.0, -50.0],
            "adaptation_jump": [8.0, 2.0, 4.0],
            "cutoff": [30.0, 30.0, 25.0],
            "refractory_period": [2.05, 0.0, 5.05],
        },
        [12.0, 9.0, 11.0],
        ([-70.0, -65.0, -60.0], [-14.0, -13.0, -12.0]),
        "cutoff",
        izhikevich,
    ),
}
every_neuron = pytest.mark.parametrize("name", CASES)


def point_of(case):
    """All that a derivative is taken of, one entry a neuron."""
    arrays = case.parameters, case.drive, case.start
    return jax.tree.map(np.asarray, arrays, is_leaf=lambda x: isinstance(x, list))


def run(case, point, dt=COARSE, solver=EULER):
    """The neurons under a drive that goes up and down."""
    parameters, drive, start = point
    return jn.simulate(
        case.neuron(**parameters),
        start if len(start) > 1 else start[0],
        t1=T1,
        u=jn.inputs.Sine(amplitude=DEPTH * drive, frequency=FREQUENCY, offset=drive),
        method=jn.Grid(dt, solver, record=jn.RecordTimes(64)),
        save=jn.SaveAt(t1=True),
    )


def times_by_unit(spikes, units):
    valid = np.asarray(spikes.valid)
    time, index = np.asarray(spikes.time)[valid], np.asarray(spikes.index)[valid]
    return [time[index == i] for i in range(units)]


def steps_by_unit(spikes, units, dt):
    return [np.rint(t / dt).astype(int).tolist() for t in times_by_unit(spikes, units)]


@functools.cache
def run_of(name, dt=COARSE, solver=EULER):
    return run(CASES[name], point_of(CASES[name]), dt, solver)


def reference(case, unit):
    """The times of the spikes by scipy: an event at the peak, and a start anew."""
    p = case.of_unit(unit)
    peak, tolerance = getattr(p, case.peak), {"rtol": 1e-9, "atol": 1e-9}

    def flow(t, y):
        wave = 1 + DEPTH * math.sin(2 * math.pi * FREQUENCY * t / 1000)
        return np.array(case.flow(p, case.drive[unit] * wave, *y))

    def held(t, y):
        return np.append(0.0, flow(t, y)[1:])

    def crossing(t, y):
        return y[0] - peak

    crossing.terminal, crossing.direction = True, 1
    t, y, times = 0.0, np.array([values[unit] for values in case.start]), []
    while t < T1:
        free = solve_ivp(flow, (t, T1), y, events=crossing, **tolerance)
        t, y = free.t[-1], free.y[:, -1]
        if free.status == 1:
            times.append(t)
            y[0] = p.reset_potential
            y[1:] += getattr(p, "adaptation_jump", 0.0)
            end = min(t + p.refractory_period, T1)
            if end > t:
                y, t = solve_ivp(held, (t, end), y, **tolerance).y[:, -1], end
    return np.array(times)


@functools.cache
def references_of(name):
    return [reference(CASES[name], unit) for unit in range(UNITS)]


RUNS = [(name, COARSE) for name in CASES]
# In one variable the periods are known to the step; see below.
RUNS += [(name, FINE) for name, case in CASES.items() if len(case.start) == 2]


@pytest.mark.parametrize(("name", "dt"), RUNS)
def test_spikes_come_within_a_few_steps_of_those_of_scipy(name, dt):
    run_times = times_by_unit(run_of(name, dt, HEUN).spikes, UNITS)
    for found, expected in zip(run_times, references_of(name), strict=True):
        assert len(found) == len(expected) >= 2
        spikes = np.arange(1, len(expected) + 1)
        assert np.all(np.abs(found - expected) <= 3 * dt * spikes)


class Alone:
    """One neuron with a scalar state, as a function of the vector of all its numbers."""

    def __init__(self, name):
        self.case = CASES[name]
        leaves, self.structure = jax.tree.flatten(point_of(self.case))
        self.vectors = np.stack(leaves, axis=1)
        rng = np.random.default_rng(1)
        self.direction = rng.normal(size=len(leaves))
        self.weights = rng.normal(size=len(self.case.start))

    def unravel(self, vector):
        return jax.tree.unflatten(self.structure, list(vector))

    def end(self, vector):
        solution = run(self.case, self.unravel(vector))
        end = jnp.concatenate(jax.tree.leaves(solution.ys))
        return end, solution.spikes

    @functools.cached_property
    def jitted(self):
        """The end, the spikes, and the derivatives in both modes."""

        @jax.jit
        def all_of(x, direction, weights):
            end, push, spikes = jax.linearize(self.end, x, has_aux=True)
            (backward,) = jax.linear_transpose(push, x)(weights)
            return end, spikes, push(direction), backward

        return lambda x: all_of(x, self.direction, self.weights)

    @functools.cached_property
    def differences(self):
        """Central differences for the first neuron, and the spikes of all the runs."""
        x, steps = self.vectors[0], 1e-6 * (1 + np.abs(self.vectors[0]))
        runs = [
            [self.jitted(x + sign * step)[:2] for sign in (1, -1)]
            for step in np.diag(steps)
        ]
        columns = [np.asarray(up - down) for (up, _), (down, _) in runs]
        times = [spikes.time for pair in runs for _, spikes in pair]
        return np.stack(columns, axis=1) / (2 * steps), times


alone_of = functools.cache(Alone)


@every_neuron
def test_neurons_of_different_parameters_give_what_each_gives_alone(name):
    together, alone = run_of(name), alone_of(name)
    times = times_by_unit(together.spikes, UNITS)
    for unit in range(UNITS):
        end, spikes, _, _ = alone.jitted(alone.vectors[unit])
        assert times_by_unit(spikes, 1)[0].tolist() == times[unit].tolist()
        expected = [np.asarray(leaf)[-1, unit] for leaf in jax.tree.leaves(together.ys)]
        np.testing.assert_allclose(end, expected, rtol=1e-9)


def test_a_batch_gives_what_each_run_gives_alone():
    alone = alone_of("AdaptiveExponentialLIF")
    ends, spikes = jax.jit(jax.vmap(alone.end))(alone.vectors)
    for unit in range(UNITS):
        end, expected, _, _ = alone.jitted(alone.vectors[unit])
        np.testing.assert_allclose(ends[unit], end, rtol=1e-9)
        np.testing.assert_array_equal(spikes.time[unit], expected.time)
        np.testing.assert_array_equal(spikes.index[unit], expected.index)


@every_neuron
def test_derivatives_at_fixed_spikes_equal_finite_differences_in_both_modes(name):
    alone = alone_of(name)
    _, spikes, forward, backward = alone.jitted(alone.vectors[0])
    jacobian, times = alone.differences
    assert int(spikes.count) >= 2
    for time in times:
        np.testing.assert_array_equal(time, spikes.time)
    scale = np.abs(jacobian).max(axis=1)
    assert scale.min() > 0.1
    assert np.all(np.abs(forward - jacobian @ alone.direction) < 1e-6 * scale)
    assert np.all(np.abs(backward - alone.weights @ jacobian) < 1e-6 * scale.max())


@every_neuron
def test_what_says_when_a_spike_comes_has_no_derivative_at_fixed_spikes(name):
    alone = alone_of(name)
    gradient, _, _ = alone.unravel(np.asarray(alone.jitted(alone.vectors[0])[3]))
    assert gradient["refractory_period"] == 0
    assert name != "LIF" or gradient["threshold"] == 0
    assert gradient["reset_potential"] != 0


DT = 0.1
GRID = jn.Grid(DT)
# Drive, refractory period (ms), and its whole steps: rounded down, but for rounding.
REFRACTORY = [
    (1.5, 0.0, 0),
    (1.5, 0.05, 0),
    (1.5, 0.1, 1),
    (1.5, 0.3, 3),
    (1.5, 0.39, 3),
    (1.5, 5.0, 50),
    (1.2, 5.0, 50),
    (3.7, 20.0, 200),
    (1.5, INF, None),
]


@functools.cache
def refractory_run(hold):
    drive, period, _ = zip(*REFRACTORY, strict=True)
    neurons = models.LIF(refractory_period=list(period), hold_voltage=hold)
    return jn.simulate(
        neurons,
        jnp.zeros(len(drive)),
        t1=100.0,
        u=jnp.array(drive),
        method=jn.Grid(DT, EXPONENTIAL),
    )


def steps_to_threshold(drive):
    return math.ceil(10.0 * math.log(drive / (drive - 1)) / DT)


@pytest.mark.parametrize("unit", range(len(REFRACTORY)))
@pytest.mark.parametrize("hold", [True, False], ids=["held", "blocked"])
def test_a_refractory_neuron_fires_with_the_period_of_the_closed_form(hold, unit):
    drive, _, steps = REFRACTORY[unit]
    first = steps_to_threshold(drive)
    found = steps_by_unit(refractory_run(hold).spikes, len(REFRACTORY), DT)[unit]
    if steps is None:
        assert found == [first]
        return
    # Held, the voltage moves again in the last step of the period.
    period = first + max(steps - 1, 0) if hold else max(first, steps)
    assert found == list(range(first, 1001, period))


def test_the_rate_is_that_of_continuous_time_to_the_step():
    found = times_by_unit(refractory_run(True).spikes, len(REFRACTORY))
    for (drive, t_ref, _), times in zip(REFRACTORY[:-1], found[:-1], strict=True):
        period = t_ref + 10.0 * math.log(drive / (drive - 1))
        assert len(times) >= 3
        assert np.all(np.abs(np.diff(times) - period) < 2 * DT)


def test_the_voltage_is_held_or_moves_on_in_the_refractory_period():
    unit = next(i for i, row in enumerate(REFRACTORY) if row == (1.5, 5.0, 50))
    first, steps = steps_to_threshold(1.5), np.arange(51)
    held, free = (
        np.asarray(refractory_run(hold).ys)[first : first + 51, unit]
        for hold in (True, False)
    )
    np.testing.assert_allclose(held, np.where(steps < 50, 0, 1.5 * -math.expm1(-0.01)))
    np.testing.assert_allclose(free, 1.5 * -np.expm1(-0.01 * steps), atol=1e-14)


def test_the_adaptation_moves_on_while_the_voltage_is_held():
    neuron = models.AdaptiveExponentialLIF(cutoff=-40.0, refractory_period=INF)
    start = jnp.array([-39.0]), jnp.array([10.0])
    run = jn.simulate(neuron, start, t1=20.0, method=GRID)
    v, w = (np.asarray(x)[:, 0] for x in run.ys)
    assert int(run.spikes.count) == 1
    assert np.all(v[1:] == -70.6)
    # At the reset, which is where the leak reverses, w just decays, here by Euler's steps.
    np.testing.assert_allclose(w[1:], w[1] * (1 - DT / 144.0) ** np.arange(200))
    # The start lies above the cutoff, where the flow is that at the cutoff.
    before = 10.0 + DT * (4.0 * 30.6 - 10.0) / 144.0
    assert w[1] == pytest.approx(before + 80.5, rel=1e-12)


def quadratic_period(p, u):
    """The arctan of the neuron's theory, for any two zeros of the parabola."""
    middle = (p.resting_potential + p.critical_potential) / 2
    half = (p.resting_potential - p.critical_potential) / 2
    root = math.sqrt(p.resistance * u / p.curvature - half**2)
    angle = lambda v: math.atan((v - middle) / root)
    return p.tau / (p.curvature * root) * (angle(p.cutoff) - angle(p.reset_potential))


def exponential_period(p, u):
    slowness = lambda v: 1 / exponential_lif(p, u, v)[0]
    ends = p.reset_potential, p.cutoff
    return quad(slowness, *ends, points=[p.threshold], epsabs=1e-10)[0]


PERIODS = {"QuadraticLIF": quadratic_period, "ExponentialLIF": exponential_period}


@pytest.mark.parametrize("name", PERIODS)
def test_the_period_on_the_grid_is_that_of_the_integral_in_whole_steps(name):
    case, dt, t1 = CASES[name], 0.05, 60.0
    run = jn.simulate(
        case.neuron(**case.parameters),
        jnp.array(case.parameters["reset_potential"]),
        t1=t1,
        u=jnp.array(case.drive),
        method=jn.Grid(dt, diffrax.Bosh3()),
    )
    found = steps_by_unit(run.spikes, UNITS, dt)
    for unit, refractory in enumerate([41, 0, 101]):
        period = PERIODS[name](case.of_unit(unit), case.drive[unit])
        first = math.ceil(period / dt)
        period = first + max(refractory - 1, 0)
        assert found[unit] == list(range(first, round(t1 / dt) + 1, period))
        assert len(found[unit]) >= 2


def saddle_and_node(resting_potential, threshold, sharpness, share):
    """Where v - E = share * sharpness * exp((v - v_T) / sharpness): lower and upper v."""
    z = -share * math.exp((resting_potential - threshold) / sharpness)
    branches = (lambertw(z, k).real for k in (0, -1))
    return [resting_potential - sharpness * branch for branch in branches]


def parabola(a, b, c):
    root = math.sqrt(b**2 - 4 * a * c)
    return [(-b - root) / (2 * a), (-b + root) / (2 * a)]


@functools.cache
def adaptive_fixed_points(u):
    starts = jnp.linspace(-75.0, -40.0, 8), jnp.zeros(8)
    neuron = models.AdaptiveExponentialLIF()
    return jn.fixed_points(neuron, starts, u=u, max_points=2)


def test_the_exponential_neuron_rests_and_tips_where_lambert_has_it():
    low, high = saddle_and_node(-65.0, -59.9, 3.48, 1.0)
    v = jnp.array([low - 1.0, low, (low + high) / 2, high, high + 1.0])
    rates = models.ExponentialLIF().vector_field(0.0, v, None)
    assert jnp.sign(jnp.round(rates, 12)).tolist() == [1, 0, -1, 0, 1]


def test_the_adaptive_neuron_rests_and_tips_where_lambert_has_it():
    # The adaptation pulls too: 4 nS beside the leak of 30 nS.
    points = adaptive_fixed_points(0.0)
    v = np.array(saddle_and_node(-70.6, -50.4, 2.0, 30 / 34))
    np.testing.assert_allclose(points.y[0], v, rtol=1e-9)
    np.testing.assert_allclose(points.y[1], 4.0 * (v + 70.6), rtol=1e-7, atol=1e-9)
    assert points.stability.stable.tolist() == [True, False]


def current_where_the_onset_is(onset):
    """The voltage at which e^{...} is `onset`, and the current that holds it there."""
    v = -50.4 + 2.0 * math.log(onset)
    return v, 34 * (v + 70.6) - 30 * 2.0 * onset


def test_the_fixed_points_of_the_adaptive_neuron_meet_at_its_rheobase():
    # A fold, where the slope of the balance of currents is zero: e^{...} = 1 + a / g_L.
    _, rheobase = current_where_the_onset_is(34 / 30)
    count = lambda u: int(adaptive_fixed_points(u).count)
    assert [count(rheobase + du) for du in (-1e-6, 1e-6)] == [2, 0]


def test_the_adaptive_neuron_loses_its_stability_in_a_hopf_bifurcation():
    tau_m, tau_w = 281 / 30, 144.0
    v, current = current_where_the_onset_is(1 + tau_m / tau_w)
    frequency = math.sqrt(4.0 / (281.0 * tau_w) - 1 / tau_w**2)
    points = adaptive_fixed_points(current)
    assert float(points.y[0][0]) == pytest.approx(v, rel=1e-9)
    found = np.asarray(points.eigenvalues[0])
    np.testing.assert_allclose(found.real, 0.0, atol=1e-9)
    np.testing.assert_allclose(np.sort(found.imag), [-frequency, frequency], rtol=1e-6)


RESTING = {
    "LIF": (models.LIF(resting_potential=0.3), [0.3]),
    "QuadraticLIF": (
        models.QuadraticLIF(resting_potential=-65.0, critical_potential=-50.0),
        [-65.0],
    ),
    # The lower root of a parabola, at which w = b v.
    "Izhikevich": (models.Izhikevich(), [-70.0, -14.0]),
}


@pytest.mark.parametrize("name", RESTING)
def test_a_neuron_at_rest_stays_there(name):
    neuron, expected = RESTING[name]
    state = neuron.resting_state(2)
    for leaf, value in zip(jax.tree.leaves(state), expected, strict=True):
        np.testing.assert_allclose(leaf, [value, value], rtol=1e-14)
    for rate in jax.tree.leaves(neuron.vector_field(0.0, state, None)):
        np.testing.assert_allclose(rate, np.zeros(2), atol=1e-12)


def test_at_rest_nothing_moves_but_for_the_current_that_starts_a_spike():
    neuron, adaptive = models.ExponentialLIF(), models.AdaptiveExponentialLIF()
    onset = 3.48 * math.exp((-65.0 + 59.9) / 3.48)
    rate = neuron.vector_field(0.0, neuron.resting_state(2), None)
    np.testing.assert_allclose(rate, np.full(2, onset / 10.0), rtol=1e-12)
    onset = 30 * 2.0 * math.exp((-70.6 + 50.4) / 2.0)
    rates = adaptive.vector_field(0.0, adaptive.resting_state(2), None)
    np.testing.assert_allclose(rates[0], np.full(2, onset / 281.0), rtol=1e-12)
    assert rates[1].tolist() == [0.0, 0.0]


def test_a_sharp_exponential_neuron_is_a_leaky_one():
    sharpness = jnp.array([0.2, 0.02, 0.002])
    neurons = models.ExponentialLIF(
        threshold=-50.0, sharpness=sharpness, cutoff=-50 + 25 * sharpness
    )
    start, method = jnp.full(3, -68.0), jn.Grid(0.01, HEUN)
    run = jn.simulate(neurons, start, t1=20.0, u=20.0, method=method)
    leaky = 10.0 * math.log((-45 + 68.0) / (-45 + 50.0))
    errors = [abs(times[0] - leaky) for times in times_by_unit(run.spikes, 3)]
    # The delay of a spike is about the time in which v passes some sharpnesses.
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] <= 0.1


VOLTAGES = jnp.linspace(-80.0, -30.0, 11)


def test_without_adaptation_the_adaptive_neuron_is_the_exponential_one():
    shared = {"threshold": -50.4, "sharpness": 2.0, "resting_potential": -70.6}
    adaptive = models.AdaptiveExponentialLIF(**shared, adaptation=0.0, cutoff=-40.0)
    plain = models.ExponentialLIF(**shared, tau=281 / 30, resistance=1 / 30, cutoff=-40.0)
    dv, dw = adaptive.vector_field(0.0, (VOLTAGES, jnp.zeros(11)), 800.0)
    expected = plain.vector_field(0.0, VOLTAGES, 800.0)
    np.testing.assert_allclose(dv, expected, rtol=1e-12)
    assert dw.tolist() == [0.0] * 11


def test_without_recovery_izhikevichs_neuron_is_the_quadratic_one():
    rest, critical = parabola(0.04, 5.0, 140.0)
    plain = models.QuadraticLIF(
        tau=1.0,
        curvature=0.04,
        resting_potential=rest,
        critical_potential=critical,
        cutoff=30.0,
    )
    dv, dw = models.Izhikevich(b=0.0).vector_field(0.0, (VOLTAGES, jnp.zeros(11)), 20.0)
    np.testing.assert_allclose(dv, plain.vector_field(0.0, VOLTAGES, 20.0), rtol=1e-12)
    assert dw.tolist() == [0.0] * 11


@pytest.fixture(scope="module")
def adaptive_intervals():
    """Regular, bursting and fast neurons of Brette and Gerstner 2005 at 1 nA."""
    neurons = models.AdaptiveExponentialLIF(
        tau_w=[144.0, 20.0, 144.0],
        adaptation=[4.0, 4.0, 2 * 281 / 144],
        adaptation_jump=[80.5, 500.0, 0.0],
        reset_potential=[-70.6, -50.4 + 5.0, -70.6],
    )
    run = jn.simulate(
        neurons, neurons.resting_state(3), t1=400.0, u=1000.0, method=jn.Grid(0.02)
    )
    return [np.diff(times) for times in times_by_unit(run.spikes, 3)]


def test_a_regular_adaptive_neuron_slows_down_to_a_steady_rate(adaptive_intervals):
    regular = adaptive_intervals[0]
    assert len(regular) >= 8
    assert np.all(np.diff(regular) > -0.03)
    assert regular[-1] > 2 * regular[0]
    assert regular[-1] < 1.01 * regular[-2]


def test_a_neuron_that_is_reset_above_its_threshold_bursts(adaptive_intervals):
    bursts = adaptive_intervals[1][3:]
    assert len(bursts) >= 10
    is_short = bursts < 5.0
    assert np.all(is_short[1:] != is_short[:-1])
    assert bursts[~is_short].min() > 10 * bursts[is_short].max()


def test_an_adaptive_neuron_without_jumps_hardly_slows_down(adaptive_intervals):
    fast = adaptive_intervals[2]
    assert len(fast) >= 20
    assert fast[-1] < 1.15 * fast[0]


# The classes of Izhikevich 2003: a, b, c, d.
CLASSES = {
    "regular": (0.02, 0.2, -65.0, 8.0),
    "fast": (0.1, 0.2, -65.0, 2.0),
    "chattering": (0.02, 0.2, -50.0, 2.0),
    "bursting": (0.02, 0.2, -55.0, 4.0),
}


def test_izhikevichs_classes_look_as_published():
    parameters = (np.array(x) for x in zip(*CLASSES.values(), strict=True))
    neurons = models.Izhikevich(*parameters)
    run = jn.simulate(
        neurons, neurons.resting_state(4), t1=400.0, u=10.0, method=jn.Grid(0.02)
    )
    intervals = [np.diff(times) for times in times_by_unit(run.spikes, 4)]
    regular, fast, chattering, bursting = intervals
    assert regular[0] < 0.5 * regular[-1]
    assert np.ptp(regular[1:]) < 1.0
    assert fast.max() < 0.2 * regular[-1]
    assert np.ptp(fast[5:]) < 1.0
    pauses = np.flatnonzero(chattering > 30.0)
    assert len(pauses) >= 4
    assert np.all(np.diff(pauses) == 5)
    assert chattering[chattering < 30.0].max() < 10.0
    assert np.sum(bursting < 5.0) == np.sum(bursting[:2] < 5.0) == 2


# Where a step starts: between the threshold and the cutoff.
LEAPS = {
    "ExponentialLIF": (models.ExponentialLIF(), np.linspace(-59.9, -30.0, 100)),
    "QuadraticLIF": (models.QuadraticLIF(), np.linspace(0.0, 10.0, 100)),
    "AdaptiveExponentialLIF": (
        models.AdaptiveExponentialLIF(),
        np.linspace(-50.4, 20.0, 100),
    ),
    "Izhikevich": (models.Izhikevich(), np.linspace(-50.0, 30.0, 100)),
}


def defaults(neuron):
    return SimpleNamespace(**{k: float(x) for k, x in vars(neuron).items()})


@functools.cache
def leap(solver):
    """Two steps of each neuron from every voltage, in one program."""
    populations = {name: models.Population(n, 100) for name, (n, _) in LEAPS.items()}
    network = models.Network(populations)
    start = {
        name: v if name in ("ExponentialLIF", "QuadraticLIF") else (v, np.zeros(100))
        for name, (_, v) in LEAPS.items()
    }
    return jn.simulate(
        network,
        network.initial_state(**start),
        t1=2 * DT,
        method=jn.Grid(DT, solver, record=jn.RecordRaster()),
        throw=False,
    )


@pytest.mark.parametrize("name", LEAPS)
@pytest.mark.parametrize("solver", [HEUN, EXPONENTIAL], ids=repr)
def test_a_step_that_leaps_over_the_cutoff_leaves_no_trace(solver, name):
    """What is too far over the cutoff must not be NaN, and must not reach w."""
    neuron, _ = LEAPS[name]
    run = leap(solver)
    first = list(LEAPS).index(name) * 100
    fired = np.asarray(run.spikes.unpack())[:, first : first + 100]
    v, *w = map(np.asarray, jax.tree.leaves(run.ys.neurons[name]))
    assert fired.any()
    assert np.isfinite(v).all()
    np.testing.assert_array_equal(v[1:][fired], float(neuron.reset_potential))
    assert v.max() <= float(neuron.cutoff)
    if w:
        # No exact solution is above the cutoff, so w rises at most as fast as there.
        _, fastest = CASES[name].flow(defaults(neuron), 0.0, float(neuron.cutoff), 0.0)
        most = fired.cumsum(0) * float(neuron.adaptation_jump)
        most += fastest * DT * np.array([[1], [2]])
        assert np.all(w[0][1:] <= most + 1e-9)


def test_what_is_far_over_the_cutoff_while_it_is_blocked_does_not_reach_w():
    neuron = models.AdaptiveExponentialLIF(
        reset_potential=-45.0, refractory_period=5.0, hold_voltage=False
    )
    run = jn.simulate(neuron, neuron.resting_state(1), t1=50.0, u=1000.0, method=GRID)
    count = int(run.spikes.count)
    assert count >= 1
    # Below the cutoff, 20 mV, the slow equation brings w to 4 nS * 90.6 mV at most.
    assert float(run.ys[1].max()) < 4.0 * 90.6 + 80.5 * count


POSITIVE = {
    "LIF": ["tau"],
    "ExponentialLIF": ["tau", "sharpness"],
    "QuadraticLIF": ["tau", "curvature"],
    "AdaptiveExponentialLIF": ["capacitance", "leak_conductance", "sharpness", "tau_w"],
    "Izhikevich": ["a"],
}
PAIRS = [(name, key) for name, keys in POSITIVE.items() for key in keys]


@pytest.mark.parametrize(("name", "key"), PAIRS)
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_what_must_be_positive_is_refused_by_its_name(name, key, value):
    message = f"`{key}` of `{name}` must be positive, but it is {value}. Pass a positive"
    with pytest.raises(ValueError, match=message):
        CASES[name].neuron(**{key: value})


@every_neuron
def test_a_negative_refractory_period_is_refused_by_its_name(name):
    message = f"`refractory_period` of `{name}` must be nonnegative.*Pass a nonnegative"
    with pytest.raises(ValueError, match=message):
        CASES[name].neuron(refractory_period=[1.0, -1.0, 2.0])


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name in CASES for key in CASES[name].parameters]
)
def test_a_parameter_that_is_nan_is_refused_by_its_name(name, key):
    with pytest.raises(ValueError, match=rf"`{name}\.{key}` is NaN at index \[1\]"):
        CASES[name].neuron(**{key: [1.0, NAN]})


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("LIF", "threshold"),
        ("LIF", "refractory_period"),
        ("AdaptiveExponentialLIF", "tau_w"),
    ],
)
def test_a_parameter_for_another_number_of_neurons_is_refused_by_its_name(name, key):
    neuron = CASES[name].neuron(**{key: CASES[name].parameters[key]})
    state = tuple(jnp.zeros(2) for _ in CASES[name].start)
    with pytest.raises(ValueError, match=f"`{key}`"):
        jn.simulate(neuron, state if name != "LIF" else state[0], t1=1.0, method=GRID)


@pytest.mark.parametrize("key", ["tau", "threshold"])
def test_a_parameter_for_another_size_of_a_population_is_refused_by_its_name(key):
    def run_population():
        neuron = models.LIF(**{key: [1.0, 2.0, 3.0]})
        network = models.Network({"e": models.Population(neuron, 2)})
        return jn.simulate(network, network.initial_state(), t1=1.0, method=GRID)

    with pytest.raises(ValueError, match=f"`{key}`"):
        run_population()
