"""Connectivity against networkx, closed forms and plain Python loops."""

import functools
import itertools
import math
import random
import sys
from collections import Counter
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from scipy import stats

from jaxnet import connectivity as jc


KEY = jax.random.key(0)
NAN = float("nan")
KEYS = jax.random.split(jax.random.key(1), 3000)
LINE = jnp.linspace(0.0, 1.0, 12)[:, None]


def keys(n):
    return KEYS[:n]


def batch(draw, *xs):
    return np.asarray(jax.jit(jax.vmap(draw))(*xs))


def scan(draw, parameters, trials):
    """`draw(parameter, key)` for all parameters and `trials` keys."""
    over_keys = jax.vmap(draw, in_axes=(None, 0))
    over_both = jax.jit(jax.vmap(over_keys, in_axes=(0, None)))
    masks = np.asarray(over_both(jnp.array(parameters), keys(trials)))
    return dict(zip(parameters, masks, strict=True))


def positions(n, dim, seed):
    return jnp.asarray(np.random.default_rng(seed).random((n, dim)))


def undirected(mask):
    return nx.from_numpy_array(np.asarray(mask))


# Independent connections

TRIALS = 1500


@functools.cache
def bernoulli_masks():
    draw = lambda p, key: jc.bernoulli(12, 10, p, key=key)
    return scan(draw, [0.0, 0.02, 0.3, 0.9, 1.0], TRIALS)


@pytest.mark.parametrize("p", [0.02, 0.3, 0.9])
def test_the_number_of_bernoulli_connections_is_binomial(p):
    counts = bernoulli_masks()[p].sum(axis=(1, 2))
    variance = 120 * p * (1 - p)
    assert abs(counts.mean() - 120 * p) < 4 * math.sqrt(variance / TRIALS)
    # The relative error of a variance is nearly that of a Gaussian's.
    assert abs(counts.var() / variance - 1) < 4 * math.sqrt(2 / TRIALS)


def test_every_bernoulli_connection_has_the_same_probability_and_depends_on_no_other():
    p = 0.3
    entries = bernoulli_masks()[p].reshape(TRIALS, 120)
    error = math.sqrt(p * (1 - p) / TRIALS)
    assert abs(entries.mean(axis=0) - p).max() < 4 * error
    correlations = np.corrcoef(entries.T) - np.eye(120)
    assert abs(correlations).max() < 5 / math.sqrt(TRIALS)


def test_a_probability_of_zero_or_one_leaves_nothing_to_chance():
    assert not bernoulli_masks()[0.0].any()
    assert bernoulli_masks()[1.0].all()
    recurrent = jc.bernoulli(6, 6, 1, key=KEY, self_connections=False)
    assert np.array_equal(recurrent, ~np.eye(6, dtype=bool))


def test_rows_that_are_drawn_in_batches_are_all_drawn():
    # 262 rows of 500 fit in a batch: two batches, and a rest.
    mask = np.asarray(jc.bernoulli(600, 500, 0.5, key=KEY))
    assert abs(mask.mean(axis=1) - 0.5).max() < 5 * math.sqrt(0.25 / 500)
    assert len(np.unique(mask, axis=0)) == 600


def test_ten_thousand_units_take_less_than_300_megabytes():
    draw = partial(jc.bernoulli, 10_000, 10_000, 0.1, self_connections=False)
    compiled = jax.jit(lambda key: draw(key=key)).lower(KEY).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes + memory.output_size_in_bytes < 300e6


# Self-connections


def generators_for(n, m):
    return {
        "bernoulli": lambda **s: jc.bernoulli(n, m, 1.0, key=KEY, **s),
        "fixed_in_degree": lambda **s: jc.fixed_in_degree(n, m, 3, key=KEY, **s),
        "fixed_out_degree": lambda **s: jc.fixed_out_degree(n, m, 3, key=KEY, **s),
        "all_to_all": lambda **s: jc.all_to_all(n, m, **s),
        "distance_dependent": lambda **s: jc.distance_dependent(
            LINE[:n], LINE[:m], lambda d: 1.0 + 0.0 * d, key=KEY, **s
        ),
    }


@pytest.mark.parametrize("name", generators_for(6, 6))
def test_a_square_projection_must_say_whether_it_has_self_connections(name):
    generate = generators_for(6, 6)[name]
    with pytest.raises(ValueError, match="`self_connections` is missing: 6 targets and"):
        generate()
    assert not np.diag(generate(self_connections=False)).any()
    assert np.diag(generate(self_connections=True)).any()


@pytest.mark.parametrize("name", generators_for(12, 10))
def test_two_populations_of_different_sizes_have_no_self_connections_to_leave_out(name):
    generate = generators_for(12, 10)[name]
    asked = generate(self_connections=False)
    assert np.array_equal(generate(), asked)
    assert np.diag(asked).any()


# Fixed degrees


@pytest.mark.parametrize("self_connections", [True, False])
def test_fixed_degrees_are_exact(self_connections):
    draw = lambda f, degree: np.asarray(
        f(6, 6, degree, key=KEY, self_connections=self_connections)
    )
    for degree in (0, 3, 6) if self_connections else (3, 5):
        incoming = draw(jc.fixed_in_degree, degree)
        outgoing = draw(jc.fixed_out_degree, degree)
        assert (incoming.sum(axis=1) == degree).all()
        assert (outgoing.sum(axis=0) == degree).all()
        if not self_connections:
            assert not np.diag(incoming | outgoing).any()


def test_fixed_degrees_count_along_their_own_axis():
    incoming = np.asarray(jc.fixed_in_degree(12, 10, 3, key=KEY))
    outgoing = np.asarray(jc.fixed_out_degree(10, 12, 3, key=KEY))
    assert incoming.shape == (12, 10)
    assert outgoing.shape == (10, 12)
    assert set(incoming.sum(axis=1)) == set(outgoing.sum(axis=0)) == {3}
    assert len(set(incoming.sum(axis=0))) > 1
    assert len(set(outgoing.sum(axis=1))) > 1


@functools.cache
def three_of_six(*, self_connections):
    draw = partial(jc.fixed_in_degree, 6, 6, 3, self_connections=self_connections)
    return batch(lambda key: draw(key=key), keys(3000))


@pytest.mark.parametrize("self_connections", [True, False])
def test_every_set_of_partners_is_equally_probable(self_connections):
    for unit in range(6):
        others = [j for j in range(6) if self_connections or j != unit]
        sets = list(itertools.combinations(others, 3))
        rows = three_of_six(self_connections=self_connections)[:, unit]
        seen = Counter(tuple(np.flatnonzero(row).tolist()) for row in rows)
        assert set(seen) <= set(sets)
        assert stats.chisquare([seen[s] for s in sets]).pvalue > 1e-3


# Regular projections


def test_one_to_one_and_all_but_partner_share_out_all_pairs():
    one, but = jc.one_to_one(5), jc.all_but_partner(5)
    assert np.array_equal(one, np.eye(5, dtype=bool))
    assert np.array_equal(but, ~np.eye(5, dtype=bool))
    assert np.array_equal(but, jc.all_to_all(5, 5, self_connections=False))
    assert jc.all_to_all(2, 3).tolist() == [[True] * 3] * 2


@pytest.mark.parametrize(
    ("n", "p"), [(1, 0.5), (2, 1.0), (10, 0.0), (10, 0.33), (10, 1.0), (11, 1.0)]
)
def test_the_ring_is_that_of_the_loop(n, p):
    expected = np.zeros((n, n), bool)
    for i in range(n):
        for j in range(1, int(n * p / 2) + 1):
            expected[i, (i + j) % n] = expected[i, (i - j) % n] = True
    assert np.array_equal(jc.ring(n, int(n * p / 2)), expected)


@pytest.mark.parametrize("neighbours", [1, 2, 9])
def test_the_ring_has_the_clustering_of_the_ring_lattice(neighbours):
    mask = jc.ring(60, neighbours)
    k = 2 * neighbours
    assert set(np.sum(np.asarray(mask), axis=0)) == {k}
    expected = 3 * (k - 2) / (4 * (k - 1))
    assert nx.average_clustering(undirected(mask)) == pytest.approx(expected, abs=1e-12)


# Small worlds

N, NEIGHBOURS = 30, 3
REWIRING = [0.0, 0.03, 0.2, 0.6, 1.0]


@functools.cache
def small_worlds(*, directed):
    draw = lambda p, key: jc.small_world(N, NEIGHBOURS, p, key=key, directed=directed)
    return scan(draw, REWIRING, 60)


@pytest.mark.parametrize("directed", [False, True])
def test_without_rewiring_a_small_world_is_the_ring(directed):
    masks = small_worlds(directed=directed)
    ring = np.asarray(jc.ring(N, NEIGHBOURS))
    assert all(np.array_equal(mask, ring) for mask in masks[0.0])
    assert not any(np.array_equal(mask, ring) for mask in masks[0.2])


def all_small_worlds(*, directed):
    return np.concatenate(list(small_worlds(directed=directed).values()))


def test_rewiring_conserves_the_edges_of_an_undirected_graph():
    masks = all_small_worlds(directed=False)
    assert np.array_equal(masks, masks.mT)
    assert (masks.sum(axis=(1, 2)) == 2 * N * NEIGHBOURS).all()
    assert not np.diagonal(masks, axis1=1, axis2=2).any()


def test_rewiring_conserves_the_in_degrees_of_a_directed_graph():
    masks = all_small_worlds(directed=True)
    assert (masks.sum(axis=2) == 2 * NEIGHBOURS).all()
    assert not np.diagonal(masks, axis1=1, axis2=2).any()


def test_a_complete_graph_has_nowhere_to_rewire_to():
    mask = jc.small_world(7, 3, 1.0, key=KEY)
    assert np.array_equal(mask, jc.all_but_partner(7))


def test_a_ring_without_edges_has_none_to_rewire():
    assert not np.any(jc.small_world(5, 0, 1.0, key=KEY))


WATTS_STROGATZ = {
    "clustering": nx.average_clustering,
    "path length": lambda g: nx.average_shortest_path_length(
        g.subgraph(max(nx.connected_components(g), key=len))
    ),
    "variance of the degree": lambda g: np.var([d for _, d in g.degree]),
    "edges of the ring": lambda g: sum(
        min((i - j) % N, (j - i) % N) <= NEIGHBOURS for i, j in g.edges
    ),
}


@pytest.mark.parametrize("rewiring", [0.03, 0.2, 0.6, 1.0])
def test_small_worlds_are_distributed_as_those_of_networkx(rewiring):
    ours = [undirected(m) for m in small_worlds(directed=False)[rewiring]]
    trials = len(ours)
    theirs = [
        nx.watts_strogatz_graph(N, 2 * NEIGHBOURS, rewiring, seed=i) for i in range(trials)
    ]
    for name, measure in WATTS_STROGATZ.items():
        a, b = (np.array([measure(g) for g in graphs]) for graphs in (ours, theirs))
        error = math.sqrt((a.var() + b.var()) / trials)
        assert 0 < error < 0.2 * b.mean(), name
        assert abs(a.mean() - b.mean()) < 4 * error, name


@pytest.mark.parametrize("rewiring", [0.2, 1.0])
def test_directed_small_worlds_are_rewired_as_by_a_loop_to_all_others_alike(rewiring):
    masks = small_worlds(directed=True)[rewiring]
    # Seen from each target: the source at each distance along the ring.
    turned = np.stack([np.roll(masks[:, i], -i, axis=-1) for i in range(N)], axis=1)
    is_far = np.ones(N, bool)
    is_far[np.arange(-NEIGHBOURS, NEIGHBOURS + 1)] = False
    far = turned.reshape(-1, N)[:, is_far]

    rng = np.random.default_rng(0)
    loop = [far_sources_by_a_loop(rng, rewiring) for _ in range(2000)]
    error = np.std(loop) * math.sqrt(1 / len(loop) + 1 / len(far))
    assert abs(far.sum(axis=1).mean() - np.mean(loop)) < 4 * error
    assert stats.chisquare(far.sum(axis=0)).pvalue > 1e-3


def far_sources_by_a_loop(rng, rewiring):
    """How many sources of unit 0 lie outside of the ring after rewiring."""
    ring = [*range(1, NEIGHBOURS + 1), *range(N - NEIGHBOURS, N)]
    sources = set(ring)
    for old in ring:
        if rng.random() < rewiring:
            new = rng.choice([j for j in range(1, N) if j not in sources])
            sources = sources - {old} | {int(new)}
    return len(sources - set(ring))


# Space

TARGETS, SOURCES = positions(5, 2, seed=3), positions(4, 2, seed=4)


def scattered(key):
    profile = jc.GaussianProfile(peak=0.8, width=0.3)
    return jc.distance_dependent(TARGETS, SOURCES, profile, key=key)


@functools.cache
def scattered_masks():
    return batch(scattered, keys(3000))


def test_the_probability_of_a_connection_is_that_of_its_distance():
    frequency = scattered_masks().mean(axis=0)
    for i, j in np.ndindex(5, 4):
        distance = math.dist(TARGETS[i].tolist(), SOURCES[j].tolist())
        p = 0.8 * math.exp(-(distance**2) / (2 * 0.3**2))
        assert abs(frequency[i, j] - p) < 4 * math.sqrt(p * (1 - p) / 3000)


@pytest.mark.parametrize("box", [None, 1.0, [1.0, 0.6]], ids=str)
def test_the_distance_in_a_box_is_that_to_the_nearest_image(box):
    targets, sources = 2.0 * positions(12, 2, seed=3), positions(10, 2, seed=4)
    lengths = np.zeros(2) if box is None else np.array(box) * np.ones(2)
    shifts = [lengths * image for image in itertools.product(range(-3, 4), repeat=2)]
    box = None if box is None else jnp.array(box)
    for radius in (0.2, 0.45):
        expected = [
            [min(np.linalg.norm(x - y - s) for s in shifts) < radius for y in sources]
            for x in np.asarray(targets)
        ]
        mask = jc.distance_dependent(
            targets, sources, lambda d, r=radius: d < r, key=KEY, box=box
        )
        assert mask.tolist() == expected
        assert 0 < np.mean(mask) < 1


def test_a_wide_profile_is_all_to_all_and_a_narrow_one_is_one_to_one_in_one_scan():
    x = positions(12, 3, seed=3)
    draw = lambda width: jc.distance_dependent(
        x, x, jc.GaussianProfile(peak=1.0, width=width), key=KEY, self_connections=True
    )
    wide, narrow = batch(draw, jnp.array([1e6, 1e-6]))
    assert wide.all()
    assert np.array_equal(narrow, np.eye(12, dtype=bool))


def test_the_probability_at_distance_zero_does_not_matter_without_self_connections():
    draw = partial(jc.distance_dependent, LINE, LINE, lambda d: 1e-4 / d, key=KEY)
    assert not np.diag(draw(self_connections=False)).any()
    with pytest.raises(ValueError, match=r"`probability` leaves \[0, 1\]"):
        draw(self_connections=True)


def test_a_profile_that_reads_a_global_is_read_anew():
    radius = 0.2
    draw = partial(jc.distance_dependent, LINE, LINE[:10], key=KEY)
    within = lambda d: d < radius
    few = draw(within)
    radius = 0.6
    assert np.sum(draw(within)) > np.sum(few) > 0


# Keys

IN_BATCHES = {
    "bernoulli": (
        lambda: bernoulli_masks()[0.3],
        lambda key: jc.bernoulli(12, 10, 0.3, key=key),
    ),
    "fixed degree": (
        lambda: three_of_six(self_connections=True),
        lambda key: jc.fixed_in_degree(6, 6, 3, key=key, self_connections=True),
    ),
    "small world": (
        lambda: small_worlds(directed=False)[0.2],
        lambda key: jc.small_world(N, NEIGHBOURS, 0.2, key=key),
    ),
    "directed small world": (
        lambda: small_worlds(directed=True)[0.2],
        lambda key: jc.small_world(N, NEIGHBOURS, 0.2, key=key, directed=True),
    ),
    "distance": (scattered_masks, scattered),
}


@pytest.mark.parametrize("name", IN_BATCHES)
def test_a_key_gives_one_network_alone_and_in_a_batch_and_another_key_another(name):
    masks, generate = IN_BATCHES[name]
    alone = generate(KEYS[1])
    assert alone.dtype == bool
    assert np.array_equal(alone, masks()[1])
    assert not np.array_equal(alone, masks()[2])


@pytest.mark.parametrize("name", ["bernoulli", "fixed degree", "small world"])
def test_a_key_gives_one_network_in_float32_and_float64(name):
    _, generate = IN_BATCHES[name]
    expected = np.asarray(generate(KEY))
    with jax.enable_x64(not jax.config.jax_enable_x64):
        assert np.array_equal(generate(KEY), expected)


# Weights

MASK = jnp.asarray(np.random.default_rng(0).random((40, 30)) < 0.4)

WEIGHTS = {
    "gaussian": (jc.gaussian_weights, (1.5, 0.4), stats.norm(1.5, 0.4)),
    "uniform": (jc.uniform_weights, (-0.5, 2.0), stats.uniform(-0.5, 2.5)),
}
OUT_OF_RANGE = {"gaussian": (1.5, -0.4), "uniform": (2.0, -0.5)}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_have_their_distribution_on_the_mask_and_are_zero_elsewhere(name):
    draw, parameters, distribution = WEIGHTS[name]
    weights = np.asarray(draw(MASK, *parameters, key=KEY))
    on, off = weights[np.asarray(MASK)], weights[~np.asarray(MASK)]
    assert not off.any()
    assert stats.kstest(on, distribution.cdf).pvalue > 0.01
    assert len(np.unique(on)) == MASK.sum()


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_differentiate_as_finite_differences_do(name):
    draw, parameters, _ = WEIGHTS[name]
    loss = lambda p: jnp.mean(jnp.sin(draw(MASK, p[0], p[1], key=KEY)))
    all_of = jax.jit(lambda p: (loss(p), jax.grad(loss)(p), jax.jacfwd(loss)(p)))
    p, steps = jnp.array(parameters), 1e-5 * jnp.eye(2)
    _, reverse, forward = all_of(p)
    for i, step in enumerate(steps):
        difference = float(all_of(p + step)[0] - all_of(p - step)[0]) / 2e-5
        assert abs(difference) > 0.01
        assert float(reverse[i]) == pytest.approx(difference, rel=1e-7)
        assert float(forward[i]) == pytest.approx(difference, rel=1e-7)


@pytest.mark.parametrize("name", WEIGHTS)
def test_bad_weights_of_a_batch_are_nan_and_the_others_are_what_they_are_alone(name):
    draw, parameters, _ = WEIGHTS[name]
    one = lambda p, key: draw(MASK, p[0], p[1], key=key)
    ps = jnp.array([parameters, OUT_OF_RANGE[name], (NAN, NAN)])
    good, *bad = batch(one, ps, keys(3))
    alone = np.asarray(draw(MASK, *parameters, key=keys(3)[0]))
    assert good == pytest.approx(alone, abs=1e-14)
    for weights in bad:
        assert np.array_equal(np.isnan(weights), MASK)


def test_each_source_or_each_target_can_have_its_weight():
    mask = jc.all_to_all(2, 3)
    by_source = jc.gaussian_weights(mask, jnp.array([1.0, 2.0, -3.0]), 0.0, key=KEY)
    assert by_source.tolist() == [[1.0, 2.0, -3.0]] * 2
    lows = np.array([[4.0], [5.0]])
    first, second = jc.uniform_weights(mask, lows, 5.0, key=KEY).tolist()
    assert second == [5.0] * 3
    assert all(4 <= weight < 5 for weight in first)


# Statistics


def test_the_statistics_of_a_ring_are_those_of_the_ring_lattice():
    n, neighbours = 24, 3
    found = jc.statistics(jc.ring(n, neighbours), seed=0)
    assert (found.units, found.directed) == (n, False)
    assert found.mean_degree == 6
    assert found.connection_probability == pytest.approx(6 / 23)
    assert found.clustering == pytest.approx(3 * 4 / (4 * 5))
    steps = [math.ceil(min(d, n - d) / neighbours) for d in range(1, n)]
    assert found.path_length == pytest.approx(sum(steps) / len(steps))


def test_small_worldness_is_that_of_its_definition():
    mask = jc.small_world(40, 5, 0.1, key=KEY)
    found = jc.statistics(mask, seed=5, random_graphs=4)
    source = random.Random(5)
    graphs = [nx.gnm_random_graph(40, 200, seed=source) for _ in range(4)]
    assert all(map(nx.is_connected, graphs))
    clustering = np.mean([nx.average_clustering(g) for g in graphs])
    path_length = np.mean([nx.average_shortest_path_length(g) for g in graphs])
    assert found.random_clustering == pytest.approx(clustering)
    assert found.random_path_length == pytest.approx(path_length)
    expected = found.clustering / clustering / (found.path_length / path_length)
    assert found.small_worldness == pytest.approx(expected)
    assert found.small_worldness > 1.5


def test_a_random_network_is_no_small_world():
    mask = np.random.default_rng(0).random((60, 60)) < 0.2
    np.fill_diagonal(mask, False)
    found = jc.statistics(jnp.asarray(mask), seed=0)
    assert found.directed
    assert found.mean_degree == pytest.approx(mask.sum() / 60)
    assert found.connection_probability == pytest.approx(mask.sum() / (60 * 59))
    assert found.small_worldness == pytest.approx(1.0, abs=0.1)


def test_a_network_that_is_not_symmetric_is_measured_as_a_directed_graph():
    connections = [(0, 1), (1, 2), (2, 0), (0, 3), (3, 0)]
    mask = np.zeros((4, 4), bool)
    for source, target in connections:
        mask[target, source] = True
    found = jc.statistics(jnp.asarray(mask), seed=0)
    graph = nx.DiGraph(connections)
    assert found.directed
    assert found.connection_probability == pytest.approx(5 / 12)
    assert found.path_length == nx.average_shortest_path_length(graph)
    assert found.clustering == nx.average_clustering(graph) > 0


def test_self_connections_do_not_count():
    mask = jc.ring(30, 3)
    looped = mask | jc.one_to_one(30)
    assert repr(jc.statistics(looped, seed=0)) == repr(jc.statistics(mask, seed=0))


def test_a_network_that_falls_apart_has_an_infinite_path_length():
    two_rings = jnp.kron(jnp.eye(2), jc.ring(10, 2)).astype(bool)
    found = jc.statistics(two_rings, seed=0)
    assert found.path_length == math.inf
    assert math.isnan(found.small_worldness)
    assert found.clustering == 0.5
    one_way = jnp.tril(jc.all_to_all(10, 10, self_connections=False))
    assert jc.statistics(one_way, seed=0).path_length == math.inf


def test_without_a_triangle_in_the_random_graphs_there_is_no_small_worldness():
    found = jc.statistics(jc.ring(40, 1), seed=0, random_graphs=1)
    assert found.random_clustering == 0
    assert found.path_length > found.random_path_length > 1
    assert math.isnan(found.small_worldness)
    empty = jc.statistics(jnp.zeros((3, 3), bool), seed=0)
    assert (empty.connection_probability, empty.clustering) == (0, 0)


def test_the_statistics_are_shown_with_their_names():
    shown = repr(jc.statistics(jc.all_but_partner(7), seed=0, random_graphs=1))
    assert shown == (
        "GraphStatistics(units=7, directed=False, connection_probability=1, mean_degree=6, "
        "clustering=1, path_length=1, random_clustering=1, random_path_length=1, "
        "small_worldness=1)"
    )


def test_without_networkx_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxnet-dynamics\[graphs\]'"):
        jc.statistics(jc.ring(10, 2), seed=0)


# Bad input

X = positions(3, 2, seed=3)
SQUARE = jc.one_to_one(3)
place = partial(jc.distance_dependent, X, X, key=KEY, self_connections=True)

BAD = {
    "negative size": (
        lambda: jc.bernoulli(-1, 3, 0.1, key=KEY),
        "`targets` must be positive, but it is -1. Pass the number of units",
    ),
    "no sources": (lambda: jc.all_to_all(3, 0), "`sources` must be positive"),
    "no units": (lambda: jc.one_to_one(0), "`n` must be positive"),
    "no partners": (lambda: jc.all_but_partner(0), "`n` must be positive"),
    "no ring": (lambda: jc.ring(0, 0), "`n` must be positive"),
    "p above 1": (
        lambda: jc.bernoulli(2, 3, 10, key=KEY),
        r"`p` must lie in \[0, 1\], but it is 10. Pass a fraction, such as 0.1 for 10 %",
    ),
    "p below 0": (lambda: jc.bernoulli(2, 3, -0.1, key=KEY), "`p` must lie in"),
    "p NaN": (lambda: jc.bernoulli(2, 3, jnp.array(NAN), key=KEY), "`p` .* it is nan"),
    "rewiring": (
        lambda: jc.small_world(9, 2, 1.5, key=KEY),
        r"`rewiring` must lie in \[0, 1\], but it is 1.5",
    ),
    "in-degree": (
        lambda: jc.fixed_in_degree(2, 5, 6, key=KEY),
        "`degree` is 6, but a unit has 5 others to choose from. Pass a number from 0 to 5",
    ),
    "in-degree without self": (
        lambda: jc.fixed_in_degree(5, 5, 5, key=KEY, self_connections=False),
        "`degree` is 5, but a unit has 4 others",
    ),
    "out-degree": (
        lambda: jc.fixed_out_degree(5, 2, 6, key=KEY),
        "`degree` is 6, but a unit has 5 others",
    ),
    "negative degree": (
        lambda: jc.fixed_out_degree(5, 2, -1, key=KEY),
        "`degree` is -1",
    ),
    "ring too wide": (
        lambda: jc.ring(10, 6),
        "`neighbours` is 6, but on a ring of 10 no unit is farther away than 5",
    ),
    "negative neighbours": (lambda: jc.ring(10, -1), "`neighbours` is -1"),
    "small world of an even number": (
        lambda: jc.small_world(10, 5, 0.1, key=KEY),
        "`neighbours` is 5, but among 10 units .* up to 4. Pass a number from 0 to 4",
    ),
    "other space": (
        lambda: jc.distance_dependent(X, X[:, :1], lambda d: 0 * d, key=KEY),
        r"`targets` and `sources` must have shapes .* \(3, 2\) and \(3, 1\)",
    ),
    "position NaN": (
        lambda: jc.distance_dependent(X.at[1, 0].set(NAN), X[:2], lambda d: 0 * d, key=KEY),
        r"`targets` is NaN or infinite at index \[1, 0\]",
    ),
    "probability": (
        lambda: place(lambda d: 1.1 - d),
        r"`probability` leaves \[0, 1\] at a distance that occurs",
    ),
    "probability NaN": (lambda: place(lambda d: NAN * d), "`probability` leaves"),
    "box": (
        lambda: place(lambda d: 0 * d, box=np.array([1.0, 0.0])),
        r"`box` must be positive and finite, but it is \[1. 0.\]. Pass the length",
    ),
    "box of another space": (
        lambda: place(lambda d: 0 * d, box=np.ones(3)),
        r"`box` has shape \(3,\), but space has 2 dimensions. Pass a number, or 2 lengths",
    ),
    "peak": (
        lambda: jc.GaussianProfile(peak=-1.0, width=1.0),
        "`peak` of `GaussianProfile` must be nonnegative",
    ),
    "width": (
        lambda: jc.GaussianProfile(peak=0.1, width=0.0),
        "`width` of `GaussianProfile` must be positive",
    ),
    "std": (
        lambda: jc.gaussian_weights(SQUARE, -1.0, np.array([1.0, -1.0, 0.0]), key=KEY),
        "`std` must not be negative.*the sign of the weights is that of `mean`",
    ),
    "mean NaN": (
        lambda: jc.gaussian_weights(SQUARE, NAN, 1.0, key=KEY),
        "`mean` is NaN or infinite",
    ),
    "low above high": (
        lambda: jc.uniform_weights(SQUARE, 1.0, np.array([2.0, 2.0, 0.5]), key=KEY),
        "`low` is 1.0, above `high`.*Swap them",
    ),
    "high infinite": (
        lambda: jc.uniform_weights(SQUARE, 1.0, math.inf, key=KEY),
        "`high` is NaN or infinite",
    ),
    "shape of the mean": (
        lambda: jc.gaussian_weights(SQUARE, jnp.ones(2), 1.0, key=KEY),
        r"`mean` has shape \(2,\), which does not broadcast to \(3, 3\)",
    ),
    "batch of means": (
        lambda: jc.gaussian_weights(SQUARE, jnp.ones((1, 1, 1)), 1.0, key=KEY),
        r"`mean` has shape \(1, 1, 1\), which does not broadcast",
    ),
    "not square": (
        lambda: jc.statistics(jc.all_to_all(3, 4), seed=0),
        r"`mask` must be square, \(n, n\), .* \(3, 4\)",
    ),
    "one unit": (lambda: jc.statistics(jc.one_to_one(1), seed=0), "n of at least 2"),
    "no random graph": (
        lambda: jc.statistics(SQUARE, seed=0, random_graphs=0),
        "`random_graphs` must be positive",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_a_remedy(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_bad_constant_inside_of_a_compiled_function_is_refused_when_it_is_traced():
    with pytest.raises(ValueError, match="`p` must lie in"):
        jax.jit(lambda key: jc.bernoulli(2, 3, 1.5, key=key))(KEY)
    with pytest.raises(ValueError, match="`std` must not be negative"):
        jax.jit(lambda key: jc.gaussian_weights(SQUARE, 0.0, -1.0, key=key))(KEY)


TRACED = {
    "bernoulli": (lambda p: jc.bernoulli(2, 3, p, key=KEY), "`p` must lie in"),
    "probability": (lambda p: place(lambda d: p + 0 * d), "`probability` leaves"),
    "box": (lambda p: place(lambda d: d < 1, box=p), "a position or `box` is not"),
}


@pytest.mark.parametrize("name", TRACED)
def test_a_traced_bad_probability_raises_when_the_program_runs(name):
    call, message = TRACED[name]
    run = eqx.filter_jit(jax.vmap(call))
    assert run(jnp.array([0.5, 1.0])).dtype == bool
    for bad in (-0.5, NAN):
        with pytest.raises(RuntimeError, match=message):
            jax.block_until_ready(run(jnp.array([0.5, bad])))
