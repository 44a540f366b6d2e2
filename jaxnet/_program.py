"""The flow of a system as a program, which is made once, looked at, and used many times."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun, Var
from jax.interpreters import partial_eval as pe
from jaxtyping import Array, Real


Leaves = list[Real[Array, "..."]]

# What these make of an entry of an array depends on this entry alone.
_NAMES = """
abs add and ceil clamp convert_element_type copy cos cosh div eq erf exp exp2 expm1 floor
ge gt integer_pow is_finite le log log1p logistic lt max min mul ne neg not or pow rem
round select_n sign sin sinh sqrt square stop_gradient sub tan tanh
"""
_ELEMENTWISE = frozenset(_NAMES.split())


def _is_elementwise(jaxpr, of_units: set) -> bool:
    """Whether all that a program makes of some variables, it makes entry by entry."""
    of_units = set(of_units)
    for equation in jaxpr.eqns:
        tainted = [x for x in equation.invars if isinstance(x, Var) and x in of_units]
        if not tainted:
            continue
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if isinstance(inner, ClosedJaxpr):
            pairs = zip(inner.jaxpr.invars, equation.invars, strict=True)
            passed = {inside for inside, x in pairs if isinstance(x, Var) and x in of_units}
            if not _is_elementwise(inner.jaxpr, passed):
                return False
        elif equation.primitive.name not in _ELEMENTWISE:
            return False
        of_units.update(equation.outvars)
    return True


class Program:
    """A flow as a program, which is made once and then looked at and used many times."""

    def __init__(self, field, t, leaves: Leaves, u):
        traced = jax.make_jaxpr(field)(t, leaves, u)
        all_rates = [True] * len(traced.jaxpr.outvars)
        jaxpr, _ = pe.dce_jaxpr(traced.jaxpr, all_rates, instantiate=True)
        self.traced = traced.replace(jaxpr=jaxpr)

    def rates(self, t, leaves: Leaves, u, of: Sequence[int] | None = None) -> Leaves:
        """The derivatives of some variables, or of all."""
        jaxpr = self.traced.jaxpr
        of = range(len(jaxpr.outvars)) if of is None else of
        wanted = [i in of for i in range(len(jaxpr.outvars))]
        jaxpr, _ = pe.dce_jaxpr(jaxpr, wanted, instantiate=True)
        closed = self.traced.replace(jaxpr=jaxpr)
        rates = jaxpr_as_fun(closed)(*jtu.tree_leaves((t, leaves, u)))
        found = dict(zip(sorted(of), rates, strict=True))
        return [jnp.asarray(found[i]) for i in of]

    def reads(self, i: int) -> list[bool]:
        """What the derivative of a variable reads of time, state and input."""
        jaxpr = self.traced.jaxpr
        return pe.dce_jaxpr(jaxpr, [i == j for j in range(len(jaxpr.outvars))])[1]

    def is_elementwise(self) -> bool:
        """Whether it is plain that no unit reads the variables of another one."""
        jaxpr = self.traced.jaxpr
        # Time comes first, and the input last.
        of_units = jaxpr.invars[1 : 1 + len(jaxpr.outvars)]
        return _is_elementwise(jaxpr, set(of_units))

    def rates_and_derivatives(
        self, t, leaves: Leaves, u, of: Sequence[int], by: Sequence[int]
    ) -> tuple[Leaves, Leaves]:
        """Some rates, and how they change if some variables move at speed one."""

        def rates(moving):
            at = dict(zip(by, moving, strict=True))
            return self.rates(t, [at.get(i, x) for i, x in enumerate(leaves)], u, of)

        # Not with zeros for the others: XLA would carry them along.
        moving = [leaves[i] for i in by]
        return jax.jvp(rates, (moving,), ([jnp.ones_like(x) for x in moving],))
