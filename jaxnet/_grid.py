"""Simulation on a grid: a scan over steps of one size."""

import math
from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Int, PyTree, Real

from ._exponential import Exponential
from ._method import AbstractMethod, Problem
from ._record import AbstractRecord, RecordTimes
from ._result import result_if, RESULTS, SUCCESS, worst
from ._runge_kutta import SOLVERS, tableau_of
from ._solution import Solution
from ._staggered import Staggered
from ._step import Carry, Escape, number_of_units, prepare_flow, Step
from ._time_grid import (
    concrete_float,
    time_grid,
    TimeGrid,
    whole_steps_of_delay,
    whole_steps_of_period,
)
from ._tree import all_finite
from .surrogate import AbstractSurrogate, Memory


def _concrete_dt(dt) -> float:
    return concrete_float(dt, "dt", "Make the `Grid` outside `jax.jit` and `jax.vmap`.")


class Grid(AbstractMethod):
    r"""A fixed step of `dt`, counted in whole steps.

    A step is: flow, then for a hybrid system guard, receive and reset. Noise enters
    after the flow, as $g(t_k, y_k)\sqrt{dt}\,z_k$ (Euler-Maruyama, Ito). The input is
    read by step index.

    **Arguments:**

    - `dt`: the step (ms), a concrete number. ``t1 - t0`` must be whole steps.
    - `solver`: of the flow: `diffrax.Euler` (the default), `Heun`, `Midpoint`,
        `Ralston`, `Bosh3`, `Tsit5`, `Dopri5`, `Dopri8`, [`jaxnet.Exponential`][],
        or for cells [`jaxnet.Staggered`][].
    - `record`: what is kept of the spikes: [`jaxnet.RecordTimes`][] (the default, up to
        10,000), [`jaxnet.RecordRaster`][] or [`jaxnet.RecordCounts`][].
    - `surrogate`: the slope of a spike, one of `jaxnet.surrogate`; without one the
        derivative is that at fixed spikes.
    - `memory`: how far back a derivative reaches, a `jaxnet.surrogate.Memory`; by default
        to the start.
    - `checkpoint`: whether a reverse-mode derivative computes the steps once more instead
        of keeping what it needs of each: so its memory grows with the square root of their
        number, and it costs up to two more runs. What `save` keeps, it keeps anyway.
    - `stamp_at_start`: whether the time of a spike is the start of its step, as Brian2
        has it, and not the end.

    What `simulate` saves: every step by default; every k-th one, or a function of the
    state, by `jaxnet.SaveAt(t0=True, steps=k, fn=...)`.

    ```pycon
    >>> import diffrax
    >>> import jaxnet as jn
    >>> run = jn.simulate(
    ...     jn.models.RatePopulation(),
    ...     1.0,
    ...     t1=1.0,
    ...     method=jn.Grid(0.25, diffrax.Heun()),
    ...     save=jn.SaveAt(t0=True, steps=2),
    ... )
    >>> run.ts.tolist()
    [0.0, 0.5, 1.0]
    ```
    """

    dt: float = eqx.field(static=True, converter=_concrete_dt)
    solver: diffrax.AbstractSolver | Exponential | Staggered = eqx.field(
        default_factory=diffrax.Euler
    )
    record: AbstractRecord = eqx.field(default_factory=RecordTimes, kw_only=True)
    surrogate: AbstractSurrogate | None = eqx.field(default=None, kw_only=True)
    memory: Memory | None = eqx.field(default=None, kw_only=True)
    checkpoint: bool = eqx.field(static=True, default=False, kw_only=True)
    stamp_at_start: bool = eqx.field(static=True, default=False, kw_only=True)

    def __check_init__(self):
        if not (math.isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"`dt` must be positive and finite, but it is {self.dt}.")
        if type(self.solver) not in (*SOLVERS, Exponential, Staggered):
            names = ", ".join(f"{solver.__name__}()" for solver in SOLVERS)
            raise ValueError(
                f"`solver` of `Grid` must be one of {names}, `jaxnet.Exponential()`, "
                f"or `jaxnet.Staggered()`, but it is {self.solver}. For another one take "
                "`Adaptive`, with `diffrax.ConstantStepSize()` for fixed steps."
            )

        if not isinstance(self.record, AbstractRecord):
            raise ValueError(
                f"`record` of `Grid` must be a record such as `jaxnet.RecordTimes(1000)`, "
                f"but it is {self.record}."
            )
        if not (self.surrogate is None or isinstance(self.surrogate, AbstractSurrogate)):
            raise ValueError(
                "`surrogate` of `Grid` must be one of `jaxnet.surrogate`, such as "
                f"`FastSigmoid(beta=1.0)`, or None, but it is {self.surrogate}."
            )

        if not (self.memory is None or isinstance(self.memory, Memory)):
            raise ValueError(
                "`memory` of `Grid` must be a `jaxnet.surrogate.Memory`, or None, not "
                f"{self.memory}."
            )

    def delay_steps(self, delay: float) -> int:
        """The steps that a delay (ms) takes: the nearest whole number, halves up.

        It is ``floor(delay / dt + 0.5)`` in floating point, as in Brian2: 0.15 ms are one
        step of 0.1 ms, since 0.15 / 0.1 is a little less than 1.5. A spike with a delay of
        zero arrives in the step in which it is fired.

        ```pycon
        >>> import jaxnet as jn
        >>> jn.Grid(0.1).delay_steps(0.25)
        3
        ```
        """
        return whole_steps_of_delay(delay, self.dt)

    def refractory_steps(self, period: Real[ArrayLike, "..."]) -> Int[Array, "..."]:
        """The steps that a refractory period (ms) takes: rounded down.

        A thousandth of a step short of a whole step counts as one. With n steps, a unit
        that fires in step k can fire again in step k + n, and what is held moves again
        in that step: a period of less than two steps blocks and holds nothing.

        ```pycon
        >>> import jaxnet as jn
        >>> jn.Grid(0.1).refractory_steps(0.3).item()
        3
        ```
        """
        return whole_steps_of_period(period, self.dt)

    def solve(self, problem: Problem) -> Solution:
        reads_ahead = isinstance(self.solver, Staggered) or (
            not isinstance(self.solver, Exponential) and len(tableau_of(self.solver).c) > 0
        )
        grid = time_grid(
            problem.t0,
            problem.t1,
            self.dt,
            reads_ahead=reads_ahead,
            stamp_at_start=self.stamp_at_start,
        )
        what = _what_to_save(problem.save, grid.steps)
        return _run(self, problem, grid, what)


@eqx.filter_jit
def _run(method: Grid, problem: Problem, grid: TimeGrid, what: "_WhatToSave") -> Solution:
    step = Step(problem.parts, grid, method.record, method.surrogate, method.memory)
    start = step.init(problem.y0, problem.key)
    flow, suits = prepare_flow(method.solver, step, start)

    scan = jax.lax.scan
    one_step = lambda c, _: step(c, flow)
    if method.checkpoint:
        scan = _scan_in_stretches
        # Within a stretch a step is kept by its start and its products of matrices: what
        # else its derivative needs is soon computed.
        one_step = jax.checkpoint(
            one_step, prevent_cse=False, policy=jax.checkpoint_policies.dots_saveable
        )

    def save(carry: Carry) -> PyTree:
        return what.fn(jnp.asarray(grid.time(carry.step), float), carry.y, None)

    def block(carry: Carry, _):
        if what.every == 1:
            carry, recorded = one_step(carry, None)
            recorded = _row(recorded)
        else:
            carry, recorded = jax.lax.scan(one_step, carry, length=what.every)
        return carry, (save(carry), recorded)

    carry, (saved, recorded) = scan(block, start, length=what.blocks)
    recorded = jtu.tree_map(lambda x: x.reshape(-1, *x.shape[2:]), recorded)
    end = carry
    if what.rest:
        end, recorded_in_rest = scan(one_step, carry, length=what.rest)
        recorded = _join(recorded, recorded_in_rest)

    steps = (1 + np.arange(what.blocks)) * what.every
    if what.t0:
        steps, saved = np.append(0, steps), _join(_row(save(start)), saved)
    if what.t1:
        steps, saved = np.append(steps, grid.steps), _join(saved, _row(save(end)))
    is_finite = all_finite((end.y, saved))
    spikes, record_result = None, SUCCESS
    has_escaped, escape_stats = _escape(end.spiking and end.spiking.escape, grid)
    if end.spiking is not None:
        units = number_of_units(step.guard_shape(start))
        spikes, record_result = method.record.finish(
            end.spiking.record, recorded, grid, units
        )
    return Solution(
        ts=jnp.asarray(grid.time(steps), dtype=float),
        ys=saved,
        spikes=spikes,
        result=worst(
            result_if(~suits, RESULTS.flow_not_local),
            result_if(has_escaped, RESULTS.diverged),
            result_if(~is_finite, RESULTS.nonfinite_state),
            record_result,
        ),
        stats={"num_steps": grid.steps, **escape_stats},
    )


def _escape(
    escape: Escape | None, grid: TimeGrid
) -> tuple[Bool[Array, ""], dict[str, Array]]:
    """Whether a unit has escaped, and the entries of `stats` that say when, and which."""
    if escape is None:
        return jnp.asarray(False), {}
    has_escaped = escape.step >= 0
    at = jnp.where(has_escaped, grid.time(escape.step + 1), jnp.nan)
    return has_escaped, {"diverged_at": at, "diverged_unit": escape.unit}


def _scan_in_stretches(
    step: Callable, carry: Carry, *, length: int
) -> tuple[Carry, PyTree]:
    """A scan in stretches, of which only the starts are kept for a way back."""
    stretch = max(1, math.isqrt(length))
    advance = jax.checkpoint(
        lambda c, _: jax.lax.scan(step, c, length=stretch), prevent_cse=False
    )
    carry, outputs = jax.lax.scan(advance, carry, length=length // stretch)
    outputs = jtu.tree_map(lambda x: x.reshape(-1, *x.shape[2:]), outputs)
    carry, rest = jax.lax.scan(step, carry, length=length % stretch)
    return carry, _join(outputs, rest)


class _WhatToSave(eqx.Module):
    """Blocks of `every` steps with a save at the end of each, and the rest."""

    every: int
    blocks: int
    rest: int
    t0: bool
    t1: bool
    fn: Callable


def _what_to_save(save: diffrax.SaveAt | None, steps: int) -> _WhatToSave:
    save = diffrax.SaveAt(t0=True, steps=True) if save is None else save
    sub = save.subs
    if not isinstance(sub, diffrax.SubSaveAt) or sub.ts is not None or save.dense:
        raise ValueError(
            "`save` on a `Grid` counts steps: pass one `SaveAt(t0=..., steps=k, t1=..., "
            "fn=...)`. `ts`, `subs` and `dense` are for `Adaptive`."
        )
    if sub.steps < 0:
        raise ValueError(f"`steps` of `save` must not be negative, but it is {sub.steps}.")
    # Without `steps` there is nothing to save on the way: all is rest.
    every = sub.steps or steps + 1
    blocks, rest = divmod(steps, every)
    is_saved_anyway = (rest == 0) and (blocks > 0)
    return _WhatToSave(every, blocks, rest, sub.t0, sub.t1 and not is_saved_anyway, sub.fn)


def _row(tree: PyTree) -> PyTree:
    return jtu.tree_map(lambda x: jnp.asarray(x)[None], tree)


def _join(first: PyTree, second: PyTree) -> PyTree:
    return jtu.tree_map(lambda a, b: jnp.concatenate([a, b]), first, second)
