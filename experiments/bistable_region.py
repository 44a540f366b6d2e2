"""Where a population has two stable rates: the plane of weight and input."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import close, equal, Report


A, THETA = 1.2, 2.8
STARTS = jnp.linspace(0.0, 1.0, 17)


def folds(w):
    """The two inputs at which fixed points meet, by hand; NaN left of the cusp."""
    with np.errstate(invalid="ignore"):
        half_width = np.sqrt(1 - 4 / (A * w)) / 2
    c = 1 / (1 + np.exp(A * THETA))
    s = np.stack([0.5 - half_width, 0.5 + half_width])
    return THETA + np.log(s / (1 - s)) / A - w * (s - c)


@jax.jit
@jax.vmap
def search(w, u):
    return jn.fixed_points(jn.models.RatePopulation(w=w), STARTS, u=u, max_points=3)


def main(*, quick: bool, seed: int) -> Report:
    w, u = np.linspace(1, 7, 200), np.linspace(0, 3, 200)
    mesh = np.meshgrid(w, u, indexing="ij")
    points = search(*(jnp.asarray(m.ravel()) for m in mesh))
    count = np.asarray(points.count).reshape(200, 200)
    low, high = np.sort(folds(w[:, None]).squeeze(-1), axis=0)
    inside = (u > low[:, None]) & (u < high[:, None])

    fig, ax = plt.subplots()
    ax.pcolormesh(w, u, count.T, cmap="Blues", vmin=0, vmax=5, rasterized=True)
    fine = np.linspace(4 / A, 7, 400)
    for branch, label in zip(
        folds(fine), ("fold of the low state", "fold of the high state"), strict=True
    ):
        ax.plot(fine, branch, label=label)
    cusp = (4 / A, float(folds(4 / A * (1 + 1e-15))[0]))
    ax.plot(*cusp, "ko", markersize=4)
    ax.annotate("cusp", cusp, (2.2, 1.5), arrowprops={"arrowstyle": "-", "lw": 0.6})
    ax.text(6.1, 0.12, "three fixed\npoints", ha="center", color="white")
    ax.text(1.6, 0.3, "one fixed point")
    ax.set(xlabel="weight w", ylabel="input I (a.u.)", ylim=(0, 3), xlim=(1, 7))
    ax.legend(loc="upper right")

    at_5 = np.sort(folds(5.0))
    scan = jnp.asarray([at_5[0] - 1e-9, at_5[0] + 1e-9, at_5[1] - 1e-9, at_5[1] + 1e-9])
    claims = [
        equal("cells with three fixed points", 4005, int((count == 3).sum())),
        equal(
            "cells that differ from the closed form", 0, int(((count == 3) != inside).sum())
        ),
        close("upper fold at w = 5", 0.8137568753, at_5[1], 1e-9),
        close("lower fold at w = 5", 0.1219353575, at_5[0], 1e-9),
        close("cusp, I", 1.2452307443, cusp[1], 1e-9),
        equal(
            "fixed points 1e-9 before and after each fold",
            [1, 3, 3, 1],
            search(jnp.full(4, 5.0), scan).count.tolist(),
        ),
    ]
    return Report(claims, {"bistable_region": fig})
