"""Cells whose spikes are made by channels: one compartment, or a tree of them."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, ArrayLike, Real

from .._cable import Cable
from .._parameters import (
    Parameter,
    parameter,
    require_one_number,
    ScalarParameter,
)
from .._rows import columns
from ..mechanisms import AbstractMechanism, HodgkinHuxley, Leak
from ._membrane import (
    AbstractCell,
    is_beyond,
    NANOFARAD,
    require_dictionary,
    require_mechanisms,
    require_shape,
)
from ._morphology import Branch, Morphology


class PointCell(AbstractCell):
    r"""Cells of one compartment: $C \dot v = - \sum i(v, \ldots) + u$.

    The state is a [`jaxnet.models.CellState`][], made by `resting_state` or `state_at`.
    The input `u` is a current (nA) into each cell; `None` is no current. With an area of
    1e5 um2 one nA is one uA/cm2.

    **Arguments:**

    - `mechanisms`: under each name one of `jaxnet.mechanisms`, whose parameters are one
        number, or one a cell.
    - `area`: of the membrane (um2), one number, or one a cell.
    - `capacitance`: (uF/cm2).
    - `threshold`: a spike is counted where the voltage crosses it upward (mV).
    - `initial_potential`: (mV), for `resting_state`.
    - `largest_voltage`: a voltage beyond it, of either sign (mV), is said to have diverged:
        see `RESULTS.diverged`.

    ```pycon
    >>> import jaxnet as jn
    >>> axon = jn.models.PointCell(
    ...     {
    ...         "channels": jn.mechanisms.HodgkinHuxley(),
    ...         "leak": jn.mechanisms.Leak(0.0003, reversal_potential=-54.3),
    ...     },
    ...     area=1e5,
    ... )
    >>> method = jn.Grid(0.025, jn.Staggered())
    >>> run = jn.simulate(axon, axon.resting_state(), t1=20.0, u=10.0, method=method)
    >>> int(run.spikes.count)
    2
    ```
    """

    mechanisms: dict[str, AbstractMechanism]
    area: Parameter = parameter(20_000.0, positive=True)
    capacitance: Parameter = parameter(1.0, positive=True)
    threshold: Parameter = parameter(10.0)
    initial_potential: Parameter = parameter(-65.0)
    largest_voltage: ScalarParameter = parameter(200.0, positive=True)

    def __check_init__(self):
        require_mechanisms(self.mechanisms)
        require_one_number(self, "largest_voltage", remedy="It is a bound for all.")

    def check_parameters(self, shape):
        super().check_parameters(shape)
        for name in ("area", "threshold", "initial_potential"):
            require_shape(getattr(self, name), shape, name, "PointCell")

    def state_shape(self, size):
        return () if size is None else (size,)

    def membrane_area(self):
        return self.area

    def rows_of(self, name):
        return None

    def current_inside(self, v, u):
        if u is None:
            return jnp.zeros_like(v)
        if jnp.shape(u) not in ((), v.shape):
            raise ValueError(
                f"the input `u` of a `PointCell` must be one number, or one a cell, "
                f"{v.shape}, but its shape is {jnp.shape(u)}"
            )
        return jnp.broadcast_to(u, v.shape)

    def guard(self, t, y, u):
        return y.v - self.threshold

    def escaped(self, y):
        return is_beyond(y.v, self.largest_voltage)

    def cables(self):
        return [Cable(NANOFARAD * self.area * self.capacitance, jnp.zeros(0), ())]


class Cell(AbstractCell):
    r"""Cells that are trees of compartments, each a cylinder of membrane.

    $$C_k \dot v_k = \sum_j g_{jk} (v_j - v_k) - A_k \sum i(v_k, \ldots) + u_k$$

    The state is a [`jaxnet.models.CellState`][], made by `resting_state` or `state_at`:
    ``v`` has the shape ``(compartments,)`` or, of many cells, ``(compartments, cells)``.
    The input `u` is a current (nA): one number, or one a cell, goes into the first
    compartment, which is the start of the root; an array of the shape of ``v`` goes into
    each of them, see `inject`. `None` is no current. Spikes are counted, and voltage jumps
    arrive, in the first compartment too, if nothing else is said.

    Parameters are one number, one a compartment that has them, or in the shape of ``v``;
    for one a cell that is ``(1, cells)``.

    **Arguments:**

    - `morphology`: a [`jaxnet.models.Morphology`][].
    - `mechanisms`: under each name one of `jaxnet.mechanisms`, or a pair of it and the
        branches that have it: a name or a list of names.
    - `axial_resistivity`: (ohm cm).
    - `capacitance`: of the membrane (uF/cm2).
    - `threshold`: a spike is counted where the voltage crosses it upward (mV), one number,
        or one a cell.
    - `initial_potential`: (mV), for `resting_state`.
    - `largest_voltage`: a voltage beyond it, of either sign (mV), is said to have diverged:
        see `RESULTS.diverged`.

    Source: Hines 1984, doi:10.1016/0020-7101(84)90008-4.

    ```pycon
    >>> import jaxnet as jn
    >>> cell = jn.models.ball_and_stick()
    >>> pulse = jn.inputs.Pulse(onset=5.0, duration=40.0, value=0.1)
    >>> method = jn.Grid(0.025, jn.Staggered())
    >>> run = jn.simulate(cell, cell.resting_state(), t1=50.0, u=pulse, method=method)
    >>> run.ys.v.shape, int(run.spikes.count)
    ((2001, 2), 1)
    ```
    """

    morphology: Morphology
    mechanisms: dict[str, AbstractMechanism]
    places: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)
    axial_resistivity: Parameter = parameter(positive=True)
    capacitance: Parameter = parameter(positive=True)
    threshold: Parameter = parameter()
    initial_potential: Parameter = parameter()
    largest_voltage: ScalarParameter = parameter(positive=True)

    def __init__(
        self,
        morphology: Morphology,
        mechanisms: Mapping[
            str, AbstractMechanism | tuple[AbstractMechanism, str | Sequence[str]]
        ],
        *,
        axial_resistivity: Real[ArrayLike, "..."] = 100.0,
        capacitance: Real[ArrayLike, "..."] = 1.0,
        threshold: Real[ArrayLike, "..."] = 10.0,
        initial_potential: Real[ArrayLike, "..."] = -65.0,
        largest_voltage: Real[ArrayLike, ""] = 200.0,
    ):
        if not isinstance(morphology, Morphology):
            raise ValueError(
                "`morphology` must be a `Morphology` of branches, but it is "
                f"{type(morphology)}."
            )
        pairs = _pairs(mechanisms)
        self.morphology = morphology
        self.mechanisms = {name: mechanism for name, (mechanism, _) in pairs.items()}
        self.places = tuple(
            (name, _place(morphology, name, branches))
            for name, (_, branches) in pairs.items()
        )
        self.axial_resistivity = axial_resistivity
        self.capacitance = capacitance
        self.threshold = threshold
        self.initial_potential = initial_potential
        self.largest_voltage = largest_voltage

    def __check_init__(self):
        require_mechanisms(self.mechanisms)
        require_one_number(self, "largest_voltage", remedy="It is a bound for all.")
        of_cells = [x.shape[1] for x in jtu.tree_leaves(self) if jnp.ndim(x) == 2]
        of_cells += jnp.shape(self.threshold)
        self.check_parameters(self.state_shape(max(of_cells, default=None)))

    def inject(
        self, current: Real[ArrayLike, "..."], branch: str, position: float = 0.5
    ) -> Real[Array, "compartments ..."]:
        """An input `u` with a current (nA) into one place.

        **Arguments:**

        - `current`: one number, or one a cell.
        - `branch`: its name.
        - `position`: from 0, the start of the branch, to 1, its end.

        ```pycon
        >>> import jaxnet as jn
        >>> jn.models.ball_and_stick().inject(0.5, "dendrite").tolist()
        [0.0, 0.5]
        ```
        """
        current = jnp.asarray(current, float)
        if current.ndim > 1:
            raise ValueError(
                "`current` must be one number, or one a cell, but its shape is "
                f"{current.shape}. Add up what goes into several places."
            )
        nothing = jnp.zeros((self.morphology.compartments, *current.shape))
        return nothing.at[self.morphology.compartment(branch, position)].set(current)

    def state_shape(self, size):
        compartments = self.morphology.compartments
        return (compartments,) if size is None else (compartments, size)

    def membrane_area(self):
        return self.morphology.area

    def rows_of(self, name):
        return np.array(dict(self.places)[name])

    def current_inside(self, v, u):
        current = self.cables()[0].current(v)
        if u is None:
            return current
        if jnp.shape(u) == v.shape:
            return current + u
        if jnp.shape(u) in ((), v.shape[1:]):
            return current.at[0].add(u)
        raise ValueError(
            "the input `u` of a `Cell` must be one number, or one a cell, into the first "
            f"compartment, or have the shape of `v`, {v.shape}, as `inject` makes it; but "
            f"its shape is {jnp.shape(u)}"
        )

    def check_parameters(self, shape):
        super().check_parameters(shape)
        for name in ("axial_resistivity", "initial_potential"):
            require_shape(getattr(self, name), shape, name, "Cell")
        for name in ("length", "diameter"):
            require_shape(getattr(self.morphology, name), shape, name, "Morphology")
        if jnp.shape(self.threshold) not in ((), shape[1:]):
            raise ValueError(
                "`threshold` of `Cell` must be one number, or one a cell, but its shape is "
                f"{jnp.shape(self.threshold)}."
            )

    def site(self, compartment):
        compartments = self.morphology.compartments
        if compartment is None:
            return 0
        if type(compartment) is not int or not 0 <= compartment < compartments:
            raise ValueError(
                f"`compartment` must be a number from 0 to {compartments - 1}, but it is "
                f"{compartment!r}. `Morphology.compartment` tells the number of a place."
            )
        return compartment

    def with_current(self, u, current, site):
        shape = self.state_shape(current.shape[0])
        if u is None:
            u = jnp.zeros(shape)
        elif jnp.ndim(u) < len(shape):
            u = jnp.zeros(shape).at[0].add(u)
        return u.at[site].add(current)

    def guard(self, t, y, u):
        return y.v[0] - self.threshold

    def escaped(self, y):
        return jnp.any(is_beyond(y.v, self.largest_voltage), axis=0)

    def cables(self):
        area, capacitance = self.morphology.area, self.capacitance
        ndim = max(area.ndim, capacitance.ndim)
        return [
            Cable(
                NANOFARAD * columns(area, ndim) * columns(capacitance, ndim),
                self.morphology.conductance(self.axial_resistivity),
                self.morphology.edges,
                self.morphology.junctions,
            )
        ]


def _pairs(mechanisms: Mapping) -> dict[str, tuple]:
    """Each mechanism, and the branches that have it."""
    require_dictionary(mechanisms)
    pairs = {}
    for name, placed in mechanisms.items():
        pairs[name] = placed if isinstance(placed, tuple) else (placed, None)
        if len(pairs[name]) != 2:
            raise ValueError(
                f"`mechanisms[{name!r}]` must be a mechanism, or a pair of it and the "
                f"branches that have it, but it has {len(placed)} parts."
            )
    return pairs


def _place(morphology: Morphology, name: str, branches) -> tuple[int, ...]:
    try:
        return tuple(morphology.region(branches).tolist())
    except (TypeError, ValueError) as e:
        raise ValueError(
            f"`mechanisms[{name!r}]` must be in a branch, or a list of branches: {e}"
        ) from e


def ball_and_stick(
    *, passive_reversal_potential: Real[ArrayLike, ""] = -65.0, segments: int = 1
) -> Cell:
    """A soma with the squid's channels, and one passive dendrite.

    The soma is 12.6157 um long and wide, with a membrane of 500 um2; the dendrite is
    200 um long and 1 um wide, and has 1 mS/cm2. Inside there are 100 ohm cm.

    **Arguments:**

    - `passive_reversal_potential`: of the dendrite (mV).
    - `segments`: into which the dendrite is cut.

    Source: the ball and stick of NEURON's tutorial.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.models.ball_and_stick().morphology.area.round().tolist()
    [500.0, 628.0]
    ```
    """
    dendrite = Branch(200.0, 1.0, segments=segments, parent="soma")
    return Cell(
        Morphology({"soma": Branch(12.6157, 12.6157), "dendrite": dendrite}),
        {
            "channels": (HodgkinHuxley(), "soma"),
            "leak": (Leak(0.0003, -54.3), "soma"),
            "passive": (Leak(0.001, passive_reversal_potential), "dendrite"),
        },
    )
