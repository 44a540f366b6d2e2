"""Time in whole steps."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Int, Real

from ._result import is_concrete
from ._types import RealScalarLike


# A run of 10 s at 0.1 ms has 1e5 steps, and (t1 - t0) / dt is off by 1e-11 of a step.
_WHOLE_STEP_TOLERANCE = 1e-6


class TimeGrid(eqx.Module):
    """The times ``t0 + step * dt`` (ms): counted in whole steps, never summed.

    `reads_ahead` says whether a solver looks at the input after the start of a step;
    `stamp_at_start`, whether the time of a spike is the start of its step, or the end.
    """

    t0: float = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    reads_ahead: bool = eqx.field(static=True)
    stamp_at_start: bool = eqx.field(static=True, default=False)

    def time(self, step):
        return self.t0 + step * self.dt

    def spike_time(self, step):
        """The time that a spike fired in a step is stamped with (ms)."""
        return self.time(step if self.stamp_at_start else step + 1)

    def step_of_spike(self, time):
        """The step whose spikes are stamped with a time (ms), or with the nearest one."""
        nearest = jnp.round((time - self.t0) / self.dt).astype(int)
        return nearest if self.stamp_at_start else nearest - 1


# More steps than any run has.
FOREVER = 2**29
# What is less than this part of a step short of a whole step counts as one.
_PERIOD_SLACK = 1e-3


def whole_steps_of_period(period: Real[ArrayLike, "..."], dt: float) -> Int[Array, "..."]:
    """The steps of a refractory period: rounded down, but for a thousandth of a step."""
    steps = jnp.floor(jnp.asarray(period) / dt + _PERIOD_SLACK)
    return jnp.clip(steps, 0, FOREVER).astype(jnp.int32)


def whole_steps_of_closed_period(
    period: Real[ArrayLike, "..."], dt: float
) -> tuple[Int[Array, "..."], Int[Array, "..."]]:
    """The steps that are less than a period away, and those that are at most that.

    A thousandth of a step is no difference.
    """
    ratio = jnp.asarray(period) / dt
    less = jnp.ceil(ratio - _PERIOD_SLACK)
    at_most = jnp.floor(ratio + _PERIOD_SLACK) + 1
    as_steps = lambda x: jnp.clip(x, 0, FOREVER).astype(jnp.int32)
    return as_steps(less), as_steps(at_most)


def concrete_float(x: RealScalarLike, name: str, remedy: str) -> float:
    """A Python float, or a `ValueError` where the value is traced."""
    if not is_concrete(x):
        raise ValueError(
            f"`{name}` must be a concrete number here, but it is traced. {remedy}"
        )
    return float(np.asarray(x, dtype=np.float64))


def concrete_delay(delay: RealScalarLike) -> float:
    """A delay as a Python float, if it is one."""
    remedy = "Delays are compiled into the program: make them outside of `jax.jit`, and "
    remedy += "keep them in a static field."
    delay = concrete_float(delay, "delay", remedy)
    if not (math.isfinite(delay) and delay >= 0):
        raise ValueError(
            f"`delay` must be finite and not negative, but it is {delay}. Pass it in ms."
        )
    return delay


def whole_steps_of_delay(delay: RealScalarLike, dt: float) -> int:
    """The steps of a delay: the nearest whole number, halves up."""
    return math.floor(concrete_delay(delay) / dt + 0.5)


def _resolution(t: RealScalarLike) -> float:
    if not (isinstance(t, jax.Array) and jnp.issubdtype(t.dtype, jnp.floating)):
        return 0.0
    return 4 * float(jnp.finfo(t.dtype).eps) * abs(float(t))


def time_grid(
    t0: RealScalarLike,
    t1: RealScalarLike,
    dt: float,
    *,
    reads_ahead: bool,
    stamp_at_start: bool = False,
) -> TimeGrid:
    """The grid from t0 to t1; t1 must be a whole number of steps away."""
    remedy = "The number of steps of `Grid` is compiled into the program; use `Adaptive`."
    start, end = concrete_float(t0, "t0", remedy), concrete_float(t1, "t1", remedy)
    if not dt > 0:
        raise ValueError(f"`dt` must be positive, but it is {dt}.")
    steps = round((end - start) / dt)
    # Times that come from a float32 array are only known to its resolution.
    rounding = sum(_resolution(t) for t in (t0, t1))
    if steps < 1:
        raise ValueError(
            f"`t1 - t0` = {end - start} is less than one step of `dt` = {dt}. Take a "
            "smaller `dt`."
        )
    if abs(start + steps * dt - end) > _WHOLE_STEP_TOLERANCE * dt + rounding:
        raise ValueError(
            f"`t1 - t0` = {end - start} is not a whole number of steps of `dt` = {dt}. "
            f"Take `t1` = {start + steps * dt}, or another `dt`."
        )
    return TimeGrid(start, dt, steps, reads_ahead, stamp_at_start)
