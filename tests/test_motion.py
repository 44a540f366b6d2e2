"""How patterns move: against scipy, a synthetic movie, and closed forms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import jaxnet as jn


SIZE = 40
LAG = 5.0
MAX = 6

patterns = jax.jit(jax.vmap(partial(jn.measure.patterns, max_patterns=MAX)))
tracks = jax.jit(partial(jn.measure.tracks, lag=LAG), static_argnames="greedy")
open_tracks = jax.jit(partial(jn.measure.tracks, lag=LAG, periodic=False))
coherence = jax.jit(jn.measure.direction_coherence)
summary = jax.jit(jn.measure.motion_summary)


def patterns_at(centre, valid):
    """As if they had been found there, on an empty sheet."""
    number = jnp.asarray(valid).astype(int)
    return jn.measure.Patterns(
        label=jnp.full((len(valid), SIZE, SIZE), -1),
        centre=jnp.asarray(centre, float),
        size=9 * number,
        aspect=1.0 * number,
        euler=number,
        valid=jnp.asarray(valid),
        count=number.sum(axis=1),
    )


def random_patterns(seed, frames=30):
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, SIZE, (frames, MAX, 2))
    return centre, rng.uniform(size=(frames, MAX)) < 0.7


def wrap(way):
    return way - SIZE * np.round(way / SIZE)


@pytest.mark.parametrize("periodic", [True, False])
def test_the_assignment_is_the_best_one_of_scipy(periodic):
    centre, valid = random_patterns(0)
    motion = (tracks if periodic else open_tracks)(patterns_at(centre, valid))
    numbers = set()
    for f in range(len(centre) - 1):
        way = centre[f + 1][None] - centre[f][:, None]
        distance = np.linalg.norm(wrap(way) if periodic else way, axis=-1)
        allowed = valid[f][:, None] & valid[f + 1][None] & (distance < 15.0)
        cost = np.where(allowed, distance, 1e4)
        rows, columns = linear_sum_assignment(cost)
        best = allowed[rows, columns]

        before = np.flatnonzero(motion.moved[f])
        after = np.asarray(motion.successor[f])[before]
        assert len(set(after.tolist())) == len(after) == best.sum()
        assert np.all(allowed[before, after])
        total = cost[rows, columns][best].sum()
        assert distance[before, after].sum() == pytest.approx(total, rel=1e-12)
        speed = np.linalg.norm(motion.velocity[f], axis=-1)
        assert np.allclose(speed[before], distance[before, after] / LAG, rtol=1e-12)
        assert np.all(speed[~np.asarray(motion.moved[f])] == 0)
        assert motion.deaths[f] == valid[f].sum() - best.sum()
        assert motion.births[f] == valid[f + 1].sum() - best.sum()
        numbers.add(int(best.sum()))
    assert len(numbers) >= 3


def test_the_nearest_is_left_to_the_one_that_has_no_other():
    """Two pairs of 7 and 5 cells, not the one of 1 cell."""
    centre = np.zeros((2, MAX, 2))
    valid = np.zeros((2, MAX), bool)
    centre[:, :2] = [[[20, 20], [20, 26]], [[20, 21], [20, 13]]]
    valid[:, :2] = True
    motion = tracks(patterns_at(centre, valid), max_distance=10.0)
    assert motion.successor[0].tolist() == [1, 0, -1, -1, -1, -1]
    assert np.allclose(motion.velocity[0, :2], [[0, -1.4], [0, -1.0]], rtol=1e-12)
    # Nothing lies between 5 and 7 cells; at 5 a pair is no longer near enough.
    motion = tracks(patterns_at(centre, valid), max_distance=5.0)
    assert motion.successor[0].tolist() == [0, -1, -1, -1, -1, -1]
    assert (motion.births.tolist(), motion.deaths.tolist()) == ([1], [1])


def test_the_greedy_way_takes_the_nearest_that_is_left():
    centre, valid = random_patterns(5)
    motion = tracks(patterns_at(centre, valid), greedy=True)
    for f in range(len(centre) - 1):
        left = valid[f + 1].copy()
        for k in range(MAX):
            distance = np.linalg.norm(wrap(centre[f + 1] - centre[f, k]), axis=-1)
            distance[~left | (distance >= 15.0) | ~valid[f, k]] = np.inf
            nearest = np.argmin(distance)
            expected = nearest if np.isfinite(distance[nearest]) else -1
            left[nearest] &= expected < 0
            assert motion.successor[f, k] == expected
    # The best way finds more pairs.
    assert motion.moved.sum() < tracks(patterns_at(centre, valid)).moved.sum()


def movie():
    """Three discs of known velocities: one is born, one dies, one crosses both edges."""
    start = np.array([[35.0, 37.0], [8.0, 8.0], [20.0, 30.0]])
    step = np.array([[2.0, 1.0], [0.0, 3.0], [-1.0, 0.0]])
    radius = [5.0, 4.0, 3.0]
    there = np.array([[True] * 8, [True] * 5 + [False] * 3, [False] * 2 + [True] * 6])
    cells = np.stack(np.indices((SIZE, SIZE)), axis=-1)
    frames = np.zeros((8, SIZE, SIZE), bool)
    for f in range(8):
        for k in np.flatnonzero(there[:, f]):
            way = wrap(cells - start[k] - f * step[k])
            frames[f] |= np.hypot(way[..., 0], way[..., 1]) <= radius[k]
    return frames, step / LAG


def test_a_movie_of_discs():
    frames, velocity = movie()
    motion = tracks(patterns(jnp.asarray(frames)))
    # The largest first: the disc that dies is taken over by the one that was born.
    expected = np.zeros((7, MAX, 2))
    expected[:, 0] = velocity[0]
    expected[:4, 1] = velocity[1]
    expected[2:4, 2] = velocity[2]
    expected[4, 2] = velocity[2]
    expected[5:, 1] = velocity[2]
    assert np.allclose(motion.velocity, expected, rtol=0, atol=1e-12)
    assert motion.births.tolist() == [0, 1, 0, 0, 0, 0, 0]
    assert motion.deaths.tolist() == [0, 0, 0, 0, 1, 0, 0]
    assert motion.track[:, :3].tolist() == (
        [[0, 1, -1]] * 2 + [[0, 1, 2]] * 3 + [[0, 2, -1]] * 3
    )
    assert motion.count == 3
    assert motion.lifetime[:4].tolist() == [40, 25, 30, 0]
    # All are there in the first frame or in the last.
    assert not motion.is_complete.any()
    within = tracks(patterns(jnp.asarray(np.concatenate([frames, frames[:1] & False]))))
    assert within.is_complete[:4].tolist() == [False, False, True, False]


def test_a_run_without_patterns_has_no_tracks():
    motion = tracks(patterns_at(np.zeros((4, MAX, 2)), np.zeros((4, MAX), bool)))
    assert motion.count == 0
    assert np.all(motion.track == -1)
    assert not (motion.moved.any() | motion.births.any() | motion.deaths.any())
    assert np.all(motion.lifetime == 0)


def test_tracks_follow_the_successors():
    centre, valid = random_patterns(1)
    motion = tracks(patterns_at(centre, valid))
    track, frames_of = np.full(valid.shape, -1), []
    for f, k in np.argwhere(valid):
        came_from = [] if f == 0 else np.flatnonzero(motion.successor[f - 1] == k)
        if len(came_from) == 0:
            frames_of.append([])
            track[f, k] = len(frames_of) - 1
        else:
            track[f, k] = track[f - 1, came_from[0]]
        frames_of[track[f, k]].append(f)
    assert np.array_equal(motion.track, track)
    assert motion.count == len(frames_of) > 20
    ends = [0 not in frames and len(valid) - 1 not in frames for frames in frames_of]
    rest = motion.lifetime.size - len(frames_of)
    lifetime = [LAG * len(frames) for frames in frames_of]
    assert motion.lifetime.tolist() == lifetime + [0.0] * rest
    assert motion.is_complete.tolist() == ends + [False] * rest


def test_many_trials_are_as_one_by_one():
    trials = [patterns_at(*random_patterns(seed, 6)) for seed in range(3)]
    together = jax.jit(jax.vmap(partial(jn.measure.tracks, lag=LAG)))(
        jax.tree.map(lambda *x: jnp.stack(x), *trials)
    )
    for k, trial in enumerate(trials):
        close = lambda a, b, k=k: np.allclose(a, b[k], rtol=1e-12, atol=0)
        assert jax.tree.all(jax.tree.map(close, tracks(trial), together))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lag": 0.0}, "`lag` must be positive"),
        ({"lag": np.nan}, "`lag` must be positive"),
        ({"lag": 1.0, "max_distance": -1.0}, "`max_distance` must be positive"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        jn.measure.tracks(patterns_at(*random_patterns(0, 2)), **options)


def test_one_frame_does_not_move():
    with pytest.raises(ValueError, match="`patterns` must be of two frames"):
        jn.measure.tracks(patterns_at(*random_patterns(0, 1)), lag=1.0)


# What the velocities say.


def test_coherence_of_velocities_made_by_hand():
    velocity = jnp.array(
        [
            [[0.0, 2.0], [0.0, 5.0], [0.0, 0.1]],
            [[0.0, 1.0], [0.0, -1.0], [np.nan, 7.0]],
            [[3.0, 0.0], [0.0, 4.0], [9.0, 9.0]],
            [[3.0, 0.0], [9.0, 9.0], [9.0, 9.0]],
            [[9.0, 9.0], [9.0, 9.0], [9.0, 9.0]],
            [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
            [[1.0, 0.0], [-0.5, np.sqrt(0.75)], [-0.5, -np.sqrt(0.75)]],
        ]
    )
    number = np.array([3, 2, 2, 1, 0, 3, 3])
    moved = jnp.asarray(np.arange(3) < number[:, None])
    phi = coherence(velocity, moved)
    assert np.allclose(phi, [1, 0, 5 / 7, 0, 0, 0, 0], rtol=1e-12, atol=1e-12)

    whole = summary(velocity, moved)
    assert float(whole.coherence) == pytest.approx((1 + 5 / 7) / 5, rel=1e-12)
    assert float(whole.coherent_steps) == pytest.approx(5 / 7, rel=1e-12)
    # Over all steps, those of fewer than two velocities as 0.
    assert float(phi.mean()) == pytest.approx(
        float(whole.coherence * whole.coherent_steps), rel=1e-12
    )
    assert whole.count == 14
    assert float(whole.speed) == pytest.approx((7.1 + 2 + 7 + 3 + 3) / 14, rel=1e-12)
    assert float(whole.moving) == pytest.approx(10 / 14, rel=1e-12)
    assert float(summary(velocity, moved, threshold=3.5).moving) == pytest.approx(2 / 14)


def test_the_coherence_does_not_depend_on_the_axes():
    rng = np.random.default_rng(2)
    velocity, moved = rng.normal(size=(20, MAX, 2)), rng.uniform(size=(20, MAX)) < 0.6
    turn = np.array([[np.cos(1.0), np.sin(1.0)], [-np.sin(1.0), np.cos(1.0)]])
    phi = coherence(jnp.asarray(velocity), jnp.asarray(moved))
    assert np.allclose(phi, coherence(jnp.asarray(7 * velocity @ turn), jnp.asarray(moved)))
    alone = [coherence(jnp.asarray(velocity[k]), jnp.asarray(moved[k])) for k in range(20)]
    assert np.allclose(phi, alone, rtol=1e-12)
    assert 0.1 < float(phi.mean()) < 0.9


def test_nothing_moves_in_an_empty_run():
    nothing = summary(jnp.zeros((3, MAX, 2)), jnp.zeros((3, MAX), bool))
    assert (nothing.count, nothing.coherent_steps) == (0, 0)
    assert np.all(np.isnan([nothing.coherence, nothing.speed, nothing.moving]))


def test_the_null_is_the_closed_form():
    """Of two equal speeds the mean of |cos(angle / 2)|; of many, that of a Rayleigh law."""
    velocity = jnp.zeros((3, 40, 2)).at[:, :, 1].set(2.0)
    moved = jnp.arange(40) < jnp.array([[2], [1], [40]])
    null = partial(jn.measure.coherence_null, key=jax.random.key(3))
    two, one, forty = null(velocity, moved, draws=4000)
    assert float(two) == pytest.approx(2 / np.pi, abs=4 * 0.308 / np.sqrt(4000))
    assert one == 0
    # Its next term is of order 1 / N.
    assert float(forty) == pytest.approx(np.sqrt(np.pi / 160), rel=0.03)
    # One of two speeds is so small that it does not count.
    unequal = velocity[0].at[0, 1].set(1e-9)
    assert float(null(unequal, moved[0], draws=10)) == pytest.approx(1.0, abs=1e-8)


def test_bad_velocities(unchecked_shapes):
    velocity, moved = jnp.zeros((3, 4, 2)), jnp.zeros((3, 5), bool)
    for measure in (
        jn.measure.direction_coherence,
        jn.measure.motion_summary,
        partial(jn.measure.coherence_null, key=jax.random.key(0), draws=1),
    ):
        with pytest.raises(ValueError, match="`velocity` must have the shape"):
            measure(velocity, moved)
    with pytest.raises(ValueError, match="`draws` must be"):
        jn.measure.coherence_null(velocity, moved[:, :4], key=jax.random.key(0), draws=0)
