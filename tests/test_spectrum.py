"""Power spectra against scipy, noise of a known density, and tones."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from jax.test_util import check_grads

import jaxnet as jn


NAN = float("nan")
DT = 0.5
TIMES = DT * np.arange(2000)


def noise(seed, n=2000):
    return np.random.default_rng(seed).normal(size=n)


def tone(frequency, amplitude=1.0):
    return amplitude * jnp.sin(2 * jnp.pi * frequency / 1000 * TIMES)


@partial(jax.jit, static_argnames=("dt", "segment", "overlap"))
def welch(signal, dt=DT, segment=250.0, overlap=0.5):
    return jn.measure.welch(signal, dt, segment=segment, overlap=overlap)


@pytest.mark.parametrize(
    ("dt", "samples", "overlap", "shared"),
    [(0.5, 500, 0.5, 250), (0.1, 333, 0.5, 166), (1.0, 200, 0.0, 0), (0.3, 10, 0.3, 3)],
)
def test_the_spectrum_is_that_of_scipy(dt, samples, overlap, shared):
    signal = 3.0 + noise(0)
    spectrum = welch(jnp.asarray(signal), dt, samples * dt, overlap)
    frequency, density = scipy.signal.welch(
        signal, fs=1000 / dt, nperseg=samples, noverlap=shared
    )
    np.testing.assert_allclose(spectrum.frequency, frequency, rtol=1e-14)
    np.testing.assert_allclose(spectrum.density, density, rtol=1e-9, atol=1e-15)


def test_a_segment_as_long_as_the_signal_gives_its_periodogram():
    signal = noise(1, 400)
    spectrum = welch(jnp.asarray(signal), segment=200.0)
    frequency, density = scipy.signal.periodogram(signal, 1000 / DT, window="hann")
    np.testing.assert_allclose(spectrum.frequency, frequency, rtol=1e-14)
    np.testing.assert_allclose(spectrum.density, density, rtol=1e-9, atol=1e-15)


def test_a_signal_that_never_varies_has_no_power_and_no_peak():
    spectrum = welch(jnp.full(2000, 0.5))
    assert np.all(np.asarray(spectrum.density) == 0.0)
    assert jn.measure.band_power(spectrum, 0.0, 2000.0) == 0.0
    assert np.isnan(jn.measure.peak_frequency(spectrum, 0.0, 2000.0))


def test_white_noise_has_a_flat_density():
    """One-sided, it is twice the variance times the step (s)."""
    n = 100_000
    spectrum = welch(jnp.asarray(noise(2, n)))
    expected = 2 * DT / 1000
    # The ends have half of it or less; segments that overlap by half are nearly
    # independent in a Hann window.
    inner = np.asarray(spectrum.density)[2:-2]
    error = expected / np.sqrt(n / 500)
    assert np.abs(inner - expected).max() < 4.5 * error
    assert abs(inner.mean() - expected) < 4.5 * error / np.sqrt(inner.size)
    power = float(jn.measure.band_power(spectrum, 0.0, 2000.0))
    assert power == pytest.approx(1.0, rel=0.02)


def test_an_ornstein_uhlenbeck_process_has_its_lorentzian():
    tau, n = 5.0, 100_000
    decay = np.exp(-DT / tau)
    kicks = np.sqrt(1 - decay**2) * noise(3, n)
    signal = scipy.signal.lfilter([1.0], [1.0, -decay], kicks)
    spectrum = welch(jnp.asarray(signal))
    low = np.asarray(spectrum.frequency)[2:26]
    expected = 4 * tau / 1000 / (1 + (2 * np.pi * low * tau / 1000) ** 2)
    error = expected / np.sqrt(n / 500)
    assert np.abs(np.asarray(spectrum.density)[2:26] - expected).max() < 4 * error.max()
    np.testing.assert_allclose(spectrum.density[2:26], expected, rtol=0.2)


@pytest.mark.parametrize("frequency", [40.0, 41.3, 42.0])
def test_the_power_of_a_tone_is_half_its_amplitude_squared(frequency):
    spectrum = welch(tone(frequency, 3.0))
    power = jn.measure.band_power(spectrum, 20.0, 80.0)
    assert float(power) == pytest.approx(4.5, rel=2e-3)
    elsewhere = jn.measure.band_power(spectrum, 80.0, 2000.0)
    assert 0 < elsewhere < 1e-3


def flat(spacing, n=200):
    return jn.measure.Spectrum(spacing * jnp.arange(n), jnp.ones(n))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spacing", [0.1, 1 / 3, 1.1, 4.0, 1000 / 409.6])
def test_a_band_has_its_lower_edge_and_not_its_upper_one(spacing, dtype):
    """With edges that are rounded otherwise than the frequencies."""
    spectrum = jax.tree.map(lambda x: x.astype(dtype), flat(spacing))
    low = np.arange(0, 190, 7)
    for shift in (1 - 1e-6, 1 + 1e-6):
        powers = jax.vmap(lambda k: jn.measure.band_power(spectrum, k, k + 7 * spacing))(
            jnp.asarray(low * spacing * shift)
        )
        np.testing.assert_allclose(powers, 7 * spacing, rtol=1e-4)


def test_bands_that_meet_have_the_power_of_both():
    spectrum = welch(jnp.asarray(noise(4)))
    edges = [0.0, 4.0, 13.3, 60.0, 400.0, 1001.0]
    parts = [jn.measure.band_power(spectrum, low, high) for low, high in pairwise(edges)]
    total = np.asarray(spectrum.density).sum() * 4.0
    assert float(sum(parts)) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("frequency", np.linspace(40.0, 44.0, 9))
def test_a_tone_is_found_between_the_frequencies_of_the_spectrum(frequency):
    peak = jn.measure.peak_frequency(welch(tone(frequency)), 20.0, 80.0)
    assert abs(float(peak) - frequency) < 4.0 / 50


def test_the_peak_of_a_gaussian_is_found_exactly():
    frequency = 2.0 * jnp.arange(100)
    for top in (60.0, 60.7, 61.0, 61.9):
        spectrum = jn.measure.Spectrum(frequency, jnp.exp(-(((frequency - top) / 9) ** 2)))
        peak = jn.measure.peak_frequency(spectrum, 20.0, 100.0)
        assert float(peak) == pytest.approx(top, rel=1e-12)


def test_the_peak_is_that_of_the_band():
    spectrum = welch(tone(40.0, 3.0) + tone(200.0, 1.0))
    assert float(jn.measure.peak_frequency(spectrum, 20.0, 500.0)) == pytest.approx(40.0)
    assert float(jn.measure.peak_frequency(spectrum, 100.0, 500.0)) == pytest.approx(200.0)


@jax.jit
@jax.value_and_grad
def peak_and_gradient(density, low, high):
    spectrum = jn.measure.Spectrum(jnp.arange(5.0), density)
    return jn.measure.peak_frequency(spectrum, low, high)


@pytest.mark.parametrize(
    ("density", "low", "high", "peak"),
    [
        ([9.0, 5.0, 3.0, 2.0, 1.0], 0.5, 3.5, NAN),
        ([9.0, 5.0, 3.0, 2.0, 1.0], 0.0, 4.5, NAN),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 0.5, 4.5, NAN),
        ([1.0, 1.0, 1.0, 1.0, 1.0], 0.5, 3.5, NAN),
        ([0.0, 0.0, 1.0, 0.0, 0.0], 0.5, 3.5, 2.0),
        ([1.0, 2.0, 2.0, 1.0, 1.0], 0.5, 3.5, 1.5),
        ([1.0, NAN, 2.0, 1.0, 1.0], 0.5, 3.5, NAN),
        ([99.0, 9.0, 1.0, 3.0, 1.0], 0.0, 4.5, 3.0),
        ([1.0, 3.0, 1.0, 2.0, 1.0], 0.5, 3.5, 1.0),
        ([1.0, 3.0, 1.0, 2.0, 1.0], 1.5, 3.5, 3.0),
        ([1.0, 3.0, 1.0, 2.0, 1.0], 1.5, 2.5, NAN),
    ],
    ids=[
        "falls",
        "falls from 0",
        "rises",
        "flat",
        "one line",
        "two equal",
        "NaN",
        "falls to a peak",
        "higher of two",
        "only one of two in the band",
        "none of two in the band",
    ],
)
def test_only_what_is_higher_than_its_neighbours_is_a_peak(density, low, high, peak):
    found, gradient = peak_and_gradient(jnp.array(density), low, high)
    np.testing.assert_allclose(found, peak, rtol=1e-14)
    assert np.all(np.isfinite(gradient) | np.isnan(density))


def test_a_batch_of_signals_is_a_loop_over_them():
    signals = jnp.stack([tone(40.0), tone(57.0) + noise(5), jnp.zeros(2000)])

    def answers(signal):
        spectrum = welch(signal)
        return (
            spectrum.density,
            jn.measure.peak_frequency(spectrum, 20.0, 80.0),
            jn.measure.band_power(spectrum, 20.0, 80.0),
        )

    batch = jax.jit(jax.vmap(answers))(signals)
    for i, signal in enumerate(signals):
        for many, one in zip(batch, answers(signal), strict=True):
            np.testing.assert_allclose(many[i], one, rtol=1e-9, atol=1e-14)


def test_gradients_with_respect_to_the_signal_agree_with_finite_differences():
    times = np.arange(64)

    @jax.jit
    def answers(signal):
        spectrum = welch(signal, dt=1.0, segment=32.0)
        return (
            spectrum.density,
            jn.measure.peak_frequency(spectrum, 50.0, 300.0),
            jn.measure.band_power(spectrum, 50.0, 300.0),
        )

    signal = jnp.sin(2 * jnp.pi * 0.17 * times) + 0.3 * noise(6, 64)
    assert 160 < answers(signal)[1] < 180
    check_grads(answers, (signal,), 1, ["fwd", "rev"], atol=1e-6, rtol=1e-6)


def test_the_peak_moves_with_the_frequency_of_the_tone():
    peak = jax.jit(lambda f: jn.measure.peak_frequency(welch(tone(f)), 20.0, 80.0))
    check_grads(peak, (41.1,), 1, ["fwd", "rev"], eps=1e-4, atol=1e-6, rtol=1e-6)
    assert float(jax.grad(peak)(41.1)) == pytest.approx(1.0, abs=0.1)


def test_the_power_of_a_tone_grows_with_its_amplitude():
    power = jax.jit(lambda a: jn.measure.band_power(welch(tone(40.0, a)), 20.0, 80.0))
    check_grads(power, (3.0,), 1, ["fwd", "rev"], atol=1e-6, rtol=1e-6)
    assert float(jax.grad(power)(3.0)) == pytest.approx(3.0, rel=2e-3)


def test_a_traced_band_without_a_frequency_gives_nan():
    spectrum = flat(4.0)
    for measure in (jn.measure.band_power, jn.measure.peak_frequency):
        assert np.isnan(jax.jit(measure)(spectrum, 41.0, 43.0))
    assert jax.jit(jn.measure.band_power)(spectrum, 40.0, 43.0) == 4.0


SIGNAL = jnp.asarray(noise(7))
SPECTRA = jax.tree.map(lambda x: jnp.stack([x, x]), flat(4.0))


def of(dt=DT, segment=250.0, overlap=0.5, signal=SIGNAL):
    return jn.measure.welch(signal, dt, segment=segment, overlap=overlap)


BAD = {
    "dt": (lambda: of(dt=0.0), "`dt` must be positive and finite, but it is 0.0"),
    "dt NaN": (lambda: of(dt=NAN), "`dt` must be positive and finite, but it is nan"),
    "segment NaN": (lambda: of(segment=NAN), "`segment` must be .* it is nan. Give it in"),
    "endless": (lambda: of(segment=np.inf), "`segment` must be positive and finite"),
    "traced": (
        lambda: jax.jit(lambda segment: of(segment=segment))(250.0),
        "`segment` must be a concrete number here",
    ),
    "not whole": (
        lambda: of(segment=250.2),
        "`segment` = 250.2 is not a whole number of samples.* Take `segment` = 250.",
    ),
    "too long": (
        lambda: of(segment=1000.5),
        "4 samples to the 2000 of `signal`, but it has 2001. Take `segment` up to 1000 ms",
    ),
    "too short": (lambda: of(segment=1.5), "`segment` must have from 4 samples"),
    "overlap": (lambda: of(overlap=1.0), "`overlap` must be a part of a segment.*Take 0.5"),
    "negative overlap": (lambda: of(overlap=-0.1), "from 0 to below 1, but it is -0.1"),
    "overlap NaN": (lambda: of(overlap=NAN), "from 0 to below 1, but it is nan"),
    "many signals": (
        lambda: of(signal=jnp.ones((2000, 3))),
        r"`signal` must be of one trial.*\(2000, 3\). For many trials or units use",
    ),
    "no band": (
        lambda: jn.measure.band_power(flat(4.0), 41.0, 43.0),
        "`low` = 41.0 to `high` = 43.0 Hz has no frequency.* 4.0 Hz apart, up to 796.0 Hz",
    ),
    "band beyond": (
        lambda: jn.measure.peak_frequency(flat(4.0), 900.0, 1000.0),
        "Widen the band, or take a longer `segment`",
    ),
    "band reversed": (
        lambda: jn.measure.peak_frequency(flat(4.0), 80.0, 30.0),
        "`low` = 80.0 to `high` = 30.0 Hz has no frequency",
    ),
    "many spectra": (
        lambda: jn.measure.band_power(SPECTRA, 30.0, 80.0),
        r"`spectrum` must be of one trial.*\(2, 200\). For many trials use `jax.vmap`",
    ),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input_names_the_parameter_and_the_remedy(bad):
    call, message = BAD[bad]
    with pytest.raises(ValueError, match=message):
        call()
