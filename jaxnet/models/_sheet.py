"""The spiking sheet: two lattices of neurons on a torus."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from .._parameters import Parameter, parameter, ScalarParameter
from .._system import AbstractHybridSystem, RefractorySteps
from .._time_grid import whole_steps_of_closed_period
from ..couplings import AbstractTorusCoupling, TorusGaussian
from ._lattices import (
    inputs_of,
    kind_of,
    pair,
    plus_input,
    ratio_of,
    repeat,
    require_scalars,
    subsample,
)
from ._neurons import jump


# The parameters that may differ between the two kinds of cell.
_PAIRS = ("w_e", "w_i", "refractory_period")


class SheetState(eqx.Module):
    """The state of a [`jaxnet.models.SpikingSheet`][], a lattice for each entry.

    **Attributes:**

    - `v_e`, `v_i`: the voltages of the excitatory and of the inhibitory cells (mV).
    - `s_e`, `s_i`: how far the spikes of excitatory and of inhibitory cells have opened
        synapses at each place of their own lattice; times the weight, a conductance.
    """

    v_e: Float[Array, "size_e size_e"]
    v_i: Float[Array, "size_i size_i"]
    s_e: Float[Array, "size_e size_e"]
    s_i: Float[Array, "size_i size_i"]


class SpikingSheet(AbstractHybridSystem):
    r"""Excitatory and inhibitory leaky integrate-and-fire cells on a torus.

    $$C \dot v = g_L (v_{rest} - v) + w_E s_E (E_E - v) + w_I s_I (E_I - v) + u$$
    $$\tau \dot s = -s + T \sum_b k_{a - b} \delta_b$$

    Each kind of cell forms a square lattice; the opposite edges meet. A spike opens
    synapses around its cell, as the kernel k of its kind says, for a pulse of T ms: it
    adds $w k T / \tau$ to a conductance, whatever the step. Lattices may differ in size by
    a whole ratio r: the inhibitory cell (i, j) lies at the excitatory one (r i, r j), and
    each place of the inhibitory lattice serves r x r excitatory cells.

    The state is a [`jaxnet.models.SheetState`][]; `initial_state` makes one. The input `u`
    is the pair $(u_E, u_I)$ of currents (nA), each a number or a lattice; `None` is no
    input. The units are the excitatory cells, row by row, then the inhibitory ones;
    `lattices` takes them apart.

    Two cells that hear one kind of source through one kernel share what they hear: so a
    lattice keeps one s for each place, not one for each synapse. This is exact.

    A cell is held at its reset potential while less than the refractory period p has
    passed since its spike, and can fire again when *more* than p has passed: with p of
    whole steps, one step later. `refractory_steps(dt)` says what a grid makes of it.

    **Arguments:**

    - `excitation`, `inhibition`: the kernels, couplings of the excitatory and of the
        inhibitory lattice with itself; see `jaxnet.couplings`. The size of the first must
        be a whole multiple of that of the second.
    - `w_e`, `w_i`: the weights of excitatory and of inhibitory synapses (uS), one number,
        or a pair: onto excitatory and onto inhibitory cells. A negative $w_I$ excites.
    - `refractory_period`: p (ms), one number, or a pair: of the excitatory and of the
        inhibitory cells.
    - `capacitance`: C (nF).
    - `leak_conductance`: $g_L$ (uS).
    - `resting_potential`, `reset_potential`, `threshold`: (mV).
    - `tau`: time constant of the synapses (ms).
    - `reversal_e`, `reversal_i`: $E_E$ and $E_I$ (mV).
    - `pulse`: T (ms). A model that is written for one step `dt`, and adds $w k\,dt / \tau$
        for a spike, has a pulse of one step.

    `Exponential` takes a sheet of two equal lattices alone; on others the cells of one read
    the synapses of the other, and `Grid` needs an explicit solver.

    Source of the equations: Gong and van Leeuwen 2009, doi:10.1371/journal.pcbi.1000611.

    ```pycon
    >>> import jaxnet as jn
    >>> sheet = jn.models.SpikingSheet(
    ...     jn.couplings.TorusGaussian(18.0, size=12, taps=11),
    ...     jn.couplings.TorusGaussian(400.0, size=6, taps=11),
    ... )
    >>> run = jn.simulate(
    ...     sheet, sheet.initial_state(), t1=50.0, u=(2.0, 0.0), method=jn.Grid(0.5)
    ... )
    >>> int(run.spikes.count) > 0
    True
    ```
    """

    excitation: AbstractTorusCoupling = eqx.field(
        default_factory=lambda: TorusGaussian(18.0, size=150, taps=101)
    )
    inhibition: AbstractTorusCoupling = eqx.field(
        default_factory=lambda: TorusGaussian(400.0, size=75, taps=101)
    )
    w_e: Parameter = parameter(0.12, nonnegative=True)
    w_i: Parameter = parameter(0.06)
    refractory_period: Parameter = parameter(5.0, positive=True)
    capacitance: ScalarParameter = parameter(1.0, positive=True)
    leak_conductance: ScalarParameter = parameter(0.05, nonnegative=True)
    resting_potential: ScalarParameter = parameter(-70.0)
    reset_potential: ScalarParameter = parameter(-70.0)
    threshold: ScalarParameter = parameter(-50.0)
    tau: ScalarParameter = parameter(3.0, positive=True)
    reversal_e: ScalarParameter = parameter(0.0)
    reversal_i: ScalarParameter = parameter(-80.0)
    pulse: ScalarParameter = parameter(0.5, positive=True)

    def __check_init__(self):
        ratio_of(self.excitation, self.inhibition)
        for name in _PAIRS:
            pair(getattr(self, name), f"`{name}` of `SpikingSheet`")

    @property
    def ratio(self) -> int:
        """How many excitatory cells a side there are to an inhibitory one."""
        return ratio_of(self.excitation, self.inhibition)

    def initial_state(self) -> SheetState:
        """All cells at rest, all synapses closed."""
        e, i = self._shapes()
        v = self.resting_potential
        return SheetState(
            jnp.broadcast_to(v, e), jnp.broadcast_to(v, i), jnp.zeros(e), jnp.zeros(i)
        )

    def lattices(
        self, units: Shaped[Array, "*times units"]
    ) -> tuple[
        Shaped[Array, "*times size_e size_e"], Shaped[Array, "*times size_i size_i"]
    ]:
        """The excitatory and the inhibitory lattice of an array with one entry a unit."""
        e, i = self._shapes()
        first = e[0] * e[1]
        if jnp.shape(units)[-1:] != (first + i[0] * i[1],):
            raise ValueError(
                f"`units` must have one entry a unit, {first + i[0] * i[1]}, on its last "
                f"axis, but its shape is {jnp.shape(units)}."
            )
        times = jnp.shape(units)[:-1]
        return (
            units[..., :first].reshape(*times, *e),
            units[..., first:].reshape(*times, *i),
        )

    def conductances(
        self, y: SheetState
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """The excitatory and the inhibitory conductance of all cells (uS).

        They are a pair for the excitatory cells, and a pair for the inhibitory ones.
        """
        self._require_state(y)
        (e_onto_e, e_onto_i), (i_onto_e, i_onto_i) = self._weights()
        return (
            (e_onto_e * y.s_e, i_onto_e * repeat(y.s_i, self.ratio)),
            (e_onto_i * subsample(y.s_e, self.ratio), i_onto_i * y.s_i),
        )

    def vector_field(self, t, y, u):
        onto_e, onto_i = self.conductances(y)
        e, i = self._shapes()
        u_e, u_i = inputs_of(u, e, i, "SpikingSheet")
        decay = -1 / self.tau
        return SheetState(
            self._voltage_rate(y.v_e, *onto_e, u_e),
            self._voltage_rate(y.v_i, *onto_i, u_i),
            decay * y.s_e,
            decay * y.s_i,
        )

    def guard(self, t, y, u):
        return y.v_e - self.threshold, y.v_i - self.threshold

    def receive(self, t, y, arrivals, u):
        spikes_e, spikes_i = arrivals
        opened = self.pulse / self.tau
        return SheetState(
            y.v_e,
            y.v_i,
            y.s_e + opened * self.excitation.field(spikes_e),
            y.s_i + opened * self.inhibition.field(spikes_i),
        )

    def reset(self, t, y, spikes, u):
        spikes_e, spikes_i = spikes
        return SheetState(
            jump(y.v_e, self.reset_potential, spikes_e),
            jump(y.v_i, self.reset_potential, spikes_i),
            y.s_e,
            y.s_i,
        )

    def refractory_periods(self):
        return pair(self.refractory_period, "`refractory_period`")

    def refractory_steps(self, dt):
        kinds = self.refractory_periods()
        e, i = (whole_steps_of_closed_period(period, dt) for period in kinds)
        return RefractorySteps(held=(e[0], i[0]), blocked=(e[1], i[1]))

    def hold(self, before, after, refractory):
        held_e, held_i = refractory
        return SheetState(
            jnp.where(held_e, before.v_e, after.v_e),
            jnp.where(held_i, before.v_i, after.v_i),
            after.s_e,
            after.s_i,
        )

    def _shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        e, i = self.excitation.size, self.inhibition.size
        return (e, e), (i, i)

    def _weights(self):
        return pair(self.w_e, "`w_e`"), pair(self.w_i, "`w_i`")

    def _voltage_rate(self, v, g_e, g_i, u):
        current = g_e * (self.reversal_e - v) + g_i * (self.reversal_i - v)
        leak = self.leak_conductance * (self.resting_potential - v)
        # Times 1 / C, since XLA would divide anew for every cell.
        return plus_input(leak + current, u) * (1 / self.capacitance)

    def _require_state(self, y: SheetState) -> None:
        require_scalars(self, *_PAIRS)
        if not isinstance(y, SheetState):
            raise ValueError(
                f"the state of a `SpikingSheet` is a `SheetState`, not {kind_of(y)}; make "
                "it by `sheet.initial_state`"
            )
        e, i = self._shapes()
        shapes = jnp.shape(y.v_e), jnp.shape(y.v_i), jnp.shape(y.s_e), jnp.shape(y.s_i)
        if shapes != (e, i, e, i):
            raise ValueError(
                f"the state of this `SpikingSheet` has lattices of shapes {(e, i, e, i)}, "
                f"not {shapes}; make it by `sheet.initial_state`"
            )
