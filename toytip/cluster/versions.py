"""Same versions everywhere: a worker that would make other bytes is refused before it has any work."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterator
from importlib import resources
from typing import Any

from distributed import WorkerPlugin
from distributed.comm import CommClosedError

from toytip.cluster.workers import told
from toytip.errors import ClusterError

PACKAGES = ("dask", "distributed", "numpy", "pandas", "pyarrow", "xgboost")
PLUGIN = "toytip-versions"


@functools.cache
def here() -> dict[str, str]:
    """Return the versions of this process: toytip and the digest of its code, Python, and what decides the bytes."""
    found = {name: _version(name) for name in PACKAGES}
    return {"toytip": f"{_version('toytip')} (code {_code()})", "Python": platform.python_version(), **found}


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "none"


def _code() -> str:
    """Return the digest of toytip's own modules: two checkouts may both be called 0.1.0."""
    total = hashlib.sha256()
    root = resources.files("toytip")
    for folder in (root, *(item for item in root.iterdir() if item.is_dir())):
        for file in sorted(folder.iterdir(), key=lambda item: item.name):
            if file.name.endswith(".py"):
                total.update(f"{folder.name}/{file.name}".encode() + file.read_bytes())
    return total.hexdigest()[:8]


def differing(client: Any) -> list[str]:
    """Return of every worker, and the scheduler, what is not as here: one line each."""
    with_scheduler = {"the scheduler": _scheduler(client), **told(client, here)}
    return [line for who, found in sorted(with_scheduler.items()) if (line := _line(who, found, here()))]


def without(client: Any) -> bool:
    """Tell whether any worker has no toytip that can be asked."""
    return any(isinstance(found, BaseException) for found in told(client, here).values())


def _scheduler(client: Any) -> Any:
    try:
        return client.run_on_scheduler(here)
    except Exception as error:  # noqa: BLE001 - whatever it is that it lacks
        return error


def _line(who: str, found: Any, wanted: dict[str, str]) -> str | None:
    name = f"worker {who}" if "://" in who else who
    if isinstance(found, CommClosedError):
        return f"{name} does not answer ({found})"
    if isinstance(found, BaseException):
        return f"{name} has no toytip that could be asked ({found}); this client has {wanted['toytip']}"
    for package, version in wanted.items():
        if found.get(package) != version:
            return f"{name} has {package} {found.get(package, 'none')}; this client has {version}"
    return None


@contextlib.contextmanager
def enforced(client: Any) -> Iterator[None]:
    """Refuse a cluster in which any process has other versions, and every such worker that comes later.

    Raises ClusterError naming the first of them.
    """
    if lines := differing(client):
        raise ClusterError(
            f"{lines[0]}{f' (and {len(lines) - 1} more)' if len(lines) > 1 else ''}; "
            "install the same versions on every host: pip install -c constraints.txt"
        )
    client.register_plugin(SameVersions(here()))
    try:
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            client.unregister_worker_plugin(PLUGIN)


class SameVersions(WorkerPlugin):  # type: ignore[misc]
    """Ends a worker that comes with other versions; Dask itself would only log that its plugin failed."""

    name = PLUGIN

    def __init__(self, wanted: dict[str, str]) -> None:
        self.wanted = wanted

    def setup(self, worker: Any) -> None:
        """See WorkerPlugin. Raises ClusterError."""
        if line := _line(worker.address, here(), self.wanted):
            worker.loop.add_callback(worker.close, reason=line)
            raise ClusterError(line)
