"""The two squares: excitatory cells that drive inhibitory ones, and are held by them."""

import jax.numpy as jnp
import numpy as np

import jaxnet as jn


CLAMP = jn.Grid(0.025, jn.Staggered())
# Both cells have one dendrite of one compartment, with the synapse in its middle.
DENDRITE = 1
DELAY = 5.0
WEIGHT = 0.01
STIMULUS_WEIGHT = 0.04
STIMULUS_TIME = 9.0
STIMULUS_DELAY = 1.0


def squares(n: int, *, corrected: bool = False) -> jn.models.Network:
    """n x n cells of each kind, and a stimulus to the first of each.

    An excitatory cell excites its partner; an inhibitory one acts on all but its partner.
    In the document it does so through the excitatory synapse, with a negative weight. The
    corrected network has inhibitory synapses.
    """
    size = n * n
    excitatory = jn.models.ExponentialSynapse(tau=2.0, reversal_potential=0.0)
    inhibitory = jn.models.ExponentialSynapse(tau=2.0, reversal_potential=-80.0)

    def onto_dendrite(source, target, coupling, synapse=excitatory, delay=DELAY):
        return jn.models.Projection(
            source, target, coupling, synapse, compartment=DENDRITE, delay=delay
        )

    first = jn.couplings.Dense(jnp.asarray(STIMULUS_WEIGHT * np.eye(size, 1)))
    everyone_else = jn.couplings.AllButPartner(WEIGHT if corrected else -WEIGHT, size=size)
    return jn.models.Network(
        {
            "e": jn.models.Population(jn.models.ball_and_stick(), size),
            "i": jn.models.Population(
                jn.models.ball_and_stick(passive_reversal_potential=-60.0), size
            ),
            "stimulus": jn.models.Population(jn.models.SpikeSource(), 1),
        },
        {
            "e to i": onto_dendrite("e", "i", jn.couplings.OneToOne(WEIGHT, size=size)),
            "i to e": onto_dendrite(
                "i", "e", everyone_else, inhibitory if corrected else excitatory
            ),
            "stimulus to e": onto_dendrite("stimulus", "e", first, delay=STIMULUS_DELAY),
            "stimulus to i": onto_dendrite("stimulus", "i", first, delay=STIMULUS_DELAY),
        },
    )


def run(network, *, t1=100.0, method=CLAMP, save=None, throw=False):
    stimulus = jn.inputs.SpikeTrain(jnp.array([STIMULUS_TIME]), jnp.array([0]), size=1)
    return jn.simulate(
        network,
        network.initial_state(),
        t1=t1,
        u={"stimulus": stimulus},
        method=method,
        save=save,
        throw=throw,
    )


# Between neighbours of a square, and of the inhibitory square below the other (um).
SPACING, DEPTH = 25.0, -50.0


def positions(n: int, z: float = 0.0) -> np.ndarray:
    """Where the cells of a square are (um): row i and column j at x = 25 i, y = 25 j."""
    row, column = np.divmod(np.arange(n * n), n)
    return np.stack([SPACING * row, SPACING * column, np.full(n * n, z)], axis=1)


def soma_voltages() -> jn.SaveAt:
    """Saves the voltages of all somas at each step, those of E first."""
    return jn.SaveAt(
        t0=True,
        steps=1,
        fn=lambda t, y, args: jnp.concatenate([y.neurons[kind].v[0] for kind in "ei"]),
    )


def first_spikes(run, units: int) -> np.ndarray:
    """When each of the first units fired first (ms), NaN if it did not."""
    spikes = run.spikes
    valid = np.asarray(spikes.valid & (spikes.index < units))
    first = np.full(units, np.inf)
    np.minimum.at(first, np.asarray(spikes.index)[valid], np.asarray(spikes.time)[valid])
    return np.where(np.isfinite(first), first, np.nan).round(6)


def distinct_first_spikes(first: np.ndarray) -> list[list[float]]:
    """Those that occur (ms) in E0, the other cells of E, I0, and the other cells of I."""
    size = len(first) // 2
    groups = ([0], range(1, size), [size], range(size + 1, 2 * size))
    return [np.unique(first[list(g)][np.isfinite(first[list(g)])]).tolist() for g in groups]
