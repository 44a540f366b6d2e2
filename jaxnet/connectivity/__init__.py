"""Connectivity: who is connected to whom, and how strongly.

A generator returns a Boolean matrix of shape (targets, sources), whose entry [i, j] is true
where unit j projects to unit i. Weights are drawn on such a mask.
"""

from ._random import (
    bernoulli as bernoulli,
    fixed_in_degree as fixed_in_degree,
    fixed_out_degree as fixed_out_degree,
)
from ._regular import (
    all_but_partner as all_but_partner,
    all_to_all as all_to_all,
    one_to_one as one_to_one,
    ring as ring,
)
from ._small_world import small_world as small_world
from ._space import (
    distance_dependent as distance_dependent,
    GaussianProfile as GaussianProfile,
)
from ._statistics import GraphStatistics as GraphStatistics, statistics as statistics
from ._weights import (
    gaussian_weights as gaussian_weights,
    uniform_weights as uniform_weights,
)
