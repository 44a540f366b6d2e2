"""Projections between units that have a place."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Real

from .._parameters import Parameter, parameter, Parametric
from .._result import is_concrete
from .._tree import check_no_nan
from .._types import Key
from ._checks import keeps_diagonal, require_units
from ._rows import by_rows


class GaussianProfile(Parametric):
    r"""$p(d) = \text{peak}\, e^{-d^2 / (2\, \text{width}^2)}$.

    **Arguments:**

    - `peak`: probability of a connection at distance 0, at most 1.
    - `width`: standard deviation (unit of the positions).

    Source: Mehring et al. 2003, doi:10.1007/s00422-002-0384-4.

    ```pycon
    >>> import jaxnet as jn
    >>> profile = jn.connectivity.GaussianProfile(peak=0.5, width=0.2)
    >>> round(float(profile(0.2)), 3)
    0.303
    ```
    """

    peak: Parameter = parameter(nonnegative=True)
    width: Parameter = parameter(positive=True)

    def __call__(self, distance: Real[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        return self.peak * jnp.exp(-((distance / self.width) ** 2) / 2)


def distance_dependent(
    targets: Real[Array, "targets dim"],
    sources: Real[Array, "sources _"],
    probability: Callable[[Float[Array, " sources"]], Real[ArrayLike, "..."]],
    *,
    key: Key,
    box: Real[ArrayLike, "..."] | None = None,
    self_connections: bool | None = None,
) -> Bool[Array, "targets sources"]:
    r"""Units are connected with a probability that depends on their distance.

    $P(j \to i) = p(\lVert x_i - x_j \rVert)$, independently of all other connections. In
    a periodic box, the distance is that to the nearest image.

    **Arguments:**

    - `targets`, `sources`: positions, of shapes (targets, dim) and (sources, dim).
    - `probability`: the probability as a function of the distance, entry by entry, such
        as [`jaxnet.connectivity.GaussianProfile`][].
    - `box`: length of a periodic box (unit of the positions), a number or one for each
        dimension; without it, space is open.
    - `self_connections`: whether a unit may project to itself. It must be given where
        there are as many targets as sources: `False` for a recurrent projection, `True`
        between two populations of one size.

    Raises a `ValueError` for positions that are not finite or not in the same space, for
    a `box` that is not positive and finite, and for a probability outside of [0, 1] at a
    distance that occurs. Where these are traced, a `RuntimeError` when the program runs.

    ```pycon
    >>> import jax
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> x = jnp.linspace(0.0, 1.0, 5, endpoint=False)[:, None]
    >>> mask = jn.connectivity.distance_dependent(
    ...     x, x, lambda d: d < 0.3, key=jax.random.key(0), box=1.0, self_connections=False
    ... )
    >>> mask[0].tolist()
    [False, True, False, False, True]
    ```
    """
    if targets.ndim != 2 or targets.shape[1:] != sources.shape[1:]:
        raise ValueError(
            "`targets` and `sources` must have shapes (targets, dim) and (sources, dim), "
            f"but they are {targets.shape} and {sources.shape}. Pass one row per unit; on "
            "a line, `x[:, None]`."
        )
    require_units(targets=len(targets), sources=len(sources))
    diagonal = keeps_diagonal(len(targets), len(sources), self_connections)
    check_no_nan(targets, "targets", finite=True)
    check_no_nan(sources, "sources", finite=True)
    targets, sources = jnp.asarray(targets, float), jnp.asarray(sources, float)
    period = None if box is None else _as_period(box, targets.shape[1])

    # Not compiled as a whole: a function that reads a global would be stale.
    def row(i, position, key):
        distance = _distance(position, sources, period)
        allowed = (jnp.arange(len(sources)) != i) | diagonal
        return _draw(distance, jnp.asarray(probability(distance), float), allowed, key)

    keys = jax.random.split(key, len(targets))
    rows = jnp.arange(len(targets))
    mask, good = by_rows(row, rows, targets, keys, width=len(sources))
    return _require_good(mask, jnp.all(good))


def _as_period(box: Real[ArrayLike, "..."], dim: int) -> Float[Array, "..."]:
    if jnp.shape(box) not in ((), (dim,)):
        raise ValueError(
            f"`box` has shape {jnp.shape(box)}, but space has {dim} dimensions. Pass a "
            f"number, or {dim} lengths."
        )
    if is_concrete(box):
        lengths = np.asarray(box)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise ValueError(
                f"`box` must be positive and finite, but it is {lengths}. Pass the length "
                "of the box, or `box=None` for open space."
            )
    period = jnp.asarray(box, float)
    return jnp.where(period > 0, period, jnp.nan)


@jax.jit
def _distance(
    position: Float[Array, " dim"],
    others: Float[Array, "others dim"],
    period: Float[Array, "..."] | None,
) -> Float[Array, " others"]:
    apart = position - others
    if period is not None:
        apart = apart - period * jnp.round(apart / period)
    return jnp.sqrt(jnp.sum(apart**2, axis=-1))


@jax.jit
def _draw(
    distance: Float[Array, " sources"],
    p: Float[Array, "..."],
    allowed: Bool[Array, " sources"],
    key: Key,
) -> tuple[Bool[Array, " sources"], Bool[Array, ""]]:
    """A row of the mask, and whether its probabilities make sense."""
    good = jnp.isfinite(distance) & (p >= 0) & (p <= 1)
    # In float64, a draw would cost twice as much, and give another network.
    drawn = jax.random.bernoulli(key, p.astype(jnp.float32), distance.shape)
    return allowed & drawn, jnp.all(good | ~allowed)


def _require_good(
    mask: Bool[Array, "targets sources"], good: Bool[Array, ""]
) -> Bool[Array, "targets sources"]:
    message = (
        "`probability` leaves [0, 1] at a distance that occurs, or a position or `box` is "
        "not finite. Scale it, or take `jnp.clip(p, 0, 1)`."
    )
    if not is_concrete(good):
        return eqx.error_if(mask, ~good, message)
    if not good:
        raise ValueError(message)
    return mask
