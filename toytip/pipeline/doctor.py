"""`toytip cluster doctor`: what a run would need of a cluster, looked at before there is one; a line for each."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from toytip import cluster
from toytip.cluster import preflight, versions
from toytip.config import Settings, first_line, mask_credentials
from toytip.errors import ClusterError
from toytip.io.access import resolve_storage_options
from toytip.pipeline import memory
from toytip.pipeline.source import open_configured_source
from toytip.progress.tracker import Progress
from toytip.sources.discovery import Source

# What signs and what is claimed has a time on it, which others compare with theirs.
MAX_CLOCK_SKEW_S = 5.0
# So long a worker may take to say anything; one that has work to do answers all the same.
WORKER_REPLY_TIMEOUT_S = 6
LOOPBACK_PREFIXES = ("127.", "localhost", "[::1]", "::1")
HINTS = {
    "workers": "look after its host and process: end it, or start it again",
    "versions": "pip install -c constraints.txt on that host",
    "source": "mount it at this path on all hosts, or use an object store",
    "store": "mount it at this path on all hosts, or use --store s3://bucket/prefix with credentials on all",
    "memory": "smaller --partition-rows, fewer threads a worker, or workers with more memory",
    "scratch": "free some, or start workers with another --local-directory",
    "clocks": "run a time service (chrony, systemd-timesyncd) on that host",
    "tls": "`toytip cluster certs`, then --tls-ca-file, --tls-cert and --tls-key everywhere (docs/security.md)",
    "dashboard": "start the scheduler with --dashboard-address 127.0.0.1:8787",
}


@dataclass(frozen=True)
class CheckResult:
    """What was looked at: whether it is as it should be, what was found, and what to do."""

    name: str
    ok: bool
    said: str
    advice: str = ""


class _DaskWorker(Protocol):
    local_directory: str


@dataclass(frozen=True)
class _CheckInputs:
    """What is looked at."""

    client: Any
    settings: Settings
    source: Source | None


# Whether it is as it should be, and what was found.
CheckOutcome = tuple[bool, str]


def run_checks(settings: Settings, progress: Progress) -> list[CheckResult]:
    """Look at the cluster that the settings name: one that is up, else one that is started for it.

    Raises ClusterError where there is none to look at, ConfigError or SourceError for settings that make no sense.
    """
    source = open_configured_source(settings, progress) if settings.source else None
    with cluster.connect(settings, strict=False) as client:
        case = _CheckInputs(client, settings, source)
        checks = [_run_check("workers", _check_workers, case)]
        first = "" if checks[0].ok else "workers"
        for name, look in CHECKS.items():
            if first and name in WORKER_CHECKS:
                checks.append(CheckResult(name, False, "not looked at", f"see to the {first} first"))
                continue
            checks.append(_run_check(name, look, case))
            if name == "versions" and not checks[-1].ok and _any_worker_without_toytip(client):
                first = name
    return checks


def _run_check(name: str, look: Callable[[_CheckInputs], CheckOutcome], case: _CheckInputs) -> CheckResult:
    try:
        ok, said = look(case)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong on a cluster, a doctor says it
        ok, said = False, first_line(error)
    return CheckResult(name, ok, said, "" if ok else HINTS[name])


def _any_worker_without_toytip(client: Any) -> bool:
    """Tell whether any worker has no toytip that can be asked."""
    try:
        return versions.lacks_toytip(client)
    except Exception:  # noqa: BLE001 - not even that can be asked
        return True


def _check_workers(case: _CheckInputs) -> CheckOutcome:
    """Ask all at once; if that takes long, each by itself: one that is frozen would only be given up after minutes."""
    there = list(cluster.workers_by_address(case.client))
    if _all_reply(case.client, there):
        return True, f"all {len(there)} answer"
    with ThreadPoolExecutor(len(there)) as asking:
        answered = asking.map(lambda worker: _all_reply(case.client, [worker]), there)
        silent = {worker for worker, well in zip(there, answered, strict=True) if not well}
    silent &= set(cluster.workers_by_address(case.client))  # who has gone meanwhile need not answer
    if not silent:
        return True, f"all {len(there)} answer, but slowly"
    return False, "; ".join(
        f"worker {worker} does not answer within {WORKER_REPLY_TIMEOUT_S} s" for worker in sorted(silent)
    )


def _all_reply(client: Any, workers: list[str]) -> bool:
    try:
        client.run(time.time, workers=workers, callback_timeout=WORKER_REPLY_TIMEOUT_S)
    except (TimeoutError, OSError):
        return False
    return True


def _check_versions(case: _CheckInputs) -> CheckOutcome:
    if lines := versions.mismatches(case.client):
        return False, "; ".join(lines)
    return True, f"toytip {versions.local_versions()['toytip']} and its packages are the same everywhere"


def _check_source(case: _CheckInputs) -> CheckOutcome:
    if case.source is None:
        return True, "the built-in year, made in the store (--source names another)"
    files = [preflight.FileProbe(file.uri, file.bytes, file.storage_options) for file in case.source.files]
    if lines := preflight.check_files(case.client, files):
        return False, "; ".join(lines)
    return True, f"every worker reads all {len(files)} files"


def _check_store(case: _CheckInputs) -> CheckOutcome:
    settings = case.settings
    access = resolve_storage_options(settings.store, settings.endpoint_url)
    if lines := preflight.check_store(case.client, settings.store, settings.env, access):
        return False, "; ".join(lines)
    return True, f"every worker reads and writes {mask_credentials(settings.store)}"


def _check_memory(case: _CheckInputs) -> CheckOutcome:
    shape = cluster.cluster_shape(case.client)
    has = (
        f"{shape.memory_limit / 1e6:,.0f} MB in the smallest worker"
        if shape.memory_limit
        else "workers have no limit"
    )
    if case.source is None or not shape.memory_limit:
        return True, has
    need = memory.worker_bytes_needed(case.settings, case.source, shape)
    said = f"about {need / 1e6:,.0f} MB needed, {has}, of which {memory.USABLE_MEMORY_SHARE:.0%} can be used"
    return need <= memory.USABLE_MEMORY_SHARE * shape.memory_limit, said


def _check_scratch(case: _CheckInputs) -> CheckOutcome:
    free = _require_values(cluster.run_on_workers(case.client, _free_disk_bytes))
    shape = cluster.cluster_shape(case.client)
    need = (
        memory.worker_bytes_needed(case.settings, case.source, shape)
        if case.source
        else memory.IDLE_WORKER_BYTES
    )
    worker, least = min(free.items(), key=lambda item: item[1])
    said = f"{least / 1e9:,.1f} GB free on the fullest (worker {worker}), {need / 1e9:,.1f} GB should be"
    return least >= need, said


def _free_disk_bytes(dask_worker: _DaskWorker) -> int:
    return shutil.disk_usage(dask_worker.local_directory).free


def _check_clocks(case: _CheckInputs) -> CheckOutcome:
    before = time.time()
    told = _require_values(cluster.run_on_workers(case.client, time.time))
    after = time.time()
    # What a clock may be off at least: all of them were read between these two moments.
    off = {worker: max(before - there, there - after, 0.0) for worker, there in told.items()}
    worker, most = max(off.items(), key=lambda item: item[1])
    return most <= MAX_CLOCK_SKEW_S, f"{most:.1f} s apart at most" + (f" (worker {worker})" if most else "")


def _require_values(told: dict[str, Any]) -> dict[str, float]:
    """Return what workers have said. Raises ClusterError naming the first that could not say it."""
    for worker, said in told.items():
        if isinstance(said, Exception):
            raise ClusterError(f"worker {worker}: {first_line(said)}")
    return told


def _check_tls(case: _CheckInputs) -> CheckOutcome:
    addresses = [case.client.scheduler.address, *cluster.workers_by_address(case.client)]
    plain = [each for each in addresses if not each.startswith(("tls://", "inproc://"))]
    if not plain:
        return True, "client, scheduler and workers talk over TLS"
    if all(_is_loopback(each) for each in plain):
        return True, "plain, on loopback only: whoever is on this machine can reach it"
    return False, f"{plain[0]} is not encrypted: whoever reaches it runs code on the workers"


def _is_loopback(address: str) -> bool:
    return address.partition("://")[2].startswith(LOOPBACK_PREFIXES)


def _check_dashboard(case: _CheckInputs) -> CheckOutcome:
    """The dashboard has neither a password nor TLS: it should be reached on its own host only, or through a tunnel."""
    address = case.client.scheduler.address
    port = case.client.scheduler_info(n_workers=0)["services"].get("dashboard")
    if not port:
        return True, "off"
    host = address.partition("://")[2].rpartition(":")[0]
    if not _responds(f"http://{host}:{port}/health"):
        return True, f"on {host} only; to see it: ssh -L {port}:127.0.0.1:{port} {host}"
    if _is_loopback(address):
        return True, f"http://{host}:{port}/status, on this machine only"
    return False, f"http://{host}:{port} is open to all who reach that host"


def _responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 - http, made above
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


CHECKS = {
    "versions": _check_versions, "source": _check_source, "store": _check_store, "memory": _check_memory, "scratch": _check_scratch,
    "clocks": _check_clocks, "tls": _check_tls, "dashboard": _check_dashboard,
}  # fmt: skip
# Of no use where a worker is silent, or has no toytip.
WORKER_CHECKS = ("versions", "source", "store", "memory", "scratch", "clocks")
