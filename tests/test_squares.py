"""The squares of E and I cells against NEURON, until the literal network runs away."""

import functools
from pathlib import Path

import numpy as np
import pytest

import jaxnet as jn
from experiments._squares import CLAMP, run, squares


DT = CLAMP.dt
# Until here a trace does not depend on the order of a sum.
TRUSTED = 42.5
# The first sample (ms) of NEURON where a voltage is beyond 200 mV: cells of E alone.
LEAVES = {3: 42.6, 5: 42.525}
# Both of NEURON; all cells of E but the first, and all of I but the first.
REBOUND, FOLLOWER = 31.025, 37.5


@functools.cache
def neuron():
    with np.load(Path(__file__).parent / "data" / "neuron" / "squares.npz") as data:
        return dict(data)


def first_two_of_each(t, y, args):
    return {name: y.neurons[name].v[:, :2] for name in ("e", "i")}


EVERY_SECOND = jn.SaveAt(t0=True, steps=2, fn=first_two_of_each)
EVERY_FOURTH = jn.SaveAt(t0=True, steps=4, fn=first_two_of_each)


@functools.cache
def literal(n):
    network = squares(n)
    return network, run(network, save=EVERY_SECOND)


@functools.cache
def corrected():
    network = squares(3, corrected=True)
    return network, run(network, save=EVERY_FOURTH)


def spikes_of(network, solution, name):
    valid = np.asarray(solution.spikes.valid)
    index = np.asarray(solution.spikes.index)[valid]
    units = network.units(name)
    mine = (index >= units.start) & (index < units.stop)
    return np.asarray(solution.spikes.time)[valid][mine], index[mine] - units.start


def assert_spikes_before_it_runs_away(network, solution, n):
    others = list(range(1, n * n))
    for name, first, later in (("e", 10.925, REBOUND), ("i", 10.95, FOLLOWER)):
        times, index = spikes_of(network, solution, name)
        early = times < TRUSTED
        np.testing.assert_allclose(
            times[early], [first] + [later] * len(others), rtol=0, atol=1e-9
        )
        assert index[early].tolist() == [0, *others]


SMALL = pytest.mark.parametrize("n", [3, 5])


@SMALL
def test_the_literal_network_fires_in_the_steps_of_neuron(n):
    assert_spikes_before_it_runs_away(*literal(n), n)


@SMALL
@pytest.mark.parametrize("name", ["e", "i"])
def test_the_literal_network_follows_the_traces_of_neuron(n, name):
    _, solution = literal(n)
    until = round(TRUSTED / DT / 2) + 1
    found = np.asarray(solution.ys[name])[:until]
    for cell in (0, 1):
        for compartment, place in enumerate(("soma", "dendrite")):
            expected = neuron()[f"n{n}_{name}{cell}_{place}"]
            assert expected.shape == (until,)
            np.testing.assert_allclose(
                found[:, compartment, cell], expected, rtol=0, atol=1e-3
            )


@SMALL
def test_the_end_of_the_literal_network_is_told_and_not_silent(n):
    network, solution = literal(n)
    assert solution.result == jn.RESULTS.diverged
    assert float(solution.stats["diverged_at"]) == pytest.approx(LEAVES[n], abs=1e-9)
    units = network.units("e")
    assert units.start <= int(solution.stats["diverged_unit"]) < units.stop


def test_where_it_diverged_is_in_the_error():
    network, solution = literal(3)
    unit = int(solution.stats["diverged_unit"])
    with pytest.raises(RuntimeError, match=rf"ran away.*unit {unit}, at 42\.6 ms"):
        run(network, save=EVERY_SECOND, throw=True)


def test_before_it_diverges_all_is_well():
    network = squares(3)
    solution = run(network, t1=TRUSTED, save=EVERY_SECOND, throw=True)
    assert solution.result == jn.RESULTS.successful
    assert np.isnan(solution.stats["diverged_at"])
    assert int(solution.stats["diverged_unit"]) == -1


def test_in_the_corrected_network_the_first_two_cells_fire_alone():
    network, solution = corrected()
    assert solution.result == jn.RESULTS.successful
    for name, first in (("e", 10.925), ("i", 10.95)):
        times, index = spikes_of(network, solution, name)
        np.testing.assert_allclose(times, [first], rtol=0, atol=1e-9)
        assert index.tolist() == [0]


@pytest.mark.parametrize("name", ["e", "i"])
def test_the_corrected_network_follows_neuron_to_the_end(name):
    _, solution = corrected()
    for cell in (0, 1):
        expected = neuron()[f"corrected_{name}{cell}_soma"]
        np.testing.assert_allclose(
            solution.ys[name][:, 0, cell], expected, rtol=0, atol=1e-3
        )


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 15, 20])
def test_large_squares_fire_in_the_same_steps(n):
    network = squares(n)
    solution = run(network, save=jn.SaveAt(t1=True))
    assert_spikes_before_it_runs_away(network, solution, n)
    assert solution.result == jn.RESULTS.diverged
    assert TRUSTED < float(solution.stats["diverged_at"]) < 60
    assert int(solution.stats["diverged_unit"]) < n * n


@pytest.mark.slow
def test_with_small_steps_the_rebound_comes_earlier():
    network = squares(3)
    fine = jn.Grid(0.001, jn.Staggered())
    solution = run(network, t1=32.0, method=fine, save=jn.SaveAt(t1=True))
    times, index = spikes_of(network, solution, "e")
    assert index.tolist() == list(range(9))
    np.testing.assert_allclose(times[1:], 30.90, rtol=0, atol=0.006)
