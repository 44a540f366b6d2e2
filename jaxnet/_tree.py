"""The leaves of a tree: made arrays once, and looked at once."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, PyTree

from ._result import is_concrete
from ._types import RealScalarLike


def float_dtype() -> np.dtype:
    """The default float dtype of JAX; `jnp.dtype(float)` is always float64."""
    return np.dtype(jnp.result_type(float))


def numerics_for(*values) -> Any:
    """NumPy for what can be looked at now, since JAX compiles each operation; else JAX."""
    return np if all(map(is_concrete, values)) else jnp


def is_numeric(x) -> bool:
    """Whether a leaf is a number or an array, traced or not."""
    return isinstance(x, int | float | complex | np.ndarray | np.generic | jax.Array)


def is_inexact(x) -> bool:
    """Whether a leaf is a floating-point or complex number or array."""
    return is_numeric(x) and jnp.issubdtype(jnp.result_type(x), jnp.inexact)


def as_float_array(x: PyTree) -> PyTree:
    """Every number and every real array of a tree as an array of the default dtype.

    A list is read as an array, not as a tree.
    """

    def convert(leaf):
        if isinstance(leaf, list):
            leaf = jnp.asarray(leaf)
        if not is_numeric(leaf):
            raise ValueError(f"A parameter must be a number or an array, not {leaf!r}.")
        if jnp.iscomplexobj(leaf):
            raise ValueError(
                f"A parameter must be real, but {leaf!r} is complex. Pass its real and "
                "its imaginary part as two parameters."
            )
        return jnp.asarray(leaf, dtype=float)

    return jtu.tree_map(convert, x, is_leaf=lambda leaf: isinstance(leaf, list))


def as_arrays(tree: PyTree) -> PyTree:
    """Python floats and real arrays as arrays of the default float dtype.

    Integers, Booleans, keys and functions stay what they are. `eqx.tree_at` bypasses
    the converters of a module, and a Python float would be compiled into the program.
    """

    def convert(leaf):
        is_float = isinstance(leaf, float | np.floating) or (
            eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating)
        )
        return jnp.asarray(leaf, dtype=float) if is_float else leaf

    return jtu.tree_map(convert, tree)


def all_true(conditions: Sequence[Bool[Array, ""] | np.bool_]) -> Bool[Array, ""]:
    """Whether all conditions hold, of which there may be none."""
    known = [bool(x) for x in conditions if is_concrete(x)]
    traced = [x for x in conditions if not is_concrete(x)]
    # Without JAX where it can be: each small operation of its own is compiled.
    return (
        jnp.all(jnp.stack([jnp.asarray(all(known)), *traced]))
        if traced
        else (jnp.asarray(all(known)))
    )


def check_no_nan(tree: PyTree, name: str, *, finite: bool = False) -> Bool[Array, ""]:
    """Whether no leaf has a NaN, or whether all are finite.

    A concrete NaN raises a `ValueError` at once. An infinite parameter can make sense
    (an onset that never comes); an infinite state does not.
    """
    conditions = []
    for path, leaf in jtu.tree_leaves_with_path(tree):
        if not is_inexact(leaf):
            continue
        xp = numerics_for(leaf)
        good = xp.isfinite(leaf) if finite else ~xp.isnan(leaf)
        if is_concrete(good) and not good.all():
            fault = "NaN or infinite" if finite else "NaN"
            at = [list(map(int, index)) for index in np.argwhere(~good)]
            where = f" at index {at[0]}" if jnp.ndim(leaf) else ""
            raise ValueError(
                f"`{name}{jtu.keystr(path)}` is {fault}{where}. Look at what made it; "
                "`jax.config.update('jax_debug_nans', True)` finds the first NaN."
            )
        conditions.append(xp.all(good))
    return all_true(conditions)


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every floating-point entry of a tree is finite."""
    leaves = [x for x in jtu.tree_leaves(tree) if is_inexact(x)]
    return all_true([jnp.all(jnp.isfinite(x)) for x in leaves])


def replace_unless(good: Bool[Array, ""], tree: PyTree, value: RealScalarLike) -> PyTree:
    """The tree, or one value in every floating-point leaf."""
    if is_concrete(good) and good:
        return tree

    def replace(leaf):
        return jnp.where(good, leaf, value) if is_inexact(leaf) else leaf

    return jtu.tree_map(replace, tree)


def nan_unless(good: Bool[Array, ""], tree: PyTree) -> PyTree:
    """The tree, or NaN in every floating-point leaf."""
    return replace_unless(good, tree, jnp.nan)


def same_shapes(a: PyTree, b: PyTree) -> bool:
    """Whether two trees have one structure, and their leaves one shape each."""
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(jnp.shape(x) == jnp.shape(y) for x, y in pairs)
