"""A matrix that is drawn a few rows at a time."""

from collections.abc import Callable

import jax
from jaxtyping import Array, PyTree


# Draws that are held at once. With 4 bytes each, they stay in the cache of a processor.
_DRAWS = 2**17


def by_rows(row: Callable[..., PyTree], *xs: Array, draws: int) -> PyTree:
    """`row(*x)` for every `x`, in batches.

    The random numbers behind a Boolean entry are four or eight times its size; a matrix of
    them would not fit where the result does.

    **Arguments:**

    - `draws`: how many random numbers one row takes.
    """
    return jax.lax.map(lambda x: row(*x), xs, batch_size=max(1, _DRAWS // draws))
