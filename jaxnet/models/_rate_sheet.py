"""The rate sheet: the Wilson-Cowan model on two lattices of a torus."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._parameters import parameter, ScalarParameter
from .._result import is_concrete
from .._system import AbstractSystem
from .._types import RealScalarLike
from ..couplings import AbstractTorusCoupling, TorusGaussian
from ..transfer import AbstractTransferFunction, Sigmoid
from ._lattices import inputs_of, plus_input, ratio_of, repeat, subsample
from ._rate import WilsonCowan


class RateSheetState(eqx.Module):
    """The state of a [`jaxnet.models.RateSheet`][], a lattice for each kind of cell.

    **Attributes:**

    - `r_e`, `r_i`: the rates of the excitatory and of the inhibitory populations.
    """

    r_e: Float[Array, "size_e size_e"]
    r_i: Float[Array, "size_i size_i"]


class RateSheet(AbstractSystem):
    r"""Excitatory and inhibitory populations on a torus, a neural field.

    $$\tau_E \dot r_E = -r_E + F_E(w_{EE} K_E r_E - w_{EI} K_I r_I + u_E)$$
    $$\tau_I \dot r_I = -r_I + F_I(w_{IE} K_E r_E - w_{II} K_I r_I + u_I)$$

    K is the convolution with a kernel *divided by its sum*: so a weight is that of the
    whole kernel, uniform rates are those of a [`jaxnet.models.WilsonCowan`][] with the
    same parameters, which `wilson_cowan` gives, and the `weight` of a kernel is of no
    effect. $w_{XY}$ leads from Y to X.

    The lattices are those of [`jaxnet.models.SpikingSheet`][]: they may differ in size by
    a whole ratio r, the inhibitory population (i, j) lies at the excitatory one (r i, r j),
    and each place of the inhibitory lattice serves r x r excitatory populations. For r > 1
    these lie off its centre, and so waves in the two directions along an axis differ.

    The state is a [`jaxnet.models.RateSheetState`][]; `uniform_state` makes one. The input
    `u` is the pair $(u_E, u_I)$, each a number or a lattice; `None` is no input.

    **Arguments:**

    - `excitation`, `inhibition`: the kernels, couplings of the excitatory and of the
        inhibitory lattice with itself; see `jaxnet.couplings`. The size of the first must
        be a whole multiple of that of the second, and no kernel may sum to zero.
    - `w_ee`, `w_ei`, `w_ie`, `w_ii`: weights, positive for both kinds of population.
    - `tau_e`, `tau_i`: time constants (ms).
    - `transfer_e`, `transfer_i`: the transfer functions.

    Source: Wilson and Cowan 1973, doi:10.1007/BF00288786, without their refractory
    factors; [`jaxnet.dispersion_relation`][] tells when a uniform state gives way to a
    pattern.

    ```pycon
    >>> import jaxnet as jn
    >>> sheet = jn.models.RateSheet(
    ...     jn.couplings.TorusGaussian(4.0, size=12, taps=11),
    ...     jn.couplings.TorusGaussian(8.0, size=6, taps=5),
    ... )
    >>> run = jn.simulate(
    ...     sheet, sheet.uniform_state(0.1, 0.0), t1=1.0, method=jn.Grid(0.1)
    ... )
    >>> run.ys.r_e.shape, run.ys.r_i.shape
    ((11, 12, 12), (11, 6, 6))
    ```
    """

    excitation: AbstractTorusCoupling = eqx.field(
        default_factory=lambda: TorusGaussian(18.0, size=150, taps=101)
    )
    inhibition: AbstractTorusCoupling = eqx.field(
        default_factory=lambda: TorusGaussian(400.0, size=75, taps=101)
    )
    w_ee: ScalarParameter = parameter(9.0)
    w_ei: ScalarParameter = parameter(4.0)
    w_ie: ScalarParameter = parameter(13.0)
    w_ii: ScalarParameter = parameter(11.0)
    tau_e: ScalarParameter = parameter(1.0, positive=True)
    tau_i: ScalarParameter = parameter(2.0, positive=True)
    transfer_e: AbstractTransferFunction = eqx.field(
        default_factory=lambda: Sigmoid(a=1.2, theta=2.8)
    )
    transfer_i: AbstractTransferFunction = eqx.field(
        default_factory=lambda: Sigmoid(a=1.0, theta=4.0)
    )

    def __check_init__(self):
        ratio_of(self.excitation, self.inhibition)
        for name in ("excitation", "inhibition"):
            kernel = getattr(self, name).kernel()
            rounding = float(jnp.finfo(kernel.dtype).eps) ** 0.5
            is_balanced = jnp.abs(jnp.sum(kernel)) <= rounding * jnp.sum(jnp.abs(kernel))
            if is_concrete(is_balanced) and is_balanced:
                raise ValueError(
                    f"The kernel of `{name}` of `RateSheet` sums to zero, and is divided "
                    "by its sum. Give a kernel of one sign; its strength is in the weights."
                )

    @property
    def ratio(self) -> int:
        """How many excitatory populations a side there are to an inhibitory one."""
        return ratio_of(self.excitation, self.inhibition)

    def uniform_state(self, r_e: RealScalarLike, r_i: RealScalarLike) -> RateSheetState:
        """The same two rates at every place."""
        e, i = self._shapes()
        return RateSheetState(
            jnp.broadcast_to(jnp.asarray(r_e, float), e),
            jnp.broadcast_to(jnp.asarray(r_i, float), i),
        )

    def wilson_cowan(self) -> WilsonCowan:
        """The model of the uniform states: its fixed points are those of the sheet."""
        return WilsonCowan(
            w_ee=self.w_ee,
            w_ei=self.w_ei,
            w_ie=self.w_ie,
            w_ii=self.w_ii,
            tau_e=self.tau_e,
            tau_i=self.tau_i,
            transfer_e=self.transfer_e,
            transfer_i=self.transfer_i,
        )

    def vector_field(self, t, y, u):
        self._require_state(y)
        u_e, u_i = inputs_of(u, *self._shapes(), "RateSheet")
        near_e = _mean_around(self.excitation, y.r_e)
        near_i = _mean_around(self.inhibition, y.r_i)
        to_e = self.w_ee * near_e - self.w_ei * repeat(near_i, self.ratio)
        to_i = self.w_ie * subsample(near_e, self.ratio) - self.w_ii * near_i
        return RateSheetState(
            (-y.r_e + self.transfer_e(plus_input(to_e, u_e))) / self.tau_e,
            (-y.r_i + self.transfer_i(plus_input(to_i, u_i))) / self.tau_i,
        )

    def _shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        e, i = self.excitation.size, self.inhibition.size
        return (e, e), (i, i)

    def _require_state(self, y: RateSheetState) -> None:
        if not isinstance(y, RateSheetState):
            raise ValueError(
                f"the state of a `RateSheet` is a `RateSheetState`, not {type(y).__name__}"
                "; make it by `sheet.uniform_state`"
            )
        shapes = jnp.shape(y.r_e), jnp.shape(y.r_i)
        if shapes != self._shapes():
            raise ValueError(
                f"the state of this `RateSheet` has lattices of shapes {self._shapes()}, "
                f"not {shapes}; make it by `sheet.uniform_state`"
            )


def _mean_around(
    coupling: AbstractTorusCoupling, x: Float[Array, "size size"]
) -> Float[Array, "size size"]:
    """The mean of a lattice around every place, weighted by the kernel."""
    return coupling.field(x) / jnp.sum(coupling.kernel())
