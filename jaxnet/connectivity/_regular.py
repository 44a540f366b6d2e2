"""Projections that leave nothing to chance."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from ._checks import keeps_diagonal, require_units


def all_to_all(
    targets: int, sources: int, *, self_connections: bool | None = None
) -> Bool[Array, "targets sources"]:
    """Each source projects to each target.

    **Arguments:**

    - `targets`, `sources`: numbers of units.
    - `self_connections`: whether a unit projects to itself. It must be given where
        `targets == sources`: `False` for a recurrent projection, `True` between two
        populations of one size.

    Raises a `ValueError` for a size below 1.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.connectivity.all_to_all(3, 3, self_connections=False).astype(int).tolist()
    [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    ```
    """
    require_units(targets=targets, sources=sources)
    if keeps_diagonal(targets, sources, self_connections):
        return jnp.ones((targets, sources), bool)
    return all_but_partner(targets)


def one_to_one(n: int) -> Bool[Array, "n n"]:
    """Each unit projects to its partner, the unit of the same index.

    **Arguments:**

    - `n`: number of units of both populations.

    Raises a `ValueError` for a size below 1.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.connectivity.one_to_one(2).tolist()
    [[True, False], [False, True]]
    ```
    """
    require_units(n=n)
    return jnp.eye(n, dtype=bool)


def all_but_partner(n: int) -> Bool[Array, "n n"]:
    """Each unit projects to all but its partner, the unit of the same index.

    Lateral inhibition by way of a second population, for one.

    **Arguments:**

    - `n`: number of units of both populations.

    Raises a `ValueError` for a size below 1.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.connectivity.all_but_partner(2).tolist()
    [[False, True], [True, False]]
    ```
    """
    require_units(n=n)
    return ~jnp.eye(n, dtype=bool)


def ring(n: int, neighbours: int) -> Bool[Array, "n n"]:
    r"""Each unit is connected to its nearest neighbours on both sides of a ring.

    $j \to i$ where $0 < \min(|i - j|, n - |i - j|) \le$ `neighbours`. No unit projects to
    itself. To connect each unit to a share `p` of all, take `ring(n, int(n * p / 2))`.

    **Arguments:**

    - `n`: number of units.
    - `neighbours`: their number on each side, at most `n // 2`. If it is `n / 2`, both
        sides end at the unit opposite, which counts once.

    Raises a `ValueError` for a size below 1, and for `neighbours` outside of its range.

    Source: Watts and Strogatz 1998, doi:10.1038/30918, with $k$ twice `neighbours`.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.connectivity.ring(5, 1)[0].tolist()
    [False, True, False, False, True]
    ```
    """
    require_units(n=n)
    if not 0 <= neighbours <= n // 2:
        raise ValueError(
            f"`neighbours` is {neighbours}, but on a ring of {n} no unit is farther away "
            f"than {n // 2}. Pass a number from 0 to {n // 2}."
        )
    return _ring(n, neighbours)


@partial(jax.jit, static_argnames=("n", "neighbours"))
def _ring(n: int, neighbours: int) -> Bool[Array, "n n"]:
    units = jnp.arange(n, dtype=jnp.int32)
    apart = jnp.abs(units[:, None] - units)
    distance = jnp.minimum(apart, n - apart)
    return (distance > 0) & (distance <= neighbours)
