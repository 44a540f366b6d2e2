"""Run the benchmarks: ``python -m benchmarks [NAME ...]``, each in a process of its own."""

import importlib
import pkgutil
import subprocess
import sys

import jax

import benchmarks


def names() -> list[str]:
    modules = pkgutil.iter_modules(benchmarks.__path__)
    return sorted(m.name for m in modules if not m.name.startswith("_"))


def run(name: str) -> None:
    jax.config.update("jax_enable_x64", True)
    for ratio in importlib.import_module(f"benchmarks.{name}").main():
        verdict = "met" if ratio.met else "MISSED"
        print(f"{ratio.name}: {ratio.got:.4g} (goal {ratio.goal}: {verdict})")
        print(f"  {ratio.details}", flush=True)


def main(chosen: list[str]) -> None:
    if len(chosen) == 1:
        run(*chosen)
        return
    # So that none sees the devices, the threads and the caches of another.
    for name in chosen or names():
        subprocess.run([sys.executable, "-m", "benchmarks", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
