"""The columns of a result that describe the machine, its packages and the commit."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.results import Row

ROOT = Path(__file__).parents[2]


def machine_columns() -> Row:
    """Return the columns of a row that describe the machine and its packages."""
    from toytip.cluster import available_cores

    return {
        "at": timestamp(),
        "cores": available_cores(),
        "machine_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "machine": _processor_name(),
        "environment": _package_versions(),
        "uncommitted_changes": _has_uncommitted_changes(),
    }


def timestamp() -> str:
    """Return the current time in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _processor_name() -> str:
    """Return the architecture, and the name of the processor if the system reports one."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{platform.machine()}, {line.split(':', 1)[1].strip()}"
    return platform.machine()


def _package_versions() -> dict[str, Any]:
    """Return the package versions of toytip and of the peers."""
    from toytip.pipeline.context import collect_environment

    peers = {name: importlib.metadata.version(name) for name in ("polars", "duckdb")}
    return {**collect_environment(), **peers}


@functools.cache
def _has_uncommitted_changes() -> bool:
    """Return whether the checkout differs from its commit, apart from the result files."""
    command = ["git", "-C", str(ROOT), "status", "--porcelain", "--", ":!benchmarks/results"]
    with contextlib.suppress(OSError):
        return bool(subprocess.run(command, capture_output=True, check=False).stdout.strip())
    return False
