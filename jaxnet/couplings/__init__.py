"""Couplings: linear maps from the activity of sources to the input of targets."""

from ._base import (
    AbstractCoupling as AbstractCoupling,
    AllButPartner as AllButPartner,
    AllToAll as AllToAll,
    Dense as Dense,
    OneToOne as OneToOne,
)
from ._sparse import deliver as deliver, Sparse as Sparse
from ._torus import (
    AbstractTorusCoupling as AbstractTorusCoupling,
    TorusGaussian as TorusGaussian,
    TorusKernel as TorusKernel,
)
