"""Figures: what is drawn is what was measured."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import pytest

import jaxnet as jn


SPIKES = jn.Spikes(
    time=jnp.array([1.0, 2.0, 3.0, jnp.nan]),
    index=jnp.array([4, 0, 3, 0]),
    valid=jnp.array([True, True, True, False]),
    count=jnp.array(3),
)


@pytest.mark.parametrize(
    ("units", "dots"),
    [
        (None, [(1.0, 4), (2.0, 0), (3.0, 3)]),
        (slice(3, 5), [(1.0, 1), (3.0, 0)]),
        (slice(1, 3), []),
    ],
)
def test_a_raster_has_a_dot_for_each_spike_of_the_units(units, dots):
    fig, ax = plt.subplots()
    jn.plot.raster(ax, SPIKES, units, color="k")
    (line,) = ax.lines
    assert list(zip(*line.get_data(), strict=True)) == dots
    plt.close(fig)
