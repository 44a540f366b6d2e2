"""Parameters: the fields of a model that can be differentiated, scanned and fitted."""

import dataclasses
from collections.abc import Iterator
from typing import Any, TYPE_CHECKING, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from ._result import is_concrete
from ._tree import all_true, as_float_array, check_no_nan, is_numeric, numerics_for


if TYPE_CHECKING:
    # A converter takes any number, which a type checker does not see.
    Parameter: TypeAlias = Any
    ScalarParameter: TypeAlias = Any
else:
    Parameter: TypeAlias = Float[Array, "..."]
    ScalarParameter: TypeAlias = Float[Array, ""]

_POSITIVE = "positive"
_NONNEGATIVE = "nonnegative"
_DOMAIN = "jaxnet_domain"
_IN_DOMAIN = {_POSITIVE: lambda x: x > 0, _NONNEGATIVE: lambda x: x >= 0}


def _as_parameter(x: PyTree) -> PyTree:
    if x is None:
        raise ValueError("A parameter is None. Pass a number or an array.")
    return as_float_array(x)


def _as_optional_parameter(x: PyTree) -> PyTree:
    return None if x is None else _as_parameter(x)


def parameter(
    default: Any = dataclasses.MISSING,
    *,
    positive: bool = False,
    nonnegative: bool = False,
    optional: bool = False,
) -> Any:
    """Declare a field of a system as a parameter: an array of the default float dtype.

    **Arguments:**

    - `default`: the value that the field has when none is given.
    - `positive`, `nonnegative`: the range of the parameter. A concrete value outside
        raises a `ValueError` that names the parameter; a traced one becomes
        `RESULTS.parameter_out_of_range`.
    - `optional`: whether the field may also be `None`.

    ```pycon
    >>> import jaxnet as jn
    >>> class Decay(jn.AbstractSystem):
    ...     tau: jn.Parameter = jn.parameter(10.0, positive=True)
    ...
    ...     def vector_field(self, t, y, u):
    ...         return -y / self.tau
    >>> Decay(tau=-1.0)
    Traceback (most recent call last):
        ...
    ValueError: `tau` of `Decay` must be positive, but it is -1.0...
    ```
    """
    options: dict[str, Any] = {
        "converter": _as_optional_parameter if optional else _as_parameter
    }
    if isinstance(default, np.ndarray | jax.Array | list):
        options["default_factory"] = lambda: default
    elif default is not dataclasses.MISSING:
        options["default"] = default
    if positive:
        options["metadata"] = {_DOMAIN: _POSITIVE}
    elif nonnegative:
        options["metadata"] = {_DOMAIN: _NONNEGATIVE}
    return eqx.field(**options)


def bounded_fields(tree: PyTree, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """The path, the range and the value of every bounded parameter in a tree."""
    if isinstance(tree, eqx.Module):
        for field in dataclasses.fields(tree):
            value = getattr(tree, field.name)
            if _DOMAIN in field.metadata:
                yield path + field.name, field.metadata[_DOMAIN], value
            elif not field.metadata.get("static", False):
                yield from bounded_fields(value, f"{path}{field.name}.")
    else:
        nodes, _ = jtu.tree_flatten(tree, lambda x: isinstance(x, eqx.Module))
        for node in nodes:
            if isinstance(node, eqx.Module):
                yield from bounded_fields(node, path)


def check_ranges(tree: PyTree) -> Bool[Array, ""]:
    """Whether all bounded parameters lie in their range.

    A concrete parameter outside its range raises a `ValueError` at once.
    """
    conditions = []
    for name, domain, value in bounded_fields(tree):
        for leaf in filter(is_numeric, jtu.tree_leaves(value)):
            # NaN is another fault, with a message of its own.
            xp = numerics_for(leaf)
            leaf = xp.asarray(leaf)
            good = _IN_DOMAIN[domain](leaf) | xp.isnan(leaf)
            if is_concrete(good) and not good.all():
                raise ValueError(
                    f"`{name}` of `{type(tree).__name__}` must be {domain}, but it is "
                    f"{np.asarray(leaf)}. Pass a {domain} value."
                )
            conditions.append(xp.all(good))
    return all_true(conditions)


def require_one_number(module: eqx.Module, *names: str, remedy: str) -> None:
    """Raise unless each of some parameters is one number."""
    for name in names:
        shape = jnp.shape(getattr(module, name))
        if shape != ():
            raise ValueError(
                f"`{name}` of `{type(module).__name__}` must be one number, but its shape "
                f"is {shape}. {remedy}"
            )


class Parametric(eqx.Module):
    """A module whose parameters are looked at when it is made."""

    def __check_init__(self):
        check_ranges(self)
        check_no_nan(self, type(self).__name__)
