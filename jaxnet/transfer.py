"""Transfer functions: the rate of a population as a function of its input (F-I curve)."""

import abc

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from ._parameters import Parameter, parameter, Parametric


class AbstractTransferFunction(Parametric):
    """A rate as a function of the input, entry by entry."""

    @abc.abstractmethod
    def __call__(self, x: Real[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The rate at the input `x`."""

    def gain(self, x: Real[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The slope of the rate at the input `x`, by automatic differentiation."""
        x = jnp.asarray(x, float)
        _, slope = jax.jvp(self, (x,), (jnp.ones_like(x),))
        return slope


class Sigmoid(AbstractTransferFunction):
    r"""$F(x) = \frac{1}{1 + e^{-a(x-\theta)}} - \frac{1}{1 + e^{a\theta}}$, so $F(0)=0$.

    Its values lie between $-1/(1 + e^{a\theta})$ and $1 - 1/(1 + e^{a\theta})$. The gain
    is $a s (1 - s)$ with s the first term; it is largest, $a/4$, at the threshold.

    **Arguments:**

    - `a`: steepness (per unit of input).
    - `theta`: threshold (units of input).

    Source: Wilson and Cowan 1972, doi:10.1016/S0006-3495(72)86068-5, with the defaults
    of their excitatory population here as in the teaching literature.

    ```pycon
    >>> import jaxnet as jn
    >>> float(jn.transfer.Sigmoid().gain(2.8))
    0.3...
    ```
    """

    a: Parameter = parameter(1.2, positive=True)
    theta: Parameter = parameter(2.8)

    def __call__(self, x):
        at_zero = jax.nn.sigmoid(-self.a * self.theta)
        return jax.nn.sigmoid(self.a * (x - self.theta)) - at_zero


class Logistic(AbstractTransferFunction):
    r"""$F(x) = 1 / (1 + e^{-a(x-\theta)})$, between 0 and 1.

    **Arguments:**

    - `a`: steepness (per unit of input).
    - `theta`: threshold (units of input), where the rate is 1/2.

    ```pycon
    >>> import jaxnet as jn
    >>> float(jn.transfer.Logistic(theta=2.0)(2.0))
    0.5
    ```
    """

    a: Parameter = parameter(1.0, positive=True)
    theta: Parameter = parameter(0.0)

    def __call__(self, x):
        return jax.nn.sigmoid(self.a * (x - self.theta))


class ThresholdLinear(AbstractTransferFunction):
    r"""$F(x) = a \max(x - \theta, 0)$. The gain at the threshold itself is 0.

    **Arguments:**

    - `a`: slope above the threshold (rate per unit of input).
    - `theta`: threshold (units of input).

    ```pycon
    >>> import jaxnet as jn
    >>> float(jn.transfer.ThresholdLinear(a=2.0, theta=1.0)(3.0))
    4.0
    ```
    """

    a: Parameter = parameter(1.0, positive=True)
    theta: Parameter = parameter(0.0)

    def __call__(self, x):
        return self.a * jax.nn.relu(x - self.theta)


class PowerLaw(AbstractTransferFunction):
    r"""$F(x) = k \max(x - \theta, 0)^n$. The gain at and below the threshold is 0.

    **Arguments:**

    - `k`: scale (rate per unit of input to the power n).
    - `n`: exponent.
    - `theta`: threshold (units of input).

    Source: Ahmadian, Rubin and Miller 2013, doi:10.1162/NECO_a_00472, with n = 2.

    ```pycon
    >>> import jaxnet as jn
    >>> float(jn.transfer.PowerLaw(k=0.5, n=2.0).gain(3.0))
    3.0
    ```
    """

    k: Parameter = parameter(1.0, positive=True)
    n: Parameter = parameter(2.0, positive=True)
    theta: Parameter = parameter(0.0)

    def __call__(self, x):
        above = x - self.theta
        # The power has no derivative with respect to `n` at 0, so it is not asked there.
        base = jnp.where(above > 0, above, 1.0)
        return jnp.where(above > 0, self.k * base**self.n, 0.0)


class Tanh(AbstractTransferFunction):
    r"""$F(x) = \tanh(a (x - \theta))$, between -1 and 1.

    **Arguments:**

    - `a`: steepness (per unit of input).
    - `theta`: threshold (units of input).

    ```pycon
    >>> import jaxnet as jn
    >>> float(jn.transfer.Tanh(a=2.0).gain(0.0))
    2.0
    ```
    """

    a: Parameter = parameter(1.0, positive=True)
    theta: Parameter = parameter(0.0)

    def __call__(self, x):
        return jnp.tanh(self.a * (x - self.theta))
