"""Some eigenvalues of a large matrix that is known by its products alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float


def rightmost_eigenvalues(
    linear: Callable[[Float[Array, " n"]], Float[Array, " n"]],
    n: int,
    count: int,
    dimension: int,
) -> tuple[Complex[Array, " count"], Float[Array, ""]]:
    """The eigenvalues with the largest real parts, and a bound on their residuals.

    By Arnoldi's method in a Krylov space of some dimension: it finds those at the rim of
    the spectrum first. What it finds is an eigenvalue of a matrix that is nearer than the
    bound; that it finds all of the rightmost ones is likely, not certain.
    """
    dimension = min(n, dimension)
    spare = np.random.default_rng(0).normal(size=(dimension + 1, n))
    spare = jnp.asarray(spare, float) / n**0.5
    basis = jnp.zeros_like(spare).at[0].set(spare[0] / jnp.linalg.norm(spare[0]))

    def across(basis, vector):
        """The part of a vector that is normal to the basis, and its other part."""
        along = basis @ vector
        rest = vector - along @ basis
        # Once is not enough to be orthogonal to rounding.
        again = basis @ rest
        return rest - again @ basis, along + again

    def extend(basis, k):
        image = linear(basis[k])
        rest, column = across(basis, image)
        length = jnp.linalg.norm(rest)
        # In an invariant subspace nothing is left: begin again outside of it.
        resolution = 100 * float(jnp.finfo(spare.dtype).eps)
        ends = length <= resolution * jnp.linalg.norm(image)
        following = jnp.where(ends, across(basis, spare[k + 1])[0], rest)
        basis = basis.at[k + 1].set(following / jnp.linalg.norm(following))
        return basis, column.at[k + 1].set(jnp.where(ends, 0.0, length))

    basis, columns = jax.lax.scan(extend, basis, jnp.arange(dimension))
    hessenberg = columns.T[:dimension]
    values, vectors = jnp.linalg.eig(hessenberg)
    order = jnp.lexsort((-values.imag, -values.real))[:count]
    residuals = jnp.abs(columns[-1, -1] * vectors[-1, order])
    return values[order], jnp.max(residuals)
