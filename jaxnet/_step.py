"""One step of a grid: flow, noise, and what spikes do."""

import functools as ft
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, Real

from ._exponential import Exponential, prepare_exponential
from ._random import normal_like, require_key, split_key
from ._record import AbstractRecord
from ._runge_kutta import runge_kutta_step, tableau_of
from ._staggered import prepare_staggered, Staggered
from ._system import AbstractHybridSystem, diffusion_at, Parts
from ._time_grid import FOREVER, TimeGrid, whole_steps_of_delay
from ._types import InputValue, Key, State
from .surrogate import AbstractSurrogate, Memory


# The time at a fraction of a step, and the input then.
Reader: TypeAlias = Callable[[float], tuple[Float[Array, ""], InputValue]]
# The rates, less those of what a refractory period holds.
Hold: TypeAlias = Callable[[State], State]
# The state one step on, without noise and spikes.
Flow: TypeAlias = Callable[[Reader, State, Hold], State]


class Carry(eqx.Module):
    """What a step hands to the next one."""

    step: Int[Array, ""]
    y: State
    input: PyTree
    noise_key: Key | None
    spiking: "_Spiking | None"


class _Spiking(eqx.Module):
    """What is remembered of the spikes so far.

    `queue` has a row for this step and each that the longest delay reaches back; `last` is
    the step of the last spike of each unit; `above`, whether its guard was positive. All
    have the structure of the guard.
    """

    queue: PyTree[Float[Array, "delay ..."]]
    last: PyTree[Int[Array, "..."]] | None
    above: PyTree[Bool[Array, "..."]] | None
    record: PyTree
    escape: "Escape | None"


class Escape(eqx.Module):
    """The first escape: in which step, and of which unit; -1 where there was none."""

    step: Int[Array, ""]
    unit: Int[Array, ""]


class _Refractory(eqx.Module):
    """Which units are held now, and which cannot spike."""

    held: PyTree[Bool[Array, "..."]]
    blocked: PyTree[Bool[Array, "..."]]


class Step(eqx.Module):
    """One step: flow, noise, and what spikes do."""

    parts: Parts
    grid: TimeGrid
    record: AbstractRecord
    surrogate: AbstractSurrogate | None
    memory: Memory | None

    def init(self, y0: State, key: Key | None) -> Carry:
        """What the first step is handed."""
        is_noisy = self.parts.diffusion is not None
        if is_noisy:
            require_key(key, "a `Noisy` system")
        input_key, noise_key = (None, None) if key is None else split_key(key)
        carry = Carry(
            step=jnp.zeros((), jnp.int32),
            y=y0,
            input=self.parts.input.init(self.grid, input_key),
            noise_key=noise_key if is_noisy else None,
            spiking=None,
        )
        if not isinstance(self.parts.flow, AbstractHybridSystem):
            return carry
        spiking = self._silence(self.parts.flow, carry)
        return eqx.tree_at(lambda c: c.spiking, carry, spiking, is_leaf=lambda x: x is None)

    def guard_shape(self, carry: Carry) -> PyTree[jax.ShapeDtypeStruct]:
        """The structure and the shapes of the guard."""
        system: Any = self.parts.flow
        guard = lambda c: system.guard(*self._at_end(c, c.y))
        return eqx.filter_eval_shape(guard, carry)

    def __call__(self, carry: Carry, flow: Flow) -> tuple[Carry, PyTree]:
        """The next carry, and what is recorded of this step alone."""
        if self.memory is not None:
            carry = self._faded(carry, self.memory)
        spiking, recorded = carry.spiking, None
        if spiking is None:
            y = self._flowed(carry, flow)
        else:
            y, above = self._flowed_once(carry, flow)
            y, spiking, recorded = self._spike(carry, spiking, y, above)
        next_input = self.parts.input.advance(carry.input, self.grid, carry.step)
        return Carry(carry.step + 1, y, next_input, carry.noise_key, spiking), recorded

    def _faded(self, carry: Carry, memory: Memory) -> Carry:
        remembered = lambda c: c.y if c.spiking is None else (c.y, c.spiking.queue)
        faded = memory.fade(remembered(carry), carry.step, self.grid.dt)
        return eqx.tree_at(remembered, carry, faded)

    def time_and_input(
        self, carry: Carry, fraction: float
    ) -> tuple[Float[Array, ""], InputValue]:
        """The time at a fraction of the step, and the input then."""
        grid = self.grid
        u = self.parts.input.on_grid(carry.input, grid, carry.step, fraction)
        return jnp.asarray(grid.time(carry.step + fraction), float), u

    def _at_end(self, carry: Carry, y: State):
        # The input of the step: the one at its end belongs to the next step.
        _, u = self.time_and_input(carry, 0.0)
        return jnp.asarray(self.grid.time(carry.step + 1), float), y, u

    def _flowed(self, carry: Carry, flow: Flow) -> State:
        """The state after flow and noise, but for what is held."""
        system: Any = self.parts.flow
        refractory = self._refractory(carry)

        def hold(before: State, after: State) -> State:
            if refractory is None:
                return after
            return system.hold(before, after, refractory.held)

        still = jtu.tree_map(jnp.zeros_like, carry.y)
        y = flow(ft.partial(self.time_and_input, carry), carry.y, ft.partial(hold, still))
        if carry.noise_key is not None:
            y = jtu.tree_map(jnp.add, y, self._noise(carry, carry.noise_key))
        return hold(carry.y, y)

    def _noise(self, carry: Carry, key: Key) -> State:
        t, u = self.time_and_input(carry, 0.0)
        strength = diffusion_at(self.parts.diffusion, t, carry.y, u)
        normals = normal_like(carry.y, jax.random.fold_in(key, carry.step))
        return jtu.tree_map(lambda g, z: g * math.sqrt(self.grid.dt) * z, strength, normals)

    def _flowed_to_guard(
        self, carry: Carry, flow: Flow
    ) -> tuple[State, PyTree[Bool[Array, "..."]]]:
        """The state after flow and noise, and where the guard is positive then."""
        system: Any = self.parts.flow
        y = self._flowed(carry, flow)
        guard = system.guard(*self._at_end(carry, y))
        return y, jtu.tree_map(lambda g: g > 0, guard)

    def _flowed_once(self, carry: Carry, flow: Flow):
        """The same, in a branch that is always taken where units form lattices.

        XLA would compute the flow anew for each use that is made of it. Rows of units need
        no branch: what is done for each of their spikes is a loop, which has that effect.
        """
        flowed = lambda: self._flowed_to_guard(carry, flow)
        guard = self.guard_shape(carry)
        if all(len(leaf.shape) < 2 for leaf in jtu.tree_leaves(guard)):
            return flowed()
        still = jtu.tree_map(jnp.zeros_like, carry.y)
        silent = jtu.tree_map(lambda g: jnp.zeros(g.shape, bool), guard)
        return jax.lax.cond(carry.step >= 0, flowed, lambda: (still, silent))

    def _silence(self, system: AbstractHybridSystem, carry: Carry) -> _Spiking:
        guard = self.guard_shape(carry)
        longest = max(jtu.tree_leaves(self._delay_steps(system)), default=0)
        rows = longest + 1 if longest else 0
        has_clock = system.refractory_steps(self.grid.dt) is not None
        never = lambda g: jnp.full(g.shape, -FOREVER - 1, jnp.int32)
        none = jnp.asarray(-1, jnp.int32)
        return _Spiking(
            queue=jtu.tree_map(lambda g: jnp.zeros((rows, *g.shape)), guard),
            last=jtu.tree_map(never, guard) if has_clock else None,
            above=self._above_at_start(system, carry),
            record=self.record.init(number_of_units(guard)),
            escape=None if system.escaped(carry.y) is None else Escape(none, none),
        )

    def _above_at_start(self, system: AbstractHybridSystem, carry: Carry):
        if not any(map(np.any, jtu.tree_leaves(system.spikes_by_crossing()))):
            return None
        # A unit that starts above its threshold has not crossed it.
        return jtu.tree_map(lambda g: g > 0, system.guard(*self._at_end(carry, carry.y)))

    def _delay_steps(self, system: AbstractHybridSystem) -> PyTree[int]:
        return jtu.tree_map(
            lambda delay: whole_steps_of_delay(delay, self.grid.dt), system.delays()
        )

    def _spike(
        self, carry: Carry, spiking: _Spiking, y: State, above: PyTree[Bool[Array, "..."]]
    ) -> tuple[State, _Spiking, PyTree]:
        """What the spikes of this step, and those that arrive, do."""
        system: Any = self.parts.flow
        refractory = self._refractory(carry)
        blocked = self._blocked(spiking, refractory)
        fired = above
        if blocked is not None:
            fired = jtu.tree_map(lambda a, b: a & ~b, above, blocked)
        t, _, u = self._at_end(carry, y)
        spikes = self._as_numbers(carry, y, fired, blocked)
        queue, arrivals = self._through_queue(system, spiking.queue, carry.step, spikes)

        received = system.receive(t, y, arrivals, u)
        if refractory is not None:
            held = jtu.tree_map(jnp.logical_or, refractory.held, fired)
            received = system.hold(y, received, held)
        y = system.reset(t, received, spikes, u)

        last = spiking.last
        if last is not None:
            last = jtu.tree_map(lambda f, k: jnp.where(f, carry.step, k), fired, last)
        counted = fired if self.surrogate is None else spikes
        record, recorded = self.record.add(
            spiking.record, _in_a_row(fired), _in_a_row(counted), carry.step
        )
        next_above = None if spiking.above is None else above
        escape = self._escape(system, spiking.escape, y, carry.step)
        return y, _Spiking(queue, last, next_above, record, escape), recorded

    def _escape(self, system: AbstractHybridSystem, escape: Escape | None, y: State, step):
        """The first escape so far."""
        if escape is None:
            return None
        escaped = _in_a_row(system.escaped(y))
        is_first = (escape.step < 0) & jnp.any(escaped)
        return Escape(
            *jax.lax.cond(
                is_first,
                lambda: (step, jnp.argmax(escaped).astype(jnp.int32)),
                lambda: (escape.step, escape.unit),
            )
        )

    def _blocked(
        self, spiking: _Spiking, refractory: "_Refractory | None"
    ) -> PyTree[Bool[Array, "..."]] | None:
        """Which units cannot spike, whatever their guard."""
        blocked = None if refractory is None else refractory.blocked
        if spiking.above is None:
            return blocked
        system: Any = self.parts.flow
        crosses = jax.tree.broadcast(system.spikes_by_crossing(), spiking.above)
        stays = jtu.tree_map(lambda a, c: a & c, spiking.above, crosses)
        if blocked is None:
            return stays
        return jtu.tree_map(lambda b, s: b | s, blocked, stays)

    def _refractory(self, carry: Carry) -> "_Refractory | None":
        system: Any = self.parts.flow
        last = None if carry.spiking is None else carry.spiking.last
        if last is None:
            return None
        steps = system.refractory_steps(self.grid.dt)

        def within(count):
            count = jax.tree.broadcast(count, last)
            return jtu.tree_map(lambda k, n: carry.step - k < n, last, count)

        return _Refractory(held=within(steps.held), blocked=within(steps.blocked))

    def _as_numbers(
        self,
        carry: Carry,
        y: State,
        fired: PyTree[Bool[Array, "..."]],
        blocked: PyTree[Bool[Array, "..."]] | None,
    ) -> PyTree[Float[Array, "..."]]:
        """1 where a unit fired, 0 elsewhere; with a slope, if a surrogate is given."""
        if self.surrogate is None:
            return jtu.tree_map(lambda f: f.astype(float), fired)
        system: Any = self.parts.flow
        spikes = jtu.tree_map(self.surrogate, system.guard(*self._at_end(carry, y)))
        if blocked is None:
            return spikes
        return jtu.tree_map(lambda s, b: jnp.where(b, 0.0, s), spikes, blocked)

    def _through_queue(self, system: AbstractHybridSystem, queue, step, spikes):
        """Put the spikes of this step into the queue, and take out what arrives."""
        delays = self._delay_steps(system)
        rows = 1 + max(jtu.tree_leaves(delays), default=0)
        if rows > 1:
            # Written before it is read: else XLA would copy the queue in each step.
            queue = jtu.tree_map(lambda q, s: q.at[step % rows].set(s), queue, spikes)

        def after(delay: int):
            if delay == 0:
                return spikes
            row = (step - delay) % rows
            return jtu.tree_map(lambda q: q.at[row].get(mode="promise_in_bounds"), queue)

        return queue, jtu.tree_map(after, delays)


def number_of_units(guard: PyTree) -> int:
    """The number of all units."""
    return sum(math.prod(g.shape) for g in jtu.tree_leaves(guard))


def _in_a_row(fired: PyTree) -> Real[Array, " units"] | Bool[Array, " units"]:
    """All units in a row."""
    parts = [f.ravel() for f in jtu.tree_leaves(fired)]
    if len(parts) == 1:
        return parts[0]
    row, first = jnp.zeros(sum(f.size for f in parts), parts[0].dtype), 0
    # Not `concatenate`: XLA would decide anew for each unit where it comes from.
    for part in parts:
        row = row.at[first : first + part.size].set(part)
        first += part.size
    return row


def prepare_flow(
    solver: diffrax.AbstractSolver | Exponential | Staggered, step: Step, start: Carry
) -> tuple[Flow, Bool[Array, ""]]:
    """What a solver makes of a step of the flow, and whether it suits the system."""
    system: Any = step.parts.flow
    field, dt = system.vector_field, step.grid.dt
    if isinstance(solver, Staggered):
        t, u = step.time_and_input(start, 0.5)
        staggered_step, suits = prepare_staggered(
            field, system.voltages, system.cables(), dt, t, start.y, u
        )

        def staggered(read: Reader, y: State, hold: Hold) -> State:
            t, u = read(0.5)
            # On the way back a step is computed once more: that is four times faster than
            # to keep what each exponential in it has left.
            step = lambda t, y, u: staggered_step(t, y, u, hold)
            return jax.checkpoint(step, prevent_cse=False)(t, y, u)

        return staggered, suits

    if isinstance(solver, Exponential):
        t, u = step.time_and_input(start, 0.0)
        exponential_step, suits = prepare_exponential(field, dt, t, start.y, u)

        def exponential(read: Reader, y: State, hold: Hold) -> State:
            t, u = read(0.0)
            return exponential_step(t, y, u, hold)

        return exponential, suits

    tableau = tableau_of(solver)

    def runge_kutta(read: Reader, y: State, hold: Hold) -> State:
        def rate(fraction, y):
            t, u = read(fraction)
            return hold(field(t, y, u))

        return runge_kutta_step(tableau, rate, y, dt)

    return runge_kutta, jnp.asarray(True)
