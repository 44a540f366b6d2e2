"""Rate models: populations described by their mean rate."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._parameters import Parameter, parameter, ScalarParameter
from .._system import AbstractSystem
from ..transfer import AbstractTransferFunction, Sigmoid, Tanh


def _require_shape(y: Float[Array, "..."], shape: tuple[int, ...], name: str) -> None:
    given = y.shape if isinstance(y, jax.Array | np.ndarray) else jax.tree.map(jnp.shape, y)
    if given != shape:
        raise ValueError(f"the state of `{name}` has the shape {shape}, not {given}")


def _plus_input(drive: Float[Array, "..."], u) -> Float[Array, "..."]:
    return drive if u is None else drive + u


class RatePopulation(AbstractSystem):
    r"""One population: $\tau \dot r = -r + F(w r + u)$.

    The state is the rate r, shape ``()``. The input `u` is a number, the external input;
    `None` is no input. With w = 0 the rate relaxes to F(u) exponentially; with w large
    enough there are two stable rates.

    **Arguments:**

    - `w`: recurrent weight; negative for an inhibitory population.
    - `tau`: time constant (ms).
    - `transfer`: the transfer function F.

    Source: Wilson and Cowan 1972, doi:10.1016/S0006-3495(72)86068-5.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> population = jn.models.RatePopulation(w=5.0)
    >>> points = jn.fixed_points(population, jnp.linspace(0, 1, 17), u=0.5)
    >>> print([round(float(r), 4) for r in points.y[points.valid]])
    [0.0415, 0.4471, 0.8997]
    ```
    """

    w: ScalarParameter = parameter(0.0)
    tau: ScalarParameter = parameter(1.0, positive=True)
    transfer: AbstractTransferFunction = eqx.field(default_factory=Sigmoid)

    def vector_field(self, t, y, u):
        _require_shape(y, (), "RatePopulation")
        return (-y + self.transfer(_plus_input(self.w * y, u))) / self.tau


class WilsonCowan(AbstractSystem):
    r"""An excitatory and an inhibitory population.

    $$\tau_E \dot r_E = -r_E + F_E(w_{EE} r_E - w_{EI} r_I + u_E)$$
    $$\tau_I \dot r_I = -r_I + F_I(w_{IE} r_E - w_{II} r_I + u_I)$$

    The state is $(r_E, r_I)$, shape ``(2,)``. The input `u` is the pair $(u_E, u_I)$, a
    tuple or an array; `None` is no input. $w_{XY}$ leads from Y to X.

    **Arguments:**

    - `w_ee`, `w_ei`, `w_ie`, `w_ii`: weights, positive for both kinds of population.
    - `tau_e`, `tau_i`: time constants (ms).
    - `transfer_e`, `transfer_i`: the transfer functions.

    Source: Wilson and Cowan 1972, doi:10.1016/S0006-3495(72)86068-5. Their refractory
    factors are left out, as is common.

    ```pycon
    >>> import jaxnet as jn
    >>> points = jn.fixed_points(
    ...     jn.models.WilsonCowan(), jn.lattice((0, 0), (1, 1), 5)
    ... )
    >>> int(points.count)
    3
    ```
    """

    w_ee: ScalarParameter = parameter(9.0)
    w_ei: ScalarParameter = parameter(4.0)
    w_ie: ScalarParameter = parameter(13.0)
    w_ii: ScalarParameter = parameter(11.0)
    tau_e: ScalarParameter = parameter(1.0, positive=True)
    tau_i: ScalarParameter = parameter(2.0, positive=True)
    transfer_e: AbstractTransferFunction = eqx.field(
        default_factory=lambda: Sigmoid(a=1.2, theta=2.8)
    )
    transfer_i: AbstractTransferFunction = eqx.field(
        default_factory=lambda: Sigmoid(a=1.0, theta=4.0)
    )

    def vector_field(self, t, y, u):
        _require_shape(y, (2,), "WilsonCowan")
        r_e, r_i = y
        u_e, u_i = (None, None) if u is None else u
        to_e = _plus_input(self.w_ee * r_e - self.w_ei * r_i, u_e)
        to_i = _plus_input(self.w_ie * r_e - self.w_ii * r_i, u_i)
        return jnp.stack(
            [
                (-r_e + self.transfer_e(to_e)) / self.tau_e,
                (-r_i + self.transfer_i(to_i)) / self.tau_i,
            ]
        )


class RateNetwork(AbstractSystem):
    r"""A network of n units: $\tau_i \dot r_i = -r_i + F(\sum_j W_{ij} r_j + u_i)$.

    The state is the vector of rates, shape ``(n,)``. The input `u` is a vector of that
    shape, or a number for all units; `None` is no input. $W_{ij}$ leads from j to i.

    **Arguments:**

    - `weights`: W, shape ``(n, n)``.
    - `tau`: time constant (ms), one number or one a unit.
    - `transfer`: the transfer function F; its parameters may differ from unit to unit.

    Source: Sompolinsky, Crisanti and Sommers 1988, doi:10.1103/PhysRevLett.61.259.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> network = jn.models.RateNetwork(weights=jnp.eye(3) / 2)
    >>> jn.eigenvalues(network, jnp.zeros(3)).real.tolist()
    [-0.5, -0.5, -0.5]
    ```
    """

    weights: Float[Array, "n n"] = parameter()
    tau: Parameter = parameter(1.0, positive=True)
    transfer: AbstractTransferFunction = eqx.field(default_factory=Tanh)

    def __check_init__(self):
        shape = self.weights.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"`weights` must be square, (n, n), but it is {shape}.")
        if self.tau.shape not in ((), shape[:1]):
            raise ValueError(
                f"`tau` must be one number or one a unit, {shape[:1]}, but its shape is "
                f"{self.tau.shape}."
            )

    def vector_field(self, t, y, u):
        _require_shape(y, self.weights.shape[:1], "RateNetwork")
        drive = _plus_input(self.weights @ y, u)
        return (-y + self.transfer(drive)) / self.tau
