"""Silent circuits fitted to the onset of an oscillation of a chosen frequency."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, Claim, equal, Report


# Of the Wilson-Cowan models below, in this order: four weights and the input to E.
NAMES = ("$w_{EE}$", "$w_{EI}$", "$w_{IE}$", "$w_{II}$", "$I_E$")
LOW, HIGH = np.array([2.0, 2.0, 3.0, 0.0, 0.5]), np.array([9.0, 8.0, 9.0, 3.0, 1.5])
TAU = np.array([1.0, 2.0])
MODELS, NODES, DRAWN = 16, 5, 96
# Of the Hopf point (rad/ms), and where its state is looked for.
OMEGA, NEAR = 0.7, (0.4, 0.3)
POSITIVE, ANY = jn.constraints.Positive(), jn.constraints.Free()
CONSTRAINTS = (POSITIVE, POSITIVE, POSITIVE, POSITIVE, ANY)


def driven(values):
    """A circuit of which the values are the parameters named above."""
    w_ee, w_ei, w_ie, w_ii, u_e = values
    model = jn.models.WilsonCowan(w_ee, w_ei, w_ie, w_ii, *TAU)
    return jn.Driven(model, (u_e, 0.0))


def chosen(system):
    """The parameters named above, of a circuit or of its gradient."""
    model = system.system
    return model.w_ee, model.w_ei, model.w_ie, model.w_ii, system.input.value[0]


def silent_circuits(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Circuits with one fixed point, which is stable: their parameters and their states.

    The first few rest in a node, with real eigenvalues, and the others in a focus.
    """
    values = np.random.default_rng(seed).uniform(LOW, HIGH, (DRAWN, len(NAMES)))
    starts = jn.lattice((0.0, 0.0), (1.0, 1.0), 4)
    find = lambda v: jn.fixed_points(driven(v), starts, max_points=4)
    points = jax.jit(jax.vmap(find))(jnp.asarray(values))
    first = np.asarray(points.eigenvalues)[:, 0]
    alone = (np.sum(points.valid, axis=1) == 1) & (np.real(first).max(axis=1) < -0.01)
    is_node = np.abs(np.imag(first)).max(axis=1) == 0
    rows = np.concatenate(
        [
            np.nonzero(alone & is_node)[0][:NODES],
            np.nonzero(alone & ~is_node)[0][: MODELS - NODES],
        ]
    )
    return values[rows], np.asarray(points.y)[rows, 0]


def slopes_and_field(values, y):
    """By hand: the slopes of both sigmoids, and the vector field (per ms)."""
    w_ee, w_ei, w_ie, w_ii, u_e = np.moveaxis(np.asarray(values), -1, 0)
    r_e, r_i = np.moveaxis(np.asarray(y), -1, 0)
    s_e = 1 / (1 + np.exp(-1.2 * (w_ee * r_e - w_ei * r_i + u_e - 2.8)))
    s_i = 1 / (1 + np.exp(-(w_ie * r_e - w_ii * r_i - 4.0)))
    rest_e, rest_i = 1 / (1 + np.exp(1.2 * 2.8)), 1 / (1 + np.exp(4.0))
    slopes = 1.2 * s_e * (1 - s_e), s_i * (1 - s_i)
    rates = np.stack([-r_e + s_e - rest_e, -r_i + s_i - rest_i], axis=-1)
    return slopes, rates / TAU


def eigenvalues(values, y):
    """By hand: of the Jacobian at a state (1/ms)."""
    w_ee, w_ei, w_ie, w_ii, _ = np.moveaxis(np.asarray(values), -1, 0)
    (a_e, a_i), _ = slopes_and_field(values, y)
    rows = [[a_e * w_ee - 1, -a_e * w_ei], [a_i * w_ie, -a_i * w_ii - 1]]
    matrix = np.moveaxis(np.array(rows), (0, 1), (-2, -1)) / TAU[:, None]
    return np.linalg.eigvals(matrix)


def main(*, quick: bool, seed: int) -> Report:
    values, rest = silent_circuits(seed)
    before = eigenvalues(values, rest)

    onset = jn.objectives.CriticalHopf(OMEGA, NEAR)
    starts = tuple(jnp.asarray(values.T))
    reach = lambda method: (
        jn.fit(
            driven(values[0]),
            onset,
            where=chosen,
            starts=starts,
            constraints=CONSTRAINTS,
            method=method,
        ).trials
    )
    trials, nested = reach(jn.AllAtOnce()), reach(jn.LeastSquares())
    fitted = np.stack(trials.parameters, axis=-1)
    after = eigenvalues(fitted, trials.unknowns)
    _, field = slopes_and_field(fitted, trials.unknowns)

    most = int(trials.steps.max())

    by_steps = int((nested.result == jn.RESULTS.successful).sum())
    claims = [
        equal("silent circuits", MODELS, len(values)),
        equal(
            "of these with real eigenvalues", NODES, int((before.imag == 0).all(1).sum())
        ),
        equal(
            "brought to the onset",
            MODELS,
            int((trials.result == jn.RESULTS.successful).sum()),
        ),
        below(
            "eigenvalues by hand, largest distance from ±0.7i (1/ms)",
            1e-6,
            np.abs(np.sort_complex(after) - np.array([-1j, 1j]) * OMEGA).max(),
        ),
        below("vector field by hand, largest (per ms)", 1e-7, np.abs(field).max()),
        Claim("steps, most", "at most 25", str(most), most <= 25),
        Claim(
            "with the state solved for in each step, where it may not be found",
            f"fewer than {MODELS}",
            str(by_steps),
            by_steps < MODELS,
        ),
    ]
    return Report(claims, {"fit_to_an_onset": picture(values, fitted, before, after)})


def picture(values, fitted, before, after):
    fig, axes = plt.subplots(1, 2, figsize=(6.0, 2.8), width_ratios=(1, 1.2))
    is_node = (before.imag == 0).all(axis=1)
    for rows, colour, label in (
        (is_node, jn.plot.COLOURS[1], "node"),
        (~is_node, jn.plot.COLOURS[0], "focus"),
    ):
        start = before[rows].ravel()
        axes[0].plot(
            start.real,
            start.imag,
            "o",
            mfc="w",
            color=colour,
            ms=4,
            label=f"{label}, before",
        )
        for k in range(len(NAMES)):
            pair = np.stack([values[rows, k], fitted[rows, k]])
            axes[1].plot([k - 0.2, k + 0.2], pair, color=colour, lw=0.7, alpha=0.7)
            axes[1].plot([k - 0.2] * rows.sum(), pair[0], "o", mfc="w", color=colour, ms=3)
            axes[1].plot([k + 0.2] * rows.sum(), pair[1], "o", color=colour, ms=3)
    end = after.ravel()
    axes[0].plot(end.real, end.imag, "o", color="k", ms=5, label="all, after")
    axes[0].axvline(0, color="0.5", lw=0.8, ls="--", zorder=0)
    axes[0].set(xlabel="Re λ (1/ms)", ylabel="Im λ (1/ms)")
    fig.legend(loc="outside upper center", ncols=3)
    axes[1].set_xticks(range(len(NAMES)), NAMES)
    axes[1].set(ylabel="before and after (a.u.)")
    return fig
