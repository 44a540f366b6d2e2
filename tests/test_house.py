"""The laws of the house: floors, docstrings, sizes, and what an import may do."""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import jaxnet


ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "jaxnet").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEST_COMMAND = "python -m pip install -c constraints.txt -e '.[test]' && python -m pytest"

LINT_IMPORTS = """
from importlinter.cli import lint_imports
raise SystemExit(lint_imports(no_cache=True, no_logo=True))
"""
QUIET_IMPORT = """
import jaxnet
import jax
import sys

slow = {"matplotlib", "optax"} & set(sys.modules)
assert not slow, f"`import jaxnet` imports {slow}"
assert not jax.config.jax_enable_x64, "`import jaxnet` sets a flag"
# This setting is refused once an array or a key has been made.
jax.config.update("jax_num_cpu_devices", 1)
"""


def run_python(program: str) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def public_modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(jaxnet.__path__, "jaxnet.")
    public = [m.name for m in found if not re.search(r"\._", m.name)]
    return [jaxnet, *map(importlib.import_module, public)]


def is_ours(thing) -> bool:
    is_named = inspect.isclass(thing) or inspect.isfunction(thing)
    return is_named and thing.__module__.startswith("jaxnet")


def has_docstring(thing) -> bool:
    # A dataclass without a docstring is given its signature for one.
    return bool(thing.__doc__) and not thing.__doc__.startswith(f"{thing.__name__}(")


def test_every_file_imports_only_from_lower_floors():
    linted = run_python(LINT_IMPORTS)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_only_the_adaptive_method_calls_the_integration_of_diffrax():
    callers = [f.name for f in FILES if "diffrax.diffeqsolve(" in f.read_text()]
    assert callers == ["_adaptive.py"]


def test_the_import_prints_nothing_sets_no_flag_and_makes_no_array():
    imported = run_python(QUIET_IMPORT)
    assert imported.returncode == 0, imported.stderr
    assert imported.stdout + imported.stderr == ""


@pytest.mark.parametrize("module", public_modules(), ids=lambda m: m.__name__)
def test_everything_public_has_a_docstring(module):
    public = {k: v for k, v in vars(module).items() if not k.startswith("_")}
    bare = [k for k, thing in public.items() if is_ours(thing) and not has_docstring(thing)]
    assert module.__doc__, f"{module.__name__} has no docstring"
    assert not bare, f"no docstring in {module.__name__}: {bare}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_is_one_concept(file):
    lines = len(file.read_text().splitlines())
    assert lines <= 400, f"{lines} lines are probably two concepts"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_python_block_of_a_page_is_run(page):
    """What is run is marked ``python``, and begins at the margin of its list or page."""
    languages = set(re.findall(r"^\s*(?:```|~~~)([\w+-]+)", page.read_text(), re.MULTILINE))
    assert not languages & {"py", "py3", "python3", "pycon", "ipython"}


def test_the_continuous_integration_runs_the_command_of_the_readme():
    assert TEST_COMMAND in (ROOT / "README.md").read_text()
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text()
