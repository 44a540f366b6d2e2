"""Curves of folds and of Hopf points, and the points of codimension two on them."""

import functools

import _published as published
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn


SUCCESS = jn.RESULTS.successful


def assert_close(got, expected, tolerance=1e-9):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def valid(points, name="parameters"):
    return np.asarray(getattr(points, name)[points.valid])


def accepted(curve, name):
    return np.asarray(getattr(curve, name)[curve.accepted])


def check_curve(system, where, curve, spans):
    """Every row is a fixed point, the rows are near each other, and come first."""
    count = int(curve.accepted.sum())
    assert jnp.all(curve.accepted[:count])

    def field(y, p):
        at = eqx.tree_at(where, system, (p[0], p[1]))
        if isinstance(at, jn.Driven):
            return at.system.vector_field(0.0, y, at.input.value)
        return at.vector_field(0.0, y, None)

    residual = jax.vmap(field)(curve.y, curve.parameters)
    assert jnp.max(jnp.abs(residual)) < 1e-10
    low, high = np.transpose(spans)
    p = accepted(curve, "parameters")
    assert np.all(p >= low - 1e-9)
    assert np.all(p <= high + 1e-9)
    steps = np.diff(p, axis=0) / (high - low)
    assert np.all(np.linalg.norm(steps, axis=1) < 0.03)
    return jax.vmap(lambda y, p: jn.jacobian(eqx.tree_at(where, system, (p[0], p[1])), y))(
        curve.y[:count], curve.parameters[:count]
    )


def on_the_rim(p, spans):
    low, high = np.transpose(spans)
    return np.min(np.abs(np.stack([p - low, p - high]) / (high - low))) < 1e-9


# One population: the folds in closed form

A, THETA = 1.2, 2.8
POPULATION = lambda s: (s.input.value, s.system.w)
POPULATION_SPANS = ((-3.0, 3.0), (0.0, 8.0))


def population(w=5.0, current=0.8):
    return jn.Driven(jn.models.RatePopulation(w=w), current)


@functools.cache
def population_folds():
    return jn.fold_curve(population(), POPULATION, 0.15, POPULATION_SPANS)


def closed_folds(r):
    """Current and weight of the fold at a rate."""
    s = r + 1 / (1 + np.exp(A * THETA))
    w = 1 / (A * s * (1 - s))
    return np.stack([THETA + np.log(s / (1 - s)) / A - w * r, w], axis=-1)


def test_folds_of_one_population_are_those_of_the_closed_form():
    curve = population_folds()
    assert curve.result == SUCCESS
    assert not curve.closed
    check_curve(population(), POPULATION, curve, POPULATION_SPANS)
    assert_close(accepted(curve, "parameters"), closed_folds(accepted(curve, "y")), 1e-9)
    # In one dimension a is half of the second derivative.
    w, r = accepted(curve, "parameters")[:, 1], accepted(curve, "y")
    s = r + 1 / (1 + np.exp(A * THETA))
    second = w**2 * A**2 * s * (1 - s) * (1 - 2 * s)
    a = accepted(curve, "coefficient") * accepted(curve, "null_vector")
    assert_close(np.abs(a), np.abs(second) / 2)
    for end in (curve.parameters[0], curve.parameters[-1]):
        assert on_the_rim(np.asarray(end), POPULATION_SPANS)


def test_folds_of_one_population_meet_in_the_cusp_of_the_closed_form():
    curve = population_folds()
    rate = 1 / 2 - 1 / (1 + np.exp(A * THETA))
    assert_close(valid(curve.cusps), [[THETA - 4 / A * rate, 4 / A]], 1e-11)
    assert_close(valid(curve.cusps, "y"), [rate], 1e-11)
    assert curve.cusp_after.sum() == 1
    (row,) = np.flatnonzero(curve.cusp_after)
    # The coefficient of the folds changes its sign there, and nowhere else.
    sign = np.sign(accepted(curve, "coefficient"))
    assert np.flatnonzero(np.diff(sign)).tolist() == [row]
    # One state variable has no double zero.
    assert curve.bogdanov_takens.valid.sum() == 0


# Wilson and Cowan: both curves, and what they share

PLANE = lambda s: (s.input.value[0], s.system.w_ee)
SPANS = ((-2.0, 3.0), (4.0, 9.0))


def driven(current, w_ee=6.4):
    model = jn.models.WilsonCowan(w_ee=w_ee, w_ei=4.8, w_ie=6.0, w_ii=1.2, tau_i=2.0)
    return jn.Driven(model, (current, 0.0))


@functools.cache
def fold_curve():
    return jn.fold_curve(driven(0.7), PLANE, jnp.array([0.2, 0.05]), SPANS)


@functools.cache
def hopf_curve():
    return jn.hopf_curve(driven(0.9), PLANE, jnp.array([0.65, 0.35]), SPANS)


@pytest.mark.slow
def test_every_row_of_the_fold_curve_has_a_zero_eigenvalue():
    curve = fold_curve()
    assert curve.result == SUCCESS
    matrices = np.asarray(check_curve(driven(0.7), PLANE, curve, SPANS))
    assert np.max(np.abs(np.linalg.det(matrices))) < 1e-10
    along = np.einsum("nij,nj->ni", matrices, accepted(curve, "null_vector"))
    assert_close(along, 0.0)
    for end in (curve.parameters[0], curve.parameters[-1]):
        assert on_the_rim(np.asarray(end), SPANS)


@pytest.mark.slow
def test_every_row_of_the_hopf_curve_has_an_imaginary_pair():
    curve = hopf_curve()
    assert curve.result == SUCCESS
    matrices = np.asarray(check_curve(driven(0.9), PLANE, curve, SPANS))
    assert np.max(np.abs(np.trace(matrices, axis1=1, axis2=2))) < 1e-9
    # With no trace, the determinant is omega squared.
    assert_close(np.linalg.det(matrices), accepted(curve, "omega") ** 2, 1e-8)


def test_both_curves_of_wilson_and_cowan_pass_the_known_points():
    # At w_EE = 6.4 two folds and a Hopf point, at I_E = 0.8 a Hopf point, all known.
    folds, hopf_points = fold_curve(), hopf_curve()

    def crossings(curve, axis, value):
        p = accepted(curve, "parameters")
        rows = np.flatnonzero(np.diff(p[:, axis] > value))
        part = (value - p[rows, axis]) / (p[rows + 1, axis] - p[rows, axis])
        return p[rows, 1 - axis] + part * (p[rows + 1, 1 - axis] - p[rows, 1 - axis])

    np.testing.assert_allclose(
        np.sort(crossings(folds, 1, 6.4)), [0.6371621813, 0.7134637490], atol=2e-3
    )
    np.testing.assert_allclose(crossings(hopf_points, 1, 6.4), [0.9991460419], atol=2e-3)
    assert np.min(np.abs(crossings(hopf_points, 0, 0.8) - 6.8229061868)) < 5e-3


def test_hopf_curve_ends_on_the_fold_curve_in_a_bogdanov_takens_point():
    folds, hopf_points = fold_curve(), hopf_curve()
    assert folds.bogdanov_takens.valid.sum() == 1
    assert hopf_points.bogdanov_takens.valid.sum() == 1
    (one,), (other,) = valid(folds.bogdanov_takens), valid(hopf_points.bogdanov_takens)
    assert_close(one, other)
    assert_close(accepted(hopf_points, "parameters")[-1], one, 1e-6)
    assert accepted(hopf_points, "omega")[-1] == 0
    assert jnp.isnan(hopf_points.lyapunov[-1])
    y = jnp.asarray(valid(folds.bogdanov_takens, "y")[0])
    matrix = jn.jacobian(driven(one[0], one[1]), y)
    assert_close([jnp.trace(matrix), jnp.linalg.det(matrix)], [0.0, 0.0])


def test_lyapunov_coefficient_changes_its_sign_at_the_generalised_hopf_point():
    curve = hopf_curve()
    assert curve.generalised_hopf.valid.sum() == 1
    (row,) = np.flatnonzero(curve.generalised_hopf_after)
    lyapunov = accepted(curve, "lyapunov")
    signs = np.sign(lyapunov[np.isfinite(lyapunov)])
    assert np.flatnonzero(np.diff(signs)).tolist() == [row]
    point = jax.tree.map(lambda x: x[0], curve.generalised_hopf)
    at = driven(*point.parameters)
    hopf = jn.hopf(at, lambda s: s.input.value[0], point.y)
    assert_close(hopf.parameter, point.parameters[0])
    assert_close(hopf.lyapunov, 0.0)


def test_cusp_of_wilson_and_cowan_is_where_the_coefficient_vanishes():
    curve = fold_curve()
    assert curve.cusps.valid.sum() == 1
    point = jax.tree.map(lambda x: x[0], curve.cusps)
    fold = jn.cusp(driven(*point.parameters), PLANE, point.y)
    assert_close(fold.parameters, point.parameters)
    matrix = jn.jacobian(driven(*point.parameters), point.y)
    assert_close(matrix @ point.null_vector, [0.0, 0.0])


# Derivatives


def test_the_cusp_and_the_curve_move_as_the_closed_form_says():
    # A larger time constant moves no fold; the coefficient is divided by it.
    def follow(tau):
        system = eqx.tree_at(lambda s: s.system.tau, population(), tau)
        curve = jn.fold_curve(system, POPULATION, 0.15, POPULATION_SPANS)
        return curve.parameters, curve.coefficient, curve.cusps.coefficient[0]

    one = jnp.asarray(1.0)
    (_, a, c), change = jax.jit(lambda t: jax.jvp(follow, (t,), (one,)))(one)
    rows = np.asarray(population_folds().accepted)
    assert_close(change[0][rows], 0.0)
    assert_close(change[1][rows], -a[rows])
    assert_close(change[2], -c)


@pytest.mark.slow
def test_reverse_mode_through_a_hopf_curve_is_forward_mode_and_the_difference():
    def follow(tau):
        system = eqx.tree_at(lambda s: s.system.tau_i, driven(0.9), tau)
        curve = jn.hopf_curve(system, PLANE, jnp.array([0.65, 0.35]), SPANS)
        points = curve.generalised_hopf.parameters[0], curve.bogdanov_takens.parameters[1]
        return jnp.concatenate(points)

    two = jnp.asarray(2.0)
    forward = jax.jit(jax.jacfwd(follow))(two)
    reverse = jax.jit(jax.jacrev(follow))(two)
    up, down = jax.jit(jax.vmap(follow))(jnp.array([2 + 1e-5, 2 - 1e-5]))
    np.testing.assert_allclose(forward, (up - down) / 2e-5, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(reverse, forward, rtol=1e-8, atol=1e-8)


# Published systems and normal forms


@pytest.mark.slow
def test_curves_of_the_oxidation_of_carbon_monoxide_pass_their_points():
    where = lambda s: (s.q_2, s.k)
    spans = ((0.5, 2.0), (0.1, 1.5))
    method = jn.PseudoArclength(1500, max_step=0.005)
    system = published.CarbonMonoxide(published.CARBON_MONOXIDE_FOLDS[0])
    y = jnp.asarray(published.CARBON_MONOXIDE_FOLD_STATES[0])
    folds = jn.fold_curve(system, where, y, spans, method=method)
    assert folds.result == SUCCESS
    assert_close(valid(folds.cusps), [published.CARBON_MONOXIDE_CUSP], 1e-10)
    takens = np.sort(valid(folds.bogdanov_takens)[:, 0])
    expected = np.sort(np.asarray(published.CARBON_MONOXIDE_TAKENS)[:, 0])
    assert_close(takens, expected, 1e-10)
    system = published.CarbonMonoxide(published.CARBON_MONOXIDE_HOPF[0])
    y = jnp.asarray(published.CARBON_MONOXIDE_HOPF_STATES[0])
    hopf_points = jn.hopf_curve(system, where, y, spans, method=method)
    assert hopf_points.result == SUCCESS
    generalised = np.sort(valid(hopf_points.generalised_hopf)[:, 0])
    expected = np.sort(np.asarray(published.CARBON_MONOXIDE_GENERALISED)[:, 0])
    assert_close(generalised, expected, 1e-10)
    takens = np.sort(valid(hopf_points.bogdanov_takens)[:, 0])
    expected = np.sort(np.asarray(published.CARBON_MONOXIDE_TAKENS)[:, 0])
    assert_close(takens, expected, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("n", [3])
def test_fold_curve_of_the_bogdanov_takens_form_in_any_coordinates(n):
    # The folds are x^2 = -p and 2 x = 0: the line p = 0, with the double zero at q = 0.
    terms = published.polynomial(x_y=1.0, y_p=1.0, y_qy=1.0, y_xx=1.0, y_xy=-1.0)
    system, y, _ = published.planar_form(terms, n, near=(0.0, 0.4))
    where = lambda s: (s.p, s.q)
    origin = published.ORIGIN
    spans = tuple((o - 1, o + 1) for o in origin)
    curve = jn.fold_curve(system, where, jnp.asarray(y), spans)
    assert curve.result == SUCCESS
    assert_close(accepted(curve, "parameters")[:, 0], origin[0])
    assert_close(np.sort(accepted(curve, "parameters")[[0, -1], 1]), spans[1])
    assert_close(valid(curve.bogdanov_takens), [origin])
    assert not jnp.any(curve.cusp_after)


@pytest.mark.slow
def test_hopf_curve_of_the_bogdanov_takens_form_is_its_parabola():
    # y = 0, x = -sqrt(-p), and the trace q - x = 0: so p = -q^2 with q < 0, up to q = 0.
    terms = published.polynomial(x_y=1.0, y_p=1.0, y_qy=1.0, y_xx=1.0, y_xy=-1.0)
    system, y, _ = published.planar_form(terms, 2, changed=False, near=(-0.09, -0.3))
    where = lambda s: (s.p, s.q)
    origin = published.ORIGIN
    spans = tuple((o - 1, o + 1) for o in origin)
    curve = jn.hopf_curve(system, where, jnp.asarray(y) + jnp.array([-0.3, 0.0]), spans)
    assert curve.result == SUCCESS
    p, q = (accepted(curve, "parameters") - origin).T
    assert_close(p, -(q**2))
    assert np.all(q < 1e-6)
    # omega^2 = -2 x = -2 q.
    assert_close(accepted(curve, "omega") ** 2, -2 * q, 1e-7)
    assert_close(valid(curve.bogdanov_takens), [origin])


# Batches and bad input


@functools.cache
def batch_of_curves():
    def follow(tau, current):
        system = eqx.tree_at(
            lambda s: (s.system.tau, s.input.value), population(), (tau, current)
        )
        return jn.fold_curve(system, POPULATION, 0.15, POPULATION_SPANS)

    tau, current = jnp.array([1.0, jnp.nan, 4.0]), jnp.array([0.8, 0.8, 0.8])
    return jax.jit(jax.vmap(follow))(tau, current)


@pytest.mark.slow
def test_each_element_of_a_batch_keeps_its_own_result():
    batch = batch_of_curves()
    assert (batch.result == SUCCESS).tolist() == [True, False, True]
    assert (batch.result == jn.RESULTS.nan_input).tolist() == [False, True, False]
    alone = population_folds()
    for i in (0, 2):
        assert_close(batch.parameters[i], alone.parameters)
        assert_close(batch.cusps.parameters[i, 0], alone.cusps.parameters[0])
    assert jnp.all(jnp.isnan(batch.parameters[1]))
    assert not jnp.any(batch.accepted[1])


def test_a_start_outside_the_spans():
    curve = jn.fold_curve(
        population(w=9.0, current=0.1), POPULATION, 0.05, POPULATION_SPANS
    )
    assert curve.result == jn.RESULTS.start_outside_span
    assert jnp.all(jnp.isnan(curve.parameters))
    assert not jnp.any(curve.accepted)


def test_a_start_that_is_near_no_fold():
    # Below w = 4 / a there is none.
    curve = jn.fold_curve(population(w=1.0), POPULATION, 0.15, POPULATION_SPANS)
    assert curve.result == jn.RESULTS.no_bifurcation
    assert jnp.all(jnp.isnan(curve.parameters))
    assert curve.cusps.valid.sum() == 0


def test_a_start_at_a_neutral_saddle_is_no_hopf_curve():
    model = jn.models.WilsonCowan(w_ee=9.0, w_ei=4.0, w_ie=13.0, w_ii=11.0, tau_i=2.0)
    system = jn.Driven(model, (0.3, 0.0))
    saddle = jn.fixed_points(
        model, jn.lattice((0, 0), (1, 1), 9), u=(0.3, 0.0), max_points=3
    )
    curve = jn.hopf_curve(system, PLANE, saddle.y[1], ((-2.0, 3.0), (4.0, 9.5)))
    assert curve.result == jn.RESULTS.neutral_saddle
    assert jnp.all(jnp.isnan(curve.parameters))


@pytest.mark.parametrize(
    "spans",
    [
        ((1.0, -1.0), (0.0, 8.0)),
        ((-3.0, 3.0), (8.0, 8.0)),
        ((-3.0, 3.0),),
        ((-3.0, 3.0), (0.0, np.nan)),
    ],
)
def test_spans_must_be_two_rising_pairs(spans, unchecked_shapes):
    with pytest.raises(ValueError, match="`spans"):
        jn.fold_curve(population(), POPULATION, 0.15, spans)


@pytest.mark.parametrize("where", [lambda s: s.system.w, lambda s: (s.system.w,) * 2])
@pytest.mark.parametrize("verb", [jn.fold_curve, jn.hopf_curve])
def test_where_must_select_two_numbers(verb, where):
    with pytest.raises(ValueError, match="tuple of 2 different numbers"):
        verb(driven(0.7), where, jnp.array([0.2, 0.05]), SPANS)


def test_one_state_variable_has_no_hopf_curve():
    with pytest.raises(ValueError, match="one state variable"):
        jn.hopf_curve(population(), POPULATION, 0.15, POPULATION_SPANS)


def test_max_points_must_be_positive():
    with pytest.raises(ValueError, match="`max_points`"):
        jn.fold_curve(population(), POPULATION, 0.15, POPULATION_SPANS, max_points=0)
