"""What every generator looks at first."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._result import is_concrete
from .._types import RealScalarLike


def require_units(**sizes: int) -> None:
    """A `ValueError` where a population is empty or its size negative."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(
                f"`{name}` must be positive, but it is {size}. Pass the number of units."
            )


def keeps_diagonal(targets: int, sources: int, self_connections: bool | None) -> bool:
    """Whether the entries [i, i] may be true.

    Populations of two sizes are two populations, and have no self-connections to leave
    out. Of one size, they may be one population or two: the caller must know.
    """
    if targets != sources:
        return True
    if self_connections is None:
        raise ValueError(
            f"`self_connections` is missing: {targets} targets and as many sources may be "
            "one population or two. Pass `self_connections=False` to leave out the "
            "diagonal of a recurrent projection, `self_connections=True` to keep it, as "
            "between two populations."
        )
    return self_connections


def as_probability(p: RealScalarLike, name: str) -> Float[Array, ""]:
    """The probability as an array.

    One outside of [0, 1] raises: now where it is concrete, else when the program runs. A
    Boolean matrix cannot carry a NaN, so that going on would be a silent wrong answer.
    """
    remedy = "Pass a fraction, such as 0.1 for 10 %."
    if is_concrete(p):
        if not 0 <= float(p) <= 1:
            raise ValueError(f"`{name}` must lie in [0, 1], but it is {p}. {remedy}")
        return jnp.asarray(p, float)
    p = jnp.asarray(p, float)
    return eqx.error_if(
        p, ~((p >= 0) & (p <= 1)), f"`{name}` must lie in [0, 1], but it does not. {remedy}"
    )
