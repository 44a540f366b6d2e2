"""Roots of smooth equations: Newton's method, and the derivatives of what it finds."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Bool, Float

from . import _small_linear


Vector: TypeAlias = Float[Array, " n"]
Equations: TypeAlias = Callable[[Vector], Vector]
LinearMap: TypeAlias = Callable[[Vector], Vector]
# From a linear map and a right side to the solution.
LinearSolver: TypeAlias = Callable[[LinearMap, Vector], Vector]


class Root(NamedTuple):
    """Where Newton's method ended, and whether that is a root."""

    x: Vector
    converged: Bool[Array, ""]


def solve_dense(linear: LinearMap, right: Vector) -> Vector:
    """By the matrix of the map, which is made column by column."""
    matrix = jax.vmap(linear, out_axes=1)(jnp.eye(right.size))
    return _small_linear.solve(matrix, right)


def solve_krylov(linear: LinearMap, right: Vector) -> Vector:
    """By GMRES, which asks for products with the matrix alone; NaN where it fails."""
    precision = float(jnp.finfo(right.dtype).eps) ** 0.65
    size: Array = jnp.linalg.norm(right)
    size = jnp.where(size > 0, size, 1.0)
    solution = lx.linear_solve(
        lx.FunctionLinearOperator(linear, jax.eval_shape(lambda: right)),
        right / size,
        # Without restarts, as long as the dimension allows: they can make it stagnate.
        lx.GMRES(precision, precision, restart=min(right.size, 100), max_steps=10),
        throw=False,
    )
    good = solution.result == lx.RESULTS.successful
    scaled: Vector = size * solution.value
    return jnp.where(good, scaled, jnp.nan)


def newton(
    equations: Equations,
    start: Vector,
    *,
    max_steps: int,
    solve: LinearSolver = solve_dense,
) -> Root:
    """Newton's method without damping, until a step is small.

    It converged if the last step, which is taken too, is small against one plus the root,
    in every entry: the next one would be as its square. Where the steps only shrink by a
    constant factor the root is a double one, and not well defined: that is no convergence.
    Nothing is differentiated: for that see `implicit_root`.
    """
    resolution = float(jnp.finfo(start.dtype).eps)
    tolerance = resolution**0.6

    def step_from(x):
        # On the results, not on the parameters: a function of the user may hold some.
        value = jax.lax.stop_gradient(equations(x))
        linear = lambda v: jax.lax.stop_gradient(jax.jvp(equations, (x,), (v,))[1])
        return solve(linear, value)

    def advance(state):
        x, size, _, steps = state
        step = step_from(x)
        return x - step, jnp.max(jnp.abs(step) / (1 + jnp.abs(x))), size, steps + 1

    def goes_on(state):
        # NaN ends it, as no root.
        _, size, _, steps = state
        return (size > tolerance) & (steps < max_steps)

    endless = jnp.full((), jnp.inf, start.dtype)
    state = (jax.lax.stop_gradient(start), endless, endless, jnp.asarray(0))
    x, size, before, _ = jax.lax.while_loop(goes_on, advance, state)
    is_simple = size <= jnp.maximum(before / 4, 1000 * resolution)
    return Root(x, (size <= tolerance) & is_simple & jnp.all(jnp.isfinite(x)))


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
