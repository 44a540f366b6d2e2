"""Sheets of units: a lattice as an image, its patterns, and how they move."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Array, Shaped
from matplotlib.animation import Animation, FuncAnimation
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from ..measure import Patterns


def sheet(
    ax: Axes,
    values: Shaped[Array | np.ndarray, "rows columns"],
    patterns: Patterns | None = None,
    velocity: Shaped[Array | np.ndarray, "max_patterns 2"] | None = None,
    *,
    arrow: float = 10.0,
    colour: str = "white",
    **image,
) -> AxesImage:
    """A lattice as an image, the first row on top, with the patterns found on it.

    A dot is at the centre of each pattern, and an arrow from there to where it would be
    after some ms. The image is returned, for a colour bar.

    **Arguments:**

    - `ax`: the axes.
    - `values`: one for each unit, such as its potential.
    - `patterns`: of one frame, from [`jaxnet.measure.patterns`][].
    - `velocity`: of these patterns (cells/ms), as of one step of
        [`jaxnet.measure.Tracks`][]. Where it is 0 there is no arrow.
    - `arrow`: the time that an arrow spans (ms).
    - `colour`: of dots and arrows.
    - `image`: passed on to `ax.imshow`.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> import matplotlib.pyplot as plt
    >>> active = jnp.zeros((12, 12), bool).at[2:5, 6:9].set(True)
    >>> found = jn.measure.patterns(active, max_patterns=4)
    >>> velocity = jnp.zeros((4, 2)).at[0].set(jnp.array([0.5, 0.0]))
    >>> fig, ax = plt.subplots()
    >>> drawn = jn.plot.sheet(ax, active, found, velocity)
    >>> ax.collections[0].get_offsets().tolist()
    [[7.0, 3.0]]
    >>> plt.close(fig)
    ```
    """
    values = np.asarray(values)
    options: dict[str, Any] = {"interpolation": "nearest"}
    drawn = ax.imshow(values, **(options | image))
    if patterns is not None:
        _mark(ax, patterns.centre, patterns.valid, velocity, arrow, colour)
    rows, columns = values.shape
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    return drawn


def animate_sheet(
    axes: Axes | Sequence[Axes] | np.ndarray,
    frames: Shaped[Array | np.ndarray, "*sheets frames rows columns"],
    patterns: Patterns | None = None,
    velocity: Shaped[Array | np.ndarray, "*sheets frames max_patterns 2"] | None = None,
    *,
    time: ArrayLike | None = None,
    interval: float = 100.0,
    arrow: float = 10.0,
    colour: str = "white",
    **image,
) -> FuncAnimation:
    """[`jaxnet.plot.sheet`][] frame after frame, for one sheet or for some side by side.

    Keep what is returned, and write it with [`jaxnet.plot.save_animation`][].

    **Arguments:**

    - `axes`: the axes; or one for each sheet, and then all that follows has a leading axis
        with an entry for each sheet.
    - `frames`: the values of each frame. All share their colours: from the least to the
        largest of all, unless `image` has `vmin` and `vmax`.
    - `patterns`, `velocity`: of each frame.
    - `time`: of each frame (ms), to be shown in a corner of the first sheet.
    - `interval`: for how long a frame is shown (ms of the viewer's time).
    - `arrow`, `colour`, `image`: as for [`jaxnet.plot.sheet`][].

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> import matplotlib.pyplot as plt
    >>> import tempfile
    >>> fig, ax = plt.subplots(figsize=(1, 1))
    >>> animation = jn.plot.animate_sheet(ax, jnp.eye(4)[:, None] * jnp.eye(4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     jn.plot.save_animation(animation, f"{folder}/diagonal.gif")
    >>> plt.close(fig)
    ```
    """
    frames = np.asarray(frames)
    if isinstance(axes, Axes):
        axes, lead = [axes], lambda x: np.asarray(x)[None]
    else:
        axes, lead = list(np.ravel(np.asarray(axes, object))), np.asarray
    frames = lead(frames)
    if frames.ndim != 4 or len(frames) != len(axes) or frames.shape[1] == 0:
        raise ValueError(
            "`frames` must have the shape (frames, rows, columns) for one `Axes`, and "
            f"(sheets, frames, rows, columns) for a sequence, but there are {len(axes)} "
            f"axes, and with an axis for the sheets their shape is {frames.shape}."
        )
    limits = {"vmin": frames.min(), "vmax": frames.max()}
    images = [
        sheet(ax, x[0], **(limits | image)) for ax, x in zip(axes, frames, strict=True)
    ]
    found = None if patterns is None else (lead(patterns.centre), lead(patterns.valid))
    velocities = None if velocity is None else lead(velocity)
    corner = axes[0].text(0.04, 0.96, "", va="top", transform=axes[0].transAxes)
    corner.set_bbox({"facecolor": "white", "linewidth": 0, "pad": 1.5})
    marks: list[Artist] = []

    def show(number: int) -> list[Artist]:
        while marks:
            marks.pop().remove()
        for k, ax in enumerate(axes):
            images[k].set_data(frames[k, number])
            if found is not None:
                centre, valid = (x[k, number] for x in found)
                v = None if velocities is None else velocities[k, number]
                marks.extend(_mark(ax, centre, valid, v, arrow, colour))
        if time is not None:
            corner.set_text(f"{np.asarray(time)[number]:.0f} ms")
        return [*images, *marks, corner]

    figure: Any = axes[0].figure
    return FuncAnimation(figure, show, frames.shape[1], interval=interval)


def save_animation(animation: Animation, path: str | Path, *, dpi: float = 100.0) -> None:
    """Write an animation as a video (``.mp4``) or as a moving picture (``.gif``).

    A video takes the ffmpeg of `imageio-ffmpeg`, which the extra ``video`` installs.

    **Arguments:**

    - `animation`: from [`jaxnet.plot.animate_sheet`][], or any of matplotlib.
    - `path`: where to write; the ending says which.
    - `dpi`: pixels per inch of the figure.
    """
    path = Path(path)
    if path.suffix == ".gif":
        animation.save(path, dpi=dpi, writer="pillow")
    elif path.suffix == ".mp4":
        try:
            import imageio_ffmpeg
        except ImportError as error:
            raise ImportError(
                "`save_animation` writes a video with imageio-ffmpeg, which is not "
                "installed. Install it by `pip install 'jaxnet-dynamics[video]'`, or take "
                "a path that ends in `.gif`."
            ) from error
        ffmpeg: Any = {"animation.ffmpeg_path": imageio_ffmpeg.get_ffmpeg_exe()}
        with mpl.rc_context(ffmpeg):
            animation.save(path, dpi=dpi, writer="ffmpeg", codec="h264")
    else:
        raise ValueError(f"`path` must end in `.mp4` or `.gif`, but it is {str(path)!r}.")


def _mark(ax: Axes, centre, valid, velocity, arrow: float, colour: str) -> list[Artist]:
    """Dots and arrows, of (row, column) pairs."""
    valid = np.asarray(valid)
    y, x = np.asarray(centre)[valid].T
    marks: list[Artist] = [ax.scatter(x, y, s=9, color=colour, linewidths=0, zorder=3)]
    if velocity is not None:
        down, right = np.asarray(velocity)[valid].T
        goes = np.hypot(down, right) > 0
        # An empty quiver can't be drawn.
        if goes.any():
            marks.append(
                ax.quiver(
                    x[goes],
                    y[goes],
                    arrow * right[goes],
                    arrow * down[goes],
                    angles="xy",
                    scale_units="xy",
                    scale=1.0,
                    width=0.008,
                    color=colour,
                    zorder=3,
                )
            )
    return marks
