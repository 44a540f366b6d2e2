"""Morphologies from files, against what their points say by hand."""

import sys

import numpy as np
import pytest

import jaxnet as jn


RA = 100.0
# A sphere of radius 10, and a dendrite that tapers from 2 to 1 um and then branches.
TREE = """\
1 1 0 0 0 10 -1
2 3 10 0 0 1 1
3 3 60 0 0 1 2
4 3 110 0 0 0.5 3
5 3 110 50 0 0.5 4
6 3 110 -50 0 0.25 4
7 2 0 -10 0 0.5 1
8 2 0 -100 0 0.5 7
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "cell.swc"
        path.write_text(text)
        return path

    return write


def test_the_branches_are_those_of_the_file(written):
    morphology = jn.models.read_swc(written(TREE), longest_segment=1000.0)
    names = [name for name, _, _ in morphology.branches]
    assert names[0] == "soma"
    assert sorted(names[1:]) == ["axon[0]", "dendrite[0]", "dendrite[1]", "dendrite[2]"]
    assert morphology.region("dendrite").size == 3
    # The soma's middle is a crossing of its own; at 110 um three branches meet.
    assert morphology.junctions == 1


def test_membrane_and_resistance_are_those_of_the_frusta(written):
    morphology = jn.models.read_swc(written(TREE), longest_segment=1000.0)
    at = morphology.compartment
    area = np.asarray(morphology.area)
    np.testing.assert_allclose(area[at("soma")], 4 * np.pi * 10**2, rtol=1e-6)
    np.testing.assert_allclose(area[at("axon[0]")], np.pi * 1.0 * 90, rtol=1e-6)
    cylinder = np.pi * 2 * 50
    frustum = np.pi * 1.5 * np.hypot(50, 0.5)
    np.testing.assert_allclose(area[at("dendrite[0]")], cylinder + frustum, rtol=1e-6)

    trunk = morphology.edges.index((at("soma"), at("dendrite[0]")))
    whole = RA * 1e-2 * (50 / np.pi + 50 / (np.pi * 0.5))
    conductance = morphology.conductance(np.array(RA))[trunk]
    np.testing.assert_allclose(conductance, 2 / whole, rtol=1e-6)


def test_cutting_keeps_membrane_and_resistance(written):
    path = written(TREE)
    coarse = jn.models.read_swc(path, longest_segment=1000.0)
    fine = jn.models.read_swc(path, longest_segment=7.0)
    for kind, path_length in (
        ("axon", 90),
        ("dendrite[0]", 100),
        ("dendrite[1]", 50),
        ("dendrite[2]", 50),
    ):
        whole, cut = coarse.region(kind), fine.region(kind)
        assert cut.size > 5 * whole.size
        areas = [m.area[r].sum() for m, r in ((coarse, whole), (fine, cut))]
        np.testing.assert_allclose(areas[1], areas[0], rtol=1e-6)
        resistances = [
            (m.length[r] / m.diameter[r] ** 2).sum()
            for m, r in ((coarse, whole), (fine, cut))
        ]
        np.testing.assert_allclose(resistances[1], resistances[0], rtol=1e-6)
        # The cylinder's length is that of the path where the taper is slight.
        np.testing.assert_allclose(fine.length[cut].sum(), path_length, rtol=2e-3)
    # In space the tree stays where it was.
    np.testing.assert_allclose(
        fine.points[fine.region("dendrite[1]")[-1], 1, :2].sum(), 160
    )


def test_a_cell_from_a_file_spikes(written):
    morphology = jn.models.read_swc(written(TREE), longest_segment=50.0)
    cell = jn.models.Cell(
        morphology,
        {
            "channels": (jn.mechanisms.HodgkinHuxley(), ["soma", "axon"]),
            "leak": jn.mechanisms.Leak(0.0003, -54.3),
        },
    )
    run = jn.simulate(
        cell,
        cell.resting_state(),
        t1=10.0,
        u=cell.inject(1.0, "dendrite[0]", 0.0),
        method=jn.Grid(0.025, jn.Staggered()),
    )
    assert int(run.spikes.count) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello\n", "holds no morphology"),
        ("1 1 0 0 0 10 -1\n2 3 0 0 0 1 5\n", "non-existant parent"),
        (TREE.replace("6 3 110 -50 0 0.25", "6 3 110 -50 0 0"), "smallest diameter 0"),
        (
            "1 3 0 0 0 1 -1\n2 3 10 0 0 1 1\n3 3 50 0 0 1 -1\n4 3 60 0 0 1 3\n",
            "Add a soma",
        ),
    ],
)
def test_a_bad_file_is_refused(written, text, said):
    with pytest.raises(ValueError, match=said):
        jn.models.read_swc(written(text))


def test_a_missing_file_and_a_bad_length_are_refused(written, tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        jn.models.read_swc(tmp_path / "none.swc")
    with pytest.raises(ValueError, match="`longest_segment` must be positive"):
        jn.models.read_swc(written(TREE), longest_segment=0.0)


def test_without_morphio_the_remedy_is_said(monkeypatch, written):
    monkeypatch.setitem(sys.modules, "morphio", None)
    with pytest.raises(ImportError, match=r"jaxnet-dynamics\[morphology\]"):
        jn.models.read_swc(written(TREE))
