"""Gradient estimators against exact gradients, and derivatives that are cut short."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet import gradients, models, objectives
from jaxnet.objectives._base import solve_unknowns


KEY = jax.random.key(5)
AT = np.array([0.4, -0.7, 1.1])
MIXING = np.array([[1.0, 0.5, -0.3], [0.2, -1.0, 0.7]])


def misfits(z, key=None):
    """Two smooth misfits of three numbers, whose loss has derivatives of every order."""
    return jnp.stack([jnp.sin(MIXING[0] @ z) + z[0] ** 2, jnp.exp(MIXING[1] @ z) - z[2]])


def gradient_by_hand(z):
    a, b = MIXING @ z
    r = np.array([np.sin(a) + z[0] ** 2, np.exp(b) - z[2]])
    jacobian = np.array([np.cos(a) * MIXING[0], np.exp(b) * MIXING[1]])
    jacobian[0, 0] += 2 * z[0]
    jacobian[1, 2] -= 1
    return r, r @ jacobian


VALUE, EXACT = gradient_by_hand(AT)


@pytest.mark.parametrize("estimator", [gradients.Implicit(), gradients.Adjoint()])
def test_an_exact_estimator_gives_the_gradient_by_hand(estimator):
    estimate = estimator(misfits, jnp.asarray(AT), None)
    np.testing.assert_allclose(estimate.misfit, VALUE, rtol=1e-14)
    np.testing.assert_allclose(estimate.gradient, EXACT, rtol=1e-13)


@pytest.mark.parametrize(
    "estimator",
    [
        gradients.FiniteDifferences(0.1),
        gradients.SPSA(0.1, directions=3),
        gradients.EvolutionStrategy(0.1, pairs=3),
    ],
)
def test_an_estimate_comes_with_the_misfit_at_the_point_itself(estimator):
    estimate = estimator(misfits, jnp.asarray(AT), KEY)
    np.testing.assert_allclose(estimate.misfit, VALUE, rtol=1e-14)
    assert estimate.gradient.shape == (3,)


@pytest.mark.parametrize("h", [0.2, 0.03])
def test_finite_differences_are_those_of_the_misfits_by_hand(h):
    slopes = [
        (gradient_by_hand(AT + step)[0] - gradient_by_hand(AT - step)[0]) / (2 * h)
        for step in h * np.eye(3)
    ]
    estimate = gradients.FiniteDifferences(h)(misfits, jnp.asarray(AT), None)
    np.testing.assert_allclose(estimate.gradient, np.array(slopes) @ VALUE, rtol=1e-12)


def mean_of_all_signs(h):
    """The mean of SPSA over the eight directions, by hand."""
    loss = lambda z: np.sum(gradient_by_hand(z)[0] ** 2) / 2
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T
    slopes = [(loss(AT + h * d) - loss(AT - h * d)) / (2 * h) * d for d in signs]
    return np.mean(slopes, axis=0)


# A hundred thousand moves over many keys, of a loss that is cheap.
MANY = jax.random.split(KEY, 20_000)


@functools.partial(jax.jit, static_argnames="kind")
def _estimates(kind, step):
    estimator = kind(step)
    return jax.vmap(lambda key: estimator(misfits, jnp.asarray(AT), key).gradient)(MANY)


def mean_and_error(samples):
    samples = np.asarray(samples)
    return samples.mean(axis=0), samples.std(axis=0, ddof=1) / np.sqrt(len(samples))


def test_the_bias_of_finite_differences_is_of_second_order():
    error = lambda h: (
        np.asarray(gradients.FiniteDifferences(h)(misfits, jnp.asarray(AT), None).gradient)
        - EXACT
    )
    np.testing.assert_allclose(error(0.02) / error(0.01), 4.0, rtol=1e-2)


def test_the_mean_of_spsa_is_that_over_all_signs():
    mean, error = mean_and_error(_estimates(gradients.SPSA, 0.5))
    expected = mean_of_all_signs(0.5)
    assert np.all(np.abs(mean - expected) < 4 * error)
    # It can tell a gradient that is not exact.
    assert np.any(np.abs(mean - EXACT) > 10 * error)


def test_the_bias_of_spsa_is_of_second_order_and_its_mean_is_the_gradient():
    bias = lambda h: mean_of_all_signs(h) - EXACT
    np.testing.assert_allclose(bias(0.02) / bias(0.01), 4.0, rtol=1e-2)
    mean, error = mean_and_error(_estimates(gradients.SPSA, 0.01))
    assert np.all(np.abs(mean - EXACT) < 4 * error + np.abs(bias(0.01)))
    assert np.all(error < 0.1 * np.abs(EXACT).max())


@pytest.mark.slow
def test_spsa_moves_each_free_number_by_one_step_in_either_direction():
    seen = []

    def remember(z, key):
        jax.debug.callback(lambda z: seen.append(np.asarray(z)), z)
        return z

    gradients.SPSA(0.25, directions=4)(remember, jnp.asarray(AT), KEY)
    jax.effects_barrier()
    moves = np.array(seen) - AT
    assert len(moves) == 9
    assert np.sum(np.all(moves == 0, axis=1)) == 1
    away = moves[np.any(moves != 0, axis=1)]
    np.testing.assert_allclose(np.abs(away), 0.25, rtol=1e-12)
    np.testing.assert_allclose(away.sum(axis=0), 0.0, atol=1e-12)


def smoothed_gradient(sigma):
    """Of the mean loss in a Gaussian, by Gauss and Hermite's quadrature."""
    x, w = np.polynomial.hermite_e.hermegauss(24)
    w = w / w.sum()
    grid = np.array(np.meshgrid(x, x, x, indexing="ij")).reshape(3, -1).T
    weights = np.einsum("i,j,k->ijk", w, w, w).ravel()
    points = AT + sigma * grid
    a, b = points @ MIXING.T[:, 0], points @ MIXING.T[:, 1]
    r = np.sin(a) + points[:, 0] ** 2, np.exp(b) - points[:, 2]
    loss = (r[0] ** 2 + r[1] ** 2) / 2
    return (weights * loss) @ grid / sigma


def test_the_mean_of_an_evolution_strategy_is_the_gradient_of_the_smoothed_loss():
    mean, error = mean_and_error(_estimates(gradients.EvolutionStrategy, 0.3))
    assert np.all(np.abs(mean - smoothed_gradient(0.3)) < 4 * error)
    assert np.any(np.abs(mean - EXACT) > 10 * error)


def test_an_evolution_strategy_has_a_bias_of_second_order():
    bias = lambda sigma: smoothed_gradient(sigma) - EXACT
    np.testing.assert_allclose(bias(0.02) / bias(0.01), 4.0, rtol=1e-2)
    mean, error = mean_and_error(_estimates(gradients.EvolutionStrategy, 0.01))
    assert np.all(np.abs(mean - EXACT) < 4 * error + np.abs(bias(0.01)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SPSA", "EvolutionStrategy"])
def test_more_directions_divide_the_variance_by_their_number(kind):
    number = {"SPSA": "directions", "EvolutionStrategy": "pairs"}[kind]
    keys = MANY[:4000]

    def variance(n):
        estimator = getattr(gradients, kind)(0.05, **{number: n})
        estimate = lambda key: estimator(misfits, jnp.asarray(AT), key).gradient
        return np.asarray(jax.jit(jax.vmap(estimate))(keys)).var(axis=0).sum()

    assert variance(1) / variance(8) == pytest.approx(8.0, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        gradients.FiniteDifferences(0.1),
        gradients.SPSA(0.1, directions=8),
        gradients.EvolutionStrategy(0.1),
    ],
)
def test_what_is_random_alike_in_both_runs_drops_out(estimator):
    """The noise adds to the loss, of any size, what does not depend on the point."""

    def noisy(z, key):
        r = misfits(z)
        return jnp.append(r, 1e3 * jax.random.normal(key))

    clean = estimator(misfits, jnp.asarray(AT), KEY).gradient
    found = estimator(noisy, jnp.asarray(AT), KEY).gradient
    np.testing.assert_allclose(found, clean, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        gradients.FiniteDifferences(),
        gradients.SPSA(directions=4),
        gradients.EvolutionStrategy(pairs=3),
        gradients.Implicit(),
        gradients.Adjoint(),
    ],
)
def test_as_many_misfits_are_evaluated_as_is_said(estimator):
    calls = []

    def counted(z, key):
        jax.debug.callback(lambda _: calls.append(1), z)
        return z

    estimator(counted, jnp.asarray(AT), KEY)
    jax.effects_barrier()
    assert len(calls) == estimator.evaluations(3)


@pytest.mark.slow
def test_finite_differences_are_the_derivative_in_both_modes():
    differences = gradients.FiniteDifferences(0.1)
    function = differences.differentiable(lambda z: misfits(z))
    expected = np.array(
        [
            (gradient_by_hand(AT + s)[0] - gradient_by_hand(AT - s)[0]) / 0.2
            for s in 0.1 * np.eye(3)
        ]
    ).T
    np.testing.assert_allclose(function(jnp.asarray(AT)), VALUE, rtol=1e-14)
    np.testing.assert_allclose(jax.jacfwd(function)(jnp.asarray(AT)), expected, rtol=1e-12)
    np.testing.assert_allclose(jax.jacrev(function)(jnp.asarray(AT)), expected, rtol=1e-12)


@pytest.mark.parametrize("make", [gradients.SPSA, gradients.EvolutionStrategy])
def test_random_directions_need_a_key(make):
    with pytest.raises(ValueError, match=rf"`{make.__name__}` needs a `key`: `jax.random"):
        make()(misfits, jnp.asarray(AT), None)


@pytest.mark.parametrize(
    "make", [gradients.FiniteDifferences, gradients.SPSA, gradients.EvolutionStrategy]
)
@pytest.mark.parametrize("step", [0.0, -0.1])
def test_a_step_that_is_not_positive_is_refused(make, step):
    with pytest.raises(ValueError, match=rf"of `{make.__name__}` must be positive"):
        make(step)


@pytest.mark.parametrize(
    "make",
    [
        lambda: gradients.SPSA(directions=0),
        lambda: gradients.EvolutionStrategy(pairs=0),
        lambda: gradients.SPSA(directions=-1),
    ],
)
def test_no_directions_at_all_are_refused(make):
    with pytest.raises(ValueError, match=r"`(directions|pairs)`"):
        make()


# The gradients of systems


class Saturating(jn.AbstractSystem):
    """dy/dt = (tanh(w y + b) - y) / tau."""

    w: jn.Parameter = jn.parameter(0.8)
    b: jn.Parameter = jn.parameter(0.3)
    tau: jn.Parameter = jn.parameter(2.0, positive=True)

    def vector_field(self, t, y, u):
        return (jnp.tanh(self.w * y + self.b) - y) / self.tau


def with_values(p):
    return Saturating(p[0], p[1], p[2])


POINT = jnp.array([0.8, 0.3, 2.0])
RUN = objectives.Run(-0.2, 6.0, jn.Grid(0.1), transient=1.0)


def loss_of(objective):
    """The loss as a function of the three parameters, without any estimator."""

    def loss(p):
        system = with_values(p)
        prepared = objective.prepare(Saturating())
        guess = prepared.guess(system)
        unknowns, found = solve_unknowns(prepared, system, guess)
        misfit = prepared.misfit(system, unknowns, None)
        return jnp.sum(jnp.where(found, misfit, jnp.nan) ** 2) / 2

    return jax.jit(loss)


def central(f, p, h=1e-5):
    return np.array([(f(p + s) - f(p - s)) / (2 * h) for s in h * np.eye(len(p))])


def estimated(objective, estimator):
    """The gradient as a fit finds it, of all three parameters."""
    prepared = estimator.prepare(objective.prepare(Saturating()), Saturating())

    def misfit(p, key):
        system = with_values(p)
        guess = prepared.guess(system)
        unknowns, _ = solve_unknowns(prepared, system, guess)
        return prepared.misfit(system, unknowns, key)

    return jax.jit(lambda p: estimator(misfit, p, None).gradient)(POINT)


@pytest.mark.parametrize(
    "objective",
    [
        objectives.FixedPointAt(0.25),
        objectives.EigenvalueAt(-0.4, 0.2),
        objectives.SpectralAbscissa(-0.4, 0.2),
        objectives.CriticalFold(0.2),
    ],
)
def test_implicit_is_exact(objective):
    expected = central(loss_of(objective), POINT)
    found = estimated(objective, gradients.Implicit())
    assert np.all(np.abs(expected[:2]) > 1e-4)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "objective",
    [
        objectives.Rate(0.35, RUN),
        objectives.Trace(np.linspace(0, 0.5, 61), RUN, noise=0.2),
        objectives.Statistic(lambda s: jnp.max(s.ys), 0.4, RUN),
    ],
)
def test_the_adjoint_is_exact(objective):
    expected = central(loss_of(objective), POINT)
    found = estimated(objective, gradients.Adjoint())
    assert np.all(np.abs(expected) > 1e-4)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_the_adjoint_equals_forward_mode():
    objective = objectives.Rate(0.35, RUN)
    forward = jax.jacfwd(loss_of(objective))(POINT)
    found = estimated(objective, gradients.Adjoint())
    np.testing.assert_allclose(found, forward, rtol=1e-12)


def test_finite_differences_of_a_run_approach_the_exact_gradient():
    objective = objectives.Rate(0.35, RUN)
    exact = np.asarray(jax.grad(loss_of(objective))(POINT))
    error = [
        estimated(objective, gradients.FiniteDifferences(h)) - exact for h in (0.004, 0.002)
    ]
    np.testing.assert_allclose(error[0] / error[1], 4.0, rtol=0.02)


# What an estimator refuses

LIF = models.LIF()
COUNTS = objectives.Run(0.0, 20.0, jn.Grid(0.1))
SPIKING = {
    "Rate": objectives.Rate(50.0, COUNTS),
    "ISICV": objectives.ISICV(0.5, COUNTS),
    "SpikeTrain": objectives.SpikeTrain([5.0], COUNTS, tau=5.0),
    "SpectralPeak": objectives.SpectralPeak(40.0, COUNTS),
    "Statistic": objectives.Statistic(lambda s: s.spikes.count, 3.0, COUNTS),
    "Trace": objectives.Trace(np.zeros(201), COUNTS),
}
R = lambda s: s.resistance


@pytest.mark.parametrize("name", SPIKING)
def test_the_adjoint_is_refused_for_spikes_and_says_what_to_take(name):
    message = rf"(?s)`{name}`.*FiniteDifferences.*SPSA.*EvolutionStrategy.*Surrogate"
    for method in (
        jn.AllAtOnce(),
        jn.LeastSquares(),
        jn.Descent(optax.sgd(0.1)),
        jn.Descent(optax.sgd(0.1), gradients.Adjoint()),
    ):
        with pytest.raises(ValueError, match=message):
            jn.fit(LIF, SPIKING[name], where=R, u=1.5, method=method)


@pytest.mark.parametrize("name", SPIKING)
def test_implicit_is_refused_for_a_simulation(name):
    method = jn.Descent(optax.sgd(0.1), gradients.Implicit())
    with pytest.raises(ValueError, match=r"`Implicit`.*simulation.*Take .*Adjoint\(\)"):
        jn.fit(LIF, SPIKING[name], where=R, u=1.5, method=method)


@pytest.mark.parametrize("name", ["ISICV", "SpikeTrain", "SpectralPeak"])
def test_a_surrogate_is_refused_for_times_of_spikes(name):
    message = r"no slope can stand.*FiniteDifferences.*SPSA.*EvolutionStrategy"
    method = jn.Descent(optax.sgd(0.1), gradients.Surrogate())
    with pytest.raises(ValueError, match=message):
        jn.fit(LIF, SPIKING[name], where=R, u=1.5, method=method)


def test_a_surrogate_is_refused_where_nothing_is_simulated():
    method = jn.Descent(optax.sgd(0.1), gradients.Surrogate())
    with pytest.raises(ValueError, match=r"`Surrogate`.*spikes.*Take.*`Implicit"):
        jn.fit(
            Saturating(), objectives.FixedPointAt(0.1), where=lambda s: s.w, method=method
        )


def test_a_surrogate_is_refused_where_there_are_no_spikes():
    method = jn.Descent(optax.sgd(0.1), gradients.Surrogate(), max_steps=1)
    with pytest.raises(ValueError, match=r"`Surrogate`.*spikes.*Adjoint"):
        jn.fit(Saturating(), objectives.Rate(0.3, RUN), where=lambda s: s.w, method=method)


def test_a_surrogate_needs_a_grid():
    rate = objectives.Rate(50.0, objectives.Run(0.0, 6.0, jn.Adaptive()))
    method = jn.Descent(optax.sgd(0.1), gradients.Surrogate())
    with pytest.raises(ValueError, match="`Surrogate` needs a `Grid` in the `run`"):
        jn.fit(LIF, rate, where=R, u=1.5, method=method)


# Surrogates


@functools.cache
def counted(memory=None):
    """The count, its derivative by the current, and the run."""
    memory = None if memory is None else jn.surrogate.Memory(*memory)

    def count(current):
        method = jn.Grid(
            0.1,
            record=jn.RecordCounts(with_slope=True),
            surrogate=jn.surrogate.FastSigmoid(),
            memory=memory,
        )
        run = jn.simulate(LIF, 0.0, t1=40.0, u=current, method=method)
        return run.spikes.count[0], run.ys

    return jax.jit(jax.value_and_grad(count, has_aux=True))


def count_by_hand(current, slope, memory=1.0):
    """Spikes of an LIF neuron in steps of Euler, and their derivative by a surrogate."""
    v, dv, count, dcount = 0.0, 0.0, 0, 0.0
    for _ in range(400):
        dv *= memory
        v, dv = v + 0.01 * (current - v), dv + 0.01 * (1 - dv)
        s, ds = v > 1.0, slope(v - 1.0) * dv
        count, dcount = count + s, dcount + ds
        # The reset: (1 - s) v.
        v, dv = (0.0 if s else v), (1 - s) * dv - ds * v
    return count, dcount


FAST = lambda x: 1 / (2 * (1 + abs(x)) ** 2)


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_counts_with_a_slope_have_the_derivative_of_the_recursion_by_hand(damping):
    (count, _), slope = counted((None, damping))(1.7)
    expected = count_by_hand(1.7, FAST, np.exp(-damping * 0.1))
    assert expected[0] >= 3
    np.testing.assert_allclose([count, slope], expected, rtol=1e-10)


def test_counts_with_a_slope_are_the_counts_without_one():
    record = jn.RecordCounts()
    run = jn.simulate(LIF, 0.0, t1=40.0, u=1.7, method=jn.Grid(0.1, record=record))
    (count, _), _ = counted()(1.7)
    assert run.spikes.count.tolist() == [int(count)]
    assert jnp.issubdtype(run.spikes.count.dtype, jnp.integer)


@pytest.mark.parametrize("memory", [(None, 0.2), (5.0, 0.0), (0.05, 1.0)])
def test_a_memory_changes_no_bit_of_the_run(memory):
    (count, ys), slope = counted()(1.7)
    faded = counted(memory)(1.7)
    (other_count, other_ys), other_slope = faded
    assert count == other_count
    np.testing.assert_array_equal(ys, other_ys)
    assert slope != other_slope


class Ramp(jn.AbstractSystem):
    """dy/dt = rate: what acts longer adds more."""

    rate: jn.Parameter = jn.parameter(1.0)

    def vector_field(self, t, y, u):
        return self.rate


def end_of_ramp(memory, t1, dt=0.5):
    method = jn.Grid(dt, memory=jn.surrogate.Memory(*memory))
    end = lambda y0, rate: jn.simulate(Ramp(rate), y0, t1=t1, method=method).ys[-1]
    return [float(x) for x in jax.grad(end, argnums=(0, 1))(2.0, 3.0)]


@pytest.mark.parametrize("damping", [0.0, 0.1, 2.0])
def test_a_derivative_decays_at_the_rate_of_the_damping(damping):
    of_start, of_rate = end_of_ramp((None, damping), 10.0)
    kept = np.exp(-damping * 0.5)
    assert of_start == pytest.approx(np.exp(-damping * 10.0), rel=1e-12)
    assert of_rate == pytest.approx(0.5 * np.sum(kept ** np.arange(20)), rel=1e-12)


@pytest.mark.parametrize(
    ("horizon", "t1", "reach", "start"),
    [
        (4.0, 10.0, 2.0, 0.0),
        (4.0, 8.0, 4.0, 0.0),
        (5.0, 10.0, 5.0, 0.0),
        # What the start does is not cut at 0.
        (20.0, 10.0, 10.0, 1.0),
        (10.0, 10.0, 10.0, 1.0),
        (0.1, 3.0, 0.5, 0.0),
    ],
)
def test_nothing_acts_longer_than_since_the_last_multiple_of_the_horizon(
    horizon, t1, reach, start
):
    of_start, of_rate = end_of_ramp((horizon, 0.0), t1)
    assert of_rate == pytest.approx(reach, rel=1e-12)
    assert of_start == start


def test_a_horizon_and_a_damping_act_together():
    of_start, of_rate = end_of_ramp((4.0, 0.1), 10.0)
    assert of_start == 0.0
    # Four steps since the cut at 8 ms.
    assert of_rate == pytest.approx(0.5 * np.sum(np.exp(-0.05 * np.arange(4))), rel=1e-12)


@pytest.mark.parametrize("horizon", [0.0, -1.0])
def test_a_horizon_that_is_not_positive_is_refused(horizon):
    with pytest.raises(ValueError, match="`horizon` of `Memory` must be positive, or None"):
        jn.surrogate.Memory(horizon)


def test_a_damping_that_is_negative_is_refused():
    with pytest.raises(ValueError, match="`damping` of `Memory` must be nonnegative"):
        jn.surrogate.Memory(damping=-0.1)


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_is_no_memory_is_refused():
    with pytest.raises(ValueError, match=r"`memory` of `Grid` must be.*`jaxnet.surrogate"):
        jn.Grid(0.1, memory=5.0)


def test_a_surrogate_leads_a_silent_neuron_to_its_rate():
    """There finite differences of small steps and the exact derivative are zero."""
    rate = objectives.Rate(100.0, objectives.Run(0.0, 40.0, jn.Grid(0.1)))
    method = jn.Descent(optax.adam(0.05), gradients.Surrogate(), max_steps=200)
    where = lambda s: s.input.value
    fit = jn.fit(jn.Driven(LIF, 0.9), rate, where=where, method=method, tolerance=0.01)
    assert fit.result == jn.RESULTS.successful
    # Four spikes in 40 ms, by the recursion by hand.
    assert count_by_hand(0.9, FAST)[0] == 0
    assert count_by_hand(float(fit.system.input.value), FAST)[0] == 4


def test_estimators_can_be_changed_without_a_new_program():
    traces = []

    def counted_misfit(z, key):
        traces.append(1)
        return misfits(z)

    @eqx.filter_jit
    def estimate(estimator, z):
        return estimator(counted_misfit, z, KEY).gradient

    for step in (0.1, 0.2, 0.3):
        estimate(gradients.SPSA(step), jnp.asarray(AT))
    assert len(traces) == 1
