"""`toytip cluster doctor`: what a run would need of a cluster, looked at before there is one; a line for each."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from toytip import cluster
from toytip.cluster import sharing, versions
from toytip.config import Settings, mask
from toytip.errors import ToytipError
from toytip.pipeline import plan
from toytip.progress import Progress
from toytip.reach import access_of
from toytip.source import Source

# What signs and what is claimed has a time on it, which others compare with theirs.
SKEW_S = 5.0
LOOPBACK = ("127.", "localhost", "[::1]", "::1")


@dataclass(frozen=True)
class Check:
    """What was looked at: whether it is as it should be, what was found, and what to do."""

    name: str
    ok: bool
    said: str
    advice: str = ""


class _Worker(Protocol):
    local_directory: str


def examine(settings: Settings, progress: Progress) -> list[Check]:
    """Look at the cluster that the settings name: one that is up, else one that is started for it.

    Raises ClusterError where there is none to look at, ConfigError or SourceError for settings that make no sense.
    """
    source = plan.find(settings, progress) if settings.source else None
    with cluster.connect(settings, strict=False) as client:
        looks = (_versions, _source, _store, _memory, _scratch, _clocks, _tls, _dashboard)
        return [_safely(look, client, settings, source) for look in looks]


Look = Callable[[Any, Settings, Source | None], Check]


def _safely(look: Look, client: Any, settings: Settings, source: Source | None) -> Check:
    try:
        return look(client, settings, source)
    except (ToytipError, OSError, RuntimeError) as error:
        return Check(look.__name__.strip("_"), ok=False, said=str(error) or type(error).__name__)


def _versions(client: Any, _settings: Settings, _source: Source | None) -> Check:
    if lines := versions.differing(client):
        return Check("versions", False, "; ".join(lines), "pip install -c constraints.txt on that host")
    return Check(
        "versions", True, f"toytip {versions.here()['toytip']} and its packages are the same everywhere"
    )


def _source(client: Any, _settings: Settings, source: Source | None) -> Check:
    if source is None:
        return Check("source", True, "the built-in year, made in the store (--source names another)")
    lines = sharing.unreadable(client, [(file.uri, file.bytes, file.access) for file in source.files])
    if lines:
        return Check(
            "source", False, "; ".join(lines), "mount it at this path on all hosts, or use an object store"
        )
    return Check("source", True, f"every worker reads all {len(source.files)} files")


def _store(client: Any, settings: Settings, _source: Source | None) -> Check:
    access = access_of(settings.store, settings.endpoint)
    if lines := sharing.unshared_store(client, settings.store, settings.env, access):
        advice = (
            "mount it at this path on all hosts, or use --store s3://bucket/prefix with credentials on all"
        )
        return Check("store", False, "; ".join(lines), advice)
    return Check("store", True, f"every worker reads and writes {mask(settings.store)}")


def _memory(client: Any, settings: Settings, source: Source | None) -> Check:
    shape = cluster.shape_of(client)
    has = f"{shape.limit / 1e6:,.0f} MB in the smallest worker" if shape.limit else "workers have no limit"
    if source is None or not shape.limit:
        return Check("memory", True, has)
    need = plan.needed(settings, source, shape)
    said = f"about {need / 1e6:,.0f} MB needed, {has}, of which {plan.USABLE:.0%} can be used"
    advice = "smaller --partition-rows, fewer threads a worker, or workers with more memory"
    return Check("memory", need <= plan.USABLE * shape.limit, said, advice)


def _scratch(client: Any, settings: Settings, source: Source | None) -> Check:
    free = cast("dict[str, int]", client.run(_free))
    shape = cluster.shape_of(client)
    need = plan.needed(settings, source, shape) if source else plan.BASE_BYTES
    worker, least = min(free.items(), key=lambda item: item[1])
    said = f"{least / 1e9:,.1f} GB free on the fullest (worker {worker}), {need / 1e9:,.1f} GB should be"
    return Check("scratch", least >= need, said, "free some, or start workers with another --local-directory")


def _free(dask_worker: _Worker) -> int:
    return shutil.disk_usage(dask_worker.local_directory).free


def _clocks(client: Any, _settings: Settings, _source: Source | None) -> Check:
    before = time.time()
    told = client.run(time.time)
    after = time.time()
    # What a clock may be off at least: all of them were read between these two moments.
    off = {worker: max(before - there, there - after, 0.0) for worker, there in told.items()}
    worker, most = max(off.items(), key=lambda item: item[1])
    said = f"{most:.1f} s apart at most" + (f" (worker {worker})" if most else "")
    return Check(
        "clocks", most <= SKEW_S, said, "run a time service (chrony, systemd-timesyncd) on that host"
    )


def _tls(client: Any, _settings: Settings, _source: Source | None) -> Check:
    address = client.scheduler.address
    addresses = [address, *cluster.workers_of(client)]
    plain = [each for each in addresses if not each.startswith(("tls://", "inproc://"))]
    if not plain:
        return Check("tls", True, "client, scheduler and workers talk over TLS")
    if all(_loopback(each) for each in plain):
        return Check("tls", True, "plain, on loopback only: whoever is on this machine can reach it")
    advice = (
        "`toytip cluster certs`, then --tls-ca-file, --tls-cert and --tls-key everywhere (docs/security.md)"
    )
    return Check(
        "tls", False, f"{plain[0]} is not encrypted: whoever reaches it runs code on the workers", advice
    )


def _loopback(address: str) -> bool:
    return address.partition("://")[2].startswith(LOOPBACK)


def _dashboard(client: Any, _settings: Settings, _source: Source | None) -> Check:
    """The dashboard has neither a password nor TLS: it should be reached on its own host only, or through a tunnel."""
    port = client.scheduler_info(n_workers=0)["services"].get("dashboard")
    if not port:
        return Check("dashboard", True, "off")
    host = client.scheduler.address.partition("://")[2].rpartition(":")[0]
    local = _loopback(client.scheduler.address)
    there = _answers(f"http://{host}:{port}/health")
    if there and not local:
        advice = "start the scheduler with --dashboard-address 127.0.0.1:8787"
        return Check("dashboard", False, f"http://{host}:{port} is open to all who reach that host", advice)
    if there:
        return Check("dashboard", True, f"http://{host}:{port}/status, on this machine only")
    return Check("dashboard", True, f"on {host} only; to see it: ssh -L {port}:127.0.0.1:{port} {host}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 - http, made above
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
