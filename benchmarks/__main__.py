"""Run the benchmarks: `python -m benchmarks [--source DIR] [--workers 1,2,4,8] [--out FILE]`.

Each row is printed and appended to a file of JSON lines, with the versions and the machine in it. Compare rows of
one run of this command, not across machines: only ratios mean anything.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import workloads
from toytip.cluster import cores
from toytip.pipeline.context import environment


def main() -> int:
    """Run the workloads that were asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--source", help="months to run on (default: the synthetic year)")
    parser.add_argument("--workers", default="1,2,8", help="numbers of workers to compare")
    parser.add_argument("--rounds", type=int, default=100, help="boosting rounds")
    parser.add_argument("--only", choices=workloads.ALL, action="append", help="a workload alone")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results.jsonl"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only or workloads.ALL:
            for row in workloads.ALL[name](options, Path(folder)):
                report(options.out, {"workload": name, **row})
    return 0


def report(out: Path, row: dict[str, Any]) -> None:
    """Print a row and keep it, with what it was measured on."""
    sys.stdout.write("  ".join(f"{key} {value}" for key, value in row.items()) + "\n")
    sys.stdout.flush()
    about = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": cores(),
        "machine": platform.machine(),
    }
    with out.open("a") as stream:
        stream.write(json.dumps({**row, **about, "environment": environment()}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
