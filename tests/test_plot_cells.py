"""Figures of cells in space: what is drawn is the shape of the cells, where they are."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import jaxnet as jn


POSITIONS = np.array([[0.0, 0.0, 0.0], [25.0, 50.0, -50.0]])


@pytest.fixture
def ax():
    figure = plt.figure()
    yield figure.add_subplot(projection="3d")
    plt.close(figure)


def segments(drawn) -> np.ndarray:
    # What matplotlib keeps of the points before it projects them.
    return np.array(drawn._segments3d)


@pytest.mark.parametrize("of", [lambda cell: cell, lambda cell: cell.morphology])
def test_every_compartment_is_a_line_at_the_place_of_its_cell(ax, of):
    cell = jn.models.ball_and_stick(segments=2)
    drawn = jn.plot.cells(ax, of(cell), POSITIONS, width=0.5)
    # The soma, and two halves of the dendrite, along x.
    ends = np.array([0.0, 12.6157, 112.6157, 212.6157])
    alone = np.zeros((3, 2, 3))
    alone[:, 0, 0], alone[:, 1, 0] = ends[:-1], ends[1:]
    expected = np.concatenate([alone, alone + POSITIONS[1]])
    np.testing.assert_allclose(segments(drawn), expected, atol=1e-12)
    np.testing.assert_allclose(drawn.get_linewidth(), [6.30785, 0.5, 0.5] * 2)


def test_a_cell_stands_at_the_origin_if_nothing_is_said(ax):
    drawn = jn.plot.cells(ax, jn.models.ball_and_stick())
    assert segments(drawn)[0, 0].tolist() == [0.0, 0.0, 0.0]


def test_branches_go_in_their_direction(ax):
    branch = jn.models.Branch
    morphology = jn.models.Morphology(
        {
            "soma": branch(10.0, 10.0),
            "up": branch(20.0, 1.0, parent="soma", direction=(0.0, 0.0, 1.0)),
        }
    )
    drawn = jn.plot.cells(ax, morphology)
    np.testing.assert_allclose(segments(drawn)[1], [[10, 0, 0], [10, 0, 20]])


def test_connections_are_lines_and_all_axes_have_one_scale(ax):
    drawn = jn.plot.cells(ax, jn.models.ball_and_stick(), POSITIONS, POSITIONS[None])
    cells, connections = ax.collections
    assert cells is drawn
    np.testing.assert_array_equal(segments(connections), POSITIONS[None])
    spans = np.diff([ax.get_xlim(), ax.get_ylim(), ax.get_zlim()])[:, 0]
    np.testing.assert_allclose(
        ax.get_box_aspect() / spans, (ax.get_box_aspect() / spans)[0]
    )


def test_a_second_call_keeps_the_first_in_view(ax):
    cell = jn.models.ball_and_stick()
    jn.plot.cells(ax, cell, POSITIONS[:1])
    jn.plot.cells(ax, cell, POSITIONS[1:])
    low, high = ax.get_zlim()
    assert low <= -50.0
    assert high >= 0.0


def test_no_cells_and_no_connections_are_no_lines(ax):
    drawn = jn.plot.cells(
        ax, jn.models.ball_and_stick(), np.zeros((0, 3)), np.zeros((0, 2, 3))
    )
    assert len(segments(drawn)) == 0


def test_flat_axes_are_refused():
    figure, flat = plt.subplots()
    with pytest.raises(ValueError, match="`ax` must have three dimensions"):
        jn.plot.cells(flat, jn.models.ball_and_stick())
    plt.close(figure)


def test_cells_of_different_diameters_are_refused(ax):
    branch = jn.models.Branch(np.array(10.0), np.array(2.0))
    morphology = jn.models.Morphology({"soma": branch})
    many = jn.models.Morphology({"soma": branch})
    object.__setattr__(many, "diameter", np.array([[1.0, 2.0]]))
    jn.plot.cells(ax, morphology)
    with pytest.raises(ValueError, match="one by one"):
        jn.plot.cells(ax, many)
