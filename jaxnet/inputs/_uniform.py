"""Noise that is drawn anew in every step."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._parameters import parameter, require_one_number, ScalarParameter
from .._random import require_key
from .._result import is_concrete
from ._base import AbstractInput


class UniformNoise(AbstractInput):
    r"""Independent uniform numbers for every unit and every step of a grid.

    It is noise of the grid: that of a current has a variance that does not depend on the
    step, and so its effect on a membrane fades as `dt` becomes smaller. For noise with a
    correlation time take [`jaxnet.inputs.OrnsteinUhlenbeck`][], for white noise
    [`jaxnet.Noisy`][].

    **Arguments:**

    - `low`, `high`: the range.
    - `shape`: that of the value.

    The key is that of `simulate`.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> noise = jn.inputs.UniformNoise(0.0, 5.0, shape=(150, 150))
    >>> run = jn.simulate(
    ...     jn.models.LIF(), 0.0, t1=5.0, u=jn.inputs.UniformNoise(0.0, 5.0, shape=()),
    ...     method=jn.Grid(0.5), key=jax.random.key(0),
    ... )
    >>> bool(run.ys[-1] > 0)
    True
    ```
    """

    low: ScalarParameter = parameter()
    high: ScalarParameter = parameter()
    shape: tuple[int, ...] = eqx.field(static=True, kw_only=True)

    def __check_init__(self):
        is_shape = isinstance(self.shape, tuple) and all(
            isinstance(n, int | np.integer) and n >= 0 for n in self.shape
        )
        if not is_shape:
            raise ValueError(
                f"`shape` of `UniformNoise` must be a tuple of whole numbers, such as "
                f"(150, 150), or () for one number, but it is {self.shape!r}."
            )
        remedy = "For ranges that differ from unit to unit give a tree of inputs."
        require_one_number(self, "low", "high", remedy=remedy)
        is_empty = self.low > self.high
        if is_concrete(is_empty) and is_empty.any():
            raise ValueError(f"`low` = {self.low} must not be above `high` = {self.high}.")

    def __call__(self, t):
        raise ValueError(
            "`UniformNoise` is drawn for the steps of a grid and has no value at an "
            "arbitrary time. Use the method `Grid`."
        )

    def breakpoints(self):
        return jnp.zeros(0)

    def require(self, start, end):
        pass

    def value_shape(self):
        return jax.ShapeDtypeStruct(self.shape, jnp.result_type(float))

    def init(self, grid, key):
        return require_key(key, "`UniformNoise`")

    def advance(self, carry, grid, step):
        return carry

    def on_grid(self, carry, grid, step, fraction):
        unit = jax.random.uniform(jax.random.fold_in(carry, step), self.shape)
        return self.low + (self.high - self.low) * unit
