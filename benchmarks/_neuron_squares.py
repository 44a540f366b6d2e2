"""NEURON's side of the squares of E and I cells: run by a Python that has NEURON.

``python _neuron_squares.py N [options]``: N x N excitatory and N x N inhibitory cells, each
a soma with `hh` and a passive dendrite with a synapse. Cell k of E excites cell k of I, and
each cell of I inhibits all cells of E but that of its own number. One line of JSON has the
times and the counts of spikes, and `--out` takes the spikes and the somas' voltages.
"""

import argparse
import dataclasses
import importlib
import json
import time
from typing import Any

import numpy as np


V_START = -65.0
THRESHOLD = 10.0
DELAY = 5.0
# To the synapses with a reversal at 0 mV, and to those of `--corrected`, at -80 mV.
EXCITE, INHIBIT, CORRECTED = 0.01, -0.01, 0.01
STIMULUS, STIMULUS_START, STIMULUS_DELAY = 0.04, 9.0, 1.0


def neuron(dt: float, *, table: bool = False) -> Any:
    """NEURON's interpreter, set to `dt` (ms), with exact rates or its table of rates."""
    h = importlib.import_module("neuron").h
    h.load_file("stdrun.hoc")
    h.celsius = 6.3
    h.dt = dt
    h.steps_per_ms = 1 / dt
    h.usetable_hh = int(table)
    return h


@dataclasses.dataclass
class Cell:
    """Sections and synapses of one cell; NEURON drops what is not held."""

    soma: Any
    dend: Any
    synapse: Any
    inhibition: Any = None


def cell(h, name: str, e_pas: float, *, corrected: bool = False) -> Cell:
    soma, dend = h.Section(name=f"{name}_soma"), h.Section(name=f"{name}_dend")
    dend.connect(soma(1))
    soma.L = soma.diam = 12.6157
    dend.L, dend.diam = 200, 1
    for section in (soma, dend):
        section.nseg, section.Ra, section.cm = 1, 100, 1
    soma.insert("hh")
    for segment in soma:
        segment.hh.gnabar, segment.hh.gkbar = 0.12, 0.036
        segment.hh.gl, segment.hh.el = 0.0003, -54.3
    soma.ena, soma.ek = 50, -77
    dend.insert("pas")
    for segment in dend:
        segment.pas.g, segment.pas.e = 0.001, e_pas
    return Cell(
        soma,
        dend,
        exp_syn(h, dend, 0),
        exp_syn(h, dend, -80) if corrected else None,
    )


def exp_syn(h, dend, e: float):
    synapse = h.ExpSyn(dend(0.5))
    synapse.tau, synapse.e = 2, e
    return synapse


def place(h) -> None:
    """Gives all sections 3-D points, as in a model whose cells have places.

    Points that were touched decide the lengths, in single precision: 199.9999924 um.
    """
    h.define_shape()
    for section in h.allsec():
        for k in range(section.n3d()):
            section.pt3dchange(
                k, section.x3d(k), section.y3d(k), section.z3d(k), section.diam3d(k)
            )


def connection(h, source: Cell, target, weight: float):
    made = h.NetCon(source.soma(0.5)._ref_v, target, sec=source.soma)
    made.threshold, made.delay, made.weight[0] = THRESHOLD, DELAY, weight
    return made


class Squares:
    """The network, and vectors for what is recorded."""

    def __init__(self, h, n: int, *, corrected: bool = False) -> None:
        self.e = [cell(h, f"E{k}", -65, corrected=corrected) for k in range(n * n)]
        self.i = [cell(h, f"I{k}", -60) for k in range(n * n)]
        place(h)
        self.connections = [
            connection(h, e, i.synapse, EXCITE) for e, i in zip(self.e, self.i, strict=True)
        ]
        for source, i in enumerate(self.i):
            self.connections += [
                connection(h, i, e.inhibition, CORRECTED)
                if corrected
                else connection(h, i, e.synapse, INHIBIT)
                for target, e in enumerate(self.e)
                if target != source
            ]
        self.stimuli = []
        for first in (self.e[0], self.i[0]):
            stimulus = h.NetStim()
            stimulus.number, stimulus.start = 1, STIMULUS_START
            made = h.NetCon(stimulus, first.synapse)
            made.delay, made.weight[0] = STIMULUS_DELAY, STIMULUS
            self.stimuli += [stimulus, made]
        self.t = h.Vector().record(h._ref_t)
        self.spikes, self.v, self.detectors = [], [], []
        for each in self.e + self.i:
            self.v.append(h.Vector().record(each.soma(0.5)._ref_v))
            self.spikes.append(h.Vector())
            detector = h.NetCon(each.soma(0.5)._ref_v, None, sec=each.soma)
            detector.threshold = THRESHOLD
            detector.record(self.spikes[-1])
            self.detectors.append(detector)


def run(h, t_stop: float) -> tuple[float, float]:
    """The time and the processor's time (s) of one run from the start."""
    wall, cpu = time.perf_counter(), time.process_time()
    h.finitialize(V_START)
    h.continuerun(t_stop)
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("n", type=int)
    options.add_argument("--t-stop", type=float, default=100.0)
    options.add_argument("--dt", type=float, default=0.025)
    options.add_argument("--corrected", action="store_true")
    options.add_argument("--table", action="store_true")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--out")
    given = options.parse_args()

    h = neuron(given.dt, table=given.table)
    start = time.perf_counter()
    squares = Squares(h, given.n, corrected=given.corrected)
    build = time.perf_counter() - start
    runs = [run(h, given.t_stop) for _ in range(given.runs)]

    cells = given.n**2
    spikes = [np.array(times) for times in squares.spikes]
    print(
        json.dumps(
            {
                "n": given.n,
                "t_stop": given.t_stop,
                "dt": given.dt,
                "corrected": given.corrected,
                "table": given.table,
                "connections": len(squares.connections),
                "build_s": build,
                "run_s": [wall for wall, _ in runs],
                "run_cpu_s": [cpu for _, cpu in runs],
                "spikes_e": sum(len(times) for times in spikes[:cells]),
                "spikes_i": sum(len(times) for times in spikes[cells:]),
                "neuron": importlib.import_module("neuron").__version__,
                "numpy": np.__version__,
            }
        )
    )
    if given.out:
        v = np.array([np.array(each) for each in squares.v])
        # Cells 0 to n^2 - 1 are excitatory, the rest inhibitory.
        np.savez(
            given.out,
            t=np.array(squares.t),
            v_e=v[:cells],
            v_i=v[cells:],
            spike_times=np.concatenate(spikes),
            spike_cells=np.repeat(np.arange(2 * cells), [len(each) for each in spikes]),
        )


if __name__ == "__main__":
    main()
