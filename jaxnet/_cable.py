"""The cable: currents along a tree of compartments, and the step implicit in them."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from ._elimination import Edges, Round, rounds_of_elimination
from ._rows import add_to_rows, columns, take_rows


class Cable(eqx.Module):
    r"""Compartments that are joined to a tree, $C_i \dot v_i = \sum_j g_{ij} (v_j - v_i)$.

    Without edges it is any number of compartments by themselves, in any shape.

    Besides the compartments, a tree may have junctions: nodes without membrane, at whose
    voltage as much current comes in as goes out. All arrays may have further axes, such
    as one for many cells.

    **Arguments:**

    - `capacitance`: C (nF) of each compartment.
    - `conductance`: g (uS) of each edge.
    - `edges`: the pairs of nodes that they join. The numbers of the compartments come
        first, then those of the junctions.
    - `junctions`: how many there are. Each leads to compartments alone.
    """

    capacitance: Float[Array, "..."]
    conductance: Float[Array, "edges ..."]
    edges: Edges = eqx.field(static=True)
    junctions: int = eqx.field(static=True, default=0)

    def current(self, v: Real[Array, "..."]) -> Float[Array, "..."]:
        """The current (nA) into each compartment from its neighbours, at v (mV)."""
        v = self._with_junctions(v)
        return self._without_junctions(self._along_edges(v))

    def implicit_change(
        self,
        rate: Real[Array, "..."],
        slope: Real[Array, "..."],
        dt: float,
    ) -> Float[Array, "..."]:
        r"""The change of v in a step of the implicit Euler method, linearised.

        It solves $C_i (1 / dt - s_i) x_i - \sum_j g_{ij} (x_j - x_i) = C_i f_i$. The cost
        grows with the number of compartments. So does that of a derivative of any order:
        it takes another such solve.

        **Arguments:**

        - `rate`: f, the derivative of v (mV/ms), with what the cable adds to it.
        - `slope`: s (1/ms), the derivative of f with respect to the voltage of its own
            compartment, without what the cable adds to it.
        - `dt`: the step (ms).
        """
        if not self.edges:
            return rate / (1 / dt - slope)
        capacitance = columns(self.capacitance, rate.ndim)
        own = self._pad(capacitance * (1 / dt - slope))
        charge = self._pad(capacitance * rate)
        conductance = columns(self.conductance, rate.ndim)

        def matvec(x):
            return own * x - self._along_edges(x)

        def solve(_, b):
            rounds = rounds_of_elimination(b.shape[0], self.edges)
            ways = jnp.broadcast_to(conductance, (conductance.shape[0], *b.shape[1:]))
            return _eliminate(rounds, own, b, ways)

        change = jax.lax.custom_linear_solve(matvec, charge, solve, symmetric=True)
        return self._without_junctions(change)

    def _along_edges(self, v: Array) -> Array:
        """The current into each node, junctions included."""
        if not self.edges:
            return jnp.zeros_like(v)
        first, second = np.array(self.edges).T
        current = columns(self.conductance, v.ndim) * (
            take_rows(v, second) - take_rows(v, first)
        )
        return add_to_rows(add_to_rows(jnp.zeros_like(v), first, current), second, -current)

    def _with_junctions(self, v: Array) -> Array:
        """The voltages of the compartments, and then those of the junctions."""
        if not self.junctions:
            return v
        size = self.capacitance.shape[0]
        edges = np.array(self.edges)
        at_junction = np.flatnonzero(edges.max(axis=1) >= size)
        compartment, junction = np.sort(edges[at_junction], axis=1).T
        weight = take_rows(columns(self.conductance, v.ndim), at_junction)
        weight = jnp.broadcast_to(weight, (len(at_junction), *v.shape[1:]))
        nothing = jnp.zeros((self.junctions, *v.shape[1:]))
        total = add_to_rows(nothing, junction - size, weight)
        drawn = add_to_rows(nothing, junction - size, weight * take_rows(v, compartment))
        return jnp.concatenate([v, drawn / total])

    def _without_junctions(self, x: Array) -> Array:
        return x[: x.shape[0] - self.junctions]

    def _pad(self, x: Array) -> Array:
        """What no junction has."""
        if not self.junctions:
            return x
        return jnp.concatenate([x, jnp.zeros((self.junctions, *x.shape[1:]))])


def _eliminate(
    rounds: Sequence[Round], own: Array, drive: Array, conductance: Array
) -> Array:
    """The voltages of nodes of a tree, by their conductances to the ground and drives.

    What a node draws from the ground is passed on to its neighbours, so that all terms
    are positive, and none cancel.
    """
    if not rounds:
        return drive / own
    this, *later = rounds
    left = [take_rows(x, this.nodes_that_stay) for x in (own, drive)]
    conductances = [take_rows(conductance, this.edges_that_stay)]
    joints = [joint for joint in (this.ends, this.links) if joint.nodes.size]
    shares, totals = [], []
    for joint in joints:
        ways = take_rows(conductance, joint.edges)
        at_joint = [take_rows(x, joint.nodes) for x in (own, drive)]
        total = at_joint[0] + ways.sum(axis=1)
        share = ways / total[:, None]
        left = [
            add_to_rows(x, joint.neighbours, share * passed[:, None])
            for x, passed in zip(left, at_joint, strict=True)
        ]
        shares.append(share)
        totals.append(at_joint[1] / total)
        if joint is this.links:
            conductances.append(share[:, 0] * ways[:, 1])
    x = _eliminate(later, left[0], left[1], jnp.concatenate(conductances))
    solved = [
        alone + (share * take_rows(x, joint.neighbours)).sum(axis=1)
        for joint, share, alone in zip(joints, shares, totals, strict=True)
    ]
    order = np.concatenate([this.nodes_that_stay, *(joint.nodes for joint in joints)])
    return take_rows(jnp.concatenate([x, *solved]), np.argsort(order))
