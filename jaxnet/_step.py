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
from jaxtyping import Array, Bool, Float, Int, PyTree

from ._exponential import Exponential, prepare_exponential
from ._random import normal_like, require_key, split_key
from ._record import AbstractRecord
from ._runge_kutta import runge_kutta_step, tableau_of
from ._system import AbstractHybridSystem, diffusion_at, Parts
from ._time_grid import FOREVER, TimeGrid, whole_steps_of_delay, whole_steps_of_period
from ._types import InputValue, Key, State
from .surrogate import AbstractSurrogate


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

    `queue` has a row for each of the steps that the longest delay reaches back; `last` is
    the step of the last spike of each unit.
    """

    queue: Float[Array, "delay *units"]
    last: Int[Array, "*units"] | None
    record: PyTree


class Step(eqx.Module):
    """One step: flow, noise, and what spikes do."""

    parts: Parts
    grid: TimeGrid
    record: AbstractRecord
    surrogate: AbstractSurrogate | None

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
        spiking = self._silence(self.parts.flow, self.units(carry))
        return eqx.tree_at(lambda c: c.spiking, carry, spiking, is_leaf=lambda x: x is None)

    def units(self, carry: Carry) -> tuple[int, ...]:
        """The shape of the guard."""
        system: Any = self.parts.flow
        guard = lambda c: system.guard(*self._at_end(c, c.y))
        return eqx.filter_eval_shape(guard, carry).shape

    def __call__(self, carry: Carry, flow: Flow) -> tuple[Carry, PyTree]:
        """The next carry, and what is recorded of this step alone."""
        system: Any = self.parts.flow
        spiking, recorded, refractory = carry.spiking, None, None
        if spiking is not None:
            refractory = self._refractory(system, carry.step, spiking.last)

        def hold(before: State, after: State) -> State:
            return after if refractory is None else system.hold(before, after, refractory)

        still = jtu.tree_map(jnp.zeros_like, carry.y)
        read = ft.partial(self.time_and_input, carry)
        y = flow(read, carry.y, ft.partial(hold, still))
        if carry.noise_key is not None:
            y = jtu.tree_map(jnp.add, y, self._noise(carry, carry.noise_key))
        if spiking is not None:
            y = hold(carry.y, y)
            y, spiking, recorded = self._spike(carry, y, spiking, refractory)
        next_input = self.parts.input.advance(carry.input, self.grid, carry.step)
        return Carry(carry.step + 1, y, next_input, carry.noise_key, spiking), recorded

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

    def _noise(self, carry: Carry, key: Key) -> State:
        t, u = self.time_and_input(carry, 0.0)
        strength = diffusion_at(self.parts.diffusion, t, carry.y, u)
        normals = normal_like(carry.y, jax.random.fold_in(key, carry.step))
        return jtu.tree_map(lambda g, z: g * math.sqrt(self.grid.dt) * z, strength, normals)

    def _silence(self, system: AbstractHybridSystem, units: tuple[int, ...]) -> _Spiking:
        longest = max(jtu.tree_leaves(self._delay_steps(system)), default=0)
        has_clock = system.refractory_periods() is not None
        return _Spiking(
            queue=jnp.zeros((longest, *units)),
            last=jnp.full(units, -FOREVER - 1, jnp.int32) if has_clock else None,
            record=self.record.init(math.prod(units)),
        )

    def _delay_steps(self, system: AbstractHybridSystem) -> PyTree[int]:
        return jtu.tree_map(
            lambda delay: whole_steps_of_delay(delay, self.grid.dt), system.delays()
        )

    def _spike(
        self, carry: Carry, y: State, spiking: _Spiking, refractory
    ) -> tuple[State, _Spiking, PyTree]:
        system: Any = self.parts.flow
        t, _, u = self._at_end(carry, y)
        guard = system.guard(t, y, u)
        fired = guard > 0 if refractory is None else (guard > 0) & ~refractory
        spikes = self._as_numbers(guard, fired, refractory)
        queue, arrivals = self._through_queue(system, spiking.queue, carry.step, spikes)

        received = system.receive(t, y, arrivals, u)
        if refractory is not None:
            received = system.hold(y, received, refractory | fired)
        y = system.reset(t, received, spikes, u)

        last = spiking.last
        if last is not None:
            last = jnp.where(fired, carry.step, last)
        record, recorded = self.record.add(spiking.record, fired.ravel(), carry.step)
        return y, _Spiking(queue, last, record), recorded

    def _refractory(
        self, system: AbstractHybridSystem, step, last
    ) -> Bool[Array, "*units"] | None:
        periods = system.refractory_periods()
        if periods is None:
            return None
        return step - last < whole_steps_of_period(periods, self.grid.dt)

    def _as_numbers(self, guard, fired, refractory) -> Float[Array, "*units"]:
        """1 where a unit fired, 0 elsewhere; with a slope, if a surrogate is given."""
        if self.surrogate is None:
            return fired.astype(float)
        spikes = self.surrogate(guard)
        return spikes if refractory is None else jnp.where(refractory, 0.0, spikes)

    def _through_queue(self, system: AbstractHybridSystem, queue, step, spikes):
        """Put the spikes of this step into the queue, and take out what arrives."""
        longest = queue.shape[0]

        def after(delay: int):
            if delay == 0:
                return spikes
            return queue.at[(step - delay) % longest].get(mode="promise_in_bounds")

        arrivals = jtu.tree_map(after, self._delay_steps(system))
        if longest:
            # The row that was written `longest` steps ago has just been read.
            queue = queue.at[step % longest].set(spikes)
        return queue, arrivals


def prepare_flow(
    solver: diffrax.AbstractSolver | Exponential, step: Step, start: Carry
) -> tuple[Flow, Bool[Array, ""]]:
    """What a solver makes of a step of the flow, and whether it suits the system."""
    field, dt = step.parts.flow.vector_field, step.grid.dt
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
