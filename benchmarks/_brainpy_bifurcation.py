"""BrainPy's side of the benchmark `bifurcation_1d`: run by a Python that has BrainPy.

``python _brainpy_bifurcation.py IN OUT``: IN has `a` and `theta` of the sigmoid, the values
`w` and `u` of the lattice, and the `resolutions`, each the number of values of the rate
between which it looks for a change of sign. OUT has for each what it found, and the times.
"""

import importlib
import sys
import time

import numpy as np


RUNS = 3
LOW, HIGH = -0.01, 1.0


def timed(analysis):
    """What it found, and the time and the processor's time (s) that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = analysis.plot_bifurcation(with_plot=False, with_return=True)
    return found, time.perf_counter() - wall, time.process_time() - cpu


def main(given: str, to: str) -> None:
    brainpy = importlib.import_module("brainpy")
    # Its root finder asks for float64.
    brainpy.math.enable_x64()
    brainpy.math.set_platform("cpu")
    with np.load(given) as data:
        a, theta, w, u, resolutions = (
            data[name] for name in ("a", "theta", "w", "u", "resolutions")
        )
    a, theta = float(a), float(theta)
    offset = 1 / (1 + np.exp(a * theta))

    @brainpy.odeint
    def rate(r, t, w, u):
        return -r + 1 / (1 + brainpy.math.exp(-a * (w * r + u - theta))) - offset

    results = {"version": brainpy.__version__}
    for n in resolutions:
        analysis = brainpy.analysis.Bifurcation1D(
            model=rate,
            target_vars={"r": (LOW, HIGH)},
            target_pars={"w": (w[0], w[-1]), "u": (u[0], u[-1])},
            resolutions={"r": np.linspace(LOW, HIGH, n), "w": w, "u": u},
        )
        # What it compiled it keeps: the first run compiles, the others do not.
        runs = [timed(analysis) for _ in range(1 + RUNS)]
        (r, (at_w, at_u), slope), *_ = runs[-1]
        results |= {f"r_{n}": r, f"w_{n}": at_w, f"u_{n}": at_u, f"slope_{n}": slope}
        results |= {
            f"wall_{n}": [run[1] for run in runs],
            f"cpu_{n}": [run[2] for run in runs],
        }
    np.savez(to, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
