"""The spiking sheet against its source, written out one conductance a synapse."""

import functools
from fractions import Fraction

import _literal_sheet as literal
import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.couplings import TorusGaussian
from jaxnet.models import SheetState, SpikingSheet


DT = 0.5
# 30 ms of noise, and 100 ms without.
ON, STEPS = 60, 260
NUMBERS = {
    "w_e": (1.5, 0.5),
    "w_i": (0.2, 0.1),
    "sigma_e": 4.0,
    "sigma_i": 8.0,
    "taps_e": 15,
    "taps_i": 9,
}
# With short refractory periods the other numbers end in a seizure of all cells.
CALM = NUMBERS | {"w_e": (0.5, 0.5), "w_i": (0.2, 0.2), "sigma_e": 2.0}
# As the source has them.
SOURCE = {
    "w_e": (0.12, 0.12),
    "w_i": (0.06, 0.06),
    "sigma_e": 18.0,
    "sigma_i": 400.0,
    "taps_e": 31,
    "taps_i": 41,
}


def sheet_of(n_e, n_i, rp, numbers, **others):
    return SpikingSheet(
        TorusGaussian(numbers["sigma_e"], size=n_e, taps=numbers["taps_e"]),
        TorusGaussian(numbers["sigma_i"], size=n_i, taps=numbers["taps_i"]),
        w_e=jnp.array(numbers["w_e"]),
        w_i=jnp.array(numbers["w_i"]),
        refractory_period=jnp.array(rp),
        **others,
    )


RASTER = jn.Grid(DT, record=jn.RecordRaster())


@eqx.filter_jit
def run(sheet, noise):
    """Voltages, spikes and conductances after each step, named as in the source."""
    solution = jn.simulate(
        sheet,
        sheet.initial_state(),
        t1=len(noise[0]) * DT,
        u=jn.inputs.Sampled(noise, DT),
        method=RASTER,
        save=jn.SaveAt(steps=1),
    )
    (ee, ie), (ei, ii) = jax.vmap(sheet.conductances)(solution.ys)
    spike_e, spike_i = sheet.lattices(solution.spikes.unpack())
    return {
        "v_e": solution.ys.v_e,
        "v_i": solution.ys.v_i,
        "spike_e": spike_e,
        "spike_i": spike_i,
        "ee": ee,
        "ie": ie,
        "ei": ei,
        "ii": ii,
    }


def assert_same(found, expected, atol):
    assert found.keys() == expected.keys()
    for name in ("spike_e", "spike_i"):
        np.testing.assert_array_equal(found[name], expected[name])
        # The activity survives the noise.
        assert expected[name][-40:].sum() > 0
    for name, x in expected.items():
        if not name.startswith("spike"):
            np.testing.assert_allclose(found[name], x, rtol=0, atol=atol, err_msg=name)


# Between steps of the grid and on them, less than one step, and a pair.
PERIODS = [0.3, 0.5, 2.0, 5.2, 5.5, 5.8, 6.0, 7.0, 8.3, (6.0, 5.2), (5.5, 7.0)]


@pytest.mark.parametrize("rp", PERIODS)
def test_the_sheet_is_its_source_synapse_by_synapse(rp):
    """Both kinds of taps wind around: 15 on 12 excitatory cells, 9 on 6 inhibitory."""
    rp = rp if isinstance(rp, tuple) else (rp, rp)
    numbers = CALM if rp[0] < 3 else NUMBERS
    noise = literal.burst(12, 6, STEPS, ON)
    expected = literal.run(*noise, rp=rp, dt=DT, **numbers)
    found = run(sheet_of(12, 6, rp, numbers), tuple(noise))
    assert_same(found, expected, 1e-13)


def test_lattices_of_one_size_are_the_source_too():
    noise = literal.burst(9, 9, STEPS, ON, seed=1)
    rp = (5.5, 6.0)
    expected = literal.run(*noise, rp=rp, dt=DT, **NUMBERS)
    found = run(sheet_of(9, 9, rp, NUMBERS), tuple(noise))
    assert_same(found, expected, 1e-13)


def test_a_ratio_of_three_and_one_number_for_both_kinds_of_cell():
    noise = literal.burst(12, 4, STEPS, ON, seed=1)
    numbers = NUMBERS | {"w_e": (0.7, 0.7), "w_i": (0.1, 0.1)}
    expected = literal.run(*noise, rp=(5.5, 5.5), dt=DT, **numbers)
    excitation = TorusGaussian(4.0, size=12, taps=15)
    inhibition = TorusGaussian(8.0, size=4, taps=9)
    sheet = SpikingSheet(excitation, inhibition, w_e=0.7, w_i=0.1, refractory_period=5.5)
    assert_same(run(sheet, tuple(noise)), expected, 1e-13)


def test_large_lattices_with_the_numbers_of_the_source():
    """66 cells take Fourier transforms, 33 matrices, and the reference matrices for all."""
    noise = literal.burst(66, 33, STEPS, ON)
    reduced = literal.ReducedSynapses
    expected = literal.run(*noise, rp=(6.0, 6.0), dt=DT, synapses=reduced, **SOURCE)
    found = run(sheet_of(66, 33, (6.0, 6.0), SOURCE), tuple(noise))
    assert_same(found, expected, 1e-12)


def test_the_reduced_reference_is_the_one_with_a_conductance_a_synapse():
    noise = literal.burst(12, 6, 120, ON)
    run_ = functools.partial(literal.run, *noise, rp=(5.2, 6.0), dt=DT, **NUMBERS)
    full, reduced = run_(), run_(synapses=literal.ReducedSynapses)
    for name, x in full.items():
        np.testing.assert_allclose(reduced[name], x, rtol=0, atol=1e-13)


def test_without_numbers_it_is_that_of_the_source():
    sheet = SpikingSheet()
    assert (sheet.excitation.size, sheet.inhibition.size, sheet.ratio) == (150, 75, 2)
    assert (sheet.excitation.taps, sheet.inhibition.taps) == (101, 101)
    assert (float(sheet.excitation.sigma), float(sheet.inhibition.sigma)) == (18.0, 400.0)
    assert (float(sheet.w_e), float(sheet.w_i)) == (0.12, 0.06)
    assert (float(sheet.capacitance), float(sheet.leak_conductance)) == (1.0, 0.05)
    assert float(sheet.resting_potential) == float(sheet.reset_potential) == -70.0
    assert (float(sheet.threshold), float(sheet.tau)) == (-50.0, 3.0)
    assert (float(sheet.reversal_e), float(sheet.reversal_i)) == (0.0, -80.0)
    assert (float(sheet.pulse), 4.0 <= float(sheet.refractory_period) <= 9.0) == (0.5, True)
    y = sheet.initial_state()
    assert y.v_e.shape == y.s_e.shape == (150, 150)
    assert y.v_i.shape == y.s_i.shape == (75, 75)
    assert np.all(np.asarray(y.v_e) == -70.0)
    assert np.all(np.asarray(y.v_i) == -70.0)
    assert not np.any(y.s_e)
    assert not np.any(y.s_i)


def test_units_are_the_excitatory_cells_row_by_row_then_the_inhibitory_ones():
    sheet = sheet_of(4, 2, (5.0, 5.0), NUMBERS)
    y = sheet.initial_state()
    y = eqx.tree_at(lambda y: y.v_e, y, y.v_e.at[1, 2].set(0.0))
    y = eqx.tree_at(lambda y: y.v_i, y, y.v_i.at[1, 0].set(0.0))
    spikes = jn.simulate(sheet, y, t1=DT, method=jn.Grid(DT)).spikes
    assert spikes.index[spikes.valid].tolist() == [1 * 4 + 2, 16 + 1 * 2]
    e, i = sheet.lattices(jnp.arange(20))
    assert e.tolist() == np.arange(16).reshape(4, 4).tolist()
    assert i.tolist() == np.arange(16, 20).reshape(2, 2).tolist()
    e, i = sheet.lattices(jnp.zeros((3, 20)))
    assert (e.shape, i.shape) == ((3, 4, 4), (3, 2, 2))


# The refractory steps.


@pytest.mark.parametrize("dt", ["0.5", "0.1", "0.25", "0.3"])
def test_refractory_steps_are_counted_in_whole_numbers(dt):
    """Held while less than p has passed, blocked while at most p has."""
    sheet = sheet_of(4, 2, (5.0, 5.0), NUMBERS)
    step = Fraction(dt)
    periods = [step * Fraction(k, 20) for k in range(1, 500)]
    periods += [Fraction(str(p)) for p in (0.3, 4.0, 5.2, 5.5, 6.0, 7.2, 7.5, 8.5, 9.0)]
    held, blocked = [], []
    for p in periods:
        steps = range(int(p / step) + 3)
        held.append(sum(k * step < p for k in steps))
        blocked.append(sum(k * step <= p for k in steps))

    @jax.vmap
    def counts(p):
        at = eqx.tree_at(lambda s: s.refractory_period, sheet, p)
        return at.refractory_steps(float(dt))

    steps = counts(jnp.array([float(p) for p in periods]))
    for of_kind in (*steps.held, *steps.blocked):
        assert of_kind.shape == (len(periods),)
    assert [x.tolist() for x in steps.held] == [held, held]
    assert [x.tolist() for x in steps.blocked] == [blocked, blocked]


def test_a_pair_of_periods_gives_the_steps_of_each_kind():
    steps = sheet_of(4, 2, (5.2, 6.0), NUMBERS).refractory_steps(DT)
    assert [int(x) for x in steps.held] == [11, 12]
    assert [int(x) for x in steps.blocked] == [11, 13]


def test_other_models_hold_and_block_for_the_same_steps():
    lif = jn.models.LIF(refractory_period=jnp.array([0.3, 0.5, 1.2]))
    steps = lif.refractory_steps(0.1)
    assert steps.held.tolist() == steps.blocked.tolist() == [3, 5, 12]


@pytest.mark.parametrize("rp", [0.3, 0.5, 1.9, 2.0, 2.1])
def test_a_driven_cell_fires_again_when_more_than_the_period_has_passed(rp):
    """A current so strong that each free step crosses the threshold."""
    sheet = SpikingSheet(*couplings_of(1, 1), w_e=0.0, w_i=0.0, refractory_period=rp)
    found = run(sheet, (jnp.full((30, 1, 1), 1000.0), jnp.zeros((30, 1, 1))))
    fired = np.flatnonzero(found["spike_e"])
    gap = next(k for k in range(100) if k * Fraction("0.5") > Fraction(str(rp)))
    assert fired.tolist() == list(range(0, 30, gap))
    # With p of whole steps it is let go a step before it may fire.
    is_free = np.asarray(found["v_e"]).ravel() > -50.0
    assert is_free.any() == (Fraction(str(rp)) % Fraction("0.5") == 0)


def couplings_of(n_e, n_i):
    return TorusGaussian(2.0, size=n_e, taps=5), TorusGaussian(8.0, size=n_i, taps=5)


# What a spike opens does not depend on the step.


@pytest.mark.parametrize("dt", [0.5, 0.1])
def test_the_area_under_the_conductance_of_a_spike_is_its_weight_times_the_pulse(dt):
    pulse = 0.7
    sheet = SpikingSheet(
        *couplings_of(4, 2), w_e=0.3, w_i=0.2, pulse=pulse, threshold=100.0
    )
    y = sheet.initial_state()
    y = eqx.tree_at(lambda y: y.v_e, y, y.v_e.at[1, 2].set(200.0))
    y = eqx.tree_at(lambda y: y.v_i, y, y.v_i.at[0, 1].set(200.0))
    steps = round(15.0 / dt)
    solution = jn.simulate(sheet, y, t1=steps * dt, method=jn.Grid(dt))
    assert int(solution.spikes.count) == 2
    (ee, ie), (ei, ii) = jax.vmap(sheet.conductances)(solution.ys)
    # Euler's decay is geometric, (1 - dt / tau)^m, and the sum over all m is tau / dt.
    area = pulse * (1 - (1 - dt / 3.0) ** steps)
    kernel_e = np.roll(sheet.excitation.kernel(), (1, 2), (0, 1))
    kernel_i = np.roll(sheet.inhibition.kernel(), (0, 1), (0, 1))
    expected = [
        (ee, 0.3 * kernel_e),
        (ei, 0.3 * kernel_e[::2, ::2]),
        (ii, 0.2 * kernel_i),
        (ie, 0.2 * np.kron(kernel_i, np.ones((2, 2)))),
    ]
    for g, weight in expected:
        np.testing.assert_allclose(g.sum(axis=0) * dt, weight * area, rtol=0, atol=1e-13)


def test_the_step_of_the_source_is_a_pulse_of_one_step():
    """With another step and a pulse of that step, the sheet is its source again."""
    dt = 0.25
    noise = literal.burst(9, 9, 200, 80, high=6.0)
    numbers = NUMBERS | {"w_e": (4.0, 2.0)}
    expected = literal.run(*noise, rp=(5.2, 6.0), dt=dt, **numbers)
    sheet = sheet_of(9, 9, (5.2, 6.0), numbers, pulse=dt)
    solution = jn.simulate(
        sheet,
        sheet.initial_state(),
        t1=200 * dt,
        u=jn.inputs.Sampled(tuple(noise), dt),
        method=jn.Grid(dt, record=jn.RecordRaster()),
        save=jn.SaveAt(steps=1),
    )
    spike_e, spike_i = sheet.lattices(solution.spikes.unpack())
    np.testing.assert_array_equal(spike_e, expected["spike_e"])
    np.testing.assert_array_equal(spike_i, expected["spike_i"])
    assert min(expected["spike_e"][80:].sum(), expected["spike_i"][80:].sum()) > 0
    np.testing.assert_allclose(solution.ys.v_e, expected["v_e"], rtol=0, atol=1e-13)


# Batches.


def noisy_run(rp, key):
    sheet = sheet_of(6, 3, (5.0, 5.0), NUMBERS)
    sheet = eqx.tree_at(lambda s: s.refractory_period, sheet, rp)
    noise = lambda n: jn.inputs.UniformNoise(0.0, 5.0, shape=(n, n))
    return jn.simulate(
        sheet,
        sheet.initial_state(),
        t1=40.0,
        u=(noise(6), noise(3)),
        method=RASTER,
        save=jn.SaveAt(t1=True),
        key=key,
    )


def test_a_batch_of_periods_and_keys_gives_each_run_alone():
    keys = jax.random.split(jax.random.key(3), 4)
    periods = jnp.array([0.3, 5.2, 5.5, 6.0])
    together = jax.jit(jax.vmap(noisy_run))(periods, keys)
    assert len({bytes(np.asarray(bits)) for bits in together.spikes.bits}) == 4
    alone = jax.jit(noisy_run)
    for i, (period, key) in enumerate(zip(periods, keys, strict=True)):
        one = alone(period, key)
        np.testing.assert_array_equal(together.spikes.bits[i], one.spikes.bits)
        pairs = zip(jax.tree.leaves(together.ys), jax.tree.leaves(one.ys), strict=True)
        for many, single in pairs:
            np.testing.assert_allclose(many[i], single, rtol=0, atol=1e-12)


# Derivatives.

SHORT = 20
SURROGATE = jn.surrogate.FastSigmoid(0.5)


def drive_of(n_e, n_i, seed=2):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(15.0 * rng.random((SHORT, n, n))) for n in (n_e, n_i))


def circulant(coupling):
    """Every weight of a coupling, one by one."""
    n, half = coupling.size, coupling.taps // 2
    d = np.arange(-half, half + 1)
    taps = np.zeros((len(d), n, n))
    for tap, shift in zip(taps, d, strict=True):
        tap[np.arange(n), (np.arange(n) + shift) % n] = 1.0
    profile = jnp.exp(-(d**2) / coupling.sigma)
    return jnp.tensordot(profile, jnp.asarray(taps), 1)


def end_by_hand(sheet, drive, slope):
    """The source as a loop, its spikes 1 or 0 with the slope of a surrogate."""
    k_e, k_i = circulant(sheet.excitation), circulant(sheet.inhibition)
    (ee, ei), (ie, ii) = sheet.w_e, sheet.w_i

    def move(v, g_e, g_i, u, since, held, blocked):
        current = g_e * (0.0 - v) + g_i * (-80.0 - v) + u
        moved = v + DT * (-0.05 * (v + 70.0) + current)
        moved = jnp.where(since < held, v, moved)
        spike = jnp.where(since < blocked, 0.0, slope(moved + 50.0))
        since = jnp.where(spike > 0.5, 0, since)
        return (1 - spike) * moved + spike * -70.0, spike, since + 1

    def step(carry, u):
        (v_e, v_i, s_e, s_i), (since_e, since_i), count = carry
        opened = jnp.repeat(jnp.repeat(s_i, 2, 0), 2, 1)
        g_e, g_i = (ee * s_e, ie * opened), (ei * s_e[::2, ::2], ii * s_i)
        v_e, spike_e, since_e = move(v_e, *g_e, u[0], since_e, 11, 11)
        v_i, spike_i, since_i = move(v_i, *g_i, u[1], since_i, 12, 13)
        s_e = s_e + DT / 3.0 * (-s_e + k_e @ spike_e @ k_e.T)
        s_i = s_i + DT / 3.0 * (-s_i + k_i @ spike_i @ k_i.T)
        count = count + jnp.sum(spike_e) + jnp.sum(spike_i)
        return ((v_e, v_i, s_e, s_i), (since_e, since_i), count), None

    e, i = jnp.zeros(drive[0].shape[1:]), jnp.zeros(drive[1].shape[1:])
    since = (jnp.full(e.shape, 1000), jnp.full(i.shape, 1000))
    start = (e - 70.0, i - 70.0, e, i), since, 0.0
    (end, _, count), _ = jax.lax.scan(step, start, drive)
    return score(*end), count


def score(v_e, v_i, s_e, s_i):
    """All of the end, each cell with a weight of its own."""
    leaves = [jnp.ravel(x) for x in (v_e, v_i, s_e, s_i)]
    x = jnp.concatenate(leaves)
    return jnp.vdot(x, jnp.sin(jnp.arange(1.0, x.size + 1)))


def end(x, drive, surrogate):
    """The score and the spikes, as a function of weights, widths and the drive."""
    w_e, w_i, sigma_e, sigma_i, scale = x
    sheet = short_sheet(w_e, w_i, sigma_e, sigma_i)
    solution = jn.simulate(
        sheet,
        sheet.initial_state(),
        t1=SHORT * DT,
        u=jn.inputs.Sampled(jax.tree.map(lambda d: scale * d, drive), DT),
        method=jn.Grid(DT, record=jn.RecordRaster(), surrogate=surrogate),
        save=jn.SaveAt(t1=True),
    )
    y = jax.tree.map(lambda leaf: leaf[-1], solution.ys)
    return score(y.v_e, y.v_i, y.s_e, y.s_i), solution.spikes.bits


def short_sheet(w_e, w_i, sigma_e, sigma_i):
    return SpikingSheet(
        TorusGaussian(sigma_e, size=4, taps=5),
        TorusGaussian(sigma_i, size=2, taps=3),
        w_e=w_e,
        w_i=w_i,
        refractory_period=jnp.array([5.2, 6.0]),
    )


POINT = (
    jnp.array([0.02, 0.03]),
    jnp.array([0.015, 0.025]),
    jnp.asarray(2.0),
    jnp.asarray(3.0),
    jnp.asarray(1.0),
)
flat_point, unflatten = jax.flatten_util.ravel_pytree(POINT)


DIRECTION = jnp.sin(jnp.arange(1.0, 8.0))


@eqx.filter_jit
def derivatives(x, drive, surrogate):
    """The value, the gradient, and the spikes."""
    f = lambda x: end(unflatten(x), drive, surrogate)
    (value, bits), gradient = jax.value_and_grad(f, has_aux=True)(x)
    return value, gradient, bits


@eqx.filter_jit
def slope_forward(x, drive, surrogate):
    f = lambda x: end(unflatten(x), drive, surrogate)[0]
    return jax.jvp(f, (x,), (DIRECTION,))[1]


def number_of_spikes(bits):
    return int(np.unpackbits(np.asarray(bits), axis=1, count=20).sum())


def test_with_a_surrogate_the_gradient_is_that_of_the_loop_by_hand():
    drive = drive_of(4, 2)
    value, gradient, bits = derivatives(flat_point, drive, SURROGATE)

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def by_hand(x):
        *parameters, scale = unflatten(x)
        scaled = jax.tree.map(lambda d: scale * d, drive)
        return end_by_hand(short_sheet(*parameters), scaled, SURROGATE)

    (expected_value, count), expected = by_hand(flat_point)
    assert int(count) == number_of_spikes(bits) > 10
    assert np.all(np.isfinite(gradient))
    assert np.abs(expected).min() > 1e-3
    assert float(value) == pytest.approx(float(expected_value), rel=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9)
    slope = slope_forward(flat_point, drive, SURROGATE)
    assert float(slope) == pytest.approx(float(DIRECTION @ gradient), rel=1e-9)


def test_without_a_surrogate_the_derivative_is_that_at_fixed_spikes():
    drive = drive_of(4, 2)
    _, gradient, bits = derivatives(flat_point, drive, None)
    assert number_of_spikes(bits) > 10
    step, difference = 1e-6, []
    for move in step * np.eye(len(DIRECTION)):
        up, _, bits_up = derivatives(flat_point + move, drive, None)
        down, _, bits_down = derivatives(flat_point - move, drive, None)
        np.testing.assert_array_equal(bits_up, bits)
        np.testing.assert_array_equal(bits_down, bits)
        difference.append(float(up - down) / (2 * step))
    scale = np.abs(difference).max()
    # Every number matters.
    assert np.abs(difference).min() > 1e-3
    np.testing.assert_allclose(gradient, difference, rtol=0, atol=1e-7 * scale)


# Other solvers.


def test_heun_is_the_mean_of_two_slopes():
    sheet = sheet_of(4, 2, (5.0, 5.0), NUMBERS)
    y, u = sheet.initial_state(), (0.5, 0.2)
    y = SheetState(y.v_e + 5.0, y.v_i + 3.0, y.s_e + 0.01, y.s_i + 0.02)
    solution = jn.simulate(sheet, y, t1=2.0, u=u, method=jn.Grid(DT, diffrax.Heun()))
    assert solution.spikes.count == 0
    # All cells of a kind are alike.
    x = np.array([leaf.ravel()[0] for leaf in (y.v_e, y.v_i, y.s_e, y.s_i)])
    (ee, ei), (ie, ii) = NUMBERS["w_e"], NUMBERS["w_i"]

    def rate(x):
        v_e, v_i, s_e, s_i = x
        return np.array(
            [
                0.05 * (-70 - v_e) - ee * s_e * v_e - ie * s_i * (80 + v_e) + u[0],
                0.05 * (-70 - v_i) - ei * s_e * v_i - ii * s_i * (80 + v_i) + u[1],
                -s_e / 3,
                -s_i / 3,
            ]
        )

    for k in range(1, 5):
        first = rate(x)
        x = x + DT * (first + rate(x + DT * first)) / 2
        found = jax.tree.map(lambda leaf: leaf[k], solution.ys)  # noqa: B023
        for leaf, value in zip(jax.tree.leaves(found), x, strict=True):
            np.testing.assert_allclose(leaf, value, rtol=1e-13)


def test_heun_keeps_the_refractory_period_and_the_synapses():
    """Held cells move in neither stage, and a spike still adds pulse / tau."""
    alone = TorusGaussian(1.0, size=1, taps=1)
    sheet = SpikingSheet(alone, alone, w_e=0.0, w_i=0.0, refractory_period=2.0)
    solution = jn.simulate(
        sheet,
        sheet.initial_state(),
        t1=15.0,
        u=(1000.0, 0.0),
        method=jn.Grid(DT, diffrax.Heun(), record=jn.RecordRaster()),
    )
    fired = np.flatnonzero(solution.spikes.unpack()[:, 0])
    assert fired.tolist() == list(range(0, 30, 5))
    v = np.asarray(solution.ys.v_e).ravel()[1:].reshape(6, 5)
    np.testing.assert_array_equal(v[:, :4], -70.0)
    assert np.all(v[:, 4] > -50.0)
    s, z = 0.0, DT / 3.0
    for k, found in enumerate(np.asarray(solution.ys.s_e).ravel()[1:]):
        s = (1 - z + z**2 / 2) * s + (k % 5 == 0) * 0.5 / 3.0
        assert found == pytest.approx(s, rel=1e-13)


# What is refused.


SHEET = sheet_of(4, 2, (5.0, 5.0), NUMBERS)
Y = SHEET.initial_state()


def simulated(sheet=SHEET, y=Y, u=None, method=RASTER):
    return jn.simulate(sheet, y, t1=2.0, u=u, method=method)


def with_parameter(**parameters):
    return lambda: SpikingSheet(*couplings_of(4, 2), **parameters)


BAD = {
    "no whole ratio": (
        lambda: SpikingSheet(*couplings_of(6, 4)),
        "`size` of `excitation`, 6, must be a whole multiple of that of `inhibition`, 4",
    ),
    "a coarser excitatory lattice": (
        lambda: SpikingSheet(*couplings_of(2, 4)),
        "`excitation`, 2, must be a whole multiple",
    ),
    "a coupling that is no torus": (
        lambda: SpikingSheet(jn.couplings.Dense(np.eye(16))),
        "`excitation` must be a coupling on a torus such as",
    ),
    "a number for a coupling": (
        lambda: SpikingSheet(couplings_of(4, 2)[0], 400.0),
        "`inhibition` must be a coupling on a torus such as",
    ),
    "three weights": (
        with_parameter(w_e=np.ones(3)),
        r"`w_e` of `SpikingSheet` must be one number, or a pair.* \(3,\)",
    ),
    "a lattice of weights": (
        with_parameter(w_i=np.ones((2, 2))),
        r"`w_i` of `SpikingSheet` must be one number, or a pair.* \(2, 2\)",
    ),
    "three periods": (
        with_parameter(refractory_period=np.ones(3)),
        "`refractory_period` of `SpikingSheet` must be one number, or a pair",
    ),
    "a period of zero": (
        with_parameter(refractory_period=0.0),
        "`refractory_period` of `SpikingSheet` must be positive, but it is 0.0",
    ),
    "a negative period of a pair": (
        with_parameter(refractory_period=np.array([5.0, -1.0])),
        "`refractory_period` of `SpikingSheet` must be positive",
    ),
    "a NaN period": (
        with_parameter(refractory_period=np.nan),
        r"`SpikingSheet\.refractory_period` is NaN",
    ),
    "tau": (with_parameter(tau=0.0), "`tau` of `SpikingSheet` must be positive"),
    "pulse": (with_parameter(pulse=-0.5), "`pulse` of `SpikingSheet` must be positive"),
    "capacitance": (
        with_parameter(capacitance=0.0),
        "`capacitance` of `SpikingSheet` must",
    ),
    "a NaN weight": (with_parameter(w_e=np.nan), r"`SpikingSheet\.w_e` is NaN"),
    "a NaN threshold": (
        with_parameter(threshold=np.nan),
        r"`SpikingSheet\.threshold` is NaN",
    ),
    "one number as input": (lambda: simulated(u=1.0), r"`u` of a `SpikingSheet` is a pair"),
    "three inputs": (lambda: simulated(u=(1.0, 1.0, 1.0)), r"is a pair, \(u_e, u_i\)"),
    "a list of two inputs": (lambda: simulated(u=[1.0, 2.0]), r"is a pair, \(u_e, u_i\)"),
    "an excitatory image of another size": (
        lambda: simulated(u=(np.ones((2, 2)), 0.0)),
        r"`u_e` of this `SpikingSheet` must be one number, or a lattice of shape \(4, 4\)",
    ),
    "an inhibitory image of another size": (
        lambda: simulated(u=(0.0, np.ones((4, 4)))),
        r"`u_i` of this `SpikingSheet` .* shape \(2, 2\), but its shape is \(4, 4\)",
    ),
    "a row of inputs": (
        lambda: simulated(u=(np.ones(4), 0.0)),
        r"lattice of shape \(4, 4\), but its shape is \(4,\)",
    ),
    "an array as state": (
        lambda: simulated(y=jnp.zeros(20)),
        "the state of a `SpikingSheet` is a `SheetState`.*`sheet.initial_state`",
    ),
    "a vector for one number": (
        lambda: simulated(eqx.tree_at(lambda s: s.tau, SHEET, jnp.full(4, 3.0))),
        r"`tau` of `SpikingSheet` must be one number, but its shape is \(4,\)",
    ),
    "conductances of an array": (
        lambda: SHEET.conductances(jnp.zeros(20)),
        "the state of a `SpikingSheet` is a `SheetState`, not an array of shape",
    ),
    "a tuple as state": (
        lambda: simulated(y=(Y.v_e, Y.v_i, Y.s_e, Y.s_i)),
        "the state of a `SpikingSheet` is a `SheetState`, not a tuple",
    ),
    "the state of another sheet": (
        lambda: simulated(y=SpikingSheet(*couplings_of(6, 3)).initial_state()),
        r"lattices of shapes \(\(4, 4\), \(2, 2\).*`sheet.initial_state`",
    ),
    "a NaN state": (
        lambda: simulated(y=eqx.tree_at(lambda y: y.v_i, Y, Y.v_i * np.nan)),
        r"`y0\.v_i` is NaN",
    ),
    "units of another sheet": (
        lambda: SHEET.lattices(jnp.zeros(19)),
        r"`units` must have one entry a unit, 20, .* \(19,\)",
    ),
    "adaptive steps": (
        lambda: simulated(method=jn.Adaptive()),
        r"`SpikingSheet` spikes, and `Adaptive` does not locate spikes. Use `Grid\(dt\)`",
    ),
    "exponential steps of lattices that differ": (
        lambda: simulated(method=jn.Grid(DT, jn.Exponential())),
        r"`Exponential` steps each unit by itself, .*Take an explicit solver.*Heun",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_its_remedy(case, unchecked_shapes):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_traced_parameters_that_are_bad_give_a_code_in_their_lane_alone():
    def end_result(rp, sigma, w_e):
        excitation = TorusGaussian(sigma, size=4, taps=5)
        sheet = SpikingSheet(excitation, SHEET.inhibition, w_e=w_e, refractory_period=rp)
        solution = simulated(sheet, u=(2.0, 2.0))
        return solution.result, solution.ys.v_e[-1]

    good = (5.0, 1.0, 0.1)
    lanes = [good, (0.0, *good[1:]), (-1.0, *good[1:])]
    lanes += [(5.0, 0.0, 0.1), (5.0, -1.0, 0.1), (5.0, 1.0, -0.1), (5.0, np.nan, 0.1)]
    result, v = jax.jit(jax.vmap(end_result))(*jnp.array(lanes).T)
    out, nan = jn.RESULTS.parameter_out_of_range, jn.RESULTS.nan_input
    codes = [jn.RESULTS.successful, *[out] * 5, nan]
    for lane, code in enumerate(codes):
        assert bool((result == code)[lane])
        assert np.isnan(v[lane]).all() == (lane > 0)
