"""The higher derivatives of a vector field, as multilinear forms."""

import functools as ft
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact


def multilinear(
    field: Callable[[Float[Array, " n"]], Float[Array, " m"]],
    x: Float[Array, " n"],
    *vectors: Inexact[Array, " n"],
) -> Inexact[Array, " m"]:
    r"""The k-th derivative along k vectors, $\sum \partial^k f / \partial x_i \ldots$

    One number of vectors, one order: two give what Kuznetsov calls B, three give C. It is
    linear over the complex numbers in each of them, while the field is only ever given
    real ones.
    """
    derivative = lambda *directions: ft.reduce(_along, directions, field)(x)
    # A complex vector enters by its real part, and by i times its imaginary part.
    parts = [(v.real, v.imag) if jnp.iscomplexobj(v) else (v,) for v in vectors]
    terms = list(itertools.product(*parts))
    values = jax.vmap(derivative)(
        *(jnp.stack(column) for column in zip(*terms, strict=True))
    )
    if len(terms) == 1:
        return values[0]
    count = [range(len(p)) for p in parts]
    powers = np.array([1j ** sum(indices) for indices in itertools.product(*count)])
    return jnp.tensordot(jnp.asarray(powers, jnp.result_type(complex)), values, axes=1)


def _along(function: Callable, direction: Float[Array, " n"]) -> Callable:
    """The derivative of a function of a vector in one direction, as a function."""
    return lambda x: jax.jvp(function, (x,), (direction,))[1]
