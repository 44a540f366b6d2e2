"""A matrix that is drawn a few rows at a time."""

from collections.abc import Callable

import jax
from jaxtyping import Array, PyTree


# Entries whose draws are held at once: few enough for the cache of a processor.
_ENTRIES = 2**17


def by_rows(row: Callable[..., PyTree], *xs: Array, width: int) -> PyTree:
    """`row(*x)` for every `x`, in batches.

    The random numbers behind a Boolean entry are many times its size: a matrix of them
    would not fit where the result does.

    **Arguments:**

    - `width`: number of entries of a row.
    """
    return jax.lax.map(lambda x: row(*x), xs, batch_size=max(1, _ENTRIES // width))
