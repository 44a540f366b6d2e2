"""One experiment: run, and written down. What a process of its own can import."""

import gc
import importlib
import json
import time
from pathlib import Path

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt

import jaxnet as jn

from ._report import Report


def prepare() -> None:
    """What each process does first."""
    jax.config.update("jax_enable_x64", True)
    mpl.use("Agg")
    # What is imported stays, and tracing makes many objects but few circles.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def title(name: str) -> str:
    """The first line of the module's docstring."""
    module = importlib.import_module(f"experiments.{name}")
    return (module.__doc__ or name).strip().splitlines()[0]


def table(report: Report) -> str:
    rows = [("claim", "expected", "got", "verdict")]
    rows += [
        (c.statement, c.expected, c.got, "holds" if c.holds else "FAILS")
        for c in report.claims
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(r, widths, strict=True)) for r in rows
    ]
    return "\n".join("  " + line.rstrip() for line in lines)


def run(name: str, *, quick: bool, seed: int, out: Path) -> dict:
    """Run one experiment, and write its figures, animations and metrics."""
    start = time.perf_counter()
    with jn.plot.style():
        report = importlib.import_module(f"experiments.{name}").main(quick=quick, seed=seed)
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for figure_name, figure in report.figures.items():
            figure.savefig(folder / f"{figure_name}.png")
            plt.close(figure)
        for animation_name, animation in report.animations.items():
            for kind in ("mp4",) if quick else ("mp4", "gif"):
                jn.plot.save_animation(animation, folder / f"{animation_name}.{kind}")
        plt.close("all")
    metrics = {
        "title": title(name),
        "quick": quick,
        "seed": seed,
        "seconds": round(time.perf_counter() - start, 2),
        "claims": [vars(claim) for claim in report.claims],
        "figures": [f"{figure_name}.png" for figure_name in report.figures],
        "animations": [f"{animation_name}.mp4" for animation_name in report.animations],
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2, ensure_ascii=False))
    print(f"{table(report)}\n  ({metrics['seconds']} s)\n", flush=True)
    return metrics
