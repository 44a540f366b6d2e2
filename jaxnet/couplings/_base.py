"""What a coupling is, and the couplings that need no table of synapses."""

import abc
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from .._parameters import Parameter, parameter, Parametric, ScalarParameter


class AbstractCoupling(Parametric):
    """A linear map from the activity of sources to the input of targets.

    The activity may be spikes, 0 or 1, or rates.
    """

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, int]:
        """The numbers of targets and of sources."""

    def mv(self, x: Real[ArrayLike, " sources"]) -> Real[Array, " targets"]:
        """The input of every target: the weighted sum over its sources."""
        x = jnp.asarray(x)
        if jnp.shape(x) != self.shape[1:]:
            raise ValueError(
                f"`x` must be the activity of {self.shape[1]} sources, but its shape is "
                f"{jnp.shape(x)}. For many activities use `jax.vmap`."
            )
        return self._mv(x)

    @abc.abstractmethod
    def _mv(self, x: Real[Array, " sources"]) -> Real[Array, " targets"]:
        """What `mv` gives."""

    @abc.abstractmethod
    def split(
        self, delays: Float[np.ndarray, "..."], distinct: Sequence[float]
    ) -> tuple["AbstractCoupling", ...]:
        """The parts whose synapses have each of the distinct delays.

        `delays` has one entry a synapse, in the shape that the coupling documents.
        """


def require_delays(delays: Float[np.ndarray, "..."], shape: tuple[int, ...]) -> None:
    """Raise unless there is one delay a synapse."""
    if delays.shape != shape:
        raise ValueError(
            f"`delay` must be one number, or one a synapse, {shape}, but its shape is "
            f"{delays.shape}."
        )


class Dense(AbstractCoupling):
    r"""Every pair has a weight: $I_i = \sum_j W_{ij} x_j$.

    **Arguments:**

    - `weights`: W, shape ``(targets, sources)``; $W_{ij}$ leads from j to i. Delays have
        this shape too.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> jn.couplings.Dense([[0.0, 2.0], [1.0, 0.0]]).mv(jnp.array([1.0, 0.0])).tolist()
    [0.0, 1.0]
    ```
    """

    weights: Float[Array, "targets sources"] = parameter()

    def __check_init__(self):
        if jnp.ndim(self.weights) != 2:
            raise ValueError(
                "`weights` of `Dense` must be a matrix, (targets, sources), but its shape "
                f"is {jnp.shape(self.weights)}."
            )

    @property
    def shape(self):
        return self.weights.shape

    def _mv(self, x):
        return self.weights @ x

    def split(self, delays, distinct):
        require_delays(delays, self.weights.shape)
        return tuple(Dense(jnp.where(delays == d, self.weights, 0.0)) for d in distinct)


class OneToOne(AbstractCoupling):
    r"""Source i leads to target i alone: $I_i = w_i x_i$.

    **Arguments:**

    - `weight`: w, one number or one a pair. Delays are one a pair.
    - `size`: the number of pairs.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> jn.couplings.OneToOne(2.0, size=2).mv(jnp.array([1.0, 0.0])).tolist()
    [2.0, 0.0]
    ```
    """

    weight: Parameter = parameter()
    size: int = eqx.field(static=True, kw_only=True)

    def __check_init__(self):
        if jnp.shape(self.weight) not in ((), (self.size,)):
            raise ValueError(
                f"`weight` of `OneToOne` must be one number or one a pair, ({self.size},), "
                f"but its shape is {jnp.shape(self.weight)}."
            )

    @property
    def shape(self):
        return self.size, self.size

    def _mv(self, x):
        return self.weight * x

    def split(self, delays, distinct):
        require_delays(delays, (self.size,))
        return tuple(
            OneToOne(jnp.where(delays == d, self.weight, 0.0), size=self.size)
            for d in distinct
        )


class AllToAll(AbstractCoupling):
    r"""All pairs with one weight: $I_i = w \sum_j x_j$; the cost is that of the sum.

    **Arguments:**

    - `weight`: w.
    - `sources`, `targets`: how many there are.
    """

    weight: ScalarParameter = parameter()
    sources: int = eqx.field(static=True, kw_only=True)
    targets: int = eqx.field(static=True, kw_only=True)

    @property
    def shape(self):
        return self.targets, self.sources

    def _mv(self, x):
        return jnp.broadcast_to(self.weight * jnp.sum(x), (self.targets,))

    def split(self, delays, distinct):
        weights = jnp.broadcast_to(self.weight, self.shape)
        return Dense(weights).split(delays, distinct)


class AllButPartner(AbstractCoupling):
    r"""All sources but the one of the same number: $I_i = w \sum_{j \ne i} x_j$.

    Among the units of one population this is all to all without self-connections.

    **Arguments:**

    - `weight`: w.
    - `size`: the number of sources, and of targets.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> jn.couplings.AllButPartner(2.0, size=3).mv(jnp.array([1.0, 1.0, 0.0])).tolist()
    [2.0, 2.0, 4.0]
    ```
    """

    weight: ScalarParameter = parameter()
    size: int = eqx.field(static=True, kw_only=True)

    @property
    def shape(self):
        return self.size, self.size

    def _mv(self, x):
        return self.weight * (jnp.sum(x) - x)

    def split(self, delays, distinct):
        weights = self.weight * (1.0 - jnp.eye(self.size))
        return Dense(weights).split(delays, distinct)
