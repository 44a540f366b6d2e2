"""Run the benchmarks: ``python -m benchmarks [NAME ...]``."""

import importlib
import os
import pkgutil
import sys

import jax

import benchmarks


def main(chosen: list[str]) -> None:
    jax.config.update("jax_enable_x64", True)
    # One device a core, so that a batch can be sharded over the machine.
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    modules = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__))
    for name in chosen or [m for m in modules if not m.startswith("_")]:
        for ratio in importlib.import_module(f"benchmarks.{name}").main():
            verdict = "met" if ratio.met else "MISSED"
            print(f"{ratio.name}: {ratio.got:.4g} (goal {ratio.goal}: {verdict})")
            print(f"  {ratio.details}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
