"""NEURON's traces of single cells: run by a Python that has NEURON.

``python _neuron_cell.py FOLDER``: `branched` is a soma with `hh` and six passive dendrites,
with a current into one of them; `alpha` is the excitatory cell of the squares with an
`AlphaSynapse`. FOLDER gets one file for each cell and time step; one line of JSON for each
has what is in it and the geometry.
"""

import json
import pathlib
import sys
from typing import Any

import numpy as np
from _neuron_squares import cell, neuron, place, V_START


STEPS = (0.025, 0.001)
# Parent, the end of the parent, length (um) and diameter (um).
DENDRITES = {
    "d0": ("soma", 1, 100, 3),
    "d1": ("d0", 1, 80, 2),
    "d2": ("d0", 1, 120, 1.5),
    "d3": ("d1", 1, 90, 1),
    "d4": ("d1", 1, 60, 0.8),
    "d5": ("soma", 0, 150, 1.2),
}


def branched(h) -> dict[str, Any]:
    """The sections by name."""
    sections = {"soma": h.Section(name="soma")}
    soma = sections["soma"]
    soma.L = soma.diam = 20
    soma.insert("hh")
    for name, (parent, end, length, diameter) in DENDRITES.items():
        made = sections[name] = h.Section(name=name)
        made.connect(sections[parent](end))
        made.L, made.diam, made.nseg = length, diameter, 10
        made.insert("pas")
        for segment in made:
            segment.pas.g, segment.pas.e = 0.0001, -65
    for section in sections.values():
        section.Ra, section.cm = 150, 1
    soma.ena, soma.ek = 50, -77
    return sections


def geometry(sections) -> dict[str, Any]:
    """Of each section its segments' areas (um^2), and the resistances (MOhm).

    `ri` has the resistance from each segment's middle to the middle before it (for the
    first, to the end of the parent that it is attached to), then, as the last value, that
    from the last middle to the section's end.
    """
    values = {}
    for name, section in sections.items():
        values[f"area_{name}"] = np.array([segment.area() for segment in section])
        values[f"ri_{name}"] = np.array(
            [segment.ri() for segment in section] + [section(1).ri()]
        )
    return values


def branched_run(dt: float) -> dict[str, Any]:
    h = neuron(dt)
    sections = branched(h)
    clamp = h.IClamp(sections["d3"](0.95))
    clamp.delay, clamp.dur, clamp.amp = 5, 20, 0.5
    recorded = {"t": h._ref_t, "i": clamp._ref_i, "soma": sections["soma"](0.5)._ref_v}
    recorded |= {name: sections[name](0.95)._ref_v for name in ("d3", "d4", "d5")}
    vectors = {name: h.Vector().record(ref) for name, ref in recorded.items()}
    h.finitialize(V_START)
    h.continuerun(40)
    return {name: np.array(each) for name, each in vectors.items()} | geometry(sections)


def alpha_run(dt: float) -> dict[str, Any]:
    h = neuron(dt)
    made = cell(h, "E", -65)
    place(h)
    synapse = h.AlphaSynapse(made.dend(0.5))
    synapse.onset, synapse.tau, synapse.gmax, synapse.e = 5, 1, 0.01, 0
    recorded = {
        "t": h._ref_t,
        "soma": made.soma(0.5)._ref_v,
        "dend": made.dend(0.5)._ref_v,
        "i": synapse._ref_i,
    }
    vectors = {name: h.Vector().record(ref) for name, ref in recorded.items()}
    h.finitialize(V_START)
    h.continuerun(30)
    return {name: np.array(each) for name, each in vectors.items()} | geometry(
        {"soma_section": made.soma, "dend_section": made.dend}
    )


def main(folder: str) -> None:
    for dt in STEPS:
        for name, made in (("branched", branched_run(dt)), ("alpha", alpha_run(dt))):
            to = pathlib.Path(folder) / f"neuron_{name}_dt{dt}.npz"
            np.savez(to, **made)
            shapes = {each: list(values.shape) for each, values in made.items()}
            fixed = {
                each: values.tolist()
                for each, values in made.items()
                if each.startswith(("area", "ri"))
            }
            print(json.dumps({"file": to.name, "shapes": shapes} | fixed))


if __name__ == "__main__":
    main(*sys.argv[1:])
