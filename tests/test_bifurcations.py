"""Folds, Hopf points, branch points: normal forms, published values, derivatives."""

import _published as published
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxnet as jn


SUCCESS = jn.RESULTS.successful
P = lambda s: s.p


def assert_close(got, expected, tolerance=1e-9):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def image_of(image, vector):
    """The image of a critical vector, of unit length, and its length."""
    seen = image(vector)
    return seen / np.linalg.norm(seen), np.linalg.norm(seen)


def positive(v):
    """The sign that makes the largest entry positive."""
    return np.sign(v[np.argmax(np.abs(v))])


# Normal forms, in their own coordinates and in others


def check_fold(a, changed, n):
    terms = published.polynomial(x_p=1.0, x_xx=a, x_xy=0.3, x_xxx=0.2, y_y=-2.0)
    system, y, image = published.planar_form(terms, n, changed=changed)
    fold = jn.fold(system, P, y + 0.01)
    v, length = image_of(image, published.ALONG_X)
    sign = positive(v)
    assert fold.valid
    assert fold.result == SUCCESS
    assert_close(fold.parameter, published.ORIGIN[0])
    assert_close(fold.y, y)
    assert_close(fold.null_vector, sign * v)
    assert_close(fold.coefficient, sign * a / length)


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("a", [1.5, -0.7])
def test_fold_of_the_normal_form_in_any_coordinates(a, changed):
    check_fold(a, changed, 3)


@pytest.mark.slow
@pytest.mark.parametrize("n", [5])
def test_fold_of_the_normal_form_in_any_number_of_dimensions(n):
    check_fold(1.5, True, n)


def check_hopf(re_c1, omega, changed, n):
    terms = published.rotation(omega, re_c1, 0.8, -0.5, 0.3)
    system, y, image = published.planar_form(terms, n, changed=changed)
    hopf = jn.hopf(system, P, y + 0.01)
    q, length = image_of(image, published.CIRCLE)
    assert hopf.valid
    assert hopf.result == SUCCESS
    assert hopf.supercritical == (re_c1 < 0)
    assert_close(hopf.parameter, published.ORIGIN[0])
    assert_close(hopf.y, y)
    assert_close(hopf.omega, omega)
    assert_close(hopf.period, 2 * np.pi / omega)
    assert_close(hopf.lyapunov, re_c1 / omega / length**2)
    # But for its phase.
    assert_close(np.abs(np.vdot(q, hopf.vector)), 1.0)
    assert_close(np.linalg.norm(hopf.vector), 1.0)


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize(("re_c1", "omega"), [(-1.0, 1.0), (0.6, 2.5), (-0.2, 0.04)])
def test_hopf_point_of_the_normal_form_in_any_coordinates(re_c1, omega, changed):
    check_hopf(re_c1, omega, changed, 3)


@pytest.mark.slow
@pytest.mark.parametrize("n", [5])
def test_hopf_point_of_the_normal_form_in_any_number_of_dimensions(n):
    check_hopf(-0.6, 2.5, True, n)


def check_branch_point(terms, changed, n):
    system, y, image = published.planar_form(terms, n, changed=changed)
    point = jn.branch_point(system, P, y + 0.01)
    v, length = image_of(image, published.ALONG_X)
    assert point.valid
    assert point.result == SUCCESS
    assert_close(point.parameter, published.ORIGIN[0])
    assert_close(point.y, y)
    assert_close(point.imperfection, 0.0)
    # The trivial branch comes first: it is that along the parameter.
    assert_close(point.direction_parameter[0], 1.0)
    assert_close(point.direction_y[0], np.zeros(n))
    return point, v, length


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("c", [-1.0, 0.4])
def test_pitchfork_of_the_normal_form_in_any_coordinates(c, changed):
    terms = published.polynomial(x_px=1.5, x_xxx=c, y_y=-2.0)
    point, v, length = check_branch_point(terms, changed, 3)
    assert point.pitchfork
    assert_close(point.quadratic, 0.0)
    assert_close(point.cubic, c / length**2)
    assert_close(point.transversality, 1.5)
    assert_close(point.direction_parameter[1], 0.0)
    assert_close(point.direction_y[1], positive(v) * v)


def test_cubic_coefficient_counts_what_the_other_variables_do():
    # y = x^2 / 2 on the centre manifold, so that x y adds 1 / 2.
    terms = published.polynomial(x_px=1.0, x_xxx=-1.0, x_xy=1.0, y_y=-2.0, y_xx=1.0)
    point, _, length = check_branch_point(terms, changed=True, n=3)
    assert_close(point.cubic, -0.5 / length**2)


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("a", [-1.0, 0.5])
def test_transcritical_point_of_the_normal_form_in_any_coordinates(a, changed):
    terms = published.polynomial(x_px=1.0, x_xx=a, y_y=-2.0)
    point, v, length = check_branch_point(terms, changed, 3)
    assert not point.pitchfork
    assert_close(point.quadratic, positive(v) * a / length)
    assert_close(point.transversality, 1.0)
    other = np.append(-v * length / a, 1.0)
    other = other / np.linalg.norm(other)
    assert_close(point.direction_y[1], other[:-1])
    assert_close(point.direction_parameter[1], other[-1])


@pytest.mark.slow
@pytest.mark.parametrize("n", [5])
def test_branch_point_of_the_normal_form_in_any_number_of_dimensions(n):
    terms = published.polynomial(x_px=1.0, x_xxx=-1.0, y_y=-2.0)
    point, _, length = check_branch_point(terms, changed=True, n=n)
    assert_close(point.cubic, -1.0 / length**2)


class Line(jn.AbstractSystem):
    """dy/dt = sum of c[i, j] y^i p^j."""

    p: jn.Parameter = jn.parameter()
    c: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        powers = lambda x: jnp.stack([jnp.ones_like(x), x, x**2, x**3])
        return powers(y) @ self.c @ powers(self.p)


def line(at, constant=0.0, **terms):
    """``constant=0.1, p=1.0, yyp=2.0`` is 0.1 + p + 2 y^2 p."""
    c = np.zeros((4, 4))
    c[0, 0] = constant
    for name, value in terms.items():
        c[name.count("y"), name.count("p")] = value
    return Line(at, c)


@pytest.mark.parametrize("a", [2.0, -0.5])
def test_fold_of_one_state_variable(a):
    fold = jn.fold(line(0.1, p=1.0, yy=a), P, 0.05)
    assert fold.result == SUCCESS
    assert_close([fold.parameter, fold.y, fold.null_vector], [0.0, 0.0, 1.0])
    assert_close(fold.coefficient, a)


def test_an_isolated_point_has_no_directions():
    # p^2 + y^2 = 0 holds at one point alone.
    point = jn.branch_point(line(0.1, pp=1.0, yy=1.0), P, 0.05)
    assert_close([point.parameter, point.y], [0.0, 0.0])
    assert jnp.all(jnp.isnan(point.direction_parameter))


@pytest.mark.parametrize("epsilon", [1e-4, -1e-2])
def test_imperfection_is_what_the_flow_lacks_to_make_branches_cross(epsilon):
    point = jn.branch_point(line(0.1, yp=1.0, yyy=-1.0, constant=epsilon), P, 0.05)
    assert point.valid
    # The sign is that of w_0, which is a matter of choice for one state variable.
    assert_close(jnp.abs(point.imperfection), abs(epsilon))
    assert_close([point.parameter, point.y], [0.0, 0.0])


# Wilson and Cowan

WEIGHTS = {"w_ee": 6.4, "w_ei": 4.8, "w_ie": 6.0, "w_ii": 1.2, "tau_i": 2.0}
CURRENT = lambda s: s.input.value[0]
W_EE = lambda s: s.system.w_ee


def driven(current, **weights):
    return jn.Driven(jn.models.WilsonCowan(**(WEIGHTS | weights)), (current, 0.0))


def test_supercritical_hopf_point_of_wilson_and_cowan():
    hopf = jn.hopf(driven(0.9), CURRENT, (0.65, 0.35))
    assert hopf.result == SUCCESS
    assert_close([hopf.parameter, hopf.omega], [0.9991460419, 0.6769616272], 1e-10)
    assert hopf.supercritical
    values = jn.eigenvalues(driven(hopf.parameter), hopf.y)
    assert_close(values, [hopf.omega * 1j, -hopf.omega * 1j])


def test_subcritical_hopf_point_of_wilson_and_cowan():
    hopf = jn.hopf(driven(0.8, w_ee=6.8), W_EE, (0.5, 0.25))
    assert hopf.result == SUCCESS
    assert_close(hopf.parameter, 6.8229061868, 1e-10)
    assert not hopf.supercritical


@pytest.mark.parametrize(
    ("start", "y", "weights", "expected"),
    [
        (0.70, (0.20, 0.05), {}, 0.7134637490),
        (0.64, (0.35, 0.15), {}, 0.6371621813),
        (
            0.45,
            (0.15, 0.05),
            {"w_ee": 9.0, "w_ei": 4.0, "w_ie": 13.0, "w_ii": 11.0},
            0.4575325319,
        ),
        (
            -0.8,
            (0.80, 0.60),
            {"w_ee": 9.0, "w_ei": 4.0, "w_ie": 13.0, "w_ii": 11.0},
            -0.8410153851,
        ),
    ],
)
def test_folds_of_wilson_and_cowan(start, y, weights, expected):
    fold = jn.fold(driven(start, **weights), CURRENT, y)
    assert fold.result == SUCCESS
    assert_close(fold.parameter, expected, 1e-10)


def test_folds_of_one_population_are_those_of_the_closed_form():
    # w F' = 1 at the fold, and F' = a s (1 - s).
    a, theta, w = 1.2, 2.8, 5.0
    s = (1 - np.sqrt(1 - 4 / (a * w))) / 2
    r = s - 1 / (1 + np.exp(a * theta))
    current = theta + np.log(s / (1 - s)) / a - w * r
    system = jn.Driven(jn.models.RatePopulation(w=w, tau=3.0), 0.7)
    fold = jn.fold(system, lambda s: s.input.value, 0.1)
    assert_close([fold.parameter, fold.y], [current, r], 1e-12)
    second = a**2 * s * (1 - s) * (1 - 2 * s)
    assert_close(fold.coefficient, w**2 * second / 2 / 3.0, 1e-12)


def test_a_time_constant_of_both_populations_moves_no_point_and_divides_the_frequency():
    slow = driven(0.9, tau_i=6.0)
    slow = eqx.tree_at(lambda s: s.system.tau_e, slow, jnp.asarray(3.0))
    hopf = jn.hopf(slow, CURRENT, (0.65, 0.35))
    reference = jn.hopf(driven(0.9), CURRENT, (0.65, 0.35))
    assert_close(hopf.parameter, reference.parameter, 1e-12)
    assert_close(hopf.omega, reference.omega / 3, 1e-12)
    assert_close(hopf.lyapunov, reference.lyapunov, 1e-12)


# Published systems


def test_hopf_points_of_the_squid_axon_are_those_of_the_proofs():
    for leak, currents in published.HODGKIN_HUXLEY_CURRENTS.items():
        for i, current in enumerate(currents):
            system = published.HodgkinHuxley(current + 0.5, leak)
            y = published.HODGKIN_HUXLEY_STATES[i]
            hopf = jn.hopf(system, lambda s: s.current, jnp.asarray(y) * 1.01)
            assert hopf.result == SUCCESS
            assert_close(hopf.parameter, current, 1e-12)
            assert_close(hopf.y, y, 1e-11)
            assert_close(hopf.omega, published.HODGKIN_HUXLEY_OMEGAS[i], 1e-12)
            assert_close(hopf.lyapunov, published.HODGKIN_HUXLEY_LYAPUNOV[i], 1e-11)


def check_hopf_point(system, where, y, parameter, omega, re_c1):
    hopf = jn.hopf(system, where, y)
    assert hopf.result == SUCCESS
    assert_close(hopf.parameter, parameter, 1e-10)
    assert_close(hopf.omega, omega, 1e-9)
    np.testing.assert_allclose(hopf.lyapunov * hopf.omega, re_c1, rtol=1e-9)
    assert_close(hopf.y, y, 1e-9)
    return hopf


def check_fold_point(system, where, y, parameter, coefficient):
    fold = jn.fold(system, where, y)
    assert fold.result == SUCCESS
    assert_close(fold.parameter, parameter, 1e-10)
    np.testing.assert_allclose(jnp.abs(fold.coefficient), coefficient, rtol=1e-9)
    return fold


@pytest.mark.slow
def test_points_of_the_synapses_of_tsodyks_and_markram():
    where = lambda s: s.e_0
    for i in range(2):
        expected = published.TSODYKS_MARKRAM_HOPF[i]
        hopf = check_hopf_point(
            published.TsodyksMarkram(expected + 1e-3),
            where,
            published.TSODYKS_MARKRAM_HOPF_STATES[i],
            expected,
            published.TSODYKS_MARKRAM_OMEGAS[i],
            published.TSODYKS_MARKRAM_RE_C1[i],
        )
        low, high = published.TSODYKS_MARKRAM_PRINTED_HOPF[i]
        assert low < hopf.parameter < high
        assert not hopf.supercritical
    starts = (1.3496, 0.8678, 0.5645), (4.1089, 0.6173, 0.7543)
    for i, y in enumerate(starts):
        fold = check_fold_point(
            published.TsodyksMarkram(published.TSODYKS_MARKRAM_FOLDS[i] + 1e-3),
            where,
            y,
            published.TSODYKS_MARKRAM_FOLDS[i],
            published.TSODYKS_MARKRAM_FOLD_COEFFICIENTS[i],
        )
        printed = published.TSODYKS_MARKRAM_PRINTED_FOLDS[i]
        np.testing.assert_allclose(fold.parameter, printed, atol=1e-4)


@pytest.mark.slow
def test_points_of_the_oxidation_of_carbon_monoxide():
    where = lambda s: s.q_2
    for i in range(2):
        expected = published.CARBON_MONOXIDE_HOPF[i]
        hopf = check_hopf_point(
            published.CarbonMonoxide(expected + 1e-4),
            where,
            published.CARBON_MONOXIDE_HOPF_STATES[i],
            expected,
            published.CARBON_MONOXIDE_OMEGAS[i],
            published.CARBON_MONOXIDE_RE_C1[i],
        )
        printed = published.CARBON_MONOXIDE_PRINTED_HOPF[i]
        np.testing.assert_allclose(hopf.parameter, printed, atol=1e-6)
        printed = published.CARBON_MONOXIDE_PRINTED_RE_C1[i]
        np.testing.assert_allclose(hopf.lyapunov * hopf.omega, printed, rtol=3e-4)
        expected = published.CARBON_MONOXIDE_FOLDS[i]
        fold = check_fold_point(
            published.CarbonMonoxide(expected + 1e-4),
            where,
            published.CARBON_MONOXIDE_FOLD_STATES[i],
            expected,
            published.CARBON_MONOXIDE_FOLD_COEFFICIENTS[i],
        )
        assert_close(fold.y, published.CARBON_MONOXIDE_FOLD_STATES[i], 1e-9)
        printed = published.CARBON_MONOXIDE_PRINTED_FOLDS[i]
        np.testing.assert_allclose(fold.parameter, printed, atol=1e-6)
        printed = published.CARBON_MONOXIDE_PRINTED_FOLD_COEFFICIENTS[i]
        np.testing.assert_allclose(jnp.abs(fold.coefficient), printed, rtol=1e-4)


def test_points_of_the_model_of_morris_and_lecar():
    where = lambda s: s.y
    hopf = check_hopf_point(
        published.MorrisLecar(published.MORRIS_LECAR_HOPF + 1e-3),
        where,
        published.MORRIS_LECAR_HOPF_STATE,
        published.MORRIS_LECAR_HOPF,
        published.MORRIS_LECAR_OMEGA,
        published.MORRIS_LECAR_RE_C1,
    )
    # The sixth digit that is printed is cut, not rounded.
    printed = published.MORRIS_LECAR_PRINTED_HOPF
    np.testing.assert_allclose(hopf.parameter, printed, atol=1e-6)
    printed = published.MORRIS_LECAR_PRINTED_RE_C1
    np.testing.assert_allclose(hopf.lyapunov * hopf.omega, printed, rtol=1e-5)
    for i, y in enumerate([(-0.0337, 0.1365), (-0.2449, 0.0085)]):
        fold = check_fold_point(
            published.MorrisLecar(published.MORRIS_LECAR_FOLDS[i] + 1e-3),
            where,
            y,
            published.MORRIS_LECAR_FOLDS[i],
            published.MORRIS_LECAR_FOLD_COEFFICIENTS[i],
        )
        printed = published.MORRIS_LECAR_PRINTED_FOLDS[i]
        np.testing.assert_allclose(fold.parameter, printed, atol=1e-6)


def test_a_neutral_saddle_is_no_hopf_point():
    y, *state = published.MORRIS_LECAR_NEUTRAL_SADDLE
    hopf = jn.hopf(published.MorrisLecar(y), lambda s: s.y, jnp.asarray(state))
    assert hopf.result == jn.RESULTS.neutral_saddle
    assert not hopf.valid
    assert jnp.isnan(hopf.parameter)
    assert jnp.isnan(hopf.lyapunov)


@pytest.mark.slow
def test_points_of_lorenz_1984_in_four_dimensions():
    where = lambda s: s.f
    starts = (
        (1.2188, -0.0357, 0.1987, -0.2454),
        (1.1290, -0.0250, 0.2186, -0.5385),
        (1.1185, -0.0234, 0.2210, -0.6253),
    )
    for i, y in enumerate(starts):
        expected = published.LORENZ_84_HOPF[i]
        hopf = jn.hopf(published.Lorenz84(expected), where, jnp.asarray(y))
        assert hopf.result == SUCCESS
        assert_close(hopf.parameter, expected, 1e-11)
        assert_close(hopf.omega, published.LORENZ_84_OMEGAS[i], 1e-10)
        re_c1 = published.LORENZ_84_RE_C1[i]
        np.testing.assert_allclose(hopf.lyapunov * hopf.omega, re_c1, rtol=1e-9)
        low, high = published.LORENZ_84_PRINTED_HOPF[i]
        assert low < hopf.parameter < high
    fold = jn.fold(
        published.Lorenz84(1.55), where, jnp.asarray(published.LORENZ_84_FOLD_STATE)
    )
    assert_close(fold.parameter, published.LORENZ_84_FOLD, 1e-11)
    assert_close(fold.y, published.LORENZ_84_FOLD_STATE, 1e-10)
    assert_close(jnp.abs(fold.coefficient), published.LORENZ_84_FOLD_COEFFICIENT, 1e-9)
    np.testing.assert_allclose(fold.parameter, published.LORENZ_84_PRINTED_FOLD, atol=3e-8)


@pytest.mark.slow
def test_pitchfork_of_lorenz_1984_by_its_reflection():
    point = jn.branch_point(
        published.Lorenz84(1.3, 0.0),
        lambda s: s.f,
        jnp.asarray(published.LORENZ_84_BRANCH_POINT_STATE) + 0.005,
    )
    assert point.valid
    assert point.pitchfork
    assert_close(point.parameter, published.LORENZ_84_BRANCH_POINT, 1e-11)
    assert_close(point.y, published.LORENZ_84_BRANCH_POINT_STATE, 1e-11)
    assert_close(point.cubic, published.LORENZ_84_BRANCH_POINT_CUBIC, 1e-10)
    assert_close(point.imperfection, 0.0)


class Control(jn.AbstractSystem):
    """x''' = -alpha x'' - x' - x + x^2 (Kuznetsov, Elements, example 5.4)."""

    alpha: jn.Parameter = jn.parameter(1.1)

    def vector_field(self, t, y, u):
        x, v, w = y
        return jnp.stack([v, w, -self.alpha * w - v - x + x**2])


class Lorenz63(jn.AbstractSystem):
    """Lorenz 1963, with sigma = 10 and b = 8/3."""

    r: jn.Parameter = jn.parameter(24.0)

    def vector_field(self, t, y, u):
        a, b, c = y
        return jnp.stack([10 * (b - a), a * (self.r - c) - b, a * b - 8 / 3 * c])


def test_hopf_points_that_are_known_in_closed_form():
    control = jn.hopf(Control(), lambda s: s.alpha, jnp.full(3, 0.01))
    assert_close([control.parameter, control.omega], [1.0, 1.0], 1e-12)
    assert_close(control.lyapunov, -0.3, 1e-12)
    # sigma (sigma + b + 3) / (sigma - b - 1), and omega^2 = b (r + sigma).
    r = 470 / 19
    side = np.sqrt(8 / 3 * (r - 1))
    lorenz = jn.hopf(Lorenz63(), lambda s: s.r, jnp.array([7.8, 7.8, 23.0]))
    assert_close([lorenz.parameter, *lorenz.y], [r, side, side, r - 1], 1e-12)
    assert_close(lorenz.omega, np.sqrt(8 / 3 * (r + 10)), 1e-12)
    assert_close(lorenz.lyapunov, 0.0002655189725836714, 1e-12)


# Derivatives


def assert_derivatives(locate, system, step=1e-5):
    """In both modes, in all parameters, those of finite differences of what is solved."""
    dynamic, static = eqx.partition(system, eqx.is_inexact_array)
    at, unravel = ravel_pytree(dynamic)
    flat = lambda x: locate(eqx.combine(unravel(x), static))
    shifts = step * (1 + jnp.abs(at)) * jnp.eye(at.size)
    values = jax.jit(jax.vmap(flat))(jnp.concatenate([at + shifts, at - shifts]))
    up, down = jnp.split(values, 2)
    expected = ((up - down) / 2 / jnp.sum(shifts, axis=1)[:, None]).T
    forward = jax.jit(jax.jacfwd(flat))(at)
    reverse = jax.jit(jax.jacrev(flat))(at)
    assert np.all(np.isfinite(expected))
    np.testing.assert_allclose(forward, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(reverse, forward, rtol=1e-10, atol=1e-10)
    return forward


def test_derivatives_of_a_hopf_point_in_all_parameters():
    def locate(system):
        hopf = jn.hopf(system, CURRENT, (0.65, 0.35))
        return jnp.stack([hopf.parameter, hopf.omega, hopf.lyapunov, *hopf.y])

    derivatives = assert_derivatives(locate, driven(0.95))
    # The four weights, two time constants, two transfer functions of two parameters each,
    # and the inputs; of the first input, which is solved for, nothing depends.
    assert derivatives.shape == (5, 12)
    moves = np.any(np.abs(derivatives) > 1e-9, axis=0)
    assert np.sum(moves) == 11


def test_derivatives_of_a_fold_in_all_parameters():
    def locate(system):
        fold = jn.fold(system, CURRENT, (0.2, 0.05))
        return jnp.stack([fold.parameter, fold.coefficient, *fold.y, *fold.null_vector])

    assert_derivatives(locate, driven(0.7))


def test_derivative_of_a_fold_by_an_input_along_it_is_minus_one():
    # Only the sum of the current and of the second one counts.
    def locate(extra):
        system = jn.Driven(jn.models.RatePopulation(w=5.0), (0.7, extra))
        summed = Summed(system.system, system.input.value[0], extra)
        return jn.fold(summed, lambda s: s.current, 0.1).parameter

    np.testing.assert_allclose(jax.grad(locate)(0.2), -1.0, rtol=1e-12)
    np.testing.assert_allclose(jax.jvp(locate, (0.2,), (1.0,))[1], -1.0, rtol=1e-12)


class Summed(jn.AbstractSystem):
    population: jn.models.RatePopulation
    current: jn.Parameter = jn.parameter()
    extra: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return self.population.vector_field(t, y, self.current + self.extra)


class Rivals(jn.AbstractSystem):
    """Two populations that inhibit each other, and what makes them unequal."""

    w: jn.Parameter = jn.parameter(1.2)
    gain: jn.Parameter = jn.parameter(1.5)
    bias: jn.Parameter = jn.parameter(0.4)
    unequal: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        drive = self.bias - self.w * y[::-1] + self.unequal * jnp.array([1.0, -0.5])
        return -y + jnp.tanh(self.gain * drive)


def test_derivatives_of_a_branch_point_in_all_parameters():
    def locate(system):
        point = jn.branch_point(system, lambda s: s.w, jnp.array([0.2, 0.25]))
        return jnp.stack([point.parameter, *point.y, point.cubic, point.transversality])

    assert_derivatives(locate, Rivals())


def test_derivatives_of_the_imperfection_tell_what_breaks_the_symmetry():
    def imperfection(system):
        return jn.branch_point(system, lambda s: s.w, jnp.array([0.2, 0.25])).imperfection

    gradient = eqx.filter_grad(imperfection)(Rivals())
    assert_close([gradient.w, gradient.gain, gradient.bias], [0.0, 0.0, 0.0])
    assert jnp.abs(gradient.unequal) > 0.1


@pytest.mark.slow
def test_second_derivatives_of_a_fold_are_those_of_the_closed_form():
    a, theta = 1.2, 2.8

    def closed(w):
        s = (1 - jnp.sqrt(1 - 4 / (a * w))) / 2
        r = s - 1 / (1 + jnp.exp(a * theta))
        return theta + jnp.log(s / (1 - s)) / a - w * r

    def solved(w):
        system = jn.Driven(jn.models.RatePopulation(w=w), 0.7)
        return jn.fold(system, lambda s: s.input.value, 0.1).parameter

    assert_close(jax.grad(solved)(5.0), jax.grad(closed)(5.0), 1e-11)
    assert_close(jax.hessian(solved)(5.0), jax.hessian(closed)(5.0), 1e-9)


# Batches and bad input


def test_each_element_of_a_batch_keeps_its_own_result():
    def locate(w_ee, tau_i):
        system = eqx.tree_at(
            lambda s: (s.system.w_ee, s.system.tau_i), driven(0.9), (w_ee, tau_i)
        )
        return jn.hopf(system, CURRENT, (0.65, 0.35))

    w_ee = jnp.array([6.4, jnp.nan, 6.4, 0.5, 6.3])
    tau_i = jnp.array([2.0, 2.0, -1.0, 2.0, 2.0])
    batch = jax.jit(jax.vmap(locate))(w_ee, tau_i)
    assert batch.valid.tolist() == [True, False, False, False, True]
    codes = jn.RESULTS
    assert (batch.result == SUCCESS).tolist() == [True, False, False, False, True]
    assert (batch.result == codes.nan_input).tolist() == [False, True] + [False] * 3
    out_of_range = batch.result == codes.parameter_out_of_range
    assert out_of_range.tolist() == [False, False, True, False, False]
    assert_close(batch.parameter[0], 0.9991460419, 1e-10)
    assert np.isfinite(batch.parameter).tolist() == batch.valid.tolist()
    alone = locate(6.3, 2.0)
    assert_close(
        [batch.parameter[4], batch.omega[4]], [alone.parameter, alone.omega], 1e-12
    )


def test_a_bad_element_does_not_spoil_the_gradient_of_the_others():
    def total(w_ee):
        def locate(w):
            system = eqx.tree_at(lambda s: s.system.w_ee, driven(0.7), w)
            fold = jn.fold(system, CURRENT, (0.2, 0.05))
            return jnp.where(fold.valid, fold.parameter, 0.0)

        return jnp.sum(jax.vmap(locate)(w_ee))

    both = jax.jit(jax.grad(total))(jnp.array([6.4, jnp.nan]))
    assert jnp.isfinite(both[0])
    fold = lambda w: jn.fold(driven(0.7, w_ee=w), CURRENT, (0.2, 0.05)).parameter
    numeric = (fold(6.4 + 1e-5) - fold(6.4 - 1e-5)) / 2e-5
    np.testing.assert_allclose(both[0], numeric, rtol=1e-6)


def test_no_bifurcation_is_found_where_there_is_none():
    hopf = jn.hopf(Linear(), P, (0.3, 0.1))
    assert hopf.result == jn.RESULTS.no_bifurcation
    assert not hopf.valid
    fold = jn.fold(line(0.3, p=1.0, y=-1.0), P, 0.3)
    assert fold.result == jn.RESULTS.no_bifurcation
    assert jnp.isnan(fold.parameter)
    point = jn.branch_point(line(0.3, p=1.0, y=-1.0), P, 0.3)
    assert point.result == jn.RESULTS.no_bifurcation


class Linear(jn.AbstractSystem):
    """A linear flow that never turns at the imaginary axis."""

    p: jn.Parameter = jn.parameter(0.2)

    def vector_field(self, t, y, u):
        a, b = y
        return jnp.stack([self.p - a - b, a - b])


def test_one_state_variable_has_no_hopf_point():
    with pytest.raises(ValueError, match="one state variable"):
        jn.hopf(line(0.1, p=1.0, yy=1.0), P, 0.0)


@pytest.mark.parametrize(
    "where",
    [
        lambda s: s.system,
        lambda s: s.input.value,
        lambda s: s.system.no_such,
        lambda s: (s.system.w_ee, s.system.w_ei),
        lambda s: s.system.w_ee[0],
        lambda s: 1.0,
        lambda s: None,
    ],
)
def test_where_must_select_one_number(where):
    with pytest.raises(ValueError, match="`where` must select one number"):
        jn.fold(driven(0.7), where, (0.2, 0.05))


def test_where_must_not_select_an_array_or_an_integer():
    with pytest.raises(ValueError, match="`where` must select one number"):
        jn.fold(jn.models.RateNetwork(jnp.eye(2)), lambda s: s.weights, (0.0, 0.0))
    with pytest.raises(ValueError, match="`where` must select one number"):
        jn.fold(Counted(3), lambda s: s.count, 0.0)


class Counted(jn.AbstractSystem):
    count: int

    def vector_field(self, t, y, u):
        return self.count - y**2


def test_bad_states_raise():
    with pytest.raises(ValueError, match="shape"):
        jn.fold(driven(0.7), CURRENT, jnp.zeros(3))
    with pytest.raises(ValueError, match="NaN"):
        jn.fold(driven(0.7), CURRENT, (jnp.nan, 0.0))
    with pytest.raises(ValueError, match="NaN"):
        jn.fold(driven(jnp.nan), CURRENT, (0.2, 0.05))
