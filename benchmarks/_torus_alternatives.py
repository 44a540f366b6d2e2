"""Ways to apply a Gaussian on a torus to few spikes: the one that is taken, and others."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet._events import for_each_event
from jaxnet.couplings import TorusGaussian


def _repeated(couple: Callable, steps: int) -> Callable:
    """So many applications, each to spikes that the compiler can't foresee."""

    def run(spikes):
        def step(total, _):
            return total + couple(spikes ^ (total[0, 0] > 1e12)), None

        start = jnp.zeros(spikes.shape)
        return jax.lax.scan(step, start, length=steps)[0]

    return run


def _profile(sigma: float, half: int) -> np.ndarray:
    return np.exp(-(np.arange(-half, half + 1) ** 2) / sigma)


def _reach(sigma: float, taps: int) -> int:
    """The distance beyond which a tap is less than rounding."""
    eps = float(np.finfo(jnp.result_type(float)).eps)
    return min(taps // 2, int(np.ceil(np.sqrt(-sigma * np.log(eps / 4)))))


def fourier(size: int, sigma: float, taps: int, steps: int) -> Callable:
    coupling = TorusGaussian(sigma, size=size, taps=taps)
    return _repeated(coupling.field, steps)


def dense(size: int, sigma: float, taps: int, steps: int) -> Callable:
    half = taps // 2
    matrix = np.zeros((size, size))
    for i in range(size):
        columns = (i + np.arange(-half, half + 1)) % size
        np.add.at(matrix[i], columns, _profile(sigma, half))
    matrix = jnp.asarray(matrix, float)
    return _repeated(lambda spikes: matrix @ spikes.astype(float) @ matrix, steps)


def banded(size: int, sigma: float, taps: int, steps: int, block: int = 50) -> Callable:
    """Products of blocks of rows with the rows in reach of them alone."""
    reach = _reach(sigma, taps)
    band = np.zeros((block, block + 2 * reach))
    for i in range(block):
        band[i, i : i + 2 * reach + 1] = _profile(sigma, reach)
    band = jnp.asarray(band, float)

    def once(x):
        wound = jnp.concatenate([x[-reach:], x, x[:reach]])
        starts = range(0, size, block)
        return jnp.concatenate([band @ wound[i : i + block + 2 * reach] for i in starts])

    return _repeated(lambda spikes: once(once(spikes.astype(float)).T).T, steps)


def windows(size: int, sigma: float, taps: int, steps: int) -> Callable:
    """A window of taps is added for each spike, and the margins are folded back."""
    reach = _reach(sigma, taps)
    profile = _profile(sigma, reach)
    window = jnp.asarray(np.outer(profile, profile), float)

    def fold(x):
        inside = x[reach : reach + size]
        return inside.at[:reach].add(x[reach + size :]).at[-reach:].add(x[:reach])

    def couple(spikes):
        def add(field, cell):
            corner = cell // size, cell % size
            there = jax.lax.dynamic_slice(field, corner, window.shape)
            return jax.lax.dynamic_update_slice(field, there + window, corner)

        start = jnp.zeros((size + 2 * reach, size + 2 * reach))
        return fold(fold(for_each_event(spikes.ravel(), add, start)).T).T

    return _repeated(couple, steps)


ALTERNATIVES = {"Fourier": fourier, "dense": dense, "banded": banded, "windows": windows}
