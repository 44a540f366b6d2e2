"""Roots of smooth equations: Newton's method, and the derivatives of what it finds."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Bool, Float, Int

from . import _small_linear


Vector: TypeAlias = Float[Array, " n"]
Equations: TypeAlias = Callable[[Vector], Vector]
LinearMap: TypeAlias = Callable[[Vector], Vector]
# From a linear map and a right side to the solution.
LinearSolver: TypeAlias = Callable[[LinearMap, Vector], Vector]


class Root(NamedTuple):
    """Where Newton's method ended, whether that is a root, and after how many steps."""

    x: Vector
    converged: Bool[Array, ""]
    steps: Int[Array, ""]


def solve_dense(linear: LinearMap, right: Vector) -> Vector:
    """By the matrix of the map, which is made column by column."""
    matrix = jax.vmap(linear, out_axes=1)(jnp.eye(right.size))
    return _small_linear.solve(matrix, right)


def solve_krylov(linear: LinearMap, right: Vector) -> Vector:
    """By GMRES, which asks for products with the matrix alone; NaN where it fails."""
    precision = float(jnp.finfo(right.dtype).eps) ** 0.65
    size = jnp.linalg.norm(right)
    size = jnp.where(size > 0, size, 1.0)
    solution = lx.linear_solve(
        lx.FunctionLinearOperator(linear, jax.eval_shape(lambda: right)),
        right / size,
        # Without restarts, as long as the dimension allows: they can make it stagnate.
        lx.GMRES(precision, precision, restart=min(right.size, 100), max_steps=10),
        throw=False,
    )
    good = solution.result == lx.RESULTS.successful
    return jnp.where(good, size * solution.value, jnp.nan)


def newton(
    equations: Equations,
    start: Vector,
    *,
    max_steps: int,
    solve: LinearSolver = solve_dense,
) -> Root:
    """Newton's method without damping, until a step is small.

    It converged if the last step, which is taken too, is small against one plus the root,
    in every entry: the next one would be as its square. Nothing is differentiated: for that
    see `implicit_root`.
    """
    tolerance = float(jnp.finfo(start.dtype).eps) ** 0.6

    def step_from(x):
        # On the results, not on the parameters: a function of the user may hold some.
        value = jax.lax.stop_gradient(equations(x))
        linear = lambda v: jax.lax.stop_gradient(jax.jvp(equations, (x,), (v,))[1])
        return solve(linear, value)

    def advance(state):
        x, _, steps = state
        step = step_from(x)
        # NaN ends it, as no root.
        goes_on = jnp.any(jnp.abs(step) > tolerance * (1 + jnp.abs(x)))
        return x - step, goes_on, steps + 1

    def goes_on(state):
        _, going, steps = state
        return going & (steps < max_steps)

    state = (jax.lax.stop_gradient(start), jnp.asarray(True), jnp.asarray(0))
    x, going, steps = jax.lax.while_loop(goes_on, advance, state)
    return Root(x, ~going & jnp.all(jnp.isfinite(x)), steps)


def implicit_root(
    equations: Equations,
    x: Vector,
    is_root: Bool[Array, ""],
    solve: LinearSolver = solve_dense,
) -> Vector:
    """The root itself, with the derivatives that the implicit function theorem gives.

    To any order, in forward and reverse mode. What is no root does not depend on the
    parameters.
    """
    return jax.lax.custom_root(
        lambda z: jnp.where(is_root, equations(z), z - x),
        x,
        solve=lambda _, guess: guess,
        tangent_solve=solve,
    )
