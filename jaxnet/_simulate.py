"""The verb that advances a system in time."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

from ._adaptive import Adaptive
from ._method import AbstractMethod, Problem
from ._prepare import prepare_state, prepare_system
from ._result import (
    is_concrete,
    raise_if_failed,
    result_if,
    RESULTS,
    SUCCESS,
    worst,
)
from ._solution import Solution
from ._system import AbstractSystem
from ._tree import check_no_nan, nan_unless, replace_unless
from ._types import InputValue, Key, RealScalarLike, State


def simulate(
    system: AbstractSystem,
    y0: State,
    *,
    t0: RealScalarLike = 0.0,
    t1: RealScalarLike,
    u: InputValue = None,
    method: AbstractMethod | None = None,
    save: diffrax.SaveAt | None = None,
    key: Key | None = None,
    throw: bool = True,
) -> Solution:
    """Advance a system from `t0` to `t1`.

    **Arguments:**

    - `system`: the system.
    - `y0`: the state at `t0`, in the shape that the system documents.
    - `t0`, `t1`: (ms).
    - `u`: the input, a constant or a function of time: sugar for ``Driven(system, u)``. A
        function must be pure: it is compiled once. One that jumps belongs into
        `jaxnet.inputs`, since an adaptive solver may step over it.
    - `method`: `Adaptive()` by default, or `Grid(dt)`.
    - `save`: what to save, a `jaxnet.SaveAt`; each method says what it saves by default.
        A function ``fn(t, y, args)`` in it is called with ``args=None``.
    - `key`: for noise; needed where something is random.
    - `throw`: whether a failure raises its remedy. Inside `jax.jit` and `jax.vmap` none
        can be raised, and the code is in `result`.

    **Returns:** a [`jaxnet.Solution`][]. Where a traced parameter or state was bad, `ys`
    is NaN and `result` says why; under `jax.vmap` the other elements are right.

    **Raises:** `ValueError` for a bad argument that can be seen before the run,
    `RuntimeError` with the remedy for a failure of the run.

    ```pycon
    >>> import jaxnet as jn
    >>> population = jn.models.RatePopulation(w=5.0)
    >>> solution = jn.simulate(population, 0.2, t1=20.0, u=0.5, method=jn.Grid(0.1))
    >>> round(float(solution.ys[-1]), 4)
    0.0415
    ```
    """
    method = Adaptive() if method is None else method
    _check_kinds(method, save, key)
    parts, system_result = prepare_system(system, u)
    y0, state_result = prepare_state(parts, y0, "y0")
    time_result = _check_times(t0, t1)
    # Where a traced time is bad, any short run will do.
    if not is_concrete(t1):
        t1 = replace_unless(
            time_result == SUCCESS, t1, t0 + 1.0 if is_concrete(t0) else 1.0
        )
    if not is_concrete(t0):
        t0 = replace_unless(time_result == SUCCESS, t0, t1 - 1.0)
    input_result = worst(system_result, state_result, time_result)
    good = jnp.asarray(True) if input_result is SUCCESS else input_result == SUCCESS
    solution = method.solve(Problem(parts, y0, t0, t1, save, key, good))
    if not is_concrete(good):
        solution = eqx.tree_at(
            lambda s: (s.ys, s.result),
            solution,
            (nan_unless(good, solution.ys), worst(input_result, solution.result)),
        )
    if throw:
        raise_if_failed(solution.result, _where_it_diverged(solution))
    return solution


def _where_it_diverged(solution: Solution) -> str:
    at, unit = (solution.stats.get(f"diverged_{key}") for key in ("at", "unit"))
    if at is None or not is_concrete(at) or jnp.ndim(at) or jnp.isnan(at):
        return ""
    return f" It was unit {unit}, at {at:.6g} ms."


def _check_kinds(method: object, save: object, key: Key | None) -> None:
    if not isinstance(method, AbstractMethod):
        raise ValueError(
            f"`method` must be `Adaptive(...)` or `Grid(dt)`, but it is {method}. A solver "
            "of diffrax goes into one of them: `Adaptive(solver=diffrax.Tsit5())`."
        )
    if not (save is None or isinstance(save, diffrax.SaveAt)):
        raise ValueError(
            f"`save` must be a `jaxnet.SaveAt`, but it is {save}. Every tenth step is "
            "`SaveAt(t0=True, steps=10)`."
        )
    if key is None:
        return
    is_typed = jnp.issubdtype(jnp.result_type(key), jax.dtypes.prng_key)
    if not is_typed or jnp.ndim(key) != 0:
        raise ValueError(
            "`key` must be one key, `jax.random.key(seed)`. For many runs split it and use "
            "`jax.vmap`."
        )


def _check_times(t0: RealScalarLike, t1: RealScalarLike) -> RESULTS:
    for name, value in (("t0", t0), ("t1", t1)):
        if jnp.ndim(value) != 0:
            raise ValueError(
                f"`{name}` must be one number, but its shape is {jnp.shape(value)}. For "
                "many times use `save`, for many runs `jax.vmap`."
            )
    not_nan = check_no_nan(t0, "t0", finite=True) & check_no_nan(t1, "t1", finite=True)
    passes = jnp.asarray(t1) > jnp.asarray(t0)
    if is_concrete(passes) and not passes:
        raise ValueError(
            f"`t1` must be after `t0`, but t0 = {t0} and t1 = {t1}. Integrate forward "
            "in time."
        )
    return worst(
        result_if(~not_nan, RESULTS.nan_input),
        result_if(~passes, RESULTS.no_time_passes),
    )
