"""Run the fuzz parts, and print a line of figures for each.

    python -m tests.fuzz [part …] [--examples N] [--seed N]

The same seed makes the same inputs. A failure prints the smallest input that was found; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import pkgutil
import random
import sys
import tempfile
import time
import traceback
from types import ModuleType

from tests import fuzz


def parts() -> dict[str, ModuleType]:
    """Return the modules that are a part, by name."""
    names = [module.name for module in pkgutil.iter_modules(fuzz.__path__) if module.name != "__main__"]
    modules = {name: importlib.import_module(f"{fuzz.__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "fuzz")}


def run(part: ModuleType, examples: int | None, seed: int) -> bool:
    """Run a part, print its figures or its failure, and return whether it passed."""
    name, began, passed = part.__name__.rpartition(".")[2], time.monotonic(), True
    try:
        figures = part.fuzz(part.EXAMPLES if examples is None else examples, seed)
    except Exception:
        traceback.print_exc()
        figures, passed = "FAILED", False
    print(f"{name}: {figures} ({time.monotonic() - began:.0f} s)", flush=True)
    return passed


def main() -> None:
    """Run the parts that the command line names."""
    found = parts()
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Seeded fuzz runs")
    parser.add_argument("part", nargs="*", metavar="part", help=f"by default all: {', '.join(found)}")
    parser.add_argument("--examples", type=int, help="inputs per part, or per property of a part")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    arguments = parser.parse_args()
    if unknown := set(arguments.part) - set(found):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    print(f"seed {arguments.seed}", flush=True)
    logging.disable()  # thousands of warnings about what the inputs are
    passed = [run(found[name], arguments.examples, arguments.seed) for name in arguments.part or found]
    sys.exit(not all(passed))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pan123-fuzz-") as home:
        os.environ["AIRFLOW_HOME"] = home  # before a part imports Airflow
        main()
