"""A fit as a problem between vectors: free numbers, misfits, and what comes back."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from ._linearise import default_tolerance
from ._newton import Vector
from ._parameters import bounded_fields, check_ranges
from ._prepare import prepare_driven
from ._result import is_concrete, result_if, RESULTS, SUCCESS, worst
from ._selection import numbered, Place, put, select, Where
from ._system import AbstractSystem, drive, Driven
from ._tree import all_true, as_arrays, is_inexact
from ._types import InputValue, Key, RealScalarLike
from .constraints import AbstractConstraint, Free, Positive
from .objectives import AbstractObjective
from .objectives._base import Misfit, solve_unknowns


# A free number so far away takes a value to the edge of what a constraint admits.
_FAR_AWAY = 30.0
_REMEDY = (
    "`where` must select arrays of the system to be fitted, such as `lambda s: (s.w, "
    "s.tau)` or, of one with an input, `lambda s: s.input.value`. "
)


class FreeEntry(eqx.Module):
    """One selected entry: its names, places, constraint and value at the start."""

    names: tuple[str, ...] = eqx.field(static=True)
    places: tuple[int, ...] = eqx.field(static=True)
    constraint: AbstractConstraint
    like: PyTree

    def keeps(self, values: PyTree) -> Bool[Array, ""]:
        """Whether a start is admitted, and comes back from its free numbers."""
        kept = self.constraint.value(self.constraint.free(values), self.like)
        near = [
            jnp.all(jnp.isclose(x, y, rtol=1e-4) | jnp.isnan(y))
            for x, y in zip(kept, values, strict=True)
        ]
        return self.constraint.admits(values) & all_true(near)


class FitProblem(eqx.Module):
    """A system of which some parameters are free, and what it should do.

    **Attributes:**

    - `system`, `u`: the system with all its parameters, and its input.
    - `entries`: what is free.
    - `objective`: what should be.
    - `tolerance`: of the misfits.
    - `progress`: a progress meter of diffrax.
    """

    system: AbstractSystem
    u: Any
    entries: tuple[FreeEntry, ...]
    objective: AbstractObjective
    tolerance: Float[Array, ""]
    progress: Any

    def values(self, free: Vector) -> list[PyTree]:
        """The values of the entries."""
        free = ravel_pytree(self._free_tree())[1](free)
        return [
            e.constraint.value(z, e.like) for e, z in zip(self.entries, free, strict=True)
        ]

    def free_of(self, values: list[PyTree]) -> Vector:
        """The free numbers of some values."""
        return ravel_pytree(
            [e.constraint.free(v) for e, v in zip(self.entries, values, strict=True)]
        )[0]

    def rows_of(self, where: Where, starts: PyTree) -> list[PyTree]:
        """The starts, given in the structure of the selection, as values of the entries."""
        chosen = select(self.system, where, _REMEDY)
        structure = jtu.tree_structure(chosen)
        try:
            rows = structure.flatten_up_to(as_arrays(starts))
        except ValueError as e:
            raise ValueError(
                f"`starts` must have the structure of what `where` selects: {e}"
            ) from e
        by_place = dict(zip(jtu.tree_leaves(chosen), rows, strict=True))
        rows = [
            [
                self._row(by_place[Place(p)], like)
                for p, like in zip(e.places, e.like, strict=True)
            ]
            for e in self.entries
        ]
        counts = {len(x) for x in jtu.tree_leaves(rows)}
        if len(counts) != 1 or counts == {0}:
            raise ValueError(
                "`starts` must have one leading axis with a row for each start, but its "
                f"lengths are {sorted(counts)}."
            )
        for entry, values in zip(self.entries, rows, strict=True):
            admitted = jax.vmap(entry.keeps)(values)
            if is_concrete(admitted) and not admitted.all():
                row = int(jnp.argmin(admitted))
                raise ValueError(
                    f"Row {row} of `starts` is not admitted by "
                    f"`{_shown(entry.constraint)}` of {', '.join(entry.names)}. Start "
                    "inside, or take another constraint."
                )
        return rows

    def _row(self, rows, like: Array) -> Array:
        rows = jnp.asarray(rows, float)
        if rows.shape[1:] != like.shape or rows.ndim == 0:
            raise ValueError(
                f"`starts` must have a leading axis before the shape {like.shape} of the "
                f"parameter, but one has the shape {rows.shape}."
            )
        return rows

    def fitted(self, free: Vector) -> AbstractSystem:
        """The system with these parameters, without its input."""
        places = sum((e.places for e in self.entries), ())
        return put(self.system, places, jtu.tree_leaves(self.values(free)))

    @property
    def own(self) -> Vector:
        """The free numbers of the system's own parameters."""
        return self.free_of([e.like for e in self.entries])

    @property
    def names(self) -> list[str]:
        """A name for each of the free numbers."""
        names = []
        for entry, free in zip(self.entries, self._free_tree(), strict=True):
            for name, leaf in zip(_spread(entry, free), jtu.tree_leaves(free), strict=True):
                size = jnp.size(leaf)
                names += [name] if size == 1 else [f"{name}[{i}]" for i in range(size)]
        return names

    def start_system(self) -> AbstractSystem:
        """The system with its input and its own parameters."""
        return drive(self.system, self.u)

    def driven(self, free: Vector) -> AbstractSystem:
        """The system with these parameters and its input."""
        return drive(self.fitted(free), self.u)

    def at_edge(self, free: Vector, start: Vector) -> Bool[Array, ""]:
        """Whether some constraint holds a parameter at an edge."""
        unravel = ravel_pytree(self._free_tree())[1]
        at_edges = [
            e.constraint.at_edge(z, z_0)
            for e, z, z_0 in zip(self.entries, unravel(free), unravel(start), strict=True)
        ]
        return jnp.any(jnp.stack(at_edges))

    def misfit(self, free: Vector, key: Key | None) -> Misfit:
        """The misfit, with the unknowns solved for; NaN where they are not found."""
        unknowns, found = self._solved(free)
        misfit = self.objective.misfit(self.driven(free), unknowns, key)
        return jnp.where(found, misfit, jnp.nan)

    def guess(self, free: Vector) -> PyTree:
        """Where a search for the unknowns starts."""
        return self.objective.guess(self.driven(free))

    def solve_unknowns(self, free: Vector) -> PyTree:
        """The unknowns by their equations, wherever the search for them ended."""
        return self._solved(free)[0]

    def _solved(self, free: Vector) -> tuple[PyTree, Bool[Array, ""]]:
        return solve_unknowns(self.objective, self.driven(free), self.guess(free))

    def verdict(self, trial: "Trial", start: Vector) -> RESULTS:
        """How a fit ended, from how its search did."""
        system = self.driven(trial.free)
        met = self.objective.verify(system, trial.unknowns, self.tolerance)
        in_range = check_ranges(system)
        missed = RESULTS.where(
            self.at_edge(trial.free, start), RESULTS.target_out_of_reach, trial.result
        )
        missed = RESULTS.where(
            trial.result == RESULTS.nonfinite_misfit, trial.result, missed
        )
        return worst(
            result_if(~in_range, RESULTS.parameter_out_of_range),
            RESULTS.where(trial.result == SUCCESS, met, missed),
        )

    def _free_tree(self) -> list[PyTree]:
        return [e.constraint.free(e.like) for e in self.entries]


class Trial(NamedTuple):
    """Where a search from one start ended, and the losses on the way."""

    free: Vector
    unknowns: PyTree
    loss: Float[Array, ""]
    history: Float[Array, " steps"]
    steps: Int[Array, ""]
    result: RESULTS


class AbstractFitMethod(eqx.Module):
    """How the parameters are searched for."""

    @abc.abstractmethod
    def search(self, problem: FitProblem, start: Vector, key: Key | None) -> Trial:
        """Search from one start."""

    @abc.abstractmethod
    def prepare(self, problem: FitProblem) -> FitProblem:
        """The problem as the method needs it, or a `ValueError` with a remedy."""


def prepare_problem(
    system: AbstractSystem,
    objective: AbstractObjective,
    where: Where,
    constraints: PyTree,
    u: InputValue,
    tolerance: RealScalarLike | None = None,
    progress: Any = None,
) -> tuple[FitProblem, RESULTS]:
    """What every verb of fitting does first, and whether the values are good."""
    if not isinstance(objective, AbstractObjective):
        raise ValueError(
            f"`objective` must be one of `jaxnet.objectives`, but it is {objective!r}."
        )
    if tolerance is not None and is_concrete(tolerance) and not tolerance > 0:
        raise ValueError(f"`tolerance` must be positive, but it is {tolerance}.")
    driven, before = prepare_driven(system, u)
    system = as_arrays(system)
    problem = FitProblem(
        system,
        driven.input if u is not None and isinstance(driven, Driven) else None,
        prepare_entries(system, where, constraints),
        objective.prepare(driven),
        jnp.asarray(default_tolerance() if tolerance is None else tolerance, float),
        progress,
    )
    return problem, before


class Selected(NamedTuple):
    """A parameter that may be fitted, as the model declares it."""

    name: str
    value: Array
    domain: str | None


def _spread(entry: FreeEntry, free: PyTree) -> list[str]:
    """The name of each array of free numbers: of several parameters if they share one."""
    arrays = len(jtu.tree_leaves(free))
    return list(entry.names) if arrays == len(entry.names) else [", ".join(entry.names)]


def prepare_entries(
    system: AbstractSystem, where: Where, constraints: PyTree
) -> tuple[FreeEntry, ...]:
    """The selected entries, each with its constraint."""
    leaves = _parameters_of(system)
    chosen = select(system, where, _REMEDY)
    places = parameter_places(chosen, leaves)
    if not places:
        raise ValueError(
            f"{_REMEDY}It selects no parameter. Integers, connectivity and functions "
            "cannot be fitted."
        )
    if len(set(places)) != len(places):
        twice = next(p for p in places if places.count(p) > 1)
        raise ValueError(
            f"`where` selects `{leaves[twice].name}` twice, whose constraints could "
            "conflict. Select it once; for parameters that are to be equal take "
            "`jaxnet.constraints.Tied`."
        )
    pairs = []
    is_constraint = lambda c: c is None or isinstance(c, AbstractConstraint)
    try:
        jtu.tree_map(
            lambda c, chosen: pairs.append((c, parameter_places(chosen, leaves))),
            constraints,
            chosen,
            is_leaf=is_constraint,
        )
    except ValueError as e:
        raise ValueError(
            "`constraints` must be one of `jaxnet.constraints`, None, or a tree of them in "
            f"the structure of what `where` selects: {e}"
        ) from e
    entries = []
    for constraint, places in pairs:
        if constraint is None:
            entries += [_entry(_declared(leaves[p]), (p,), leaves) for p in places]
        elif isinstance(constraint, AbstractConstraint):
            entries.append(_entry(constraint, places, leaves))
        else:
            raise ValueError(
                "`constraints` must hold `jaxnet.constraints` or None, but one is "
                f"{constraint!r}."
            )
    return tuple(entries)


def parameter_places(chosen: PyTree, leaves: dict[int, Selected]) -> tuple[int, ...]:
    """The places of what can be fitted among the leaves of a selection."""
    places = [p.index for p in jtu.tree_leaves(chosen) if isinstance(p, Place)]
    return tuple(p for p in places if p in leaves)


def _parameters_of(system: AbstractSystem) -> dict[int, Selected]:
    """All parameters of a system by their places."""
    domains = {
        leaf.index: domain
        for _, domain, value in bounded_fields(numbered(system))
        for leaf in jtu.tree_leaves(value)
    }
    return {
        place: Selected(jtu.keystr(path).lstrip("."), leaf, domains.get(place))
        for place, (path, leaf) in enumerate(jtu.tree_leaves_with_path(system))
        if is_inexact(leaf)
    }


def _shown(constraint: AbstractConstraint) -> str:
    return eqx.tree_pformat(constraint, short_arrays=False)


def _declared(selected: Selected) -> AbstractConstraint:
    """The constraint that the model itself declares."""
    if selected.domain is not None:
        return Positive()
    # Weights of 0.06 and currents of 200 are moved alike, each by a part of its size.
    size = jax.lax.stop_gradient(jnp.sqrt(jnp.mean(selected.value**2)))
    return Free(jnp.where((size > 0) & jnp.isfinite(size), size, 1.0))


def _entry(
    constraint: AbstractConstraint, places: tuple[int, ...], leaves: dict[int, Selected]
) -> FreeEntry:
    chosen = [leaves[p] for p in places]
    values = [c.value for c in chosen]
    names = ", ".join(f"`{c.name}`" for c in chosen)
    admitted = constraint.admits(values)
    if is_concrete(admitted) and not admitted:
        shown = ", ".join(str(np.asarray(v)) for v in values)
        raise ValueError(
            f"The start of {names} is {shown}, which `{_shown(constraint)}` does not "
            "admit. Start inside, as by `equinox.tree_at`, or take another constraint."
        )
    free = constraint.free(values)
    for end in (-_FAR_AWAY, _FAR_AWAY):
        there = jtu.tree_map(jnp.full_like, free, jtu.tree_map(lambda _, e=end: e, free))
        reached = constraint.value(there, values)
        for c, value in zip(chosen, reached, strict=True):
            outside = (c.domain is not None) & jnp.any(value < 0)
            if is_concrete(outside) and outside:
                raise ValueError(
                    f"`{_shown(constraint)}` of {names} conflicts with the model, in which "
                    f"`{c.name}` is {c.domain}. Take `Positive()`, or an `Interval` within "
                    "that range."
                )
    return FreeEntry(tuple(c.name for c in chosen), places, constraint, values)
