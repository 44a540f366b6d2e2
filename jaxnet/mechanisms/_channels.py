"""Sodium and potassium channels with the gates of Hodgkin and Huxley."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Real

from .._exprel import at_most, exprel
from .._parameters import Parameter, parameter
from ._base import AbstractMechanism


# Far from rest a gate is all open or all shut, whatever its rates; float32 ends at 88.
_LARGEST_EXPONENT = 50.0


def _exp(x: Real[Array, "..."]) -> Real[Array, "..."]:
    return jnp.exp(at_most(x, _LARGEST_EXPONENT))


def _linoid(x: Real[Array, "..."]) -> Real[Array, "..."]:
    """x / (exp(x) - 1), and 1 at 0."""
    return 1 / exprel(at_most(x, _LARGEST_EXPONENT))


def _logistic(x: Real[Array, "..."]) -> Real[Array, "..."]:
    return 1 / (1 + _exp(-x))


class Gates(eqx.Module):
    """The gates of sodium and potassium channels: the parts of them that are open.

    **Attributes:**

    - `m`, `h`: activation and inactivation of sodium.
    - `n`: activation of potassium.
    """

    m: Real[Array, "..."]
    h: Real[Array, "..."]
    n: Real[Array, "..."]


class AbstractSodiumPotassium(AbstractMechanism):
    r"""Sodium and potassium channels, $i = g_{Na} m^3 h (v - E_{Na}) + g_K n^4 (v - E_K)$.

    Every gate follows $\dot x = q (\alpha_x(v) (1 - x) - \beta_x(v) x)$.
    """

    g_na: eqx.AbstractVar[Parameter]
    g_k: eqx.AbstractVar[Parameter]
    e_na: eqx.AbstractVar[Parameter]
    e_k: eqx.AbstractVar[Parameter]

    @abc.abstractmethod
    def transition_rates(self, v: Real[Array, "..."]) -> tuple[Gates, Gates]:
        r"""The rates at which gates open, $q \alpha$, and shut, $q \beta$ (1/ms)."""

    def steady_gates(self, v):
        opening, shutting = self.transition_rates(jnp.asarray(v, float))
        return jax.tree.map(lambda a, b: a / (a + b), opening, shutting)

    def gate_rates(self, v, gates):
        opening, shutting = self.transition_rates(v)
        return jax.tree.map(lambda x, a, b: a - (a + b) * x, gates, opening, shutting)

    def current(self, v, gates):
        sodium = self.g_na * gates.m**3 * gates.h * (v - self.e_na)
        return sodium + self.g_k * gates.n**4 * (v - self.e_k)


class HodgkinHuxley(AbstractSodiumPotassium):
    r"""The sodium and potassium channels of the squid's giant axon.

    The rates are those of 6.3 degrees times $q = 3^{(T - 6.3) / 10}$. The leak is a
    mechanism of its own: in the axon ``Leak(0.0003, reversal_potential=-54.3)``.

    **Arguments:**

    - `g_na`, `g_k`: the largest conductances (S/cm2).
    - `e_na`, `e_k`: the reversal potentials (mV).
    - `celsius`: the temperature T (degrees).

    Source: Hodgkin and Huxley 1952, doi:10.1113/jphysiol.1952.sp004764; voltages as in
    NEURON, with rest at -65 mV.

    ```pycon
    >>> import jaxnet as jn
    >>> gates = jn.mechanisms.HodgkinHuxley().steady_gates(-65.0)
    >>> [round(float(x), 4) for x in (gates.m, gates.h, gates.n)]
    [0.0529, 0.5961, 0.3177]
    ```
    """

    g_na: Parameter = parameter(0.12, nonnegative=True)
    g_k: Parameter = parameter(0.036, nonnegative=True)
    e_na: Parameter = parameter(50.0)
    e_k: Parameter = parameter(-77.0)
    celsius: Parameter = parameter(6.3)

    def transition_rates(self, v):
        q = 3 ** ((self.celsius - 6.3) / 10)
        opening = Gates(
            m=q * _linoid(-(v + 40) / 10),
            h=q * 0.07 * _exp(-(v + 65) / 20),
            n=q * 0.1 * _linoid(-(v + 55) / 10),
        )
        shutting = Gates(
            m=q * 4 * _exp(-(v + 65) / 18),
            h=q * _logistic((v + 35) / 10),
            n=q * 0.125 * _exp(-(v + 65) / 80),
        )
        return opening, shutting


class TraubMiles(AbstractSodiumPotassium):
    r"""The sodium and potassium channels of cortical pyramidal cells.

    The leak is a mechanism of its own.

    **Arguments:**

    - `g_na`, `g_k`: the largest conductances (S/cm2).
    - `e_na`, `e_k`: the reversal potentials (mV).
    - `v_t`: shifts all rates along the voltage (mV), and so the threshold.

    Source: Traub and Miles 1991, doi:10.1017/CBO9780511895401, as in the benchmark of
    Brette et al. 2007, doi:10.1007/s10827-007-0038-6.

    ```pycon
    >>> import jaxnet as jn
    >>> gates = jn.mechanisms.TraubMiles().steady_gates(-65.0)
    >>> [round(float(x), 4) for x in (gates.m, gates.h, gates.n)]
    [0.0097, 0.9976, 0.0271]
    ```
    """

    g_na: Parameter = parameter(0.1, nonnegative=True)
    g_k: Parameter = parameter(0.03, nonnegative=True)
    e_na: Parameter = parameter(50.0)
    e_k: Parameter = parameter(-90.0)
    v_t: Parameter = parameter(-63.0)

    def transition_rates(self, v):
        x = v - self.v_t
        opening = Gates(
            m=1.28 * _linoid((13 - x) / 4),
            h=0.128 * _exp((17 - x) / 18),
            n=0.16 * _linoid((15 - x) / 5),
        )
        shutting = Gates(
            m=1.4 * _linoid((x - 40) / 5),
            h=4 * _logistic((x - 40) / 5),
            n=0.5 * _exp((10 - x) / 40),
        )
        return opening, shutting
