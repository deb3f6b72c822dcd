"""Checks of a cluster before a run."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from toytip import cluster
from toytip.cluster import preflight, versions
from toytip.cluster.package_versions import local_versions
from toytip.config import Settings
from toytip.core.redact import first_line, mask_credentials
from toytip.core.text import all_of, verb
from toytip.errors import ClusterError
from toytip.io.access import resolve_storage_options
from toytip.pipeline.plan import IDLE_WORKER_BYTES, USABLE_MEMORY_SHARE, RunPlan, estimate_memory
from toytip.pipeline.source import open_configured_source
from toytip.progress.tracker import Progress

# S3 signatures and leases contain a time, which other machines compare with their own clock.
MAX_CLOCK_SKEW_S = 5.0
# A busy worker still answers within this time.
WORKER_REPLY_TIMEOUT_S = 6
DASHBOARD_TIMEOUT_S = 3
LOOPBACK_PREFIXES = ("127.", "localhost", "[::1]", "::1")
HINTS = {
    "workers": "Stop or restart the worker process on its host.",
    "versions": "Install the packages on that host with `pip install -c constraints.txt`.",
    "source": "Mount the source at this path on all hosts, or use an object store.",
    "store": "Mount the store at this path on all hosts, or use --store s3://bucket/prefix with credentials "
    "on all hosts.",
    "memory": "Use a smaller --partition-rows, fewer threads per worker, or workers with more memory.",
    "scratch": "Free disk space, or start the workers with a different --local-directory.",
    "clocks": "Run a time service (chrony, systemd-timesyncd) on that host.",
    "tls": "Create certificates with `toytip cluster create-certs`. Set --tls-ca-file, --tls-cert and "
    "--tls-key for the scheduler and the workers (node.pem, node.key) and for toytip (client.pem, client.key).",
    "dashboard": "Start the scheduler with --dashboard-address 127.0.0.1:8787.",
}


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of one check of a cluster."""

    name: str
    """Name of the check."""
    ok: bool
    """Whether the check passed."""
    message: str
    """Finding of the check, on one line."""
    advice: str = ""
    """Fix for a failed check. Empty if the check passed."""


class Finding(NamedTuple):
    """The finding of a check, and whether the check passed."""

    ok: bool
    message: str


class _DaskWorker(Protocol):
    local_directory: str


@dataclass(frozen=True, kw_only=True)
class _Cluster:
    """The cluster to check, and the plan of the run that the cluster must support."""

    client: Any
    settings: Settings
    plan: RunPlan | None


Check = Callable[[_Cluster], Finding]


def run_checks(settings: Settings, progress: Progress) -> list[CheckResult]:
    """Check the configured cluster. Start the cluster for the checks if it is not running.

    Raises ClusterError if there is no cluster to check, and ConfigError or SourceError for invalid
    settings.
    """
    source = open_configured_source(settings, progress) if settings.source else None
    plan = RunPlan.of(settings, source) if source else None
    with cluster.connect(settings, strict=False) as client:
        return list(_run_all(_Cluster(client=client, settings=settings, plan=plan)))


def _run_all(case: _Cluster) -> Iterator[CheckResult]:
    """Yield the result of each check. Skip checks that need workers if the workers fail."""
    workers = _run_check("workers", _check_workers, case)
    yield workers
    failed = "" if workers.ok else "workers"
    for name, check in CHECKS.items():
        if failed and name in WORKER_CHECKS:
            yield CheckResult(name=name, ok=False, message="skipped", advice=f"Fix the check {failed} first.")
            continue
        checked = _run_check(name, check, case)
        yield checked
        if name == "versions" and not checked.ok and _any_worker_without_toytip(case.client):
            failed = name


def _run_check(name: str, check: Check, case: _Cluster) -> CheckResult:
    try:
        finding = check(case)
    except Exception as error:  # noqa: BLE001 - any failure becomes the finding of the check
        finding = Finding(ok=False, message=first_line(error))
    return CheckResult(
        name=name, ok=finding.ok, message=finding.message, advice="" if finding.ok else HINTS[name]
    )


def _any_worker_without_toytip(client: Any) -> bool:
    """Return whether a worker cannot import toytip, or cannot answer."""
    try:
        return versions.lacks_toytip(client)
    except Exception:  # noqa: BLE001 - a worker that cannot answer cannot run toytip
        return True


def _check_workers(case: _Cluster) -> Finding:
    """Ask all workers at once. If the answers take too long, ask each worker separately.

    The scheduler removes a frozen worker only after minutes.
    """
    workers = list(cluster.workers_by_address(case.client))
    if _all_reply(case.client, workers):
        return Finding(True, f"{all_of(len(workers), 'worker')} {verb(len(workers), 'answers', 'answer')}")
    with ThreadPoolExecutor(len(workers)) as pool:
        replies = pool.map(lambda worker: _all_reply(case.client, [worker]), workers)
        silent = {worker for worker, replied in zip(workers, replies, strict=True) if not replied}
    silent &= set(cluster.workers_by_address(case.client))  # a worker that stopped meanwhile does not count
    if not silent:
        return Finding(
            True, f"{all_of(len(workers), 'worker')} {verb(len(workers), 'answers', 'answer')}, but slowly"
        )
    timeout = f"does not answer within {WORKER_REPLY_TIMEOUT_S} s"
    return Finding(False, "; ".join(f"worker {worker} {timeout}" for worker in sorted(silent)))


def _all_reply(client: Any, workers: Sequence[str]) -> bool:
    try:
        client.run(time.time, workers=list(workers), callback_timeout=WORKER_REPLY_TIMEOUT_S)
    except (TimeoutError, OSError):
        return False
    return True


def _check_versions(case: _Cluster) -> Finding:
    if mismatches := versions.mismatches(case.client):
        return Finding(False, "; ".join(mismatches))
    return Finding(True, f"all processes have toytip {local_versions()['toytip']} and the same packages")


def _check_source(case: _Cluster) -> Finding:
    if case.plan is None:
        return Finding(True, "synthetic year, written to the store (set --source for another source)")
    files = [
        preflight.FileProbe(file.uri, file.bytes, file.storage_options)
        for file in case.plan.source.distinct_files
    ]
    if problems := preflight.check_files(case.client, files):
        return Finding(False, "; ".join(problems))
    return Finding(True, f"every worker reads {all_of(len(files), 'file')}")


def _check_store(case: _Cluster) -> Finding:
    settings = case.settings
    storage = resolve_storage_options(settings.store, settings.endpoint_url)
    if problems := preflight.check_store(case.client, settings.store, settings.env, storage):
        return Finding(False, "; ".join(problems))
    return Finding(True, f"every worker reads and writes {mask_credentials(settings.store)}")


def _check_memory(case: _Cluster) -> Finding:
    shape = cluster.cluster_shape(case.client)
    if not shape.memory_limit:
        return Finding(True, "the workers have no memory limit")
    limit = f"{shape.memory_limit / 1e6:,.0f} MB in the smallest worker"
    if case.plan is None:
        return Finding(True, limit)
    needed, share = estimate_memory(case.plan, shape), USABLE_MEMORY_SHARE
    message = (
        f"about {needed.worker / 1e6:,.0f} MB needed, {limit}, for training about "
        f"{needed.training / 1e6:,.0f} MB needed, {shape.training_memory / 1e6:,.0f} MB on the smallest host, "
        f"of which {100 * share:.0f} % are usable"
    )
    fits = needed.worker <= share * shape.memory_limit and needed.training <= share * shape.training_memory
    return Finding(fits, message)


def _check_scratch(case: _Cluster) -> Finding:
    free = _require_values(cluster.run_on_workers(case.client, _free_disk_bytes))
    shape = cluster.cluster_shape(case.client)
    needed = estimate_memory(case.plan, shape).training if case.plan else IDLE_WORKER_BYTES
    worker, least = min(free.items(), key=lambda item: item[1])
    message = f"{least / 1e9:,.1f} GB free on worker {worker}, {needed / 1e9:,.1f} GB recommended"
    return Finding(least >= needed, message)


def _free_disk_bytes(dask_worker: _DaskWorker) -> int:
    return shutil.disk_usage(dask_worker.local_directory).free


def _check_clocks(case: _Cluster) -> Finding:
    started_at = time.time()
    clocks = _require_values(cluster.run_on_workers(case.client, time.time))
    ended_at = time.time()
    # The smallest possible skew of each clock. Each clock was read between the two times.
    skews = {worker: max(started_at - clock, clock - ended_at, 0.0) for worker, clock in clocks.items()}
    worker, skew = max(skews.items(), key=lambda item: item[1])
    name = f" (worker {worker})" if skew else ""
    return Finding(skew <= MAX_CLOCK_SKEW_S, f"clocks differ by at most {skew:.1f} s{name}")


def _require_values(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the value of each worker. Raises ClusterError if a worker returned an error."""
    for worker, value in values.items():
        if isinstance(value, Exception):
            raise ClusterError(f"cannot ask worker {worker}: {first_line(value)}")
    return dict(values)


def _check_tls(case: _Cluster) -> Finding:
    addresses = [case.client.scheduler.address, *cluster.workers_by_address(case.client)]
    plain = [address for address in addresses if not address.startswith(("tls://", "inproc://"))]
    if not plain:
        return Finding(True, "client, scheduler and workers use TLS")
    if all(_is_loopback(address) for address in plain):
        return Finding(True, "not encrypted, but only reachable from this machine")
    return Finding(False, f"{plain[0]} is not encrypted: anyone who can reach it can run code on the workers")


def _is_loopback(address: str) -> bool:
    return address.partition("://")[2].startswith(LOOPBACK_PREFIXES)


def _check_dashboard(case: _Cluster) -> Finding:
    """Check that the dashboard, which has no password, can only be reached from its host."""
    address = case.client.scheduler.address
    port = case.client.scheduler_info(n_workers=0)["services"].get("dashboard")
    if not port:
        return Finding(True, "off")
    host = address.partition("://")[2].rpartition(":")[0]
    if not _responds(f"http://{host}:{port}/health"):
        tunnel = f"ssh -L {port}:127.0.0.1:{port} {host}"
        return Finding(True, f"only reachable from {host} (to open a tunnel, run {tunnel})")
    if _is_loopback(address):
        return Finding(True, f"http://{host}:{port}/status, only reachable from this machine")
    return Finding(False, f"http://{host}:{port} is open to everyone who can reach that host")


def _responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=DASHBOARD_TIMEOUT_S) as response:  # noqa: S310 - http, see above
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


CHECKS: dict[str, Check] = {
    "versions": _check_versions,
    "source": _check_source,
    "store": _check_store,
    "memory": _check_memory,
    "scratch": _check_scratch,
    "clocks": _check_clocks,
    "tls": _check_tls,
    "dashboard": _check_dashboard,
}
# These checks run only if the workers answer and can import toytip.
WORKER_CHECKS = ("versions", "source", "store", "memory", "scratch", "clocks")
