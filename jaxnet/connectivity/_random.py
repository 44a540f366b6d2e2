"""Projections without structure, drawn at random."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._types import Key, RealScalarLike
from ._checks import as_probability, keeps_diagonal, require_units
from ._rows import by_rows


def bernoulli(
    targets: int,
    sources: int,
    p: RealScalarLike,
    *,
    key: Key,
    self_connections: bool | None = None,
) -> Bool[Array, "targets sources"]:
    """Each possible connection exists with probability `p`, independently of all others.

    The number of connections is binomial. The random directed graph of Gilbert, often
    named after Erdős and Rényi. `p` is resolved to 1e-7.

    **Arguments:**

    - `targets`, `sources`: numbers of units.
    - `p`: probability of a connection.
    - `self_connections`: whether a unit may project to itself. It must be given where
        `targets == sources`: `False` for a recurrent projection, `True` between two
        populations of one size.

    Raises a `ValueError` for a size below 1, and for `p` outside of [0, 1]; where `p` is
    traced, a `RuntimeError` when the program runs.

    Source: Gilbert 1959, doi:10.1214/aoms/1177706098.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> mask = jn.connectivity.bernoulli(300, 100, 0.1, key=jax.random.key(0))
    >>> mask.shape, round(float(mask.mean()), 2)
    ((300, 100), 0.1)
    ```
    """
    require_units(targets=targets, sources=sources)
    diagonal = keeps_diagonal(targets, sources, self_connections)
    return _bernoulli(as_probability(p, "p"), key, targets, sources, diagonal)


@partial(jax.jit, static_argnames=("targets", "sources", "diagonal"))
def _bernoulli(
    p: Float[Array, ""], key: Key, targets: int, sources: int, diagonal: bool
) -> Bool[Array, "targets sources"]:
    # In float64, a draw would cost twice as much, and give another network.
    p = p.astype(jnp.float32)
    columns = jnp.arange(sources)

    def row(i, key):
        allowed = diagonal | (columns != i)
        return allowed & jax.random.bernoulli(key, p, (sources,))

    keys = jax.random.split(key, targets)
    return by_rows(row, jnp.arange(targets), keys, width=sources)


def fixed_in_degree(
    targets: int,
    sources: int,
    degree: int,
    *,
    key: Key,
    self_connections: bool | None = None,
) -> Bool[Array, "targets sources"]:
    """Each target has exactly `degree` sources, every set of them equally probable.

    **Arguments:**

    - `targets`, `sources`: numbers of units.
    - `degree`: number of distinct sources of a target.
    - `self_connections`: whether a unit may project to itself. It must be given where
        `targets == sources`: `False` for a recurrent projection, `True` between two
        populations of one size.

    Raises a `ValueError` for a size below 1, and for a `degree` that is negative or larger
    than the number of units to choose from.

    Sources: networks of this kind, Brunel 2000, doi:10.1023/A:1008925309027; the sets are
    drawn by the algorithm of Floyd, in Bentley and Floyd 1987, doi:10.1145/30401.315746.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> mask = jn.connectivity.fixed_in_degree(3, 50, 10, key=jax.random.key(0))
    >>> mask.sum(axis=1).tolist()
    [10, 10, 10]
    ```
    """
    require_units(targets=targets, sources=sources)
    diagonal = keeps_diagonal(targets, sources, self_connections)
    candidates = sources if diagonal else sources - 1
    _require_degree(degree, candidates)
    return _distinct_partners(key, targets, sources, degree, diagonal)


def fixed_out_degree(
    targets: int,
    sources: int,
    degree: int,
    *,
    key: Key,
    self_connections: bool | None = None,
) -> Bool[Array, "targets sources"]:
    """Each source has exactly `degree` targets, every set of them equally probable.

    **Arguments:**

    - `targets`, `sources`: numbers of units.
    - `degree`: number of distinct targets of a source.
    - `self_connections`: whether a unit may project to itself. It must be given where
        `targets == sources`: `False` for a recurrent projection, `True` between two
        populations of one size.

    Raises a `ValueError` for a size below 1, and for a `degree` that is negative or larger
    than the number of units to choose from.

    Source: as [`jaxnet.connectivity.fixed_in_degree`][].

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> mask = jn.connectivity.fixed_out_degree(50, 3, 10, key=jax.random.key(0))
    >>> mask.sum(axis=0).tolist()
    [10, 10, 10]
    ```
    """
    require_units(targets=targets, sources=sources)
    diagonal = keeps_diagonal(targets, sources, self_connections)
    candidates = targets if diagonal else targets - 1
    _require_degree(degree, candidates)
    return _distinct_partners(key, sources, targets, degree, diagonal).T


def _require_degree(degree: int, candidates: int) -> None:
    if not 0 <= degree <= candidates:
        raise ValueError(
            f"`degree` is {degree}, but a unit has {candidates} others to choose from. "
            f"Pass a number from 0 to {candidates}."
        )


@partial(jax.jit, static_argnames=("units", "others", "degree", "diagonal"))
def _distinct_partners(
    key: Key, units: int, others: int, degree: int, diagonal: bool
) -> Bool[Array, "units others"]:
    """`degree` of the others for every unit.

    Floyd's algorithm adds one partner a step: a draw from the first `last + 1` candidates,
    or the candidate `last` itself if the one that was drawn is already there.
    """
    rows = jnp.arange(units, dtype=jnp.int32)
    candidates = others if diagonal else others - 1

    def partner(candidate):
        return candidate if diagonal else candidate + (candidate >= rows)

    def step(mask, x):
        last, key = x
        # The remainder is uniform up to a relative error of others / 2**32.
        drawn = (jax.random.bits(key, (units,), jnp.uint32) % (last + 1)).astype(jnp.int32)
        is_taken = mask[rows, partner(drawn)]
        added = partner(jnp.where(is_taken, last.astype(jnp.int32), drawn))
        return mask.at[rows, added].set(True), None

    lasts = jnp.arange(candidates - degree, candidates, dtype=jnp.uint32)
    keys = jax.random.split(key, degree)
    mask, _ = jax.lax.scan(step, jnp.zeros((units, others), bool), (lasts, keys))
    return mask
