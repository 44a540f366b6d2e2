"""Whether a fit can be trusted: its gradients, and what it leaves open."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet import constraints, gradients, objectives


RECORDED = 0.3 * np.random.default_rng(0).normal(size=(40, 2))


class Line(jn.AbstractSystem):
    """A state that is moved at constant rates: a run is linear in them."""

    slope: jn.Parameter = jn.parameter(0.5)
    height: jn.Parameter = jn.parameter(0.2)
    unused: jn.Parameter = jn.parameter(1.0)

    def vector_field(self, t, y, u):
        return jnp.stack([self.slope + self.height, self.height - self.slope])


GRID = jn.Grid(0.25)
TIMES = 0.25 * np.arange(40)
TRACE = objectives.Trace(RECORDED, objectives.Run(np.zeros(2), 0.25 * 39, GRID))
# Of what is recorded, by the parameters.
DESIGN = np.concatenate([[TIMES, TIMES], [-TIMES, TIMES]], axis=1).T
BOTH = lambda s: (s.slope, s.height)


def test_the_covariance_is_that_of_linear_regression():
    best, squares, *_ = np.linalg.lstsq(DESIGN, RECORDED.T.ravel(), rcond=None)
    left = jn.uncertainty(Line(*best), TRACE, where=BOTH, constraints=constraints.Free())
    variance = squares[0] / (DESIGN.shape[0] - 2)
    expected = variance * np.linalg.inv(DESIGN.T @ DESIGN)
    np.testing.assert_allclose(left.covariance, expected, rtol=1e-6, atol=1e-12)
    errors = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(left.standard_errors, errors, rtol=1e-6)
    assert left.names == ("slope", "height")


def test_a_parameter_without_effect_has_no_error_and_spoils_no_other():
    where = lambda s: (s.slope, s.height, s.unused)
    left = jn.uncertainty(Line(), TRACE, where=where, noise=0.1)
    assert left.identifiable.tolist() == [True, True, False]
    slope, height, unused = left.standard_errors
    assert np.isinf(unused)
    alone = jn.uncertainty(Line(), TRACE, where=BOTH, noise=0.1)
    np.testing.assert_allclose([slope, height], alone.standard_errors, rtol=1e-9)
    assert np.abs(left.directions[-1]).argmax() == 2


def test_the_error_of_a_positive_parameter_is_that_of_its_logarithm_times_itself():
    where = lambda s: s.slope
    free = jn.uncertainty(
        Line(), TRACE, where=where, noise=0.1, constraints=constraints.Free()
    )
    positive = jn.uncertainty(
        Line(), TRACE, where=where, noise=0.1, constraints=constraints.Positive()
    )
    np.testing.assert_allclose(free.standard_errors, positive.standard_errors, rtol=1e-9)
    np.testing.assert_allclose(
        np.sqrt(positive.covariance[0, 0]) * 0.5, positive.standard_errors, rtol=1e-9
    )


def test_differences_give_the_same_uncertainty():
    exact = jn.uncertainty(Line(), TRACE, where=BOTH, noise=0.1)
    by_differences = jn.uncertainty(
        Line(),
        TRACE,
        where=BOTH,
        noise=0.1,
        differences=gradients.FiniteDifferences(0.1),
    )
    np.testing.assert_allclose(
        by_differences.covariance, exact.covariance, rtol=1e-6, atol=1e-12
    )


def test_an_exact_gradient_has_no_bias_and_no_noise():
    check = jn.check_gradient(TRACE, Line(), where=BOTH)
    assert np.abs(check.bias).max() < 1e-8 * np.abs(check.reference).max()
    assert (check.noise == 0).all()
    assert float(check.cosine) == pytest.approx(1.0, abs=1e-9)


class Wrong(gradients.AbstractEstimator):
    """Twice the gradient, with noise."""

    def prepare(self, objective, system):
        return objective

    def __call__(self, misfit, free, key):
        value, gradient = gradients.Adjoint()(misfit, free, key)
        return gradients.Estimate(value, 2 * gradient + jax.random.normal(key, free.shape))

    def evaluations(self, parameters):
        return 1


def test_a_wrong_gradient_is_seen_and_its_noise_measured():
    check = jn.check_gradient(
        TRACE, Line(), where=BOTH, estimator=Wrong(), key=jax.random.key(0), repeats=400
    )
    np.testing.assert_allclose(check.noise, 1.0, rtol=0.15)
    np.testing.assert_allclose(check.bias_error, 1 / 20, rtol=0.15)
    assert (np.abs(check.bias - check.reference) < 4 * check.bias_error).all()


def test_the_table_of_a_check_names_the_parameters():
    lines = str(jn.check_gradient(TRACE, Line(), where=BOTH)).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["slope", "height"]
    assert "bias" in lines[0]


def test_an_estimator_that_is_none_is_refused(unchecked_shapes):
    with pytest.raises(ValueError, match=r"`estimator` must be one of"):
        jn.check_gradient(TRACE, Line(), where=BOTH, estimator="adjoint")


def test_many_weights_for_one_misfit_take_the_shortest_way():
    """The step of least length is along the gradient, as the misfit is linear."""
    weights = np.random.default_rng(1).normal(size=(30, 30))

    class Sum(jn.AbstractSystem):
        weights: jn.Parameter = jn.parameter()

        def vector_field(self, t, y, u):
            return jnp.sum(self.weights) - y

    fit = jn.fit(
        Sum(weights),
        objectives.FixedPointAt(weights.sum() + 9.0),
        where=lambda s: s.weights,
        constraints=constraints.Free(),
    )
    assert fit.result == jn.RESULTS.successful
    np.testing.assert_allclose(fit.system.weights - weights, 0.01, rtol=1e-6)


def test_a_progress_meter_is_shown(capfd):
    jn.fit(
        Line(),
        TRACE,
        where=BOTH,
        method=jn.AllAtOnce(max_steps=5),
        progress=diffrax.TextProgressMeter(),
    )
    jax.effects_barrier()
    assert "100.00%" in capfd.readouterr().out


SHEET = jn.models.RateSheet(
    jn.couplings.TorusGaussian(8.0, size=16, taps=15),
    jn.couplings.TorusGaussian(40.0, size=16, taps=15),
    w_ee=6.0,
    w_ei=19.0,
    w_ie=24.0,
    w_ii=18.0,
    tau_e=5.0,
    tau_i=15.0,
)
REST = SHEET.uniform_state(0.3, 0.3)


def test_a_wave_at_its_onset_has_the_misfit_of_the_textbook():
    """The singular value of the 2 x 2 matrix of Wilson and Cowan at its wavenumber."""
    driven = jn.Driven(SHEET, (8.9, 1.5))
    wave = objectives.CriticalWave((1, 0), 0.1, REST).prepare(driven)
    y = jnp.asarray([0.3, 0.2])
    misfit = wave.misfit(driven, y, None)
    kernels = [
        k.kernel() / np.sum(k.kernel()) for k in (SHEET.excitation, SHEET.inhibition)
    ]
    k_e, k_i = (np.fft.fft2(k)[1, 0].real for k in kernels)
    local = SHEET.wilson_cowan()
    drive_e = 6.0 * 0.3 - 19.0 * 0.2 + 8.9
    drive_i = 24.0 * 0.3 - 18.0 * 0.2 + 1.5
    f_e, f_i = local.transfer_e.gain(drive_e), local.transfer_i.gain(drive_i)
    matrix = np.array(
        [
            [(-1 + f_e * 6.0 * k_e) / 5.0, -f_e * 19.0 * k_i / 5.0],
            [f_i * 24.0 * k_e / 15.0, (-1 - f_i * 18.0 * k_i) / 15.0],
        ]
    )
    smallest = np.linalg.svd(matrix - 0.1j * np.eye(2))[1][-1]
    assert np.hypot(*misfit[:2]) == pytest.approx(smallest, rel=1e-9)


def test_the_unknown_of_a_wave_is_the_uniform_fixed_point():
    driven = jn.Driven(SHEET, (8.9, 1.5))
    wave = objectives.CriticalWave((1, 0), 0.1, REST).prepare(driven)
    points = jn.fixed_points(
        SHEET.wilson_cowan(), jn.lattice((0, 0), (1, 1), 5), u=(8.9, 1.5)
    )
    rate = wave.equations(driven, points.y[0])
    assert np.abs(rate).max() < 1e-12


def test_a_wavenumber_that_the_lattice_has_not_is_refused():
    with pytest.raises(ValueError, match="`wavenumber` must be two whole numbers"):
        objectives.CriticalWave((9, 0), 0.1, REST).prepare(jn.Driven(SHEET, (8.9, 1.5)))
