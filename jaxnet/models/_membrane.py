"""What all cells share whose spikes are made by the channels of their membrane."""

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree, Real

from .._parameters import Parameter
from .._rows import add_to_rows, columns, take_rows
from .._types import InputValue
from ..mechanisms import AbstractMechanism
from ._neurons import AbstractNeuron


# From mA/cm2 times um2 to nA, and from uF/cm2 times um2 to nF.
NANOAMPERE = 1e-2
NANOFARAD = 1e-5


class CellState(eqx.Module):
    """The state of cells with channels.

    **Attributes:**

    - `v`: the voltage (mV). Of a [`jaxnet.models.Cell`][] the first axis counts the
        compartments, and the next one, if there is one, the cells.
    - `gates`: those of each mechanism, under its name.
    """

    v: Real[Array, "..."]
    gates: dict[str, PyTree]


class AbstractCell(AbstractNeuron):
    """A neuron that spikes by its channels, and is not reset: its flow is all of it.

    A spike is counted where the voltage crosses the threshold upward.
    """

    mechanisms: eqx.AbstractVar[dict[str, AbstractMechanism]]
    capacitance: eqx.AbstractVar[Parameter]
    initial_potential: eqx.AbstractVar[Parameter]

    @abc.abstractmethod
    def state_shape(self, size: int | None) -> tuple[int, ...]:
        """The shape of the voltage of so many cells; `None` is one without an axis."""

    @abc.abstractmethod
    def membrane_area(self) -> Float[Array, "..."]:
        """The area of the membrane (um2)."""

    @abc.abstractmethod
    def rows_of(self, name: str) -> np.ndarray | None:
        """The compartments that have a mechanism; `None` where all is one."""

    @abc.abstractmethod
    def current_inside(self, v: Real[Array, "..."], u: InputValue) -> Real[Array, "..."]:
        """The current (nA) from neighbours and from the input."""

    def state_at(self, v: Real[Array, "..."] | float, size: int | None = None) -> CellState:
        """The state with all gates in equilibrium at a voltage.

        **Arguments:**

        - `v`: (mV), one number, or in the shape of the state's voltage.
        - `size`: the number of cells; without it, a single one.
        """
        v, shape = jnp.asarray(v, float), self.state_shape(size)
        require_shape(v, shape, "v", "state_at")
        return self._in_equilibrium(jnp.broadcast_to(columns(v, len(shape)), shape))

    @eqx.filter_jit
    def _in_equilibrium(self, v: Real[Array, "..."]) -> CellState:
        gates = {}
        for name in self.mechanisms:
            mechanism, rows = self._mechanism(name, v.ndim), self.rows_of(name)
            gates[name] = mechanism.steady_gates(_at(v, rows))
        return CellState(v, gates)

    def resting_state(self, size: int | None = None) -> CellState:
        """The state at the initial potential, which need not be that of rest."""
        return self.state_at(self.initial_potential, size)

    def voltage(self, y):
        return y.v

    def with_voltage(self, y, v):
        return CellState(v, y.gates)

    def check_state(self, y):
        name, remedy = type(self).__name__, "make it by `resting_state` or `state_at`"
        if not isinstance(y, CellState):
            raise ValueError(f"the state of a `{name}` is a `CellState`; {remedy}")
        shape = jnp.shape(y.v)
        size = shape[-1] if len(shape) > len(self.state_shape(None)) else None
        if shape != self.state_shape(size):
            raise ValueError(
                f"`v` of the state of a `{name}` must have the shape "
                f"{self.state_shape(None)}, or one axis more for many cells, but it is "
                f"{shape}; {remedy}"
            )
        if set(y.gates) != set(self.mechanisms):
            raise ValueError(
                f"`gates` of the state of a `{name}` must be those of its mechanisms, "
                f"{sorted(self.mechanisms)}, but they are {sorted(y.gates)}; {remedy}"
            )
        self.check_parameters(shape)

    def check_parameters(self, shape):
        require_shape(self.capacitance, shape, "capacitance", type(self).__name__)
        for name, mechanism in self.mechanisms.items():
            rows = self.rows_of(name)
            here = shape if rows is None else (len(rows), *shape[1:])
            for path, value in jtu.tree_leaves_with_path(mechanism):
                require_shape(value, here, jtu.keystr(path)[1:], f"mechanisms[{name!r}]")

    def rates(self, t, y, u):
        v, gates = y.v, {}
        area = columns(self.membrane_area(), v.ndim)
        current = self.current_inside(v, u)
        for name in self.mechanisms:
            mechanism, rows = self._mechanism(name, v.ndim), self.rows_of(name)
            here = _at(v, rows)
            gates[name] = mechanism.gate_rates(here, y.gates[name])
            outward = NANOAMPERE * _at(area, rows) * mechanism.current(here, y.gates[name])
            if rows is None:
                current = current - outward
            else:
                current = add_to_rows(current, rows, -outward)
        return CellState(
            current / (NANOFARAD * area * columns(self.capacitance, v.ndim)), gates
        )

    def voltages(self, y):
        return [y.v]

    def reset(self, t, y, spikes, u):
        return y

    def spikes_by_crossing(self):
        return True

    def is_smooth(self):
        return True

    def _mechanism(self, name: str, ndim: int) -> AbstractMechanism:
        """A mechanism whose parameters broadcast against voltages."""
        return jax.tree.map(lambda x: columns(x, ndim), self.mechanisms[name])


def _at(x: Array, rows: np.ndarray | None) -> Array:
    return x if rows is None or x.ndim == 0 else take_rows(x, rows)


def is_beyond(v: Real[Array, "..."], largest: Float[Array, ""]) -> Bool[Array, "..."]:
    """Whether a voltage is too large, of either sign, or is NaN."""
    return ~(jnp.abs(v) <= largest)


def require_dictionary(mechanisms: Any) -> None:
    """Raise unless the mechanisms have names, and there is one."""
    if not isinstance(mechanisms, Mapping) or not mechanisms:
        raise ValueError(
            "`mechanisms` is no dictionary, or is empty: a membrane needs at least a leak, "
            "`{'leak': jaxnet.mechanisms.Leak()}`."
        )


def require_mechanisms(mechanisms: Any) -> None:
    """Raise unless there are mechanisms, and nothing else."""
    require_dictionary(mechanisms)
    for name, mechanism in mechanisms.items():
        if not isinstance(mechanism, AbstractMechanism):
            raise ValueError(
                f"`mechanisms[{name!r}]` must be one of `jaxnet.mechanisms`, such as "
                f"`Leak()`, but it is {mechanism!r}. Write a mechanism of your own as a "
                "subclass of `jaxnet.mechanisms.AbstractMechanism`."
            )


def require_shape(value: Array, shape: tuple[int, ...], name: str, owner: str) -> None:
    """Raise unless a parameter is one number, or one for each leading index."""
    given = jnp.shape(value)
    padded = (*given, *(1,) * (len(shape) - len(given)))
    if given and (
        len(padded) > len(shape)
        or any(a not in (1, b) for a, b in zip(padded, shape, strict=True))
    ):
        shapes = " or ".join(str(x) for x in dict.fromkeys((shape[:1], shape)) if x)
        raise ValueError(
            f"`{name}` of `{owner}` must be one number"
            + (f", or have the shape {shapes}" if shapes else "")
            + f", but its shape is {given}."
        )
