"""Bifurcations of the Wilson-Cowan model: one parameter, two, and the cycle born there."""

from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, close, equal, Report


W_EI, W_IE, W_II, TAU_E, TAU_I = 4.8, 6.0, 1.2, 1.0, 2.0
A_E, THETA_E, A_I, THETA_I = 1.2, 2.8, 1.0, 4.0
E_AT_ZERO, I_AT_ZERO = 1 / (1 + np.exp(A_E * THETA_E)), 1 / (1 + np.exp(A_I * THETA_I))
# Of the input I_E, and of the weight w_EE.
SPANS = (-1.0, 2.0), (5.0, 9.0)
# Where two fixed points are stable.
BISTABLE = (0.2, 8.0)
AXIS = np.linspace(-0.05, 1.05, 101)
# How far from the boundary of two basins a state is put on each side.
BESIDE = 1e-4
FOLDS, HOPF, OMEGA = (0.7134637490, 0.6371621813), 0.9991460419, 0.6769616272
SUBCRITICAL = (0.8, 6.8229061868)
OTHER_FOLDS = (0.4575325319, -0.8410153851)


class OnNullcline(NamedTuple):
    """A fixed point, with all that follows from its excitatory rate alone.

    The nullcline of r_I holds neither I_E nor w_EE, so that r_E gives r_I and the gains of
    both populations. Then the determinant and the trace of the Jacobian are linear in w_EE:
    `fold` and `neutral` are the weights at which they are zero.
    """

    r_e: np.ndarray
    r_i: np.ndarray
    fold: np.ndarray
    neutral: np.ndarray
    gain_e: np.ndarray
    gain_i: np.ndarray

    def input(self, w_ee):
        """The input I_E at which the fixed point is one."""
        s = self.r_e + E_AT_ZERO
        return np.log(s / (1 - s)) / A_E + THETA_E - w_ee * self.r_e + W_EI * self.r_i

    def trace(self, w_ee):
        """Of the Jacobian (1/ms)."""
        return (w_ee * self.gain_e - 1) / TAU_E - (1 + W_II * self.gain_i) / TAU_I


def on_nullcline(r_e) -> OnNullcline:
    r_e = np.asarray(r_e, float)
    r_i = gain_i = np.zeros_like(r_e)
    for _ in range(60):
        s = 1 / (1 + np.exp(-A_I * (W_IE * r_e - W_II * r_i - THETA_I)))
        gain_i = A_I * s * (1 - s)
        r_i = r_i - (r_i - s + I_AT_ZERO) / (1 + W_II * gain_i)
    gain_e = A_E * (r_e + E_AT_ZERO) * (1 - r_e - E_AT_ZERO)
    own = 1 + W_II * gain_i
    fold = 1 / gain_e + gain_i * W_EI * W_IE / own
    neutral = (1 + TAU_E / TAU_I * own) / gain_e
    return OnNullcline(r_e, r_i, fold, neutral, gain_e, gain_i)


def model(w_ee, w_ei=W_EI, w_ie=W_IE, w_ii=W_II):
    return jn.models.WilsonCowan(w_ee, w_ei, w_ie, w_ii, tau_e=TAU_E, tau_i=TAU_I)


@jax.jit
@jax.vmap
def diagram(weights):
    driven = jn.Driven(model(*weights), (SPANS[0][0], 0.0))
    return jn.continuation(driven, lambda s: s.input.value[0], (0.0, 0.0), SPANS[0])


class Phases(NamedTuple):
    driven: jn.Driven
    points: jn.FixedPoints
    curves: jn.Separatrices
    arrived: np.ndarray
    beside: np.ndarray


def phase_plane() -> Phases:
    """Where each state of a lattice leads, and the states on both sides of the boundary."""
    driven = jn.Driven(model(BISTABLE[1]), (BISTABLE[0], 0.0))
    points = jn.fixed_points(driven, jn.lattice((0.0, 0.0), (1.0, 1.0), 9), max_points=3)
    curves = jn.separatrices(driven, points.y[1], length=1.5)
    along = np.diff(curves.stable, axis=1)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    # Outward from the saddle, to the left of one curve is to the right of the other.
    across *= np.array([1.0, -1.0])[:, None, None]
    middle = np.asarray(curves.stable)[:, :-1]
    sides = np.stack([middle - BESIDE * across, middle + BESIDE * across])
    lattice = jn.lattice((AXIS[0], AXIS[0]), (AXIS[-1], AXIS[-1]), len(AXIS))
    starts = jnp.concatenate([lattice, jnp.asarray(sides.reshape(-1, 2))])
    method = jn.Grid(0.1, diffrax.Tsit5())
    arrived = np.asarray(jn.basins(driven, starts, points, t1=100.0, method=method))
    return Phases(
        driven,
        points,
        curves,
        arrived[: len(lattice)],
        arrived[len(lattice) :].reshape(2, -1),
    )


class Cycles(NamedTuple):
    """Limit cycles: how far before the Hopf point, the extremes of r_E, the period (ms)."""

    distance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    period: np.ndarray


def simulated_cycles(hopf, distance) -> Cycles:
    """The cycles before the Hopf point, from simulations that start near them.

    A parabola through the three highest points gives the height and the time of a maximum.
    """
    dt, t1, kept = 0.05, 3000.0, 8000
    rise = predicted_amplitude(hopf) / jnp.abs(hopf.vector[0])

    def run(distance):
        driven = jn.Driven(model(6.4), (hopf.parameter - distance, 0.0))
        start = hopf.y + rise * jnp.sqrt(distance) * hopf.vector.real
        method = jn.Grid(dt, diffrax.Tsit5())
        return jn.simulate(driven, start, t1=t1, method=method).ys[-kept:, 0]

    def maxima(r):
        k = 1 + np.flatnonzero((r[1:-1] > r[:-2]) & (r[1:-1] >= r[2:]))
        before, at, after = r[k - 1], r[k], r[k + 1]
        part = (after - before) / (2 * at - before - after) / 2
        return dt * (k + part), np.mean(at + part * (after - before) / 4)

    rows = np.asarray(jax.jit(jax.vmap(run))(jnp.asarray(distance)))
    times, high = zip(*map(maxima, rows), strict=True)
    _, low = zip(*map(maxima, -rows), strict=True)
    period = np.array([(t[-1] - t[0]) / (len(t) - 1) for t in times])
    return Cycles(distance, -np.array(low), np.array(high), period)


def predicted_amplitude(hopf):
    """Half the range of r_E, in units of the root of the distance from the Hopf point.

    The radial part of the normal form, a distance d before the point, is
    ρ' = ρ (g d + l₁ ω ρ²), where g is the slope of the growth rate, and r_E has 2 ρ |q_E|.
    """
    h = 1e-5
    ends = on_nullcline(float(hopf.y[0]) + np.array([-h, h]))
    growth = np.diff(ends.trace(6.4))[0] / np.diff(ends.input(6.4))[0] / 2
    radius = np.sqrt(growth / (float(hopf.lyapunov) * float(hopf.omega)))
    return 2 * radius * np.abs(complex(hopf.vector[0]))


def main(*, quick: bool, seed: int) -> Report:
    weights = (6.4, W_EI, W_IE, W_II), (SUBCRITICAL[1], W_EI, W_IE, W_II), (9, 4, 13, 11)
    branches = diagram(tuple(jnp.asarray(w, float) for w in zip(*weights, strict=True)))
    branch, above, other = (jax.tree.map(lambda x, k=k: x[k], branches) for k in range(3))
    hopf = jax.tree.map(lambda x: x[0], branch.hopf_points)

    where = lambda s: (s.input.value[0], s.system.w_ee)
    at = lambda p: jn.Driven(model(6.4), (p, 0.0))
    fold = jax.tree.map(lambda x: x[0], branch.folds)
    folds = jn.fold_curve(at(fold.parameter), where, fold.y, SPANS)
    hopfs = jn.hopf_curve(at(hopf.parameter), where, hopf.y, SPANS)
    errors = {}
    for name, curve in (("fold", folds), ("neutral", hopfs)):
        i, w = np.asarray(curve.parameters)[np.asarray(curve.accepted)].T
        point = on_nullcline(np.asarray(curve.y)[np.asarray(curve.accepted), 0])
        by_hand = getattr(point, name)
        errors[name] = np.abs([w - by_hand, i - point.input(by_hand)]).max()
    takens = folds.bogdanov_takens
    at_takens = on_nullcline(takens.y[0, 0])
    at_cusp = on_nullcline(folds.cusps.y[0, 0] + np.array([-1e-4, 0.0, 1e-4])).fold

    distance = 0.002 * 2.0 ** (np.arange(15) / 2)
    # The cycle ends where the first fold puts a fixed point on it.
    cycles = simulated_cycles(hopf, np.append(distance, [0.27, 0.28, 0.2853]))
    rise = (cycles.high - cycles.low) / 2 / np.sqrt(cycles.distance)
    # At small distances both are off by a multiple of the distance, which is taken away.
    limit = lambda y: 2 * y[0] - y[2]
    phases = phase_plane()

    claims = [
        close("Hopf point, I_E", HOPF, hopf.parameter, 1e-9),
        close("its ω (rad/ms)", OMEGA, hopf.omega, 1e-9),
        equal("it is supercritical", True, bool(hopf.supercritical)),
        close("first fold, I_E", FOLDS[0], branch.folds.parameter[0], 1e-9),
        close("second fold, I_E", FOLDS[1], branch.folds.parameter[1], 1e-9),
        close(
            f"Hopf point at w_EE = {SUBCRITICAL[1]}, I_E",
            SUBCRITICAL[0],
            above.hopf_points.parameter[0],
            1e-9,
        ),
        equal("it is supercritical", False, bool(above.hopf_points.supercritical[0])),
        close(
            "weights 9, 4, 13, 11: first fold, I_E",
            OTHER_FOLDS[0],
            other.folds.parameter[0],
            1e-9,
        ),
        close("second fold, I_E", OTHER_FOLDS[1], other.folds.parameter[1], 1e-9),
        equal("Hopf points", 0, int(other.hopf_points.valid.sum())),
        below("curve of folds, largest error by hand", 1e-9, errors["fold"]),
        below("curve of Hopf points, largest error by hand", 1e-9, errors["neutral"]),
        equal(
            "cusps, Bogdanov-Takens and generalised Hopf points",
            [1, 1, 1],
            [
                int(points.valid.sum())
                for points in (folds.cusps, takens, hopfs.generalised_hopf)
            ],
        ),
        equal("the curve of folds turns at the cusp", True, bool(at_cusp.argmin() == 1)),
        close(
            "at the Bogdanov-Takens point w_EE makes the determinant zero",
            at_takens.fold,
            takens.parameters[0, 1],
            1e-9,
        ),
        close("and the trace", at_takens.neutral, takens.parameters[0, 1], 1e-9),
        below(
            "the end of the curve of Hopf points is that point, distance",
            1e-9,
            np.nanmin(
                np.abs(hopfs.bogdanov_takens.parameters - takens.parameters[0]).max(1)
            ),
        ),
        close(
            "simulated period / (2π/ω), in the limit of no distance",
            1.0,
            limit(cycles.period) / float(hopf.period),
            1e-3,
        ),
        close(
            "simulated amplitude of r_E / that by l₁, in the same limit",
            1.0,
            limit(rise) / predicted_amplitude(hopf),
            1e-2,
        ),
        equal(
            f"stable fixed points at I_E = {BISTABLE[0]}, w_EE = {BISTABLE[1]}",
            2,
            int((phases.points.valid & phases.points.stability.stable).sum()),
        ),
        equal(
            f"states {BESIDE} to one side of the separatrix, and to the other, lead to",
            [[0], [2]],
            sorted(np.unique(side).tolist() for side in phases.beside),
        ),
    ]
    fig = picture(branch, folds, hopfs, cycles, predicted_amplitude(hopf), phases)
    return Report(claims, {"wilson_cowan_bifurcations": fig})


def picture(branch, folds, hopfs, cycles, rise, phases):
    fig, axes = plt.subplots(2, 2, figsize=(5.8, 4.8))
    one, two, plane, law = axes.flat
    purple = jn.plot.COLOURS[3]
    onset = float(branch.hopf_points.parameter[0])
    jn.plot.bifurcation_diagram(one, branch)
    extent = onset - np.append(0.0, cycles.distance)
    for n, values in enumerate((cycles.low, cycles.high)):
        ends = np.append(float(branch.hopf_points.y[0, 0]), values)
        one.plot(extent, ends, color=purple, label=None if n else "limit cycle")
    one.set(xlabel="input $I_E$ (a.u.)", ylabel="rate $r_E$ (a.u.)", xlim=(-0.7, 1.6))
    one.legend(loc="upper left", handlelength=1.4)

    jn.plot.two_parameter_diagram(two, folds, hopfs)
    # The cusp and the Bogdanov-Takens point are close together.
    zoom = two.inset_axes((0.66, 0.62, 0.34, 0.38), xlim=(0.79, 0.83), ylim=(5.84, 5.95))
    jn.plot.two_parameter_diagram(zoom, folds, hopfs)
    zoom.set(xticks=[], yticks=[])
    zoom.spines[:].set(visible=True, color="0.6")
    two.indicate_inset_zoom(zoom, edgecolor="0.6")
    two.plot([0.55, 1.3], [6.4, 6.4], color="0.6", lw=0.8, zorder=0)
    two.plot(*BISTABLE, "kx", ms=5)
    two.set(xlabel="input $I_E$ (a.u.)", ylabel="weight $w_{EE}$", ylim=SPANS[1])
    two.legend(loc="lower left", handlelength=1.4)

    jn.plot.phase_plane(
        plane, phases.driven, AXIS, AXIS, labels=(r"$\dot r_E = 0$", r"$\dot r_I = 0$")
    )
    jn.plot.basins(plane, AXIS, AXIS, phases.arrived)
    jn.plot.separatrices(plane, phases.curves)
    jn.plot.fixed_points(plane, phases.points)
    plane.set(xlabel="rate $r_E$ (a.u.)", ylabel="rate $r_I$ (a.u.)")
    names = "stable manifold", "unstable manifold", "stable point", "unstable point"
    handles, labels = plane.get_legend_handles_labels()
    plane.legend(handles, [*labels[:2], *names], loc="upper left", handlelength=1.4)

    near = np.geomspace(0.001, 0.05)
    law.loglog(near, rise * np.sqrt(near), color="0.5", lw=1, label="by $l_1$")
    amplitude = (cycles.high - cycles.low) / 2
    law.plot(cycles.distance, amplitude, "o", ms=3, color=purple, label="simulated")
    law.set(xlabel="distance from the Hopf point", ylabel="amplitude of $r_E$ (a.u.)")
    law.set_yticks([0.1, 0.2, 0.4], ["0.1", "0.2", "0.4"])
    law.set_yticks([], minor=True)
    law.legend()
    return fig
