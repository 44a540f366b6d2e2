"""The cable against dense matrices, and cells against the cable equation."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import inputs, mechanisms, models
from jaxnet._cable import Cable


DT = 0.025


def random_tree(nodes, seed):
    """Each node is joined to one that came before, and then all get other numbers."""
    rng = np.random.default_rng(seed)
    number = rng.permutation(nodes)
    return tuple((int(number[k]), int(number[rng.integers(k)])) for k in range(1, nodes))


# Compartments, junctions, and edges.
TREES = {
    "one node": (1, 0, ()),
    "a chain": (7, 0, tuple((k, k + 1) for k in range(6))),
    "a star": (8, 0, tuple((k, 3) for k in range(8) if k != 3)),
    "a comb": (
        10,
        0,
        tuple((k, k + 1) for k in range(4)) + tuple((k, k + 5) for k in range(5)),
    ),
    "a random tree": (10, 0, random_tree(10, 0)),
    "two junctions": (
        8,
        2,
        ((0, 1), (1, 8), (2, 8), (8, 3), (3, 9), (9, 4), (5, 9), (5, 6), (6, 7)),
    ),
}
BY_TREE = pytest.mark.parametrize("name", TREES)


def laplacian(name, g):
    """What a tree draws from its nodes, junctions included: L v is the current out."""
    compartments, junctions, edges = TREES[name]
    nodes = np.eye(compartments + junctions)
    differences = np.array([nodes[a] - nodes[b] for a, b in edges]).reshape(-1, len(nodes))
    return differences.T @ (g[:, None] * differences)


def dense_change(name, c, g, rate, slope):
    compartments, junctions, _ = TREES[name]
    pad = lambda x: jnp.concatenate([x, jnp.zeros(junctions)])
    matrix = jnp.diag(pad(c * (1 / DT - slope))) + laplacian(name, g)
    return jnp.linalg.solve(matrix, pad(c * rate))[:compartments]


def change(name, c, g, rate, slope):
    _, junctions, edges = TREES[name]
    return Cable(c, g, edges, junctions).implicit_change(rate, slope, DT)


def values(name, seed, cells=()):
    """Capacitances, conductances, rates and slopes of many sizes."""
    compartments, _, edges = TREES[name]
    rng = np.random.default_rng(seed)
    arrays = (
        np.exp(rng.normal(size=(compartments, *cells)) - 5),
        np.exp(2 * rng.normal(size=(len(edges), *cells)) - 4),
        rng.normal(size=(compartments, *cells)),
        3 * rng.normal(size=(compartments, *cells)) - 2,
    )
    return tuple(map(jnp.asarray, arrays))


def derivatives(function, at, along, across, weight):
    """The value, and derivatives of first and second order."""
    pull = lambda *args: jax.vjp(function, *args)[1](weight)
    y, forward = jax.jvp(function, at, along)
    back, second = jax.jvp(pull, at, across)

    def slope_along(*args):
        return jnp.vdot(weight, jax.jvp(function, args, along)[1])

    return y, forward, back, second, jax.grad(slope_along, (0, 1, 2, 3))(*at)


def assert_same(found, expected, rtol=1e-10):
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert x.shape == y.shape
        scale = np.abs(y).max(initial=0)
        np.testing.assert_allclose(x, y, rtol=0, atol=rtol * scale + 1e-15)


@BY_TREE
def test_a_step_and_its_derivatives_are_those_of_a_dense_matrix(name):
    at, along, across = (values(name, seed) for seed in range(3))
    weight = np.random.default_rng(3).normal(size=at[2].shape)
    both = [functools.partial(f, name) for f in (change, dense_change)]
    found, expected = jax.jit(lambda *args: [derivatives(f, *args) for f in both])(
        at, along, across, weight
    )
    assert_same(found, expected)


@pytest.mark.parametrize("name", ["a comb", "two junctions"])
def test_many_cells_are_as_many_dense_matrices(name):
    """Along a trailing axis, and by `vmap`; some of the values are of all cells."""
    cells = (3,)
    c, g, rate, slope = values(name, 0, cells)
    weight = np.random.default_rng(3).normal(size=rate.shape)

    def of_all(function):
        def loss(g, rate, slope):
            x = function(c[:, 0], g, rate, slope)
            return jnp.vdot(weight, x), x

        return jax.grad(loss, (0, 1, 2), has_aux=True)(g, rate, slope)

    each = lambda f: jax.vmap(functools.partial(f, name), (None, -1, -1, -1), -1)
    trailing = functools.partial(change, name)
    found, mapped, expected = jax.jit(
        lambda: [of_all(f) for f in (trailing, each(change), each(dense_change))]
    )()
    assert_same(found, expected)
    assert_same(mapped, expected)


@BY_TREE
def test_the_current_along_a_tree_is_that_of_its_matrix(name):
    compartments, junctions, edges = TREES[name]
    c, g, v, _ = values(name, 0)
    found = eqx.filter_jit(Cable(c, g, edges, junctions).current)(v)
    matrix = np.asarray(laplacian(name, g))
    # No current is left at a junction.
    own, to, between = (
        matrix[:compartments, :compartments],
        matrix[:compartments, compartments:],
        matrix[compartments:, compartments:],
    )
    reduced = own - to @ np.linalg.solve(between, to.T)
    np.testing.assert_allclose(found, -reduced @ v, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.sum(), 0, rtol=0, atol=1e-14)


@BY_TREE
def test_charge_is_kept_however_long_the_step(name):
    """Without a leak all compartments go together; a dense matrix would be singular."""
    dt = 1e16
    compartments, junctions, edges = TREES[name]
    c, g, rate, _ = values(name, 0)
    cable = Cable(c, g, edges, junctions)
    found = eqx.filter_jit(cable.implicit_change)(rate, jnp.zeros(compartments), dt)
    np.testing.assert_allclose(found, dt * jnp.vdot(c, rate) / c.sum(), rtol=1e-12)


SHAPES = {
    "a chain": lambda n: tuple((k, k + 1) for k in range(n - 1)),
    "a random tree": lambda n: random_tree(n, 0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_and_its_derivatives_cost_as_much_as_there_are_compartments(shape):
    def flops(nodes, of):
        edges = SHAPES[shape](nodes)
        loss = lambda c, g, r, s: Cable(c, g, edges).implicit_change(r, s, DT).sum()
        function = {"step": loss, "gradient": jax.grad(loss, (0, 1, 2, 3))}[of]
        arrays = [jnp.ones(n) for n in (nodes, nodes - 1, nodes, nodes)]
        return jax.jit(function).lower(*arrays).cost_analysis()["flops"]

    for of in ("step", "gradient"):
        assert flops(200, of) < 2.2 * flops(100, of)
    assert flops(200, "gradient") < 6 * flops(200, "step")


# Passive cells: one step of any length leads to where they rest.

FOREVER = 1e12
RESISTIVITY, CONDUCTANCE, REST = 150.0, 1e-4, -65.0


def space_constant(diameter):
    """In um."""
    return 1e4 * np.sqrt(1e-4 * diameter / (4 * RESISTIVITY * CONDUCTANCE))


def conductance_of_endless(diameter):
    """In uS, of a cable that goes on in one direction."""
    resistance = 4 * RESISTIVITY * 1e-4 * space_constant(diameter)
    return 1e6 / (resistance / (np.pi * (1e-4 * diameter) ** 2))


def passive(branches):
    return models.Cell(
        models.Morphology(branches),
        {"leak": mechanisms.Leak(CONDUCTANCE, REST)},
        axial_resistivity=RESISTIVITY,
    )


def rest(cell, current):
    run = jn.simulate(
        cell,
        cell.state_at(REST),
        t1=FOREVER,
        u=current,
        method=jn.Grid(FOREVER, jn.Staggered()),
    )
    return np.asarray(run.ys.v[-1]) - REST


def test_a_cable_with_a_sealed_end_has_the_profile_of_the_cable_equation():
    length, diameter, segments = 1000.0, 2.0, 50
    cell = passive({"cable": models.Branch(length, diameter, segments=segments)})
    x = (np.arange(segments) + 0.5) * length / segments / space_constant(diameter)
    end = length / space_constant(diameter)
    ways = np.tanh(x[0]) + np.tanh(end - x[0])
    start = 0.1 / (conductance_of_endless(diameter) * ways)
    expected = start * np.cosh(end - x) / np.cosh(end - x[0])
    assert expected[0] > 3 * expected[-1] / 2
    np.testing.assert_allclose(rest(cell, 0.1), expected, rtol=1e-3)


# Parent, length and diameter (um).
TREE = {
    "root": (None, 200.0, 3.0),
    "a": ("root", 300.0, 2.0),
    "b": ("root", 150.0, 1.0),
    "c": ("a", 250.0, 1.5),
    "d": ("a", 100.0, 0.5),
}


def tree(segments):
    return {
        name: models.Branch(length, diameter, segments=segments, parent=parent)
        for name, (parent, length, diameter) in TREE.items()
    }


def conductance_of_rest(name, start=0.0):
    """Of a branch and all that follows it, from a place on it (um): Rall 1959."""
    _, length, diameter = TREE[name]
    endless = conductance_of_endless(diameter)
    to_end = np.tanh((length - start) / space_constant(diameter))
    beyond = sum(
        conductance_of_rest(n) for n, (parent, *_) in TREE.items() if parent == name
    )
    return endless * (beyond + endless * to_end) / (endless + beyond * to_end)


def test_the_input_resistance_of_a_branched_cell_is_of_second_order_in_its_segments():
    errors = []
    for segments in (5, 10):
        cell = passive(tree(segments))
        _, length, diameter = TREE["root"]
        middle = length / segments / 2
        back = conductance_of_endless(diameter) * np.tanh(middle / space_constant(diameter))
        resistance = 1 / (back + conductance_of_rest("root", middle))
        errors.append(rest(cell, 0.1)[0] / (0.1 * resistance) - 1)
    assert abs(errors[1]) < 1e-3
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=0.05)


def test_the_eigenvalues_of_a_passive_cable_are_cosines():
    segments, length, diameter = 6, 600.0, 2.0
    cell = passive({"cable": models.Branch(length, diameter, segments=segments)})
    step = length / segments / space_constant(diameter)
    waves = 2 * (1 - np.cos(np.pi * np.arange(segments) / segments)) / step**2
    # The membrane has 10 ms.
    expected = -(1 + waves) / 10
    found = np.asarray(jn.eigenvalues(cell, cell.state_at(REST)))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


# An active cell.


def active(segments):
    branches = {"soma": models.Branch(15.0, 15.0)} | {
        name: models.Branch(length, diameter, segments=segments, parent=parent or "soma")
        for name, (parent, length, diameter) in TREE.items()
    }
    return models.Cell(
        models.Morphology(branches),
        {
            "channels": (mechanisms.HodgkinHuxley(), "soma"),
            "leak": mechanisms.Leak(CONDUCTANCE, REST),
        },
        axial_resistivity=RESISTIVITY,
    )


@functools.cache
def soma(segments, dt):
    """The voltage of the soma (mV) on the way to a spike."""
    cell = active(segments)
    current = inputs.Pulse(onset=0.2, duration=10.0, value=0.3)
    method = jn.Grid(dt, jn.Staggered())
    run = jn.simulate(
        cell,
        cell.resting_state(),
        t1=4.0,
        u=current,
        method=method,
        save=jn.SaveAt(t1=True),
    )
    return float(run.ys.v[-1, 0])


def test_a_branched_cell_is_of_first_order_in_the_step():
    v = [soma(10, dt) for dt in (0.05, DT, DT / 2)]
    differences = np.diff(v)
    np.testing.assert_allclose(differences[0] / differences[1], 2, rtol=0.1)
    assert abs(differences[-1]) > 1e-4


@pytest.mark.slow
def test_an_active_cell_is_of_second_order_in_its_segments():
    v = [soma(segments, DT) for segments in (5, 10, 20)]
    differences = np.diff(v)
    np.testing.assert_allclose(differences[0] / differences[1], 4, rtol=0.1)
    assert abs(differences[-1]) > 1e-6
