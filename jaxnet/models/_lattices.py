"""Two square lattices on one torus, the finer one of excitatory cells."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Shaped

from .._parameters import Parameter, require_one_number
from .._types import InputValue
from ..couplings import AbstractTorusCoupling


def ratio_of(excitation: AbstractTorusCoupling, inhibition: AbstractTorusCoupling) -> int:
    """How many excitatory cells a side there are to an inhibitory one."""
    for name, coupling in (("excitation", excitation), ("inhibition", inhibition)):
        if not isinstance(coupling, AbstractTorusCoupling):
            raise ValueError(
                f"`{name}` must be a coupling on a torus such as `jaxnet.couplings."
                f"TorusGaussian(18.0, size=150, taps=101)`, but it is {coupling!r}."
            )
    ratio, rest = divmod(excitation.size, inhibition.size)
    if rest:
        raise ValueError(
            f"The `size` of `excitation`, {excitation.size}, must be a whole multiple of "
            f"that of `inhibition`, {inhibition.size}."
        )
    return ratio


def subsample(
    x: Shaped[Array, "size_e size_e"], ratio: int
) -> Shaped[Array, "size_i size_i"]:
    """What the inhibitory cells find where they lie on the excitatory lattice."""
    return x[::ratio, ::ratio]


def repeat(x: Shaped[Array, "size_i size_i"], ratio: int) -> Shaped[Array, "size_e size_e"]:
    """What the excitatory cells find at their place of the inhibitory lattice."""
    return x if ratio == 1 else repeat_p.bind(x, ratio=ratio)


def _repeat(x, *, ratio: int):
    return jnp.repeat(jnp.repeat(x, ratio, axis=-2), ratio, axis=-1)


def _repeat_transposed(ct, _, *, ratio: int):
    """The sum over the cells of each place."""
    shifts = itertools.product(range(ratio), repeat=2)
    return [sum(ct[..., i::ratio, j::ratio] for i, j in shifts)]


def _repeat_batched(args, axes, *, ratio: int):
    return repeat_p.bind(jnp.moveaxis(args[0], axes[0], 0), ratio=ratio), 0


# An operation of its own for the sake of its transpose, which JAX would do by a reduction
# that takes a quarter of the time of a step.
repeat_p = Primitive("repeat_cells")
repeat_p.def_impl(jax.jit(_repeat, static_argnames="ratio"))
repeat_p.def_abstract_eval(
    lambda x, *, ratio: ShapedArray(
        (*x.shape[:-2], x.shape[-2] * ratio, x.shape[-1] * ratio), x.dtype
    )
)
ad.deflinear2(repeat_p, _repeat_transposed)
batching.primitive_batchers[repeat_p] = _repeat_batched
mlir.register_lowering(repeat_p, mlir.lower_fun(_repeat, multiple_results=False))


def pair(x: Parameter, name: str) -> tuple[Parameter, Parameter]:
    """A parameter of both kinds of cell, given as one number or as a pair."""
    if jnp.shape(x) == ():
        return x, x
    if jnp.shape(x) != (2,):
        raise ValueError(
            f"{name} must be one number, or a pair: one for the excitatory and one for the "
            f"inhibitory cells; but its shape is {jnp.shape(x)}."
        )
    return x[0], x[1]


def inputs_of(
    u: InputValue, shape_e: tuple[int, int], shape_i: tuple[int, int], model: str
) -> tuple[InputValue, InputValue]:
    """The input of each kind of cell."""
    if u is None:
        return None, None
    if not isinstance(u, tuple) or len(u) != 2:
        raise ValueError(
            f"the input `u` of a `{model}` is a pair, (u_e, u_i), for the excitatory and "
            f"the inhibitory cells, but it is {kind_of(u)}"
        )
    for name, value, shape in (("u_e", u[0], shape_e), ("u_i", u[1], shape_i)):
        if value is not None and jnp.shape(value) not in ((), shape):
            raise ValueError(
                f"the input `{name}` of this `{model}` must be one number, or a lattice of "
                f"shape {shape}, but its shape is {jnp.shape(value)}"
            )
    return u


def kind_of(x) -> str:
    """What something is, in words, also where it is traced."""
    return f"an array of shape {x.shape}" if eqx.is_array(x) else f"a {type(x).__name__}"


def require_scalars(model: eqx.Module, *others: str) -> None:
    """Raise unless every parameter is one number, but for some others."""
    fields = [f.name for f in dataclasses.fields(model) if f.name not in others]
    numbers = [name for name in fields if eqx.is_array(getattr(model, name))]
    require_one_number(model, *numbers, remedy="For many sheets use `jax.vmap`.")


def plus_input(drive: Array, u: InputValue) -> Array:
    """The drive and the input; `None` is no input."""
    return drive if u is None else drive + u
