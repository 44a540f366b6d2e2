"""Random networks brought to the edge of stability: by their gain, or by all weights."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxnet as jn

from ._report import below, Claim, close, equal, Report


TAU, EXCITATORY = 10.0, 0.75
# The gain at the start; with Dale's law, the largest eigenvalue of the weights. How near
# the edge is met (1/ms), and the size of the steps of descent.
START, TOLERANCE, RATE = 0.5, 1e-9, 2000.0


def random_weights(seed: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(size, size)) / np.sqrt(size)


def with_signs(weights) -> tuple[np.ndarray, np.ndarray]:
    """The same sizes, but by Dale's law, and balanced; and the sign of each unit."""
    size = len(weights)
    signs = np.where(np.arange(size) < EXCITATORY * size, 1.0, -1.0)
    strength = np.where(signs > 0, 1.0, EXCITATORY / (1 - EXCITATORY))
    signed = np.abs(weights) * signs * strength
    return START * signed / np.linalg.eigvals(signed).real.max(), signs


def spectrum(system) -> np.ndarray:
    """By numpy: the eigenvalues of the Jacobian at rest, times τ."""
    gain = float(system.transfer.a)
    return np.linalg.eigvals(gain * np.asarray(system.weights)) - 1


def main(*, quick: bool, seed: int) -> Report:
    size = 32 if quick else 64
    weights = random_weights(seed, size)
    rest = jnp.zeros(size)
    edge = jn.objectives.SpectralAbscissa(0.0, rest)

    transfer = jn.transfer.Tanh(a=START)
    network = jn.models.RateNetwork(jnp.asarray(weights), TAU, transfer)
    by_gain = jn.fit(network, edge, where=lambda s: s.transfer.a, tolerance=TOLERANCE)

    signed, signs = with_signs(weights)
    dale = jn.models.RateNetwork(jnp.asarray(signed), TAU)
    by_weights = jn.fit(
        dale,
        edge,
        where=lambda s: s.weights,
        constraints=jn.constraints.Dale(signs),
        method=jn.Descent(optax.sgd(RATE), max_steps=300),
        tolerance=TOLERANCE,
    )
    after = np.asarray(by_weights.system.weights)
    change = np.linalg.norm(after - signed) / np.linalg.norm(signed)
    scaled = np.linalg.norm(signed / START - signed) / np.linalg.norm(signed)
    abscissa = lambda system: np.real(spectrum(system)).max() / TAU
    succeeded = lambda fit: bool(fit.result == jn.RESULTS.successful)
    claims = [
        equal("by the gain: at the edge", True, succeeded(by_gain)),
        close(
            "gain, one over the largest real part of the weights' eigenvalues",
            1 / np.linalg.eigvals(weights).real.max(),
            by_gain.system.transfer.a,
            1e-7,
        ),
        below("abscissa by numpy (1/ms)", 1e-8, abs(abscissa(by_gain.system))),
        close("by all weights: abscissa before (1/ms)", -0.05, abscissa(dale), 1e-9),
        equal("by all weights: at the edge", True, succeeded(by_weights)),
        below("abscissa by numpy (1/ms)", 1e-8, abs(abscissa(by_weights.system))),
        equal("weights that changed sign", 0, int(np.sum(np.sign(after) != signs))),
        Claim(
            "change of the weights, relative; by one factor for all",
            "less",
            f"{change:.3f}; {scaled:.3f}",
            bool(change < scaled),
        ),
        Claim(
            "steps",
            "at most 300",
            f"{int(by_gain.steps)}, {int(by_weights.steps)}",
            bool(by_weights.steps <= 300),
        ),
    ]
    pairs = {
        "gain alone": (network, by_gain.system),
        "all weights, Dale's law": (dale, by_weights.system),
    }
    return Report(claims, {"edge_of_stability": picture(pairs)})


def picture(pairs):
    fig, axes = plt.subplots(1, 2, figsize=(5.8, 3.2), sharex=True, sharey=True)
    for ax, (title, (before, after)) in zip(axes, pairs.items(), strict=True):
        for system, fill, label in ((before, "w", "before"), (after, None, "after")):
            z = spectrum(system)
            ax.plot(np.real(z), np.imag(z), "o", ms=3.5, mew=0.8, mfc=fill, label=label)
        ax.axvline(0.0, color="0.5", lw=0.8, ls="--", zorder=0)
        ax.set(xlabel="τ Re λ", title=title, aspect="equal")
    axes[0].set(ylabel="τ Im λ")
    handles = axes[0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside upper center", ncols=2)
    return fig
