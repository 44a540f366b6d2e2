"""What a mechanism is: gates that follow the voltage, and the current through them."""

import abc

from jaxtyping import Array, PyTree, Real

from .._parameters import Parametric


class AbstractMechanism(Parametric):
    """Channels in a membrane: a current density, and the gates that it depends on.

    Every parameter is one number, or has the shape of the voltages that it meets. A gate
    depends on itself and on the voltage of its own compartment alone.
    """

    @abc.abstractmethod
    def steady_gates(self, v: Real[Array, "..."]) -> PyTree:
        """The gates in equilibrium at a voltage (mV), of its shape; `None` for no gates."""

    @abc.abstractmethod
    def gate_rates(self, v: Real[Array, "..."], gates: PyTree) -> PyTree:
        """The derivatives of the gates (1/ms)."""

    @abc.abstractmethod
    def current(self, v: Real[Array, "..."], gates: PyTree) -> Real[Array, "..."]:
        """The outward current density (mA/cm2)."""
