"""Continuation: many diagrams at once, one alone, large networks, and a derivative.

A diagram is a branch of fixed points of the Wilson-Cowan model over its input, with the
eigenvalues of each point, the folds and the Hopf points. The goals in seconds are those of
the specification; what has no goal is there to be known.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet as jn
from jaxnet._arnoldi import rightmost_eigenvalues

from ._ratio import median_seconds, Ratio, seconds


DIAGRAMS, RUNS, PAIRS = 100, 5, 9
# Such that the longest of the diagrams takes nearly all steps.
METHOD = jn.PseudoArclength(400, max_step=0.0042)
SPAN, WEIGHTS = (-1.0, 3.0), (5.5, 7.0)
# With folds and a Hopf point.
ONE = 6.5

# Of the large networks: a gain below 1 keeps the branch free of folds. It is followed for
# so few steps that all are accepted.
GAIN, STEPS, STEP, KRYLOV = 0.8, 16, 0.1, 160
SIZES = (10, 100, 1000)


def diagram(w_ee) -> jn.Branch:
    model = jn.models.WilsonCowan(w_ee=w_ee, w_ei=4.8, w_ie=6.0, w_ii=1.2, tau_i=2.0)
    system = jn.Driven(model, (SPAN[0], 0.0))
    input_e = lambda s: s.input.value[0]
    return jn.continuation(system, input_e, jnp.zeros(2), SPAN, method=METHOD)


def first_fold(w_ee):
    return diagram(w_ee).folds.parameter[0]


class Compiled(NamedTuple):
    """A compiled function, and the seconds that it and its first call took."""

    run: Any
    trace: float
    compile: float
    cpu: float
    first: float


def compiled(function: Callable, *args) -> Compiled:
    """As in a new process: without what was traced and compiled before."""
    jax.clear_caches()
    start, cpu = time.perf_counter(), time.process_time()
    lowered = jax.jit(function).lower(*args)
    traced = time.perf_counter()
    run = lowered.compile()
    done, cpu = time.perf_counter(), time.process_time() - cpu
    return Compiled(run, traced - start, done - traced, cpu, seconds(run, *args))


def main() -> list[Ratio]:
    return [*diagrams(), *derivative(), *networks()]


def diagrams() -> list[Ratio]:
    weights = jnp.linspace(*WEIGHTS, DIAGRAMS)
    one, many = compiled(diagram, jnp.asarray(ONE)), compiled(jax.vmap(diagram), weights)
    alone = median_seconds(one.run, jnp.asarray(ONE), runs=PAIRS)
    together = median_seconds(many.run, weights, runs=PAIRS)
    branches = many.run(weights)
    steps = np.asarray(branches.accepted).sum(axis=1) - 1
    whole = int(np.sum(branches.result == jn.RESULTS.successful))
    folds = int(np.sum(branches.folds.valid))
    hopf = int(np.sum(branches.hopf_points.valid))
    per_step = 1e6 * together / steps.sum()
    compile_seconds = one.trace + one.compile
    return [
        Ratio(
            f"{DIAGRAMS} Wilson-Cowan diagrams by vmap, s",
            "<= 0.5, of the specification",
            together,
            together <= 0.5,
            f"{steps.min()} to {steps.max()} of {METHOD.max_steps} steps accepted, "
            f"{whole} branches whole, {folds} folds, {hopf} Hopf points; {per_step:.2f} us "
            f"a step; median of {PAIRS}; first run {many.first:.3f} s, trace "
            f"{many.trace:.1f} s, compilation {many.compile:.1f} s ({many.cpu:.1f} s of "
            "CPU)",
        ),
        Ratio(
            "one Wilson-Cowan diagram, s",
            "<= 0.03, of the specification",
            alone,
            alone <= 0.03,
            f"{int(one.run(jnp.asarray(ONE)).accepted.sum()) - 1} steps accepted; median "
            f"of {PAIRS}; first run {one.first:.3f} s; {DIAGRAMS} by vmap cost "
            f"{together / alone:.1f} times as much",
        ),
        Ratio(
            "one Wilson-Cowan diagram, s to compile",
            "<= 10, of the specification",
            compile_seconds,
            compile_seconds <= 10,
            f"trace {one.trace:.1f} s, compilation {one.compile:.1f} s; {one.cpu:.1f} s of "
            "CPU",
        ),
    ]


def derivative() -> list[Ratio]:
    """Of where the first fold is, by one of the weights, through the continuation."""
    w = jnp.asarray(ONE)
    forward, backward = jax.jit(first_fold), compiled(jax.grad(first_fold), w)
    tangent = jax.jit(lambda w: jax.jvp(first_fold, (w,), (jnp.ones(()),)))
    for run in (forward, tangent):
        seconds(run, w)
    triples = np.array(
        [[seconds(f, w) for f in (forward, backward.run, tangent)] for _ in range(PAIRS)]
    )
    _, reverse_ratio, forward_ratio = np.median(triples / triples[:, :1], axis=0)
    h = 1e-4
    difference = (forward(w + h) - forward(w - h)) / (2 * h)
    error = abs(float(backward.run(w) / difference) - 1)
    times = ", ".join(f"{1e3 * t:.1f}" for t in np.median(triples, axis=0))
    return [
        Ratio(
            "derivative of a fold through the continuation, reverse, in continuations",
            "none",
            float(reverse_ratio),
            True,
            f"forward mode {forward_ratio:.2f}; the continuation, reverse and forward mode "
            f"{times} ms, medians of {PAIRS}; trace {backward.trace:.1f} s, compilation "
            f"{backward.compile:.1f} s ({backward.cpu:.1f} s of CPU)",
        ),
        Ratio(
            "derivative of a fold, relative difference from a finite one",
            "<= 1e-6",
            error,
            error <= 1e-6,
            f"central, with a step of {h}",
        ),
    ]


def network(n: int) -> jn.Driven:
    """A random network whose units have one input, which is the parameter."""
    weights = np.random.default_rng(0).normal(size=(n, n)) * GAIN / math.sqrt(n)
    return jn.Driven(jn.models.RateNetwork(jnp.asarray(weights)), 0.0)


class Cost(NamedTuple):
    """Of an accepted step (s), the share of the eigenvalues in it, and the steps."""

    step: float
    share: float
    steps: int
    compile: float


def networks() -> list[Ratio]:
    return [
        *growth("dense, all eigenvalues", matrix_free=False),
        *growth("matrix-free, 8 eigenvalues", matrix_free=True),
    ]


def growth(name: str, *, matrix_free: bool) -> list[Ratio]:
    costs = {n: cost(n, matrix_free=matrix_free) for n in SIZES}
    table = "; ".join(
        f"n = {n}: {1e3 * c.step:.3g} ms a step, {100 * c.share:.0f} % for eigenvalues, "
        f"{c.steps} steps, compiled in {c.compile:.1f} s"
        for n, c in costs.items()
    )
    small, large = SIZES[-2:]
    exponent = math.log(costs[large].step / costs[small].step) / math.log(large / small)
    return [
        Ratio(
            f"a step for n state variables, {name}: exponent from {small} to {large}",
            "none",
            exponent,
            True,
            table,
        )
    ]


def cost(n: int, *, matrix_free: bool) -> Cost:
    system, count = network(n), 8 if matrix_free else n
    method = jn.PseudoArclength(
        STEPS, max_step=STEP, first_step=STEP, matrix_free=matrix_free
    )

    def follow(system):
        return jn.continuation(
            system,
            lambda s: s.input.value,
            jnp.zeros(n),
            (-1.0, 1.0),
            method=method,
            max_points=1,
            n_eigenvalues=count,
        )

    def eigenvalues(system, branch):
        if not matrix_free:
            of_one = lambda y, p: jn.eigenvalues(system.system, y, u=p)
            return jax.vmap(of_one)(branch.y, branch.parameter)

        def rightmost(row):
            y, p = row
            field = lambda y: system.system.vector_field(0.0, y, p)
            product = lambda v: jax.jvp(field, (y,), (v,))[1]
            return rightmost_eigenvalues(product, n, count, KRYLOV)

        return jax.lax.map(rightmost, (branch.y, branch.parameter))

    whole = compiled(follow, system)
    branch = whole.run(system)
    only = jax.jit(eigenvalues)
    seconds(only, system, branch)
    runs = 1 if n > 300 else RUNS
    total = median_seconds(whole.run, system, runs=runs)
    part = median_seconds(only, system, branch, runs=runs)
    steps = int(branch.accepted.sum()) - 1
    return Cost(total / steps, part / total, steps, whole.trace + whole.compile)
