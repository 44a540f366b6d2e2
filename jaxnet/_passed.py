"""The bifurcation points that a curve passes between two of its points."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from ._result import result_if, RESULTS, SUCCESS, worst
from ._tree import nan_unless
from ._types import RealScalarLike


# Up to this many state variables, what is computed of each row is computed in one batch.
_SMALL = 16
# A bifurcation point: it has the fields `valid` and `result`.
_Point = TypeVar("_Point", bound=Any)


def map_rows(function: Callable, accepted: Bool[Array, " rows"], *rows: PyTree) -> PyTree:
    """A function of each row, which costs nothing where a large row is not accepted."""
    if rows[0].shape[1] <= _SMALL:
        return jax.vmap(function)(*rows)

    def one(row):
        accepted, *row = row
        structure = jax.eval_shape(function, *row)
        nothing = jtu.tree_map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), structure)
        return jax.lax.cond(accepted, lambda: function(*row), lambda: nothing)

    values = jax.lax.map(one, (accepted, *rows))
    # As the rows themselves, the last one is repeated.
    last = jnp.maximum(jnp.sum(accepted) - 1, 0)
    return jtu.tree_map(lambda v: v[jnp.minimum(jnp.arange(len(v)), last)], values)


def changes_sign(
    test: Float[Array, " rows"], accepted: Bool[Array, " rows"]
) -> Bool[Array, " rows"]:
    """Between which rows and the next one a test function passes zero."""
    positive = test > 0
    passed = (positive[1:] != positive[:-1]) & accepted[1:] & accepted[:-1]
    return jnp.append(passed, False)


class Row(NamedTuple):
    """Rows of a curve, or one of them, or the mean of two."""

    x: Float[Array, "*rows n"]
    parameters: Float[Array, "*rows parameters"]
    tangent: Float[Array, "*rows unknowns"]


def refine_passed(
    passed: Bool[Array, " rows"],
    rows: Row,
    refine: Callable[[Row, RESULTS], _Point],
    parameters_of: Callable[[_Point], Float[Array, " parameters"]],
    units: tuple[RealScalarLike, Float[Array, " parameters"]],
    max_points: int,
) -> tuple[_Point, RESULTS]:
    """The points that were passed, each by its own equations, and whether all were found.

    A point must be as near to the middle between its two rows as they are to each other, or
    it is another one.

    **Arguments:**

    - `passed`: the rows with a point between them and the next one.
    - `rows`: of the curve.
    - `refine`: from what is half-way between two rows to the point, unless the result is a
        failure.
    - `parameters_of`: the parameters of a point.
    - `units`: of the state and of the parameters, by which distances are measured.
    - `max_points`: how many are kept, the first ones.
    """
    last = len(passed) - 1
    (places,) = jnp.nonzero(passed, size=max_points, fill_value=last)
    is_small = rows.x.shape[1] <= _SMALL
    rows = jax.lax.stop_gradient(rows)

    def distance(x, parameters, row):
        ofs = (x - row.x) / units[0], (parameters - row.parameters) / units[1]
        return jnp.linalg.norm(jnp.concatenate(ofs))

    def refine_if(middle, result):
        """Without the cost of a search where there is nothing to be found."""
        structure = jax.eval_shape(refine, middle, result)
        nothing = jtu.tree_map(lambda s: jnp.zeros(s.shape, s.dtype), structure)
        search = lambda: refine(middle, result)
        return jax.lax.cond(result == SUCCESS, search, lambda: nothing)

    def one(place):
        is_passed = passed[place]
        before = jtu.tree_map(lambda r: r[place], rows)
        after = jtu.tree_map(lambda r: r[place + 1], rows)
        middle = jtu.tree_map(lambda a, b: (a + b) / 2, before, after)
        result = result_if(~is_passed, RESULTS.no_bifurcation)
        point = refine(middle, result) if is_small else refine_if(middle, result)
        x, _ = ravel_pytree(point.y)
        near = distance(x, parameters_of(point), middle) <= distance(
            before.x, before.parameters, after
        )
        result = worst(result, point.result, result_if(~near, RESULTS.no_bifurcation))
        good = result == SUCCESS
        point = eqx.tree_at(
            lambda p: (p.valid, p.result), nan_unless(good, point), (good, result)
        )
        return point, is_passed & ~good

    places = jnp.minimum(places, last - 1)
    points, lost = jax.vmap(one)(places) if is_small else jax.lax.map(one, places)
    result = worst(
        result_if(jnp.sum(passed) > max_points, RESULTS.too_many_bifurcations),
        result_if(jnp.any(lost), RESULTS.not_refined),
    )
    return points, result
