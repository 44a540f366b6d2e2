"""Cells with channels, beside NEURON, Jaxley and Brian2; and their growth.

Name the Python of a peer, which needs an environment of its own, to have it run too:
``NEURON_PYTHON``, ``JAXLEY_PYTHON`` and ``BRIAN2_PYTHON``. NEURON and this library step the
same network, n x n excitatory and as many inhibitory cells of two compartments, by the same
scheme. Jaxley's network has no delays. Brian2's is COBAHH, in C++.
"""

import json
import os
import pathlib
import subprocess
import time

import equinox as eqx
import jax
import numpy as np

import jaxnet as jn
from experiments._squares import run as run_squares, squares

from . import _cobahh
from ._ratio import Ratio


SIDE = 15
RUNS = 5
SIZES = (1, 10, 100, 1000, 10_000)
STEPS = 200


def peer(variable: str, script: str, *arguments: str) -> dict | None:
    """What the script of a peer prints, where its Python is named."""
    python = os.environ.get(variable)
    if python is None:
        return None
    path = pathlib.Path(__file__).with_name(script)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, str(path), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


def cpu_seconds(function, *args) -> float:
    start = time.process_time()
    jax.block_until_ready(function(*args))
    return time.process_time() - start


def median_cpu(function, *args) -> float:
    return float(np.median([cpu_seconds(function, *args) for _ in range(RUNS)]))


def the_squares() -> list[Ratio]:
    somata = lambda t, y, args: [y.neurons[name].v[0] for name in "ei"]
    save = jn.SaveAt(t0=True, steps=1, fn=somata)
    start = time.process_time()
    network = squares(SIDE)
    step = lambda network: run_squares(network, save=save).ys
    jax.block_until_ready(step(network))
    first = time.process_time() - start
    ours = median_cpu(step, network)
    # The first run computes too.
    build = first - ours
    details = f"run {ours:.3f} s; build, trace and compile {build:.1f} s"
    ratios = []
    neuron = peer("NEURON_PYTHON", "_neuron_squares.py", str(SIDE), "--runs", str(RUNS))
    if neuron is not None:
        theirs = float(np.median(neuron["run_cpu_s"]))
        ratios.append(
            Ratio(
                f"squares of {SIDE} x {SIDE} cells, 100 ms, times NEURON's time",
                "<= 0.6",
                ours / theirs,
                ours <= 0.6 * theirs,
                f"{details}; NEURON run {theirs:.3f} s, build {neuron['build_s']:.2f} s; "
                "all of the processor, every soma recorded",
            )
        )
    jaxley = peer("JAXLEY_PYTHON", "_jaxley_squares.py", str(SIDE), "--runs", "2")
    if jaxley is not None:
        theirs = jaxley["build_cpu_s"] + jaxley["compile_cpu_s"]
        ratios.append(
            Ratio(
                "the same, to build and compile, times Jaxley's time",
                "<= 0.2",
                build / theirs,
                build <= 0.2 * theirs,
                f"{details}; Jaxley build {jaxley['build_cpu_s']:.1f} s, compile "
                f"{jaxley['compile_cpu_s']:.1f} s, run "
                f"{np.median(jaxley['run_cpu_s']):.2f} s",
            )
        )
    return ratios


def cobahh() -> list[Ratio]:
    network = _cobahh.network(jax.random.key(0))
    y0 = _cobahh.initial_state(network, jax.random.key(1))
    method = jn.Grid(_cobahh.DT, jn.Exponential(), record=jn.RecordTimes(200_000))

    @eqx.filter_jit
    def run(network, y0):
        last = jn.SaveAt(t1=True)
        return jn.simulate(network, y0, t1=_cobahh.T1, method=method, save=last)

    first = cpu_seconds(run, network, y0)
    ours = median_cpu(run, network, y0)
    spikes = run(network, y0).spikes
    assert isinstance(spikes, jn.Spikes)
    rate = int(spikes.count) / _cobahh.N
    brian2 = peer("BRIAN2_PYTHON", "_brian2_cobahh.py", "--runs", str(RUNS))
    if brian2 is None:
        return []
    theirs = float(np.median(brian2["run_s"]))
    return [
        Ratio(
            "COBAHH, 4000 cells, 1 s, times Brian2's time (C++ standalone)",
            "<= 0.4",
            ours / theirs,
            ours <= 0.4 * theirs,
            f"{ours:.2f} s against {theirs:.2f} s; {rate:.1f} and "
            f"{brian2['rate_hz']:.1f} Hz; first run, with compilation, {first:.1f} s, "
            f"Brian2's build {brian2['build_s']:.0f} s",
        )
    ]


def bush(compartments: int) -> jn.models.Cell:
    """A binary tree of branches with ten compartments each."""
    branches = {"0": jn.models.Branch(100.0, 2.0, segments=min(10, compartments))}
    for k in range(1, compartments // 10):
        parent = str((k - 1) // 2)
        branches[str(k)] = jn.models.Branch(100.0, 2.0, segments=10, parent=parent)
    mechanisms = {
        "channels": jn.mechanisms.HodgkinHuxley(),
        "leak": jn.mechanisms.Leak(0.0003, -54.3),
    }
    return jn.models.Cell(jn.models.Morphology(branches), mechanisms)


def growth() -> list[Ratio]:
    method, last = jn.Grid(0.025, jn.Staggered()), jn.SaveAt(t1=True)

    def total(cell, y0):
        run = jn.simulate(cell, y0, t1=STEPS * 0.025, u=0.1, method=method, save=last)
        return run.ys.v.sum()

    programs = {"forward": eqx.filter_jit(total)}
    programs["backward"] = eqx.filter_jit(eqx.filter_grad(total))
    times: dict[str, list[float]] = {name: [] for name in programs}
    for size in SIZES:
        cell = bush(size)
        y0 = cell.resting_state()
        for name, program in programs.items():
            cpu_seconds(program, cell, y0)
            times[name].append(median_cpu(program, cell, y0) / STEPS)
    ratios = []
    for name, found in times.items():
        exponent = np.log(found[-1] / found[-2]) / np.log(SIZES[-1] / SIZES[-2])
        sizes = ", ".join(f"{n:,}" for n in SIZES)
        steps = ", ".join(f"{1e6 * x:.3g}" for x in found)
        ratios.append(
            Ratio(
                f"growth of a step from 1,000 to 10,000 compartments, {name}: exponent",
                "<= 1.1",
                float(exponent),
                bool(exponent <= 1.1),
                f"us a step with {sizes} compartments: {steps}",
            )
        )
    backward, forward = times["backward"][-1], times["forward"][-1]
    ratios.append(
        Ratio(
            "gradient of 200 steps of 10,000 compartments, in forward runs",
            "none",
            backward / forward,
            True,
            "reverse mode, without checkpoints",
        )
    )
    return ratios


def main() -> list[Ratio]:
    return [*the_squares(), *cobahh(), *growth()]
