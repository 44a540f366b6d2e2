r"""Surrogates: what stands for the derivative of a spike with respect to its guard.

A spike is a step function of the guard: its derivative is zero wherever there is one. With
a surrogate the simulation is the same, but a derivative through it takes another slope at
every step. What comes out is a direction in which to search; it is *not* the derivative of
the solution, and says nothing about stability.

The integral of each slope over the guard is 1, that of the step.

Source: Neftci, Mostafa and Zenke 2019, doi:10.1109/MSP.2019.2931595.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree, Real

from ._parameters import parameter, Parametric, ScalarParameter


class AbstractSurrogate(Parametric):
    """The slope that stands for the derivative of a spike."""

    @abc.abstractmethod
    def slope(self, x: Real[Array, "..."]) -> Real[Array, "..."]:
        """The slope where the guard is `x`."""

    def __call__(self, guard: Real[Array, "..."]) -> Real[Array, "..."]:
        """1 where the guard is positive, 0 elsewhere, with the slope as derivative."""
        guard = jnp.asarray(guard, float)
        constant = jax.lax.stop_gradient
        # Zero, with the derivative of the guard.
        moved = jnp.where(jnp.isfinite(guard), guard - constant(guard), 0.0)
        return (guard > 0).astype(guard.dtype) + constant(self.slope(guard)) * moved


class FastSigmoid(AbstractSurrogate):
    r"""The slope $\beta / (2 (1 + \beta |x|)^2)$: its tails are long.

    **Arguments:**

    - `beta`: the steepness (per unit of the guard).

    Source: Zenke and Ganguli 2018, doi:10.1162/neco_a_01086, where its height is 1.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> spike, slope = jax.value_and_grad(jn.surrogate.FastSigmoid(beta=2.0))(0.5)
    >>> float(spike), float(slope)
    (1.0, 0.25)
    ```
    """

    beta: ScalarParameter = parameter(1.0, positive=True)

    def slope(self, x):
        return self.beta / (2 * (1 + self.beta * jnp.abs(x)) ** 2)


class Logistic(AbstractSurrogate):
    r"""The slope $\beta\,\sigma(\beta x)(1 - \sigma(\beta x))$ of the logistic function.

    **Arguments:**

    - `beta`: the steepness (per unit of the guard).
    """

    beta: ScalarParameter = parameter(4.0, positive=True)

    def slope(self, x):
        z = self.beta * x
        return self.beta * jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)


class ArcTangent(AbstractSurrogate):
    r"""The slope $\beta / (\pi (1 + (\beta x)^2))$ of the arc tangent.

    **Arguments:**

    - `beta`: the steepness (per unit of the guard).

    Source: Fang et al. 2021, doi:10.1109/ICCV48922.2021.00266.
    """

    beta: ScalarParameter = parameter(3.0, positive=True)

    def slope(self, x):
        return self.beta / (jnp.pi * (1 + (self.beta * x) ** 2))


class Triangle(AbstractSurrogate):
    r"""The slope $\max(0, 1 - |x| / w) / w$: none beyond the width.

    **Arguments:**

    - `width`: w (units of the guard).

    Source: Bellec et al. 2018, arXiv:1803.09574.
    """

    width: ScalarParameter = parameter(1.0, positive=True)

    def slope(self, x):
        return jnp.maximum(0.0, 1 - jnp.abs(x) / self.width) / self.width


class Gaussian(AbstractSurrogate):
    r"""The slope $e^{-x^2 / 2 \sigma^2} / \sqrt{2 \pi \sigma^2}$.

    **Arguments:**

    - `sigma`: the width (units of the guard).

    Source: Yin, Corradi and Bohte 2021, doi:10.1038/s42256-021-00397-w.
    """

    sigma: ScalarParameter = parameter(0.5, positive=True)

    def slope(self, x):
        return jax.scipy.stats.norm.pdf(x, scale=self.sigma)


class Memory(Parametric):
    r"""How far back a derivative through a grid reaches.

    The simulation is the same. Its derivative is not exact any more, but does not explode
    in a chaotic system either.

    **Arguments:**

    - `horizon`: the derivative of the state is cut at every multiple of this (ms), so that
        nothing acts longer; never by default.
    - `damping`: the derivative of the state decays at this rate (1/ms) besides.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> def end(y0, memory):
    ...     decay = jn.models.RatePopulation(tau=1e6)
    ...     method = jn.Grid(0.5, memory=memory)
    ...     return jn.simulate(decay, y0, t1=10.0, method=method).ys[-1]
    >>> round(float(jax.grad(end)(1.0, jn.surrogate.Memory(damping=0.1))), 3)
    0.368
    ```
    """

    horizon: float | None = eqx.field(static=True, default=None)
    damping: ScalarParameter = parameter(0.0, nonnegative=True)

    def __check_init__(self):
        if self.horizon is not None and not self.horizon > 0:
            raise ValueError(
                "`horizon` of `Memory` must be positive, or None, but it is "
                f"{self.horizon}."
            )

    def fade(self, tree: PyTree, step: Int[Array, ""], dt: float) -> PyTree:
        """The tree itself, of whose derivative less is left."""
        kept = jnp.exp(-self.damping * dt)
        if self.horizon is not None:
            steps = max(1, round(self.horizon / dt))
            is_cut = (step % steps == 0) & (step > 0)
            kept = jnp.where(is_cut, 0.0, kept)
        constant = jax.lax.stop_gradient
        return jax.tree.map(lambda x: constant(x) + kept * (x - constant(x)), tree)
