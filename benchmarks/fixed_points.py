"""Fixed points on a grid of parameters, against a loop over `scipy.optimize.root`."""

import functools as ft
import itertools
import math
import os

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
import scipy.special
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxnet as jn

from ._ratio import median_seconds, Ratio, seconds


A, THETA, TOLERANCE = 1.2, 2.8, 6e-8
STARTS = np.linspace(0.0, 1.0, 17)
W, U = (m.ravel() for m in np.meshgrid(np.linspace(1, 7, 200), np.linspace(0, 3, 200)))
SAMPLE = 1000
# By 12 steps most starts have ended in a root. The default of 64 goes on with those
# that circle around a ghost; that all roots were found is checked below.
FEW_STEPS, DEFAULT_STEPS = 12, 64


@ft.partial(jax.jit, static_argnums=2)
@ft.partial(jax.vmap, in_axes=(0, 0, None))
def search(w, u, max_steps):
    return jn.fixed_points(
        jn.models.RatePopulation(w=w),
        jnp.asarray(STARTS),
        u=u,
        max_points=3,
        max_steps=max_steps,
        tolerance=TOLERANCE,
    )


OFFSET = float(scipy.special.expit(-A * THETA))


def by_scipy(w: float, u: float) -> tuple[list[float], list[float]]:
    """The distinct roots of one cell and their eigenvalues, as one would by hand."""
    roots: list[float] = []
    residual = lambda r: -r + scipy.special.expit(A * (w * r + u - THETA)) - OFFSET
    for start in STARTS:
        solution = scipy.optimize.root(residual, start, tol=TOLERANCE)
        if solution.success:
            root = float(solution.x[0])
            if abs(residual(root)) < TOLERANCE and all(abs(root - r) > 1e-6 for r in roots):
                roots.append(root)
    s = scipy.special.expit(A * (w * np.asarray(roots) + u - THETA))
    return roots, list(-1 + w * A * s * (1 - s))


def exact_points() -> tuple[np.ndarray, np.ndarray]:
    """The roots of each cell, by bisection between the turning points of dr/dt.

    With s = F + c the inputs at which r is a fixed point are known in closed form,
    u(s) = theta + logit(s)/a - w (s - c), monotone between the s at which u' = 0. So there
    is at most one root in each of three branches: the answer has the axes (branch, cell),
    and says where there is one.
    """
    half = np.sqrt(np.clip(1 - 4 / (A * W), 0, None)) / 2
    edges = np.stack([0 * W + 1e-300, 0.5 - half, 0.5 + half, 0 * W + 1 - 1e-16])
    input_at = lambda s: THETA + scipy.special.logit(s) / A - W * (s - OFFSET)
    roots, exists = [], []
    for low, high in itertools.pairwise(edges):
        rises = input_at(high) > input_at(low)
        exists.append((input_at(low) - U) * (input_at(high) - U) < 0)
        a, b = low.copy(), high.copy()
        for _ in range(1100):
            middle = (a + b) / 2
            right = (input_at(middle) < U) == rises
            a, b = np.where(right, middle, a), np.where(right, b, middle)
        roots.append((a + b) / 2 - OFFSET)
    return np.stack(roots), np.stack(exists)


def wrong_cells(points: jn.FixedPoints) -> int:
    """Cells whose roots differ from those that bisection finds."""
    roots, exists = exact_points()
    found, valid = np.asarray(points.y), np.asarray(points.valid)
    distance = np.where(valid, np.abs(found - roots[..., None]), np.inf).min(axis=-1)
    wrong = np.any(exists & (distance > 1e-9), axis=0)
    return int((wrong | (exists.sum(axis=0) != np.asarray(points.count))).sum())


def over_all_cores(x: np.ndarray) -> jax.Array:
    devices = jax.devices()[: math.gcd(len(jax.devices()), len(x))]
    mesh = jax.make_mesh((len(devices),), ("cells",), (AxisType.Auto,), devices=devices)
    return jax.device_put(x, NamedSharding(mesh, PartitionSpec("cells")))


def main() -> list[Ratio]:
    # One device a core, so that a batch can be sharded over the machine.
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    one_core = (jnp.asarray(W), jnp.asarray(U))
    all_cores = (over_all_cores(W), over_all_cores(U))
    first = seconds(search, *all_cores, FEW_STEPS)
    ours = median_seconds(search, *all_cores, FEW_STEPS)
    cells = np.random.default_rng(0).choice(len(W), SAMPLE, replace=False)
    by_hand = lambda: [by_scipy(float(W[i]), float(U[i])) for i in cells]
    loop = seconds(by_hand) * len(W) / SAMPLE
    times = {}
    for steps in (FEW_STEPS, DEFAULT_STEPS):
        seconds(search, *one_core, steps)
        times[steps] = median_seconds(search, *one_core, steps)
    wrong = wrong_cells(search(*one_core, FEW_STEPS))
    ratio = loop / ours
    details = (
        f"40,000 cells, 17 starts, eigenvalues: {ours:.3f} s with {FEW_STEPS} steps on "
        f"{len(jax.devices())} cores (first call, with compilation, {first:.2f} s); scipy "
        f"{loop:.1f} s, from {SAMPLE} cells. On one core {times[FEW_STEPS]:.3f} s, "
        f"{loop / times[FEW_STEPS]:.0f} times; there with the default of {DEFAULT_STEPS} "
        f"steps {times[DEFAULT_STEPS]:.3f} s, {loop / times[DEFAULT_STEPS]:.0f} times"
    )
    return [
        Ratio(
            "fixed points, times faster than scipy", ">= 800", ratio, ratio >= 800, details
        ),
        Ratio(
            "cells that differ from the closed form", "0", wrong, wrong == 0, "of 40,000"
        ),
    ]
