"""One pass over the few units that spiked, whatever their number."""

import functools as ft
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jaxtyping import Array, Bool, Int, UInt


Carry = TypeVar("Carry")


def for_each_event(
    happened: Bool[Array, " units"],
    body: Callable[[Carry, Int[Array, ""]], Carry],
    carry: Carry,
) -> Carry:
    """``carry = body(carry, unit)`` for each unit that is true, in rising order.

    All units are looked through once, eight at a time (four in float32 mode): a byte says
    whether a unit is true, a word has many bytes, and a byte of a second table says
    whether a word is not zero. The loop changes no table, since XLA would copy it.
    """
    if happened.size == 0:
        return carry

    def look_through(state):
        carry, happened, _ = state
        return _for_each_event(happened, body, carry), happened, False

    # In most steps of a small network nothing happens. This loop, of one turn at most,
    # also keeps XLA from computing what `happened` is made of once for each use of it.
    start = (carry, happened, jnp.any(happened))
    return jax.lax.while_loop(lambda state: state[2], look_through, start)[0]


def _for_each_event(happened, body, carry):
    words = _as_words(happened)
    groups = _as_words(words != 0)
    size, numbers = groups.dtype.itemsize, jnp.arange(groups.size, dtype=jnp.int32)

    def group_after(g):
        return jnp.min(jnp.where((groups != 0) & (numbers > g), numbers, groups.size))

    def turn(state: tuple[Array, Array, Array, Any]):
        g, group, word, carry = state
        unit = (g * size + _lowest_byte(group)) * size + _lowest_byte(word)
        carry = body(carry, unit)
        word = _without_lowest_byte(word)
        group = jnp.where(word == 0, _without_lowest_byte(group), group)
        g = jnp.where(group == 0, group_after(g), g)
        group = jnp.where(group == 0, _read(groups, g), group)
        next_word = _read(words, g * size + _lowest_byte(group))
        return g, group, jnp.where(word == 0, next_word, word), carry

    g = group_after(-1)
    group = _read(groups, g)
    start = (g, group, _read(words, g * size + _lowest_byte(group)), carry)
    return jax.lax.while_loop(lambda state: state[0] < groups.size, turn, start)[-1]


def _as_words(flags: Bool[Array, " n"]) -> UInt[Array, " words"]:
    """A byte for each flag, and the bytes in words."""
    word = jnp.uint64 if jax.config.read("jax_enable_x64") else jnp.uint32
    size = jnp.dtype(word).itemsize
    padded = jnp.pad(flags, (0, -flags.size % size)).astype(jnp.uint8)
    return jax.lax.bitcast_convert_type(padded.reshape(-1, size), word)


def _lowest_byte(word: UInt[Array, ""]) -> Int[Array, ""]:
    """The place of the lowest byte that is 1, in a word of bytes that are 0 or 1."""
    bits_below = jax.lax.population_count(word ^ (word - 1)) - 1
    return (bits_below // 8).astype(jnp.int32)


def _without_lowest_byte(word: UInt[Array, ""]) -> UInt[Array, ""]:
    return word & (word - 1)


def _read(table: Array, i: Int[Array, ""]) -> Array:
    return jax.lax.dynamic_index_in_dim(table, i, keepdims=False)


def lane_and_unit(
    event: Int[Array, ""], lanes: int, units: int
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Where an event of folded lanes happened."""
    if lanes == 1:
        return jnp.zeros_like(event), event
    return event // units, event % units


def lanes_of(*arrays: Array) -> int:
    """The number of lanes of arrays whose first axis is that of lanes, or is 1."""
    return max(x.shape[0] for x in arrays)


def primitive_of_lanes(name: str, function: Callable[..., list[Array]]) -> Primitive:
    """A primitive of JAX for which a batch is one larger problem, not many loops in step.

    The first axis of each array is that of lanes, or is 1 where the lanes share a value;
    what comes out has all lanes. Under `jax.vmap` a loop would go on in all lanes until
    the last is done, and copy what it carries in each turn. So a batch is folded into the
    lanes instead. Its derivatives, if it has any, are added to `ad.primitive_jvps`: those
    of a `jax.custom_jvp` are lost where a scan is differentiated twice.
    """
    primitive = Primitive(name)
    primitive.multiple_results = True
    primitive.def_impl(function)

    def abstract(*arrays, **static):
        shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]
        out = jax.eval_shape(ft.partial(function, **static), *shapes)
        return [ShapedArray(x.shape, x.dtype) for x in out]

    def fold(arrays, axes, **static):
        pairs = list(zip(arrays, axes, strict=True))
        size = next(x.shape[a] for x, a in pairs if a is not None)
        arrays = [x if a is None else jnp.moveaxis(x, a, 0) for x, a in pairs]
        is_batched = [a is not None for a in axes]
        lanes = max(x.shape[int(b)] for x, b in zip(arrays, is_batched, strict=True))

        def into_lanes(x, is_batched: bool):
            if not is_batched and x.shape[0] == 1:
                return x
            x = x if is_batched else x[None]
            x = jnp.broadcast_to(x, (size, lanes, *x.shape[2:]))
            return x.reshape(size * lanes, *x.shape[2:])

        out = primitive.bind(*map(into_lanes, arrays, is_batched), **static)
        out = [x.reshape(size, lanes, *x.shape[1:]) for x in out]
        return out, [0] * len(out)

    primitive.def_abstract_eval(abstract)
    batching.primitive_batchers[primitive] = fold
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=True))
    return primitive
