"""Rate models: vector fields against numpy, reductions to each other, bad shapes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

import jaxnet as jn


KEY = jax.random.key(7)
TIME = jnp.asarray(0.0)


def sigmoid(x, a=1.2, theta=2.8):
    return 1 / (1 + np.exp(-a * (x - theta))) - 1 / (1 + np.exp(a * theta))


def wilson_cowan(r_e, r_i, u_e, u_i):
    """The vector field with the default parameters."""
    return [
        -r_e + sigmoid(9 * r_e - 4 * r_i + u_e, 1.2, 2.8),
        (-r_i + sigmoid(13 * r_e - 11 * r_i + u_i, 1.0, 4.0)) / 2,
    ]


def flow(system, y, u=None):
    return system.vector_field(TIME, jnp.asarray(y), u)


@pytest.mark.parametrize("w", [-3.0, 0.0, 5.0])
@pytest.mark.parametrize("u", [None, 0.7, jnp.asarray(-0.4)])
def test_population_is_its_formula(w, u):
    transfer = jn.transfer.Sigmoid(a=0.9, theta=1.3)
    population = jn.models.RatePopulation(w=w, tau=4.0, transfer=transfer)
    drive = w * 0.3 + (0.0 if u is None else float(u))
    expected = (-0.3 + sigmoid(drive, 0.9, 1.3)) / 4
    np.testing.assert_allclose(flow(population, 0.3, u), expected, rtol=1e-13)


def test_population_has_the_documented_defaults():
    np.testing.assert_allclose(
        flow(jn.models.RatePopulation(), 0.2, 1.0), -0.2 + sigmoid(1.0), rtol=1e-13
    )


def test_population_without_weight_rests_at_the_value_of_its_transfer_function():
    for u in (-2.0, 0.0, 1.5, 8.0):
        assert abs(flow(jn.models.RatePopulation(tau=3.0), sigmoid(u), u)) < 1e-15


@pytest.mark.parametrize(
    ("u", "values"),
    [
        (None, (0.0, 0.0)),
        ((0.8, -0.2), (0.8, -0.2)),
        (jnp.array([0.8, -0.2]), (0.8, -0.2)),
        ((jnp.asarray(0.8), 0.0), (0.8, 0.0)),
    ],
)
def test_wilson_cowan_is_its_formula(u, values):
    got = flow(jn.models.WilsonCowan(), [0.35, 0.15], u)
    np.testing.assert_allclose(got, wilson_cowan(0.35, 0.15, *values), rtol=1e-12)


def test_every_parameter_of_wilson_cowan_has_its_place():
    names = ("w_ee", "w_ei", "w_ie", "w_ii", "tau_e", "tau_i")
    ee, ei, ie, ii, tau_e, tau_i = values = (3.0, 0.7, 2.0, 0.4, 1.7, 5.0)
    system = jn.models.WilsonCowan(
        **dict(zip(names, values, strict=True)),
        transfer_e=jn.transfer.Tanh(a=0.6),
        transfer_i=jn.transfer.Logistic(a=2.0, theta=0.5),
    )
    r_e, r_i = 0.25, 0.6
    expected = [
        (-r_e + np.tanh(0.6 * (ee * r_e - ei * r_i + 0.1))) / tau_e,
        (-r_i + 1 / (1 + np.exp(-2 * (ie * r_e - ii * r_i + 0.2 - 0.5)))) / tau_i,
    ]
    np.testing.assert_allclose(flow(system, [r_e, r_i], (0.1, 0.2)), expected, rtol=1e-13)


def random_network(n, **fields):
    weights = jax.random.normal(KEY, (n, n)) / np.sqrt(n)
    return jn.models.RateNetwork(weights=weights, **fields), np.asarray(weights)


@pytest.mark.parametrize("u", [None, 0.7, np.linspace(-1, 1, 4)])
@pytest.mark.parametrize("tau", [2.0, np.array([1.0, 2.0, 5.0, 0.5])])
def test_network_is_its_formula(u, tau):
    network, weights = random_network(4, tau=tau)
    y = np.array([0.1, -0.4, 0.8, 0.3])
    expected = (-y + np.tanh(weights @ y + (0.0 if u is None else u))) / tau
    u = jnp.asarray(u) if isinstance(u, np.ndarray) else u
    np.testing.assert_allclose(flow(network, y, u), expected, rtol=1e-12, atol=1e-15)


def test_weight_ij_leads_from_j_to_i():
    weights = np.zeros((3, 3))
    weights[2, 0] = 0.5
    network = jn.models.RateNetwork(weights=weights)
    derivative = flow(network, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(derivative, [-1.0, 0.0, np.tanh(0.5)], rtol=1e-14)


def test_units_of_a_network_may_have_transfer_functions_of_their_own():
    a, theta = np.array([0.5, 1.2, 3.0]), np.array([0.0, 2.8, 1.0])
    transfer = jn.transfer.Sigmoid(a=a, theta=theta)
    network, weights = random_network(3, tau=np.array([1.0, 2.0, 3.0]), transfer=transfer)
    y = np.array([0.2, 0.4, 0.1])
    expected = (-y + sigmoid(weights @ y + 0.3, a, theta)) / np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(flow(network, y, 0.3), expected, rtol=1e-12)


def test_network_of_one_sigmoid_unit_is_a_population():
    network = jn.models.RateNetwork(
        weights=np.array([[5.0]]), tau=2.0, transfer=jn.transfer.Sigmoid()
    )
    population = jn.models.RatePopulation(w=5.0, tau=2.0)
    for r in np.linspace(-0.2, 1.0, 7):
        got, expected = flow(network, [r], 0.5), flow(population, r, 0.5)
        np.testing.assert_allclose(got, [expected], rtol=1e-14, atol=1e-17)


def test_wilson_cowan_without_cross_weights_is_two_populations():
    system = jn.models.WilsonCowan(w_ei=0.0, w_ie=0.0)
    excitatory = jn.models.RatePopulation(w=9.0)
    inhibitory = jn.models.RatePopulation(
        w=-11.0, tau=2.0, transfer=jn.transfer.Sigmoid(a=1.0, theta=4.0)
    )
    for r_e, r_i in [(0.0, 0.0), (0.3, 0.7), (0.9, 0.2)]:
        alone = [flow(excitatory, r_e, 0.5), flow(inhibitory, r_i, 0.1)]
        together = flow(system, [r_e, r_i], (0.5, 0.1))
        np.testing.assert_allclose(together, alone, rtol=1e-14, atol=1e-17)


def test_wilson_cowan_is_a_network_of_two_units():
    network = jn.models.RateNetwork(
        weights=np.array([[9.0, -4.0], [13.0, -11.0]]),
        tau=np.array([1.0, 2.0]),
        transfer=jn.transfer.Sigmoid(np.array([1.2, 1.0]), np.array([2.8, 4.0])),
    )
    y, u = [0.4, 0.2], jnp.array([0.3, -0.1])
    got, expected = flow(network, y, u), flow(jn.models.WilsonCowan(), y, u)
    np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_vmap_over_states_and_parameters_gives_what_a_loop_gives():
    w, r, u = jnp.linspace(-2, 5, 6), jnp.linspace(0, 1, 6), jnp.linspace(0, 2, 6)
    one = lambda w, r, u: flow(jn.models.RatePopulation(w=w), r, u)
    looped = [one(*values) for values in zip(w, r, u, strict=True)]
    np.testing.assert_allclose(jax.vmap(one)(w, r, u), jnp.stack(looped), rtol=1e-14)


def test_gradients_of_the_flow_are_those_of_the_formula():
    gradient = jax.grad(lambda s: flow(s, 0.4, 0.5))(
        jn.models.RatePopulation(w=5.0, tau=2.0)
    )
    s = 1 / (1 + np.exp(-1.2 * (5 * 0.4 + 0.5 - 2.8)))
    gain = 1.2 * s * (1 - s)
    np.testing.assert_allclose(gradient.w, gain * 0.4 / 2, rtol=1e-12)
    np.testing.assert_allclose(gradient.tau, -(-0.4 + sigmoid(2.5)) / 4, rtol=1e-12)
    c = 1 / (1 + np.exp(1.2 * 2.8))
    by_theta = (-gain + 1.2 * c * (1 - c)) / 2
    np.testing.assert_allclose(gradient.transfer.theta, by_theta, rtol=1e-12)


def test_parameters_are_float_arrays():
    leaves = jax.tree.leaves(jn.models.RatePopulation(w=5, tau=2))
    assert len(leaves) == 4
    assert all(eqx.is_array(x) and x.dtype == jnp.float64 for x in leaves)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: jn.models.RatePopulation(tau=0.0), "tau"),
        (lambda: jn.models.RatePopulation(tau=-1.0), "tau"),
        (lambda: jn.models.WilsonCowan(tau_e=-1.0), "tau_e"),
        (lambda: jn.models.WilsonCowan(tau_i=0.0), "tau_i"),
        (
            lambda: jn.models.RateNetwork(weights=np.eye(2), tau=np.array([1.0, -1.0])),
            "tau",
        ),
    ],
)
def test_a_time_constant_that_is_not_positive_is_named(make, name):
    with pytest.raises(ValueError, match=f"`{name}` of `.*` must be positive"):
        make()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: jn.models.RatePopulation(w=float("nan")), "RatePopulation.w`"),
        (lambda: jn.models.WilsonCowan(w_ie=float("nan")), "WilsonCowan.w_ie`"),
        (lambda: jn.models.RateNetwork(weights=np.full((2, 2), np.nan)), "weights`"),
    ],
)
def test_a_nan_parameter_is_named(make, name):
    with pytest.raises(ValueError, match=f"{name} is NaN"):
        make()


def test_weights_that_are_not_square_are_refused():
    # With the type checks on, the shape is refused before the message is reached.
    with pytest.raises((ValueError, TypeCheckError), match="weights"):
        jn.models.RateNetwork(weights=np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("system", "y", "shape"),
    [
        (jn.models.RatePopulation(), np.zeros(1), r"\(1,\)"),
        (jn.models.RatePopulation(), np.zeros(3), r"\(3,\)"),
        (jn.models.WilsonCowan(), np.zeros(3), r"\(3,\)"),
        (jn.models.WilsonCowan(), np.zeros((2, 2)), r"\(2, 2\)"),
        (jn.models.WilsonCowan(), 0.0, r"\(\)"),
        (jn.models.RateNetwork(weights=np.eye(3)), np.zeros(2), r"\(2,\)"),
        (jn.models.RateNetwork(weights=np.eye(3)), np.zeros((3, 3)), r"\(3, 3\)"),
    ],
)
def test_a_state_of_the_wrong_shape_is_refused(system, y, shape):
    name = type(system).__name__
    with pytest.raises(ValueError, match=f"`{name}` has the shape .* not {shape}"):
        flow(system, y)
    with pytest.raises(ValueError, match=name):
        jn.jacobian(system, jnp.asarray(y))


@pytest.mark.parametrize(
    ("system", "y", "u"),
    [
        (jn.models.RatePopulation(), 0.0, np.zeros(1)),
        (jn.models.RatePopulation(), 0.0, (0.1, 0.2)),
        (jn.models.WilsonCowan(), np.zeros(2), 0.5),
        (jn.models.WilsonCowan(), np.zeros(2), np.zeros(3)),
        (jn.models.WilsonCowan(), np.zeros(2), np.zeros((2, 2))),
        (jn.models.WilsonCowan(), np.zeros(2), (0.1, 0.2, 0.3)),
        (jn.models.RateNetwork(weights=np.eye(3)), np.zeros(3), np.zeros(2)),
        (jn.models.RateNetwork(weights=np.eye(3)), np.zeros(3), np.zeros((3, 3))),
        (jn.models.RateNetwork(weights=np.eye(1)), np.zeros(1), np.zeros(2)),
    ],
)
def test_an_input_of_the_wrong_shape_is_refused(system, y, u):
    with pytest.raises(ValueError, match=type(system).__name__):
        jn.jacobian(system, jnp.asarray(y), u=u)


def test_time_constants_that_do_not_fit_the_weights_are_refused():
    with pytest.raises((ValueError, TypeCheckError), match="tau"):
        jn.models.RateNetwork(weights=np.eye(3), tau=np.array([1.0, 2.0]))
