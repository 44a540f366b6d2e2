"""Which bifurcation points a branch passes, and between which of its points."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex

from . import _small_linear
from ._curve import Curve
from ._newton import Equations
from ._passed import changes_sign, map_rows


class Detected(NamedTuple):
    """Between which rows and the next there is a fold, a Hopf point, a branch point."""

    fold: Bool[Array, " rows"]
    hopf: Bool[Array, " rows"]
    branch_point: Bool[Array, " rows"]
    # Whether there is a step in which several Hopf points coincide.
    coincide: Bool[Array, ""]


def detected_from_crossing(passed: Detected, curve: Curve) -> Detected:
    """The same, where the start is a branch point.

    There the tests are zero but for rounding; at a pitchfork the parameter turns back.
    """
    rows = jnp.arange(len(curve.accepted))
    beside = (rows == curve.start) | (rows == curve.start - 1)
    is_last = curve.start == jnp.sum(curve.accepted) - 1
    here = curve.accepted & (rows == jnp.where(is_last, curve.start - 1, curve.start))
    return Detected(
        fold=passed.fold & ~beside,
        hopf=passed.hopf & ~beside,
        branch_point=(passed.branch_point & ~beside) | here,
        coincide=passed.coincide,
    )


def detect(
    equations: Equations, curve: Curve, eigenvalues: Complex[Array, "rows n"]
) -> Detected:

    def determinant_sign(z, tangent):
        matrix = jax.jacfwd(equations)(z)
        return _small_linear.determinant_sign(jnp.concatenate([matrix, tangent[None]]))

    x, tangents = jax.lax.stop_gradient((curve.x, curve.tangent))
    unstable = jnp.sum(eigenvalues.real > 0, axis=1)
    if eigenvalues.shape[1] == x.shape[1] - 1:
        determinant = map_rows(determinant_sign, curve.accepted, x, tangents)
    else:
        # The same by Cramer's rule, but for a constant sign, if all positive eigenvalues
        # are known.
        determinant = jnp.where(unstable % 2 == 0, 1.0, -1.0) * tangents[:, -1]
    branch_point = changes_sign(determinant, curve.accepted)
    # Where both change, the determinant of the Jacobian does not: a branch that leaves a
    # pitchfork to both sides.
    fold = changes_sign(tangents[:, -1], curve.accepted) & ~branch_point
    # A fold and a branch point each account for one eigenvalue.
    crossed = jnp.abs(jnp.diff(unstable, append=unstable[-1:])) - fold - branch_point
    both = curve.accepted & jnp.append(curve.accepted[1:], False)
    hopf = both & (crossed >= 2)
    return Detected(fold, hopf, branch_point, jnp.any(both & (crossed >= 4)))
