"""Fixtures that several test files share."""

import gc

import jax
import jaxtyping
import pytest


def pytest_collection_finish():
    """Modules and tests stay to the end, and tracing makes many objects but few circles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture
def unchecked_shapes():
    """As it is outside the tests, where no hook looks at types and shapes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs():
    """Each compiled program takes memory maps, of which a process has so many."""
    yield
    jax.clear_caches()
