"""Ten initial rates lead to two steady states; one held on the third stays there."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, equal, Report


T1 = 20.0
METHOD = jn.Grid(0.1)
ROOTS = (0.0415366990, 0.4471192241, 0.8997171539)


def main(*, quick: bool, seed: int) -> Report:
    population = jn.models.RatePopulation(w=5.0)
    run = lambda r0: jn.simulate(population, r0, t1=T1, u=0.5, method=METHOD)
    starts = jnp.arange(10) / 10
    many = jax.vmap(run)(starts)
    unstable = jn.fixed_points(population, jnp.linspace(0, 1, 17), u=0.5).y[1]
    held = run(unstable)

    fig, ax = plt.subplots()
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.9, len(starts)))
    for ys, colour in zip(many.ys, colours, strict=True):
        ax.plot(many.ts[0], ys, color=colour)
    ax.plot(
        held.ts, held.ys, "--", color=jn.plot.COLOURS[1], label="from the unstable point"
    )
    ax.set(xlabel="time t (ms)", ylabel="rate r (a.u.)", ylim=(0, 1.1))
    ax.legend(loc="upper right")

    ends = np.asarray(many.ys[:, -1])
    nearest = np.where(np.asarray(starts) < ROOTS[1], ROOTS[0], ROOTS[2])
    claims = [
        below("distance to the steady state at 20 ms", 2e-3, np.abs(ends - nearest).max()),
        equal(
            "runs that end low, high",
            (5, 5),
            (int((ends < 0.4).sum()), int((ends > 0.4).sum())),
        ),
        below(
            "drift from the unstable point in 20 ms", 1e-9, np.abs(held.ys - ROOTS[1]).max()
        ),
    ]
    return Report(claims, {"trajectories": fig})
