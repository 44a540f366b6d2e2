"""Without recurrence a population relaxes exponentially to its F-I curve."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, Report


R0, T1 = 0.2, 20.0
TAUS = jnp.array([1.0, 3.0, 5.0])
INPUTS = jnp.array([0.0, 3.0, 5.0, 10.0])


def relax(tau, u) -> jn.Solution:
    return jn.simulate(jn.models.RatePopulation(w=0.0, tau=tau), R0, t1=T1, u=u)


def closed_form(t, tau, u):
    end = 1 / (1 + np.exp(-1.2 * (u - 2.8))) - 1 / (1 + np.exp(1.2 * 2.8))
    return R0 + (end - R0) * (1 - np.exp(-t / tau))


def main(*, quick: bool, seed: int) -> Report:
    many = jax.jit(jax.vmap(jax.vmap(relax, (None, 0)), (0, None)))(TAUS, INPUTS)
    taus, inputs = np.asarray(TAUS)[:, None, None], np.asarray(INPUTS)[None, :, None]
    error = np.abs(many.ys - closed_form(np.asarray(many.ts), taus, inputs)).max()

    fig, axes = plt.subplots(1, 2, figsize=(5.4, 2.5), sharey=True)
    for i, tau in enumerate(TAUS):
        line = axes[0].plot(many.ts[i, 2], many.ys[i, 2], label=f"τ = {tau:.0f} ms")[0]
        axes[0].plot(
            many.ts[i, 2, ::10],
            closed_form(np.asarray(many.ts[i, 2, ::10]), float(tau), 5.0),
            ".",
            color=line.get_color(),
        )
    for j, u in enumerate(INPUTS):
        line = axes[1].plot(many.ts[1, j], many.ys[1, j], label=f"I = {u:.0f}")[0]
        axes[1].axhline(many.ys[1, j, -1], color=line.get_color(), lw=0.6, ls=":")
    axes[0].set(
        title="I = 5; dots: closed form", xlabel="time t (ms)", ylabel="rate r (a.u.)"
    )
    axes[1].set(title="τ = 3 ms", xlabel="time t (ms)")
    for ax in axes:
        ax.legend()

    dt = 0.1
    euler = jn.simulate(
        jn.models.RatePopulation(w=0.0, tau=3.0), R0, t1=T1, u=5.0, method=jn.Grid(dt)
    )
    end = 1 / (1 + np.exp(-1.2 * (5.0 - 2.8))) - 1 / (1 + np.exp(1.2 * 2.8))
    r = [R0]
    for _ in range(200):
        r.append(r[-1] + dt / 3.0 * (-r[-1] + end))
    claims = [
        below("error against the closed form, 12 runs", 1e-8, error),
        below(
            "Euler at 0.1 ms against its recurrence",
            1e-14,
            np.abs(euler.ys - np.asarray(r)).max(),
        ),
    ]
    return Report(claims, {"relaxation": fig})
