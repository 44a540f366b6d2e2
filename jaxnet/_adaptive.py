"""Simulation by diffrax, with steps as the solution asks for them."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import lineax as lx

from ._method import AbstractMethod, Problem
from ._random import require_key
from ._result import is_concrete, result_if, RESULTS, worst
from ._solution import Solution
from ._system import AbstractHybridSystem, diffusion_at, is_additive
from ._tree import all_finite, float_dtype
from ._types import RealScalarLike


_DEFAULT_TIMES = 201
_TOLERANCES = {"float64": (1e-9, 1e-9), "float32": (1e-5, 1e-6)}
# The Brownian path is resolved to this part of the first step.
_BROWNIAN_RESOLUTION = 2.0**-8
_ADAPTIVE_SDE_SOLVERS = (diffrax.SRA1, diffrax.ShARK, diffrax.SPaRK)


class Adaptive(AbstractMethod):
    """Adaptive steps, by `diffrax.diffeqsolve`.

    **Arguments:**

    - `solver`: any solver of diffrax; `diffrax.Tsit5()` by default.
    - `stepsize_controller`: by default a `diffrax.PIDController` with rtol = atol = 1e-9
        in float64, and rtol = 1e-5, atol = 1e-6 in float32.
    - `adjoint`: `diffrax.RecursiveCheckpointAdjoint()` by default, for reverse mode;
        `diffrax.ForwardMode()` for forward mode.
    - `dt0`: the first step (ms); chosen by default. Needed for fixed steps and noise.
    - `max_steps`: after which the run ends with `RESULTS.too_many_steps`.

    Adaptive steps end exactly at the breakpoints of the input. For a noisy system, the
    solver must be one for Ito equations, or any SDE solver where the noise is additive,
    with `diffrax.ConstantStepSize()`; or `diffrax.SRA1`, `ShARK` or `SPaRK` with
    adaptive steps and additive noise.

    Spikes are not located: of a cell whose channels make them this gives the voltage alone,
    and a system that is reset by them is refused.

    What `simulate` saves: 201 times at equal distances by default; else as
    `jaxnet.SaveAt` says.

    ```pycon
    >>> import diffrax
    >>> import jaxnet as jn
    >>> stiff = jn.Adaptive(solver=diffrax.Kvaerno5(), max_steps=1000)
    >>> run = jn.simulate(jn.models.RatePopulation(), 1.0, t1=1.0, method=stiff)
    >>> round(float(run.ys[-1]), 4)
    0.3679
    ```
    """

    solver: diffrax.AbstractSolver = eqx.field(default_factory=diffrax.Tsit5)
    stepsize_controller: diffrax.AbstractStepSizeController | None = None
    adjoint: diffrax.AbstractAdjoint = eqx.field(
        default_factory=diffrax.RecursiveCheckpointAdjoint
    )
    dt0: RealScalarLike | None = None
    max_steps: int = eqx.field(static=True, default=100_000)

    def __check_init__(self):
        if self._has_fixed_steps and self.dt0 is None:
            raise ValueError("`dt0` is missing: fixed steps need their size (ms).")
        if self.dt0 is not None and is_concrete(self.dt0) and not self.dt0 > 0:
            raise ValueError(f"`dt0` must be positive, but it is {self.dt0}.")
        if self.max_steps < 1:
            raise ValueError(f"`max_steps` must be positive, but it is {self.max_steps}.")

    def solve(self, problem: Problem) -> Solution:
        flow = problem.parts.flow
        if isinstance(flow, AbstractHybridSystem) and not flow.is_smooth():
            raise ValueError(
                f"`{type(flow).__name__}` spikes, and `Adaptive` does not locate spikes. "
                "Use `Grid(dt)`."
            )
        if problem.parts.diffusion is not None:
            require_key(problem.key, "a `Noisy` system")
            self._check_noise(is_additive(problem.parts.diffusion))
        problem.parts.input.require(problem.t0, problem.t1)
        _check_save(problem)
        times = (jnp.asarray(problem.t0, float), jnp.asarray(problem.t1, float))
        return _run(self, eqx.tree_at(lambda p: (p.t0, p.t1), problem, times))

    @property
    def _has_fixed_steps(self) -> bool:
        return isinstance(self.stepsize_controller, diffrax.ConstantStepSize)

    def controller(self, problem: Problem) -> diffrax.AbstractStepSizeController:
        controller = self.stepsize_controller
        if controller is None:
            rtol, atol = _TOLERANCES[float_dtype().name]
            controller = diffrax.PIDController(rtol=rtol, atol=atol)
        if not isinstance(controller, diffrax.AbstractAdaptiveStepSizeController):
            return controller
        jumps = jax.lax.stop_gradient(problem.parts.input.breakpoints())
        # What never comes, or has always been, is no jump.
        jumps = jnp.where(jnp.isfinite(jumps), jumps, jnp.inf)
        if jumps.size == 0:
            return controller
        return diffrax.ClipStepSizeController(controller, jump_ts=jumps)

    def terms(self, problem: Problem, t0, t1) -> diffrax.AbstractTerm:
        flow = diffrax.ODETerm(_flow)
        if problem.key is None or self.dt0 is None or problem.parts.diffusion is None:
            return flow
        path = diffrax.VirtualBrownianTree(
            t0,
            t1,
            tol=self.dt0 * _BROWNIAN_RESOLUTION,
            shape=jtu.tree_map(
                lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), problem.y0
            ),
            key=problem.key,
            levy_area=_levy_area(self.solver),
        )
        return diffrax.MultiTerm(flow, diffrax.ControlTerm(_diffusion, path))

    def _check_noise(self, additive: bool) -> None:
        """Refuse early what would converge to another equation, or not at all."""
        name = type(self.solver).__name__
        ito = isinstance(self.solver, diffrax.AbstractItoSolver)
        stratonovich = isinstance(self.solver, diffrax.AbstractStratonovichSolver)
        if not (ito or (stratonovich and additive)):
            kind = "additive noise" if additive else "noise that depends on the state"
            raise ValueError(
                f"`solver` {name} does not solve an Ito equation with {kind}. Take "
                "`diffrax.Euler()` with `diffrax.ConstantStepSize()`, or `Grid(dt)`."
            )
        if self.dt0 is None:
            raise ValueError("`dt0` is missing: a noisy system needs a first step (ms).")
        adequate = additive and isinstance(self.solver, _ADAPTIVE_SDE_SOLVERS)
        if not (self._has_fixed_steps or adequate):
            raise ValueError(
                f"`solver` {name} cannot adapt its step to noise. Set "
                "`stepsize_controller=diffrax.ConstantStepSize()`, or take `Grid(dt)`, "
                "or for additive noise `diffrax.ShARK()`."
            )


@eqx.filter_jit
def _run(method: Adaptive, problem: Problem) -> Solution:
    t0, t1, save = problem.t0, problem.t1, problem.save
    if save is None:
        save = diffrax.SaveAt(ts=jnp.linspace(t0, t1, _DEFAULT_TIMES))
    solution = diffrax.diffeqsolve(
        method.terms(problem, t0, t1),
        method.solver,
        t0,
        t1,
        method.dt0,
        problem.y0,
        args=(problem.parts, problem.good),
        saveat=_normalise(save, problem),
        stepsize_controller=method.controller(problem),
        adjoint=method.adjoint,
        max_steps=method.max_steps,
        throw=False,
    )
    # What is saved at every step is padded by infinity.
    is_padded = any(sub.steps for sub in _subs(save))
    finite_result = result_if(
        ~(is_padded | all_finite(solution.ys)), RESULTS.nonfinite_state
    )
    return Solution(
        ts=solution.ts,
        ys=solution.ys,
        spikes=None,
        result=worst(_with_remedy(RESULTS.promote(solution.result)), finite_result),
        stats=solution.stats,
    )


def _with_remedy(result: RESULTS) -> RESULTS:
    """More steps are not the only remedy, as diffrax has it."""
    ran_out = result == RESULTS.max_steps_reached
    return RESULTS.where(ran_out, RESULTS.too_many_steps, result)


def _flow(t, y, args):
    parts, good = args
    derivative = parts.flow.vector_field(t, y, parts.input(t))
    return jtu.tree_map(lambda x: jnp.where(good, x, 0.0), derivative)


def _diffusion(t, y, args):
    parts, good = args
    strength = diffusion_at(parts.diffusion, t, y, parts.input(t))
    safe = jtu.tree_map(lambda x: jnp.where(good, x, 0.0), strength)
    return lx.DiagonalLinearOperator(safe)


def _levy_area(solver: diffrax.AbstractSolver):
    """What a solver must know of the Brownian path between two times."""
    if not isinstance(solver, diffrax.AbstractSRK):
        return diffrax.BrownianIncrement
    if issubclass(solver.minimal_levy_area, diffrax.AbstractSpaceTimeTimeLevyArea):
        return diffrax.SpaceTimeTimeLevyArea
    return diffrax.SpaceTimeLevyArea


def _is_sub(x) -> bool:
    return isinstance(x, diffrax.SubSaveAt)


def _subs(save: diffrax.SaveAt) -> list[diffrax.SubSaveAt]:
    return jtu.tree_leaves(save.subs, is_leaf=_is_sub)


def _check_save(problem: Problem) -> None:
    if problem.save is None:
        return
    if problem.save.dense:
        raise ValueError(
            "`save` asks for dense output, which a `Solution` does not hold. Save at "
            "the times you need: `SaveAt(ts=...)`."
        )
    for sub in _subs(problem.save):
        values = (problem.t0, problem.t1, sub.ts)
        if sub.ts is None or not all(is_concrete(x) for x in values):
            continue
        if not (jnp.diff(sub.ts) > 0).all():
            raise ValueError("`ts` of `save` must rise strictly. Sort the times.")
        if not ((sub.ts >= problem.t0) & (sub.ts <= problem.t1)).all():
            raise ValueError(
                f"`ts` of `save` must lie between `t0` = {problem.t0} and `t1` = "
                f"{problem.t1}, but it goes from {sub.ts.min()} to {sub.ts.max()}."
            )


def _normalise(save: diffrax.SaveAt, problem: Problem) -> diffrax.SaveAt:
    """What is saved is a function of the time and the state alone, as on a grid."""

    def wrap(sub: diffrax.SubSaveAt) -> diffrax.SubSaveAt:
        if sub.ts is not None:
            # Bad times have been replaced, and diffrax would refuse the whole batch.
            clipped = jnp.clip(sub.ts, problem.t0, problem.t1)
            ts = jnp.where(problem.good, sub.ts, clipped)
            sub = eqx.tree_at(lambda s: s.ts, sub, ts)
        return eqx.tree_at(lambda s: s.fn, sub, lambda t, y, args: sub.fn(t, y, None))

    return eqx.tree_at(
        lambda s: s.subs, save, jtu.tree_map(wrap, save.subs, is_leaf=_is_sub)
    )
