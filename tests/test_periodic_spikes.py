"""Spikes at equal intervals, against recorded ones at the same times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


SOURCE = jn.models.SpikeSource()


def fired(u, size, *, t1=50.0, dt=0.1, at_start=False):
    method = jn.Grid(dt, stamp_at_start=at_start)
    run = jn.simulate(SOURCE, SOURCE.resting_state(size), t1=t1, u=u, method=method)
    valid = np.asarray(run.spikes.valid)
    return np.asarray(run.spikes.time)[valid], np.asarray(run.spikes.index)[valid]


@pytest.mark.parametrize("at_start", [False, True])
@pytest.mark.parametrize(("onset", "period"), [(9.0, 4.0), (0.3, 0.7), (5.04, 3.333)])
def test_they_are_those_of_a_recording(onset, period, at_start):
    times = onset + period * np.arange(int((50.0 - onset) / period) + 1)
    recorded = jn.inputs.SpikeTrain(times, np.zeros(len(times), int), size=1)
    periodic = jn.inputs.PeriodicSpikes(onset, period, size=1)
    for a, b in zip(
        fired(periodic, 1, at_start=at_start),
        fired(recorded, 1, at_start=at_start),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_each_unit_has_its_own_and_their_number_ends():
    u = jn.inputs.PeriodicSpikes([1.0, 2.0], [10.0, 5.0], [2, 3], size=2)
    times, units = fired(u, 2)
    np.testing.assert_allclose(times[units == 0], [1.0, 11.0])
    np.testing.assert_allclose(times[units == 1], [2.0, 7.0, 12.0])


def test_two_in_one_step_are_two():
    u = jn.inputs.PeriodicSpikes(1.0, 0.25, 8, size=1)
    times, _ = fired(u, 1, dt=0.5, t1=10.0)
    # A source fires once a step, and the others wait.
    assert len(times) == 8


def test_under_vmap_each_has_its_period():
    def count(period):
        u = jn.inputs.PeriodicSpikes(1.0, period, size=1)
        method = jn.Grid(0.1, record=jn.RecordCounts())
        y0 = SOURCE.resting_state(1)
        return jn.simulate(SOURCE, y0, t1=20.0, u=u, method=method).spikes.count[0]

    counts = jax.vmap(count)(jnp.array([2.0, 5.0, 10.0]))
    assert counts.tolist() == [10, 4, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"onset": 1.0, "period": 0.0}, "`period`.*must be positive"),
        ({"onset": 1.0, "period": 2.0, "number": -1}, "`number`.*nonnegative"),
        ({"onset": [1.0, 2.0], "period": 2.0}, "`onset`.*one number, or one a unit"),
    ],
)
def test_bad_values_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        jn.inputs.PeriodicSpikes(**arguments, size=1)
