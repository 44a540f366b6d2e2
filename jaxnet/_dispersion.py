"""The dispersion relation: which plane waves grow around a homogeneous state."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Complex, Float, Int, Real

from ._linearise import default_tolerance, flow_field, frozen_time
from ._prepare import prepare_state, prepare_system
from ._result import is_concrete, result_if, RESULTS, SUCCESS, worst
from ._system import AbstractSystem, Parts
from ._tree import float_dtype, nan_unless
from ._types import InputValue, RealScalarLike, State


class PlaneWaves(eqx.Module):
    r"""Modes of a torus, one or many: they evolve as $e^{\lambda t + 2\pi i k x / n}$.

    **Attributes:**

    - `wavenumber`: k, a pair of whole numbers: the cycles along the rows' axis and along
        the columns' axis, from one side of the torus to the other.
    - `eigenvalue`: $\lambda$ (1/ms).
    """

    wavenumber: Int[Array, "*waves 2"]
    eigenvalue: Complex[Array, "*waves"]

    @property
    def length(self) -> Float[Array, "*waves"]:
        """The absolute value of the wavenumber (cycles per side)."""
        return jnp.linalg.norm(self.wavenumber.astype(float), axis=-1)

    @property
    def growth_rate(self) -> Float[Array, "*waves"]:
        """The real part of the eigenvalue (1/ms)."""
        return self.eigenvalue.real

    @property
    def frequency(self) -> Float[Array, "*waves"]:
        """At how many cycles a second it turns (Hz); 0 for what stands still."""
        return jnp.abs(self.eigenvalue.imag) * (1000 / (2 * np.pi))


class DispersionRelation(eqx.Module):
    """The eigenvalues of the linearised flow at every wavenumber of a torus.

    **Attributes:**

    - `eigenvalues`: (1/ms). The first two axes are those of the wavenumber, in the order
        of `jax.numpy.fft.fft2`; the last has the m variables of a place, by falling real
        part; of a pair the upper one first.
    - `residual`: the largest absolute entry of the vector field (per ms). Linear stability
        is that of a fixed point, where it is zero but for rounding.
    - `result`: success, or why not; then all numbers are NaN.

    The properties take leading axes from `jax.vmap` too.
    """

    eigenvalues: Complex[Array, "*batch size size m"]
    residual: Float[Array, "*batch"]
    result: RESULTS

    @property
    def wavenumber(self) -> Int[np.ndarray, "size size 2"]:
        """The pair of whole numbers of each place, from -size / 2 to below size / 2."""
        return wavenumbers(self.eigenvalues.shape[-2])

    @property
    def growth_rate(self) -> Float[Array, "*batch size size"]:
        """The largest real part at each wavenumber (1/ms)."""
        return self.eigenvalues[..., 0].real

    @property
    def most_unstable(self) -> PlaneWaves:
        """The mode that grows fastest, or decays slowest.

        By symmetry there are others that do the same: at the least, the same wave with
        -k. It is the one that comes first in the order of `eigenvalues`.
        """
        size = self.eigenvalues.shape[-2]
        waves = self._fastest_of(np.arange(size**2)[None])
        return PlaneWaves(waves.wavenumber[..., 0, :], waves.eigenvalue[..., 0])

    @property
    def by_length(self) -> PlaneWaves:
        """For every length of the wavenumber, in rising order, its fastest mode.

        It is the profile to plot: `growth_rate` against `length`.
        """
        return self._fastest_of(_of_one_length(self.eigenvalues.shape[-2]))

    def _fastest_of(self, groups: Int[np.ndarray, "groups places"]) -> PlaneWaves:
        """The first of the fastest modes in each group of places of the raveled lattice."""
        fastest = self.eigenvalues[..., 0]
        fastest = fastest.reshape(*fastest.shape[:-2], -1)[..., groups]
        growth = jax.lax.stop_gradient(fastest.real)
        # What is tied by symmetry differs by rounding.
        resolution = float(np.finfo(growth.dtype).eps) ** 0.75
        scale = jnp.max(jnp.abs(fastest), axis=-1, keepdims=True)
        near = growth >= jnp.max(growth, axis=-1, keepdims=True) - resolution * scale
        first = jnp.argmax(near, axis=-1)[..., None]
        place = jnp.take_along_axis(jnp.broadcast_to(groups, near.shape), first, axis=-1)
        wavenumbers = jnp.asarray(self.wavenumber.reshape(-1, 2))
        return PlaneWaves(
            wavenumbers[place[..., 0]],
            jnp.take_along_axis(fastest, first, axis=-1)[..., 0],
        )


def dispersion_relation(
    system: AbstractSystem,
    y: State,
    *,
    u: InputValue = None,
    t: RealScalarLike | None = None,
) -> DispersionRelation:
    r"""The linear stability of a homogeneous state on a torus, wavenumber by wavenumber.

    The Jacobian of a system that is the same at every place of a torus is block-circulant:
    $J_{ab} = J_{a - b}$ with matrices of m x m, where m is the number of variables of a
    place. So its eigenvalues are those of the m x m matrices
    $\hat J_k = \sum_a J_a e^{-2 \pi i k a / n}$, and plane waves are its modes. The
    blocks are the responses of the flow to an impulse at one place, by automatic
    differentiation: no kernel is told to this function, and nothing is approximated.

    Lattices of the state may differ in size. A place is then a cell of the coarsest, with
    all that lies in it: a lattice that is finer by r has r x r variables there, and its
    waves above the wavenumbers of the coarsest lattice are among the modes at the
    wavenumber they are aliased to.

    **Arguments:**

    - `system`: the system; of a noisy one, the flow; of a spiking one, that between spikes.
    - `y`: the homogeneous state, a fixed point. Each of its leaves is a square lattice on
        its last two axes, or a stack of them, and the size of each is a whole multiple of
        that of the coarsest.
    - `u`: the input.
    - `t`: the time (ms) at which an input that varies is frozen.

    **Returns:** [`jaxnet.DispersionRelation`][]. Its eigenvalues have first derivatives in
    forward and reverse mode; at a double eigenvalue there is no derivative. That the
    linearisation is the same everywhere is looked at, and not that `y` is a fixed point:
    see `residual`.

    **Raises:** `ValueError` for leaves that are no lattices, and where the linearisation
    changes from place to place; a traced state becomes `RESULTS.not_homogeneous`.

    Source: Ermentrout and Cowan 1979, doi:10.1007/BF00336965; Bressloff 2012,
    doi:10.1088/1751-8113/45/3/033001.

    ```pycon
    >>> import jaxnet as jn
    >>> sheet = jn.models.RateSheet(
    ...     jn.couplings.TorusGaussian(2.0, size=16, taps=15),
    ...     jn.couplings.TorusGaussian(32.0, size=16, taps=15),
    ... )
    >>> relation = jn.dispersion_relation(sheet, sheet.uniform_state(0.0, 0.0))
    >>> relation.eigenvalues.shape
    (16, 16, 2)
    >>> round(float(relation.most_unstable.growth_rate), 3)
    -0.496
    ```
    """
    parts, system_result = prepare_system(system, u)
    y, state_result = prepare_state(parts, y, "y")
    size = coarsest_size(y)
    time = frozen_time(parts, t)
    eigenvalues, residual, mismatch = _spectrum(parts, y, time, size)
    is_same = mismatch <= default_tolerance()
    input_result = worst(system_result, state_result)
    if is_concrete(is_same) and not is_same:
        raise ValueError(
            f"`y` is no homogeneous state of this `{type(parts.flow).__name__}`: its "
            f"linearisation changes by {float(mismatch):.1e} of its size from place to "
            "place. Give the same values at every place for `y`, the input and the "
            "parameters; or take `jaxnet.eigenvalues`, which needs no symmetry."
        )
    result = worst(input_result, result_if(~is_same, RESULTS.not_homogeneous))
    eigenvalues, residual = nan_unless(result == SUCCESS, (eigenvalues, residual))
    return DispersionRelation(eigenvalues, residual, result)


@eqx.filter_jit
def _spectrum(parts: Parts, y: State, t: Real[Array, ""], size: int):
    """The eigenvalues, the residual, and by how much the Jacobian is not circulant."""
    rate = flow_field(parts, t)(y)
    matrices, linear = wave_matrices(parts, y, t, size)
    residual = jnp.max(jnp.stack([jnp.max(jnp.abs(x)) for x in jtu.tree_leaves(rate)]))

    # A matrix that commutes with both shifts is block-circulant. That of one that does not,
    # with a vector of random entries, is almost surely not zero.
    shape = (matrices.shape[-1], size, size)
    probe = jnp.asarray(np.random.default_rng(0).normal(size=shape), float)
    response = linear(probe)
    shifts = [
        jnp.max(jnp.abs(linear(jnp.roll(probe, 1, axis)) - jnp.roll(response, 1, axis)))
        for axis in (1, 2)
    ]
    scale = jnp.max(jnp.abs(response))
    mismatch = jnp.maximum(*shifts) / jnp.where(scale > 0, scale, 1.0)
    return eigenvalues_in_order(matrices), residual, jax.lax.stop_gradient(mismatch)


def wave_matrices(
    parts: Parts, y: State, t: Real[Array, ""], size: int
) -> tuple[Complex[Array, "size size m m"], Callable]:
    """The Jacobian at each wavenumber, and as a map between stacked lattices."""
    field = flow_field(parts, t)
    _, unstack = _stacked(y, size)
    linear = lambda v: _stacked(jax.jvp(field, (y,), (unstack(v),))[1], size)[0]
    m = sum(x.size for x in jtu.tree_leaves(y)) // size**2
    impulses = jnp.zeros((m, m, size, size)).at[:, :, 0, 0].set(jnp.eye(m))
    responses = jax.vmap(linear)(impulses)
    # From [source, target, row, column] to [row, column, target, source].
    return jnp.transpose(jnp.fft.fft2(responses), (2, 3, 1, 0)), linear


def coarsest_size(y: State) -> int:
    """The side of the coarsest lattice of a state, or a `ValueError` if it has others."""
    shapes = [jnp.shape(x) for x in jtu.tree_leaves(y)]
    for shape in shapes:
        if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] == 0:
            raise ValueError(
                "Every leaf of `y` must be a square lattice on its last two axes, "
                f"(..., size, size), but one has the shape {shape}. For a state without "
                "places take `jaxnet.eigenvalues`."
            )
    size = min(shape[-1] for shape in shapes)
    for shape in shapes:
        if shape[-1] % size:
            raise ValueError(
                f"The size of every lattice of `y` must be a whole multiple of that of the "
                f"coarsest, {size}, but one has the shape {shape}."
            )
    return size


def _stacked(y: State, size: int):
    """The state as lattices of one size, and the way back."""
    leaves, structure = jtu.tree_flatten(y)
    shapes = [x.shape for x in leaves]
    ratios = [shape[-1] // size for shape in shapes]

    def coarse(x, r):
        x = x.reshape(-1, size, r, size, r)
        return x.transpose(0, 2, 4, 1, 3).reshape(-1, size, size)

    def fine(x, shape, r):
        x = x.reshape(-1, r, r, size, size)
        return x.transpose(0, 3, 1, 4, 2).reshape(shape)

    ends = np.cumsum([np.prod(shape) // size**2 for shape in shapes])[:-1]

    def unstack(lattices):
        parts = jnp.split(lattices, ends)
        return jtu.tree_unflatten(structure, map(fine, parts, shapes, ratios))

    return jnp.concatenate(list(map(coarse, leaves, ratios))), unstack


def eigenvalues_in_order(
    matrices: Complex[Array, "*batch m m"],
) -> Complex[Array, "*batch m"]:
    """The eigenvalues of each matrix, by falling real part."""
    return _in_order(_eigenvalues(matrices))


def _eigenvalues(matrices: Complex[Array, "*batch m m"]) -> Complex[Array, "*batch m"]:
    m = matrices.shape[-1]
    if m == 1:
        return matrices[..., 0]
    if m > 2:
        return _eigenvalues_of_large(matrices)
    a, b = matrices[..., 0, 0], matrices[..., 0, 1]
    c, d = matrices[..., 1, 0], matrices[..., 1, 1]
    discriminant = ((a - d) / 2) ** 2 + b * c
    # A double eigenvalue has no derivative; that of the mean of the two is given.
    is_double = discriminant == 0
    root = jnp.where(is_double, 0.0, jnp.sqrt(jnp.where(is_double, 1.0, discriminant)))
    return ((a + d) / 2)[..., None] + jnp.stack([root, -root], axis=-1)


@jax.custom_jvp
def _eigenvalues_of_large(
    matrices: Complex[Array, "*batch m m"],
) -> Complex[Array, "*batch m"]:
    """With the derivatives of perturbation theory, each by its own two eigenvectors.

    So that of a single eigenvalue is right beside a double one of the same matrix, which
    is common where one lattice is finer than another.
    """
    return jnp.linalg.eigvals(matrices)


@_eigenvalues_of_large.defjvp
def _(primals, tangents):
    (matrices,), (change,) = primals, tangents
    values, left, right = jax.lax.linalg.eig(matrices)
    overlap = jnp.sum(left.conj() * right, axis=-2)
    derivative = jnp.einsum("...ik,...ij,...jk->...k", left.conj(), change, right)
    return values, derivative / jnp.where(overlap == 0, 1.0, overlap)


def _in_order(values: Complex[Array, "*batch m"]) -> Complex[Array, "*batch m"]:
    """By falling real part, those that differ by rounding by falling imaginary part."""
    scale = jnp.max(jnp.abs(values))
    unit = float(np.finfo(float_dtype()).eps) ** 0.75 * jnp.where(scale > 0, scale, 1.0)
    order = jnp.lexsort((-values.imag, -jnp.round(values.real / unit)))
    return jnp.take_along_axis(values, order, axis=-1)


def wavenumbers(size: int) -> Int[np.ndarray, "size size 2"]:
    """The pair of whole numbers of each place of a spectrum."""
    one_axis = np.round(np.fft.fftfreq(size, 1 / size)).astype(int)
    return np.stack(np.meshgrid(one_axis, one_axis, indexing="ij"), axis=-1)


def _of_one_length(size: int) -> Int[np.ndarray, "lengths places"]:
    """The places of the raveled lattice by the length of their wavenumber, ascending.

    Rows are filled up by their first place.
    """
    squares = (wavenumbers(size) ** 2).sum(axis=-1).ravel()
    rows = [np.flatnonzero(squares == square) for square in np.unique(squares)]
    longest = max(map(len, rows))
    return np.stack([np.pad(r, (0, longest - len(r)), constant_values=r[0]) for r in rows])
