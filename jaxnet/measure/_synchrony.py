"""How much units act together, and how near they are to stored patterns."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Real


def synchrony(voltages: Float[Array, "time units"]) -> Float[Array, ""]:
    r"""Golomb's synchrony of membrane potentials.

    $$\chi^2 = \frac{\sigma_V^2}{\frac{1}{N} \sum_i \sigma_{V_i}^2}, \qquad
    V = \frac{1}{N} \sum_i V_i$$

    The variances are over time. It is 1 if all units do the same, and falls as
    $1 / \sqrt{N}$ if they are independent; NaN if no unit ever varies.

    **Arguments:**

    - `voltages`: of N units, or any other signal of them, at equal steps of time.

    Source: Golomb and Rinzel 1993, doi:10.1103/PhysRevE.48.4810; Golomb 2007,
    doi:10.4249/scholarpedia.1347.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> v = jnp.sin(jnp.linspace(0.0, 6.0, 100))
    >>> round(float(jn.measure.synchrony(jnp.stack([v, v], axis=1))), 5)
    1.0
    ```
    """
    _require_time_by_units(voltages, "voltages")
    deviations = _deviations(voltages)
    of_average = jnp.mean(jnp.mean(deviations, axis=1) ** 2)
    average = jnp.mean(deviations**2)
    any_varies = average > 0
    chi_squared = of_average / jnp.where(any_varies, average, 1.0)
    # The root has no derivative at 0, where the units cancel each other.
    positive = chi_squared > 0
    chi = jnp.where(positive, jnp.sqrt(jnp.where(positive, chi_squared, 1.0)), 0.0)
    return jnp.where(any_varies, chi, jnp.nan)


def pairwise_correlation(counts: Real[Array, "bins units"]) -> Float[Array, ""]:
    r"""The mean of Pearson's correlation over all pairs of units.

    $$\bar\rho = \frac{1}{N (N - 1)} \sum_{i \ne j}
    \frac{\langle \delta n_i \, \delta n_j \rangle}{\sigma_i \, \sigma_j}$$

    A unit whose count never varies has no correlation: it is left out, and N is the
    number of all others. NaN if fewer than two are left.

    **Arguments:**

    - `counts`: in bins of time, as from [`jaxnet.measure.raster`][], or any signal.

    Source: Cohen and Kohn 2011, doi:10.1038/nn.2842.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> counts = jnp.array([[0, 0, 1], [1, 2, 1], [0, 0, 1], [1, 2, 1]])
    >>> round(float(jn.measure.pairwise_correlation(counts)), 5)
    1.0
    ```
    """
    _require_time_by_units(counts, "counts")
    deviations = _deviations(jnp.asarray(counts, float))
    variance = jnp.mean(deviations**2, axis=0)
    # Also where it is NaN, which must not be left out in silence.
    varies = variance != 0
    scale = jnp.sqrt(jnp.where(varies, variance, 1.0))
    standard = jnp.where(varies, deviations / scale, 0.0)
    # The squared sum over the units holds every pair twice, and each unit with itself.
    n = jnp.sum(varies).astype(standard.dtype)
    all_pairs = jnp.mean(jnp.sum(standard, axis=1) ** 2) - n
    has_pairs = n >= 2
    return jnp.where(has_pairs, all_pairs / jnp.where(has_pairs, n * (n - 1), 1.0), jnp.nan)


def overlap(
    state: Real[Array, "*time units"], patterns: Real[Array, "patterns units"]
) -> Float[Array, "*time patterns"]:
    r"""The overlap of a state with stored patterns.

    $$m_\mu = \frac{1}{N} \sum_i \xi_i^\mu s_i$$

    With entries of -1 and 1 it is 1 if the state is the pattern, -1 if it is its
    opposite, and of order $1 / \sqrt{N}$ if they are independent.

    **Arguments:**

    - `state`: s, of N units; a trajectory has time in front.
    - `patterns`: the patterns $\xi^\mu$, one a row.

    Source: Amit, Gutfreund and Sompolinsky 1985, doi:10.1103/PhysRevA.32.1007.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> patterns = jnp.array([[1, 1, -1, -1], [1, -1, 1, -1]])
    >>> jn.measure.overlap(jnp.array([1, 1, -1, 1]), patterns).tolist()
    [0.5, -0.5]
    ```
    """
    if state.ndim == 0 or patterns.ndim != 2 or state.shape[-1] != patterns.shape[1]:
        raise ValueError(
            "The last axis of `state` and of `patterns` must be the units, but their "
            f"shapes are {state.shape} and {patterns.shape}. Give the patterns in rows."
        )
    return state @ jnp.asarray(patterns, float).T / patterns.shape[1]


def _require_time_by_units(series: Real[Array, "..."], name: str) -> None:
    if series.ndim != 2 or len(series) < 2:
        raise ValueError(
            f"`{name}` must have the shape (time, units), with two times at least, but it "
            f"is {series.shape}. For many trials use `jax.vmap`."
        )


def _deviations(series: Float[Array, "time units"]) -> Float[Array, "time units"]:
    """From the mean over time, and exactly 0 where a unit never varies."""
    # The mean of equal numbers is not always that number, but that of zeros is zero.
    from_first = series - series[0]
    return from_first - jnp.mean(from_first, axis=0)
