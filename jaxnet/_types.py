"""Names for the types that recur in public signatures."""

from typing import TypeAlias

from jaxtyping import Array, PRNGKeyArray, PyTree, Real


RealScalarLike: TypeAlias = float | int | Real[Array, ""]

# A state and an input are any pytree of arrays: each model documents its own.
State: TypeAlias = PyTree
InputValue: TypeAlias = PyTree
Key: TypeAlias = PRNGKeyArray
