"""Ornstein-Uhlenbeck noise as an input, in two discretisations."""

import abc

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Float, PyTree

from .._parameters import Parameter, parameter
from .._random import normal_like, require_key, split_key
from .._result import is_concrete
from .._time_grid import time_grid, TimeGrid
from .._types import Key, RealScalarLike
from ._base import AbstractInput
from ._sampled import Sampled


class AbstractOrnsteinUhlenbeck(AbstractInput):
    r"""$\tau\,dI = -I\,dt + \sigma\sqrt{2\tau}\,dW$, defined on a grid.

    $I_{k+1} = a I_k + \sigma b z_k$ with a, b the discretisation and z standard normal.
    The value carried is that at the step's start and at its end.
    """

    sigma: PyTree = parameter(nonnegative=True)
    tau: Parameter = parameter(positive=True)

    @abc.abstractmethod
    def coefficients(self, dt: float) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The decay a and the strength b of one step."""

    def __call__(self, t):
        raise ValueError(
            f"`{type(self).__name__}` is a process on a grid and has no value at an "
            "arbitrary time. Use the method `Grid`, or freeze one path by "
            "`.path(t0=..., t1=..., dt=..., key=...)`."
        )

    def breakpoints(self):
        return jnp.zeros(0)

    def require(self, start, end):
        pass

    def value_shape(self):
        return jax.eval_shape(lambda: self.sigma)

    def init(self, grid, key):
        key = require_key(key, f"`{type(self).__name__}`")
        normals = normal_like(self.sigma, jax.random.fold_in(key, 0))
        start = jtu.tree_map(jnp.multiply, self.sigma, normals)
        return key, start, self._next(start, grid, key, 0)

    def advance(self, carry, grid, step):
        key, _, end = carry
        return key, end, self._next(end, grid, key, step + 1)

    def on_grid(self, carry, grid, step, fraction):
        _, start, end = carry
        return jtu.tree_map(lambda a, b: a + fraction * (b - a), start, end)

    def path(
        self, *, t0: RealScalarLike, t1: RealScalarLike, dt: float, key: Key
    ) -> Sampled:
        """One path, frozen.

        A run on ``Grid(dt)`` with the same key sees the same path, where this is its
        whole input; the terms of a sum have keys of their own.
        """
        grid = time_grid(t0, t1, dt, reads_ahead=True)
        input_key, _ = split_key(require_key(key, f"`{type(self).__name__}`"))

        def step(carry, k):
            return self.advance(carry, grid, k), carry[1]

        _, values = jax.lax.scan(
            step, self.init(grid, input_key), jnp.arange(grid.steps + 1)
        )
        return Sampled(values, grid.dt, grid.t0)

    def _next(self, value: PyTree, grid: TimeGrid, key: Key, step) -> PyTree:
        a, b = self.coefficients(grid.dt)
        return jtu.tree_map(
            lambda i, sigma, z: a * i + b * sigma * z,
            value,
            self.sigma,
            normal_like(self.sigma, jax.random.fold_in(key, step + 1)),
        )


class OrnsteinUhlenbeck(AbstractOrnsteinUhlenbeck):
    r"""Ornstein-Uhlenbeck noise, exact at the grid's times for every step size.

    $\tau\,dI = -I\,dt + \sigma\sqrt{2\tau}\,dW$, started from its stationary
    distribution: $a = e^{-dt/\tau}$ and $b = \sqrt{1 - a^2}$ (Gillespie 1996,
    doi:10.1103/PhysRevE.54.2084).

    **Arguments:**

    - `sigma`: the stationary standard deviation, a number or a tree of arrays, one
        independent process for each entry.
    - `tau`: the correlation time (ms).

    The key is that of `simulate`.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> noise = jn.inputs.OrnsteinUhlenbeck(sigma=0.7, tau=1.0)
    >>> noise.path(t0=0.0, t1=1.0, dt=0.25, key=jax.random.key(0)).samples
    5
    ```
    """

    def coefficients(self, dt):
        ratio = dt / self.tau
        return jnp.exp(-ratio), jnp.sqrt(-jnp.expm1(-2 * ratio))


class EulerOrnsteinUhlenbeck(AbstractOrnsteinUhlenbeck):
    r"""Ornstein-Uhlenbeck noise by the Euler-Maruyama recurrence.

    $I_0 = \sigma z_0$ and
    $I_{k+1} = I_k - (dt/\tau) I_k + \sigma\sqrt{2\,dt/\tau}\,z_{k+1}$. Its stationary
    variance is $\sigma^2 / (1 - dt/2\tau)$: larger than $\sigma^2$ by 5 % at
    $dt = \tau/10$; it diverges from $dt = 2\tau$ on. For comparison with programs that
    do so; [`jaxnet.inputs.OrnsteinUhlenbeck`][] is exact.

    **Arguments:**

    - `sigma`: the nominal standard deviation, a number or a tree of arrays, one
        independent process for each entry.
    - `tau`: the correlation time (ms).

    The key is that of `simulate`.
    """

    def coefficients(self, dt):
        ratio = dt / self.tau
        converges = ratio < 2
        if is_concrete(converges) and not converges.all():
            raise ValueError(
                f"`dt` = {dt} must be below twice `tau` = {self.tau}, or the recurrence "
                "diverges. Take a smaller `dt`, or the exact `OrnsteinUhlenbeck`."
            )
        return jnp.where(converges, 1 - ratio, jnp.nan), jnp.sqrt(2 * ratio)
