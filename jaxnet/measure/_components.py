"""Connected components of a lattice, by the union of blocks of cells."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int


class Blocks:
    """One axis of a ring, cut into blocks whose links reach the next block and no farther.

    Two cells hang together if they are no more than `reach` apart. So a block must be no
    wider than `reach + 1`, for all of its cells to hang together, and no narrower than
    `reach`, for the cells on its two sides not to.
    """

    def __init__(self, cells: int, reach: int):
        self.cells = cells
        self.number = -(-cells // (reach + 1))
        self.width = reach + 1
        widths = np.full(self.number, cells // self.number)
        widths[: cells % self.number] += 1
        self.fits = bool(widths.min() >= reach)
        self.of_cell = np.repeat(np.arange(self.number), widths)
        # A block that is one cell short holds each of its cells in two places, as far to
        # the left and to the right as it can be: distances to its neighbours are exact.
        place, short = np.arange(self.width), (self.width - widths)[:, None]
        start = (np.cumsum(widths) - widths)[:, None]
        self.left = (start + np.minimum(place, widths[:, None] - 1)).ravel()
        self.right = (start + np.maximum(place - short, 0)).ravel()

    def split(self, active: Bool[Array, "..."], axis: int) -> Bool[Array, "..."]:
        """One axis of cells as two axes, of blocks and of the cells in a block."""
        if len(self.left) != active.shape[axis]:
            left, right = (jnp.take(active, x, axis) for x in (self.left, self.right))
            active = left | right
        before, after = active.shape[:axis], active.shape[axis + 1 :]
        return active.reshape(*before, self.number, self.width, *after)

    def spread(self, of_block: Array, axis: int) -> Array:
        """What belongs to each block, at each of its cells."""
        return jnp.take(of_block, self.of_cell, axis)


def component_of_blocks(
    active: Bool[Array, "rows columns"], rows: Blocks, columns: Blocks
) -> Int[Array, "row_blocks column_blocks"]:
    """A number for each block of cells, which blocks share that hang together.

    It is the number of one of these blocks. The lattice is a torus.
    """
    blocks = columns.split(rows.split(active, 0), 2)
    links = [
        (shift, linked)
        for (down, right), forward in _links(blocks)
        for shift, linked in (
            ((down, right), forward),
            ((-down, -right), jnp.roll(forward, (down, right), (0, 1))),
        )
    ]
    shape = (rows.number, columns.number)
    nothing = rows.number * columns.number

    def unite(carry):
        old, _ = carry
        around = jnp.pad(old.reshape(shape), 1, mode="wrap")
        least = old.reshape(shape)
        for (down, right), linked in links:
            corner = (1 + down, 1 + right)
            neighbour = jax.lax.dynamic_slice(around, corner, shape)
            least = jnp.minimum(least, jnp.where(linked, neighbour, nothing))
        least = least.ravel()
        # Hang the whole tree of a block under its least neighbour, then halve the paths.
        # Zhang, Azad and Hu 2020, FastSV.
        new = jnp.minimum(old.at[old].min(least), least)
        new = new[new]
        return new, jnp.any(new != old)

    alone = jnp.arange(nothing, dtype=jnp.int32)
    united, _ = jax.lax.while_loop(lambda carry: carry[1], unite, (alone, jnp.array(True)))
    return united.reshape(shape)


def _links(blocks: Bool[Array, "row_blocks width column_blocks width"]):
    """Whether each block is linked to its neighbour, for half of the directions."""
    width = blocks.shape[1]
    place = jnp.arange(width, dtype=jnp.int32)
    # The first and the last active cell of each row, of rows, and of columns in a block.
    first = jnp.min(jnp.where(blocks, place, width), axis=3)
    last = jnp.max(jnp.where(blocks, place, -1), axis=3)
    top = jnp.min(jnp.where(last >= 0, place[:, None], width), axis=1)
    bottom = jnp.max(jnp.where(last >= 0, place[:, None], -1), axis=1)
    # In the rows above one: those of the next block that are near enough to it.
    first_above = jax.lax.cummin(first, axis=1)[:, :-1]
    last_above = jax.lax.cummax(last, axis=1)[:, :-1]

    def at(shift, x):
        down, right = shift
        return jnp.roll(x, (-down, -right), (0, -1))

    east, south, south_east, south_west = (0, 1), (1, 0), (1, 1), (1, -1)
    # A cell is near enough to one of the next block if its place there is a lower one.
    yield east, at(east, first.min(axis=1)) < last.max(axis=1)
    yield south, at(south, top) < bottom
    yield south_east, jnp.any(at(south_east, first_above) < last[:, 1:], axis=1)
    yield south_west, jnp.any(at(south_west, last_above) > first[:, 1:], axis=1)
