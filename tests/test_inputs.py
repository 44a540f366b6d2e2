"""Inputs: their values, how a method reads them, their noise and their gradients."""

import itertools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import inputs
from jaxnet._time_grid import TimeGrid


class Relaxation(jn.AbstractSystem):
    """y' = (u - y) / tau."""

    tau: jn.Parameter = jn.parameter(1.0, positive=True)

    def vector_field(self, t, y, u):
        return (u - y) / self.tau


class Integrator(jn.AbstractSystem):
    """y' = u."""

    def vector_field(self, t, y, u):
        return u + 0 * y


class Recorder(jn.AbstractHybridSystem):
    """The state after a step is the input of that step, to the last bit."""

    def vector_field(self, t, y, u):
        return jax.tree.map(jnp.zeros_like, y)

    def guard(self, t, y, u):
        return -jnp.ones(1)

    def receive(self, t, y, arrivals, u):
        return y

    def reset(self, t, y, spikes, u):
        return jax.tree.map(lambda leaf, value: jnp.broadcast_to(value, leaf.shape), y, u)


def recorded(u, y0, *, t1, dt, t0=0.0, key=None):
    """The input at the start of each step."""
    grid = jn.Grid(dt)
    solution = jn.simulate(Recorder(), y0, t0=t0, t1=t1, u=u, method=grid, key=key)
    return jax.tree.map(lambda x: np.asarray(x)[1:], solution.ys)


def relax(u_start, slope, r, duration):
    """The exact r after `duration` of r' = u - r with u a straight line."""
    u_end = u_start + slope * duration
    return u_end - slope + (r - (u_start - slope)) * np.exp(-duration)


def sigmoid(x, a=1.2, theta=2.8):
    return 1 / (1 + np.exp(-a * (x - theta))) - 1 / (1 + np.exp(a * theta))


TIMES = np.array([-1.0, 0.0, 0.99, 1.0, 1.5, 2.0, 2.75, 3.0, 3.01, 10.0])

FORMULAS = {
    "constant": (inputs.Constant(0.3), lambda t: 0.3),
    "function of time": (inputs.FunctionOfTime(lambda t: t**2), lambda t: t**2),
    "step": (
        inputs.Step(onset=1.0, value=2.0, baseline=-0.5),
        lambda t: 2.0 if t >= 1.0 else -0.5,
    ),
    "pulse": (
        inputs.Pulse(onset=1.0, duration=2.0, value=2.0, baseline=0.25),
        lambda t: 2.0 if 1.0 <= t < 3.0 else 0.25,
    ),
    "empty pulse": (inputs.Pulse(onset=1.0, duration=0.0, value=2.0), lambda t: 0.0),
    "ramp": (
        inputs.Ramp(onset=1.0, duration=2.0, start=-1.0, stop=3.0),
        lambda t: -1.0 + 4.0 * min(max((t - 1.0) / 2.0, 0.0), 1.0),
    ),
    "sine": (
        inputs.Sine(amplitude=1.5, frequency=40.0, phase=0.3, offset=0.2),
        lambda t: 0.2 + 1.5 * np.sin(2 * np.pi * 40.0 * t / 1000.0 + 0.3),
    ),
    "sum": (
        inputs.Constant(0.5) + inputs.Step(onset=1.0, value=2.0) + (lambda t: 3.0 * t),
        lambda t: 0.5 + (2.0 if t >= 1.0 else 0.0) + 3.0 * t,
    ),
    "number first": (
        0.5 + inputs.Ramp(onset=0.0, duration=1.0, stop=1.0),
        lambda t: 0.5 + min(max(t, 0.0), 1.0),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_value_is_the_formula_at_every_time(name):
    u, formula = FORMULAS[name]
    values = jax.vmap(u)(jnp.asarray(TIMES))
    expected = [formula(t) for t in TIMES]
    np.testing.assert_allclose(values, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", FORMULAS)
def test_on_a_grid_the_value_is_the_formula_at_the_start_of_each_step(name):
    u, formula = FORMULAS[name]
    expected = [formula(k * 0.25) for k in range(16)]
    got = recorded(u, 0.0, t1=4.0, dt=0.25)
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)


def test_waveforms_take_trees_with_one_number_for_every_leaf():
    value = {"a": jnp.array([1.0, 2.0]), "b": 3.0}
    step = inputs.Step(onset=1.0, value=value, baseline=0.5)
    before, after = step(jnp.asarray(0.0)), step(jnp.asarray(2.0))
    assert before["a"].tolist() == [0.5, 0.5]
    assert float(before["b"]) == 0.5
    assert after["a"].tolist() == [1.0, 2.0]
    assert float(after["b"]) == 3.0
    sine = inputs.Sine(amplitude=(1.0, 2.0), frequency=250.0, offset=(0.5, 0.0))
    assert [float(x) for x in sine(jnp.asarray(1.0))] == pytest.approx([1.5, 2.0])


def test_samples_are_read_exactly_where_rounding_down_reads_the_wrong_one():
    dt, steps = 0.1, 10_001
    by_time = np.floor(np.arange(steps) * dt / dt).astype(int)
    assert (by_time != np.arange(steps)).sum() == 404

    samples = np.random.default_rng(0).normal(size=steps)
    got = recorded(inputs.Sampled(samples, dt), 0.0, t1=steps * dt, dt=dt)
    assert got.tolist() == samples.tolist()


def test_a_stage_at_the_end_of_a_step_reads_the_next_sample():
    dt, steps = 0.1, 2000
    u = np.random.default_rng(1).normal(size=steps + 1)
    method = jn.Grid(dt, solver=diffrax.Heun())
    solution = jn.simulate(
        Integrator(), 0.0, t1=steps * dt, u=inputs.Sampled(u, dt), method=method
    )
    expected = np.concatenate([[0.0], np.cumsum(dt * (u[:-1] + u[1:]) / 2)])
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-12)


def test_a_stage_in_the_middle_of_a_step_reads_the_mean_of_two_samples():
    dt, steps = 0.1, 500
    u = np.random.default_rng(2).normal(size=steps + 1)
    method = jn.Grid(dt, solver=diffrax.Midpoint())
    solution = jn.simulate(
        Integrator(), 0.0, t1=steps * dt, u=inputs.Sampled(u, dt), method=method
    )
    expected = np.concatenate([[0.0], np.cumsum(dt * (u[:-1] + u[1:]) / 2)])
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("start", "first"), [(0.3, 3), (0.7, 7), (1.0, 10)])
def test_a_run_that_starts_late_reads_from_its_own_first_sample(start, first):
    samples = np.random.default_rng(3).normal(size=40)
    u = inputs.Sampled(samples, 0.1)
    got = recorded(u, 0.0, t0=start, t1=start + 2.0, dt=0.1)
    assert got.tolist() == samples[first : first + 20].tolist()


def test_samples_that_start_late_are_counted_from_their_first_time():
    samples = np.random.default_rng(4).normal(size=30)
    u = inputs.Sampled(samples, 0.1, t0=0.3)
    got = recorded(u, 0.0, t0=0.7, t1=2.7, dt=0.1)
    assert got.tolist() == samples[4:24].tolist()


def test_between_samples_a_grid_sees_straight_lines():
    samples = np.random.default_rng(5).normal(size=21)
    got = recorded(inputs.Sampled(samples, 0.4), 0.0, t1=8.0, dt=0.1)
    expected = np.interp(np.arange(80) / 4, np.arange(21), samples)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14)
    assert got[::4].tolist() == samples[:-1].tolist()


def test_a_coarse_grid_reads_each_second_sample():
    samples = np.random.default_rng(6).normal(size=41)
    got = recorded(inputs.Sampled(samples, 0.1), 0.0, t1=4.0, dt=0.2)
    assert got.tolist() == samples[:-1:2].tolist()


def test_samples_of_a_tree_are_read_together():
    rng = np.random.default_rng(7)
    values = {"a": rng.normal(size=(11, 2)), "b": rng.normal(size=11)}
    start = {"a": jnp.zeros(2), "b": jnp.zeros(())}
    got = recorded(inputs.Sampled(values, 0.1), start, t1=1.0, dt=0.1)
    assert got["a"].tolist() == values["a"][:10].tolist()
    assert got["b"].tolist() == values["b"][:10].tolist()


def test_outside_its_samples_the_value_is_nan():
    u = inputs.Sampled(jnp.arange(5.0), 0.5, t0=1.0)
    at = jax.vmap(u)(jnp.array([0.9, 1.0, 1.75, 3.0, 3.1]))
    np.testing.assert_allclose(at, [np.nan, 0.0, 1.5, 4.0, np.nan])


def test_adaptive_steps_follow_the_straight_lines_between_samples():
    samples = np.random.default_rng(8).normal(size=21)
    u = inputs.Sampled(samples, 0.5)
    solution = jn.simulate(
        Relaxation(), 0.3, t1=10.0, u=u, save=jn.SaveAt(ts=jnp.linspace(0.0, 10.0, 21))
    )
    expected = [0.3]
    for u0, u1 in itertools.pairwise(samples):
        expected.append(relax(u0, (u1 - u0) / 0.5, expected[-1], 0.5))
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-8)


def test_adaptive_steps_do_not_step_over_a_short_pulse():
    duration, value = 0.01, 6.0
    u = inputs.Pulse(onset=80.0, duration=duration, value=value)
    population = jn.models.RatePopulation(w=0.0)
    times = jnp.array([79.0, 80.0, 80.0 + duration, 81.0, 85.0])
    solution = jn.simulate(population, 0.0, t1=85.0, u=u, save=jn.SaveAt(ts=times))
    peak = sigmoid(value) * -np.expm1(-duration)
    after = np.asarray(times[2:]) - (80.0 + duration)
    expected = [0.0, 0.0, *(peak * np.exp(-after))]
    assert peak > 1e-3
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-8)


def test_adaptive_steps_find_the_jumps_of_a_sum_in_any_order():
    u = (
        inputs.Pulse(onset=6.0, duration=0.5, value=2.0)
        + inputs.Ramp(onset=1.0, duration=2.0, start=0.5, stop=-1.0)
        + inputs.Step(onset=4.0, value=1.0)
    )
    times = jnp.array([0.0, 1.0, 3.0, 4.0, 6.0, 6.5, 8.0])
    solution = jn.simulate(Relaxation(), 0.2, t1=8.0, u=u, save=jn.SaveAt(ts=times))
    segments = [
        (0.5, 0.0, 1.0),
        (0.5, -0.75, 2.0),
        (-1.0, 0.0, 1.0),
        (0.0, 0.0, 2.0),
        (2.0, 0.0, 0.5),
        (0.0, 0.0, 1.5),
    ]
    expected = [0.2]
    for level, slope, duration in segments:
        expected.append(relax(level, slope, expected[-1], duration))
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-8)


def sine_response(t, tau, amplitude, frequency, phase, y0):
    """The exact solution of tau y' = -y + amplitude sin(omega t + phase)."""
    omega = 2 * np.pi * frequency / 1000.0
    scale = amplitude / (1 + (omega * tau) ** 2)
    forced = lambda t: (
        scale * (np.sin(omega * t + phase) - omega * tau * np.cos(omega * t + phase))
    )
    return forced(t) + (y0 - forced(0.0)) * np.exp(-t / tau)


def test_a_sine_of_so_many_hertz_drives_the_response_of_a_low_pass_filter():
    u = inputs.Sine(amplitude=1.5, frequency=100.0, phase=0.4)
    method = jn.Grid(0.1, solver=diffrax.Dopri8())
    solution = jn.simulate(Relaxation(tau=2.0), 0.7, t1=20.0, u=u, method=method)
    expected = sine_response(np.asarray(solution.ts), 2.0, 1.5, 100.0, 0.4, 0.7)
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-12)


def driven_end(u, key=None):
    method = jn.Grid(0.125, solver=diffrax.Heun())
    solution = jn.simulate(
        Relaxation(), 0.1, t1=4.0, u=u, method=method, key=key, throw=False
    )
    return jnp.sum(solution.ys**2)


def all_waveforms(p):
    return (
        inputs.Constant(p[0])
        + inputs.Step(onset=1.0, value=p[1], baseline=p[2])
        + inputs.Pulse(onset=1.0, duration=2.0, value=p[3], baseline=p[4])
        + inputs.Ramp(onset=p[5], duration=p[6], stop=p[7], start=p[8])
        + inputs.Sine(amplitude=p[9], frequency=p[10], phase=p[11], offset=p[12])
    )


def all_noise(p):
    return (
        inputs.Constant(p[0])
        + inputs.OrnsteinUhlenbeck(sigma=p[1], tau=p[2])
        + inputs.EulerOrnsteinUhlenbeck(sigma=p[3], tau=p[4])
    )


DIFFERENTIATED = {
    "waveforms": (
        all_waveforms,
        [0.7, 0.7, -0.3, 0.5, -0.2, 1.03, 1.71, 2.0, -0.5, 1.0, 90.0, 0.3, 0.2],
    ),
    "sampled": (lambda p: inputs.Sampled(p, 0.5), np.linspace(-1.0, 1.0, 9) ** 3),
    "noise": (all_noise, [0.5, 0.7, 1.3, 0.4, 0.9]),
}


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradients_with_respect_to_an_input_equal_finite_differences(name):
    make, start = DIFFERENTIATED[name]
    start = np.asarray(start, float)
    run = jax.jit(lambda p: driven_end(make(p), jax.random.key(3)))
    differences = []
    for i in range(len(start)):
        shift = np.zeros_like(start)
        shift[i] = 1e-5 * max(1.0, abs(start[i]))
        change = run(jnp.asarray(start + shift)) - run(jnp.asarray(start - shift))
        differences.append(float(change) / (2 * shift[i]))
    assert np.min(np.abs(differences)) > 1e-4
    gradient = jax.grad(run)(jnp.asarray(start))
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-9)


def test_the_time_of_a_jump_has_the_derivative_zero_that_is_documented():
    pulse = lambda onset: driven_end(inputs.Pulse(onset, 1.3, 2.0))
    assert float(jax.grad(pulse)(0.7)) == 0.0


def test_a_batch_of_inputs_gives_what_each_one_gives_alone():
    onsets, values = jnp.array([0.5, 1.0, 2.2]), jnp.array([1.0, -1.0, 0.3])

    def run(onset, value):
        u = inputs.Pulse(onset, 1.0, value) + inputs.OrnsteinUhlenbeck(0.3, 1.0)
        return driven_end(u, jax.random.key(5))

    batch = jax.jit(jax.vmap(run))(onsets, values)
    one = jax.jit(run)
    alone = [float(one(*pair)) for pair in zip(onsets, values, strict=True)]
    np.testing.assert_allclose(batch, alone, rtol=1e-13)


@eqx.filter_jit
def frozen(process, t1, dt, key):
    """The values of one path; a Python number is compiled into the program."""
    return process.path(t0=0.0, t1=t1, dt=dt, key=key).values


N = 20_000
OU_DT = 0.5


def ou_samples(make, steps=40):
    """Many paths of one process, one a row."""
    keys = jax.random.split(jax.random.key(11), N)
    path = lambda key: frozen(make(), steps * OU_DT, OU_DT, key)
    return np.asarray(jax.vmap(path)(keys))


@pytest.fixture(scope="module")
def exact_paths():
    return ou_samples(lambda: inputs.OrnsteinUhlenbeck(sigma=0.7, tau=1.0))


@pytest.fixture(scope="module")
def euler_paths():
    return ou_samples(lambda: inputs.EulerOrnsteinUhlenbeck(sigma=0.7, tau=1.0))


@pytest.mark.parametrize("step", [0, 1, 20, 40])
def test_the_exact_process_is_stationary_from_its_first_value(exact_paths, step):
    values = exact_paths[:, step]
    assert abs(values.mean()) < 4 * 0.7 / np.sqrt(N)
    assert abs(values.var() - 0.49) < 4 * 0.49 * np.sqrt(2 / N)


@pytest.mark.parametrize(("first", "lag"), [(0, 1), (0, 4), (20, 1), (20, 2), (20, 12)])
def test_the_exact_process_forgets_exponentially(exact_paths, first, lag):
    products = exact_paths[:, first] * exact_paths[:, first + lag]
    rho = np.exp(-lag * OU_DT)
    error = 0.49 * np.sqrt((1 + rho**2) / N)
    assert abs(products.mean() - 0.49 * rho) < 4 * error


@pytest.mark.parametrize("step", [0, 1, 2, 5, 40])
def test_the_euler_process_has_the_variance_of_its_recurrence(euler_paths, step):
    ratio = OU_DT / 1.0
    variance = 0.49
    for _ in range(step):
        variance = (1 - ratio) ** 2 * variance + 2 * ratio * 0.49
    error = variance * np.sqrt(2 / N)
    assert abs(euler_paths[:, step].var() - variance) < 4 * error
    assert abs(euler_paths[:, step].mean()) < 4 * np.sqrt(variance / N)


def test_the_stationary_variance_of_the_euler_process_is_too_large(euler_paths):
    stationary = 0.49 / (1 - OU_DT / 2)
    error = stationary * np.sqrt(2 / N)
    assert abs(euler_paths[:, 40].var() - stationary) < 4 * error
    products = euler_paths[:, 30] * euler_paths[:, 31]
    rho = 1 - OU_DT
    assert abs(products.mean() - rho * stationary) < 4 * stationary * np.sqrt(
        (1 + rho**2) / N
    )


def test_both_processes_take_the_same_normals_in_their_own_recurrence():
    key, sigma, tau, dt = jax.random.key(2), 0.7, 1.5, 0.1
    paths = [
        np.asarray(frozen(make(sigma=sigma, tau=tau), 20.0, dt, key))
        for make in (inputs.OrnsteinUhlenbeck, inputs.EulerOrnsteinUhlenbeck)
    ]
    exact, euler = paths
    decay = np.exp(-dt / tau)
    from_exact = (exact[1:] - decay * exact[:-1]) / (sigma * np.sqrt(1 - decay**2))
    from_euler = (euler[1:] - (1 - dt / tau) * euler[:-1]) / (sigma * np.sqrt(2 * dt / tau))
    assert exact[0] == euler[0]
    assert np.std(from_exact) > 0.3
    np.testing.assert_allclose(from_exact, from_euler, rtol=1e-10, atol=1e-12)


def test_every_entry_of_a_tree_has_a_process_of_its_own():
    ou = inputs.OrnsteinUhlenbeck(sigma={"a": jnp.array([1.0, 1.0]), "b": 2.0}, tau=1.0)
    path = frozen(ou, 8000.0, 2.0, jax.random.key(4))
    series = np.column_stack([path["a"], path["b"]])
    rho = np.exp(-2.0)
    effective = len(series) * (1 - rho**2) / (1 + rho**2)
    correlations = np.corrcoef(series.T)[np.triu_indices(3, 1)]
    assert np.max(np.abs(correlations)) < 4 / np.sqrt(effective)
    expected = np.array([1.0, 1.0, 4.0])
    assert np.all(abs(series.var(0) - expected) < 4 * expected * np.sqrt(2 / effective))


def test_the_time_constants_of_a_process_may_differ_from_entry_to_entry():
    tau = np.array([0.5, 5.0])
    ou = inputs.OrnsteinUhlenbeck(sigma=jnp.ones(2), tau=tau)
    values = np.asarray(frozen(ou, 20_000.0, 1.0, jax.random.key(6)))
    rho = np.exp(-1.0 / tau)
    got = (values[1:] * values[:-1]).mean(0)
    effective = len(values) * (1 - rho**2) / (1 + rho**2)
    assert np.all(abs(got - rho) < 4 * np.sqrt(2 / effective))


def test_terms_of_a_sum_are_independent_of_one_another():
    ou = inputs.OrnsteinUhlenbeck(sigma=1.0, tau=1.0)
    pair = jn.inputs.Sum((ou, ou))
    got = recorded(pair, 0.0, t1=8000.0, dt=2.0, key=jax.random.key(8))
    rho = np.exp(-2.0)
    effective = len(got) * (1 - rho**2) / (1 + rho**2)
    assert abs(got.var() - 2.0) < 4 * 2.0 * np.sqrt(2 / effective)


def test_the_same_key_gives_the_same_noise_and_another_key_gives_another():
    ou = inputs.OrnsteinUhlenbeck(sigma=1.0, tau=1.0)
    runs = [
        recorded(ou, 0.0, t1=2.0, dt=0.1, key=jax.random.key(seed)) for seed in (1, 1, 2)
    ]
    assert runs[0].tolist() == runs[1].tolist()
    assert np.min(np.abs(runs[0] - runs[2])) > 0.0


def test_a_frozen_path_is_read_on_the_grid_sample_by_sample():
    ou = inputs.EulerOrnsteinUhlenbeck(sigma=0.7, tau=1.0)
    values = frozen(ou, 20.0, 0.1, jax.random.key(9))
    assert values.shape == (201,)
    got = recorded(inputs.Sampled(values, 0.1), 0.0, t1=20.0, dt=0.1)
    assert got.tolist() == values[:-1].tolist()


def test_a_longer_path_begins_with_the_shorter_one():
    ou = inputs.OrnsteinUhlenbeck(sigma=0.7, tau=1.0)
    long, short = (frozen(ou, t1, 0.1, jax.random.key(9)) for t1 in (20.0, 3.0))
    assert long[:31].tolist() == short.tolist()


REFUSED = {
    "Sampled dt": (lambda: inputs.Sampled(jnp.zeros(3), 0.0), "`dt` must be positive"),
    "Sampled scalar": (lambda: inputs.Sampled(1.0, 0.1), "`values` must have a first axis"),
    "Sampled empty": (lambda: inputs.Sampled(jnp.zeros(0), 0.1), "`values` must have"),
    "Sampled lengths": (
        lambda: inputs.Sampled((jnp.zeros(3), jnp.zeros(4)), 0.1),
        "`values` must have a first axis, time, of one length",
    ),
    "Sampled NaN": (
        lambda: inputs.Sampled(jnp.array([0.0, jnp.nan]), 0.1),
        r"`Sampled.values` is NaN.* at index \[1\]",
    ),
    "Pulse duration": (
        lambda: inputs.Pulse(onset=1.0, duration=-1.0, value=1.0),
        "`duration` of `Pulse` must be nonnegative",
    ),
    "Ramp duration": (
        lambda: inputs.Ramp(onset=1.0, duration=0.0, stop=1.0),
        "`duration` of `Ramp` must be positive",
    ),
    "Sine frequency": (
        lambda: inputs.Sine(amplitude=1.0, frequency=-5.0),
        "`frequency` of `Sine` must be nonnegative",
    ),
    "OU tau": (
        lambda: inputs.OrnsteinUhlenbeck(sigma=1.0, tau=0.0),
        "`tau` of `OrnsteinUhlenbeck` must be positive",
    ),
    "Euler OU tau": (
        lambda: inputs.EulerOrnsteinUhlenbeck(sigma=1.0, tau=-1.0),
        "`tau` of `EulerOrnsteinUhlenbeck` must be positive",
    ),
    "OU sigma": (
        lambda: inputs.OrnsteinUhlenbeck(sigma=(1.0, -0.1), tau=1.0),
        "`sigma` of `OrnsteinUhlenbeck` must be nonnegative",
    ),
    "NaN value": (lambda: inputs.Step(1.0, jnp.nan), "`Step.value` is NaN"),
    "complex value": (lambda: inputs.Constant(1j), "must be real"),
    "text": (lambda: inputs.Constant("one"), "must be a number or an array"),
    "empty sum": (lambda: inputs.Sum(()), "`terms` is empty"),
    "two inputs": (
        lambda: jn.Driven(jn.Driven(Relaxation(), 1.0), 2.0),
        "`system` already has an input. Add the two inputs",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_input_is_refused_by_the_name_of_its_parameter(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_terms_of_different_structure_cannot_be_summed():
    u = inputs.Constant(1.0) + inputs.Constant((1.0, 2.0))
    with pytest.raises(ValueError, match="terms of a sum must have one structure"):
        jn.simulate(Relaxation(), 0.0, t1=1.0, u=u, method=jn.Grid(0.1))


def test_a_process_on_a_grid_has_no_value_at_an_arbitrary_time():
    ou = inputs.OrnsteinUhlenbeck(sigma=1.0, tau=1.0)
    with pytest.raises(ValueError, match=r"Use the method `Grid`, or freeze one path"):
        jn.simulate(Relaxation(), 0.0, t1=1.0, u=ou, key=jax.random.key(0))


def test_a_process_needs_a_key():
    ou = inputs.OrnsteinUhlenbeck(sigma=1.0, tau=1.0)
    with pytest.raises(ValueError, match="`key` is missing: `OrnsteinUhlenbeck` is random"):
        jn.simulate(Relaxation(), 0.0, t1=1.0, u=ou, method=jn.Grid(0.1))
    with pytest.raises(ValueError, match="`key` is missing"):
        jn.simulate(Relaxation(), 0.0, t1=1.0, u=0.5 + ou, method=jn.Grid(0.1))


def test_euler_needs_no_sample_at_the_end_and_heun_does():
    u = inputs.Sampled(jnp.ones(10), 0.1)
    euler, heun = jn.Grid(0.1), jn.Grid(0.1, solver=diffrax.Heun())
    solution = jn.simulate(Relaxation(), 0.0, t1=1.0, u=u, method=euler)
    assert float(solution.ys[-1]) == pytest.approx(1 - 0.9**10, rel=1e-14)
    with pytest.raises(ValueError, match=r"`values` has 10 samples.*Give more samples"):
        jn.simulate(Relaxation(), 0.0, t1=1.0, u=u, method=heun)


@pytest.mark.parametrize(
    ("t0", "t1", "method"),
    [
        (0.0, 1.1, jn.Grid(0.1)),
        (-0.1, 0.5, jn.Grid(0.1)),
        (0.0, 1.0, jn.Adaptive()),
        (-0.5, 0.5, jn.Adaptive()),
    ],
)
def test_a_run_outside_the_samples_is_refused(t0, t1, method):
    u = inputs.Sampled(jnp.ones(10), 0.1) + 0.5
    with pytest.raises(ValueError, match=r"`values` has 10 samples.*or a shorter run"):
        jn.simulate(Relaxation(), 0.0, t0=t0, t1=t1, u=u, method=method)


def test_one_bad_duration_in_a_batch_leaves_the_others_right():
    def run(duration):
        u = inputs.Pulse(0.5, duration, 2.0)
        solution = jn.simulate(Relaxation(), 0.1, t1=2.0, u=u, method=jn.Grid(0.25))
        return solution.ys, solution.result

    durations = jnp.array([1.0, -1.0, 0.5, jnp.nan])
    ys, result = jax.jit(jax.vmap(run))(durations)
    assert np.asarray(result == jn.RESULTS.successful).tolist() == [
        True,
        False,
        True,
        False,
    ]
    assert bool((result == jn.RESULTS.parameter_out_of_range)[1])
    assert bool((result == jn.RESULTS.nan_input)[3])
    assert np.isnan(ys[1]).all()
    assert np.isnan(ys[3]).all()
    for i in (0, 2):
        np.testing.assert_allclose(ys[i], run(durations[i])[0], rtol=1e-13)


@pytest.mark.parametrize("dt", [0.01, 0.1, 0.15, 0.3])
@pytest.mark.parametrize("t0", [0.0, 0.1])
def test_a_pulse_on_a_grid_lasts_its_whole_steps(dt, t0):
    onsets, lengths = np.meshgrid(np.arange(40), np.arange(1, 40))
    grid = TimeGrid(t0, dt, 80, False)
    steps = np.arange(80)

    def on(onset, length):
        pulse = inputs.Pulse(t0 + onset * dt, length * dt, 1.0)
        return pulse.on_grid(None, grid, steps, 0.0)

    values = jax.vmap(on)(jnp.asarray(onsets.ravel()), jnp.asarray(lengths.ravel()))
    first, last = onsets.ravel()[:, None], (onsets + lengths).ravel()[:, None]
    assert np.array_equal(values, (steps >= first) & (steps < last))


def test_a_step_on_a_grid_comes_with_its_step_in_float32():
    with jax.enable_x64(False):
        grid = TimeGrid(0.0, 0.1, 20_000, False)
        steps = jnp.arange(19_990, 20_000)
        step = inputs.Step(onset=1999.5, value=1.0)
        values = step.on_grid(None, grid, steps, 0.0)
    assert values.tolist() == 5 * [0.0] + 5 * [1.0]


def test_a_frozen_path_is_the_one_that_a_run_with_its_key_sees():
    key, noise = jax.random.key(3), inputs.OrnsteinUhlenbeck(sigma=1.0, tau=2.0)
    run = jn.simulate(Integrator(), 0.0, t1=2.0, u=noise, method=jn.Grid(0.5), key=key)
    path = noise.path(t0=0.0, t1=2.0, dt=0.5, key=key).values
    assert np.allclose(np.diff(run.ys) / 0.5, path[:-1], rtol=0, atol=1e-14)
