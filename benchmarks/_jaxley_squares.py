"""Jaxley's side of the squares of E and I cells: run by a Python that has Jaxley.

``python _jaxley_squares.py N [options]``: as near to the network of `_neuron_squares.py`
with `--corrected` as Jaxley's own channels and synapses come. They have no delays and no
events: a synapse follows the voltage of the cell before it. A short current into the soma
of the first cell of each square takes the stimulus's place. One line of JSON has the times.
"""

import argparse
import importlib
import json
import time

import numpy as np


V_START = -65.0
THRESHOLD = 10.0
# Of the excitatory and inhibitory synapses: conductance (uS), reversal (mV).
SYNAPSES = {"excite": (0.01, 0.0), "inhibit": (0.01, -80.0)}
TAU, SLOPE = 2.0, 5.0
STIMULUS, STIMULUS_START, STIMULUS_LENGTH = 0.5, 10.0, 1.0


def network(jaxley, n: int, recorded: int):
    channels = importlib.import_module("jaxley.channels")
    connect = importlib.import_module("jaxley.connect")
    ionotropic = importlib.import_module("jaxley.synapses").IonotropicSynapse

    def cell(e_leak: float):
        branch = jaxley.Branch(jaxley.Compartment(), ncomp=1)
        made = jaxley.Cell([branch, branch], parents=[-1, 0])
        made.set("axial_resistivity", 100.0)
        made.set("capacitance", 1.0)
        soma, dend = made.branch(0), made.branch(1)
        soma.set("length", 12.6157)
        soma.set("radius", 12.6157 / 2)
        soma.insert(channels.HH())
        dend.set("length", 200.0)
        dend.set("radius", 0.5)
        dend.insert(channels.Leak())
        made.set("Leak_gLeak", 0.001)
        made.set("Leak_eLeak", e_leak)
        return made

    cells = n * n
    net = jaxley.Network([cell(-65.0)] * cells + [cell(-60.0)] * cells)
    e, i = list(range(cells)), list(range(cells, 2 * cells))
    connect.connect(net.cell(e).branch(0), net.cell(i).branch(1), ionotropic("excite"))
    connect.connectivity_matrix_connect(
        net.cell(i).branch(0),
        net.cell(e).branch(1),
        ionotropic("inhibit"),
        ~np.eye(cells, dtype=bool),
    )
    for name, (conductance, reversal) in SYNAPSES.items():
        net.set(f"{name}_gS", conductance)
        net.set(f"{name}_e_syn", reversal)
        net.set(f"{name}_k_minus", 1 / TAU)
        net.set(f"{name}_v_th", THRESHOLD)
        net.set(f"{name}_delta", SLOPE)
        net.set(f"{name}_s", 0.0)
    net.set("v", V_START)
    net.init_states()
    net.cell(list(range(recorded))).branch(0).record("v", verbose=False)
    return net


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("n", type=int)
    options.add_argument("--t-stop", type=float, default=100.0)
    options.add_argument("--dt", type=float, default=0.025)
    options.add_argument("--float32", action="store_true")
    options.add_argument("--recorded", type=int, help="cells recorded; all by default")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--out")
    given = options.parse_args()
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", not given.float32)
    jax.config.update("jax_platforms", "cpu")
    jaxley = importlib.import_module("jaxley")
    cells = 2 * given.n**2

    def timed(function):
        """What it gives, and the time and the processor's time (s) that it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        made = jax.block_until_ready(function())
        return made, time.perf_counter() - wall, time.process_time() - cpu

    start, started = time.perf_counter(), time.process_time()
    net = network(jaxley, given.n, given.recorded or cells)
    build, build_cpu = time.perf_counter() - start, time.process_time() - started

    t = np.arange(round(given.t_stop / given.dt)) * given.dt
    on = (t >= STIMULUS_START) & (t < STIMULUS_START + STIMULUS_LENGTH)
    first = net.cell([0, cells // 2]).branch(0)

    @jax.jit
    def simulate(current):
        stimuli = first.data_stimulate(current)
        return jaxley.integrate(
            net, data_stimuli=stimuli, delta_t=given.dt, solver="bwd_euler"
        )

    current = jax.numpy.asarray(np.tile(STIMULUS * on, (2, 1)))
    compiled, compile_wall, compile_cpu = timed(lambda: simulate.lower(current).compile())
    runs = [timed(lambda: compiled(current)) for _ in range(1 + given.runs)]
    v = np.asarray(runs[-1][0])
    above = v > THRESHOLD
    spikes = (above[:, 1:] & ~above[:, :-1]).sum(1)
    print(
        json.dumps(
            {
                "n": given.n,
                "t_stop": given.t_stop,
                "dt": given.dt,
                "float32": given.float32,
                "recorded": len(v),
                "connections": len(net.edges),
                "build_s": build,
                "build_cpu_s": build_cpu,
                "compile_s": compile_wall,
                "compile_cpu_s": compile_cpu,
                "first_run_s": runs[0][1],
                "run_s": [wall for _, wall, _ in runs[1:]],
                "run_cpu_s": [cpu for *_, cpu in runs[1:]],
                "spikes": int(spikes.sum()),
                "finite": bool(np.isfinite(v).all()),
                "jaxley": importlib.import_module("importlib.metadata").version("jaxley"),
                "jax": jax.__version__,
            }
        )
    )
    if given.out:
        np.savez(given.out, v=v)


if __name__ == "__main__":
    main()
