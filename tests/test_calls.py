"""Calls that a user would expect to work, in forms that differ from the examples."""

import subprocess
import sys

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import inputs


STARTS = jnp.linspace(0.0, 1.0, 17)


class Rotation(jn.AbstractSystem):
    """x' = y, y' = -x, written by unpacking."""

    def vector_field(self, t, y, u):
        x, z = y
        return jnp.stack([z, -x])


class Leaves(jn.AbstractSystem):
    """Two leaves that decay, one twice as fast."""

    def vector_field(self, t, y, u):
        return {"a": -y["a"], "b": -2 * y["b"]}


class Linear(jn.AbstractSystem):
    matrix: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return self.matrix @ y


def test_a_tuple_of_numbers_is_a_state():
    run = jn.simulate(Rotation(), (0.0, 1.0), t1=1.0)
    assert np.allclose(run.ys[-1], [np.sin(1), np.cos(1)], rtol=0, atol=1e-8)
    assert str(jn.stability(Rotation(), (0.0, 0.0))) == "centre"


def test_one_strength_of_noise_serves_every_leaf():
    state = {"a": jnp.zeros(()), "b": jnp.zeros(2)}
    key = jax.random.key(0)
    run = jn.simulate(jn.Noisy(Leaves(), 0.5), state, t1=1.0, method=jn.Grid(1.0), key=key)
    moved = np.concatenate([np.atleast_1d(run.ys["a"][-1]), run.ys["b"][-1]])
    assert np.all(moved != 0)
    assert len(np.unique(moved)) == 3


def test_an_onset_may_differ_from_unit_to_unit():
    network = jn.models.RateNetwork(
        jnp.zeros((2, 2)), transfer=jn.transfer.ThresholdLinear()
    )
    step = inputs.Step(onset=jnp.array([1.0, 2.0]), value=1.0)
    run = jn.simulate(network, jnp.zeros(2), t1=5.0, u=step)
    assert np.allclose(run.ys[-1], 1 - np.exp([-4.0, -3.0]), rtol=0, atol=1e-8)


def test_a_numpy_array_and_noise_add_up():
    total = np.array([0.5, 0.5]) + inputs.OrnsteinUhlenbeck(sigma=1.0, tau=1.0)
    assert isinstance(total, inputs.Sum)


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd])
def test_roots_have_derivatives_through_a_function_of_the_user(derivative):
    population = jn.models.RatePopulation(w=5.0)
    root = lambda a: jn.fixed_points(population, STARTS, u=lambda t: a, t=0.0).y[0]
    r = root(0.5)
    gain = population.transfer.gain(5.0 * r + 0.5)
    assert derivative(root)(0.5) == pytest.approx(float(gain / (1 - 5.0 * gain)), rel=1e-10)


@pytest.mark.parametrize(
    "matrix",
    [[[-1e8, 0.0], [1e4, -1e-6]], [[1e-6, 3.0], [0.0, 1e8]], [[2.0, 1.0], [1.0, 2.0]]],
)
def test_eigenvalues_far_apart_are_both_right(matrix):
    found = jn.eigenvalues(Linear(matrix=matrix), jnp.zeros(2))
    a, b, c, d = (float(x) for row in matrix for x in row)
    exact = sorted([3.0, 1.0] if b * c else [a, d], reverse=True)
    assert np.allclose(found, exact, rtol=1e-14, atol=0)


def test_a_lattice_of_one_variable_fits_a_scalar_state():
    starts = jn.lattice(0.0, 1.0, 17)
    assert int(jn.fixed_points(jn.models.RatePopulation(w=5.0), starts, u=0.5).count) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": diffrax.Tsit5()}, "`method` must be"),
        ({"method": jn.Grid(0.1), "save": 10}, "`save` must be"),
        ({"u": "x"}, "`u` is no input"),
        ({"save": jn.SaveAt(ts=[0.5, 0.1])}, "`ts` of `save` must rise"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(arguments, message):
    # The hook on types would refuse some of these first, with a message of its own.
    simulate = getattr(jn.simulate, "__wrapped__", jn.simulate)
    with pytest.raises(ValueError, match=message):
        simulate(jn.models.RatePopulation(), 0.1, t1=1.0, **arguments)


WITHOUT_TYPE_CHECKS = """
import jax, jax.numpy as jnp, jaxnet as jn

def message(call):
    try:
        call()
    except ValueError as e:
        return str(e)

keys, two = jax.random.split(jax.random.key(0)), jnp.ones((2, 3), bool)
population = jn.models.RatePopulation()
states = jn.measure.TwoStates(two, two)
assert "`key` must be one key" in message(
    lambda: jn.simulate(population, 0.1, t1=1.0, key=keys)
)
assert "`t1` must be one number" in message(
    lambda: jn.simulate(population, 0.1, t1=jnp.ones(2))
)
assert "`below` must be one trajectory" in message(
    lambda: jn.measure.hysteresis(two, two)
)
assert "`states` must be one trajectory" in message(
    lambda: jn.measure.dwell_times(states, 0.1)
)
"""


def test_shapes_are_looked_at_where_types_are_not():
    run = subprocess.run([sys.executable, "-c", WITHOUT_TYPE_CHECKS], check=False)
    assert run.returncode == 0
