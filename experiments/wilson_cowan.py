"""The phase plane of the Wilson-Cowan model: nullclines, fixed points, trajectories."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import close, equal, Report


METHOD = jn.Grid(0.05)
# r_E, r_I, and the eigenvalues (1/ms).
POINTS = (
    (0.0, 0.0, -0.6234 + 0.1311j, -0.6234 - 0.1311j),
    (0.336852, 0.168420, 1.0572, -0.8727),
    (0.938430, 0.672481, -0.9596, -1.4220),
)


def main(*, quick: bool, seed: int) -> Report:
    model = jn.models.WilsonCowan()
    starts = jn.lattice((0.0, 0.0), (1.0, 1.0), 21)
    points = jn.fixed_points(model, starts)

    fig, ax = plt.subplots(figsize=(4.6, 3.0))
    x = np.linspace(-0.02, 1.0, 201)
    jn.plot.phase_plane(ax, model, x, x, labels=(r"$\dot r_E = 0$", r"$\dot r_I = 0$"))
    inits = jnp.array([[0.33, 0.15], [0.33, 0.2], [0.6, 0.9], [0.9, 0.1]])
    runs = jax.vmap(lambda y0: jn.simulate(model, y0, t1=20.0, method=METHOD))(inits)
    for ys in runs.ys:
        ax.plot(*ys.T, color=jn.plot.COLOURS[2], lw=0.9)
    ax.plot([], [], color=jn.plot.COLOURS[2], lw=0.9, label="trajectories")
    jn.plot.fixed_points(ax, points)
    ax.set(xlabel="rate $r_E$ (a.u.)", ylabel="rate $r_I$ (a.u.)")
    fig.legend(loc="outside right upper")

    one_each = jax.vmap(lambda s: jn.fixed_points(model, s[None], max_points=1).count)(
        starts
    )
    claims = [
        equal("number of fixed points", 3, int(points.count)),
        equal("starts of 441 that lead to one", 441, int(one_each.sum())),
    ]
    for k, (r_e, r_i, first, second) in enumerate(POINTS):
        claims += [
            close(f"point {k + 1}, r_E", r_e, points.y[k, 0], 1e-6),
            close(f"point {k + 1}, r_I", r_i, points.y[k, 1], 1e-6),
            *(
                close(
                    f"point {k + 1}, eigenvalue {n}, |expected - got| (1/ms)",
                    0.0,
                    abs(complex(points.eigenvalues[k, n - 1]) - value),
                    1e-4,
                )
                for n, value in ((1, first), (2, second))
            ),
        ]
    return Report(claims, {"phase_plane": fig})
