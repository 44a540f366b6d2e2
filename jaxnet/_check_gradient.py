"""Whether a gradient can be trusted: an estimate beside finite differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from ._family import as_count
from ._fit_problem import FitProblem, prepare_problem
from ._result import is_concrete
from ._selection import Where
from ._system import AbstractSystem
from ._types import InputValue, RealScalarLike
from .gradients import AbstractEstimator, exact_estimator
from .objectives import AbstractObjective


class GradientCheck(eqx.Module):
    """An estimate of a gradient beside finite differences, for each free number.

    `print` shows it as a table.

    **Attributes:**

    - `names`: of the free numbers.
    - `estimate`: the mean of all estimates.
    - `noise`: the standard deviation of one estimate.
    - `reference`: the mean of central differences of the loss.
    - `bias`: the estimate less the reference.
    - `bias_error`: the standard error of the bias, as both are means.
    - `cosine`: of the angle between the mean estimate and the reference.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    estimate: Float[Array, " free"]
    noise: Float[Array, " free"]
    reference: Float[Array, " free"]
    bias: Float[Array, " free"]
    bias_error: Float[Array, " free"]
    cosine: Float[Array, ""]

    def __str__(self) -> str:
        columns = ("estimate", "noise", "reference", "bias", "± error")
        values = (self.estimate, self.noise, self.reference, self.bias, self.bias_error)
        if not all(map(is_concrete, values)) or self.estimate.ndim != 1:
            return repr(self)
        width = max(map(len, ("parameter", *self.names)))
        lines = ["  ".join([f"{'parameter':<{width}}", *(f"{c:>11}" for c in columns)])]
        for name, *row in zip(self.names, *map(np.asarray, values), strict=True):
            cells = (f"{x:>11.4g}" for x in row)
            lines.append("  ".join([f"{name:<{width}}", *cells]))
        lines.append(f"cosine of the angle between them: {float(self.cosine):.6f}")
        return "\n".join(lines)


def check_gradient(
    objective: AbstractObjective,
    system: AbstractSystem,
    *,
    where: Where,
    estimator: AbstractEstimator | None = None,
    constraints: PyTree = None,
    u: InputValue = None,
    key: PRNGKeyArray | None = None,
    repeats: int = 8,
    step: RealScalarLike | None = None,
) -> GradientCheck:
    """Hold a gradient estimator against finite differences of the loss.

    **Arguments:**

    - `objective`, `system`, `where`, `constraints`, `u`: as of [`jaxnet.fit`][].
    - `estimator`: one of `jaxnet.gradients`; by default the exact gradient.
    - `key`: for what is random; needed for more than one repeat.
    - `repeats`: how many estimates there are, and how many differences, each with a key of
        its own; without a key there is one of each.
    - `step`: of the differences, in free numbers. By default the cubic root of the dtype's
        resolution, 6e-6 in float64, which suits a smooth loss. For spikes and chaos take
        what changes the statistics visibly, such as 0.1.

    **Returns:** [`jaxnet.GradientCheck`][].

    ```pycon
    >>> import jaxnet as jn
    >>> rest = jn.objectives.FixedPointAt(0.4)
    >>> population = jn.models.RatePopulation(w=2.0)
    >>> check = jn.check_gradient(rest, population, where=lambda s: s.w, u=1.0)
    >>> bool(abs(check.bias[0]) < 1e-3 * abs(check.reference[0]))
    True
    ```
    """
    problem, _ = prepare_problem(system, objective, where, constraints, u)
    if estimator is None:
        estimator = exact_estimator(problem.objective)
    if not isinstance(estimator, AbstractEstimator):
        raise ValueError(
            f"`estimator` must be one of `jaxnet.gradients`, but it is {estimator!r}."
        )
    estimated = eqx.tree_at(
        lambda p: p.objective,
        problem,
        estimator.prepare(problem.objective, problem.start_system()),
    )
    keys = None if key is None else jax.random.split(key, as_count(repeats, "repeats"))
    usual = float(jnp.finfo(problem.own.dtype).eps) ** (1 / 3)
    moved_by = jnp.asarray(usual if step is None else step, float)
    estimates, differences = _look(estimated, problem, estimator, keys, moved_by)
    mean, reference = jnp.mean(estimates, axis=0), jnp.mean(differences, axis=0)
    number = len(estimates)
    spread = lambda x: jnp.std(x, axis=0, ddof=1) if number > 1 else jnp.zeros(x.shape[1])
    lengths = jnp.linalg.norm(mean) * jnp.linalg.norm(reference)
    return GradientCheck(
        names=tuple(problem.names),
        estimate=mean,
        noise=spread(estimates),
        reference=reference,
        bias=mean - reference,
        bias_error=jnp.hypot(spread(estimates), spread(differences)) / number**0.5,
        cosine=jnp.vdot(mean, reference) / lengths,
    )


@eqx.filter_jit
def _look(
    estimated: FitProblem,
    problem: FitProblem,
    estimator: AbstractEstimator,
    keys: Key[Array, " repeats"] | None,
    step: Float[Array, ""],
) -> tuple[Float[Array, "repeats free"], Float[Array, "repeats free"]]:
    """All estimates, and all differences of the loss, by the same keys."""
    own = problem.own
    moves = step * jnp.eye(own.size)

    def loss(free, key):
        return jnp.sum(problem.misfit(free, key) ** 2) / 2

    def difference(key):
        above, below = (jax.vmap(lambda m: loss(own + m, key))(s) for s in (moves, -moves))
        return (above - below) / (2 * step)

    estimate = lambda key: estimator(estimated.misfit, own, key).gradient
    if keys is None:
        return estimate(None)[None], difference(None)[None]
    return jax.lax.map(estimate, keys), jax.lax.map(difference, keys)
