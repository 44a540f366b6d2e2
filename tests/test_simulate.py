"""Simulation against closed forms, plain NumPy loops and finite differences."""

import math

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


A, THETA = 1.2, 2.8


def sigmoid(x):
    return 1 / (1 + np.exp(-A * (x - THETA))) - 1 / (1 + np.exp(A * THETA))


def euler_loop(drive, *, w, r0, tau=1.0, dt=0.1):
    rates = [r0]
    for u in drive:
        r = rates[-1]
        rates.append(r + dt / tau * (-r + sigmoid(w * r + u)))
    return np.array(rates)


class Linear(jn.AbstractSystem):
    """y' = -y / tau, entry by entry."""

    tau: jn.Parameter = jn.parameter(1.0, positive=True)

    def vector_field(self, t, y, u):
        return jax.tree.map(lambda x: -x / self.tau, y)


class Still(jn.AbstractSystem):
    """y' = 0."""

    def vector_field(self, t, y, u):
        return jnp.zeros_like(y)


class Riccati(jn.AbstractSystem):
    """y' = u y^2; with u = cos t, y = y0 / (1 - y0 sin t)."""

    def vector_field(self, t, y, u):
        return u * y**2


class Oscillator(jn.AbstractSystem):
    """x' = v, v' = -omega^2 x, for a state that is a dictionary."""

    omega: jn.Parameter = jn.parameter(2.0)

    def vector_field(self, t, y, u):
        return {"x": y["v"], "v": -(self.omega**2) * y["x"]}


@pytest.mark.parametrize(("drive", "r0", "tau"), [(0.5, 0.2, 1.0), (5.0, 0.9, 3.0)])
def test_without_recurrence_the_rate_relaxes_exponentially(drive, r0, tau):
    population = jn.models.RatePopulation(w=0.0, tau=tau)
    solution = jn.simulate(population, r0, t1=20.0, u=drive)
    t = np.linspace(0.0, 20.0, 201)
    expected = r0 + (sigmoid(drive) - r0) * (1 - np.exp(-t / tau))
    np.testing.assert_allclose(solution.ts, t, rtol=0, atol=1e-12)
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("w", [0.0, 5.0, -3.0])
def test_euler_on_a_grid_is_the_euler_recurrence_to_rounding(w):
    population = jn.models.RatePopulation(w=w, tau=2.0)
    solution = jn.simulate(population, 0.2, t1=20.0, u=0.5, method=jn.Grid(0.1))
    expected = euler_loop(np.full(200, 0.5), w=w, r0=0.2, tau=2.0)
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-14)
    assert solution.ts.tolist() == (np.arange(201) * 0.1).tolist()


def test_the_euler_recurrence_without_recurrence_has_a_closed_form():
    population = jn.models.RatePopulation(w=0.0)
    solution = jn.simulate(population, 0.2, t1=20.0, u=2.0, method=jn.Grid(0.1))
    target = sigmoid(2.0)
    expected = target + (0.2 - target) * 0.9 ** np.arange(201)
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-14)


ORDERS = [
    (diffrax.Euler, 1, 1 / 32),
    (diffrax.Heun, 2, 1 / 16),
    (diffrax.Midpoint, 2, 1 / 16),
    (diffrax.Ralston, 2, 1 / 16),
    (diffrax.Bosh3, 3, 1 / 16),
    (diffrax.Tsit5, 5, 1 / 16),
    (diffrax.Dopri5, 5, 1 / 32),
    (diffrax.Dopri8, 8, 1 / 4),
]


@pytest.mark.parametrize(("solver", "order", "dt"), ORDERS)
def test_every_solver_of_the_grid_converges_with_its_order(solver, order, dt):
    errors = []
    for step in (dt, dt / 2):
        solution = jn.simulate(
            Riccati(),
            0.5,
            t1=2.0,
            u=jnp.cos,
            method=jn.Grid(step, solver=solver()),
            save=jn.SaveAt(steps=round(0.5 / step)),
        )
        exact = 0.5 / (1 - 0.5 * np.sin([0.5, 1.0, 1.5, 2.0]))
        errors.append(np.sqrt(np.mean((np.asarray(solution.ys) - exact) ** 2)))
    assert errors[1] > 1e-14
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


def test_the_rate_stays_between_its_start_and_the_range_of_the_transfer_function():
    w, drive, r0 = (
        jnp.asarray(x.ravel())
        for x in np.meshgrid([-6.0, 0.0, 5.0, 9.0], [-8.0, 0.5, 9.0], [-0.5, 0.2, 1.4])
    )

    def run(w, drive, r0):
        population = jn.models.RatePopulation(w=w)
        return jn.simulate(population, r0, t1=30.0, u=drive, method=jn.Grid(0.1)).ys

    rates = np.asarray(jax.jit(jax.vmap(run))(w, drive, r0))
    offset = 1 / (1 + np.exp(A * THETA))
    low = np.minimum(r0, -offset)
    high = np.maximum(r0, 1 - offset)
    assert np.all(rates.min(1) >= low - 1e-14)
    assert np.all(rates.max(1) <= high + 1e-14)
    assert rates.min() < 0.0
    assert rates.max() > 1.0


@pytest.fixture(scope="module")
def bistable():
    return jn.models.RatePopulation(w=5.0)


@pytest.fixture(scope="module")
def every_step(bistable):
    return jn.simulate(bistable, 0.5, t1=2.0, u=0.5, method=jn.Grid(0.1))


@pytest.mark.parametrize(
    ("save", "steps"),
    [
        (jn.SaveAt(steps=7), [7, 14]),
        (jn.SaveAt(t0=True, steps=7, t1=True), [0, 7, 14, 20]),
        (jn.SaveAt(t0=True, steps=5, t1=True), [0, 5, 10, 15, 20]),
        (jn.SaveAt(steps=20, t1=True), [20]),
        (jn.SaveAt(steps=21, t1=True), [20]),
        (jn.SaveAt(t1=True), [20]),
        (jn.SaveAt(t0=True), [0]),
        (jn.SaveAt(t0=True, t1=True), [0, 20]),
        (jn.SaveAt(steps=True), list(range(1, 21))),
    ],
)
def test_the_grid_saves_the_steps_that_were_asked_for(bistable, every_step, save, steps):
    solution = jn.simulate(bistable, 0.5, t1=2.0, u=0.5, method=jn.Grid(0.1), save=save)
    assert solution.ts.tolist() == [k * 0.1 for k in steps]
    np.testing.assert_allclose(
        solution.ys, np.asarray(every_step.ys)[steps], rtol=0, atol=1e-15
    )


def test_a_function_of_the_state_is_saved_alone(bistable, every_step):
    def row(t, y, args):
        assert args is None
        return {"time": t, "is_up": y > 0.55, "square": y**2}

    save = jn.SaveAt(t0=True, steps=4, fn=row)
    solution = jn.simulate(bistable, 0.5, t1=2.0, u=0.5, method=jn.Grid(0.1), save=save)
    rows = np.asarray(every_step.ys)[::4]
    assert sorted(solution.ys) == ["is_up", "square", "time"]
    assert solution.ys["time"].tolist() == solution.ts.tolist()
    assert solution.ys["is_up"].dtype == bool
    assert solution.ys["is_up"].tolist() == (rows > 0.55).tolist()
    assert (rows > 0.55).any()
    np.testing.assert_allclose(solution.ys["square"], rows**2, rtol=0, atol=1e-15)


def test_adaptive_saves_a_function_of_the_state_at_the_times_asked_for():
    def row(t, y, args):
        assert args is None
        return t, 2 * y

    save = jn.SaveAt(ts=jnp.array([7.0, 7.5, 8.5]), fn=row)
    solution = jn.simulate(Linear(), 1.0, t0=7.0, t1=9.0, save=save)
    times, doubled = solution.ys
    assert times.tolist() == solution.ts.tolist() == [7.0, 7.5, 8.5]
    np.testing.assert_allclose(doubled, 2 * np.exp([0.0, -0.5, -1.5]), rtol=0, atol=1e-8)


def test_the_path_of_the_legacy_generator_gives_the_trajectory_of_a_plain_loop(bistable):
    steps, dt, sigma = 10_000, 0.1, 0.7
    normals = np.random.RandomState(2020).randn(steps)
    noise = [sigma * normals[0]]
    for z in normals[1:]:
        noise.append(noise[-1] * (1 - dt) + math.sqrt(2 * dt) * sigma * z)
    drive = 0.56 + np.array(noise)
    expected = euler_loop(drive[:-1], w=5.0, r0=0.2, dt=dt)

    solution = jn.simulate(
        bistable,
        0.2,
        t1=(steps - 1) * dt,
        u=jn.inputs.Sampled(drive, dt),
        method=jn.Grid(dt),
    )
    is_up = expected > 0.5
    assert is_up.any()
    assert not is_up.all()
    np.testing.assert_allclose(solution.ys, expected, rtol=0, atol=1e-12)


POINT = jnp.array([5.0, 1.3, 0.5, 0.3])


def end_of(method):
    """The final rate as a function of w, tau, the input and the initial rate."""

    def end(p):
        population = jn.models.RatePopulation(w=p[0], tau=p[1])
        save = jn.SaveAt(t1=True)
        return jn.simulate(population, p[3], t1=3.0, u=p[2], method=method, save=save).ys[
            -1
        ]

    return jax.jit(end)


def central_differences(f, point, h=1e-5):
    units = np.eye(len(point)) * h
    change = lambda e: (f(point + e) - f(point - e)) / (2 * h)
    return np.array([change(jnp.asarray(e)) for e in units])


@pytest.mark.parametrize("solver", [diffrax.Euler(), diffrax.Heun()])
def test_gradients_of_a_grid_run_equal_finite_differences_in_both_modes(solver):
    end = end_of(jn.Grid(0.1, solver=solver))
    expected = central_differences(end, POINT)
    assert np.min(np.abs(expected)) > 1e-3
    np.testing.assert_allclose(jax.jit(jax.grad(end))(POINT), expected, rtol=1e-7)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(end))(POINT), expected, rtol=1e-7)


def test_gradients_of_an_adaptive_run_equal_those_of_a_fine_grid_in_both_modes():
    reference = end_of(jn.Grid(0.03, solver=diffrax.Dopri8()))
    expected = central_differences(reference, POINT)
    backward = end_of(jn.Adaptive())
    value, gradient = jax.jit(jax.value_and_grad(backward))(POINT)
    assert float(value) == pytest.approx(float(reference(POINT)), abs=1e-8)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
    forward = end_of(jn.Adaptive(adjoint=diffrax.ForwardMode()))
    np.testing.assert_allclose(jax.jit(jax.jacfwd(forward))(POINT), expected, rtol=1e-6)


@pytest.mark.parametrize("method", [jn.Grid(0.1), jn.Adaptive()])
def test_a_batch_gives_what_each_run_gives_alone(method):
    end = end_of(method)
    points = POINT + jnp.array([[0.0] * 4, [-2.0, 0.4, 0.3, 0.5], [1.0, -0.5, -0.9, 0.0]])
    batch = jax.vmap(end)(points)
    alone = [float(end(p)) for p in points]
    np.testing.assert_allclose(batch, alone, rtol=0, atol=1e-12)


def test_jit_changes_nothing(bistable, every_step):
    def run(y0, u):
        return jn.simulate(bistable, y0, t1=2.0, u=u, method=jn.Grid(0.1))

    solution = jax.jit(run)(0.5, 0.5)
    assert bool(solution.result == jn.RESULTS.successful)
    np.testing.assert_allclose(solution.ys, every_step.ys, rtol=0, atol=1e-15)


def test_an_input_is_sugar_for_a_driven_system(bistable, every_step):
    driven = jn.Driven(bistable, 0.5)
    solution = jn.simulate(driven, 0.5, t1=2.0, method=jn.Grid(0.1))
    assert solution.ys.tolist() == every_step.ys.tolist()


STEPS, NOISY_DT = 40, 0.1


def final_states(system, y0, method, paths, seed):
    def run(key):
        save = jn.SaveAt(t1=True)
        t1 = STEPS * NOISY_DT
        return jn.simulate(system, y0, t1=t1, method=method, save=save, key=key).ys[-1]

    keys = jax.random.split(jax.random.key(seed), paths)
    return np.asarray(jax.jit(jax.vmap(run))(keys))


def assert_mean_and_variance(values, mean, variance):
    n = len(values)
    assert abs(values.mean() - mean) < 4 * math.sqrt(variance / n)
    assert abs(values.var() - variance) < 4 * variance * math.sqrt(2 / n)


def euler_variance(g, tau):
    a = 1 - NOISY_DT / tau
    return g**2 * NOISY_DT * (1 - a ** (2 * STEPS)) / (1 - a**2)


ADAPTIVE_EULER = jn.Adaptive(
    solver=diffrax.Euler(), stepsize_controller=diffrax.ConstantStepSize(), dt0=NOISY_DT
)


@pytest.mark.parametrize(
    "method",
    [
        jn.Grid(NOISY_DT),
        ADAPTIVE_EULER,
    ],
)
def test_a_noisy_linear_system_has_the_variance_of_euler_maruyama(method):
    g, tau, y0 = 0.8, 0.5, 2.0
    system = jn.Noisy(Linear(tau=tau), jnp.asarray(g))
    values = final_states(system, y0, method, 2000, seed=1)
    mean = y0 * (1 - NOISY_DT / tau) ** STEPS
    assert_mean_and_variance(values, mean, euler_variance(g, tau))


def test_fine_steps_reach_the_variance_of_the_process_itself():
    g, tau = 0.8, 0.5
    system = jn.Noisy(Linear(tau=tau), jnp.asarray(g))

    def run(key):
        save = jn.SaveAt(t1=True)
        return jn.simulate(
            system, 0.0, t1=4.0, method=jn.Grid(0.005), save=save, key=key
        ).ys[-1]

    keys = jax.random.split(jax.random.key(2), 3000)
    values = np.asarray(jax.jit(jax.vmap(run))(keys))
    assert_mean_and_variance(values, 0.0, g**2 * tau / 2)


@pytest.mark.slow
def test_an_adaptive_solver_for_additive_noise_reaches_the_stationary_variance():
    g, tau = 0.8, 0.5
    controller = diffrax.PIDController(rtol=0, atol=1e-3)
    method = jn.Adaptive(
        solver=diffrax.ShARK(), stepsize_controller=controller, dt0=NOISY_DT
    )
    system = jn.Noisy(Linear(tau=tau), jnp.asarray(g))
    values = final_states(system, 0.0, method, 1000, seed=3)
    assert_mean_and_variance(values, 0.0, g**2 * tau / 2)


def test_every_entry_of_a_noisy_state_has_noise_of_its_own():
    system = jn.Noisy(Linear(tau=0.5), (jnp.array([0.8, 0.8]), jnp.asarray(0.3)))

    def run(key):
        y0 = (jnp.zeros(2), jnp.zeros(()))
        pair, single = jn.simulate(
            system,
            y0,
            t1=STEPS * NOISY_DT,
            method=jn.Grid(NOISY_DT),
            save=jn.SaveAt(t1=True),
            key=key,
        ).ys
        return jnp.append(pair[-1], single[-1])

    keys = jax.random.split(jax.random.key(4), 4000)
    values = np.asarray(jax.jit(jax.vmap(run))(keys))
    for column, g in zip(values.T, (0.8, 0.8, 0.3), strict=True):
        assert_mean_and_variance(column, 0.0, euler_variance(g, 0.5))
    correlations = np.corrcoef(values.T)[np.triu_indices(3, 1)]
    assert np.max(np.abs(correlations)) < 4 / math.sqrt(len(values))


@pytest.mark.parametrize(
    "method",
    [
        jn.Grid(NOISY_DT),
        jn.Grid(NOISY_DT, solver=diffrax.Heun()),
        ADAPTIVE_EULER,
    ],
)
def test_noise_that_grows_with_the_state_is_read_in_the_sense_of_ito(method):
    sigma, y0, time = 0.3, 1.5, STEPS * NOISY_DT
    system = jn.Noisy(Still(), lambda t, y, u: sigma * y)
    values = final_states(system, y0, method, 1500, seed=5)
    variance = y0**2 * ((1 + sigma**2 * NOISY_DT) ** STEPS - 1)
    error = math.sqrt(variance / len(values))
    stratonovich_mean = y0 * math.exp(sigma**2 * time / 2)
    assert abs(values.mean() - y0) < 4 * error
    assert abs(values.mean() - stratonovich_mean) > 4 * error


def test_a_noisy_run_is_differentiable_for_a_fixed_key():
    def end(p):
        system = jn.Noisy(Linear(tau=p[0]), p[1])
        key = jax.random.key(6)
        return jn.simulate(system, p[2], t1=2.0, method=jn.Grid(0.1), key=key).ys[-1]

    point = jnp.array([0.7, 0.4, 1.1])
    end = jax.jit(end)
    expected = central_differences(end, point)
    np.testing.assert_allclose(jax.jit(jax.grad(end))(point), expected, rtol=1e-7)


class LIF(jn.AbstractHybridSystem):
    """tau v' = -v + u; a spike where v > 1 resets v to 0 and kicks its targets."""

    tau: jn.Parameter = jn.parameter(10.0, positive=True)
    weights: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        return (-y + u) / self.tau

    def guard(self, t, y, u):
        return y - 1.0

    def receive(self, t, y, arrivals, u):
        return y + jnp.dot(self.weights, arrivals)

    def reset(self, t, y, spikes, u):
        return y * (1 - spikes)


def spike_steps(solution, dt):
    spikes = solution.spikes
    valid = np.asarray(spikes.valid)
    return np.rint(np.asarray(spikes.time)[valid] / dt).astype(int)


@pytest.mark.parametrize("drive", [1.2, 1.7, 3.0])
def test_a_leaky_neuron_fires_with_the_period_of_the_closed_form(drive):
    dt = 0.1
    period = 10.0 * math.log(drive / (drive - 1))
    steps = math.ceil(period / dt)
    grid = jn.Grid(dt, solver=diffrax.Dopri8(), record=jn.RecordTimes(50))
    solution = jn.simulate(LIF(), jnp.zeros(1), t1=100.0, u=jnp.array([drive]), method=grid)
    expected = np.arange(1, 1000 // steps + 1) * steps
    assert spike_steps(solution, dt).tolist() == expected.tolist()
    assert int(solution.spikes.count) == len(expected)
    assert not np.asarray(solution.spikes.valid)[len(expected) :].any()
    assert np.isnan(np.asarray(solution.spikes.time)[len(expected) :]).all()


def test_euler_steps_fire_with_the_period_of_their_recurrence():
    dt, drive = 0.1, 1.5
    steps = math.ceil(math.log(1 - 1 / drive) / math.log(1 - dt / 10.0))
    grid = jn.Grid(dt, record=jn.RecordTimes(20))
    solution = jn.simulate(LIF(), jnp.zeros(1), t1=60.0, u=jnp.array([drive]), method=grid)
    expected = np.arange(1, 600 // steps + 1) * steps
    assert spike_steps(solution, dt).tolist() == expected.tolist()
    since_spike = np.arange(601) % steps
    v = drive * (1 - (1 - dt / 10.0) ** since_spike)
    np.testing.assert_allclose(solution.ys[:, 0], v, rtol=0, atol=1e-13)


def lif_loop(v, drive, weights, steps, dt=0.1, tau=10.0):
    """Flow, guard, receive, reset; the spikes as (step, unit)."""
    v, spikes, trace = np.array(v), [], [np.array(v)]
    for k in range(1, steps + 1):
        v = v + dt * (-v + drive) / tau
        fired = v > 1.0
        v = v + weights @ fired.astype(float)
        v = np.where(fired, 0.0, v)
        spikes += [(k, int(i)) for i in np.flatnonzero(fired)]
        trace.append(v)
    return np.array(trace), spikes


def test_a_spike_arrives_at_its_target_in_the_step_it_is_fired():
    weights = np.array([[0.0, 0.0], [0.3, 0.0]])
    drive = np.array([1.5, 0.0])
    solution = jn.simulate(
        LIF(weights=weights), jnp.zeros(2), t1=30.0, u=drive, method=jn.Grid(0.1)
    )
    v = np.asarray(solution.ys)
    times = spike_steps(solution, 0.1)
    assert len(times) >= 2
    assert np.asarray(solution.spikes.index)[: len(times)].tolist() == [0] * len(times)
    after = np.arange(301)[:, None] - times
    kicks = np.where(after >= 0, 0.3 * 0.99 ** np.maximum(after, 0), 0.0)
    np.testing.assert_allclose(v[:, 1], kicks.sum(1), rtol=0, atol=1e-14)
    assert v[times[0] - 1, 1] == 0.0


def test_coupled_units_fire_as_in_a_plain_loop():
    weights = np.array([[0.0, 0.2, -0.1], [0.45, 0.0, 0.3], [-0.2, 0.15, 0.0]])
    drive = np.array([1.5, 1.1, 1.9])
    trace, expected = lif_loop([0.1, 0.9, 0.4], drive, weights, 800)
    solution = jn.simulate(
        LIF(weights=weights),
        jnp.array([0.1, 0.9, 0.4]),
        t1=80.0,
        u=drive,
        method=jn.Grid(0.1, record=jn.RecordTimes(100)),
    )
    n = len(expected)
    steps = spike_steps(solution, 0.1).tolist()
    units = np.asarray(solution.spikes.index)[:n].tolist()
    assert list(zip(steps, units, strict=True)) == expected
    assert {unit for _, unit in expected} == {0, 1, 2}
    np.testing.assert_allclose(solution.ys, trace, rtol=0, atol=1e-13)


def test_a_kick_to_a_unit_that_fires_in_the_same_step_is_lost_in_its_reset():
    weights = np.array([[0.0, 0.5], [0.5, 0.0]])
    solution = jn.simulate(
        LIF(weights=weights),
        jnp.array([0.999, 0.999]),
        t1=0.2,
        u=jnp.array([3.0, 3.0]),
        method=jn.Grid(0.1),
    )
    assert solution.ys[1].tolist() == [0.0, 0.0]
    assert int(solution.spikes.count) == 2


def test_a_derivative_through_resets_on_the_grid_equals_finite_differences():
    def end(drive):
        solution = jn.simulate(
            LIF(),
            jnp.zeros(1),
            t1=25.0,
            u=drive[None],
            method=jn.Grid(0.1, record=jn.RecordTimes(4)),
            throw=False,
        )
        return solution.ys[-1, 0]

    end = jax.jit(end)
    h = 1e-6
    expected = (end(jnp.asarray(1.5 + h)) - end(jnp.asarray(1.5 - h))) / (2 * h)
    gradient = jax.jit(jax.grad(end))(jnp.asarray(1.5))
    assert float(gradient) == pytest.approx(float(expected), rel=1e-7)
    assert float(expected) > 0.1


def test_too_many_spikes_keep_the_first_ones_and_the_true_count():
    dt, drive = 0.1, 1.5
    steps = math.ceil(math.log(1 - 1 / drive) / math.log(1 - dt / 10.0))
    run = lambda throw: jn.simulate(
        LIF(),
        jnp.zeros(1),
        t1=60.0,
        u=jnp.array([drive]),
        method=jn.Grid(dt, record=jn.RecordTimes(3)),
        throw=throw,
    )
    solution = run(False)
    assert bool(solution.result == jn.RESULTS.spike_buffer_full)
    assert int(solution.spikes.count) == 600 // steps
    assert spike_steps(solution, dt).tolist() == [steps, 2 * steps, 3 * steps]
    assert np.isfinite(solution.ys).all()
    with pytest.raises(RuntimeError, match="Raise `max_spikes`"):
        run(True)


def test_spikes_that_just_fit_are_no_failure():
    dt, drive = 0.1, 1.5
    steps = math.ceil(math.log(1 - 1 / drive) / math.log(1 - dt / 10.0))
    method = jn.Grid(dt, record=jn.RecordTimes(2))
    t1 = 2.5 * steps * dt
    t1 = round(t1 / dt) * dt
    solution = jn.simulate(LIF(), jnp.zeros(1), t1=t1, u=jnp.array([drive]), method=method)
    assert bool(solution.result == jn.RESULTS.successful)
    assert np.asarray(solution.spikes.valid).tolist() == [True, True]


def test_noise_makes_a_hybrid_system_fire():
    quiet, noisy = (
        jn.simulate(
            jn.Noisy(LIF(), jnp.asarray(g)),
            jnp.zeros(1),
            t1=200.0,
            u=jnp.array([0.9]),
            method=jn.Grid(0.1),
            key=jax.random.key(7),
        )
        for g in (0.0, 0.2)
    )
    assert int(quiet.spikes.count) == 0
    assert int(noisy.spikes.count) > 0
    at_spikes = np.asarray(noisy.ys)[spike_steps(noisy, 0.1), 0]
    assert (at_spikes == 0.0).all()
    assert np.asarray(noisy.ys).max() <= 1.0


@pytest.mark.parametrize("method", [jn.Grid(0.05, solver=diffrax.Dopri8()), jn.Adaptive()])
def test_a_state_may_be_a_dictionary(method):
    y0 = {"x": 0.3, "v": 1.0}
    solution = jn.simulate(Oscillator(), y0, t1=5.0, method=method)
    t = np.asarray(solution.ts)
    x = 0.3 * np.cos(2 * t) + 0.5 * np.sin(2 * t)
    v = -0.6 * np.sin(2 * t) + np.cos(2 * t)
    assert sorted(solution.ys) == ["v", "x"]
    np.testing.assert_allclose(solution.ys["x"], x, rtol=0, atol=2e-8)
    np.testing.assert_allclose(solution.ys["v"], v, rtol=0, atol=2e-8)


def test_a_state_may_be_a_tuple_of_arrays_of_different_shapes():
    y0 = (jnp.array([1.0, 2.0]), jnp.asarray(3.0))
    pair, single = jn.simulate(Linear(), y0, t1=1.0, method=jn.Grid(0.1)).ys
    decay = 0.9 ** np.arange(11)
    np.testing.assert_allclose(pair, decay[:, None] * [1.0, 2.0], rtol=1e-14)
    np.testing.assert_allclose(single, 3.0 * decay, rtol=1e-14)


def test_a_tuple_of_numbers_stands_for_a_vector_where_the_system_has_one():
    system = jn.models.WilsonCowan()
    method = jn.Grid(0.1)
    as_tuple = jn.simulate(system, (0.3, 0.2), t1=1.0, method=method)
    as_array = jn.simulate(system, jnp.array([0.3, 0.2]), t1=1.0, method=method)
    assert as_tuple.ys.shape == (11, 2)
    assert as_tuple.ys.tolist() == as_array.ys.tolist()


def test_a_parameter_replaced_in_the_tree_is_the_one_that_is_used(bistable):
    replaced = eqx.tree_at(lambda s: s.w, bistable, 2.0)
    made = jn.models.RatePopulation(w=2.0)
    runs = [
        jn.simulate(s, 0.5, t1=2.0, u=0.5, method=jn.Grid(0.1)).ys for s in (replaced, made)
    ]
    assert runs[0].tolist() == runs[1].tolist()


def test_a_number_will_do_for_the_strength_of_noise():
    noisy = jn.Noisy(jn.models.RatePopulation(), 0.1)
    run = jn.simulate(noisy, 0.2, t1=1.0, method=jn.Grid(0.1), key=jax.random.key(0))
    silent = jn.simulate(jn.models.RatePopulation(), 0.2, t1=1.0, method=jn.Grid(0.1))
    assert 0.0 < float(jnp.abs(run.ys - silent.ys).max()) < 1.0
