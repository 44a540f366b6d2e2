"""How a computation ended, as a code whose message is the remedy."""

import diffrax
from jax.core import Tracer
from jaxtyping import Array, Bool


class RESULTS(diffrax.RESULTS):  # pyright: ignore[reportGeneralTypeIssues]
    """How a computation ended. Every message says what to do about it.

    The codes of diffrax, optimistix and lineax are among them. A code is compared with
    ``==``, is batched under ``jax.vmap``, and gives its message by ``RESULTS[code]``.

    ```pycon
    >>> import jaxnet as jn
    >>> print(jn.RESULTS[jn.RESULTS.parameter_out_of_range])
    A parameter lies outside its range...
    ```
    """

    parameter_out_of_range = (
        "A parameter lies outside its range, such as a time constant that is not "
        "positive. All results are NaN. Mask this element, or constrain the parameter."
    )
    nan_input = (
        "A parameter, an input, the initial state or a time is NaN, or the state is "
        "infinite. All results are NaN. Find the NaN where the arrays were made."
    )
    too_many_steps = (
        "The run took more than `max_steps` steps. If the solution stays finite, raise "
        "`max_steps`; if it is stiff, take `Adaptive(solver=diffrax.Kvaerno5())`; if "
        "the steps shrink without end, the solution blows up or the input is NaN."
    )
    no_time_passes = (
        "`t1` is not after `t0`. All results are NaN. Integrate forward in time."
    )
    nonfinite_state = (
        "The state became NaN or infinite on the way, or what `save` made of it did. "
        "Reduce `dt`, look at the function in `save`, or look for "
        "positive feedback without saturation and for a rate of the wrong sign."
    )
    diverged = (
        "A voltage ran away: it left the range in which the model means something. `stats` "
        "of the solution says when, and in which unit; from there on nothing is to be "
        "trusted. Look for a conductance that became negative, or reduce `dt`."
    )
    flow_not_local = (
        "The derivative of some unit depends on the variables of another one, or on the "
        "number of units, which `Exponential` cannot step. Take an explicit solver such "
        "as `diffrax.Heun()`, or let the units send spikes."
    )
    no_fixed_point = (
        "No start converged to a fixed point. Give more starts, or starts nearer to "
        "where the vector field is small; raise `max_steps`; or there is none."
    )
    no_slow_point = (
        "No start led to a slow point. Give more starts, or starts on a run of the system; "
        "raise `max_speed` or `max_steps`; or there is none."
    )
    too_many_fixed_points = (
        "More fixed points were found than `max_points`; those that come first in "
        "order are kept. Raise `max_points`."
    )
    start_outside_span = (
        "The parameter of the system lies outside `span`. All results are NaN. Give the "
        "system a value inside, with `equinox.tree_at`, or widen the span."
    )
    start_not_on_branch = (
        "`y0` is not near a fixed point at the parameter of the system. All results are "
        "NaN. Take a state from `jaxnet.fixed_points`, or set the method's `scale` to the "
        "size of the state."
    )
    parameter_without_effect = (
        "The vector field does not depend on the parameter that `where` selects. All "
        "results are NaN. Select another one; of a system with an input, look at whether "
        "the input replaces it."
    )
    nonhyperbolic_start = (
        "The start is a point where branches cross, so that the direction is not defined. "
        "All results are NaN. Take `jaxnet.switch_branch` from a `jaxnet.branch_point`, or "
        "start at another parameter."
    )
    no_saddle = (
        "The state is no fixed point, or has not one positive and one negative eigenvalue, "
        "so no separatrices start from it. All results are NaN. Take a row of "
        "`jaxnet.fixed_points` whose stability is a saddle."
    )
    isolated_point = (
        "At this branch point no branches cross: it is an isolated fixed point, or it was "
        "not found. All results are NaN. See `imperfection`, and start near another."
    )
    eigenvalues_inexact = (
        "Some of the eigenvalues with the largest real parts are not known well: the "
        "spectrum is too dense there for Arnoldi's method. The branch itself is right. "
        "Take `n_eigenvalues` for all state variables, which is slow and exact."
    )
    branch_stuck = (
        "The steps shrank below `min_step` at one end: there the branch has a corner, or "
        "the vector field is not smooth or not finite. What is accepted is right. Set "
        "the method's `scale` to the size of the state, or lower its `min_step`."
    )
    branch_unfinished = (
        "The branch took more than `max_steps` steps. What is accepted is right. Raise "
        "`max_steps` or `max_step` of the method, set its `scale` to the size of the "
        "state, or narrow the span."
    )
    too_many_bifurcations = (
        "More bifurcation points of one kind were found than `max_points`; those that come "
        "first along the branch are kept, and the masks of the branch show where the "
        "others are. Raise `max_points`."
    )
    near_crossing = (
        "Two branches come near each other without crossing, and a step may have led from "
        "one to the other. What is accepted are fixed points, but perhaps not of one "
        "branch. Reduce the method's `max_step` until this code is gone."
    )
    not_refined = (
        "A bifurcation point that was seen between two points of the branch was not found "
        "by its equations. It is not valid. Reduce the method's `max_step`; or two of them "
        "coincide."
    )
    no_bifurcation = (
        "Newton's method found no such bifurcation point from this start. The point is "
        "NaN. Start nearer, such as from the branch of `jaxnet.continuation`."
    )
    neutral_saddle = (
        "Two real eigenvalues are opposite here, instead of two imaginary ones: a neutral "
        "saddle, no Hopf point. The point is NaN. Start nearer to where a complex pair "
        "crosses the imaginary axis."
    )
    not_homogeneous = (
        "The linearisation changes from place to place, so that plane waves are not its "
        "modes. All results are NaN. Give the same values at every place for the state, "
        "the input and the parameters; or take `jaxnet.eigenvalues`."
    )
    target_not_met = (
        "The search ended where no small change lowers the misfit, but what was asked for "
        "is not met. Give more `starts`, select more parameters, or ask for less."
    )
    target_out_of_reach = (
        "The search ended with a parameter at the edge of its constraint, and what was "
        "asked for is not met. Widen the constraint, select more parameters, or ask for "
        "less."
    )
    fit_unfinished = (
        "The search took more than `max_steps` steps. The parameters are the best so far. "
        "Raise `max_steps` of the method, or look at whether `history` still falls."
    )
    nonfinite_misfit = (
        "The misfit became NaN or infinite; the parameters are the last good ones, and "
        "`steps` says where. If `steps` is 0, the start itself is bad. Start elsewhere, "
        "constrain the parameters, or take smaller steps."
    )
    equilibrium_unstable = (
        "The fixed point is where it should be, but it is unstable, so that no run rests "
        "there. Ask for its stability too: `Sum((..., SpectralAbscissa(-0.1, y)))`."
    )
    not_rightmost = (
        "The eigenvalue is where it should be, but another one lies further right: the "
        "fixed point was unstable before. Start where it is stable, or give more `starts`."
    )
    cycle_not_resolved = (
        "The nodes are too few for the orbit that was found: its highest harmonics are not "
        "small, or a simulation does not follow it, so it is not to be trusted. Raise "
        "`nodes`, or start nearer."
    )
    cycle_sensitive = (
        "Within one period a small displacement from the orbit grows more than a "
        "thousandfold, as along canards: noise throws a run off it. Give more `starts`, or "
        "start nearer to a robust cycle."
    )
    cycle_unstable = (
        "The orbit that was found repels what comes near it, so that no run shows it. "
        "Give more `starts`, or start nearer to a stable cycle."
    )
    spike_buffer_full = (
        "More spikes were fired than `max_spikes`; the first ones are kept, and "
        "`count` has the true number. Raise `max_spikes` of `RecordTimes`, or take "
        "`RecordRaster()`, which always has room."
    )


# A type checker takes an entry of an enumeration for a literal.
SUCCESS: RESULTS = RESULTS.successful  # pyright: ignore[reportAssignmentType]


def is_concrete(x) -> bool:
    """Whether a value can be looked at now, that is, is not being traced."""
    return not isinstance(x, Tracer)


def worst(*results: RESULTS) -> RESULTS:
    """The first of the results that is not a success, or success."""
    first, *rest = [result for result in results if result is not SUCCESS] or [SUCCESS]
    for result in rest:
        first = RESULTS.where(first == SUCCESS, result, first)
    return first


def result_if(bad: Bool[Array, "..."], result: RESULTS) -> RESULTS:
    """`result` where `bad`, success elsewhere."""
    if is_concrete(bad) and bad.ndim == 0:
        return result if bad else SUCCESS
    return RESULTS.where(bad, result, SUCCESS)


def raise_if_failed(result: RESULTS, detail: str = "") -> None:
    """Raise the remedy of a failure, and a detail, if it can be known now.

    Inside `jax.jit` and `jax.vmap` it can't be known: the code travels with the result.
    """
    success = result == SUCCESS
    if is_concrete(success) and not success.all():
        raise RuntimeError(RESULTS[result] + detail)
