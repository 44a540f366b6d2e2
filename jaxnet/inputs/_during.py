"""An input that is there for a while."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._parameters import parameter, require_one_number, ScalarParameter
from ._base import AbstractInput, as_input
from ._waveforms import Pulse


class During(AbstractInput):
    """An input from `onset` for `duration`, and zero otherwise.

    What is random in it goes on meanwhile, unseen.

    **Arguments:**

    - `input`: an input, a function of time, or a constant.
    - `duration`, `onset`: (ms). The input is on where ``onset <= t < onset + duration``.

    ```pycon
    >>> import jaxnet as jn
    >>> burst = jn.inputs.During(lambda t: 2.0 * t, duration=5.0)
    >>> float(burst(4.0)), float(burst(5.0))
    (8.0, 0.0)
    ```
    """

    input: AbstractInput = eqx.field(converter=as_input)
    duration: ScalarParameter = parameter(nonnegative=True)
    onset: ScalarParameter = parameter(0.0)

    def __check_init__(self):
        remedy = "Add up inputs for times that differ from unit to unit."
        require_one_number(self, "duration", "onset", remedy=remedy)

    def __call__(self, t):
        return self._gate(self._pulse()(t), lambda: self.input(t))

    def breakpoints(self):
        return jnp.concatenate([self._pulse().breakpoints(), self.input.breakpoints()])

    def require(self, start, end):
        self.input.require(start, end)

    def value_shape(self):
        return self.input.value_shape()

    def init(self, grid, key):
        return self.input.init(grid, key)

    def advance(self, carry, grid, step):
        return self.input.advance(carry, grid, step)

    def on_grid(self, carry, grid, step, fraction):
        pulse = self._pulse().on_grid(None, grid, step, fraction)
        return self._gate(pulse, lambda: self.input.on_grid(carry, grid, step, fraction))

    def _pulse(self) -> Pulse:
        return Pulse(self.onset, self.duration, 1.0)

    def _gate(self, pulse, value):
        def silence():
            return jtu.tree_map(lambda x: jnp.zeros(x.shape, x.dtype), self.value_shape())

        # Branches, so that no random numbers are drawn where none are needed.
        return jax.lax.cond(pulse > 0, value, silence)
