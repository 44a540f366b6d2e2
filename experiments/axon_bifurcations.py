"""The squid's axon under a current: its Hopf points, and where rest and firing coexist.

The membrane of Hodgkin and Huxley, with the voltage as in NEURON, 65 mV below theirs. In
their paper the leak reverses at 10.613 mV, with which rest is not quite at 0; 10.599 mV
puts it there, and NEURON has 10.7 mV.

By hand the current is what a voltage clamp needs, so that each voltage gives a fixed point.
The eigenvalues there are those of a Jacobian by complex steps, and the Hopf point is where
the real part of a pair changes its sign.
"""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet as jn

from ._report import below, close, equal, Report


# Where the leak reverses (mV), from NEURON's rest and as it is called.
LEAKS = {"10.599": -54.401, "10.613": -54.387, "NEURON": -54.3}
# C. Hendrick, draft of 2026, not refereed, https://github.com/ChaseHendrick/hh-dynamics:
# the currents of the two Hopf points (uA/cm2), proven by ball arithmetic; ω (rad/ms); the
# first Lyapunov coefficient; and the slope of the growth rate in the current.
PUBLISHED = {
    "10.599": (9.7796379953931263, 154.5266336658080008),
    "10.613": (9.7754379953931263, 154.5224336658080008),
}
OMEGAS = (0.5862338131302925, 1.062921806760336)
LYAPUNOV = (0.014793648131008077780, -0.0047285026950739886388)
SPEEDS = (0.018789058, -0.004492279)
# With NEURON's area 1 nA is 1 uA/cm2.
AREA = 1e5
SPAN = (0.0, 180.0)
# A state on the cycle at 6.5 uA/cm2.
FIRING = (29.738, 0.97332, 0.38, 0.45)
G_NA, G_K, G_LEAK, E_NA, E_K = 120.0, 36.0, 0.3, 50.0, -77.0
# mS/cm2, mV and uF/cm2: the parts of the area that are soma and dendrite, per uA/cm2.
CURRENT = lambda s: s.input.value
BLUE, RED, GREEN, PURPLE = jn.plot.COLOURS[:4]


def axon(leak: float = LEAKS["10.599"]) -> jn.models.PointCell:
    channels = jn.mechanisms.HodgkinHuxley()
    membrane = {"channels": channels, "leak": jn.mechanisms.Leak(0.0003, leak)}
    return jn.models.PointCell(membrane, area=AREA)
