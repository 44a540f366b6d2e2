"""Fits by least squares: Gauss and Newton's method and its relatives, by optimistix."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from ._fit_problem import AbstractFitMethod, FitProblem, Trial
from ._newton import Vector
from ._result import RESULTS, SUCCESS
from .gradients import Adjoint, FiniteDifferences, Implicit
from .objectives import has_runs


LeastSquaresSolver = optx.AbstractLeastSquaresSolver


class AllAtOnce(AbstractFitMethod):
    """Least squares for the parameters and the unknowns of the objective together.

    The equations of a fixed point or of an orbit need not hold before the end. So a silent
    system can be led to a rhythm that no system on the way has.

    **Arguments:**

    - `solver`: any least-squares solver of optimistix; Levenberg and Marquardt's by
        default.
    - `max_steps`: of the solver; one evaluates the misfits and their derivatives once.
    """

    solver: LeastSquaresSolver | None = None
    max_steps: int = eqx.field(static=True, default=100)

    def prepare(self, problem):
        exact = Adjoint() if has_runs(problem.objective) else Implicit()
        objective = exact.prepare(problem.objective, problem.start_system())
        return eqx.tree_at(lambda p: p.objective, problem, objective)

    def search(self, problem, start, key):
        guess = problem.guess(start)
        z, unravel = ravel_pytree((start, guess))

        def residuals(z):
            free, unknowns = unravel(z)
            system = problem.driven(free)
            equations = problem.objective.equations(system, unknowns)
            misfit = problem.objective.misfit(system, unknowns, key)
            return equations, misfit

        end = minimise(residuals, z, self.solver, self.max_steps, problem)
        free, unknowns = unravel(end.z)
        return Trial(free, unknowns, end.loss, end.history, end.steps, end.result)


class LeastSquares(AbstractFitMethod):
    """Least squares for the parameters alone, with the unknowns solved for in each step.

    **Arguments:**

    - `solver`, `max_steps`: as of [`jaxnet.AllAtOnce`][].
    - `differences`: [`jaxnet.gradients.FiniteDifferences`][] to take these for derivatives,
        with one key for all runs; else they are exact.
    """

    solver: LeastSquaresSolver | None = None
    differences: FiniteDifferences | None = eqx.field(default=None, kw_only=True)
    max_steps: int = eqx.field(static=True, default=100)

    def prepare(self, problem):
        if self.differences is not None:
            return problem
        return AllAtOnce().prepare(problem)

    def search(self, problem, start, key):
        misfit = lambda free: problem.misfit(free, key)
        if self.differences is not None:
            misfit = self.differences.differentiable(misfit)
        residuals = lambda free: (jnp.zeros(0), misfit(free))
        end = minimise(residuals, start, self.solver, self.max_steps, problem)
        unknowns = problem.solve_unknowns(end.z)
        return Trial(end.z, unknowns, end.loss, end.history, end.steps, end.result)


class _End(eqx.Module):
    z: Vector
    loss: Float[Array, ""]
    history: Float[Array, " steps"]
    steps: Int[Array, ""]
    result: RESULTS


class _State(eqx.Module):
    """Between two steps of a solver, whose own state is `inner`."""

    z: Vector
    inner: Any
    history: Float[Array, " steps"]
    steps: Int[Array, ""]
    met: Bool[Array, ""]
    ended: Bool[Array, ""]
    meter: Any


def minimise(
    residuals: Callable[[Vector], tuple[Vector, Vector]],
    start: Vector,
    solver: LeastSquaresSolver | None,
    max_steps: int,
    problem: FitProblem,
) -> _End:
    """Least squares until all equations and misfits are small, or nothing changes more.

    The misfits alone are measured by the tolerance of the problem; equations are to hold.
    """
    eps = float(jnp.finfo(start.dtype).eps)
    if solver is None:
        solver = optx.LevenbergMarquardt(rtol=eps**0.6, atol=eps**0.6)
    exact = jnp.sqrt(eps)
    fn = lambda z, _: (residuals(z), None)
    out, aux = jax.eval_shape(lambda z: fn(z, None), start)
    nothing = (None, {}, out, aux, frozenset())
    inner = solver.init(fn, start, *nothing)
    dynamic, static = eqx.partition(inner, eqx.is_array)

    def is_met(inner):
        equations, misfit = inner.f_info.residual
        return jnp.all(jnp.abs(equations) <= exact) & jnp.all(
            jnp.abs(misfit) <= problem.tolerance
        )

    def loss_of(inner):
        return sum(jnp.vdot(r, r) for r in inner.f_info.residual) / 2

    def advance(state: _State) -> _State:
        inner = eqx.combine(state.inner, static)
        z, inner, _ = solver.step(fn, state.z, None, {}, inner, frozenset())
        done, _ = solver.terminate(fn, z, None, {}, inner, frozenset())
        met = is_met(inner)
        return _State(
            z,
            eqx.filter(inner, eqx.is_array),
            state.history.at[state.steps].set(loss_of(inner)),
            state.steps + 1,
            met,
            met | done | ~jnp.isfinite(loss_of(inner)),
            problem.progress.step(state.meter, state.steps / max_steps),
        )

    history = jnp.full(max_steps + 1, jnp.nan, start.dtype)
    no = jnp.asarray(False)
    meter = problem.progress.init()
    state = _State(start, dynamic, history, jnp.asarray(0), no, no, meter)
    goes_on = lambda s: ~s.ended & (s.steps <= max_steps)
    end = jax.lax.while_loop(goes_on, advance, state)
    problem.progress.close(end.meter)
    # The first step looks at the start alone.
    steps = end.steps - 1
    loss = end.history[steps]
    result = RESULTS.where(end.ended, RESULTS.target_not_met, RESULTS.fit_unfinished)
    result = RESULTS.where(jnp.isfinite(loss), result, RESULTS.nonfinite_misfit)
    result = RESULTS.where(end.met, SUCCESS, result)
    return _End(end.z, loss, end.history, steps, result)
