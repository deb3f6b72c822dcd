"""Measure a fresh checkout: the environment that `make run` installs, and the time of `make test`.

    python -m benchmarks.checkout --output benchmarks/results

The benchmark clones the current commit into a temporary folder, and runs `make` there. It does not
include changes that are not committed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine.facts import machine_columns
from benchmarks.results import Row, append_result
from benchmarks.run import print_line

ROOT = Path(__file__).parents[1]


class MakeError(RuntimeError):
    """A target of the Makefile that failed."""


def main() -> int:
    """Run the benchmark, print the results, and append them to the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkout", description=__doc__)
    parser.add_argument(
        "--targets", nargs="+", choices=list(_COLUMNS), default=list(_COLUMNS), help="targets of the Makefile"
    )
    parser.add_argument("--output", type=Path, help="result file to append to (default: print only)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="toytip-checkout-") as folder:
        checkout = Path(folder) / "toytip"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)  # noqa: S607
        for target in arguments.targets:
            try:
                row = measure_target(checkout, target)
            except MakeError as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            print_line(", ".join(f"{name} {value}" for name, value in row.items()))
            if arguments.output:
                append_result(arguments.output, {"workload": "checkout", **row, **machine_columns()})
    return 0


def measure_target(checkout: Path, target: str) -> Row:
    """Run a target of the Makefile in a checkout, and return its time and its own column.

    Raises MakeError if the target fails.
    """
    column, count = _COLUMNS[target]
    start = time.perf_counter()
    output = _make(checkout, target)
    seconds = time.perf_counter() - start
    return {"name": f"make {target}", "seconds": round(seconds, 1), column: count(checkout, output)}


def _make(checkout: Path, target: str) -> str:
    # These variables would change which modules the target imports, and how it runs.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")
    }
    done = subprocess.run(
        ["make", target],  # noqa: S607
        cwd=checkout,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # the last lines are those of the command that failed
        check=False,
    )
    if done.returncode:
        lines = done.stdout.splitlines()
        raise MakeError("\n".join([f"make {target} failed with exit code {done.returncode}", *lines[-20:]]))
    return done.stdout


def _environment_mb(checkout: Path, _: str) -> float:
    """Return the size of the files of the virtual environment. Links have no size of their own."""
    files = [path for path in (checkout / ".venv").rglob("*") if path.is_file() and not path.is_symlink()]
    return round(sum(path.stat().st_size for path in files) / 1e6, 1)


def _passed_tests(_: Path, output: str) -> int:
    return int(re.findall(r"(\d+) passed", output)[-1])


# The column that a target has in addition to its time.
_COLUMNS: dict[str, tuple[str, Callable[[Path, str], float]]] = {
    "run": ("environment_mb", _environment_mb),
    "test": ("tests", _passed_tests),
}


if __name__ == "__main__":
    sys.exit(main())
