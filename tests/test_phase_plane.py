"""Separatrices and basins, against manifolds that are known in closed form."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

import jaxnet as jn


SUCCESS = jn.RESULTS.successful
ORIGIN = jnp.zeros(2)
METHOD = jn.Grid(0.1)


class Linear(jn.AbstractSystem):
    matrix: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        drive = self.matrix @ y
        return drive if u is None else drive + u


class Bent(jn.AbstractSystem):
    """x' = x, and y' = -y + c x^2: the unstable manifold is y = c x^2 / 3."""

    c: jn.Parameter = jn.parameter(1.0)

    def vector_field(self, t, y, u):
        x, z = y
        return jnp.stack([x, -z + self.c * x**2])


class Duffing(jn.AbstractSystem):
    """x' = v, and v' = x - x^3 - d v; without damping v^2 = x^2 - x^4 / 2 is invariant."""

    d: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        x, v = y
        return jnp.stack([v, x - x**3 - self.d * v])


class Well(jn.AbstractSystem):
    """x' = x - x^3: it goes to the sign of x."""

    def vector_field(self, t, y, u):
        return y - y**3


@eqx.filter_jit
def curves_of(system, saddle, length, u=None):
    return jn.separatrices(system, saddle, length=length, u=u, points=101)


def manifolds(system, saddle=ORIGIN, length=1.0, u=None):
    return curves_of(system, saddle, jnp.asarray(length, float), u)


def sides(curves):
    """Two curves, the one that begins to the right or above first."""
    curves = np.asarray(curves)
    start = np.asarray(curves[:, 1] - curves[:, 0]).sum(axis=1)
    return curves[np.argsort(-start)]


@pytest.fixture(scope="module")
def damped():
    lattice = jn.lattice((-1, -1), (1, 1), 3)
    return jn.fixed_points(Duffing(d=1.0), lattice, max_points=3)


# Separatrices


def test_separatrices_of_a_linear_saddle_are_its_eigenvectors():
    into, out = np.array([1.0, -1.0]) / 2**0.5, np.array([2.0, 1.0]) / 5**0.5
    basis = np.stack([out, into], axis=1)
    matrix = basis @ np.diag([0.5, -2.0]) @ np.linalg.inv(basis)
    offset = np.array([0.3, -0.2])
    curves = manifolds(Linear(matrix), offset, 2.0, u=-matrix @ offset)
    assert curves.result == SUCCESS
    assert curves.stable.shape == curves.unstable.shape == (2, 101, 2)
    for manifold, direction in ((curves.stable, into), (curves.unstable, out)):
        away = np.asarray(manifold) - offset
        across = away @ [-direction[1], direction[0]]
        np.testing.assert_allclose(across, 0.0, rtol=0, atol=1e-9)
        along = away @ direction
        # To both sides, from close to the saddle to the length.
        assert np.sign(along[:, 0]).tolist() in ([1, -1], [-1, 1])
        np.testing.assert_allclose(np.abs(along[:, 0]), 2e-3, rtol=1e-6)
        # It is slower close to the saddle alone.
        ends = np.abs(along[:, -1])
        assert np.all((ends > 1.97) & (ends < 2.01))
        gaps = np.diff(np.abs(along), axis=1)
        np.testing.assert_allclose(gaps[:, 30:], 2.0 / 100, rtol=0.01)
        assert np.all(gaps > 0)


def test_separatrices_of_a_bent_saddle_are_the_known_curves():
    curves = manifolds(Bent(), length=2.0)
    x, z = np.moveaxis(np.asarray(curves.unstable), -1, 0)
    # The start is off by 1e-6 of the length squared, and that decays.
    np.testing.assert_allclose(z, x**2 / 3, rtol=0, atol=2e-6)
    assert x.max() > 1.3
    assert x.min() < -1.3
    lengths = np.linalg.norm(np.diff(curves.unstable, axis=1), axis=-1)
    np.testing.assert_allclose(lengths[:, 30:], 0.02, rtol=0.01)
    x, z = np.moveaxis(np.asarray(curves.stable), -1, 0)
    np.testing.assert_allclose(x, 0.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.sort(np.abs(z[:, -1])), 2.0, rtol=0.02)


def test_homoclinic_loop_of_the_duffing_oscillator():
    curves = manifolds(Duffing(), length=3.0)
    for manifold in (curves.stable, curves.unstable):
        x, v = np.moveaxis(np.asarray(manifold), -1, 0)
        np.testing.assert_allclose(v**2, x**2 - x**4 / 2, rtol=0, atol=1e-5)
    right = sides(curves.unstable)[0]
    # Out above, around the centre at 1, and back below: by the length of the loop.
    speed = lambda x: np.sqrt(1 + (1 - x**2) ** 2 / (1 - x**2 / 2))
    half, _ = scipy.integrate.quad(speed, 0, 2**0.5)
    assert half == pytest.approx(2.155694, abs=1e-6)
    length = np.linalg.norm(np.diff(right, axis=0), axis=-1)
    turn = np.argmax(right[:, 0])
    assert right[turn, 0] == pytest.approx(2**0.5, abs=1e-3)
    assert np.sum(length[:turn]) == pytest.approx(half, abs=0.06)
    assert right[turn + 5, 1] < 0 < right[turn - 5, 1]
    # The stable manifold is its mirror image in v = 0.
    mirror = sides(curves.stable * jnp.array([1.0, -1.0]))[0]
    np.testing.assert_allclose(mirror, right, rtol=0, atol=1e-6)


def test_unstable_manifold_ends_on_the_fixed_points_it_leads_to():
    curves = manifolds(Duffing(d=1.0), length=6.0)
    ends = np.asarray(sides(curves.unstable)[:, -1])
    np.testing.assert_allclose(ends, [[1, 0], [-1, 0]], rtol=0, atol=2e-2)
    # Backward in time the flow escapes to infinity in a finite time.
    assert np.all(np.isfinite(curves.stable))
    lengths = np.linalg.norm(np.diff(curves.stable, axis=1), axis=-1)
    np.testing.assert_allclose(lengths[:, 30:], 0.06, rtol=0.05)


def test_separatrices_divide_the_basins(damped):
    curves = np.asarray(manifolds(Duffing(d=1.0), length=6.0).stable)
    edge, along = curves[:, 20:80:20], curves[:, 21:81:20] - curves[:, 20:80:20]
    across = along[..., ::-1] * [1, -1] / np.linalg.norm(along, axis=-1)[..., None]
    starts = np.concatenate([edge + 3e-3 * across, edge - 3e-3 * across])
    starts = jnp.asarray(starts.reshape(-1, 2))
    method = jn.Grid(0.1, diffrax.Tsit5())
    arrived = jn.basins(Duffing(d=1.0), starts, damped, t1=40.0, method=method)
    one, other = arrived.reshape(2, -1)
    assert set(one.tolist()) == {0, 2}
    assert (one + other).tolist() == [2] * len(one)


def test_a_point_that_is_no_saddle_is_nan_alone():
    matrices = jnp.array([np.diag([1.0, -1.0]), np.diag([-1.0, -2.0]), np.eye(2)])
    both = jax.vmap(lambda m: curves_of(Linear(m), ORIGIN, jnp.asarray(1.0)))
    curves = jax.jit(both)(matrices)
    assert (curves.result == SUCCESS).tolist() == [True, False, False]
    assert (curves.result == jn.RESULTS.no_saddle).tolist() == [False, True, True]
    assert jnp.all(jnp.isfinite(curves.stable[0]))
    assert jnp.all(jnp.isnan(curves.stable[1:]))
    assert jnp.all(jnp.isnan(curves.unstable[1:]))


def test_unstable_manifold_is_differentiated():
    def height(c):
        end = manifolds(Bent(c=c), length=2.0).unstable[0, 60]
        return end[1] / end[0] ** 2

    value, slope = jax.jvp(height, (1.2,), (1.0,))
    assert value == pytest.approx(0.4, abs=1e-5)
    assert slope == pytest.approx(1 / 3, abs=1e-5)
    h = 1e-4
    difference = (height(1.2 + h) - height(1.2 - h)) / (2 * h)
    assert float(slope) == pytest.approx(float(difference), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": 1}, "`points` must be at least 2"),
        ({"length": 0.0}, "`length` must be positive"),
        ({"length": -1.0}, "`length` must be positive"),
        ({"saddle": jnp.zeros((3, 2))}, "Bent"),
    ],
)
def test_bad_values_are_named(change, words):
    settings = {"saddle": ORIGIN, "length": 1.0} | change
    with pytest.raises(ValueError, match=words):
        jn.separatrices(Bent(), **settings)


def test_separatrices_need_a_plane():
    with pytest.raises(ValueError, match="two state variables"):
        jn.separatrices(Well(), 0.0, length=1.0)
    with pytest.raises(ValueError, match="two state variables"):
        jn.separatrices(Linear(np.eye(3)), jnp.zeros(3), length=1.0)


# Basins


@pytest.fixture(scope="module")
def rests():
    return jn.fixed_points(Well(), jnp.linspace(-1.5, 1.5, 9), max_points=4)


def test_each_start_of_a_double_well_goes_to_its_sign(rests):
    starts = jnp.array([-2.0, -0.8, -1e-3, 1e-3, 0.8, 2.0])
    arrived = jn.basins(Well(), starts, rests, t1=20.0, method=METHOD)
    # The rows of -1, 0 and 1.
    np.testing.assert_allclose(rests.y[:3], [-1, 0, 1], rtol=0, atol=1e-12)
    assert arrived.tolist() == [0, 0, 0, 2, 2, 2]


def test_what_has_not_arrived_is_minus_one(rests):
    # On the ridge; too far to come near in 1 ms; there already.
    starts = jnp.array([0.0, 0.1, 0.999])
    arrived = jn.basins(Well(), starts, rests, t1=1.0, method=METHOD)
    assert arrived.tolist() == [-1, -1, 2]


def test_tolerance_says_what_has_arrived(rests):
    # x^2 / (1 - x^2) grows by e^(2 t).
    starts = jnp.array([0.1])
    odds = 0.1**2 / 0.99 * np.exp(4.0)
    gap = 1 - (odds / (1 + odds)) ** 0.5
    for factor, row in ((0.9, -1), (1.1, 2)):
        arrived = jn.basins(
            Well(), starts, rests, t1=2.0, method=METHOD, tolerance=factor * gap
        )
        assert arrived.tolist() == [row]


def test_a_start_that_is_nan_arrives_nowhere(rests):
    starts = jnp.array([jnp.nan, 0.5])
    arrived = jn.basins(Well(), starts, rests, t1=20.0, method=METHOD)
    assert arrived.tolist() == [-1, 2]


def test_padding_of_the_fixed_points_is_no_attractor(rests):
    assert rests.valid.tolist() == [True, True, True, False]
    arrived = jn.basins(Well(), jnp.array([-0.5]), rests, t1=20.0, method=METHOD)
    assert arrived.tolist() == [0]


def test_basins_can_be_batched_over_a_parameter(damped):
    starts = jnp.array([[0.5, 0.0], [-0.5, 0.0]])

    @jax.jit
    @jax.vmap
    def run(d):
        return jn.basins(Duffing(d=d), starts, damped, t1=30.0, method=METHOD)

    # Without damping nothing arrives.
    assert run(jnp.array([1.0, 0.0])).tolist() == [[2, 0], [-1, -1]]
