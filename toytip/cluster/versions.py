"""Same versions everywhere: a worker that would make other bytes is refused before it has any work."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin
from distributed.comm import CommClosedError

from toytip.cluster.workers import run_on_workers
from toytip.errors import ClusterError

COMPARED_PACKAGES = ("dask", "distributed", "numpy", "pandas", "pyarrow", "xgboost")
PLUGIN_NAME = "toytip-versions"


@functools.cache
def local_versions() -> dict[str, str]:
    """Return the versions of this process: toytip and the digest of its code, Python, and what decides the bytes."""
    found = {name: _package_version(name) for name in COMPARED_PACKAGES}
    return {
        "toytip": f"{_package_version('toytip')} (code {_code_digest()})",
        "Python": platform.python_version(),
        **found,
    }


def _package_version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "none"


def _code_digest() -> str:
    """Return the digest of toytip's own modules: two checkouts may both be called 0.1.0."""
    total = hashlib.sha256()
    root = Path(__file__).parents[1]
    for file in sorted(root.rglob("*.py")):
        total.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return total.hexdigest()[:8]


def mismatches(client: Any) -> list[str]:
    """Return of every worker, and the scheduler, what is not as here: one line each."""
    with_scheduler = {"the scheduler": _scheduler_versions(client), **run_on_workers(client, local_versions)}
    return [
        line
        for who, found in sorted(with_scheduler.items())
        if (line := _mismatch_line(who, found, local_versions()))
    ]


def lacks_toytip(client: Any) -> bool:
    """Tell whether any worker has no toytip that can be asked."""
    return any(isinstance(found, BaseException) for found in run_on_workers(client, local_versions).values())


def _scheduler_versions(client: Any) -> Any:
    try:
        return client.run_on_scheduler(local_versions)
    except Exception as error:  # noqa: BLE001 - whatever it is that it lacks
        return error


def _mismatch_line(process: str, versions: Any, expected: dict[str, str]) -> str | None:
    name = f"worker {process}" if "://" in process else process
    if isinstance(versions, CommClosedError):
        return f"{name} does not answer ({versions})"
    if isinstance(versions, BaseException):
        return f"{name} has no toytip that could be asked ({versions}); this client has {expected['toytip']}"
    for package, version in expected.items():
        if versions.get(package) != version:
            return f"{name} has {package} {versions.get(package, 'none')}; this client has {version}"
    return None


@contextlib.contextmanager
def require_same(client: Any) -> Iterator[None]:
    """Refuse a cluster in which any process has other versions, and every such worker that comes later.

    Raises ClusterError naming the first of them.
    """
    if lines := mismatches(client):
        raise ClusterError(
            f"{lines[0]}{f' (and {len(lines) - 1} more)' if len(lines) > 1 else ''}; "
            "install the same versions on every host: pip install -c constraints.txt"
        )
    client.register_plugin(SameVersionsPlugin(local_versions()))
    try:
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            client.unregister_worker_plugin(PLUGIN_NAME)


class SameVersionsPlugin(WorkerPlugin):  # type: ignore[misc]
    """Ends a worker that comes with other versions; Dask itself would only log that its plugin failed."""

    name = PLUGIN_NAME

    def __init__(self, expected: dict[str, str]) -> None:
        self.expected = expected

    def setup(self, worker: Any) -> None:
        """See WorkerPlugin. Raises ClusterError."""
        if line := _mismatch_line(worker.address, local_versions(), self.expected):
            worker.loop.add_callback(worker.close, reason=line)
            raise ClusterError(line)
