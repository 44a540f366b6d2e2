"""What an input is: a function of time that the grid may also count in steps."""

import abc
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Float, PyTree, Real

from .._parameters import Parametric
from .._time_grid import TimeGrid
from .._tree import as_float_array, float_dtype
from .._types import InputValue, Key, RealScalarLike


_SLACK_IN_STEPS = 1e-6


class AbstractInput(Parametric):
    """An input $u(t)$: a function of time, or a process that is defined on a grid.

    On a grid the input is asked by step index and by the fraction of the step, since
    ``floor(t / dt)`` reads the wrong sample now and then. What it must remember from
    step to step is its carry.

    ``first + second`` is the sum of two inputs.
    """

    # So that ``numpy_array + an_input`` is left to the input.
    __array_ufunc__: ClassVar[None] = None

    @abc.abstractmethod
    def __call__(self, t: Real[Array, ""]) -> InputValue:
        """The value at time `t` (ms)."""

    @abc.abstractmethod
    def breakpoints(self) -> Float[Array, " points"]:
        """The times (ms) at which the input or its slope jumps.

        An adaptive solver steps exactly to them, so that no pulse is stepped over.
        """

    @abc.abstractmethod
    def require(self, start: RealScalarLike, end: RealScalarLike) -> None:
        """Raise if the input is known to have no value between two times (ms)."""

    @abc.abstractmethod
    def value_shape(self) -> PyTree[jax.ShapeDtypeStruct]:
        """The shape of the value."""

    @abc.abstractmethod
    def init(self, grid: TimeGrid, key: Key | None) -> PyTree:
        """What the input carries at step 0."""

    @abc.abstractmethod
    def advance(self, carry: PyTree, grid: TimeGrid, step) -> PyTree:
        """The carry at `step + 1`, from that at `step`."""

    @abc.abstractmethod
    def on_grid(self, carry: PyTree, grid: TimeGrid, step, fraction) -> InputValue:
        """The value at ``grid.time(step + fraction)``, with `fraction` in [0, 1]."""

    def __add__(self, other) -> "AbstractInput":
        return Sum((self, as_input(other)))

    def __radd__(self, other) -> "AbstractInput":
        return Sum((as_input(other), self))


class AbstractFunctionOfTime(AbstractInput):
    """An input whose value is known at every time."""

    @abc.abstractmethod
    def at(self, t: Real[Array, ""], slack: RealScalarLike) -> InputValue:
        """The value at time `t` (ms); a jump counts up to `slack` (ms) too early.

        On a grid, the time of a step and that of a jump are rounded each in its own way.
        """

    def __call__(self, t):
        return self.at(t, 0.0)

    def require(self, start, end):
        pass

    def value_shape(self):
        return eqx.filter_eval_shape(self, jnp.zeros(()))

    def init(self, grid, key):
        return None

    def advance(self, carry, grid, step):
        return None

    def on_grid(self, carry, grid, step, fraction):
        t = grid.time(step + fraction)
        rounding = 4 * float(np.finfo(float_dtype()).eps) * jnp.abs(t)
        return self.at(t, _SLACK_IN_STEPS * grid.dt + rounding)


class Constant(AbstractFunctionOfTime):
    """The same value at all times.

    **Arguments:**

    - `value`: a number, an array, or a tree of them, as the driven system expects.

    ```pycon
    >>> import jaxnet as jn
    >>> [float(x) for x in jn.inputs.Constant((0.75, 0.0))(5.0)]
    [0.75, 0.0]
    ```
    """

    value: PyTree = eqx.field(converter=as_float_array)

    def at(self, t, slack):
        return self.value

    def breakpoints(self):
        return jnp.zeros(0)


class FunctionOfTime(AbstractFunctionOfTime):
    """Any smooth function of time (ms), written in JAX.

    It must be pure: it is compiled once, with what it refers to. An adaptive solver is
    told of no jumps: for a step or a pulse take [`jaxnet.inputs.Step`][] or
    [`jaxnet.inputs.Pulse`][].
    """

    function: Callable[[Real[Array, ""]], InputValue]

    def at(self, t, slack):
        return as_float_array(self.function(t))

    def breakpoints(self):
        return jnp.zeros(0)


class Sum(AbstractInput):
    """The sum of inputs, which are random independently of one another."""

    terms: tuple[AbstractInput, ...]

    def __check_init__(self):
        if len(self.terms) == 0:
            raise ValueError("`terms` is empty: a sum needs at least one input.")

    def __call__(self, t):
        return _add([term(t) for term in self.terms])

    def breakpoints(self):
        return jnp.concatenate([term.breakpoints() for term in self.terms])

    def require(self, start, end):
        for term in self.terms:
            term.require(start, end)

    def value_shape(self):
        return eqx.filter_eval_shape(_add, [term.value_shape() for term in self.terms])

    def init(self, grid, key):
        n = len(self.terms)
        keys = [None] * n if key is None else list(jax.random.split(key, n))
        return [term.init(grid, k) for term, k in zip(self.terms, keys, strict=True)]

    def advance(self, carry, grid, step):
        pairs = zip(self.terms, carry, strict=True)
        return [term.advance(c, grid, step) for term, c in pairs]

    def on_grid(self, carry, grid, step, fraction):
        pairs = zip(self.terms, carry, strict=True)
        return _add([term.on_grid(c, grid, step, fraction) for term, c in pairs])


def _add(values: list[InputValue]) -> InputValue:
    structures = [jtu.tree_structure(v) for v in values]
    if any(s != structures[0] for s in structures):
        raise ValueError(
            f"The terms of a sum must have one structure, but they have {structures}. "
            "Give each term a value for every part of the input."
        )
    return jtu.tree_map(lambda *leaves: sum(leaves), *values)


class Each(AbstractInput):
    """A tree of inputs, as an input whose value is the tree of their values.

    A tree that has inputs or functions of time in it is read as one wherever an input is
    expected. The inputs are random independently of one another.

    **Arguments:**

    - `inputs`: a tree of inputs, functions of time, numbers and arrays.

    ```pycon
    >>> import jaxnet as jn
    >>> pulse = jn.inputs.Pulse(onset=1.0, duration=1.0, value=2.0)
    >>> value = jn.inputs.Each({"e": pulse, "i": 0.5})(1.5)
    >>> {name: float(x) for name, x in value.items()}
    {'e': 2.0, 'i': 0.5}
    ```
    """

    inputs: PyTree[AbstractInput] = eqx.field(
        converter=lambda tree: _map_inputs(as_input, tree)
    )

    def __call__(self, t):
        return _map_inputs(lambda x: x(t), self.inputs)

    def breakpoints(self):
        return jnp.concatenate([jnp.zeros(0), *(x.breakpoints() for x in self._leaves())])

    def require(self, start, end):
        for x in self._leaves():
            x.require(start, end)

    def value_shape(self):
        return _map_inputs(lambda x: x.value_shape(), self.inputs)

    def init(self, grid, key):
        leaves = self._leaves()
        keys = [None] * len(leaves) if key is None else jax.random.split(key, len(leaves))
        return [x.init(grid, k) for x, k in zip(leaves, keys, strict=True)]

    def advance(self, carry, grid, step):
        pairs = zip(self._leaves(), carry, strict=True)
        return [x.advance(c, grid, step) for x, c in pairs]

    def on_grid(self, carry, grid, step, fraction):
        carries = iter(carry)
        return _map_inputs(
            lambda x: x.on_grid(next(carries), grid, step, fraction), self.inputs
        )

    def _leaves(self) -> list[AbstractInput]:
        return jtu.tree_leaves(self.inputs, is_leaf=_is_input)


def _is_input(x) -> bool:
    return isinstance(x, AbstractInput | list) or callable(x)


def _varies(x) -> bool:
    return isinstance(x, AbstractInput) or callable(x)


def _map_inputs(function: Callable, tree: PyTree) -> PyTree:
    return jtu.tree_map(function, tree, is_leaf=_is_input)


def as_input(u: InputValue) -> AbstractInput:
    """An input as it is; a function as a function of time; all else as a constant.

    A tree with inputs or functions in it is an input too, [`jaxnet.inputs.Each`][].
    """
    if isinstance(u, AbstractInput):
        return u
    if callable(u):
        return FunctionOfTime(u)
    leaves = jtu.tree_leaves(u, is_leaf=_is_input)
    if any(isinstance(x, list) and any(map(_varies, x)) for x in leaves):
        raise ValueError("a list is read as an array; pass a tuple of inputs.")
    return Each(u) if any(map(_varies, leaves)) else Constant(u)


def is_constant(u: AbstractInput) -> bool:
    """Whether an input is known not to vary in time."""
    if isinstance(u, Sum):
        return all(is_constant(term) for term in u.terms)
    if isinstance(u, Each):
        return all(map(is_constant, jtu.tree_leaves(u.inputs, is_leaf=_is_input)))
    return isinstance(u, Constant)
