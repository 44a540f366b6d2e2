"""Networks: named populations of spiking neurons, and projections between them."""

import itertools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, Real

from .._system import AbstractHybridSystem
from .._types import InputValue, State
from ..couplings import deliver
from ._neurons import require_one_a_unit
from ._projection import Population, Projection, require_kind
from ._spike_source import SpikeSource


class NetworkState(eqx.Module):
    """The state of a network.

    **Attributes:**

    - `neurons`: the state of each population, under its name.
    - `synapses`: the state of the synapses of each projection, one entry a target.
    """

    neurons: PyTree
    synapses: PyTree


class Network(AbstractHybridSystem):
    r"""Named populations of spiking neurons, and projections between them.

    The state is a [`jaxnet.models.NetworkState`][]; `initial_state` makes one. The input
    `u` is a dictionary with the input of some populations under their names; `None` is no
    input. The current of a neuron is its input and that of its synapses.

    The units are those of all populations, in the order in which these are given;
    ``network.units(name)`` is the slice of one of them.

    **Arguments:**

    - `populations`: a [`jaxnet.models.Population`][] under each name.
    - `projections`: a [`jaxnet.models.Projection`][] under each name.

    Dictionaries come back from JAX in the order of their keys: name the entries, as in
    ``lambda n: n.projections["kick"].coupling.weight``, and don't count them. Each distinct
    delay adds to the time of compilation.

    White noise on the voltages of population e alone is
    ``Noisy(network, NetworkState({"e": 0.1, "i": 0.0}, synapses=0.0))``; one number would
    be the strength for the synapses, and for the spikes that wait in a source, too.

    ```pycon
    >>> import jaxnet as jn
    >>> network = jn.models.Network(
    ...     {
    ...         "driver": jn.models.Population(jn.models.LIF(tau=10.0), 1),
    ...         "follower": jn.models.Population(jn.models.LIF(tau=100.0), 1),
    ...     },
    ...     {
    ...         "kick": jn.models.Projection(
    ...             "driver", "follower", jn.couplings.OneToOne(0.6, size=1)
    ...         )
    ...     },
    ... )
    >>> run = jn.simulate(
    ...     network,
    ...     network.initial_state(),
    ...     t1=20.0,
    ...     u={"driver": 2.0},
    ...     method=jn.Grid(0.1, jn.Exponential()),
    ... )
    >>> run.spikes.index[run.spikes.valid].tolist()
    [0, 0, 1]
    ```
    """

    populations: dict[str, Population]
    projections: dict[str, Projection]
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        populations: Mapping[str, Population],
        projections: Mapping[str, Projection] | None = None,
    ):
        self.populations = dict(populations)
        self.projections = dict(projections or {})
        self.names = tuple(populations)

    def __check_init__(self):
        if not self.populations:
            raise ValueError("`populations` is empty: a network needs at least one.")
        for name, population in self.populations.items():
            example = "a `Population(neuron, size)`"
            require_kind(population, Population, f"populations[{name!r}]", example)
        for name, projection in self.projections.items():
            example = "a `Projection(source, target, coupling)`"
            require_kind(projection, Projection, f"projections[{name!r}]", example)
            for end, key in (("source", projection.source), ("target", projection.target)):
                if key not in self.populations:
                    raise ValueError(
                        f"`{end}` of the projection {name!r} is {key!r}, but the "
                        f"populations are {list(self.names)}."
                    )
            if isinstance(self.populations[projection.target].neuron, SpikeSource):
                raise ValueError(
                    f"`target` of the projection {name!r} is a population of "
                    "`SpikeSource`s, which fire when their input says so, and take no "
                    "spikes."
                )
            try:
                self.populations[projection.target].neuron.site(projection.compartment)
            except ValueError as e:
                raise ValueError(f"In the projection {name!r}: {e}") from e
            require_one_a_unit(projection.synapse, (self._size(projection.target),))
            expected = self._size(projection.target), self._size(projection.source)
            for part in projection.parts:
                if part.shape != expected:
                    raise ValueError(
                        f"The coupling of the projection {name!r} has the shape "
                        f"{part.shape}, but it must be (targets, sources), {expected}: the "
                        f"sizes of {projection.target!r} and of {projection.source!r}."
                    )

    def _size(self, name: str) -> int:
        return self.populations[name].size

    def units(self, name: str) -> slice:
        """Where the neurons of a population stand among all units."""
        if name not in self.populations:
            raise ValueError(f"`name` must be one of {list(self.names)}, not {name!r}.")
        ends = list(itertools.accumulate(map(self._size, self.names), initial=0))
        i = self.names.index(name)
        return slice(ends[i], ends[i + 1])

    def initial_state(self, **neurons: State) -> NetworkState:
        """A state in which no spike has arrived yet.

        **Arguments:**

        - `neurons`: the state of some populations, by name, where they are not at rest;
            numbers are broadcast to all neurons.
        """
        unknown = set(neurons) - set(self.names)
        if unknown:
            raise ValueError(
                f"{sorted(unknown)} are no populations of this network, which are "
                f"{list(self.names)}."
            )
        return NetworkState(
            {
                name: _like(neurons[name], p.neuron.resting_state(p.size), name)
                if name in neurons
                else p.neuron.resting_state(p.size)
                for name, p in self.populations.items()
            },
            {
                name: p.synapse.zero_state(self._size(p.target))
                for name, p in self.projections.items()
            },
        )

    def vector_field(self, t, y, u):
        if not isinstance(y, NetworkState):
            raise ValueError(
                f"the state of a `Network` is a `NetworkState`, not {type(y).__name__}; "
                "make it by `network.initial_state`"
            )
        inputs = self._inputs(u)
        return NetworkState(
            {
                name: p.neuron.vector_field(
                    t, y.neurons[name], self._current(name, y, inputs.get(name))
                )
                for name, p in self.populations.items()
            },
            {
                name: p.synapse.vector_field(y.synapses[name])
                for name, p in self.projections.items()
            },
        )

    def guard(self, t, y, u):
        inputs = self._inputs(u)

        def of_population(name: str):
            p = self.populations[name]
            shapes = [jnp.shape(x) for x in jax.tree.leaves(y.neurons[name])]
            expected = p.neuron.state_shape(p.size)
            if shapes[0] != expected or any(s[-1:] != (p.size,) for s in shapes):
                raise ValueError(
                    f"The state of the population {name!r} must have the shape "
                    f"{expected}, but it is {shapes[0]}. Make it by "
                    "`network.initial_state`."
                )
            guard = p.neuron.guard(t, y.neurons[name], inputs.get(name))
            return jnp.broadcast_to(guard, (p.size,))

        return jnp.concatenate([of_population(name) for name in self.names])

    def delays(self):
        return tuple(sorted({d for p in self.projections.values() for d in p.delays}))

    def receive(self, t, y, arrivals, u):
        received = self._received(arrivals)
        neurons = dict(y.neurons)
        for name, p in self.projections.items():
            jump = p.synapse.voltage_jump(received[name])
            if jump is not None:
                neuron, state = self.populations[p.target].neuron, neurons[p.target]
                v = neuron.voltage(state).at[neuron.site(p.compartment)].add(jump)
                neurons[p.target] = neuron.with_voltage(state, v)
        return NetworkState(
            neurons,
            {
                name: p.synapse.receive(y.synapses[name], received[name])
                for name, p in self.projections.items()
            },
        )

    def reset(self, t, y, spikes, u):
        inputs = self._inputs(u)
        return NetworkState(
            {
                name: p.neuron.reset(
                    t, y.neurons[name], spikes[self.units(name)], inputs.get(name)
                )
                for name, p in self.populations.items()
            },
            y.synapses,
        )

    def refractory_periods(self):
        periods = [self.populations[n].neuron.refractory_periods() for n in self.names]
        if all(period is None for period in periods):
            return None
        return jnp.concatenate(
            [
                jnp.broadcast_to(0.0 if period is None else period, (self._size(name),))
                for name, period in zip(self.names, periods, strict=True)
            ]
        )

    def spikes_by_crossing(self):
        return np.concatenate(
            [
                np.full(
                    self._size(name), self.populations[name].neuron.spikes_by_crossing()
                )
                for name in self.names
            ]
        )

    def voltages(self, y):
        return [
            v
            for name, p in self.populations.items()
            for v in p.neuron.voltages(y.neurons[name])
        ]

    def cables(self):
        return [cable for _, p in self.populations.items() for cable in p.neuron.cables()]

    def escaped(self, y):
        escaped = [self.populations[n].neuron.escaped(y.neurons[n]) for n in self.names]
        if all(part is None for part in escaped):
            return None
        return jnp.concatenate(
            [
                jnp.zeros(self._size(name), bool) if part is None else part
                for name, part in zip(self.names, escaped, strict=True)
            ]
        )

    def hold(self, before, after, refractory):
        return NetworkState(
            {
                name: p.neuron.hold(
                    before.neurons[name], after.neurons[name], refractory[self.units(name)]
                )
                for name, p in self.populations.items()
            },
            after.synapses,
        )

    def _inputs(self, u: InputValue) -> Mapping[str, Any]:
        if u is None:
            return {}
        if not isinstance(u, Mapping):
            raise ValueError(
                "the input `u` of a `Network` is a dictionary with the inputs of some of "
                f"its populations, {list(self.names)}, not {type(u).__name__}"
            )
        unknown = sorted(set(u) - set(self.names))
        if unknown:
            raise ValueError(
                f"the input `u` names {unknown}, but the populations of the `Network` are "
                f"{list(self.names)}"
            )
        return u

    def _current(self, name: str, y: NetworkState, u):
        """The input of a population, and the currents of its synapses."""
        for key, p in self.projections.items():
            if p.target != name:
                continue
            neuron = self.populations[name].neuron
            site = neuron.site(p.compartment)
            v = neuron.voltage(y.neurons[name])[site]
            current = p.synapse.current(y.synapses[key], v)
            if current is not None:
                u = neuron.with_current(u, current, site)
        return u

    def _received(self, arrivals: tuple[Real[Array, " units"], ...]) -> dict[str, Array]:
        """The weighted sum of the spikes that arrive now, for each projection."""
        received = {}
        for delay, spikes in zip(self.delays(), arrivals, strict=True):
            pathways = [
                (name, part, self.units(p.source).start)
                for name, p in self.projections.items()
                for d, part in zip(p.delays, p.parts, strict=True)
                if d == delay
            ]
            sums = deliver([(part, first) for _, part, first in pathways], spikes)
            for (name, _, _), total in zip(pathways, sums, strict=True):
                received[name] = received[name] + total if name in received else total
        return received


def _like(value: State, example: State, name: str) -> PyTree:
    """A state of the structure and the shapes of an example."""
    try:
        return jax.tree.map(
            lambda e, x: jnp.broadcast_to(jnp.asarray(x, float), e.shape), example, value
        )
    except (TypeError, ValueError) as e:
        raise ValueError(
            f"The state of the population {name!r} must have the shapes "
            f"{jax.tree.map(jnp.shape, example)}: {e}"
        ) from e
