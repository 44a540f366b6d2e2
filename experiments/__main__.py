"""Run the experiments: ``python -m experiments [NAME ...] [--full]``."""

import argparse
import pkgutil
import sys
from concurrent.futures import as_completed, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path

import experiments

from ._page import write_page
from ._run import prepare, run, title


def names() -> list[str]:
    modules = pkgutil.iter_modules(experiments.__path__)
    return sorted(m.name for m in modules if not m.name.startswith("_"))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small samples (the default)")
    size.add_argument("--full", action="store_true", help="large samples")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
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


def context() -> BaseContext:
    """How processes start: if possible, from one that has imported what all need."""
    if sys.platform != "linux":
        return get_context("spawn")
    forks = get_context("forkserver")
    # Nothing that starts a thread: a fork would not have it.
    forks.set_forkserver_preload(["experiments._run"])
    return forks


def run_all(chosen: list[str], options: argparse.Namespace) -> list[dict]:
    """Run the experiments one by one, or several at a time, each in a process."""
    one = partial(run, quick=not options.full, seed=options.seed, out=options.out)
    total, results = len(chosen), []
    if options.jobs == 1:
        prepare()
        for name in chosen:
            progress(len(results), total, name)
            results.append(one(name))
    else:
        # A new process for each: what one compiled would fill the memory of the next.
        pool = ProcessPoolExecutor(
            options.jobs, context(), initializer=prepare, max_tasks_per_child=1
        )
        with pool:
            # The last ones of the alphabet take long, and should not be left to the end.
            futures = {pool.submit(one, name): name for name in reversed(chosen)}
            for future in as_completed(futures):
                results.append(future.result())
                progress(len(results), total, futures[future])
    progress(total, total, "done")
    return results


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.list:
        print("\n".join(f"{name:28} {title(name)}" for name in names()))
        return 0
    results = run_all(options.names or names(), options)
    page = write_page(options.out)
    claims = [c for metrics in results for c in metrics["claims"]]
    failed = [c for c in claims if not c["holds"]]
    print(f"{len(claims) - len(failed)} of {len(claims)} claims hold. See {page}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
