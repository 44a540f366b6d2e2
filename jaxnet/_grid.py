"""Simulation on a grid: a scan over the steps of an explicit solver."""

import math
from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from ._method import AbstractMethod, Problem
from ._random import normal_like, require_key, split_key
from ._result import result_if, RESULTS, SUCCESS, worst
from ._runge_kutta import runge_kutta_step, SOLVERS, Tableau, tableau_of
from ._solution import Solution, Spikes
from ._system import AbstractHybridSystem, diffusion_at, Parts
from ._time_grid import concrete_float, time_grid, TimeGrid
from ._tree import all_finite
from ._types import InputValue, Key, State


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
        `Ralston`, `Bosh3`, `Tsit5`, `Dopri5` or `Dopri8`.
    - `max_spikes`: how many spikes of a hybrid system can be recorded.

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
    solver: diffrax.AbstractSolver = eqx.field(default_factory=diffrax.Euler)
    max_spikes: int = eqx.field(static=True, default=10_000)

    def __check_init__(self):
        if not (math.isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"`dt` must be positive and finite, but it is {self.dt}.")
        if type(self.solver) not in SOLVERS:
            names = ", ".join(f"{solver.__name__}()" for solver in SOLVERS)
            raise ValueError(
                f"`solver` of `Grid` must be one of {names}, but it is {self.solver}. For "
                "another one take `Adaptive`, with `diffrax.ConstantStepSize()` for fixed "
                "steps."
            )
        if self.max_spikes < 1:
            raise ValueError(f"`max_spikes` must be positive, not {self.max_spikes}.")

    def solve(self, problem: Problem) -> Solution:
        reads_ahead = len(tableau_of(self.solver).c) > 0
        grid = time_grid(problem.t0, problem.t1, self.dt, reads_ahead=reads_ahead)
        what = _what_to_save(problem.save, grid.steps)
        return _run(self, problem, grid, what)


@eqx.filter_jit
def _run(method: Grid, problem: Problem, grid: TimeGrid, what: "_WhatToSave") -> Solution:
    step = _Step(problem.parts, tableau_of(method.solver), grid)

    def save(carry: _Carry) -> PyTree:
        return what.fn(jnp.asarray(grid.time(carry.step), float), carry.y, None)

    def advance(carry: _Carry, steps: int) -> _Carry:
        return jax.lax.scan(lambda c, _: (step(c), None), carry, length=steps)[0]

    def block(carry: _Carry, _):
        carry = step(carry) if what.every == 1 else advance(carry, what.every)
        return carry, save(carry)

    start = step.init(problem.y0, problem.key, method.max_spikes)
    carry, saved = jax.lax.scan(block, start, length=what.blocks)
    end = advance(carry, what.rest) if what.rest else carry

    steps = (1 + np.arange(what.blocks)) * what.every
    if what.t0:
        steps, saved = np.append(0, steps), _join(_row(save(start)), saved)
    if what.t1:
        steps, saved = np.append(steps, grid.steps), _join(saved, _row(save(end)))
    spikes = None if end.log is None else end.log.spikes(grid)
    return Solution(
        ts=jnp.asarray(grid.time(steps), dtype=float),
        ys=saved,
        spikes=spikes,
        result=worst(
            result_if(~all_finite((end.y, saved)), RESULTS.nonfinite_state),
            _spike_result(spikes),
        ),
        stats={"num_steps": grid.steps},
    )


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


class _SpikeLog(eqx.Module):
    """The step and the unit of every spike so far."""

    step: Int[Array, " max_spikes"]
    index: Int[Array, " max_spikes"]
    count: Int[Array, ""]

    def add(self, fired, step) -> "_SpikeLog":
        slot = self.count + jnp.cumsum(fired) - 1
        # A slot past the end drops the spike; `count` goes on.
        slot = jnp.where(fired, slot, self.step.size)
        return _SpikeLog(
            self.step.at[slot].set(step, mode="drop"),
            self.index.at[slot].set(jnp.arange(fired.size), mode="drop"),
            self.count + jnp.sum(fired),
        )

    def spikes(self, grid: TimeGrid) -> Spikes:
        valid = jnp.arange(self.step.size) < self.count
        time = jnp.asarray(grid.time(self.step), float)
        return Spikes(jnp.where(valid, time, jnp.nan), self.index, valid, self.count)


def _spike_result(spikes: Spikes | None) -> RESULTS:
    if spikes is None:
        return SUCCESS
    return result_if(spikes.count > spikes.valid.size, RESULTS.spike_buffer_full)


class _Carry(eqx.Module):
    """What a step hands to the next one."""

    step: Int[Array, ""]
    y: State
    input: PyTree
    noise_key: Key | None
    log: _SpikeLog | None


class _Step(eqx.Module):
    """One step: flow, noise, and what spikes do."""

    parts: Parts
    tableau: Tableau = eqx.field(static=True)
    grid: TimeGrid

    def init(self, y0: State, key: Key | None, max_spikes: int) -> _Carry:
        is_noisy = self.parts.diffusion is not None
        if is_noisy:
            require_key(key, "a `Noisy` system")
        input_key, noise_key = (None, None) if key is None else split_key(key)
        log = None
        if isinstance(self.parts.flow, AbstractHybridSystem):
            empty = jnp.zeros(max_spikes, int)
            log = _SpikeLog(empty, empty, jnp.zeros((), int))
        return _Carry(
            step=jnp.zeros((), int),
            y=y0,
            input=self.parts.input.init(self.grid, input_key),
            noise_key=noise_key if is_noisy else None,
            log=log,
        )

    def __call__(self, carry: _Carry) -> _Carry:
        y = runge_kutta_step(
            self.tableau,
            lambda fraction, y: self._field(carry, fraction, y),
            carry.y,
            self.grid.dt,
        )
        flow, log = self.parts.flow, carry.log
        if carry.noise_key is not None:
            y = jtu.tree_map(jnp.add, y, self._noise(carry, carry.noise_key))
        if log is not None and isinstance(flow, AbstractHybridSystem):
            y, fired = self._spike(flow, carry, y)
            log = log.add(fired, carry.step + 1)
        return _Carry(
            step=carry.step + 1,
            y=y,
            input=self.parts.input.advance(carry.input, self.grid, carry.step),
            noise_key=carry.noise_key,
            log=log,
        )

    def _time_and_input(
        self, carry: _Carry, fraction
    ) -> tuple[Float[Array, ""], InputValue]:
        grid = self.grid
        u = self.parts.input.on_grid(carry.input, grid, carry.step, fraction)
        return jnp.asarray(grid.time(carry.step + fraction), float), u

    def _field(self, carry: _Carry, fraction: float, y: State) -> State:
        t, u = self._time_and_input(carry, fraction)
        return self.parts.flow.vector_field(t, y, u)

    def _noise(self, carry: _Carry, key: Key) -> State:
        t, u = self._time_and_input(carry, 0.0)
        strength = diffusion_at(self.parts.diffusion, t, carry.y, u)
        normals = normal_like(carry.y, jax.random.fold_in(key, carry.step))
        return jtu.tree_map(lambda g, z: g * math.sqrt(self.grid.dt) * z, strength, normals)

    def _spike(
        self, flow: AbstractHybridSystem, carry: _Carry, y: State
    ) -> tuple[State, Array]:
        # The input of the step: the one at its end belongs to the next step.
        _, u = self._time_and_input(carry, 0.0)
        t = jnp.asarray(self.grid.time(carry.step + 1), float)
        fired = flow.guard(t, y, u) > 0
        spikes = fired.astype(float)
        y = flow.receive(t, y, spikes, u)
        return flow.reset(t, y, spikes, u), fired
