"""The normal forms of a flow at its bifurcation points: their coefficients."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ._critical import Bordered, Matrix, null_vectors
from ._family import Family, Parameters
from ._multilinear import multilinear
from ._newton import Vector


class ZeroEigenvalue(NamedTuple):
    """The vectors of a simple eigenvalue zero: J v = 0, J^T w = 0."""

    v: Vector
    w: Vector
    bordered: Bordered

    @classmethod
    def of(cls, matrix: Matrix, v: Vector) -> "ZeroEigenvalue":
        left, _ = null_vectors(matrix)
        zero = jnp.zeros_like(v)
        w = Bordered.of(matrix.T, v, left).solve(zero, 1.0)
        return cls(v, w, Bordered.of(matrix, w, v))

    def inverse(self, right: Vector) -> Vector:
        """The solution of ``J z = right`` across v, if `right` has no part along w."""
        return self.bordered.solve(right)


class FlowAtZero(NamedTuple):
    r"""The flow along the centre manifold of a zero eigenvalue, per ms.

    $\dot\xi = a \xi^2 + c \xi^3 + \ldots$ with $x = x_0 + \xi v + \ldots$ and $|v| = 1$.
    """

    quadratic: Float[Array, ""]
    cubic: Float[Array, ""]
    # Zero where the eigenvalue is a double one.
    overlap: Float[Array, ""]


def flow_at_zero(family: Family, x: Vector, v: Vector, parameters: Parameters):
    """The coefficients of the normal form at a zero eigenvalue, and its vectors."""
    field = lambda x: family.field(x, parameters)
    null = ZeroEigenvalue.of(family.jacobian(x, parameters), v)
    overlap = jnp.vdot(null.w, v)
    square = multilinear(field, x, v, v)
    a = jnp.vdot(null.w, square) / overlap / 2
    h = null.inverse(2 * a * v - square)
    # Of what is left along v, the normal form does not depend.
    h = h - v * jnp.vdot(null.w, h) / overlap
    cube = multilinear(field, x, v, v, v) + 3 * multilinear(field, x, v, h)
    c = jnp.vdot(null.w, cube) / overlap / 6
    return FlowAtZero(a, c, overlap), null


class ImaginaryPair(NamedTuple):
    r"""$J q = i\omega q$ and $J^T p = -i\omega p$, with $|q| = 1$ and $p^* q = 1$."""

    omega: Float[Array, ""]
    q: Complex[Array, " n"]
    p: Complex[Array, " n"]

    @classmethod
    def of(cls, matrix: Matrix, v: Vector, kappa: Float[Array, ""]) -> "ImaginaryPair":
        omega = jnp.sqrt(kappa)
        q = jax.lax.complex(v, -(matrix @ v) / omega)
        q = q / jnp.linalg.norm(q)
        shifted = matrix.T + 1j * omega * jnp.eye(len(v))
        p = Bordered.of(shifted, q, q.conj()).solve(jnp.zeros_like(q), 1.0)
        return cls(omega, q, p)


class _Forms(NamedTuple):
    """What both Lyapunov coefficients are made of, at one Hopf point."""

    form: Callable
    inverse: Callable
    h20: Complex[Array, " n"]
    h11: Float[Array, " n"]
    # What the third-order terms push along q, and its part along q.
    third: Complex[Array, " n"]
    g21: Complex[Array, ""]


def _forms(family: Family, x: Vector, pair: ImaginaryPair, parameters: Parameters):
    omega, q, p = pair
    matrix, eye = family.jacobian(x, parameters), jnp.eye(len(x))
    form = lambda *v: multilinear(lambda x: family.field(x, parameters), x, *v)
    inverse = lambda k, right: jnp.linalg.solve(1j * k * omega * eye - matrix, right)
    h20 = inverse(2, form(q, q))
    h11 = inverse(0, form(q, q.conj())).real
    third = form(q, q, q.conj()) + form(q.conj(), h20) + 2 * form(q, h11)
    return _Forms(form, inverse, h20, h11, third, jnp.vdot(p, third))


def first_lyapunov(
    family: Family, x: Vector, pair: ImaginaryPair, parameters: Parameters
) -> Float[Array, ""]:
    r"""The first Lyapunov coefficient: below zero at a supercritical Hopf point.

    $l_1 = \mathrm{Re}\, c_1 / \omega$ of the normal form $\dot z = i\omega z + c_1 z
    |z|^2 + c_2 z |z|^4$ with $x = x_0 + z q + \bar z \bar q + \ldots$ and $|q| = 1$.

    Source: Kuznetsov 1999, doi:10.1137/S0036142998335005.
    """
    return _forms(family, x, pair, parameters).g21.real / (2 * pair.omega)


def second_lyapunov(
    family: Family, x: Vector, pair: ImaginaryPair, parameters: Parameters
) -> Float[Array, ""]:
    r"""The second Lyapunov coefficient, $\mathrm{Re}\, c_2 / \omega$, if the first is 0."""
    omega, q, p = pair
    f, inverse, h20, h11, third, g21 = _forms(family, x, pair, parameters)
    qc, h02 = q.conj(), h20.conj()
    h30 = inverse(3, f(q, q, q) + 3 * f(q, h20))
    shifted = 1j * omega * jnp.eye(len(x)) - family.jacobian(x, parameters)
    h21 = Bordered.of(shifted, q, p.conj()).solve(third - g21 * q)
    h12 = h21.conj()
    h31 = inverse(
        2,
        f(q, q, q, qc)
        + 3 * (f(q, q, h11) + f(q, qc, h20) + f(h20, h11) + f(q, h21) - g21 * h20)
        + f(qc, h30),
    )
    h22 = inverse(
        0,
        f(q, q, qc, qc)
        + 4 * f(q, qc, h11)
        + f(qc, qc, h20)
        + f(q, q, h02)
        + 2 * (f(h11, h11) + f(q, h12) + f(qc, h21))
        + f(h02, h20)
        - 4 * h11 * g21.real,
    )
    fifth = (
        f(q, q, q, qc, qc)
        + f(q, q, q, h02)
        + 3 * f(q, qc, qc, h20)
        + 6 * f(q, q, qc, h11)
        + f(qc, qc, h30)
        + 3 * f(q, q, h12)
        + 6 * f(q, qc, h21)
        + 3 * f(q, h02, h20)
        + 6 * f(q, h11, h11)
        + 6 * f(qc, h20, h11)
        + 2 * f(qc, h31)
        + 3 * f(q, h22)
        + f(h02, h30)
        + 3 * f(h12, h20)
        + 6 * f(h11, h21)
    )
    return jnp.vdot(p, fifth).real / (12 * omega)
