"""The objective of a wave on a torus that is about to grow."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from .._dispersion import (
    coarsest_size,
    eigenvalues_in_order,
    wave_matrices,
    wavenumbers,
)
from .._linearise import default_tolerance, flow_field, frozen_time
from .._result import result_if, RESULTS, worst
from .._system import AbstractSystem, decompose
from .._types import State
from ._base import AbstractObjective
from ._equilibria import fitted_state, singularity


class CriticalWave(AbstractObjective):
    r"""A uniform state at the onset of a plane wave with a given wavenumber and frequency.

    At the wavenumber k the linearised flow has the eigenvalue $i \omega$: for $\omega > 0$
    of a wave that travels, or stands, for 0 of a pattern at rest. The misfits are those of
    [`jaxnet.objectives.EigenvalueAt`][] for $\hat J_k$, and the growth rate of every other
    wave, where it is above minus the `gap`. Where another wave grows in the end the result
    is `not_rightmost`.

    The uniform state is an unknown, with one number for each leaf of the state.

    **Arguments:**

    - `wavenumber`: the pair k of whole numbers, in waves from side to side.
    - `omega`: the angular frequency $\omega$ (rad/ms).
    - `y`: a uniform state near the fixed point, in lattices.
    - `gap`: how fast all other waves must decay (1/ms). It must be less than the spacing of
        whole wavenumbers allows.

    ```pycon
    >>> import jaxnet as jn
    >>> sheet = jn.models.RateSheet(
    ...     jn.couplings.TorusGaussian(2.0, size=16, taps=15),
    ...     jn.couplings.TorusGaussian(32.0, size=16, taps=15),
    ... )
    >>> wave = jn.objectives.CriticalWave((1, 0), 0.5, sheet.uniform_state(0.3, 0.2))
    >>> wave.wavenumber
    (1, 0)
    ```
    """

    wavenumber: tuple[int, int] = eqx.field(
        static=True, converter=lambda k: (int(k[0]), int(k[1]))
    )
    omega: Float[Array, ""] = eqx.field(converter=lambda x: jnp.asarray(x, float))
    y: State
    gap: Float[Array, ""] = eqx.field(
        default=1e-4, converter=lambda x: jnp.asarray(x, float), kw_only=True
    )

    def prepare(self, system):
        y = fitted_state(system, self.y, "y")
        half = coarsest_size(y) // 2
        if any(abs(k) > half for k in self.wavenumber):
            raise ValueError(
                f"`wavenumber` must be two whole numbers from {-half} to {half}, for this "
                f"lattice, but it is {self.wavenumber}."
            )
        return dataclasses.replace(self, y=y)

    def guess(self, system):
        return jnp.stack([jnp.mean(x) for x in jtu.tree_leaves(self.y)])

    def equations(self, system, unknowns):
        parts = decompose(system)
        rate = flow_field(parts, frozen_time(parts, None))(self._uniform(unknowns))
        return jnp.stack([jnp.mean(x) for x in jtu.tree_leaves(rate)])

    def misfit(self, system, unknowns, key):
        matrices = self._matrices(system, unknowns)
        growth = eigenvalues_in_order(matrices)[..., 0].real
        others = growth[~self._is_wanted(len(matrices))]
        onset = singularity(matrices[self.wavenumber], 1j * self.omega)
        return jnp.concatenate([onset, jnp.maximum(others + self.gap, 0.0)])

    def verify(self, system, unknowns, tolerance):
        matrices = self._matrices(system, unknowns)
        values = eigenvalues_in_order(matrices)
        close = 10 * jnp.maximum(default_tolerance() * jnp.max(jnp.abs(values)), tolerance)
        distance = jnp.min(jnp.abs(values[self.wavenumber] - 1j * self.omega))
        return worst(
            result_if(distance > close, RESULTS.target_not_met),
            result_if(jnp.any(values.real > close), RESULTS.not_rightmost),
        )

    def why_no_gradient(self, system):
        return None

    def with_runs(self, change):
        return self

    def _uniform(self, unknowns: Float[Array, " leaves"]) -> State:
        leaves, structure = jtu.tree_flatten(self.y)
        pairs = zip(leaves, unknowns, strict=True)
        return jtu.tree_unflatten(structure, [jnp.full_like(x, z) for x, z in pairs])

    def _matrices(
        self, system: AbstractSystem, unknowns: Float[Array, " leaves"]
    ) -> Complex[Array, "size size m m"]:
        parts, y = decompose(system), self._uniform(unknowns)
        return wave_matrices(parts, y, frozen_time(parts, None), coarsest_size(y))[0]

    def _is_wanted(self, size: int) -> Bool[np.ndarray, "size size"]:
        """The places of the wave, and of those that are the same by symmetry."""
        pairs = np.sort(np.abs(wavenumbers(size)), axis=-1)
        return np.all(pairs == np.sort(np.abs(self.wavenumber)), axis=-1)
