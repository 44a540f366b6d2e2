"""Simulations that objectives look at."""

import abc
import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._grid import Grid
from .._method import AbstractMethod
from .._prepare import fit_state
from .._random import require_key
from .._result import SUCCESS
from .._simulate import simulate
from .._solution import Solution, Spikes
from .._step import number_of_units
from .._system import AbstractHybridSystem, AbstractSystem, decompose
from .._time_grid import concrete_float
from .._tree import as_float_array
from .._types import Key, State
from ._base import AbstractObjective, Misfit


class Run(eqx.Module):
    """A simulation that an objective looks at.

    **Arguments:**

    - `y0`: the state at the start.
    - `t1`: the end (ms); it starts at 0.
    - `method`: how, such as `jaxnet.Grid(0.1)`.
    - `transient`: what is not looked at, from the start on (ms).
    - `trials`: how many runs are averaged, each with a key of its own.
    """

    y0: State = eqx.field(converter=as_float_array)
    t1: float = eqx.field(
        static=True, converter=lambda x: concrete_float(x, "t1", "It fixes the steps.")
    )
    method: AbstractMethod
    transient: float = eqx.field(
        static=True,
        default=0.0,
        converter=lambda x: concrete_float(x, "transient", "It fixes the steps."),
        kw_only=True,
    )
    trials: int = eqx.field(static=True, default=1, kw_only=True)

    def __check_init__(self):
        if not 0 <= self.transient < self.t1:
            raise ValueError(
                f"`transient` must be from 0 to below `t1` = {self.t1}, but it is "
                f"{self.transient}."
            )
        if self.trials < 1:
            raise ValueError(f"`trials` must be at least 1, but it is {self.trials}.")

    def solutions(self, system: AbstractSystem, key: Key | None) -> Solution:
        """All trials, along a leading axis."""

        def one(key):
            return simulate(
                system, self.y0, t1=self.t1, method=self.method, key=key, throw=False
            )

        if key is None:
            if self.trials > 1:
                require_key(key, "a `Run` of several trials")
            return jtu.tree_map(lambda x: jnp.asarray(x)[None], one(None))
        return jax.vmap(one)(jax.random.split(key, self.trials))


class AbstractRunObjective(AbstractObjective):
    """An objective of a simulation: it has no unknowns."""

    run: eqx.AbstractVar[Run]

    @abc.abstractmethod
    def of_solution(self, system: AbstractSystem, solution: Solution) -> Misfit:
        """The misfit of one trial."""

    @abc.abstractmethod
    def check_system(self, system: AbstractSystem) -> None:
        """Raise where the system is of the wrong kind."""

    def prepare(self, system):
        self.check_system(system)
        y0 = fit_state(decompose(system), self.run.y0, "y0")
        return dataclasses.replace(self, run=dataclasses.replace(self.run, y0=y0))

    def guess(self, system):
        return ()

    def equations(self, system, unknowns):
        return jnp.zeros(0)

    def misfit(self, system, unknowns, key):
        def of_one(solution):
            misfit = self.of_solution(system, solution)
            # A record that was full is a failure too: what it lacks is not known.
            return jnp.where(solution.result == SUCCESS, misfit, jnp.nan)

        solutions = self.run.solutions(system, key)
        return jnp.mean(jax.vmap(of_one)(solutions), axis=0)

    def verify(self, system, unknowns, tolerance):
        return SUCCESS

    def with_runs(self, change):
        run = dataclasses.replace(self.run, method=change(self.run.method))
        return dataclasses.replace(self, run=run)


def is_spiking(system: AbstractSystem) -> bool:
    """Whether a system has spikes."""
    return isinstance(decompose(system).flow, AbstractHybridSystem)


def is_smooth(system: AbstractSystem) -> bool:
    """Whether the state of a system moves without jumps."""
    flow = decompose(system).flow
    return not isinstance(flow, AbstractHybridSystem) or flow.is_smooth()


def require_spikes(system: AbstractSystem, name: str) -> None:
    if not is_spiking(system):
        flow = type(decompose(system).flow).__name__
        raise ValueError(
            f"`{name}` is an objective of spikes, but `{flow}` has none. For a rate model "
            "take `Rate`, `SpectralPeak`, `Trace` or `Cycle`."
        )


def grid_of(run: Run, name: str) -> Grid:
    if not isinstance(run.method, Grid):
        raise ValueError(
            f"`{name}` needs samples at equal intervals: give its `run` a `jaxnet.Grid`, "
            f"not {run.method!r}."
        )
    return run.method


def times_of(solution: Solution, name: str) -> Spikes:
    if not isinstance(solution.spikes, Spikes):
        raise ValueError(
            f"`{name}` needs the times of the spikes: give the `Grid` of its `run` the "
            "record `jaxnet.RecordTimes(max_spikes)`."
        )
    return solution.spikes


def units_of(system: AbstractSystem, run: Run) -> int:
    parts = decompose(system)
    flow: Any = parts.flow
    u = parts.input.value_shape()
    return number_of_units(eqx.filter_eval_shape(flow.guard, jnp.zeros(()), run.y0, u))


def why_no_gradient(
    objective: AbstractRunObjective, system: AbstractSystem, what: str, *, always=False
) -> str | None:
    method = objective.run.method
    if not is_spiking(system):
        return None
    has_surrogate = isinstance(method, Grid) and method.surrogate is not None
    if has_surrogate and not always:
        return None
    return f"`{type(objective).__name__}` {what}, and a spike comes or goes in a jump"
