"""What every verb does first: normalise, look for bad values, evaluate once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import PyTree

from ._parameters import check_ranges
from ._result import is_concrete, result_if, RESULTS, SUCCESS, worst
from ._system import AbstractSystem, decompose, drive, Parts
from ._tree import (
    as_arrays,
    as_float_array,
    check_no_nan,
    replace_unless,
    same_shapes,
)
from ._types import InputValue, State
from .inputs import as_input


def prepare_system(system: AbstractSystem, u: InputValue) -> tuple[Parts, RESULTS]:
    """The parts of a system with its input, and whether its values are good."""
    system, result = prepare_driven(system, u)
    return decompose(system), result


def prepare_driven(system: AbstractSystem, u: InputValue) -> tuple[AbstractSystem, RESULTS]:
    """A system with its input, and whether its values are good.

    A concrete bad value raises. A traced one is in the result, and all parameters are
    then 1: what is computed from them is thrown away, but it has finite derivatives, so
    that parameters which are shared with other elements of a batch keep theirs.
    """
    if not isinstance(system, AbstractSystem):
        raise ValueError(
            f"`system` must be a `jaxnet.AbstractSystem`, but it is {type(system)}. "
            "Subclass `AbstractSystem` and give its `vector_field`."
        )
    system = as_arrays(system)
    if not callable(u):
        check_no_nan(u, "u")
    try:
        u = None if u is None else as_arrays(as_input(u))
    except ValueError as e:
        raise ValueError(f"`u` is no input: {e}") from e
    in_range = check_ranges(system) & check_ranges(u)
    no_nan = check_no_nan(system, "system") & check_no_nan(u, "u")
    result = worst(
        result_if(~in_range, RESULTS.parameter_out_of_range),
        result_if(~no_nan, RESULTS.nan_input),
    )
    if result is not SUCCESS:
        system, u = replace_unless(result == SUCCESS, (system, u), 1.0)
    return drive(system, u), result


def prepare_state(parts: Parts, y: State, name: str) -> tuple[State, RESULTS]:
    """A state that fits the system, and whether it is finite."""
    y = fit_state(parts, y, name)
    finite = check_no_nan(y, name, finite=True)
    return replace_unless(finite, y, 0.0), result_if(~finite, RESULTS.nan_input)


def prepare_starts(
    parts: Parts, starts: State, name: str = "starts", *, may_be_none: bool = False
) -> tuple[State, RESULTS]:
    """The starts in the structure of the state, and whether one of them is finite."""
    starts = as_float_array(starts)
    lengths = {x.shape[0] if x.ndim else 0 for x in jtu.tree_leaves(starts)}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            f"`{name}` must have a leading axis of one length, one state a row, but its "
            f"shape is {jtu.tree_map(jnp.shape, starts)}. One state alone is "
            f"`{name}[None]`."
        )
    first = jtu.tree_map(lambda x: x[0], starts)
    fitted = fit_state(parts, first, f"{name}[0]")
    if not same_shapes(first, fitted):
        starts = jnp.stack(starts, axis=-1)
    is_finite = [
        jnp.all(jnp.isfinite(x), axis=tuple(range(1, x.ndim)))
        for x in jtu.tree_leaves(starts)
    ]
    some_finite = jnp.any(jnp.all(jnp.stack(is_finite), axis=0))
    if may_be_none:
        return starts, SUCCESS
    if is_concrete(some_finite) and not some_finite:
        raise ValueError(f"`{name}` has no finite start. Find where the NaN was made.")
    return starts, result_if(~some_finite, RESULTS.nan_input)


def fit_state(parts: Parts, y: State, name: str) -> State:
    """The state in the structure that the vector field returns.

    A tuple of numbers is read as an array where the system does not take a tuple.
    """
    try:
        y = as_float_array(y)
    except ValueError as e:
        raise ValueError(f"`{name}` is no state: {e}") from e
    try:
        derivative = _derivative_shape(parts, y, name)
    except ValueError:
        if not _is_flat(y):
            raise
        derivative = None
    if _is_flat(y) and not same_shapes(y, derivative):
        y = jnp.stack(y)
        derivative = _derivative_shape(parts, y, name)
    if not same_shapes(y, derivative):
        raise ValueError(
            f"`{name}` has the shape {_shapes(y)}, but the vector field of "
            f"`{type(parts.flow).__name__}` returns {_shapes(derivative)}. Give a state "
            "of the system's shape; for many systems or many states use `jax.vmap`."
        )
    return y


def _is_flat(y: State) -> bool:
    return isinstance(y, tuple) and all(jnp.ndim(x) == 0 for x in y)


def _derivative_shape(parts: Parts, y: State, name: str) -> PyTree:
    u = parts.input.value_shape()
    try:
        return eqx.filter_eval_shape(parts.flow.vector_field, jnp.zeros(()), y, u)
    except (AttributeError, LookupError, TypeError, ValueError) as e:
        raise ValueError(
            f"The vector field of `{type(parts.flow).__name__}` cannot be evaluated at "
            f"`{name}` of shape {_shapes(y)} and an input `u` of shape {_shapes(u)}: {e}"
        ) from e


def _shapes(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: tuple(x.shape), tree)
