"""Hopf points: where a limit cycle grows from a fixed point, or shrinks onto it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, Float

from ._critical import (
    check_can_turn,
    HopfUnknowns,
    live_where,
    outcome,
    solve_critical,
    start_of_hopf,
    unravel_complex,
)
from ._family import Family, Parameters, prepare_family
from ._newton import Vector
from ._normal_forms import first_lyapunov, ImaginaryPair
from ._result import result_if, RESULTS, SUCCESS, worst
from ._selection import Where
from ._system import AbstractSystem
from ._tree import nan_unless
from ._types import InputValue, RealScalarLike, State


class Hopf(eqx.Module):
    r"""A Hopf point: a limit cycle grows from a fixed point, or shrinks onto it.

    One, or many with leading axes; those that are not valid are NaN.

    **Attributes:**

    - `y`, `parameter`: where it is.
    - `omega`: the angular frequency of the cycle that is born there (rad/ms).
    - `vector`: q, of unit length, with $J q = i\omega q$.
    - `lyapunov`: the first Lyapunov coefficient $l_1 = \mathrm{Re}\, c_1 / \omega$ of
        $\dot z = i\omega z + c_1 z |z|^2$ with $x = x_0 + z q + \bar z \bar q$. Below zero
        the point is supercritical: the cycle is stable where the fixed point is not, if
        all other eigenvalues are stable.
    - `valid`: whether it was found.
    - `result`: success, or why not.

    Source of the coefficient: Kuznetsov 1999, doi:10.1137/S0036142998335005.
    """

    y: State
    parameter: Float[Array, "..."]
    omega: Float[Array, "..."]
    vector: State
    lyapunov: Float[Array, "..."]
    valid: Bool[Array, "..."]
    result: RESULTS

    @property
    def supercritical(self) -> Bool[Array, "..."]:
        return self.lyapunov < 0

    @property
    def period(self) -> Float[Array, "..."]:
        """Of the cycle that is born there (ms)."""
        return 2 * np.pi / self.omega


def hopf(
    system: AbstractSystem,
    where: Where,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
) -> Hopf:
    r"""The Hopf point near a state and the parameter of the system, by Newton's method.

    It solves $f = 0$, $(J^2 + \kappa) v = 0$, $|v| = 1$ for the state, the parameter, v
    and $\kappa = \omega^2$. A negative $\kappa$ is that of a neutral saddle, which is none.

    The arguments are those of [`jaxnet.fold`][]. The search begins from the pair of complex
    eigenvalues at `y` that is nearest to the imaginary axis.

    **Returns:** [`jaxnet.Hopf`][], with derivatives of any order in all other parameters,
    in forward and reverse mode. A search that fails does not raise: see `result`.

    Source: Roose and Hlavacek 1985, doi:10.1137/0145052.

    ```pycon
    >>> import jaxnet as jn
    >>> model = jn.models.WilsonCowan(w_ee=6.4, w_ei=4.8, w_ie=6.0, w_ii=1.2, tau_i=2.0)
    >>> driven = jn.Driven(model, (0.9, 0.0))
    >>> hopf = jn.hopf(driven, lambda s: s.input.value[0], (0.65, 0.35))
    >>> round(float(hopf.parameter), 4), bool(hopf.supercritical)
    (0.9991, True)
    ```
    """
    family, result = prepare_family(system, where, y, u, t, name="y")
    check_can_turn(family)
    return _hopf(family, result)


@eqx.filter_jit
def _hopf(family: Family, result: RESULTS) -> Hopf:
    return refine_hopf(family, family.state, family.parameters, result)


def refine_hopf(family: Family, x: Vector, parameters: Parameters, before: RESULTS) -> Hopf:
    """The Hopf point near a state and a parameter, unless something failed before."""
    if x.size == 1:
        return _no_hopf(family, worst(before, RESULTS.no_bifurcation))
    v, c, kappa = start_of_hopf(family.jacobian(x, parameters))
    start = HopfUnknowns(x, v, kappa[None], parameters)
    found, converged = solve_critical(
        family, start, lambda family, z: z.equations(family, c)
    )
    kappa = found.kappa[0]
    result = worst(
        outcome(family, found.parameters, converged, before),
        result_if(~(kappa > 0), RESULTS.neutral_saddle),
    )
    good = result == SUCCESS
    found, alive = live_where(good, (found, family))
    matrix = alive.jacobian(found.x, found.parameters)
    pair = ImaginaryPair.of(matrix, found.v, jnp.where(good, found.kappa[0], 1.0))
    l1 = first_lyapunov(alive, found.x, pair, found.parameters)
    vector = unravel_complex(family, pair.q)
    values = family.unravel(found.x), found.parameters[0], pair.omega, vector, l1
    return Hopf(*nan_unless(good, values), valid=good, result=result)


def _no_hopf(family: Family, result: RESULTS) -> Hopf:
    nan = jnp.asarray(jnp.nan)
    y = jtu.tree_map(lambda x: jnp.full_like(x, jnp.nan), family.like)
    vector = jtu.tree_map(lambda x: jax.lax.complex(x, x), y)
    return Hopf(y, nan, nan, vector, nan, jnp.asarray(False), result)
