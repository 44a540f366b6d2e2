"""How well a fit determines its parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from ._fit_problem import FitProblem, prepare_problem
from ._selection import put, Where
from ._system import AbstractSystem
from ._types import InputValue, Key, RealScalarLike
from .gradients import exact_estimator, FiniteDifferences
from .objectives import AbstractObjective
from .objectives._base import Misfit


class Uncertainty(eqx.Module):
    r"""What a fit leaves open, in the approximation of Gauss and Newton.

    Near the optimum the loss grows as $\frac{1}{2} \sum_k \lambda_k z_k^2$ along the
    `directions`. A direction with a small eigenvalue is sloppy: the parameters can move
    along it and the misfit hardly changes.

    **Attributes:**

    - `names`: of the free numbers, in which all is measured but the standard errors.
    - `eigenvalues`: of $J^T J$, from the stiffest direction to the sloppiest.
    - `directions`: one a row, of unit length.
    - `identifiable`: whether the direction is determined at all: the eigenvalue is above
        the rounding of the largest.
    - `covariance`: $\sigma^2 (J^T J)^{-1}$; infinite if a direction is not determined.
    - `standard_errors`: of the parameters, in what `where` selects.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    eigenvalues: Float[Array, " free"]
    directions: Float[Array, "free free"]
    identifiable: Bool[Array, " free"]
    covariance: Float[Array, "free free"]
    standard_errors: PyTree


def uncertainty(
    system: AbstractSystem,
    objective: AbstractObjective,
    *,
    where: Where,
    constraints: PyTree = None,
    u: InputValue = None,
    noise: RealScalarLike | None = None,
    differences: FiniteDifferences | None = None,
    key: Key | None = None,
) -> Uncertainty:
    r"""The covariance and the sloppy directions of parameters at the optimum.

    **Arguments:**

    - `system`: the fitted system, such as ``fit.system``.
    - `objective`, `where`, `constraints`, `u`: as of [`jaxnet.fit`][].
    - `noise`: the standard deviation of a misfit. By default it is estimated from the
        misfits that are left, as $|r|^2 / (m - p)$ for m misfits and p free numbers.
    - `differences`: for derivatives by [`jaxnet.gradients.FiniteDifferences`][]; else they
        are exact.
    - `key`: for what is random in a simulation.

    **Returns:** [`jaxnet.Uncertainty`][].

    Source: Gutenkunst et al. 2007, doi:10.1371/journal.pcbi.0030189.

    ```pycon
    >>> import jaxnet as jn
    >>> population = jn.models.RatePopulation(w=2.0)
    >>> rest = jn.objectives.FixedPointAt(0.4)
    >>> left = jn.uncertainty(
    ...     population, rest, where=lambda s: (s.w, s.tau), u=1.0, noise=0.01
    ... )
    >>> left.identifiable.tolist()
    [True, False]
    ```
    """
    problem, _ = prepare_problem(system, objective, where, constraints, u)
    if differences is None:
        exact = exact_estimator(problem.objective)
        prepared = exact.prepare(problem.objective, problem.start_system())
        problem = eqx.tree_at(lambda p: p.objective, problem, prepared)
    misfit, jacobian, values = _linearised(problem, differences, key)
    matrix = jacobian.T @ jacobian
    rising, vectors = jnp.linalg.eigh(matrix)
    eigenvalues: Array = rising[::-1]
    directions: Array = vectors.T[::-1]
    rounding = float(jnp.finfo(matrix.dtype).eps) * len(matrix)
    identifiable: Array = eigenvalues > rounding * eigenvalues[0]
    if noise is None:
        freedom = max(misfit.size - len(matrix), 1)
        variance = jnp.sum(misfit**2) / freedom
    else:
        variance = jnp.asarray(noise, float) ** 2
    inverse = variance / jnp.where(identifiable, eigenvalues, jnp.inf)
    known: Array = (directions.T * inverse) @ directions
    # A parameter that takes part in a direction which is not determined has no error.
    share: Array = (~identifiable).astype(directions.dtype) @ directions**2
    unknown = share > rounding
    covariance = jnp.where(unknown[:, None] | unknown[None], jnp.inf, known)
    variances: Array = jnp.sum((values @ known) * values, axis=1)
    is_open = jnp.any((values != 0) & unknown, axis=1)
    errors = jnp.where(is_open, jnp.inf, jnp.sqrt(variances))
    places = sum((e.places for e in problem.entries), ())
    _, unravel = ravel_pytree(jtu.tree_leaves([e.like for e in problem.entries]))
    return Uncertainty(
        names=tuple(problem.names),
        eigenvalues=eigenvalues,
        directions=directions,
        identifiable=identifiable,
        covariance=covariance,
        standard_errors=where(put(problem.system, places, unravel(errors))),
    )


@eqx.filter_jit
def _linearised(
    problem: FitProblem, differences: FiniteDifferences | None, key: Key | None
) -> tuple[Misfit, Float[Array, "misfits free"], Float[Array, "values free"]]:
    """The misfits, and the derivatives of them and of the parameters."""
    misfit = lambda free: problem.misfit(free, key)
    if differences is not None:
        misfit = differences.differentiable(misfit)
    values = lambda free: ravel_pytree(problem.values(free))[0]
    own = problem.own
    return misfit(own), jax.jacfwd(misfit)(own), jax.jacfwd(values)(own)
