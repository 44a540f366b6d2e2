"""Deflation: fixed points other than those that are known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Real

from . import _small_linear
from ._fixed_points import FixedPoints, prepare_search, Search
from ._linearise import flat_field, flow_field, frozen_time
from ._newton import Equations, Vector
from ._prepare import prepare_starts, prepare_system
from ._result import worst
from ._system import AbstractSystem, Parts
from ._types import InputValue, RealScalarLike, State


def deflated_fixed_points(
    system: AbstractSystem,
    starts: State,
    known: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    max_points: int = 8,
    max_steps: int = 64,
) -> FixedPoints:
    r"""Find fixed points other than those that are known, by deflation.

    Newton's method is applied to $M f$ with $M = \prod_k (1 + 1 / |y - y_k|^2)$, which is
    infinite at the known fixed points $y_k$, so that it is led away from them, also from a
    start right beside one; a start on one is moved aside by a hundredth. Each fixed point
    that is found is one of the known ones for the next search, up to `max_points`.

    So a second branch is found that is not connected to a first: search from a lattice, or
    from states beside those of the first, with `crossings` for the known ones. It does not
    promise to find all.

    **Arguments:**

    - `starts`: states along a leading axis. Starts that are not finite are passed over.
    - `known`: fixed points along a leading axis, such as `y` of [`jaxnet.FixedPoints`][] or
        `crossings` of a [`jaxnet.Branch`][]. Rows that are not finite are passed over.
    - `max_points`: how many are searched for.
    - `max_steps`: of Newton's method, from each start.

    The others are those of [`jaxnet.fixed_points`][].

    **Returns:** [`jaxnet.FixedPoints`][], of the new ones alone, and differentiable as
    those are. Where all `max_points` were found there may be more: `overflow` is not set.

    Source: Farrell, Birkisson and Funke 2015, doi:10.1137/140984798.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> population = jn.models.RatePopulation(w=5.0)
    >>> low = jn.fixed_points(population, jnp.array([0.0]), u=0.5, max_points=1)
    >>> others = jn.deflated_fixed_points(population, low.y + 0.01, low.y, u=0.5)
    >>> [round(float(r), 4) for r in others.y[others.valid]]
    [0.4471, 0.8997]
    ```
    """
    search = prepare_search(max_points, max_steps)
    parts, input_result = prepare_system(system, u)
    starts, start_result = prepare_starts(parts, starts)
    known, _ = prepare_starts(parts, known, "known", may_be_none=True)
    time = frozen_time(parts, t)
    found = _deflate(search, parts, starts, known, time)
    # What was found is taken for the starts of a search that ends at once.
    return search(parts, found, time, worst(input_result, start_result))


@eqx.filter_jit
def _deflate(
    search: Search, parts: Parts, starts: State, known: State, t: Real[Array, ""]
) -> State:
    """New fixed points along a leading axis; NaN where there is none."""
    _, unravel = ravel_pytree(jax.tree.map(lambda x: x[0], starts))
    field = flat_field(flow_field(parts, t), unravel)
    flat = jax.vmap(lambda y: ravel_pytree(y)[0])
    starts, known = jax.lax.stop_gradient((flat(starts), flat(known)))
    nothing = jnp.full((search.max_points, starts.shape[1]), jnp.nan)

    def find_one(found, place):
        avoid = jnp.concatenate([known, found])
        ends, good = jax.vmap(lambda x: _newton(search, field, x, avoid))(starts)
        first = jnp.argmax(good)
        new = jnp.where(good[first], ends[first], jnp.nan)
        return found.at[place].set(new), None

    found, _ = jax.lax.scan(find_one, nothing, jnp.arange(search.max_points))
    return jax.vmap(unravel)(found)


def _newton(
    search: Search, field: Equations, start: Vector, avoid: Float[Array, "points n"]
) -> tuple[Vector, Bool[Array, ""]]:
    """Where the deflated method ends, and whether that is a new root."""
    is_known = jnp.all(jnp.isfinite(avoid), axis=1)
    avoid = jnp.where(is_known[:, None], avoid, 0.0)

    def correction(x):
        value, matrix = jax.lax.stop_gradient((field(x), jax.jacfwd(field)(x)))
        return _small_linear.solve(matrix, value)

    def advance(state):
        x, _, steps = state
        step = correction(x)
        away = x - avoid
        square = jnp.sum(away**2, axis=1)
        # The gradient of the logarithm of M.
        slope: Array = -2 * away / (square * (1 + square))[:, None]
        slope = jnp.sum(jnp.where(is_known[:, None], slope, 0.0), axis=0)
        # By the formula of Sherman and Morrison, the step is only scaled.
        x = x - step / (1 + jnp.vdot(slope, step))
        large = jnp.any(jnp.abs(step) > search.tolerance * (1 + jnp.abs(x)))
        return x, large, steps + 1

    def goes_on(state):
        _, going, steps = state
        return going & (steps < search.max_steps)

    # At a known one there is no direction that leads away.
    noise = jnp.asarray(np.random.default_rng(0).normal(size=start.size), float)
    aside = start + 0.01 * (1 + jnp.abs(start)) * noise
    start = jnp.where(_is_near(search, start, avoid, is_known), aside, start)
    state = (start, jnp.asarray(True), jnp.asarray(0))
    x, going, _ = jax.lax.while_loop(goes_on, advance, state)
    near = _is_near(search, x, avoid, is_known)
    return x, ~going & jnp.all(jnp.isfinite(x)) & ~near


def _is_near(search: Search, x: Vector, avoid, is_known) -> Bool[Array, ""]:
    """Whether a state is one of those to be avoided."""
    bound = search.separation * (1 + jnp.abs(x))
    return jnp.any(jnp.all(jnp.abs(x - avoid) <= bound, axis=1) & is_known)
