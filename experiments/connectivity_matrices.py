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

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import agrees, close, equal, Report


N, P, REWIRING = 50, 0.2, 0.1
NEIGHBOURS = int(N * P / 2)


# Means over many graphs, and their standard errors; the probability is that of the law.
KNOWN = {
    "random": {
        "connection_probability": (P, 0.0),
        "clustering": (0.19976, 0.00032),
        "path_length": (1.91391, 0.00091),
    },
    "small world": {
        "clustering": (0.51502, 0.00087),
        "path_length": (2.17902, 0.00156),
    },
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


def over_many(name: str, masks, seed: int) -> list:
    """The claims about the means over many graphs of one kind."""
    many = [jn.connectivity.statistics(m, seed=seed, random_graphs=1) for m in masks]
    # One random graph in 500 has a unit that no other one reaches, or that reaches none.
    many = [s for s in many if np.isfinite(s.path_length)]
    claims = []
    for field, known in KNOWN[name].items():
        values = np.array([getattr(s, field) for s in many])
        error = values.std(ddof=1) / np.sqrt(len(many))
        statement = f"{name}: {field.replace('_', ' ')}, mean over {len(masks)}"
        claims.append(agrees(statement, *known, values.mean(), error))
    return claims


def main(*, quick: bool, seed: int) -> Report:
    graph_key, weight_key = jax.random.split(jax.random.key(seed))
    graph_keys = jax.random.split(graph_key, 30 if quick else 1000)
    many = {name: jax.lax.map(MASKS[name], graph_keys) for name in KNOWN}
    masks = {name: many[name][0] if name in many else MASKS[name](None) for name in MASKS}
    statistics = {
        name: jn.connectivity.statistics(mask, seed=seed) for name, mask in masks.items()
    }
    gaussian = jn.connectivity.gaussian_weights(masks["random"], 0.0, 1.0, key=weight_key)
    # The document gives the weight 1 to every connection but those of the random network.
    matrices = {name: np.asarray(mask, float) for name, mask in masks.items()}
    matrices["random"] = np.asarray(gaussian)

    ring, k = statistics["ring"], 2 * NEIGHBOURS
    clustering, path_length = 3 * (k - 2) / (4 * (k - 1)), ring_path_length()
    squares = matrices["random"][np.asarray(masks["random"])] ** 2
    claims = [
        agrees(
            "random: mean square of the weights",
            1.0,
            0.0,
            squares.mean(),
            squares.std(ddof=1) / np.sqrt(squares.size),
        ),
        *over_many("random", many["random"], seed),
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
        *over_many("small world", many["small world"], seed),
        close(
            "random: small-worldness, 1 by its definition",
            1.0,
            statistics["random"].small_worldness,
            0.1,
        ),
        equal(
            "small world: small-worldness above 1",
            True,
            statistics["small world"].small_worldness > 1,
        ),
    ]
    return Report(claims, {"connectivity_matrices": draw(matrices, statistics)})
