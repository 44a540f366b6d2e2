"""Run the experiments: ``python -m experiments [NAME ...] [--full]``."""

import argparse
import importlib
import json
import pkgutil
import sys
import time
from pathlib import Path

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt

import experiments
import jaxnet as jn

from ._page import write_page
from ._report import Report


def names() -> list[str]:
    modules = pkgutil.iter_modules(experiments.__path__)
    return sorted(m.name for m in modules if not m.name.startswith("_"))


def title(name: str) -> str:
    """The first line of the module's docstring."""
    module = importlib.import_module(f"experiments.{name}")
    return (module.__doc__ or name).strip().splitlines()[0]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small samples (the default)")
    size.add_argument("--full", action="store_true", help="large samples")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--out", type=Path, default=Path("results"), help="where to write")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(names()))
    if unknown:
        parser.error(f"unknown experiment {', '.join(unknown)}; see --list")
    return options


def progress(done: int, total: int, name: str) -> None:
    width = 24
    filled = width * done // total
    bar = "█" * filled + "░" * (width - filled)
    print(f"[{bar}] {done}/{total} {name}", flush=True)


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
            for kind in ("mp4", "gif"):
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


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.list:
        print("\n".join(f"{name:28} {title(name)}" for name in names()))
        return 0
    jax.config.update("jax_enable_x64", True)
    mpl.use("Agg")
    chosen = options.names or names()
    results = {}
    for done, name in enumerate(chosen):
        progress(done, len(chosen), name)
        results[name] = run(
            name, quick=not options.full, seed=options.seed, out=options.out
        )
    progress(len(chosen), len(chosen), "done")
    page = write_page(options.out)
    claims = [c for metrics in results.values() for c in metrics["claims"]]
    failed = [c for c in claims if not c["holds"]]
    print(f"{len(claims) - len(failed)} of {len(claims)} claims hold. See {page}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
