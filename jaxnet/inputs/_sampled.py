"""An input given by its samples."""

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import PyTree

from .._result import is_concrete
from .._tree import as_float_array
from .._types import RealScalarLike
from ._base import AbstractInput


# An offset of less than this part of a sample is taken for rounding.
_ALIGNED = 1e-6


class Sampled(AbstractInput):
    """Samples at ``t0 + k * dt``, and straight lines between them.

    On a grid of the same `dt` the samples are read by index: a step that starts at
    sample k sees sample k exactly, and a solver with a stage at the step's end sees
    sample k + 1 there. Outside the samples the value is NaN, never a guess, and a run
    on a grid that needs more samples is refused.

    **Arguments:**

    - `values`: a tree of arrays whose first axis is time.
    - `dt`: the time between samples (ms).
    - `t0`: the time of the first sample (ms).

    ```pycon
    >>> import jaxnet as jn
    >>> float(jn.inputs.Sampled([0.0, 2.0, 3.0], dt=0.5)(0.25))
    1.0
    ```
    """

    values: PyTree = eqx.field(converter=as_float_array)
    dt: float = eqx.field(static=True, converter=float)
    t0: float = eqx.field(static=True, converter=float, default=0.0)

    def __check_init__(self):
        if not self.dt > 0:
            raise ValueError(f"`dt` must be positive, but it is {self.dt}.")
        shapes = [jnp.shape(v) for v in jtu.tree_leaves(self.values)]
        lengths = {shape[0] if shape else 0 for shape in shapes}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError(
                "`values` must have a first axis, time, of one length for all leaves; "
                f"their shapes are {shapes}."
            )

    @property
    def samples(self) -> int:
        """The number of samples."""
        return jtu.tree_leaves(self.values)[0].shape[0]

    def __call__(self, t):
        return self._interpolate((t - self.t0) / self.dt)

    def breakpoints(self):
        return self.t0 + self.dt * jnp.arange(self.samples)

    def value_shape(self):
        return eqx.filter_eval_shape(self, jnp.zeros(()))

    def require(self, start, end):
        if not (is_concrete(start) and is_concrete(end)):
            return
        first, last = ((float(t) - self.t0) / self.dt for t in (start, end))
        if first < -_ALIGNED or last > self.samples - 1 + _ALIGNED:
            raise ValueError(
                f"`values` has {self.samples} samples, from {self.t0} ms to "
                f"{self.t0 + (self.samples - 1) * self.dt} ms, but the run reads it from "
                f"{start} ms to {end} ms. Give more samples, or a shorter run."
            )

    def init(self, grid, key):
        last_read = grid.steps if grid.reads_ahead else grid.steps - 1
        self.require(grid.t0, grid.time(last_read))

    def advance(self, carry, grid, step):
        return None

    def on_grid(self, carry, grid, step, fraction):
        return self._interpolate(self._position(grid, step, fraction))

    def _position(self, grid, step, fraction):
        """Where a time of the grid lies, counted in samples."""
        offset = (grid.t0 - self.t0) / self.dt
        ratio = grid.dt / self.dt
        return _snap(offset) + (step + fraction) * _snap(ratio)

    def _interpolate(self, position: RealScalarLike):
        last = self.samples - 1
        position = jnp.where(jnp.abs(position - last) < _ALIGNED, last, position)
        below = jnp.clip(jnp.floor(position), 0, last).astype(int)
        weight = position - below
        inside = (position > -_ALIGNED) & (position <= last)

        def read(values):
            # At a sample, `weight` is 0 and the value is the sample to the last bit.
            value = values[below]
            slope = values[jnp.minimum(below + 1, last)] - value
            return jnp.where(inside, value + weight * slope, jnp.nan)

        return jtu.tree_map(read, self.values)


def _snap(x: float) -> float:
    """A whole number, if nearly so."""
    return float(np.round(x)) if abs(x - np.round(x)) < _ALIGNED else x
