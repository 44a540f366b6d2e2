"""Raster plots."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .._solution import Spikes


def raster(ax: Axes, spikes: Spikes, units: slice | None = None, **marker) -> None:
    """A dot for each spike: its time, and the unit that fired.

    **Arguments:**

    - `ax`: the axes.
    - `spikes`: as [`jaxnet.RecordTimes`][] keeps them.
    - `units`: which units to draw, such as ``network.units("e")``; they are numbered from
        the first one of these. All by default.
    - `marker`: passed on to `ax.plot`.
    """
    valid = np.asarray(spikes.valid)
    time, index = np.asarray(spikes.time)[valid], np.asarray(spikes.index)[valid]
    if units is not None:
        first, last, _ = units.indices(int(index.max(initial=-1)) + 1)
        inside = (index >= first) & (index < last)
        time, index = time[inside], index[inside] - first
    options: dict[str, Any] = {
        "marker": "o",
        "markersize": 1.2,
        "markeredgewidth": 0.0,
        "linestyle": "none",
    }
    ax.plot(time, index, **(options | marker))
