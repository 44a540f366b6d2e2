"""How long a bistable system stays in each of its states."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._types import RealScalarLike


class TwoStates(eqx.Module):
    """A trajectory read as two states, `up` and down.

    **Attributes:**

    - `up`: whether the system is up.
    - `known`: false until one of the thresholds is first crossed.
    """

    up: Bool[Array, " time"]
    known: Bool[Array, " time"]


class DwellTimes(eqx.Module):
    """The time that was spent in each state, and how often it was left.

    **Attributes:**

    - `time_up`, `time_down`: total time in the state (ms).
    - `exits_up`, `exits_down`: how often the state was left.

    The mean dwell time is their ratio, over many trials the ratio of the sums: see
    [`jaxnet.measure.pooled_mean`][].
    """

    time_up: Float[Array, "..."]
    exits_up: Int[Array, "..."]
    time_down: Float[Array, "..."]
    exits_down: Int[Array, "..."]


def hysteresis(below: Bool[Array, " time"], above: Bool[Array, " time"]) -> TwoStates:
    """Read a trajectory as two states, with two thresholds.

    The system goes down where it is `below` the lower threshold, up where it is `above`
    the upper one, and stays what it was in between.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> x = jnp.array([0.5, 0.9, 0.5, 0.1, 0.5])
    >>> states = jn.measure.hysteresis(x < 0.2, x > 0.7)
    >>> states.up.tolist(), states.known.tolist()
    ([False, True, True, False, False], [False, True, True, True, True])
    ```
    """
    _require_one(below, "below")
    _require_one(above, "above")
    steps = jnp.arange(len(below))
    last_crossing = jax.lax.cummax(jnp.where(below | above, steps, -1))
    known = last_crossing >= 0
    return TwoStates(up=known & above[last_crossing], known=known)


def _require_one(series: Bool[Array, "..."], name: str) -> None:
    if series.ndim != 1:
        raise ValueError(
            f"`{name}` must be one trajectory, of shape (time,), but it is "
            f"{series.shape}. For many trials use `jax.vmap`."
        )


def dwell_times(states: TwoStates, dt: RealScalarLike) -> DwellTimes:
    """Total times and exits of both states.

    **Arguments:**

    - `states`: sampled every `dt` (ms).

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> x = jnp.array([0.9, 0.9, 0.1, 0.1, 0.9])
    >>> dwell = jn.measure.dwell_times(jn.measure.hysteresis(x < 0.2, x > 0.7), 0.5)
    >>> float(dwell.time_up), int(dwell.exits_up)
    (1.5, 1)
    ```
    """
    _require_one(states.up, "states")
    up, down = states.up & states.known, ~states.up & states.known
    return DwellTimes(
        time_up=dt * jnp.sum(up).astype(float),
        exits_up=jnp.sum(up[:-1] & down[1:]),
        time_down=dt * jnp.sum(down).astype(float),
        exits_down=jnp.sum(down[:-1] & up[1:]),
    )


def pooled_mean(
    time: Float[Array, " trials"], exits: Int[Array, " trials"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The mean dwell time over independent trials, and its standard error (ms).

    The ratio of the sums, infinite where no state was left; it takes two trials to
    estimate the error. Its error is that of a ratio estimator (Cochran, Sampling
    Techniques, 1977, section 2.11).

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> mean, error = jn.measure.pooled_mean(jnp.array([30.0, 50.0]), jnp.array([1, 3]))
    >>> float(mean)
    20.0
    ```
    """
    total = jnp.sum(exits)
    mean = jnp.sum(time) / total
    n = len(time)
    spread = jnp.sum((time - mean * exits) ** 2) * n / (n - 1)
    return mean, jnp.sqrt(spread) / total
