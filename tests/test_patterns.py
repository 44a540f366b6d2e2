"""Patterns on a sheet against scipy, shapes that are known, and the same sheet moved."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.sparse import csgraph

import jaxnet as jn


# Of even and of odd length, and both can be cut into pieces of 7 and 8 cells.
SHAPE = (30, 31)


@cache
def finder(**options):
    """Compiled once for each set of options and shape."""
    return jax.jit(partial(jn.measure.patterns, **options))


def find(active, *, reach=1, periodic=True, min_size=1, max_patterns=64):
    """Patterns of one frame."""
    options = {"reach": reach, "periodic": periodic}
    options |= {"min_size": min_size, "max_patterns": max_patterns}
    return finder(**options)(jnp.asarray(active))


def random_masks(seed, *densities, shape=SHAPE):
    uniform = np.random.default_rng(seed).uniform(size=(len(densities), *shape))
    return uniform < np.array(densities)[:, None, None]


def pieces(active, reach, periodic):
    """The sets of cells that hang together, from the distances of all pairs."""
    cells = np.argwhere(active)
    gap = np.abs(cells[:, None] - cells[None])
    if periodic:
        gap = np.minimum(gap, np.array(active.shape) - gap)
    _, name = csgraph.connected_components(gap.max(axis=-1) <= reach)
    return {frozenset(map(tuple, cells[name == k])) for k in set(name.tolist())}


def as_pieces(label):
    label = np.asarray(label)
    return {frozenset(map(tuple, np.argwhere(label == k))) for k in set(label[label >= 0])}


def sheet(*cells):
    active = np.zeros(SHAPE, bool)
    for index in cells:
        active[index] = True
    return active


def disc(centre, radius):
    """On a torus."""
    place = np.stack(np.indices(SHAPE), axis=-1) - np.array(centre)
    place = place - SHAPE * np.round(place / SHAPE)
    return np.hypot(place[..., 0], place[..., 1]) <= radius


def ellipse(long, short, angle):
    y, x = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None] - 1) / 2
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    return (along / long) ** 2 + (across / short) ** 2 <= 1


FEW, MANY = (0.003, 0.006, 0.01, 0.015, 0.02), (0.02, 0.1, 0.2, 0.35, 0.42, 0.6)


@pytest.mark.parametrize(
    ("shape", "reach", "periodic", "densities"),
    [
        (SHAPE, 1, True, MANY),
        (SHAPE, 1, False, MANY),
        (SHAPE, 7, True, FEW),
        (SHAPE, 7, False, FEW),
        ((12, 9), 1, True, MANY),
        ((17, 22), 3, True, (0.01, 0.03, 0.05, 0.07, 0.1, 0.2)),
    ],
)
def test_patterns_are_the_pieces_that_hang_together(shape, reach, periodic, densities):
    masks = random_masks(0, *densities, *densities, 0.9, 1.0, 0.0, shape=shape)
    with_several = 0
    for mask in masks:
        found = find(mask, reach=reach, periodic=periodic)
        expected = pieces(mask, reach, periodic)
        sizes = sorted(map(len, expected), reverse=True)
        assert found.count == len(sizes)
        assert found.size.tolist() == (sizes + [0] * 64)[:64]
        assert found.valid.tolist() == ([True] * len(sizes) + [False] * 64)[:64]
        kept = as_pieces(found.label)
        assert kept <= expected
        assert sorted(map(len, kept), reverse=True) == sizes[:64]
        with_several += 1 < len(sizes) <= 64
    assert with_several >= 6


def test_open_sheets_are_labelled_as_by_scipy():
    for mask in random_masks(2, 0.1, 0.3, 0.5):
        label, number = ndimage.label(mask, np.ones((3, 3)))
        found = find(mask, periodic=False)
        assert found.count == number
        assert number > 64 or as_pieces(found.label) == as_pieces(label - 1)


def test_a_spiral_is_one_pattern():
    """Which takes many turns of the search."""
    active = np.zeros(SHAPE, bool)
    row, column, down, right = 0, 0, 0, 1
    for length in [29, *np.repeat(np.arange(29, 0, -2), 2)]:
        for _ in range(length):
            active[row, column] = True
            row, column = row + down, column + right
        down, right = right, -down
    found = find(active, periodic=False)
    assert found.count == 1
    assert found.size[0] == active.sum() > 450


def test_centre_and_aspect_are_the_moments_of_the_cells():
    for mask in random_masks(3, 0.1, 0.25, 0.4):
        found = find(mask, periodic=False)
        for p in np.flatnonzero(found.valid):
            cells = np.argwhere(np.asarray(found.label) == p)
            small, large = np.linalg.eigvalsh(np.cov(cells.T, bias=True) + np.eye(2) / 12)
            assert np.allclose(found.centre[p], cells.mean(0), rtol=0, atol=1e-12)
            assert float(found.aspect[p]) == pytest.approx(np.sqrt(large / small), rel=1e-9)


@pytest.mark.parametrize(
    ("cells", "aspect"),
    [
        ((slice(4, 7), slice(3, 9)), 2.0),
        ((slice(1, 11), slice(3, 5)), 5.0),
        ((slice(4, 5), slice(3, 10)), 7.0),
        ((slice(4, 5), slice(3, 4)), 1.0),
        # Along a diagonal: the points have the variance 4 along it, and 0 across.
        ((np.arange(5), np.arange(5)), np.sqrt((4 + 1 / 12) / (1 / 12))),
    ],
)
def test_aspect_of_rectangles_and_lines(cells, aspect):
    for periodic in (True, False):
        measured = find(sheet(cells), periodic=periodic).aspect
        assert float(measured[0]) == pytest.approx(aspect, rel=1e-9)
        assert np.all(measured[1:] == 0)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.5])
def test_aspect_of_ellipses(ratio):
    """To the 4% that a raster of cells leaves."""
    for angle in np.linspace(0, np.pi, 7):
        found = find(ellipse(13.0, 13.0 / ratio, angle))
        assert found.count == 1
        assert float(found.aspect[0]) == pytest.approx(ratio, rel=0.04)


def three_discs():
    """Of different sizes, two of which lie across an edge, one across both."""
    discs = [((0.0, 29.0), 5.0), ((14.0, 1.0), 4.0), ((16.0, 15.0), 3.0)]
    return np.any([disc(centre, radius) for centre, radius in discs], axis=0)


def test_a_sheet_that_is_moved_has_the_same_patterns_elsewhere():
    active = three_discs()
    # A hole in the first, which makes it lopsided too.
    active[1:4, 27:29] = False
    at_rest = find(active)
    assert at_rest.count == 3
    for shift in np.random.default_rng(4).integers(0, 31, (20, 2)):
        found = find(np.roll(active, shift, (0, 1)))
        assert np.array_equal(found.label, np.roll(at_rest.label, shift, (0, 1)))
        way = np.asarray(found.centre - at_rest.centre)[:3] - shift
        assert np.allclose(way - SHAPE * np.round(way / SHAPE), 0, atol=1e-12)
        assert np.all((found.centre >= 0) & (found.centre < np.array(SHAPE)))
        assert np.allclose(found.aspect, at_rest.aspect, rtol=1e-12)
        assert found.euler[:4].tolist() == at_rest.euler[:4].tolist() == [0, 1, 1, 0]


def test_the_centre_across_both_edges_is_that_of_the_disc():
    found = find(three_discs())
    assert np.allclose(found.centre[:3], [[0, 29], [14, 1], [16, 15]], atol=1e-12)
    assert np.allclose(found.aspect[:3], 1.0, rtol=1e-9)
    assert found.is_crescent[:4].tolist() == [True, True, True, False]


def test_a_sheet_with_edges_is_not_a_torus():
    active = sheet((slice(0, 3), slice(4, 7)), (slice(28, 30), slice(4, 7)))
    assert find(active).size[:2].tolist() == [15, 0]
    assert find(active).centre[0].tolist() == [0, 5]
    apart = find(active, periodic=False)
    assert apart.size[:3].tolist() == [9, 6, 0]
    assert apart.centre[:2].tolist() == [[1, 5], [28.5, 5]]


def shapes():
    ring = lambda row, column: disc((row, column), 6) & ~disc((row, column), 4)
    return [
        (1, disc((15, 15), 9)),
        (1, disc((15, 15), 9) & ~disc((15, 21), 7)),
        (0, ring(15, 15)),
        (-1, ring(15, 10) | ring(15, 21)),
        (2, disc((15, 10), 4) | disc((15, 21), 4)),
    ]


@pytest.mark.parametrize("periodic", [True, False])
def test_euler_numbers_of_shapes_that_are_known(periodic):
    for euler, active in shapes():
        # The two discs are 4 cells apart.
        found = find(active, reach=7, periodic=periodic)
        assert found.count == 1
        assert found.euler[0] == euler
        assert found.is_crescent[0] == (euler == 1)


@pytest.mark.parametrize("reach", [1, 7])
def test_euler_numbers_are_parts_less_holes_as_by_scipy(reach):
    values = set()
    for mask in random_masks(5, 0.01, 0.3, 0.5, 0.7, 0.85):
        found = find(mask, reach=reach, periodic=False)
        for p in np.flatnonzero(found.valid):
            cells = np.pad(np.asarray(found.label) == p, 1)
            _, parts = ndimage.label(cells, np.ones((3, 3)))
            _, outside_and_holes = ndimage.label(~cells)
            assert found.euler[p] == parts - (outside_and_holes - 1)
            values.add(int(found.euler[p]))
    assert max(values) >= (1 if reach == 1 else 3)
    assert min(values) < -30


def test_euler_numbers_on_a_torus_are_corners_less_edges_and_faces():
    for mask in random_masks(6, 0.2, 0.4, 0.6, 0.9):
        found = find(mask)
        for p in np.flatnonzero(found.valid):
            cells = np.asarray(found.label) == p
            down, right = np.roll(cells, 1, 0), np.roll(cells, 1, 1)
            edges = (cells | down).sum() + (cells | right).sum()
            corners = (cells | down | right | np.roll(cells, (1, 1), (0, 1))).sum()
            assert found.euler[p] == corners - edges + cells.sum()


def test_patterns_that_go_around_are_finite_and_have_no_end():
    band, everywhere = sheet((slice(None), slice(3, 9))), np.ones(SHAPE, bool)
    for active in (band, everywhere):
        found = find(active)
        assert found.euler[0] == 0
        assert not found.is_crescent[0]
        assert found.size[0] == active.sum()
        assert np.all((found.centre >= 0) & (found.centre < np.array(SHAPE)))
        assert np.all(np.isfinite(found.aspect))
    assert find(band).centre[0, 1] == 5.5


def test_those_that_find_no_room_are_counted_and_the_largest_are_kept():
    sizes = (1, 5, 3, 4, 6)
    active = sheet(*((4 * k, slice(2, 2 + size)) for k, size in enumerate(sizes)))
    found = find(active, min_size=3, max_patterns=2)
    assert found.count == 4
    assert found.size.tolist() == [6, 5]
    assert as_pieces(found.label) == {p for p in pieces(active, 1, True) if len(p) > 4}


def test_a_small_sheet_has_more_room_than_cells():
    found = find(np.ones((3, 2), bool))
    assert found.size.tolist() == [6] + [0] * 63
    nothing = find(np.zeros((3, 2), bool))
    assert nothing.count == 0
    assert np.all(nothing.label == -1)
    for leaf in (nothing.centre, nothing.aspect, nothing.size, nothing.euler):
        assert np.all(leaf == 0)


def test_many_frames_are_as_one_by_one():
    """Also in their order, where many are of one size."""
    masks = jnp.asarray(random_masks(7, 0.1, 0.3, 0.5, 0.02))
    options = {"min_size": 1, "reach": 1, "periodic": True, "max_patterns": 64}
    together = jax.jit(jax.vmap(partial(jn.measure.patterns, **options)))(masks)
    for k, mask in enumerate(masks):
        close = lambda a, b, k=k: np.allclose(a, b[k], rtol=1e-12, atol=0)
        assert jax.tree.all(jax.tree.map(close, find(mask), together))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((0, 5), {}, "`active` must be one frame"),
        ((2, 5, 5), {}, r"`active` must be one frame[^$]*`jax.vmap`"),
        ((5, 5), {"min_size": 0}, "`min_size` must be"),
        ((5, 5), {"reach": 0}, "`reach` must be"),
        ((5, 5), {"max_patterns": 2.5}, "`max_patterns` must be"),
        ((20, 20), {"reach": 7}, "`reach` = 7 does not go with a torus of 20.*Take 42"),
    ],
)
def test_bad_frames_and_options(shape, options, message, unchecked_shapes):
    with pytest.raises(ValueError, match=message):
        jn.measure.patterns(jnp.zeros(shape, bool), **options)


# Frames of spikes.

DT = 0.1
UNITS = 13


def raster_of(seed=0, steps=60, first=1):
    spikes = np.random.default_rng(seed).uniform(size=(steps, UNITS)) < 0.05
    time = jnp.asarray((first + np.arange(steps)) * DT)
    bits = jnp.packbits(jnp.asarray(spikes), axis=-1)
    return jn.SpikeRaster(time, bits, units=UNITS), spikes


spiked_within = jax.jit(jn.measure.spiked_within)


@pytest.mark.parametrize("first", [0, 1, 10_001])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_the_window_is_counted_in_whole_steps(window, first):
    """All of its limits are on a step, where rounding would show."""
    raster, spikes = raster_of(first=first)
    last = np.arange(60)
    times = jnp.asarray([round((first + k) * DT, 10) for k in last])
    measured = spiked_within(raster, times, round(window * DT, 10))
    expected = [spikes[max(k - window + 1, 0) : k + 1].any(axis=0) for k in last]
    assert np.array_equal(measured, expected)
    assert 0 < measured.mean() < 1
    eager = jn.measure.spiked_within(raster, times, window * DT)
    assert np.array_equal(eager, expected)


def test_a_window_between_the_steps_has_an_open_and_a_closed_end():
    raster, spikes = raster_of(1)
    measured = spiked_within(raster, jnp.array([3.04, 3.06]), 0.25)
    # From 2.79 to 3.04, and from 2.81 to 3.06: the steps that end at 2.8, or 2.9, to 3.0.
    assert np.array_equal(measured, [spikes[27:30].any(0), spikes[28:30].any(0)])


def test_frames_of_many_trials_and_before_the_first_spike():
    rasters = [raster_of(seed)[0] for seed in range(3)]
    many = jax.tree.map(lambda *x: jnp.stack(x), *rasters)
    times = jnp.array([0.0, 3.0, 6.0])
    together = jax.jit(jax.vmap(jn.measure.spiked_within, (0, None, None)))(
        many, times, 2.0
    )
    for k, raster in enumerate(rasters):
        alone = jn.measure.spiked_within(raster, times, 2.0)
        assert np.array_equal(together[k], alone)
        assert not alone[0].any()
        assert alone[2].any()


@pytest.mark.parametrize(
    ("times", "window", "message"),
    [
        ([1.0, 6.1], 0.5, "`times` must lie within the run"),
        ([-0.2], 0.5, "`times` must lie within the run"),
        ([np.nan], 0.5, "`times` must lie within the run"),
        ([1.0], 0.0, "`window` = 0.0 ms holds no step"),
        ([1.04], 0.03, "`window` = 0.03 ms holds no step"),
    ],
)
def test_bad_times_and_windows(times, window, message):
    with pytest.raises(ValueError, match=message):
        jn.measure.spiked_within(raster_of()[0], jnp.array(times), window)


def test_what_is_stamped_at_the_start_ends_a_step_earlier():
    method = jn.Grid(0.5, record=jn.RecordRaster(), stamp_at_start=True)
    run = jn.simulate(jn.models.LIF(), 0.0, t1=5.0, u=30.0, method=method)
    assert jn.measure.spiked_within(run.spikes, run.ts[:-1], 1.0).any()
    with pytest.raises(ValueError, match="start of its step is known up to a step"):
        jn.measure.spiked_within(run.spikes, run.ts, 1.0)


@pytest.mark.parametrize("dtype", [int, float, "uint8"])
def test_what_is_not_true_or_false_is_refused(dtype, unchecked_shapes):
    counts = jnp.zeros((8, 8), dtype).at[2:4, 2:5].set(3)
    with pytest.raises(ValueError, match=r"Compare to a threshold, as in `v > -53`"):
        jn.measure.patterns(counts)
    found = jn.measure.patterns(counts > 0, min_size=np.int64(3), max_patterns=1)
    assert found.size.tolist() == [6]


def test_bad_rasters(unchecked_shapes):
    raster, _ = raster_of()
    one_step = jax.tree.map(lambda x: x[:1], raster)
    with pytest.raises(ValueError, match="`raster` must be of one trial of two steps"):
        jn.measure.spiked_within(one_step, jnp.array([0.1]), 0.1)
    many = jax.tree.map(lambda x: x[None], raster)
    with pytest.raises(ValueError, match=r"For many trials use `jax\.vmap`"):
        jn.measure.spiked_within(many, jnp.array([0.1]), 0.1)
    late = jn.SpikeRaster((1e7 + raster.time).astype(jnp.float32), raster.bits, UNITS)
    with pytest.raises(ValueError, match="Take float64"):
        jn.measure.spiked_within(late, jnp.array([1e7]), 0.1)
