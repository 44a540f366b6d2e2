"""What an experiment returns: its claims, each with a verdict, and its figures."""

import dataclasses
import math
from typing import SupportsFloat

from matplotlib.animation import Animation
from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement, what was expected and what came out."""

    statement: str
    expected: str
    got: str
    holds: bool


@dataclasses.dataclass(frozen=True)
class Report:
    """The claims, figures and animations of an experiment, the latter under their names."""

    claims: list[Claim]
    figures: dict[str, Figure]
    animations: dict[str, Animation] = dataclasses.field(default_factory=dict)


def close(
    statement: str, expected: SupportsFloat, got: SupportsFloat, tolerance: float
) -> Claim:
    """A claim that two numbers agree to an absolute tolerance."""
    digits = max(0, math.ceil(-math.log10(tolerance)) + 1)
    return Claim(
        statement,
        f"{float(expected):.{digits}f} ± {tolerance:.0e}",
        f"{float(got):.{digits}f}",
        bool(abs(float(got) - float(expected)) <= tolerance),
    )


def agrees(
    statement: str,
    expected: float,
    expected_error: float,
    got: SupportsFloat,
    got_error: SupportsFloat,
) -> Claim:
    """A claim that two estimates agree within three combined standard errors."""
    got, got_error = float(got), float(got_error)
    # Two digits of the smaller error.
    errors = [e for e in (expected_error, got_error) if e > 0]
    digits = max(2, 1 - math.floor(math.log10(min(errors, default=1.0))))
    return Claim(
        statement,
        f"{expected:.{digits}f} ± {expected_error:.{digits}f}",
        f"{got:.{digits}f} ± {got_error:.{digits}f}",
        bool(abs(got - expected) <= 3 * math.hypot(expected_error, got_error)),
    )


def equal(statement: str, expected: object, got: object) -> Claim:
    """A claim that something is exactly so."""
    return Claim(statement, str(expected), str(got), bool(expected == got))


def below(statement: str, bound: float, got: SupportsFloat) -> Claim:
    """A claim that an error stays below a bound."""
    return Claim(statement, f"< {bound:.0e}", f"{float(got):.1e}", bool(float(got) < bound))
