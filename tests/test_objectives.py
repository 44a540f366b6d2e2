"""Objectives of fixed points, eigenvalues and cycles, against closed forms and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp

import jaxnet as jn
from jaxnet import models, objectives
from jaxnet.objectives._base import solve_unknowns


SUCCESS = jn.RESULTS.successful
CURRENTS = (1.0, 0.0)
ROTATING = models.WilsonCowan(w_ee=6.0, w_ei=5.0, w_ie=6.0, w_ii=1.0)


def misfit(objective, system, unknowns=None, u=None):
    driven = system if u is None else jn.Driven(system, u)
    objective = objective.prepare(driven)
    unknowns = objective.guess(driven) if unknowns is None else jnp.asarray(unknowns)
    return np.asarray(objective.misfit(driven, unknowns, None))


class Linear(jn.AbstractSystem):
    """dy/dt = A (y - c): the fixed point is c, and the eigenvalues are those of A."""

    a: jn.Parameter = jn.parameter()
    c: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return self.a @ (y - self.c)


A = np.array([[-1.0, 2.0, 0.3], [-2.0, -0.4, 0.1], [0.5, 0.2, -3.0]])
CENTRE = np.array([0.3, -0.2, 0.7])
LINEAR = Linear(A, CENTRE)
EIGENVALUES = np.linalg.eigvals(A)
NEAR = CENTRE + 0.1


def sigmoid(x, a=1.2, theta=2.8):
    return 1 / (1 + np.exp(-a * (x - theta))) - 1 / (1 + np.exp(a * theta))


# Values


@pytest.mark.parametrize("y", [NEAR, CENTRE, np.zeros(3)])
def test_the_misfit_of_a_fixed_point_is_the_flow_there(y):
    found = misfit(objectives.FixedPointAt(y), LINEAR)
    np.testing.assert_allclose(found, A @ (y - CENTRE), atol=1e-15)


def test_the_misfit_of_a_fixed_point_counts_the_input():
    found = misfit(
        objectives.FixedPointAt(0.4), models.RatePopulation(w=2.0, tau=5.0), u=1.0
    )
    np.testing.assert_allclose(found, (-0.4 + sigmoid(1.8)) / 5.0, rtol=1e-13)


@pytest.mark.parametrize("value", [-0.7, 0.0, 2.0])
def test_the_misfit_of_a_real_eigenvalue_is_the_smallest_singular_value(value):
    found = misfit(objectives.EigenvalueAt(value, NEAR), LINEAR, CENTRE)
    expected = np.linalg.svd(A - value * np.eye(3), compute_uv=False)[-1]
    assert found.shape == (1,)
    np.testing.assert_allclose(np.abs(found), expected, rtol=1e-12)


@pytest.mark.parametrize("value", [0.5 + 1.5j, -0.7 - 2.0j])
def test_the_misfit_of_a_complex_eigenvalue_is_the_smallest_singular_value(value):
    found = misfit(objectives.EigenvalueAt(value, NEAR), LINEAR, CENTRE)
    expected = np.linalg.svd(A - value * np.eye(3), compute_uv=False)[-1]
    assert found.shape == (2,)
    np.testing.assert_allclose(np.hypot(*found), expected, rtol=1e-12)


@pytest.mark.parametrize("value", EIGENVALUES)
def test_an_eigenvalue_that_is_there_has_no_misfit(value):
    value = value if abs(value.imag) > 1e-9 else value.real
    found = misfit(objectives.EigenvalueAt(value, NEAR), LINEAR, CENTRE)
    np.testing.assert_allclose(found, 0.0, atol=1e-14)


def test_the_misfit_of_the_spectral_abscissa_is_a_difference_of_real_parts():
    found = misfit(objectives.SpectralAbscissa(-0.2, NEAR), LINEAR, CENTRE)
    np.testing.assert_allclose(found, [EIGENVALUES.real.max() + 0.2], rtol=1e-12)


@pytest.mark.parametrize(
    ("objective", "value"),
    [
        (objectives.CriticalFold(NEAR), 0.0),
        (objectives.CriticalHopf(1.9, NEAR), 1.9j),
    ],
)
def test_the_misfit_of_a_critical_point_is_that_of_its_eigenvalue(objective, value):
    expected = np.linalg.svd(A - value * np.eye(3), compute_uv=False)[-1]
    found = misfit(objective, LINEAR, CENTRE)
    np.testing.assert_allclose(np.linalg.norm(found), expected, rtol=1e-12)


def test_the_unknowns_are_the_fixed_point_near_the_state():
    for objective in (objectives.EigenvalueAt(-1.0, NEAR), objectives.CriticalFold(NEAR)):
        prepared = objective.prepare(LINEAR)
        found, good = solve_unknowns(prepared, LINEAR, prepared.guess(LINEAR))
        assert good
        np.testing.assert_allclose(found, CENTRE, atol=1e-12)


def test_the_smallest_singular_value_is_smooth_where_two_eigenvalues_meet():
    """Eigenvalues of [[0, 1], [p, 0]] are the roots of p: their slope at 0 is infinite."""
    matrix = lambda p: jnp.array([[0.0, 1.0], [0.0, 0.0]]).at[1, 0].set(p)

    def of(p):
        system = Linear(matrix(p), np.zeros(2))
        objective = objectives.CriticalFold(np.zeros(2)).prepare(system)
        return objective.misfit(system, jnp.zeros(2), None)[0]

    value, slope = jax.value_and_grad(of)(0.0)
    assert abs(value) < 1e-15
    assert abs(slope) == pytest.approx(1.0, rel=1e-12)


def test_a_sum_weighs_the_squares_of_its_misfits():
    parts = (objectives.FixedPointAt(NEAR), objectives.FixedPointAt(np.zeros(3)))
    rows = [A @ (NEAR - CENTRE), -A @ CENTRE]
    found = misfit(objectives.Sum(parts, (4.0, 0.25)), LINEAR, unknowns=None)
    np.testing.assert_allclose(found, np.concatenate([2 * rows[0], rows[1] / 2]))
    alone = misfit(objectives.Sum(parts), LINEAR)
    np.testing.assert_allclose(alone, np.concatenate(rows))


# Fits of fixed points and eigenvalues

W = lambda s: s.w
W_EE = lambda s: s.w_ee
BOTH_E = lambda s: (s.w_ee, s.w_ei)


@pytest.mark.parametrize(
    ("stable", "code"),
    [
        (True, "equilibrium_unstable"),
        pytest.param(False, "successful", marks=pytest.mark.slow),
    ],
)
def test_an_unstable_fixed_point_is_told_unless_it_may_be(stable, code):
    # sigmoid(0.4 w + 1) = 0.4, with the slope w F' above 1.
    at_zero = 1 / (1 + np.exp(1.2 * 2.8))
    s = 0.4 + at_zero
    w = (2.8 + np.log(s / (1 - s)) / 1.2 - 1.0) / 0.4
    assert w * 1.2 * s * (1 - s) > 1
    objective = objectives.FixedPointAt(0.4, stable=stable)
    fit = jn.fit(models.RatePopulation(w=2.0), objective, where=W, u=1.0)
    np.testing.assert_allclose(fit.system.w, w, rtol=1e-6)
    assert fit.result == getattr(jn.RESULTS, code)


@pytest.mark.slow
def test_a_stable_fixed_point_is_a_success():
    fit = jn.fit(models.RatePopulation(w=0.5), objectives.FixedPointAt(0.4), where=W, u=3.0)
    assert fit.result == SUCCESS
    assert float(sigmoid(0.4 * fit.system.w + 3.0)) == pytest.approx(0.4, rel=1e-7)


@pytest.mark.slow
def test_a_real_eigenvalue_is_where_it_is_wanted():
    objective = objectives.EigenvalueAt(-0.5, 0.0)
    population = models.RatePopulation(w=1.0)
    fit = jn.fit(population, objective, where=lambda s: s.tau)
    # (w F'(0) - 1) / tau, by hand.
    s = 1 / (1 + np.exp(1.2 * 2.8))
    assert float(fit.system.tau) == pytest.approx((1 - 1.2 * s * (1 - s)) / 0.5, rel=1e-6)
    assert fit.result == SUCCESS


def fixed_point_of(system, y, u):
    field = lambda y: np.asarray(jn.models.WilsonCowan.vector_field(system, 0.0, y, u))
    points = jn.fixed_points(system, jnp.asarray(y)[None], u=u)
    assert np.abs(field(points.y[0])).max() < 1e-10
    return points.y[0]


def by_differences(system, y, u, h=1e-6):
    field = lambda y: np.asarray(system.vector_field(0.0, jnp.asarray(y), u))
    return np.array([(field(y + s) - field(y - s)) / (2 * h) for s in h * np.eye(2)]).T


@pytest.mark.slow
@pytest.mark.parametrize("value", [-0.1 + 0.75j, -0.1 - 0.75j])
def test_a_complex_eigenvalue_is_where_it_is_wanted(value):
    objective = objectives.EigenvalueAt(value, (0.4, 0.3))
    fit = jn.fit(ROTATING, objective, where=BOTH_E, u=CURRENTS)
    assert fit.result == SUCCESS
    y = np.asarray(fixed_point_of(fit.system, fit.unknowns, CURRENTS))
    values = np.linalg.eigvals(by_differences(fit.system, y, CURRENTS))
    assert np.abs(values - value).min() < 1e-6


@pytest.fixture(scope="module")
def hopf_by_fit():
    onset = objectives.CriticalHopf(0.7, (0.4, 0.3))
    method = jn.AllAtOnce(max_steps=300)
    return jn.fit(ROTATING, onset, where=BOTH_E, u=CURRENTS, method=method)


def test_a_hopf_point_of_a_fit_is_one_by_its_eigenvalues(hopf_by_fit):
    fit = hopf_by_fit
    assert fit.result == SUCCESS
    y = np.asarray(fixed_point_of(fit.system, fit.unknowns, CURRENTS))
    values = np.linalg.eigvals(by_differences(fit.system, y, CURRENTS))
    np.testing.assert_allclose(np.sort(values.imag), [-0.7, 0.7], rtol=1e-6)
    np.testing.assert_allclose(values.real, 0.0, atol=1e-7)


@pytest.mark.slow
def test_a_hopf_point_of_a_fit_is_one_by_its_defining_equations(hopf_by_fit):
    fit = hopf_by_fit
    hopf = jn.hopf(fit.system, W_EE, fit.unknowns, u=CURRENTS)
    assert hopf.valid
    np.testing.assert_allclose(hopf.parameter, fit.system.w_ee, rtol=1e-6)
    np.testing.assert_allclose(hopf.omega, 0.7, rtol=1e-6)
    np.testing.assert_allclose(hopf.y, fit.unknowns, rtol=1e-6)


def test_a_fold_of_a_fit_is_one_by_its_defining_equations():
    edge = objectives.CriticalFold(0.2)
    fit = jn.fit(models.RatePopulation(w=5.0), edge, where=W, u=0.8)
    fold = jn.fold(fit.system, W, fit.unknowns[0], u=0.8)
    assert fit.result == SUCCESS
    assert fold.valid
    np.testing.assert_allclose(fold.parameter, fit.system.w, rtol=1e-6)
    # By hand: at rest, and the slope of the feedback is one.
    w, y = float(fit.system.w), float(fit.unknowns[0])
    s = 1 / (1 + np.exp(-1.2 * (w * y + 0.8 - 2.8)))
    assert w * 1.2 * s * (1 - s) == pytest.approx(1.0, abs=1e-7)
    assert float(sigmoid(w * y + 0.8)) == pytest.approx(y, abs=1e-7)


class Diagonal(jn.AbstractSystem):
    """Two variables, each with an eigenvalue of its own."""

    first: jn.Parameter = jn.parameter()
    second: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return jnp.stack([self.first, self.second]) * y


FIRST = lambda s: s.first


@pytest.mark.parametrize(("second", "code"), [(-1.0, "successful"), (0.6, "not_rightmost")])
def test_a_fold_that_is_not_rightmost_is_told(second, code):
    edge = objectives.CriticalFold(np.zeros(2))
    fit = jn.fit(Diagonal(-0.1, second), edge, where=FIRST)
    assert abs(float(fit.system.first)) < 1e-6
    assert fit.result == getattr(jn.RESULTS, code)


@pytest.mark.slow
def test_a_hopf_point_that_is_not_rightmost_is_told():
    class Spiral(jn.AbstractSystem):
        """A pair of eigenvalues, and one by itself."""

        p: jn.Parameter = jn.parameter()
        omega: jn.Parameter = jn.parameter()
        other: jn.Parameter = jn.parameter()

        def vector_field(self, t, y, u):
            turn = [self.p * y[0] - self.omega * y[1], self.omega * y[0] + self.p * y[1]]
            return jnp.stack([*turn, self.other * y[2]])

    onset = objectives.CriticalHopf(1.5, np.zeros(3))
    where = lambda s: (s.p, s.omega)
    for other, code in ((-1.0, SUCCESS), (0.5, jn.RESULTS.not_rightmost)):
        fit = jn.fit(Spiral(-0.2, 1.2, other), onset, where=where)
        assert fit.result == code
        np.testing.assert_allclose([fit.system.p, fit.system.omega], [0, 1.5], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("value", [-0.25])
def test_the_spectral_abscissa_is_that_of_the_rightmost_eigenvalue(value):
    objective = objectives.SpectralAbscissa(value, np.zeros(2))
    fit = jn.fit(Diagonal(-0.1, -1.0), objective, where=FIRST)
    assert fit.result == SUCCESS
    assert float(fit.system.first) == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize(
    "objective",
    [
        objectives.EigenvalueAt(-0.3, np.zeros(2)),
        pytest.param(objectives.CriticalFold(np.zeros(2)), marks=pytest.mark.slow),
        pytest.param(objectives.SpectralAbscissa(0.3, np.zeros(2)), marks=pytest.mark.slow),
    ],
)
def test_a_misfit_within_the_tolerance_is_a_success(objective):
    # From above, so that the largest real part ends a little too far right.
    start = 0.6
    method = jn.Descent(optax.sgd(0.5), max_steps=100)
    fit = jn.fit(
        Diagonal(start, -3.0), objective, where=FIRST, method=method, tolerance=1e-3
    )
    if fit.loss > 1e-6 / 2:
        pytest.fail("this is no search that meets its objective")
    assert fit.result == SUCCESS


# Cycles


class Circle(jn.AbstractSystem):
    """z' = (m + i omega - s |z|^2) z around a centre; the radius is the root of m / s."""

    m: jn.Parameter = jn.parameter(1.0)
    omega: jn.Parameter = jn.parameter(1.0, positive=True)
    s: jn.Parameter = jn.parameter(1.0)
    centre: jn.Parameter = jn.parameter(np.array([0.5, -0.25]))

    def vector_field(self, t, y, u):
        x, y = y - self.centre
        pull = self.m - self.s * (x**2 + y**2)
        return jnp.stack([pull * x - self.omega * y, pull * y + self.omega * x])


RADIUS_AND_FREQUENCY = lambda s: (s.m, s.omega)
ROUND = objectives.Cycle(8.0, 0.6, y=(0.5, -0.25), nodes=9)


def circle_nodes(radius, n=9):
    phases = 2 * np.pi * np.arange(n) / n
    return np.array([0.5, -0.25]) + radius * np.stack([np.cos(phases), np.sin(phases)], 1)


def test_the_equations_of_a_cycle_hold_on_a_circle_that_is_one():
    system = Circle(m=0.49, omega=2 * np.pi / 5.0)
    orbit = objectives.Orbit(jnp.asarray(circle_nodes(0.7)), jnp.asarray(5.0 / 8.0))
    cycle = ROUND.prepare(system)
    np.testing.assert_allclose(cycle.equations(system, orbit), 0.0, atol=1e-13)
    # By how much the period and the amplitude are wrong, in units of what is wanted.
    found = cycle.misfit(system, orbit, None)
    np.testing.assert_allclose(found, [5.0 / 8.0 - 1, 0.7 / 0.6 - 1], rtol=1e-12)
    check = cycle.check(system, orbit)
    expected = [np.exp(-2 * 0.49 * 5.0), 1.0]
    np.testing.assert_allclose(np.sort(check.multipliers.real), expected, rtol=1e-5)
    # A displacement along the circle stays, one across it decays: at most both at once.
    assert 1.0 <= check.sensitivity < np.sqrt(2.0)
    assert check.tail < 1e-12
    assert check.closing_error < 1e-6


@pytest.mark.parametrize("moved", [0.05, -0.3])
def test_the_equations_of_a_cycle_do_not_hold_on_a_circle_of_another_size(moved):
    system = Circle(m=0.49, omega=2 * np.pi / 5.0)
    orbit = objectives.Orbit(jnp.asarray(circle_nodes(0.7 + moved)), jnp.asarray(5.0 / 8.0))
    equations = ROUND.prepare(system).equations(system, orbit)
    assert np.abs(equations).max() > 0.01


@pytest.mark.parametrize("m", [0.3, -0.2])
def test_a_cycle_is_led_to_its_period_and_amplitude_from_silence_too(m):
    fit = jn.fit(Circle(m=m), ROUND, where=RADIUS_AND_FREQUENCY)
    assert fit.result == SUCCESS
    np.testing.assert_allclose(fit.system.m, 0.36, rtol=1e-6)
    np.testing.assert_allclose(fit.system.omega, 2 * np.pi / 8.0, rtol=1e-6)
    np.testing.assert_allclose(fit.unknowns.nodes, circle_nodes(0.6), atol=1e-6)


def test_a_cycle_that_repels_is_told():
    """With time turned around: it is the same circle, but nothing comes to it."""
    fit = jn.fit(Circle(m=-0.3, s=-1.0), ROUND, where=RADIUS_AND_FREQUENCY)
    np.testing.assert_allclose(fit.system.m, -0.36, rtol=1e-6)
    assert fit.result == jn.RESULTS.cycle_unstable


class VanDerPol(jn.AbstractSystem):
    """x' = s v, v' = s (mu (1 - (x / a)^2) v - x)."""

    s: jn.Parameter = jn.parameter(1.0, positive=True)
    a: jn.Parameter = jn.parameter(1.0, positive=True)
    mu: jn.Parameter = jn.parameter(1.0)

    def vector_field(self, t, y, u):
        x, v = y
        bent = self.mu * (1 - (x / self.a) ** 2) * v - x
        return self.s * jnp.stack([v, bent])


SPEED_AND_SIZE = lambda s: (s.s, s.a)


def by_scipy(s, a, mu):
    """One period on the cycle: its length, and x at equal intervals over it."""
    field = lambda t, y: s * np.array([y[1], mu * (1 - (y[0] / a) ** 2) * y[1] - y[0]])
    tight = {"rtol": 1e-11, "atol": 1e-12}
    crossing = lambda t, y: y[0]
    crossing.direction = 1.0
    run = solve_ivp(field, (0, 60 / s), [2 * a, 0.0], events=crossing, **tight)
    first, second = run.t_events[0][-2:]
    start = run.y_events[0][-2]
    times = np.linspace(0, second - first, 400, endpoint=False)
    orbit = solve_ivp(field, (0, second - first), start, t_eval=times, **tight)
    return second - first, orbit.y


@pytest.fixture(scope="module")
def relaxing():
    wanted = objectives.Cycle(9.0, 1.4, y=(0.0, 0.0), nodes=41)
    return wanted, jn.fit(VanDerPol(), wanted, where=SPEED_AND_SIZE)


@pytest.mark.slow
def test_the_period_and_the_amplitude_of_a_cycle_are_those_by_scipy(relaxing):
    _, fit = relaxing
    assert fit.result == SUCCESS
    period, (x, _) = by_scipy(*map(float, (fit.system.s, fit.system.a, fit.system.mu)))
    assert period == pytest.approx(9.0, rel=1e-5)
    first_harmonic = 2 * np.abs(np.mean(x * np.exp(-2j * np.pi * np.arange(400) / 400)))
    assert first_harmonic == pytest.approx(1.4, rel=1e-5)


def test_the_nodes_of_a_cycle_lie_on_the_orbit_by_scipy(relaxing):
    _, fit = relaxing
    _, orbit = by_scipy(*map(float, (fit.system.s, fit.system.a, fit.system.mu)))
    distances = np.linalg.norm(np.asarray(fit.unknowns.nodes)[:, :, None] - orbit, axis=1)
    # 400 points along the orbit are this far apart.
    spacing = np.linalg.norm(np.diff(orbit, axis=1), axis=0).max()
    assert distances.min(axis=1).max() < spacing


@pytest.mark.slow
def test_the_multipliers_of_a_cycle_are_one_and_that_of_the_mean_divergence(relaxing):
    wanted, fit = relaxing
    check = wanted.check(fit.system, fit.unknowns)
    s, a, mu = map(float, (fit.system.s, fit.system.a, fit.system.mu))
    period, (x, _) = by_scipy(s, a, mu)
    # Liouville: the product of both is the exponential of the integral of the divergence.
    product = np.exp(period * np.mean(s * mu * (1 - (x / a) ** 2)))
    found = np.sort(np.abs(check.multipliers))
    np.testing.assert_allclose(found, [product, 1.0], rtol=2e-3)
    assert check.closing_error < 1e-4
    assert check.tail < 1e-4


@pytest.mark.parametrize(
    ("gain", "sensitive"), [(3.0, False), pytest.param(7.5, True, marks=pytest.mark.slow)]
)
def test_an_orbit_from_which_small_displacements_grow_on_the_way_is_told(gain, sensitive):
    """Across a circle displacements grow by e^gain, then decay; all in one period."""

    class Canard(jn.AbstractSystem):
        """dr/dt = gain (r - 1) cos(phi) off the circle, with dphi/dt = 1."""

        frequency: jn.Parameter = jn.parameter(1.0)
        gain: float = 1.0

        def vector_field(self, t, y, u):
            a, b = y
            r = jnp.sqrt(a**2 + b**2)
            # The cosine of the phase, with a weak pull back in the mean.
            pull = (self.gain * a / r - 0.05) * (r - 1) / r
            return jnp.stack([pull * a - self.frequency * b, pull * b + self.frequency * a])

    system = Canard(gain=gain)
    phases = 2 * np.pi * (np.arange(9) / 9)
    nodes = jnp.asarray(np.stack([np.cos(phases), np.sin(phases)], axis=1))
    cycle = objectives.Cycle(2 * np.pi, 1.0, y=(1e-3, 0.0), nodes=9).prepare(system)
    orbit = objectives.Orbit(nodes, jnp.ones(()))
    # From phase 0 the growth is e^(gain sin(phi) - 0.05 phi), at most at a quarter turn.
    largest = np.exp(gain - 0.05 * np.pi / 2)
    check = cycle.check(system, orbit)
    assert float(check.sensitivity) == pytest.approx(np.hypot(largest, 1.0), rel=2e-2)
    told = cycle.verify(system, orbit, 1e-6) == jn.RESULTS.cycle_sensitive
    assert bool(told) == sensitive


@pytest.mark.slow
def test_too_few_nodes_are_told():
    coarse = objectives.Cycle(9.0, 1.4, y=(0.0, 0.0), nodes=7)
    fit = jn.fit(VanDerPol(), coarse, where=SPEED_AND_SIZE)
    assert fit.loss < 1e-12
    assert fit.result == jn.RESULTS.cycle_not_resolved


@pytest.mark.slow
def test_the_amplitude_is_that_of_what_is_observed():
    wanted = objectives.Cycle(
        8.0, 3.0, y=(0.5, -0.25), of=lambda y: 2 * y[1] - y[0], nodes=9
    )
    fit = jn.fit(Circle(m=0.3), wanted, where=RADIUS_AND_FREQUENCY)
    # 2 sin - cos has the amplitude of the root of 5.
    assert fit.result == SUCCESS
    np.testing.assert_allclose(fit.system.m, 9.0 / 5.0, rtol=1e-6)


# Refusals


@pytest.mark.parametrize("nodes", [2, 4, 32, 3, 0, -5])
def test_nodes_that_are_even_or_too_few_are_refused(nodes):
    with pytest.raises(ValueError, match="`nodes` of `Cycle` must be an odd number from 5"):
        objectives.Cycle(8.0, 1.0, y=(0.0, 0.0), nodes=nodes)


@pytest.mark.parametrize("value", [0.0, -3.0, np.nan])
@pytest.mark.parametrize("name", ["period", "amplitude"])
def test_a_period_or_amplitude_that_is_not_positive_is_refused(name, value):
    values = {"period": 8.0, "amplitude": 1.0, name: value}
    with pytest.raises(ValueError, match=f"`{name}` of `Cycle` must be positive"):
        objectives.Cycle(**values, y=(0.0, 0.0))


@pytest.mark.parametrize(
    "make",
    [
        objectives.FixedPointAt,
        lambda y: objectives.EigenvalueAt(-1.0, y),
        objectives.CriticalFold,
        lambda y: objectives.CriticalHopf(1.0, y),
        lambda y: objectives.SpectralAbscissa(0.0, y),
        lambda y: objectives.Cycle(8.0, 1.0, y=y),
    ],
)
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(3), "`y`.*shape"),
        (np.array([np.nan, 0.0]), r"`y.*` is NaN or infinite.*Look at what made it"),
        (np.array([np.inf, 0.0]), r"`y.*` is NaN or infinite.*Look at what made it"),
    ],
)
def test_a_state_that_is_none_of_the_system_is_refused(make, y, message):
    with pytest.raises(ValueError, match=message):
        jn.fit(Circle(), make(y), where=RADIUS_AND_FREQUENCY)


@pytest.mark.parametrize(
    "objective", [objectives.FixedPointAt(0.2), objectives.EigenvalueAt(-1.0, 0.2)]
)
def test_an_input_that_varies_has_no_fixed_points(objective):
    with pytest.raises(ValueError, match=r"varies in time.*a constant `u="):
        jn.fit(models.RatePopulation(), objective, where=W, u=lambda t: jnp.sin(t))


@pytest.mark.parametrize(
    "objective",
    [
        objectives.CriticalHopf(0.5, 0.1),
        pytest.param(objectives.EigenvalueAt(0.1 + 0.5j, 0.1), marks=pytest.mark.slow),
        pytest.param(objectives.Cycle(10.0, 0.1, y=0.1, nodes=5), marks=pytest.mark.slow),
    ],
)
def test_what_takes_two_variables_is_refused_for_one(objective):
    method = jn.AllAtOnce(max_steps=1)
    with pytest.raises(ValueError, match="two"):
        jn.fit(models.RatePopulation(), objective, where=W, method=method)


@pytest.mark.parametrize("omega", [0.0, -0.7, np.nan])
def test_an_angular_frequency_that_is_not_positive_is_refused(omega):
    with pytest.raises(ValueError, match="`omega` of `CriticalHopf` must be positive"):
        objectives.CriticalHopf(omega, (0.4, 0.3))


@pytest.mark.parametrize(
    ("objectives_", "weights", "message"),
    [
        ((), None, "`objectives` must be a tuple of `jaxnet.objectives`"),
        ((objectives.CriticalFold(0.1),), (1.0, 2.0), "`weights` must be 1 numbers"),
        ((objectives.CriticalFold(0.1),), (0.0,), "`weights` must be positive.*Leave"),
        ((objectives.CriticalFold(0.1),), (-1.0,), "`weights` must be positive.*Leave"),
        ((objectives.CriticalFold(0.1),), (np.nan,), "`weights` must be positive.*Leave"),
    ],
)
def test_a_sum_that_makes_no_sense_is_refused(objectives_, weights, message):
    with pytest.raises(ValueError, match=message):
        objectives.Sum(objectives_, weights)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_sum_of_what_is_no_objective_is_refused():
    with pytest.raises(ValueError, match="`objectives` must be a tuple of `jaxnet"):
        objectives.Sum((objectives.CriticalFold(0.1), 3.0))


def test_the_remedy_for_an_unstable_fixed_point_can_be_followed():
    assert "Sum((" in jn.RESULTS[jn.RESULTS.equilibrium_unstable]
    both = objectives.Sum(
        (objectives.FixedPointAt(0.4), objectives.SpectralAbscissa(-0.1, 0.4))
    )
    assert isinstance(both, objectives.AbstractObjective)
