"""The verb that finds the parameters with which a system does what it should."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Float, Int, PyTree

from ._family import as_count
from ._fit_problem import AbstractFitMethod, FitProblem, prepare_problem
from ._least_squares import AllAtOnce
from ._result import RESULTS, SUCCESS, worst
from ._selection import Where
from ._system import AbstractSystem
from ._types import InputValue, Key, RealScalarLike
from .objectives import AbstractObjective


class Trials(eqx.Module):
    """All searches of a fit, along a leading axis, start by start.

    **Attributes:**

    - `parameters`: what `where` selects, at the end.
    - `unknowns`: of the objective, such as an orbit.
    - `loss`: half the sum of the squares of all misfits, at the end.
    - `history`: the loss at the start and after each step; NaN after the end.
    - `steps`: how many were taken.
    - `result`: success, or why not.
    """

    parameters: PyTree
    unknowns: PyTree
    loss: Float[Array, " starts"]
    history: Float[Array, "starts steps"]
    steps: Int[Array, " starts"]
    result: RESULTS


class Fit(eqx.Module):
    """The best of the searches, and all of them.

    **Attributes:**

    - `system`: with the parameters that were found.
    - `unknowns`, `loss`, `history`, `steps`, `result`: as of [`jaxnet.Trials`][].
    - `best`: which of the starts it came from.
    - `trials`: all searches.
    """

    # Of the type that was given, which is not known here.
    system: Any
    unknowns: PyTree
    loss: Float[Array, ""]
    history: Float[Array, " steps"]
    steps: Int[Array, ""]
    result: RESULTS
    best: Int[Array, ""]
    trials: Trials


def fit(
    system: AbstractSystem,
    objective: AbstractObjective,
    *,
    where: Where,
    constraints: PyTree = None,
    method: AbstractFitMethod | None = None,
    u: InputValue = None,
    starts: PyTree | int | None = None,
    spread: RealScalarLike = 1.0,
    tolerance: RealScalarLike | None = None,
    key: Key | None = None,
    progress: diffrax.AbstractProgressMeter | None = None,
) -> Fit:
    """Find the parameters with which a system does what it should.

    **Arguments:**

    - `system`: the system, with the parameters of the first start.
    - `objective`: what it should do, one of `jaxnet.objectives`.
    - `where`: selects what is fitted: arrays, tuples of them, or whole modules.
    - `constraints`: one of `jaxnet.constraints` for all that is selected, or a tree of them
        in the structure of what `where` selects. None stands for what the model declares:
        positive parameters stay positive, others are free, in units of their size.
    - `method`: [`jaxnet.AllAtOnce`][] by default, [`jaxnet.LeastSquares`][] or
        [`jaxnet.Descent`][].
    - `u`: the input.
    - `starts`: values along a leading axis in the structure of what `where` selects; or how
        many, at random around the system's own values, which are the first; or None, for
        these alone. All run together, by `jax.vmap`.
    - `spread`: the standard deviation of random starts in the free numbers of the
        constraints: around a positive parameter 1 is a factor of e, around a free one it is
        its `unit`.
    - `tolerance`: how small each misfit must be. By default the square root of the dtype's
        resolution, 1.5e-8 in float64.
    - `key`: for random starts, and for what is random in a simulation.
    - `progress`: a progress meter, such as `diffrax.TqdmProgressMeter(refresh_steps=1)`
        (extra `progress`); it shows the steps of the slowest start.

    **Returns:** [`jaxnet.Fit`][]. What fails does not raise: see `result`, and `trials` for
    each start. Where a misfit is not finite the last good parameters come back.

    **Raises:** `ValueError` for a selection, a constraint, or an objective that does not
    suit the system, and for a method that does not suit the objective.

    ```pycon
    >>> import jaxnet as jn
    >>> population = jn.models.RatePopulation(w=2.0)
    >>> rest = jn.objectives.FixedPointAt(0.4)
    >>> fit = jn.fit(population, rest, where=lambda s: s.w, u=1.0)
    >>> points = jn.fixed_points(fit.system, [0.4], u=1.0)
    >>> round(float(points.y[0]), 2)
    0.4
    ```
    """
    method = AllAtOnce() if method is None else method
    if not isinstance(method, AbstractFitMethod):
        raise ValueError(
            "`method` must be `AllAtOnce()`, `LeastSquares()` or `Descent(optimiser)`, not "
            f"{method!r}. A solver of optimistix or an optimiser of optax goes into these."
        )
    meter = diffrax.NoProgressMeter() if progress is None else progress
    problem, before = prepare_problem(
        system, objective, where, constraints, u, tolerance, meter
    )
    problem = method.prepare(problem)
    free, start_key = _starts(problem, where, starts, spread, key)
    found = _search(problem, method, free, start_key, before)
    # Not within what is compiled, which would be compiled anew for each new function.
    chosen = where(found.trials.parameters)
    return eqx.tree_at(lambda f: f.trials.parameters, found, chosen)


def _starts(
    problem: FitProblem,
    where: Where,
    starts: PyTree | int | None,
    spread: RealScalarLike,
    key: Key | None,
) -> tuple[Float[Array, "starts free"], Key | None]:
    """The free numbers of all starts, and the key that is left."""
    own = problem.own
    if starts is None:
        return own[None], key
    if isinstance(starts, int):
        if key is None:
            raise ValueError("`starts` at random need a `key`: `jax.random.key(seed)`.")
        key, start_key = jax.random.split(key)
        moves = jax.random.normal(start_key, (as_count(starts, "starts"), own.size))
        return own + spread * moves.at[0].set(0.0), key
    return jax.vmap(problem.free_of)(problem.rows_of(where, starts)), key


@eqx.filter_jit
def _search(
    problem: FitProblem,
    method: AbstractFitMethod,
    starts: Float[Array, "starts free"],
    key: Key | None,
    before: RESULTS,
) -> Fit:
    """The fit, with whole systems for the parameters of its trials."""
    trials = jax.vmap(lambda start: method.search(problem, start, key))(starts)
    results = jax.vmap(problem.verdict)(trials, starts)
    results = jax.vmap(lambda result: worst(before, result))(results)
    loss = jnp.where(jnp.isfinite(trials.loss), trials.loss, jnp.inf)
    # First those that succeeded, then those with the least loss.
    order = jnp.lexsort((loss, results != SUCCESS))
    best = order[0]
    one = lambda tree: jtu.tree_map(lambda x: x[best], tree)
    return Fit(
        system=problem.fitted(trials.free[best]),
        unknowns=one(trials.unknowns),
        loss=trials.loss[best],
        history=trials.history[best],
        steps=trials.steps[best],
        result=one(results),
        best=best,
        trials=Trials(
            parameters=eqx.filter_vmap(problem.fitted)(trials.free),
            unknowns=trials.unknowns,
            loss=trials.loss,
            history=trials.history,
            steps=trials.steps,
            result=results,
        ),
    )
