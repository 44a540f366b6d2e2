"""Objectives of simulations, against numpy, scipy and closed forms."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix as optx
import pytest
from scipy import signal

import jaxnet as jn
from jaxnet import gradients, models, objectives


SUCCESS = jn.RESULTS.successful
LIF = models.LIF()
KEY = jax.random.key(2)


def misfit(objective, system, u=None, key=None):
    driven = system if u is None else jn.Driven(system, u)
    objective = objective.prepare(driven)
    return np.asarray(objective.misfit(driven, objective.guess(driven), key))


def run_of(record=None, t1=100.0, transient=0.0, dt=0.1, y0=0.0, **kwargs):
    record = jn.RecordTimes(200) if record is None else record
    grid = jn.Grid(dt, record=record)
    return objectives.Run(y0, t1, grid, transient=transient, **kwargs)


def spike_times_by_hand(current, t1=100.0, dt=0.1, tau=10.0):
    """An LIF neuron from 0 to 1, in steps of Euler; a spike is at the end of its step."""
    v, times = 0.0, []
    for k in range(round(t1 / dt)):
        v += dt / tau * (current - v)
        if v > 1.0:
            v, times = 0.0, [*times, (k + 1) * dt]
    return np.array(times)


# Rates

RECORDS = {
    "times": jn.RecordTimes(200),
    "raster": jn.RecordRaster(),
    "counts": jn.RecordCounts(),
}


@pytest.mark.parametrize("record", RECORDS)
def test_a_rate_of_spikes_is_their_number_over_time_whatever_is_recorded(record):
    times = spike_times_by_hand(1.5)
    assert len(times) == 9
    found = misfit(objectives.Rate(60.0, run_of(RECORDS[record])), LIF, u=1.5)
    np.testing.assert_allclose(found, [(90.0 - 60.0) / 60.0], rtol=1e-12)


@pytest.mark.parametrize("record", ["times", "raster"])
def test_a_rate_leaves_out_the_transient(record):
    late = np.sum(spike_times_by_hand(1.5) > 45.0)
    run = run_of(RECORDS[record], transient=45.0)
    found = misfit(objectives.Rate(10.0, run, scale=1.0), LIF, u=1.5)
    np.testing.assert_allclose(found, [late / 0.055 - 10.0], rtol=1e-12)


def test_a_rate_with_a_transient_needs_more_than_counts():
    run = run_of(jn.RecordCounts(), transient=45.0)
    with pytest.raises(ValueError, match=r"`RecordCounts` counts from.*RecordRaster\(\)"):
        misfit(objectives.Rate(10.0, run), LIF, u=1.5)


def test_rates_of_single_units_are_asked_for_by_a_function():
    currents = np.array([0.5, 1.5, 2.5])
    run = run_of(jn.RecordRaster(), y0=np.zeros(3))
    rates = objectives.Rate([1.0, 1.0, 1.0], run, of=lambda r: r, scale=1.0)
    expected = [10.0 * len(spike_times_by_hand(i)) - 1.0 for i in currents]
    found = misfit(rates, LIF, u=currents)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    mean = misfit(objectives.Rate(1.0, run, scale=1.0), LIF, u=currents)
    np.testing.assert_allclose(mean, [np.mean(expected)], rtol=1e-12)


def test_a_rate_of_spikes_is_not_finite_where_the_buffer_is_full():
    run = run_of(jn.RecordTimes(5))
    assert not np.isfinite(misfit(objectives.Rate(50.0, run), LIF, u=1.5))


def test_a_rate_of_a_rate_model_is_its_mean_after_the_transient():
    # It decays by 0.99 a step; saved are the start and all 200 steps.
    run = objectives.Run(2.0, 20.0, jn.Grid(0.1), transient=5.0)
    population = models.RatePopulation(w=0.0, tau=10.0)
    expected = np.mean(2.0 * 0.99 ** np.arange(50, 201))
    found = misfit(objectives.Rate(0.5, run), population)
    np.testing.assert_allclose(found, [(expected - 0.5) / 0.5], rtol=1e-10)


@pytest.mark.slow
def test_an_adaptive_run_has_the_same_mean_rate():
    population = models.RatePopulation(w=0.0, tau=10.0)
    run = objectives.Run(2.0, 20.0, jn.Adaptive())
    found = misfit(objectives.Rate(1.0, run), population)
    expected = 2.0 * np.mean(np.exp(-np.linspace(0, 20, 201) / 10.0)) - 1.0
    np.testing.assert_allclose(found, [expected], rtol=1e-4)


def test_a_state_of_several_arrays_needs_to_be_told_which_is_meant():
    class Two(jn.AbstractSystem):
        """Two numbers that decay."""

        tau: jn.Parameter = jn.parameter(10.0)

        def vector_field(self, t, y, u):
            return tuple(-x / self.tau for x in y)

    run = objectives.Run((1.0, 3.0), 1.0, jn.Grid(0.1))
    with pytest.raises(ValueError, match=r"several arrays\. Say by `of`"):
        misfit(objectives.Rate(1.0, run), Two())
    second = objectives.Rate(1.0, run, of=lambda y: y[1])
    expected = np.mean(3.0 * 0.99 ** np.arange(11)) - 1.0
    np.testing.assert_allclose(misfit(second, Two()), [expected], rtol=1e-12)


@pytest.mark.slow
def test_several_trials_are_averaged_each_with_a_key_of_its_own():
    noisy = jn.Noisy(models.RatePopulation(tau=5.0), 0.3)
    make = lambda n: objectives.Rate(
        1.0, objectives.Run(0.0, 10.0, jn.Grid(0.1), trials=n), scale=1.0
    )
    found = misfit(make(3), noisy, key=KEY)
    single = [
        jn.simulate(noisy, 0.0, t1=10.0, method=jn.Grid(0.1), key=k).ys.mean() - 1.0
        for k in jax.random.split(KEY, 3)
    ]
    assert len({float(x) for x in single}) == 3
    np.testing.assert_allclose(found, [np.mean(single)], rtol=1e-12)


@pytest.mark.parametrize("trials", [0, -1])
def test_no_trials_at_all_are_refused(trials):
    with pytest.raises(ValueError, match="`trials` must be at least 1"):
        objectives.Run(0.0, 10.0, jn.Grid(0.1), trials=trials)


@pytest.mark.parametrize("transient", [-1.0, 10.0, 11.0, np.nan])
def test_a_transient_that_leaves_nothing_is_refused(transient):
    with pytest.raises(ValueError, match="`transient` must be from 0 to below `t1` = 10"):
        objectives.Run(0.0, 10.0, jn.Grid(0.1), transient=transient)


def test_what_is_random_needs_a_key():
    noisy = jn.Noisy(models.RatePopulation(), 0.1)
    run = objectives.Run(0.0, 1.0, jn.Grid(0.1))
    several = objectives.Run(0.0, 1.0, jn.Grid(0.1), trials=2)
    for r in (run, several):
        with pytest.raises(ValueError, match="`key`"):
            misfit(objectives.Rate(1.0, r), noisy)


@pytest.mark.parametrize(
    "make", [lambda run: objectives.Rate(0.0, run), lambda run: objectives.ISICV(0.0, run)]
)
def test_a_target_of_zero_has_a_misfit_or_is_refused_by_name(make):
    """ISICV says that 0 is regular firing."""
    try:
        found = misfit(make(run_of()), LIF, u=1.5)
    except ValueError:
        return
    assert np.all(np.isfinite(found))


# Statistics


def test_a_statistic_is_any_function_of_a_solution():
    last = objectives.Statistic(
        lambda s: jnp.stack([s.ys[-1], s.ys[0]]),
        [0.5, 4.0],
        objectives.Run(2.0, 1.0, jn.Grid(0.1)),
    )
    found = misfit(last, models.RatePopulation(tau=10.0))
    expected = [(2.0 * 0.99**10 - 0.5) / 0.5, (2.0 - 4.0) / 4.0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_statistic_of_another_shape_than_its_target_is_refused():
    wrong = objectives.Statistic(
        lambda s: s.ys[:2], 0.5, objectives.Run(2.0, 1.0, jn.Grid(0.1))
    )
    with pytest.raises(ValueError, match="`of` of `Statistic` must give as many numbers"):
        misfit(wrong, models.RatePopulation())


# Regularity


def test_the_variation_of_a_regular_train_is_zero():
    found = misfit(objectives.ISICV(1.0, run_of()), LIF, u=1.5)
    # All intervals are 11 ms: the misfit is 0 less 1.
    assert np.ptp(np.diff(spike_times_by_hand(1.5))) < 1e-9
    np.testing.assert_allclose(found, [-1.0], atol=1e-12)


def noisy_train():
    noisy = jn.Noisy(LIF, 0.3)
    method = jn.Grid(0.1, record=jn.RecordTimes(200))
    key = jax.random.split(KEY, 1)[0]
    run = jn.simulate(noisy, 0.0, t1=300.0, u=1.5, method=method, key=key)
    return noisy, np.asarray(run.spikes.time[run.spikes.valid])


@pytest.mark.parametrize("transient", [60.0, pytest.param(0.0, marks=pytest.mark.slow)])
def test_the_variation_of_an_irregular_train_is_that_by_numpy(transient):
    noisy, times = noisy_train()
    intervals = np.diff(times[times >= transient])
    assert len(intervals) > 10
    run = run_of(t1=300.0, transient=transient)
    found = misfit(objectives.ISICV(0.5, run, scale=1.0), noisy, u=1.5, key=KEY)
    expected = intervals.std(ddof=1) / intervals.mean() - 0.5
    np.testing.assert_allclose(found, [expected], rtol=1e-10)


@pytest.mark.slow
def test_units_with_too_few_spikes_do_not_count_for_the_variation():
    run = run_of(y0=np.zeros(2))
    found = misfit(objectives.ISICV(1.0, run), LIF, u=np.array([0.2, 1.5]))
    np.testing.assert_allclose(found, [-1.0], atol=1e-12)
    silent = misfit(objectives.ISICV(1.0, run), LIF, u=np.array([0.2, 0.3]))
    assert np.isnan(silent)


@pytest.mark.slow
def test_the_variation_is_not_finite_where_the_buffer_is_full():
    noisy, times = noisy_train()
    assert len(times) > 8
    run = run_of(jn.RecordTimes(8), t1=300.0)
    assert not np.isfinite(misfit(objectives.ISICV(0.5, run), noisy, u=1.5, key=KEY))


# Spike trains


def distance(found):
    return np.sum(np.asarray(found) ** 2)


def train_distance(ours, theirs, tau):
    """Of van Rossum, by its double sum."""
    kernel = lambda a, b: np.exp(-np.abs(np.subtract.outer(a, b)) / tau).sum() / 2
    return kernel(ours, ours) + kernel(theirs, theirs) - 2 * kernel(ours, theirs)


def one_spike(t1=200.0, dt=0.02):
    """A neuron that fires once: it starts above its threshold."""
    silent = models.LIF(threshold=1.0)
    method = jn.Grid(dt, record=jn.RecordTimes(5))
    return silent, objectives.Run(1.5, t1, method)


@pytest.mark.parametrize("shift", [0.0, 1.0, 7.5, 60.0])
@pytest.mark.parametrize("tau", [5.0, 20.0])
def test_the_distance_of_two_spikes_is_its_closed_form(shift, tau):
    system, run = one_spike()
    # It fires in its first step, and that spike is stamped with the end of the step.
    train = objectives.SpikeTrain([0.02 + shift], run, tau=tau)
    found = distance(misfit(train, system))
    # The sum over steps is an integral to the order of the step.
    assert found == pytest.approx(1 - np.exp(-shift / tau), abs=2 * 0.02 / tau)
    assert (found == 0) == (shift == 0)


def test_one_spike_more_or_less_is_one_half():
    system, run = one_spike()
    more = distance(misfit(objectives.SpikeTrain([], run, tau=10.0), system))
    assert more == pytest.approx(0.5, abs=0.002)
    less = objectives.SpikeTrain([0.02, 50.0], run, tau=10.0)
    assert distance(misfit(less, system)) == pytest.approx(0.5, abs=0.002)


@pytest.mark.slow
def test_the_distance_of_two_trains_is_that_by_a_double_sum():
    theirs = np.array([8.0, 21.3, 22.0, 40.7, 66.1])
    ours = spike_times_by_hand(1.5, t1=80.0)
    # A long silence follows, so that nothing is cut.
    system = jn.Driven(LIF, lambda t: jnp.where(t < 80.0 - 1e-6, 1.5, 0.0))
    run = run_of(t1=200.0)
    found = distance(misfit(objectives.SpikeTrain(theirs, run, tau=6.0), system))
    assert found == pytest.approx(train_distance(ours, theirs, 6.0), rel=0.02)


def test_the_transient_of_a_spike_train_is_left_out():
    system, _ = one_spike()
    method = jn.Grid(0.02, record=jn.RecordTimes(5))
    run = objectives.Run(1.5, 200.0, method, transient=10.02)
    found = distance(misfit(objectives.SpikeTrain([], run, tau=10.0), system))
    # What is left of the filtered spike after 10 ms.
    assert found == pytest.approx(np.exp(-2.0) / 2, rel=0.005)


def test_the_unit_of_a_spike_train_is_the_one_that_is_named():
    run = run_of(y0=np.zeros(2))
    currents = np.array([1.5, 2.5])
    for unit in (0, 1):
        times = spike_times_by_hand(currents[unit])
        for other in (0, 1):
            train = objectives.SpikeTrain(times, run, tau=5.0, unit=other)
            found = distance(misfit(train, LIF, u=currents))
            assert (found < 1e-20) == (other == unit)


def test_a_spike_train_is_not_met_where_the_buffer_is_full():
    times = spike_times_by_hand(1.5)
    train = objectives.SpikeTrain(times[:5], run_of(jn.RecordTimes(5)), tau=5.0)
    found = distance(misfit(train, LIF, u=1.5))
    # Four spikes too many are there.
    assert not found < 0.5


def test_a_unit_that_the_system_has_not_is_refused():
    train = objectives.SpikeTrain([5.0], run_of(), tau=5.0, unit=3)
    with pytest.raises(ValueError, match="`unit`"):
        misfit(train, LIF, u=1.5)


@pytest.mark.parametrize("tau", [0.0, -5.0])
def test_a_filter_that_is_not_positive_is_refused(tau):
    with pytest.raises(ValueError, match="`tau`"):
        objectives.SpikeTrain([5.0], run_of(), tau=tau)


# Spectra


class Oscillator(jn.AbstractSystem):
    """A turn at a given frequency (Hz) for ever."""

    frequency: jn.Parameter = jn.parameter(20.0, positive=True)

    def vector_field(self, t, y, u):
        return 2 * jnp.pi * self.frequency / 1000.0 * jnp.stack([-y[1], y[0]])


def turning(t1=1000.0, transient=0.0, dt=1.0):
    return objectives.Run(
        (1.0, 0.0), t1, jn.Grid(dt, diffrax.Dopri5()), transient=transient
    )


@pytest.mark.parametrize("frequency", [41.3, pytest.param(28.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("transient", [200.0, pytest.param(0.0, marks=pytest.mark.slow)])
def test_the_peak_of_a_sine_is_at_its_frequency(frequency, transient):
    peak = objectives.SpectralPeak(30.0, turning(transient=transient), of=lambda y: y[:, 0])
    found = misfit(peak, Oscillator(frequency))
    # Frequencies are 4 or 5 Hz apart; a parabola finds the top within a fiftieth of it.
    np.testing.assert_allclose(30.0 * (1 + found), [frequency], atol=0.11)


@pytest.mark.slow
def test_the_peak_is_near_that_of_the_spectrum_by_scipy():
    y = np.asarray(
        jn.simulate(Oscillator(33.0), (1.0, 0.0), t1=1000.0, method=turning().method).ys
    )
    f, power = signal.welch(y[:, 0], fs=1000.0, nperseg=500)
    peak = objectives.SpectralPeak(
        1.0, turning(), of=lambda y: y[:, 0], segment=500.0, scale=1.0
    )
    found = misfit(peak, Oscillator(33.0)) + 1.0
    assert abs(found[0] - f[np.argmax(power)]) <= (f[1] - f[0]) / 2


@pytest.mark.slow
def test_only_a_peak_in_the_band_counts():
    system = Oscillator(20.0)
    two = lambda y: y[:, 0] + 0.1 * (2 * y[:, 0] ** 2 - 1)
    kwargs = {"of": two, "scale": 1.0}
    whole = misfit(objectives.SpectralPeak(0.0, turning(), **kwargs), system)
    upper = misfit(
        objectives.SpectralPeak(0.0, turning(), band=(30.0, 100.0), **kwargs), system
    )
    np.testing.assert_allclose([whole[0], upper[0]], [20.0, 40.0], atol=0.2)


@pytest.mark.slow
def test_a_silent_system_has_no_peak():
    peak = objectives.SpectralPeak(30.0, objectives.Run(0.0, 200.0, jn.Grid(0.5)))
    assert np.isnan(misfit(peak, models.RatePopulation()))


@pytest.mark.slow
def test_the_peak_of_spikes_is_at_their_rate():
    run = run_of(t1=1000.0, dt=0.5, transient=0.0)
    # Spikes at equal intervals: the harmonics are as high, so the lowest is asked for.
    times = spike_times_by_hand(1.5, t1=1000.0, dt=0.5)
    rate = 1000.0 / np.mean(np.diff(times))
    peak = objectives.SpectralPeak(
        1.0, run, band=(float(rate / 2), float(1.5 * rate)), segment=500.0, scale=1.0
    )
    found = misfit(peak, LIF, u=1.5) + 1.0
    np.testing.assert_allclose(found, [rate], rtol=0.01)


@pytest.mark.slow
def test_a_frequency_is_led_to_its_target():
    peak = objectives.SpectralPeak(24.0, turning(), of=lambda y: y[:, 0])
    where = lambda s: s.frequency
    fit = jn.fit(
        Oscillator(20.0), peak, where=where, method=jn.LeastSquares(), tolerance=1e-4
    )
    assert fit.result == SUCCESS
    assert float(fit.system.frequency) == pytest.approx(24.0, abs=0.1)


def test_the_documented_argument_of_a_peak_is_taken():
    assert "- `frequency`:" in objectives.SpectralPeak.__doc__
    objectives.SpectralPeak(frequency=40.0, run=turning())


# Traces


def test_the_misfit_of_a_trace_is_its_scaled_difference():
    run = objectives.Run(2.0, 2.0, jn.Grid(0.1), transient=0.5)
    recorded = np.random.default_rng(0).normal(size=21)
    trace = objectives.Trace(recorded, run, noise=0.3)
    found = misfit(trace, models.RatePopulation(tau=10.0))
    difference = (2.0 * 0.99 ** np.arange(21) - recorded)[5:] / 0.3
    assert distance(found) == pytest.approx(np.mean(difference**2), rel=1e-12)
    np.testing.assert_allclose(found[5:] * 4.0, difference, rtol=1e-12)
    np.testing.assert_array_equal(found[:5], 0.0)


@pytest.mark.slow
def test_a_trace_of_several_numbers_is_averaged_over_all():
    recorded = np.random.default_rng(0).normal(size=(21, 2))
    run = objectives.Run((1.0, 0.0), 20.0, turning().method)
    found = misfit(objectives.Trace(recorded, run), Oscillator(20.0))
    t = 1.0 * np.arange(21) * 2 * np.pi * 0.02
    difference = np.stack([np.cos(t), np.sin(t)], axis=1) - recorded
    assert distance(found) == pytest.approx(np.mean(difference**2), rel=1e-6)


@pytest.mark.slow
def test_a_time_constant_comes_back_from_its_trace():
    population = models.RatePopulation(tau=10.0)
    # In steps of Euler the decay is that by 1 - 0.1 / tau.
    recorded = 0.8 * (1 - 0.1 / 6.0) ** np.arange(101)
    trace = objectives.Trace(recorded, objectives.Run(0.8, 10.0, jn.Grid(0.1)))
    fit = jn.fit(population, trace, where=lambda s: s.tau)
    assert fit.result == SUCCESS
    np.testing.assert_allclose(fit.system.tau, 6.0, rtol=1e-6)


@pytest.mark.parametrize("shape", [20, 22, (21, 1)])
def test_a_trace_of_another_length_than_the_run_is_refused(shape):
    trace = objectives.Trace(np.zeros(shape), objectives.Run(0.8, 2.0, jn.Grid(0.1)))
    with pytest.raises(ValueError, match=r"`values` of `Trace`.*the start and every step"):
        misfit(trace, models.RatePopulation())


@pytest.mark.parametrize("noise", [0.0, -1.0])
def test_a_noise_of_a_recording_that_is_not_positive_is_refused(noise):
    with pytest.raises(ValueError, match="`noise`"):
        objectives.Trace(np.zeros(21), objectives.Run(0.8, 2.0, jn.Grid(0.1)), noise=noise)


# Of the wrong kind

RATE_RUN = objectives.Run(0.0, 10.0, jn.Grid(0.1))


@pytest.mark.parametrize(
    "objective",
    [objectives.ISICV(1.0, RATE_RUN), objectives.SpikeTrain([1.0], RATE_RUN, tau=5.0)],
)
def test_objectives_of_spikes_are_refused_for_a_rate_model(objective):
    message = r"is an objective of spikes, but `RatePopulation` has none.*take `Rate`"
    with pytest.raises(ValueError, match=message):
        jn.fit(models.RatePopulation(), objective, where=lambda s: s.w)


@pytest.mark.parametrize(
    "make",
    [
        lambda run: objectives.ISICV(1.0, run),
        lambda run: objectives.SpikeTrain([1.0], run, tau=5.0),
        lambda run: objectives.SpectralPeak(40.0, run),
    ],
)
@pytest.mark.parametrize("record", ["raster", "counts"])
def test_objectives_of_times_of_spikes_need_a_record_of_them(make, record):
    objective = make(run_of(RECORDS[record]))
    with pytest.raises(ValueError, match=r"times of the spikes.*`jaxnet.RecordTimes\("):
        misfit(objective, LIF, u=1.5)


@pytest.mark.parametrize(
    ("make", "system"),
    [
        (lambda run: objectives.SpectralPeak(40.0, run), models.RatePopulation()),
        (lambda run: objectives.SpikeTrain([1.0], run, tau=5.0), LIF),
    ],
)
def test_objectives_of_equal_intervals_need_a_grid(make, system):
    objective = make(objectives.Run(0.0, 10.0, jn.Adaptive()))
    with pytest.raises(
        ValueError, match=r"equal intervals: give its `run` a `jaxnet.Grid`"
    ):
        misfit(objective, system, u=1.5)


def test_a_run_whose_start_does_not_fit_the_system_is_refused():
    objective = objectives.Rate(1.0, objectives.Run(np.zeros(3), 10.0, jn.Grid(0.1)))
    with pytest.raises(ValueError, match="`y0`"):
        jn.fit(models.RatePopulation(), objective, where=lambda s: s.w)


# Fits through spikes

CURRENT = lambda s: s.input.value
NEWTON = optx.GaussNewton(rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "method",
    [
        jn.LeastSquares(NEWTON, differences=gradients.FiniteDifferences(0.1)),
        jn.Descent(optax.adam(0.05), gradients.SPSA(0.1, directions=2), 100),
        pytest.param(
            jn.Descent(optax.adam(0.05), gradients.EvolutionStrategy(0.1), 100),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_rate_of_spikes_is_met_without_any_derivative(method):
    rate = objectives.Rate(140.0, run_of(jn.RecordCounts()))
    fit = jn.fit(
        jn.Driven(LIF, 1.5), rate, where=CURRENT, method=method, key=KEY, tolerance=0.01
    )
    assert fit.result == SUCCESS
    assert len(spike_times_by_hand(float(fit.system.input.value))) == 14


def test_a_weighted_sum_of_runs_and_fixed_points_has_one_loss():
    rate = objectives.Rate(0.5, objectives.Run(2.0, 2.0, jn.Grid(0.1)))
    rest = objectives.FixedPointAt(0.3)
    population = models.RatePopulation(tau=10.0)
    both = misfit(objectives.Sum((rate, rest), (9.0, 1.0)), population)
    parts = [misfit(rate, population), misfit(rest, population)]
    np.testing.assert_allclose(both, [3 * parts[0][0], parts[1][0]], rtol=1e-12)


def test_a_run_that_blows_up_has_no_finite_misfit():
    class Explosive(jn.AbstractSystem):
        """dy/dt = p y^2 + y."""

        p: jn.Parameter = jn.parameter(1.0)

        def vector_field(self, t, y, u):
            return self.p * y**2 + y

    rate = objectives.Rate(1.0, objectives.Run(1.0, 60.0, jn.Grid(0.1)))
    fit = jn.fit(Explosive(), rate, where=lambda s: s.p)
    assert fit.result == jn.RESULTS.nonfinite_misfit
    assert fit.steps == 0
    assert fit.system.p == 1.0
    assert eqx.tree_equal(fit.system, Explosive())
