"""In which order the nodes of a tree are eliminated: in few rounds, without fill."""

import functools as ft
from typing import NamedTuple

import numpy as np


# Pairs of nodes.
Edges = tuple[tuple[int, int], ...]


class Joints(NamedTuple):
    """Nodes that go, with the same number of neighbours each.

    **Attributes:**

    - `nodes`: shape ``(joints,)``.
    - `edges`: the edges that lead away, shape ``(joints, count)``.
    - `neighbours`: where they lead to, as numbers among the nodes that stay.
    """

    nodes: np.ndarray
    edges: np.ndarray
    neighbours: np.ndarray


class Round(NamedTuple):
    """Nodes that are eliminated at once, since no two of them are neighbours.

    Numbers count the nodes and the edges that are left when the round begins. An end has
    one neighbour. A link has two, and its elimination makes an edge between them: these
    edges come after those that stay.
    """

    ends: Joints
    links: Joints
    nodes_that_stay: np.ndarray
    edges_that_stay: np.ndarray


@ft.lru_cache(maxsize=64)
def rounds_of_elimination(nodes: int, edges: Edges) -> tuple[Round, ...]:
    """Rounds that leave one node of a tree.

    Leaves first, as in Hines 1984, doi:10.1016/0020-7101(84)90008-4; but in the same round
    every other node along a branch goes too. So what is left is a tree, smaller by a part:
    there are O(log n) rounds, and O(n) eliminations in all.
    """
    rounds, left = [], np.array(edges, int).reshape(-1, 2)
    while nodes > 1:
        this, left = _next_round(nodes, left)
        rounds.append(this)
        nodes = len(this.nodes_that_stay)
    return tuple(rounds)


def _next_round(nodes: int, edges: np.ndarray) -> tuple[Round, np.ndarray]:
    """A round, and the edges that are left after it."""
    around: list[list[tuple[int, int]]] = [[] for _ in range(nodes)]
    for edge, (a, b) in enumerate(edges.tolist()):
        around[a].append((edge, b))
        around[b].append((edge, a))

    goes: dict[int, list[int]] = {1: [], 2: []}
    stays: set[int] = set()
    # Ends first, and then along the branches.
    for node in sorted(range(nodes), key=lambda k: len(around[k]) > 1):
        if node not in stays and len(around[node]) in goes:
            goes[len(around[node])].append(node)
            stays.update(other for _, other in around[node])

    nodes_that_stay = np.setdiff1d(np.arange(nodes), goes[1] + goes[2])
    number = np.zeros(nodes, int)
    number[nodes_that_stay] = np.arange(len(nodes_that_stay))

    def joints(count: int) -> Joints:
        ways = np.array([around[node] for node in goes[count]], int).reshape(-1, count, 2)
        return Joints(np.array(goes[count], int), ways[..., 0], number[ways[..., 1]])

    ends, links = joints(1), joints(2)
    gone_edges = np.concatenate([ends.edges.ravel(), links.edges.ravel()])
    edges_that_stay = np.setdiff1d(np.arange(len(edges)), gone_edges)
    edges_after = np.concatenate([number[edges[edges_that_stay]], links.neighbours])
    return Round(ends, links, nodes_that_stay, edges_that_stay), edges_after
