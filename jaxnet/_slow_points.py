"""Slow points: where a network nearly rests, and what it does around there."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Complex, Float, Int, Real

from . import _small_linear
from ._linearise import (
    classify,
    default_tolerance,
    flat_field,
    flow_field,
    frozen_time,
    Stability,
)
from ._newton import Equations, Vector
from ._prepare import prepare_starts, prepare_system
from ._result import is_concrete, result_if, RESULTS, SUCCESS, worst
from ._system import AbstractSystem, Parts
from ._tree import nan_unless
from ._types import InputValue, RealScalarLike, State


class SlowPoints(eqx.Module):
    """Where each search for a slow point ended, row by row with the starts.

    **Attributes:**

    - `y`: the states.
    - `speed`: the Euclidean norm of the vector field there (per ms).
    - `valid`: which rows hold a slow point: the search ended, and the speed is below
        `max_speed`.
    - `distinct`: the valid rows, without those that are near an earlier one.
    - `jacobian`: of the vector field there (1/ms).
    - `eigenvalues`: of the Jacobian (1/ms), by falling real part.
    - `stability`: of the linearisation; a rate below `slow_rate` counts as zero.
    - `steps`: how many steps each search took.
    - `result`: success, or why not.
    """

    y: State
    speed: Float[Array, " starts"]
    valid: Bool[Array, " starts"]
    distinct: Bool[Array, " starts"]
    jacobian: Float[Array, "starts n n"]
    eigenvalues: Complex[Array, "starts n"]
    stability: Stability
    steps: Int[Array, " starts"]
    result: RESULTS


def slow_points(
    system: AbstractSystem,
    starts: State,
    *,
    slow_rate: RealScalarLike,
    max_speed: RealScalarLike,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    separation: RealScalarLike = 0.01,
    max_steps: int = 200,
) -> SlowPoints:
    r"""Find slow points: minima of $|f|^2$ along all directions that are not slow.

    From every start, Levenberg and Marquardt's method makes $|f|^2$ small. It is damped by
    `slow_rate`, so that it moves along what changes fast and leaves what changes slowly
    where it is. It ends where what is left of the flow lies along slow directions alone:
    where $|J^T f|$ is below a tenth of `slow_rate` times $|f|$. So a line of nearly fixed
    points is covered by the points that the starts lead to, and they do not slide along it
    to its few fixed points. A fixed point is a slow point too.

    **Arguments:**

    - `system`: the system; of a noisy one, the flow.
    - `starts`: states along a leading axis, such as the states of a run. Starts that are
        not finite lead to none.
    - `slow_rate`: what decays or grows more slowly than this is slow (1/ms): well above
        the slow rates of the network and well below the others, such as a tenth of
        1 / tau.
    - `max_speed`: of a slow point (per ms).
    - `u`: the input.
    - `t`: the time (ms) at which an input that varies is frozen.
    - `separation`: slow points nearer than this, in Euclidean distance, are not distinct.
    - `max_steps`: of the method, from each start.

    **Returns:** [`jaxnet.SlowPoints`][]. `jacobian` and `eigenvalues` are differentiable at
    the points as they were found; the points themselves are not differentiated, since where
    on a slow line one lies depends on its start.

    Source: Sussillo and Barak 2013, doi:10.1162/NECO_a_00409; Golub and Sussillo 2018,
    doi:10.21105/joss.01003, who descend along the gradient.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> ghost = jn.models.RatePopulation(w=5.0)
    >>> points = jn.slow_points(
    ...     ghost, jnp.linspace(0.0, 0.3, 4), slow_rate=0.2, max_speed=0.02, u=0.82
    ... )
    >>> bool(points.valid.all()), round(float(points.speed.max()), 3)
    (True, 0.001)
    ```
    """
    values = {"slow_rate": slow_rate, "max_speed": max_speed, "separation": separation}
    for name, value in (values | {"max_steps": max_steps}).items():
        if is_concrete(value) and not value > 0:
            raise ValueError(f"`{name}` must be positive, but it is {value}.")
    parts, input_result = prepare_system(system, u)
    starts, start_result = prepare_starts(parts, starts)
    time = frozen_time(parts, t)
    search = _Search(
        slow_rate=jnp.asarray(slow_rate, float),
        max_speed=jnp.asarray(max_speed, float),
        separation=jnp.asarray(separation, float),
        max_steps=max_steps,
    )
    return search(parts, starts, time, worst(input_result, start_result))


class _Descent(NamedTuple):
    """Where a search is, and how much it is damped."""

    x: Vector
    value: Vector
    matrix: Float[Array, "n n"]
    damping: Float[Array, ""]
    steps: Int[Array, ""]


class _Search(eqx.Module):
    """The settings of a search, compiled once for all values of its arrays."""

    slow_rate: Float[Array, ""]
    max_speed: Float[Array, ""]
    separation: Float[Array, ""]
    max_steps: int = eqx.field(static=True)

    @eqx.filter_jit
    def __call__(
        self, parts: Parts, starts: State, t: Real[Array, ""], before: RESULTS
    ) -> SlowPoints:
        _, unravel = ravel_pytree(jax.tree.map(lambda x: x[0], starts))
        field = flat_field(flow_field(parts, t), unravel)
        vectors = jax.lax.stop_gradient(jax.vmap(lambda y: ravel_pytree(y)[0])(starts))
        descents, at_rest = jax.vmap(lambda x: self._descend(field, x))(vectors)
        x = descents.x
        speed = jnp.linalg.norm(jax.vmap(field)(x), axis=1)
        good = before == SUCCESS
        valid = at_rest & (speed <= self.max_speed) & good

        kind = lambda values: classify(values, tolerance=self.slow_rate)
        jacobian = jax.vmap(jax.jacfwd(field))(x)
        eigenvalues = jax.vmap(_small_linear.eigenvalues)(jacobian)
        y, speed, jacobian, eigenvalues = nan_unless(
            good, (jax.vmap(unravel)(x), speed, jacobian, eigenvalues)
        )
        return SlowPoints(
            y=y,
            speed=speed,
            valid=valid,
            distinct=self._distinct(x, valid),
            jacobian=jacobian,
            eigenvalues=eigenvalues,
            stability=jax.vmap(kind)(eigenvalues),
            steps=descents.steps,
            result=worst(before, result_if(~jnp.any(valid), RESULTS.no_slow_point)),
        )

    def _distinct(
        self, x: Float[Array, "starts n"], valid: Bool[Array, " starts"]
    ) -> Bool[Array, " starts"]:
        """The valid rows that are not near an earlier one of the distinct rows."""
        near = jnp.linalg.norm(x[:, None] - x[None], axis=-1) <= self.separation

        def choose(distinct, row):
            chosen = valid[row] & ~jnp.any(near[row] & distinct)
            return distinct.at[row].set(chosen), None

        return jax.lax.scan(choose, jnp.zeros_like(valid), jnp.arange(len(x)))[0]

    def _descend(self, field: Equations, start: Vector) -> tuple[_Descent, Bool[Array, ""]]:
        """Levenberg and Marquardt's method, damped by no less than the slow rate."""
        least, eye = self.slow_rate**2, jnp.eye(start.size)

        def look(x: Vector) -> tuple[Vector, Float[Array, "n n"]]:
            return jax.lax.stop_gradient((field(x), jax.jacfwd(field)(x)))

        def advance(state: _Descent) -> _Descent:
            value, matrix = state.value, state.matrix
            normal = matrix.T @ matrix + state.damping * eye
            x = state.x - _small_linear.solve(normal, matrix.T @ value)
            new_value, new_matrix = look(x)
            better = jnp.vdot(new_value, new_value) <= jnp.vdot(value, value)
            calmer = jnp.maximum(state.damping / 4, least)
            return _Descent(
                x=jnp.where(better, x, state.x),
                value=jnp.where(better, new_value, value),
                matrix=jnp.where(better, new_matrix, matrix),
                damping=jnp.where(better, calmer, state.damping * 8),
                steps=state.steps + 1,
            )

        def is_at_rest(state: _Descent):
            speed = jnp.linalg.norm(state.value)
            gradient = jnp.linalg.norm(state.matrix.T @ state.value)
            is_fixed = speed <= default_tolerance() * self.max_speed
            return is_fixed | (gradient <= self.slow_rate / 10 * speed)

        def goes_on(state: _Descent):
            # What is not finite is not at rest, and never becomes better.
            finite = jnp.all(jnp.isfinite(state.value))
            return ~is_at_rest(state) & finite & (state.steps < self.max_steps)

        start_state = _Descent(start, *look(start), least, jnp.asarray(0))
        end = jax.lax.while_loop(goes_on, advance, start_state)
        return end, is_at_rest(end)
