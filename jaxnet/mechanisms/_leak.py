"""The passive membrane."""

from .._parameters import Parameter, parameter
from ._base import AbstractMechanism


class Leak(AbstractMechanism):
    r"""A passive membrane, $i = g (v - E)$.

    **Arguments:**

    - `conductance`: g (S/cm2).
    - `reversal_potential`: E (mV).

    ```pycon
    >>> import jaxnet as jn
    >>> leak = jn.mechanisms.Leak(0.001, reversal_potential=-65.0)
    >>> round(leak.current(-60.0, None).item(), 6)
    0.005
    ```
    """

    conductance: Parameter = parameter(1e-4, nonnegative=True)
    reversal_potential: Parameter = parameter(-65.0)

    def steady_gates(self, v):
        return None

    def gate_rates(self, v, gates):
        return None

    def current(self, v, gates):
        return self.conductance * (v - self.reversal_potential)
