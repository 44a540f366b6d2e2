"""Few synapses out of many possible ones, and what their spikes do, event by event."""

import functools as ft
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Real

from .._events import fold_batches, for_each_event, lane_and_unit, lanes_of
from .._parameters import Parameter, parameter
from .._result import is_concrete
from ._base import AbstractCoupling, require_delays


# How many synapses of a source are served at once.
_CHUNK = 128


def _as_index(x) -> Int[Array, "..."]:
    return jnp.asarray(x, jnp.int32)


class Sparse(AbstractCoupling):
    r"""A table of synapses: $I_i = \sum_{j \to i} w_{ij} x_j$.

    The cost of `mv` grows with the number of sources whose activity is not zero and their
    synapses, not with all synapses; no activity is left out, however much there is. The
    derivatives are those of the whole sum, silent sources included, and cost as much as
    it does.

    Make one by `Sparse.from_mask` or `Sparse.from_pairs`. The table is that of a sparse
    matrix in compressed columns: synapse k leads to the target ``indices[k]``, and those
    of source j are ``indptr[j] <= k < indptr[j + 1]``.

    **Arguments:**

    - `targets`: the number of targets.
    - `indptr`: shape ``(sources + 1,)``.
    - `indices`: shape ``(synapses,)``.
    - `weights`: w, one number or one a synapse, in the order of the table. Delays are
        one a synapse in this order too.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> coupling = jn.couplings.Sparse.from_pairs([0, 0, 1], [1, 2, 0], 0.5, shape=(3, 2))
    >>> coupling.mv(jnp.array([1.0, 0.0])).tolist()
    [0.0, 0.5, 0.5]
    ```
    """

    targets: int = eqx.field(static=True)
    indptr: Int[Array, " sources+1"] = eqx.field(converter=_as_index)
    indices: Int[Array, " synapses"] = eqx.field(converter=_as_index)
    weights: Parameter = parameter()

    def __check_init__(self):
        synapses = self.indices.shape[0]
        _require_weights(self.weights, synapses)
        if not (is_concrete(self.indptr) and is_concrete(self.indices)):
            return
        starts = np.asarray(self.indptr)
        if starts[0] != 0 or starts[-1] != synapses or (np.diff(starts) < 0).any():
            raise ValueError(
                f"`indptr` of `Sparse` must rise from 0 to the number of synapses, "
                f"{synapses}. Make the table by `Sparse.from_pairs`."
            )
        _require_inside(np.asarray(self.indices), self.targets, "indices")

    @staticmethod
    def from_pairs(
        sources: Sequence[int] | Int[ArrayLike, " synapses"],
        targets: Sequence[int] | Int[ArrayLike, " synapses"],
        weights: Sequence[float] | Real[ArrayLike, "..."],
        *,
        shape: tuple[int, int],
    ) -> "Sparse":
        """A table from the source and the target of each synapse, in any order.

        **Arguments:**

        - `sources`, `targets`: of each synapse.
        - `weights`: one number, or one a synapse.
        - `shape`: ``(targets, sources)``, as that of a matrix of weights.
        """
        sources, targets = np.asarray(sources, int), np.asarray(targets, int)
        if sources.shape != targets.shape or sources.ndim != 1:
            raise ValueError(
                "`sources` and `targets` must be two vectors of one length, but their "
                f"shapes are {sources.shape} and {targets.shape}."
            )
        _require_inside(sources, shape[1], "sources")
        _require_inside(targets, shape[0], "targets")
        order = np.argsort(sources, kind="stable")
        indptr = np.searchsorted(sources[order], np.arange(shape[1] + 1))
        weights = jnp.asarray(weights, float)
        _require_weights(weights, sources.size)
        return Sparse(
            shape[0], indptr, targets[order], weights[order] if weights.ndim else weights
        )

    @staticmethod
    def from_mask(
        mask: Bool[ArrayLike, "targets sources"], weights: Real[ArrayLike, "..."]
    ) -> "Sparse":
        """A table of the synapses where a mask is true.

        The mask must be concrete, since it says how long the table is.

        **Arguments:**

        - `mask`: true where source j leads to target i.
        - `weights`: one number, or a matrix of the mask's shape.
        """
        if not is_concrete(mask):
            raise ValueError(
                "`mask` must be concrete here, but it is traced. Make the coupling outside "
                "`jax.jit` and `jax.vmap`, or take `Dense(weights * mask)`."
            )
        mask, weights = np.asarray(mask), jnp.asarray(weights, float)
        if mask.ndim != 2 or weights.shape not in ((), mask.shape):
            raise ValueError(
                "`mask` must be a matrix, (targets, sources), and `weights` one number or "
                f"a matrix of its shape, but their shapes are {mask.shape} and "
                f"{weights.shape}."
            )
        sources, targets = np.nonzero(mask.T)
        if weights.ndim:
            weights = weights[targets, sources]
        return Sparse.from_pairs(sources, targets, weights, shape=mask.shape)

    @property
    def shape(self):
        return self.targets, self.indptr.shape[0] - 1

    @property
    def source_of_synapse(self) -> Int[Array, " synapses"]:
        """The source of each synapse, in the order of the table."""
        return _source_of_synapse(self.indptr, self.indices.shape[0])

    def at_synapses(
        self, matrix: Real[ArrayLike, "targets sources"]
    ) -> Real[Array, " synapses"]:
        """The entries of a matrix at each synapse, in the order of the table."""
        return jnp.asarray(matrix)[self.indices, self.source_of_synapse]

    def mv(self, x):
        return deliver([(self, 0)], x)[0]

    def split(self, delays, distinct):
        require_delays(delays, self.indices.shape)
        sources, targets = np.asarray(self.source_of_synapse), np.asarray(self.indices)

        def part(delay):
            chosen = delays == delay
            weights = self.weights[chosen] if self.weights.ndim else self.weights
            return Sparse.from_pairs(
                sources[chosen], targets[chosen], weights, shape=self.shape
            )

        return tuple(part(delay) for delay in distinct)


def _require_weights(weights: Array, synapses: int) -> None:
    if jnp.shape(weights) not in ((), (synapses,)):
        raise ValueError(
            f"`weights` of `Sparse` must be one number or one a synapse, ({synapses},), "
            f"but its shape is {jnp.shape(weights)}."
        )


def _source_of_synapse(indptr: Array, synapses: int) -> Int[Array, " synapses"]:
    sources = jnp.arange(indptr.shape[0] - 1)
    return jnp.repeat(sources, jnp.diff(indptr), total_repeat_length=synapses)


def _require_inside(numbers: np.ndarray, size: int, name: str) -> None:
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < size):
        raise ValueError(
            f"`{name}` must lie in 0 to {size - 1}, but they reach from {numbers.min()} "
            f"to {numbers.max()}."
        )


def deliver(
    couplings: Sequence[tuple[AbstractCoupling, int]], spikes: Real[Array, " units"]
) -> list[Float[Array, " targets"]]:
    """What each coupling makes of the spikes of its sources.

    The sparse ones share one pass over the spikes.

    **Arguments:**

    - `couplings`: each with the number of the unit that is its first source.
    - `spikes`: of all units.
    """
    spikes = jnp.asarray(spikes, jnp.result_type(spikes, float))
    sparse = [(c, first) for c, first in couplings if isinstance(c, Sparse)]
    by_event = iter(_deliver_events(sparse, spikes))
    return [
        next(by_event)
        if isinstance(c, Sparse)
        else c.mv(jax.lax.dynamic_slice_in_dim(spikes, first, c.shape[1]))
        for c, first in couplings
    ]


class _Layout(NamedTuple):
    """Where the sources of a table stand among the units, and its size."""

    first: int
    targets: int
    sources: int


class _Table(NamedTuple):
    indptr: Int[Array, "*lanes sources+1"]
    indices: Int[Array, "*lanes synapses"]


def _deliver_events(couplings, spikes):
    if not couplings:
        return []
    layouts = tuple(_Layout(first, *c.shape) for c, first in couplings)
    tables = tuple(_Table(c.indptr, c.indices) for c, _ in couplings)
    weights = tuple(c.weights for c, _ in couplings)
    return _compiled_event_sums(layouts, spikes, weights, tables)


@ft.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _event_sums(layouts, spikes, weights, tables):
    arguments = jax.tree.map(lambda x: jnp.asarray(x)[None], (spikes, weights, tables))
    sums = fold_batches(ft.partial(_event_sums_of_lanes, layouts))(*arguments)
    return [s[0] for s in sums]


# Outside of other programs, the loop is then compiled once.
_compiled_event_sums = jax.jit(_event_sums, static_argnums=0)


def _event_sums_of_lanes(layouts, spikes, weights, tables):
    """The weighted sums; every array has a first axis of lanes, or of 1 if shared."""
    lanes, units = lanes_of(spikes, weights, tables), spikes.shape[1]
    spikes = jnp.broadcast_to(spikes, (lanes, units)).ravel()

    def add_source(sums, event):
        lane, unit = lane_and_unit(event, lanes, units)
        pathways = zip(layouts, sums, weights, tables, strict=True)
        return [
            _add_row(s, lane, unit - layout.first, spikes[event], layout, w, table)
            for layout, s, w, table in pathways
        ]

    start = [jnp.zeros(lanes * layout.targets, spikes.dtype) for layout in layouts]
    sums = for_each_event(spikes != 0, add_source, start)
    return [s.reshape(lanes, -1) for s in sums]


def _add_row(sums, lane, source, spike, layout, weights, table):
    """Add what one source sends through its synapses, a chunk of them in a turn."""
    synapses = table.indices.shape[1]
    if synapses == 0:
        return sums
    as_index = lambda x: x.astype(table.indices.dtype)
    # A shared table has one lane.
    table_lane = as_index(jnp.minimum(lane, table.indices.shape[0] - 1))
    weight_lane = as_index(jnp.minimum(lane, weights.shape[0] - 1))
    place = as_index(lane * layout.targets)
    row = jnp.clip(as_index(source), 0, layout.sources - 1)
    is_source = (source >= 0) & (source < layout.sources)
    start = table.indptr[table_lane, row]
    end = jnp.where(is_source, table.indptr[table_lane, row + 1], start)
    size = min(_CHUNK, synapses)
    offsets = jnp.arange(size, dtype=start.dtype)

    def chunk(state):
        sums, k = state
        # At its end the table is read from earlier on.
        first = jnp.minimum(k, synapses - size)
        slots = first + offsets
        mine = (slots >= k) & (slots < end)
        targets = jax.lax.dynamic_slice(table.indices, (table_lane, first), (1, size))[0]
        if weights.ndim == 1:
            values = weights[weight_lane]
        else:
            values = jax.lax.dynamic_slice(weights, (weight_lane, first), (1, size))[0]
        values = jnp.where(mine, values * spike, 0.0)
        return sums.at[place + targets].add(values, mode="promise_in_bounds"), k + size

    return jax.lax.while_loop(lambda state: state[1] < end, chunk, (sums, start))[0]


@ft.partial(_event_sums.defjvp, symbolic_zeros=True)
def _event_sums_jvp(layouts, primals, tangents):
    """All synapses count here, those of silent sources too."""
    spikes, weights, tables = primals
    spikes_dot, weights_dot, _ = tangents
    sums = _event_sums(layouts, spikes, weights, tables)
    sums_dot = [jnp.zeros_like(s) for s in sums]
    for i, (layout, w, w_dot, table) in enumerate(
        zip(layouts, weights, weights_dot, tables, strict=True)
    ):
        source = _source_of_synapse(table.indptr, table.indices.shape[0])
        for x, v in ((spikes, w_dot), (spikes_dot, w)):
            if isinstance(x, SymbolicZero) or isinstance(v, SymbolicZero):
                continue
            x = jax.lax.dynamic_slice_in_dim(x, layout.first, layout.sources)
            values = v * x[source]
            sums_dot[i] += jnp.zeros_like(sums[i]).at[table.indices].add(values)
    return sums, sums_dot
