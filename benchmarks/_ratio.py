"""Times and their ratios."""

import dataclasses
import time
from collections.abc import Callable

import jax


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A ratio that was measured, the goal for it, and what it is made of."""

    name: str
    goal: str
    got: float
    met: bool
    details: str


def seconds(function: Callable, *args) -> float:
    """The time of one call, to its last result."""
    start = time.perf_counter()
    jax.block_until_ready(function(*args))
    return time.perf_counter() - start


def median_seconds(function: Callable, *args, runs: int = 9) -> float:
    """The median time of several calls; the first ones should be over."""
    return sorted(seconds(function, *args) for _ in range(runs))[runs // 2]
