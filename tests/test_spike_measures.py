"""Measures of spikes against integer arithmetic, numpy, and point processes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jaxnet as jn


UNITS = 5
# One room for most tests, so that most is compiled once.
ROOM = 256
NAN = float("nan")


def spikes_of(time, index, room=ROOM, *, padding=3):
    """Spikes in a buffer with `room`; the padding has a unit that must not be read."""
    kept = min(room, len(time))
    time_buffer = np.full(room, NAN, np.asarray(time).dtype)
    index_buffer = np.full(room, padding)
    time_buffer[:kept], index_buffer[:kept] = time[:kept], index[:kept]
    return jn.Spikes(
        time=jnp.asarray(time_buffer),
        index=jnp.asarray(index_buffer),
        valid=jnp.arange(room) < kept,
        count=jnp.asarray(len(time)),
    )


def random_spikes(seed, number=200, room=ROOM):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0.0, 100.0, number))
    index = rng.integers(0, UNITS, number)
    return time, index, spikes_of(time, index, room)


NO_SPIKES = spikes_of(np.array([]), np.array([], int))


def histogram(time, index, edges):
    units = np.arange(UNITS + 1) - 0.5
    # The last bin of numpy is closed.
    inside = time < edges[-1]
    return np.histogram2d(time[inside], index[inside], (edges, units))[0]


@jax.jit
def all_measures(spikes):
    intervals = jn.measure.interspike_intervals(spikes)
    counts = jn.measure.raster(spikes, UNITS, t0=0.0, t1=100.0, dt=5.0)
    return {
        "raster": counts,
        "rates": jn.measure.firing_rates(spikes, UNITS, t0=0.0, t1=100.0),
        "rate": jn.measure.population_rate(spikes, UNITS, t0=0.0, t1=100.0, dt=5.0),
        "intervals": intervals.value,
        "cv": jn.measure.cv(intervals, UNITS),
        "fano": jn.measure.fano_factor(counts),
    }


def test_a_raster_of_spikes_off_the_edges_is_a_histogram_of_numpy():
    time, index, spikes = random_spikes(0)
    edges = np.arange(10.0, 91.0, 2.0)
    counts = jn.measure.raster(spikes, UNITS, t0=10.0, t1=90.0, dt=2.0)
    np.testing.assert_array_equal(counts, histogram(time, index, edges))
    assert 0 < counts.sum() < len(time)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("steps_per_bin", [1, 3, 10])
@pytest.mark.parametrize("step", [0.1, 0.05, 0.3, 1 / 3])
@pytest.mark.parametrize("first", [-700, 0, 30, 6000])
def test_a_spike_on_an_edge_is_in_the_bin_that_begins_there(
    first, step, steps_per_bin, dtype
):
    """One spike at every step, made as a grid makes it; the bins by integers."""
    bins = 300
    k = np.arange(first - 20, first + bins * steps_per_bin + 20)
    time = dtype(k) * dtype(step)
    index = k % UNITS
    counts = jn.measure.raster(
        spikes_of(time, index, room=4000),
        UNITS,
        t0=first * step,
        t1=(first + bins * steps_per_bin) * step,
        dt=steps_per_bin * step,
    )
    bin = (k - first) // steps_per_bin
    inside = (bin >= 0) & (bin < bins)
    expected = np.zeros((bins, UNITS))
    np.add.at(expected, (bin[inside], index[inside]), 1)
    np.testing.assert_array_equal(counts, expected)


def test_the_quotients_that_round_down_are_not_a_bin_too_low():
    assert 0.3 // 0.1 == 2
    spikes = spikes_of(np.array([0.3, 0.6, 0.7]), np.zeros(3, int))
    counts = jn.measure.raster(spikes, UNITS, t0=0.0, t1=0.8, dt=0.1)
    assert counts[:, 0].tolist() == [0, 0, 0, 1, 0, 0, 1, 1]


def test_a_window_has_its_start_and_not_its_end():
    spikes = spikes_of(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.zeros(5, int))
    counts = jn.measure.raster(spikes, UNITS, t0=1.0, t1=4.0, dt=1.5)
    assert counts[:, 0].tolist() == [2, 1]
    assert jn.measure.firing_rates(spikes, UNITS, t0=1.0, t1=4.0)[0] == 1000.0


def test_a_population_is_some_columns_of_the_raster():
    _, _, spikes = random_spikes(1)
    units, window = slice(1, 4), {"t0": 0.0, "t1": 100.0, "dt": 4.0}
    every = np.asarray(jn.measure.raster(spikes, UNITS, **window))
    population = jn.measure.raster(spikes, units, **window)
    np.testing.assert_array_equal(population, every[:, 1:4])

    rate = jn.measure.population_rate(spikes, units, **window)
    np.testing.assert_allclose(rate, 1000 * every[:, 1:4].mean(1) / 4.0, rtol=1e-14)
    rates = jn.measure.firing_rates(spikes, units, t0=0.0, t1=100.0)
    np.testing.assert_allclose(rates, 1000 * every[:, 1:4].sum(0) / 100.0, rtol=1e-14)

    intervals = jn.measure.interspike_intervals(spikes)
    all_cvs = np.asarray(jn.measure.cv(intervals, UNITS))
    np.testing.assert_array_equal(jn.measure.cv(intervals, units), all_cvs[1:4])
    assert np.all(np.isfinite(all_cvs))


def test_a_number_of_units_is_that_of_the_first_units():
    _, _, spikes = random_spikes(2)
    window = {"t0": 0.0, "t1": 100.0, "dt": 4.0}
    np.testing.assert_array_equal(
        jn.measure.raster(spikes, 2, **window),
        jn.measure.raster(spikes, slice(2), **window),
    )


@pytest.mark.parametrize("padding", [-1, -(2**31), 0, UNITS, 2**31 - 1])
def test_the_unit_of_the_padding_is_not_read(padding):
    time, index, spikes = random_spikes(3)
    padded = spikes_of(time, index, padding=padding)
    answers = all_measures(padded)
    for name, expected in all_measures(spikes).items():
        np.testing.assert_array_equal(answers[name], expected)


def test_a_batch_of_trials_is_a_loop_over_them():
    trials = [random_spikes(seed)[2] for seed in range(3)] + [
        spikes_of(np.array([50.0]), np.array([1]))
    ]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trials)
    answers = jax.vmap(all_measures)(batch)
    for i, trial in enumerate(trials):
        for name, expected in all_measures(trial).items():
            np.testing.assert_allclose(answers[name][i], expected, rtol=1e-13, atol=1e-13)


def test_intervals_are_the_differences_of_each_unit():
    time, index, spikes = random_spikes(4)
    intervals = jn.measure.interspike_intervals(spikes)
    for unit in range(UNITS):
        own = np.asarray(intervals.valid & (intervals.index == unit))
        expected = np.diff(time[index == unit])
        assert len(expected) > 20
        np.testing.assert_array_equal(np.asarray(intervals.value)[own], expected)
        # An interval stands where the spike stands that ends it.
        later = np.flatnonzero(index == unit)[1:]
        np.testing.assert_array_equal(np.flatnonzero(own), later)
    assert np.all(np.isnan(intervals.value) == ~intervals.valid)


LATE = lambda time: time >= 40.0
THINNED = lambda time: np.sin(1000 * time) > 0


@pytest.mark.parametrize("keep", [LATE, THINNED], ids=["late", "thinned"])
def test_spikes_that_are_made_invalid_are_no_spikes(keep):
    time, index, spikes = random_spikes(5)
    kept = keep(time)
    valid = spikes.valid.at[: len(time)].set(kept)
    chosen = jn.Spikes(spikes.time, spikes.index, valid, spikes.count)
    intervals = jn.measure.interspike_intervals(chosen)
    for unit in range(UNITS):
        own = np.asarray(intervals.valid & (intervals.index == unit))
        expected = np.diff(time[(index == unit) & kept])
        np.testing.assert_array_equal(np.asarray(intervals.value)[own], expected)

    counts = jn.measure.raster(chosen, UNITS, t0=0.0, t1=100.0, dt=5.0)
    expected = histogram(time[kept], index[kept], np.arange(0.0, 101.0, 5.0))
    np.testing.assert_array_equal(counts, expected)


def test_the_cv_is_that_of_numpy():
    time, index, spikes = random_spikes(6)
    cvs = jn.measure.cv(jn.measure.interspike_intervals(spikes), UNITS)
    intervals = [np.diff(time[index == unit]) for unit in range(UNITS)]
    expected = [np.std(x, ddof=1) / np.mean(x) for x in intervals]
    np.testing.assert_allclose(cvs, expected, rtol=1e-12)


def gamma_process(seed, shape, units, intervals):
    """A renewal process with a mean interval of 10 ms, in a buffer in order of time."""
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.gamma(shape, 10.0 / shape, (intervals, units)), axis=0)
    index = np.broadcast_to(np.arange(units), time.shape)
    order = np.argsort(time, axis=None)
    return spikes_of(time.ravel()[order], index.ravel()[order], room=time.size)


@pytest.mark.parametrize("shape", [1.0, 4.0], ids=["Poisson", "gamma"])
def test_a_renewal_process_has_its_rate_and_its_cv_and_its_fano_factor(shape):
    units, intervals = 20, 2000
    spikes = gamma_process(0, shape, units, intervals)
    cvs = jn.measure.cv(jn.measure.interspike_intervals(spikes), units)
    expected = 1 / np.sqrt(shape)
    error = expected / np.sqrt(units * intervals)
    assert float(jnp.mean(cvs)) == pytest.approx(expected, abs=4 * error)

    window = 0.8 * 10.0 * intervals
    rates = jn.measure.firing_rates(spikes, units, t0=0.0, t1=window)
    error = expected * np.sqrt(100.0 / (units * window / 1000))
    assert float(jnp.mean(rates)) == pytest.approx(100.0, abs=4 * error)

    # The variance of the count, for long windows (Cox 1962, Renewal Theory, section 4.5).
    counts = jn.measure.raster(spikes, units, t0=0.0, t1=window, dt=400.0)
    fano = expected**2 + (1 - expected**4) / (6 * 40)
    error = fano * np.sqrt(2 / counts.size)
    measured = float(jnp.mean(jn.measure.fano_factor(counts)))
    assert measured == pytest.approx(fano, abs=4 * error)


def test_regular_firing_has_a_cv_of_0_and_a_fano_factor_of_0():
    spikes = spikes_of(np.arange(0.0, 100.0), np.zeros(100, int))
    answers = all_measures(spikes)
    np.testing.assert_array_equal(answers["cv"], [0.0] + 4 * [NAN])
    np.testing.assert_array_equal(answers["fano"], [0.0] + 4 * [NAN])


def test_the_fano_factor_is_that_of_numpy_over_windows_and_over_trials():
    numpy_counts = np.random.default_rng(1).poisson(3.0, (7, 4, UNITS))
    counts = jnp.asarray(numpy_counts)
    over_trials = numpy_counts.var(0, ddof=1) / numpy_counts.mean(0)
    np.testing.assert_allclose(jn.measure.fano_factor(counts), over_trials, rtol=1e-13)
    flat = numpy_counts.reshape(28, UNITS)
    np.testing.assert_allclose(
        jn.measure.fano_factor(counts.reshape(28, UNITS)),
        flat.var(0, ddof=1) / flat.mean(0),
        rtol=1e-13,
    )


def test_without_spikes_counts_and_rates_are_0_and_all_else_is_nan():
    answers = all_measures(NO_SPIKES)
    for name in ("raster", "rates", "rate"):
        assert np.all(np.asarray(answers[name]) == 0.0)
    for name in ("intervals", "cv", "fano"):
        assert np.all(np.isnan(answers[name]))
    assert not jn.measure.interspike_intervals(NO_SPIKES).valid.any()


@pytest.mark.parametrize("room", [1, ROOM])
def test_one_spike_has_a_rate_and_no_interval(room):
    spikes = spikes_of(np.array([12.0]), np.array([2]), room)
    answers = all_measures(spikes)
    assert answers["raster"].sum() == answers["raster"][2, 2] == 1
    assert answers["rates"].tolist() == [0.0, 0.0, 10.0, 0.0, 0.0]
    assert np.all(np.isnan(answers["intervals"]))
    assert np.all(np.isnan(answers["cv"]))


def test_one_interval_has_no_cv_and_two_have():
    time, index = np.array([1.0, 2.0, 3.0, 4.0, 7.0]), np.array([0, 1, 0, 1, 1])
    cvs = all_measures(spikes_of(time, index))["cv"]
    expected = np.std([2.0, 3.0], ddof=1) / 2.5
    np.testing.assert_allclose(cvs, [NAN, expected, NAN, NAN, NAN], rtol=1e-14)
    assert float(jnp.nanmean(cvs)) == pytest.approx(expected)


def test_a_buffer_that_is_just_full_lacks_nothing():
    time, index, spikes = random_spikes(7, number=ROOM)
    assert spikes.valid.all()
    counts = jn.measure.raster(spikes, UNITS, t0=0.0, t1=100.0, dt=10.0)
    expected = histogram(time, index, np.arange(0.0, 101.0, 10.0))
    np.testing.assert_array_equal(counts, expected)


# Seven spikes for a buffer of five: one of two at 4 ms is lost, and that at 6 ms.
OVERFULL = spikes_of(
    np.array([1.0, 2.0, 3.0, 3.0, 4.0, 4.0, 6.0]), np.array([0, 1, 0, 1, 0, 1, 0]), room=5
)


def test_a_window_that_ends_with_the_last_kept_spike_lacks_nothing():
    rates = jn.measure.firing_rates(OVERFULL, 2, t0=0.0, t1=4.0)
    assert rates.tolist() == [500.0, 500.0]
    counts = jn.measure.raster(OVERFULL, 2, t0=0.0, t1=4.0, dt=2.0)
    assert counts.tolist() == [[1, 0], [1, 2]]


@pytest.mark.parametrize(
    "measure",
    [
        lambda s, t1: jn.measure.raster(s, 2, t0=0.0, t1=t1, dt=1.0),
        lambda s, t1: jn.measure.population_rate(s, 2, t0=0.0, t1=t1, dt=1.0),
        lambda s, t1: jn.measure.firing_rates(s, 2, t0=0.0, t1=t1),
    ],
    ids=["raster", "population_rate", "firing_rates"],
)
def test_a_window_beyond_a_full_buffer_is_an_error_or_nan(measure):
    remedy = r"first 5 of 7 spikes, and was full before `t1` = 5.0 ms. Raise `max_spikes`"
    with pytest.raises(ValueError, match=remedy):
        measure(OVERFULL, 5.0)
    assert np.all(np.isfinite(measure(OVERFULL, 4.0)))
    traced = np.asarray(jax.jit(lambda s: measure(s, 6.0))(OVERFULL))
    if traced.shape == (2,):
        assert np.all(np.isnan(traced))
    else:
        np.testing.assert_array_equal(traced[:4], measure(OVERFULL, 4.0))
        assert np.all(np.isnan(traced[4:]))


class Clock(jn.AbstractHybridSystem):
    """Phases that grow at their own rate, and fall by 1 at a spike."""

    rate: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return self.rate

    def guard(self, t, y, u):
        return y - 1.0

    def receive(self, t, y, arrivals, u):
        return y

    def reset(self, t, y, spikes, u):
        return y - spikes


def test_the_spikes_of_a_simulation_have_the_rates_that_were_put_in():
    rate = jnp.array([0.1003, 0.0401, 0.0])
    run = jn.simulate(Clock(rate=rate), jnp.zeros(3), t1=1000.0, method=jn.Grid(0.1))
    spikes = run.spikes
    assert spikes.count == 140
    rates = jn.measure.firing_rates(spikes, 3, t0=0.0, t1=1000.0)
    assert rates.tolist() == [100.0, 40.0, 0.0]

    counts = np.asarray(jn.measure.raster(spikes, 3, t0=0.0, t1=1000.0, dt=0.1))
    kept = np.asarray(spikes.valid)
    steps = np.round(np.asarray(spikes.time)[kept] / 0.1).astype(int)
    assert np.all(counts[steps, np.asarray(spikes.index)[kept]] == 1)
    assert counts.sum() == 140
    # On the grid an interval is off by a step at most, and so its CV is small.
    cvs = jn.measure.cv(jn.measure.interspike_intervals(spikes), 3)
    assert 0 < cvs[0] < 0.01
    assert 0 < cvs[1] < 0.004
    assert np.isnan(cvs[2])


def test_the_gradient_of_the_cv_agrees_with_finite_differences():
    """With padding, a unit that is not asked for, and one without a CV."""
    time = np.array([1.0, 1.5, 2.2, 4.0, 4.5, 6.1, 7.0, 9.0])
    index = np.array([0, 1, 0, 1, 3, 0, 1, 1])
    spikes = spikes_of(time, index, room=11)

    @jax.jit
    def cvs(kept):
        moved = jn.Spikes(
            spikes.time.at[: len(time)].set(kept), spikes.index, spikes.valid, spikes.count
        )
        values = jn.measure.cv(jn.measure.interspike_intervals(moved), 3)
        return jnp.where(jnp.isnan(values), 0.0, values)

    assert jnp.sum(cvs(jnp.asarray(time)) > 0.1) == 2
    check_grads(cvs, (jnp.asarray(time),), 1, ["fwd", "rev"], atol=1e-7, rtol=1e-7)


def test_the_gradient_of_the_cv_of_regular_firing_is_finite():
    spikes = spikes_of(np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4, int), room=6)
    intervals = jn.measure.interspike_intervals(spikes)

    @jax.jit
    @jax.value_and_grad
    def mean_cv(value):
        moved = jn.measure.InterspikeIntervals(value, intervals.index, intervals.valid)
        return jnp.nanmean(jn.measure.cv(moved, 2))

    value, gradient = mean_cv(intervals.value)
    assert value == 0.0
    assert np.all(np.isfinite(gradient))


def test_the_gradient_of_the_fano_factor_agrees_with_finite_differences():
    counts = jnp.array([[1.0, 0.0, 4.0], [3.0, 0.0, 4.0], [2.0, 0.0, 4.0], [5.0, 0.0, 4.0]])

    @jax.jit
    def total(firing):
        fano = jn.measure.fano_factor(counts.at[:, 0::2].set(firing))
        return jnp.nansum(fano)

    firing = counts[:, 0::2] + jnp.array([0.0, 0.1])
    check_grads(total, (firing,), 1, ["fwd", "rev"], atol=1e-7, rtol=1e-7)
    every = jax.grad(lambda x: jnp.nansum(jn.measure.fano_factor(x)))(counts)
    assert np.all(np.isfinite(every))
    assert np.any(every[:, 0] != 0)
    assert np.all(every[:, 1] == 0)


SOME = random_spikes(8)[2]
FAR = spikes_of(np.array([4e5], np.float32), np.array([0]))
BATCH = jax.tree.map(lambda x: jnp.stack([x, x]), SOME)


def window(spikes=SOME, units=UNITS, t0=0.0, t1=100.0, dt=1.0):
    return jn.measure.raster(spikes, units, t0=t0, t1=t1, dt=dt)


BAD = {
    "dt": (lambda: window(dt=-1.0), "`dt` must be positive and finite, but it is -1.0"),
    "dt NaN": (lambda: window(dt=NAN), "`dt` must be positive and finite, but it is nan"),
    "no window": (lambda: window(t1=0.0), "`t1` must be after `t0`.* Take a window of the"),
    "t0 NaN": (lambda: window(t0=NAN), "`t0` = nan and `t1` = 100.0"),
    "no end": (lambda: window(t1=np.inf), "both finite, but `t0` = 0.0 and `t1` = inf"),
    "not whole": (
        lambda: window(dt=0.3),
        "`t1 - t0` = 100.0 is not a whole number of bins of `dt` = 0.3. Take `t1` = 99.9",
    ),
    "less than a bin": (
        lambda: window(dt=300.0),
        "`t1 - t0` = 100.0 is not a whole number of bins.* Take `t1` = 300,",
    ),
    "traced": (
        lambda: jax.jit(lambda dt: window(dt=dt))(1.0),
        "`dt` must be a concrete number here",
    ),
    "no units": (lambda: window(units=0), "`units` must be a positive number.*Pass `slice"),
    "from the end": (lambda: window(units=slice(-2, 5)), "`units` must be a positive"),
    "every other": (lambda: window(units=slice(0, 4, 2)), "slice of units that follow"),
    "open": (lambda: window(units=slice(2, None)), r"Pass `slice\(first, last \+ 1\)`"),
    "float32": (
        lambda: window(FAR, t0=4e5, t1=4e5 + 1, dt=0.1),
        "`dt` = .* is less than what float32 can tell apart.* Take a wider `dt`",
    ),
    "batch": (
        lambda: window(BATCH),
        r"shape is \(2, 256\). For many trials use `jax.vmap`",
    ),
    "batch for intervals": (
        lambda: jn.measure.interspike_intervals(BATCH),
        "`spikes` must be of one trial.* For many trials use `jax.vmap`",
    ),
    "spikes for intervals": (
        lambda: jn.measure.cv(SOME, UNITS),
        "`intervals` must be .* but it is `Spikes`. Take what `interspike_intervals`",
    ),
    "no spikes": (
        lambda: window(None),
        "`spikes` must be .* Take what `jaxnet.RecordTimes` makes",
    ),
    "one count": (
        lambda: jn.measure.fano_factor(jnp.ones((1, 3))),
        r"`counts` must have two windows or trials at least.*\(1, 3\). Take more windows",
    ),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input_names_the_parameter_and_the_remedy(bad):
    call, message = BAD[bad]
    with pytest.raises(ValueError, match=message):
        call()
