"""The F-I curve of a population and its gain, for several steepnesses and thresholds."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, close, Report


def main(*, quick: bool, seed: int) -> Report:
    x = jnp.linspace(0.0, 10.0, 201)
    fig, axes = plt.subplots(2, 2, figsize=(5.0, 4.0), sharex=True, sharey="row")
    steepnesses, thresholds = (0.6, 1.2, 2.4), (2.0, 2.8, 4.0)
    families = (
        (
            [jn.transfer.Sigmoid(a=a) for a in steepnesses],
            [f"a = {a}" for a in steepnesses],
        ),
        (
            [jn.transfer.Sigmoid(theta=theta) for theta in thresholds],
            [f"θ = {theta}" for theta in thresholds],
        ),
    )
    for column, (functions, labels) in zip(axes.T, families, strict=True):
        for function, label in zip(functions, labels, strict=True):
            column[0].plot(x, function(x), label=label)
            column[1].plot(x, function.gain(x))
        column[0].legend()
        column[1].set_xlabel("input x (a.u.)")
    axes[0, 0].set_ylabel("rate F(x) (a.u.)")
    axes[1, 0].set_ylabel("gain dF/dx (a.u.)")
    axes[0, 0].set_title("steepness (θ = 2.8)")
    axes[0, 1].set_title("threshold (a = 1.2)")

    sigmoid = jn.transfer.Sigmoid(a=1.2, theta=2.8)
    e = np.exp(-1.2 * (np.asarray(x) - 2.8))
    by_hand = 1.2 * e / (1 + e) ** 2
    with_theta = jax.jacfwd(lambda theta: jn.transfer.Sigmoid(theta=theta).gain(4.0))(2.8)
    h = 1e-6
    difference = (
        jn.transfer.Sigmoid(theta=2.8 + h).gain(4.0)
        - jn.transfer.Sigmoid(theta=2.8 - h).gain(4.0)
    ) / (2 * h)
    claims = [
        close("F(0) = 0", 0.0, sigmoid(0.0), 1e-15),
        close("F at the threshold", 0.5 - 1 / (1 + np.exp(3.36)), sigmoid(2.8), 1e-12),
        close("largest gain a/4, at the threshold", 0.3, sigmoid.gain(2.8), 1e-12),
        below(
            "gain against the derivative by hand",
            1e-14,
            np.abs(sigmoid.gain(x) - by_hand).max(),
        ),
        close(
            "derivative of the gain with θ, by differences", difference, with_theta, 1e-8
        ),
    ]
    return Report(claims, {"fi_curve": fig})
