"""Constraints: invertible maps from numbers that are free to the values of parameters.

A fit moves the free numbers, and so never leaves what a constraint admits.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from ._parameters import parameter, Parametric, ScalarParameter
from ._result import is_concrete
from ._tree import all_true


# A free number so far from its start holds its parameter at an edge: e^-7 is a thousandth.
_FAR = 7.0


class AbstractConstraint(Parametric):
    """An invertible map from numbers that are free to the value of one selected entry."""

    @abc.abstractmethod
    def admits(self, value: PyTree) -> Bool[Array, ""]:
        """Whether a value, an array or a tree of arrays, fulfils the constraint."""

    @abc.abstractmethod
    def free(self, value: PyTree) -> PyTree:
        """The free numbers of a value that is admitted."""

    @abc.abstractmethod
    def value(self, free: PyTree, like: PyTree) -> PyTree:
        """The value of free numbers, in the shape of `like`."""

    @abc.abstractmethod
    def at_edge(self, free: PyTree, start: PyTree) -> Bool[Array, ""]:
        """Whether free numbers hold the value at an edge of what is admitted."""


class AbstractElementwise(AbstractConstraint):
    """A constraint of each number by itself, in arrays and trees of any shape."""

    @abc.abstractmethod
    def admits_number(self, x: Float[Array, "..."]) -> Bool[Array, "..."]:
        """Whether each number is admitted."""

    @abc.abstractmethod
    def free_number(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The free number of each."""

    @abc.abstractmethod
    def number(self, free: Float[Array, "..."]) -> Float[Array, "..."]:
        """Each number from its free one."""

    @abc.abstractmethod
    def is_far(
        self, free: Float[Array, "..."], start: Float[Array, "..."]
    ) -> Bool[Array, "..."]:
        """Whether each number is at an edge."""

    def admits(self, value):
        return all_true([jnp.all(self.admits_number(x)) for x in jtu.tree_leaves(value)])

    def free(self, value):
        return jtu.tree_map(self.free_number, value)

    def value(self, free, like):
        return jtu.tree_map(self.number, free)

    def at_edge(self, free, start):
        far = jtu.tree_map(lambda x, y: jnp.any(self.is_far(x, y)), free, start)
        return ~all_true([~x for x in jtu.tree_leaves(far)])


class Free(AbstractElementwise):
    """Any number.

    **Arguments:**

    - `unit`: the size of a change that matters, in the unit of the parameter. It is what
        the steps of first-order methods and of finite differences are measured in.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> float(jn.constraints.Free(unit=2.0).free(jnp.asarray(6.0)))
    3.0
    ```
    """

    unit: ScalarParameter = parameter(1.0, positive=True)

    def admits_number(self, x):
        return jnp.ones(jnp.shape(x), bool)

    def free_number(self, x):
        return x / self.unit

    def number(self, free):
        return free * self.unit

    def is_far(self, free, start):
        return jnp.zeros(jnp.shape(free), bool)


class Positive(AbstractElementwise):
    """Numbers above zero; the free number is the logarithm.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> float(jn.constraints.Positive().free(jnp.asarray(1.0)))
    0.0
    ```
    """

    def admits_number(self, x):
        return (x > 0) & jnp.isfinite(x)

    def free_number(self, x):
        return jnp.log(x)

    def number(self, free):
        return jnp.exp(free)

    def is_far(self, free, start):
        return free < start - _FAR


class Interval(AbstractElementwise):
    r"""Numbers between two others; the free number z is that of a logistic function.

    $x = \mathrm{low} + (\mathrm{high} - \mathrm{low}) / (1 + e^{-z})$.

    **Arguments:**

    - `low`, `high`: the ends, which are not admitted themselves.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> float(jn.constraints.Interval(0.0, 4.0).free(jnp.asarray(2.0)))
    0.0
    ```
    """

    low: ScalarParameter = parameter()
    high: ScalarParameter = parameter()

    def __check_init__(self):
        rises = (self.low < self.high) & jnp.isfinite(self.high - self.low)
        if is_concrete(rises) and not rises:
            raise ValueError(
                f"`low` and `high` of `Interval` must be finite and rise, but they are "
                f"{float(self.low)} and {float(self.high)}. For one end alone take "
                "`Positive`."
            )

    def admits_number(self, x):
        return (x > self.low) & (x < self.high)

    def free_number(self, x):
        return jnp.log(x - self.low) - jnp.log(self.high - x)

    def number(self, free):
        return self.low + (self.high - self.low) * jax.nn.sigmoid(free)

    def is_far(self, free, start):
        return jnp.abs(free) > jnp.abs(start) + _FAR


class Simplex(AbstractConstraint):
    r"""Positive numbers along the last axis whose sum is `total`, such as fractions.

    $x_k = \mathrm{total} \, e^{z_k} / \sum_j e^{z_j}$ with $z_n = 0$.

    **Arguments:**

    - `total`: the sum.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> jn.constraints.Simplex().free(jnp.asarray([0.5, 0.5])).tolist()
    [0.0]
    ```
    """

    total: ScalarParameter = parameter(1.0, positive=True)

    def admits(self, value):
        x = _one_array(value, "Simplex")
        if x.ndim == 0 or x.shape[-1] < 2:
            return jnp.asarray(False)
        near = math.sqrt(jnp.finfo(x.dtype).eps) * self.total
        return jnp.all(x > 0) & jnp.all(jnp.abs(x.sum(axis=-1) - self.total) <= near)

    def free(self, value):
        z = jnp.log(_one_array(value, "Simplex"))
        return z[..., :-1] - z[..., -1:]

    def value(self, free, like):
        z = jnp.concatenate([free, jnp.zeros_like(free[..., :1])], axis=-1)
        x = self.total * jax.nn.softmax(z, axis=-1)
        return jtu.tree_unflatten(jtu.tree_structure(like), [x])

    def at_edge(self, free, start):
        return jnp.any(jnp.abs(free - start) > _FAR)


class Dale(AbstractConstraint):
    """Weights that keep their signs: each is its sign times a positive number.

    By Dale's law all that a unit sends has one sign: of the weights ``W[i, j]`` from j to i
    that of column j, so that `signs` has one entry a unit.

    **Arguments:**

    - `signs`: +1, -1, or 0 where there is no weight and none is to be, broadcast to the
        weights. They are concrete.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> dale = jn.constraints.Dale([1, -1])
    >>> bool(dale.admits(jnp.asarray([[0.5, -0.5], [2.0, -1.0]])))
    True
    >>> bool(dale.admits(jnp.asarray([[0.5, 0.5], [2.0, -1.0]])))
    False
    ```
    """

    signs: tuple = eqx.field(
        static=True, converter=lambda signs: _nested(np.sign(signs).tolist())
    )

    def admits(self, value):
        x = _one_array(value, "Dale")
        return jnp.all(jnp.sign(x) == self._signs(x))

    def free(self, value):
        x = _one_array(value, "Dale")
        return jnp.log(jnp.abs(x[np.nonzero(self._signs(x))]))

    def value(self, free, like):
        signs = self._signs(_one_array(like, "Dale"))
        places = np.nonzero(signs)
        x = jnp.zeros(signs.shape, free.dtype).at[places].set(signs[places] * jnp.exp(free))
        return jtu.tree_unflatten(jtu.tree_structure(like), [x])

    def at_edge(self, free, start):
        return jnp.any(free < start - _FAR)

    def _signs(self, x: Array) -> np.ndarray:
        signs = np.asarray(self.signs)
        try:
            return np.broadcast_to(signs, x.shape)
        except ValueError as e:
            raise ValueError(
                f"`signs` of `Dale` have the shape {signs.shape}, which does not fit the "
                f"weights of shape {x.shape}. Give one sign for each column."
            ) from e


class Sparse(AbstractConstraint):
    """Weights of which some alone are free; the others stay as they are.

    **Arguments:**

    - `mask`: which are free, in the shape of the weights. It is concrete.
    - `of_free`: the constraint of those, each by itself.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> sparse = jn.constraints.Sparse([[True, False], [False, True]])
    >>> sparse.free(jnp.asarray([[1.0, 0.0], [0.0, 2.0]])).tolist()
    [1.0, 2.0]
    ```
    """

    mask: tuple = eqx.field(
        static=True, converter=lambda mask: _nested(np.asarray(mask, bool).tolist())
    )
    of_free: AbstractElementwise = eqx.field(default_factory=Free)

    def admits(self, value):
        return self.of_free.admits(self._picked(value))

    def free(self, value):
        return self.of_free.free(self._picked(value))

    def value(self, free, like):
        x = _one_array(like, "Sparse")
        x = x.at[np.nonzero(np.asarray(self.mask))].set(self.of_free.number(free))
        return jtu.tree_unflatten(jtu.tree_structure(like), [x])

    def at_edge(self, free, start):
        return self.of_free.at_edge(free, start)

    def _picked(self, value: PyTree) -> Float[Array, " free"]:
        x, mask = _one_array(value, "Sparse"), np.asarray(self.mask)
        if x.shape != mask.shape:
            raise ValueError(
                f"`mask` of `Sparse` has the shape {mask.shape}, but the weights have "
                f"{x.shape}. Give one entry for each weight."
            )
        return x[np.nonzero(mask)]


class Tied(AbstractConstraint):
    """Numbers that are all equal, within an array or over a tuple of parameters.

    **Arguments:**

    - `of_one`: the constraint of their common value.

    ```pycon
    >>> import jax.numpy as jnp
    >>> import jaxnet as jn
    >>> tied = jn.constraints.Tied(jn.constraints.Positive())
    >>> bool(tied.admits((jnp.asarray(2.0), jnp.asarray(3.0))))
    False
    ```
    """

    of_one: AbstractElementwise = eqx.field(default_factory=Free)

    def admits(self, value):
        one = self._one(value)
        equal = [jnp.all(x == one) for x in jtu.tree_leaves(value)]
        return all_true([*equal, self.of_one.admits(one)])

    def free(self, value):
        return self.of_one.free(self._one(value))

    def value(self, free, like):
        one = self.of_one.number(free)
        return jtu.tree_map(lambda x: jnp.broadcast_to(one, jnp.shape(x)), like)

    def at_edge(self, free, start):
        return self.of_one.at_edge(free, start)

    def _one(self, value: PyTree) -> Float[Array, ""]:
        return jnp.ravel(jtu.tree_leaves(value)[0])[0]


def _one_array(value: PyTree, name: str) -> Array:
    leaves = jtu.tree_leaves(value)
    if len(leaves) != 1:
        raise ValueError(
            f"`{name}` constrains one array, but it is given {len(leaves)}. Give a "
            "constraint for each in `constraints`."
        )
    return leaves[0]


def _nested(x):
    """A list of lists as tuples, by which programs are told apart."""
    return tuple(map(_nested, x)) if isinstance(x, list) else x
