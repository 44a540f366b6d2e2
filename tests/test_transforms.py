"""Every numeric answer under jit, vmap, reverse and forward mode, for every rate model.

The derivatives are held against central differences in a random direction of all
parameters, the input among them.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxnet as jn


UNITS = 50
STEP = 1e-5


def population():
    return jn.Driven(jn.models.RatePopulation(w=5.0, tau=2.0), 0.5)


def wilson_cowan():
    return jn.Driven(jn.models.WilsonCowan(), jnp.array([0.05, -0.02]))


def network():
    weights_key, input_key = jax.random.split(jax.random.key(11))
    weights = 0.5 / np.sqrt(UNITS) * jax.random.normal(weights_key, (UNITS, UNITS))
    tau = jnp.linspace(1.0, 2.0, UNITS)
    transfer = jn.transfer.Tanh(a=jnp.linspace(0.8, 1.2, UNITS))
    model = jn.models.RateNetwork(weights=weights, tau=tau, transfer=transfer)
    return jn.Driven(model, 0.5 * jax.random.normal(input_key, (UNITS,)))


# A system, starts, how many roots it has, and a state off the roots.
MODELS = {
    "RatePopulation": (population, jnp.linspace(0, 1, 17), 3, jnp.asarray(0.3)),
    "WilsonCowan": (
        wilson_cowan,
        jn.lattice((0, 0), (1, 1), 7),
        3,
        jnp.array([0.3, 0.2]),
    ),
    "RateNetwork": (
        network,
        jnp.linspace(-0.2, 0.2, 2 * UNITS).reshape(2, UNITS),
        1,
        jnp.linspace(-0.5, 0.5, UNITS),
    ),
}


def real(values):
    return jnp.concatenate([values.real.ravel(), values.imag.ravel()])


def roots(system, starts, count, state):
    return jn.fixed_points(system, starts, max_points=count).y.ravel()


def eigenvalues_of_roots(system, starts, count, state):
    return real(jn.fixed_points(system, starts, max_points=count).eigenvalues)


def jacobian(system, starts, count, state):
    return jn.jacobian(system, state).ravel()


def eigenvalues(system, starts, count, state):
    return real(jn.eigenvalues(system, state))


def final_state(system, starts, count, state):
    save = jn.SaveAt(t1=True)
    return jn.simulate(system, state, t1=3.0, method=jn.Grid(0.1), save=save).ys.ravel()


ANSWERS = {
    f.__name__: f for f in (roots, eigenvalues_of_roots, jacobian, eigenvalues, final_state)
}
table = pytest.mark.parametrize("answer", ANSWERS)
models = pytest.mark.parametrize("model", MODELS)


class Case:
    """The answers of one model, as functions of the vector of all its parameters.

    All answers are compiled together: they share most of their work.
    """

    def __init__(self, model: str):
        make, starts, count, state = MODELS[model]
        parameters, rest = eqx.partition(make(), eqx.is_inexact_array)
        self.vector, unravel = ravel_pytree(parameters)

        def answer(name, vector):
            system = eqx.combine(unravel(vector), rest)
            return ANSWERS[name](system, starts, count, state)

        self.answer = answer
        self.all_answers = lambda x: {name: answer(name, x) for name in ANSWERS}
        direction = jax.random.normal(jax.random.key(5), self.vector.shape)
        # Of length one: else the step is long where there are many parameters.
        self.direction = direction / jnp.linalg.norm(direction)

    @functools.cached_property
    def jitted(self):
        return jax.jit(self.all_answers)

    @functools.cached_property
    def values(self):
        """The answers at a step to the one side, without a step, to the other side."""
        steps = (-STEP, 0.0, STEP)
        return [self.jitted(self.vector + h * self.direction) for h in steps]

    @functools.cached_property
    def slopes(self):
        """The derivatives along the direction, by central differences."""
        low, _, high = self.values
        difference = lambda a, b: np.asarray((b - a) / (2 * STEP))
        return jax.tree.map(difference, low, high)

    @functools.cached_property
    def batch(self):
        steps = jnp.array([-STEP, 0.0, STEP])
        vectors = self.vector + steps[:, None] * self.direction
        return jax.jit(jax.vmap(self.all_answers))(vectors)

    @functools.cached_property
    def forward(self):
        push = lambda x, v: jax.jvp(self.all_answers, (x,), (v,))[1]
        return jax.jit(push)(self.vector, self.direction)

    @functools.cached_property
    def weights(self):
        """Random weights for the entries of each answer."""
        keys = jax.random.split(jax.random.key(6), len(ANSWERS))
        shapes = [(name, self.values[1][name].shape) for name in ANSWERS]
        draw = zip(keys, shapes, strict=True)
        return {name: jax.random.normal(key, shape) for key, (name, shape) in draw}

    @functools.cached_property
    def gradients(self):
        """The gradient of the weighted sum of each answer, by reverse mode."""

        pull = jax.jit(lambda x, weights: jax.vjp(self.all_answers, x)[1](weights)[0])
        only = lambda name: {k: w * (k == name) for k, w in self.weights.items()}
        return {name: pull(self.vector, only(name)) for name in ANSWERS}


case_of = functools.cache(Case)


@models
def test_the_models_have_the_points_that_the_table_counts(model):
    make, starts, count, _ = MODELS[model]
    points = jn.fixed_points(make(), starts, max_points=count)
    assert points.count == count


@table
@models
def test_jit_gives_what_an_eager_call_gives(answer, model):
    case = case_of(model)
    eager = case.answer(answer, case.vector)
    assert np.all(np.isfinite(eager))
    np.testing.assert_allclose(case.values[1][answer], eager, rtol=1e-11, atol=1e-12)


@table
@models
def test_vmap_gives_what_a_loop_gives(answer, model):
    case = case_of(model)
    looped = [values[answer] for values in case.values]
    np.testing.assert_allclose(case.batch[answer], looped, rtol=1e-10, atol=1e-11)


@table
@models
def test_forward_mode_agrees_with_finite_differences(answer, model):
    case = case_of(model)
    slope = case.slopes[answer]
    scale = np.abs(slope).max()
    assert scale > 1e-3
    np.testing.assert_allclose(case.forward[answer], slope, rtol=1e-6, atol=1e-6 * scale)


@table
@models
def test_reverse_mode_agrees_with_finite_differences(answer, model):
    case = case_of(model)
    gradient, weights, slope = (
        values[answer] for values in (case.gradients, case.weights, case.slopes)
    )
    assert np.all(np.isfinite(gradient))
    scale = np.abs(weights) @ np.abs(slope)
    assert abs(gradient @ case.direction - weights @ slope) < 1e-6 * scale
