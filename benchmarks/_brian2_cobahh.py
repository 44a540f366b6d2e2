"""Brian2's side of COBAHH (Brette et al. 2007): run by a Python that has Brian2.

``python _brian2_cobahh.py`` builds 4000 Hodgkin-Huxley cells as standalone C++, with one
thread, and runs them for a second. With ``--numpy-reference FILE`` it runs 200 cells with
numpy from a network that was drawn here, and saves what another simulator needs to be
compared with it spike by spike.
"""

import argparse
import importlib
import json
import resource
import tempfile
import time
from typing import Any

import numpy as np


# As in the example of Brian2's documentation: the membrane, in whole cells' units.
AREA_CM2 = 20000e-8
CM = 1e-6 * AREA_CM2
GL, G_NA, G_KD = 5e-5 * AREA_CM2, 100e-3 * AREA_CM2, 30e-3 * AREA_CM2
EL = -60e-3
WE, WI = 6e-9, 67e-9
TAU_E, TAU_I = 5e-3, 10e-3
EXCITATORY = 0.8
DT = 1e-4
# exprel(x) is (exp(x) - 1)/x.
EQUATIONS = """
dv/dt = (gl*(El - v) + ge*(Ee - v) + gi*(Ei - v)
         - g_na*(m*m*m)*h*(v - ENa) - g_kd*(n*n*n*n)*(v - EK))/Cm : volt
dm/dt = alpha_m*(1 - m) - beta_m*m : 1
dn/dt = alpha_n*(1 - n) - beta_n*n : 1
dh/dt = alpha_h*(1 - h) - beta_h*h : 1
dge/dt = -ge/taue : siemens
dgi/dt = -gi/taui : siemens
alpha_m = 0.32*4/exprel((13*mV - v + VT)/(4*mV))/ms : Hz
beta_m = 0.28*5/exprel((v - VT - 40*mV)/(5*mV))/ms : Hz
alpha_h = 0.128*exp((17*mV - v + VT)/(18*mV))/ms : Hz
beta_h = 4./(1 + exp((40*mV - v + VT)/(5*mV)))/ms : Hz
alpha_n = 0.032*5/exprel((15*mV - v + VT)/(5*mV))/ms : Hz
beta_n = 0.5*exp((10*mV - v + VT)/(40*mV))/ms : Hz
"""


def cells(brian2, n: int):
    units = brian2
    namespace = {
        "Cm": CM * units.farad,
        "gl": GL * units.siemens,
        "g_na": G_NA * units.siemens,
        "g_kd": G_KD * units.siemens,
        "El": EL * units.volt,
        "EK": -90e-3 * units.volt,
        "ENa": 50e-3 * units.volt,
        "VT": -63e-3 * units.volt,
        "Ee": 0 * units.volt,
        "Ei": -80e-3 * units.volt,
        "taue": TAU_E * units.second,
        "taui": TAU_I * units.second,
    }
    return brian2.NeuronGroup(
        n,
        EQUATIONS,
        threshold="v > -20*mV",
        refractory=3 * units.ms,
        method="exponential_euler",
        namespace=namespace,
    )


def synapses(brian2, group, excitatory: int):
    weights = {"we": WE * brian2.siemens, "wi": WI * brian2.siemens}
    return (
        brian2.Synapses(group[:excitatory], group, on_pre="ge += we", namespace=weights),
        brian2.Synapses(group[excitatory:], group, on_pre="gi += wi", namespace=weights),
    )


def standalone(brian2, size: int, p: float, duration: float, seed: int, runs: int) -> None:
    brian2.set_device("cpp_standalone", build_on_run=False)
    brian2.prefs.devices.cpp_standalone.openmp_threads = 0
    brian2.defaultclock.dt = DT * brian2.second
    brian2.seed(seed)
    start = time.perf_counter()
    group = cells(brian2, size)
    excite, inhibit = synapses(brian2, group, int(EXCITATORY * size))
    excite.connect(p=p)
    inhibit.connect(p=p)
    group.v = "El + (randn() * 5 - 5)*mV"
    group.ge = "(randn() * 1.5 + 4) * 10*nS"
    group.gi = "(randn() * 12 + 20) * 10*nS"
    spikes = brian2.SpikeMonitor(group, record=False)
    network = brian2.Network(group, excite, inhibit, spikes)
    network.run(duration * brian2.second)
    with tempfile.TemporaryDirectory() as folder:
        described = time.perf_counter() - start
        brian2.device.build(directory=folder, compile=True, run=False, with_output=False)
        built = time.perf_counter() - start
        # The loop over the steps alone, and the program: it draws the network too.
        loops, programs, cpus = [], [], []
        for _ in range(runs):
            wall, cpu = time.perf_counter(), children()
            brian2.device.run(directory=folder, with_output=False)
            programs.append(time.perf_counter() - wall)
            cpus.append(children() - cpu)
            loops.append(brian2.device._last_run_time)
        count = int(spikes.num_spikes)
        connections = len(excite) + len(inhibit)
    print(
        json.dumps(
            {
                "n": size,
                "p": p,
                "duration_s": duration,
                "connections": connections,
                "describe_s": described,
                "build_s": built,
                "run_s": loops,
                "program_s": programs,
                "program_cpu_s": cpus,
                "rate_hz": count / size / duration,
                "brian2": brian2.__version__,
                "numpy": np.__version__,
            }
        )
    )


def children() -> float:
    """The processor's time (s) of the programs that were run and are over."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def numpy_reference(brian2, to: str, seed: int) -> None:
    size, p, duration = 200, 0.1, 0.03
    excitatory = int(EXCITATORY * size)
    rng = np.random.default_rng(seed)
    connected = rng.random((size, size)) < p
    source, target = np.nonzero(connected)
    start: dict[str, Any] = {
        "v": EL + (5 * rng.standard_normal(size) - 5) * 1e-3,
        "ge": (1.5 * rng.standard_normal(size) + 4) * 10e-9,
        "gi": (12 * rng.standard_normal(size) + 20) * 10e-9,
        "m": np.zeros(size),
        "n": np.zeros(size),
        "h": np.zeros(size),
    }

    brian2.prefs.codegen.target = "numpy"
    brian2.defaultclock.dt = DT * brian2.second
    group = cells(brian2, size)
    excite, inhibit = synapses(brian2, group, excitatory)
    from_e = source < excitatory
    excite.connect(i=source[from_e], j=target[from_e])
    inhibit.connect(i=source[~from_e] - excitatory, j=target[~from_e])
    units = {"v": brian2.volt, "ge": brian2.siemens, "gi": brian2.siemens}
    for name, values in start.items():
        setattr(group, name, values * units.get(name, 1))
    spikes = brian2.SpikeMonitor(group)
    traces = brian2.StateMonitor(group, True, record=True)
    network = brian2.Network(group, excite, inhibit, spikes, traces)
    network.run(duration * brian2.second)
    states: dict[str, Any] = {f"start_{name}": values for name, values in start.items()}
    for name in start:
        states[f"end_{name}"] = np.array(getattr(group, f"{name}_"))
        states[f"trace_{name}"] = np.array(getattr(traces, f"{name}_"))
    # All in seconds, volts and siemens; the first 160 cells are excitatory. A trace has
    # the state at each step's start, and a spike the time of the start of the step in
    # which it is.
    np.savez(
        to,
        dt=DT,
        source=source,
        target=target,
        spike_times=np.array(spikes.t_),
        spike_cells=np.array(spikes.i),
        t=np.array(traces.t_),
        **states,
    )
    print(
        json.dumps(
            {
                "n": size,
                "p": p,
                "duration_s": duration,
                "connections": len(source),
                "spikes_e": int(np.sum(np.array(spikes.i) < excitatory)),
                "spikes_i": int(np.sum(np.array(spikes.i) >= excitatory)),
                "brian2": brian2.__version__,
                "numpy": np.__version__,
            }
        )
    )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--n", type=int, default=4000)
    options.add_argument("--p", type=float, default=0.02)
    options.add_argument("--duration", type=float, default=1.0)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--numpy-reference")
    given = options.parse_args()
    brian2 = importlib.import_module("brian2")
    if given.numpy_reference:
        numpy_reference(brian2, given.numpy_reference, given.seed)
    else:
        standalone(brian2, given.n, given.p, given.duration, given.seed, given.runs)


if __name__ == "__main__":
    main()
