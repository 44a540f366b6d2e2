"""Morphologies from files."""

import math
import os
from typing import Any

import numpy as np
from jaxtyping import Float

from ._morphology import Branch, Morphology


_KINDS = {2: "axon", 3: "dendrite", 4: "apical"}


def read_swc(path: str | os.PathLike, *, longest_segment: float = 20.0) -> Morphology:
    """A morphology from an SWC file, or another one that MorphIO reads.

    The branches are named ``"soma"``, ``"axon[0]"``, ``"dendrite[0]"``, ``"apical[0]"``
    and so on; their kind without the number names all of them. A branch is cut into
    segments of one length along its path, and each becomes the cylinder of the same
    membrane and the same resistance inside, to seven digits. The soma becomes a cylinder
    as long as it is wide, with its membrane; what starts from it starts from its middle.
    Without a soma, there must be one branch that all others come from.

    It needs MorphIO: ``pip install 'jaxnet-dynamics[morphology]'``.

    **Arguments:**

    - `path`: of the file.
    - `longest_segment`: (um) how long a segment may be. A tenth of the length constant at
        100 Hz is a good choice.

    **Raises:** `ValueError` for a file that cannot be read as a tree with a membrane.

    Source: the format of Cannon et al. 1998, doi:10.1016/S0165-0270(98)00091-0.
    """
    try:
        import morphio
    except ImportError as e:
        raise ImportError(
            "`read_swc` needs MorphIO. Install it by "
            "`pip install 'jaxnet-dynamics[morphology]'`."
        ) from e
    if not longest_segment > 0:
        raise ValueError(
            f"`longest_segment` must be positive, but it is {longest_segment}. Pass it in "
            "um."
        )
    try:
        file = morphio.Morphology(os.fspath(path))
    except morphio.MorphioError as e:
        raise ValueError(f"`path` {os.fspath(path)!r} holds no morphology: {e}") from e

    has_soma = len(file.soma.points) > 0
    branches = {"soma": _soma(file.soma)} if has_soma else {}
    if not has_soma and len(file.root_sections) > 1:
        raise ValueError(
            f"{os.fspath(path)!r} has no soma, and {len(file.root_sections)} branches "
            "without a parent. Add a soma to the file."
        )
    names: dict[int, str] = {}
    for section in file.iter():
        kind = _KINDS.get(int(section.type), "other")
        count = sum(name.startswith(kind + "[") for name in names.values())
        names[section.id] = f"{kind}[{count}]"
        if section.is_root:
            parent, at = ("soma" if has_soma else None), 0.5
        else:
            parent, at = names[section.parent.id], 1.0
        points = np.asarray(section.points, float)
        diameters = np.asarray(section.diameters, float)
        name = names[section.id]
        branches[name] = _branch(points, diameters, longest_segment, parent, at, name)
    return Morphology(branches)


def _soma(soma: Any) -> Branch:
    size = math.sqrt(float(soma.surface) / math.pi)
    middle = np.asarray(soma.center, float)
    half = np.array([size / 2, 0.0, 0.0])
    return Branch(size, size, points=np.stack([middle - half, middle + half])[None])


def _branch(
    points: Float[np.ndarray, "points 3"],
    diameters: Float[np.ndarray, " points"],
    longest_segment: float,
    parent: str | None,
    at: float,
    name: str,
) -> Branch:
    distance = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    if not (distance[-1] > 0 and (diameters > 0).all()):
        raise ValueError(
            f"The branch {name!r} has no membrane: its length is {distance[-1]}, and its "
            f"smallest diameter {diameters.min()}. Mend these points in the file."
        )
    segments = max(1, math.ceil(distance[-1] / longest_segment - 1e-9))
    cuts = np.linspace(0.0, distance[-1], segments + 1)
    # All points of the file, and those where it is cut.
    along = np.union1d(distance, cuts)
    radius = np.interp(along, distance, diameters / 2)
    height = np.diff(along)
    first, last = radius[:-1], radius[1:]
    side = np.pi * (first + last) * np.hypot(height, last - first)
    resistance = height / (np.pi * first * last)
    segment = np.clip(np.searchsorted(cuts, along[:-1], side="right") - 1, 0, segments - 1)
    area = np.bincount(segment, side, segments)
    per_resistivity = np.bincount(segment, resistance, segments)
    # The cylinder with this area, pi d l, and this resistance, l / (pi (d / 2)^2).
    diameter = np.cbrt(4 * area / (np.pi**2 * per_resistivity))
    ends = np.stack([np.interp(cuts, distance, x) for x in points.T], axis=1)
    return Branch(
        area / (np.pi * diameter),
        diameter,
        segments=segments,
        parent=parent,
        at=at,
        points=np.stack([ends[:-1], ends[1:]], axis=1),
    )
