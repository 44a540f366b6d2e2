"""Diagrams of branches and curves, and phase planes: what is drawn, and how."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import jaxnet as jn


NAN = float("nan")
GOOD, BAD = jn.RESULTS.successful, jn.RESULTS.no_bifurcation


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def rows(values, width=3):
    """As many rows as there may be points, NaN where there is none."""
    return jnp.asarray([*values, *([NAN] * (width - len(values)))], float)


def codes(valid):
    return jax.vmap(lambda good: jn.RESULTS.where(good, GOOD, BAD))(valid)


def folds(at):
    p, y = np.reshape(np.array(at, float), (-1, 2)).T
    p, y = rows(p), rows(y)
    valid = jnp.isfinite(p)
    return jn.Fold(
        y=y,
        parameter=p,
        null_vector=0 * y + 1,
        coefficient=0 * y + 1,
        valid=valid,
        result=codes(valid),
    )


def hopf_points(at):
    p, y, lyapunov = np.reshape(np.array(at, float), (-1, 3)).T
    p, y = rows(p), rows(y)
    valid = jnp.isfinite(p)
    return jn.Hopf(
        y=y,
        parameter=p,
        omega=0 * p + 1,
        vector=0j * y + 1,
        lyapunov=rows(lyapunov),
        valid=valid,
        result=codes(valid),
    )


def branch_points(at):
    p, y = np.reshape(np.array(at, float), (-1, 2)).T
    p, y = rows(p), rows(y)
    valid = jnp.isfinite(p)
    return jn.BranchPoint(
        y=y,
        parameter=p,
        direction_y=jnp.zeros((3, 2)),
        direction_parameter=jnp.zeros((3, 2)),
        quadratic=p,
        cubic=p,
        transversality=p,
        imperfection=p,
        valid=valid,
        result=codes(valid),
    )


def branch(p, y, rates, accepted=None, *, fold=(), hopf=(), crossing=()):
    p, y, rates = (jnp.asarray(x, float) for x in (p, y, rates))
    values = rates[:, None] + 0j
    none = jnp.zeros(len(p), bool)
    return jn.Branch(
        y=y,
        parameter=p,
        tangent_y=0 * y,
        tangent_parameter=0 * p,
        eigenvalues=values,
        stability=jax.vmap(jn.classify)(values),
        accepted=~none if accepted is None else jnp.asarray(accepted),
        fold_after=none,
        hopf_after=none,
        branch_point_after=none,
        folds=folds(list(fold)),
        hopf_points=hopf_points(list(hopf)),
        branch_points=branch_points(list(crossing)),
        closed=jnp.asarray(False),
        result=GOOD,
    )


# Stable, unstable and stable again, with a row of padding.
S = branch(
    p=[0.0, 1.0, 0.5, 0.2, 0.8, 0.8],
    y=[0.0, 1.0, 2.0, 3.0, 4.0, 4.0],
    rates=[-1.0, -1.0, 1.0, 1.0, -1.0, -1.0],
    accepted=[True] * 5 + [False],
    fold=[(1.1, 1.5), (0.1, 3.5)],
    hopf=[(0.4, 0.4, -1.0), (0.6, 0.6, 2.0)],
    crossing=[(0.7, 0.7)],
)


def pieces(ax):
    """The lines that have no marks: dashed or not, and their points."""
    return [
        (line.get_linestyle() != "-", np.stack(line.get_data(), axis=1).tolist())
        for line in ax.lines
        if line.get_marker() in ("None", None, "")
    ]


def marks(ax):
    """From the name of a kind to the points that are marked."""
    return {
        line.get_label(): np.stack(line.get_data(), axis=1).tolist()
        for line in ax.lines
        if line.get_marker() not in ("None", None, "")
    }


def labels(ax):
    return ax.get_legend_handles_labels()[1]


# One parameter


def test_a_branch_is_solid_where_stable_and_dashed_where_not(ax):
    jn.plot.bifurcation_diagram(ax, S)
    assert pieces(ax) == [
        (False, [[0, 0], [1, 1], [0.5, 2]]),
        (True, [[0.5, 2], [0.2, 3], [0.8, 4]]),
    ]
    colours = {line.get_color() for line in ax.lines[:2]}
    assert colours == {jn.plot.COLOURS[0]}


def test_each_kind_of_point_is_marked_and_named_once(ax):
    jn.plot.bifurcation_diagram(ax, S)
    expected = {
        "fold": [[1.1, 1.5], [0.1, 3.5]],
        "branch point": [[0.7, 0.7]],
        "supercritical Hopf": [[0.4, 0.4]],
        "subcritical Hopf": [[0.6, 0.6]],
    }
    assert marks(ax) == expected
    assert labels(ax) == list(expected)
    fills = {line.get_label(): line.get_fillstyle() for line in ax.lines}
    assert fills["supercritical Hopf"] == "full"
    assert fills["subcritical Hopf"] == "none"
    assert len({line.get_marker() for line in ax.lines[2:]}) == 3


def test_a_second_branch_repeats_no_label(ax):
    jn.plot.bifurcation_diagram(ax, S)
    jn.plot.bifurcation_diagram(ax, S)
    assert len(labels(ax)) == len(set(labels(ax))) == 4
    assert len(ax.lines) == 2 * 6


def test_a_branch_that_is_named_is_in_the_legend_once(ax):
    jn.plot.bifurcation_diagram(ax, S, label="rate", marks=False)
    assert labels(ax) == ["rate"]


def test_marks_can_be_left_out_and_lines_changed(ax):
    jn.plot.bifurcation_diagram(ax, S, marks=False, color="red", linewidth=3.0)
    assert len(ax.lines) == 2
    assert all(line.get_color() == "red" for line in ax.lines)
    assert all(line.get_linewidth() == 3 for line in ax.lines)
    # Dashes stay, unless they are changed too.
    assert [dashed for dashed, _ in pieces(ax)] == [False, True]


def test_an_observable_is_shown_of_lines_and_marks(ax):
    jn.plot.bifurcation_diagram(ax, S, lambda y: 10 * y)
    assert pieces(ax)[0] == (False, [[0, 0], [1, 10], [0.5, 20]])
    assert marks(ax)["fold"] == [[1.1, 15], [0.1, 35]]


def test_a_branch_of_one_kind_is_one_line(ax):
    stable = branch([0.0, 1.0, 2.0], [0.0, 1.0, 4.0], [-1.0, -2.0, -1.0])
    jn.plot.bifurcation_diagram(ax, stable)
    assert pieces(ax) == [(False, [[0, 0], [1, 1], [2, 4]])]
    assert marks(ax) == {}


@pytest.mark.parametrize("accepted", [0, 1])
def test_a_branch_without_two_points_draws_nothing(ax, accepted):
    few = [k < accepted for k in range(3)]
    jn.plot.bifurcation_diagram(ax, branch([NAN] * 3, [NAN] * 3, [NAN] * 3, few))
    assert len(ax.lines) == 0


# Two parameters


def plane_points(kind, at, **others):
    parameters = jnp.asarray([*at, *([(NAN, NAN)] * (2 - len(at)))], float)
    y = parameters[:, :1]
    valid = jnp.isfinite(y[:, 0])
    return kind(
        y=y,
        parameters=parameters,
        **{name: value(y) for name, value in others.items()},
        valid=valid,
        result=codes(valid),
    )


def cusps(*at):
    return plane_points(jn.Cusp, at, null_vector=lambda y: y, coefficient=lambda y: y[:, 0])


def bogdanov_takens(*at):
    same, number = lambda y: y, lambda y: y[:, 0]
    return plane_points(
        jn.BogdanovTakens, at, null_vector=same, generalised_vector=same, a=number, b=number
    )


def generalised_hopf(*at):
    return plane_points(
        jn.GeneralisedHopf,
        at,
        omega=lambda y: y[:, 0],
        vector=lambda y: y + 0j,
        second_lyapunov=lambda y: y[:, 0],
    )


def fold_curve(at, accepted, cusp=(), bt=()):
    parameters = jnp.asarray(at, float)
    y, none = parameters[:, :1], jnp.zeros(len(at), bool)
    return jn.FoldCurve(
        y=y,
        parameters=parameters,
        null_vector=y,
        coefficient=y[:, 0],
        accepted=jnp.arange(len(at)) < accepted,
        cusp_after=none,
        bogdanov_takens_after=none,
        cusps=cusps(*cusp),
        bogdanov_takens=bogdanov_takens(*bt),
        closed=jnp.asarray(False),
        result=GOOD,
    )


def hopf_curve(at, lyapunov, accepted, gh=(), bt=()):
    parameters = jnp.asarray(at, float)
    y, none = parameters[:, :1], jnp.zeros(len(at), bool)
    return jn.HopfCurve(
        y=y,
        parameters=parameters,
        omega=y[:, 0],
        lyapunov=jnp.asarray(lyapunov, float),
        accepted=jnp.arange(len(at)) < accepted,
        generalised_hopf_after=none,
        generalised_hopf=generalised_hopf(*gh),
        bogdanov_takens=bogdanov_takens(*bt),
        closed=jnp.asarray(False),
        result=GOOD,
    )


FOLDS = fold_curve([(0, 0), (1, 1), (2, 0), (2, 0)], 3, cusp=[(1.1, 1.0)], bt=[(1.7, 0.3)])
HOPFS = hopf_curve(
    [(0, 3), (1, 3), (2, 3), (3, 3), (4, 3), (4, 3)],
    [NAN, -1.0, 2.0, 2.0, NAN, NAN],
    5,
    gh=[(1.5, 3.0)],
    bt=[(1.7, 0.3)],
)


def test_curves_of_two_parameters_and_their_points(ax):
    jn.plot.two_parameter_diagram(ax, FOLDS, HOPFS)
    assert pieces(ax) == [
        (False, [[0, 0], [1, 1], [2, 0]]),
        # The ends are of the kind of their neighbours.
        (False, [[0, 3], [1, 3], [2, 3]]),
        (True, [[2, 3], [3, 3], [4, 3]]),
    ]
    named = [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    assert named == labels(ax)
    assert named == [
        "folds",
        "cusp",
        "Bogdanov-Takens",
        "supercritical Hopf points",
        "subcritical Hopf points",
        "generalised Hopf",
    ]
    at = marks(ax)
    assert at["cusp"] == [[1.1, 1.0]]
    assert at["generalised Hopf"] == [[1.5, 3.0]]
    # A point that both curves pass is marked twice in one place.
    places = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "*"]
    assert places == [[[1.7, 0.3]], [[1.7, 0.3]]]


def test_several_curves_of_a_kind_have_one_label(ax):
    jn.plot.two_parameter_diagram(ax, FOLDS, FOLDS)
    jn.plot.two_parameter_diagram(ax, FOLDS, color="red")
    assert sorted(labels(ax)) == sorted(["folds", "cusp", "Bogdanov-Takens"])
    assert ax.lines[-3].get_color() == "red"


def test_curves_without_a_point_draw_none(ax):
    nothing = [(NAN, NAN)] * 3
    jn.plot.two_parameter_diagram(
        ax, fold_curve(nothing, 0), hopf_curve(nothing, [NAN] * 3, 0)
    )
    assert all(len(line.get_xdata()) == 0 for line in ax.lines)
    assert marks(ax) == {}


# Phase planes


def test_separatrices_do_not_move_the_limits(ax):
    ramp = jnp.linspace(0.0, 5.0, 4)
    arm = lambda a, b: jnp.stack([a * ramp, b * ramp], axis=1)
    stable = jnp.stack([arm(1, 1), arm(-1, -1)])
    unstable = jnp.stack([arm(1, -1), arm(-1, 1)])
    ax.set(xlim=(-1, 2), ylim=(0, 3))
    jn.plot.separatrices(ax, jn.Separatrices(stable, unstable, GOOD))
    assert ax.get_xlim() == (-1, 2)
    assert ax.get_ylim() == (0, 3)
    assert labels(ax) == ["stable manifold", "unstable manifold"]
    for line, curve in zip(ax.lines, [*stable, *unstable], strict=True):
        np.testing.assert_array_equal(line.get_xydata(), curve)
    # The stable one is darker.
    shades = [to_rgb(line.get_color())[0] for line in ax.lines]
    assert shades[0] == shades[1] < shades[2] == shades[3]


def test_a_basin_has_one_colour_and_the_rest_is_white(ax):
    x, y = np.array([0.0, 1.0]), np.array([0.0, 1.0, 2.0])
    # The first state variable is the slow index, as of `lattice`.
    arrived = np.array([0, 0, 2, 2, -1, 0])
    jn.plot.basins(ax, x, y, arrived)
    (mesh,) = ax.collections
    shown = np.ma.filled(mesh.get_array().astype(float), np.nan)
    expected = np.array([[0, 1], [0, NAN], [1, 0]])
    np.testing.assert_array_equal(shown.reshape(3, 2), expected)
    colours = mesh.cmap(mesh.norm([0.0, 1.0]))[:, :3]
    expected = [to_rgb(c) for c in jn.plot.COLOURS[:2]]
    np.testing.assert_allclose(colours, expected, rtol=0, atol=1e-6)
    corners = np.asarray(mesh.get_coordinates()).reshape(-1, 2)
    np.testing.assert_array_equal(corners.min(axis=0), [-0.5, -0.5])
    np.testing.assert_array_equal(corners.max(axis=0), [1.5, 2.5])


def test_basins_of_a_lattice_are_where_their_states_are(ax):
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 1, 3)
    starts = np.asarray(
        jnp.stack(jnp.meshgrid(jnp.asarray(x), jnp.asarray(y), indexing="ij"), -1)
    ).reshape(-1, 2)
    jn.plot.basins(ax, x, y, np.where(starts[:, 0] > 0.1, 1, 0))
    (mesh,) = ax.collections
    np.testing.assert_array_equal(
        np.asarray(mesh.get_array()).reshape(3, 5), np.tile(x > 0.1, (3, 1))
    )


def test_a_plane_where_nothing_arrives_stays_white(ax):
    ends = np.array([0.0, 1.0])
    jn.plot.basins(ax, ends, ends, np.full(4, -1))
    shown = [mesh.get_array() for mesh in ax.collections]
    assert all(np.ma.filled(a.astype(float), np.nan).size == 4 for a in shown)
    assert all(np.isnan(np.ma.filled(a.astype(float), np.nan)).all() for a in shown)
    ax.figure.canvas.draw()
