"""Few synapses out of many possible ones, and what their spikes do, event by event."""

import functools as ft
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Real

from .._events import for_each_event, lane_and_unit, lanes_of, primitive_of_lanes
from .._parameters import Parameter, parameter
from .._result import is_concrete
from ._base import AbstractCoupling, require_delays


# How many synapses of a source are served at once.
_CHUNK = 128


def _as_index(x) -> Int[Array, "..."]:
    if not is_concrete(x):
        return jnp.asarray(x, jnp.int32)
    # Also inside of `jax.jit` a known table stays known, and is looked at.
    with jax.ensure_compile_time_eval():
        return jnp.asarray(np.asarray(x), jnp.int32)


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
        sources = _as_whole_numbers(sources, "sources")
        targets = _as_whole_numbers(targets, "targets")
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

    def _mv(self, x):
        return deliver([(self, 0)], x)[0]

    def split(self, delays, distinct):
        require_delays(delays, self.indices.shape)
        targets = np.asarray(self.indices)
        sources = np.repeat(np.arange(self.shape[1]), np.diff(np.asarray(self.indptr)))

        def part(delay):
            chosen = delays == delay
            weights = self.weights[chosen] if self.weights.ndim else self.weights
            return Sparse.from_pairs(
                sources[chosen], targets[chosen], weights, shape=self.shape
            )

        return tuple(part(delay) for delay in distinct)


def _as_whole_numbers(x, name: str) -> np.ndarray:
    x = np.asarray(x)
    if x.size and not np.issubdtype(x.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be whole numbers, but they are of type {x.dtype}. Pass the "
            "number of the unit at that end of each synapse."
        )
    return x.astype(int)


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


def _deliver_events(couplings, spikes):
    if not couplings:
        return []
    layouts = tuple(_Layout(first, *c.shape) for c, first in couplings)
    tables = [x for c, _ in couplings for x in (c.weights, c.indptr, c.indices)]
    return _event_sums_of_one(layouts, spikes, *tables)


# Outside of other programs the loop is compiled once for each layout.
@ft.partial(jax.jit, static_argnums=0)
def _event_sums_of_one(layouts, spikes, *tables):
    sums = event_sums_p.bind(spikes[None], *(x[None] for x in tables), layouts=layouts)
    return [s[0] for s in sums]


def _by_table(arrays):
    """The weights, the starts of the rows and the targets of each table."""
    return zip(arrays[0::3], arrays[1::3], arrays[2::3], strict=True)


def _event_sums(spikes, *tables, layouts) -> list[Array]:
    """The weighted sums; every array has a first axis of lanes, or of 1 if shared."""
    lanes, units = lanes_of(spikes, *tables), spikes.shape[1]
    spikes = jnp.broadcast_to(spikes, (lanes, units)).ravel()

    def add_source(sums, event):
        lane, unit = lane_and_unit(event, lanes, units)
        return [
            _add_row(s, lane, unit - layout.first, spikes[event], layout, *table)
            for layout, s, table in zip(layouts, sums, _by_table(tables), strict=True)
        ]

    start = [jnp.zeros(lanes * layout.targets, spikes.dtype) for layout in layouts]
    sums = for_each_event(spikes != 0, add_source, start)
    return [s.reshape(lanes, -1) for s in sums]


event_sums_p = primitive_of_lanes("event_sums", _event_sums)


def _add_row(sums, lane, source, spike, layout, weights, indptr, indices):
    """Add what one source sends through its synapses, a chunk of them in a turn."""
    synapses = indices.shape[1]
    if synapses == 0:
        return sums
    as_index = lambda x: x.astype(indices.dtype)
    # A shared table has one lane.
    table_lane = as_index(jnp.minimum(lane, indices.shape[0] - 1))
    weight_lane = as_index(jnp.minimum(lane, weights.shape[0] - 1))
    place = as_index(lane * layout.targets)
    row = jnp.clip(as_index(source), 0, layout.sources - 1)
    is_source = (source >= 0) & (source < layout.sources)
    start = indptr[table_lane, row]
    end = jnp.where(is_source, indptr[table_lane, row + 1], start)
    size = min(_CHUNK, synapses)
    offsets = jnp.arange(size, dtype=start.dtype)

    def chunk(state):
        sums, k = state
        # At its end the table is read from earlier on.
        first = jnp.minimum(k, synapses - size)
        slots = first + offsets
        mine = (slots >= k) & (slots < end)
        targets = jax.lax.dynamic_slice(indices, (table_lane, first), (1, size))[0]
        if weights.ndim == 1:
            values = weights[weight_lane]
        else:
            values = jax.lax.dynamic_slice(weights, (weight_lane, first), (1, size))[0]
        # A traced target that is none would else be one of the next lane.
        is_target = (targets >= 0) & (targets < layout.targets)
        values = jnp.where(mine, jnp.where(is_target, values * spike, jnp.nan), 0.0)
        places = place + jnp.where(is_target, targets, 0)
        return sums.at[places].add(values, mode="promise_in_bounds"), k + size

    return jax.lax.while_loop(lambda state: state[1] < end, chunk, (sums, start))[0]


def _event_sums_jvp(primals, tangents, *, layouts):
    """All synapses count here, those of silent sources too."""
    spikes, *tables = primals
    spikes_dot, *tables_dot = tangents
    sums = event_sums_p.bind(*primals, layouts=layouts)
    lanes = lanes_of(*primals)
    sums_dot: list[Any] = [ad.Zero(jax.typeof(s).to_tangent_aval()) for s in sums]
    rows = zip(layouts, _by_table(tables), tables_dot[0::3], strict=True)
    for i, (layout, (weights, indptr, indices), weights_dot) in enumerate(rows):
        for x, w in ((spikes, weights_dot), (spikes_dot, weights)):
            if isinstance(x, ad.Zero) or isinstance(w, ad.Zero):
                continue
            total = _whole_sums(layout, lanes, x, w, indptr, indices)
            sums_dot[i] = ad.add_tangents(sums_dot[i], total)
    return sums, sums_dot


def _whole_sums(layout, lanes: int, *arrays) -> Float[Array, "lanes targets"]:
    """The weighted sums over all sources; one lane of an array serves all of them."""

    # What is gathered is gathered again on the way back, and not kept for each step.
    @jax.checkpoint
    def whole_sum(x, weights, indptr, indices):
        x = jax.lax.dynamic_slice_in_dim(x, layout.first, layout.sources)
        values = weights * x[_source_of_synapse(indptr, indices.shape[0])]
        return jnp.zeros(layout.targets, values.dtype).at[indices].add(values)

    axes = tuple(0 if x.shape[0] == lanes else None for x in arrays)
    arrays = [x if axis == 0 else x[0] for x, axis in zip(arrays, axes, strict=True)]
    if all(axis is None for axis in axes):
        return jnp.broadcast_to(whole_sum(*arrays), (lanes, layout.targets))
    return jax.vmap(whole_sum, axes)(*arrays)


ad.primitive_jvps[event_sums_p] = _event_sums_jvp
