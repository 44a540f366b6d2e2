"""Fixed points: every root, each once, with the derivatives of the implicit function."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import jaxnet as jn


A, THETA = 1.2, 2.8
OFFSET = 1 / (1 + np.exp(A * THETA))
LINE = jnp.linspace(0.0, 1.0, 17)
SUCCESS = jn.RESULTS.successful


def logistic(z):
    return 1 / (1 + np.exp(-z))


def sigmoid(x, a=A, theta=THETA):
    return logistic(a * (x - theta)) - 1 / (1 + np.exp(a * theta))


def gain(x, a=A, theta=THETA):
    s = logistic(a * (x - theta))
    return a * s * (1 - s)


def extrema(w):
    """The rates at which w F'(w r + I) = 1, and the inputs of the two folds there."""
    s = (1 + np.array([-1.0, 1.0]) * np.sqrt(1 - 4 / (A * w))) / 2
    x = THETA + np.log(s / (1 - s)) / A
    return s - OFFSET, x - w * (s - OFFSET)


def bisect(w, current, low, high):
    """The root of F(w r + I) - r between two rates at which its signs differ."""
    at = lambda r: sigmoid(w * r + current) - r
    sign = np.sign(at(low))
    for _ in range(70):
        middle = (low + high) / 2
        same = np.sign(at(middle)) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return (low + high) / 2


@functools.partial(jax.jit, static_argnames="max_points")
def population_points(w, u, max_points=3):
    population = jn.models.RatePopulation(w=w)
    return jn.fixed_points(population, LINE, u=u, max_points=max_points)


@functools.cache
def wilson_cowan_points():
    return jn.fixed_points(jn.models.WilsonCowan(), jn.lattice((0, 0), (1, 1), 21))


# The roots of one population


def test_three_roots_of_the_bistable_population():
    points = population_points(5.0, 0.5)
    assert points.count == 3
    assert points.valid.tolist() == [True] * 3
    assert not points.overflow
    assert points.result == SUCCESS
    roots = [0.0415366990, 0.4471192241, 0.8997171539]
    np.testing.assert_allclose(points.y, roots, rtol=0, atol=1e-9)
    values = [-0.5832098636, 0.4977623836, -0.6264225077]
    np.testing.assert_allclose(points.eigenvalues[:, 0], values, rtol=0, atol=1e-9)
    assert points.stability.stable.tolist() == [True, False, True]
    assert jnp.all(points.stability.kind == jn.EQUILIBRIUM.node)


def test_the_time_constant_moves_no_root_and_divides_the_eigenvalues():
    system = jn.models.RatePopulation(w=5.0, tau=4.0)
    points = jn.fixed_points(system, LINE, u=0.5, max_points=3)
    reference = population_points(5.0, 0.5)
    np.testing.assert_allclose(points.y, reference.y, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        points.eigenvalues, reference.eigenvalues / 4, rtol=0, atol=1e-12
    )


def test_residual_is_the_vector_field_at_the_root():
    points = population_points(5.0, 0.5)
    field = np.asarray(-points.y + sigmoid(5 * points.y + 0.5))
    np.testing.assert_allclose(points.residual, np.abs(field), rtol=0, atol=2e-16)
    assert jnp.all(points.residual < 1e-15)


@functools.cache
def grid_points():
    w, current = jnp.linspace(1, 7, 200), jnp.linspace(0, 3, 200)
    over_inputs = jax.vmap(population_points, in_axes=(None, 0))
    points = jax.jit(jax.vmap(over_inputs, in_axes=(0, None)))(w, current)
    return jax.tree.map(np.asarray, eqx.filter(points, eqx.is_array))


@functools.cache
def grid_reference():
    """Count and roots of every cell, from the closed-form folds and bisection."""
    w, current = np.meshgrid(np.linspace(1, 7, 200), np.linspace(0, 3, 200), indexing="ij")
    folds, turns = np.full((2, 200, 200), np.nan), np.full((2, 200, 200), np.nan)
    for i, weight in enumerate(np.linspace(1, 7, 200)):
        if weight > 4 / A:
            at, fold = extrema(weight)
            turns[:, i], folds[:, i] = at[:, None], fold[:, None]
    has_three = (current < folds[0]) & (current > folds[1])
    low, high = np.full((200, 200), -1.0), np.full((200, 200), 2.0)
    edges = [low, np.where(has_three, turns[0], high), turns[1], high]
    roots = [bisect(w, current, a, b) for a, b in itertools.pairwise(edges)]
    only_one = ~has_three
    roots = [roots[0], *(np.where(only_one, np.nan, r) for r in roots[1:])]
    return w, current, folds, has_three, np.stack(roots, axis=-1)


def test_grid_has_4005_cells_with_three_roots():
    counts = grid_points().count
    assert np.sum(counts == 3) == 4005
    assert np.sum(counts == 1) == 40_000 - 4005


def test_every_cell_of_the_grid_has_its_true_number_of_roots():
    _, _, _, has_three, _ = grid_reference()
    points = grid_points()
    np.testing.assert_array_equal(points.count, np.where(has_three, 3, 1))
    np.testing.assert_array_equal(points.valid.sum(axis=-1), points.count)
    assert not points.overflow.any()


def test_every_cell_of_the_grid_has_its_true_roots_and_eigenvalues():
    w, current, _, _, roots = grid_reference()
    points = grid_points()
    y = np.where(points.valid, points.y, np.nan)
    np.testing.assert_allclose(y, roots, rtol=0, atol=1e-10, equal_nan=True)
    values = -1 + w[..., None] * gain(w[..., None] * roots + current[..., None])
    got = np.where(points.valid, points.eigenvalues[..., 0].real, np.nan)
    np.testing.assert_allclose(got, values, rtol=0, atol=1e-9, equal_nan=True)
    np.testing.assert_array_equal(
        points.stability.stable[points.valid], values[~np.isnan(roots)] < 0
    )


def test_grid_tells_the_cells_nearest_to_a_fold_from_each_other():
    _, current, folds, has_three, _ = grid_reference()
    distance = np.nanmin(np.abs(folds - current), axis=0, initial=np.inf)
    points = grid_points()
    inside = np.unravel_index(np.argmin(np.where(has_three, distance, 9)), (200, 200))
    assert 2.3e-7 < distance[inside] < 2.5e-7
    assert points.count[inside] == 3
    gaps = np.diff(points.y[inside])
    assert 1.3e-3 < gaps.min() < 1.5e-3
    outside = np.unravel_index(np.argmin(np.where(has_three, 9, distance)), (200, 200))
    assert 2.4e-6 < distance[outside] < 2.6e-6
    assert points.count[outside] == 1


# Folds and the cusp


def test_fold_formula_gives_the_known_folds():
    _, folds = extrema(5.0)
    np.testing.assert_allclose(folds, [0.8137568753, 0.1219353575], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("which", "inward"), [(0, -1), (1, 1)])
@pytest.mark.parametrize("w", [3.6, 5.0, 6.5])
@pytest.mark.parametrize("part", [1e-9, 1e-7, 1e-4])
def test_count_changes_from_three_to_one_across_a_fold(w, which, inward, part):
    at, fold = (values[which] for values in extrema(w))
    inside = population_points(w, fold + inward * part * abs(fold))
    outside = population_points(w, fold - inward * part * abs(fold))
    assert (inside.count, outside.count) == (3, 1)
    pair = inside.y[:2] if which == 0 else inside.y[1:]
    # Near a fold the roots lie at equal distances from it, to first order. There F' is
    # 1 / w, so this is the part of a change of the input that reaches the rate.
    spread = np.sqrt(2 * part * abs(fold) / w / abs(curvature(w, at, fold)))
    np.testing.assert_allclose(jnp.diff(pair), [2 * spread], rtol=0.1)
    assert pair[0] < at < pair[1]


def curvature(w, r, current):
    """The second derivative of F(w r + I) by r."""
    s = logistic(A * (w * r + current - THETA))
    return w**2 * A**2 * s * (1 - s) * (1 - 2 * s)


def test_cusp_is_where_the_two_folds_meet():
    w = 4 / A
    at, folds = extrema(w)
    np.testing.assert_allclose(folds, 1.2452307443, rtol=0, atol=1e-10)
    starts = jnp.linspace(0.0, 1.0, 401)

    @jax.jit
    def find(w, u):
        return jn.fixed_points(jn.models.RatePopulation(w=w), starts, u=u, max_points=3)

    below = find(w * (1 - 1e-3), folds[0])
    assert below.count == 1
    above = find(w * (1 + 1e-3), np.mean(extrema(w * (1 + 1e-3))[1]))
    assert above.count == 3
    assert above.y[0] < at[0] < above.y[2]


# Wilson and Cowan


@functools.cache
def wilson_cowan_reference():
    """The roots by elimination: r_I from the first equation, then brentq."""

    def r_i(r_e):
        s = r_e + OFFSET
        x = THETA + np.log(s / (1 - s)) / A
        return (9 * r_e - x) / 4

    def second(r_e):
        i = r_i(r_e)
        return -i + sigmoid(13 * r_e - 11 * i, 1.0, 4.0)

    edges = np.linspace(-OFFSET + 1e-7, 1 - OFFSET - 1e-7, 2002)
    values = second(edges)
    changes = np.flatnonzero(np.sign(values[1:]) != np.sign(values[:-1]))
    roots = [brentq(second, edges[i], edges[i + 1], xtol=1e-15) for i in changes]
    return np.array([[r, r_i(r)] for r in roots])


def wilson_cowan_jacobian(r_e, r_i):
    to_e = gain(9 * r_e - 4 * r_i)
    to_i = gain(13 * r_e - 11 * r_i, 1.0, 4.0)
    return np.array([[-1 + 9 * to_e, -4 * to_e], [13 * to_i / 2, (-1 - 11 * to_i) / 2]])


def test_wilson_cowan_has_its_three_known_points():
    points = wilson_cowan_points()
    assert points.count == 3
    assert points.valid.tolist() == [True] * 3 + [False] * 5
    known = [[0, 0], [0.336852, 0.168420], [0.938430, 0.672481]]
    np.testing.assert_allclose(points.y[:3], known, rtol=0, atol=1e-6)
    values = [[-0.6234 + 0.1311j, -0.6234 - 0.1311j], [1.0572, -0.8727], [-0.9596, -1.4220]]
    np.testing.assert_allclose(points.eigenvalues[:3], values, rtol=0, atol=6e-5)
    assert points.stability.stable[:3].tolist() == [True, False, True]
    kind, kinds = points.stability.kind, jn.EQUILIBRIUM
    assert (kind == kinds.focus)[:3].tolist() == [True, False, False]
    assert (kind == kinds.saddle)[:3].tolist() == [False, True, False]
    assert (kind == kinds.node)[:3].tolist() == [False, False, True]


def test_wilson_cowan_roots_are_those_of_the_elimination():
    reference = wilson_cowan_reference()
    points = wilson_cowan_points()
    assert len(reference) == 3
    np.testing.assert_allclose(points.y[:3], reference, rtol=0, atol=1e-12)
    for row, values in zip(reference, points.eigenvalues[:3], strict=True):
        expected = np.linalg.eigvals(wilson_cowan_jacobian(*row))
        expected = expected[np.lexsort((-expected.imag, -expected.real))]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-11)


def test_every_start_of_a_lattice_leads_to_a_root():
    system = jn.models.WilsonCowan()
    lattice = jn.lattice((0, 0), (1, 1), 21)
    assert lattice.shape == (441, 2)
    alone = lambda start: jn.fixed_points(system, start[None], max_points=1)
    points = jax.vmap(alone)(lattice)
    assert jnp.all(points.valid)
    distance = np.abs(np.asarray(points.y) - wilson_cowan_reference()).max(axis=-1)
    assert np.all(distance.min(axis=-1) < 1e-9)
    assert set(distance.argmin(axis=-1)) == {0, 1, 2}


# What comes back


def test_equal_starts_give_one_root():
    points = jn.fixed_points(jn.models.RatePopulation(w=5.0), jnp.full(9, 0.1), u=0.5)
    assert points.count == 1
    assert points.valid.tolist() == [True] + [False] * 7


def test_roots_are_in_rising_order_whatever_the_order_of_the_starts():
    system = jn.models.RatePopulation(w=5.0)
    shuffled = jax.random.permutation(jax.random.key(3), LINE)
    for starts in (LINE[::-1], shuffled):
        points = jn.fixed_points(system, starts, u=0.5, max_points=3)
        np.testing.assert_allclose(
            points.y, population_points(5.0, 0.5).y, rtol=0, atol=1e-12
        )


def test_padding_repeats_the_first_root():
    points = population_points(5.0, 0.5, max_points=8)
    assert points.count == 3
    assert points.valid.tolist() == [True] * 3 + [False] * 5
    assert jnp.all(points.y[3:] == points.y[0])
    assert jnp.all(points.eigenvalues[3:] == points.eigenvalues[0])


@pytest.mark.parametrize("max_points", [1, 2])
def test_more_roots_than_rows_are_an_overflow(max_points):
    points = population_points(5.0, 0.5, max_points=max_points)
    assert points.count == 3
    assert points.overflow
    assert points.result == jn.RESULTS.too_many_fixed_points
    assert jnp.all(points.valid)
    lowest = population_points(5.0, 0.5).y[:max_points]
    np.testing.assert_allclose(points.y, lowest, rtol=0, atol=1e-12)


def test_separation_decides_what_is_one_root():
    system = jn.models.RatePopulation(w=5.0)
    find = lambda separation: jn.fixed_points(system, LINE, u=0.5, separation=separation)
    # The gaps are 0.41 and 0.45; they are measured against 1 + |r|.
    assert find(0.2).count == 3
    assert find(1.0).count == 1


def test_starts_that_are_nan_are_passed_over():
    starts = jnp.concatenate([jnp.array([jnp.nan, jnp.nan]), LINE])
    points = jn.fixed_points(jn.models.RatePopulation(w=5.0), starts, u=0.5, max_points=3)
    assert points.count == 3
    assert points.result == SUCCESS
    np.testing.assert_allclose(points.y, population_points(5.0, 0.5).y, rtol=0, atol=1e-12)


def test_no_finite_start_is_an_error():
    with pytest.raises(ValueError, match="no finite start"):
        jn.fixed_points(jn.models.RatePopulation(), jnp.array([jnp.nan, jnp.inf]))


class Polynomial(jn.AbstractSystem):
    """dy/dt = p(y)."""

    coefficients: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return jnp.polyval(self.coefficients, y)


class Upward(jn.AbstractSystem):
    """dy/dt = 1 + y^2 is never zero."""

    def vector_field(self, t, y, u):
        return 1 + y**2


def test_a_system_without_a_root_says_so():
    points = jn.fixed_points(Upward(), jnp.linspace(-2, 2, 17))
    assert points.count == 0
    assert not jnp.any(points.valid)
    assert not points.overflow
    assert points.result == jn.RESULTS.no_fixed_point
    assert jnp.all(jnp.isfinite(points.y))


def test_too_few_steps_find_no_root():
    points = jn.fixed_points(
        jn.models.RatePopulation(w=5.0), jnp.linspace(0.3, 0.6, 9), u=0.5, max_steps=1
    )
    assert points.count == 0
    assert points.result == jn.RESULTS.no_fixed_point


def test_all_roots_of_a_polynomial_are_found():
    roots = np.array([-2.0, -0.5, 0.25, 1.0, 3.0])
    system = Polynomial(np.poly(roots))
    points = jn.fixed_points(system, jnp.linspace(-3, 4, 60))
    assert points.count == 5
    np.testing.assert_allclose(points.y[:5], roots, rtol=0, atol=1e-11)
    slopes = np.polyval(np.polyder(np.poly(roots)), roots)
    np.testing.assert_allclose(points.eigenvalues[:5, 0], slopes, rtol=1e-9)


def test_a_double_root_counts_once():
    # (y - 0.3)^2 (y + 1): Newton's method is slow at 0.3, and the slope is zero there.
    system = Polynomial(np.poly([0.3, 0.3, -1.0]))
    points = jn.fixed_points(system, jnp.linspace(-2, 2, 16))
    assert points.count == 2
    np.testing.assert_allclose(points.y[:2], [-1.0, 0.3], rtol=0, atol=1e-6)
    np.testing.assert_allclose(points.eigenvalues[:2, 0], [1.69, 0.0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["max_points", "max_steps"])
def test_a_count_below_one_is_named(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1"):
        jn.fixed_points(jn.models.RatePopulation(), LINE, **{name: 0})


@pytest.mark.parametrize("starts", [0.5, jnp.zeros(0)])
def test_starts_without_a_leading_axis_are_refused(starts):
    with pytest.raises(ValueError, match="`starts` must have a leading axis"):
        jn.fixed_points(jn.models.RatePopulation(), starts)


def test_starts_of_the_wrong_width_are_refused():
    with pytest.raises(ValueError, match="WilsonCowan"):
        jn.fixed_points(jn.models.WilsonCowan(), jnp.zeros((5, 3)))


def test_lattice_is_every_combination():
    expected = list(itertools.product(np.linspace(0, 1, 3), np.linspace(-2, 4, 3)))
    np.testing.assert_allclose(jn.lattice((0, -2), (1, 4), 3), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(jn.lattice(0, 1, 5), np.linspace(0, 1, 5))


# Kinds of systems and of inputs


class Tree(jn.AbstractSystem):
    """x' = 1 - x^2, and each z follows b x."""

    b: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return {"x": 1 - y["x"] ** 2, "z": self.b * y["x"] - y["z"]}


def test_states_may_be_trees():
    system = Tree(b=np.array([0.5, 3.0]))
    starts = {"x": jnp.linspace(-2, 2, 6), "z": jnp.ones((6, 2))}
    points = jn.fixed_points(system, starts, max_points=2)
    assert points.count == 2
    np.testing.assert_allclose(points.y["x"], [-1.0, 1.0], rtol=0, atol=1e-12)
    expected = [[-0.5, -3.0], [0.5, 3.0]]
    np.testing.assert_allclose(points.y["z"], expected, rtol=0, atol=1e-12)
    values = [[2, -1, -1], [-1, -1, -2]]
    np.testing.assert_allclose(points.eigenvalues, values, rtol=0, atol=1e-12)


def test_driven_and_noisy_systems_have_the_points_of_their_flow():
    population = jn.models.RatePopulation(w=5.0)
    roots = population_points(5.0, 0.5).y
    for system in (
        jn.Driven(population, 0.5),
        jn.Noisy(jn.Driven(population, 0.5), jnp.asarray(0.3)),
        jn.Driven(jn.Noisy(population, jnp.asarray(0.3)), 0.5),
        jn.Driven(population, jn.inputs.Constant(0.2) + 0.3),
    ):
        points = jn.fixed_points(system, LINE, max_points=3)
        np.testing.assert_allclose(points.y, roots, rtol=0, atol=1e-12)


def test_an_input_that_varies_needs_a_time():
    system = jn.models.RatePopulation(w=5.0)
    step = jn.inputs.Step(onset=10.0, value=0.5)
    with pytest.raises(ValueError, match=r"Pass `t=`"):
        jn.fixed_points(system, LINE, u=step)
    with pytest.raises(ValueError, match=r"Pass `t=`"):
        jn.fixed_points(system, LINE, u=lambda t: 0.05 * t)


@pytest.mark.parametrize(
    "u", [jn.inputs.Step(onset=10.0, value=0.5), lambda t: 0.05 * (t - 2)]
)
def test_an_input_that_varies_is_frozen_at_the_time(u):
    system = jn.models.RatePopulation(w=5.0)
    points = jn.fixed_points(system, LINE, u=u, t=12.0, max_points=3)
    np.testing.assert_allclose(points.y, population_points(5.0, 0.5).y, rtol=0, atol=1e-12)
    if isinstance(u, jn.inputs.Step):
        before = jn.fixed_points(system, LINE, u=u, t=0.0, max_points=3)
        assert before.count == 1
        assert abs(before.y[0]) < 1e-12


def test_a_bad_element_leaves_the_others_right():
    bad = jnp.nan
    w, tau = jnp.array([5.0, bad, 5.0, 5.0]), jnp.array([1.0, 1.0, -1.0, 1.0])
    starts = jnp.stack([LINE, LINE, LINE, jnp.full(17, bad)])

    def find(w, tau, starts):
        system = jn.models.RatePopulation(w=w, tau=tau)
        return jn.fixed_points(system, starts, u=0.5, max_points=3)

    points = jax.vmap(find)(w, tau, starts)
    codes = jn.RESULTS
    assert (points.result == codes.successful).tolist() == [True, False, False, False]
    assert (points.result == codes.nan_input).tolist() == [False, True, False, True]
    assert (points.result == codes.parameter_out_of_range).tolist()[2]
    assert points.count.tolist() == [3, 0, 0, 0]
    assert points.valid.any(axis=1).tolist() == [True, False, False, False]
    np.testing.assert_allclose(
        points.y[0], population_points(5.0, 0.5).y, rtol=0, atol=1e-12
    )
    assert jnp.all(jnp.isnan(points.y[1:]))


# Derivatives of the roots


def roots_of(parameters):
    w, current, tau, a, theta = parameters
    transfer = jn.transfer.Sigmoid(a=a, theta=theta)
    system = jn.models.RatePopulation(w=w, tau=tau, transfer=transfer)
    points = jn.fixed_points(system, LINE, u=current, max_points=3)
    return points.y, points.eigenvalues[:, 0].real


VALUES = jnp.array([5.0, 0.5, 2.0, A, THETA])
BARE_VALUES = VALUES.at[2].set(1.0)
DERIVATIVES = {
    "forward": jax.jit(jax.jacfwd(roots_of)),
    "reverse": jax.jit(jax.jacrev(roots_of)),
}
both_modes = pytest.mark.parametrize("mode", DERIVATIVES)


def reference_roots():
    at, _ = extrema(5.0)
    edges = [-1.0, *at, 2.0]
    return np.array([bisect(5.0, 0.5, a, b) for a, b in itertools.pairwise(edges)])


@both_modes
def test_roots_have_the_derivatives_of_the_implicit_function(mode):
    r = reference_roots()
    x = 5 * r + 0.5
    slope, c = gain(x), OFFSET
    by_a = (x - THETA) * slope / A + THETA * c * (1 - c)
    by_theta = -slope + A * c * (1 - c)
    partial = np.stack([slope * r, slope, 0 * r, by_a, by_theta], axis=1)
    expected = partial / (1 - 5 * slope)[:, None]
    by_parameters, _ = DERIVATIVES[mode](VALUES)
    np.testing.assert_allclose(by_parameters, expected, rtol=1e-10, atol=1e-13)


@both_modes
def test_eigenvalues_have_their_total_derivatives(mode):
    r = reference_roots()
    x = 5 * r + 0.5
    s = logistic(A * (x - THETA))
    slope, bend = gain(x), A**2 * s * (1 - s) * (1 - 2 * s)
    rate = slope / (1 - 5 * slope)
    by_w = (slope + 5 * bend * (r + 5 * rate * r)) / 2
    by_input = 5 * bend * (1 + 5 * rate) / 2
    by_tau = -(-1 + 5 * slope) / 4
    _, by_parameters = DERIVATIVES[mode](VALUES)
    expected = np.stack([by_w, by_input, by_tau], axis=1)
    np.testing.assert_allclose(by_parameters[:, :3], expected, rtol=1e-10)


def test_derivatives_of_eigenvalues_agree_with_finite_differences():
    moved = jax.jit(jax.vmap(roots_of))
    h = 1e-5
    steps = h * jnp.eye(5)
    slopes = (moved(VALUES + steps)[1] - moved(VALUES - steps)[1]) / (2 * h)
    _, by_parameters = DERIVATIVES["forward"](VALUES)
    np.testing.assert_allclose(by_parameters, slopes.T, rtol=1e-6, atol=1e-8)


def test_second_and_third_derivatives_of_a_root_are_right():
    first = jax.jacfwd(lambda u: population_points(5.0, u).y)
    all_orders = lambda u: (
        first(u),
        jax.jacrev(first)(u),
        jax.jacfwd(jax.jacfwd(first))(u),
    )
    derivatives = jax.jit(all_orders)
    _, got_second, got_third = derivatives(0.5)
    s = logistic(A * (5 * reference_roots() + 0.5 - THETA))
    slope = A * s * (1 - s)
    bend = A**2 * s * (1 - s) * (1 - 2 * s)
    third = A**3 * s * (1 - s) * (1 - 6 * s + 6 * s**2)
    q = 1 - 5 * slope
    np.testing.assert_allclose(got_second, bend / q**3, rtol=1e-9)
    expected = third / q**4 + 15 * bend**2 / q**5
    np.testing.assert_allclose(got_third, expected, rtol=1e-8)
    h = 1e-5
    difference = (derivatives(0.5 + h)[0] - derivatives(0.5 - h)[0]) / (2 * h)
    np.testing.assert_allclose(got_second, difference, rtol=1e-6)


def test_derivatives_with_padding_are_finite_and_right():
    def total(u):
        points = population_points(5.0, u, max_points=8)
        values = points.y + points.eigenvalues[:, 0].real
        return jnp.sum(jnp.where(points.valid, values, 0.0)), points.y

    by_point, by_value = (
        sum(derivative[:, 1]) for derivative in DERIVATIVES["forward"](BARE_VALUES)
    )
    both = jax.jit(lambda u: (jax.jacfwd(total)(u), jax.jacrev(total)(u)))
    for padded, rows in both(0.5):
        np.testing.assert_allclose(padded, by_point + by_value, rtol=1e-12)
        assert jnp.all(jnp.isfinite(rows))


def test_derivatives_are_finite_where_there_is_no_root():
    def loss(c):
        system = Polynomial(jnp.stack([jnp.ones(()), jnp.zeros(()), c]))
        points = jn.fixed_points(system, jnp.linspace(-2, 2, 17), max_points=2)
        return jnp.sum(jnp.where(points.valid, points.y, 7.0)), points.count

    # y^2 + c has the roots -+sqrt(-c), and none where c is positive.
    (value, count), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(1.0)
    assert (value, count, slope) == (14.0, 0, 0.0)


def test_derivatives_of_wilson_cowan_points_are_those_of_the_implicit_function():
    lattice = jn.lattice((0, 0), (1, 1), 5)

    def roots(u):
        return jn.fixed_points(jn.models.WilsonCowan(), lattice, u=u, max_points=3).y

    u = jnp.zeros(2)
    forward, reverse = jax.jit(lambda u: (jax.jacfwd(roots)(u), jax.jacrev(roots)(u)))(u)
    for i, (r_e, r_i) in enumerate(wilson_cowan_reference()):
        to_e, to_i = gain(9 * r_e - 4 * r_i), gain(13 * r_e - 11 * r_i, 1.0, 4.0)
        by_u = np.diag([to_e, to_i / 2])
        expected = -np.linalg.solve(wilson_cowan_jacobian(r_e, r_i), by_u)
        for got in (forward[i], reverse[i]):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_derivatives_by_a_system_that_is_driven_name_the_input():
    driven = jn.Driven(jn.models.RatePopulation(w=5.0), 0.5)
    low = lambda s: jn.fixed_points(s, LINE, max_points=3).y[0]
    gradient = eqx.filter_jit(eqx.filter_grad(low))(driven)
    r = reference_roots()[0]
    slope = gain(5 * r + 0.5)
    np.testing.assert_allclose(gradient.input.value, slope / (1 - 5 * slope), rtol=1e-10)
    np.testing.assert_allclose(gradient.system.w, r * slope / (1 - 5 * slope), rtol=1e-10)


class Parabola(jn.AbstractSystem):
    """dy/dt = a + (y - b)^2, whose zeros are b -+ sqrt(-a)."""

    a: jn.Parameter = jn.parameter(0.0)
    b: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        return self.a + (y - self.b) ** 2


def test_more_rows_than_starts_are_padding():
    points = jn.fixed_points(Parabola(a=-1.0), jnp.array([0.9, 1.1]), max_points=8)
    assert points.valid.tolist() == [True] + 7 * [False]
    assert points.y[0] == pytest.approx(1.0, abs=1e-12)


def test_no_row_is_valid_where_no_start_converged():
    points = jn.fixed_points(Parabola(a=1.0), jnp.array([0.1, 0.2]), max_points=8)
    assert not points.valid.any()


@pytest.mark.parametrize("bad", [jnp.inf, -jnp.inf, jnp.nan])
def test_a_start_that_is_not_finite_is_no_root(bad):
    starts = jnp.concatenate([jnp.array([bad]), jnp.linspace(0, 1, 17)])
    points = jn.fixed_points(jn.models.RatePopulation(w=5.0), starts, u=0.5, max_points=3)
    assert int(points.count) == 3
    assert jnp.all(jnp.isfinite(points.y))


def test_an_iterate_that_escapes_to_infinity_is_no_root():
    flat = jn.models.RatePopulation(w=1.0, transfer=jn.transfer.ThresholdLinear())
    points = jn.fixed_points(flat, jnp.array([1.0, 2.0]), u=0.5)
    assert int(points.count) == 0


def test_a_double_root_is_nonhyperbolic():
    points = jn.fixed_points(Parabola(b=0.3), jnp.linspace(-1, 1, 17))
    assert int(points.count) == 1
    assert points.y[0] == pytest.approx(0.3, abs=1e-6)
    assert bool((points.stability.kind == jn.EQUILIBRIUM.nonhyperbolic)[0])
    assert not bool(points.stability.stable[0])


def test_a_start_on_a_double_root_is_one():
    assert int(jn.fixed_points(Parabola(), jnp.array([0.0])).count) == 1


@pytest.mark.parametrize("name", ["tolerance", "separation"])
@pytest.mark.parametrize("value", [0.0, -1.0, jnp.nan])
def test_a_tolerance_that_is_not_positive_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be positive"):
        jn.fixed_points(Parabola(), jnp.array([0.0]), **{name: value})


def test_a_time_that_is_nan_is_refused():
    with pytest.raises(ValueError, match="`t` is NaN"):
        jn.jacobian(Parabola(), 0.0, u=jnp.sin, t=jnp.nan)
