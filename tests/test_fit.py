"""What a fit selects, how it searches, how it ends, and how it batches."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix as optx
import pytest

import jaxnet as jn
from jaxnet import constraints, gradients, models, objectives


SUCCESS = jn.RESULTS.successful
KEY = jax.random.key(7)


class Level(jn.AbstractSystem):
    """dy/dt = drive - y: it rests at its drive."""

    drive: jn.Parameter = jn.parameter(0.0)

    def vector_field(self, t, y, u):
        return self.drive - y


class Valleys(jn.AbstractSystem):
    """dy/dt = p^3 - 3 p - y, with two valleys of the loss in p for a low y."""

    p: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return self.p**3 - 3 * self.p - y


class Logarithm(jn.AbstractSystem):
    """dy/dt = log p - y: NaN for a p that is negative, though none is forbidden."""

    p: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        return jnp.log(self.p) - y


class Pair(jn.AbstractSystem):
    """Two variables: dy/dt = W y + shift - y / tau."""

    weights: jn.Parameter = jn.parameter(np.array([[0.2, -0.3], [0.4, -0.1]]))
    tau: jn.Parameter = jn.parameter(np.array([2.0, 3.0]), positive=True)
    shift: jn.Parameter = jn.parameter(np.array([0.1, 0.2]))
    steps: int = 3

    def vector_field(self, t, y, u):
        u = 0.0 if u is None else u
        return self.weights @ y + self.shift + u - y / self.tau


DRIVE = lambda s: s.drive
P = lambda s: s.p
# Its steps are those of the parameter itself.
FREE = constraints.Free()
STATE = np.array([0.4, 0.8])
THERE = objectives.FixedPointAt(STATE, stable=False)


def descent(optimiser=None, estimator=None, max_steps=200):
    return jn.Descent(
        optax.sgd(0.5) if optimiser is None else optimiser, estimator, max_steps
    )


CODES = (
    "successful",
    "target_not_met",
    "target_out_of_reach",
    "fit_unfinished",
    "nonfinite_misfit",
    "parameter_out_of_range",
    "nan_input",
)


def codes_of(results, n):
    """The names of the codes in a batch."""
    rows = [jax.tree.map(lambda x, i=i: x[i], results) for i in range(n)]
    return [code_of(result) for result in rows]


def code_of(result):
    return next(n for n in CODES if getattr(jn.RESULTS, n) == result)


# What is selected

SELECTIONS = {
    "one array": lambda s: s.system.shift,
    "a matrix": lambda s: s.system.weights,
    "time constants": lambda s: s.system.tau,
    "a tuple": lambda s: (s.system.shift, s.system.tau),
    "a nested tree": lambda s: {"a": (s.system.weights,), "b": [s.system.shift]},
    "a module": lambda s: s.system,
    "the input": lambda s: s.input.value,
    "the input as a module": lambda s: s.input,
    "everything": lambda s: s,
}
FIELDS = {
    "weights": lambda s: s.system.weights,
    "tau": lambda s: s.system.tau,
    "shift": lambda s: s.system.shift,
    "u": lambda s: s.input.value,
}
IN = {
    "one array": ["shift"],
    "a matrix": ["weights"],
    "time constants": ["tau"],
    "a tuple": ["shift", "tau"],
    "a nested tree": ["weights", "shift"],
    "a module": ["weights", "tau", "shift"],
    "the input": ["u"],
    "the input as a module": ["u"],
    "everything": ["weights", "tau", "shift", "u"],
}
DRIVEN = jn.Driven(Pair(), np.array([0.4, 0.3]))


@pytest.mark.parametrize(
    "name",
    [
        "a nested tree",
        "time constants",
        "the input",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in SELECTIONS
            if name not in ("a nested tree", "time constants", "the input")
        ),
    ],
)
def test_what_is_selected_moves_and_nothing_else(name):
    where = SELECTIONS[name]
    fit = jn.fit(DRIVEN, THERE, where=where)
    assert fit.result == SUCCESS
    pair, u = fit.system.system, np.asarray(fit.system.input.value)
    flow = pair.weights @ STATE + pair.shift + u - STATE / pair.tau
    np.testing.assert_allclose(flow, 0.0, atol=1e-7)
    for field, get in FIELDS.items():
        same = np.array_equal(get(fit.system), get(DRIVEN))
        assert same == (field not in IN[name])
    assert np.all(np.asarray(pair.tau) > 0)
    assert pair.steps == 3
    # All searches, here one, are in the structure of the selection.
    chosen = where(fit.system)
    assert jax.tree.structure(fit.trials.parameters) == jax.tree.structure(chosen)
    for all_, best in zip(
        jax.tree.leaves(fit.trials.parameters), jax.tree.leaves(chosen), strict=True
    ):
        if eqx.is_array(best):
            np.testing.assert_array_equal(all_[0], best)


@pytest.mark.slow
def test_an_input_that_is_given_apart_drives_the_system_but_comes_not_back():
    fit = jn.fit(
        models.RatePopulation(), objectives.FixedPointAt(0.3), where=lambda s: s.w, u=2.0
    )
    assert isinstance(fit.system, models.RatePopulation)
    drive = float(fit.system.w) * 0.3 + 2.0
    rate = 1 / (1 + np.exp(-1.2 * (drive - 2.8))) - 1 / (1 + np.exp(1.2 * 2.8))
    assert rate == pytest.approx(0.3, rel=1e-7)


# Methods

METHODS = {
    "all at once": jn.AllAtOnce(),
    "least squares": jn.LeastSquares(),
    "Gauss and Newton": jn.LeastSquares(optx.GaussNewton(rtol=1e-10, atol=1e-10)),
    "Levenberg and Marquardt": jn.AllAtOnce(
        optx.LevenbergMarquardt(rtol=1e-10, atol=1e-10)
    ),
    "dog leg": jn.LeastSquares(optx.Dogleg(rtol=1e-10, atol=1e-10)),
    "finite differences": jn.LeastSquares(differences=gradients.FiniteDifferences(0.01)),
    "sgd": descent(),
    "adam": descent(optax.adam(optax.exponential_decay(0.3, 100, 0.5)), max_steps=3000),
    "clipped": descent(optax.chain(optax.clip_by_global_norm(0.2), optax.sgd(0.5))),
    "momentum": descent(optax.sgd(0.2, momentum=0.5)),
    "differences": descent(None, gradients.FiniteDifferences()),
    "one direction": descent(None, gradients.SPSA()),
}


SLOW = ("least squares", "dog leg", "momentum", "Levenberg and Marquardt", "differences")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in METHODS
    ],
)
def test_every_method_finds_the_drive_of_a_level(name):
    fit = jn.fit(
        Level(3.0),
        objectives.FixedPointAt(1.25),
        where=DRIVE,
        constraints=FREE,
        method=METHODS[name],
        key=KEY,
        tolerance=1e-6,
    )
    assert fit.result == SUCCESS
    assert float(fit.system.drive) == pytest.approx(1.25, abs=1e-6)
    # The loss at the start, then down to the end, then NaN.
    history, steps = np.asarray(fit.history), int(fit.steps)
    assert history[0] == pytest.approx(1.75**2 / 2, rel=1e-12)
    assert np.all(np.isfinite(history[: steps + 1]))
    assert np.all(np.isnan(history[steps + 1 :]))
    assert len(history) == METHODS[name].max_steps + 1
    assert 0 < steps < METHODS[name].max_steps
    assert history[steps] == fit.loss
    assert float(fit.loss) == pytest.approx(
        (float(fit.system.drive) - 1.25) ** 2 / 2, rel=1e-6, abs=1e-20
    )


def test_one_step_of_gauss_and_newton_solves_what_is_linear():
    fit = jn.fit(
        Level(3.0),
        objectives.FixedPointAt(1.25),
        where=DRIVE,
        method=METHODS["Gauss and Newton"],
    )
    assert fit.steps == 1


def descend_by_hand(start, rates, clip=np.inf):
    """The losses of a level that is wanted at 0."""
    p, losses = start, [start**2 / 2]
    for rate in rates:
        p = p - rate * np.clip(p, -clip, clip)
        losses.append(p**2 / 2)
    return losses


@pytest.mark.parametrize(
    ("optimiser", "rates", "clip"),
    [
        (optax.sgd(0.1), [0.1] * 12, np.inf),
        (
            optax.sgd(optax.linear_schedule(0.5, 0.1, 4)),
            [0.5, 0.4, 0.3, 0.2] + [0.1] * 8,
            np.inf,
        ),
        (optax.chain(optax.clip_by_global_norm(0.7), optax.sgd(0.3)), [0.3] * 12, 0.7),
    ],
)
def test_a_descent_takes_the_steps_of_its_optimiser(optimiser, rates, clip):
    fit = jn.fit(
        Level(2.0),
        objectives.FixedPointAt(0.0),
        where=DRIVE,
        constraints=FREE,
        method=descent(optimiser, max_steps=12),
    )
    expected = descend_by_hand(2.0, rates, clip)
    # Optax computes a schedule in single precision.
    np.testing.assert_allclose(fit.history, expected, rtol=1e-6)
    assert fit.steps == 12
    assert fit.result == jn.RESULTS.fit_unfinished


def test_a_descent_that_gets_worse_gives_its_best_step_back():
    # Each step turns the sign and adds a half: 2, -3, 4.5, ...
    fit = jn.fit(
        Level(2.0),
        objectives.FixedPointAt(0.0),
        where=DRIVE,
        constraints=FREE,
        method=descent(optax.sgd(2.5), max_steps=5),
    )
    expected = (2.0 * 1.5 ** np.arange(6)) ** 2 / 2
    np.testing.assert_allclose(fit.history, expected, rtol=1e-12)
    assert fit.system.drive == 2.0
    assert fit.loss == 2.0


def test_what_is_met_at_the_start_takes_no_step():
    for method in (jn.LeastSquares(), descent()):
        fit = jn.fit(Level(0.5), objectives.FixedPointAt(0.5), where=DRIVE, method=method)
        assert fit.result == SUCCESS
        assert fit.steps == 0
        assert fit.system.drive == 0.5
        np.testing.assert_array_equal(fit.history[0], 0.0)
        assert np.all(np.isnan(fit.history[1:]))


@pytest.mark.parametrize("tolerance", [0.3, 1e-2])
def test_the_tolerance_is_that_of_each_misfit(tolerance):
    method = descent(optax.sgd(0.1))
    fit = jn.fit(
        Level(2.0),
        objectives.FixedPointAt(0.0),
        where=DRIVE,
        constraints=FREE,
        method=method,
        tolerance=tolerance,
    )
    # The first step after which 2 * 0.9^k is small enough.
    steps = int(np.ceil(np.log(tolerance / 2) / np.log(0.9)))
    assert fit.steps == steps
    assert fit.result == SUCCESS


@pytest.mark.parametrize(
    "method",
    [jn.AllAtOnce(), pytest.param(jn.LeastSquares(), marks=pytest.mark.slow)],
)
def test_the_unknowns_come_back_with_the_parameters(method):
    """The eigenvalue is p - 3 y^2 at the root y of y^3 - p y + q."""

    class Cubic(jn.AbstractSystem):
        """Minus dy/dt = y^3 - p y + q."""

        p: jn.Parameter = jn.parameter()
        q: jn.Parameter = jn.parameter()

        def vector_field(self, t, y, u):
            return -(y**3) + self.p * y - self.q

    decay = objectives.EigenvalueAt(-0.5, -0.9)
    fit = jn.fit(Cubic(1.0, -0.2), decay, where=P, method=method)
    assert fit.result == SUCCESS
    p, y = float(fit.system.p), float(fit.unknowns[0])
    assert p - 3 * y**2 == pytest.approx(-0.5, abs=1e-7)
    assert y**3 - p * y - 0.2 == pytest.approx(0.0, abs=1e-7)


# Several starts

# For y = -3 the loss has a minimum at p = 1, of 1 / 2, and is met at -2.1038.
ROOT = float(min(np.roots([1.0, 0.0, -3.0, 3.0]), key=lambda z: abs(z.imag)).real)
LOW = objectives.FixedPointAt(-3.0)


@pytest.fixture(scope="module")
def several():
    starts = jnp.array([2.0, -3.0, jnp.nan, -2.5])
    return jn.fit(Valleys(2.0), LOW, where=P, starts=starts)


def test_every_start_comes_back_with_a_code_of_its_own(several):
    found = codes_of(several.trials.result, 4)
    assert found == ["target_not_met", "successful", "nonfinite_misfit", "successful"]
    np.testing.assert_allclose(
        np.asarray(several.trials.parameters)[[0, 1, 3]], [1.0, ROOT, ROOT], atol=1e-3
    )
    np.testing.assert_allclose(several.trials.loss[0], 0.5, rtol=1e-6)
    assert several.trials.steps[2] == 0


def test_the_best_of_the_starts_comes_back(several):
    best = int(several.best)
    assert best in (1, 3)
    assert several.result == SUCCESS
    assert float(several.system.p) == pytest.approx(ROOT, abs=1e-6)
    for name in ("loss", "history", "steps"):
        np.testing.assert_array_equal(
            getattr(several, name), getattr(several.trials, name)[best]
        )


@pytest.mark.slow
def test_the_best_that_failed_comes_back_if_all_did():
    fit = jn.fit(Valleys(2.0), LOW, where=P, starts=jnp.array([jnp.nan, 2.0]))
    assert fit.best == 1
    assert fit.result == jn.RESULTS.target_not_met
    assert float(fit.system.p) == pytest.approx(1.0, abs=1e-3)


def test_random_starts_are_reproducible_and_the_first_is_the_own_one():
    method = descent(optax.sgd(0.0), max_steps=1)
    make = lambda key, constraint=FREE, **kwargs: (
        jn.fit(
            Level(3.0),
            objectives.FixedPointAt(0.0),
            where=DRIVE,
            constraints=constraint,
            method=method,
            starts=400,
            key=key,
            **kwargs,
        ).trials.parameters
    )
    first, again, other = make(KEY), make(KEY), make(jax.random.key(8))
    np.testing.assert_array_equal(first, again)
    assert first[0] == other[0] == 3.0
    assert len(set(np.asarray(first).tolist())) == 400
    assert not np.any(first[1:] == other[1:])
    # Of a free parameter the spread is its own unit: a standard error of 1 / 28.
    assert np.std(first[1:]) == pytest.approx(1.0, abs=4 / 28)
    assert np.mean(first[1:]) == pytest.approx(3.0, abs=4 / 20)
    wide = make(KEY, constraints.Free(unit=0.1), spread=5.0)
    np.testing.assert_allclose(wide - 3.0, 0.5 * (first - 3.0), atol=1e-12)


@pytest.mark.parametrize(
    "size", [200.0, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.06, 0.0))]
)
def test_without_a_constraint_a_parameter_moves_by_parts_of_its_size(size):
    """The unit is the root mean square at the start, and 1 where that is zero."""
    unit = size or 1.0
    own = size * np.array([np.sqrt(2.0), 0.0])
    pair = Pair(shift=own)
    search = lambda constraint, optimiser, estimator=None, **kwargs: jn.fit(
        pair,
        THERE,
        where=lambda s: s.shift,
        constraints=constraint,
        method=descent(optimiser, estimator, max_steps=1),
        **kwargs,
    )
    # Random starts.
    still = optax.sgd(0.0)
    starts = search(None, still, starts=400, key=KEY, spread=0.5).trials.parameters
    np.testing.assert_array_equal(starts[0], own)
    assert np.std(starts[1:] - own) == pytest.approx(0.5 * unit, rel=4 / 28)
    expected = search(constraints.Free(unit), still, starts=400, key=KEY, spread=0.5)
    np.testing.assert_allclose(starts, expected.trials.parameters, rtol=1e-12, atol=1e-14)
    # A step of a descent: in a unit u the slope is u times that, and so is the move.
    rate = 1e-3 / unit**2
    one = search(None, optax.sgd(rate), gradients.FiniteDifferences(0.01))
    slope = jax.grad(misfit_of_rest)(jnp.asarray(own))
    expected = [misfit_of_rest(own), misfit_of_rest(own - rate * unit**2 * slope)]
    np.testing.assert_allclose(one.history, expected, rtol=1e-9)


def misfit_of_rest(shift):
    """Half the squared flow at `STATE`, where there should be none."""
    pair = Pair()
    return jnp.sum((pair.weights @ STATE + shift - STATE / pair.tau) ** 2) / 2


@pytest.mark.slow
def test_starts_in_the_structure_of_the_selection():
    where = lambda s: (s.shift, {"tau": s.tau})
    starts = (np.zeros((3, 2)), {"tau": np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]])})
    method = descent(optax.sgd(0.0), max_steps=1)
    fit = jn.fit(Pair(), THERE, where=where, starts=starts, method=method)
    shift, rest = fit.trials.parameters
    np.testing.assert_array_equal(shift, starts[0])
    np.testing.assert_allclose(rest["tau"], starts[1]["tau"], rtol=1e-14)


# How a fit ends


def test_a_target_that_a_constraint_does_not_allow_is_told():
    fit = jn.fit(
        Level(1.0),
        objectives.FixedPointAt(5.0),
        where=DRIVE,
        constraints=constraints.Interval(0.0, 2.0),
    )
    assert fit.result == jn.RESULTS.target_out_of_reach
    assert float(fit.system.drive) == pytest.approx(2.0, abs=0.01)
    assert fit.loss == pytest.approx(4.5, rel=0.01)


@pytest.mark.parametrize(
    ("constraint", "y"),
    [
        pytest.param(constraints.Positive(), -5.0, id="positive"),
        pytest.param(constraints.Tied(constraints.Interval(0.0, 2.0)), -3.0, id="tied"),
    ],
)
def test_so_it_is_for_other_constraints_and_methods(constraint, y):
    fit = jn.fit(
        Level(1.0),
        objectives.FixedPointAt(y),
        where=DRIVE,
        constraints=constraint,
        method=descent(optax.adam(0.5), max_steps=200),
    )
    assert fit.result == jn.RESULTS.target_out_of_reach
    assert float(fit.system.drive) == pytest.approx(0.0, abs=0.01)


def test_a_small_misfit_that_is_out_of_reach_is_told():
    """The rate of decay cannot get below 1 / 20."""
    fit = jn.fit(
        models.RatePopulation(tau=5.0),
        objectives.EigenvalueAt(-0.02, 0.0),
        where=lambda s: s.tau,
        constraints=constraints.Interval(1.0, 20.0),
    )
    assert fit.result == jn.RESULTS.target_out_of_reach


def test_a_search_that_ends_in_a_valley_is_told():
    fit = jn.fit(Valleys(1.5), LOW, where=P)
    assert fit.result == jn.RESULTS.target_not_met
    assert float(fit.system.p) == pytest.approx(1.0, abs=1e-3)
    assert float(fit.loss) == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize(
    "method",
    [
        jn.AllAtOnce(max_steps=2),
        pytest.param(jn.LeastSquares(max_steps=2), marks=pytest.mark.slow),
        descent(max_steps=2),
    ],
)
def test_a_search_that_takes_too_long_is_told(method):
    fit = jn.fit(Logarithm(1.0), objectives.FixedPointAt(3.0), where=P, method=method)
    assert fit.result == jn.RESULTS.fit_unfinished
    assert fit.steps == 2
    assert np.all(np.isfinite(fit.history))
    assert fit.loss < 4.5


@pytest.mark.parametrize("optimiser", [optax.sgd(1e6), optax.adam(300.0)])
def test_the_last_good_parameters_come_back_where_a_step_leads_to_nan(optimiser):
    """From 200 a step leads below zero, where there is no logarithm."""
    method = descent(optimiser)
    fit = jn.fit(Logarithm(200.0), objectives.FixedPointAt(3.0), where=P, method=method)
    assert fit.result == jn.RESULTS.nonfinite_misfit
    assert fit.system.p == 200.0
    assert fit.steps == 1
    assert float(fit.loss) == pytest.approx((np.log(200.0) - 3.0) ** 2 / 2, rel=1e-12)
    assert np.isnan(fit.history[1])


def test_the_last_good_parameters_come_back_from_gauss_and_newton_too():
    method = METHODS["Gauss and Newton"]
    fit = jn.fit(Logarithm(200.0), objectives.FixedPointAt(3.0), where=P, method=method)
    assert fit.result == jn.RESULTS.nonfinite_misfit
    assert fit.system.p == 200.0


def test_levenberg_and_marquardt_find_their_way_around_nan():
    fit = jn.fit(Logarithm(200.0), objectives.FixedPointAt(3.0), where=P)
    assert fit.result == SUCCESS
    assert float(fit.system.p) == pytest.approx(np.exp(3.0), rel=1e-6)


@pytest.mark.parametrize(
    "method",
    [pytest.param(jn.AllAtOnce(), marks=pytest.mark.slow), jn.LeastSquares(), descent()],
)
def test_a_start_that_is_bad_comes_back_as_it_is(method):
    fit = jn.fit(Logarithm(-1.0), objectives.FixedPointAt(3.0), where=P, method=method)
    assert fit.result == jn.RESULTS.nonfinite_misfit
    assert fit.steps == 0
    assert fit.system.p == -1.0


def test_every_code_of_a_fit_names_a_remedy():
    for name, remedy in {
        "target_not_met": "`starts`",
        "target_out_of_reach": "constraint",
        "fit_unfinished": "`max_steps`",
        "nonfinite_misfit": "smaller steps",
        "equilibrium_unstable": "stability",
        "not_rightmost": "`starts`",
        "cycle_not_resolved": "`nodes`",
        "cycle_unstable": "`starts`",
        "cycle_sensitive": "robust cycle",
    }.items():
        assert remedy in jn.RESULTS[getattr(jn.RESULTS, name)]


# Batches and programs


def fit_level(y, start=0.0):
    return jn.fit(
        Level(start),
        objectives.FixedPointAt(y),
        where=DRIVE,
        constraints=constraints.Interval(-3.0, 3.0),
        method=jn.LeastSquares(max_steps=300),
    )


TARGETS = np.array([0.5, -1.0, 2.5, np.nan, 9.0, 0.0, -2.9, 1.5])


def test_a_batch_of_targets_gives_what_each_gives_alone():
    batch = jax.jit(jax.vmap(fit_level))(TARGETS)
    one = jax.jit(fit_level)
    for i, y in enumerate(TARGETS):
        element, single = jax.tree.map(lambda x, i=i: x[i], batch), one(y)
        assert code_of(element.result) == code_of(single.result)
        assert element.steps == single.steps
        np.testing.assert_allclose(element.system.drive, single.system.drive, rtol=1e-12)
        np.testing.assert_allclose(element.history, single.history, rtol=1e-9, atol=1e-15)
        expected = {3: "nonfinite_misfit", 4: "target_out_of_reach"}.get(i, "successful")
        assert code_of(element.result) == expected
        if expected == "successful":
            assert float(element.system.drive) == pytest.approx(y, abs=1e-7)
    # The bad ones come back where they started, or at their edge.
    assert batch.system.drive[3] == 0.0
    assert batch.system.drive[4] == pytest.approx(3.0, abs=0.01)


def test_a_start_that_is_bad_in_a_batch_keeps_its_own_code():
    class Inverse(jn.AbstractSystem):
        """dy/dt = 1 / tau - y."""

        tau: jn.Parameter = jn.parameter(positive=True)

        def vector_field(self, t, y, u):
            return 1 / self.tau - y

    def from_tau(tau):
        half = objectives.FixedPointAt(0.5)
        method = jn.LeastSquares()
        return jn.fit(Inverse(tau), half, where=lambda s: s.tau, method=method)

    batch = jax.vmap(from_tau)(jnp.array([1.0, -1.0, jnp.nan, 3.0]))
    found = codes_of(batch.result, 4)
    assert found == ["successful", "parameter_out_of_range", "nan_input", "successful"]
    np.testing.assert_allclose(batch.system.tau[jnp.array([0, 3])], 2.0, rtol=1e-6)


TRACES = []


def test_a_fit_is_compiled_once_for_new_values():
    def fit(y, start, low):
        return jn.fit(
            Plain(start),
            objectives.FixedPointAt(y),
            where=DRIVE,
            constraints=constraints.Interval(low, 9.0),
            method=jn.LeastSquares(),
            tolerance=1e-6,
        ).system.drive

    class Plain(jn.AbstractSystem):
        """A level that counts how often its program is made."""

        drive: jn.Parameter = jn.parameter(0.0)

        def vector_field(self, t, y, u):
            TRACES.append(1)
            return self.drive - y

    compiled = jax.jit(fit)
    values = [(1.0, 2.0, -1.0), (3.0, 0.5, -2.0), (-0.5, 1.0, -3.0)]
    for y, start, low in values[:1]:
        compiled(y, start, low)
    before = len(TRACES)
    for y, start, low in values:
        assert compiled(y, start, low) == pytest.approx(y, abs=1e-6)
    assert len(TRACES) == before
    # Without `jax.jit` the shapes alone are looked at again, once a call.
    fit(*values[0])
    before = len(TRACES)
    for y, start, low in values:
        assert fit(y, start, low) == pytest.approx(y, abs=1e-6)
    assert len(TRACES) - before <= len(values)


def test_a_selection_that_is_written_anew_is_not_compiled_anew():
    class Again(jn.AbstractSystem):
        """A level that counts how often its program is made."""

        drive: jn.Parameter = jn.parameter(0.0)

        def vector_field(self, t, y, u):
            TRACES.append(1)
            return self.drive - y

    fit = lambda y: jn.fit(Again(), objectives.FixedPointAt(y), where=lambda s: s.drive)
    fit(1.0)
    before = len(TRACES)
    fit(2.0)
    assert len(TRACES) - before <= 1


# Refusals

AT_ONE = objectives.FixedPointAt(1.0)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (lambda s: (), "`where` must select.*selects no parameter"),
        (lambda s: s.steps, "`where` must select.*selects no parameter"),
        (lambda s: 3.0, "`where` must select.*selects no parameter"),
        (lambda s: s.nothing, "`where` must select.*It failed"),
        (lambda s: s.shift[0], "`where` must select.*one entry of an array"),
        (lambda s: s.shift + 1, "`where` must select.*It failed"),
        (lambda s: (s.shift, s.shift), "`where` selects `shift` twice.*`.*Tied`"),
        (lambda s: (s, s.tau), "`where` selects `tau` twice.*`.*Tied`"),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(where, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        jn.fit(Pair(), THERE, where=where)


def test_a_parameter_at_the_end_of_its_range_is_refused_with_a_remedy():
    """A refractory period of zero is no start for its logarithm."""
    run = objectives.Run(0.0, 10.0, jn.Grid(0.1))
    rate = objectives.Rate(50.0, run)
    method = jn.LeastSquares(differences=gradients.FiniteDifferences())
    with pytest.raises(ValueError, match=r"`refractory_period` is 0.0.*not admit.*take"):
        jn.fit(models.LIF(), rate, where=lambda s: s.refractory_period, method=method)


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        ((np.zeros((2, 2)),), "`starts` must have the structure of what `where` selects"),
        (np.zeros((2, 2)), "`starts` must have the structure of what `where` selects"),
        ((np.zeros((2, 2)), np.ones((3, 2))), "`starts` must have one leading axis"),
        ((np.zeros((2, 3)), np.ones((2, 2))), "`starts` must have a leading axis before"),
        ((np.zeros(2), np.ones(2)), "`starts` must have a leading axis before"),
        (3, r"`starts` at random need a `key`: `jax.random.key\(seed\)`"),
        (0, "`starts` must be at least 1"),
    ],
)
def test_starts_of_the_wrong_structure_are_refused(starts, message):
    key = KEY if isinstance(starts, int) and starts == 0 else None
    where = lambda s: (s.shift, s.tau)
    with pytest.raises(ValueError, match=message):
        jn.fit(Pair(), THERE, where=where, starts=starts, key=key)


def test_no_starts_at_all_are_refused():
    with pytest.raises(ValueError, match="`starts`"):
        jn.fit(Level(), AT_ONE, where=DRIVE, starts=np.zeros(0))


@pytest.mark.parametrize(
    ("constraint", "start"),
    [
        (constraints.Dale([1, -1]), [[-0.2, 0.3], [-0.4, 0.1]]),
        (constraints.Tied(), [[0.2, 0.3], [0.4, 0.5]]),
        (constraints.Sparse(np.eye(2, dtype=bool)), [[0.2, 7.0], [8.0, -0.1]]),
    ],
)
def test_starts_that_a_constraint_does_not_admit_are_refused_or_told(constraint, start):
    weights = [[0.2, 0.2], [0.2, 0.2]] if isinstance(constraint, constraints.Tied) else None
    pair = Pair() if weights is None else Pair(weights=np.array(weights))
    start = np.array(start)
    try:
        fit = jn.fit(
            pair,
            THERE,
            where=lambda s: s.weights,
            constraints=constraint,
            starts=start[None],
            method=descent(optax.sgd(0.0), max_steps=1),
        )
    except ValueError:
        return
    kept = np.allclose(fit.trials.parameters[0], start)
    assert kept or fit.trials.result[0] == jn.RESULTS.nonfinite_misfit


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"method": optax.adam(0.1)}, "`method` must be `AllAtOnce.*optax goes into these"),
        ({"method": jn.Grid(0.1)}, "`method` must be `AllAtOnce"),
        ({"objective": 0.4}, "`objective` must be one of `jaxnet.objectives`"),
        ({"system": 3.0}, "`system` must be a `jaxnet.AbstractSystem`"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(kwargs, message):
    arguments = {"system": Level(), "objective": AT_ONE, **kwargs}
    system, objective = arguments.pop("system"), arguments.pop("objective")
    with pytest.raises(ValueError, match=message):
        jn.fit(system, objective, where=DRIVE, **arguments)


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_is_no_optimiser_is_refused():
    with pytest.raises(ValueError, match=r"`optimiser` must be one of optax, such as"):
        jn.Descent(0.1)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("kind", [jn.LeastSquares, jn.AllAtOnce])
def test_a_solver_that_is_none_of_least_squares_is_refused(kind):
    with pytest.raises(ValueError, match="`solver`"):
        jn.fit(Level(), AT_ONE, where=DRIVE, method=kind(optx.BFGS(rtol=1e-8, atol=1e-8)))


@pytest.mark.slow
def test_an_optimiser_with_a_line_search_descends():
    method = descent(optax.lbfgs(), max_steps=50)
    fit = jn.fit(Level(3.0), AT_ONE, where=DRIVE, method=method)
    assert fit.result == SUCCESS


@pytest.mark.parametrize("tolerance", [-1.0, pytest.param(np.nan, marks=pytest.mark.slow)])
def test_a_tolerance_that_cannot_be_met_is_refused(tolerance):
    with pytest.raises(ValueError, match="`tolerance`"):
        jn.fit(Level(), AT_ONE, where=DRIVE, tolerance=tolerance)
