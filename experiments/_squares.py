"""The two squares: excitatory cells that drive inhibitory ones, and are held by them."""

import jax.numpy as jnp

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
    excitatory = jn.models.ExponentialSynapse(2.0, reversal_potential=0.0)
    inhibitory = jn.models.ExponentialSynapse(2.0, reversal_potential=-80.0)

    def onto_dendrite(source, target, coupling, synapse=excitatory, delay=DELAY):
        return jn.models.Projection(
            source, target, coupling, synapse, compartment=DENDRITE, delay=delay
        )

    first = jn.couplings.Sparse.from_pairs([0], [0], STIMULUS_WEIGHT, shape=(size, 1))
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
