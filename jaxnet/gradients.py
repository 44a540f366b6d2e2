r"""Gradient estimators: how the gradient of a loss is found, and what it then estimates.

The loss is half the sum of the squares of the misfits r. Its gradient is $J^T r$ with the
Jacobian J of the misfits with respect to the free numbers of the constraints.

| estimator | estimates | bias | noise |
|---|---|---|---|
| `Implicit` | the gradient, by the implicit function theorem | none | none |
| `Adjoint` | the gradient of the run on its grid | none | none; explodes in chaos |
| `Surrogate` | a direction through spikes | large | explodes in chaos |
| `FiniteDifferences` | the slope over two steps | of second order | of the runs |
| `SPSA` | that along random directions | of second order | grows with the parameters |
| `EvolutionStrategy` | the gradient of a smoothed loss | none of that | as of `SPSA` |
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._family import as_count
from ._grid import Grid
from ._newton import Vector
from ._parameters import parameter, Parametric, ScalarParameter
from ._record import RecordCounts
from ._system import AbstractSystem
from ._types import Key
from .objectives import AbstractObjective
from .objectives._base import has_runs, Misfit
from .objectives._runs import is_spiking
from .surrogate import AbstractSurrogate, FastSigmoid, Memory


# From the free numbers and a key to the misfits.
MisfitFunction: TypeAlias = Callable[[Vector, Key | None], Misfit]


class Estimate(NamedTuple):
    """The misfit at a point, and the gradient of the loss there."""

    misfit: Misfit
    gradient: Vector


class AbstractEstimator(Parametric):
    """How the gradient of a loss is estimated."""

    @abc.abstractmethod
    def prepare(self, objective: AbstractObjective, system: AbstractSystem):
        """The objective as the estimator needs it, or a `ValueError` with a remedy."""

    @abc.abstractmethod
    def __call__(self, misfit: MisfitFunction, free: Vector, key: Key | None) -> Estimate:
        """The misfit and the gradient of the loss.

        **Arguments:**

        - `misfit`: from free numbers and a key to the misfits. Runs with one key share
            their random numbers.
        - `free`: where.
        - `key`: for what is random.
        """

    @abc.abstractmethod
    def evaluations(self, parameters: int) -> int:
        """How many times the misfit is evaluated for one gradient."""


def _exact(misfit: MisfitFunction, free: Vector, key: Key | None) -> Estimate:
    value, pullback = jax.vjp(lambda z: misfit(z, key), free)
    return Estimate(value, pullback(value)[0])


class Implicit(AbstractEstimator):
    """The exact gradient, of what is solved for and not simulated.

    The derivative of a fixed point, or of an orbit, is that of the implicit function
    theorem: one linear solve, however long the search for it took.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.gradients.Implicit().evaluations(parameters=5)
    1
    ```
    """

    def prepare(self, objective, system):
        if has_runs(objective):
            raise ValueError(
                "`Implicit` is for what is solved for, but the objective has a simulation. "
                "Take `jaxnet.gradients.Adjoint()`."
            )
        return objective

    def __call__(self, misfit, free, key):
        return _exact(misfit, free, key)

    def evaluations(self, parameters):
        return 1


class Adjoint(AbstractEstimator):
    """The exact gradient of a simulation, in reverse mode.

    On a `Grid` it is that of the steps as they are taken. Over a chaotic run it grows
    without bound, and says nothing of the statistics: for these take
    [`jaxnet.gradients.FiniteDifferences`][].

    **Arguments:**

    - `at_fixed_spikes`: whether to accept the derivative at fixed spikes where a system has
        any. It is exact only as long as no spike comes, goes or moves.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.gradients.Adjoint().evaluations(parameters=5)
    1
    ```
    """

    at_fixed_spikes: bool = eqx.field(static=True, default=False)

    def prepare(self, objective, system):
        reason = objective.why_no_gradient(system)
        if reason is not None and not self.at_fixed_spikes:
            raise ValueError(
                f"{reason}: its derivative is no gradient. Take `jaxnet.Descent` with the "
                "estimator `jaxnet.gradients.FiniteDifferences()`, `SPSA()`, "
                "`EvolutionStrategy()` or `Surrogate()`; or "
                "`jaxnet.LeastSquares(differences=...)`."
            )
        return objective.with_runs(_with_checkpoints)

    def __call__(self, misfit, free, key):
        return _exact(misfit, free, key)

    def evaluations(self, parameters):
        return 1


def exact_estimator(objective: AbstractObjective) -> AbstractEstimator:
    """`Adjoint` for an objective with a simulation, `Implicit` for others.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.gradients.exact_estimator(jn.objectives.FixedPointAt(0.4))
    Implicit()
    ```
    """
    return Adjoint() if has_runs(objective) else Implicit()


def _with_checkpoints(method):
    return (
        dataclasses.replace(method, checkpoint=True) if isinstance(method, Grid) else method
    )


class Surrogate(AbstractEstimator):
    r"""A direction through spikes: the derivative with a slope in place of each jump.

    It is not the gradient of the loss, and can point the wrong way. Over a chaotic run it
    explodes; `horizon` and `damping` hold it back, and make it more wrong.

    **Arguments:**

    - `slope`: one of `jaxnet.surrogate`.
    - `horizon`: the state's derivative is cut at every multiple of this (ms), so that
        nothing acts longer; never by default.
    - `damping`: the state's derivative decays at this rate (1/ms).

    Source: Neftci, Mostafa and Zenke 2019, doi:10.1109/MSP.2019.2931595.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.gradients.Surrogate(horizon=10.0).evaluations(parameters=5)
    1
    ```
    """

    slope: AbstractSurrogate = eqx.field(default_factory=FastSigmoid)
    horizon: float | None = eqx.field(static=True, default=None, kw_only=True)
    damping: ScalarParameter = parameter(0.0, nonnegative=True)

    def prepare(self, objective, system):
        def change(method):
            if not isinstance(method, Grid):
                raise ValueError(
                    "`Surrogate` needs a `Grid` in the `run` of the objective, but it is "
                    f"{method!r}."
                )
            return dataclasses.replace(
                method,
                surrogate=self.slope,
                checkpoint=True,
                memory=Memory(self.horizon, self.damping),
                record=RecordCounts(with_slope=True),
            )

        if not has_runs(objective) or not is_spiking(system):
            raise ValueError(
                "`Surrogate` is for simulations of spikes, of which there are none. Take "
                "`jaxnet.gradients.Adjoint()` or `Implicit()`, which are exact."
            )
        changed = objective.with_runs(change)
        reason = changed.why_no_gradient(system)
        if reason is not None:
            raise ValueError(
                f"{reason}, for which no slope can stand. Take "
                "`jaxnet.gradients.FiniteDifferences()`, `SPSA()` or `EvolutionStrategy()`."
            )
        return changed

    def __call__(self, misfit, free, key):
        return _exact(misfit, free, key)

    def evaluations(self, parameters):
        return 1


def _require(key: Key | None, estimator: AbstractEstimator) -> Key:
    if key is None:
        raise ValueError(
            f"`{type(estimator).__name__}` needs a `key`: `jax.random.key(seed)`."
        )
    return key


class FiniteDifferences(AbstractEstimator):
    r"""Central differences of the misfits, with common random numbers.

    Both runs of a difference share their key, so that what is random alike in both drops
    out. Column k of the Jacobian is $(r(z + h e_k) - r(z - h e_k)) / 2h$; the bias is of
    the order of $h^2$. In a chaotic system the difference has a noise besides, that falls
    with a larger step. All runs are one batch.

    **Arguments:**

    - `step`: h, in free numbers: for a positive parameter a fraction of it.

    Source: Glasserman 2003, doi:10.1007/978-0-387-21617-1, section 7.1.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.gradients.FiniteDifferences(0.05).evaluations(parameters=3)
    7
    ```
    """

    step: ScalarParameter = parameter(0.05, positive=True)

    def prepare(self, objective, system):
        return objective

    def __call__(self, misfit, free, key):
        value, jacobian = self._linearised(lambda z: misfit(z, key), free)
        return Estimate(value, value @ jacobian)

    def evaluations(self, parameters):
        return 1 + 2 * parameters

    def differentiable(self, misfit: Callable[[Vector], Misfit]):
        """The misfit, with these differences as its derivative, in both modes."""

        function = jax.custom_jvp(misfit)

        @function.defjvp
        def _(primals, tangents):
            value, jacobian = self._linearised(misfit, *primals)
            return value, jacobian @ tangents[0]

        return function

    def _linearised(
        self, misfit: Callable[[Vector], Misfit], free: Vector
    ) -> tuple[Misfit, Float[Array, "misfits free"]]:
        moves = self.step * jnp.eye(free.size)
        points = jnp.concatenate([free[None], free + moves, free - moves])
        values = jax.vmap(misfit)(points)
        above, below = jnp.split(values[1:], 2)
        return values[0], (above - below).T / (2 * self.step)


class SPSA(AbstractEstimator):
    r"""Differences along random directions: simultaneous perturbation.

    $g = \frac{1}{n} \sum_i \frac{L(z + h d_i) - L(z - h d_i)}{2h} d_i$, where each
    entry of $d_i$ is +1 or -1. It estimates the gradient with a bias of the order of
    $h^2$, and a variance that grows with the number of parameters and falls with n. Both
    runs of a difference share their key.

    **Arguments:**

    - `step`: h, in free numbers.
    - `directions`: n.

    Source: Spall 1992, doi:10.1109/9.119632.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.gradients.SPSA(0.05, directions=2).evaluations(parameters=100)
    5
    ```
    """

    step: ScalarParameter = parameter(0.05, positive=True)
    directions: int = eqx.field(
        static=True, default=1, kw_only=True, converter=lambda n: as_count(n, "directions")
    )

    def prepare(self, objective, system):
        return objective

    def __call__(self, misfit, free, key):
        direction_key, run_key = jax.random.split(_require(key, self))
        shape = (self.directions, free.size)
        moves = jax.random.rademacher(direction_key, shape, free.dtype)
        return _along(misfit, free, moves, self.step, run_key)

    def evaluations(self, parameters):
        return 1 + 2 * self.directions


class EvolutionStrategy(AbstractEstimator):
    r"""The gradient of the loss smoothed by a Gaussian, from pairs of random moves.

    $g = \frac{1}{n} \sum_i \frac{L(z + \sigma d_i) - L(z - \sigma d_i)}{2\sigma} d_i$
    with standard normal $d_i$: an unbiased estimate of the gradient of the mean of
    $L(z + \sigma d)$. Its variance grows with the number of parameters and falls with n.
    Both runs of a pair share their key.

    **Arguments:**

    - `sigma`: the width, in free numbers.
    - `pairs`: n.

    Source: Nesterov and Spokoiny 2017, doi:10.1007/s10208-015-9296-2; Salimans et al. 2017,
    arXiv:1703.03864.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.gradients.EvolutionStrategy(0.1, pairs=8).evaluations(parameters=100)
    17
    ```
    """

    sigma: ScalarParameter = parameter(0.1, positive=True)
    pairs: int = eqx.field(
        static=True, default=8, kw_only=True, converter=lambda n: as_count(n, "pairs")
    )

    def prepare(self, objective, system):
        return objective

    def __call__(self, misfit, free, key):
        direction_key, run_key = jax.random.split(_require(key, self))
        moves = jax.random.normal(direction_key, (self.pairs, free.size))
        return _along(misfit, free, moves, self.sigma, run_key)

    def evaluations(self, parameters):
        return 1 + 2 * self.pairs


def _along(
    misfit: MisfitFunction,
    free: Vector,
    moves: Float[Array, "moves free"],
    step: Float[Array, ""],
    key: Key,
) -> Estimate:
    """The mean slope of the loss along some moves, each times its move."""
    points = jnp.concatenate([free[None], free + step * moves, free - step * moves])
    values = jax.vmap(lambda z: misfit(z, key))(points)
    above, below = jnp.split(jnp.sum(values[1:] ** 2, axis=1) / 2, 2)
    slopes = (above - below) / (2 * step)
    return Estimate(values[0], slopes @ moves / len(moves))
