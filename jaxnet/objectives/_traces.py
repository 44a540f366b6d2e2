"""Objectives of a recording: a trace, or a spike train."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._result import is_concrete
from ._runs import (
    AbstractRunObjective,
    grid_of,
    is_smooth,
    require_spikes,
    Run,
    times_of,
    units_of,
    why_no_gradient,
)


class Trace(AbstractRunObjective):
    """A recorded trace, such as of a voltage: the misfit is that of every sample.

    **Arguments:**

    - `values`: the trace at the times that the run saves, by default every step and the
        start.
    - `run`: the simulation. Its transient is left out.
    - `of`: from a state to what was recorded, the state itself by default.
    - `noise`: the standard deviation of the recording, which a misfit is measured in. The
        misfit is divided by the square root of the number of samples too, so that its
        square is the mean.

    ```pycon
    >>> import jaxnet as jn
    >>> population = jn.models.RatePopulation(w=1.0)
    >>> run = jn.objectives.Run(0.8, 20.0, jn.Grid(0.1))
    >>> recorded = jn.simulate(population, 0.8, t1=20.0, method=jn.Grid(0.1)).ys
    >>> start = jn.models.RatePopulation(w=1.0, tau=4.0)
    >>> fit = jn.fit(start, jn.objectives.Trace(recorded, run), where=lambda s: s.tau)
    >>> abs(float(fit.system.tau - population.tau)) < 0.05
    True
    ```
    """

    values: Float[Array, "..."] = eqx.field(converter=lambda x: jnp.asarray(x, float))
    run: Run
    of: Callable = eqx.field(default=lambda y: y, kw_only=True)
    noise: Float[Array, ""] = eqx.field(
        default=1.0, converter=lambda x: jnp.asarray(x, float), kw_only=True
    )

    def __check_init__(self):
        _check_positive(self, "noise")

    def of_solution(self, system, solution):
        shown: Array = jax.vmap(self.of)(solution.ys)
        if jnp.shape(shown) != self.values.shape:
            raise ValueError(
                f"`values` of `Trace` have the shape {self.values.shape}, but the run "
                f"gives {jnp.shape(shown)}: the start and every step, of what `of` selects."
            )
        late = solution.ts >= self.run.transient
        late = late.reshape(-1, *[1] * (self.values.ndim - 1))
        number = jnp.sum(late) * (self.values.size // len(self.values))
        misfit = jnp.where(late, shown - self.values, 0.0) / self.noise
        return jnp.ravel(misfit) / jnp.sqrt(number)

    def check_system(self, system):
        pass

    def why_no_gradient(self, system):
        if is_smooth(system):
            return None
        return why_no_gradient(self, system, "jumps where a spike moves")


class SpikeTrain(AbstractRunObjective):
    r"""A recorded spike train: the misfit is the distance of van Rossum.

    Both trains are filtered by $e^{-t/\tau}$; the sum of the squares of the misfits is
    $\frac{1}{\tau} \int (x - x')^2 dt$. One spike more or less is 1/2.

    **Arguments:**

    - `times`: of the recorded spikes (ms).
    - `run`: the simulation, on a `jaxnet.Grid` whose record has times.
    - `tau`: the time constant of the filter (ms).
    - `unit`: which unit of the system it is.

    Source: van Rossum 2001, doi:10.1162/089976601300014321.

    ```pycon
    >>> import jaxnet as jn
    >>> run = jn.objectives.Run(-65.0, 100.0, jn.Grid(0.1))
    >>> train = jn.objectives.SpikeTrain([12.0, 40.0], run, tau=10.0)
    >>> train.times.tolist()
    [12.0, 40.0]
    ```
    """

    times: Float[Array, " spikes"] = eqx.field(converter=lambda x: jnp.asarray(x, float))
    run: Run
    tau: Float[Array, ""] = eqx.field(converter=lambda x: jnp.asarray(x, float))
    unit: int = eqx.field(static=True, default=0, kw_only=True)

    def __check_init__(self):
        _check_positive(self, "tau")

    def of_solution(self, system, solution):
        dt = grid_of(self.run, "SpikeTrain").dt
        spikes = times_of(solution, "SpikeTrain")
        mine = spikes.valid & (spikes.index == self.unit)
        times = dt * jnp.arange(round(self.run.t1 / dt) + 1)
        of_model = self._filtered(jnp.where(mine, spikes.time, jnp.inf), times)
        difference = of_model - self._filtered(self.times, times)
        late = times >= self.run.transient
        return jnp.where(late, difference, 0.0) * jnp.sqrt(dt / self.tau)

    def _filtered(self, spikes: Float[Array, " spikes"], times: Float[Array, " times"]):
        since = times[:, None] - spikes
        kernel = jnp.exp(-jnp.maximum(since, 0.0) / self.tau)
        return jnp.sum(jnp.where(since >= 0, kernel, 0.0), axis=1)

    def check_system(self, system):
        require_spikes(system, "SpikeTrain")
        grid_of(self.run, "SpikeTrain")
        units = units_of(system, self.run)
        if not 0 <= self.unit < units:
            raise ValueError(
                f"`unit` of `SpikeTrain` must be from 0 to {units - 1}, but it is "
                f"{self.unit}."
            )

    def why_no_gradient(self, system):
        return why_no_gradient(self, system, "is made of the times of spikes", always=True)


def _check_positive(objective: AbstractRunObjective, name: str) -> None:
    value = getattr(objective, name)
    positive = value > 0
    if is_concrete(positive) and not positive:
        raise ValueError(
            f"`{name}` of `{type(objective).__name__}` must be positive, but it is "
            f"{float(value)}."
        )
