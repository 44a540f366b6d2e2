"""Phase lines and phase planes."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import ArrayLike, Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from .._fixed_points import FixedPoints
from .._linearise import flow_field, frozen_time
from .._phase_plane import Separatrices
from .._prepare import prepare_system
from .._system import AbstractSystem
from .._types import InputValue, RealScalarLike
from ._style import COLOURS


def fixed_points(ax: Axes, points: FixedPoints, *, y=None, **marker) -> None:
    """Mark fixed points: filled where stable, open where not.

    **Arguments:**

    - `ax`: the axes.
    - `points`: of a system with one or two state variables.
    - `y`: the vertical coordinate for one state variable; 0 by default.
    - `marker`: passed on to `ax.plot`.
    """
    states = np.asarray(points.y).reshape(len(points.valid), -1)
    stable = np.asarray(points.stability.stable)
    valid = np.asarray(points.valid)
    if states.shape[1] == 1:
        height = np.zeros(len(states)) if y is None else np.broadcast_to(y, len(states))
        states = np.column_stack([states[:, 0], height])
    options: dict[str, Any] = {
        "marker": "o",
        "linestyle": "none",
        "color": COLOURS[-1],
        "zorder": 3,
    } | marker
    kinds = ((stable & valid, "stable", "full"), (~stable & valid, "unstable", "none"))
    for rows, label, fill in kinds:
        if rows.any():
            kind: dict[str, Any] = {"label": label, "fillstyle": fill}
            ax.plot(*states[rows].T, **(kind | options))


def phase_line(
    ax: Axes,
    system: AbstractSystem,
    y: Float[ArrayLike, " points"],
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    **line,
) -> None:
    """The derivative of a one-dimensional state as a function of the state.

    **Arguments:**

    - `ax`: the axes.
    - `system`: with a state of shape ``()``.
    - `y`: the states at which to draw.
    - `u`, `t`: the input, and the time at which one that varies is frozen.
    - `line`: passed on to `ax.plot`.
    """
    parts, _ = prepare_system(system, u)
    field = flow_field(parts, frozen_time(parts, t))
    ax.plot(y, eqx.filter_jit(jax.vmap(field))(jnp.asarray(y, float)), **line)
    ax.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)


def phase_plane(
    ax: Axes,
    system: AbstractSystem,
    x: Float[ArrayLike, " columns"],
    y: Float[ArrayLike, " rows"],
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    labels: tuple[str, str] = ("$\\dot x = 0$", "$\\dot y = 0$"),
) -> None:
    """The nullclines and the direction field of a system with two state variables.

    **Arguments:**

    - `ax`: the axes.
    - `system`: with a state of shape ``(2,)``.
    - `x`, `y`: the lattice of states, evenly spaced.
    - `u`, `t`: the input, and the time at which one that varies is frozen.
    - `labels`: of the nullclines, of the first and of the second state variable.
    """
    parts, _ = prepare_system(system, u)
    field = flow_field(parts, frozen_time(parts, t))
    states = jnp.stack(jnp.meshgrid(jnp.asarray(x, float), jnp.asarray(y, float)), -1)
    flow = np.asarray(eqx.filter_jit(jax.vmap(jax.vmap(field)))(states))
    ax.streamplot(
        np.asarray(x),
        np.asarray(y),
        flow[..., 0],
        flow[..., 1],
        color="0.75",
        density=0.9,
        linewidth=0.5,
        arrowsize=0.6,
        zorder=0,
    )
    for i, label in enumerate(labels):
        ax.contour(x, y, flow[..., i], levels=[0.0], colors=COLOURS[i], linewidths=1.4)
        ax.plot([], [], color=COLOURS[i], label=label)


def separatrices(ax: Axes, curves: Separatrices, **line) -> None:
    """The stable (dark) and the unstable manifold (light) of a saddle of a plane.

    **Arguments:**

    - `ax`: the axes; what lies outside their limits is not shown, and does not move them.
    - `curves`: from [`jaxnet.separatrices`][].
    - `line`: passed on to `ax.plot`.
    """
    limits = ax.get_xlim(), ax.get_ylim()
    kinds = (
        (curves.stable, "0.2", "stable manifold"),
        (curves.unstable, "0.6", "unstable manifold"),
    )
    for manifold, colour, label in kinds:
        for k, curve in enumerate(np.asarray(jax.vmap(jax.vmap(_flat))(manifold))):
            options: dict[str, Any] = {"color": colour, "linewidth": 1.0, "zorder": 1}
            options |= {"label": label if k == 0 else None}
            ax.plot(*curve.T, **(options | line))
    ax.set(xlim=limits[0], ylim=limits[1])


def basins(
    ax: Axes,
    x: Float[ArrayLike, " columns"],
    y: Float[ArrayLike, " rows"],
    arrived: Int[ArrayLike, " starts"],
) -> None:
    """A phase plane in pale colours, one for each fixed point that its states lead to.

    **Arguments:**

    - `ax`: the axes.
    - `x`, `y`: the values of the two state variables, evenly spaced.
    - `arrived`: from [`jaxnet.basins`][] of ``jaxnet.lattice``'s states, for which the
        first state variable is the slow index; states that lead to none stay white.
    """
    x, y = np.asarray(x), np.asarray(y)
    rows = np.asarray(arrived).reshape(len(x), len(y)).T
    numbers = np.unique(rows[rows >= 0])
    colours = ListedColormap([COLOURS[k % len(COLOURS)] for k in range(len(numbers))])
    places = np.searchsorted(numbers, rows).astype(float)
    ax.pcolormesh(
        x,
        y,
        np.where(rows >= 0, places, np.nan),
        cmap=colours,
        vmin=-0.5,
        vmax=len(numbers) - 0.5,
        alpha=0.18,
        linewidth=0,
        rasterized=True,
        zorder=-1,
    )


def _flat(y):
    return ravel_pytree(y)[0]
