"""Few synapses out of many possible ones, and what their spikes do, event by event."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Real

from .._parameters import Parameter, parameter
from .._result import is_concrete
from ._base import AbstractCoupling, require_delays
from ._event_sums import event_sums, Layout, source_of_synapse


def _as_index(x) -> Int[Array, "..."]:
    if not is_concrete(x):
        return jnp.asarray(x, jnp.int32)
    # Also inside of `jax.jit` a known table stays known, and is looked at.
    with jax.ensure_compile_time_eval():
        return jnp.asarray(np.asarray(x), jnp.int32)


class Sparse(AbstractCoupling):
    r"""A table of synapses: $I_i = \sum_{j \to i} w_{ij} x_j$.

    The cost of `mv` grows with the number of sources whose activity is not zero and their
    synapses, not with all synapses; no activity is left out, however much there is. The
    derivatives are those of the whole sum, silent sources included, and cost as much as
    it does.

    Make one by `Sparse.from_mask` or `Sparse.from_pairs`. The table is that of a sparse
    matrix in compressed columns: synapse k leads to the target ``indices[k]``, and those
    of source j are ``indptr[j] <= k < indptr[j + 1]``.

    **Arguments:**

    - `targets`: the number of targets.
    - `indptr`: shape ``(sources + 1,)``.
    - `indices`: shape ``(synapses,)``.
    - `weights`: w, one number or one a synapse, in the order of the table. Delays are
        one a synapse in this order too.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> coupling = jn.couplings.Sparse.from_pairs([0, 0, 1], [1, 2, 0], 0.5, shape=(3, 2))
    >>> coupling.mv(jnp.array([1.0, 0.0])).tolist()
    [0.0, 0.5, 0.5]
    ```
    """

    targets: int = eqx.field(static=True)
    indptr: Int[Array, " sources+1"] = eqx.field(converter=_as_index)
    indices: Int[Array, " synapses"] = eqx.field(converter=_as_index)
    weights: Parameter = parameter()

    def __check_init__(self):
        synapses = self.indices.shape[0]
        _require_weights(self.weights, synapses)
        if not (is_concrete(self.indptr) and is_concrete(self.indices)):
            return
        starts = np.asarray(self.indptr)
        if starts[0] != 0 or starts[-1] != synapses or (np.diff(starts) < 0).any():
            raise ValueError(
                f"`indptr` of `Sparse` must rise from 0 to the number of synapses, "
                f"{synapses}. Make the table by `Sparse.from_pairs`."
            )
        _require_inside(np.asarray(self.indices), self.targets, "indices")

    @staticmethod
    def from_pairs(
        sources: Sequence[int] | Int[ArrayLike, " synapses"],
        targets: Sequence[int] | Int[ArrayLike, " synapses"],
        weights: Sequence[float] | Real[ArrayLike, "..."],
        *,
        shape: tuple[int, int],
    ) -> "Sparse":
        """A table from the source and the target of each synapse, in any order.

        **Arguments:**

        - `sources`, `targets`: of each synapse.
        - `weights`: one number, or one a synapse.
        - `shape`: ``(targets, sources)``, as that of a matrix of weights.
        """
        sources = _as_whole_numbers(sources, "sources")
        targets = _as_whole_numbers(targets, "targets")
        if sources.shape != targets.shape or sources.ndim != 1:
            raise ValueError(
                "`sources` and `targets` must be two vectors of one length, but their "
                f"shapes are {sources.shape} and {targets.shape}."
            )
        _require_inside(sources, shape[1], "sources")
        _require_inside(targets, shape[0], "targets")
        order = np.argsort(sources, kind="stable")
        indptr = np.searchsorted(sources[order], np.arange(shape[1] + 1))
        weights = jnp.asarray(weights, float)
        _require_weights(weights, sources.size)
        return Sparse(
            shape[0], indptr, targets[order], weights[order] if weights.ndim else weights
        )

    @staticmethod
    def from_mask(
        mask: Bool[ArrayLike, "targets sources"], weights: Real[ArrayLike, "..."]
    ) -> "Sparse":
        """A table of the synapses where a mask is true.

        The mask must be concrete, since it says how long the table is.

        **Arguments:**

        - `mask`: true where source j leads to target i.
        - `weights`: one number, or a matrix of the mask's shape.
        """
        if not is_concrete(mask):
            raise ValueError(
                "`mask` must be concrete here, but it is traced. Make the coupling outside "
                "`jax.jit` and `jax.vmap`, or take `Dense(weights * mask)`."
            )
        mask, weights = np.asarray(mask), jnp.asarray(weights, float)
        if mask.ndim != 2 or weights.shape not in ((), mask.shape):
            raise ValueError(
                "`mask` must be a matrix, (targets, sources), and `weights` one number or "
                f"a matrix of its shape, but their shapes are {mask.shape} and "
                f"{weights.shape}."
            )
        sources, targets = np.nonzero(mask.T)
        if weights.ndim:
            weights = weights[targets, sources]
        return Sparse.from_pairs(sources, targets, weights, shape=mask.shape)

    @property
    def shape(self):
        return self.targets, self.indptr.shape[0] - 1

    @property
    def source_of_synapse(self) -> Int[Array, " synapses"]:
        """The source of each synapse, in the order of the table."""
        return source_of_synapse(self.indptr, self.indices.shape[0])

    def at_synapses(
        self, matrix: Real[ArrayLike, "targets sources"]
    ) -> Real[Array, " synapses"]:
        """The entries of a matrix at each synapse, in the order of the table."""
        return jnp.asarray(matrix)[self.indices, self.source_of_synapse]

    def _mv(self, x):
        return deliver([(self, 0)], x)[0]

    def split(self, delays, distinct):
        require_delays(delays, self.indices.shape)
        targets = np.asarray(self.indices)
        sources = np.repeat(np.arange(self.shape[1]), np.diff(np.asarray(self.indptr)))

        def part(delay):
            chosen = delays == delay
            weights = self.weights[chosen] if self.weights.ndim else self.weights
            return Sparse.from_pairs(
                sources[chosen], targets[chosen], weights, shape=self.shape
            )

        return tuple(part(delay) for delay in distinct)


def _as_whole_numbers(x, name: str) -> np.ndarray:
    x = np.asarray(x)
    if x.size and not np.issubdtype(x.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be whole numbers, but they are of type {x.dtype}. Pass the "
            "number of the unit at that end of each synapse."
        )
    return x.astype(int)


def _require_weights(weights: Array, synapses: int) -> None:
    if jnp.shape(weights) not in ((), (synapses,)):
        raise ValueError(
            f"`weights` of `Sparse` must be one number or one a synapse, ({synapses},), "
            f"but its shape is {jnp.shape(weights)}."
        )


def _require_inside(numbers: np.ndarray, size: int, name: str) -> None:
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < size):
        raise ValueError(
            f"`{name}` must lie in 0 to {size - 1}, but they reach from {numbers.min()} "
            f"to {numbers.max()}."
        )


def deliver(
    couplings: Sequence[tuple[AbstractCoupling, int]], spikes: Real[Array, " units"]
) -> list[Float[Array, " targets"]]:
    """What each coupling makes of the spikes of its sources.

    The sparse ones share one pass over the spikes.

    **Arguments:**

    - `couplings`: each with the number of the unit that is its first source.
    - `spikes`: of all units.
    """
    spikes = jnp.asarray(spikes, jnp.result_type(spikes, float))
    sparse = [(c, first) for c, first in couplings if isinstance(c, Sparse)]
    by_event = iter(_deliver_events(sparse, spikes))
    return [
        next(by_event)
        if isinstance(c, Sparse)
        else c.mv(jax.lax.dynamic_slice_in_dim(spikes, first, c.shape[1]))
        for c, first in couplings
    ]


def _deliver_events(couplings, spikes):
    if not couplings:
        return []
    layouts = tuple(Layout(first, *c.shape) for c, first in couplings)
    tables = [x for c, _ in couplings for x in (c.weights, c.indptr, c.indices)]
    return event_sums(layouts, spikes, *tables)
