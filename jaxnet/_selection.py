"""The parameters that a function selects of a system, by their places."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import jax.tree_util as jtu
from jaxtyping import PyTree


# From a system to the parameter, or the parameters, that vary.
Where: TypeAlias = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class Place:
    """Stands for a leaf of a system: whatever is done with it but select it, fails."""

    index: int


def numbered(system: PyTree) -> PyTree:
    """The system with a place in every leaf."""
    leaves, structure = jtu.tree_flatten(system)
    return jtu.tree_unflatten(structure, map(Place, range(len(leaves))))


def select(system: PyTree, where: Where, remedy: str) -> PyTree:
    """What a function selects, with places for leaves; a failure raises the remedy."""
    try:
        return where(numbered(system))
    except (AttributeError, LookupError, TypeError) as e:
        raise ValueError(
            f"{remedy}It failed: {e}. To select one entry of an array, make it a field of "
            "its own, or of an input a tuple of numbers."
        ) from e


def put(system: PyTree, places: tuple[int, ...], values) -> PyTree:
    """The system with other values at some places."""
    leaves, structure = jtu.tree_flatten(system)
    for place, value in zip(places, values, strict=True):
        leaves[place] = value
    return jtu.tree_unflatten(structure, leaves)
