"""What an objective is: numbers that are zero where a system does what it should."""

import abc
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Bool, Float, PyTree

from .._critical import solve_critical
from .._newton import Vector
from .._result import RESULTS
from .._system import AbstractSystem
from .._types import Key


Misfit = Float[Array, " misfits"]
_Objective = TypeVar("_Objective", bound="AbstractObjective")


class AbstractObjective(eqx.Module):
    """What a system should do.

    Some objectives speak of a state or an orbit that is not known before: these unknowns
    fulfil as many equations as they are numbers. What should be is then that the misfit is
    zero. A fit solves for the unknowns inside, or along with the parameters, all at once.
    """

    @abc.abstractmethod
    def prepare(self: _Objective, system: AbstractSystem) -> _Objective:
        """The objective with values that fit the system, which is of the right kind."""

    @abc.abstractmethod
    def guess(self, system: AbstractSystem) -> PyTree:
        """Where a search for the unknowns starts; an empty tree if there are none."""

    @abc.abstractmethod
    def equations(self, system: AbstractSystem, unknowns: PyTree) -> Vector:
        """Zero for the right unknowns, whether the objective is met or not."""

    @abc.abstractmethod
    def misfit(self, system: AbstractSystem, unknowns: PyTree, key: Key | None) -> Misfit:
        """Zero where the objective is met."""

    @abc.abstractmethod
    def verify(
        self, system: AbstractSystem, unknowns: PyTree, tolerance: Float[Array, ""]
    ) -> RESULTS:
        """Whether what was found is what was meant; it is looked at once, at the end."""

    @abc.abstractmethod
    def why_no_gradient(self, system: AbstractSystem) -> str | None:
        """Why the derivative of the misfit is of no use, or None where it is exact."""

    @abc.abstractmethod
    def with_runs(self: _Objective, change: Callable) -> _Objective:
        """The objective with another method in each of its simulations."""


def has_runs(objective: AbstractObjective) -> bool:
    """Whether an objective looks at a simulation."""
    found = []
    objective.with_runs(lambda method: found.append(method) or method)
    return bool(found)


def solve_unknowns(
    objective: AbstractObjective, system: AbstractSystem, guess: PyTree
) -> tuple[PyTree, Bool[Array, ""]]:
    """The unknowns by their equations, differentiable, and whether they were found."""
    if not jtu.tree_leaves(guess):
        return guess, jnp.asarray(True)
    return solve_critical(system, guess, objective.equations)
