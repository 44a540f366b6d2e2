"""The exponential solver against closed forms and against SciPy's matrix exponential."""

import functools
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import jaxnet as jn
from jaxnet import couplings, models


EXPONENTIAL = jn.Exponential()


class Flow(jn.AbstractSystem):
    """A flow with a tree of parameters p, f(t, y, u, p)."""

    function: Callable = eqx.field(static=True)
    p: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        return self.function(t, y, u, self.p)


def run(function, y0, dt, *, p=0.0, steps=5, u=None, throw=True):
    """All states, as arrays whose first axis is time."""
    return jn.simulate(
        Flow(function, p),
        y0,
        t1=steps * dt,
        u=u,
        method=jn.Grid(dt, EXPONENTIAL),
        throw=throw,
    )


def assert_close(found, expected, rtol=1e-12):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * scale)


# Linear flows: the step is exact, however large it is.


@pytest.mark.parametrize("dt", [0.01, 1.0, 30.0, 1e4])
def test_one_variable_relaxes_as_its_closed_form(dt):
    tau, y0, u = 7.0, -2.0, 3.0
    found = run(lambda t, y, u, p: (u - y) / p, y0, dt, p=tau, u=u).ys
    t = dt * np.arange(6)
    assert_close(found, u + (y0 - u) * np.exp(-t / tau), 1e-14)


def chain(t, y, u, p):
    return {"v": (y["g"] - y["v"]) / p[0], "g": -y["g"] / p[1]}


@pytest.mark.parametrize("dt", [0.1, 100.0])
@pytest.mark.parametrize("tau_g", [2.0, 9.999, 10.0])
def test_a_current_that_decays_drives_the_voltage_as_its_closed_form(dt, tau_g):
    """At 10 ms both time constants are the same, and the Jacobian is defective."""
    tau, v0, g0 = 10.0, 1.0, 5.0
    y0 = {"v": jnp.full(2, v0), "g": jnp.full(2, g0)}
    found = run(chain, y0, dt, p=np.array([tau, tau_g])).ys
    t = dt * np.arange(6)
    if tau_g == tau:
        response = t / tau * np.exp(-t / tau)
    else:
        # (e^{-t/tau} - e^{-t/tau_g}) / (1 - tau / tau_g) without cancellation.
        rate = 1 / tau_g - 1 / tau
        response = -np.exp(-t / tau) * np.expm1(-t * rate) / (tau * rate)
    expected = v0 * np.exp(-t / tau) + g0 * response
    assert_close(found["v"], expected[:, None].repeat(2, 1))
    assert_close(found["g"], (g0 * np.exp(-t / tau_g))[:, None].repeat(2, 1))


@pytest.mark.parametrize("dt", [0.1, 50.0])
def test_an_alpha_kernel_is_its_closed_form(dt):
    tau = 3.0
    flow = lambda t, y, u, p: ((y[1] - y[0]) / p, -y[1] / p)
    g, x = run(flow, (jnp.zeros(3), jnp.full(3, np.e)), dt, p=tau).ys
    t = dt * np.arange(6)[:, None].repeat(3, 1)
    np.testing.assert_allclose(g, t / tau * np.exp(1 - t / tau), rtol=0, atol=1e-14)
    np.testing.assert_allclose(x, np.exp(1 - t / tau), rtol=0, atol=1e-14)


UNITS = 4
# What a matrix of each unit has: real, complex, and defective eigenvalues.
MATRICES = {
    "two, a spiral": np.array([[-0.3, 2.0], [-1.5, -0.1]]),
    "two, a saddle": np.array([[0.2, 0.3], [0.1, -0.9]]),
    "three": np.array([[-0.5, 0.7, 0.0], [-0.9, -0.4, 0.3], [0.2, -0.1, -1.1]]),
    "three, defective": np.array([[-0.5, 1.0, 0.0], [0.0, -0.5, 1.0], [0.0, 0.0, -0.5]]),
    "three, two alone": np.array([[-0.5, 0.0, 0.0], [0.0, -0.4, 0.3], [0.0, 0.2, -1.1]]),
}


def linear(t, y, u, p):
    """Each unit has a matrix of its own, or all have one: p has the matrix last."""
    n = len(y)
    rates = [sum(p[..., i, j] * y[j] for j in range(n)) for i in range(n)]
    return (
        tuple(rates) if u is None else tuple(r + w for r, w in zip(rates, u, strict=True))
    )


@pytest.mark.parametrize(("dt", "per_unit"), [(0.1, False), (4.0, True)])
@pytest.mark.parametrize("name", MATRICES)
def test_a_linear_system_with_a_constant_input_is_that_of_scipy(name, dt, per_unit):
    matrix = MATRICES[name]
    n = len(matrix)
    scales = np.linspace(0.5, 1.5, UNITS) if per_unit else np.ones(UNITS)
    matrices = scales[:, None, None] * matrix
    rng = np.random.default_rng(0)
    y0, u = rng.normal(size=(n, UNITS)), rng.normal(size=(n, UNITS))
    found = run(
        linear,
        tuple(map(jnp.asarray, y0)),
        dt,
        p=matrices if per_unit else matrix,
        steps=3,
        u=tuple(map(jnp.asarray, u)),
    ).ys
    for unit in range(UNITS):
        # y and u together are an autonomous linear system.
        whole = np.zeros((2 * n, 2 * n))
        whole[:n, :n], whole[:n, n:] = matrices[unit], np.eye(n)
        start = np.concatenate([y0[:, unit], u[:, unit]])
        for step in range(4):
            expected = (scipy.linalg.expm(whole * step * dt) @ start)[:n]
            assert_close(np.array([x[step, unit] for x in found]), expected, 1e-10)


@pytest.mark.parametrize("dt", [0.1, 20.0])
def test_without_a_leak_the_step_is_that_of_a_polynomial(dt):
    """v' = u, and x' = v with it: the Jacobian is zero, or nilpotent."""
    flow = lambda t, y, u, p: {"alone": u, "x": y["v"], "v": u}
    y0 = {"alone": jnp.asarray(1.0), "x": jnp.asarray(-2.0), "v": jnp.asarray(0.5)}
    found = run(flow, y0, dt, u=0.7).ys
    t = dt * np.arange(6)
    assert_close(found["alone"], 1 + 0.7 * t, 1e-14)
    assert_close(found["v"], 0.5 + 0.7 * t, 1e-14)
    assert_close(found["x"], -2 + 0.5 * t + 0.35 * t**2, 1e-13)


def growth(t, y, u, p):
    return p * y + 1.0


@pytest.mark.parametrize("z", [0.0, 1e-12, 0.99e-5, 1.01e-5, 1e-3, -1e-5, -40.0, 5.0])
def test_a_small_rate_is_no_division_by_zero(z):
    """y' = z y + 1 over a step of 1 ms: y = y0 e^z + (e^z - 1) / z."""
    found = run(growth, 2.0, 1.0, p=z, steps=1).ys[1]
    phi = math.expm1(z) / z if z else 1.0
    assert float(found) == pytest.approx(2 * math.exp(z) + phi, rel=1e-15)


def test_an_input_is_frozen_over_a_step():
    tau, dt = 3.0, 2.0
    found = run(lambda t, y, u, p: (u - y) / p, 0.5, dt, p=tau, steps=20, u=jnp.sin).ys
    expected, decay = [0.5], math.exp(-dt / tau)
    for step in range(20):
        expected.append(decay * expected[-1] + (1 - decay) * math.sin(step * dt))
    assert_close(found, np.array(expected), 1e-14)


def test_a_flow_may_have_a_part_that_varies_in_time():
    """Time enters as an input does: its value at the step's start counts."""
    found = run(lambda t, y, u, p: t - y, 0.0, 0.5, steps=10).ys
    expected = [0.0]
    for step in range(10):
        expected.append(math.exp(-0.5) * expected[-1] + (1 - math.exp(-0.5)) * 0.5 * step)
    assert_close(found, np.array(expected), 1e-14)


@pytest.mark.parametrize("shape", [(5,), (3, 5), ()])
def test_one_number_and_one_a_unit_are_the_same(shape):
    """Also where units stand on a lattice."""
    method = jn.Grid(0.7, EXPONENTIAL)
    y0 = jnp.linspace(-1, 1, math.prod(shape)).reshape(shape)
    one, many = (
        jn.simulate(models.LIF(tau=tau, threshold=9.0), y0, t1=7.0, u=0.3, method=method)
        for tau in (6.0, jnp.full(shape, 6.0))
    )
    expected = 0.3 + (y0 - 0.3) * np.exp(-0.7 * np.arange(11) / 6.0).reshape(
        -1, *[1] * len(shape)
    )
    assert_close(one.ys, expected, 1e-14)
    assert_close(many.ys, expected, 1e-14)


def test_a_parameter_of_each_row_of_a_lattice_is_broadcast():
    tau = np.array([1.0, 2.0, 4.0])
    found = run(lambda t, y, u, p: (1 - y) / p, jnp.zeros((2, 3)), 1.5, p=tau).ys
    t = 1.5 * np.arange(6)[:, None, None]
    assert_close(found, np.broadcast_to(1 - np.exp(-t / tau), (6, 2, 3)), 1e-14)


# Flows that ask for their number of units, or for units by their number.

LOCAL = {
    "y.shape[0]": (lambda t, y, u, p: -y / y.shape[0], np.full(3, 1 / 3)),
    "arange": (
        lambda t, y, u, p: -y * jnp.arange(1.0, y.size + 1),
        np.array([1.0, 2.0, 3.0]),
    ),
    "unit by unit": (
        lambda t, y, u, p: jnp.stack([-y[0], -2 * y[1], -3 * y[2]]),
        np.array([1.0, 2.0, 3.0]),
    ),
    "a slice": (
        lambda t, y, u, p: jnp.concatenate([-y[:1], -2 * y[1:]]),
        np.array([1.0, 2.0, 2.0]),
    ),
}


@pytest.mark.parametrize("name", LOCAL)
def test_a_flow_may_know_how_many_units_there_are(name):
    flow, rates = LOCAL[name]
    y0 = np.array([1.0, -2.0, 3.0])
    expected = y0 * np.exp(-0.8 * rates * np.arange(6)[:, None])
    assert_close(run(flow, jnp.asarray(y0), 0.8).ys, expected, 1e-14)


# All other flows take exponential Euler steps.


def test_a_coefficient_that_varies_in_time_is_frozen_over_a_step():
    rate = lambda t: 2.0 + np.sin(t)
    found = run(lambda t, y, u, p: -(2.0 + jnp.sin(t)) * y + 1.0, 1.0, 0.3, steps=20).ys
    expected = [1.0]
    for step in range(20):
        k = rate(0.3 * step)
        expected.append(math.exp(-k * 0.3) * (expected[-1] - 1 / k) + 1 / k)
    assert_close(found, np.array(expected), 1e-14)


def test_a_coefficient_of_the_input_is_frozen_over_a_step():
    """A conductance that is an input: v' = -v + u (E - v)."""
    found = run(
        lambda t, y, u, p: -y + u * (p - y), 0.0, 0.4, p=2.0, steps=15, u=jnp.exp
    ).ys
    expected = [0.0]
    for step in range(15):
        g = math.exp(0.4 * step)
        end = g * 2.0 / (1 + g)
        expected.append(end + (expected[-1] - end) * math.exp(-(1 + g) * 0.4))
    assert_close(found, np.array(expected), 1e-14)


def test_a_nonlinear_step_is_that_of_the_formula():
    """y + dt phi_1(J dt) f(y), unit by unit."""
    found = run(
        lambda t, y, u, p: y * (1 - y), jnp.array([0.1, 0.5, 1.7]), 0.5, steps=10
    ).ys
    y = np.array([0.1, 0.5, 1.7])
    for row in np.asarray(found):
        np.testing.assert_allclose(row, y, rtol=1e-13)
        z = 0.5 * (1 - 2 * y)
        phi = np.array([math.expm1(x) / x if x else 1.0 for x in z])
        y = y + 0.5 * phi * y * (1 - y)


ORDERS = {
    # A flow, its start, the solution at 2 ms, and the order. Without time and input, one
    # variable alone takes the step of Rosenbrock and Euler, which is of second order:
    # Hochbruck and Ostermann 2010, doi:10.1017/S0962492910000048.
    "nonlinear": (lambda t, y, u, p: y * (1 - y), 0.1, 1 / (1 + 9 * math.exp(-2)), 2),
    "time": (lambda t, y, u, p: -jnp.cos(t) * y, 1.0, math.exp(-math.sin(2)), 1),
    "input": (lambda t, y, u, p: -u * y, 1.0, math.exp(-math.sin(2)), 1),
    "frozen input": (
        lambda t, y, u, p: u - y,
        0.0,
        (math.cos(2) + math.sin(2) - math.exp(-2)) / 2,
        1,
    ),
    "pair": (
        # x' = -x, y' = -x y: y = e^{e^{-t} - 1}.
        lambda t, y, u, p: (-y[0], -y[0] * y[1]),
        (1.0, 1.0),
        np.array([math.exp(-2), math.exp(math.exp(-2) - 1)]),
        1,
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_exponential_euler_is_of_first_order(name):
    flow, y0, exact, order = ORDERS[name]
    u = jnp.cos if "input" in name else None
    errors = []
    for dt in (1 / 32, 1 / 64):
        end = jax.tree.leaves(run(flow, y0, dt, steps=round(2 / dt), u=u).ys)
        errors.append(np.linalg.norm(np.array([x[-1] for x in end]) - exact))
    assert errors[1] > 1e-6
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_variables_that_are_linear_are_exact_beside_ones_that_are_not():
    """Two of the four are a linear chain; the others read them, and one another."""

    def flow(t, y, u, p):
        a, b, c, d = y
        return (-a / 3.0 + 0.5, (a - b) / 7.0, -c * b + d, -(c**2) * d)

    dt, steps = 5.0, 4
    found = run(flow, (2.0, -1.0, 0.3, 0.1), dt, steps=steps).ys
    matrix = np.array([[-1 / 3, 0, 0.5], [1 / 7, -1 / 7, 0], [0, 0, 0]])
    for step in range(steps + 1):
        expected = scipy.linalg.expm(matrix * dt * step) @ [2.0, -1.0, 1.0]
        assert float(found[0][step]) == pytest.approx(expected[0], rel=1e-12)
        assert float(found[1][step]) == pytest.approx(expected[1], rel=1e-12)
    # The first step of the third variable, by its formula.
    z = -dt * -1.0
    c = 0.3 + dt * math.expm1(z) / z * (0.3 + 0.1)
    assert float(found[2][1]) == pytest.approx(c, rel=1e-13)


def test_a_stiff_flow_is_stable_where_euler_blows_up():
    system = Flow(lambda t, y, u, p: -50 * (y + y**3) + 50 * u)
    run_with = lambda solver: jn.simulate(
        system, 1.5, t1=20.0, u=2.0, method=jn.Grid(0.1, *solver), throw=False
    )
    euler, exponential = run_with(()), run_with((EXPONENTIAL,))
    assert euler.result == jn.RESULTS.nonfinite_state
    # y + y^3 = 2 has the root 1.
    assert (np.diff(exponential.ys) <= 0).all()
    assert float(exponential.ys[-1]) == pytest.approx(1.0, rel=1e-14)
    ends = run(system.function, jnp.array([-3.0, 0.0, 4.0]), 0.1, steps=200, u=2.0).ys
    assert np.abs(ends).max() <= 4.0
    assert_close(ends[-1], np.ones(3), 1e-12)


# Flows whose derivative is constant, but which are not linear.

JUMPING = {
    # With a Heaviside rate function, 1 is a fixed point.
    "Heaviside": (lambda t, y, u, p: -y + jnp.where(y > 0.5, 1.0, 0.0), 1.0, 1.0),
    # From 3, one unit a step towards 0.
    "sign": (lambda t, y, u, p: -jnp.sign(y), 3.0, 2.5),
    "floor": (lambda t, y, u, p: -jnp.floor(y), 3.0, 1.5),
}


@pytest.mark.parametrize("name", JUMPING)
def test_a_flow_that_jumps_is_not_taken_for_a_linear_one(name):
    """A step of exponential Euler, or any step of first order, is within 10 % of this."""
    flow, y0, expected = JUMPING[name]
    found = run(flow, y0, 0.5, steps=1).ys[-1]
    assert float(found) == pytest.approx(expected, rel=0.1)


# Flows that are not local.

RING = lambda t, y, u, p: jnp.roll(y, 1) + jnp.roll(y, -1) - 2 * y
NOT_LOCAL = {
    "the number of units": (lambda t, y, u, p: -y / y.size, jnp.ones(3)),
    "the mean": (lambda t, y, u, p: -y + jnp.mean(y), jnp.ones(3)),
    "a ring": (RING, jnp.ones(5)),
    "a weak coupling": (lambda t, y, u, p: -y + 1e-10 * jnp.mean(y), jnp.ones(3)),
    "the next one": (lambda t, y, u, p: -jnp.roll(y, 1), jnp.ones(3)),
    "a square": (lambda t, y, u, p: -y + jnp.mean(y) ** 2, jnp.ones(3)),
    "another variable": (
        lambda t, y, u, p: (-y[0] + jnp.sum(y[1]), -y[1]),
        (jnp.ones(3), jnp.ones(3)),
    ),
    # The derivative is zero at the start, and only there.
    "a square, from rest": (lambda t, y, u, p: 1 - y + jnp.mean(y) ** 2, jnp.zeros(3)),
    "a threshold, from below": (
        lambda t, y, u, p: 1 - y + jnp.maximum(jnp.sum(y) - 0.5, 0.0),
        jnp.zeros(3),
    ),
}


@pytest.mark.parametrize("name", NOT_LOCAL)
def test_a_flow_that_is_not_local_is_refused(name):
    flow, y0 = NOT_LOCAL[name]
    result = run(flow, y0, 0.1, throw=False).result
    assert result == jn.RESULTS.flow_not_local


@pytest.mark.parametrize("rates", [1.0, np.array([1.0, 2.0, 3.0])])
def test_one_variable_for_all_units_is_refused(rates):
    """The shapes say it: no run is needed."""
    flow = lambda t, y, u, p: (y[1] - p * y[0], -y[1])
    with pytest.raises(
        ValueError, match=r"shape \(3,\) depends on one of shape \(\).*Heun"
    ):
        run(flow, (jnp.ones(3), jnp.asarray(1.0)), 0.1, p=rates)


def test_variables_of_different_shapes_may_stand_side_by_side():
    flow = lambda t, y, u, p: (-y[0], 1.0 - y[1])
    three, one = run(flow, (jnp.ones(3), jnp.asarray(0.0)), 0.7).ys
    decay = np.exp(-0.7 * np.arange(6))
    assert_close(three, decay[:, None].repeat(3, 1), 1e-14)
    assert_close(one, 1 - decay, 1e-14)


@pytest.mark.parametrize(
    ("transfer", "start"),
    [(jn.transfer.Tanh(), 0.5), (jn.transfer.ThresholdLinear(theta=1.0), 0.0)],
)
def test_a_network_of_rates_is_refused_with_its_remedy(transfer, start):
    """The second one is silent at first; its input lets it rise later on."""
    network = models.RateNetwork(weights=jnp.ones((3, 3)) / 2, transfer=transfer)
    u = jn.inputs.Pulse(onset=0.2, duration=1.0, value=3.0)
    with pytest.raises(RuntimeError, match=r"explicit solver.*send spikes"):
        jn.simulate(
            network, jnp.full(3, start), t1=1.0, u=u, method=jn.Grid(0.1, EXPONENTIAL)
        )


def test_rates_that_listen_to_themselves_alone_are_local():
    network = models.RateNetwork(weights=jnp.diag(jnp.array([0.0, 0.0, 1.5])))
    found = jn.simulate(
        network, jnp.ones(3), t1=1.0, u=0.0, method=jn.Grid(0.1, EXPONENTIAL)
    )
    expected = np.exp(-0.1 * np.arange(11))
    assert_close(found.ys[:, 0], expected, 1e-14)
    assert float(found.ys[-1, 2]) > 0.9


def test_under_vmap_only_the_element_that_is_not_local_has_the_code():
    weights = np.zeros((3, 2, 2))
    weights[1, 0, 1] = 0.3
    weights[2] = np.diag([0.5, 0.5])

    def one(weights):
        return jn.simulate(
            models.RateNetwork(weights=weights),
            jnp.ones(2),
            t1=0.5,
            method=jn.Grid(0.1, EXPONENTIAL),
        )

    results = jax.vmap(one)(weights).result
    assert (results == jn.RESULTS.flow_not_local).tolist() == [False, True, False]
    assert (results == jn.RESULTS.successful).tolist() == [True, False, True]


# Derivatives.

DIFFERENCE = 1e-5
DIFFERENTIABLE = {
    "exact": lambda y, u, p: (p[0] * y[0] + p[1] * y[1] + u, p[2] * y[0] + p[3] * y[1]),
    "exact, one variable": lambda y, u, p: (p[0] * y[0] + u, p[1] * p[2] - p[3] * y[1]),
    "exponential Euler": lambda y, u, p: (
        p[0] * y[0] + p[1] * y[1] ** 2 + u,
        p[2] * jnp.sin(y[0]) + p[3] * y[1],
    ),
}
POINTS = {
    "away from zero": np.array([-0.5, 0.7, -0.9, -0.2, 0.8, 1.1, -0.4]),
    # phi_1 has a removable singularity here, and both eigenvalues are the same.
    "at a zero rate": np.array([0.0, 0.7, 0.0, 0.0, 0.8, 1.1, -0.4]),
}


@functools.cache
def derivatives_of(name):
    """The end as a function of parameters, input and initial state, and its derivatives."""

    def end(x):
        flow = DIFFERENTIABLE[name]
        system = Flow(lambda t, y, u, p: flow(y, u, p), x[:4])
        y0 = x[5][None], x[6][None]
        method = jn.Grid(0.5, EXPONENTIAL)
        ys = jn.simulate(system, y0, t1=2.0, u=x[4], method=method).ys
        return jnp.stack([ys[0][-1, 0], ys[1][-1, 0]])

    return jax.jit(jax.vmap(lambda x: (end(x), jax.jacfwd(end)(x), jax.jacrev(end)(x))))


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_equal_central_differences_in_both_modes(name, point):
    """With respect to four parameters, the input, and the initial state."""
    x = POINTS[point]
    steps = DIFFERENCE * np.eye(len(x))
    ends, forward, backward = derivatives_of(name)(
        np.concatenate([x[None], x + steps, x - steps])
    )
    up, down = np.split(np.asarray(ends)[1:], 2)
    expected = ((up - down) / (2 * DIFFERENCE)).T
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(forward[0], expected, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(backward[0], expected, rtol=1e-7, atol=1e-8)


def test_a_batch_of_time_constants_and_its_derivatives_are_the_closed_form():
    taus = np.array([0.5, 2.0, 8.0, 1e3])

    def end(tau):
        return run(lambda t, y, u, p: (1 - y) / p, 0.0, 1.0, p=tau, steps=3).ys[-1]

    values, slopes = jax.vmap(jax.value_and_grad(end))(taus)
    np.testing.assert_allclose(values, -np.expm1(-3 / taus), rtol=1e-13)
    np.testing.assert_allclose(slopes, -3 / taus**2 * np.exp(-3 / taus), rtol=1e-12)


# Single precision, and units that do not flow.


@pytest.mark.parametrize("dt", [0.1, 5.0])
def test_single_precision_gives_the_closed_form_to_its_precision(dt):
    with jax.enable_x64(False):
        flow = lambda t, y, u, p: ((y[1] - y[0]) / 10.0 + 0.3, -y[1] / 2.0)
        v, g = run(flow, (jnp.zeros(2), jnp.ones(2)), dt, steps=20).ys
        assert v.dtype == g.dtype == jnp.float32
    t = dt * np.arange(21)
    response = (np.exp(-t / 10) - np.exp(-t / 2)) / 10 / (1 / 2 - 1 / 10)
    expected = response + 3 * (1 - np.exp(-t / 10))
    np.testing.assert_allclose(v[:, 0], expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(g[:, 0], np.exp(-t / 2), rtol=0, atol=1e-6)


@pytest.mark.parametrize("neuron", [models.LIF(), models.QuadraticLIF()])
def test_spikes_that_wait_are_no_voltage_and_do_not_decay(neuron):
    """With neurons that take exact steps, and with ones that take exponential Euler."""
    network = models.Network(
        {"x": models.Population(models.SpikeSource(refractory_period=1.0), 2)}
        | {"e": models.Population(neuron, 2)},
        {
            "p": models.Projection(
                "x", "e", couplings.OneToOne(0.1, size=2), models.ExponentialSynapse(3.0)
            )
        },
    )
    train = jn.inputs.SpikeTrain([0.1, 0.1, 0.1], [0, 0, 0], size=2)
    solution = jn.simulate(
        network,
        network.initial_state(),
        t1=3.0,
        u={"x": train},
        method=jn.Grid(0.1, EXPONENTIAL),
    )
    waiting = np.asarray(solution.ys.neurons["x"])
    # Three come in the first step, one goes at once, and one every millisecond.
    assert waiting[:, 0].tolist() == [0.0, *[2.0] * 10, *[1.0] * 10, *[0.0] * 10]
    assert (waiting[:, 1] == 0).all()
