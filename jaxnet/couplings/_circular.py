"""Convolution on a torus, as a bilinear operation of JAX."""

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float


def circular_convolution(
    x: Float[Array, "n n"], kernel: Float[Array, "n n"]
) -> Float[Array, "n n"]:
    r"""$y_a = \sum_b k_{a - b} x_b$, where indices wind around in both dimensions.

    It is done by Fourier transforms. Its derivatives are convolutions too, which cost
    less than the derivatives of the transforms.
    """
    dtype = jnp.result_type(x, kernel)
    return circular_convolution_p.bind(x.astype(dtype), kernel.astype(dtype))


def _convolve(x, kernel):
    # One of the two may be shared by a batch, on axes of size 1.
    spectrum = jnp.fft.rfft2(x) * jnp.fft.rfft2(kernel)
    return jnp.fft.irfft2(spectrum, s=x.shape[-2:])


def _shape(x, kernel):
    return ShapedArray(jnp.broadcast_shapes(x.shape, kernel.shape), x.dtype)


def _transposed(ct, kernel, like):
    """The cotangent of the other factor."""
    mirrored = jnp.roll(jnp.flip(kernel, (-2, -1)), 1, (-2, -1))
    out = circular_convolution_p.bind(ct, mirrored)
    shared = [i for i, size in enumerate(like.shape) if size < out.shape[i]]
    return jnp.sum(out, shared, keepdims=True) if shared else out


def _batched(factors, axes):
    first = [
        jnp.expand_dims(f, 0) if a is None else jnp.moveaxis(f, a, 0)
        for f, a in zip(factors, axes, strict=True)
    ]
    return circular_convolution_p.bind(*first), 0


circular_convolution_p = Primitive("circular_convolution")
circular_convolution_p.def_impl(jax.jit(_convolve))
circular_convolution_p.def_abstract_eval(_shape)
ad.defbilinear(
    circular_convolution_p,
    lambda ct, x, kernel: _transposed(ct, kernel, x.aval),
    lambda ct, x, kernel: _transposed(ct, x, kernel.aval),
)
batching.primitive_batchers[circular_convolution_p] = _batched
mlir.register_lowering(
    circular_convolution_p, mlir.lower_fun(_convolve, multiple_results=False)
)
