"""The exponential solver of the grid: exact for linear flows."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Bool, Real

from ._exprel import at_most, exprel
from ._program import Leaves, Program
from ._tree import all_true
from ._types import InputValue, State


# The derivative of the state, as a function of time, state and input.
Field = Callable[[Real[Array, ""], State, InputValue], State]


# More than this is no step but an escape, such as that of a spike; float32 ends at 88.
_LARGEST_GROWTH = 50.0
# Enough for time constants of a femtosecond.
_MOST_SQUARINGS = 48


class Exponential(eqx.Module):
    r"""Steps with the exponential of the flow's Jacobian; a solver of [`jaxnet.Grid`][].

    The input is frozen over a step, $y + dt\,\varphi_1(J dt) f(y)$ with
    $\varphi_1(z) = (e^z - 1) / z$. Variables whose derivatives have constant coefficients,
    such as those of a linear flow, share one matrix J, whose exponential is computed once:
    where the flow is linear, the step is exact. All others take the derivative of each
    variable with respect to itself alone, afresh in each step: exponential Euler, of first
    order (of second order for a single variable without input), and stable where Euler's
    needs small steps.

    The flow must be local: the derivative of a unit depends on this unit's variables
    alone. What units send to each other goes through spikes. A flow that is not local is
    reported in `result`: units are moved from the initial state, and no other may feel it.

    Which coefficients are constant, and which variables depend on one another, is read
    off the program of the flow and its derivative; the model need not say.

    Source: Rotter and Diesmann 1999, doi:10.1007/s004220050570.

    ```pycon
    >>> import jaxnet as jn
    >>> lif = jn.models.LIF(tau=10.0, threshold=10.0)
    >>> run = jn.simulate(lif, 1.0, t1=10.0, method=jn.Grid(5.0, jn.Exponential()))
    >>> round(float(run.ys[-1]), 6)
    0.367879
    ```
    """


def prepare_exponential(
    field: Field, dt: float, t: Real[Array, ""], y: State, u: InputValue
) -> tuple[Callable, Bool[Array, ""]]:
    """The step of the exponential solver, and whether the flow is local.

    The step is a function of time, state, input, and of what holds some of the rates.
    What all steps share is computed here, once.
    """
    leaves, structure = jtu.tree_flatten(y)

    def flat_field(t, leaves: Leaves, u) -> Leaves:
        return jtu.tree_leaves(field(t, jtu.tree_unflatten(structure, leaves), u))

    program = Program(flat_field, t, leaves, u)
    dependencies = _Dependencies(program, t, leaves, u)
    is_local = program.is_elementwise() or _is_local(program.rates, t, leaves, u)
    weights, is_uniform = _weights_of_rates(
        flat_field, program, dependencies, dt, t, leaves, u
    )
    exact = list(weights)
    others = dependencies.independent([i for i in range(len(leaves)) if i not in weights])

    def step(t, y, u, hold):
        leaves = jtu.tree_leaves(y)
        known = dict(zip(exact, program.rates(t, leaves, u, exact), strict=True))
        slopes: dict[int, Array] = {}
        for several in others:
            pair = program.rates_and_derivatives(t, leaves, u, several, several)
            for into, values in zip((known, slopes), pair, strict=True):
                into.update(zip(several, values, strict=True))
        rates = [known[i] for i in range(len(leaves))]
        rates = jtu.tree_leaves(hold(jtu.tree_unflatten(structure, rates)))

        def change(i: int):
            if i in weights:
                return sum(w * rates[j] for j, w in weights[i].items())
            growth = at_most(dt * slopes[i], _LARGEST_GROWTH)
            return dt * exprel(growth) * rates[i]

        moved = [leaf + change(i) for i, leaf in enumerate(leaves)]
        return jtu.tree_unflatten(structure, moved)

    return step, jnp.asarray(is_local) & is_uniform


class _Dependencies:
    """Which variables a flow reads for which derivative, read off its program."""

    def __init__(self, program: Program, t, leaves: Leaves, u):
        n = len(leaves)
        reads = [program.reads(i)[1 : n + 1] for i in range(n)]
        self.on_state = np.array(reads, bool).reshape(n, n)
        for i, j in np.argwhere(self.on_state):
            if leaves[i].shape != leaves[j].shape:
                raise ValueError(
                    "`Exponential` steps each unit by itself, but a variable of shape "
                    f"{leaves[i].shape} depends on one of shape {leaves[j].shape}. Take an "
                    "explicit solver such as `diffrax.Heun()`."
                )

        def tangent(t, leaves, given):
            u, velocity = given
            return jax.jvp(lambda x: program.rates(t, x, u), (leaves,), (velocity,))[1]

        tangents = Program(tangent, t, leaves, (u, leaves))
        self.has_constant_coefficients = [not any(tangents.reads(i)[:-n]) for i in range(n)]

    def independent(self, variables: list[int]) -> list[list[int]]:
        """Some variables, in sets of those that do not read one another."""
        sets: list[list[int]] = []
        linked = self.on_state | self.on_state.T
        for i in variables:
            free = (s for s in sets if not linked[i, s].any())
            chosen = next(free, None)
            if chosen is None:
                sets.append([i])
            else:
                chosen.append(i)
        return sets

    def read_by(self, i: int) -> list[int]:
        """The variables that one depends on, also through others, and itself."""
        return np.flatnonzero(_closure(self.on_state)[i]).tolist()

    def exact(self) -> list[int]:
        """The variables that make a linear system with constant coefficients."""
        return [
            i
            for i in range(len(self.on_state))
            if all(self.has_constant_coefficients[j] for j in self.read_by(i))
        ]

    def groups(self) -> list[list[int]]:
        """The exact variables, in sets of those that depend on one another."""
        exact = self.exact()
        relation = self.on_state[np.ix_(exact, exact)]
        linked = np.unique(_closure(relation | relation.T), axis=0)
        return [[exact[k] for k in np.flatnonzero(row)] for row in linked]


def _closure(relation: np.ndarray) -> np.ndarray:
    closed = relation | np.eye(len(relation), dtype=bool)
    for k in range(len(relation)):
        closed |= np.outer(closed[:, k], closed[k])
    return closed


# What a unit is moved by, to see which others feel it.
_PUSHES = (0.37, 1e3, -2e3)


def _is_local(field, t, leaves: Leaves, u) -> Bool[Array, ""]:
    """Whether the units that stay where they are do not feel that others are moved.

    Two units differ in some bit of their number. So for each bit all units that have it
    are moved, and then all that have it not.
    """
    bits = max([1, *(math.ceil(math.log2(max(x.size, 2))) for x in leaves)])

    def is_moved(x, bit, value):
        return ((jnp.arange(x.size) >> bit) & 1 == value).reshape(x.shape)

    def rates_of_others(bit, value, push) -> list[Array]:
        moved = [x + push * is_moved(x, bit, value) for x in leaves]
        rates: Leaves = field(t, moved, u)
        pairs = zip(rates, leaves, strict=True)
        return [jnp.where(is_moved(x, bit, value), 0.0, rate) for rate, x in pairs]

    cases = jnp.meshgrid(jnp.arange(bits), jnp.arange(2), jnp.asarray(_PUSHES))
    rates = jax.vmap(jax.vmap(jax.vmap(rates_of_others)))(*cases)
    # A sum in another order differs by rounding.
    rounding = 64 * float(jnp.finfo(jnp.result_type(float)).eps)

    def agree(rate):
        first, others = rate[..., :1, :], rate[..., 1:, :]
        # What is NaN says nothing.
        return jnp.all(~(jnp.abs(others - first) > rounding * (1 + jnp.abs(first))))

    return all_true([agree(rate.reshape(*rate.shape[:3], -1)) for rate in rates])


def _weights_of_rates(
    field, program: Program, dependencies: _Dependencies, dt, t, leaves: Leaves, u
):
    """dt phi_1(J dt) for the exact variables, entry by entry, and whether that is right.

    An entry is one number where all units have the same coefficients, else one a unit.
    """
    scalars = jax.tree.map(lambda x: jnp.zeros((), x.dtype), (leaves, u))
    is_uniform = jnp.asarray(True)
    takes_scalars = _takes_scalars(field, t, *scalars)
    of_one = Program(field, t, *scalars) if takes_scalars else program
    at_leaves, at_u = scalars if takes_scalars else (leaves, u)
    weights: dict[int, dict[int, Array]] = {i: {} for i in dependencies.exact()}
    for group in dependencies.groups():
        columns = [
            of_one.rates_and_derivatives(t, at_leaves, at_u, group, [j])[1] for j in group
        ]
        if takes_scalars:
            # A flow that looks at the number of its units is another one for one of them.
            for j, column in zip(group, columns, strict=True):
                _, whole = program.rates_and_derivatives(t, leaves, u, group, [j])
                pairs = zip(whole, column, strict=True)
                is_uniform &= all_true([jnp.all(a == b) for a, b in pairs])
        jacobian = jnp.stack([jnp.stack(column, -1) for column in columns], -1)
        integral = integral_of_exponential(jacobian, dt)
        for a, i in enumerate(group):
            for b, j in enumerate(group):
                if j in dependencies.read_by(i):
                    weights[i][j] = integral[..., a, b]
    return weights, is_uniform


def _takes_scalars(field, t, leaves: Leaves, u) -> bool:
    try:
        rates = jax.eval_shape(field, t, leaves, u)
    except (LookupError, TypeError, ValueError):
        return False
    return all(rate.shape == () for rate in rates)


def integral_of_exponential(
    matrix: Real[Array, "*units n n"], dt: float
) -> Real[Array, "*units n n"]:
    """The integral of exp(A s) over the step, dt phi_1(A dt)."""
    n = matrix.shape[-1]
    if n == 1:
        return dt * exprel(matrix * dt)
    # The exponential of [[A, 1], [0, 0]] dt has it in its upper right block.
    identity = jnp.broadcast_to(jnp.eye(n, dtype=matrix.dtype), matrix.shape)
    upper = jnp.concatenate([matrix, identity], axis=-1)
    both = jnp.concatenate([upper, jnp.zeros_like(upper)], axis=-2)
    exponential = jax.scipy.linalg.expm(both * dt, max_squarings=_MOST_SQUARINGS)
    return exponential[..., :n, n:]
