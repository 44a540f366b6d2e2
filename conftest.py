"""Settings of the test run, and the code blocks of the documents as tests."""

import os

import jax
import matplotlib as mpl
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser


# float64, unless `JAX_ENABLE_X64=0` asks for float32.
if "JAX_ENABLE_X64" not in os.environ:
    jax.config.update("jax_enable_x64", True)
mpl.use("Agg")

# The blocks of one document share a namespace, and no two documents do.
pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], pattern="*.md").pytest()


def pytest_itemcollected(item):
    """The fence that closes an example of a docstring is no part of its output."""
    if isinstance(item, pytest.DoctestItem):
        for example in item.dtest.examples:
            example.want = example.want.removesuffix("```\n")
            if example.exc_msg is not None:
                example.exc_msg = example.exc_msg.removesuffix("```\n")
