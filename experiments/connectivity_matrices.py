"""Three connectivity matrices, random, ring and small world, and their graph statistics.

Rows are postsynaptic, columns presynaptic: W_ij leads from j to i. The source document
names three topologies, but plots the random one twice and never makes a small world. Here
it is the ring, each of whose edges is rewired with probability 0.1: its paths are nearly as
short as those of the random network, and most of the clustering of the ring remains.

Sources: closed forms for the ring; for the random network and the small world, means over
1000 graphs each of networkx 3.6.1, `gnp_random_graph(50, 0.2, directed=True)` where it is
strongly connected, and `watts_strogatz_graph(50, 10, 0.1)`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import agrees, close, equal, Report


N, P, REWIRING = 50, 0.2, 0.1
NEIGHBOURS = int(N * P / 2)


class Known(NamedTuple):
    """Means over many graphs of networkx, each with its standard error."""

    clustering: tuple[float, float]
    path_length: tuple[float, float]


NETWORKX = {
    "random": Known((0.19976, 0.00032), (1.91391, 0.00091)),
    "small world": Known((0.51502, 0.00087), (2.17902, 0.00156)),
}


def random_mask(key):
    return jn.connectivity.bernoulli(N, N, P, key=key, self_connections=False)


def ring_mask(key):
    return jn.connectivity.ring(N, NEIGHBOURS)


def small_world_mask(key):
    return jn.connectivity.small_world(N, NEIGHBOURS, REWIRING, key=key)


MASKS: dict[str, Callable] = {
    "random": random_mask,
    "ring": ring_mask,
    "small world": small_world_mask,
}


def weights(name: str, mask, key) -> np.ndarray:
    """Standard normal on the random graph, 1 on the two others, as in the document."""
    if name != "random":
        return np.asarray(mask, float)
    return np.asarray(jn.connectivity.gaussian_weights(mask, 0.0, 1.0, key=key))


def document_ring() -> np.ndarray:
    """The ring by the two loops of the document's rule."""
    matrix = np.zeros((N, N))
    for i in range(N):
        for j in range(1, NEIGHBOURS + 1):
            matrix[i, [(i + j) % N, (i - j) % N]] = 1.0
    return matrix


def ring_path_length() -> float:
    """Steps from a unit of the ring to all others, by hand: its distance, in strides."""
    distance = np.minimum(np.arange(1, N), N - np.arange(1, N))
    return np.ceil(distance / NEIGHBOURS).mean()


ROWS = {
    "connection probability": "connection_probability",
    "mean degree": "mean_degree",
    "clustering C": "clustering",
    "path length L": "path_length",
    "small-worldness": "small_worldness",
}


def draw(matrices: dict[str, np.ndarray], statistics: dict):
    """The matrices as heat maps, and under each its statistics."""
    fig, axes = plt.subplots(2, 3, figsize=(6.4, 3.1), height_ratios=(2, 1), sharey="row")
    images = []
    for (ax, table), (name, matrix) in zip(axes.T, matrices.items(), strict=True):
        images.append(ax.imshow(matrix, cmap="RdBu_r", vmin=-2, vmax=2))
        ax.set(
            title=name, xlabel="presynaptic unit", xticks=(0, 25, 49), yticks=(0, 25, 49)
        )
        ax.spines[:].set_visible(True)
        table.axis("off")
        for line, field in enumerate(ROWS.values()):
            value = f"{getattr(statistics[name], field):.2f}"
            table.text(0.5, 1 - line / len(ROWS), value, ha="center", va="top")
    for line, label in enumerate(ROWS):
        axes[1, 0].text(0.25, 1 - line / len(ROWS), label, ha="right", va="top")
    axes[0, 0].set_ylabel("postsynaptic unit")
    fig.colorbar(images[0], ax=axes[0], label="weight", extend="both", ticks=range(-2, 3))
    return fig


def over_many(name: str, graphs: int, seed: int, key) -> list:
    """The claims about the means over many graphs of one kind."""
    masks = jax.lax.map(MASKS[name], jax.random.split(key, graphs))
    many = [jn.connectivity.statistics(m, seed=seed, random_graphs=1) for m in masks]
    # One random graph in 500 has a unit that no other one reaches, or that reaches none.
    many = [s for s in many if np.isfinite(s.path_length)]
    claims = []
    for field, (expected, expected_error) in NETWORKX[name]._asdict().items():
        values = np.array([getattr(s, field) for s in many])
        error = values.std(ddof=1) / np.sqrt(len(many))
        statement = f"{name}: {field.replace('_', ' ')}, mean over {graphs}, networkx"
        claims.append(agrees(statement, expected, expected_error, values.mean(), error))
    return claims


def main(*, quick: bool, seed: int) -> Report:
    mask_key, weight_key, *many_keys = jax.random.split(jax.random.key(seed), 4)
    graphs = 50 if quick else 1000
    masks = {name: make(mask_key) for name, make in MASKS.items()}
    matrices = {name: weights(name, mask, weight_key) for name, mask in masks.items()}
    statistics = {
        name: jn.connectivity.statistics(mask, seed=seed) for name, mask in masks.items()
    }
    ring = statistics["ring"]
    k = 2 * NEIGHBOURS
    clustering, path_length = 3 * (k - 2) / (4 * (k - 1)), ring_path_length()
    claims = [
        equal(
            "ring: entries that differ from the document's rule",
            0,
            int((matrices["ring"] != document_ring()).sum()),
        ),
        close("ring: C = 3 (k - 2) / (4 (k - 1))", clustering, ring.clustering, 1e-12),
        close("ring: L, distances in strides of 5", path_length, ring.path_length, 1e-12),
        equal(
            "small world: connections, those of the ring",
            N * k,
            int(masks["small world"].sum()),
        ),
    ]
    densities = jax.lax.map(random_mask, jax.random.split(many_keys[0], 1000)).sum((1, 2))
    densities = np.asarray(densities) / (N * (N - 1))
    claims.append(
        agrees(
            "random: connection probability, mean over 1000",
            P,
            0.0,
            densities.mean(),
            densities.std(ddof=1) / np.sqrt(1000),
        )
    )
    for name, key in zip(NETWORKX, many_keys, strict=True):
        claims += over_many(name, graphs, seed, key)
    sigma = {name: s.small_worldness for name, s in statistics.items()}
    claims += [
        close("random: small-worldness, 1 by its definition", 1, sigma["random"], 0.1),
        equal("small world: small-worldness above 1", True, sigma["small world"] > 1),
    ]
    return Report(claims, {"connectivity_matrices": draw(matrices, statistics)})
