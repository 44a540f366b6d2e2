"""Objectives of fixed points and of their eigenvalues."""

import abc
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Complex, Float, Inexact

from .. import _small_linear
from .._critical import Matrix
from .._linearise import default_tolerance, flat_field, flow_field, frozen_time
from .._newton import Equations
from .._prepare import fit_state
from .._result import is_concrete, result_if, RESULTS, worst
from .._system import AbstractSystem, decompose
from .._tree import check_no_nan
from .._types import RealScalarLike, State
from ..inputs import is_constant
from ._base import AbstractObjective, Misfit


def fitted_state(system: AbstractSystem, y: State, name: str) -> State:
    """A state of the system, finite, or an error that names the argument."""
    parts = decompose(system)
    if not is_constant(parts.input):
        raise ValueError(
            f"The input, a `{type(parts.input).__name__}`, varies in time, so there are no "
            "fixed points or cycles to be solved for. Give a constant `u=`."
        )
    y = fit_state(parts, y, name)
    check_no_nan(y, name, finite=True)
    return y


def field_of(system: AbstractSystem, like: State) -> Equations:
    """The vector field between vectors (per ms)."""
    parts = decompose(system)
    flow = flow_field(parts, frozen_time(parts, None))
    return flat_field(flow, ravel_pytree(like)[1])


class FixedPointAt(AbstractObjective):
    r"""A fixed point at a given state: the misfit is $f(y)$ (per ms).

    **Arguments:**

    - `y`: the state.
    - `stable`: whether it must be stable. It is looked at in the end: an unstable one has
        the result `equilibrium_unstable`.

    ```pycon
    >>> import jaxnet as jn
    >>> rest = jn.objectives.FixedPointAt(0.4)
    >>> fit = jn.fit(jn.models.RatePopulation(), rest, where=lambda s: s.w, u=1.0)
    >>> bool(fit.loss < 1e-6)
    True
    ```
    """

    y: State
    stable: bool = eqx.field(static=True, default=True, kw_only=True)

    def prepare(self, system):
        return dataclasses.replace(self, y=fitted_state(system, self.y, "y"))

    def guess(self, system):
        return ()

    def equations(self, system, unknowns):
        return jnp.zeros(0)

    def misfit(self, system, unknowns, key):
        return field_of(system, self.y)(ravel_pytree(self.y)[0])

    def verify(self, system, unknowns, tolerance):
        field = field_of(system, self.y)
        values = _small_linear.eigenvalues(jax.jacfwd(field)(ravel_pytree(self.y)[0]))
        unstable = jnp.any(values.real > 0) & self.stable
        return result_if(unstable, RESULTS.equilibrium_unstable)

    def why_no_gradient(self, system):
        return None

    def with_runs(self, change):
        return self


class AbstractEigenvalueObjective(AbstractObjective):
    """An objective of the eigenvalues at the fixed point near a state."""

    y: eqx.AbstractVar[State]

    @abc.abstractmethod
    def least_dimension(self) -> int:
        """How many state variables it takes to have such eigenvalues."""

    @abc.abstractmethod
    def of_matrix(self, matrix: Matrix) -> Misfit:
        """The misfit, from the Jacobian at the fixed point (1/ms)."""

    @abc.abstractmethod
    def holds(self, eigenvalues: Complex[Array, " n"], close: Float[Array, ""]) -> RESULTS:
        """Whether the eigenvalues are as they should be, but for what is `close`."""

    def prepare(self, system):
        y = fitted_state(system, self.y, "y")
        n = ravel_pytree(y)[0].size
        if n < self.least_dimension():
            raise ValueError(
                f"`{type(self).__name__}` asks for a pair of complex eigenvalues, which "
                "takes two state variables, but "
                f"`{type(decompose(system).flow).__name__}` has {n}. Take a real "
                "`EigenvalueAt`, or `CriticalFold`."
            )
        return dataclasses.replace(self, y=y)

    def guess(self, system):
        return ravel_pytree(self.y)[0]

    def equations(self, system, unknowns):
        return field_of(system, self.y)(unknowns)

    def misfit(self, system, unknowns, key):
        return self.of_matrix(jax.jacfwd(field_of(system, self.y))(unknowns))

    def verify(self, system, unknowns, tolerance):
        matrix = jax.jacfwd(field_of(system, self.y))(unknowns)
        eigenvalues = _small_linear.eigenvalues(matrix)
        # A small singular value tells of a near eigenvalue, by a factor of some size.
        rounding = default_tolerance() * jnp.maximum(1.0, jnp.max(jnp.abs(eigenvalues)))
        return self.holds(eigenvalues, 10 * jnp.maximum(rounding, tolerance))

    def why_no_gradient(self, system):
        return None

    def with_runs(self, change):
        return self


class EigenvalueAt(AbstractEigenvalueObjective):
    r"""An eigenvalue with a given value, at the fixed point near a state.

    The misfit is the smallest singular value of $J - \lambda$ (1/ms), with its phase: it is
    smooth also where two eigenvalues meet, as those of a node do that becomes a focus.

    **Arguments:**

    - `value`: the eigenvalue $\lambda$ (1/ms), real or complex.
    - `y`: a state near the fixed point.

    ```pycon
    >>> import jaxnet as jn
    >>> slow = jn.objectives.EigenvalueAt(-0.02, 0.0)
    >>> population = jn.models.RatePopulation(w=1.0)
    >>> fit = jn.fit(population, slow, where=lambda s: s.tau)
    >>> round(float(jn.eigenvalues(fit.system, 0.0)[0].real), 3)
    -0.02
    ```
    """

    value: Float[Array, ""] | Complex[Array, ""] = eqx.field(
        converter=lambda x: jnp.asarray(x, jnp.result_type(float, x))
    )
    y: State

    def least_dimension(self):
        return 2 if jnp.iscomplexobj(self.value) else 1

    def of_matrix(self, matrix):
        return singularity(matrix, self.value)

    def holds(self, eigenvalues, close):
        return _has_eigenvalue(eigenvalues, self.value, close)


class CriticalFold(AbstractEigenvalueObjective):
    """The fixed point near a state at a fold: it has the eigenvalue zero.

    No other eigenvalue may have a positive real part, so that a stable state ends there:
    else the result is `not_rightmost`.

    **Arguments:**

    - `y`: a state near the fixed point.

    ```pycon
    >>> import jaxnet as jn
    >>> edge = jn.objectives.CriticalFold(0.2)
    >>> population = jn.models.RatePopulation(w=5.0)
    >>> fit = jn.fit(population, edge, where=lambda s: s.w, u=0.8)
    >>> print(jn.RESULTS[fit.result] or "met")
    met
    ```
    """

    y: State

    def least_dimension(self):
        return 1

    def of_matrix(self, matrix):
        return singularity(matrix, jnp.zeros(()))

    def holds(self, eigenvalues, close):
        zero = jnp.zeros((), complex)
        return worst(
            _has_eigenvalue(eigenvalues, zero, close),
            _is_rightmost(eigenvalues, 0.0, close),
        )


class CriticalHopf(AbstractEigenvalueObjective):
    r"""The fixed point near a state at a Hopf point: the eigenvalues $\pm i \omega$.

    No other eigenvalue may have a positive real part, so that a stable state ends there:
    else the result is `not_rightmost`.

    **Arguments:**

    - `omega`: the angular frequency $\omega$ (rad/ms).
    - `y`: a state near the fixed point.

    ```pycon
    >>> import jaxnet as jn
    >>> onset = jn.objectives.CriticalHopf(0.7, (0.4, 0.3))
    >>> model = jn.models.WilsonCowan(w_ee=6.0, w_ei=5.0, w_ie=6.0, w_ii=1.0)
    >>> fit = jn.fit(model, onset, where=lambda s: (s.w_ee, s.w_ei), u=(1.0, 0.0))
    >>> round(float(jn.eigenvalues(fit.system, fit.unknowns, u=(1.0, 0.0))[0].imag), 2)
    0.7
    ```
    """

    omega: Float[Array, ""] = eqx.field(converter=lambda x: jnp.asarray(x, float))
    y: State

    def __check_init__(self):
        positive = self.omega > 0
        if is_concrete(positive) and not positive:
            raise ValueError(
                f"`omega` of `CriticalHopf` must be positive, but it is "
                f"{float(self.omega)}. At zero take `CriticalFold`."
            )

    def least_dimension(self):
        return 2

    def of_matrix(self, matrix):
        return singularity(matrix, 1j * self.omega)

    def holds(self, eigenvalues, close):
        return worst(
            _has_eigenvalue(eigenvalues, 1j * self.omega, close),
            _is_rightmost(eigenvalues, 0.0, close),
        )


class SpectralAbscissa(AbstractEigenvalueObjective):
    """The largest real part of the eigenvalues, at the fixed point near a state.

    Zero is the edge of stability. Where the rightmost eigenvalue changes the misfit has a
    kink.

    **Arguments:**

    - `value`: the largest real part (1/ms).
    - `y`: a state near the fixed point.

    ```pycon
    >>> import jaxnet as jn
    >>> edge = jn.objectives.SpectralAbscissa(0.0, 0.0)
    >>> population = jn.models.RatePopulation(w=1.0)
    >>> fit = jn.fit(population, edge, where=lambda s: s.w)
    >>> bool(abs(jn.eigenvalues(fit.system, fit.unknowns[0])[0].real) < 1e-3)
    True
    ```
    """

    value: Float[Array, ""] = eqx.field(converter=lambda x: jnp.asarray(x, float))
    y: State

    def least_dimension(self):
        return 1

    def of_matrix(self, matrix):
        return jnp.max(_small_linear.eigenvalues(matrix).real)[None] - self.value

    def holds(self, eigenvalues, close):
        return _is_rightmost(eigenvalues, self.value, close)


def singularity(matrix: Inexact[Array, "n n"], value: Inexact[Array, ""]) -> Misfit:
    """How far a matrix is from having an eigenvalue: of a complex one, both parts."""
    shifted = matrix - value * jnp.eye(len(matrix))
    left, _, right = jnp.linalg.svd(jax.lax.stop_gradient(shifted))
    # Its derivative is that of the singular value itself, and its phase is free.
    smallest = jnp.vdot(left[:, -1], shifted @ right[-1].conj())
    if jnp.iscomplexobj(value):
        return jnp.stack([smallest.real, smallest.imag])
    return smallest[None]


def _has_eigenvalue(
    eigenvalues: Complex[Array, " n"], value, close: Float[Array, ""]
) -> RESULTS:
    distance = jnp.min(jnp.abs(eigenvalues - value))
    return result_if(distance > close, RESULTS.target_not_met)


def _is_rightmost(
    eigenvalues: Complex[Array, " n"], value: RealScalarLike, close: Float[Array, ""]
) -> RESULTS:
    further = jnp.any(eigenvalues.real > value + close)
    return result_if(further, RESULTS.not_rightmost)
