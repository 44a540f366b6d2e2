"""The phase line of a population: where its rate stands still, and whether it stays."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, close, equal, Report


STARTS = jnp.linspace(0.0, 1.0, 17)
ROOTS = (0.0415366990, 0.4471192241, 0.8997171539)
EIGENVALUES = (-0.5832098636, 0.4977623836, -0.6264225077)


def main(*, quick: bool, seed: int) -> Report:
    population = jn.models.RatePopulation(w=5.0)
    points = jn.fixed_points(population, STARTS, u=0.5)

    r = jnp.linspace(-0.05, 1.0, 400)
    fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.6), sharey=True)
    jn.plot.phase_line(axes[0], population, r, u=0.5)
    jn.plot.fixed_points(axes[0], points)
    axes[0].legend()
    axes[0].set(title="w = 5, I = 0.5", xlabel="rate r (a.u.)", ylabel="dr/dt (1/ms)")
    for u in (0.0, 0.5, 1.0):
        jn.plot.phase_line(axes[1], population, r, u=u, label=f"I = {u}")
        jn.plot.fixed_points(
            axes[1], jn.fixed_points(population, STARTS, u=u), markersize=4, label="_"
        )
    axes[1].legend()
    axes[1].set(title="w = 5", xlabel="rate r (a.u.)")

    valid = np.asarray(points.valid)
    low_root = lambda u: jn.fixed_points(population, STARTS, u=u).y[0]
    r_low = float(low_root(0.5))
    gain = float(population.transfer.gain(5.0 * r_low + 0.5))
    claims = [equal("number of fixed points", 3, int(points.count))]
    for k, (root, value) in enumerate(zip(ROOTS, EIGENVALUES, strict=True)):
        claims.append(close(f"fixed point {k + 1}", root, points.y[k], 1e-9))
        claims.append(
            close("its eigenvalue (1/ms)", value, points.eigenvalues[k, 0].real, 1e-9)
        )
    claims += [
        equal(
            "stable, unstable, stable",
            [True, False, True],
            np.asarray(points.stability.stable)[valid].tolist(),
        ),
        below("residuals", 1e-12, np.asarray(points.residual)[valid].max()),
        close(
            "dr/dI of the low point = F'/(1 - w F')",
            gain / (1 - 5.0 * gain),
            jax.grad(low_root)(0.5),
            1e-10,
        ),
    ]
    return Report(claims, {"phase_line": fig})
