"""A population that inhibits itself: one fixed point, always stable, faster than τ."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, equal, Report


STARTS = jnp.linspace(-0.1, 1.0, 12)
METHOD = jn.Grid(0.05)
WEIGHTS = jnp.array([0.0, -2.0, -5.0, -10.0])


def main(*, quick: bool, seed: int) -> Report:
    @jax.jit
    @jax.vmap
    def scan(w, u):
        return jn.fixed_points(jn.models.RatePopulation(w=w), STARTS, u=u, max_points=3)

    u = jnp.linspace(0.0, 10.0, 101)
    mesh = jnp.meshgrid(WEIGHTS, u, indexing="ij")
    points = scan(*(m.ravel() for m in mesh))
    rate = np.asarray(points.y[:, 0]).reshape(len(WEIGHTS), -1)
    slope = np.asarray(points.eigenvalues[:, 0, 0].real).reshape(len(WEIGHTS), -1)

    fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.5))
    for w, rates, slopes in zip(WEIGHTS, rate, slope, strict=True):
        run = jn.simulate(jn.models.RatePopulation(w=w), 0.2, t1=5.0, u=5.0, method=METHOD)
        axes[0].plot(run.ts, run.ys, label=f"w = {w:.0f}")
        axes[1].plot(u, rates)
        axes[2].plot(u, slopes)
    fig.legend(loc="outside right upper")
    axes[0].set(title="I = 5", xlabel="time t (ms)", ylabel="rate r (a.u.)")
    axes[1].set(title="fixed point", xlabel="input I (a.u.)", ylabel="rate r (a.u.)")
    axes[2].set(title="its eigenvalue", xlabel="input I (a.u.)", ylabel="λ (1/ms)")

    gain = np.asarray(jn.transfer.Sigmoid().gain(WEIGHTS[:, None] * rate + u[None]))
    claims = [
        equal(
            "fixed points at every weight and input", [1], np.unique(points.count).tolist()
        ),
        equal("stable everywhere", True, bool(np.all(slope < 0))),
        below(
            "eigenvalue against (-1 + w F')/τ",
            1e-12,
            np.abs(slope - (-1 + np.asarray(WEIGHTS)[:, None] * gain)).max(),
        ),
        below("largest eigenvalue + 1/τ, never above zero", 1e-12, (slope + 1).max()),
    ]
    return Report(claims, {"inhibitory_population": fig})
