"""The weighted sums of the spikes of several tables of synapses, event by event."""

import functools as ft
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.interpreters import ad
from jaxtyping import Array, Float, Int

from .._events import for_each_event, lane_and_unit, lanes_of, primitive_of_lanes


# How many synapses of a source are served at once.
_CHUNK = 128


class Layout(NamedTuple):
    """Where the sources of a table stand among the units, and its size."""

    first: int
    targets: int
    sources: int


def source_of_synapse(indptr: Array, synapses: int) -> Int[Array, " synapses"]:
    """The source of each synapse of a table."""
    sources = jnp.arange(indptr.shape[0] - 1)
    return jnp.repeat(sources, jnp.diff(indptr), total_repeat_length=synapses)


# Outside of other programs the loop is compiled once for each layout.
@ft.partial(jax.jit, static_argnums=0)
def event_sums(
    layouts: tuple[Layout, ...], spikes: Float[Array, " units"], *tables: Array
) -> list[Float[Array, " targets"]]:
    """What the synapses of each table make of the spikes.

    **Arguments:**

    - `layouts`: of each table.
    - `spikes`: of all units.
    - `tables`: the weights, the starts of the rows and the targets of each table in turn.
    """
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
        sent: Array = values * spike
        values = jnp.where(mine, jnp.where(is_target, sent, jnp.nan), 0.0)
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
        values = weights * x[source_of_synapse(indptr, indices.shape[0])]
        return jnp.zeros(layout.targets, values.dtype).at[indices].add(values)

    axes = tuple(0 if x.shape[0] == lanes else None for x in arrays)
    arrays = [x if axis == 0 else x[0] for x, axis in zip(arrays, axes, strict=True)]
    if all(axis is None for axis in axes):
        return jnp.broadcast_to(whole_sum(*arrays), (lanes, layout.targets))
    return jax.vmap(whole_sum, axes)(*arrays)


ad.primitive_jvps[event_sums_p] = _event_sums_jvp
