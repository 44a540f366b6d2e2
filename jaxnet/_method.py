"""What a way of advancing a system in time is."""

import abc

import diffrax
import equinox as eqx
from jaxtyping import Array, Bool

from ._solution import Solution
from ._system import Parts
from ._types import Key, RealScalarLike, State


class Problem(eqx.Module):
    """An initial value problem, normalised: what every method is given."""

    parts: Parts
    y0: State
    t0: RealScalarLike
    t1: RealScalarLike
    save: diffrax.SaveAt | None
    key: Key | None
    # False where a traced value is bad: the method may then return anything soon.
    good: Bool[Array, ""]


class AbstractMethod(eqx.Module):
    """How a system is advanced in time."""

    @abc.abstractmethod
    def solve(self, problem: Problem) -> Solution:
        """Solve the initial value problem."""
