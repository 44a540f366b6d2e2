"""Uniform noise on a grid, and inputs that are there for a while."""

import itertools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.inputs import During, Each, OrnsteinUhlenbeck, Pulse, Sampled, UniformNoise


DT = 0.5
KEY = jax.random.key(11)


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


class Integrator(jn.AbstractSystem):
    """y' = u."""

    def vector_field(self, t, y, u):
        return jax.tree.map(lambda leaf, value: value + 0 * leaf, y, u)


@eqx.filter_jit
def recorded(u, y0, key=None, *, steps=40, dt=DT, t0=0.0):
    """The input of each step."""
    t1 = t0 + steps * dt
    solution = jn.simulate(Recorder(), y0, t0=t0, t1=t1, u=u, method=jn.Grid(dt), key=key)
    return jax.tree.map(lambda x: x[1:], solution.ys)


def noise(low=0.0, high=5.0, shape=(20, 10)):
    return UniformNoise(low, high, shape=shape)


ZERO = jnp.zeros((20, 10))


def test_uniform_noise_has_the_moments_of_its_range():
    low, high = -1.0, 4.0
    x = np.asarray(recorded(noise(low, high), ZERO, KEY)).ravel()
    n, width = x.size, high - low
    assert n == 8000
    assert low <= x.min() < low + 10 * width / n
    assert high - 10 * width / n < x.max() < high
    variance = width**2 / 12
    assert abs(x.mean() - (low + high) / 2) < 4 * np.sqrt(variance / n)
    # The fourth central moment is width^4 / 80.
    error = np.sqrt((width**4 / 80 - variance**2) / n)
    assert abs(x.var() - variance) < 4 * error


def test_every_unit_and_every_step_has_a_number_of_its_own():
    x = np.asarray(recorded(noise(), ZERO, KEY))
    assert len(np.unique(x)) == x.size
    z = (x - 2.5) / np.sqrt(25 / 12)
    n = z.size
    for pair in (
        (z[1:], z[:-1]),
        (z[:, 1:], z[:, :-1]),
        (z[:, :, 1:], z[:, :, :-1]),
    ):
        assert abs(np.mean(pair[0] * pair[1])) < 4 / np.sqrt(0.9 * n)


def test_a_key_gives_one_run_and_another_key_another():
    first, again = recorded(noise(), ZERO, KEY), recorded(noise(), ZERO, KEY)
    other = recorded(noise(), ZERO, jax.random.key(12))
    np.testing.assert_array_equal(first, again)
    assert not np.any(np.asarray(first) == np.asarray(other))


def test_the_numbers_scale_with_the_range():
    unit, wide = recorded(noise(0.0, 1.0), ZERO, KEY), recorded(noise(2.0, 7.0), ZERO, KEY)
    np.testing.assert_allclose(wide, 2.0 + 5.0 * np.asarray(unit), rtol=1e-15)


def test_all_stages_of_a_step_see_one_number():
    """So that the steps of Heun are those of Euler where the rate is the input."""
    method = jn.Grid(DT, diffrax.Heun())
    run = jn.simulate(Integrator(), ZERO, t1=20.0, u=noise(), method=method, key=KEY)
    expected = DT * np.cumsum(recorded(noise(), ZERO, KEY), axis=0)
    np.testing.assert_allclose(run.ys[1:], expected, rtol=0, atol=1e-12)


def test_a_batch_of_keys_and_ranges_gives_each_run_alone():
    keys, highs = jax.random.split(KEY, 3), jnp.array([1.0, 2.0, 5.0])
    run = lambda key, high: recorded(noise(high=high), ZERO, key)
    together = jax.vmap(run)(keys, highs)
    for i in range(3):
        np.testing.assert_allclose(together[i], run(keys[i], highs[i]), rtol=1e-15)
    assert len(np.unique(together)) == together.size


def test_the_slope_in_the_range_is_what_was_drawn():
    def end(low, high):
        u = noise(low, high, ())
        return jn.simulate(Integrator(), 0.0, t1=5.0, u=u, method=jn.Grid(DT), key=KEY).ys[
            -1
        ]

    value, slopes = jax.value_and_grad(end, (0, 1))(1.0, 3.0)
    # The sum of what was drawn in (0, 1), times the step.
    drawn = (float(value) - 5.0) / 2.0
    assert 0.0 < drawn < 5.0
    assert float(slopes[0]) == pytest.approx(5.0 - drawn, rel=1e-12)
    assert float(slopes[1]) == pytest.approx(drawn, rel=1e-12)
    _, forward = jax.jvp(end, (1.0, 3.0), (2.0, 1.0))
    assert float(forward) == pytest.approx(10.0 - drawn, rel=1e-12)


def test_what_stands_side_by_side_is_drawn_apart():
    """In a sum, in a pair, within a time, and beside other inputs of the same shape."""
    u = (noise(), During(noise(), duration=1e3), noise() + noise())
    a, b, c = (np.asarray(x) for x in recorded(u, (ZERO, ZERO, ZERO), KEY))
    assert len(np.unique([a, b])) == 2 * a.size
    assert len(np.unique([a, b, c])) == 3 * a.size
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)
    # The variance of the sum of two independent terms is twice that of one.
    variance = 2 * 25 / 12
    # The fourth moment of a triangle of half width h is h^4 / 15, and its variance h^2 / 6.
    error = np.sqrt((5.0**4 / 15 - variance**2) / c.size)
    assert abs(c.var() - variance) < 4 * error


def test_in_single_precision_the_numbers_are_single():
    with jax.enable_x64(False):
        x = recorded(noise(), jnp.zeros((20, 10)), KEY)
        assert x.dtype == jnp.float32
        assert 0.0 <= float(x.min()) < float(x.max()) <= 5.0


# For a while.

TIMES = [
    (0.0, 30.0),
    (3.0, 4.0),
    (0.1, 0.3),
    (0.7, 1.4),
    (2.5, 0.0),
    (-1.0, 3.0),
    (5.0, 1e9),
]


@pytest.mark.parametrize("dt", [0.5, 0.1])
def test_an_input_is_on_in_the_steps_of_a_pulse(dt):
    """Also where 1.1 + 3.2, the end, is a little more than 43 steps of 0.1."""
    steps = 100
    onset, duration = jnp.array(TIMES).T
    ramp = Sampled(1.0 + np.arange(steps + 1.0), dt)

    @jax.vmap
    def both(onset, duration):
        inputs = During(ramp, duration, onset), Pulse(onset, duration, 1.0)
        return recorded(inputs, (0.0, 0.0), steps=steps, dt=dt)

    found, pulse = map(np.asarray, both(onset, duration))
    np.testing.assert_array_equal(found, pulse * (1.0 + np.arange(steps)))
    # By whole numbers of tenths.
    tenths = np.arange(steps) * round(10 * dt)
    for row, (start, length) in zip(pulse, TIMES, strict=True):
        start, end = round(10 * start), round(10 * (start + length))
        np.testing.assert_array_equal(row, (start <= tenths) & (tenths < end))


def test_noise_with_a_memory_goes_on_unseen():
    ou = OrnsteinUhlenbeck(sigma=1.0, tau=5.0)
    always = recorded(ou, 0.0, KEY)
    later = recorded(During(ou, duration=5.0, onset=10.0), 0.0, KEY)
    np.testing.assert_array_equal(later[20:30], always[20:30])
    assert not np.any(later[:20])
    assert not np.any(later[30:])


def test_thirty_ms_of_a_tree_of_inputs_are_sixty_steps_of_half_a_ms():
    """While they are on they are what they are without an end, noise too."""
    tree = {"a": noise(shape=(3,)), "b": lambda t: 1.0 + t, "c": 2.0}
    y0 = {"a": jnp.zeros(3), "b": 0.0, "c": 0.0}
    always = recorded(Each(tree), y0, KEY, steps=80)
    burst = recorded(During(tree, duration=30.0), y0, KEY, steps=80)
    for name, values in burst.items():
        np.testing.assert_array_equal(values[:60], always[name][:60])
        assert np.all(np.asarray(always[name][60:]) > 0)
        np.testing.assert_array_equal(values[60:], 0.0)


def test_a_solver_with_a_stage_at_the_end_sees_what_is_on_there():
    run = jn.simulate(
        Integrator(),
        0.0,
        t1=4.0,
        u=During(2.0, duration=1.0, onset=1.0),
        method=jn.Grid(DT, diffrax.Heun()),
    )
    # The stages at 1.0, at 1.5 (twice) and, of the step before, at 1.0.
    u = [0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    expected = np.cumsum([0.0] + [DT * (a + b) / 2 for a, b in itertools.pairwise(u)])
    np.testing.assert_allclose(run.ys, expected, rtol=0, atol=1e-13)


def test_adaptive_steps_meet_the_edges():
    u = During(lambda t: 2.0 * t, duration=1.0, onset=10.0)
    run = jn.simulate(Integrator(), 0.0, t1=30.0, u=u, save=jn.SaveAt(t1=True))
    assert float(run.ys[-1]) == pytest.approx(11.0**2 - 10.0**2, abs=1e-5)


def test_the_slope_in_what_is_on_is_that_of_its_time():
    def end(high):
        u = During(noise(0.0, high, ()), duration=2.0)
        return jn.simulate(Integrator(), 0.0, t1=5.0, u=u, method=jn.Grid(DT), key=KEY).ys[
            -1
        ]

    value, slope = jax.value_and_grad(end)(3.0)
    assert 0 < float(value) < 6.0
    assert float(slope) == pytest.approx(float(value) / 3.0, rel=1e-12)


# What is refused.


def simulated(u, **options):
    options = {"method": jn.Grid(DT), "key": KEY} | options
    return jn.simulate(Integrator(), 0.0, t1=2.0, u=u, **options)


BAD = {
    "noise without a key": (
        lambda: simulated(noise(shape=()), key=None),
        "`key` is missing: `UniformNoise` is random",
    ),
    "noise for a while without a key": (
        lambda: simulated(During(noise(shape=()), duration=1.0), key=None),
        "`key` is missing: `UniformNoise` is random",
    ),
    "adaptive steps": (
        lambda: simulated(noise(shape=()), method=jn.Adaptive()),
        "`UniformNoise` is drawn for the steps of a grid.*`Grid`",
    ),
    "adaptive steps for a while": (
        lambda: simulated(During(noise(shape=()), duration=1.0), method=jn.Adaptive()),
        "`UniformNoise` is drawn for the steps of a grid.*`Grid`",
    ),
    "a value at a time": (
        lambda: noise()(0.5),
        "has no value at an arbitrary time. Use the method `Grid`",
    ),
    "NaN in a range": (lambda: noise(high=np.nan), r"`UniformNoise\.high` is NaN"),
    "a range upside down": (
        lambda: noise(low=2.0, high=1.0),
        "`low` = 2.0 must not be above `high` = 1.0",
    ),
    "a range a unit": (
        lambda: UniformNoise(np.zeros(3), 1.0, shape=(3,)),
        r"`low` of `UniformNoise` must be one number, but its shape is \(3,\)",
    ),
    "a number for a shape": (
        lambda: UniformNoise(0.0, 1.0, shape=3),
        r"`shape` of `UniformNoise` must be a tuple of whole numbers, .* but it is 3",
    ),
    "a shape of fractions": (lambda: noise(shape=(2.5,)), "`shape` of `UniformNoise`"),
    "a negative shape": (lambda: noise(shape=(-1,)), "`shape` of `UniformNoise`"),
    "a duration a unit": (
        lambda: During(np.ones(2), duration=np.array([1.0, 2.0])),
        r"`duration` of `During` must be one number, but its shape is \(2,\)",
    ),
    "a negative duration": (
        lambda: During(1.0, duration=-1.0),
        "`duration` of `During` must be nonnegative, but it is -1.0",
    ),
    "a NaN onset": (lambda: During(1.0, 1.0, np.nan), r"`During\.onset` is NaN"),
    "a list of inputs": (
        lambda: During([noise(), 1.0], duration=1.0),
        "a list is read as an array; pass a tuple of inputs",
    ),
    "too few samples, though off by then": (
        lambda: simulated(During(Sampled([1.0, 2.0], DT), duration=0.5)),
        "`values` has 2 samples.*Give more samples",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_its_remedy(case, unchecked_shapes):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()
