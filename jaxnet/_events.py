"""One pass over the few units that spiked, whatever their number."""

import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


# Below, looking through all units is quicker than through blocks of them.
_FEW_UNITS = 2048

Carry = TypeVar("Carry")


def for_each_event(
    happened: Bool[Array, " units"],
    body: Callable[[Carry, Int[Array, ""]], Carry],
    carry: Carry,
) -> Carry:
    """``carry = body(carry, unit)`` for each unit that is true, in rising order.

    The cost grows with the number of events: a look at all units once, and at about the
    square root of their number for each event.
    """
    if happened.size <= _FEW_UNITS:
        return _in_one_block(happened, body, carry)
    return _in_blocks(happened, body, carry)


# In both loops the condition is a flag that the body has made: a condition that is
# computed from the arrays has XLA compute these twice.


def _in_one_block(happened, body, carry):
    def turn(state):
        carry, happened, _ = state
        unit = _first(happened)
        rest = _put(happened, unit, False)
        return body(carry, unit), rest, jnp.any(rest)

    start = (carry, happened, jnp.any(happened))
    return jax.lax.while_loop(lambda state: state[2], turn, start)[0]


def _in_blocks(happened, body, carry):
    size = 2 ** math.ceil(math.log2(happened.size) / 2)
    padding = -happened.size % size
    table = jnp.pad(happened, (0, padding)).reshape(-1, size)
    blocks = jnp.any(table, axis=1)

    def turn(state):
        carry, table, blocks, _ = state
        b = _first(blocks)
        row = jax.lax.dynamic_index_in_dim(table, b, keepdims=False)
        column = _first(row)
        row = _put(row, column, False)
        blocks = _put(blocks, b, jnp.any(row))
        carry = body(carry, b * size + column)
        return carry, _put(table, b, row), blocks, jnp.any(blocks)

    start = (carry, table, blocks, jnp.any(blocks))
    return jax.lax.while_loop(lambda state: state[3], turn, start)[0]


def _first(happened: Bool[Array, " n"]) -> Int[Array, ""]:
    return jax.lax.argmax(happened, 0, jnp.int32)


def _put(array: Array, i: Int[Array, ""], value) -> Array:
    # Without the checks of `array.at[i].set(value)` this is done in place.
    return jax.lax.dynamic_update_index_in_dim(array, value, i, 0)


def lane_and_unit(
    event: Int[Array, ""], lanes: int, units: int
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Where an event of folded lanes happened."""
    if lanes == 1:
        return jnp.zeros_like(event), event
    return event // units, event % units


def lanes_of(*trees) -> int:
    """The number of lanes of arrays whose first axis is that of lanes, or is 1."""
    return max(leaf.shape[0] for leaf in jax.tree.leaves(trees))


def fold_batches(function: Callable) -> Callable:
    """A rule for `jax.vmap`: a batch is one larger problem, not many loops in step.

    The function takes trees of arrays whose first axis is that of lanes, or is 1 where the
    lanes share a value; what it returns has all lanes. Under `jax.vmap` a loop would go on
    in all lanes until the last is done, and copy what it carries in each turn. So a batch
    is folded into the lanes instead.
    """
    folded = jax.custom_batching.custom_vmap(function)

    @folded.def_vmap
    def _rule(axis_size, in_batched, *args):
        lanes = lanes_of(
            *jax.tree.map(lambda x, b: x[0] if b else x, args, tuple(in_batched))
        )

        def fold(x, is_batched):
            own_lanes = x.shape[int(is_batched)]
            if not is_batched and own_lanes == 1:
                return x
            x = x if is_batched else x[None]
            x = jnp.broadcast_to(x, (axis_size, lanes, *x.shape[2:]))
            return x.reshape(axis_size * lanes, *x.shape[2:])

        out = folded(*jax.tree.map(fold, args, tuple(in_batched)))
        unfold = lambda x: x.reshape(axis_size, lanes, *x.shape[1:])
        return jax.tree.map(unfold, out), jax.tree.map(lambda _: True, out)

    return folded
