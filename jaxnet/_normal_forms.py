"""The normal forms of a flow at its bifurcation points: their coefficients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from . import _small_linear
from ._critical import Bordered, Matrix
from ._family import Family, Parameters
from ._multilinear import multilinear, multilinears
from ._newton import Vector


class ZeroEigenvalue(NamedTuple):
    """The vectors of a simple eigenvalue zero: J v = 0, J^T w = 0."""

    v: Vector
    w: Vector
    bordered: Bordered

    @classmethod
    def of(cls, matrix: Matrix, v: Vector, left: Vector) -> "ZeroEigenvalue":
        """From v, and from a vector that is not normal to w."""
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


def flow_at_zero(
    family: Family, x: Vector, v: Vector, parameters: Parameters, left: Vector
) -> tuple[FlowAtZero, ZeroEigenvalue]:
    """The coefficients of the normal form at a zero eigenvalue, and its vectors."""
    field = lambda x: family.field(x, parameters)
    null = ZeroEigenvalue.of(family.jacobian(x, parameters), v, left)
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
    r"""The eigenvalue $i\omega$ and its vector: $J q = i\omega q$, $|q| = 1$."""

    omega: Float[Array, ""]
    q: Complex[Array, " n"]

    @classmethod
    def of(cls, matrix: Matrix, v: Vector, kappa: Float[Array, ""]) -> "ImaginaryPair":
        omega = jnp.sqrt(kappa)
        q = jax.lax.complex(v, -(matrix @ v) / omega)
        return cls(omega, q / jnp.linalg.norm(q))


class _ThirdOrder(NamedTuple):
    """What both Lyapunov coefficients are made of, at one Hopf point."""

    # The left eigenvector, with p* q = 1.
    p: Complex[Array, " n"]
    h20: Complex[Array, " n"]
    h11: Complex[Array, " n"]
    # What the third-order terms push along q, and its part along q.
    third: Complex[Array, " n"]
    g21: Complex[Array, ""]


def _third_order(family: Family, x: Vector, pair: ImaginaryPair, parameters: Parameters):
    omega, q = pair
    matrix, eye = family.jacobian(x, parameters), jnp.eye(len(x))
    forms = lambda *vectors: multilinears(lambda x: family.field(x, parameters), x, vectors)
    shifted = lambda k: 1j * k * omega * eye - matrix
    bqq, bqc = forms((q, q), (q, q.conj()))
    nothing = jnp.zeros_like(q)
    p = Bordered.of(-shifted(-1).T, q, q.conj()).solve(nothing, 1.0)
    h20 = _small_linear.solve(shifted(2), bqq)
    h11 = _small_linear.solve(shifted(0), bqc)
    first, second = forms((q.conj(), h20), (q, h11))
    third = forms((q, q, q.conj()))[0] + first + 2 * second
    return _ThirdOrder(p, h20, h11, third, jnp.vdot(p, third))


def first_lyapunov(
    family: Family, x: Vector, pair: ImaginaryPair, parameters: Parameters
) -> Float[Array, ""]:
    r"""The first Lyapunov coefficient: below zero at a supercritical Hopf point.

    $l_1 = \mathrm{Re}\, c_1 / \omega$ of the normal form $\dot z = i\omega z + c_1 z
    |z|^2 + c_2 z |z|^4$ with $x = x_0 + z q + \bar z \bar q + \ldots$ and $|q| = 1$.

    Source: Kuznetsov 1999, doi:10.1137/S0036142998335005.
    """
    return _third_order(family, x, pair, parameters).g21.real / (2 * pair.omega)


def second_lyapunov(
    family: Family, x: Vector, pair: ImaginaryPair, parameters: Parameters
) -> Float[Array, ""]:
    r"""The second Lyapunov coefficient, $\mathrm{Re}\, c_2 / \omega$, if the first is 0."""
    omega, q = pair
    p, h20, h11, third, g21 = _third_order(family, x, pair, parameters)
    c, h02 = q.conj(), h20.conj()
    forms = lambda *vectors: multilinears(lambda x: family.field(x, parameters), x, vectors)
    shifted = lambda k: 1j * k * omega * jnp.eye(len(x)) - family.jacobian(x, parameters)
    solve = lambda k, right: _small_linear.solve(shifted(k), right)

    # Names give the vectors: 0 for q, 1 for its conjugate, then the subscripts of h.
    b_0_20, b_20_11, b_11_11, b_02_20 = forms((q, h20), (h20, h11), (h11, h11), (h02, h20))
    c_000, c_00_11, c_01_20, c_01_11, c_11_20, c_00_02, c_0_02_20, c_0_11_11, c_1_20_11 = (
        forms(
            (q, q, q),
            (q, q, h11),
            (q, c, h20),
            (q, c, h11),
            (c, c, h20),
            (q, q, h02),
            (q, h02, h20),
            (q, h11, h11),
            (c, h20, h11),
        )
    )
    d_0001, d_0011, d_000_02, d_011_20, d_001_11 = forms(
        (q, q, q, c), (q, q, c, c), (q, q, q, h02), (q, c, c, h20), (q, q, c, h11)
    )
    (e_00011,) = forms((q, q, q, c, c))

    h30 = solve(3, c_000 + 3 * b_0_20)
    h21 = Bordered.of(shifted(1), q, p.conj()).solve(third - g21 * q)
    h12 = h21.conj()
    b_0_21, b_1_30, b_0_12, b_1_21, b_02_30, b_12_20, b_11_21 = forms(
        (q, h21), (c, h30), (q, h12), (c, h21), (h02, h30), (h12, h20), (h11, h21)
    )
    c_11_30, c_00_12, c_01_21 = forms((c, c, h30), (q, q, h12), (q, c, h21))

    h31 = solve(2, d_0001 + 3 * (c_00_11 + c_01_20 + b_20_11 + b_0_21 - g21 * h20) + b_1_30)
    h22 = solve(
        0,
        d_0011
        + 4 * c_01_11
        + c_11_20
        + c_00_02
        + 2 * (b_11_11 + b_0_12 + b_1_21)
        + b_02_20
        - 4 * h11 * g21.real,
    )
    b_1_31, b_0_22 = forms((c, h31), (q, h22))
    fifth = (
        e_00011
        + d_000_02
        + 3 * d_011_20
        + 6 * d_001_11
        + c_11_30
        + 3 * c_00_12
        + 6 * c_01_21
        + 3 * c_0_02_20
        + 6 * c_0_11_11
        + 6 * c_1_20_11
        + 2 * b_1_31
        + 3 * b_0_22
        + b_02_30
        + 3 * b_12_20
        + 6 * b_11_21
    )
    return jnp.vdot(p, fifth).real / (12 * omega)
