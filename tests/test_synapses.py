"""Synapses in small networks against closed forms, scipy, and finite differences."""

import functools
import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxnet as jn
from jaxnet import models
from jaxnet.models import AlphaSynapse, ExponentialSynapse, VoltageJump


DT, T1 = 0.1, 40.0
STEPS = round(T1 / DT)
SOURCES, TARGETS, SPIKES = 6, 4, 60
NAN = float("nan")

# A unit fires at most once in a step: draw from all pairs of a step and a unit.
RNG = np.random.default_rng(2)
PLACES = RNG.choice((STEPS - 1) * SOURCES, SPIKES, replace=False)
SPIKE_STEPS, SPIKE_UNITS = PLACES // SOURCES + 1, PLACES % SOURCES
WEIGHTS = RNG.normal(size=(TARGETS, SOURCES))
TRAIN = jn.inputs.SpikeTrain(SPIKE_STEPS * DT, SPIKE_UNITS, size=SOURCES)

# Of the targets. In the last one the synapse is as slow as the membrane.
TAU = np.array([10.0, 20.0, 3.0, 5.0])
TAU_SYNAPSE = np.array([5.0, 0.5, 8.0, 5.0])
RESISTANCE = np.array([1.0, 2.0, 0.5, 3.0])
NEVER = 1e9


def membrane(**options):
    return models.LIF(
        **({"tau": TAU, "resistance": RESISTANCE, "threshold": NEVER} | options)
    )


def network_of(synapses, neuron=None, weights=WEIGHTS):
    """A population of targets for each synapse, all fed by the same sources."""
    neuron = membrane() if neuron is None else neuron
    coupling = jn.couplings.Dense(weights)
    population = models.Population(neuron, weights.shape[0])
    return models.Network(
        {"source": models.Population(models.SpikeSource(), weights.shape[1])}
        | dict.fromkeys(synapses, population),
        {
            name: models.Projection("source", name, coupling, synapse)
            for name, synapse in synapses.items()
        },
    )


def run(network, solver, train=TRAIN, **options):
    return jn.simulate(
        network,
        network.initial_state(),
        t1=T1,
        u={"source": train},
        method=jn.Grid(DT, solver, record=jn.RecordCounts()),
        **options,
    )


def summed(kernel):
    """The sum of a kernel over all spikes, weighted: shape (times, targets)."""
    after = np.arange(STEPS + 1)[:, None, None] - SPIKE_STEPS[:, None]
    values = np.where(after >= 0, kernel(np.maximum(after, 0) * DT), 0.0)
    return np.einsum("tsk,ks->tk", values, WEIGHTS[:, SPIKE_UNITS])


IS_EQUAL = TAU == TAU_SYNAPSE
GAP = np.where(IS_EQUAL, 1.0, 1 / TAU - 1 / TAU_SYNAPSE)


def response_to_exponential(t):
    """Of tau v' = -v + R e^{-t / tau_s}."""
    fast, slow = np.exp(-t / TAU_SYNAPSE), np.exp(-t / TAU)
    return RESISTANCE / TAU * np.where(IS_EQUAL, t * slow, (fast - slow) / GAP)


def response_to_alpha(t):
    """Of tau v' = -v + R (t / tau_s) e^{1 - t / tau_s}."""
    fast, slow = np.exp(-t / TAU_SYNAPSE), np.exp(-t / TAU)
    different = t * fast / GAP + (slow - fast) / GAP**2
    shape = np.where(IS_EQUAL, t**2 / 2 * slow, different)
    return RESISTANCE * math.e / (TAU * TAU_SYNAPSE) * shape


# The kernel and the voltage that it gives.
CURRENTS = {
    "jump": (VoltageJump(), None, lambda t: np.exp(-t / TAU)),
    "exponential": (
        ExponentialSynapse(TAU_SYNAPSE),
        lambda t: np.exp(-t / TAU_SYNAPSE),
        response_to_exponential,
    ),
    "alpha": (
        AlphaSynapse(TAU_SYNAPSE),
        lambda t: t / TAU_SYNAPSE * np.exp(1 - t / TAU_SYNAPSE),
        response_to_alpha,
    ),
}


@pytest.fixture(scope="module")
def currents():
    synapses = {name: synapse for name, (synapse, _, _) in CURRENTS.items()}
    return run(network_of(synapses), jn.Exponential())


def test_the_sources_fire_as_they_were_told(currents):
    expected = np.bincount(SPIKE_UNITS, minlength=SOURCES)
    assert currents.spikes.count[:SOURCES].tolist() == expected.tolist()
    assert not currents.spikes.count[SOURCES:].any()


@pytest.mark.parametrize("name", CURRENTS)
def test_the_voltage_is_the_sum_of_the_closed_forms_of_all_spikes(currents, name):
    expected = summed(CURRENTS[name][2])
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(currents.ys.neurons[name], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["exponential", "alpha"])
def test_the_kernel_is_the_closed_form_summed_over_all_spikes(currents, name):
    state = currents.ys.synapses[name]
    kernel = state if name == "exponential" else state[0]
    np.testing.assert_allclose(kernel, summed(CURRENTS[name][1]), rtol=0, atol=1e-12)


# Of the targets: excitatory, inhibitory, shunting, excitatory (mV).
REVERSAL = np.array([0.0, -80.0, -70.0, 10.0])
REST, CONDUCTANCES = -65.0, 0.3 * np.abs(WEIGHTS)
CONDUCTING = {
    "exponential": ExponentialSynapse(TAU_SYNAPSE, reversal_potential=REVERSAL),
    "alpha": AlphaSynapse(TAU_SYNAPSE, reversal_potential=REVERSAL),
}


@functools.cache
def conductances(solver):
    neuron = membrane(resting_potential=REST)
    return run(network_of(CONDUCTING, neuron, CONDUCTANCES), solver)


@functools.cache
def conductances_by_scipy(name):
    """The voltages at the times of the grid, spike by spike; x feeds the kernel g."""

    def flow(t, y):
        v, g, x = y.reshape(3, TARGETS)
        dv = (REST - v + RESISTANCE * g * (REVERSAL - v)) / TAU
        dg = (x - g if name == "alpha" else -g) / TAU_SYNAPSE
        return np.concatenate([dv, dg, -x / TAU_SYNAPSE])

    y = np.concatenate([np.full(TARGETS, REST), np.zeros(2 * TARGETS)])
    voltages = [y[None, :TARGETS]]
    ends = [*np.unique(SPIKE_STEPS), STEPS]
    for start, end in zip([0, *ends], ends, strict=False):
        steps = np.arange(start, end + 1)
        span = steps[0] * DT, steps[-1] * DT
        options = {"t_eval": steps[1:] * DT, "rtol": 1e-10, "atol": 1e-10}
        between = solve_ivp(flow, span, y, method="DOP853", **options).y
        voltages.append(between[:TARGETS].T)
        y = between[:, -1].copy()
        arrived = CONDUCTANCES[:, SPIKE_UNITS[end == SPIKE_STEPS]].sum(axis=1)
        into = slice(2 * TARGETS, None) if name == "alpha" else slice(TARGETS, 2 * TARGETS)
        y[into] += math.e * arrived if name == "alpha" else arrived
    return np.concatenate(voltages)


@pytest.mark.parametrize("name", CONDUCTING)
def test_the_voltage_with_conductances_is_that_of_scipy(name):
    expected = conductances_by_scipy(name)
    assert np.ptp(expected, axis=0).min() > 1.0
    found = conductances(diffrax.Tsit5()).ys.neurons[name]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CONDUCTING)
def test_exponential_steps_with_conductances_are_of_first_order(name):
    expected = conductances_by_scipy(name)
    found = conductances(jn.Exponential()).ys.neurons[name]
    # Of first order in the step: what is frozen in it changes by dt / tau.
    error = np.abs(found - expected).max(axis=0)
    assert np.all(error < DT / TAU_SYNAPSE * np.ptp(expected, axis=0))


def all_on_one(x):
    """The voltage of one neuron at last, and on the way; every synapse leads to it."""
    synapses = {
        "jump": VoltageJump(),
        "exponential": ExponentialSynapse(x[5]),
        "alpha": AlphaSynapse(x[6]),
        "excitatory": ExponentialSynapse(x[7], reversal_potential=x[9]),
        "inhibitory": AlphaSynapse(x[8], reversal_potential=x[10]),
    }
    neuron = models.LIF(tau=x[11], threshold=NEVER, resistance=x[12])
    network = models.Network(
        {
            "source": models.Population(models.SpikeSource(), SOURCES),
            "target": models.Population(neuron, 1),
        },
        {
            name: models.Projection(
                "source",
                "target",
                jn.couplings.AllToAll(x[i], sources=SOURCES, targets=1),
                synapse,
            )
            for i, (name, synapse) in enumerate(synapses.items())
        },
    )
    v = run(network, diffrax.Euler(), save=jn.SaveAt(steps=100)).ys.neurons["target"]
    return v[:, 0]


# The weights, one a synapse; their time constants; E; the membrane's tau and R.
POINT = np.array([0.3, 0.7, -0.4, 0.05, 0.1, 4.0, 2.5, 1.5, 6.0, 5.0, -2.0, 8.0, 1.3])
STEP = 1e-5


@functools.cache
def differences():
    """The voltages as they are, and their central differences."""
    steps = STEP * np.eye(len(POINT))
    points = np.concatenate([POINT[None], POINT + steps, POINT - steps])
    v = np.asarray(jax.jit(jax.vmap(all_on_one))(points))
    up, down = np.split(v[1:], 2)
    return v[0], ((up - down) / (2 * STEP)).T


@functools.cache
def derivatives():
    """The voltages, and their derivatives along a direction and of a weighted sum."""
    rng = np.random.default_rng(3)
    direction, weights = rng.normal(size=len(POINT)), rng.normal(size=4)

    @jax.jit
    def both(x, direction, weights):
        v, forward = jax.jvp(all_on_one, (x,), (direction,))
        return v, forward, jax.vjp(all_on_one, x)[1](weights)[0]

    return direction, weights, *both(POINT, direction, weights)


def test_a_batch_of_networks_gives_what_one_gives_alone():
    np.testing.assert_allclose(differences()[0], derivatives()[2], rtol=1e-12)


def test_the_derivatives_equal_finite_differences_in_both_modes():
    _, jacobian = differences()
    direction, weights, _, forward, backward = derivatives()
    assert np.abs(jacobian).max(axis=0).min() > 1e-3
    scale = np.abs(jacobian).max()
    np.testing.assert_allclose(forward, jacobian @ direction, rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(backward, weights @ jacobian, rtol=0, atol=1e-7 * scale)


CONSTANTS = np.array([0.01, 0.1, 0.5, 2.0, 5.0])


@pytest.fixture(scope="module")
def one_spike():
    """After one spike at 1 ms, for each time constant: kernels of weight -3, voltages."""

    def of_constant(tau):
        # A current of weight w brings the charge w tau, by which 10 ms * v would jump.
        synapses = {
            "alpha": (AlphaSynapse(tau), -3.0),
            "current": (ExponentialSynapse(tau), 10.0 / tau),
            "jump": (VoltageJump(), 1.0),
        }
        target = models.Population(models.LIF(tau=10.0, threshold=NEVER), 1)
        source = models.Population(models.SpikeSource(), 1)
        network = models.Network(
            {"source": source} | dict.fromkeys(synapses, target),
            {
                name: models.Projection(
                    "source", name, jn.couplings.OneToOne(weight, size=1), synapse
                )
                for name, (synapse, weight) in synapses.items()
            },
        )
        train = jn.inputs.SpikeTrain([1.0], [0], size=1)
        ys = run(network, jn.Exponential(), train).ys
        return ys.synapses["alpha"][0][:, 0], ys.neurons

    return jax.jit(jax.vmap(of_constant))(CONSTANTS)


def test_a_batch_of_time_constants_gives_the_closed_form_of_each(one_spike):
    t = np.maximum(np.arange(STEPS + 1) - 10, 0) * DT / CONSTANTS[:, None]
    np.testing.assert_allclose(one_spike[0], -3 * t * np.exp(1 - t), rtol=0, atol=1e-12)


def test_an_alpha_kernel_reaches_the_weight_of_the_spike_after_its_time_constant(one_spike):
    kernels = np.asarray(one_spike[0])[1:]
    peaks = np.argmin(kernels, axis=1)
    assert peaks.tolist() == [11, 15, 30, 60]
    np.testing.assert_allclose(kernels[range(4), peaks], -3.0, rtol=1e-12)


def test_a_fast_current_is_a_jump_of_the_voltage(one_spike):
    voltages = one_spike[1]
    assert float(voltages["jump"][0, 10, 0]) == pytest.approx(1.0, rel=1e-12)
    error = np.abs(voltages["current"] / voltages["jump"] - 1)[:3, 200, 0]
    # Long after the spike v is larger by the factor 1 / (1 - tau / 10 ms).
    np.testing.assert_allclose(error, CONSTANTS[:3] / (10.0 - CONSTANTS[:3]), rtol=1e-6)


def test_what_arrives_in_a_refractory_period_is_lost_if_the_voltage_is_held():
    targets = {"held": True, "blocked": False}
    neurons = {
        name: models.LIF(refractory_period=5.0, hold_voltage=hold)
        for name, hold in targets.items()
    }
    network = models.Network(
        {"source": models.Population(models.SpikeSource(), 1)}
        | {name: models.Population(neuron, 1) for name, neuron in neurons.items()},
        {
            name: models.Projection("source", name, jn.couplings.OneToOne(1.5, size=1))
            for name in neurons
        },
    )
    # The first spike is felt in the next step, and lets both fire at 1.1 ms.
    train = jn.inputs.SpikeTrain([1.0, 3.0, 8.0], [0, 0, 0], size=1)
    solution = jn.simulate(
        network,
        network.initial_state(),
        t1=12.0,
        u={"source": train},
        method=jn.Grid(DT, jn.Exponential()),
    )
    valid = np.asarray(solution.spikes.valid)
    steps = np.rint(np.asarray(solution.spikes.time)[valid] / DT)
    unit = np.asarray(solution.spikes.index)[valid]
    v = solution.ys.neurons
    assert steps[unit == 0].tolist() == [10, 30, 80]
    # 1.1 ms + 5 ms: the clock is over, and v is 1.5 e^{-0.31} = 1.1 where it was not held.
    assert steps[unit == 1].tolist() == [11, 81]
    assert steps[unit == 2].tolist() == [11, 61, 111]
    assert float(v["held"][30, 0]) == 0.0
    assert float(v["blocked"][30, 0]) == pytest.approx(1.5, rel=1e-12)


def test_a_jump_reaches_the_voltage_of_a_neuron_with_adaptation_and_not_its_w():
    network = network_of({"e": VoltageJump()}, models.Izhikevich(), np.array([[2.0, 0.5]]))
    state = network.initial_state(e=(-60.0, -12.0))
    arrivals = (jnp.array([1.0, 0.0, 0.0]),)
    after = network.receive(0.0, state, arrivals, None).neurons["e"]
    assert [x.tolist() for x in after] == [[-58.0], [-12.0]]


SYNAPSES = {"ExponentialSynapse": ExponentialSynapse, "AlphaSynapse": AlphaSynapse}


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("tau", [0.0, -2.0, [1.0, -1.0]])
def test_a_time_constant_that_is_not_positive_is_refused(name, tau):
    message = f"`tau` of `{name}` must be positive.*Pass a positive value"
    with pytest.raises(ValueError, match=message):
        SYNAPSES[name](tau)


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("key", ["tau", "reversal_potential"])
def test_a_parameter_that_is_nan_is_refused_by_its_name(name, key):
    with pytest.raises(ValueError, match=rf"`{name}\.{key}` is NaN"):
        SYNAPSES[name](**{key: NAN})


@pytest.mark.parametrize("key", ["tau", "reversal_potential"])
def test_a_parameter_for_another_number_of_targets_is_refused_by_its_name(key):
    synapse = ExponentialSynapse(**({"reversal_potential": 0.0} | {key: np.ones(3)}))

    def run_network():
        return run(network_of({"e": synapse}, models.LIF()), diffrax.Euler())

    with pytest.raises(ValueError, match=f"`{key}`"):
        run_network()
