"""Couplings: the sums that they make, their derivatives, and batches."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import couplings


TARGETS, SOURCES = 7, 5
KEY_MASK, KEY_WEIGHTS, KEY_X, KEY_V = jax.random.split(jax.random.key(0), 4)
MASK = np.asarray(jax.random.bernoulli(KEY_MASK, 0.4, (TARGETS, SOURCES)))
WEIGHTS = jax.random.normal(KEY_WEIGHTS, (TARGETS, SOURCES))


def sparse():
    return couplings.Sparse.from_mask(MASK, WEIGHTS)


# Each coupling, and the matrix that it stands for, written out by hand.
COUPLINGS = {
    "Dense": (lambda: couplings.Dense(WEIGHTS), WEIGHTS),
    "Sparse": (sparse, WEIGHTS * MASK),
    "Sparse, one weight": (lambda: couplings.Sparse.from_mask(MASK, 0.3), 0.3 * MASK),
    "OneToOne": (lambda: couplings.OneToOne(0.7, size=SOURCES), 0.7 * np.eye(SOURCES)),
    "OneToOne, many weights": (
        lambda: couplings.OneToOne(WEIGHTS[0], size=SOURCES),
        np.diag(WEIGHTS[0]),
    ),
    "AllToAll": (
        lambda: couplings.AllToAll(0.7, sources=SOURCES, targets=TARGETS),
        np.full((TARGETS, SOURCES), 0.7),
    ),
    "AllButPartner": (
        lambda: couplings.AllButPartner(0.7, size=SOURCES),
        0.7 * (1 - np.eye(SOURCES)),
    ),
}
every_coupling = pytest.mark.parametrize("name", COUPLINGS)


@every_coupling
def test_a_coupling_is_its_matrix(name):
    make, matrix = COUPLINGS[name]
    x = jax.random.normal(KEY_X, (SOURCES,))
    assert make().shape == matrix.shape
    assert np.allclose(make().mv(x), np.asarray(matrix) @ x, rtol=0, atol=1e-14)


@every_coupling
@pytest.mark.parametrize("spikes", [[0, 0, 0, 0, 0], [0, 1, 0, 0, 1], [1, 1, 1, 1, 1]])
def test_every_spike_counts_whatever_their_number(name, spikes):
    make, matrix = COUPLINGS[name]
    x = jnp.array(spikes, float)
    assert np.allclose(make().mv(x), np.asarray(matrix) @ x, rtol=0, atol=1e-14)


def large_table(sources, targets, p, key):
    mask = np.asarray(jax.random.bernoulli(key, p, (targets, sources)))
    return couplings.Sparse.from_mask(mask, jax.random.normal(key, mask.shape))


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.3, 1.0])
@pytest.mark.parametrize(("sources", "p"), [(300, 0.9), (3001, 0.1)])
def test_rows_longer_than_a_chunk_and_many_units_lose_no_spike(sources, p, rate):
    """Rows of 270 synapses take several chunks; 3001 units are looked through in blocks."""
    key_table, key_spikes = jax.random.split(jax.random.key(1))
    table = large_table(sources, 300, p, key_table)
    spikes = jax.random.bernoulli(key_spikes, rate, (sources,)).astype(float)
    expected = np.zeros(300)
    source = np.repeat(np.arange(sources), np.diff(table.indptr))
    np.add.at(
        expected, np.asarray(table.indices), np.asarray(table.weights * spikes[source])
    )
    assert np.allclose(eqx.filter_jit(table.mv)(spikes), expected, rtol=0, atol=1e-11)


def test_a_table_without_synapses_gives_nothing():
    empty = couplings.Sparse.from_mask(np.zeros((3, 2), bool), 1.0)
    assert empty.mv(jnp.ones(2)).tolist() == [0.0, 0.0, 0.0]


def test_two_synapses_between_the_same_pair_add_up():
    table = couplings.Sparse.from_pairs([1, 1], [0, 0], [0.5, 0.25], shape=(1, 2))
    assert table.mv(jnp.array([0.0, 2.0])).tolist() == [1.5]


def test_several_tables_share_one_pass():
    """Sources that stand at different places among the units, as in a network."""
    units = jnp.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    first, second = large_table(2, 3, 0.7, KEY_X), large_table(4, 5, 0.6, KEY_V)
    dense = couplings.Dense(jnp.ones((2, 3)))
    sums = couplings.deliver([(first, 0), (dense, 1), (second, 2)], units)
    assert np.allclose(sums[0], first.mv(units[:2]), rtol=0, atol=1e-15)
    assert np.allclose(sums[1], [2.0, 2.0], rtol=0, atol=1e-15)
    assert np.allclose(sums[2], second.mv(units[2:]), rtol=0, atol=1e-15)


# Derivatives, those with respect to silent sources included.


def weighted(weights, x, table):
    """A number that is not linear in the sums, so that second derivatives exist."""
    table = couplings.Sparse(table.targets, table.indptr, table.indices, weights)
    return jnp.sum(jnp.sin(table.mv(x)) * jnp.arange(1.0, TARGETS + 1))


SPIKES = jnp.array([0.0, 1.0, 0.0, 1.0, 0.0])


def by_matrix(weights, x, table):
    matrix = jnp.zeros((TARGETS, SOURCES))
    matrix = matrix.at[table.indices, table.source_of_synapse].set(weights)
    return jnp.sum(jnp.sin(matrix @ x) * jnp.arange(1.0, TARGETS + 1))


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd, jax.hessian])
@pytest.mark.parametrize("argument", [0, 1])
def test_derivatives_are_those_of_the_matrix(derivative, argument):
    table = sparse()
    found, expected = (
        eqx.filter_jit(derivative(f, argument))(table.weights, SPIKES, table)
        for f in (weighted, by_matrix)
    )
    assert np.allclose(found, expected, rtol=0, atol=1e-12)
    assert np.any(np.asarray(expected) != 0)


def test_derivatives_agree_with_finite_differences():
    table = sparse()
    f = jax.jit(lambda w, x: weighted(jnp.asarray(w), jnp.asarray(x), table))
    jax.test_util.check_grads(f, (table.weights, SPIKES + 0.5), order=2, rtol=1e-6)


def test_a_silent_source_has_a_derivative():
    table = sparse()
    slopes = jax.grad(lambda x: jnp.sum(table.mv(x)))(jnp.zeros(SOURCES))
    assert np.allclose(slopes, np.sum(WEIGHTS * MASK, axis=0), rtol=0, atol=1e-14)


def test_one_weight_for_all_has_the_derivative_of_the_sum():
    def total(weight):
        return jnp.sum(couplings.Sparse.from_mask(MASK, 1.0).mv(SPIKES) * weight)

    def through_the_table(weight):
        table = couplings.Sparse.from_mask(MASK, 1.0)
        table = couplings.Sparse(table.targets, table.indptr, table.indices, weight)
        return jnp.sum(table.mv(SPIKES))

    for derivative in (jax.grad, jax.jacfwd):
        expected = jax.jit(derivative(total))(0.3)
        found = jax.jit(derivative(through_the_table))(0.3)
        assert found == pytest.approx(float(expected))


# Batches.


def mv(weights, indptr, indices, x):
    return couplings.Sparse(TARGETS, indptr, indices, weights).mv(x)


@pytest.mark.parametrize(
    "batched",
    [
        (False, False, False, True),
        (True, False, False, False),
        (True, False, False, True),
        (True, True, True, True),
        (False, True, True, False),
    ],
)
def test_a_batch_gives_what_each_element_gives_alone(batched):
    """Whatever part of a table differs from element to element."""
    keys = jax.random.split(KEY_V, 4)
    shape = (TARGETS, SOURCES)
    tables = [couplings.Sparse.from_pairs(*pairs(key), shape=shape) for key in keys]
    leaves = [
        (t.weights, t.indptr, t.indices, jax.random.bernoulli(k, 0.5, (SOURCES,)) * 1.0)
        for t, k in zip(tables, keys, strict=True)
    ]
    arguments = [
        jnp.stack([leaf[i] for leaf in leaves]) if is_batched else leaves[0][i]
        for i, is_batched in enumerate(batched)
    ]
    axes = tuple(0 if is_batched else None for is_batched in batched)
    together = jax.jit(jax.vmap(mv, axes))(*arguments)
    for i in range(4):
        pick = lambda a, is_batched: a[i] if is_batched else a  # noqa: B023
        alone = mv(*map(pick, arguments, batched))
        assert np.array_equal(together[i], alone)


def pairs(key):
    """The same number of synapses for every key."""
    key_source, key_target, key_weight = jax.random.split(key, 3)
    return (
        jax.random.randint(key_source, (12,), 0, SOURCES),
        jax.random.randint(key_target, (12,), 0, TARGETS),
        jax.random.normal(key_weight, (12,)),
    )


def test_batches_of_batches_and_shared_tables():
    table = sparse()
    x = jax.random.bernoulli(KEY_X, 0.5, (2, 3, SOURCES)).astype(float)
    scales = jnp.array([1.0, 2.0])

    @ft.partial(jax.vmap, in_axes=(0, 0))
    def outer(scale, x):
        scaled = couplings.Sparse(
            table.targets, table.indptr, table.indices, scale * table.weights
        )
        return jax.vmap(scaled.mv)(x)

    expected = jnp.einsum("a,ij,abj->abi", scales, WEIGHTS * MASK, x)
    assert np.allclose(outer(scales, x), expected, rtol=0, atol=1e-14)


def test_a_batch_of_gradients():
    table = sparse()
    x = jax.random.bernoulli(KEY_X, 0.5, (3, SOURCES)).astype(float)
    batch = eqx.filter_jit(jax.vmap(jax.grad(weighted), (None, 0, None)))
    one = eqx.filter_jit(jax.grad(by_matrix))
    gradient = batch(table.weights, x, table)
    alone = jnp.stack([one(table.weights, row, table) for row in x])
    assert np.allclose(gradient, alone, rtol=0, atol=1e-12)


# One delay a synapse.


@every_coupling
def test_the_parts_of_each_delay_add_up_to_the_whole(name):
    make, matrix = COUPLINGS[name]
    coupling = make()
    if isinstance(coupling, couplings.Sparse):
        shape = coupling.indices.shape
    elif isinstance(coupling, couplings.OneToOne):
        shape = (SOURCES,)
    else:
        shape = matrix.shape
    delays = np.asarray(jax.random.randint(KEY_V, shape, 1, 4), float)
    parts = coupling.split(delays, (1.0, 2.0, 3.0))
    x = jax.random.normal(KEY_X, (SOURCES,))
    total = sum(part.mv(x) for part in parts)
    assert np.allclose(total, np.asarray(matrix) @ x, rtol=0, atol=1e-14)
    if isinstance(coupling, couplings.Sparse):
        sizes = [part.indices.size for part in parts]
        assert sizes == [int((delays == d).sum()) for d in (1.0, 2.0, 3.0)]


def test_the_entries_of_a_matrix_at_the_synapses():
    table = sparse()
    assert np.array_equal(table.at_synapses(WEIGHTS), table.weights)


BAD = {
    "Dense, a vector": (lambda: couplings.Dense(jnp.ones(3)), "`weights` of `Dense`"),
    "OneToOne, too many": (
        lambda: couplings.OneToOne(jnp.ones(3), size=2),
        "`weight` of `OneToOne`",
    ),
    "NaN": (lambda: couplings.Dense([[1.0, jnp.nan]]), "weights` is NaN at index"),
    "mask and weights": (
        lambda: couplings.Sparse.from_mask(MASK, jnp.ones((2, 2))),
        "one number or a matrix",
    ),
    "a source that is none": (
        lambda: couplings.Sparse.from_pairs([2], [0], 1.0, shape=(2, 2)),
        "`sources` must lie in 0 to 1",
    ),
    "a target that is none": (
        lambda: couplings.Sparse.from_pairs([0], [-1], 1.0, shape=(2, 2)),
        "`targets` must lie in 0 to 1",
    ),
    "pairs of two lengths": (
        lambda: couplings.Sparse.from_pairs([0, 1], [0], 1.0, shape=(2, 2)),
        "vectors of one length",
    ),
    "weights of another length": (
        lambda: couplings.Sparse.from_pairs([0, 1], [0, 1], [1.0], shape=(2, 2)),
        "`weights` of `Sparse`",
    ),
    "a table that does not rise": (
        lambda: couplings.Sparse(2, jnp.array([0, 2, 1]), jnp.array([0]), 1.0),
        "`indptr` of `Sparse` must rise",
    ),
    "a traced mask": (
        lambda: jax.jit(lambda m: couplings.Sparse.from_mask(m, 1.0).mv(SPIKES))(MASK),
        "`mask` must be concrete",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_its_remedy(case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_spikes_of_whole_numbers_are_spikes():
    assert np.allclose(sparse().mv(jnp.array([0, 1, 0, 1, 0])), sparse().mv(SPIKES))


def test_a_coupling_works_in_a_rate_model():
    """A coupling is a linear map of rates too."""

    class Rates(jn.AbstractSystem):
        coupling: couplings.AbstractCoupling

        def vector_field(self, t, y, u):
            return -y + jnp.tanh(self.coupling.mv(y))

    square = couplings.Sparse.from_mask(MASK[:SOURCES], WEIGHTS[:SOURCES])
    found = jn.jacobian(Rates(square), jnp.zeros(SOURCES))
    expected = -np.eye(SOURCES) + (WEIGHTS * MASK)[:SOURCES]
    assert np.allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("outer", [jax.grad, jax.jacfwd])
@pytest.mark.parametrize("inner", [jax.grad, jax.jacfwd])
def test_second_derivatives_through_a_scan_are_those_of_the_matrix(outer, inner):
    """A scan takes the first derivative apart before the second one is taken."""
    matrix = jnp.array([[0.1, 0.2], [0.3, -0.4]])
    table = couplings.Sparse.from_mask(np.ones((2, 2), bool), matrix)

    def end(s, product):
        start = jnp.array([1.0, 0.0]) + s * jnp.array([0.0, 1.0])
        step = lambda x, _: (product(x) ** 2, None)
        return jnp.sum(jax.lax.scan(step, start, length=2)[0])

    found = jax.jit(outer(inner(lambda s: end(s, table.mv))))(0.0)
    expected = jax.jit(outer(inner(lambda s: end(s, lambda x: matrix @ x))))(0.0)
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_a_batch_of_hessian_vector_products():
    table = sparse()
    loss = lambda w: weighted(w, SPIKES, table)
    product = lambda v: jax.jvp(jax.grad(loss), (table.weights,), (v,))[1]
    directions = jnp.eye(table.weights.size)[:3]
    hessian = jax.jit(jax.hessian(lambda w: by_matrix(w, SPIKES, table)))(table.weights)
    found = jax.jit(jax.vmap(product))(directions)
    assert np.allclose(found, hessian[:3], rtol=0, atol=1e-12)


def test_a_traced_target_that_is_none_gives_nan_in_its_lane_alone():
    def end(target):
        table = couplings.Sparse(2, jnp.array([0, 1]), target, 1.0)
        return table.mv(jnp.ones(1))

    bad, good = jax.vmap(end)(jnp.array([[2], [0]]))
    assert np.isnan(bad).any()
    assert good.tolist() == [1.0, 0.0]


@every_coupling
@pytest.mark.parametrize("sources", [SOURCES - 1, SOURCES + 1])
def test_an_activity_of_another_length_is_refused(name, sources):
    with pytest.raises(ValueError, match=f"`x` must be the activity of {SOURCES} sources"):
        COUPLINGS[name][0]().mv(jnp.ones(sources))


def test_a_table_is_looked_at_inside_of_jit_too():
    make = lambda w: couplings.Sparse(2, np.array([0, 1]), np.array([2]), w).mv(jnp.ones(1))
    with pytest.raises(ValueError, match="`indices` must lie in 0 to 1"):
        jax.jit(make)(1.0)
