"""Dwell times against plain Python loops, and noise-driven switching."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
import pytest

import jaxnet as jn


LOW, HIGH = 0.2, 0.7
BURN_IN = 100.0


def loop_states(series):
    """1 for up, 0 for down, None while no threshold was crossed."""
    state, states = None, []
    for x in series:
        if x < LOW:
            state = 0
        elif x > HIGH:
            state = 1
        states.append(state)
    return states


def loop_dwells(states, dt):
    time, exits = [0.0, 0.0], [0, 0]
    previous = None
    for state in states:
        if state is not None:
            time[state] += dt
            if previous is not None and state != previous:
                exits[previous] += 1
        previous = state
    return time, exits


def random_walk(seed, n=60):
    steps = np.random.default_rng(seed).normal(scale=0.3, size=n)
    x = [0.45]
    for s in steps[1:]:
        x.append(min(max(x[-1] + s, 0.0), 1.0))
    return np.array(x)


SERIES = {
    "starts between the thresholds": [0.5, 0.3, 0.9, 0.5, 0.1, 0.5, 0.8, 0.3],
    "never crosses": [0.5, 0.4, 0.6, 0.5, 0.3, 0.5, 0.6, 0.5],
    "always up": [0.9, 0.8, 0.3, 0.5, 0.9, 0.5, 0.3, 0.3],
    "always down": [0.1, 0.6, 0.5, 0.0, 0.1, 0.4, 0.6, 0.5],
    "jumps at each sample": [0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1],
    "on a threshold is between": [0.9, 0.2, 0.7, 0.1, 0.7, 0.2, 0.7, 0.2],
    "one sample": [0.9],
} | {f"random walk {seed}": random_walk(seed) for seed in range(4)}


@jax.jit
def measure(x):
    states = jn.measure.hysteresis(x < LOW, x > HIGH)
    return states, jn.measure.dwell_times(states, 0.1)


@pytest.mark.parametrize("name", SERIES)
def test_hysteresis_and_dwell_times_equal_a_plain_loop(name):
    expected = loop_states(SERIES[name])
    states, dwells = measure(jnp.asarray(SERIES[name]))
    assert states.known.tolist() == [s is not None for s in expected]
    assert states.up.tolist() == [s == 1 for s in expected]

    (down, up), (exits_down, exits_up) = loop_dwells(expected, 0.1)
    assert float(dwells.time_up) == pytest.approx(up, abs=1e-12)
    assert float(dwells.time_down) == pytest.approx(down, abs=1e-12)
    assert int(dwells.exits_up) == exits_up
    assert int(dwells.exits_down) == exits_down


def test_the_random_walks_leave_both_states():
    for seed in range(4):
        _, exits = loop_dwells(loop_states(random_walk(seed)), 1.0)
        assert min(exits) >= 1


def test_dwell_times_of_a_batch_are_those_of_its_rows():
    rows = np.stack([random_walk(seed) for seed in range(4)])
    _, batch = jax.vmap(measure)(jnp.asarray(rows))
    for i, row in enumerate(rows):
        (down, up), (exits_down, exits_up) = loop_dwells(loop_states(row), 0.1)
        assert float(batch.time_up[i]) == pytest.approx(up, abs=1e-12)
        assert float(batch.time_down[i]) == pytest.approx(down, abs=1e-12)
        assert (int(batch.exits_up[i]), int(batch.exits_down[i])) == (exits_up, exits_down)


def test_the_pooled_mean_is_the_ratio_of_sums_with_the_error_of_a_ratio_estimator():
    time, exits = [10.0, 3.0, 8.0, 5.5], [2, 1, 3, 1]
    mean = sum(time) / sum(exits)
    n = len(time)
    residuals = [t - mean * m for t, m in zip(time, exits, strict=True)]
    variance = sum(r * r for r in residuals) / (n - 1)
    error = (variance / n) ** 0.5 / (sum(exits) / n)
    got_mean, got_error = jn.measure.pooled_mean(jnp.array(time), jnp.array(exits))
    assert float(got_mean) == pytest.approx(mean, rel=1e-14)
    assert float(got_error) == pytest.approx(error, rel=1e-13)


def test_the_pooled_mean_of_exponential_dwells_has_the_error_of_their_mean():
    rng = np.random.default_rng(0)
    times = rng.exponential(30.0, size=(2000, 5))
    mean, error = jn.measure.pooled_mean(jnp.asarray(times.sum(1)), jnp.full(len(times), 5))
    expected_error = 30.0 / np.sqrt(times.size)
    assert abs(float(mean) - 30.0) < 3 * expected_error
    assert float(error) == pytest.approx(expected_error, rel=0.06)


def codes(t, y, args):
    return ((y < LOW) + 2 * (y > HIGH)).astype(jnp.uint8)


# The published mean dwell times and their standard errors (ms), up and down.
FORMS = {
    "Euler OU, Euler 0.1": (
        jn.inputs.EulerOrnsteinUhlenbeck(sigma=0.7, tau=1.0),
        jn.Grid(0.1),
        (53.95, 24.76),
    ),
    "exact OU, Euler 0.1": (
        jn.inputs.OrnsteinUhlenbeck(sigma=0.7, tau=1.0),
        jn.Grid(0.1),
        (55.97, 25.49),
    ),
    "exact OU, Heun 0.05": (
        jn.inputs.OrnsteinUhlenbeck(sigma=0.7, tau=1.0),
        jn.Grid(0.05, solver=diffrax.Heun()),
        (54.9, 25.07),
    ),
}
REFERENCE_ERRORS = (0.1, 0.04)


def switching(noise, grid, trials, duration, seed):
    population = jn.models.RatePopulation(w=5.0)
    drive = jn.inputs.Constant(0.56) + noise
    first = round(BURN_IN / grid.dt)

    @eqx.filter_vmap
    def trial(key):
        solution = jn.simulate(
            population,
            0.2,
            t1=BURN_IN + duration,
            u=drive,
            method=grid,
            save=jn.SaveAt(steps=1, fn=codes),
            key=key,
        )
        states = jn.measure.hysteresis(solution.ys == 1, solution.ys == 2)
        kept = jtu.tree_map(lambda x: x[first:], states)
        return jn.measure.dwell_times(kept, grid.dt)

    dwells = eqx.filter_jit(trial)(jax.random.split(jax.random.key(seed), trials))
    return (
        jn.measure.pooled_mean(dwells.time_up, dwells.exits_up),
        jn.measure.pooled_mean(dwells.time_down, dwells.exits_down),
    )


def assert_agrees(measured, expected, largest_error):
    for (mean, error), value, reference, largest in zip(
        measured, expected, REFERENCE_ERRORS, largest_error, strict=True
    ):
        assert float(error) < largest
        assert abs(float(mean) - value) < 3 * np.hypot(float(error), reference)


@pytest.mark.parametrize("form", FORMS)
def test_noise_drives_switching_with_the_published_mean_dwell_times(form):
    noise, grid, expected = FORMS[form]
    trials = 400 if grid.dt == 0.1 else 150
    measured = switching(noise, grid, trials, 1000.0, seed=1)
    assert_agrees(measured, expected, (1.5, 0.6))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_many_trials_of_switching_have_the_published_mean_dwell_times(form):
    noise, grid, expected = FORMS[form]
    measured = switching(noise, grid, 2000, 2000.0, seed=2)
    assert_agrees(measured, expected, (0.3, 0.12))
