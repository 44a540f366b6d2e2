"""Functional, differentiable neural dynamics in JAX."""

import importlib
from typing import TYPE_CHECKING

from diffrax import SaveAt as SaveAt

from . import (
    connectivity as connectivity,
    constraints as constraints,
    couplings as couplings,
    gradients as gradients,
    inputs as inputs,
    measure as measure,
    mechanisms as mechanisms,
    models as models,
    objectives as objectives,
    surrogate as surrogate,
    transfer as transfer,
)
from ._adaptive import Adaptive as Adaptive
from ._branch import Branch as Branch
from ._branch_points import branch_point as branch_point, BranchPoint as BranchPoint
from ._check_gradient import (
    check_gradient as check_gradient,
    GradientCheck as GradientCheck,
)
from ._codimension_two import (
    bogdanov_takens as bogdanov_takens,
    BogdanovTakens as BogdanovTakens,
    Cusp as Cusp,
    cusp as cusp,
    generalised_hopf as generalised_hopf,
    GeneralisedHopf as GeneralisedHopf,
)
from ._continuation import continuation as continuation, switch_branch as switch_branch
from ._curve import PseudoArclength as PseudoArclength
from ._deflation import deflated_fixed_points as deflated_fixed_points
from ._descent import Descent as Descent
from ._dispersion import (
    dispersion_relation as dispersion_relation,
    DispersionRelation as DispersionRelation,
    PlaneWaves as PlaneWaves,
)
from ._exponential import Exponential as Exponential
from ._fit import Fit as Fit, fit as fit, Trials as Trials
from ._fit_problem import AbstractFitMethod as AbstractFitMethod
from ._fixed_points import (
    fixed_points as fixed_points,
    FixedPoints as FixedPoints,
    lattice as lattice,
)
from ._fold_curve import fold_curve as fold_curve, FoldCurve as FoldCurve
from ._folds import Fold as Fold, fold as fold
from ._grid import Grid as Grid
from ._hopf_curve import hopf_curve as hopf_curve, HopfCurve as HopfCurve
from ._hopf_points import Hopf as Hopf, hopf as hopf
from ._least_squares import AllAtOnce as AllAtOnce, LeastSquares as LeastSquares
from ._linearise import (
    classify as classify,
    eigenvalues as eigenvalues,
    EQUILIBRIUM as EQUILIBRIUM,
    jacobian as jacobian,
    Stability as Stability,
    stability as stability,
)
from ._method import AbstractMethod as AbstractMethod
from ._parameters import Parameter as Parameter, parameter as parameter
from ._phase_plane import (
    basins as basins,
    Separatrices as Separatrices,
    separatrices as separatrices,
)
from ._record import (
    AbstractRecord as AbstractRecord,
    RecordCounts as RecordCounts,
    RecordRaster as RecordRaster,
    RecordTimes as RecordTimes,
)
from ._result import RESULTS as RESULTS
from ._simulate import simulate as simulate
from ._slow_points import slow_points as slow_points, SlowPoints as SlowPoints
from ._solution import (
    Solution as Solution,
    SpikeCounts as SpikeCounts,
    SpikeRaster as SpikeRaster,
    Spikes as Spikes,
)
from ._staggered import Staggered as Staggered
from ._system import (
    AbstractHybridSystem as AbstractHybridSystem,
    AbstractSystem as AbstractSystem,
    Driven as Driven,
    Noisy as Noisy,
)
from ._uncertainty import Uncertainty as Uncertainty, uncertainty as uncertainty


if TYPE_CHECKING:
    from . import plot as plot


__version__ = "0.1.0"


def __getattr__(name: str):
    # Matplotlib is slow to import, and few programs plot.
    if name == "plot":
        return importlib.import_module(".plot", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
