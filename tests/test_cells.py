"""Cells against NEURON and Brian2, the cable's closed form, and finite differences."""

import functools
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import jaxnet as jn
from jaxnet import couplings, inputs, mechanisms, models


DT = 0.025
STAGGERED = jn.Grid(DT, jn.Staggered())
EVERY_SECOND = jn.SaveAt(t0=True, steps=2)
STIFF = jn.Adaptive(
    solver=diffrax.Kvaerno5(),
    stepsize_controller=diffrax.PIDController(rtol=1e-6, atol=1e-6),
)
# NEURON: the same order of operations, and the limit of small steps (mV).
SAME_STEPS, NO_STEPS = 1e-3, 0.05


@functools.cache
def reference(name):
    """NEURON 9.0.2 with exact rates; `cobahh` is of Brian2 2.9.0."""
    with np.load(Path(__file__).parent / "data" / "neuron" / f"{name}.npz") as data:
        return dict(data)


def assert_close(found, expected, atol):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def spike_times(solution):
    return np.asarray(solution.spikes.time)[np.asarray(solution.spikes.valid)]


def without_steps(coarse, fine):
    """NEURON's limit, from its traces with dt = 0.025 and 0.001, since it is of order 1.

    At 0.001 a spike is 1.3 us late, which is 0.35 mV where it rises.
    """
    return fine - (coarse[::2] - fine) / 24


# One ball and stick.

CLAMP = inputs.Pulse(onset=5.0, duration=40.0, value=0.1)


@pytest.fixture(scope="module")
def clamped():
    cell = models.ball_and_stick()
    return jn.simulate(
        cell, cell.resting_state(), t1=60.0, u=CLAMP, method=STAGGERED, save=EVERY_SECOND
    )


@pytest.mark.parametrize("place", ["soma", "dendrite"])
def test_a_clamped_cell_follows_neuron(clamped, place):
    v = clamped.ys.v[:, ["soma", "dendrite"].index(place)]
    assert_close(v, reference("single")[f"clamp_{place}"], SAME_STEPS)


def test_a_spike_is_the_first_step_above_the_threshold(clamped):
    soma = np.asarray(clamped.ys.v[:, 0])
    times = spike_times(clamped)
    rises = np.flatnonzero((soma[1:] > 10) & (soma[:-1] <= 10)) + 1
    assert len(rises) > 0
    assert len(times) == len(rises)
    # Every second step was saved.
    late = 2 * DT * rises - times
    assert ((late > -1e-9) & (late < 2 * DT - 1e-9)).all()


def test_the_plain_flow_is_the_limit_of_small_steps_of_neuron():
    cell = models.ball_and_stick()
    ts = jnp.linspace(0, 60, 601)
    run = jn.simulate(
        cell, cell.resting_state(), t1=60.0, u=CLAMP, method=STIFF, save=jn.SaveAt(ts=ts)
    )
    for k, place in enumerate(("soma", "dendrite")):
        expected = without_steps(
            reference("single")[f"clamp_{place}"],
            reference("single")[f"clamp_fine_{place}"],
        )
        assert_close(run.ys.v[:, k], expected, NO_STEPS)


def test_a_clamped_cell_follows_neuron_with_small_steps_too():
    cell = models.ball_and_stick()
    fine, every_hundredth = jn.Grid(0.001, jn.Staggered()), jn.SaveAt(t0=True, steps=100)
    run = jn.simulate(
        cell, cell.resting_state(), t1=60.0, u=CLAMP, method=fine, save=every_hundredth
    )
    for k, place in enumerate(("soma", "dendrite")):
        expected = reference("single")[f"clamp_fine_{place}"]
        assert_close(run.ys.v[:, k], expected, SAME_STEPS)


def test_a_current_into_the_soma_is_the_same_in_the_shape_of_v(clamped):
    cell = models.ball_and_stick()
    pulse = inputs.Pulse(onset=5.0, duration=40.0, value=cell.inject(0.1, "soma"))
    run = jn.simulate(
        cell, cell.resting_state(), t1=60.0, u=pulse, method=STAGGERED, save=EVERY_SECOND
    )
    assert_close(run.ys.v, clamped.ys.v, 1e-9)


def driven(synapse, *, weight=0.04, cell=None):
    """A ball and stick, and a source of spikes onto the middle of its dendrite."""
    cell = models.ball_and_stick() if cell is None else cell
    return models.Network(
        {
            "cell": models.Population(cell, 1),
            "stimulus": models.Population(models.SpikeSource(), 1),
        },
        {
            "synapses": models.Projection(
                "stimulus",
                "cell",
                couplings.OneToOne(weight, size=1),
                synapse,
                compartment=cell.morphology.compartment("dendrite"),
                delay=1.0,
            )
        },
    )


def at_time(time):
    return {"stimulus": inputs.SpikeTrain(jnp.array([time]), jnp.array([0]), size=1)}


def test_a_cell_with_an_exponential_synapse_follows_neuron():
    network = driven(models.ExponentialSynapse(2.0, reversal_potential=0.0))
    run = jn.simulate(
        network,
        network.initial_state(),
        t1=60.0,
        u=at_time(9.0),
        method=STAGGERED,
        save=jn.SaveAt(t0=True, steps=2, fn=lambda t, y, args: y.neurons["cell"].v[:, 0]),
    )
    for k, place in enumerate(("soma", "dendrite")):
        assert_close(run.ys[:, k], reference("single")[f"stimulus_{place}"], SAME_STEPS)


def test_a_cell_with_an_alpha_synapse_follows_neuron():
    """NEURON reads this conductance at the middle of a step: the start is half one on.

    It also forgets it 10 time constants after the onset.
    """
    onset, half, forgets = 5.0, DT / 2, 15.0
    cell = models.ball_and_stick()
    before = jn.simulate(
        cell, cell.resting_state(), t1=onset, method=STAGGERED, save=EVERY_SECOND
    )
    network = driven(models.AlphaSynapse(1.0, reversal_potential=0.0), weight=0.01)
    at_onset = jax.tree.map(lambda x: x[-1][..., None], before.ys)
    kernel = (0.01 * half * np.exp(1 - half), 0.01 * np.exp(1 - half))
    start = models.NetworkState(
        network.initial_state(cell=at_onset).neurons,
        {"synapses": tuple(jnp.array([x]) for x in kernel)},
    )
    run = jn.simulate(
        network,
        start,
        t0=onset,
        t1=forgets,
        method=STAGGERED,
        save=jn.SaveAt(t0=True, steps=2, fn=lambda t, y, args: y.neurons["cell"].v[:, 0]),
    )
    for k, place in enumerate(("soma", "dendrite")):
        found = np.concatenate([before.ys.v[:-1, k], run.ys[:, k]])
        assert found.max() > {"soma": 30, "dendrite": -30}[place]
        assert_close(found, reference("alpha")[place][: found.size], SAME_STEPS)


def test_an_alpha_synapse_on_a_compartment_is_its_closed_form_after_the_delay():
    tau, weight, arrives = 1.0, 1e-4, 5.0
    network = driven(models.AlphaSynapse(tau, reversal_potential=0.0), weight=weight)
    run = jn.simulate(
        network,
        network.initial_state(),
        t1=12.0,
        u=at_time(arrives - 1.0),
        method=STAGGERED,
        save=jn.SaveAt(t0=True, steps=1, fn=lambda t, y, args: y.synapses["synapses"][0]),
    )
    since = np.maximum(np.asarray(run.ts) - arrives, 0) / tau
    assert_close(run.ys[:, 0], weight * since * np.exp(1 - since), 1e-15)


# A soma and six dendrites.

# Parent, where on it, length and diameter (um).
DENDRITES = {
    "d0": ("soma", 1.0, 100, 3),
    "d1": ("d0", 1.0, 80, 2),
    "d2": ("d0", 1.0, 120, 1.5),
    "d3": ("d1", 1.0, 90, 1),
    "d4": ("d1", 1.0, 60, 0.8),
    "d5": ("soma", 0.0, 150, 1.2),
}


def branched():
    branches = {"soma": models.Branch(20.0, 20.0)} | {
        name: models.Branch(length, diameter, segments=10, parent=parent, at=at)
        for name, (parent, at, length, diameter) in DENDRITES.items()
    }
    return models.Cell(
        models.Morphology(branches),
        {
            "channels": (mechanisms.HodgkinHuxley(), "soma"),
            "leak": (mechanisms.Leak(0.0003, -54.3), "soma"),
            "passive": (mechanisms.Leak(0.0001, -65.0), list(DENDRITES)),
        },
        axial_resistivity=150.0,
    )


PLACES = {"soma": ("soma", 0.5), "d3": ("d3", 0.95), "d4": ("d4", 0.95), "d5": ("d5", 0.95)}


def branched_run(method, save):
    cell = branched()
    current = inputs.Pulse(onset=5.0, duration=20.0, value=cell.inject(0.5, "d3", 0.95))
    run = jn.simulate(
        cell, cell.resting_state(), t1=40.0, u=current, method=method, save=save
    )
    places = {n: cell.morphology.compartment(*place) for n, place in PLACES.items()}
    return {name: run.ys.v[:, k] for name, k in places.items()}


def test_a_branched_cell_follows_neuron():
    found = branched_run(STAGGERED, EVERY_SECOND)
    for name in PLACES:
        assert_close(found[name], reference("branched")[name], SAME_STEPS)


@pytest.mark.slow
def test_the_plain_flow_of_a_branched_cell_is_the_limit_of_neuron():
    found = branched_run(STIFF, jn.SaveAt(ts=jnp.linspace(0, 40, 401)))
    traces = reference("branched")
    for name in PLACES:
        expected = without_steps(traces[name], traces[f"fine_{name}"])
        assert_close(found[name], expected, NO_STEPS)


def test_a_cell_of_one_cylinder_charges_as_its_membrane():
    cell = models.Cell(
        models.Morphology({"root": models.Branch(40.0, 10.0)}),
        {"leak": mechanisms.Leak(1e-4)},
    )
    run = jn.simulate(cell, cell.state_at(-65.0), t1=20.0, u=0.01, method=STAGGERED)
    # 1e-4 S/cm2 on 1257 um2 are 1.257 nS; 10 ms.
    end = -65 + 0.01 / (1e-6 * 400 * np.pi) * (1 - (1 + DT / 10) ** -800)
    assert_close(run.ys.v[-1], np.array([end]), 1e-8)


# Derivatives through 100 ms with one stimulus.

PARAMETERS = {
    "g_na": 0.12,
    "g_k": 0.036,
    "leak": 0.0003,
    "axial_resistivity": 100.0,
    "capacitance": 1.0,
    "length": 200.0,
    "diameter": 1.0,
}
BY_PARAMETER = pytest.mark.parametrize("name", PARAMETERS)


def voltages(p):
    """Of the soma, each ms; after 10 ms there is a spike."""
    p = dict(zip(PARAMETERS, p, strict=True))
    dendrite = models.Branch(p["length"], p["diameter"], parent="soma")
    channels = mechanisms.HodgkinHuxley(p["g_na"], p["g_k"])
    cell = models.Cell(
        models.Morphology({"soma": models.Branch(12.6157, 12.6157), "dendrite": dendrite}),
        {
            "channels": (channels, "soma"),
            "leak": (mechanisms.Leak(p["leak"], -54.3), "soma"),
            "passive": (mechanisms.Leak(0.001, -65.0), "dendrite"),
        },
        axial_resistivity=p["axial_resistivity"],
        capacitance=p["capacitance"],
    )
    network = driven(models.ExponentialSynapse(2.0, reversal_potential=0.0), cell=cell)
    run = jn.simulate(
        network,
        network.initial_state(),
        t1=100.0,
        u=at_time(9.0),
        method=STAGGERED,
        save=jn.SaveAt(t0=True, steps=40, fn=lambda t, y, args: y.neurons["cell"].v[0, 0]),
        throw=False,
    )
    return run.ys


@pytest.fixture(scope="module")
def derivatives():
    """By forward mode, by reverse mode, and by four central differences each."""
    at = jnp.array(list(PARAMETERS.values()))
    directions = jnp.diag(at)
    weights = jnp.asarray(np.random.default_rng(0).normal(size=101))
    run = eqx.filter_jit(voltages)
    forward = eqx.filter_jit(lambda p, d: jax.jvp(voltages, (p,), (d,))[1])
    reverse = eqx.filter_jit(jax.grad(lambda p: jnp.vdot(weights, voltages(p))))
    h = 1e-4
    differences = [
        (
            8 * (run(at + h * d) - run(at - h * d))
            - run(at + 2 * h * d)
            + run(at - 2 * h * d)
        )
        / (12 * h)
        for d in directions
    ]
    assert run(at).max() > 20
    return {
        "forward": [forward(at, d) for d in directions],
        "reverse": reverse(at) * at,
        "differences": differences,
        "weights": weights,
    }


@BY_PARAMETER
def test_the_derivative_of_a_cell_is_that_of_finite_differences(derivatives, name):
    k = list(PARAMETERS).index(name)
    expected = np.asarray(derivatives["differences"][k])
    assert np.abs(expected).max() > 0.1
    found = np.asarray(derivatives["forward"][k])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    # The end of 100 ms, and the sum of all times by reverse mode.
    np.testing.assert_allclose(found[-1], expected[-1], rtol=1e-5, atol=1e-9)
    total = np.vdot(derivatives["weights"], expected)
    np.testing.assert_allclose(derivatives["reverse"][k], total, rtol=1e-5)


# Many cells.


def stick(g_na=0.12, g_pas=0.001):
    return eqx.tree_at(
        lambda c: (c.mechanisms["channels"].g_na, c.mechanisms["passive"].conductance),
        models.ball_and_stick(),
        (jnp.asarray(g_na), jnp.asarray(g_pas)),
    )


SHORT = {"t1": 12.0, "method": STAGGERED, "save": jn.SaveAt(t0=True, steps=8)}
SODIUM = jnp.array([0.1, 0.12, 0.15])
PASSIVE = jnp.array([0.001, 0.002, 0.0005])
CURRENTS = jnp.array([0.3, 0.4, 0.2])


def test_a_second_derivative_is_the_same_in_every_order():
    """Also where a way back computes a step anew, which must not move a comparison."""

    def last_voltage(g_na):
        cell = models.PointCell(
            {
                "channels": mechanisms.HodgkinHuxley(g_na),
                "leak": mechanisms.Leak(0.0003, -54.3),
            },
            area=500.0,
        )
        y0 = cell.state_at(-65.0)
        run = jn.simulate(
            cell, y0, t1=5.0, u=0.3, method=STAGGERED, save=jn.SaveAt(t1=True)
        )
        return run.ys.v[-1]

    slope = jax.jit(jax.grad(last_voltage))
    step = 1e-5
    expected = (slope(0.12 + step) - slope(0.12 - step)) / (2 * step)
    for outer, inner in ((jax.jacfwd, jax.grad), (jax.grad, jax.grad)):
        found = jax.jit(outer(inner(last_voltage)))(0.12)
        np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.fixture(scope="module")
def alone():
    """Three cells one after the other."""

    def run(g_na, g_pas, u):
        cell = stick(g_na, g_pas)
        return jn.simulate(cell, cell.resting_state(), u=u, **SHORT).ys.v

    each = [run(*x) for x in zip(SODIUM, PASSIVE, CURRENTS, strict=True)]
    return np.stack(each, axis=-1)


def test_cells_by_vmap_are_single_cells(alone):
    def run(g_na, g_pas, u):
        cell = stick(g_na, g_pas)
        return jn.simulate(cell, cell.resting_state(), u=u, **SHORT).ys.v

    found = jax.vmap(run, out_axes=-1)(SODIUM, PASSIVE, CURRENTS)
    assert np.ptp(alone, axis=(0, 1)).max() > 100
    assert_close(found, alone, 1e-8)


def test_a_population_with_one_parameter_a_cell_is_single_cells(alone):
    dendrite = models.Branch(200.0, 1.0, parent="soma")
    cell = models.Cell(
        models.Morphology({"soma": models.Branch(12.6157, 12.6157), "dendrite": dendrite}),
        {
            "channels": (mechanisms.HodgkinHuxley(SODIUM[None]), "soma"),
            "leak": (mechanisms.Leak(0.0003, -54.3), "soma"),
            "passive": (mechanisms.Leak(PASSIVE[None], -65.0), "dendrite"),
        },
        capacitance=jnp.ones((1, 3)),
        axial_resistivity=jnp.full((1, 3), 100.0),
        initial_potential=jnp.full((1, 3), -65.0),
    )
    run = jn.simulate(cell, cell.resting_state(3), u=cell.inject(CURRENTS, "soma"), **SHORT)
    assert_close(run.ys.v, alone, 1e-8)
    network = models.Network({"cells": models.Population(cell, 3)})
    run = jn.simulate(network, network.initial_state(), u={"cells": CURRENTS}, **SHORT)
    assert_close(run.ys.neurons["cells"].v, alone, 1e-8)


def test_the_threshold_of_a_population_may_be_one_a_cell():
    cell = models.ball_and_stick()
    cell = models.Cell(
        cell.morphology,
        {"leak": mechanisms.Leak(1e-4)},
        threshold=jnp.array([-60.0, 1000.0, -64.0]),
    )
    network = models.Network({"cells": models.Population(cell, 3)})
    run = jn.simulate(network, network.initial_state(), u={"cells": 0.01}, **SHORT)
    v = np.asarray(run.ys.neurons["cells"].v[:, 0])
    assert ((v[-1] > -60) & (v[-1] < 1000)).all()
    assert run.spikes.index[run.spikes.valid].tolist() == [2, 0]


def test_a_voltage_jump_is_of_its_compartment():
    """Of the first one, if nothing is said; each after its delay."""
    cell = models.ball_and_stick()
    kick = functools.partial(models.Projection, "source", "cell")
    network = models.Network(
        {
            "cell": models.Population(cell, 1),
            "source": models.Population(models.SpikeSource(), 1),
        },
        {
            "there": kick(couplings.OneToOne(3.0, size=1), compartment=1, delay=2 * DT),
            "somewhere": kick(couplings.OneToOne(2.0, size=1), delay=3 * DT),
        },
    )
    train = inputs.SpikeTrain(jnp.array([DT]), jnp.array([0]), size=1)
    run = jn.simulate(
        network, network.initial_state(), t1=4 * DT, u={"source": train}, method=STAGGERED
    )
    still = jn.simulate(cell, cell.resting_state(), t1=4 * DT, method=STAGGERED)
    found = run.ys.neurons["cell"].v[..., 0] - still.ys.v
    np.testing.assert_allclose(found[2], 0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[3], [0, 3], rtol=0, atol=1e-12)
    # In a step the dendrite loses some of its jump to the soma, and through its leak.
    assert 2 < found[4, 0] < 2.2
    assert 2.7 < found[4, 1] < 3


# The same cell for the other verbs.


def rest_by_hand():
    """Of ball and stick, where all currents (nA) are balanced, and gates are steady."""
    area = np.pi * np.array([12.6157**2, 200.0])
    resistance = 127.32395447 + 0.05046250
    ways = 1 / resistance

    def currents(v):
        soma, dendrite = v
        a_m = (soma + 40) / 10 / (1 - np.exp(-(soma + 40) / 10))
        a_n = 0.1 * (soma + 55) / 10 / (1 - np.exp(-(soma + 55) / 10))
        b_m, b_n = 4 * np.exp(-(soma + 65) / 18), 0.125 * np.exp(-(soma + 65) / 80)
        a_h = 0.07 * np.exp(-(soma + 65) / 20)
        b_h = 1 / (1 + np.exp(-(soma + 35) / 10))
        m, h, n = a_m / (a_m + b_m), a_h / (a_h + b_h), a_n / (a_n + b_n)
        density = 0.12 * m**3 * h * (soma - 50) + 0.036 * n**4 * (soma + 77)
        density += 0.0003 * (soma + 54.3)
        along = ways * (dendrite - soma)
        return [
            along - 1e-2 * area[0] * density,
            -along - 1e-2 * area[1] * 0.001 * (dendrite + 65),
        ]

    v = scipy.optimize.fsolve(currents, [-65.0, -65.0], xtol=1e-11)
    np.testing.assert_allclose(currents(v), 0, rtol=0, atol=1e-12)
    return v


def test_a_cell_rests_where_its_currents_are_balanced():
    cell = models.ball_and_stick()
    starts = jax.vmap(cell.state_at)(jnp.array([[-65.0, -65.0], [-70.0, -60.0]]))
    points = jn.fixed_points(cell, starts, max_points=2)
    assert int(points.count) == 1
    expected = rest_by_hand()
    np.testing.assert_allclose(points.y.v[0], expected, rtol=0, atol=1e-6)
    assert bool(points.stability.stable[0])
    point = jax.tree.map(lambda x: x[0], points.y)
    assert bool(jn.stability(cell, point).stable)


def test_a_noisy_cell_runs_about_its_rest():
    cell = models.ball_and_stick()
    start = cell.state_at(jnp.asarray(rest_by_hand()))
    strength = eqx.tree_at(
        lambda y: y.v, jax.tree.map(jnp.zeros_like, start), jnp.array([0.1, 0.0])
    )
    runs = [
        jn.simulate(jn.Noisy(cell, strength), start, key=jax.random.key(seed), **SHORT).ys.v
        for seed in (0, 1)
    ]
    first, second = (np.asarray(v) - rest_by_hand() for v in runs)
    # In one of 8 steps of 0.025 ms there is little leak yet.
    assert 0.02 < first[1:, 0].std() < 1
    assert np.abs(first - second)[1:, 0].min() > 0
    # The dendrite has no noise of its own, but that of the soma.
    assert 0 < first[1:, 1].std() < first[1:, 0].std()


def test_a_cell_runs_in_float32():
    with jax.enable_x64(False):
        cell = models.ball_and_stick()
        current = inputs.Pulse(onset=5.0, duration=40.0, value=0.1)
        run = jn.simulate(
            cell,
            cell.resting_state(),
            t1=15.0,
            u=current,
            method=STAGGERED,
            save=EVERY_SECOND,
        )
        leaves = jax.tree.leaves(eqx.filter(run, eqx.is_inexact_array))
        assert {leaf.dtype.name for leaf in leaves} == {"float32"}
    for k, place in enumerate(("soma", "dendrite")):
        expected = reference("single")[f"clamp_{place}"][:301]
        assert_close(np.asarray(run.ys.v[:, k], float), expected, 0.02)
    assert int(run.spikes.count) == 1


# Bad cells, inputs, states and projections.

LEAK = mechanisms.Leak()


def stick_of(mechanisms=None, **kwargs):
    morphology = models.ball_and_stick().morphology
    return models.Cell(morphology, mechanisms or {"leak": LEAK}, **kwargs)


def run_of(cell, *, size=None, y0=None, u=None):
    y0 = cell.resting_state(size) if y0 is None else y0
    return jn.simulate(cell, y0, t1=DT, u=u, method=STAGGERED)


def onto(neuron, compartment):
    return models.Network(
        {
            "cell": models.Population(neuron, 1),
            "source": models.Population(models.SpikeSource(), 1),
        },
        {
            "kick": models.Projection(
                "source", "cell", couplings.OneToOne(1.0, size=1), compartment=compartment
            )
        },
    )


def wrong_shape(name, value):
    """Refused when it is made, or at the latest when it is run."""
    return lambda: run_of(stick_of(**{name: value}), size=2)


ONE_NUMBER = "must be one number, or have the shape"
BAD = {
    "no morphology": (
        lambda: models.Cell({"soma": models.Branch(1.0, 1.0)}, {"leak": LEAK}),
        "`morphology` must be a `Morphology`",
    ),
    "no mechanisms": (
        lambda: models.Cell(models.ball_and_stick().morphology, {}),
        r"`mechanisms` is no dictionary.*\{'leak': jaxnet.mechanisms.Leak\(\)\}",
    ),
    "a mechanism without a name": (
        lambda: models.Cell(models.ball_and_stick().morphology, LEAK),
        r"`mechanisms` is no dictionary.*\{'leak': jaxnet.mechanisms.Leak\(\)\}",
    ),
    "no mechanism": (
        lambda: stick_of({"leak": (1e-4, "soma")}),
        r"`mechanisms\['leak'\]` must be one of `jaxnet.mechanisms`.*such as `Leak\(\)`",
    ),
    "a list for a pair": (
        lambda: stick_of({"leak": [LEAK, "soma"]}),
        r"`mechanisms\['leak'\]` must be one of `jaxnet.mechanisms`",
    ),
    "an unknown branch": (
        lambda: stick_of({"leak": (LEAK, "axon")}),
        r"\['axon'\] names no branch.*The branches are \['soma', 'dendrite'\]",
    ),
    "one unknown branch": (
        lambda: stick_of({"leak": (LEAK, ["soma", "axon"])}),
        r"\['axon'\] names no branch.*The branches are \['soma', 'dendrite'\]",
    ),
    "no resistivity": (
        lambda: stick_of(axial_resistivity=0.0),
        "`axial_resistivity` of `Cell` must be positive.*Pass a positive",
    ),
    "a negative capacitance": (
        lambda: stick_of(capacitance=-1.0),
        "`capacitance` of `Cell` must be positive.*Pass a positive",
    ),
    "a mechanism of other compartments": (
        lambda: stick_of({"leak": mechanisms.Leak(jnp.ones(3))}),
        rf"`conductance` of `mechanisms\['leak'\]` {ONE_NUMBER} \(2,\)",
    ),
    "a mechanism of a region": (
        lambda: stick_of({"leak": (mechanisms.Leak(jnp.ones(2)), "soma")}),
        rf"`conductance` of `mechanisms\['leak'\]` {ONE_NUMBER} \(1,\)",
    ),
    **{
        f"{name} of other compartments": (
            wrong_shape(name, jnp.ones(3)),
            f"`{name}` of `Cell` must",
        )
        for name in ("capacitance", "axial_resistivity", "threshold", "initial_potential")
    },
    "a capacitance of other cells": (
        lambda: models.Population(stick_of(capacitance=jnp.ones((1, 3))), 2),
        r"`capacitance` of `Cell` must be one number, or.*\(2, 2\)",
    ),
    "an input of other compartments": (
        lambda: run_of(models.ball_and_stick(), u=jnp.ones(3)),
        "`u`.*(one number|`inject`)",
    ),
    "an input of other cells": (
        lambda: run_of(models.ball_and_stick(), size=2, u=jnp.ones(3)),
        "`u`.*(one number|one a cell|`inject`)",
    ),
    "an input of other cells and compartments": (
        lambda: run_of(models.ball_and_stick(), size=2, u=jnp.ones((2, 3))),
        "`u`.*(one number|one a cell|`inject`)",
    ),
    "a current into no branch": (
        lambda: models.ball_and_stick().inject(0.1, "axon"),
        r"`branch` must be one of \['soma', 'dendrite'\], not 'axon'",
    ),
    "a current past the end": (
        lambda: models.ball_and_stick().inject(0.1, "dendrite", 1.5),
        "`position` must lie between 0.*and 1.*1.5",
    ),
    "a number as the state": (
        lambda: run_of(models.ball_and_stick(), y0=-65.0),
        "`y0`.*`CellState`.*`resting_state`",
    ),
    "a state of other compartments": (
        lambda: run_of(
            models.ball_and_stick(), y0=models.ball_and_stick(segments=2).resting_state()
        ),
        "`y0`.*(`resting_state`|`state_at`)",
    ),
    "voltages of other compartments": (
        lambda: models.ball_and_stick().state_at(jnp.zeros(3)),
        r"`v`.*\(2,\)",
    ),
    "a compartment of a point": (
        lambda: onto(models.LIF(), 0),
        "'kick': `compartment` is 0.*a `LIF` has none.*Leave it out",
    ),
    "a compartment of a point cell": (
        lambda: onto(models.PointCell({"leak": LEAK}), 1),
        "'kick': `compartment` is 1.*a `PointCell` has none.*Leave it out",
    ),
    **{
        f"compartment {k} of two": (
            lambda k=k: onto(models.ball_and_stick(), k),
            f"'kick': `compartment` must be a number.*{k}.*`Morphology.compartment`",
        )
        for k in (2, -3)
    },
}


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", BAD)
def test_what_is_bad_is_told_with_its_remedy(name):
    make, message = BAD[name]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make()
