"""What divides a phase plane: the separatrices of a saddle, and basins of attraction."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Real

from . import _small_linear
from ._fixed_points import FixedPoints
from ._grid import Grid
from ._linearise import flat_field, flow_field, frozen_time
from ._method import AbstractMethod
from ._prepare import prepare_starts, prepare_state, prepare_system
from ._result import is_concrete, result_if, RESULTS, SUCCESS, worst
from ._simulate import simulate
from ._system import AbstractSystem, Parts
from ._tree import nan_unless, same_shapes
from ._types import InputValue, RealScalarLike, State


# Where a separatrix starts, as a part of its length, and the speed at which a flow is
# slowed down, as a part of the length times the rate of the saddle.
_START, _SLOW = 1e-3, 1e-3


class Separatrices(eqx.Module):
    """The curves that enter and leave a saddle of a plane, as points at even distances.

    **Attributes:**

    - `stable`: the two curves along which the flow enters the saddle: the boundaries
        between basins. Leading axes of 2 and of the points, outward from the saddle.
    - `unstable`: the two curves along which it leaves.
    - `result`: success, or why not; then all is NaN.
    """

    stable: State
    unstable: State
    result: RESULTS


class _Unhurried(AbstractSystem):
    """A flow at a speed that is nearly the same everywhere, but zero at fixed points."""

    parts: Parts
    t: Real[Array, ""]
    speed: Float[Array, ""]
    slow: Float[Array, ""]

    def vector_field(self, t, y, u):
        rate = flow_field(self.parts, self.t)(y)
        size = jnp.linalg.norm(ravel_pytree(rate)[0])
        return jtu.tree_map(lambda r: r * self.speed / (self.slow + size), rate)


def separatrices(
    system: AbstractSystem,
    saddle: State,
    *,
    length: RealScalarLike,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    points: int = 400,
) -> Separatrices:
    """The stable and the unstable manifold of a saddle of a plane.

    From close to the saddle the flow is followed along the eigenvectors, forward in time
    for the unstable manifold and backward for the stable one. It is followed at a speed
    that is nearly the same everywhere, so that what escapes to infinity backward in time
    does so slowly, and what ends on a fixed point stays there.

    **Arguments:**

    - `system`: with two state variables; of a noisy one, the flow.
    - `saddle`: a fixed point with one positive and one negative eigenvalue.
    - `length`: of each of the four curves, in units of the state.
    - `u`, `t`: the input, and the time at which one that varies is frozen.
    - `points`: of each curve.

    **Returns:** [`jaxnet.Separatrices`][]; `RESULTS.no_saddle` where it is none. Exact but
    for the steps of a Runge-Kutta method of order 5 and the start, which is off by the
    square of a thousandth of `length`.

    ```pycon
    >>> import jaxnet as jn
    >>> points = jn.fixed_points(
    ...     jn.models.WilsonCowan(), jn.lattice((0, 0), (1, 1), 5)
    ... )
    >>> curves = jn.separatrices(jn.models.WilsonCowan(), points.y[1], length=0.5)
    >>> curves.stable.shape
    (2, 400, 2)
    ```
    """
    if points < 2:
        raise ValueError(f"`points` must be at least 2, but it is {points}.")
    if is_concrete(length) and not length > 0:
        raise ValueError(f"`length` must be positive, but it is {length}.")
    parts, system_result = prepare_system(system, u)
    saddle, state_result = prepare_state(parts, saddle, "saddle")
    size = ravel_pytree(saddle)[0].size
    if size != 2:
        raise ValueError(
            f"`saddle` must have two state variables, but it has {size}: curves divide "
            "planes alone."
        )
    before = worst(system_result, state_result)
    time, length = frozen_time(parts, t), jnp.asarray(length, float)
    return _separatrices(parts, saddle, time, length, points, before)


@eqx.filter_jit
def _separatrices(
    parts: Parts,
    saddle: State,
    t: Real[Array, ""],
    length: Float[Array, ""],
    points: int,
    before: RESULTS,
) -> Separatrices:
    x, unravel = ravel_pytree(saddle)
    field = flat_field(flow_field(parts, t), unravel)
    matrix = jax.jacfwd(field)(x)
    rates = _small_linear.eigenvalues(matrix).real
    correction = _small_linear.solve(matrix, field(x))
    is_fixed = jnp.all(jnp.abs(correction) <= _START * length)
    is_saddle = is_fixed & (rates[0] > 0) & (rates[1] < 0)
    result = worst(before, result_if(~is_saddle, RESULTS.no_saddle))

    def manifold(rate, sign):
        # The row of J - rate that is farther from zero is across the eigenvector.
        rows = matrix - rate * jnp.eye(2)
        row = rows[jnp.argmax(jnp.linalg.norm(rows, axis=1))]
        direction = jnp.stack([-row[1], row[0]]) / jnp.linalg.norm(row)
        offset = _START * length * direction
        speed = sign * length / (points - 1)
        flow = _Unhurried(parts, t, speed, _SLOW * length * jnp.abs(rate))

        def one(start):
            method = Grid(1.0, diffrax.Tsit5())
            run = simulate(
                flow, unravel(start), t1=points - 1.0, method=method, throw=False
            )
            return run.ys

        return jax.vmap(one)(jnp.stack([x - offset, x + offset]))

    stable, unstable = nan_unless(
        result == SUCCESS, (manifold(rates[1], -1.0), manifold(rates[0], 1.0))
    )
    return Separatrices(stable, unstable, result)


def basins(
    system: AbstractSystem,
    starts: State,
    attractors: FixedPoints,
    *,
    t1: RealScalarLike,
    u: InputValue = None,
    method: AbstractMethod | None = None,
    tolerance: RealScalarLike = 0.01,
) -> Int[Array, " starts"]:
    """Which stable fixed point each start leads to, by simulation.

    **Arguments:**

    - `system`: the system.
    - `starts`: states along a leading axis, such as a [`jaxnet.lattice`][].
    - `attractors`: from [`jaxnet.fixed_points`][]; those that are not stable are passed
        over.
    - `t1`: for how long each start is simulated (ms).
    - `u`: the input.
    - `method`: as for [`jaxnet.simulate`][]. The steps of a low order move the boundaries:
        for a `Grid` take `diffrax.Tsit5()`.
    - `tolerance`: a run has arrived if it is nearer than this to the fixed point, in every
        entry, in units of the state.

    **Returns:** for each start the row of its fixed point in `attractors`; -1 where the run
    has not arrived: at another attractor, or not yet.

    ```pycon
    >>> import diffrax
    >>> import jaxnet as jn
    >>> model, starts = jn.models.WilsonCowan(), jn.lattice((0, 0), (1, 1), 5)
    >>> points = jn.fixed_points(model, starts)
    >>> method = jn.Grid(0.1, diffrax.Tsit5())
    >>> arrived = jn.basins(model, starts, points, t1=50.0, method=method)
    >>> sorted(set(arrived.tolist()))
    [0, 2]
    ```
    """
    if is_concrete(tolerance) and not tolerance > 0:
        raise ValueError(f"`tolerance` must be positive, but it is {tolerance}.")
    parts, _ = prepare_system(system, u)
    starts, _ = prepare_starts(parts, starts)
    if not same_shapes(*(jtu.tree_map(lambda x: x[0], y) for y in (starts, attractors.y))):
        raise ValueError(
            "`attractors` must be the fixed points of this system, but a state of them has "
            f"another shape than a start: {jtu.tree_map(jnp.shape, attractors.y)} and "
            f"{jtu.tree_map(jnp.shape, starts)}, with the leading axes."
        )

    def run(start):
        save = diffrax.SaveAt(t1=True)
        return simulate(system, start, t1=t1, u=u, method=method, save=save, throw=False).ys

    ends = jax.vmap(run)(starts)
    flat = jax.vmap(lambda y: ravel_pytree(y)[0])
    gap = flat(ends)[:, None] - flat(attractors.y)[None]
    near = jnp.all(jnp.abs(gap) <= tolerance, axis=-1)
    near = near & (attractors.valid & attractors.stability.stable)
    return jnp.where(jnp.any(near, axis=1), jnp.argmax(near, axis=1), -1)
