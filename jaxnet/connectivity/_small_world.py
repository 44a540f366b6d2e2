"""Small worlds: a ring, some of whose edges are rewired."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from .._types import Key, RealScalarLike
from ._checks import as_probability, require_units
from ._regular import ring
from ._rows import by_rows


def small_world(
    n: int,
    neighbours: int,
    rewiring: RealScalarLike,
    *,
    key: Key,
    directed: bool = False,
) -> Bool[Array, "n n"]:
    """A ring, each of whose edges is rewired with probability `rewiring`.

    The graph is undirected, as in the source: the matrix is symmetric. One lap around the
    ring takes the edges to the nearest neighbours, the next those to the second nearest,
    and so on. A rewired edge keeps the unit from which it is seen, and leads to one drawn
    uniformly from those that this unit is not yet connected to. There are no
    self-connections and no double edges, and always `n * neighbours` edges. A unit that
    is connected to all others keeps its edge.

    A `directed` graph has the `2 * n * neighbours` connections of the ring, each rewired
    on its own: it keeps its target, and gets another source. The in-degree of each unit
    remains `2 * neighbours`, and the matrix is not symmetric.

    The cost grows as `n**2 * neighbours`.

    **Arguments:**

    - `n`: number of units.
    - `neighbours`: their number on each side of a unit, less than `n / 2`.
    - `rewiring`: probability that an edge is rewired, $p$ of the source.
    - `directed`: whether the two directions of an edge are rewired independently.

    Raises a `ValueError` for a size below 1, for `neighbours` outside of its range, and
    for `rewiring` outside of [0, 1]; where `rewiring` is traced, a `RuntimeError` when the
    program runs.

    Source: Watts and Strogatz 1998, doi:10.1038/30918, with $k$ twice `neighbours`.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> mask = jn.connectivity.small_world(20, 2, 0.1, key=jax.random.key(0))
    >>> int(mask.sum()) // 2, bool((mask == mask.T).all())
    (40, True)
    ```
    """
    require_units(n=n)
    most = (n - 1) // 2
    if not 0 <= neighbours <= most:
        raise ValueError(
            f"`neighbours` is {neighbours}, but among {n} units both sides stay apart only "
            f"up to {most}. Pass a number from 0 to {most}."
        )
    rewire = _rewire_directed if directed else _rewire_undirected
    return rewire(as_probability(rewiring, "rewiring"), key, n, neighbours)


@partial(jax.jit, static_argnames=("n", "neighbours"))
def _rewire_undirected(
    rewiring: Float[Array, ""], key: Key, n: int, neighbours: int
) -> Bool[Array, "n n"]:
    edges = n * neighbours
    units = jnp.tile(_range(n), neighbours)
    partners = (units + jnp.repeat(1 + _range(neighbours), n)) % n
    moves, bits = _draws(rewiring, key, edges)

    def step(mask, edge):
        i, old, moves, bits = edge
        new = _another(mask[i], i, old, moves, bits)
        stays = new == old
        # In one assignment, because a second one would copy the matrix.
        ends = jnp.stack([i, old, i, new]), jnp.stack([old, i, new, i])
        return mask.at[ends].set(jnp.stack([stays, stays, True, True])), None

    mask, _ = jax.lax.scan(step, ring(n, neighbours), (units, partners, moves, bits))
    return mask


@partial(jax.jit, static_argnames=("n", "neighbours"))
def _rewire_directed(
    rewiring: Float[Array, ""], key: Key, n: int, neighbours: int
) -> Bool[Array, "n n"]:
    side = 1 + _range(neighbours)
    steps = jnp.concatenate([side, -side])

    def row(i, sources, key):
        def step(sources, edge):
            old, moves, bits = edge
            new = _another(sources, i, old, moves, bits)
            return sources.at[old].set(False).at[new].set(True), None

        edges = ((i + steps) % n, *_draws(rewiring, key, 2 * neighbours))
        sources, _ = jax.lax.scan(step, sources, edges)
        return sources

    keys = jax.random.split(key, n)
    return by_rows(row, _range(n), ring(n, neighbours), keys, width=n)


def _range(n: int) -> Int[Array, " n"]:
    # In 32 bits in any case, so that a key has one network.
    return jnp.arange(n, dtype=jnp.int32)


def _draws(
    rewiring: Float[Array, ""], key: Key, edges: int
) -> tuple[Bool[Array, " edges"], UInt32[Array, " edges"]]:
    """Which edges are rewired, and the random bits that give each its new partner."""
    move_key, partner_key = jax.random.split(key)
    moves = jax.random.bernoulli(move_key, rewiring.astype(jnp.float32), (edges,))
    return moves, jax.random.bits(partner_key, (edges,), jnp.uint32)


def _another(
    connected: Bool[Array, " n"],
    unit: Int[Array, ""],
    old: Int[Array, ""],
    moves: Bool[Array, ""],
    bits: UInt32[Array, ""],
) -> Int[Array, ""]:
    """A partner that the unit does not have yet, or the old one if it keeps it."""
    is_free = ~connected.at[unit].set(True)
    up_to = jnp.cumsum(is_free, dtype=jnp.uint32)
    count = up_to[-1]
    # The remainder is uniform up to a relative error of n / 2**32.
    rank = bits % jnp.maximum(count, 1)
    new = jnp.argmax(up_to > rank).astype(jnp.int32)
    return jnp.where(moves & (count > 0), new, old)
