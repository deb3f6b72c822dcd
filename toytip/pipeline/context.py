"""What every stage of a run shares: settings, store, client, progress; and how a version is published."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toytip import cluster
from toytip._version import __version__
from toytip.cluster import preflight
from toytip.config import Settings
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.tables import timed_stages
from toytip.core.timing import StageTiming
from toytip.dashboard import reporter
from toytip.progress.tracker import Progress
from toytip.store import timings
from toytip.store.layout import new_version_id
from toytip.store.manifest import Manifest, Parent, digest
from toytip.store.store import Store, store_from_settings

# What a stage has published, by table.
PublishedTables = dict[str, Manifest]

ENVIRONMENT_PACKAGES = (
    "dask",
    "distributed",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "xgboost",
    "xgboost-cpu",
)


@dataclass(frozen=True, kw_only=True)
class StageDecision:
    """Why a stage runs, or why its output is reused."""

    reused: bool
    """Whether the stage reuses at least a part of an earlier output."""
    reason: str
    """Why the stage runs, or which output it reuses."""


@dataclass(frozen=True)
class RunContext:
    """A run under way."""

    settings: Settings
    store: Store
    client: Any
    progress: Progress
    version: str
    reused_versions: set[str] = field(default_factory=set)
    stage_decisions: dict[str, StageDecision] = field(default_factory=dict)

    def record_decision(self, stage: str, decision: StageDecision) -> None:
        """Keep why a stage runs; print it if it reuses an output, or if `explain` is on."""
        self.stage_decisions[stage] = decision
        if self.settings.explain or decision.reused:
            self.progress.info(f"{stage}: {decision.reason}")

    def publish(
        self,
        table: Table,
        records: Iterable[DataFile],
        config: dict[str, Any],
        parents: Iterable[Parent],
        *,
        code: str = "",
        fingerprint: str = "",
        metrics: dict[str, Any] | None = None,
    ) -> Manifest:
        """Publish the version of a table, or of an artifact, from the records of its parts.

        Where a run that was killed has published the very same under this version already, that is it.
        Raises StoreError where the version is published with something else.
        """
        manifest = Manifest(
            table=table.name,
            version=self.version,
            created_at=dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
            files=tuple(
                sorted(records, key=lambda record: (record.month or (0, 0), record.number, record.path))
            ),
            config=config,
            config_digest=digest(config),
            parents=tuple(parents),
            schema_digest=digest([str(field) for field in table.arrow_schema]),
            code=code,
            fingerprint=fingerprint,
            metrics=metrics or {},
            environment=collect_environment(),
            duration=self._stage_timing(table),
        )
        there = self.store.get_manifest(table.name, self.version)
        if there is not None and there.files == manifest.files and there.fingerprint == fingerprint:
            return there
        published = self.store.publish(manifest)
        self.progress.published.append(table.name)
        return published

    def _stage_timing(self, table: Table) -> StageTiming | None:
        """Return how long the stage took that has made all of a table."""
        timings = self.progress.timings
        return next((timings[stage] for stage in timed_stages(table) if stage in timings), None)


def collect_environment() -> dict[str, str]:
    """Return what the outputs were made with: toytip, its commit where known, Python and the packages."""
    found = {"toytip": __version__, "python": platform.python_version(), "git_commit": _git_commit()}
    for name in ENVIRONMENT_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return {name: value for name, value in found.items() if value}


def _git_commit() -> str:
    """Return the commit of the checkout that toytip runs from; empty where it is installed."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603
    return ""


@contextlib.contextmanager
def open_run(settings: Settings, tables: tuple[str, ...], progress: Progress) -> Iterator[RunContext]:
    """Claim a version in the store, connect to the cluster, show the progress: a Context to work in.

    Raises StoreError where the version is published already or the store cannot be written, before any work.
    """
    store = store_from_settings(settings)
    version = settings.version_id or new_version_id()
    store.require_credentials()
    store.require_unpublished(version, tables)
    with store.write_version(version), cluster.connect(settings) as client:
        context = RunContext(settings, store, client, progress, version)
        progress.info(f"version {version} in {store.display_uri}")
        if not cluster.starts_local_workers(settings):
            preflight.require_shared_store(client, store.root, store.env, store.storage_options)
        _report_workers(client, settings, progress)
        left = store.incomplete_versions()
        progress.run, progress.store = version, store.display_uri
        _compare_with_past_runs(store, progress)
        with reporter.report_state(client, settings, progress), progress.show_live():
            yield context
        for other in left:
            if other in context.reused_versions:
                store.purge(other)
            else:
                progress.info(f"{other} was never finished; `toytip gc` removes what is left of it")


@contextlib.contextmanager
def open_reader(settings: Settings, progress: Progress) -> Iterator[RunContext]:
    """Connect to the cluster and show the progress, to work on what is published; nothing is written."""
    with cluster.connect(settings) as client:
        _report_workers(client, settings, progress)
        progress.run, progress.store = (
            f"reading {new_version_id()}",
            store_from_settings(settings).display_uri,
        )
        with reporter.report_state(client, settings, progress), progress.show_live():
            yield RunContext(settings, store_from_settings(settings), client, progress, version="")


def _compare_with_past_runs(store: Store, progress: Progress) -> None:
    """Have the progress compare stages with their own history in the store."""
    before = timings.stage_timings(store.list_manifests())

    def expected(stage: str, work: int) -> float | None:
        usual = timings.median_rate(timings.comparable(before, stage, progress.workers, progress.threads))
        return None if usual is None else usual * work

    progress.slow_check, progress.estimate_seconds = (
        functools.partial(timings.slow_warning, timings=before),
        expected,
    )


def _report_workers(client: Any, settings: Settings, progress: Progress) -> None:
    workers = cluster.workers_by_address(client)
    threads = sum(worker.threads for worker in workers.values())
    progress.workers, progress.threads = len(workers), threads
    progress.info(f"{len(workers)} workers, {threads} threads; dashboard {client.dashboard_link}")
    if cluster.starts_local_workers(settings) and threads > cluster.available_cores():
        progress.warn(
            f"{threads} worker threads share {cluster.available_cores()} cores: "
            "it works, but no faster than one worker a core, and in more memory"
        )
