"""What a network is made of: populations of neurons, and projections between them."""

from collections.abc import Sequence

import equinox as eqx
import numpy as np
from jaxtyping import ArrayLike, Real

from .._result import is_concrete
from .._time_grid import concrete_delay
from ..couplings import AbstractCoupling
from ._neurons import AbstractNeuron
from ._synapses import AbstractSynapse, VoltageJump


# More distinct delays than this are not meant: each one is a pathway of its own.
_MOST_DELAYS = 500


def require_kind(thing: object, kind: type, name: str, example: str) -> None:
    """Raise unless an argument is of its kind."""
    if not isinstance(thing, kind):
        raise ValueError(f"`{name}` must be {example}, but it is {thing!r}.")


class Population(eqx.Module):
    """So many neurons of one kind.

    **Arguments:**

    - `neuron`: the model, whose parameters are one number or one a neuron. It may be a
        [`jaxnet.models.Cell`][] with compartments.
    - `size`: how many there are.
    """

    neuron: AbstractNeuron
    size: int = eqx.field(static=True)

    def __check_init__(self):
        require_kind(
            self.neuron, AbstractNeuron, "neuron", "a model such as `jaxnet.models.LIF()`"
        )
        if self.size < 1:
            raise ValueError(
                f"`size` of `Population` must be positive, but it is {self.size}. Leave "
                "out a population without neurons."
            )
        self.neuron.check_parameters(self.neuron.state_shape(self.size))


def _distinct_delays(delay) -> tuple[float, ...]:
    if not is_concrete(delay):
        concrete_delay(delay)
    distinct = [concrete_delay(d) for d in np.unique(np.asarray(delay, float))]
    if len(distinct) > _MOST_DELAYS:
        raise ValueError(
            f"`delay` has {len(distinct)} distinct values. Round them to the steps in "
            "which they are simulated: `dt * np.round(delay / dt)`."
        )
    # Without synapses there is no delay, but the projection is there.
    return tuple(distinct) or (0.0,)


class Projection(eqx.Module):
    """Synapses of one kind from one population to another.

    **Arguments:**

    - `source`, `target`: the names of the populations.
    - `coupling`: who is connected to whom, with which weight; see `jaxnet.couplings`.
    - `synapse`: what a spike does to its target.
    - `compartment`: where the synapses of a [`jaxnet.models.Cell`][] are, as
        `Morphology.compartment` tells it; in the first one if nothing is said.
    - `delay`: (ms), one number, or one a synapse in the shape that the coupling documents.
        `jaxnet.Grid(dt).delay_steps(delay)` says what a grid makes of it.

    **Attributes:**

    - `parts`: the coupling, or with many delays its parts, one for each distinct delay.
    - `delays`: the distinct delays.
    """

    source: str = eqx.field(static=True)
    target: str = eqx.field(static=True)
    parts: tuple[AbstractCoupling, ...]
    synapse: AbstractSynapse
    delays: tuple[float, ...] = eqx.field(static=True)
    compartment: int | None = eqx.field(static=True)

    def __init__(
        self,
        source: str,
        target: str,
        coupling: AbstractCoupling,
        synapse: AbstractSynapse | None = None,
        *,
        compartment: int | None = None,
        delay: Sequence[float] | Real[ArrayLike, "..."] = 0.0,
    ):
        require_kind(
            coupling, AbstractCoupling, "coupling", "a coupling such as `Dense(weights)`"
        )
        self.source, self.target = source, target
        self.synapse = VoltageJump() if synapse is None else synapse
        require_kind(
            self.synapse, AbstractSynapse, "synapse", "a model such as `VoltageJump()`"
        )
        self.compartment = compartment
        self.delays = _distinct_delays(delay)
        is_one = np.ndim(delay) == 0
        self.parts = (
            (coupling,) if is_one else coupling.split(np.asarray(delay, float), self.delays)
        )

    @property
    def coupling(self) -> AbstractCoupling:
        """The coupling of a projection with one delay."""
        if len(self.parts) > 1:
            raise AttributeError(
                "This projection has many delays: its couplings are in `parts`."
            )
        return next(iter(self.parts))
