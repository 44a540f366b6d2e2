"""One bad element of a batch: the others keep their values and their derivatives."""

import jax
import jax.numpy as jnp
import pytest

import jaxnet as jn


STARTS = jnp.linspace(0.0, 1.0, 17)
POPULATION = jn.models.RatePopulation


def sum_of_roots(w, tau):
    points = jn.fixed_points(POPULATION(w=w, tau=tau), STARTS, u=0.5)
    return jnp.sum(jnp.where(points.valid, points.y, 0.0))


def sum_of_states(method):
    def total(w, tau):
        run = jn.simulate(POPULATION(w=w, tau=tau), 0.2, t1=2.0, u=0.5, method=method)
        return jnp.sum(jnp.where(run.result == jn.RESULTS.successful, run.ys, 0.0))

    return total


@pytest.mark.parametrize(
    "total",
    [sum_of_roots, sum_of_states(jn.Grid(0.1)), sum_of_states(jn.Adaptive())],
    ids=["fixed_points", "grid", "adaptive"],
)
def test_shared_parameters_keep_their_gradient(total):
    taus = jnp.array([1.0, 0.0, jnp.nan, -1.0])
    batch = lambda w: jnp.sum(jax.vmap(total, (None, 0))(w, taus))
    assert jax.grad(batch)(5.0) == pytest.approx(float(jax.grad(total)(5.0, 1.0)), rel=1e-8)


def test_saved_times_hold_for_the_good_elements():
    save = jn.SaveAt(ts=jnp.linspace(1.0, 5.0, 5))
    run = lambda tau, t0: jn.simulate(POPULATION(tau=tau), 0.2, t0=t0, t1=5.0, save=save)
    batch = jax.vmap(run)(jnp.array([1.0, -1.0, 1.0]), jnp.array([1.0, 1.0, jnp.nan]))
    closed = 0.2 * jnp.exp(-(save.subs.ts - 1.0))
    assert jnp.allclose(batch.ys[0], closed, rtol=0, atol=1e-8)
    assert jnp.all(jnp.isnan(batch.ys[1:]))
    assert (batch.result == jn.RESULTS.successful).tolist() == [True, False, False]


def test_an_euler_process_that_diverges_is_reported():
    noise = lambda tau: jn.inputs.EulerOrnsteinUhlenbeck(sigma=0.7, tau=tau)

    def run(tau):
        key, method = jax.random.key(0), jn.Grid(0.1)
        return jn.simulate(POPULATION(), 0.2, t1=1.0, u=noise(tau), method=method, key=key)

    batch = jax.vmap(run)(jnp.array([1.0, 0.04]))
    assert (batch.result == jn.RESULTS.nonfinite_state).tolist() == [False, True]
    with pytest.raises(ValueError, match=r"`dt` = 0\.1 must be below twice `tau`"):
        noise(0.04).path(t0=0.0, t1=1.0, dt=0.1, key=jax.random.key(0))
