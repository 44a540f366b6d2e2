"""Phase lines and phase planes."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float
from matplotlib.axes import Axes

from .._fixed_points import FixedPoints
from .._linearise import flow_field, frozen_time
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
