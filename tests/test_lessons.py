"""Every lesson runs from its first line to its last."""

import runpy
from pathlib import Path

import pytest


LESSONS = sorted((Path(__file__).parents[1] / "docs" / "lessons").glob("*.py"))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson(lesson):
    runpy.run_path(str(lesson), run_name="__main__")
