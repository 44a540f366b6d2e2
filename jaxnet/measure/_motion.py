"""How patterns move from frame to frame, and how much their movements agree."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._result import is_concrete
from .._types import Key, RealScalarLike
from ._patterns import Patterns


class Tracks(eqx.Module):
    """Which pattern of a frame is which of the next one. A step is from frame to frame.

    **Attributes:**

    - `velocity`: of each pattern of a frame, towards the next frame (cells/ms), in rows
        and columns; 0 where it did not go on.
    - `moved`: whether the pattern goes on in the next frame: which velocities there are.
    - `successor`: the pattern of the next frame that it becomes, or -1.
    - `births`, `deaths`: how many patterns of the later frame come from none, and how many
        of the earlier one become none, in each step.
    - `track`: the track that each pattern belongs to, or -1 where there is no pattern.
        They are numbered from 0 in the order in which they begin.
    - `lifetime`: of each track, the number of its frames times the lag (ms); 0 beyond the
        last track.
    - `is_complete`: whether a track begins after the first frame and ends before the last.
        The lifetimes of all others are censored: they are lower bounds.
    - `count`: the number of tracks.
    """

    velocity: Float[Array, "steps max_patterns 2"]
    moved: Bool[Array, "steps max_patterns"]
    successor: Int[Array, "steps max_patterns"]
    births: Int[Array, " steps"]
    deaths: Int[Array, " steps"]
    track: Int[Array, "frames max_patterns"]
    lifetime: Float[Array, " max_tracks"]
    is_complete: Bool[Array, " max_tracks"]
    count: Int[Array, ""]


def tracks(
    patterns: Patterns,
    *,
    lag: RealScalarLike,
    max_distance: RealScalarLike = 15.0,
    periodic: bool = True,
    greedy: bool = False,
) -> Tracks:
    r"""Follow patterns from frame to frame, by the best assignment.

    Of all ways to pair the patterns of a frame with those of the next one, each in one
    pair at most and nearer than `max_distance`, it takes the one with the most pairs, and
    of these the one with the least sum of distances.

    A pattern that found no room in its frame (see `count` of
    [`jaxnet.measure.Patterns`][]) counts as not there.

    **Arguments:**

    - `patterns`: of two frames or more, along a leading axis, as from
        ``jax.vmap(jaxnet.measure.patterns)``.
    - `lag`: the time between frames (ms).
    - `max_distance`: between the centres of a pair (cells).
    - `periodic`: whether the sheet is a torus, so that the shorter way around counts.
    - `greedy`: instead, let each pattern in turn, the largest first, take the nearest that
        is left. Where patterns end, the next one is taken for them more often, at a speed
        that is not theirs: to compare with work that did so.

    Source: Jaqaman et al. 2008, doi:10.1038/nmeth.1237, for the assignment; Kuhn 1955,
    doi:10.1002/nav.3800020109, for the algorithm.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> square = jnp.zeros((20, 20), bool).at[4:7, 17:20].set(True)
    >>> frames = jnp.stack([jnp.roll(square, 2 * k, axis=1) for k in range(3)])
    >>> found = jax.vmap(lambda a: jn.measure.patterns(a, max_patterns=2))(frames)
    >>> motion = jn.measure.tracks(found, lag=5.0)
    >>> [[round(float(v), 5) for v in step[0]] for step in motion.velocity]
    [[0.0, 0.4], [0.0, 0.4]]
    >>> motion.track.tolist(), int(motion.count), float(motion.lifetime[0])
    ([[0, -1], [0, -1], [0, -1]], 1, 15.0)
    ```
    """
    if patterns.valid.ndim != 2 or len(patterns.valid) < 2:
        raise ValueError(
            "`patterns` must be of two frames at least, with arrays of shape (frames, "
            f"max_patterns), but their shape is {patterns.valid.shape}. Take "
            "`jax.vmap(jaxnet.measure.patterns)(frames)`; for many trials use `jax.vmap`."
        )
    for value, name in ((lag, "lag"), (max_distance, "max_distance")):
        if is_concrete(value) and not value > 0:
            raise ValueError(f"`{name}` must be positive, but it is {value}.")

    lag, max_distance = jnp.asarray(lag, float), jnp.asarray(max_distance, float)
    return _tracks(patterns, lag, max_distance, periodic, greedy)


# Operation by operation it would take seconds to compile.
@partial(jax.jit, static_argnums=(3, 4))
def _tracks(patterns, lag, max_distance, periodic: bool, greedy: bool) -> Tracks:
    centre, valid = patterns.centre, patterns.valid
    way = centre[1:, None, :, :] - centre[:-1, :, None, :]
    if periodic:
        shape = jnp.array(patterns.label.shape[-2:])
        way = way - shape * jnp.round(way / shape)
    distance = jnp.sqrt(jnp.sum(way**2, axis=-1))
    allowed = valid[:-1, :, None] & valid[1:, None, :] & (distance < max_distance)
    assign = _nearest_left if greedy else _best
    successor = jax.vmap(assign)(distance / max_distance, allowed)

    moved = successor >= 0
    step = jnp.take_along_axis(way, successor[:, :, None, None], axis=2)[:, :, 0]
    velocity: Array = step / lag
    pairs = jnp.sum(moved, axis=1)
    track, lifetime, is_complete, count = _follow(successor, valid, lag)
    return Tracks(
        velocity=jnp.where(moved[:, :, None], velocity, 0.0),
        moved=moved,
        successor=successor,
        births=jnp.sum(valid[1:], axis=1) - pairs,
        deaths=jnp.sum(valid[:-1], axis=1) - pairs,
        track=track,
        lifetime=lifetime,
        is_complete=is_complete,
        count=count,
    )


def _best(
    cost: Float[Array, "max_patterns max_patterns"],
    allowed: Bool[Array, "max_patterns max_patterns"],
) -> Int[Array, " max_patterns"]:
    """The column of each row, or -1. An allowed pair costs less than 1."""
    import optax.assignment

    # One pair that is not allowed costs more than all that are.
    cost = jnp.where(allowed, cost, len(cost) + 1.0)
    rows, columns = optax.assignment.hungarian_algorithm(cost)
    assigned = jnp.where(allowed[rows, columns], columns, -1)
    return jnp.zeros_like(assigned).at[rows].set(assigned)


def _nearest_left(
    cost: Float[Array, "max_patterns max_patterns"],
    allowed: Bool[Array, "max_patterns max_patterns"],
) -> Int[Array, " max_patterns"]:
    """The column of each row, or -1, from the first row to the last."""

    def choose(is_left: Array, row: tuple[Array, Array]):
        cost, allowed = row
        nearest = jnp.argmin(jnp.where(allowed & is_left, cost, jnp.inf))
        taken = allowed[nearest] & is_left[nearest]
        return is_left.at[nearest].min(~taken), jnp.where(taken, nearest, -1)

    _, columns = jax.lax.scan(choose, jnp.ones(len(cost), bool), (cost, allowed))
    return columns


def _follow(successor, valid, lag):
    """The track of each pattern, and of each track how long it was seen."""
    max_patterns = valid.shape[1]

    def begin(track, is_new, count):
        fresh = count + jnp.cumsum(is_new) - 1
        return jnp.where(is_new, fresh, track), count + jnp.sum(is_new)

    def go_on(carry, step):
        track, count = carry
        successor, valid = step
        target = jnp.where(successor >= 0, successor, max_patterns)
        nobody = jnp.full(max_patterns, -1)
        here = nobody.at[target].set(track, mode="drop")
        here, count = begin(here, valid & (here < 0), count)
        return (here, count), here

    first, count = begin(jnp.full(max_patterns, -1), valid[0], jnp.array(0))
    (_, count), later = jax.lax.scan(go_on, (first, count), (successor, valid[1:]))
    track = jnp.concatenate([first[None], later])

    max_tracks = track.size
    place = jnp.where(track >= 0, track, max_tracks)
    frames = jnp.zeros(max_tracks, int).at[place].add(1, mode="drop")
    ends = jnp.stack([place[0], place[-1]])
    is_censored = jnp.zeros(max_tracks, bool).at[ends].set(True, mode="drop")
    return track, frames * lag, (frames > 0) & ~is_censored, count


def direction_coherence(
    velocity: Float[Array, "*steps max_patterns 2"],
    moved: Bool[Array, "*steps max_patterns"],
) -> Float[Array, "*steps"]:
    r"""How much the directions of movement agree.

    $$\Phi = \frac{|\sum_k v_k|}{\sum_k |v_k|}$$

    It is 1 if all move in one direction, and 0 if they cancel each other. It is 0 too if
    fewer than two are there, as one velocity can't disagree with itself, or if none of
    them moves. How many steps those are is told by [`jaxnet.measure.motion_summary`][].

    **Arguments:**

    - `velocity`, `moved`: of the patterns, and which of them count, as in
        [`jaxnet.measure.Tracks`][].

    Source: Vicsek et al. 1995, doi:10.1103/PhysRevLett.75.1226, there of equal speeds.

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> velocity = jnp.array([[0.0, 0.3], [0.4, 0.0], [9.0, 9.0]])
    >>> moved = jnp.array([True, True, False])
    >>> round(float(jn.measure.direction_coherence(velocity, moved)), 5)
    0.71429
    ```
    """
    _require_velocities(velocity, moved)
    counted = jnp.where(moved[..., None], velocity, 0.0)
    total = jnp.sum(_speeds(velocity, moved), axis=-1)
    resultant = _length(jnp.sum(counted, axis=-2))
    defined = (jnp.sum(moved, axis=-1) > 1) & (total > 0)
    # Rounding must not make it more than 1.
    ratio = jnp.minimum(resultant / jnp.where(defined, total, 1.0), 1.0)
    return jnp.where(defined, ratio, 0.0)


def coherence_null(
    velocity: Float[Array, "*steps max_patterns 2"],
    moved: Bool[Array, "*steps max_patterns"],
    *,
    key: Key,
    draws: int,
) -> Float[Array, "*steps"]:
    r"""The mean coherence of as many patterns of the same speeds, in random directions.

    Few directions agree by chance: of two equal speeds it is $2 / \pi$, of N of them near
    $\sqrt{\pi / 4 N}$. To this [`jaxnet.measure.direction_coherence`][] compares.

    **Arguments:**

    - `velocity`, `moved`: as for [`jaxnet.measure.direction_coherence`][].
    - `key`: of the random angles.
    - `draws`: how many to average.

    ```pycon
    >>> import jax
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> velocity, moved = jnp.array([[0.0, 1.0], [1.0, 0.0]]), jnp.array([True, True])
    >>> key = jax.random.key(0)
    >>> null = jn.measure.coherence_null(velocity, moved, key=key, draws=4000)
    >>> abs(float(null) - 2 / jnp.pi) < 0.02
    True
    ```
    """
    _require_velocities(velocity, moved)
    if draws < 1:
        raise ValueError(f"`draws` must be a whole number from 1, but it is {draws}.")
    speed = _speeds(velocity, moved)

    def add(total, key):
        angle = jax.random.uniform(key, speed.shape, speed.dtype, 0.0, 2 * jnp.pi)
        turned = speed[..., None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
        return total + direction_coherence(turned, moved), None

    keys = jax.random.split(key, draws)
    total, _ = jax.lax.scan(add, jnp.zeros(speed.shape[:-1], speed.dtype), keys)
    return total / draws


class MotionSummary(eqx.Module):
    """The movements of a run in a few numbers.

    **Attributes:**

    - `coherence`: the mean of [`jaxnet.measure.direction_coherence`][] over the steps with
        two velocities at least; NaN if there are none.
    - `coherent_steps`: the fraction of such steps. With `coherence` times this, the others
        count as 0.
    - `speed`: the mean over all velocities (cells/ms); NaN if there are none.
    - `moving`: the fraction of velocities above the threshold; NaN if there are none.
    - `count`: the number of velocities.
    """

    coherence: Float[Array, ""]
    coherent_steps: Float[Array, ""]
    speed: Float[Array, ""]
    moving: Float[Array, ""]
    count: Int[Array, ""]


def motion_summary(
    velocity: Float[Array, "*steps max_patterns 2"],
    moved: Bool[Array, "*steps max_patterns"],
    *,
    threshold: RealScalarLike = 0.3,
) -> MotionSummary:
    """Coherence, speed and how many patterns move, over all steps.

    **Arguments:**

    - `velocity`, `moved`: as for [`jaxnet.measure.direction_coherence`][].
    - `threshold`: a pattern moves if it is faster than this (cells/ms).

    ```pycon
    >>> import jaxnet as jn
    >>> import jax.numpy as jnp
    >>> velocity = jnp.array([[[0.0, 0.4], [0.0, 0.2]], [[0.6, 0.0], [0.0, 0.0]]])
    >>> moved = jnp.array([[True, True], [True, False]])
    >>> summary = jn.measure.motion_summary(velocity, moved)
    >>> float(summary.coherence), float(summary.coherent_steps)
    (1.0, 0.5)
    >>> round(float(summary.speed), 5), round(float(summary.moving), 5)
    (0.4, 0.66667)
    ```
    """
    _require_velocities(velocity, moved)
    coherence = direction_coherence(velocity, moved)
    has_two = jnp.sum(moved, axis=-1) > 1
    speed = _speeds(velocity, moved)
    return MotionSummary(
        coherence=_mean_where(has_two, coherence),
        coherent_steps=jnp.mean(has_two, dtype=float),
        speed=_mean_where(moved, speed),
        moving=_mean_where(moved, (speed > threshold).astype(float)),
        count=jnp.sum(moved),
    )


def _speeds(
    velocity: Float[Array, "*steps max_patterns 2"],
    moved: Bool[Array, "*steps max_patterns"],
) -> Float[Array, "*steps max_patterns"]:
    """The length of each velocity that counts, 0 for the others."""
    return _length(jnp.where(moved[..., None], velocity, 0.0))


def _length(vector: Float[Array, "*shape 2"]) -> Float[Array, "*shape"]:
    return jnp.hypot(vector[..., 0], vector[..., 1])


def _mean_where(mask: Array, x: Array):
    number = jnp.sum(mask)
    total = jnp.sum(jnp.where(mask, x, 0.0))
    return jnp.where(number > 0, total / jnp.maximum(number, 1), jnp.nan)


def _require_velocities(velocity, moved) -> None:
    if velocity.shape != (*moved.shape, 2) or moved.ndim == 0:
        raise ValueError(
            "`velocity` must have the shape (..., max_patterns, 2), and `moved` the same "
            f"without the 2, but their shapes are {velocity.shape} and {moved.shape}. Take "
            "both from `jaxnet.measure.tracks`."
        )
