"""The sheet as its source has it: one conductance a synapse, four projections, NumPy.

Two layers of leaky integrate-and-fire neurons and four layers of synapses, each with an
array ``g[i, j, a, b]``: target (i, j), tap (a, b) of its window onto the source lattice.
"""

from fractions import Fraction

import numpy as np


C, G_L, V_REST, THRESHOLD, TAU = 1.0, 0.05, -70.0, -50.0, 3.0
REVERSAL_E, REVERSAL_I = 0.0, -80.0


class Layer:
    """Neurons, with the step of their last spike."""

    def __init__(self, n, rp, dt):
        self.v = np.full((n, n), V_REST)
        self.spike_step = np.full((n, n), -(10**9))
        self.dt = dt
        # How many whole steps have passed when less than `rp`, and when more than `rp`.
        steps = Fraction(str(rp)) / Fraction(str(dt))
        self.is_less = np.vectorize(lambda k: k < steps, otypes=[bool])
        self.is_more = np.vectorize(lambda k: k > steps, otypes=[bool])

    def update(self, k, current):
        dv = (-G_L * (self.v - V_REST) + current) / C
        self.v = self.v + dv * self.dt
        spike = (self.v > THRESHOLD) & self.is_more(k - self.spike_step)
        self.spike_step[spike] = k
        self.v[self.is_less(k - self.spike_step)] = V_REST
        return spike


class Synapses:
    """A window of taps onto the source lattice for every target."""

    def __init__(self, n_source, n_target, taps, w, sigma, reversal, dt):
        half = taps // 2
        d = np.arange(-half, half + 1)
        self.weight = w * np.exp(-(d[:, None] ** 2 + d[None, :] ** 2) / sigma)
        target = np.arange(n_target)
        if n_source >= n_target:
            centre = target * (n_source // n_target)
        else:
            centre = target // (n_target // n_source)
        self.source = (centre[:, None] + d) % n_source
        self.g = np.zeros((n_target, n_target, taps, taps))
        self.i = np.zeros((n_target, n_target, taps, taps))
        self.reversal, self.dt = reversal, dt

    def update(self, spike, v):
        rows, columns = self.source[:, None, :, None], self.source[None, :, None, :]
        dg = (-self.g + self.weight * spike[rows, columns]) / TAU
        self.g = self.g + self.dt * dg
        self.i = self.g * (self.reversal - v[:, :, None, None])

    def current(self):
        return self.i.sum(axis=(2, 3))

    def conductance(self):
        return self.g.sum(axis=(2, 3))


class ReducedSynapses:
    """The same sums by two matrices, for lattices that are too large for one a synapse."""

    def __init__(self, n_source, n_target, taps, w, sigma, reversal, dt):
        full = Synapses(n_source, n_target, 1, 1.0, 1.0, 0.0, dt)
        half = taps // 2
        self.matrix = np.zeros((n_target, n_source))
        for target, (centre,) in enumerate(full.source):
            for d in range(-half, half + 1):
                self.matrix[target, (centre + d) % n_source] += np.exp(-(d**2) / sigma)
        self.g = np.zeros((n_target, n_target))
        self.i = np.zeros((n_target, n_target))
        self.w, self.reversal, self.dt = w, reversal, dt

    def update(self, spike, v):
        sums = self.w * (self.matrix @ spike.astype(float) @ self.matrix.T)
        self.g = self.g + self.dt * (-self.g + sums) / TAU
        self.i = self.g * (self.reversal - v)

    def current(self):
        return self.i

    def conductance(self):
        return self.g


def run(
    noise_e,
    noise_i,
    *,
    rp,
    dt,
    w_e,
    w_i,
    sigma_e,
    sigma_i,
    taps_e,
    taps_i,
    synapses=Synapses,
):
    """All that happens in steps with inputs ``noise_e[k - 1]`` and ``noise_i[k - 1]``.

    `rp`, `w_e` and `w_i` are pairs: of, and onto, the excitatory and the inhibitory cells.
    """
    n_e, n_i = noise_e.shape[1], noise_i.shape[1]
    e, i = Layer(n_e, rp[0], dt), Layer(n_i, rp[1], dt)
    ee = synapses(n_e, n_e, taps_e, w_e[0], sigma_e, REVERSAL_E, dt)
    ei = synapses(n_e, n_i, taps_e, w_e[1], sigma_e, REVERSAL_E, dt)
    ie = synapses(n_i, n_e, taps_i, w_i[0], sigma_i, REVERSAL_I, dt)
    ii = synapses(n_i, n_i, taps_i, w_i[1], sigma_i, REVERSAL_I, dt)
    rows = []
    for k in range(1, len(noise_e) + 1):
        spike_e = e.update(k, noise_e[k - 1] + ee.current() + ie.current())
        spike_i = i.update(k, noise_i[k - 1] + ei.current() + ii.current())
        ee.update(spike_e, e.v)
        ei.update(spike_e, i.v)
        ie.update(spike_i, e.v)
        ii.update(spike_i, i.v)
        g = [layer.conductance() for layer in (ee, ie, ei, ii)]
        rows.append((e.v.copy(), i.v.copy(), spike_e, spike_i, *g))
    names = ("v_e", "v_i", "spike_e", "spike_i", "ee", "ie", "ei", "ii")
    return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))


def burst(n_e, n_i, steps, on, high=5.0, seed=0):
    """Uniform numbers for every neuron and each of the first `on` steps, then nothing."""
    rng = np.random.default_rng(seed)
    noise = []
    for n in (n_e, n_i):
        u = np.zeros((steps, n, n))
        u[:on] = high * rng.random((on, n, n))
        noise.append(u)
    return noise
