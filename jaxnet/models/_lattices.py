"""Two square lattices on one torus, the finer one of excitatory cells."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from .._parameters import Parameter
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
    if ratio == 1:
        return x
    return jnp.repeat(jnp.repeat(x, ratio, axis=0), ratio, axis=1)


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
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if eqx.is_array(value) and jnp.ndim(value) and field.name not in others:
            raise ValueError(
                f"`{field.name}` of `{type(model).__name__}` must be one number, but its "
                f"shape is {jnp.shape(value)}. For many sheets use `jax.vmap`."
            )


def plus_input(drive: Array, u: InputValue) -> Array:
    """The drive and the input; `None` is no input."""
    return drive if u is None else drive + u
