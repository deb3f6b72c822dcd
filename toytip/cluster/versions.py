"""Compare package versions, and reject workers with different versions before they get work.

Workers with different versions could write different bytes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from distributed import WorkerPlugin
from distributed.comm import CommClosedError

from toytip.cluster.package_versions import PackageVersions, local_versions
from toytip.cluster.workers import run_on_workers
from toytip.errors import ClusterError

PLUGIN_NAME = "toytip-versions"


def mismatches(client: Any) -> list[str]:
    """Return one line per worker or scheduler whose versions differ from this process."""
    replies = {"the scheduler": _scheduler_versions(client), **run_on_workers(client, local_versions)}
    lines = [_mismatch_line(process, reply, local_versions()) for process, reply in sorted(replies.items())]
    return [line for line in lines if line]


def lacks_toytip(client: Any) -> bool:
    """Return whether any worker cannot import toytip."""
    replies = run_on_workers(client, local_versions).values()
    return any(isinstance(reply, BaseException) for reply in replies)


def _scheduler_versions(client: Any) -> PackageVersions | BaseException:
    try:
        versions: PackageVersions = client.run_on_scheduler(local_versions)
    except Exception as error:  # noqa: BLE001 - a scheduler without toytip can fail in any way
        return error
    return versions


def _mismatch_line(
    process: str, reply: PackageVersions | BaseException, expected: PackageVersions
) -> str | None:
    name = f"worker {process}" if "://" in process else process
    if isinstance(reply, CommClosedError):
        return f"{name} does not answer ({reply})"
    if isinstance(reply, BaseException):
        return f"{name} cannot import toytip ({reply}), and this client has toytip {expected['toytip']}"
    for package, version in expected.items():
        if reply.get(package) != version:
            return f"{name} has {package} {reply.get(package, 'none')}, and this client has {version}"
    return None


@contextlib.contextmanager
def require_same(client: Any) -> Iterator[None]:
    """Reject a cluster in which any process has different versions.

    Workers with different versions that join later are rejected too. Raises ClusterError, which
    names the first process with different versions.
    """
    if lines := mismatches(client):
        others = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        raise ClusterError(
            f"cannot use the cluster: {lines[0]}{others}",
            hint="Install the same versions on every host with `pip install -c constraints.txt`.",
        )
    client.register_plugin(SameVersionsPlugin(local_versions()))
    try:
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            client.unregister_worker_plugin(PLUGIN_NAME)


class SameVersionsPlugin(WorkerPlugin):  # type: ignore[misc]
    """Stops a worker that joins with different versions.

    Dask alone would only log that the plugin failed.
    """

    name = PLUGIN_NAME

    def __init__(self, expected: PackageVersions) -> None:
        self.expected = expected

    def setup(self, worker: Any) -> None:
        """See WorkerPlugin. Raises ClusterError."""
        if line := _mismatch_line(worker.address, local_versions(), self.expected):
            worker.loop.add_callback(worker.close, reason=line)
            raise ClusterError(line)
