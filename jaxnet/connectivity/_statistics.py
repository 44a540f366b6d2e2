"""The measures of graph theory, by networkx."""

import dataclasses
import math
import random
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool


class GraphStatistics(eqx.Module):
    """What graph theory says about a network. Self-connections do not count.

    **Attributes:**

    - `units`: their number.
    - `directed`: false if every connection has its reverse.
    - `connection_probability`: the share of the possible connections that exist.
    - `mean_degree`: sources of a unit on average, which is also its targets on average.
    - `clustering`: clustering coefficient $C$, averaged over the units.
    - `path_length`: steps from one unit to another on the shortest path, $L$, averaged over
        all pairs; infinite if a unit cannot be reached from another.
    - `random_clustering`, `random_path_length`: their means over the random graphs.
    - `small_worldness`: $(C / C_r) / (L / L_r)$.
    """

    units: int
    directed: bool
    connection_probability: float
    mean_degree: float
    clustering: float
    path_length: float
    random_clustering: float
    random_path_length: float
    small_worldness: float

    def __repr__(self) -> str:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        shown = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in values.items()}
        return f"GraphStatistics({', '.join(f'{k}={v}' for k, v in shown.items())})"


def statistics(
    mask: Bool[Array, "units _"], *, seed: int, random_graphs: int = 10
) -> GraphStatistics:
    r"""Clustering, path length and small-worldness of a recurrent network.

    $\sigma = (C / C_r) / (L / L_r)$, where $C_r$ and $L_r$ are the means over random graphs
    with as many units and connections. A network with $\sigma > 1$ is a small world.

    A symmetric matrix is measured as an undirected graph; any other as a directed one,
    with the clustering of Fagiolo, and random graphs that are directed too. If the network
    falls apart, so that a unit cannot be reached from another, its path length is infinite
    and its small-worldness NaN: measure one part of it. A random graph that falls apart,
    as most do with fewer than $\ln n$ connections per unit, counts by the path length of
    its largest part. Without triangles in any random graph, the small-worldness is NaN.

    All measures are those of networkx, which takes seconds for a thousand units, and cannot
    be traced by JAX.

    **Arguments:**

    - `mask`: entry [i, j] is true where j projects to i.
    - `seed`: of the random graphs.
    - `random_graphs`: their number.

    Raises an `ImportError` without networkx, and a `ValueError` for a matrix that is not
    square or has fewer than two units, and for fewer than one random graph.

    Sources: Humphries and Gurney 2008, doi:10.1371/journal.pone.0002051; Fagiolo 2007,
    doi:10.1103/PhysRevE.76.026107.

    ```pycon
    >>> import jaxnet as jn
    >>> jn.connectivity.statistics(jn.connectivity.ring(20, 2), seed=0).clustering
    0.5
    ```
    """
    try:
        import networkx as nx
    except ImportError as error:
        raise ImportError(
            "`statistics` needs networkx: `pip install 'jaxnet-dynamics[graphs]'`."
        ) from error
    connections = _connections(mask)
    if random_graphs < 1:
        raise ValueError(
            f"`random_graphs` must be positive, but it is {random_graphs}. Ten are enough "
            "for most networks."
        )

    directed = not np.array_equal(connections, connections.T)
    parts: Any = nx.strongly_connected_components if directed else nx.connected_components

    def measure(graph) -> tuple[float, float, bool]:
        """Clustering, path length of the largest part, and whether this part is all."""
        largest = graph.subgraph(max(parts(graph), key=len))
        # A single unit has the path length 0, an integer.
        path_length = float(nx.average_shortest_path_length(largest))
        return nx.average_clustering(graph), path_length, len(largest) == len(graph)

    # For networkx, an edge leads from row to column. No measure here sees the difference.
    kind = nx.DiGraph if directed else nx.Graph
    graph = nx.from_numpy_array(connections, create_using=kind)
    clustering, path_length, is_whole = measure(graph)

    units, edges = len(graph), graph.number_of_edges()
    source = random.Random(seed)
    measured = [
        measure(nx.gnm_random_graph(units, edges, seed=source, directed=directed))
        for _ in range(random_graphs)
    ]
    random_clustering, random_path_length, _ = np.mean(measured, axis=0).tolist()

    small_worldness = math.nan
    if is_whole and random_clustering > 0:
        more_clustered = clustering / random_clustering
        small_worldness = more_clustered / (path_length / random_path_length)
    return GraphStatistics(
        units=units,
        directed=directed,
        connection_probability=float(connections.mean() * units / (units - 1)),
        mean_degree=float(connections.sum() / units),
        clustering=clustering,
        path_length=path_length if is_whole else math.inf,
        random_clustering=random_clustering,
        random_path_length=random_path_length,
        small_worldness=small_worldness,
    )


def _connections(mask: Bool[Array, "..."]) -> np.ndarray:
    """The mask without its self-connections."""
    if mask.ndim != 2 or mask.shape[0] != mask.shape[1] or len(mask) < 2:
        raise ValueError(
            "`mask` must be square, (n, n), with n of at least 2, but it is "
            f"{mask.shape}. Pass the connections of one population to itself."
        )
    connections = np.array(mask)
    np.fill_diagonal(connections, False)
    return connections
