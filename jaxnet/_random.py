"""Random trees."""

import jax
import jax.tree_util as jtu
from jaxtyping import PyTree

from ._types import Key


def normal_like(tree: PyTree, key: Key) -> PyTree:
    """Independent standard normals in the shape of a tree of arrays."""
    leaves, structure = jtu.tree_flatten(tree)
    keys = jax.random.split(key, len(leaves))
    normals = [
        jax.random.normal(k, leaf.shape, leaf.dtype)
        for k, leaf in zip(keys, leaves, strict=True)
    ]
    return jtu.tree_unflatten(structure, normals)


def split_key(key: Key) -> tuple[Key, Key]:
    """The key of a run's input, and that of its white noise."""
    input_key, noise_key = jax.random.split(key)
    return input_key, noise_key


def require_key(key: Key | None, what: str) -> Key:
    """The key, or a `ValueError` where there is none."""
    if key is None:
        raise ValueError(
            f"`key` is missing: {what} is random. Pass `key=jax.random.key(...)` to "
            "`simulate`."
        )
    return key
