"""The higher derivatives of a vector field, as multilinear forms."""

import functools as ft
import itertools
from collections.abc import Callable, Sequence

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

    Kuznetsov calls it B for two vectors, C for three. It is linear over the complex numbers
    in each of them, while the field is only ever given real ones.
    """
    return multilinears(field, x, [vectors])[0]


def multilinears(
    field: Callable[[Float[Array, " n"]], Float[Array, " m"]],
    x: Float[Array, " n"],
    forms: Sequence[Sequence[Inexact[Array, " n"]]],
) -> Inexact[Array, "forms m"]:
    """Several forms of one order: their derivative is compiled once for all of them."""
    (order,) = {len(vectors) for vectors in forms}
    is_complex = any(jnp.iscomplexobj(v) for vectors in forms for v in vectors)
    parts = (jnp.real, jnp.imag) if is_complex else (jnp.real,)
    # A complex vector enters by its real part, and by i times its imaginary part.
    chosen = list(itertools.product(range(len(parts)), repeat=order))
    columns = [
        jnp.stack([parts[choice[k]](vectors[k]) for vectors in forms for choice in chosen])
        for k in range(order)
    ]
    derivative = lambda *directions: ft.reduce(_along, directions, field)(x)
    values = jax.vmap(derivative)(*columns)
    values = values.reshape(len(forms), len(chosen), -1)
    if not is_complex:
        return values[:, 0]
    powers = np.array([1j ** sum(choice) for choice in chosen])
    return jnp.einsum("c,fcm->fm", jnp.asarray(powers, jnp.result_type(complex)), values)


def _along(function: Callable, direction: Float[Array, " n"]) -> Callable:
    """The derivative of a function of a vector in one direction, as a function."""
    return lambda x: jax.jvp(function, (x,), (direction,))[1]
