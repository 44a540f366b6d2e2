"""Records of spikes: what was told to fire is what is recorded, whatever the record."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import _events, models


DT, STEPS, UNITS = 0.25, 40, 21
ROOM = STEPS * UNITS
RECORDS = {
    "times": jn.RecordTimes(ROOM),
    "raster": jn.RecordRaster(),
    "counts": jn.RecordCounts(),
}
RATES = [0.0, 0.01, 0.3, 0.9, 1.0]


def told(rate, shape=(STEPS, UNITS), seed=0):
    """Which unit is told to fire in which step."""
    return np.random.default_rng(seed).random(shape) < rate


def run(fired, record, *, t0=0.0, throw=True, stamp_at_start=False):
    """Units that fire as they are told to: exactly the true entries, step by step."""
    steps, *units = fired.shape
    return jn.simulate(
        models.SpikeSource(),
        jnp.zeros(units),
        t0=t0,
        t1=t0 + steps * DT,
        u=jn.inputs.Sampled(jnp.asarray(fired, float), dt=DT, t0=t0),
        method=jn.Grid(DT, record=record, stamp_at_start=stamp_at_start),
        save=jn.SaveAt(t1=True),
        throw=throw,
    )


run_jitted = eqx.filter_jit(functools.partial(run, throw=False))


def assert_times_are(spikes, fired, *, room=None, stamp=1, t0=0.0):
    """The first ones, step by step and in each step unit by unit, and the true count."""
    step, unit = np.nonzero(np.asarray(fired).reshape(len(fired), -1))
    size = len(spikes.time)
    assert room is None or size == room
    kept = min(size, len(step))
    assert int(spikes.count) == len(step)
    assert np.asarray(spikes.valid).tolist() == [True] * kept + [False] * (size - kept)
    assert np.asarray(spikes.index)[:kept].tolist() == unit[:kept].tolist()
    np.testing.assert_array_equal(spikes.time[:kept], t0 + (step[:kept] + stamp) * DT)
    assert np.isnan(np.asarray(spikes.time)[kept:]).all()


@pytest.mark.parametrize("rate", RATES)
def test_every_record_has_the_spikes_that_were_told(rate):
    fired = told(rate)
    assert rate not in (0.0, 1.0) or fired.mean() == rate
    times, raster, counts = (run_jitted(fired, record) for record in RECORDS.values())
    assert_times_are(times.spikes, fired)
    np.testing.assert_array_equal(raster.spikes.unpack(), fired)
    np.testing.assert_array_equal(raster.spikes.time, DT * np.arange(1, STEPS + 1))
    np.testing.assert_array_equal(counts.spikes.count, fired.sum(axis=0))
    for solution in (times, raster, counts):
        assert solution.result == jn.RESULTS.successful


def test_a_raster_takes_one_bit_a_unit_and_step():
    spikes = run_jitted(told(0.3), jn.RecordRaster()).spikes
    assert spikes.bits.shape == (STEPS, 3)
    assert spikes.bits.dtype == jnp.uint8
    assert spikes.units == UNITS


def test_units_on_a_lattice_are_counted_row_by_row():
    fired = told(0.2, (STEPS, 3, 4))
    times, raster, counts = (run_jitted(fired, record) for record in RECORDS.values())
    assert_times_are(times.spikes, fired)
    np.testing.assert_array_equal(raster.spikes.unpack(), fired.reshape(STEPS, 12))
    np.testing.assert_array_equal(counts.spikes.count, fired.sum(axis=0).ravel())


class Recurrent(jn.AbstractHybridSystem):
    """Units on a lattice that push each other at random: a network without `Network`."""

    weights: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return u - y

    def guard(self, t, y, u):
        return y - 1.0

    def receive(self, t, y, arrivals, u):
        return y + jnp.tensordot(self.weights, arrivals, 2)

    def reset(self, t, y, spikes, u):
        return y * (1 - spikes)

    def delays(self):
        return 2 * DT

    def refractory_periods(self):
        return jnp.full((3, 4), 3 * DT)


@pytest.fixture(scope="module")
def recurrent():
    rng = np.random.default_rng(3)
    system = Recurrent(rng.normal(size=(3, 4, 3, 4)))
    y0, u = rng.random((3, 4)), rng.uniform(0.5, 3.0, (3, 4))
    run = lambda record: jn.simulate(
        jn.Noisy(system, 0.1),
        y0,
        t1=60 * DT,
        u=u,
        method=jn.Grid(DT, record=record),
        key=jax.random.key(2),
    )
    return {name: run(record) for name, record in RECORDS.items()}


def test_the_records_of_a_random_network_agree(recurrent):
    raster = np.asarray(recurrent["raster"].spikes.unpack())
    counts = raster.sum(axis=0)
    assert counts.sum() > 60
    assert len(set(counts.tolist())) > 2
    assert_times_are(recurrent["times"].spikes, raster)
    np.testing.assert_array_equal(recurrent["counts"].spikes.count, counts)
    for name in ("raster", "counts"):
        np.testing.assert_array_equal(recurrent[name].ys, recurrent["times"].ys)


def test_a_refractory_unit_of_a_lattice_is_silent_for_its_steps(recurrent):
    raster = np.asarray(recurrent["raster"].spikes.unpack())
    for unit in raster.T:
        assert (np.diff(np.flatnonzero(unit)) >= 3).all()


# Time stamps.


@pytest.mark.parametrize("t0", [0.0, -3.25])
@pytest.mark.parametrize("record", ["times", "raster"])
def test_a_spike_is_stamped_with_the_end_of_its_step_or_with_its_start(record, t0):
    fired = told(0.1)
    for at_start in (False, True):
        solution = run(fired, RECORDS[record], t0=t0, stamp_at_start=at_start)
        stamp = 0 if at_start else 1
        if record == "times":
            assert_times_are(solution.spikes, fired, stamp=stamp, t0=t0)
        else:
            expected = t0 + (np.arange(STEPS) + stamp) * DT
            np.testing.assert_array_equal(solution.spikes.time, expected)


# A buffer that is full.


@pytest.mark.parametrize("room", [1, 30])
def test_a_full_buffer_keeps_the_first_spikes_and_says_so(room):
    fired = told(0.3)
    solution = run_jitted(fired, jn.RecordTimes(room))
    assert solution.result == jn.RESULTS.spike_buffer_full
    assert_times_are(solution.spikes, fired, room=room)
    with pytest.raises(RuntimeError, match="Raise `max_spikes` of `RecordTimes`"):
        run(fired, jn.RecordTimes(room))


@pytest.mark.parametrize(("spare", "full"), [(-1, True), (0, False), (1, False)])
def test_a_buffer_is_full_when_one_spike_finds_no_room(spare, full):
    fired = told(0.1)
    solution = run_jitted(fired, jn.RecordTimes(int(fired.sum()) + spare))
    assert bool(solution.result == jn.RESULTS.spike_buffer_full) is full
    assert_times_are(solution.spikes, fired)


def test_a_buffer_that_fills_up_in_the_midst_of_a_step_keeps_its_first_units():
    fired = np.ones((2, UNITS), bool)
    spikes = run_jitted(fired, jn.RecordTimes(UNITS + 4)).spikes
    assert np.asarray(spikes.index).tolist() == [*range(UNITS), 0, 1, 2, 3]
    assert int(spikes.count) == 2 * UNITS


@pytest.mark.parametrize("room", [0, -1])
def test_a_buffer_without_room_is_refused(room):
    with pytest.raises(ValueError, match=f"`max_spikes` must be positive, not {room}"):
        jn.RecordTimes(room)


# Batches.

BATCH = np.stack([told(rate, seed=i) for i, rate in enumerate([0.0, 0.02, 1.0, 0.3])])


@pytest.mark.parametrize("room", [ROOM, 50])
def test_in_a_batch_each_element_has_its_spikes_and_its_code(room):
    record = jn.RecordTimes(room)
    solution = jax.jit(jax.vmap(lambda fired: run(fired, record)))(BATCH)
    is_full = BATCH.sum(axis=(1, 2)) > room
    assert is_full.tolist() == [False, False, room == 50, room == 50]
    assert (solution.result == jn.RESULTS.spike_buffer_full).tolist() == is_full.tolist()
    assert (solution.result == jn.RESULTS.successful).tolist() == (~is_full).tolist()
    for i, fired in enumerate(BATCH):
        spikes = jax.tree.map(lambda x: x[i], solution.spikes)  # noqa: B023
        assert_times_are(spikes, fired, room=room)


@pytest.mark.parametrize("record", RECORDS)
def test_batches_of_batches_have_the_spikes_of_each_element(record):
    """Four rasters in a square, and a third axis that shifts the units."""
    square = jnp.asarray(BATCH.reshape(2, 2, STEPS, UNITS))
    shifts = jnp.arange(3)

    def one(fired, shift):
        return run(jnp.roll(fired, shift, axis=1), RECORDS[record])

    every_shift = jax.vmap(one, (None, 0))
    spikes = jax.jit(jax.vmap(jax.vmap(every_shift, (0, None)), (0, None)))(
        square, shifts
    ).spikes
    for a, b, shift in itertools.product(range(2), range(2), range(3)):
        fired = np.roll(square[a, b], shift, axis=1)
        mine = jax.tree.map(lambda x: x[a, b, shift], spikes)  # noqa: B023
        if record == "times":
            assert_times_are(mine, fired)
        elif record == "raster":
            np.testing.assert_array_equal(mine.unpack(), fired)
        else:
            np.testing.assert_array_equal(mine.count, fired.sum(axis=0))


# The pass over the units that spiked.


@functools.partial(jax.jit, static_argnums=1)
def visits(masks, room):
    """For each mask, the units in the order in which they are visited, and their number."""

    def one(mask):
        def note(log, unit):
            order, count = log
            return order.at[count].set(unit.astype(jnp.int32), mode="drop"), count + 1

        start = jnp.full(room, -1, jnp.int32), jnp.zeros((), jnp.int32)
        return _events.for_each_event(mask, note, start)

    # One after the other, since a batch of loops is another program.
    return jax.lax.map(one, masks)


def assert_visits_are_right(masks):
    masks = np.asarray(masks)
    order, count = visits(jnp.asarray(masks), masks.shape[1] + 1)
    for mask, found, n in zip(masks, np.asarray(order), np.asarray(count), strict=True):
        expected = np.flatnonzero(mask)
        assert int(n) == len(expected)
        assert found[: len(expected)].tolist() == expected.tolist()
        assert (found[len(expected) :] == -1).all()


def masks_of(size):
    """At several rates, every unit alone at the ends of words, all, and none."""
    rng = np.random.default_rng(size)
    random = [rng.random(size) < rate for rate in (0.02, 0.1, 0.5, 0.95)]
    alone = [np.arange(size) == i for i in sorted({0, size // 2, size - 1})]
    return np.stack([*random, *alone, np.zeros(size, bool), np.ones(size, bool)])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_every_set_of_a_few_units_is_visited(size):
    numbers = np.arange(2**size)
    assert_visits_are_right((numbers[:, None] >> np.arange(size)) % 2 == 1)


# In words of four or of eight bytes, and words of words.
SIZES = [9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 130]


@pytest.mark.parametrize("size", SIZES)
def test_the_true_units_are_visited_once_and_in_order(size):
    assert_visits_are_right(masks_of(size))


@pytest.mark.parametrize("size", [1000, 4097, 100_003])
def test_the_true_units_of_many_are_visited_once_and_in_order(size):
    assert_visits_are_right(masks_of(size) if size < 5000 else masks_of(size)[:2])


@pytest.mark.parametrize("size", [1, 4, 5, 16, 17, 65, 130, 4097])
def test_in_single_precision_the_words_are_shorter_and_the_visits_are_the_same(size):
    with jax.enable_x64(False):
        assert_visits_are_right(masks_of(size))


def test_no_unit_at_all_is_no_visit():
    log = _events.for_each_event(jnp.zeros(0, bool), lambda c, unit: c + 1, jnp.zeros(()))
    assert float(log) == 0.0


def test_in_single_precision_the_records_are_the_same():
    with jax.enable_x64(False):
        fired = told(0.3)
        times, raster, counts = (run(fired, record) for record in RECORDS.values())
        assert times.spikes.time.dtype == jnp.float32
        assert_times_are(times.spikes, fired)
        np.testing.assert_array_equal(raster.spikes.unpack(), fired)
        np.testing.assert_array_equal(counts.spikes.count, fired.sum(axis=0))
        together = jax.jit(jax.vmap(lambda fired: run(fired, jn.RecordTimes(50))))(BATCH)
        for i, fired in enumerate(BATCH):
            assert_times_are(jax.tree.map(lambda x: x[i], together.spikes), fired)  # noqa: B023
