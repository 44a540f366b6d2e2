"""Random and recorded spikes as inputs, and trees of inputs."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import inputs, models


NAN, INF = float("nan"), float("inf")
SOURCE = models.SpikeSource()


def fire(u, size, *, t1, dt, t0=0.0, key=None, **options):
    """The spikes of units that fire when they are told to."""
    source = options.pop("source", SOURCE)
    save = options.pop("save", jn.SaveAt(t1=True))
    method = jn.Grid(dt, **({"record": jn.RecordRaster()} | options))
    y0 = jnp.zeros(size)
    return jn.simulate(source, y0, t0=t0, t1=t1, u=u, method=method, save=save, key=key)


def raster(*args, **options):
    """Whether each unit fired in each step: shape (steps, units)."""
    return np.asarray(fire(*args, **options).spikes.unpack())


# Rates (Hz) of groups of units. An infinite rate fires in every step.
RATES, GROUP, STEPS, DT = [0.0, 5.0, 100.0, 800.0, INF], 20, 4000, 1.0


def poisson_run(key, save=None):
    u = inputs.Poisson(np.repeat(RATES, GROUP), size=GROUP * len(RATES))
    options = {} if save is None else {"save": save}
    return fire(u, u.size, t1=STEPS * DT, dt=DT, key=key, **options).spikes.unpack()


@functools.cache
def poisson_raster(seed=0):
    return np.asarray(poisson_run(jax.random.key(seed)))


def assert_binomial(counts, trials, p):
    """Each count, and the sum of all, within what chance allows: 3 standard errors."""
    error = math.sqrt(trials * p * (1 - p))
    # Of so many counts the largest may be off by more.
    assert np.all(np.abs(counts - trials * p) <= 4.5 * error)
    assert abs(counts.mean() - trials * p) <= 3 * error / math.sqrt(len(counts))


@pytest.mark.parametrize("group", range(len(RATES)))
def test_a_unit_fires_with_the_probability_of_a_poisson_process(group):
    p = 1 - math.exp(-RATES[group] * DT / 1000.0)
    of_group = poisson_raster(0)[:, group * GROUP : (group + 1) * GROUP]
    assert_binomial(of_group.sum(axis=0), STEPS, p)


def test_units_and_steps_are_independent_of_one_another():
    fired = poisson_raster(0)[:, 3 * GROUP : 4 * GROUP].astype(float)
    p = 1 - math.exp(-0.8)
    # The sum of independent units: its variance has the relative error sqrt(2 / steps).
    variance = fired.sum(axis=1).var() / (GROUP * p * (1 - p))
    assert abs(variance - 1) < 3 * math.sqrt(2 / STEPS)
    centred = fired - p
    for lag in (1, 2, 10):
        products = centred[lag:] * centred[:-lag]
        error = p * (1 - p) / math.sqrt(products.size)
        assert abs(products.mean()) < 3 * error
    products = centred[:, 1:] * centred[:, :-1]
    assert abs(products.mean()) < 3 * p * (1 - p) / math.sqrt(products.size)


def test_the_same_key_gives_the_same_spikes_and_another_key_gives_others():
    again = np.asarray(poisson_run(jax.random.key(0)))
    assert np.array_equal(again, poisson_raster(0))
    assert not np.array_equal(again, poisson_raster(1))


def test_what_is_saved_does_not_change_the_spikes():
    every_seventh = poisson_run(jax.random.key(0), jn.SaveAt(steps=7))
    assert np.array_equal(every_seventh, poisson_raster(0))


def test_a_batch_of_keys_gives_what_each_key_gives_alone():
    keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
    batch = np.asarray(jax.jit(jax.vmap(poisson_run))(keys))
    assert np.array_equal(batch, [poisson_raster(0), poisson_raster(1)])


def test_a_rate_of_another_input_is_read_step_by_step():
    # So often that it fires surely, or never.
    rates = np.random.default_rng(0).choice([0.0, 1e9], (50, 3))
    u = inputs.Poisson(inputs.Sampled(rates, 0.5), size=3)
    fired = raster(u, 3, t1=25.0, dt=0.5, key=jax.random.key(4))
    assert np.array_equal(fired, rates > 0)


def test_a_random_rate_is_common_to_all_units_and_their_spikes_are_not():
    steps, size, sigma, tau = 500, 2000, 60.0, 5.0
    u = inputs.Poisson(200.0 + inputs.OrnsteinUhlenbeck(sigma=sigma, tau=tau), size=size)
    fired = raster(u, size, t1=steps * DT, dt=DT, key=jax.random.key(6))
    # The share of units that fire tells the rate, to about 10 Hz.
    rate = -1000.0 / DT * np.log1p(-fired.mean(axis=1))
    assert abs(rate.mean() - 200.0) < 30
    assert abs(rate.std() - sigma) < 20
    for lag in (1, 5):
        correlation = np.corrcoef(rate[lag:], rate[:-lag])[0, 1]
        assert abs(correlation - math.exp(-lag * DT / tau)) < 0.2
    # What is left beside the rate is the chance of each unit.
    odd, even = fired[:, 1::2].mean(axis=1), fired[:, ::2].mean(axis=1)
    p = fired.mean()
    expected = 2 * p * (1 - p) / (size / 2)
    assert abs(np.var(odd - even) / expected - 1) < 3 * math.sqrt(2 / steps)


class Counter(jn.AbstractSystem):
    """y' = u / dt: the sum of the input over the steps, by Euler's steps of dt."""

    def vector_field(self, t, y, u):
        return u / DT + 0 * y


def count_on_a_grid(rate):
    u = inputs.Poisson(rate, size=3)
    grid, save = jn.Grid(DT), jn.SaveAt(t1=True)
    key = jax.random.key(7)
    options = {"t1": 200.0, "u": u, "method": grid, "save": save, "key": key}
    return jn.simulate(Counter(), jnp.zeros(3), **options).ys[-1]


def test_the_number_of_spikes_has_the_derivative_zero_that_is_documented():
    count, slope = jax.jvp(count_on_a_grid, (100.0,), (1.0,))
    assert np.all(count > 5)
    assert np.array_equal(count, np.round(count))
    assert slope.tolist() == [0.0, 0.0, 0.0]


def test_random_spikes_need_a_key():
    with pytest.raises(ValueError, match=r"`key` is missing: `Poisson` is random"):
        fire(inputs.Poisson(1.0, size=2), 2, t1=1.0, dt=0.1)


def test_a_rate_that_becomes_negative_is_no_rate():
    u = inputs.Poisson(lambda t: 5.0 - t, size=2)
    with pytest.raises(RuntimeError, match=r"NaN or infinite.*a rate of the wrong sign"):
        fire(u, 2, t1=10.0, dt=0.5, key=jax.random.key(8))


def test_spikes_have_no_value_at_an_arbitrary_time():
    options = {"t1": 1.0, "method": jn.Adaptive(), "key": jax.random.key(0)}
    for u in (inputs.Poisson(1.0, size=3), inputs.SpikeTrain([0.5], [0], size=3)):
        with pytest.raises(ValueError, match=f"`{type(u).__name__}` counts.*Use.*`Grid`"):
            jn.simulate(Counter(), jnp.zeros(3), u=u, **options)


# A recording and its play, with a start that is no whole step.
T0 = 0.37


@functools.cache
def recording(stamp_at_start):
    neurons = models.LIF(refractory_period=2.0)
    drive = jnp.array([1.2, 2.0, 3.0, 8.0, 20.0, 0.5])
    method = jn.Grid(0.1, record=jn.RecordTimes(200), stamp_at_start=stamp_at_start)
    options = {"t0": T0, "t1": T0 + 50.0, "u": drive, "method": method}
    return jn.simulate(neurons, jnp.zeros(6), **options).spikes


def play(spikes, size, **options):
    train = inputs.SpikeTrain(spikes.time, spikes.index, size=size)
    record = jn.RecordTimes(len(spikes.time))
    return fire(train, size, t0=T0, t1=T0 + 50.0, dt=0.1, record=record, **options).spikes


@pytest.mark.parametrize("stamp_at_start", [False, True])
def test_a_recording_plays_itself_back_to_the_last_bit(stamp_at_start):
    spikes = recording(stamp_at_start)
    played = play(spikes, 6, stamp_at_start=stamp_at_start)
    assert 40 < int(spikes.count) < 200
    np.testing.assert_array_equal(played.time, spikes.time)
    np.testing.assert_array_equal(played.index, spikes.index)
    assert int(played.count) == int(spikes.count)


def times_of(solution):
    spikes = solution.spikes
    valid = np.asarray(spikes.valid)
    time, index = np.asarray(spikes.time)[valid], np.asarray(spikes.index)[valid]
    return [np.round(time[index == i], 9).tolist() for i in range(index.max() + 1)]


def play_times(times, indices, *, units=2, **options):
    """Play the spikes of two units, padded so that most is compiled once."""
    padding = max(0, 12 - len(times))
    times = jnp.pad(jnp.asarray(times), (0, padding), constant_values=NAN)
    train = inputs.SpikeTrain(times, np.pad(indices, (0, padding)), size=2)
    record = jn.RecordTimes(20)
    return fire(train, units, t1=5.0, dt=0.5, record=record, **options)


def test_of_many_spikes_in_one_step_none_is_lost():
    times = [1.0, 1.0, 1.0, 1.5, 4.0, 1.0]
    solution = play_times(times, [0, 0, 0, 0, 0, 1])
    assert times_of(solution) == [[1.0, 1.5, 2.0, 2.5, 4.0], [1.0]]
    assert int(solution.spikes.count) == len(times)


def test_spikes_that_come_in_a_refractory_period_wait():
    source = models.SpikeSource(refractory_period=1.5)
    solution = play_times([0.5, 1.0, 1.0, 4.5], [0, 0, 0, 0], source=source)
    assert times_of(solution) == [[0.5, 2.0, 3.5, 5.0]]


def test_spikes_that_still_wait_at_the_end_are_in_the_state():
    solution = play_times([5.0, 5.0, 5.0, 4.0], [0, 0, 0, 1])
    assert times_of(solution) == [[5.0], [4.0]]
    assert solution.ys[-1].tolist() == [2.0, 0.0]


@pytest.mark.parametrize(
    ("stamp_at_start", "expected"), [(False, [0.5, 1.0, 5.0]), (True, [0.0, 0.5, 1.0])]
)
def test_spikes_outside_of_the_run_are_not_fired(stamp_at_start, expected):
    times = [-1e6, -2.0, -0.5, 0.0, 0.5, 1.0, 5.0, 5.5, 1e6]
    solution = play_times(times, [0] * len(times), stamp_at_start=stamp_at_start)
    assert times_of(solution) == [expected]


def test_nan_is_no_spike_and_neither_is_infinity():
    # The unit of what is no spike is not looked at.
    times, units = [NAN, 1.0, INF, -INF, 2.0, NAN], [0, 0, 0, 0, 1, -7]
    assert times_of(play_times(times, units)) == [[1.0], [2.0]]


def test_spikes_off_the_grid_go_to_the_nearest_stamp_in_any_order():
    times, units = [3.2, 0.3, 1.26, 1.24], [0, 1, 0, 0]
    assert times_of(play_times(times, units)) == [[1.0, 1.5, 3.0], [0.5]]


def test_a_recording_of_no_spikes_is_silent():
    train = inputs.SpikeTrain(np.zeros(0), np.zeros(0, int), size=2)
    assert not raster(train, 2, t1=5.0, dt=0.5).any()


def test_a_batch_of_recordings_gives_what_each_gives_alone():
    times = jnp.array([[1.0, 2.0, 2.0], [NAN, 4.0, 0.5]])

    def run(times):
        return play_times(times, [0, 1, 1]).spikes

    batch = jax.jit(jax.vmap(run))(times)
    for i in range(2):
        alone = run(times[i])
        np.testing.assert_array_equal(batch.time[i], alone.time)
        np.testing.assert_array_equal(batch.index[i], alone.index)
    assert batch.count.tolist() == [3, 2]


# Trees of inputs.


class TwoInputs(jn.AbstractSystem):
    """x' = drive - x; z' = gain[0] - gain[1] z, of the input {"drive", "gain"}."""

    def vector_field(self, t, y, u):
        a, b = u["gain"]
        return {"x": u["drive"] - y["x"], "z": a - b * y["z"]}


def tree_of_inputs():
    """A pulse that is narrow and late, a function of time, and a number."""
    pulse = inputs.Pulse(onset=7.3, duration=0.05, value=10.0)
    return {"drive": pulse, "gain": (lambda t: jnp.cos(t), 1.0)}


Y0 = {"x": 0.0, "z": 0.5}


def test_an_adaptive_run_steps_to_the_breakpoints_of_every_leaf():
    solution = jn.simulate(TwoInputs(), Y0, t1=10.0, u=tree_of_inputs())
    t = np.asarray(solution.ts)
    onset, end = 7.3, 7.35
    during, after = np.clip(t - onset, 0, 0.05), np.clip(t - end, 0, None)
    x = 10.0 * (1 - np.exp(-during)) * np.exp(-after)
    z = (np.cos(t) + np.sin(t)) / 2
    assert x.max() > 0.4
    np.testing.assert_allclose(solution.ys["x"], x, rtol=0, atol=2e-8)
    np.testing.assert_allclose(solution.ys["z"], z, rtol=0, atol=2e-8)


def test_a_grid_reads_every_leaf_at_the_start_of_the_step():
    method = jn.Grid(0.05)
    solution = jn.simulate(TwoInputs(), Y0, t1=10.0, u=tree_of_inputs(), method=method)
    x, z = [0.0], [0.5]
    for k in range(200):
        # The pulse lasts one step of the grid.
        x.append(x[-1] + 0.05 * (10.0 * (k == 146) - x[-1]))
        z.append(z[-1] + 0.05 * (math.cos(k * 0.05) - z[-1]))
    np.testing.assert_allclose(solution.ys["x"], x, rtol=0, atol=1e-13)
    np.testing.assert_allclose(solution.ys["z"], z, rtol=0, atol=1e-13)


def test_a_tree_with_inputs_in_it_is_read_as_one():
    each = inputs.as_input(tree_of_inputs())
    assert isinstance(each, inputs.Each)
    value = each(jnp.asarray(7.32))
    assert float(value["drive"]) == 10.0
    assert [float(x) for x in value["gain"]] == [pytest.approx(math.cos(7.32)), 1.0]
    np.testing.assert_allclose(np.sort(each.breakpoints()), [7.3, 7.35])
    assert not inputs.is_constant(each)
    assert inputs.is_constant(inputs.Each({"a": 1.0, "b": [1.0, 2.0]}))
    assert isinstance(inputs.as_input({"a": 1.0, "b": [1.0, 2.0]}), inputs.Constant)


def test_trees_of_inputs_add_up_leaf_by_leaf():
    total = inputs.Each({"a": jnp.sin, "b": 2.0}) + {"a": 1.0, "b": 3.0}
    value = total(jnp.asarray(0.5))
    assert float(value["a"]) == pytest.approx(math.sin(0.5) + 1.0)
    assert float(value["b"]) == 5.0
    with pytest.raises(ValueError, match="terms of a sum must have one structure"):
        (inputs.Each({"a": jnp.sin}) + {"b": 1.0})(jnp.asarray(0.5))


def test_the_leaves_of_a_tree_are_random_independently():
    steps, size = 1000, 20
    poisson = inputs.Poisson(500.0, size=size)
    u = {"first": poisson, "second": poisson}
    population = models.Population(SOURCE, size)
    network = models.Network({"first": population, "second": population})
    fired = np.asarray(
        jn.simulate(
            network,
            network.initial_state(),
            t1=steps * DT,
            u=u,
            method=jn.Grid(DT, record=jn.RecordRaster()),
            save=jn.SaveAt(t1=True),
            key=jax.random.key(9),
        ).spikes.unpack()
    )
    p = 1 - math.exp(-0.5)
    first, second = fired[:, :size] - p, fired[:, size:] - p
    for half in (first, second):
        assert abs(half.mean()) < 3 * math.sqrt(p * (1 - p) / half.size)
    products = first * second
    assert abs(products.mean()) < 3 * p * (1 - p) / math.sqrt(products.size)


def test_a_batch_of_trees_gives_what_each_gives_alone():
    def run(onset):
        pulse = inputs.Pulse(onset=onset, duration=2.0, value=1.0)
        u = {"drive": pulse, "gain": (jnp.sin, 0.0)}
        method, save = jn.Grid(0.5), jn.SaveAt(t1=True)
        return jn.simulate(TwoInputs(), Y0, t1=5.0, u=u, method=method, save=save).ys["x"]

    found = jax.jit(jax.vmap(run))(jnp.array([0.0, 1.0, 4.0]))[:, 0]
    # Euler's steps of half a millisecond: halved in each without the pulse.
    during = [4, 4, 2]
    after = [6, 4, 0]
    expected = [(1 - 0.5**n) * 0.5**m for n, m in zip(during, after, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_run_longer_than_the_samples_of_a_leaf_is_refused():
    u = {"drive": inputs.Sampled(np.ones(4), 0.1), "gain": (1.0, 1.0)}
    with pytest.raises(ValueError, match="samples"):
        jn.simulate(TwoInputs(), Y0, t1=10.0, u=u, method=jn.Grid(0.1))


PULSE = inputs.Pulse(onset=1.0, duration=1.0, value=1.0)

REFUSED = {
    "negative rate": (
        lambda: inputs.Poisson([1.0, -2.0], size=2),
        "`rate` must not be negative",
    ),
    "rate NaN": (lambda: inputs.Poisson(NAN, size=2), "is NaN"),
    "rate shape": (
        lambda: inputs.Poisson([1.0, 2.0, 3.0], size=2),
        r"`rate` must be one number, or one a unit, \(2,\)",
    ),
    "rate tree": (lambda: inputs.Poisson({"a": 1.0}, size=2), "`rate` must be"),
    "rate tree of inputs": (
        lambda: inputs.Poisson({"a": PULSE}, size=2),
        "`rate` must be",
    ),
    "poisson size": (lambda: inputs.Poisson(1.0, size=0), "`size` must be positive"),
    "train size": (
        lambda: inputs.SpikeTrain(np.zeros(0), np.zeros(0, int), size=0),
        "`size` must be positive",
    ),
    "train lengths": (
        lambda: inputs.SpikeTrain([1.0, 2.0], [0], size=2),
        "`times` and `indices` must be two vectors of one length",
    ),
    "train matrix": (
        lambda: inputs.SpikeTrain([[1.0], [2.0]], [[0], [1]], size=2),
        "`times` and `indices` must be two vectors of one length",
    ),
    "index too large": (
        lambda: inputs.SpikeTrain([1.0, 2.0], [0, 2], size=2),
        "`indices` must lie in 0 to 1, but they reach from 0 to 2",
    ),
    "index negative": (
        lambda: inputs.SpikeTrain([1.0, 2.0], [0, -1], size=2),
        "`indices` must lie in 0 to 1, but they reach from -1 to 0",
    ),
    "indices that are no integers": (
        lambda: play_times([1.0, 2.0], [0.0, 1.0]),
        "`indices`",
    ),
    "train for others": (
        lambda: play_times([1.0], [0], units=3),
        "`u`",
    ),
    "list of inputs": (
        lambda: jn.simulate(
            TwoInputs(), Y0, t1=1.0, u={"drive": 1.0, "gain": [PULSE, 1.0]}
        ),
        "`u`",
    ),
    "a word": (lambda: inputs.Each({"a": "x"}), "must be a number or an array, not 'x'"),
    "NaN in a leaf": (lambda: inputs.Each({"a": NAN, "b": PULSE}), "is NaN"),
    "missing leaf": (
        lambda: jn.simulate(TwoInputs(), Y0, t1=1.0, u={"drive": PULSE}),
        "cannot be evaluated.*an input `u` of shape",
    ),
}


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_input_is_refused_by_its_name(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.usefixtures("unchecked_shapes")
def test_an_empty_list_is_a_recording_of_no_spikes():
    assert not raster(inputs.SpikeTrain([], [], size=2), 2, t1=5.0, dt=0.5).any()
