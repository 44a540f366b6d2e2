"""Couplings on a square lattice with periodic boundaries: convolutions on a torus."""

import abc
import operator

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Real

from .._parameters import parameter, require_one_number, ScalarParameter
from ._base import AbstractCoupling
from ._circular import circular_convolution


# Up to this size two products of matrices are quicker than two Fourier transforms.
_LARGEST_PRODUCT = 64


def _as_whole(x) -> int:
    """A whole number as one of Python's; what is none is left for the check."""
    try:
        return x if isinstance(x, bool) else operator.index(x)
    except TypeError:
        return x


def _require_odd(taps, name: str) -> None:
    if not (type(taps) is int and taps > 0 and taps % 2 == 1):
        raise ValueError(
            f"{name} must be a whole, odd number, so that the kernel has a middle, but it "
            f"is {taps}."
        )


def _require_size(size) -> None:
    if not (type(size) is int and size > 0):
        raise ValueError(
            f"`size` must be a positive whole number, but it is {size}. It is the number "
            "of cells a side."
        )


def _cells_of_taps(taps: int, size: int) -> Int[np.ndarray, " taps"]:
    """The row, or the column, on which each tap falls."""
    return np.arange(-(taps // 2), taps // 2 + 1) % size


class AbstractTorusCoupling(AbstractCoupling):
    r"""The same kernel around every cell of a torus: $I_a = \sum_b k_{a - b} x_b$.

    The cells form a square lattice of `size` x `size` whose opposite edges meet. As a
    coupling of units these are numbered row by row; `field` takes and gives lattices.
    """

    size: eqx.AbstractVar[int]

    @property
    def shape(self):
        return self.size**2, self.size**2

    def field(self, x: Real[ArrayLike, "size size"]) -> Float[Array, "size size"]:
        """The input of every cell: the activity, convolved with the kernel."""
        x = jnp.asarray(x, float)
        if jnp.shape(x) != (self.size, self.size):
            raise ValueError(
                f"`x` must be the activity of {self.size} x {self.size} cells, but its "
                f"shape is {jnp.shape(x)}. For many activities use `jax.vmap`."
            )
        return self._convolve(x)

    @abc.abstractmethod
    def kernel(self) -> Float[Array, "size size"]:
        """The weight from the cell (0, 0) to every cell; taps on one cell add up."""

    @abc.abstractmethod
    def _convolve(self, x: Float[Array, "size size"]) -> Float[Array, "size size"]:
        """What `field` gives."""

    def _mv(self, x):
        return self._convolve(jnp.reshape(x, (self.size, self.size))).ravel()

    def split(self, delays, distinct):
        raise ValueError(
            f"`delay` must be one number for `{type(self).__name__}`, which has no table "
            "of synapses. Couple the cells by `Dense` or `Sparse` for a delay a synapse."
        )


class TorusKernel(AbstractTorusCoupling):
    """Any kernel on a torus, by Fourier transforms.

    **Arguments:**

    - `weights`: the kernel, a square with an odd number of taps a side; the middle one is
        the weight of a cell onto itself, and ``weights[c + i, c + j]`` that onto the cell
        i rows down and j columns to the right. A kernel wider than the torus winds around
        it, and taps that fall on the same cell add up.
    - `size`: the number of cells a side.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> shift = jn.couplings.TorusKernel([[0, 0, 0], [0, 0, 1], [0, 0, 0]], size=3)
    >>> shift.field(jnp.eye(3)).round(6).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    ```
    """

    weights: Float[Array, "taps taps"] = parameter()
    size: int = eqx.field(static=True, kw_only=True, converter=_as_whole)

    def __check_init__(self):
        shape = jnp.shape(self.weights)
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(
                f"`weights` of `TorusKernel` must be a square, but its shape is {shape}."
            )
        _require_odd(shape[0], "the number of rows of `weights`")
        _require_size(self.size)

    def kernel(self):
        rows = _cells_of_taps(self.weights.shape[0], self.size)
        empty = jnp.zeros((self.size, self.size), self.weights.dtype)
        return empty.at[rows[:, None], rows].add(self.weights)

    def _convolve(self, x):
        return circular_convolution(x, self.kernel())


class TorusGaussian(AbstractTorusCoupling):
    r"""A Gaussian kernel on a torus, $w\,e^{-d^2 / \sigma}$ on a square of taps.

    The kernel is a product of a function of the rows and one of the columns. So up to
    64 x 64 cells it is applied as the product $K x K^T$, where K is circulant, and on
    larger lattices by Fourier transforms; both are exact to rounding, and cost the same
    whatever the activity.

    **Arguments:**

    - `sigma`: $\sigma$ (cells squared), twice the variance of the Gaussian.
    - `weight`: w, that of a cell onto itself.
    - `size`: the number of cells a side.
    - `taps`: the taps a side, an odd number. Beyond them the kernel is zero. A kernel wider
        than the torus winds around it, and taps that fall on the same cell add up.

    ```pycon
    >>> import jaxnet as jn
    >>> gaussian = jn.couplings.TorusGaussian(18.0, size=150, taps=101)
    >>> [round(float(weight), 3) for weight in gaussian.kernel()[0, :3]]
    [1.0, 0.946, 0.801]
    ```
    """

    sigma: ScalarParameter = parameter(positive=True)
    weight: ScalarParameter = parameter(1.0)
    size: int = eqx.field(static=True, kw_only=True, converter=_as_whole)
    taps: int = eqx.field(static=True, kw_only=True, converter=_as_whole)

    def __check_init__(self):
        _require_odd(self.taps, "`taps`")
        _require_size(self.size)

    def kernel(self):
        profile = self._profile()
        return self.weight * profile[:, None] * profile

    def _profile(self) -> Float[Array, " size"]:
        """The factor of the rows, which is that of the columns too."""
        remedy = "For many kernels use `jax.vmap`."
        require_one_number(self, "sigma", "weight", remedy=remedy)
        half = self.taps // 2
        gaussian = jnp.exp(-(np.arange(-half, half + 1) ** 2) / self.sigma)
        return jnp.zeros(self.size).at[_cells_of_taps(self.taps, self.size)].add(gaussian)

    def _convolve(self, x):
        if self.size <= _LARGEST_PRODUCT:
            profile, cells = self._profile(), np.arange(self.size)
            circulant = profile[(cells[:, None] - cells) % self.size]
            return self.weight * jnp.linalg.multi_dot(
                [circulant, x, circulant], precision="highest"
            )
        return circular_convolution(x, self.kernel())
