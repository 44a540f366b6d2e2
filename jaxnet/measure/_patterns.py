"""Localised patterns of activity on a sheet of units: where they are, and their shape."""

import math
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._result import is_concrete
from .._solution import SpikeRaster
from .._types import RealScalarLike
from ._components import Blocks, component_of_blocks


# What is less than this part of a step short of a whole step counts as one.
_STEP_SLACK = 1e-3


def spiked_within(
    raster: SpikeRaster, times: Float[Array, " frames"], window: RealScalarLike
) -> Bool[Array, "frames units"]:
    r"""Whether each unit spiked just before each of some times.

    $$a_{fi} = \exists\, \text{a spike of unit } i : t_f - w < t \le t_f$$

    The limits are rounded to whole steps: what is less than a thousandth of a step short
    of one, or what the dtype of the times can't tell from it, is on it. Before the run no
    unit spiked.

    **Arguments:**

    - `raster`: of one trial, from [`jaxnet.RecordRaster`][]; for many trials use
        `jax.vmap`. The spikes stay packed, eight units a byte.
    - `times`: $t_f$ (ms), within the run. Under `jax.jit` what is beyond its end counts as
        silent.
    - `window`: w (ms).

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> spikes = jnp.array([[1, 0], [0, 1], [0, 0], [0, 0]], bool)
    >>> bits = jnp.packbits(spikes, axis=-1)
    >>> raster = jn.SpikeRaster(jnp.array([0.1, 0.2, 0.3, 0.4]), bits, units=2)
    >>> jn.measure.spiked_within(raster, jnp.array([0.2, 0.3]), 0.2).tolist()
    [[True, True], [False, True]]
    ```
    """
    if raster.bits.ndim != 2 or len(raster.bits) < 2:
        raise ValueError(
            "`raster` must be of one trial of two steps at least, with bits of shape "
            f"(steps, bytes), but their shape is {raster.bits.shape}. For many trials use "
            "`jax.vmap`."
        )
    steps, times = len(raster.bits), jnp.asarray(times, float)
    start = raster.time[0]
    dt = (raster.time[-1] - start) / (steps - 1)
    eps = float(jnp.finfo(raster.time.dtype).eps)
    rounding = 4 * eps * jnp.max(jnp.abs(raster.time)) / dt
    if is_concrete(rounding) and not rounding < 0.5:
        raise ValueError(
            f"`raster` has steps of {dt} ms, which are less than what {raster.time.dtype} "
            "can tell apart at its times. Take float64 (`JAX_ENABLE_X64=1`)."
        )
    slack = jnp.maximum(rounding, _STEP_SLACK)

    def steps_until(t):
        return jnp.floor((t - start) / dt + slack)

    end, before = steps_until(times), steps_until(times - window)
    _require_in_run(times, end, steps, raster.time)
    if is_concrete(end) and not (before < end).all():
        raise ValueError(
            f"`window` = {window} ms holds no step of the run, whose steps are {dt} ms. "
            "Take a window of one step at least."
        )
    end = jnp.minimum(end, steps - 1).astype(jnp.int32)
    first = jnp.maximum(before + 1, 0).astype(jnp.int32)

    def look_back(carry):
        back, seen = carry
        step = end - back
        bits = jnp.where((step >= first)[:, None], raster.bits[step], 0)
        return back + 1, seen | bits

    length = jnp.max(end - first + 1, initial=0)
    nothing = jnp.zeros((len(times), raster.bits.shape[1]), raster.bits.dtype)
    start_of_loop = (jnp.zeros((), jnp.int32), nothing)
    _, seen = jax.lax.while_loop(lambda c: c[0] < length, look_back, start_of_loop)
    return jnp.unpackbits(seen, axis=-1, count=raster.units).astype(bool)


def _require_in_run(times, end, steps, time_of_step) -> None:
    inside = (end >= -1) & (end < steps)
    if is_concrete(inside) and not inside.all():
        raise ValueError(
            f"`times` must lie within the run, from {time_of_step[0]} to "
            f"{time_of_step[-1]} ms, but they reach from {times.min()} to {times.max()}. "
            "Take times of the run, or a longer run. A spike that is stamped with the "
            "start of its step is known up to a step before the end."
        )


class Patterns(eqx.Module):
    """The patterns of a frame, the largest first, in buffers of fixed size.

    **Attributes:**

    - `label`: the pattern that each cell belongs to, or -1.
    - `centre`: row and column of the centre of mass (cells).
    - `size`: the number of cells.
    - `aspect`: the ratio of the long and the short axis; 1 if it is round.
    - `euler`: the Euler number, of parts less holes.
    - `valid`: whether an entry of the buffers holds a pattern. The others are 0.
    - `count`: how many patterns there are, also those that found no room.
    """

    label: Int[Array, "*frames rows columns"]
    centre: Float[Array, "*frames max_patterns 2"]
    size: Int[Array, "*frames max_patterns"]
    aspect: Float[Array, "*frames max_patterns"]
    euler: Int[Array, "*frames max_patterns"]
    valid: Bool[Array, "*frames max_patterns"]
    count: Int[Array, "*frames"]

    @property
    def is_crescent(self) -> Bool[Array, "*frames max_patterns"]:
        """Whether a pattern is one piece without a hole; all others are patchy."""
        return self.valid & (self.euler == 1)


def patterns(
    active: Bool[Array, "rows columns"],
    *,
    min_size: int = 5,
    reach: int = 1,
    periodic: bool = True,
    max_patterns: int = 32,
) -> Patterns:
    r"""The connected components of the active cells of a sheet.

    The centre is the mean of the cells. On a torus it is taken in the frame whose cut is
    opposite to their circular mean. A pattern that goes all the way around has no centre
    along that axis: the number there is finite, and means nothing.

    The aspect ratio is $\sqrt{\lambda_1 / \lambda_2}$ with the eigenvalues of the
    covariance of the cells, each of them a full square: a rectangle of a times b cells has
    a / b, and so a line of a cells has a, and a single cell 1.

    The Euler number is the number of parts, in each of which cells touch by a side or a
    corner, less that of holes: 1 for a disc or a crescent, 0 for a ring. A band that goes
    around a torus has 0 too, as it has no end.

    **Arguments:**

    - `active`: which cells are; a frame of [`jaxnet.measure.spiked_within`][], or a
        threshold on the potential. For many frames use `jax.vmap`.
    - `min_size`: of the patterns that count (cells).
    - `reach`: two active cells belong together if they are no more than this many rows and
        columns apart: 1 for those that touch.
    - `periodic`: whether the sheet is a torus.
    - `max_patterns`: how many there is room for; the largest are kept.

    Source: Gray 1971, doi:10.1109/T-C.1971.223289, for the Euler number; Mardia and Jupp,
    Directional Statistics, 2000, section 2.2, for the circular mean.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> active = jnp.zeros((12, 12), bool).at[2:4, jnp.array([10, 11, 0, 1])].set(True)
    >>> found = jn.measure.patterns(active, max_patterns=4)
    >>> found.centre[0].tolist(), found.size.tolist(), int(found.count)
    ([2.5, 11.5], [8, 0, 0, 0], 1)
    >>> round(float(found.aspect[0]), 5), int(found.euler[0])
    (2.0, 1)
    ```
    """
    _require_frame(active)
    least, most = (
        _as_whole(value, name)
        for value, name in ((min_size, "min_size"), (max_patterns, "max_patterns"))
    )
    return _patterns(active, least, _as_whole(reach, "reach"), periodic, most)


def _as_whole(value: int, name: str) -> int:
    if not (isinstance(value, int | np.integer) and value >= 1):
        raise ValueError(f"`{name}` must be a whole number from 1, but it is {value}.")
    return int(value)


def _require_frame(active: Bool[Array, "..."]) -> None:
    if active.ndim != 2 or active.size == 0:
        raise ValueError(
            "`active` must be one frame, of shape (rows, columns), but it is "
            f"{active.shape}. Reshape the units into a sheet; for many frames use "
            "`jax.vmap`."
        )
    if active.dtype != bool:
        raise ValueError(
            f"`active` must say true or false for each cell, but its type is "
            f"{active.dtype}. Compare to a threshold, as in `v > -53` or `counts > 0`."
        )


# Operation by operation it would take seconds to compile.
@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _patterns(active, min_size: int, reach: int, periodic: bool, max_patterns: int):
    label, size, count = _label(active, min_size, reach, periodic, max_patterns)
    valid = size > 0
    centre, aspect = _centre_and_aspect(label, size, periodic)
    return Patterns(
        label=label,
        centre=jnp.where(valid[:, None], centre, 0.0),
        size=size,
        aspect=jnp.where(valid, aspect, 0.0),
        euler=_euler(label, max_patterns, periodic),
        valid=valid,
        count=count,
    )


def _blocks(cells: int, reach: int, periodic: bool) -> Blocks:
    if not periodic:
        # A sheet with edges is part of a ring that is wider by more than they reach.
        whole_blocks = math.ceil((cells + reach) / (reach + 1))
        return Blocks(whole_blocks * (reach + 1), reach)
    blocks = Blocks(cells, reach)
    if not blocks.fits:
        raise ValueError(
            f"`reach` = {reach} does not go with a torus of {cells} cells, which can't be "
            f"cut into pieces of {reach} and {reach + 1} cells. Take {reach * (reach - 1)} "
            "cells or more, another `reach`, or `periodic=False`."
        )
    return blocks


def _label(active, min_size: int, reach: int, periodic: bool, max_patterns: int):
    """The label of each cell, the sizes of the patterns, and their true number."""
    rows, columns = (_blocks(cells, reach, periodic) for cells in active.shape)
    margin = [(0, b.cells - n) for b, n in zip((rows, columns), active.shape, strict=True)]
    component = component_of_blocks(jnp.pad(active, margin), rows, columns)
    of_cell = columns.spread(rows.spread(component, 0), 1)
    of_cell = of_cell[: active.shape[0], : active.shape[1]]
    sizes = jnp.zeros(component.size, jnp.int32).at[of_cell].add(active.astype(jnp.int32))
    sizes = jnp.where(sizes >= min_size, sizes, 0)

    # On a CPU this is 30 times faster for float32, which holds whole numbers to 2**24.
    room = max(max_patterns - sizes.size, 0)
    largest, where = jax.lax.top_k(sizes.astype(jnp.float32), max_patterns - room)
    size = jnp.pad(largest.astype(jnp.int32), (0, room))
    found = jnp.where(largest > 0, where, sizes.size)
    name = jnp.arange(len(found), dtype=jnp.int32)
    label_of = jnp.full(sizes.size, -1, jnp.int32).at[found].set(name, mode="drop")
    label = label_of[of_cell]
    return jnp.where(active, label, -1), size, jnp.sum(sizes > 0)


class _Along(NamedTuple):
    """The cells of each pattern along one axis, as offsets from a cell near its centre."""

    number: Int[Array, "max_patterns n"]
    offset: Int[Array, "max_patterns n"]
    mean_offset: Float[Array, " max_patterns"]
    centre: Float[Array, " max_patterns"]

    @property
    def deviation(self) -> Float[Array, "max_patterns n"]:
        return self.offset - self.mean_offset[:, None]


def _along(number: Int[Array, "max_patterns n"], cells, periodic: bool) -> _Along:
    n = number.shape[1]
    position = jnp.arange(n, dtype=jnp.int32)
    origin = jnp.zeros(len(number), jnp.int32)
    offset = jnp.broadcast_to(position, number.shape)
    if periodic:
        angle = 2 * math.pi / n * position
        mean_angle = jnp.arctan2(number @ jnp.sin(angle), number @ jnp.cos(angle))
        origin = jnp.round(mean_angle * n / (2 * math.pi)).astype(jnp.int32)
        offset = (position - origin[:, None] + n // 2) % n - n // 2
    mean_offset = jnp.sum(number * offset, axis=1, dtype=float) / cells
    centre: Array = origin + mean_offset
    if periodic:
        centre = centre % n
        # A small negative number is rounded to n.
        centre = jnp.where(centre < n, centre, 0.0)
    return _Along(number, offset, mean_offset, centre)


def _centre_and_aspect(label, size, periodic: bool):
    # All sums come from how many cells a pattern has in each row and column, and how far
    # those of a row are to the right: one pass over the cells each, in whole numbers.
    slot = _slot(label, len(size))
    row, column = jnp.indices(label.shape, dtype=jnp.int32, sparse=True)
    in_row, in_column = (jnp.zeros((len(size) + 1, n), jnp.int32) for n in label.shape)
    cells = jnp.maximum(size, 1)
    rows = _along(in_row.at[slot, row].add(1)[:-1], cells, periodic)
    columns = _along(in_column.at[slot, column].add(1)[:-1], cells, periodic)
    # A look-up in one dimension, as one in two is slow under `vmap`. The cells of no
    # pattern look past the end.
    right = columns.offset.ravel()[slot * label.shape[1] + column]
    to_the_right = in_row.at[slot, row].add(right)[:-1]

    # A cell is a square, the variance of whose points is 1 / 12.
    of_rows, of_columns = (
        jnp.sum(axis.number * axis.deviation**2, axis=1) / cells + 1 / 12
        for axis in (rows, columns)
    )
    from_mean = to_the_right - columns.mean_offset[:, None] * rows.number
    covariance = jnp.sum(rows.deviation * from_mean, axis=1) / cells
    larger = (of_rows + of_columns) / 2 + jnp.hypot((of_rows - of_columns) / 2, covariance)
    aspect = larger / jnp.sqrt(of_rows * of_columns - covariance**2)
    return jnp.stack([rows.centre, columns.centre], axis=-1), aspect


def _slot(label, max_patterns: int):
    """The place in a buffer that has one more, for the cells of no pattern."""
    return jnp.where(label < 0, max_patterns, label)


def _euler(label, max_patterns: int, periodic: bool):
    """From the 2 x 2 squares with one, three and two opposite cells, on a torus."""
    if not periodic:
        label = jnp.pad(label, ((0, 1), (0, 1)), constant_values=-1)
    right, below = jnp.roll(label, -1, 1), jnp.roll(label, -1, 0)
    across = jnp.roll(label, (-1, -1), (0, 1))
    a, b, c, d = (x >= 0 for x in (label, right, below, across))
    number = sum(x.astype(jnp.int32) for x in (a, b, c, d))
    opposite = (a == d) & (b == c) & (a != b)
    quarters = jnp.select([number == 1, number == 3, opposite], [1, -1, -2], 0)
    # Cells that touch are of one pattern.
    label = jnp.maximum(jnp.maximum(label, right), jnp.maximum(below, across))
    sums = jnp.zeros(max_patterns + 1, jnp.int32)
    return sums.at[_slot(label, max_patterns)].add(quarters)[:-1] // 4
