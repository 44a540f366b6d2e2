"""One step of an explicit Runge-Kutta method, from its tableau."""

from collections.abc import Callable
from typing import NamedTuple

import diffrax
import jax.tree_util as jtu
import numpy as np

from ._types import State


SOLVERS = (
    diffrax.Euler,
    diffrax.Heun,
    diffrax.Midpoint,
    diffrax.Ralston,
    diffrax.Bosh3,
    diffrax.Tsit5,
    diffrax.Dopri5,
    diffrax.Dopri8,
)


class Tableau(NamedTuple):
    """The coefficients of an explicit method, as nested tuples of Python floats."""

    c: tuple[float, ...]
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]


def tableau_of(solver: diffrax.AbstractSolver) -> Tableau:
    """The coefficients of one of `SOLVERS`, without stages that the result ignores."""
    if isinstance(solver, diffrax.Euler):
        return Tableau((), (), (1.0,))
    assert isinstance(solver, diffrax.AbstractERK)
    tableau = solver.tableau
    assert isinstance(tableau, diffrax.ButcherTableau)
    needed = int(np.flatnonzero(tableau.b_sol).max())
    return Tableau(
        tuple(tableau.c[:needed].tolist()),
        tuple(tuple(row.tolist()) for row in tableau.a_lower[:needed]),
        tuple(tableau.b_sol[: needed + 1].tolist()),
    )


def runge_kutta_step(
    tableau: Tableau,
    field: Callable[[float, State], State],
    y: State,
    dt: float,
) -> State:
    """The state one step on.

    **Arguments:**

    - `tableau`: of an explicit method.
    - `field`: the derivative at a fraction of the step, which is a Python float, so
        that inputs can be read at the grid's times without rounding.
    - `y`: the state at the start of the step.
    - `dt`: the step.

    A first stage is computed afresh, never reused from the step before: between the two
    the state may have jumped.
    """
    slopes = [field(0.0, y)]
    for fraction, weights in zip(tableau.c, tableau.a, strict=True):
        slopes.append(field(fraction, _advance(y, dt, weights, slopes)))
    return _advance(y, dt, tableau.b, slopes)


def _advance(y: State, dt: float, weights: tuple[float, ...], slopes: list[State]) -> State:
    """``y + dt * sum(weights * slopes)``, without the terms whose weight is zero."""
    used = [(w, k) for w, k in zip(weights, slopes, strict=True) if w != 0]

    def leaf(start, *terms):
        total = sum(w * k for (w, _), k in zip(used, terms, strict=True))
        return start + dt * total

    return jtu.tree_map(leaf, y, *(k for _, k in used))
