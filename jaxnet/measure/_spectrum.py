"""Power spectra of signals, and what is read from them."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.signal
from jaxtyping import Array, Bool, Float

from .._result import is_concrete
from .._time_grid import concrete_float
from .._types import RealScalarLike


_MS_PER_S = 1000.0
# Less than this part of a sample is taken for rounding.
_ROUNDING = 1e-6
# So near to the edge of a band, in steps of the spectrum, a frequency is on the edge.
_EDGE = 0.01


class Spectrum(eqx.Module):
    """The power spectral density of a signal, one-sided.

    **Attributes:**

    - `frequency`: at equal steps from 0 on (Hz).
    - `density`: the signal's unit squared per Hz.
    """

    frequency: Float[Array, " frequencies"]
    density: Float[Array, " frequencies"]


def welch(
    signal: Float[Array, " time"],
    dt: RealScalarLike,
    *,
    segment: RealScalarLike,
    overlap: float = 0.5,
) -> Spectrum:
    r"""The power spectral density of a signal by Welch's method.

    $$S(f) = \Big\langle \frac{2\,dt}{\sum_k w_k^2}
    \Big| \sum_k w_k (x_k - \bar x)\, e^{-2 \pi i f k\,dt} \Big|^2 \Big\rangle$$

    The average is over segments that overlap, each without its mean and in a Hann
    window w. Without the factor 2 at frequency 0 and at the highest of an even segment.

    **Arguments:**

    - `signal`: of one trial, sampled every `dt` (ms).
    - `segment`: the length of a segment (ms): the frequencies are 1000 / `segment` apart.
    - `overlap`: the part of a segment that it shares with the next, from 0 to below 1.

    Source: Welch 1967, doi:10.1109/TAU.1967.1161901.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> t = 0.5 * jnp.arange(4000)
    >>> signal = jnp.sin(2 * jnp.pi * 0.040 * t)
    >>> spectrum = jn.measure.welch(signal, 0.5, segment=500.0)
    >>> float(spectrum.frequency[jnp.argmax(spectrum.density)])
    40.0
    ```
    """
    if signal.ndim != 1:
        raise ValueError(
            f"`signal` must be of one trial, of shape (time,), but it is {signal.shape}. "
            "For many trials or units use `jax.vmap`."
        )
    dt, samples = _samples(dt, segment)
    if not 4 <= samples <= len(signal):
        raise ValueError(
            f"`segment` must have from 4 samples to the {len(signal)} of `signal`, but it "
            f"has {samples}. Take `segment` up to {len(signal) * dt:.12g} ms."
        )
    shared = concrete_float(overlap, "overlap", "It fixes the number of segments.")
    if not 0 <= shared < 1:
        raise ValueError(
            f"`overlap` must be a part of a segment, from 0 to below 1, but it is "
            f"{shared}. Take 0.5."
        )
    frequency, density = jax.scipy.signal.welch(
        signal,
        fs=_MS_PER_S / dt,
        nperseg=samples,
        noverlap=int(shared * samples + _ROUNDING),
    )
    return Spectrum(frequency, density)


def peak_frequency(
    spectrum: Spectrum, low: RealScalarLike, high: RealScalarLike
) -> Float[Array, ""]:
    r"""The frequency of the highest peak in a band (Hz).

    A peak is a density that is higher than its neighbours. A parabola through the
    logarithms of the three has its top at

    $$f + \frac{\Delta f}{2} \, \frac{a - b}{a + b}, \qquad
    a = \ln \frac{S(f)}{S(f - \Delta f)}, \quad b = \ln \frac{S(f)}{S(f + \Delta f)}$$

    which is within a fiftieth of $\Delta f$ of a pure tone and can be differentiated. NaN
    if there is no peak, as where the density only falls.

    **Arguments:**

    - `low`, `high`: the band (Hz), as in [`jaxnet.measure.band_power`][].

    Source: Gasior and Gonzalez 2004, doi:10.1063/1.1831158.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> signal = jnp.sin(2 * jnp.pi * 0.0413 * 0.5 * jnp.arange(4000))
    >>> spectrum = jn.measure.welch(signal, 0.5, segment=500.0)
    >>> print(f"{jn.measure.peak_frequency(spectrum, 30.0, 80.0):.1f} Hz")
    41.3 Hz
    ```
    """
    inside = _band(spectrum, low, high)
    tiny = jnp.finfo(spectrum.density.dtype).tiny
    level = jnp.log(jnp.maximum(spectrum.density, tiny))
    rise, fall = level[1:-1] - level[:-2], level[1:-1] - level[2:]
    # One neighbour may be as high: the top is then half way between the two.
    is_peak = inside[1:-1] & (rise >= 0) & (fall >= 0) & (rise + fall > 0)
    highest = jnp.argmax(jnp.where(is_peak, level[1:-1], -jnp.inf))
    found = is_peak[highest]
    a = jnp.where(found, rise[highest], 1.0)
    b = jnp.where(found, fall[highest], 1.0)
    top = spectrum.frequency[1:-1][highest] + _spacing(spectrum) / 2 * (a - b) / (a + b)
    return jnp.where(found, top, jnp.nan)


def band_power(
    spectrum: Spectrum, low: RealScalarLike, high: RealScalarLike
) -> Float[Array, ""]:
    r"""The power of a signal in a band of frequencies.

    $$P = \sum_{low \le f < high} S(f)\, \Delta f$$

    In units of the signal squared; over all frequencies it is the signal's variance, but
    for the windows. A frequency within a hundredth of $\Delta f$ of an edge is on the edge.

    **Arguments:**

    - `low`, `high`: the band (Hz), with `low` and without `high`. One without a frequency
        is an error; if it is traced, the power is NaN.

    Source: Welch 1967, doi:10.1109/TAU.1967.1161901.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> signal = jnp.sin(2 * jnp.pi * 0.040 * 0.5 * jnp.arange(4000))
    >>> spectrum = jn.measure.welch(signal, 0.5, segment=500.0)
    >>> round(float(jn.measure.band_power(spectrum, 30.0, 80.0)), 4)
    0.5
    ```
    """
    inside = _band(spectrum, low, high)
    power = jnp.sum(jnp.where(inside, spectrum.density, 0.0)) * _spacing(spectrum)
    return jnp.where(jnp.any(inside), power, jnp.nan)


def _samples(dt: RealScalarLike, segment: RealScalarLike) -> tuple[float, int]:
    remedy = "It fixes the number of frequencies, which is compiled into the program."
    step = concrete_float(dt, "dt", remedy)
    length = concrete_float(segment, "segment", remedy)
    for name, value in (("dt", step), ("segment", length)):
        if not 0 < value < math.inf:
            raise ValueError(
                f"`{name}` must be positive and finite, but it is {value}. Give it in ms."
            )
    samples = round(length / step)
    if abs(samples * step - length) > _ROUNDING * step:
        raise ValueError(
            f"`segment` = {length} is not a whole number of samples of `dt` = {step}. "
            f"Take `segment` = {samples * step:.12g}."
        )
    return step, samples


def _spacing(spectrum: Spectrum) -> Float[Array, ""]:
    return spectrum.frequency[1] - spectrum.frequency[0]


def _band(
    spectrum: Spectrum, low: RealScalarLike, high: RealScalarLike
) -> Bool[Array, " frequencies"]:
    """Which frequencies lie in a band; those at `low` do, those at `high` do not."""
    if spectrum.frequency.ndim != 1:
        raise ValueError(
            "`spectrum` must be of one trial, but its frequencies have the shape "
            f"{spectrum.frequency.shape}. For many trials use `jax.vmap`."
        )
    spacing = _spacing(spectrum)
    position = spectrum.frequency / spacing + _EDGE
    inside = (position >= low / spacing) & (position < high / spacing)
    any_inside = jnp.any(inside)
    if is_concrete(any_inside) and not any_inside:
        raise ValueError(
            f"The band from `low` = {low} to `high` = {high} Hz has no frequency of the "
            f"spectrum, which are {spacing} Hz apart, up to {spectrum.frequency[-1]} Hz. "
            "Widen the band, or take a longer `segment`."
        )
    return inside
