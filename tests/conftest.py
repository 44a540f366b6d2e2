"""Settings of the test run: float64 unless a test says otherwise."""

import jax
import matplotlib as mpl


jax.config.update("jax_enable_x64", True)
mpl.use("Agg")
