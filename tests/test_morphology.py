"""The shape of cells against NEURON and by hand, and what is said of bad shapes."""

import functools
import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import mechanisms, models
from jaxnet.models import Branch, Morphology


@functools.cache
def neuron():
    """NEURON 9.0.2: a soma and six dendrites of ten segments."""
    with np.load(Path(__file__).parent / "data" / "neuron" / "branched.npz") as data:
        return dict(data)


def branched():
    return Morphology(
        {
            "soma": Branch(20.0, 20.0),
            "d0": Branch(100.0, 3.0, segments=10, parent="soma"),
            "d1": Branch(80.0, 2.0, segments=10, parent="d0"),
            "d2": Branch(120.0, 1.5, segments=10, parent="d0"),
            "d3": Branch(90.0, 1.0, segments=10, parent="d1"),
            "d4": Branch(60.0, 0.8, segments=10, parent="d1"),
            "d5": Branch(150.0, 1.2, segments=10, parent="soma", at=0.0),
        }
    )


def compartments_of(morphology, name):
    return morphology.region(name).tolist()


def test_areas_are_those_of_neuron():
    morphology = branched()
    assert morphology.compartments == 61
    for name in ("soma", "d0", "d1", "d2", "d3", "d4", "d5"):
        found = morphology.area[morphology.region(name)]
        np.testing.assert_allclose(found, neuron()[f"area_{name}"], rtol=1e-6)


def test_resistances_are_those_of_neuron():
    """From middle to middle; where three branches meet, from the middle to the end."""
    morphology = branched()
    resistances = 1 / np.asarray(morphology.conductance(150.0))
    found = dict(zip(map(frozenset, morphology.edges), resistances, strict=True))
    assert morphology.junctions == 2
    assert len(found) == 61 + 2 - 1

    def half(name, end):
        """Between the middle of the first or the last segment, and that end."""
        return neuron()[f"ri_{name}"][end]

    def between(a, b):
        return found.pop(frozenset((a, b)))

    ends = {}
    for name in ("d0", "d1", "d2", "d3", "d4", "d5"):
        first, *_, last = own = compartments_of(morphology, name)
        ends[name] = first, last
        inside = [between(a, b) for a, b in itertools.pairwise(own)]
        np.testing.assert_allclose(inside, neuron()[f"ri_{name}"][1:-1], rtol=1e-6)
    for name, end in (("d0", 1), ("d5", 0)):
        expected = neuron()["ri_soma"][end] + half(name, 0)
        np.testing.assert_allclose(between(0, ends[name][0]), expected, rtol=1e-6)
    junctions = {
        frozenset(("d0 end", "d1", "d2")): [],
        frozenset(("d1 end", "d3", "d4")): [],
    }
    assert len(found) == 6
    for (a, b), resistance in ((sorted(e), r) for e, r in found.items()):
        junction = b - 61
        name, end = next(
            (n, k) for n, pair in ends.items() for k, c in enumerate(pair) if c == a
        )
        np.testing.assert_allclose(resistance, half(name, -end), rtol=1e-6)
        met = list(junctions)[junction]
        assert (f"{name} end" if end else name) in met
        junctions[met].append(name)
    assert sorted(map(len, junctions.values())) == [3, 3]


def test_a_cylinder_has_its_area_and_its_resistance():
    """Ball and stick, by hand: 100 ohm cm is 1e-2 Mohm um."""
    morphology = models.ball_and_stick().morphology
    soma, dendrite = 12.6157, (200.0, 1.0)
    np.testing.assert_allclose(
        morphology.area, np.pi * np.array([soma**2, 200.0]), rtol=1e-12
    )
    of_half = lambda length, diameter: length / 2 / (np.pi * diameter**2 / 4)
    expected = 1.0 * (of_half(soma, soma) + of_half(*dendrite))
    np.testing.assert_allclose(1 / morphology.conductance(100.0), [expected], rtol=1e-12)
    np.testing.assert_allclose(
        1 / morphology.conductance(250.0), 2.5 * expected, rtol=1e-12
    )


def test_a_tapered_branch_has_a_diameter_a_segment():
    diameters = np.array([3.0, 2.0, 1.0])
    morphology = Morphology({"root": Branch(30.0, diameters, segments=3)})
    np.testing.assert_allclose(morphology.length, 10.0, rtol=1e-15)
    np.testing.assert_allclose(morphology.area, 10 * np.pi * diameters, rtol=1e-12)
    halves = 1e-2 * 150.0 * 5 / (np.pi * diameters**2 / 4)
    expected = 1 / (halves[:-1] + halves[1:])
    np.testing.assert_allclose(morphology.conductance(150.0), expected, rtol=1e-12)


def test_the_segments_of_a_branch_may_have_lengths_of_their_own():
    """One branch of two cylinders is a branch of one after the other."""
    lengths, diameters = np.array([4.0, 6.0]), np.array([2.0, 1.0])
    whole = Morphology({"root": Branch(lengths, diameters, segments=2)})
    pair = {"a": Branch(4.0, 2.0), "b": Branch(6.0, 1.0, parent="a")}
    parts = Morphology(pair)
    np.testing.assert_allclose(whole.area, np.pi * lengths * diameters, rtol=1e-12)
    assert whole.edges == parts.edges
    halves = 1.0 * lengths / 2 / (np.pi * diameters**2 / 4)
    for morphology in (whole, parts):
        found = morphology.conductance(100.0)
        np.testing.assert_allclose(1 / found, [halves.sum()], rtol=1e-12)


def test_compartments_are_numbered_from_the_root_on_whatever_the_order():
    morphology = Morphology(
        {
            "twig": Branch(10.0, 1.0, segments=2, parent="stem"),
            "stem": Branch(10.0, 1.0, segments=3, parent="soma"),
            "soma": Branch(10.0, 10.0),
        }
    )
    assert compartments_of(morphology, "soma") == [0]
    assert compartments_of(morphology, "stem") == [1, 2, 3]
    assert compartments_of(morphology, "twig") == [4, 5]
    assert sorted(map(sorted, morphology.edges)) == [[k, k + 1] for k in range(5)]
    assert morphology.junctions == 0


def test_a_place_is_in_the_segment_that_holds_it():
    morphology = Morphology(
        {"soma": Branch(10.0, 10.0), "d": Branch(10.0, 1.0, segments=5, parent="soma")}
    )
    found = [morphology.compartment("d", x) for x in (0.0, 0.19, 0.21, 0.5, 0.99, 1.0)]
    assert found == [1, 1, 2, 3, 5, 5]
    assert morphology.compartment("d") == 3


def test_a_branch_may_start_in_the_middle_of_its_parent():
    """From the middle of a segment it takes its own half alone."""
    morphology = Morphology(
        {
            "root": Branch(30.0, 3.0, segments=3),
            "side": Branch(20.0, 1.0, segments=2, parent="root", at=0.5),
        }
    )
    conductance = dict(zip(morphology.edges, morphology.conductance(100.0), strict=True))
    assert set(conductance) == {(0, 1), (1, 2), (3, 4), (1, 3)}
    expected = 1 / (5.0 / (np.pi * 1.0**2 / 4))
    np.testing.assert_allclose(conductance[1, 3], expected, rtol=1e-12)


def test_a_region_is_named_by_what_stands_before_the_bracket():
    morphology = Morphology(
        {"soma": Branch(10.0, 10.0)}
        | {f"d[{k}]": Branch(10.0, 1.0, segments=2, parent="soma") for k in range(3)}
    )
    assert compartments_of(morphology, "d") == [1, 2, 3, 4, 5, 6]
    assert compartments_of(morphology, "d[1]") == [3, 4]
    assert compartments_of(morphology, ["soma", "d[2]"]) == [0, 5, 6]
    assert compartments_of(morphology, None) == list(range(7))


def test_the_points_of_a_branch_follow_its_parent():
    morphology = Morphology(
        {
            "root": Branch(10.0, 2.0, segments=2),
            "up": Branch(6.0, 1.0, parent="root", direction=(0.0, 2.0, 0.0)),
            "side": Branch(4.0, 1.0, parent="root", at=0.0, direction=(0.0, 0.0, -1.0)),
        }
    )
    expected = [
        [[0, 0, 0], [5, 0, 0]],
        [[5, 0, 0], [10, 0, 0]],
        [[10, 0, 0], [10, 6, 0]],
        [[0, 0, 0], [0, 0, -4]],
    ]
    np.testing.assert_allclose(morphology.points, expected, rtol=0, atol=1e-12)


def test_the_derivative_of_a_conductance_is_that_of_its_formula():
    """A chain of two cylinders of one size: g = pi d^2 / (4 Ra L)."""

    def conductance(x):
        length, diameter = x
        branch = Branch(2 * length, diameter, segments=2)
        return Morphology({"root": branch}).conductance(100.0)[0]

    length, diameter = 7.0, 3.0
    g = np.pi * diameter**2 / 4 / length
    value, slope = jax.value_and_grad(conductance)((length, diameter))
    np.testing.assert_allclose(value, g, rtol=1e-12)
    np.testing.assert_allclose(slope, (-g / length, 2 * g / diameter), rtol=1e-12)


def test_many_shapes_by_vmap():
    areas = jax.vmap(lambda d: Morphology({"root": Branch(10.0, d)}).area)(
        jnp.arange(1.0, 4)
    )
    np.testing.assert_allclose(areas[:, 0], 10 * np.pi * np.arange(1, 4), rtol=1e-12)


# Bad shapes.

SOMA = Branch(10.0, 10.0)


def twig(**kwargs):
    return Branch(10.0, 1.0, **kwargs)


BAD = {
    "a circle": (
        lambda: Morphology(
            {
                "soma": SOMA,
                "a": twig(parent="b"),
                "b": twig(parent="c"),
                "c": twig(parent="a"),
            }
        ),
        r"circle.*'a' -> 'b' -> 'c' -> 'a'.*root, have no parent",
    ),
    "nothing but a circle": (
        lambda: Morphology({"a": twig(parent="b"), "b": twig(parent="a")}),
        "circle.*root, have no parent",
    ),
    "its own parent": (
        lambda: Morphology({"soma": SOMA, "a": twig(parent="a")}),
        "circle.*'a' -> 'a'.*root, have no parent",
    ),
    "an unknown parent": (
        lambda: Morphology({"soma": SOMA, "a": twig(parent="stem")}),
        r"`parent` of the branch 'a' is 'stem'.*branches are \['soma', 'a'\]",
    ),
    "two roots": (
        lambda: Morphology({"soma": SOMA, "axon": twig()}),
        r"\['soma', 'axon'\] have no parent.*Give all but one a `parent`",
    ),
    "no branches": (
        lambda: Morphology({}),
        "`branches` must be a dictionary with at least one",
    ),
    "no branch": (
        lambda: Morphology({"soma": (10.0, 10.0)}),
        r"`branches\['soma'\]` must be a `Branch\(length, diameter\)`",
    ),
    "no length": (lambda: Branch(0.0, 1.0), "`length` of `Branch` must be positive.*Pass"),
    "a negative length": (
        lambda: Branch(-1.0, 1.0),
        "`length` of `Branch` must be positive.*Pass",
    ),
    "no diameter": (
        lambda: Branch(1.0, 0.0),
        "`diameter` of `Branch` must be positive.*Pass",
    ),
    "one negative diameter": (
        lambda: Branch(1.0, np.array([1.0, -1.0]), segments=2),
        "`diameter` of `Branch` must be positive.*Pass",
    ),
    "a diameter that is NaN": (lambda: Branch(1.0, np.nan), "`Branch.*NaN"),
    "no segments": (
        lambda: Branch(1.0, 1.0, segments=0),
        "`segments` of `Branch` must be a positive whole number, but it is 0",
    ),
    "too many diameters": (
        lambda: Branch(1.0, np.ones(3), segments=2),
        r"`diameter` of `Branch` must be one number, or one a segment, \(2,\)",
    ),
    "too many lengths": (
        lambda: Branch(np.ones(3), 1.0, segments=2),
        r"`length` of `Branch` must be one number, or one a segment, \(2,\)",
    ),
    "a start after the end": (
        lambda: twig(parent="soma", at=1.5),
        "`at` of `Branch` must lie between 0.*and 1.*1.5",
    ),
    "a start before the start": (
        lambda: twig(parent="soma", at=-0.1),
        "`at` of `Branch` must lie between 0.*and 1.*-0.1",
    ),
    "a start that is NaN": (
        lambda: twig(parent="soma", at=np.nan),
        "`at` of `Branch` must lie between 0",
    ),
    "a place past the end": (
        lambda: branched().compartment("d0", 1.1),
        "`position` must lie between 0.*and 1.*1.1",
    ),
    "a place on no branch": (
        lambda: branched().compartment("axon"),
        r"`branch` must be one of \['soma', 'd0'.*not 'axon'",
    ),
    "a region of no branch": (
        lambda: branched().region(["soma", "axon"]),
        r"\['axon'\] names no branch.*The branches are \['soma', 'd0'",
    ),
    "an empty region": (lambda: branched().region([]), "empty list.*The branches are"),
}


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_shape_is_told_with_its_remedy(name):
    make, message = BAD[name]
    with pytest.raises(ValueError, match=f"(?is){message}"):
        make()


def test_a_traced_bad_diameter_is_a_result_and_spoils_no_other():
    def final(diameter):
        cell = models.Cell(
            Morphology({"soma": Branch(10.0, diameter)}), {"leak": mechanisms.Leak()}
        )
        method = jn.Grid(0.5, jn.Staggered())
        run = jn.simulate(cell, cell.state_at(-60.0), t1=1.0, method=method, throw=False)
        return run.ys.v[-1, 0], run.result

    diameters = jnp.array([1.0, -1.0, 2.0])
    v, result = jax.vmap(final)(diameters)
    bad = np.asarray(result == jn.RESULTS.parameter_out_of_range)
    assert bad.tolist() == [False, True, False]
    assert np.isnan(v).tolist() == [False, True, False]
    # 10 ms, and two implicit steps of 0.5 ms; whatever the area.
    np.testing.assert_allclose(v[::2], -65 + 5 / 1.05**2, rtol=1e-12)
