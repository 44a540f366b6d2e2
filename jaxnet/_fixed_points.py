"""Fixed points: Newton's method from many starts, each root once, differentiable."""

from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Complex, Float, Int

from . import _small_linear
from ._linearise import classify, flat_field, flow_field, frozen_time, Stability
from ._newton import implicit_root, Vector
from ._prepare import prepare_starts, prepare_system
from ._result import is_concrete, result_if, RESULTS, worst
from ._system import AbstractSystem, Parts
from ._tree import float_dtype, nan_unless
from ._types import InputValue, RealScalarLike, State


_TOLERANCE = {"float64": 6e-8, "float32": 1e-4}
_SEPARATION = {"float64": 1e-6, "float32": 3e-3}

Field: TypeAlias = Callable[[Vector], Vector]


class FixedPoints(eqx.Module):
    """The fixed points that were found, in rows of which some may be padding.

    **Attributes:**

    - `y`: the states; a leading axis of `max_points`. They are in rising order of the
        first state variable. Rows that are not `valid` repeat the first valid one, or
        hold the first start where there is none: their other attributes mean nothing.
    - `valid`: which rows hold a fixed point. Mask by it before you reduce.
    - `residual`: the largest absolute entry of the vector field there (per ms).
    - `eigenvalues`: of the Jacobian there (1/ms), by falling real part.
    - `stability`: the kind of each; a real part below the `separation` of the search
        counts as zero (1/ms).
    - `count`: how many were found, also those that found no room.
    - `overflow`: whether there were more than `max_points`.
    - `result`: success, or why not.
    """

    y: State
    valid: Bool[Array, " max_points"]
    residual: Float[Array, " max_points"]
    eigenvalues: Complex[Array, "max_points n"]
    stability: Stability
    count: Int[Array, ""]
    overflow: Bool[Array, ""]
    result: RESULTS


def lattice(low, high, points: int) -> Float[Array, "starts ..."]:
    """Starts on a regular lattice: `points` along each state variable.

    **Arguments:**

    - `low`, `high`: the corners, one number for each state variable; two numbers for a
        state of shape ``()``.
    - `points`: along each state variable.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.lattice((0, 0), (1, 2), 3).shape
    (9, 2)
    ```
    """
    if np.shape(low) != np.shape(high):
        raise ValueError(
            f"`low` and `high` must have one shape, but theirs are {np.shape(low)} and "
            f"{np.shape(high)}."
        )
    if np.ndim(low) == 0:
        return jnp.linspace(low, high, points, dtype=float)
    axes = [jnp.linspace(a, b, points, dtype=float) for a, b in zip(low, high, strict=True)]
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def fixed_points(
    system: AbstractSystem,
    starts: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    max_points: int = 8,
    max_steps: int = 64,
    tolerance: RealScalarLike | None = None,
    separation: RealScalarLike | None = None,
) -> FixedPoints:
    r"""Find the fixed points of the flow, by Newton's method from every start.

    Newton's method is undamped: it does not stall near a fold, where a damped one takes
    the small vector field for a fixed point. A root counts where both the vector field
    and the Newton correction $J^{-1} f$ are small. The correction tells a root from the
    ghost of a fold: there J vanishes faster than f.

    **Arguments:**

    - `system`: the system; of a noisy one, the flow.
    - `starts`: states along a leading axis, such as a lattice over the state space.
        Starts that are not finite are passed over.
    - `u`: the input.
    - `t`: the time (ms) at which an input that varies is frozen.
    - `max_points`: the number of rows of the answer.
    - `max_steps`: Newton steps from each start.
    - `tolerance`: a root counts if the correction and the vector field are below
        ``tolerance * (1 + abs(y))`` in every entry. By default 6e-8 in float64 and 1e-4
        in float32; after that one more step has been taken.
        The 1 is in the units of the state: rescale states that are much smaller.
    - `separation`: roots nearer than ``separation * (1 + abs(y))`` in every entry are
        one. By default 1e-6 in float64 and 3e-3 in float32.

    **Returns:** [`jaxnet.FixedPoints`][]. `y` and `eigenvalues` are differentiable in
    forward and reverse mode by the implicit function theorem, `y` to any order. A search
    that finds nothing does not raise: read `count` and `result`.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> population = jn.models.RatePopulation(w=5.0)
    >>> points = jn.fixed_points(population, jnp.linspace(0, 1, 17), u=0.5)
    >>> points.stability.stable[points.valid].tolist()
    [True, False, True]
    ```
    """
    search = prepare_search(max_points, max_steps, tolerance, separation)
    parts, input_result = prepare_system(system, u)
    starts, start_result = prepare_starts(parts, starts)
    time = frozen_time(parts, t)
    return search(parts, starts, time, worst(input_result, start_result))


def prepare_search(
    max_points: int,
    max_steps: int,
    tolerance: RealScalarLike | None = None,
    separation: RealScalarLike | None = None,
) -> "Search":
    if max_points < 1:
        raise ValueError(f"`max_points` must be at least 1, but it is {max_points}.")
    if max_steps < 1:
        raise ValueError(f"`max_steps` must be at least 1, but it is {max_steps}.")
    dtype = float_dtype().name
    tolerance = _TOLERANCE[dtype] if tolerance is None else tolerance
    separation = _SEPARATION[dtype] if separation is None else separation
    for name, value in (("tolerance", tolerance), ("separation", separation)):
        if is_concrete(value) and not value > 0:
            raise ValueError(f"`{name}` must be positive, but it is {value}.")
    return Search(
        tolerance=jnp.asarray(tolerance, float),
        separation=jnp.asarray(separation, float),
        max_points=max_points,
        max_steps=max_steps,
    )


class Search(eqx.Module):
    """The settings of a search, compiled once for all values of its arrays."""

    tolerance: Float[Array, ""]
    separation: Float[Array, ""]
    max_points: int = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)

    @eqx.filter_jit
    def __call__(
        self, parts: Parts, starts: State, t: Float[Array, ""], input_result: RESULTS
    ) -> FixedPoints:
        first = jtu.tree_map(lambda x: x[0], starts)
        _, unravel = ravel_pytree(first)
        field = flat_field(flow_field(parts, t), unravel)
        vectors = _stop_gradient(jax.vmap(lambda y: ravel_pytree(y)[0])(starts))

        found, converged = self._newton(field, vectors)
        rows, valid, count = self._distinct(found, converged, vectors)
        good = input_result == RESULTS.successful
        valid, count = valid & good, jnp.where(good, count, 0)

        x = jax.vmap(lambda x, ok: implicit_root(field, x, ok))(rows, valid)
        spectrum = jax.vmap(lambda x: _small_linear.eigenvalues(jax.jacfwd(field)(x)))(x)
        overflow = count > self.max_points
        search_result = worst(
            result_if(count == 0, RESULTS.no_fixed_point),
            result_if(overflow, RESULTS.too_many_fixed_points),
        )
        y, residual, spectrum = nan_unless(
            good, (jax.vmap(unravel)(x), _size(jax.vmap(field)(x)), spectrum)
        )
        return FixedPoints(
            y=y,
            valid=valid,
            residual=residual,
            eigenvalues=spectrum,
            # The root of a fold is known no better than this, nor is its eigenvalue.
            stability=jax.vmap(lambda v: classify(v, tolerance=self.separation))(spectrum),
            count=count,
            overflow=overflow,
            result=worst(input_result, search_result),
        )

    def _newton(
        self, field: Field, starts: Float[Array, "starts n"]
    ) -> tuple[Float[Array, "starts n"], Bool[Array, " starts"]]:
        """Where Newton's method ends from each start, and whether that is a root.

        The starts go in step, until all have ended: under `jax.vmap` one counter for
        all of them is cheaper than one each.
        """
        value_and_jacobian = jax.jacfwd(lambda x: (field(x),) * 2, has_aux=True)

        def look(x: Vector):
            """The vector field, the correction, and whether either is large.

            NaN is not large: what has become NaN has ended, as no root.
            """
            # Here, and not at the parameters: a function of the user may hold some too.
            matrix, value = _stop_gradient(value_and_jacobian(x))
            correction = _small_linear.solve(matrix, value)
            bound = self.tolerance * (1 + jnp.abs(x))
            large = (jnp.abs(value) > bound) | (jnp.abs(correction) > bound)
            return value, correction, jnp.any(large)

        def advance_one(x, ended):
            _, correction, is_large = look(x)
            ended = ended | ~is_large
            return jnp.where(ended, x, x - correction), ended

        def advance(state):
            x, ended, step = state
            return *jax.vmap(advance_one)(x, ended), step + 1

        def is_running(state):
            _, ended, step = state
            return jnp.any(~ended) & (step < self.max_steps)

        def polish(x):
            value, correction, is_large = look(x)
            # On a double root the correction is 0 / 0, and a root it is.
            at_rest = jnp.all(value == 0)
            correction = jnp.where(at_rest, 0.0, correction)
            is_root = jnp.all(jnp.isfinite(x - correction)) & (at_rest | ~is_large)
            return x - correction, is_root

        state = (starts, jnp.zeros(len(starts), bool), 0)
        found, _, _ = jax.lax.while_loop(is_running, advance, state)
        return jax.vmap(polish)(found)

    def _distinct(
        self,
        found: Float[Array, "starts n"],
        converged: Bool[Array, " starts"],
        starts: Float[Array, "starts n"],
    ) -> tuple[Float[Array, "rows n"], Bool[Array, " rows"], Int[Array, ""]]:
        """Each root once, in rising order of its first entry.

        Comparing all pairs needs no sort and no scatter, which are slow in batches.
        """
        n_starts = len(found)
        earlier = jnp.tri(n_starts, k=-1, dtype=bool)
        gap = jnp.abs(found[:, None] - found[None])
        near = jnp.all(gap <= self.separation * (1 + jnp.abs(found))[:, None], axis=-1)
        again = jnp.any(near & earlier & converged[None], axis=1)
        distinct = converged & ~again

        key = found[:, 0]
        tied = key[None] == key[:, None]
        before = distinct[None] & ((key[None] < key[:, None]) | (tied & earlier))
        no_row = max(n_starts, self.max_points)
        place = jnp.where(distinct, jnp.sum(before, axis=1), no_row)
        chosen = place[None] == jnp.arange(self.max_points)[:, None]
        rows = jnp.sum(jnp.where(chosen[..., None], found[None], 0.0), axis=1)
        valid = jnp.any(chosen, axis=1)

        # Padding is finite, and where possible a root, so that derivatives are too.
        finite_start = jnp.where(jnp.isfinite(starts[0]), starts[0], 0.0)
        padding = jnp.where(valid[0], rows[0], finite_start)
        rows = jnp.where(valid[:, None], rows, padding)
        return rows, valid, jnp.sum(distinct)


def _size(vectors: Float[Array, "rows n"]) -> Float[Array, " rows"]:
    return jnp.max(jnp.abs(vectors), axis=-1)


def _stop_gradient(tree):
    return jtu.tree_map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, tree)
