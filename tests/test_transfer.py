"""Transfer functions: values, gains and derivatives against their formulas."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


# The first value lies below every threshold, and none lies at one.
X = np.array([-7.3, -1.1, 0.0, 0.4, 1.9, 2.5, 3.3, 6.0, 12.0])


def logistic(z):
    return 1 / (1 + np.exp(-z))


def sigmoid(x, a, theta):
    return logistic(a * (x - theta)) - 1 / (1 + np.exp(a * theta))


def sigmoid_gain(x, a, theta):
    s = logistic(a * (x - theta))
    return a * s * (1 - s)


def plain_logistic(x, a, theta):
    return logistic(a * (x - theta))


def threshold_linear(x, a, theta):
    return np.where(np.real(x - theta) > 0, a * (x - theta), 0.0)


def threshold_linear_gain(x, a, theta):
    return np.where(x > theta, a, 0.0)


def power_law(x, k, n, theta):
    above = np.real(x - theta) > 0
    return np.where(above, k * np.where(above, x - theta, 1.0) ** n, 0.0)


def power_law_gain(x, k, n, theta):
    return np.where(x > theta, k * n * np.maximum(x - theta, 1e-300) ** (n - 1), 0.0)


def tanh(x, a, theta):
    return np.tanh(a * (x - theta))


def tanh_gain(x, a, theta):
    return a / np.cosh(a * (x - theta)) ** 2


T = jn.transfer
CASES = [
    (T.Sigmoid, {"a": 1.2, "theta": 2.8}, sigmoid, sigmoid_gain),
    (T.Sigmoid, {"a": 0.7, "theta": -1.5}, sigmoid, sigmoid_gain),
    (T.Logistic, {"a": 1.0, "theta": 0.1}, plain_logistic, sigmoid_gain),
    (T.Logistic, {"a": 2.3, "theta": 1.7}, plain_logistic, sigmoid_gain),
    (T.ThresholdLinear, {"a": 1.5, "theta": 0.9}, threshold_linear, threshold_linear_gain),
    (T.PowerLaw, {"k": 0.04, "n": 2.0, "theta": 0.1}, power_law, power_law_gain),
    (T.PowerLaw, {"k": 0.3, "n": 2.7, "theta": 0.9}, power_law, power_law_gain),
    (T.PowerLaw, {"k": 0.3, "n": 0.5, "theta": 0.9}, power_law, power_law_gain),
    (T.Tanh, {"a": 0.8, "theta": 0.6}, tanh, tanh_gain),
]
ALL = [T.Sigmoid, T.Logistic, T.ThresholdLinear, T.PowerLaw, T.Tanh]
table = pytest.mark.parametrize(
    ("kind", "parameters", "formula", "gain"),
    CASES,
    ids=[f"{kind.__name__}-{i}" for i, (kind, *_) in enumerate(CASES)],
)


@table
def test_values_are_those_of_the_formula(kind, parameters, formula, gain):
    values = kind(**parameters)(jnp.asarray(X))
    np.testing.assert_allclose(values, formula(X, **parameters), rtol=1e-13, atol=1e-15)


@table
def test_gain_is_the_analytic_slope(kind, parameters, formula, gain):
    gains = kind(**parameters).gain(jnp.asarray(X))
    np.testing.assert_allclose(gains, gain(X, **parameters), rtol=1e-12, atol=1e-15)


@table
def test_gain_agrees_with_finite_differences(kind, parameters, formula, gain):
    h = 1e-6
    slope = (formula(X + h, **parameters) - formula(X - h, **parameters)) / (2 * h)
    gains = kind(**parameters).gain(jnp.asarray(X))
    np.testing.assert_allclose(gains, slope, rtol=1e-7, atol=1e-9)


@table
def test_derivative_by_each_parameter_is_that_of_the_formula(
    kind, parameters, formula, gain
):
    transfer, x = kind(**parameters), jnp.asarray(X)
    both = lambda f: (jax.jacfwd(lambda f: f(x))(f), jax.jacrev(lambda f: f(x))(f))
    forward, reverse = jax.jit(both)(transfer)
    for name, value in parameters.items():
        # The complex step gives the derivative of the formula without cancellation.
        moved = formula(X, **(parameters | {name: value + 1e-30j}))
        expected = np.imag(moved) / 1e-30
        for derivative in (forward, reverse):
            got = getattr(derivative, name)
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-14)


@table
def test_vmap_gives_what_a_loop_gives(kind, parameters, formula, gain):
    transfer, x = kind(**parameters), jnp.asarray(X)
    one = jax.jit(lambda v: jnp.stack([transfer(v), transfer.gain(v)]))
    looped = np.array([one(v) for v in x])
    batched = jax.vmap(one)(x)
    np.testing.assert_allclose(batched, looped, rtol=1e-14, atol=1e-16)


@table
def test_vmap_over_the_parameters_gives_one_curve_each(kind, parameters, formula, gain):
    factors = np.array([0.5, 1.0, 2.0])
    batch = kind(**{name: factors * value for name, value in parameters.items()})
    curves = eqx.filter_vmap(lambda f: f(jnp.asarray(X)))(batch)
    for curve, factor in zip(curves, factors, strict=True):
        scaled = {name: factor * value for name, value in parameters.items()}
        np.testing.assert_allclose(curve, formula(X, **scaled), rtol=1e-12, atol=1e-14)


def test_parameters_may_differ_from_unit_to_unit():
    a, theta, x = np.array([0.5, 1.0, 2.0]), np.array([0.0, 1.0, 3.0]), np.arange(3.0)
    values = T.Sigmoid(a=a, theta=theta)(jnp.asarray(x))
    np.testing.assert_allclose(values, sigmoid(x, a, theta), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("a", [0.3, 1.2, 5.0])
@pytest.mark.parametrize("theta", [-1.0, 0.0, 2.8])
def test_sigmoid_is_exactly_zero_without_input(a, theta):
    assert T.Sigmoid(a=a, theta=theta)(jnp.asarray(0.0)) == 0.0


def test_sigmoid_reaches_its_two_limits():
    c = 1 / (1 + np.exp(1.2 * 2.8))
    low, high = T.Sigmoid()(jnp.array([-1e6, 1e6]))
    np.testing.assert_allclose([low, high], [-c, 1 - c], rtol=1e-14)


def test_sigmoid_and_logistic_are_steepest_at_the_threshold():
    x = jnp.linspace(-3.0, 9.0, 1201)
    for transfer in (T.Sigmoid(a=1.6, theta=2.8), T.Logistic(a=1.6, theta=2.8)):
        gains = transfer.gain(x)
        assert abs(x[jnp.argmax(gains)] - 2.8) < 1e-9
        np.testing.assert_allclose(jnp.max(gains), 1.6 / 4, rtol=1e-12)


def test_logistic_is_one_half_at_its_threshold():
    assert T.Logistic(a=3.0, theta=1.25)(jnp.asarray(1.25)) == 0.5


def test_tanh_is_odd_about_its_threshold():
    transfer, x = T.Tanh(a=0.7, theta=1.5), jnp.linspace(0.0, 4.0, 9)
    np.testing.assert_allclose(transfer(1.5 + x), -transfer(1.5 - x), rtol=1e-13)
    np.testing.assert_allclose(transfer(jnp.asarray(1e4)), 1.0, rtol=0)


def test_power_law_with_exponent_one_is_threshold_linear():
    x = jnp.asarray(X)
    power, linear = T.PowerLaw(k=1.7, n=1.0, theta=0.9), T.ThresholdLinear(1.7, 0.9)
    np.testing.assert_allclose(power(x), linear(x), rtol=1e-14)
    np.testing.assert_allclose(power.gain(x), linear.gain(x), rtol=1e-14)


@pytest.mark.parametrize("kind", [T.ThresholdLinear, T.PowerLaw])
def test_nothing_comes_out_at_and_below_the_threshold(kind):
    transfer, x = kind(theta=1.5), jnp.array([-4.0, 1.0, 1.5])
    assert jnp.all(transfer(x) == 0)
    assert jnp.all(transfer.gain(x) == 0)


@pytest.mark.parametrize(
    "transfer",
    [
        T.ThresholdLinear(a=2.0, theta=1.5),
        T.PowerLaw(k=2.0, n=2.0, theta=1.5),
        T.PowerLaw(k=2.0, n=0.5, theta=1.5),
        T.PowerLaw(k=2.0, n=2.5, theta=1.5),
    ],
)
def test_derivatives_at_and_below_the_threshold_are_zero(transfer):
    x = jnp.array([-4.0, 1.0, 1.5])
    both = lambda f: (jax.jacfwd(lambda f: f(x))(f), jax.jacrev(lambda f: f(x))(f))
    slope = lambda f: jax.vmap(jax.grad(f))(x)
    for derivative in jax.tree.leaves(jax.jit(lambda f: (both(f), slope(f)))(transfer)):
        assert np.all(np.asarray(derivative) == 0)


@pytest.mark.parametrize("kind", ALL)
def test_values_and_derivatives_are_finite_for_a_huge_input(kind):
    transfer, x = kind(), jnp.array([-1e5, 1e5])
    all_of = lambda f: (f(x), f.gain(x), jax.jacrev(lambda f: f(x))(f))
    for values in jax.tree.leaves(jax.jit(all_of)(transfer)):
        assert np.all(np.isfinite(values))


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *[
            (kind, "a", value)
            for kind in (T.Sigmoid, T.Logistic, T.ThresholdLinear, T.Tanh)
            for value in (0.0, -1.2)
        ],
        (T.PowerLaw, "k", 0.0),
        (T.PowerLaw, "n", -2.0),
    ],
)
def test_a_parameter_out_of_range_is_named(kind, name, value):
    with pytest.raises(ValueError, match=f"`{name}` of `{kind.__name__}` must be positive"):
        kind(**{name: value})


@pytest.mark.parametrize("kind", ALL)
def test_a_nan_parameter_is_named(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}.theta` is NaN"):
        kind(theta=float("nan"))


@pytest.mark.parametrize("value", ["steep", None, 1j])
def test_a_parameter_that_is_no_real_number_is_refused(value):
    with pytest.raises(ValueError, match=r"A parameter (must be|is None)"):
        T.Sigmoid(a=value)


def test_one_bad_unit_among_several_is_refused():
    with pytest.raises(ValueError, match="`a` of `Sigmoid` must be positive"):
        T.Sigmoid(a=np.array([1.0, -1.0, 2.0]))
