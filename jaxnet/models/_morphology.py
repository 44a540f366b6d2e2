"""The shape of a cell: a tree of branches, cut into cylinders."""

import collections
from collections.abc import Iterable, Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Real

from .._elimination import Edges
from .._parameters import Parameter, parameter, Parametric
from .._rows import columns
from .._tree import numerics_for


# From ohm cm / um to Mohm.
_MOHM = 1e-2

Halves = tuple[tuple[bool, bool], ...]
# An edge, and what it leads through.
_Joint = tuple[tuple[int, int], tuple[bool, bool]]
# A branch, and its first compartment and the one after its last.
_Span = tuple[str, int, int]


class Branch(Parametric):
    """An unbranched piece of a cell, cut into cylinders.

    **Arguments:**

    - `length`: of the whole branch (um), cut into equal parts; or one a segment.
    - `diameter`: (um), one number, or one a segment.
    - `segments`: the number of cylinders.
    - `parent`: the name of the branch from which this one starts; `None` for the root.
    - `at`: where on its parent it starts: 0 is the start, 1 the end; in between it starts
        from the middle of the segment there.
    - `direction`: in which it goes, for pictures alone.
    - `points`: instead of that, the start and the end of each segment in space (um).
    """

    length: Parameter = parameter(positive=True)
    diameter: Parameter = parameter(positive=True)
    segments: int = eqx.field(static=True, default=1, kw_only=True)
    parent: str | None = eqx.field(static=True, default=None, kw_only=True)
    at: float = eqx.field(static=True, default=1.0, kw_only=True)
    direction: tuple[float, float, float] = eqx.field(
        static=True, default=(1.0, 0.0, 0.0), kw_only=True
    )
    points: Float[np.ndarray, "..."] | None = eqx.field(
        converter=lambda x: None if x is None else np.asarray(x, float),
        default=None,
        kw_only=True,
    )

    @property
    def whole_length(self) -> Float[Array, ""]:
        """The length of the branch (um)."""
        return self.length.sum() if self.length.ndim else self.length

    def __check_init__(self):
        if type(self.segments) is not int or self.segments < 1:
            raise ValueError(
                "`segments` of `Branch` must be a positive whole number, but it is "
                f"{self.segments!r}."
            )
        for name in ("length", "diameter"):
            shape = jnp.shape(getattr(self, name))
            if shape not in ((), (self.segments,)):
                raise ValueError(
                    f"`{name}` of `Branch` must be one number, or one a segment, "
                    f"({self.segments},), but its shape is {shape}."
                )
        if not isinstance(self.at, int | float) or not 0 <= self.at <= 1:
            raise ValueError(
                f"`at` of `Branch` must lie between 0, the start of the parent, and 1, its "
                f"end, but it is {self.at!r}."
            )
        if np.shape(self.direction) != (3,) or not np.any(self.direction):
            raise ValueError(
                "`direction` of `Branch` must be three numbers, not all zero, but it is "
                f"{self.direction}."
            )
        if self.points is not None and np.shape(self.points) != (self.segments, 2, 3):
            raise ValueError(
                "`points` of `Branch` must be the start and the end of each segment, "
                f"({self.segments}, 2, 3), but its shape is {np.shape(self.points)}."
            )


class Morphology(Parametric):
    """A tree of branches, cut into compartments, each of them a cylinder.

    The compartments are numbered from the root on, branch by branch, in the order in which
    the branches are given; but a branch comes after its parent. Where three or more
    branches meet there is a junction without membrane.

    **Arguments:**

    - `branches`: a [`jaxnet.models.Branch`][] under each name. One of them, the root, has
        no parent. A name such as ``"dendrite[3]"`` also belongs to ``"dendrite"``.

    **Attributes:**

    - `length`, `diameter`: of each compartment (um).
    - `edges`: the pairs of nodes that are joined: compartments first, then junctions.
    - `through`: whether an edge leads through half of the compartment at either end. It
        leads from the middle of one to the middle of the other; but a junction has no
        inside, and a branch may start from the middle of its parent.
    - `points`: the start and the end of each compartment in space (um), for pictures.

    ```pycon
    >>> import jaxnet as jn
    >>> morphology = jn.models.Morphology(
    ...     {
    ...         "soma": jn.models.Branch(12.6157, 12.6157),
    ...         "dendrite": jn.models.Branch(200.0, 1.0, segments=5, parent="soma"),
    ...     }
    ... )
    >>> morphology.compartment("dendrite", 0.5)
    3
    ```
    """

    points: Float[Array, "compartments 2 3"]
    edges: Edges = eqx.field(static=True)
    through: Halves = eqx.field(static=True)
    junctions: int = eqx.field(static=True)
    branches: tuple[_Span, ...] = eqx.field(static=True)
    length: Float[Array, "compartments ..."] = parameter(positive=True)
    diameter: Float[Array, "compartments ..."] = parameter(positive=True)

    def __init__(self, branches: Mapping[str, Branch]):
        _check_branches(branches)
        names = _from_the_root_on(branches)
        pieces = [branches[name] for name in names]
        ends = np.cumsum([0, *(branch.segments for branch in pieces)]).tolist()
        self.branches = tuple(zip(names, ends[:-1], ends[1:], strict=True))
        self.length = _one_a_segment(
            [b.length if b.length.ndim else b.length / b.segments for b in pieces], pieces
        )
        self.diameter = _one_a_segment([b.diameter for b in pieces], pieces)
        self.points = _in_space(branches, self.branches)
        joints, self.junctions = _joints(branches, self.branches)
        self.edges = tuple(nodes for nodes, _ in joints)
        self.through = tuple(through for _, through in joints)

    @property
    def compartments(self) -> int:
        """The number of compartments."""
        return self.branches[-1][2]

    @property
    def area(self) -> Float[Array, "compartments ..."]:
        """The membrane of each compartment (um2): the side of its cylinder."""
        return jnp.pi * self.diameter * self.length

    def conductance(
        self, axial_resistivity: Real[ArrayLike, "..."]
    ) -> Float[Array, "edges ..."]:
        """The conductance of each edge (uS), given the resistivity inside (ohm cm)."""
        resistivity = jnp.asarray(axial_resistivity, float)
        ndim = max(x.ndim for x in (self.length, self.diameter, resistivity))
        length, diameter, resistivity = (
            columns(x, ndim) for x in (self.length, self.diameter, resistivity)
        )
        half = _MOHM * resistivity * length / (jnp.pi * diameter**2 / 2)
        half = jnp.concatenate([half, jnp.zeros((self.junctions, *half.shape[1:]))])
        nodes = np.array(self.edges, int).reshape(-1, 2).T
        through = np.array(self.through, float).reshape(-1, 2).T
        first, second = (
            columns(jnp.asarray(x), half.ndim) * half[k]
            for k, x in zip(nodes, through, strict=True)
        )
        return 1 / (first + second)

    def compartment(self, branch: str, position: float = 0.5) -> int:
        """The number of the compartment at a place on a branch.

        The middle of a branch with an even number of segments is the start of the one that
        follows it. An odd number has a compartment in the middle.

        **Arguments:**

        - `branch`: its name.
        - `position`: from 0, the start of the branch, to 1, its end.
        """
        if not 0 <= position <= 1:
            raise ValueError(
                f"`position` must lie between 0, the start of the branch, and 1, its end, "
                f"but it is {position}."
            )
        for name, start, stop in self.branches:
            if name == branch:
                return min(start + int(position * (stop - start)), stop - 1)
        raise ValueError(f"`branch` must be one of {self._names()}, not {branch!r}.")

    def region(self, names: str | Iterable[str] | None) -> Int[np.ndarray, " chosen"]:
        """The numbers of the compartments of some branches.

        **Arguments:**

        - `names`: of branches, or what stands before the bracket in their names; `None`
            for all.
        """
        if names is None:
            return np.arange(self.compartments)
        names = (names,) if isinstance(names, str) else tuple(names)
        known = {n for name, _, _ in self.branches for n in (name, name.split("[")[0])}
        unknown = sorted(set(names) - known)
        if unknown or not names:
            raise ValueError(
                f"{unknown or 'An empty list'} names no branch. The branches are "
                f"{self._names()}."
            )
        chosen = [
            np.arange(start, stop)
            for name, start, stop in self.branches
            if {name, name.split("[")[0]} & set(names)
        ]
        return np.concatenate(chosen)

    def _names(self) -> list[str]:
        names = [name for name, _, _ in self.branches]
        return names if len(names) <= 10 else [*names[:10], "..."]


def _one_a_segment(
    values: Sequence[Float[Array, "..."]], branches: Sequence[Branch]
) -> Float[Array, " compartments"]:
    xp = numerics_for(*values)
    pairs = zip(values, branches, strict=True)
    return jnp.asarray(
        xp.concatenate([xp.broadcast_to(x, (b.segments,)) for x, b in pairs]), float
    )


def _check_branches(branches: Mapping[str, Branch]) -> None:
    if not isinstance(branches, Mapping) or not branches:
        raise ValueError(
            "`branches` must be a dictionary with at least one branch, the root, such as "
            "`{'soma': Branch(20.0, 20.0)}`."
        )
    for name, branch in branches.items():
        if not isinstance(branch, Branch):
            raise ValueError(
                f"`branches[{name!r}]` must be a `Branch(length, diameter)`, but it is "
                f"{branch!r}."
            )
        if branch.parent is not None and branch.parent not in branches:
            raise ValueError(
                f"`parent` of the branch {name!r} is {branch.parent!r}, but the branches "
                f"are {list(branches)}."
            )
    roots = [name for name, branch in branches.items() if branch.parent is None]
    if len(roots) > 1:
        raise ValueError(
            f"{roots} have no parent, but a tree has one root. Give all but one a `parent`."
        )
    for name in branches:
        path = [name]
        while (parent := branches[path[-1]].parent) is not None:
            path.append(parent)
            if parent == name:
                circle = " -> ".join(repr(step) for step in path)
                raise ValueError(
                    f"The branches have a circle, from each to its parent: {circle}. "
                    "Let one branch, the root, have no parent."
                )
            if len(path) > len(branches):
                break


def _from_the_root_on(branches: Mapping[str, Branch]) -> list[str]:
    children: dict[str | None, list[str]] = collections.defaultdict(list)
    for name, branch in branches.items():
        children[branch.parent].append(name)
    order = list(children[None])
    for name in order:
        order.extend(children[name])
    return order


def _joints(
    branches: Mapping[str, Branch], spans: tuple[_Span, ...]
) -> tuple[list[_Joint], int]:
    """The edges between compartments and junctions, and the number of these."""
    spans_of = {name: (start, stop) for name, start, stop in spans}
    joints: list[_Joint] = [
        ((i, i + 1), (True, True))
        for _, start, stop in spans
        for i in range(start, stop - 1)
    ]

    def meeting_point(name: str, at: float) -> int | tuple[str, float]:
        """A compartment whose middle is meant, or the end of a branch."""
        start, stop = spans_of[name]
        if 0 < at < 1:
            return min(start + int(at * (stop - start)), stop - 1)
        branch = branches[name]
        if at == 0 and branch.parent is not None:
            return meeting_point(branch.parent, branch.at)
        return name, at

    meetings: dict[tuple[str, float], list[int]] = collections.defaultdict(list)
    for name, start, stop in spans:
        branch = branches[name]
        if branch.parent is None:
            meetings[name, 0.0].append(start)
        else:
            point = meeting_point(branch.parent, branch.at)
            if isinstance(point, int):
                joints.append(((point, start), (False, True)))
            else:
                meetings[point].append(start)
        meetings[name, 1.0].append(stop - 1)

    compartments, junctions = spans[-1][2], 0
    for members in meetings.values():
        if len(members) == 2:
            joints.append(((min(members), max(members)), (True, True)))
        elif len(members) > 2:
            junction = compartments + junctions
            junctions += 1
            joints += [((k, junction), (True, False)) for k in members]
    return joints, junctions


def _in_space(
    branches: Mapping[str, Branch], spans: tuple[_Span, ...]
) -> Float[Array, "compartments 2 3"]:
    """Where each compartment starts and ends, if all branches are straight."""
    xp = numerics_for(*(branch.length for branch in branches.values()))
    along: dict[str, Array] = {}
    for name, start, stop in spans:
        branch, parent = branches[name], branches[name].parent
        if branch.points is not None:
            along[name] = xp.concatenate([branch.points[:, 0], branch.points[-1:, 1]])
            continue
        origin = xp.zeros(3)
        if parent is not None:
            first, last = along[parent][0], along[parent][-1]
            origin = first + branch.at * (last - first)
        direction = np.asarray(branch.direction, float)
        vector = direction / np.linalg.norm(direction) * xp.asarray(branch.whole_length)
        lengths = xp.broadcast_to(xp.asarray(branch.length), (stop - start,))
        fractions = xp.append(0.0, xp.cumsum(lengths)) / xp.sum(lengths)
        along[name] = origin + fractions[:, None] * vector
    pairs = [xp.stack([nodes[:-1], nodes[1:]], axis=1) for nodes in along.values()]
    return jnp.asarray(xp.concatenate(pairs), float)
