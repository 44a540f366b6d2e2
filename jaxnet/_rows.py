"""Rows of arrays by tables of their numbers; slices where they can be, which is faster."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def columns(x: Array, ndim: int) -> Array:
    """With further axes of length one, up to so many; a number stays one."""
    return x if x.ndim == 0 else x.reshape(x.shape + (1,) * (ndim - x.ndim))


def take_rows(x: Array, index: np.ndarray) -> Array:
    """The rows in a table, in its shape."""
    flat = index.ravel()
    where = _as_slice(flat)
    rows = x[where] if where else x.at[flat].get(mode="promise_in_bounds")
    return rows.reshape(*index.shape, *x.shape[1:])


def add_to_rows(x: Array, index: np.ndarray, values: Array) -> Array:
    """An array with values added to some rows, which may be named more than once."""
    flat = index.ravel()
    values = jnp.broadcast_to(values, (*index.shape, *x.shape[1:]))
    values = values.reshape(flat.size, *x.shape[1:])
    where = _as_slice(flat)
    if where == slice(0, x.shape[0], 1):
        return x + values
    if where:
        return x.at[where].add(values)
    return x.at[flat].add(values, mode="promise_in_bounds")


def _as_slice(index: np.ndarray) -> slice | None:
    """The slice that has the same entries, if there is one."""
    steps = np.unique(np.diff(index))
    if index.size == 0 or steps.size > 1 or (steps.size and steps[0] < 1):
        return None
    step = int(steps[0]) if steps.size else 1
    return slice(int(index[0]), int(index[-1]) + 1, step)
