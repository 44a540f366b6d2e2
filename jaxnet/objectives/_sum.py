"""Several objectives at once."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._result import is_concrete, worst
from ._base import AbstractObjective


class Sum(AbstractObjective):
    """Several objectives, each with a weight: the loss is the weighted sum of theirs.

    **Arguments:**

    - `objectives`: a tuple of them.
    - `weights`: one positive number each, 1 by default.

    ```pycon
    >>> import jaxnet as jn
    >>> both = jn.objectives.Sum(
    ...     (jn.objectives.FixedPointAt(0.4), jn.objectives.EigenvalueAt(-0.05, 0.4))
    ... )
    >>> population = jn.models.RatePopulation(w=2.0)
    >>> fit = jn.fit(population, both, where=lambda s: (s.w, s.tau), u=2.0)
    >>> print(jn.RESULTS[fit.result] or "met")
    met
    ```
    """

    objectives: tuple[AbstractObjective, ...]
    weights: tuple[Float[Array, ""], ...] | None = eqx.field(
        default=None,
        converter=lambda w: None if w is None else tuple(jnp.asarray(x, float) for x in w),
    )

    def __check_init__(self):
        if not self.objectives or not all(
            isinstance(o, AbstractObjective) for o in self.objectives
        ):
            raise ValueError(
                f"`objectives` must be a tuple of `jaxnet.objectives`, but they are "
                f"{self.objectives!r}."
            )
        if self.weights is None:
            return
        if len(self.weights) != len(self.objectives):
            raise ValueError(
                f"`weights` must be {len(self.objectives)} numbers, one for each "
                f"objective, but they are {len(self.weights)}."
            )
        for weight in self.weights:
            positive = weight > 0
            if is_concrete(positive) and not positive:
                raise ValueError(
                    f"`weights` must be positive, but one is {float(weight)}. Leave the "
                    "objective out instead."
                )

    def prepare(self, system):
        return dataclasses.replace(
            self, objectives=tuple(o.prepare(system) for o in self.objectives)
        )

    def guess(self, system):
        return tuple(o.guess(system) for o in self.objectives)

    def equations(self, system, unknowns):
        pairs = zip(self.objectives, unknowns, strict=True)
        return jnp.concatenate([o.equations(system, u) for o, u in pairs])

    def misfit(self, system, unknowns, key):
        n = len(self.objectives)
        keys = [None] * n if key is None else list(jax.random.split(key, n))
        weights = (1.0,) * n if self.weights is None else self.weights
        rows = zip(self.objectives, unknowns, keys, weights, strict=True)
        return jnp.concatenate(
            [jnp.sqrt(w) * o.misfit(system, u, k) for o, u, k, w in rows]
        )

    def verify(self, system, unknowns, tolerance):
        pairs = zip(self.objectives, unknowns, strict=True)
        return worst(*(o.verify(system, u, tolerance) for o, u in pairs))

    def why_no_gradient(self, system):
        reasons = (o.why_no_gradient(system) for o in self.objectives)
        return next((reason for reason in reasons if reason is not None), None)

    def with_runs(self, change):
        return dataclasses.replace(
            self, objectives=tuple(o.with_runs(change) for o in self.objectives)
        )
