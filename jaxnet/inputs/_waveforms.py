"""Inputs that electrophysiologists inject: steps, pulses, ramps and sines."""

import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Float, PyTree

from .._parameters import Parameter, parameter
from .._types import InputValue
from ._base import AbstractFunctionOfTime


_MS_PER_S = 1000.0


class Step(AbstractFunctionOfTime):
    """`baseline` before `onset`, `value` from then on.

    **Arguments:**

    - `onset`: (ms).
    - `value`, `baseline`: numbers or trees of arrays that add to each other.

    The derivative with respect to `onset` is zero: the time of a jump is not
    differentiated.

    ```pycon
    >>> import jaxnet as jn
    >>> step = jn.inputs.Step(onset=10.0, value=2.0)
    >>> float(step(9.0)), float(step(10.0))
    (0.0, 2.0)
    ```
    """

    onset: Parameter = parameter()
    value: PyTree = parameter()
    baseline: PyTree = parameter(0.0)

    def at(self, t, slack):
        return _between(t + slack >= self.onset, self.baseline, self.value)

    def breakpoints(self):
        return jnp.ravel(self.onset)


class Pulse(AbstractFunctionOfTime):
    """`value` from `onset` for `duration`, `baseline` otherwise.

    **Arguments:**

    - `onset`, `duration`: (ms). The pulse is on where
        ``onset <= t < onset + duration``.
    - `value`, `baseline`: numbers or trees of arrays that add to each other.

    The derivatives with respect to `onset` and `duration` are zero: the time of a jump
    is not differentiated.

    ```pycon
    >>> import jaxnet as jn
    >>> pulse = jn.inputs.Pulse(onset=10.0, duration=5.0, value=2.0)
    >>> float(pulse(14.0)), float(pulse(15.0))
    (2.0, 0.0)
    ```
    """

    onset: Parameter = parameter()
    duration: Parameter = parameter(nonnegative=True)
    value: PyTree = parameter()
    baseline: PyTree = parameter(0.0)

    def at(self, t, slack):
        is_on = (t + slack >= self.onset) & (t + slack < self.onset + self.duration)
        return _between(is_on, self.baseline, self.value)

    def breakpoints(self):
        return _edges(self.onset, self.duration)


class Ramp(AbstractFunctionOfTime):
    """`start` before `onset`, then a straight line that reaches `stop` and stays.

    **Arguments:**

    - `onset`, `duration`: (ms). `duration` must be positive.
    - `start`, `stop`: numbers or trees of arrays that add to each other.

    ```pycon
    >>> import jaxnet as jn
    >>> float(jn.inputs.Ramp(onset=10.0, duration=4.0, stop=2.0)(12.0))
    1.0
    ```
    """

    onset: Parameter = parameter()
    duration: Parameter = parameter(positive=True)
    stop: PyTree = parameter()
    start: PyTree = parameter(0.0)

    def at(self, t, slack):
        progress = jnp.clip((t - self.onset) / self.duration, 0.0, 1.0)
        return _between(progress, self.start, self.stop)

    def breakpoints(self):
        return _edges(self.onset, self.duration)


class Sine(AbstractFunctionOfTime):
    r"""$\text{offset} + \text{amplitude}\,\sin(2\pi f t / 1000 + \text{phase})$.

    **Arguments:**

    - `amplitude`: a number or a tree of arrays.
    - `frequency`: $f$ (Hz, with the time in ms).
    - `phase`: (rad).
    - `offset`: a number or a tree of arrays that adds to `amplitude`.

    ```pycon
    >>> import jaxnet as jn
    >>> sine = jn.inputs.Sine(amplitude=2.0, frequency=10.0)
    >>> round(float(sine(25.0)), 6)
    2.0
    ```
    """

    amplitude: PyTree = parameter()
    frequency: Parameter = parameter(nonnegative=True)
    phase: Parameter = parameter(0.0)
    offset: PyTree = parameter(0.0)

    def at(self, t, slack):
        angle = 2 * jnp.pi * self.frequency * t / _MS_PER_S + self.phase
        offset = _like(self.offset, self.amplitude)
        amplitude = _like(self.amplitude, self.offset)
        return jtu.tree_map(lambda o, a: o + a * jnp.sin(angle), offset, amplitude)

    def breakpoints(self):
        return jnp.zeros(0)


def _edges(onset: Parameter, duration: Parameter) -> Float[Array, " edges"]:
    """The start and the end, of every unit where they differ from unit to unit."""
    return jnp.concatenate([jnp.ravel(onset), jnp.ravel(onset + duration)])


def _like(default: PyTree, value: PyTree) -> PyTree:
    """One number stands for every leaf of the other tree."""
    if jtu.tree_structure(default) == jtu.tree_structure(0.0):
        return jtu.tree_map(lambda _: default, value)
    return default


def _between(weight, low: PyTree, high: PyTree) -> InputValue:
    """``low`` at weight 0, ``high`` at weight 1."""
    low, high = _like(low, high), _like(high, low)
    return jtu.tree_map(lambda a, b: (1 - weight) * a + weight * b, low, high)
