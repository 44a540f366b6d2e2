"""The objective of a limit cycle, by Fourier collocation."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Complex, Float

from .._newton import Equations
from .._prepare import prepare_driven
from .._result import is_concrete, result_if, RESULTS, worst
from .._system import AbstractSystem, decompose
from .._types import InputValue, State
from ._base import AbstractObjective
from ._equilibria import field_of, fitted_state


# Steps of the verification from one node to the next.
_STEPS_PER_NODE = 16


class Orbit(NamedTuple):
    """A closed orbit.

    **Attributes:**

    - `nodes`: the states at equal intervals over one period, each ravelled.
    - `period`: in units of the wanted one.
    """

    nodes: Float[Array, "nodes n"]
    period: Float[Array, ""]


class CycleCheck(eqx.Module):
    """What is known of a closed orbit that was found.

    **Attributes:**

    - `tail`: the highest harmonic over the largest one. Where it is not small, the nodes
        are too few, and the orbit and its period are wrong, however small the misfit.
    - `closing_error`: by how much a simulation from the first node misses it after one
        period, over the size of the orbit.
    - `multipliers`: the Floquet multipliers. One of them is 1; the cycle is stable if all
        others lie within the unit circle.
    - `sensitivity`: by how much a small displacement of the first node grows at most within
        one period. Where it is large, as along canards, the multipliers are not reliable.
    """

    tail: Float[Array, ""]
    closing_error: Float[Array, ""]
    multipliers: Complex[Array, " n"]
    sensitivity: Float[Array, ""]


def _first(y: State) -> Float[Array, ""]:
    return ravel_pytree(y)[0][0]


class Cycle(AbstractObjective):
    r"""A stable limit cycle with a given period and amplitude.

    The orbit is a trigonometric polynomial through its nodes, at which it follows the flow
    (Fourier collocation). Its amplitude is that of the first harmonic, A in $A \cos(2 \pi
    t / T)$, of one observed number.

    From a system that is silent take [`jaxnet.AllAtOnce`][]: there no cycle needs to exist
    before it is the right one.

    In the end the orbit is simulated. The result is `cycle_not_resolved` if there are too
    few nodes, `cycle_unstable` if it repels, and `cycle_sensitive` if a small displacement
    grows more than a thousandfold within a period.

    **Arguments:**

    - `period`: T (ms).
    - `amplitude`: A, in the unit of what is observed.
    - `y`: a state around which the orbit is to lie: where the search starts.
    - `of`: from a state to the observed number, the first variable by default. It is to be
        linear.
    - `nodes`: how many, an odd number.

    ```pycon
    >>> import jaxnet as jn
    >>> rhythm = jn.objectives.Cycle(15.0, 0.25, y=(0.4, 0.3))
    >>> silent = jn.models.WilsonCowan(w_ee=5.5, w_ei=5.0, w_ie=6.0, w_ii=1.0, tau_i=2.0)
    >>> fit = jn.fit(
    ...     jn.Driven(silent, (1.0, 0.0)), rhythm, where=lambda s: (s.system, s.input)
    ... )
    >>> check = rhythm.check(fit.system, fit.unknowns)
    >>> bool(check.tail < 1e-4)
    True
    ```
    """

    period: Float[Array, ""] = eqx.field(converter=lambda x: jnp.asarray(x, float))
    amplitude: Float[Array, ""] = eqx.field(converter=lambda x: jnp.asarray(x, float))
    y: State
    of: Callable[[State], Float[Array, ""]] = eqx.field(default=_first, kw_only=True)
    nodes: int = eqx.field(static=True, default=33, kw_only=True)

    def __check_init__(self):
        for name in ("period", "amplitude"):
            value = getattr(self, name)
            positive = value > 0
            if is_concrete(positive) and not positive:
                raise ValueError(
                    f"`{name}` of `Cycle` must be positive, but it is {float(value)}."
                )
        if not (isinstance(self.nodes, int) and self.nodes > 3 and self.nodes % 2):
            raise ValueError(
                f"`nodes` of `Cycle` must be an odd number from 5 on, but it is "
                f"{self.nodes}. An even number leaves the highest harmonic undetermined."
            )

    def prepare(self, system):
        y = fitted_state(system, self.y, "y")
        if ravel_pytree(y)[0].size < 2:
            raise ValueError(
                f"`Cycle` takes two state variables, but "
                f"`{type(decompose(system).flow).__name__}` has one, and cannot oscillate."
            )
        return dataclasses.replace(self, y=y)

    def guess(self, system):
        """The response of the linearised flow to a wave in what is observed."""
        center, unravel = ravel_pytree(self.y)
        observed = jax.grad(lambda x: self.of(unravel(x)))(center)
        turning = 2j * jnp.pi / self.period * jnp.eye(center.size)
        matrix = jax.jacfwd(field_of(system, self.y))(center)
        wave = jnp.linalg.solve(turning - matrix, observed.astype(complex))
        wave = self.amplitude * wave / jnp.vdot(observed, wave)
        phases = jnp.exp(2j * jnp.pi * jnp.arange(self.nodes) / self.nodes)
        nodes = center + (phases[:, None] * wave).real
        return Orbit(nodes, jnp.ones(()))

    def equations(self, system, unknowns):
        field = field_of(system, self.y)
        nodes, period = unknowns
        flow = self.period * period * jax.vmap(field)(nodes)
        follows = _derivative_matrix(self.nodes) @ nodes - flow
        # Of all shifts in time that whose first harmonic is a cosine.
        phase = self._first_harmonic(nodes).imag / self.amplitude
        return jnp.append(jnp.ravel(follows), phase)

    def misfit(self, system, unknowns, key):
        amplitude = self._first_harmonic(unknowns.nodes).real / self.amplitude
        return jnp.stack([unknowns.period - 1, amplitude - 1])

    def verify(self, system, unknowns, tolerance):
        check = self._check(system, unknowns)
        others = _without_trivial(check.multipliers)
        return worst(
            result_if(~(check.tail < 1e-4), RESULTS.cycle_not_resolved),
            # Along such an orbit no simulation can be exact.
            result_if(check.sensitivity > 1e3, RESULTS.cycle_sensitive),
            result_if(~(check.closing_error < 1e-4), RESULTS.cycle_not_resolved),
            result_if(jnp.any(jnp.abs(others) > 1 + 1e-4), RESULTS.cycle_unstable),
        )

    def why_no_gradient(self, system):
        return None

    def with_runs(self, change):
        return self

    def check(
        self, system: AbstractSystem, orbit: Orbit, *, u: InputValue = None
    ) -> CycleCheck:
        """How well the orbit is resolved, whether a simulation closes, and its stability.

        **Arguments:**

        - `system`: with the fitted parameters.
        - `orbit`: the `unknowns` of the fit.
        - `u`: the input.
        """
        driven, _ = prepare_driven(system, u)
        return self.prepare(driven)._check(driven, orbit)

    def _check(self, system: AbstractSystem, orbit: Orbit) -> CycleCheck:
        nodes, period = orbit
        field = field_of(system, self.y)
        end, monodromy, sensitivity = _simulate_period(
            field, nodes[0], self.period * period, self.nodes * _STEPS_PER_NODE
        )
        harmonics = jnp.abs(jnp.fft.rfft(nodes, axis=0))[1:]
        size = jnp.max(jnp.ptp(nodes, axis=0))
        return CycleCheck(
            tail=jnp.max(harmonics[-1]) / jnp.max(harmonics),
            closing_error=jnp.max(jnp.abs(end - nodes[0])) / size,
            multipliers=jnp.linalg.eigvals(monodromy),
            sensitivity=sensitivity,
        )

    def _first_harmonic(self, nodes: Float[Array, "nodes n"]) -> Complex[Array, ""]:
        unravel = ravel_pytree(self.y)[1]
        observed = jax.vmap(lambda x: self.of(unravel(x)))(nodes)
        waves = np.exp(-2j * np.pi * np.arange(self.nodes) / self.nodes)
        return 2 * jnp.mean(waves * observed)


def _derivative_matrix(nodes: int) -> np.ndarray:
    """From the values of a trigonometric polynomial to its derivatives, per period.

    Source: Trefethen 2000, doi:10.1137/1.9780898719598, chapter 3, for an odd number.
    """
    difference = np.subtract.outer(np.arange(nodes), np.arange(nodes))
    with np.errstate(divide="ignore"):
        matrix = np.pi * (-1.0) ** difference / np.sin(np.pi * difference / nodes)
    np.fill_diagonal(matrix, 0.0)
    return matrix


def _simulate_period(field: Equations, start, period, steps: int):
    """The state after one period, its derivative by the start, and the largest on the way.

    By the classical method of Runge and Kutta, in steps far below the distance of nodes.
    """
    dt = period / steps

    def step(x):
        k1 = field(x)
        k2 = field(x + dt / 2 * k1)
        k3 = field(x + dt / 2 * k2)
        k4 = field(x + dt * k3)
        return x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def advance(state, _):
        x, matrix = state
        advanced, linear = jax.linearize(step, x)
        matrix = jax.vmap(linear, in_axes=1, out_axes=1)(matrix)
        return (advanced, matrix), jnp.linalg.norm(matrix)

    first = start, jnp.eye(start.size)
    (end, monodromy), sizes = jax.lax.scan(advance, first, length=steps)
    return end, monodromy, jnp.max(sizes)


def _without_trivial(multipliers: Complex[Array, " n"]) -> Complex[Array, " others"]:
    order = jnp.argsort(jnp.abs(multipliers - 1))
    return multipliers[order[1:]]
