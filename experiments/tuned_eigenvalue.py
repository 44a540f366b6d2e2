"""Weight and input tuned by gradients until the low state decays at a chosen rate."""

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxnet as jn

from ._report import below, close, equal, Report


STARTS = jnp.linspace(0.0, 1.0, 17)
DESCENT = optax.sgd(0.3)
# Fine enough that the solver's error is below rounding.
T1, METHOD, LAST, SMALL = 5.0, jn.Grid(0.05, diffrax.Dopri5()), jn.SaveAt(t1=True), 1e-5
TARGETS = jnp.linspace(-0.9, -0.1, 100)


def driven(params):
    return jn.Driven(jn.models.RatePopulation(w=params["w"]), params["I"])


def find(params):
    return jn.fixed_points(driven(params), STARTS, max_points=3)


def eigenvalue(params):
    return find(params).eigenvalues[0, 0].real


def tune(target):
    def step(carry, _):
        params, state = carry
        # Near its fold λ falls as the square root of the distance: its slope grows without
        # bound, and descent oversteps into the void. The square of λ has a steady slope.
        loss = lambda p: (eigenvalue(p) ** 2 - target**2) ** 2
        updates, state = DESCENT.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), eigenvalue(params)

    start = {"w": jnp.array(5.0), "I": jnp.array(0.5)}
    (params, _), history = jax.lax.scan(step, (start, DESCENT.init(start)), length=400)
    return params, history


def measured_decay(params):
    """The rate at which a small disturbance of the low state decays (1/ms)."""
    low = find(params).y[0]
    end = lambda y0: jn.simulate(driven(params), y0, t1=T1, method=METHOD, save=LAST).ys[-1]
    # From both sides, so that what is quadratic in the disturbance drops out.
    return jnp.log((end(low + SMALL) - end(low - SMALL)) / (2 * SMALL)) / T1


def main(*, quick: bool, seed: int) -> Report:
    # The first one is shown by itself.
    tuned, history = jax.jit(jax.vmap(tune))(jnp.append(-0.3, TARGETS))
    look = lambda p: (eigenvalue(p), measured_decay(p), find(p).y[0])
    (eigenvalue_of_one, *values), (decay_of_one, *decays), (_, *low) = map(
        np.asarray, jax.jit(jax.vmap(look))(tuned)
    )
    many, history = {name: x[1:] for name, x in tuned.items()}, history[0]
    errors = np.abs(np.subtract(values, TARGETS))

    fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.5))
    axes[0].plot(history[:20])
    axes[0].axhline(-0.3, color="0.5", lw=0.8, ls="--", label="target")
    axes[0].set(xlabel="step", ylabel="eigenvalue λ (1/ms)")
    axes[0].legend()
    dots = axes[1].scatter(many["w"], many["I"], c=TARGETS, s=8, cmap="viridis")
    axes[1].plot(5.0, 0.5, "k+", label="start")
    axes[1].set(xlabel="weight w", ylabel="input I (a.u.)")
    axes[1].legend()
    fig.colorbar(dots, label="target λ (1/ms)")
    s_fold = (1 - np.sqrt(1 - 4 / (1.2 * many["w"]))) / 2
    r_fold = np.asarray(s_fold - 1 / (1 + np.exp(1.2 * 2.8)))
    is_low = np.isnan(r_fold) | (np.asarray(low) < r_fold)
    claims = [
        close("eigenvalue after tuning to -0.3 (1/ms)", -0.3, eigenvalue_of_one, 1e-8),
        close("decay in a simulation of it (1/ms)", -0.3, decay_of_one, 1e-8),
        below("100 targets in one call, largest error (1/ms)", 1e-6, errors.max()),
        equal("of these, tuned in the low state, below its fold", 100, int(is_low.sum())),
        below(
            "their decay in simulations, largest error",
            1e-6,
            np.abs(np.subtract(decays, TARGETS)).max(),
        ),
    ]
    return Report(claims, {"tuned_eigenvalue": fig})
