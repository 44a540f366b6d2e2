"""Fixtures that several test files share."""

import jaxtyping
import pytest


@pytest.fixture
def unchecked_shapes():
    """As it is outside the tests, where no hook looks at types and shapes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
