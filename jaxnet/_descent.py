"""Fits by descent along a gradient, exact or estimated, by optax."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ._fit_problem import AbstractFitMethod, FitProblem, Trial
from ._newton import Vector
from ._result import RESULTS, SUCCESS
from .gradients import AbstractEstimator, exact_estimator


class Descent(AbstractFitMethod):
    """Descent along a gradient, by any optimiser of optax.

    What comes back is the best of all steps, by its measured loss.

    **Arguments:**

    - `optimiser`: of optax: with its schedule, clipping and so on.
    - `estimator`: one of `jaxnet.gradients`. By default the exact gradient.
    - `max_steps`: how many are taken; fewer if the objective is met.

    ```pycon
    >>> import jaxnet as jn
    >>> import optax
    >>> rest = jn.objectives.FixedPointAt(0.4)
    >>> fit = jn.fit(
    ...     jn.models.RatePopulation(w=1.5),
    ...     rest,
    ...     where=lambda s: s.w,
    ...     u=1.0,
    ...     method=jn.Descent(optax.adam(0.1), max_steps=500),
    ...     tolerance=1e-4,
    ... )
    >>> bool(fit.loss < 1e-8)
    True
    ```
    """

    optimiser: Any = eqx.field(static=True)
    estimator: AbstractEstimator | None = None
    max_steps: int = eqx.field(static=True, default=1000)

    def __check_init__(self):
        # Optax takes long to import, and few programs fit.
        import optax

        if not isinstance(self.optimiser, optax.GradientTransformation):
            raise ValueError(
                "`optimiser` must be one of optax, such as `optax.adam(0.01)`, but it is "
                f"{self.optimiser!r}."
            )

    def prepare(self, problem):
        estimator = self._estimator(problem)
        objective = estimator.prepare(problem.objective, problem.start_system())
        return eqx.tree_at(lambda p: p.objective, problem, objective)

    def search(self, problem, start, key):
        estimator = self._estimator(problem)
        import optax

        optimiser = optax.with_extra_args_support(self.optimiser)

        def advance(state: _State) -> _State:
            step_key = None if key is None else jax.random.fold_in(key, state.steps)
            misfit, gradient = estimator(problem.misfit, state.free, step_key)
            loss = jnp.sum(misfit**2) / 2
            better = loss < state.best_loss
            move, inner = optimiser.update(
                gradient,
                state.inner,
                state.free,
                value=loss,
                grad=gradient,
                value_fn=lambda z: jnp.sum(problem.misfit(z, step_key) ** 2) / 2,
            )
            finite = jnp.isfinite(loss) & jnp.all(jnp.isfinite(gradient))
            met = jnp.all(jnp.abs(misfit) <= problem.tolerance)
            return _State(
                free=state.free + jnp.where(finite & ~met, jnp.asarray(move), 0.0),
                inner=inner,
                best=jnp.where(better, state.free, state.best),
                best_loss=jnp.where(better, loss, state.best_loss),
                history=state.history.at[state.steps].set(loss),
                steps=state.steps + 1,
                met=met,
                finite=finite,
                meter=problem.progress.step(state.meter, state.steps / self.max_steps),
            )

        yes, no = jnp.asarray(True), jnp.asarray(False)
        state = _State(
            free=start,
            inner=optimiser.init(start),
            best=start,
            best_loss=jnp.asarray(jnp.inf, start.dtype),
            history=jnp.full(self.max_steps + 1, jnp.nan, start.dtype),
            steps=jnp.asarray(0),
            met=no,
            finite=yes,
            meter=problem.progress.init(),
        )
        goes_on = lambda s: ~s.met & s.finite & (s.steps <= self.max_steps)
        end = jax.lax.while_loop(goes_on, advance, state)
        problem.progress.close(end.meter)
        result = RESULTS.where(end.finite, RESULTS.fit_unfinished, RESULTS.nonfinite_misfit)
        result = RESULTS.where(end.met, SUCCESS, result)
        unknowns = problem.solve_unknowns(end.best)
        # The first step looks at the start alone.
        return Trial(end.best, unknowns, end.best_loss, end.history, end.steps - 1, result)

    def _estimator(self, problem: FitProblem) -> AbstractEstimator:
        if self.estimator is not None:
            return self.estimator
        return exact_estimator(problem.objective)


class _State(eqx.Module):
    """Between two steps of an optimiser, whose own state is `inner`."""

    free: Vector
    inner: Any
    best: Vector
    best_loss: Float[Array, ""]
    history: Float[Array, " steps"]
    steps: Int[Array, ""]
    met: Bool[Array, ""]
    finite: Bool[Array, ""]
    meter: Any
