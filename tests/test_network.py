"""Networks against plain NumPy loops, in batches, and with bad input."""

import functools
import math

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import couplings, models


DT = 0.1
EXACT = jn.Grid(DT, jn.Exponential())
NEVER = 1e6


def source(size):
    return models.Population(models.SpikeSource(), size)


def never_firing(size, **parameters):
    return models.Population(models.LIF(threshold=NEVER, **parameters), size)


def one_to_one(source, target, weight, **kwargs):
    return models.Projection(source, target, couplings.OneToOne(weight, size=1), **kwargs)


# A plain loop over steps, spikes and synapses, with a queue.


def relax(tau, v, rest):
    return rest + (v - rest) * math.exp(-DT / tau)


def plain_loop(populations, projections, fired, steps):
    """The voltages, the kernels and the spikes of a network, synapse by synapse.

    `populations` has the numbers of each neuron, or `None` for a source, whose spikes are
    in `fired`; `projections` a list of synapses, (source, target, weight, delay in steps),
    and the time constant of their kernel, or `None` for a jump. A kernel is a current.
    """
    v = {n: p["v"].copy() for n, p in populations.items() if p is not None}
    last = {n: np.full(len(x), -(10**6)) for n, x in v.items()}
    g = {n: np.zeros(len(v[p["target"]])) for n, p in projections.items()}
    queue, log = {}, []
    saved_v, saved_g = (
        {n: [x.copy()] for n, x in v.items()},
        {n: [x.copy()] for n, x in g.items()},
    )
    for step in range(steps):
        now, blocked = {}, {}
        for name, p in populations.items():
            if p is None:
                now[name] = fired[name][step]
                continue
            blocked[name] = step - last[name] < p["refractory"]
            for i in range(len(v[name])):
                if blocked[name][i] and p["hold"]:
                    continue
                tau, new = p["tau"][i], relax(p["tau"][i], v[name][i], p["rest"] + p["u"])
                for key, projection in projections.items():
                    tau_s = projection["tau"]
                    if projection["target"] == name and tau_s is not None:
                        rates = 1 / tau_s - 1 / tau
                        kernel = (math.exp(-DT / tau) - math.exp(-DT / tau_s)) / rates
                        new += g[key][i] * kernel / tau
                v[name][i] = new
            now[name] = (v[name] > p["threshold"]) & ~blocked[name]
        for key, projection in projections.items():
            if projection["tau"] is not None:
                g[key] *= math.exp(-DT / projection["tau"])
            for j, i, weight, delay in projection["synapses"]:
                if now[projection["source"]][j]:
                    queue.setdefault(step + delay, []).append((key, i, weight))
        for key, i, weight in queue.pop(step, []):
            target = projections[key]["target"]
            p = populations[target]
            if projections[key]["tau"] is not None:
                g[key][i] += weight
            elif not (p["hold"] and (blocked[target][i] or now[target][i])):
                v[target][i] += weight
        first = 0
        for name, p in populations.items():
            log += [(step, first + i) for i in np.flatnonzero(now[name])]
            first += len(now[name])
            if p is not None:
                v[name][now[name]] = p["reset"]
                last[name][now[name]] = step
                saved_v[name].append(v[name].copy())
        for key, kernel in g.items():
            saved_g[key].append(kernel.copy())
    return stack(saved_v), stack(saved_g), log


def stack(saved):
    return {name: np.array(rows) for name, rows in saved.items()}


def neurons_of(size, *, u=0.0, tau=10.0, **others):
    """The numbers of a population, for the loop."""
    standard = {"threshold": 1.0, "rest": 0.0, "reset": 0.0, "refractory": 0, "hold": True}
    v = np.full(size, standard["rest"])
    return standard | {"v": v, "tau": np.broadcast_to(tau, size), "u": u} | others


def synapses_of(matrix, delays):
    """A list of the synapses of a matrix of weights, with their delays in steps."""
    delays = np.broadcast_to(delays, np.shape(matrix))
    pairs = zip(*np.nonzero(matrix), strict=True)
    return [(j, i, matrix[i, j], int(delays[i, j])) for i, j in pairs]


def step_and_unit(solution):
    valid = np.asarray(solution.spikes.valid)
    step = np.rint(np.asarray(solution.spikes.time)[valid] / DT).astype(int) - 1
    return list(
        zip(step.tolist(), np.asarray(solution.spikes.index)[valid].tolist(), strict=True)
    )


# One delay a synapse.

SOURCES, TARGETS, STEPS = 6, 4, 60
# With the nearest number of steps, halves up; the last one is longer than the run.
DELAYS = {0.04: 0, 0.1: 1, 0.25: 3, 1.12: 11, 10.0: 100}


def draws():
    rng = np.random.default_rng(4)
    weights = rng.normal(size=(TARGETS, SOURCES)) * (rng.random((TARGETS, SOURCES)) < 0.8)
    delays = rng.choice(list(DELAYS), size=weights.shape)
    fired = rng.random((STEPS, SOURCES)) < 0.2
    return weights, delays, fired


def projections_with_delays(weights, delays):
    """One projection a coupling, and one projection a delay, all between the same units."""
    sparse = couplings.Sparse.from_mask(weights != 0, weights)
    to = functools.partial(models.Projection, "source")
    parts = {
        f"after {delay}": to(
            "many", couplings.Dense(np.where(delays == delay, weights, 0.0)), delay=delay
        )
        for delay in DELAYS
    }
    return parts | {
        "dense": to("dense", couplings.Dense(weights), delay=delays),
        "sparse": to("sparse", sparse, delay=np.asarray(sparse.at_synapses(delays))),
    }


@pytest.fixture(scope="module")
def delayed():
    weights, delays, fired = draws()
    network = models.Network(
        {"source": source(SOURCES)}
        | {name: never_firing(TARGETS) for name in ("dense", "sparse", "many")},
        projections_with_delays(weights, delays),
    )
    solution = jn.simulate(
        network,
        network.initial_state(),
        t1=STEPS * DT,
        u={"source": jn.inputs.Sampled(fired.astype(float), dt=DT)},
        method=EXACT,
    )
    return solution.ys.neurons


@pytest.mark.parametrize("way", ["dense", "sparse", "many"])
def test_a_delay_of_each_synapse_is_that_of_a_queue(delayed, way):
    weights, delays, fired = draws()
    steps = np.vectorize(DELAYS.get)(delays)
    assert len(np.unique(steps[weights != 0])) == len(DELAYS)
    projection = {
        "source": "source",
        "target": "e",
        "tau": None,
        "synapses": synapses_of(weights, steps),
    }
    expected, _, _ = plain_loop(
        {"source": None, "e": neurons_of(TARGETS, threshold=NEVER)},
        {"p": projection},
        {"source": fired},
        STEPS,
    )
    assert np.abs(expected["e"]).max() > 0.1
    np.testing.assert_allclose(delayed[way], expected["e"], rtol=0, atol=1e-13)


def test_two_synapses_of_one_pair_may_have_two_delays():
    table = couplings.Sparse.from_pairs([0, 0], [0, 0], [0.5, 0.25], shape=(1, 1))
    network = models.Network(
        {"source": source(1), "target": never_firing(1, tau=1e9)},
        {"p": models.Projection("source", "target", table, delay=np.array([0.3, 0.1]))},
    )
    train = jn.inputs.SpikeTrain([0.1], [0], size=1)
    solution = jn.simulate(
        network, network.initial_state(), t1=0.6, u={"source": train}, method=EXACT
    )
    expected = [0.0, 0.0, 0.25, 0.25, 0.75, 0.75, 0.75]
    np.testing.assert_allclose(solution.ys.neurons["target"][:, 0], expected, atol=1e-8)


@pytest.mark.parametrize("dt", [0.1, 0.25, 1.0])
def test_a_delay_in_ms_takes_the_nearest_number_of_steps(dt):
    grid = jn.Grid(dt)
    for steps in range(200):
        for part in (-0.499, 0.0, 0.499):
            delay = (steps + part) * dt
            if delay >= 0:
                assert grid.delay_steps(delay) == steps


# Two populations that excite and inhibit each other, driven at random.

N_E, N_I, N_X = 12, 5, 6
E_TAU = np.linspace(8.0, 14.0, N_E)
REFRACTORY_E, REFRACTORY_I = 20, 7
RECURRENT_STEPS = 600


def recurrent_numbers():
    rng = np.random.default_rng(7)
    random = lambda targets, sources, p, scale: (
        scale * rng.random((targets, sources)) * (rng.random((targets, sources)) < p)
    )
    matrices = {
        "x to e": random(N_E, N_X, 0.7, 1.5),
        "x to i": random(N_I, N_X, 0.7, 0.5),
        "e to e": random(N_E, N_E, 0.4, 1.0),
        "e to i": random(N_I, N_E, 0.6, 2.0),
        "i to e": random(N_E, N_I, 0.8, -0.7),
        "i to i": -0.2 * (1 - np.eye(N_I)),
    }
    delays = rng.choice([0, 3, 8], (N_E, N_E))
    return matrices, delays


# The time constants of the kernels; `None` is a jump of the voltage.
KERNELS = {
    "x to e": 2.0,
    "x to i": None,
    "e to e": 5.0,
    "e to i": 3.0,
    "i to e": 6.0,
    "i to i": None,
}
# The delays in steps, where they are the same for all synapses.
DELAY_STEPS = {"x to e": 0, "x to i": 3, "e to i": 8, "i to e": 3, "i to i": 1}


def recurrent_network():
    matrices, delays = recurrent_numbers()

    def projection(name):
        matrix = matrices[name]
        delay = DELAY_STEPS.get(name)
        mask = matrix != 0
        if name == "i to i":
            coupling = couplings.AllButPartner(-0.2, size=N_I)
        elif name == "i to e":
            coupling = couplings.Dense(matrix)
        else:
            coupling = couplings.Sparse.from_mask(mask, matrix)
        if delay is None:
            sources, targets = np.nonzero(mask.T)
            delay = delays[targets, sources]
        tau = KERNELS[name]
        synapse = None if tau is None else models.ExponentialSynapse(tau)
        first, second = name.split(" to ")
        return models.Projection(
            first, second, coupling, synapse, delay=DT * np.asarray(delay)
        )

    e = models.LIF(tau=E_TAU, refractory_period=REFRACTORY_E * DT, resting_potential=0.1)
    i = models.LIF(
        tau=6.0,
        threshold=0.9,
        reset_potential=-0.2,
        refractory_period=REFRACTORY_I * DT,
        hold_voltage=False,
    )
    return models.Network(
        {
            "x": source(N_X),
            "i": models.Population(i, N_I),
            "e": models.Population(e, N_E),
        },
        {name: projection(name) for name in KERNELS},
    )


NETWORK = recurrent_network()


@pytest.fixture(scope="module")
def recurrent():
    return jn.simulate(
        NETWORK,
        NETWORK.initial_state(e=0.1),
        t1=RECURRENT_STEPS * DT,
        u={"x": jn.inputs.Poisson(200.0, size=N_X), "e": 1.0},
        method=EXACT,
        key=jax.random.key(3),
    )


@pytest.fixture(scope="module")
def recurrent_loop(recurrent):
    """The loop, with the random spikes of the run as its drive."""
    x_fired = np.zeros((RECURRENT_STEPS, N_X), bool)
    for step, unit in step_and_unit(recurrent):
        if unit < N_X:
            x_fired[step, unit] = True
    matrices, delays = recurrent_numbers()
    projections = {
        name: {
            "source": name[0],
            "target": name[-1],
            "tau": tau,
            "synapses": synapses_of(matrices[name], DELAY_STEPS.get(name, delays)),
        }
        for name, tau in KERNELS.items()
    }
    e = neurons_of(N_E, tau=E_TAU, u=1.0, rest=0.1, refractory=REFRACTORY_E)
    i = neurons_of(N_I, tau=6.0, threshold=0.9, reset=-0.2, hold=False)
    i |= {"refractory": REFRACTORY_I}
    e |= {"v": np.full(N_E, 0.1)}
    populations = {"x": None, "i": i, "e": e}
    return plain_loop(populations, projections, {"x": x_fired}, RECURRENT_STEPS)


def test_a_recurrent_network_fires_as_a_plain_loop_does(recurrent, recurrent_loop):
    _, _, log = recurrent_loop
    counts = np.bincount([unit for _, unit in log], minlength=N_X + N_I + N_E)
    # Nearly all neurons take part.
    assert len(log) > 150
    assert (counts > 0).sum() >= 20
    assert step_and_unit(recurrent) == log
    assert recurrent.result == jn.RESULTS.successful


def test_the_state_of_a_recurrent_network_is_that_of_a_plain_loop(
    recurrent, recurrent_loop
):
    voltages, kernels, _ = recurrent_loop
    for name, expected in voltages.items():
        np.testing.assert_allclose(recurrent.ys.neurons[name], expected, rtol=0, atol=1e-10)
    for name, tau in KERNELS.items():
        if tau is None:
            assert recurrent.ys.synapses[name] is None
        else:
            found = recurrent.ys.synapses[name]
            np.testing.assert_allclose(found, kernels[name], rtol=0, atol=1e-10)


def test_layers_with_recurrence_fire_as_a_plain_loop_does():
    """Three layers, one after the other; the second feeds back on itself and the first."""
    rng = np.random.default_rng(12)
    sizes = {"in": 5, "first": 6, "second": 4, "out": 2}
    ends = [
        ("in", "first", 0),
        ("first", "second", 2),
        ("second", "second", 4),
        ("second", "first", 7),
        ("second", "out", 1),
    ]
    steps, tau = 300, 4.0
    fired = rng.random((steps, sizes["in"])) < 0.05
    matrices = {end: rng.random((sizes[end[1]], sizes[end[0]])) for end in ends}
    matrices["second", "out", 1] *= 3
    network = models.Network(
        {"in": source(sizes["in"])}
        | {
            name: models.Population(models.LIF(tau=10.0, refractory_period=1.0), size)
            for name, size in sizes.items()
            if name != "in"
        },
        {
            f"{first} {second}": models.Projection(
                first,
                second,
                couplings.Dense(matrix),
                models.ExponentialSynapse(tau),
                delay=delay * DT,
            )
            for (first, second, delay), matrix in matrices.items()
        },
    )
    solution = jn.simulate(
        network,
        network.initial_state(),
        t1=steps * DT,
        u={"in": jn.inputs.Sampled(fired.astype(float), dt=DT)},
        method=EXACT,
    )
    expected, _, log = plain_loop(
        {"in": None}
        | {n: neurons_of(s, refractory=10) for n, s in sizes.items() if n != "in"},
        {
            f"{first} {second}": {
                "source": first,
                "target": second,
                "tau": tau,
                "synapses": synapses_of(matrix, delay),
            }
            for (first, second, delay), matrix in matrices.items()
        },
        {"in": fired},
        steps,
    )
    assert np.bincount([unit for _, unit in log], minlength=17).min() >= 2
    assert step_and_unit(solution) == log
    for name, voltage in expected.items():
        np.testing.assert_allclose(solution.ys.neurons[name], voltage, rtol=0, atol=1e-10)


# Batches and records of a small network.

SMALL, SMALL_STEPS = 10, 305


def small_network(weights, weight):
    """Ten neurons that excite each other by a table, and one that listens to them."""
    loop = couplings.Sparse(SMALL, SMALL_TABLE.indptr, SMALL_TABLE.indices, weights)
    return models.Network(
        {
            "x": source(SMALL),
            "e": models.Population(models.LIF(refractory_period=1.0), SMALL),
        },
        {
            "drive": models.Projection("x", "e", couplings.OneToOne(weight, size=SMALL)),
            "loop": models.Projection("e", "e", loop, delay=0.4),
        },
    )


def small_table():
    rng = np.random.default_rng(8)
    mask = rng.random((SMALL, SMALL)) < 0.4
    return couplings.Sparse.from_mask(mask, rng.normal(size=mask.shape))


SMALL_TABLE = small_table()


def run_small(weights, weight, key, *, method=EXACT, save=None):
    network = small_network(weights, weight)
    return jn.simulate(
        network,
        network.initial_state(),
        t1=SMALL_STEPS * DT,
        u={"x": jn.inputs.Poisson(200.0, size=SMALL)},
        method=method,
        save=save,
        key=key,
    )


run_small_jitted = jax.jit(run_small)
SMALL_ARGUMENTS = (SMALL_TABLE.weights, jnp.array(0.8), jax.random.key(3))


@pytest.fixture(scope="module")
def small():
    return run_small_jitted(*SMALL_ARGUMENTS)


def assert_same_bits(found, expected):
    found, expected = (
        jax.tree.leaves(eqx.filter(x, eqx.is_array)) for x in (found, expected)
    )
    assert len(found) == len(expected) > 0
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


BATCHES = {
    "weights": (0, 0, None),
    "seeds": (None, None, 0),
}


@pytest.mark.parametrize("batched", BATCHES)
def test_a_batch_gives_what_each_run_gives_alone_to_the_bit(batched):
    scales = jnp.array([0.5, 1.0, 3.0])
    weights = SMALL_TABLE.weights
    keys = jax.random.split(jax.random.key(5), 3)
    stacks = (scales[:, None] * weights, jnp.array([0.4, 0.6, 1.1]), keys)
    axes = BATCHES[batched]
    arguments = [x if a == 0 else x[1] for x, a in zip(stacks, axes, strict=True)]
    together = jax.jit(jax.vmap(run_small, axes))(*arguments)
    trains = set()
    for n in range(3):
        one = [x[n] if a == 0 else x for x, a in zip(arguments, axes, strict=True)]
        alone = run_small_jitted(*one)
        pick = jax.tree.map(lambda x: x[n], together)  # noqa: B023
        assert_same_bits(pick.spikes, alone.spikes)
        assert_same_bits(pick.ys, alone.ys)
        trains.add(tuple(step_and_unit(alone)))
    assert len(trains) == 3


RECORDS = {
    "times": jn.RecordTimes(2000),
    "raster": jn.RecordRaster(),
    "counts": jn.RecordCounts(),
}


@pytest.mark.parametrize(
    ("record", "save"),
    [
        ("times", jn.SaveAt(t0=True, steps=7)),
        ("raster", jn.SaveAt(t0=True, steps=7)),
        ("counts", jn.SaveAt(steps=7, t1=True)),
    ],
)
def test_what_is_saved_changes_no_spike(small, record, save):
    """305 steps are no multiple of seven."""
    method = jn.Grid(DT, jn.Exponential(), record=RECORDS[record])
    spikes = run_small(*SMALL_ARGUMENTS, method=method, save=save).spikes
    raster = np.zeros((SMALL_STEPS, 2 * SMALL), bool)
    for step, unit in step_and_unit(small):
        raster[step, unit] = True
    assert raster[:, SMALL:].sum() > 20
    if record == "raster":
        np.testing.assert_array_equal(spikes.unpack(), raster)
    elif record == "counts":
        np.testing.assert_array_equal(spikes.count, raster.sum(axis=0))
    else:
        count = int(spikes.count)
        assert count == raster.sum()
        np.testing.assert_array_equal(spikes.time[:count], small.spikes.time[:count])
        np.testing.assert_array_equal(spikes.index[:count], small.spikes.index[:count])


# Names, states, and what is zero.


def test_units_stand_in_the_order_in_which_populations_are_given():
    """Which is not that of the alphabet, in which JAX sorts the names of a tree."""
    driven = {"z": 0.0, "a": 0.0, "m": 5.0}
    network = models.Network(
        {
            "z": models.Population(models.LIF(), 2),
            "a": models.Population(models.LIF(refractory_period=1.0), 3),
            "m": models.Population(models.LIF(), 4),
        },
        {
            "p": models.Projection(
                "m", "a", couplings.AllToAll(0.7, sources=4, targets=3), delay=0.2
            )
        },
    )
    slices = {name: network.units(name) for name in driven}
    assert slices == {"z": slice(0, 2), "a": slice(2, 5), "m": slice(5, 9)}
    solution = jn.simulate(network, network.initial_state(), t1=2.8, u=driven, method=EXACT)
    # m fires in the step in which 5 (1 - e^{-t / 10 ms}) is above 1; a hears it 0.2 ms
    # later, and fires in the step after that.
    first = math.ceil(10 * math.log(5 / 4) / DT) - 1
    expected = [(first, unit) for unit in range(5, 9)]
    expected += [(first + 3, unit) for unit in range(2, 5)]
    assert step_and_unit(solution) == expected


def test_a_state_may_be_given_by_name_and_is_at_rest_elsewhere():
    network = models.Network(
        {
            "z": models.Population(models.LIF(resting_potential=-0.5), 2),
            "a": models.Population(models.AdaptiveExponentialLIF(), 3),
            "x": source(4),
        },
        {
            "jump": models.Projection("x", "z", couplings.Dense(jnp.ones((2, 4)))),
            "alpha": models.Projection(
                "z", "a", couplings.Dense(jnp.ones((3, 2))), models.AlphaSynapse()
            ),
        },
    )
    at_rest = network.initial_state()
    assert at_rest.neurons["z"].tolist() == [-0.5, -0.5]
    assert [x.tolist() for x in at_rest.neurons["a"]] == [[-70.6] * 3, [0.0] * 3]
    assert at_rest.neurons["x"].tolist() == [0.0] * 4
    assert at_rest.synapses["jump"] is None
    assert [x.tolist() for x in at_rest.synapses["alpha"]] == [[0.0] * 3, [0.0] * 3]
    state = network.initial_state(z=[0.1, 0.2], a=(-60.0, jnp.array([1.0, 2.0, 3.0])))
    assert state.neurons["z"].tolist() == [0.1, 0.2]
    assert [x.tolist() for x in state.neurons["a"]] == [[-60.0] * 3, [1.0, 2.0, 3.0]]
    assert state.neurons["x"].tolist() == [0.0] * 4
    assert jax.tree.structure(state) == jax.tree.structure(at_rest)


@pytest.fixture(scope="module")
def short_periods():
    """With tau = 1e9 ms, the drive moves v by 0.6 a step: above 1 in every second one."""
    populations = {
        f"{period} {hold}": models.Population(
            models.LIF(tau=1e9, refractory_period=period, hold_voltage=hold), 1
        )
        for period in (0.0, 0.1, 0.2, 0.3)
        for hold in (True, False)
    }
    network = models.Network(populations)
    u = dict.fromkeys(populations, 0.6 * 1e9 / DT)
    solution = jn.simulate(network, network.initial_state(), t1=2.4, u=u, method=EXACT)
    steps = {name: [] for name in populations}
    for step, unit in step_and_unit(solution):
        steps[network.names[unit]].append(step)
    return steps


@pytest.mark.parametrize(
    ("period", "hold", "interval"),
    [
        (0.0, True, 2),
        (0.0, False, 2),
        (0.1, True, 2),
        (0.1, False, 2),
        (0.2, True, 3),
        (0.2, False, 2),
        (0.3, True, 4),
        (0.3, False, 3),
    ],
)
def test_a_period_of_n_steps_blocks_and_holds_n_less_one(
    short_periods, period, hold, interval
):
    assert short_periods[f"{period} {hold}"] == list(range(1, 24, interval))


def test_a_spike_without_delay_is_seen_in_the_next_step_and_lost_in_a_reset():
    """The followers start at 0.95; one more step fires the one that fires by itself."""
    network = models.Network(
        {
            "external": source(1),
            "waits": models.Population(models.LIF(tau=1e9), 1),
            "fires": models.Population(models.LIF(tau=1e9), 1),
        },
        {name: one_to_one("external", name, 0.5) for name in ("waits", "fires")},
    )
    train = jn.inputs.SpikeTrain([0.1], [0], size=1)
    solution = jn.simulate(
        network,
        network.initial_state(waits=0.9, fires=1.1),
        t1=0.4,
        u={"external": train},
        method=EXACT,
    )
    # Units: 0 external, 1 waits, 2 fires. The kick reaches `fires` in its reset.
    assert step_and_unit(solution) == [(0, 0), (0, 2), (1, 1)]
    voltages = {n: solution.ys.neurons[n][:, 0] for n in ("waits", "fires")}
    np.testing.assert_allclose(voltages["waits"], [0.9, 1.4, 0.0, 0.0, 0.0], atol=1e-8)
    np.testing.assert_allclose(voltages["fires"], [1.1, 0.0, 0.0, 0.0, 0.0], atol=1e-8)


# Noise.


def test_a_noisy_network_has_the_variance_of_its_recurrence_and_holds_what_is_held():
    size, strength, tau = 4000, 0.3, 2.0
    network = models.Network(
        {
            "free": never_firing(size, tau=tau),
            "held": models.Population(models.LIF(refractory_period=1e3), size),
        },
        {"p": models.Projection("held", "free", couplings.OneToOne(0.0, size=size))},
    )
    diffusion = models.NetworkState({"free": strength, "held": 0.1}, {"p": None})
    solution = jn.simulate(
        jn.Noisy(network, diffusion),
        network.initial_state(held=5.0),
        t1=20.0,
        method=EXACT,
        save=jn.SaveAt(t1=True),
        key=jax.random.key(1),
    )
    free, held = (np.asarray(solution.ys.neurons[n][-1]) for n in ("free", "held"))
    # v' = e^{-dt/tau} v + g sqrt(dt) z, from v = 0.
    decay = math.exp(-2 * DT / tau)
    variance = strength**2 * DT * (1 - decay**200) / (1 - decay)
    assert abs(free.var() / variance - 1) < 5 * math.sqrt(2 / size)
    assert abs(free.mean()) < 5 * math.sqrt(variance / size)
    # They fire in the first step, are reset, and stay there.
    assert int(solution.spikes.count) == size
    assert (held == 0).all()


# Bad input.


def two(coupling=None, *, source_name="a", target="b", **kwargs):
    coupling = couplings.Dense(jnp.ones((3, 2))) if coupling is None else coupling
    return models.Network(
        {"a": models.Population(models.LIF(), 2), "b": models.Population(models.LIF(), 3)},
        {"p": models.Projection(source_name, target, coupling, **kwargs)},
    )


def run_two(u=None, **changes):
    network = two()
    return jn.simulate(network, network.initial_state(**changes), t1=1.0, u=u, method=EXACT)


SPARSE = couplings.Sparse.from_pairs([0, 1, 1], [0, 1, 2], 0.5, shape=(3, 2))

BAD = {
    "no population": (lambda: models.Network({}), "`populations` is empty"),
    "a size of zero": (
        lambda: models.Population(models.LIF(), 0),
        "`size` of `Population`",
    ),
    "weights the wrong way round": (
        lambda: two(couplings.Dense(jnp.ones((2, 3)))),
        r"projection 'p' has the shape \(2, 3\), but it must be .* \(3, 2\)",
    ),
    "weights that are no matrix": (
        lambda: two(couplings.Dense(jnp.ones(3))),
        "`weights` of `Dense` must be a matrix",
    ),
    "weights that are NaN": (
        lambda: two(couplings.Dense(np.full((3, 2), np.nan))),
        "`Dense.weights` is NaN",
    ),
    "a negative delay": (
        lambda: two(delay=-0.1),
        "`delay` must be finite and not negative",
    ),
    "a negative delay of one synapse": (
        lambda: two(SPARSE, delay=np.array([0.1, -0.1, 0.0])),
        "`delay` must be finite and not negative.*in ms",
    ),
    "a delay that is NaN": (lambda: two(delay=np.nan), "`delay` must be finite"),
    "a delay without end": (lambda: two(delay=np.inf), "`delay` must be finite"),
    "delays of another shape": (
        lambda: two(SPARSE, delay=np.ones((3, 2))),
        r"`delay` must be one number, or one a synapse, \(3,\)",
    ),
    "too many delays": (
        lambda: models.Projection(
            "a",
            "b",
            couplings.OneToOne(1.0, size=1000),
            delay=np.linspace(0.0, 10.0, 1000),
        ),
        r"`delay` has 1000 distinct values. Round them.*np.round\(delay / dt\)",
    ),
    "a source that is no population": (
        lambda: two(source_name="c"),
        r"`source` of the projection 'p' is 'c', but the populations are \['a', 'b'\]",
    ),
    "a target that is no population": (
        lambda: two(target="c"),
        r"`target` of the projection 'p' is 'c', but the populations are \['a', 'b'\]",
    ),
    "a spike source as target": (
        lambda: models.Network({"a": source(1)}, {"p": one_to_one("a", "a", 1.0)}),
        "`target` of the projection 'p' is a population of `SpikeSource`s",
    ),
    "units of no population": (
        lambda: two().units("c"),
        r"`name` must be one of \['a', 'b'\], not 'c'",
    ),
    "a state of no population": (lambda: run_two(c=0.0), r"\['c'\] are no populations"),
    "a state of another shape": (
        lambda: run_two(a=np.zeros(3)),
        r"The state of the population 'a' must have the shapes \(2,\)",
    ),
    "an input of no population": (
        lambda: run_two(u={"c": 1.0}),
        r"`u` names \['c'\], but the populations of the `Network` are \['a', 'b'\]",
    ),
    "an input that is no dictionary": (
        lambda: run_two(u=1.0),
        "`u`.*dictionary with the inputs of some of its populations",
    ),
    "an input of another shape": (
        lambda: run_two(u={"a": np.ones(5)}),
        "input `u` of shape",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_its_remedy(case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_a_weight_that_becomes_nan_is_a_code_in_its_element_alone():
    def run(weights):
        network = two(couplings.Dense(weights))
        return jn.simulate(network, network.initial_state(), t1=0.5, method=EXACT)

    weights = np.ones((2, 3, 2))
    weights[1, 2, 0] = np.nan
    solution = jax.jit(jax.vmap(run))(weights)
    assert (solution.result == jn.RESULTS.nan_input).tolist() == [False, True]
    assert np.isfinite(solution.ys.neurons["b"][0]).all()
    assert np.isnan(solution.ys.neurons["b"][1]).all()


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_network_with_many_delays_can_be_made_in_a_trace(kind):
    """The table and the delays are concrete; only the weights are traced."""

    def total(weights):
        if kind == "dense":
            coupling, delay = couplings.Dense(weights), np.array([[0.1, 0.3]])
        else:
            coupling = couplings.Sparse.from_pairs([0, 1], [0, 0], weights[0], shape=(1, 2))
            delay = np.array([0.1, 0.3])
        projection = models.Projection("a", "b", coupling, delay=delay)
        return sum(part.mv(jnp.array([1.0, 1.0]))[0] for part in projection.parts)

    weights = jnp.array([[0.5, 0.25]])
    assert float(jax.jit(total)(weights)) == 0.75


def test_a_projection_without_synapses_may_have_a_delay_a_synapse():
    table = jn.couplings.Sparse.from_pairs([], [], 1.0, shape=(2, 2))
    projection = models.Projection("e", "e", table, delay=np.zeros(0))
    network = models.Network({"e": models.Population(models.LIF(), 2)}, {"p": projection})
    alone = models.Network({"e": models.Population(models.LIF(), 2)})
    spikes = [
        jn.simulate(n, n.initial_state(), t1=30.0, u={"e": 3.0}, method=jn.Grid(0.1)).spikes
        for n in (network, alone)
    ]
    assert spikes[0].count == spikes[1].count > 0


@pytest.mark.parametrize("solver", [diffrax.Euler(), diffrax.Heun(), jn.Exponential()])
def test_what_reads_a_held_voltage_sees_it_held_within_the_step_too(solver):
    """w decays from b alone, since v is held at the resting potential."""
    neuron = models.AdaptiveExponentialLIF(refractory_period=20.0)
    start = (jnp.array([25.0]), jnp.zeros(1))
    method = jn.Grid(0.1, solver)
    w = np.asarray(jn.simulate(neuron, start, t1=19.0, u=3000.0, method=method).ys[1][:, 0])
    if isinstance(solver, diffrax.Euler):
        decay = 1 - 0.1 / 144
    elif isinstance(solver, diffrax.Heun):
        decay = 1 - 0.1 / 144 + (0.1 / 144) ** 2 / 2
    else:
        decay = np.exp(-0.1 / 144)
    assert np.allclose(w[1:], w[1] * decay ** np.arange(190), rtol=1e-12, atol=0)


KINDS = {
    "a matrix for a coupling": (
        lambda: models.Projection("e", "e", jnp.ones((3, 3))),
        "`coupling` must be a coupling such as `Dense",
    ),
    "a class for a synapse": (
        lambda: models.Projection(
            "e", "e", couplings.OneToOne(1.0, size=3), models.ExponentialSynapse
        ),
        "`synapse` must be a model such as",
    ),
    "a class for a neuron": (
        lambda: models.Population(models.LIF, 3),
        "`neuron` must be a model such as",
    ),
    "a neuron for a population": (
        lambda: models.Network({"e": models.LIF()}),
        r"`populations\['e'\]` must be a `Population",
    ),
    "a coupling for a projection": (
        lambda: models.Network(
            {"e": models.Population(models.LIF(), 3)},
            {"p": couplings.OneToOne(1.0, size=3)},
        ),
        r"`projections\['p'\]` must be a `Projection",
    ),
}


@pytest.mark.parametrize("case", KINDS)
@pytest.mark.usefixtures("unchecked_shapes")
def test_a_part_of_the_wrong_kind_is_named_with_its_remedy(case):
    make, message = KINDS[case]
    with pytest.raises(ValueError, match=message):
        make()
