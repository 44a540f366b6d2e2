"""Connectivity against networkx, closed forms and plain Python loops."""

import itertools
import math
import random
import sys
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


def keys(n, seed=1):
    return jax.random.split(jax.random.key(seed), n)


def undirected(mask):
    return nx.from_numpy_array(np.asarray(mask))


# Independent connections


@pytest.mark.parametrize("p", [0.02, 0.3, 0.9])
def test_the_number_of_bernoulli_connections_is_binomial(p):
    draw = partial(jc.bernoulli, 20, 30, p)
    masks = jax.jit(jax.vmap(lambda key: draw(key=key)))(keys(2000))
    counts = np.asarray(masks.sum(axis=(1, 2)))
    n, variance = 600, 600 * p * (1 - p)
    assert abs(counts.mean() - n * p) < 4 * math.sqrt(variance / len(counts))
    # The relative error of a variance is nearly that of a Gaussian's.
    assert abs(counts.var() / variance - 1) < 4 * math.sqrt(2 / len(counts))


def test_every_bernoulli_connection_has_the_same_probability_and_depends_on_no_other():
    p, trials = 0.3, 4000
    draw = lambda key: jc.bernoulli(4, 3, p, key=key)
    entries = np.asarray(jax.vmap(draw)(keys(trials))).reshape(trials, -1)
    error = math.sqrt(p * (1 - p) / trials)
    assert abs(entries.mean(0) - p).max() < 4 * error
    correlations = np.corrcoef(entries.T) - np.eye(12)
    assert abs(correlations).max() < 4.5 / math.sqrt(trials)


@pytest.mark.parametrize(("p", "expected"), [(0.0, 0), (1.0, 1), (0, 0), (1, 1)], ids=str)
def test_a_probability_of_zero_or_one_leaves_nothing_to_chance(p, expected):
    mask = jc.bernoulli(30, 20, p, key=KEY)
    assert (mask == bool(expected)).all()
    recurrent = jc.bernoulli(30, 30, p, key=KEY, self_connections=False)
    assert (recurrent == (bool(expected) & ~np.eye(30, dtype=bool))).all()


def test_bernoulli_is_batched_over_keys_and_probabilities():
    p = jnp.array([0.0, 0.2, 0.7, 1.0])
    draw = lambda p, key: jc.bernoulli(40, 50, p, key=key)
    batch = jax.jit(jax.vmap(draw))(p, keys(4))
    for i in range(4):
        assert (batch[i] == draw(float(p[i]), keys(4)[i])).all()
    assert not (batch[1] == draw(0.2, keys(4)[2])).all()


def test_rows_that_are_drawn_in_batches_are_all_drawn():
    # 262 rows of 500 fit in a batch: two batches, and a rest.
    mask = np.asarray(jc.bernoulli(600, 500, 0.5, key=KEY))
    error = math.sqrt(0.25 / 500)
    assert abs(mask.mean(axis=1) - 0.5).max() < 5 * error
    assert len(np.unique(mask, axis=0)) == 600


def test_ten_thousand_units_take_less_than_300_megabytes():
    draw = partial(jc.bernoulli, 10_000, 10_000, 0.1, self_connections=False)
    compiled = jax.jit(lambda key: draw(key=key)).lower(KEY).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes + memory.output_size_in_bytes < 300e6


GENERATORS = {
    "bernoulli": lambda key: jc.bernoulli(200, 200, 0.1, key=key, self_connections=False),
    "fixed_in_degree": lambda key: jc.fixed_in_degree(50, 60, 7, key=key),
    "fixed_out_degree": lambda key: jc.fixed_out_degree(50, 60, 7, key=key),
    "small_world": lambda key: jc.small_world(50, 3, 0.3, key=key),
    "directed": lambda key: jc.small_world(50, 3, 0.3, key=key, directed=True),
    "distance": lambda key: jc.distance_dependent(
        jnp.linspace(0, 1, 50)[:, None],
        jnp.linspace(0, 1, 60)[:, None],
        lambda d: jnp.exp(-d / 0.5),
        key=key,
    ),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_key_gives_one_network_alone_and_in_a_batch_and_another_key_another(name):
    generate = GENERATORS[name]
    batch = jax.jit(jax.vmap(generate))(keys(3))
    assert batch.dtype == bool
    for i in range(3):
        assert (batch[i] == generate(keys(3)[i])).all()
    assert not (batch[0] == batch[1]).all()


@pytest.mark.parametrize("name", GENERATORS)
def test_a_key_gives_one_network_in_float32_and_float64(name):
    expected = np.asarray(GENERATORS[name](KEY))
    with jax.enable_x64(not jax.config.jax_enable_x64):
        assert (np.asarray(GENERATORS[name](KEY)) == expected).all()


# Self-connections


def partial_generators(n, m):
    return {
        "bernoulli": lambda **s: jc.bernoulli(n, m, 1.0, key=KEY, **s),
        "fixed_in_degree": lambda **s: jc.fixed_in_degree(n, m, 3, key=KEY, **s),
        "fixed_out_degree": lambda **s: jc.fixed_out_degree(n, m, 3, key=KEY, **s),
        "all_to_all": lambda **s: jc.all_to_all(n, m, **s),
        "distance_dependent": lambda **s: jc.distance_dependent(
            jnp.zeros((n, 2)), jnp.zeros((m, 2)), lambda d: 1.0 + d, key=KEY, **s
        ),
    }


@pytest.mark.parametrize("name", partial_generators(4, 4))
def test_a_square_projection_must_say_whether_it_has_self_connections(name):
    generate = partial_generators(4, 4)[name]
    with pytest.raises(ValueError, match="`self_connections` is missing: 4 targets and"):
        generate()
    assert not np.diag(generate(self_connections=False)).any()
    assert np.diag(generate(self_connections=True)).any()


@pytest.mark.parametrize("name", partial_generators(4, 4))
def test_two_populations_of_different_sizes_have_no_self_connections_to_leave_out(name):
    generate = partial_generators(4, 5)[name]
    asked = generate(self_connections=False)
    assert (generate() == asked).all()
    assert np.diag(asked).any()


# Fixed degrees


@pytest.mark.parametrize("degree", [0, 1, 7, 19, 20])
@pytest.mark.parametrize("self_connections", [True, False])
def test_fixed_degrees_are_exact(degree, self_connections):
    options = {"key": KEY, "self_connections": self_connections}
    degree = min(degree, 20 if self_connections else 19)
    incoming = np.asarray(jc.fixed_in_degree(20, 20, degree, **options))
    outgoing = np.asarray(jc.fixed_out_degree(20, 20, degree, **options))
    assert (incoming.sum(axis=1) == degree).all()
    assert (outgoing.sum(axis=0) == degree).all()
    if not self_connections:
        assert not np.diag(incoming).any()
        assert not np.diag(outgoing).any()


def test_fixed_degrees_count_along_their_own_axis():
    incoming = np.asarray(jc.fixed_in_degree(30, 12, 5, key=KEY))
    outgoing = np.asarray(jc.fixed_out_degree(30, 12, 5, key=KEY))
    assert incoming.shape == outgoing.shape == (30, 12)
    assert set(incoming.sum(axis=1)) == {5}
    assert set(outgoing.sum(axis=0)) == {5}
    assert len(set(incoming.sum(axis=0))) > 1
    assert len(set(outgoing.sum(axis=1))) > 1


def chi_squared(counts, expected):
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("self_connections", [True, False])
def test_every_set_of_partners_is_equally_probable(self_connections):
    """All sets of 3 of 6 (5) units, counted for each of 6 targets."""
    trials = 3000
    draw = partial(jc.fixed_in_degree, 6, 6, 3, self_connections=self_connections)
    masks = np.asarray(jax.vmap(lambda key: draw(key=key))(keys(trials)))
    for unit in range(6):
        others = [j for j in range(6) if self_connections or j != unit]
        sets = list(itertools.combinations(others, 3))
        seen = [tuple(np.flatnonzero(row)) for row in masks[:, unit]]
        counts = np.array([seen.count(s) for s in sets])
        assert counts.sum() == trials
        freedom = len(sets) - 1
        spread = math.sqrt(2 * freedom)
        assert abs(chi_squared(counts, trials / len(sets)) - freedom) < 4 * spread


# Regular projections


def test_one_to_one_and_all_but_partner_share_out_all_pairs():
    one, but = jc.one_to_one(5), jc.all_but_partner(5)
    assert (one == np.eye(5, dtype=bool)).all()
    assert (one ^ but).all()
    assert (but == jc.all_to_all(5, 5, self_connections=False)).all()
    assert jc.all_to_all(2, 3).tolist() == [[True] * 3] * 2


@pytest.mark.parametrize(
    ("n", "p"),
    [(1, 0.5), (2, 1.0), (7, 0.5), (10, 0.0), (10, 0.33), (10, 1.0), (11, 1.0), (20, 0.3)],
)
def test_the_ring_is_that_of_the_loop(n, p):
    expected = np.zeros((n, n))
    for i in range(n):
        for j in range(1, int(n * p / 2) + 1):
            expected[i, (i + j) % n] = expected[i, (i - j) % n] = 1
    assert (np.asarray(jc.ring(n, int(n * p / 2))) == expected).all()


@pytest.mark.parametrize("neighbours", [1, 2, 5, 9])
def test_the_ring_has_the_clustering_of_the_ring_lattice(neighbours):
    mask = jc.ring(60, neighbours)
    k = 2 * neighbours
    assert set(np.asarray(mask.sum(axis=0))) == {k}
    expected = 3 * (k - 2) / (4 * (k - 1))
    assert nx.average_clustering(undirected(mask)) == pytest.approx(expected, abs=1e-12)


# Small worlds


@pytest.mark.parametrize("directed", [False, True])
def test_without_rewiring_a_small_world_is_the_ring(directed):
    mask = jc.small_world(21, 4, 0.0, key=KEY, directed=directed)
    assert (mask == jc.ring(21, 4)).all()


@pytest.mark.parametrize(("n", "neighbours"), [(1, 0), (9, 0), (20, 1), (20, 6), (20, 9)])
def test_rewiring_conserves_the_edges_and_makes_no_self_connections(n, neighbours):
    rewiring = jnp.array([0.05, 0.5, 1.0])
    draw = lambda p, key, directed: jc.small_world(
        n, neighbours, p, key=key, directed=directed
    )
    both = jax.vmap(partial(draw, directed=False))(rewiring, keys(3))
    one_way = jax.vmap(partial(draw, directed=True))(rewiring, keys(3))
    for mask in np.asarray(both):
        assert (mask == mask.T).all()
        assert mask.sum() == 2 * n * neighbours
        assert not np.diag(mask).any()
    for mask in np.asarray(one_way):
        assert (mask.sum(axis=1) == 2 * neighbours).all()
        assert not np.diag(mask).any()


def test_a_complete_graph_has_nowhere_to_rewire_to():
    mask = jc.small_world(7, 3, 1.0, key=KEY)
    assert (mask == jc.all_but_partner(7)).all()


WATTS_STROGATZ = {
    "clustering": nx.average_clustering,
    "path length": lambda g: nx.average_shortest_path_length(
        g.subgraph(max(nx.connected_components(g), key=len))
    ),
    "variance of the degree": lambda g: np.var([d for _, d in g.degree]),
    "edges of the ring": lambda g: sum(
        min((i - j) % len(g), (j - i) % len(g)) <= 3 for i, j in g.edges
    ),
}


@pytest.mark.parametrize("rewiring", [0.03, 0.2, 0.6, 1.0])
def test_small_worlds_are_distributed_as_those_of_networkx(rewiring):
    trials, n, neighbours = 100, 40, 3
    draw = lambda key: jc.small_world(n, neighbours, rewiring, key=key)
    ours = [undirected(m) for m in np.asarray(jax.vmap(draw)(keys(trials)))]
    theirs = [
        nx.watts_strogatz_graph(n, 2 * neighbours, rewiring, seed=seed)
        for seed in range(trials)
    ]
    for name, measure in WATTS_STROGATZ.items():
        a, b = (np.array([measure(g) for g in graphs]) for graphs in (ours, theirs))
        error = math.sqrt((a.var() + b.var()) / trials)
        assert 0 < error < 0.2 * b.mean(), name
        assert abs(a.mean() - b.mean()) < 4 * error, name


def test_a_directed_small_world_is_rewired_at_the_given_rate_to_all_others_alike():
    n, neighbours, rewiring, trials = 30, 4, 0.3, 200
    draw = lambda key: jc.small_world(n, neighbours, rewiring, key=key, directed=True)
    masks = np.asarray(jax.vmap(draw)(keys(trials)))
    ring = np.asarray(jc.ring(n, neighbours))
    # Seen from each target, the source at distance d.
    turned = np.stack([np.roll(masks[:, i], -i, axis=-1) for i in range(n)], axis=1)
    frequency = turned.mean(axis=(0, 1))
    far = ~ring[0]
    far[0] = False
    error = math.sqrt(frequency[far].mean() / (trials * n))
    assert abs(frequency[far] - frequency[far].mean()).max() < 4 * error
    rng = np.random.default_rng(0)
    loop = [rewired_by_a_loop(rng, n, neighbours, rewiring) for _ in range(4000)]
    error = np.std(loop) * math.sqrt(1 / len(loop) + 1 / (trials * n))
    assert abs(frequency[far].sum() - np.mean(loop)) < 4 * error


def rewired_by_a_loop(rng, n, neighbours, rewiring):
    """How many of the sources of unit 0 lie outside of the ring after rewiring."""
    ring = [*range(1, neighbours + 1), *range(n - neighbours, n)]
    sources = set(ring)
    for old in ring:
        if rng.random() < rewiring:
            new = rng.choice([j for j in range(1, n) if j not in sources])
            sources = sources - {old} | {new}
    return len(sources - set(ring))


# Space


def positions(n, dim, seed=3):
    return jax.random.uniform(jax.random.key(seed), (n, dim))


def test_the_probability_of_a_connection_is_that_of_its_distance():
    targets, sources, trials = positions(5, 2), positions(4, 2, seed=4), 3000
    profile = jc.GaussianProfile(peak=0.8, width=0.3)
    draw = partial(jc.distance_dependent, targets, sources, profile)
    masks = jax.jit(jax.vmap(lambda key: draw(key=key)))(keys(trials))
    frequency = np.asarray(masks).mean(axis=0)
    for i, j in np.ndindex(5, 4):
        distance = math.dist(targets[i].tolist(), sources[j].tolist())
        p = 0.8 * math.exp(-(distance**2) / (2 * 0.3**2))
        assert abs(frequency[i, j] - p) < 4 * math.sqrt(p * (1 - p) / trials)


@pytest.mark.parametrize("box", [None, 1.0, np.array([1.0, 0.6])], ids=str)
@pytest.mark.parametrize("radius", [0.2, 0.45])
def test_the_distance_in_a_box_is_that_to_the_nearest_image(box, radius):
    targets, sources = positions(25, 2) * 2.0, positions(20, 2, seed=4)
    lengths = np.broadcast_to(np.inf if box is None else box, 2)
    images = itertools.product([-2, -1, 0, 1, 2], repeat=2) if box else [(0, 0)]
    shifts = [np.where(np.array(image) == 0, 0.0, image * lengths) for image in images]
    expected = [
        [min(np.linalg.norm(x - y - s) for s in shifts) < radius for y in sources]
        for x in np.asarray(targets)
    ]
    mask = jc.distance_dependent(targets, sources, lambda d: d < radius, key=KEY, box=box)
    assert mask.tolist() == expected
    assert 0 < mask.mean() < 1


def test_a_wide_profile_is_bernoulli_and_a_narrow_one_is_one_to_one():
    x = positions(20, 3)
    draw = lambda width: jc.distance_dependent(
        x, x, jc.GaussianProfile(peak=1.0, width=width), key=KEY, self_connections=True
    )
    assert draw(1e6).all()
    assert (draw(1e-6) == jc.one_to_one(20)).all()


def test_the_probability_at_distance_zero_does_not_matter_without_self_connections():
    x = positions(20, 2)
    draw = partial(jc.distance_dependent, x, x, lambda d: 1e-4 / d, key=KEY)
    assert not np.diag(draw(self_connections=False)).any()
    with pytest.raises(ValueError, match=r"`probability` leaves \[0, 1\]"):
        draw(self_connections=True)


def test_the_width_of_a_profile_can_be_scanned():
    x = positions(30, 2)
    draw = lambda width: jc.distance_dependent(
        x, x, jc.GaussianProfile(peak=1.0, width=width), key=KEY, self_connections=False
    )
    widths = jnp.array([0.05, 0.2, 1.0])
    batch = jax.vmap(draw)(widths)
    for mask, width in zip(batch, widths, strict=True):
        assert (mask == draw(float(width))).all()


# Weights

WEIGHTS = {
    "gaussian": (jc.gaussian_weights, (1.5, 0.4), stats.norm(1.5, 0.4)),
    "uniform": (jc.uniform_weights, (-0.5, 2.0), stats.uniform(-0.5, 2.5)),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_have_their_distribution_on_the_mask_and_are_zero_elsewhere(name):
    draw, parameters, distribution = WEIGHTS[name]
    mask = np.asarray(jc.bernoulli(100, 80, 0.4, key=KEY))
    weights = np.asarray(draw(jnp.asarray(mask), *parameters, key=KEY))
    assert (weights[~mask] == 0).all()
    assert stats.kstest(weights[mask], distribution.cdf).pvalue > 0.01
    assert len(np.unique(weights[mask])) == mask.sum()


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_differentiate_as_finite_differences_do(name):
    draw, parameters, _ = WEIGHTS[name]
    mask = jc.bernoulli(6, 5, 0.5, key=KEY)
    loss = lambda *p: jnp.sum(jnp.sin(draw(mask, *p, key=KEY)))
    step = 1e-6
    for argument in (0, 1):
        moved = [
            [p + sign * step * (i == argument) for i, p in enumerate(parameters)]
            for sign in (1, -1)
        ]
        expected = (loss(*moved[0]) - loss(*moved[1])) / (2 * step)
        reverse = jax.grad(loss, argument)(*parameters)
        forward = jax.jacfwd(loss, argument)(*parameters)
        assert abs(expected) > 0.1
        assert float(reverse) == pytest.approx(float(expected), rel=1e-7)
        assert float(forward) == pytest.approx(float(expected), rel=1e-7)


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_are_batched_over_keys_and_parameters(name):
    draw, (first, second), _ = WEIGHTS[name]
    mask = jc.bernoulli(6, 5, 0.5, key=KEY)
    firsts = jnp.array([first, first - 1.0])
    one = lambda first, key: draw(mask, first, second, key=key)
    batch = jax.vmap(one)(firsts, keys(2))
    for i in range(2):
        alone = one(float(firsts[i]), keys(2)[i])
        assert np.asarray(batch[i]) == pytest.approx(np.asarray(alone), abs=1e-14)


def test_each_source_or_each_target_can_have_its_weight():
    mask = jc.all_to_all(2, 3)
    by_source = jc.gaussian_weights(mask, jnp.array([1.0, 2.0, -3.0]), 0.0, key=KEY)
    assert by_source.tolist() == [[1.0, 2.0, -3.0]] * 2
    by_target = jc.uniform_weights(mask, np.array([[4.0], [5.0]]), 5.0, key=KEY)
    assert by_target[1].tolist() == [5.0] * 3
    assert ((by_target[0] >= 4) & (by_target[0] < 5)).all()


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
    mask = jc.small_world(60, 3, 0.1, key=KEY)
    found = jc.statistics(mask, seed=5, random_graphs=4)
    source = random.Random(5)
    graphs = [nx.gnm_random_graph(60, 180, seed=source) for _ in range(4)]
    assert all(map(nx.is_connected, graphs))
    clustering = np.mean([nx.average_clustering(g) for g in graphs])
    path_length = np.mean([nx.average_shortest_path_length(g) for g in graphs])
    assert found.random_clustering == pytest.approx(clustering)
    assert found.random_path_length == pytest.approx(path_length)
    expected = found.clustering / clustering / (found.path_length / path_length)
    assert found.small_worldness == pytest.approx(expected)
    assert found.small_worldness > 2


def test_a_random_network_is_no_small_world():
    mask = jc.bernoulli(80, 80, 0.15, key=KEY, self_connections=False)
    found = jc.statistics(mask, seed=0)
    assert found.directed
    assert found.mean_degree == pytest.approx(float(mask.sum()) / 80)
    assert found.small_worldness == pytest.approx(1.0, abs=0.1)


def test_a_directed_path_leads_from_source_to_target():
    # 0 -> 1 -> 2 -> 0, and 0 -> 3 -> 0.
    mask = np.zeros((4, 4), bool)
    for source, target in [(0, 1), (1, 2), (2, 0), (0, 3), (3, 0)]:
        mask[target, source] = True
    found = jc.statistics(jnp.asarray(mask), seed=0)
    graph = nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 3), (3, 0)])
    assert found.path_length == nx.average_shortest_path_length(graph)
    assert found.clustering == nx.average_clustering(graph) > 0


def test_self_connections_do_not_count():
    mask = jc.small_world(30, 3, 0.2, key=KEY)
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

X = positions(3, 2)
MASK = jc.one_to_one(3)
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
    "peak": (
        lambda: jc.GaussianProfile(peak=-1.0, width=1.0),
        "`peak` of `GaussianProfile` must be nonnegative",
    ),
    "width": (
        lambda: jc.GaussianProfile(peak=0.1, width=0.0),
        "`width` of `GaussianProfile` must be positive",
    ),
    "std": (
        lambda: jc.gaussian_weights(MASK, -1.0, np.array([1.0, -1.0, 0.0]), key=KEY),
        "`std` must not be negative.*the sign of the weights is that of `mean`",
    ),
    "mean NaN": (
        lambda: jc.gaussian_weights(MASK, NAN, 1.0, key=KEY),
        "`mean` is NaN or infinite",
    ),
    "low above high": (
        lambda: jc.uniform_weights(MASK, 1.0, np.array([2.0, 2.0, 0.5]), key=KEY),
        "`low` is 1.0, above `high`.*Swap them",
    ),
    "high infinite": (
        lambda: jc.uniform_weights(MASK, 1.0, math.inf, key=KEY),
        "`high` is NaN or infinite",
    ),
    "shape of the mean": (
        lambda: jc.gaussian_weights(MASK, jnp.ones(2), 1.0, key=KEY),
        r"`mean` has shape \(2,\), which does not broadcast to \(3, 3\)",
    ),
    "batch of means": (
        lambda: jc.gaussian_weights(MASK, jnp.ones((1, 1, 1)), 1.0, key=KEY),
        r"`mean` has shape \(1, 1, 1\), which does not broadcast",
    ),
    "not square": (
        lambda: jc.statistics(jc.all_to_all(3, 4), seed=0),
        r"`mask` must be square, \(n, n\), .* \(3, 4\)",
    ),
    "one unit": (lambda: jc.statistics(jc.one_to_one(1), seed=0), "n of at least 2"),
    "no random graph": (
        lambda: jc.statistics(MASK, seed=0, random_graphs=0),
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
        jax.jit(lambda key: jc.gaussian_weights(MASK, 0.0, -1.0, key=key))(KEY)


TRACED = {
    "bernoulli": (lambda p: jc.bernoulli(2, 3, p, key=KEY), "`p` must lie in"),
    "small_world": (lambda p: jc.small_world(9, 2, p, key=KEY), "`rewiring` must lie in"),
    "probability": (lambda p: place(lambda d: p + 0 * d), "`probability` leaves"),
    "position": (lambda p: place(lambda d: d < 1, box=p), "a position or `box` is"),
}


@pytest.mark.parametrize("name", TRACED)
@pytest.mark.parametrize("bad", [-0.5, NAN])
def test_a_traced_bad_probability_raises_when_the_program_runs(name, bad):
    call, message = TRACED[name]
    with pytest.raises(RuntimeError, match=message):
        jax.block_until_ready(eqx.filter_jit(call)(jnp.array(bad)))
    with pytest.raises(RuntimeError, match=message):
        jax.block_until_ready(eqx.filter_jit(jax.vmap(call))(jnp.array([0.5, bad])))


def test_traced_bad_weights_are_nan_where_they_are_used():
    mask = jnp.array([[True, True, False]])
    std = jnp.array([1.0, -1.0, -1.0])
    gaussian = jax.jit(lambda s: jc.gaussian_weights(mask, 0.0, s, key=KEY))(std)
    assert np.isnan(gaussian).tolist() == [[False, True, False]]
    high = jnp.array([1.0, -1.0, NAN])
    uniform = jax.jit(lambda h: jc.uniform_weights(mask, 0.0, h, key=KEY))(high)
    assert np.isnan(uniform).tolist() == [[False, True, False]]
