"""A branch of fixed points."""

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Bool, Complex, Float

from ._branch_points import BranchPoint
from ._folds import Fold
from ._hopf_points import Hopf
from ._linearise import Stability
from ._result import RESULTS
from ._types import RealScalarLike, State


class Branch(eqx.Module):
    """A branch of fixed points, in order along it, and its bifurcation points.

    It begins at the end to which the parameter falls from the start. Rows that are not
    `accepted` come last and repeat the last one that is.

    **Attributes:**

    - `y`, `parameter`: the fixed points; a leading axis of ``method.max_steps + 1``.
    - `tangent_y`, `tangent_parameter`: the direction to the next row. It has unit length if
        the state is measured by the root mean square in units of the method's `scale`, and
        the parameter in units of the span.
    - `eigenvalues`: of the Jacobian (1/ms), by falling real part.
    - `stability`: of each point.
    - `accepted`: which rows hold a point. Mask by it before you reduce.
    - `fold_after`, `hopf_after`, `branch_point_after`: which rows have such a point between
        them and the next one.
    - `folds`, `hopf_points`, `branch_points`: the points themselves, with a leading axis of
        `max_points`, in order along the branch; those that are not valid are NaN.
    - `closed`: whether the branch is a loop: its last point is its first.
    - `result`: success, or why not.
    """

    y: State
    parameter: Float[Array, " rows"]
    tangent_y: State
    tangent_parameter: Float[Array, " rows"]
    eigenvalues: Complex[Array, "rows eigenvalues"]
    stability: Stability
    accepted: Bool[Array, " rows"]
    fold_after: Bool[Array, " rows"]
    hopf_after: Bool[Array, " rows"]
    branch_point_after: Bool[Array, " rows"]
    folds: Fold
    hopf_points: Hopf
    branch_points: BranchPoint
    closed: Bool[Array, ""]
    result: RESULTS

    def crossings(self, parameter: RealScalarLike) -> State:
        """The states at which the branch passes a value of the parameter.

        **Returns:** a leading axis of one less than the rows; NaN where the branch does not
        pass the value between this row and the next. They are interpolated linearly.
        """
        p = self.parameter
        # A row belongs to the interval after it; the last one, to that before.
        is_last = jnp.arange(len(p) - 1) == jnp.sum(self.accepted) - 2
        at_end = is_last & ~self.closed & (p[1:] == parameter)
        between = (p[:-1] - parameter) * (p[1:] - parameter) < 0
        passes = (p[:-1] == parameter) | between | at_end
        passes = passes & self.accepted[1:]
        part = (parameter - p[:-1]) / jnp.where(passes, p[1:] - p[:-1], 1.0)

        def interpolate(y):
            weight = part.reshape(-1, *(1,) * (y.ndim - 1))
            between = y[:-1] + weight * (y[1:] - y[:-1])
            return jnp.where(passes.reshape(weight.shape), between, jnp.nan)

        return jtu.tree_map(interpolate, self.y)
