"""The relative exponential, which rates of channels and exponential steps share."""

import jax.numpy as jnp
from jaxtyping import Array, Real


def exprel(z: Real[Array, "..."]) -> Real[Array, "..."]:
    r"""$(e^z - 1) / z$, and 1 at 0, with its derivatives."""
    small = jnp.abs(z) < 1e-5
    safe = jnp.where(small, 1.0, z)
    return jnp.where(small, 1 + z / 2 + z**2 / 6, jnp.expm1(safe) / safe)
