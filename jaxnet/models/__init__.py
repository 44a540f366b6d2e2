"""Models of neural dynamics. Each documents its state and its input `u`."""

from ._adapting_neurons import (
    AdaptiveExponentialLIF as AdaptiveExponentialLIF,
    Izhikevich as Izhikevich,
)
from ._cells import (
    ball_and_stick as ball_and_stick,
    Cell as Cell,
    PointCell as PointCell,
)
from ._membrane import AbstractCell as AbstractCell, CellState as CellState
from ._morphology import Branch as Branch, Morphology as Morphology
from ._network import (
    Network as Network,
    NetworkState as NetworkState,
)
from ._neurons import (
    AbstractNeuron as AbstractNeuron,
    ExponentialLIF as ExponentialLIF,
    LIF as LIF,
    QuadraticLIF as QuadraticLIF,
)
from ._projection import Population as Population, Projection as Projection
from ._rate import (
    RateNetwork as RateNetwork,
    RatePopulation as RatePopulation,
    WilsonCowan as WilsonCowan,
)
from ._rate_sheet import RateSheet as RateSheet, RateSheetState as RateSheetState
from ._sheet import SheetState as SheetState, SpikingSheet as SpikingSheet
from ._spike_source import SpikeSource as SpikeSource
from ._swc import read_swc as read_swc
from ._synapses import (
    AbstractSynapse as AbstractSynapse,
    AlphaSynapse as AlphaSynapse,
    ExponentialSynapse as ExponentialSynapse,
    VoltageJump as VoltageJump,
)
