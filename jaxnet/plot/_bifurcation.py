"""Bifurcation diagrams in one parameter and in two."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from matplotlib.axes import Axes

from .._branch import Branch
from .._fold_curve import FoldCurve
from .._hopf_curve import HopfCurve
from .._types import State
from ._style import COLOURS


_MARKS: dict[str, dict[str, Any]] = {
    "fold": {"marker": "o", "color": COLOURS[1]},
    "branch point": {"marker": "D", "color": COLOURS[3]},
    "supercritical Hopf": {"marker": "s", "color": COLOURS[2]},
    "subcritical Hopf": {"marker": "s", "color": COLOURS[2], "fillstyle": "none"},
    "cusp": {"marker": "^", "color": COLOURS[3]},
    "Bogdanov-Takens": {"marker": "*", "color": COLOURS[6], "markersize": 8},
    "generalised Hopf": {"marker": "P", "color": COLOURS[4]},
}


def _first(y: State) -> Float[Array, ""]:
    return ravel_pytree(y)[0][0]


def bifurcation_diagram(
    ax: Axes,
    branch: Branch,
    observable: Callable[[State], Float[Array, ""]] = _first,
    *,
    marks: bool = True,
    **line,
) -> None:
    """A branch of fixed points against its parameter: solid where stable, dashed where not.

    **Arguments:**

    - `ax`: the axes.
    - `branch`: one branch, from [`jaxnet.continuation`][].
    - `observable`: from the state to the number that is shown; by default the first state
        variable.
    - `marks`: whether folds, Hopf points and branch points are marked. A Hopf point is
        filled where it is supercritical.
    - `line`: passed on to `ax.plot`.
    """
    see = jax.vmap(observable)
    accepted = np.asarray(branch.accepted)
    p, y = np.asarray(branch.parameter)[accepted], np.asarray(see(branch.y))[accepted]
    stable = np.asarray(branch.stability.stable)[accepted]
    label = line.pop("label", None)
    # The name of the whole branch, on its first piece.
    labels = (label, None) if stable[:1].all() else (None, label)
    _solid_and_dashed(ax, p, y, stable, labels, **({"color": COLOURS[0]} | line))
    if not marks:
        return
    hopf = branch.hopf_points
    kinds = (
        (branch.folds, "fold", None),
        (branch.branch_points, "branch point", None),
        (hopf, "supercritical Hopf", hopf.supercritical),
        (hopf, "subcritical Hopf", hopf.lyapunov > 0),
    )
    for points, name, chosen in kinds:
        shown = np.asarray(points.valid if chosen is None else points.valid & chosen)
        _mark(
            ax, name, np.asarray(points.parameter)[shown], np.asarray(see(points.y))[shown]
        )


def two_parameter_diagram(ax: Axes, *curves: FoldCurve | HopfCurve, **line) -> None:
    """Curves of folds and of Hopf points in the plane of two parameters.

    Their cusps, Bogdanov-Takens and generalised Hopf points are marked. A curve of Hopf
    points is dashed where they are subcritical.

    **Arguments:**

    - `ax`: the axes.
    - `curves`: from [`jaxnet.fold_curve`][] and [`jaxnet.hopf_curve`][].
    - `line`: passed on to `ax.plot`.
    """
    for curve in curves:
        accepted = np.asarray(curve.accepted)
        x, y = np.asarray(curve.parameters)[accepted].T
        if isinstance(curve, FoldCurve):
            ax.plot(x, y, **({"color": COLOURS[1], "label": _once(ax, "folds")} | line))
            kinds = ((curve.cusps, "cusp"), (curve.bogdanov_takens, "Bogdanov-Takens"))
        else:
            lyapunov = np.asarray(curve.lyapunov)[accepted]
            is_sub = lyapunov > 0
            # An end without a frequency is of the kind of its neighbour.
            for end, neighbour in ((0, 1), (-1, -2)):
                if len(is_sub) > 1 and np.isnan(lyapunov[end]):
                    is_sub[end] = is_sub[neighbour]
            labels = (
                _once(ax, "supercritical Hopf points"),
                _once(ax, "subcritical Hopf points"),
            )
            _solid_and_dashed(ax, x, y, ~is_sub, labels, **({"color": COLOURS[2]} | line))
            kinds = (
                (curve.generalised_hopf, "generalised Hopf"),
                (curve.bogdanov_takens, "Bogdanov-Takens"),
            )
        for points, name in kinds:
            _mark(ax, name, *np.asarray(points.parameters)[np.asarray(points.valid)].T)


def _solid_and_dashed(ax: Axes, x, y, solid, labels=(None, None), **line) -> None:
    """A line through points; each piece is dashed where its first point is not solid.

    The first solid and the first dashed piece have a label each.
    """
    if len(x) < 2:
        return
    pieces, labels = solid[:-1], dict(enumerate(labels))
    starts = np.concatenate([[0], np.flatnonzero(np.diff(pieces)) + 1, [len(pieces)]])
    for first, last in itertools.pairwise(starts):
        kind = 0 if pieces[first] else 1
        options = {"linestyle": ("-", (0, (3, 2)))[kind], "label": labels.pop(kind, None)}
        ax.plot(x[first : last + 1], y[first : last + 1], **(options | line))


def _mark(ax: Axes, name: str, x, y) -> None:
    """The points of a kind, which is in the legend once."""
    if len(x):
        options = {"linestyle": "none", "label": _once(ax, name), "zorder": 3}
        ax.plot(x, y, **(options | _MARKS[name]))


def _once(ax: Axes, label: str) -> str | None:
    """The label, if the legend has not got it."""
    return None if label in ax.get_legend_handles_labels()[1] else label
