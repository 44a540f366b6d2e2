"""Constraints as invertible maps: there and back, derivatives, edges, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import constraints as c


SIGNED = np.array([[0.5, -2.0, 0.0], [3.0, -1e-3, 0.0], [1e-6, -40.0, 0.0]])
MASK = np.array([[True, False], [False, True]])
WEIGHTS = np.array([[0.7, 0.3], [0.0, -1.9]])

# A constraint, a value that it admits, and the number of its free numbers.
CASES = {
    "free": (c.Free(), np.array([-3.0, 0.0, 1e5]), 3),
    "free in a unit": (c.Free(unit=0.01), np.array(-3.0), 1),
    "positive": (c.Positive(), np.array([1e-12, 0.3, 1.0, 1e8]), 4),
    "interval": (c.Interval(-2.0, 3.0), np.array([[-1.999, 0.0], [1.0, 2.99]]), 4),
    "interval far from zero": (c.Interval(1e6, 1e6 + 1.0), np.array([1e6 + 0.25]), 1),
    "simplex": (c.Simplex(), np.array([0.2, 0.5, 0.3]), 2),
    "rows of a simplex": (c.Simplex(4.0), np.array([[1.0, 3.0], [3.5, 0.5]]), 2),
    "dale": (c.Dale([1, -1, 0]), SIGNED, 6),
    "sparse": (c.Sparse(MASK), WEIGHTS, 2),
    "sparse of an interval": (c.Sparse(MASK, c.Interval(-2.0, 2.0)), WEIGHTS, 2),
    "tied": (c.Tied(), np.full((2, 2), -0.4), 1),
    "tied and positive": (c.Tied(c.Positive()), (np.full(3, 2.5), np.array(2.5)), 1),
}
every_case = pytest.mark.parametrize("name", CASES)


def as_jax(value):
    return jax.tree.map(jnp.asarray, value)


def case(name):
    constraint, value, number = CASES[name]
    return constraint, as_jax(value), number


@every_case
def test_a_value_comes_back_from_its_free_numbers(name):
    constraint, value, number = case(name)
    free = constraint.free(value)
    assert constraint.admits(value)
    assert sum(x.size for x in jax.tree.leaves(free)) == number
    back = constraint.value(free, value)
    assert jax.tree.structure(back) == jax.tree.structure(value)
    for got, expected in zip(jax.tree.leaves(back), jax.tree.leaves(value), strict=True):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=0)


@every_case
def test_free_numbers_come_back_from_their_value(name):
    constraint, value, _ = case(name)
    free = constraint.free(value)
    moved = jax.tree.map(
        lambda x: jnp.asarray(np.random.default_rng(1).normal(size=x.shape)), free
    )
    there = constraint.value(moved, value)
    assert constraint.admits(there)
    back = constraint.free(there)
    for got, expected in zip(jax.tree.leaves(back), jax.tree.leaves(moved), strict=True):
        # Near 1e6 a double has ten digits left of a number below one.
        near = 1e-8 if "far" in name else 1e-12
        np.testing.assert_allclose(got, expected, rtol=near, atol=near)


@every_case
def test_the_derivative_of_a_map_is_its_slope(name):
    constraint, value, _ = case(name)
    free = constraint.free(value)
    flat, unravel = jax.flatten_util.ravel_pytree(free)
    number = lambda z: jax.flatten_util.ravel_pytree(constraint.value(unravel(z), value))[0]
    found = jax.jacfwd(number)(flat)
    backward = jax.jacrev(number)(flat)
    h = 1e-5
    columns = [
        (number(flat + step) - number(flat - step)) / (2 * h)
        for step in h * np.eye(flat.size)
    ]
    # The difference of two numbers of this size is not known better.
    noise = 1e-15 * np.max(np.abs(number(flat))) / h
    np.testing.assert_allclose(found, np.array(columns).T, rtol=1e-8, atol=2 * noise)
    np.testing.assert_allclose(backward, found, rtol=1e-14, atol=0)


@every_case
def test_a_map_is_the_same_compiled_and_in_a_batch(name):
    constraint, value, _ = case(name)
    there_and_back = lambda v: constraint.value(constraint.free(v), v)
    single = jax.tree.leaves(there_and_back(value))
    compiled = jax.tree.leaves(jax.jit(there_and_back)(value))
    rows = jax.tree.map(lambda x: jnp.stack([x, x]), value)
    batch = jax.tree.leaves(jax.vmap(there_and_back)(rows))
    for one, other, both in zip(single, compiled, batch, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(both, jnp.stack([one, one]), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("constraint", "x", "z"),
    [
        (c.Free(unit=4.0), 10.0, 2.5),
        (c.Positive(), np.e**2, 2.0),
        (c.Interval(1.0, 5.0), 1.0 + 4.0 / (1.0 + np.exp(-0.7)), 0.7),
    ],
)
def test_the_free_number_is_the_one_that_is_documented(constraint, x, z):
    np.testing.assert_allclose(constraint.free(jnp.asarray(x)), z, rtol=1e-13)


def test_the_free_numbers_of_a_simplex_are_logarithms_of_ratios_to_the_last():
    x = np.array([[0.1, 0.6, 0.3], [0.2, 0.2, 0.6]])
    found = c.Simplex().free(jnp.asarray(x))
    np.testing.assert_allclose(found, np.log(x[:, :2] / x[:, 2:]), rtol=1e-13)


@pytest.mark.parametrize("x", [2.3e-308, 1e-300, 1.0, 1e300, 1.79e308])
def test_a_positive_number_of_any_size_comes_back(x):
    positive = c.Positive()
    back = positive.number(positive.free_number(jnp.asarray(x)))
    np.testing.assert_allclose(back, x, rtol=1e-12)


def test_what_is_denormal_counts_as_zero_or_comes_back_finite():
    positive = c.Positive()
    x = jnp.asarray(5e-324)
    # Whichever it is, what is admitted has a finite free number.
    assert not positive.admits(x) or jnp.isfinite(positive.free_number(x))


@pytest.mark.parametrize(("low", "size"), [(0.0, 1.0), (1.0, 1e-6), (-7.0, 1e6)])
def test_the_numbers_next_to_the_ends_of_an_interval_come_back(low, size):
    high = low + size
    interval = c.Interval(low, high)
    first, last = np.nextafter(low, high), np.nextafter(high, low)
    first = max(first, 1e-300) if low == 0 else first
    for x in (first, last):
        assert interval.admits(jnp.asarray(x))
        z = interval.free_number(jnp.asarray(x))
        assert jnp.isfinite(z)
        np.testing.assert_allclose(interval.number(z), x, rtol=1e-12, atol=1e-12 * size)


@pytest.mark.parametrize("z", [-1e4, -50.0, 50.0, 1e4])
def test_an_interval_is_never_left_however_far_the_free_number(z):
    interval = c.Interval(-1.0, 2.5)
    x, slope = jax.value_and_grad(interval.number)(jnp.asarray(z))
    assert -1.0 <= x <= 2.5
    assert jnp.isfinite(slope)


@pytest.mark.parametrize("size", [1.0, 30.0, 1e3, 1e300])
def test_a_simplex_sums_to_its_total_however_far_the_free_numbers(size):
    simplex, like = c.Simplex(3.0), jnp.ones((2, 4))
    z = size * jnp.asarray(np.random.default_rng(0).normal(size=(2, 3)))
    x = simplex.value(z, like)
    assert jnp.all(x >= 0)
    np.testing.assert_allclose(x.sum(axis=-1), 3.0, rtol=1e-14)


def test_weights_by_dales_law_keep_the_sign_of_their_column_and_their_zeros():
    dale = c.Dale([1, -1, 0])
    z = jnp.asarray(30 * np.random.default_rng(0).normal(size=6))
    x = np.asarray(dale.value(z, jnp.asarray(SIGNED)))
    assert np.all(x[:, 0] > 0)
    assert np.all(x[:, 1] < 0)
    assert np.all(x[:, 2] == 0)
    np.testing.assert_allclose(np.sort(np.abs(x[:, :2]).ravel()), np.sort(np.exp(z)))


def test_dales_law_may_have_a_sign_for_every_weight():
    dale = c.Dale([[1, -1], [-1, 0]])
    assert dale.admits(jnp.array([[2.0, -3.0], [-1.0, 0.0]]))
    assert not dale.admits(jnp.array([[2.0, -3.0], [-1.0, 0.1]]))


def test_a_column_of_the_wrong_sign_or_a_zero_is_no_weight_by_dales_law():
    dale = c.Dale([1, -1, 0])
    for place, x in (((0, 0), -0.5), ((1, 1), 0.1), ((0, 0), 0.0), ((2, 2), 1e-9)):
        weights = jnp.asarray(SIGNED).at[place].set(x)
        assert not dale.admits(weights)


def test_weights_outside_of_a_mask_keep_every_bit():
    like = jnp.array([[1.0, 0.0], [0.1 + 0.2, 4.0]])
    x = np.asarray(c.Sparse(MASK).value(jnp.array([7.0, -8.0]), like))
    assert x[0, 1] == 0.0
    assert x[1, 0] == 0.1 + 0.2
    np.testing.assert_array_equal(np.diag(x), [7.0, -8.0])


def test_a_mask_looks_at_what_is_free_alone():
    sparse = c.Sparse(MASK, c.Positive())
    assert sparse.admits(jnp.array([[1.0, -5.0], [np.nan, 2.0]]))
    assert not sparse.admits(jnp.array([[-1.0, 5.0], [0.0, 2.0]]))


def test_tied_numbers_are_equal_to_the_last_bit_over_arrays_of_all_shapes():
    like = (jnp.ones((2, 3)), {"a": jnp.asarray(1.0)})
    x = c.Tied(c.Positive()).value(jnp.asarray(0.1), like)
    assert jax.tree.structure(x) == jax.tree.structure(like)
    values = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(x)])
    assert values.size == 7
    assert len(set(values.tolist())) == 1
    np.testing.assert_allclose(values[0], np.exp(0.1), rtol=1e-15)


@pytest.mark.parametrize(
    ("constraint", "bad"),
    [
        (c.Positive(), [0.0, -0.0, -1.0, np.nan, np.inf]),
        (c.Interval(1.0, 2.0), [1.0, 2.0, 0.5, 2.5, np.nan, np.inf]),
        (c.Tied(c.Positive()), [0.0, np.nan]),
    ],
)
def test_what_lies_outside_or_at_an_end_is_not_admitted(constraint, bad):
    for x in bad:
        assert not constraint.admits(jnp.asarray(x))
        assert not constraint.admits(jnp.array([1.5, x]))


@pytest.mark.parametrize(
    "bad", [1.0, [1.0], [0.0, 1.0], [-0.5, 1.5], [0.5, 0.6], [np.nan, 0.5], [[0.5, 0.4]]]
)
def test_what_is_no_set_of_fractions_is_not_admitted(bad):
    assert not c.Simplex().admits(jnp.asarray(bad))


def test_unequal_numbers_are_not_tied():
    assert not c.Tied().admits((jnp.asarray(1.0), jnp.asarray(1.0 + 1e-15)))
    assert not c.Tied().admits(jnp.array([2.0, 2.0, np.nextafter(2.0, 3.0)]))


# Refusals


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (-np.inf, 0.0), (np.nan, 1.0)]
)
def test_an_interval_whose_ends_do_not_rise_is_refused(low, high):
    with pytest.raises(ValueError, match=r"`low` and `high` of `Interval`.*`Positive`|NaN"):
        c.Interval(low, high)


@pytest.mark.parametrize("make", [c.Free, c.Simplex])
@pytest.mark.parametrize("size", [0.0, -1.0])
def test_a_unit_or_total_that_is_not_positive_is_refused(make, size):
    with pytest.raises(ValueError, match=rf"of `{make.__name__}` must be positive.*Pass"):
        make(size)


@pytest.mark.parametrize(
    ("constraint", "value", "message"),
    [
        (
            c.Dale([1, -1, 1]),
            np.ones((2, 2)),
            "`signs` of `Dale`.*each column",
        ),
        (c.Sparse(MASK), np.ones((2, 3)), "`mask` of `Sparse`.*one entry for each weight"),
        (c.Sparse(MASK), np.ones(2), "`mask` of `Sparse`.*one entry for each weight"),
    ],
)
def test_a_pattern_that_does_not_fit_the_weights_is_refused(constraint, value, message):
    with pytest.raises(ValueError, match=message):
        constraint.free(jnp.asarray(value))


@pytest.mark.parametrize("constraint", [c.Simplex(), c.Dale([1]), c.Sparse([True])])
def test_a_constraint_of_one_array_refuses_two(constraint):
    two = (jnp.ones(1), jnp.ones(1))
    with pytest.raises(ValueError, match=r"constrains one array, but it is given 2.*each"):
        constraint.free(two)


# In a fit


class Linear(jn.AbstractSystem):
    """dy/dt = W y + b, less y / tau."""

    weights: jn.Parameter = jn.parameter()
    tau: jn.Parameter = jn.parameter(positive=True)
    b: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return self.weights @ y + self.b - y / self.tau


STATE = np.array([0.4, 0.8])
AT = jn.objectives.FixedPointAt(STATE, stable=False)
W, TAU, B = (lambda s: s.weights), (lambda s: s.tau), (lambda s: s.b)
BOTH = lambda s: (s.tau, s.b)


def linear(weights=((0.2, -0.3), (0.4, -0.1)), tau=(2.0, 3.0), b=(0.1, 0.2)):
    return Linear(*map(np.array, (weights, tau, b)))


def assert_rests_there(fit):
    assert fit.result == jn.RESULTS.successful
    s = fit.system
    flow = np.asarray(s.weights) @ STATE + np.asarray(s.b) - STATE / np.asarray(s.tau)
    np.testing.assert_allclose(flow, 0.0, atol=1e-7)


def test_a_positive_parameter_stays_positive_without_saying_so():
    # Of all numbers 1 / tau = (W y + b) / y; a step of Newton from 50 leads below zero.
    fit = jn.fit(linear(tau=(50.0, 60.0), b=(0.4, 0.4)), AT, where=TAU)
    assert_rests_there(fit)
    assert np.all(np.asarray(fit.system.tau) > 0)
    s = fit.system
    expected = STATE / (np.asarray(s.weights) @ STATE + np.asarray(s.b))
    np.testing.assert_allclose(s.tau, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("constraint", "holds"),
    [
        pytest.param(
            c.Dale([1, -1]),
            lambda w: np.all(np.sign(w) == [[1, -1], [1, -1]]),
            marks=pytest.mark.slow,
        ),
        (
            c.Sparse([[True, False], [True, False]]),
            lambda w: np.all(w[:, 1] == np.array([-0.3, -0.1])),
        ),
        pytest.param(
            c.Sparse([[False, True], [True, True]], c.Interval(-2.0, 2.0)),
            lambda w: w[0, 0] == 0.2 and np.all(np.abs(w) < 2),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_weights_of_a_fit_keep_what_their_constraint_says(constraint, holds):
    fit = jn.fit(linear(), AT, where=W, constraints=constraint)
    assert_rests_there(fit)
    found = np.asarray(fit.system.weights)
    assert holds(found)
    assert not np.array_equal(found, linear().weights)


def test_zeros_of_a_mask_stay_exactly_zero_in_a_fit():
    weights = np.diag([0.2, -0.1])
    fit = jn.fit(linear(weights), AT, where=W, constraints=c.Sparse(np.eye(2, dtype=bool)))
    assert_rests_there(fit)
    found = np.asarray(fit.system.weights)
    assert found[0, 1] == 0.0
    assert found[1, 0] == 0.0


@pytest.mark.slow
def test_tied_parameters_of_a_fit_stay_equal():
    class Pair(jn.AbstractSystem):
        """Two parameters whose sum counts."""

        a: jn.Parameter = jn.parameter()
        b: jn.Parameter = jn.parameter()

        def vector_field(self, t, y, u):
            return self.a + 2 * self.b - y

    fit = jn.fit(
        Pair(1.0, 1.0),
        jn.objectives.FixedPointAt(12.0),
        where=lambda s: (s.a, s.b),
        constraints=c.Tied(c.Positive()),
    )
    assert fit.system.a == fit.system.b
    np.testing.assert_allclose(fit.system.a, 4.0, rtol=1e-7)


@pytest.mark.slow
def test_fractions_of_a_fit_sum_to_their_total():
    # b of sum 0.8 such that one variable rests; the other one must be what is left.
    fit = jn.fit(
        linear(b=(0.3, 0.5)),
        jn.objectives.FixedPointAt(STATE, stable=False),
        where=lambda s: (s.b, s.tau),
        constraints=(c.Simplex(0.8), None),
    )
    assert_rests_there(fit)
    np.testing.assert_allclose(np.sum(fit.system.b), 0.8, rtol=1e-14)
    assert np.all(np.asarray(fit.system.b) > 0)
    assert np.all(np.asarray(fit.system.tau) > 0)


@pytest.mark.slow
def test_an_entry_without_a_constraint_takes_what_the_model_declares():
    fit = jn.fit(linear(), AT, where=BOTH, constraints=(None, c.Interval(-0.5, 0.5)))
    assert_rests_there(fit)
    assert np.all(np.asarray(fit.system.tau) > 0)
    assert np.all(np.abs(fit.system.b) < 0.5)


@pytest.mark.parametrize(
    ("where", "constraint", "name"),
    [
        (B, c.Positive(), "`b`"),
        (TAU, c.Interval(2.5, 9.0), "`tau`"),
        (W, c.Dale([1, 1]), "`weights`"),
        (B, c.Simplex(), "`b`"),
        (TAU, c.Tied(c.Positive()), "`tau`"),
        (BOTH, c.Tied(), "`tau`, `b`"),
    ],
)
def test_a_start_outside_of_a_constraint_is_refused(where, constraint, name):
    system = linear(b=(-0.1, 0.2))
    message = rf"(?s)start of {name} is .*does not admit\. Start inside"
    with pytest.raises(ValueError, match=message):
        jn.fit(system, AT, where=where, constraints=constraint)


@pytest.mark.parametrize(
    "constraint",
    [
        c.Free(),
        c.Interval(-1.0, 9.0),
        c.Sparse([True, False]),
        c.Tied(c.Interval(-0.5, 9.0)),
    ],
)
def test_a_constraint_that_conflicts_with_the_model_is_refused(constraint):
    system = linear(tau=(2.0, 2.0))
    with pytest.raises(ValueError, match=r"of `tau` conflicts.*is positive\. Take"):
        jn.fit(system, AT, where=TAU, constraints=constraint)


@pytest.mark.parametrize(
    "constraints",
    [
        (c.Positive(),),
        (c.Positive(), None, None),
        {"tau": c.Positive(), "b": None},
        [c.Positive(), None],
    ],
)
def test_constraints_of_the_wrong_structure_are_refused(constraints):
    with pytest.raises(ValueError, match=r"`constraints` must.*structure of what `where`"):
        jn.fit(linear(), AT, where=BOTH, constraints=constraints)


@pytest.mark.parametrize("bad", [3.0, "positive", c.Positive])
def test_what_is_no_constraint_is_refused(bad):
    with pytest.raises(ValueError, match=r"`constraints` must hold `jaxnet.constraints`"):
        jn.fit(linear(), AT, where=BOTH, constraints=(bad, None))
