"""Cusps, Bogdanov-Takens and generalised Hopf points: exact, published, differentiable."""

import _published as published
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxnet as jn


SUCCESS = jn.RESULTS.successful
BOTH = lambda s: (s.p, s.q)


def assert_close(got, expected, tolerance=1e-9):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def image_of(image, vector):
    seen = image(vector)
    return seen / np.linalg.norm(seen), np.linalg.norm(seen)


def positive(v):
    """The sign that makes the largest entry positive."""
    return np.sign(v[np.argmax(np.abs(v))])


# Normal forms, in their own coordinates and in others


def check_cusp(c, changed, n):
    terms = published.polynomial(x_p=1.0, x_qx=1.0, x_xxx=c, x_xy=0.5, x_xxxx=0.7, y_y=-2.0)
    system, y, image = published.planar_form(terms, n, changed=changed)
    cusp = jn.cusp(system, BOTH, y + 0.01)
    v, length = image_of(image, published.ALONG_X)
    assert cusp.valid
    assert cusp.result == SUCCESS
    assert_close(cusp.parameters, published.ORIGIN)
    assert_close(cusp.y, y)
    assert_close(cusp.null_vector, positive(v) * v)
    assert_close(cusp.coefficient, c / length**2)


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("c", [-1.0, 0.3])
def test_cusp_of_the_normal_form_in_any_coordinates(c, changed):
    check_cusp(c, changed, 3)


@pytest.mark.slow
@pytest.mark.parametrize("n", [2])
def test_cusp_of_the_normal_form_in_any_number_of_dimensions(n):
    check_cusp(-0.6, True, n)


def check_takens(a, b, changed, n):
    terms = published.polynomial(x_y=1.0, y_p=1.0, y_qy=1.0, y_xx=a, y_xy=b, y_xxx=0.4)
    system, y, image = published.planar_form(terms, n, changed=changed)
    point = jn.bogdanov_takens(system, BOTH, y + 0.01)
    q0, length = image_of(image, published.ALONG_X)
    sign = positive(q0)
    assert point.valid
    assert point.result == SUCCESS
    assert_close(point.parameters, published.ORIGIN)
    assert_close(point.y, y)
    assert_close(point.null_vector, sign * q0)
    assert_close(point.a, sign * a / length)
    assert_close(point.b, sign * b / length)
    at = eqx.tree_at(BOTH, system, tuple(published.ORIGIN))
    matrix = jn.jacobian(at, point.y)
    assert_close(matrix @ point.generalised_vector, point.null_vector)
    assert_close(jnp.vdot(point.generalised_vector, point.null_vector), 0.0)


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize(("a", "b"), [(1.0, -1.0), (0.7, 2.0)])
def test_bogdanov_takens_point_of_the_normal_form_in_any_coordinates(a, b, changed):
    check_takens(a, b, changed, 3)


@pytest.mark.slow
@pytest.mark.parametrize("n", [2])
def test_bogdanov_takens_point_of_the_normal_form_in_any_number_of_dimensions(n):
    check_takens(-1.0, 1.5, True, n)


def check_bautin(re_c2, omega, changed, n):
    terms = published.rotation(omega, 0.0, 0.6, re_c2, -0.4, generalised=True)
    system, y, image = published.planar_form(terms, n, changed=changed)
    point = jn.generalised_hopf(system, BOTH, y + 0.005)
    q, length = image_of(image, published.CIRCLE)
    assert point.valid
    assert point.result == SUCCESS
    assert_close(point.parameters, published.ORIGIN)
    assert_close(point.y, y)
    assert_close(point.omega, omega)
    assert_close(np.abs(np.vdot(q, point.vector)), 1.0)
    # Where Re c1 = 0, no smooth change of coordinates changes Re c2.
    assert_close(point.second_lyapunov, re_c2 / omega / length**4)


@pytest.mark.slow
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize(("re_c2", "omega"), [(-1.0, 1.0), (0.5, 2.0)])
def test_bautin_point_of_the_normal_form_in_any_coordinates(re_c2, omega, changed):
    check_bautin(re_c2, omega, changed, 3)


# Published systems


def near(system, where, parameters, part=1e-3):
    values = tuple(jnp.asarray(p * (1 + part)) for p in parameters)
    return eqx.tree_at(where, system, values)


def check_published_takens(system, where, y, parameters, coefficients, sign):
    point = jn.bogdanov_takens(near(system, where, parameters), where, jnp.asarray(y))
    assert point.result == SUCCESS
    assert_close(point.parameters, parameters, 1e-10)
    np.testing.assert_allclose(
        jnp.abs(jnp.stack([point.a, point.b])), coefficients, rtol=1e-9
    )
    assert jnp.sign(point.a * point.b) == sign
    return point


@pytest.mark.parametrize("i", [0, 1])
def test_bogdanov_takens_points_of_morris_and_lecar(i):
    a, b, sign = published.MORRIS_LECAR_TAKENS_COEFFICIENTS[i]
    y = published.MORRIS_LECAR_TAKENS_STATES[i]
    point = check_published_takens(
        published.MorrisLecar(),
        lambda s: (s.y, s.z),
        y,
        published.MORRIS_LECAR_TAKENS[i],
        (a, b),
        sign,
    )
    assert_close(point.y, y, 1e-10)


def test_cusp_of_morris_and_lecar():
    where = lambda s: (s.y, s.z)
    system = near(published.MorrisLecar(), where, published.MORRIS_LECAR_CUSP)
    cusp = jn.cusp(system, where, jnp.asarray(published.MORRIS_LECAR_CUSP_STATE))
    assert_close(cusp.parameters, published.MORRIS_LECAR_CUSP, 1e-10)
    assert_close(cusp.y, published.MORRIS_LECAR_CUSP_STATE, 1e-10)
    assert_close(cusp.coefficient, published.MORRIS_LECAR_CUSP_COEFFICIENT)


CARBON_MONOXIDE = lambda s: (s.q_2, s.k)


@pytest.mark.slow
def test_bogdanov_takens_points_of_the_oxidation_of_carbon_monoxide():
    starts = (0.1159, 0.3155, 0.2884), (0.0163, 0.6384, 0.2005)
    for i, y in enumerate(starts):
        point = check_published_takens(
            published.CarbonMonoxide(),
            CARBON_MONOXIDE,
            y,
            published.CARBON_MONOXIDE_TAKENS[i],
            published.CARBON_MONOXIDE_TAKENS_COEFFICIENTS[i],
            1,
        )
        printed = published.CARBON_MONOXIDE_PRINTED_TAKENS[i]
        np.testing.assert_allclose(point.parameters, printed, atol=1e-6)


@pytest.mark.slow
def test_cusp_of_the_oxidation_of_carbon_monoxide():
    where, expected = CARBON_MONOXIDE, published.CARBON_MONOXIDE_CUSP
    system = near(published.CarbonMonoxide(), where, expected)
    cusp = jn.cusp(system, where, jnp.array([0.0359, 0.3520, 0.4514]))
    assert_close(cusp.parameters, expected, 1e-10)
    assert_close(cusp.coefficient, published.CARBON_MONOXIDE_CUSP_COEFFICIENT)


@pytest.mark.slow
def test_bautin_points_of_the_oxidation_of_carbon_monoxide():
    for i, expected in enumerate(published.CARBON_MONOXIDE_GENERALISED):
        y = published.CARBON_MONOXIDE_GENERALISED_STATES[i]
        system = near(published.CarbonMonoxide(), CARBON_MONOXIDE, expected)
        point = jn.generalised_hopf(system, CARBON_MONOXIDE, jnp.asarray(y))
        assert point.result == SUCCESS
        assert_close(point.parameters, expected, 1e-10)
        assert_close(point.y, y, 1e-10)
        assert_close(point.omega, published.CARBON_MONOXIDE_GENERALISED_OMEGAS[i], 1e-10)
        re_c2 = point.second_lyapunov * point.omega
        np.testing.assert_allclose(re_c2, published.CARBON_MONOXIDE_RE_C2[i], rtol=1e-9)
    np.testing.assert_allclose(re_c2, published.CARBON_MONOXIDE_PRINTED_RE_C2, rtol=1e-4)


@pytest.mark.slow
def test_points_of_lorenz_1984_in_the_plane():
    where = lambda s: (s.f, s.t)
    point = check_published_takens(
        published.Lorenz84(),
        where,
        published.LORENZ_84_TAKENS_STATE,
        published.LORENZ_84_TAKENS,
        published.LORENZ_84_PRINTED_TAKENS_COEFFICIENTS,
        1,
    )
    assert_close(point.y, published.LORENZ_84_TAKENS_STATE, 1e-10)
    expected = published.LORENZ_84_GENERALISED
    y = jnp.asarray(published.LORENZ_84_GENERALISED_STATE)
    point = jn.generalised_hopf(near(published.Lorenz84(), where, expected), where, y)
    assert point.result == SUCCESS
    assert_close(point.parameters, expected, 1e-10)
    assert_close(point.y, y, 1e-10)
    assert_close(point.omega, published.LORENZ_84_GENERALISED_OMEGA, 1e-10)
    re_c2 = point.second_lyapunov * point.omega
    np.testing.assert_allclose(re_c2, published.LORENZ_84_RE_C2, rtol=1e-9)
    np.testing.assert_allclose(re_c2, published.LORENZ_84_PRINTED_RE_C2, rtol=1e-3)
    printed = published.LORENZ_84_PRINTED_GENERALISED
    np.testing.assert_allclose(point.parameters, printed, atol=2e-6)


def test_cusp_of_one_population_is_that_of_the_closed_form():
    # F' is largest, a / 4, where its argument is theta.
    a, theta = 1.2, 2.8
    rate = 1 / 2 - 1 / (1 + np.exp(a * theta))
    where = lambda s: (s.system.w, s.input.value)
    system = jn.Driven(jn.models.RatePopulation(w=4.1), 0.7)
    cusp = jn.cusp(system, where, 0.4)
    assert_close(cusp.parameters, [4 / a, theta - 4 / a * rate], 1e-12)
    assert_close(cusp.y, rate, 1e-12)
    # The third derivative of the logistic function of a x there is -a^3 / 8.
    assert_close(cusp.coefficient, -(a**3) / 8 * (4 / a) ** 3 / 6, 1e-12)


# Derivatives, of Wilson and Cowan

PLANE = lambda s: (s.input.value[0], s.system.w_ee)


def driven(current, w_ee):
    model = jn.models.WilsonCowan(w_ee=w_ee, w_ei=4.8, w_ie=6.0, w_ii=1.2, tau_i=2.0)
    return jn.Driven(model, (current, 0.0))


def assert_derivatives(locate, system, without_effect=2, step=1e-5):
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
    assert np.sum(np.any(np.abs(expected) > 1e-9, axis=0)) == at.size - without_effect
    np.testing.assert_allclose(forward, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(reverse, forward, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_derivatives_of_a_cusp_in_all_parameters():
    def locate(system):
        cusp = jn.cusp(system, PLANE, (0.2807, 0.0892))
        return jnp.append(cusp.parameters, cusp.y)

    # Beside the two that are solved for, the time constants.
    assert_derivatives(locate, driven(0.81, 5.9), without_effect=4)


def test_derivatives_of_a_bogdanov_takens_point_in_all_parameters():
    def locate(system):
        point = jn.bogdanov_takens(system, PLANE, jnp.array([0.32, 0.11]))
        return jnp.append(point.parameters, point.y)

    assert_derivatives(locate, driven(0.807, 5.904))


@pytest.mark.slow
def test_derivatives_of_a_generalised_hopf_point_in_all_parameters():
    def locate(system):
        point = jn.generalised_hopf(system, PLANE, jnp.array([0.66, 0.37]))
        return jnp.append(point.parameters, point.omega)

    assert_derivatives(locate, driven(0.8988, 6.6226))


def test_derivative_of_the_cusp_of_one_population_is_that_of_the_closed_form():
    def solved(tau):
        system = jn.Driven(jn.models.RatePopulation(w=4.1, tau=tau), 0.7)
        return jn.cusp(system, lambda s: (s.system.w, s.input.value), 0.4).coefficient

    coefficient = -8 / 6
    assert_close(jax.grad(solved)(2.0), -coefficient / 4, 1e-11)
    assert_close(jax.jvp(solved, (2.0,), (1.0,))[1], -coefficient / 4, 1e-11)


# Batches and bad input


def test_each_element_of_a_batch_keeps_its_own_result():
    def locate(z):
        system = eqx.tree_at(lambda s: s.z, published.MorrisLecar(0.0889), z)
        y = jnp.array([-0.1137, 0.1016])
        return jn.bogdanov_takens(system, lambda s: (s.y, s.z), y)

    batch = jax.jit(jax.vmap(locate))(jnp.array([0.0442, jnp.nan, 0.045]))
    assert batch.valid.tolist() == [True, False, True]
    assert (batch.result == jn.RESULTS.nan_input).tolist() == [False, True, False]
    assert (batch.result == SUCCESS).tolist() == [True, False, True]
    assert_close(batch.parameters[0], published.MORRIS_LECAR_TAKENS[0], 1e-10)
    assert_close(batch.parameters[2], published.MORRIS_LECAR_TAKENS[0], 1e-10)
    assert jnp.all(jnp.isnan(batch.parameters[1]))


class Saddle(jn.AbstractSystem):
    """A linear flow: there is nothing to find."""

    p: jn.Parameter = jn.parameter(0.1)
    q: jn.Parameter = jn.parameter(0.1)

    def vector_field(self, t, y, u):
        return jnp.stack([self.p + y[0], self.q - y[1]])


@pytest.mark.parametrize("verb", [jn.cusp, jn.bogdanov_takens, jn.generalised_hopf])
def test_nothing_is_found_where_there_is_nothing(verb):
    point = verb(Saddle(), BOTH, (0.1, 0.1))
    assert not point.valid
    assert point.result != SUCCESS
    assert jnp.all(jnp.isnan(point.parameters))


@pytest.mark.parametrize(
    "where",
    [
        lambda s: s.p,
        lambda s: (s.p,),
        lambda s: (s.p, s.p),
        lambda s: (s.p, s.q, s.q),
        lambda s: (s.p, s.no_such),
        lambda s: (s.p, 0.1),
    ],
)
@pytest.mark.parametrize("verb", [jn.cusp, jn.bogdanov_takens, jn.generalised_hopf])
def test_where_must_select_two_numbers(verb, where):
    with pytest.raises(ValueError, match="tuple of 2 different numbers"):
        verb(Saddle(), where, (0.1, 0.1))


@pytest.mark.parametrize("verb", [jn.bogdanov_takens, jn.generalised_hopf])
def test_one_state_variable_is_not_enough(verb):
    system = jn.Driven(jn.models.RatePopulation(w=4.1), 0.7)
    with pytest.raises(ValueError, match="one state variable"):
        verb(system, lambda s: (s.system.w, s.input.value), 0.4)
