"""The time to import jaxnet, against that to import diffrax."""

import statistics
import subprocess
import sys

from ._ratio import Ratio, seconds


RUNS = 7


def import_seconds(module: str) -> float:
    command = [sys.executable, "-c", f"import {module}"]
    return seconds(lambda: subprocess.run(command, check=True))


def main() -> list[Ratio]:
    for module in ("jaxnet", "diffrax"):
        import_seconds(module)
    pairs = [(import_seconds("jaxnet"), import_seconds("diffrax")) for _ in range(RUNS)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    details = f"{ours:.2f} s against {theirs:.2f} s, medians of {RUNS} pairs of processes"
    return [Ratio("import, times diffrax", "<= 1.3", ratio, ratio <= 1.3, details)]
