"""Curves in the plane of two parameters."""

from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from ._critical import FoldUnknowns, HopfUnknowns, live_where, solve_critical
from ._curve import as_method, Box, Curve, Follower, kernel, PseudoArclength
from ._family import (
    as_count,
    as_span,
    Family,
    Parameters,
    Span,
)
from ._passed import refine_passed, Row
from ._result import result_if, RESULTS, SUCCESS, worst
from ._tree import as_arrays


# Vectors of unit length and squares of frequencies count little for the length of a curve.
VECTOR_UNIT = 4.0

_Unknowns = TypeVar("_Unknowns", FoldUnknowns, HopfUnknowns)


class ParameterPlane(eqx.Module):
    """The plane of two parameters, and how curves are followed in it."""

    method: PseudoArclength = eqx.field(converter=as_arrays)
    low: Parameters
    high: Parameters
    max_points: int = eqx.field(static=True)

    @property
    def spans(self) -> Parameters:
        return self.high - self.low

    def state_unit(self, n: int) -> Float[Array, ""]:
        return self.method.scale * n**0.5

    def follow(
        self,
        family: Family,
        guess: _Unknowns,
        equations: Callable[[Family, _Unknowns], Float[Array, " equations"]],
        units: _Unknowns,
        lower: _Unknowns,
        upper: _Unknowns,
        before: RESULTS,
    ) -> tuple[_Unknowns, Curve, RESULTS]:
        """The curve near a guess, with its rows as unknowns, and whether it has a start."""
        second = guess.parameters[1:]
        both = lambda z: z._replace(parameters=jnp.append(z.parameters, second))
        first, converged = solve_critical(
            family,
            guess._replace(parameters=guess.parameters[:1]),
            lambda family, z: equations(family, both(z)),
        )
        sizes, unravel = ravel_pytree(units)
        flat = lambda z: equations(alive, unravel(z * sizes))
        start = jax.lax.stop_gradient(ravel_pytree(both(first))[0] / sizes)
        low, high = ravel_pytree(lower)[0] / sizes, ravel_pytree(upper)[0] / sizes
        is_parameter = jnp.arange(start.size) >= start.size - 2
        inside = (start >= low) & (start <= high)
        frozen = lambda z: equations(family, unravel(z * sizes))
        tangent, crossing = kernel(frozen, start)
        # So that it begins where the first parameter is small, as far as that is defined.
        tangent = tangent * jnp.where(tangent[-2] < 0, -1.0, 1.0)
        result = worst(
            before,
            result_if(~converged, RESULTS.no_bifurcation),
            result_if(jnp.any(~inside & is_parameter), RESULTS.start_outside_span),
            # The only other bound is that of kappa.
            result_if(~jnp.all(inside), RESULTS.neutral_saddle),
            result_if(crossing, RESULTS.nonhyperbolic_start),
        )
        alive = live_where(result == SUCCESS, family)
        curve = Follower(self.method, matrix_free=False)(
            flat, start, tangent, Box(low, high), is_start=result == SUCCESS
        )
        return jax.vmap(lambda z: unravel(z * sizes))(curve.x), curve, result

    def refine(
        self,
        family: Family,
        points: _Unknowns,
        curve: Curve,
        passed: Bool[Array, " rows"],
        refine: Callable,
    ):
        """The points of codimension two that were passed, and whether all were found."""
        return refine_passed(
            passed,
            Row(points.x, points.parameters, curve.tangent),
            lambda row, result: refine(family, row.x, row.parameters, result),
            lambda point: point.parameters,
            (self.state_unit(points.x.shape[1]), self.spans),
            self.max_points,
        )


def prepare_plane(
    spans: tuple[Span, Span], method: PseudoArclength | None, max_points: int
) -> "ParameterPlane":
    if not isinstance(spans, tuple | list) or len(spans) != 2:
        raise ValueError(
            "`spans` must be two pairs of rising numbers, one for each parameter, but it "
            f"is {spans}."
        )
    bounds = [as_span(span, f"spans[{i}]") for i, span in enumerate(spans)]
    low, high = jnp.stack(bounds).T
    count = as_count(max_points, "max_points")
    return ParameterPlane(as_method(method), low, high, count)
