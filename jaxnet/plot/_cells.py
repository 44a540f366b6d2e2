"""Cells in space: the cylinders of their compartments, and the connections between them."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from ..models import Cell, Morphology


# A thinner line (points) is hard to see.
_THINNEST = 0.4


def cells(
    ax: Axes,
    cell: Cell | Morphology,
    positions: Float[Array | np.ndarray, "cells 3"] | None = None,
    connections: Float[Array | np.ndarray, "connections 2 3"] | None = None,
    *,
    width: float = 0.5,
    colour: str = "#0072B2",
    connection_colour: str = "0.5",
    connection_width: float = 0.4,
    **line,
) -> Line3DCollection:
    """Cells of one kind as sticks in space, a line for each compartment.

    A line goes from the start of a compartment to its end, as the `points` of the
    morphology say, and is the wider the larger the diameter. All axes have one scale. The
    lines of the cells are returned.

    **Arguments:**

    - `ax`: axes with three dimensions, ``figure.add_subplot(projection="3d")``.
    - `cell`: a [`jaxnet.models.Cell`][], or a [`jaxnet.models.Morphology`][].
    - `positions`: where the root of each cell starts (um); one cell at 0 by default.
    - `connections`: the start and the end of each connection (um).
    - `width`: of a line, in points for each um of diameter.
    - `colour`: of the cells.
    - `connection_colour`, `connection_width`: of the connections; the width in points.
    - `line`: passed on to the `Line3DCollection` of the cells.

    **Raises:** `ValueError` if the axes have two dimensions, or if `cell` has no shape.

    ```pycon
    >>> import jaxnet as jn
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> ax = plt.figure().add_subplot(projection="3d")
    >>> positions = np.array([[0.0, 0.0, 0.0], [0.0, 25.0, 0.0]])
    >>> drawn = jn.plot.cells(
    ...     ax, jn.models.ball_and_stick(), positions, positions[None], width=0.1
    ... )
    >>> [round(float(x), 2) for x in drawn.get_linewidth()]
    [1.26, 0.4, 1.26, 0.4]
    >>> plt.close()
    ```
    """
    if not isinstance(ax, Axes3D):
        raise ValueError(
            "`ax` must have three dimensions. Make it by "
            "`figure.add_subplot(projection='3d')`."
        )
    morphology = cell.morphology if isinstance(cell, Cell) else cell
    if not isinstance(morphology, Morphology):
        raise ValueError(
            f"`cell` must be a `Cell` or a `Morphology`, but it is a "
            f"`{type(cell).__name__}`, which has no shape in space."
        )
    positions = np.zeros((1, 3)) if positions is None else np.asarray(positions)
    points, diameter = np.asarray(morphology.points), np.asarray(morphology.diameter)
    if diameter.ndim > 1:
        raise ValueError(
            "The cells of `cell` have diameters of their own. Draw them one by one."
        )
    sticks = (positions[:, None, None] + points).reshape(-1, 2, 3)
    widths = np.tile(np.maximum(width * diameter, _THINNEST), len(positions))
    options: dict[str, Any] = {"colors": colour, "linewidths": widths, "capstyle": "butt"}
    drawn = _add_lines(ax, sticks, options | line)
    if connections is not None:
        options = {"colors": connection_colour, "linewidths": connection_width}
        _add_lines(ax, np.asarray(connections), options)
    ax.set_aspect("equal")
    return drawn


def _add_lines(ax: Axes3D, lines: np.ndarray, options: dict[str, Any]) -> Line3DCollection:
    had_data = ax.has_data()
    # The frame of the axes is smaller than a picture that is zoomed.
    drawn = Line3DCollection(list(lines), **({"clip_on": False} | options))
    ax.add_collection3d(drawn, autolim=False)
    if lines.size:
        ax.auto_scale_xyz(*lines.reshape(-1, 3).T, had_data=had_data)
    return drawn
