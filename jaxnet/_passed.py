"""The bifurcation points that a curve passes between two of its points."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from ._result import result_if, RESULTS, SUCCESS, worst
from ._tree import nan_unless
from ._types import RealScalarLike


# A bifurcation point: it has the fields `valid` and `result`.
_Point = TypeVar("_Point", bound=Any)


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
    rows = jax.lax.stop_gradient(rows)

    def distance(x, parameters, row):
        ofs = (x - row.x) / units[0], (parameters - row.parameters) / units[1]
        return jnp.linalg.norm(jnp.concatenate(ofs))

    def one(place):
        is_passed = passed[place]
        before = jtu.tree_map(lambda r: r[place], rows)
        after = jtu.tree_map(lambda r: r[place + 1], rows)
        middle = jtu.tree_map(lambda a, b: (a + b) / 2, before, after)
        point = refine(middle, result_if(~is_passed, RESULTS.no_bifurcation))
        x, _ = ravel_pytree(point.y)
        near = distance(x, parameters_of(point), middle) <= distance(
            before.x, before.parameters, after
        )
        result = worst(point.result, result_if(~near, RESULTS.no_bifurcation))
        good = result == SUCCESS
        point = eqx.tree_at(
            lambda p: (p.valid, p.result), nan_unless(good, point), (good, result)
        )
        return point, is_passed & ~good

    points, lost = jax.vmap(one)(jnp.minimum(places, last - 1))
    result = worst(
        result_if(jnp.sum(passed) > max_points, RESULTS.too_many_bifurcations),
        result_if(jnp.any(lost), RESULTS.not_refined),
    )
    return points, result
