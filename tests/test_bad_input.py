"""Bad input: an error that names the parameter and the remedy, or a code."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


GRID = jn.Grid(0.1)
POPULATION = jn.models.RatePopulation(w=5.0)
KEY = jax.random.key(0)
NAN = float("nan")


class Square(jn.AbstractSystem):
    """y' = y^2, which is infinite at t = 1 / y0."""

    def vector_field(self, t, y, u):
        return y**2


class Spiking(jn.AbstractHybridSystem):
    def vector_field(self, t, y, u):
        return -y

    def guard(self, t, y, u):
        return y - 1.0

    def receive(self, t, y, arrivals, u):
        return y

    def reset(self, t, y, spikes, u):
        return y * (1 - spikes)


def run(system=POPULATION, y0=0.2, t1=1.0, **options):
    return jn.simulate(system, y0, t1=t1, **({"method": GRID} | options))


NOISE = jnp.asarray(0.1)


def with_noise(method, diffusion=NOISE, key=KEY):
    return run(jn.Noisy(POPULATION, diffusion), method=method, key=key)


models = jn.models

CONSTRUCTED = {
    "RatePopulation tau": (
        lambda: models.RatePopulation(tau=0.0),
        "`tau` of `RatePopulation` must be positive, but it is 0.0. Pass a positive",
    ),
    "WilsonCowan tau_e": (
        lambda: models.WilsonCowan(tau_e=-1.0),
        "`tau_e` of `WilsonCowan` must be positive",
    ),
    "WilsonCowan tau_i": (
        lambda: models.WilsonCowan(tau_i=0),
        "`tau_i` of `WilsonCowan` must be positive",
    ),
    "RateNetwork tau": (
        lambda: models.RateNetwork(weights=np.eye(3), tau=np.array([1.0, 0.0, 2.0])),
        "`tau` of `RateNetwork` must be positive",
    ),
    "Sigmoid a": (
        lambda: jn.transfer.Sigmoid(a=0.0),
        "`a` of `Sigmoid` must be positive",
    ),
    "OU tau": (
        lambda: jn.inputs.OrnsteinUhlenbeck(sigma=1.0, tau=-2.0),
        "`tau` of `OrnsteinUhlenbeck` must be positive",
    ),
    "NaN weight": (
        lambda: models.RatePopulation(w=NAN),
        r"`RatePopulation\.w` is NaN",
    ),
    "NaN tau": (
        lambda: models.RatePopulation(tau=NAN),
        r"`RatePopulation\.tau` is NaN",
    ),
    "NaN entry": (
        lambda: models.RateNetwork(weights=np.array([[0.0, 1.0], [NAN, 0.0]])),
        r"`RateNetwork\.weights` is NaN at index \[1, 0\]",
    ),
    "NaN in a part": (
        lambda: models.RatePopulation(transfer=jn.transfer.Sigmoid(theta=NAN)),
        r"`Sigmoid\.theta` is NaN",
    ),
    "weights not square": (
        lambda: models.RateNetwork(weights=np.eye(3)[:2]),
        r"`weights` must be square, \(n, n\), but it is \(2, 3\)",
    ),
    "Grid dt zero": (lambda: jn.Grid(0.0), "`dt` must be positive and finite"),
    "Grid dt negative": (lambda: jn.Grid(-0.1), "`dt` must be positive and finite"),
    "Grid dt NaN": (lambda: jn.Grid(NAN), "`dt` must be positive and finite"),
    "Grid dt infinite": (lambda: jn.Grid(jnp.inf), "`dt` must be positive and finite"),
    "Grid solver": (
        lambda: jn.Grid(0.1, solver=diffrax.Kvaerno5()),
        "`solver` of `Grid` must be one of Euler.*Heun.*Kvaerno5.*take `Adaptive`",
    ),
    "RecordTimes max_spikes": (
        lambda: jn.RecordTimes(max_spikes=0),
        "`max_spikes` must be positive",
    ),
    "Adaptive dt0": (
        lambda: jn.Adaptive(stepsize_controller=diffrax.ConstantStepSize()),
        "`dt0` is missing: fixed steps need their size",
    ),
    "noise twice": (
        lambda: jn.Noisy(jn.Driven(jn.Noisy(POPULATION, NOISE), 1.0), NOISE),
        "`system` is already noisy.*square root of the sum",
    ),
    "input twice": (
        lambda: jn.Driven(jn.Noisy(jn.Driven(POPULATION, 1.0), NOISE), 1.0),
        "`system` already has an input",
    ),
    "NaN noise": (lambda: jn.Noisy(POPULATION, jnp.asarray(NAN)), "diffusion` is NaN"),
}


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_what_is_wrong_from_the_start_is_refused_when_it_is_made(name):
    make, message = CONSTRUCTED[name]
    with pytest.raises(ValueError, match=message):
        make()


def replaced(where, value, system=POPULATION):
    return eqx.tree_at(where, system, value)


HEUN_STRATONOVICH = jn.Adaptive(
    solver=diffrax.Heun(), stepsize_controller=diffrax.ConstantStepSize(), dt0=0.1
)
NETWORK = models.RateNetwork(weights=np.eye(3))

SIMULATED = {
    "replaced tau": (
        lambda: run(replaced(lambda s: s.tau, jnp.asarray(-1.0))),
        "`tau` of `RatePopulation` must be positive",
    ),
    "replaced tau, a Python number": (
        lambda: run(replaced(lambda s: s.tau, 0.0)),
        "`tau` of `RatePopulation` must be positive",
    ),
    "replaced steepness of a part": (
        lambda: run(replaced(lambda s: s.transfer.a, jnp.asarray(-1.0)), u=0.5),
        r"`transfer\.a` of `RatePopulation` must be positive",
    ),
    "replaced weight": (
        lambda: run(replaced(lambda s: s.w, jnp.asarray(NAN))),
        r"`system\.w` is NaN",
    ),
    "replaced weight, adaptive": (
        lambda: run(replaced(lambda s: s.w, NAN), method=jn.Adaptive()),
        r"`system\.w` is NaN",
    ),
    "replaced in a driven system": (
        lambda: run(
            replaced(lambda s: s.system.tau, -1.0, jn.Driven(POPULATION, 0.5)),
        ),
        r"`system\.tau` of `Driven` must be positive",
    ),
    "replaced input": (
        lambda: run(replaced(lambda s: s.input.value, NAN, jn.Driven(POPULATION, 0.5))),
        r"`system\.input\.value` is NaN",
    ),
    "NaN state": (lambda: run(y0=NAN), "`y0` is NaN or infinite"),
    "infinite state": (lambda: run(y0=jnp.inf), "`y0` is NaN or infinite"),
    "NaN entry of a state": (
        lambda: run(NETWORK, np.array([0.0, 1.0, NAN])),
        r"`y0` is NaN or infinite at index \[2\]",
    ),
    "NaN state, adaptive": (lambda: run(y0=NAN, method=jn.Adaptive()), "`y0` is NaN"),
    "NaN input": (lambda: run(u=NAN), "`u` is NaN"),
    "NaN input, adaptive": (lambda: run(u=NAN, method=jn.Adaptive()), "`u` is NaN"),
    "state of the wrong shape": (
        lambda: run(y0=np.zeros(2)),
        r"`y0` of shape \(2,\).*the state of `RatePopulation` has the shape \(\)",
    ),
    "state with too few entries": (
        lambda: run(NETWORK, np.zeros(2)),
        r"`y0` of shape \(2,\).*the state of `RateNetwork` has the shape \(3,\)",
    ),
    "state of a pair too long": (
        lambda: run(models.WilsonCowan(), np.zeros(3)),
        r"`y0` of shape \(3,\).*the state of `WilsonCowan` has the shape \(2,\)",
    ),
    "state of the wrong structure": (
        lambda: run(Square(), y0={"x": np.zeros(2)}),
        "vector field of `Square` cannot be evaluated at `y0`",
    ),
    "input of the wrong shape": (
        lambda: run(u=np.ones(2)),
        r"`y0` has the shape \(\), but the vector field of `RatePopulation` returns \(2,\)",
    ),
    "one number for a pair": (
        lambda: run(models.WilsonCowan(), (0.1, 0.1), u=1.0),
        r"cannot be evaluated .* an input `u` of shape \(\)",
    ),
    "input of a network": (
        lambda: run(NETWORK, np.zeros(3), u=np.ones(2)),
        r"cannot be evaluated .* an input `u` of shape \(2,\)",
    ),
    "two inputs": (
        lambda: run(jn.Driven(POPULATION, 0.5), u=1.0),
        "`system` already has an input",
    ),
    "t1 before t0": (
        lambda: run(t0=2.0, t1=1.0),
        "`t1` must be after `t0`, but t0 = 2.0 and t1 = 1.0. Integrate forward",
    ),
    "t1 at t0": (lambda: run(t1=0.0), "`t1` must be after `t0`"),
    "t1 before t0, adaptive": (
        lambda: run(t1=-1.0, method=jn.Adaptive()),
        "`t1` must be after `t0`",
    ),
    "NaN t1": (lambda: run(t1=NAN), "`t1` is NaN or infinite"),
    "infinite t1": (lambda: run(t1=jnp.inf), "`t1` is NaN or infinite"),
    "NaN t0": (lambda: run(t0=NAN), "`t0` is NaN or infinite"),
    "part of a step": (
        lambda: run(t1=1.05),
        r"`t1 - t0` = 1.05 is not a whole number of steps of `dt` = 0.1. Take `t1` = 1",
    ),
    "times on a grid": (
        lambda: run(save=jn.SaveAt(ts=jnp.array([0.5]))),
        "`save` on a `Grid` counts steps",
    ),
    "dense output on a grid": (
        lambda: run(save=jn.SaveAt(dense=True)),
        "`save` on a `Grid` counts steps",
    ),
    "dense output": (
        lambda: run(save=jn.SaveAt(dense=True), method=jn.Adaptive()),
        "`save` asks for dense output.*Save at the times you need",
    ),
    "no key on a grid": (
        lambda: with_noise(GRID, key=None),
        r"`key` is missing: a `Noisy` system is random. Pass `key=jax.random.key",
    ),
    "no key, adaptive": (
        lambda: with_noise(jn.Adaptive(), key=None),
        "`key` is missing: a `Noisy` system is random",
    ),
    "no key for a random input": (
        lambda: run(u=jn.inputs.OrnsteinUhlenbeck(1.0, 1.0)),
        "`key` is missing: `OrnsteinUhlenbeck` is random",
    ),
    "noise of the wrong structure": (
        lambda: with_noise(GRID, diffusion=(NOISE, NOISE)),
        "`diffusion` must have the structure of the state",
    ),
    "noise of the wrong shape": (
        lambda: with_noise(GRID, diffusion=jnp.array([0.1, 0.2])),
        "`diffusion` must have the structure of the state",
    ),
    "a solver of ODEs for noise": (
        lambda: with_noise(jn.Adaptive()),
        "`solver` Tsit5 does not solve an Ito equation.*or `Grid",
    ),
    "noise without a first step": (
        lambda: with_noise(jn.Adaptive(solver=diffrax.Euler())),
        "`dt0` is missing: a noisy system needs a first step",
    ),
    "a solver that cannot adapt to noise": (
        lambda: with_noise(jn.Adaptive(solver=diffrax.Euler(), dt0=0.1)),
        "`solver` Euler cannot adapt its step.*`stepsize_controller=diffrax.ConstantStep",
    ),
    "adaptive steps for noise that depends on the state": (
        lambda: with_noise(
            jn.Adaptive(solver=diffrax.ItoMilstein(), dt0=0.1), lambda t, y, u: 0.1 * y
        ),
        "`solver` ItoMilstein cannot adapt its step to noise",
    ),
    "a Stratonovich solver for noise that depends on the state": (
        lambda: with_noise(HEUN_STRATONOVICH, lambda t, y, u: 0.1 * y),
        "`solver` Heun does not solve an Ito equation with noise that depends on the state",
    ),
    "spikes with adaptive steps": (
        lambda: run(Spiking(), np.zeros(1), method=jn.Adaptive()),
        r"`Spiking` spikes, and `Adaptive` does not locate spikes. Use `Grid",
    ),
    "too few samples": (
        lambda: run(u=jn.inputs.Sampled(np.ones(9), 0.1)),
        r"`values` has 9 samples, from 0.0 ms to .*Give more samples, or a shorter run",
    ),
    "too few samples, adaptive": (
        lambda: run(u=jn.inputs.Sampled(np.ones(10), 0.1), method=jn.Adaptive()),
        "`values` has 10 samples.*Give more samples, or a shorter run",
    ),
    "no finite start": (
        lambda: jn.fixed_points(POPULATION, np.full(4, NAN), u=0.5),
        "`starts` has no finite start",
    ),
}


@pytest.mark.parametrize("name", SIMULATED)
def test_what_is_wrong_with_a_run_is_refused_by_name(name):
    simulate, message = SIMULATED[name]
    with pytest.raises(ValueError, match=message):
        simulate()


@pytest.mark.parametrize("what", ["dt", "t1", "t0"])
def test_a_grid_does_not_take_its_times_from_a_trace(what):
    times = {"dt": 0.1, "t1": 1.0, "t0": 0.0}

    def traced(x):
        chosen = times | {what: x}
        grid = jn.Grid(chosen.pop("dt"))
        return jn.simulate(POPULATION, 0.2, method=grid, **chosen).ys

    with pytest.raises(ValueError, match=f"`{what}` must be a concrete number here"):
        jax.jit(traced)(times[what])


def batch_run(method, t1=2.0):
    """One run from (w, tau, u, r0), with the input as a traced array."""

    def one(p):
        system = jn.models.RatePopulation(w=p[0], tau=p[1])
        solution = jn.simulate(system, p[3], t1=t1, u=p[2], method=method)
        return solution.ys, solution.result

    return one


GOOD = [5.0, 1.0, 0.5, 0.2]
ROWS = {
    "good": GOOD,
    "tau is negative": [5.0, -1.0, 0.5, 0.2],
    "tau is zero": [5.0, 0.0, 0.5, 0.2],
    "w is NaN": [NAN, 1.0, 0.5, 0.2],
    "tau is NaN": [5.0, NAN, 0.5, 0.2],
    "u is NaN": [5.0, 1.0, NAN, 0.2],
    "r0 is NaN": [5.0, 1.0, 0.5, NAN],
    "r0 is infinite": [5.0, 1.0, 0.5, float("inf")],
    "also good": [2.0, 3.0, 1.5, 0.9],
}
OUT_OF_RANGE = {"tau is negative", "tau is zero"}
GOOD_ROWS = {"good", "also good"}


@pytest.mark.parametrize("method", [GRID, jn.Adaptive()])
def test_bad_elements_of_a_batch_carry_their_code_and_leave_the_others_right(method):
    one = batch_run(method)
    rows = jnp.array(list(ROWS.values()))
    ys, result = jax.jit(jax.vmap(one))(rows)
    alone = jax.jit(one)
    for i, name in enumerate(ROWS):
        if name in GOOD_ROWS:
            assert bool((result == jn.RESULTS.successful)[i])
            np.testing.assert_allclose(ys[i], alone(rows[i])[0], rtol=0, atol=1e-12)
            assert np.isfinite(ys[i]).all()
            continue
        code = (
            jn.RESULTS.parameter_out_of_range
            if name in OUT_OF_RANGE
            else jn.RESULTS.nan_input
        )
        assert bool((result == code)[i]), name
        assert np.isnan(ys[i]).all(), name


def test_a_bad_element_does_not_spoil_the_gradients_of_the_others():
    def end(p):
        return batch_run(GRID)(p)[0][-1]

    rows = jnp.array([GOOD, ROWS["tau is negative"], ROWS["w is NaN"], ROWS["also good"]])
    gradients = jax.jit(jax.vmap(jax.grad(end)))(rows)
    alone = jax.jit(jax.grad(end))
    for i in (0, 3):
        assert np.isfinite(gradients[i]).all()
        np.testing.assert_allclose(gradients[i], alone(rows[i]), rtol=0, atol=1e-12)


def test_a_bad_value_inside_jit_becomes_a_code():
    ys, result = jax.jit(batch_run(GRID))(jnp.array(ROWS["tau is zero"]))
    assert bool(result == jn.RESULTS.parameter_out_of_range)
    assert np.isnan(ys).all()
    assert "Mask this element" in jn.RESULTS[result]


def test_traced_times_become_codes_with_adaptive_steps():
    def one(t1):
        save = jn.SaveAt(t1=True)
        solution = jn.simulate(POPULATION, 0.2, t1=t1, u=0.5, save=save)
        return solution.ys, solution.result

    times = jnp.array([2.0, 0.0, -3.0, NAN, 5.0])
    ys, result = jax.jit(jax.vmap(one))(times)
    success = np.asarray(result == jn.RESULTS.successful)
    assert success.tolist() == [True, False, False, False, True]
    assert np.asarray(result == jn.RESULTS.no_time_passes)[1:3].all()
    assert bool((result == jn.RESULTS.nan_input)[3])
    assert np.isnan(ys[1:4]).all()
    fine = jn.Grid(0.05, solver=diffrax.Dopri8())
    for i in (0, 4):
        exact = run(t1=float(times[i]), u=0.5, method=fine).ys[-1]
        np.testing.assert_allclose(ys[i, 0], exact, rtol=0, atol=1e-8)


def test_a_traced_strength_of_noise_that_is_nan_becomes_a_code():
    def one(g):
        system = jn.Noisy(POPULATION, g)
        solution = jn.simulate(system, 0.2, t1=1.0, u=0.5, method=GRID, key=KEY)
        return solution.ys, solution.result

    ys, result = jax.jit(jax.vmap(one))(jnp.array([0.1, NAN, 0.0]))
    assert np.asarray(result == jn.RESULTS.nan_input).tolist() == [False, True, False]
    assert np.isnan(ys[1]).all()
    np.testing.assert_allclose(ys[2], run(u=0.5).ys, rtol=0, atol=1e-14)


def test_a_state_that_grows_without_bound_is_reported_on_a_grid():
    solution = run(Square(), 1.0, t1=3.0, throw=False)
    assert bool(solution.result == jn.RESULTS.nonfinite_state)
    with pytest.raises(
        RuntimeError, match=r"became NaN or infinite on the way.* Reduce `dt`"
    ):
        run(Square(), 1.0, t1=3.0)


def test_a_state_that_grows_without_bound_is_reported_whatever_is_saved():
    save = jn.SaveAt(steps=True, fn=lambda t, y, args: (y > 0).astype(jnp.uint8))
    solution = run(Square(), 1.0, t1=3.0, save=save, throw=False)
    assert solution.ys.dtype == jnp.uint8
    assert bool(solution.result == jn.RESULTS.nonfinite_state)


def test_adaptive_steps_that_shrink_without_end_are_reported():
    method = jn.Adaptive(max_steps=300)
    solution = run(Square(), 1.0, t1=3.0, method=method, throw=False)
    assert bool(solution.result == jn.RESULTS.too_many_steps)
    saved = np.asarray(solution.ys)
    reached = np.isfinite(saved)
    assert not reached[-1]
    exact = 1 / (1 - np.linspace(0.0, 3.0, 201)[:60])
    np.testing.assert_allclose(saved[:60], exact, rtol=1e-6)
    with pytest.raises(RuntimeError, match="more than `max_steps` steps"):
        run(Square(), 1.0, t1=3.0, method=method)


def test_one_element_that_blows_up_leaves_the_others_right():
    def one(y0):
        solution = run(Square(), y0, t1=3.0)
        return solution.ys, solution.result

    starts = jnp.array([0.1, 1.0, -2.0])
    ys, result = jax.jit(jax.vmap(one))(starts)
    failed = np.asarray(result == jn.RESULTS.nonfinite_state)
    assert failed.tolist() == [False, True, False]
    for i in (0, 2):
        y = [float(starts[i])]
        for _ in range(30):
            y.append(y[-1] + 0.1 * y[-1] ** 2)
        np.testing.assert_allclose(ys[i], y, rtol=1e-13)


def test_an_input_that_turns_nan_on_the_way_is_no_silent_number():
    u = lambda t: jnp.where(t < 0.55, 0.5, jnp.nan)
    on_grid = run(u=u, throw=False)
    assert bool(on_grid.result == jn.RESULTS.nonfinite_state)
    adaptive = run(u=u, method=jn.Adaptive(max_steps=100), throw=False)
    assert bool(adaptive.result != jn.RESULTS.successful)
    assert not np.isfinite(adaptive.ys[-1])


SILENT = jn.models.RatePopulation()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jn.Adaptive(dt0=0.0), "`dt0` must be positive"),
        (lambda: jn.Adaptive(dt0=jnp.nan), "`dt0` must be positive"),
        (lambda: jn.Adaptive(max_steps=0), "`max_steps` must be positive"),
        (
            lambda: jn.simulate(SILENT, 0.1, t1=1e-8, method=jn.Grid(0.1)),
            "less than one step",
        ),
        (
            lambda: jn.simulate(SILENT, 0.1, t1=1.0, save=jn.SaveAt(ts=[0.5, 2.0])),
            "`ts` of `save` must lie between",
        ),
        (
            lambda: jn.simulate(
                SILENT, 0.1, t1=1.0, method=jn.Grid(0.1), save=jn.SaveAt(steps=-3)
            ),
            "`steps` of `save` must not be negative",
        ),
        (lambda: jn.simulate(SILENT, 1j, t1=1.0), "`y0` is no state"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_saved_with_adaptive_steps_must_be_finite():
    save = jn.SaveAt(t1=True, fn=lambda t, y, args: jnp.nan * y)
    solution = jn.simulate(SILENT, 0.1, t1=1.0, save=save, throw=False)
    assert bool(solution.result == jn.RESULTS.nonfinite_state)


def test_a_parameter_may_have_an_array_for_its_default():
    class Diagonal(jn.AbstractSystem):
        rates: jn.Parameter = jn.parameter(jnp.ones(2))

        def vector_field(self, t, y, u):
            return -self.rates * y

    assert Diagonal().rates.tolist() == [1.0, 1.0]
    assert jn.eigenvalues(Diagonal(), jnp.zeros(2)).real.tolist() == [-1.0, -1.0]
