"""The staggered solver of the grid: voltages implicitly, then all that follows them."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Bool, Real

from ._cable import Cable
from ._exponential import Field, prepare_exponential
from ._program import Leaves, Program
from ._types import InputValue, State


class Staggered(eqx.Module):
    r"""Steps of voltages by the implicit Euler method, then of gates; for cells.

    A solver of [`jaxnet.Grid`][]. First all voltages of a cell are solved for at once,
    with all else held: the tree of compartments is eliminated from its ends, in a time
    that grows with their number. Then all else takes the step of
    [`jaxnet.Exponential`][] at the new voltages: gates relax exponentially, and synapses
    are exact. The input is read at the middle of the step.

    The order of operations is that of NEURON's default. The method is of first order, and
    stable at any step. A system without cables, such as a network of integrate-and-fire
    neurons, is stepped as by `Exponential`.

    Source: Hines 1984, doi:10.1016/0020-7101(84)90008-4.

    ```pycon
    >>> import jaxnet as jn
    >>> cell = jn.models.PointCell({"leak": jn.mechanisms.Leak(0.001, -65.0)})
    >>> method = jn.Grid(0.1, jn.Staggered())
    >>> run = jn.simulate(cell, cell.state_at(-60.0), t1=0.1, method=method)
    >>> round(float(run.ys.v[-1]), 4)
    -60.4545
    ```
    """


def prepare_staggered(
    field: Field,
    voltages: Callable[[State], list],
    cables: list[Cable],
    dt: float,
    t: Real[Array, ""],
    y: State,
    u: InputValue,
) -> tuple[Callable, Bool[Array, ""]]:
    """The step of the staggered solver, and whether the rest of the flow is local.

    The step is a function of time, state, input, and of what holds some of the rates.
    """
    leaves, structure = jtu.tree_flatten(y)
    numbers = jtu.tree_unflatten(structure, range(len(leaves)))
    joined = voltages(numbers)
    others = [i for i in range(len(leaves)) if i not in joined]

    def flat_field(t, leaves: Leaves, u) -> Leaves:
        return jtu.tree_leaves(field(t, jtu.tree_unflatten(structure, leaves), u))

    program = Program(flat_field, t, leaves, u)

    def combine(v: Leaves, rest: Leaves) -> Leaves:
        at = dict(zip([*joined, *others], [*v, *rest], strict=True))
        return [at[i] for i in range(len(leaves))]

    def field_of_rest(t, rest: Leaves, given) -> Leaves:
        v, u = given
        return program.rates(t, combine(v, rest), u, others)

    def split(leaves: Leaves) -> tuple[Leaves, Leaves]:
        return [leaves[i] for i in joined], [leaves[i] for i in others]

    v, rest = split(leaves)
    step_of_rest, is_local = prepare_exponential(field_of_rest, dt, t, rest, (v, u))

    def step(t, y, u, hold):
        v, rest = split(jtu.tree_leaves(y))
        # A cable gives nothing to equal voltages, so that this is the slope without it.
        at = combine(v, rest)
        rates, slopes = program.rates_and_derivatives(t, at, u, joined, joined)
        v = [
            x + cable.implicit_change(rate, slope, dt)
            for x, cable, rate, slope in zip(v, cables, rates, slopes, strict=True)
        ]

        def hold_rest(rates: Leaves) -> Leaves:
            still = [jnp.zeros_like(x) for x in v]
            held = hold(jtu.tree_unflatten(structure, combine(still, rates)))
            return split(jtu.tree_leaves(held))[1]

        rest = step_of_rest(t, rest, (v, u), hold_rest)
        return jtu.tree_unflatten(structure, combine(v, rest))

    return step, is_local
