"""Weights: how strong the connections of a mask are."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Real

from .._result import is_concrete
from .._types import Key
from ._rows import by_rows


def gaussian_weights(
    mask: Bool[Array, "targets sources"],
    mean: Real[ArrayLike, "..."],
    std: Real[ArrayLike, "..."],
    *,
    key: Key,
) -> Float[Array, "targets sources"]:
    r"""Gaussian weights on the connections of a mask, zero elsewhere.

    $W_{ij} = \text{mean} + \text{std}\, \xi_{ij}$ with standard normal $\xi_{ij}$: the
    weights can have either sign, and are differentiable in `mean` and `std`.

    **Arguments:**

    - `mask`: entry [i, j] is true where j projects to i.
    - `mean`, `std`: (units of the weights), numbers or arrays that broadcast to the mask,
        such as one value for each source, of shape (sources,).

    Raises a `ValueError` for values that are not finite, for a negative `std`, and for a
    shape that does not fit. The weights of a traced bad value are NaN.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> mask = jn.connectivity.one_to_one(2)
    >>> jn.connectivity.gaussian_weights(mask, 1.5, 0.0, key=jax.random.key(0)).tolist()
    [[1.5, 0.0], [0.0, 1.5]]
    ```
    """
    _require_finite_and_fitting(mask, mean=mean, std=std)
    if is_concrete(std) and np.any(np.asarray(std) < 0):
        raise ValueError(
            f"`std` must not be negative, but it is {std}. Pass a standard deviation; the "
            "sign of the weights is that of `mean`."
        )
    return _gaussian(mask, jnp.asarray(mean, float), jnp.asarray(std, float), key)


def uniform_weights(
    mask: Bool[Array, "targets sources"],
    low: Real[ArrayLike, "..."],
    high: Real[ArrayLike, "..."],
    *,
    key: Key,
) -> Float[Array, "targets sources"]:
    r"""Uniform weights on the connections of a mask, zero elsewhere.

    $W_{ij} = \text{low} + (\text{high} - \text{low})\, \xi_{ij}$ with $\xi_{ij}$ uniform in
    [0, 1): the weights are differentiable in `low` and `high`.

    **Arguments:**

    - `mask`: entry [i, j] is true where j projects to i.
    - `low`, `high`: (units of the weights), numbers or arrays that broadcast to the mask,
        such as one value for each source, of shape (sources,).

    Raises a `ValueError` for values that are not finite, for `low` above `high`, and for a
    shape that does not fit. The weights of a traced bad value are NaN.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> mask = jn.connectivity.one_to_one(2)
    >>> jn.connectivity.uniform_weights(mask, 1.5, 1.5, key=jax.random.key(0)).tolist()
    [[1.5, 0.0], [0.0, 1.5]]
    ```
    """
    _require_finite_and_fitting(mask, low=low, high=high)
    if is_concrete(low) and is_concrete(high) and np.any(np.asarray(low) > high):
        raise ValueError(f"`low` is {low}, above `high`, which is {high}. Swap them.")
    return _uniform(mask, jnp.asarray(low, float), jnp.asarray(high, float), key)


def _require_finite_and_fitting(
    mask: Bool[Array, "targets sources"], **values: Real[ArrayLike, "..."]
) -> None:
    for name, value in values.items():
        shape = jnp.shape(value)
        fits = len(shape) <= 2 and all(
            have in (1, want)
            for have, want in zip(reversed(shape), reversed(mask.shape), strict=False)
        )
        if not fits:
            raise ValueError(
                f"`{name}` has shape {shape}, which does not broadcast to {mask.shape}, "
                "that of `mask`. Pass a number, one value for each source, of shape "
                "(sources,), or one for each target, of shape (targets, 1)."
            )
        if is_concrete(value) and not np.isfinite(np.asarray(value)).all():
            raise ValueError(f"`{name}` is NaN or infinite: {value}. Look at what made it.")


@jax.jit
def _gaussian(
    mask: Bool[Array, "targets sources"],
    mean: Float[Array, "..."],
    std: Float[Array, "..."],
    key: Key,
) -> Float[Array, "targets sources"]:
    weights = mean + std * _draw(jax.random.normal, mask, key)
    return jnp.where(mask, jnp.where(std >= 0, weights, jnp.nan), 0.0)


@jax.jit
def _uniform(
    mask: Bool[Array, "targets sources"],
    low: Float[Array, "..."],
    high: Float[Array, "..."],
    key: Key,
) -> Float[Array, "targets sources"]:
    weights = low + (high - low) * _draw(jax.random.uniform, mask, key)
    return jnp.where(mask, jnp.where(low <= high, weights, jnp.nan), 0.0)


def _draw(
    distribution: Callable[..., Array], mask: Bool[Array, "targets sources"], key: Key
) -> Float[Array, "targets sources"]:
    targets, sources = mask.shape
    keys = jax.random.split(key, targets)
    return by_rows(lambda k: distribution(k, (sources,)), keys, width=sources)
