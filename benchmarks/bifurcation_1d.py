"""Fixed points of a population over two parameters, against BrainPy's `Bifurcation1D`.

BrainPy is an optional peer: name a Python that has it in the variable `BRAINPY_PYTHON`.
Without one only the count of our points is checked. BrainPy 2.6 needs an older jax than
jaxnet does, so it must live in an environment of its own.

It looks for a change of sign between neighbouring values of the rate, and follows with
Brent's method. Two fixed points between two neighbours it misses, as near a fold: how many
it finds depends on the number of values, and so does its time.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from ._ratio import median_seconds, Ratio, seconds
from .fixed_points import A, exact_points, FEW_STEPS, search, THETA, U, W


# 20 is BrainPy's default.
RESOLUTIONS = (20, 100, 500)
NEAR = 1e-7


def keys(cell: np.ndarray, r: np.ndarray) -> np.ndarray:
    """One number a fixed point: rates are between 0 and 1."""
    return np.sort(cell + r)


def found_of(exact: np.ndarray, found: np.ndarray) -> int:
    """How many of the exact points were found."""
    place = np.searchsorted(found, exact)
    gaps = [
        np.abs(exact - found[np.clip(place - back, 0, len(found) - 1)]) for back in (0, 1)
    ]
    return int((np.minimum(*gaps) < NEAR).sum())


def by_brainpy(python: str) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        given, to = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(
            given,
            a=A,
            theta=THETA,
            w=np.unique(W),
            u=np.unique(U),
            resolutions=RESOLUTIONS,
        )
        script = Path(__file__).parent / "_brainpy_bifurcation.py"
        # Its messages are of no interest, unless it fails.
        run = subprocess.run(
            [python, script, given, to], capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            raise RuntimeError(f"BrainPy failed:\n{run.stderr}")
        with np.load(to) as data:
            return dict(data)


def main() -> list[Ratio]:
    cells = np.arange(len(W))
    roots, exists = exact_points()
    exact = keys(np.broadcast_to(cells, exists.shape)[exists], roots[exists])

    arguments = (jnp.asarray(W), jnp.asarray(U), FEW_STEPS)
    first = seconds(search, *arguments)
    ours = median_seconds(search, *arguments)
    points = search(*arguments)
    valid = np.asarray(points.valid)
    found = keys(np.nonzero(valid)[0], np.asarray(points.y)[valid])
    missed, extra = len(exact) - found_of(exact, found), len(found) - len(exact)
    name = "fixed points over w and I"
    ratios = [
        Ratio(
            f"{name}, missed or too many",
            "0",
            missed + abs(extra),
            missed + abs(extra) == 0,
            f"of {len(exact)}; {ours:.3f} s, first call, with compilation, {first:.2f} s",
        )
    ]
    python = os.environ.get("BRAINPY_PYTHON")
    if python is None:
        return ratios
    return ratios + compare(name, exact, ours, first, by_brainpy(python))


def compare(
    name: str, exact: np.ndarray, ours: float, first: float, theirs: dict[str, np.ndarray]
) -> list[Ratio]:
    columns = len(np.unique(W))
    step_w, step_u = np.ptp(W) / (columns - 1), np.ptp(U) / (len(W) // columns - 1)
    counts, walls, cpus, firsts = {}, {}, {}, {}
    for n in RESOLUTIONS:
        at_w, at_u = theirs[f"w_{n}"], theirs[f"u_{n}"]
        row, column = np.rint((at_u - U[0]) / step_u), np.rint((at_w - W[0]) / step_w)
        counts[n] = found_of(exact, keys(row * columns + column, theirs[f"r_{n}"]))
        firsts[n] = theirs[f"wall_{n}"][0]
        walls[n] = float(np.median(theirs[f"wall_{n}"][1:]))
        cpus[n] = float(np.median(theirs[f"cpu_{n}"][1:]))
    # The one that costs least of those that find most.
    best = max(RESOLUTIONS, key=lambda n: (counts[n], -walls[n]))
    default = RESOLUTIONS[0]
    warm, cold, coarse = ours / walls[best], first / firsts[best], ours / walls[default]
    table = "; ".join(
        f"{n} values: {counts[n]} points, {walls[n]:.3f} s ({cpus[n]:.3f} s of CPU), first "
        f"{firsts[n]:.2f} s"
        for n in RESOLUTIONS
    )
    return [
        Ratio(
            f"{name}, time in BrainPy's with {best} values",
            "<= 0.05",
            warm,
            warm <= 0.05,
            f"{ours:.3f} s; BrainPy {theirs['version']}, {table}",
        ),
        Ratio(
            f"{name}, the same with compilation",
            "<= 0.5",
            cold,
            cold <= 0.5,
            f"{first:.2f} s against {firsts[best]:.2f} s, without imports",
        ),
        Ratio(
            f"{name}, time in BrainPy's with its default of {default} values",
            "<= 1",
            coarse,
            coarse <= 1,
            f"{ours:.3f} s against {walls[default]:.3f} s, for which it misses "
            f"{len(exact) - counts[default]} points",
        ),
    ]
