"""How the onset of an oscillation moves with each parameter: gradients of a Hopf point."""

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, close, equal, Report


# Of the model below, in this order, with the input u_I that is not varied.
NAMES = (
    *("$w_{EE}$", "$w_{EI}$", "$w_{IE}$", "$w_{II}$", r"$\tau_E$", r"$\tau_I$"),
    *("$a_E$", r"$\theta_E$", "$a_I$", r"$\theta_I$", "$u_I$"),
)
VALUES = np.array([6.4, 4.8, 6.0, 1.2, 1.0, 2.0, 1.2, 2.8, 1.0, 4.0, 0.0])
ONSET, NEAR = 0.9991460419, (0.655, 0.352)
# The change that counts as one: a part of the value, or an input of 1.
UNIT = np.where(VALUES == 0, 1.0, VALUES)
SHOWN, CHANGES = (0, 1, 2, 7), np.linspace(-0.04, 0.04, 9)


def plain(name):
    for old, new in (
        ("tau", "τ"),
        ("theta", "θ"),
        ("$", ""),
        ("\\", ""),
        ("{", ""),
        ("}", ""),
    ):
        name = name.replace(old, new)
    return name


def driven(values, guess=ONSET):
    w_ee, w_ei, w_ie, w_ii, tau_e, tau_i, a_e, theta_e, a_i, theta_i, u_i = values
    to_e, to_i = jn.transfer.Sigmoid(a_e, theta_e), jn.transfer.Sigmoid(a_i, theta_i)
    model = jn.models.WilsonCowan(w_ee, w_ei, w_ie, w_ii, tau_e, tau_i, to_e, to_i)
    return jn.Driven(model, (guess, u_i))


def parts(system):
    """The parameters of a system in the order of their names."""
    model = system.system
    to_e, to_i = model.transfer_e, model.transfer_i
    return (
        *(model.w_ee, model.w_ei, model.w_ie, model.w_ii, model.tau_e, model.tau_i),
        *(to_e.a, to_e.theta, to_i.a, to_i.theta, system.input.value[1]),
    )


def onset(system):
    """The input I_E of the Hopf point."""
    return jn.hopf(system, lambda s: s.input.value[0], NEAR).parameter


@jax.jit
@jax.vmap
def solve(values):
    return onset(driven(values))


def inhibitory_rate():
    """The rate r_I at the Hopf point, by hand.

    On its nullcline r_I gives r_E, and so the trace of the Jacobian, which is zero there.
    """
    w_ee, _, w_ie, w_ii, tau_e, tau_i, a_e, theta_e, a_i, theta_i, _ = VALUES
    low, high, r_i = 0.2, 0.6, 0.0
    for _ in range(60):
        r_i = (low + high) / 2
        s_i = r_i + 1 / (1 + np.exp(a_i * theta_i))
        r_e = (np.log(s_i / (1 - s_i)) / a_i + theta_i + w_ii * r_i) / w_ie
        s_e = r_e + 1 / (1 + np.exp(a_e * theta_e))
        trace = (w_ee * a_e * s_e * (1 - s_e) - 1) / tau_e
        trace -= (1 + w_ii * a_i * s_i * (1 - s_i)) / tau_i
        low, high = (r_i, high) if trace > 0 else (low, r_i)
    return r_i


def main(*, quick: bool, seed: int) -> Report:
    gradient = eqx.filter_grad(onset)(driven(VALUES))
    reverse = np.array(parts(gradient))
    forward = np.asarray(
        jax.jit(jax.jacfwd(lambda v: onset(driven(v))))(jnp.asarray(VALUES))
    )

    # One call solves for all: central differences, 1 and 2 %, and the curves of the figure.
    h = 1e-4 * UNIT
    changes = np.concatenate([[0.0], np.array([1e-4, -1e-4, 0.01, 0.02])])
    moved = lambda k, c: VALUES + np.eye(len(VALUES))[k] * UNIT * c
    table = [moved(k, c) for k in range(len(VALUES)) for c in (*changes, *CHANGES)]
    solved = np.asarray(solve(jnp.asarray(table))).reshape(len(VALUES), -1)
    at, up, down, one, two = solved[:, :5].T
    differences = (up - down) / (2 * h)
    share = reverse * UNIT

    # Neither the trace of the Jacobian nor the nullcline of r_I holds w_EI: both rates at
    # the point stay, and the onset is linear in it. Its slope is r_I.
    r_i = inhibitory_rate()
    is_curved = np.arange(len(VALUES)) != 1
    linear, curved = one - at - 0.01 * share, two - at - 0.02 * share
    e, i, tau = [0, 1, 7], [2, 3, 9], [4, 5]
    claims = [
        close("onset, I_E", ONSET, at[0], 1e-9),
        *(
            close(
                f"derivative in {plain(name)}, gradient / central difference",
                1.0,
                r / d,
                1e-6,
            )
            for name, r, d in zip(NAMES, reverse, differences, strict=True)
        ),
        below(
            "forward and reverse mode, largest difference",
            1e-12,
            np.abs(forward - reverse).max(),
        ),
        equal(
            "derivative in the value of I_E where the search begins",
            0.0,
            float(gradient.input.value[0]),
        ),
        close("derivative in w_EI, the rate r_I at the point", r_i, reverse[1], 1e-10),
        close("scaling of time: Σ x dI/dx over τ", 0.0, share[tau].sum(), 1e-10),
        close(
            "scaling of the input to E: Σ x dI/dx over w_EE, w_EI, θ_E, less that of a_E",
            at[0],
            share[e].sum() - share[6],
            1e-10,
        ),
        close(
            "scaling of the input to I: Σ x dI/dx over w_IE, w_II, θ_I, less that of a_I",
            0.0,
            share[i].sum() - share[8],
            1e-10,
        ),
        close(
            "w_EE + 1 %: predicted shift / solved shift",
            1.0,
            0.01 * share[0] / (one - at)[0],
            0.1,
        ),
        below(
            "w_EI + 2 %, of which the onset is linear: error of the prediction",
            1e-12,
            abs(curved[1]),
        ),
        below(
            "all others: error of the prediction at 2 % / at 1 %, largest distance from 4",
            0.3,
            np.abs(curved / linear - 4)[is_curved].max(),
        ),
    ]
    return Report(claims, {"oscillation_onset": picture(share, solved[:, 5:])})


def picture(share, curves):
    fig, axes = plt.subplots(1, 2, figsize=(5.8, 2.7), width_ratios=(1, 1.15))
    order = np.argsort(np.abs(share))
    colours = [jn.plot.COLOURS[1] if s > 0 else jn.plot.COLOURS[0] for s in share[order]]
    axes[0].barh(range(len(order)), share[order] / 100, color=colours)
    axes[0].axvline(0, color="0.3", lw=0.8)
    axes[0].set_yticks(
        range(len(order)), [NAMES[k] + ("*" if VALUES[k] == 0 else "") for k in order]
    )
    axes[0].tick_params(axis="y", length=0)
    axes[0].set(xlabel="shift of onset $I_E$ per +1 % (*: per +0.01)")
    for n, k in enumerate(SHOWN):
        x = 100 * CHANGES
        axes[1].plot(x, ONSET + CHANGES * share[k], color=jn.plot.COLOURS[n], lw=1)
        axes[1].plot(x, curves[k], "o", ms=3.5, color=jn.plot.COLOURS[n])
        axes[1].text(4.3, curves[k, -1], NAMES[k], color=jn.plot.COLOURS[n], va="center")
    axes[1].set(xlabel="change of the parameter (%)", ylabel="onset $I_E$ (a.u.)")
    axes[1].plot([], [], "o", ms=3.5, color="0.5", label="solved again")
    axes[1].plot([], [], color="0.5", lw=1, label="by the gradient")
    axes[1].legend(loc="lower center")
    axes[1].set_xlim(-4.4, 5.6)
    return fig
