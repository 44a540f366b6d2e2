"""The linearisation of a flow: its Jacobian, eigenvalues and kind of equilibrium."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Complex, Float, Real

from . import _small_linear
from ._prepare import prepare_state, prepare_system
from ._result import RESULTS, worst
from ._system import AbstractSystem, Parts
from ._tree import check_no_nan, float_dtype, nan_unless
from ._types import InputValue, RealScalarLike, State
from .inputs import is_constant


class EQUILIBRIUM(eqx.Enumeration):
    """The kinds of a fixed point, by its eigenvalues.

    A `node` has real eigenvalues of one sign; a `focus` has real parts of one sign and
    some complex ones; a `saddle` has real parts of both signs; a `centre` has only
    imaginary ones; what else has a real part of zero is `nonhyperbolic`. Its linearisation
    cannot tell that it is stable.
    """

    node = "node"
    focus = "focus"
    saddle = "saddle"
    centre = "centre"
    nonhyperbolic = "nonhyperbolic"


class Stability(eqx.Module):
    """Whether a fixed point is stable, and of what kind it is.

    **Attributes:**

    - `stable`: whether all real parts are below -tolerance: asymptotically stable.
    - `kind`: an `EQUILIBRIUM`, compared with ``==``.
    - `eigenvalues`: (1/ms), by falling real part.
    """

    stable: Bool[Array, "..."]
    kind: EQUILIBRIUM
    eigenvalues: Complex[Array, "... n"]

    def __str__(self) -> str:
        if self.stable.ndim > 0:
            rows = range(len(self.stable))
            each = [jax.tree.map(lambda x, i=i: x[i], self) for i in rows]
            return str([str(one) for one in each])
        kind = EQUILIBRIUM[self.kind]
        if kind not in ("node", "focus"):
            return kind
        return f"{'stable' if self.stable else 'unstable'} {kind}"


def default_tolerance() -> float:
    """The square root of the resolution of the default float dtype."""
    return float(np.finfo(float_dtype()).eps) ** 0.5


def classify(
    eigenvalues: Complex[Array, " n"], *, tolerance: RealScalarLike | None = None
) -> Stability:
    """The kind of a fixed point from its eigenvalues.

    **Arguments:**

    - `eigenvalues`: of the Jacobian (1/ms).
    - `tolerance`: below which a real or an imaginary part counts as zero (1/ms). By
        default the square root of the dtype's resolution, 1.5e-8 in float64.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> print(jn.classify(jnp.array([0.5 + 2.0j, 0.5 - 2.0j])))
    unstable focus
    ```
    """
    tolerance = default_tolerance() if tolerance is None else tolerance
    real, imag = eigenvalues.real, eigenvalues.imag
    falls, grows = real < -tolerance, real > tolerance
    is_real = jnp.abs(imag) <= tolerance
    hyperbolic = jnp.all(falls | grows)

    kind = EQUILIBRIUM.where(jnp.all(is_real), EQUILIBRIUM.node, EQUILIBRIUM.focus)
    both = jnp.any(falls) & jnp.any(grows)
    kind = EQUILIBRIUM.where(both, EQUILIBRIUM.saddle, kind)
    kind = EQUILIBRIUM.where(hyperbolic, kind, EQUILIBRIUM.nonhyperbolic)
    turns_only = jnp.all(~falls & ~grows & ~is_real)
    kind = EQUILIBRIUM.where(turns_only, EQUILIBRIUM.centre, kind)
    return Stability(jnp.all(falls), kind, eigenvalues)


def frozen_time(parts: Parts, t: RealScalarLike | None) -> Real[Array, ""]:
    """The time at which a flow is looked at; it must be said if the input varies."""
    if t is None and not is_constant(parts.input):
        raise ValueError(
            f"The input, a `{type(parts.input).__name__}`, varies in time, so there are "
            "no fixed points to linearise around. Pass `t=` to freeze it at a time, or "
            "a constant `u=`."
        )
    t = 0.0 if t is None else t
    check_no_nan(t, "t", finite=True)
    return jnp.asarray(t, float)


def flow_field(parts: Parts, t: Real[Array, ""]) -> Callable[[State], State]:
    """The vector field as a function of the state alone; noise is left out."""
    return lambda y: parts.flow.vector_field(t, y, parts.input(t))


def flat_field(
    field: Callable[[State], State], unravel: Callable[[Array], State]
) -> Callable[[Float[Array, " n"]], Float[Array, " n"]]:
    """The same between vectors."""
    return lambda x: ravel_pytree(field(unravel(x)))[0]


def jacobian(
    system: AbstractSystem,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
) -> Float[Array, "n n"]:
    """The Jacobian of the flow, by forward-mode automatic differentiation.

    **Arguments:**

    - `system`: the system; of a noisy one, the flow.
    - `y`: the state; a tree is ravelled, leaf after leaf.
    - `u`: the input.
    - `t`: the time (ms) at which an input that varies is frozen.

    **Returns:** the derivative of the vector field's entry i with respect to the state's
    entry j (1/ms); NaN where a traced parameter is bad.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.jacobian(jn.models.RatePopulation(tau=4.0), 0.2).tolist()
    [[-0.25]]
    ```
    """
    parts, result = prepare_system(system, u)
    y, state_result = prepare_state(parts, y, "y")
    x, unravel = ravel_pytree(y)
    field = flat_field(flow_field(parts, frozen_time(parts, t)), unravel)
    good = worst(result, state_result) == RESULTS.successful
    return nan_unless(good, jax.jacfwd(field)(x))


def eigenvalues(
    system: AbstractSystem,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
) -> Complex[Array, " n"]:
    """The eigenvalues of the Jacobian (1/ms), by falling real part.

    The arguments are those of [`jaxnet.jacobian`][]. First derivatives are exact, but at
    a double eigenvalue there is none. For three and more state variables there are no
    second derivatives.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.eigenvalues(jn.models.RatePopulation(tau=4.0), 0.2).tolist()
    [(-0.25+0j)]
    ```
    """
    return _small_linear.eigenvalues(jacobian(system, y, u=u, t=t))


def stability(
    system: AbstractSystem,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
    tolerance: RealScalarLike | None = None,
) -> Stability:
    """Whether a fixed point is stable, and of what kind.

    The arguments are those of [`jaxnet.jacobian`][]; for `tolerance` see
    [`jaxnet.classify`][].

    ```pycon
    >>> import jaxnet as jn
    >>> print(jn.stability(jn.models.WilsonCowan(), (0.0, 0.0)))
    stable focus
    ```
    """
    return classify(eigenvalues(system, y, u=u, t=t), tolerance=tolerance)
