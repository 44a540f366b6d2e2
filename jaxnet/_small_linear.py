"""Linear algebra of small matrices in large batches.

For up to three dimensions there are closed forms, many times faster under `jax.vmap` than
a call to LAPACK for each matrix.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact


def solve(
    matrix: Inexact[Array, "n n"], vector: Inexact[Array, " n"]
) -> Inexact[Array, " n"]:
    """The solution of a linear system; not finite where the matrix is singular."""
    n = vector.size
    if n == 1:
        return vector / matrix[0]
    if n == 2:
        (a, b), (c, d) = matrix
        p, q = vector
        return jnp.stack([d * p - b * q, a * q - c * p]) / (a * d - b * c)
    if n == 3:
        # Cramer's rule: the rows of the adjugate are cross products of the columns.
        adjugate = jnp.cross(jnp.roll(matrix.T, -1, axis=0), jnp.roll(matrix.T, 1, axis=0))
        return adjugate @ vector / _determinant_3x3(matrix)
    return jnp.linalg.solve(matrix, vector)


def determinant_sign(matrix: Float[Array, "n n"]) -> Float[Array, ""]:
    """The sign of the determinant, which itself could overflow; 0 where it is 0."""
    n = matrix.shape[0]
    if n == 2:
        (a, b), (c, d) = matrix
        return jnp.sign(a * d - b * c)
    if n == 3:
        return jnp.sign(_determinant_3x3(matrix))
    return jnp.linalg.slogdet(matrix).sign


def _determinant_3x3(matrix: Inexact[Array, "3 3"]) -> Inexact[Array, ""]:
    return jnp.sum(matrix[0] * jnp.cross(matrix[1], matrix[2]))


def eigenvalues(matrix: Float[Array, "n n"]) -> Complex[Array, " n"]:
    """The eigenvalues, by falling real part; of a conjugate pair the upper one first.

    At a double eigenvalue of a 2 x 2 matrix the derivative is that of the mean of the
    two: the eigenvalues themselves have none.
    """
    n = matrix.shape[0]
    if n == 1:
        return jax.lax.complex(matrix[0], jnp.zeros(1))
    if n == 2:
        return _eigenvalues_2x2(matrix)
    values = jnp.linalg.eigvals(matrix)
    return values[jnp.lexsort((-values.imag, -values.real))]


def _eigenvalues_2x2(matrix: Float[Array, "2 2"]) -> Complex[Array, " 2"]:
    (a, b), (c, d) = matrix
    mean, half = (a + d) / 2, (a - d) / 2
    discriminant = half**2 + b * c
    is_double = discriminant == 0
    root = jnp.sqrt(jnp.where(is_double, 1.0, jnp.abs(discriminant)))
    root = jnp.where(is_double, 0.0, root)
    imag = jnp.where(discriminant < 0, root, 0.0)
    root = jnp.where(discriminant > 0, root, 0.0)
    # Of two real eigenvalues far apart, the small one cancels in the difference; it is
    # the determinant by the large one.
    large = mean + jnp.where(mean < 0, -root, root)
    spread = (root > 0) & (large != 0)
    quotient = (a * d - b * c) / jnp.where(spread, large, 1.0)
    small = jnp.where(spread, quotient, mean - jnp.where(mean < 0, -root, root))
    upper, lower = jnp.where(mean < 0, small, large), jnp.where(mean < 0, large, small)
    return jax.lax.complex(jnp.stack([upper, lower]), jnp.stack([imag, -imag]))
