"""Fits by least squares: Gauss and Newton's method and its relatives, by optimistix."""

from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import lineax as lx
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from ._fit_problem import AbstractFitMethod, FitProblem, Trial
from ._newton import Vector
from ._result import RESULTS, SUCCESS
from .gradients import exact_estimator, FiniteDifferences
from .objectives._base import Misfit


# Of the equations, and the misfits.
Residuals: TypeAlias = tuple[Float[Array, " equations"], Misfit]
# With so many more unknowns than equations the problem is solved by its rows.
_WIDE = 4
_USUAL_SIZE = 10.0


class AllAtOnce(AbstractFitMethod):
    """Least squares for the parameters and the unknowns of the objective together.

    The equations of a fixed point or of an orbit need not hold before the end. So a silent
    system can be led to a rhythm that no system on the way has.

    **Arguments:**

    - `solver`: any least-squares solver of optimistix; Levenberg and Marquardt's by
        default. The losses that it makes small, and that come back, are those of the
        misfits and of the equations together.
    - `max_steps`: of the solver; one evaluates the misfits and their derivatives once.
    """

    solver: Any = None
    max_steps: int = eqx.field(static=True, default=200)

    def __check_init__(self):
        _check_solver(self.solver)

    def prepare(self, problem):
        exact = exact_estimator(problem.objective)
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

    solver: Any = None
    differences: FiniteDifferences | None = eqx.field(default=None, kw_only=True)
    max_steps: int = eqx.field(static=True, default=200)

    def __check_init__(self):
        _check_solver(self.solver)

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


def _check_solver(solver: object) -> None:
    if not (solver is None or isinstance(solver, optx.AbstractLeastSquaresSolver)):
        raise ValueError(
            "`solver` must be a least-squares solver of optimistix, such as "
            f"`optimistix.GaussNewton(rtol, atol)`, or None, but it is {solver!r}. For an "
            "optimiser take `jaxnet.Descent`."
        )


class _End(eqx.Module):
    z: Vector
    loss: Float[Array, ""]
    history: Float[Array, " steps"]
    steps: Int[Array, ""]
    result: RESULTS


class _State(eqx.Module):
    """Between two steps of a solver, whose own state is `inner`.

    `good` is the last point with a finite loss.
    """

    z: Vector
    inner: Any
    good: Vector
    history: Float[Array, " steps"]
    steps: Int[Array, ""]
    met: Bool[Array, ""]
    ended: Bool[Array, ""]
    meter: Any


def minimise(
    residuals: Callable[[Vector], Residuals],
    start: Vector,
    solver: optx.AbstractLeastSquaresSolver | None,
    max_steps: int,
    problem: FitProblem,
) -> _End:
    """Least squares until all equations and misfits are small, or nothing changes more.

    The misfits alone are measured by the tolerance of the problem; equations are to hold.
    """
    eps = float(jnp.finfo(start.dtype).eps)
    # The first damping of a solver is made for residuals of this size.
    size = jnp.sqrt(2 * _loss_of(jax.lax.stop_gradient(residuals(start))))
    scale = jnp.where((size > 0) & jnp.isfinite(size), _USUAL_SIZE / size, 1.0)
    fn = lambda z, _: (jtu.tree_map(lambda r: scale * r, residuals(z)), None)
    out, aux = jax.eval_shape(lambda z: fn(z, None), start)
    is_wide = start.size > _WIDE * sum(x.size for x in out)
    if solver is None:
        # Of few equations Krylov's space is small, and their matrix is made by rows.
        linear = lx.LSMR(eps**0.8, eps**0.8) if is_wide else lx.AutoLinearSolver(None)
        solver = optx.LevenbergMarquardt(eps**0.5, eps**0.6, linear_solver=linear)
    options = {"jac": "bwd" if is_wide else "fwd"}
    inner = solver.init(fn, start, None, options, out, aux, frozenset())
    dynamic, static = eqx.partition(inner, eqx.is_array)

    def is_met(residuals):
        equations, misfit = residuals
        hold = jnp.all(jnp.abs(equations) <= eps**0.5)
        return hold & jnp.all(jnp.abs(misfit) <= problem.tolerance)

    def advance(state: _State) -> _State:
        inner = eqx.combine(state.inner, static)
        z, inner, _ = solver.step(fn, state.z, None, options, inner, frozenset())
        done, _ = solver.terminate(fn, z, None, options, inner, frozenset())
        here = jtu.tree_map(lambda r: r / scale, inner.f_info.residual)
        loss, met = _loss_of(here), is_met(here)
        finite: Array = jnp.isfinite(loss)
        ahead: Vector = z
        good = jnp.where(finite, ahead, state.good)
        return _State(
            z,
            eqx.filter(inner, eqx.is_array),
            good,
            state.history.at[state.steps].set(loss),
            state.steps + 1,
            met,
            met | done | ~finite,
            problem.progress.step(state.meter, state.steps / max_steps),
        )

    history = jnp.full(max_steps + 1, jnp.nan, start.dtype)
    no = jnp.asarray(False)
    meter = problem.progress.init()
    state = _State(start, dynamic, start, history, jnp.asarray(0), no, no, meter)
    goes_on = lambda s: ~s.ended & (s.steps <= max_steps)
    end = jax.lax.while_loop(goes_on, advance, state)
    problem.progress.close(end.meter)
    # The first step looks at the start alone.
    steps = end.steps - 1
    last = end.history[steps]
    result = RESULTS.where(end.ended, RESULTS.target_not_met, RESULTS.fit_unfinished)
    result = RESULTS.where(jnp.isfinite(last), result, RESULTS.nonfinite_misfit)
    result = RESULTS.where(end.met, SUCCESS, result)
    before = end.history[jnp.maximum(steps - 1, 0)]
    loss = jnp.where(jnp.isfinite(last), last, before)
    return _End(end.good, loss, end.history, steps, result)


def _loss_of(residuals: Residuals) -> Float[Array, ""]:
    return sum((jnp.vdot(r, r) for r in residuals), jnp.zeros(())) / 2
