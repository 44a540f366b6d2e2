"""The staggered solver of the grid: voltages implicitly, then all that follows them."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Bool, Real

from ._cable import Cable
from ._exponential import Field, prepare_exponential
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
    voltages: Callable[[State], list[Array]],
    cables: list[Cable],
    dt: float,
    t: Real[Array, ""],
    y: State,
    u: InputValue,
) -> tuple[Callable, Bool[Array, ""]]:
    """The step of the staggered solver, and whether the rest of the flow is local.

    The step is a function of time, state, input, and of what holds some of the rates.
    """
    nothing = jtu.tree_map(lambda _: False, y)
    is_voltage = eqx.tree_at(voltages, nothing, [True] * len(cables)) if cables else nothing

    def split(y: State) -> tuple[State, State]:
        return eqx.partition(y, is_voltage)

    def field_of_rest(t, rest: State, given) -> State:
        v, u = given
        return split(field(t, eqx.combine(v, rest), u))[1]

    v, rest = split(y)
    step_of_rest, is_local = prepare_exponential(field_of_rest, dt, t, rest, (v, u))

    def step(t, y, u, hold):
        v, rest = split(y)

        def speed(v):
            return split(field(t, eqx.combine(v, rest), u))[0]

        # A cable gives nothing to equal voltages, so that this is the slope without it.
        rates, slopes = jax.jvp(speed, (v,), (jtu.tree_map(jnp.ones_like, v),))
        moved = [
            x + cable.implicit_change(rate, slope, dt)
            for x, cable, rate, slope in zip(
                *(voltages(v), cables, voltages(rates), voltages(slopes)), strict=True
            )
        ]
        v = eqx.tree_at(voltages, v, moved) if cables else v

        def hold_rest(rates: State) -> State:
            return split(hold(eqx.combine(jtu.tree_map(jnp.zeros_like, v), rates)))[1]

        return eqx.combine(v, step_of_rest(t, rest, (v, u), hold_rest))

    return step, is_local
