"""The context of a run: settings, store, client and progress. It publishes versions."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from toytip import cluster
from toytip._version import __version__
from toytip.cluster import ClusterPlan, preflight
from toytip.cluster.package_versions import local_versions
from toytip.config import Settings
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.module_source import ModuleSource
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.tables import timed_stages
from toytip.core.text import plural
from toytip.core.timing import StageTiming
from toytip.core.xgboost_version import require_xgboost
from toytip.dashboard import reporter
from toytip.pipeline.result import StageDecision
from toytip.progress.tracker import Progress
from toytip.store import timings
from toytip.store.layout import new_version_id
from toytip.store.manifest import Manifest, Parent, digest, utc_now
from toytip.store.refs import next_event_time
from toytip.store.run_manifest import RunFacts, RunManifest, RunStatus
from toytip.store.store import Store, store_from_settings

# Manifests of the tables of a version, by table.
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


@dataclass(frozen=True)
class RunContext:
    """The settings, store, client and progress of a run, and its decisions."""

    settings: Settings
    """Settings of the run."""
    store: Store
    """Store that the run reads and writes."""
    client: Any
    """Dask client of the workers."""
    progress: Progress
    """Progress display of the run."""
    version: str
    """Version that the run publishes. Empty if the run only reads."""
    local_workers: bool = False
    """Whether the run started its workers on this machine."""
    reused_versions: set[str] = field(default_factory=set)
    """Versions whose data files the run has reused."""
    stage_decisions: dict[str, StageDecision] = field(default_factory=dict)
    """Why each stage ran, or which output it reused, by stage."""

    def record_decision(self, stage: str, decision: StageDecision) -> None:
        """Record why a stage runs. Print the reason if output is reused or `explain` is set."""
        self.stage_decisions[stage] = decision
        if self.settings.explain or decision.reused:
            self.progress.info(f"{stage}: {decision.reason}")

    def require_usable_module(self, dataset: Dataset) -> None:
        """Raise ConfigError or ClusterError if a worker cannot use the module of a project."""
        if dataset.module is not None:
            preflight.require_usable_module(self.client, dataset)

    def add_table(
        self,
        table: Table,
        files: Iterable[DataFile],
        config: dict[str, Any],
        parents: Iterable[Parent],
        *,
        code: str = "",
        fingerprint: str = "",
        module: ModuleSource | None = None,
        metrics: dict[str, Any] | None = None,
    ) -> Manifest:
        """Complete a table or artifact of the version, and return its manifest.

        If a killed run has already completed the same table of this version, the existing manifest
        is returned.
        """
        manifest = Manifest(
            table=table.name,
            version=self.version,
            created_at=utc_now(),
            files=tuple(sorted(files, key=lambda file: (file.month or (0, 0), file.number, file.path))),
            config=config,
            config_digest=digest(config),
            parents=tuple(parents),
            schema_digest=digest([str(column) for column in table.arrow_schema]),
            code=code,
            fingerprint=fingerprint,
            module=module,
            metrics=metrics or {},
            environment=collect_environment(),
            duration=self._stage_timing(table),
        )
        existing = self.store.get_manifest(table.name, self.version)
        if existing is not None and _content(existing) == _content(manifest):
            return existing
        added = self.store.add_table(manifest)
        self.progress.record_published(table.name)
        return added

    def publish(
        self, command: str, tables: PublishedTables, status: RunStatus = RunStatus.NOT_GATED
    ) -> RunManifest:
        """Publish all tables of the version in one step.

        Raises StoreError if the version is already published, or if a table no longer exists.
        """
        return self.store.publish(self.run_manifest(command, tables, status))

    def run_manifest(
        self,
        command: str,
        tables: PublishedTables,
        status: RunStatus,
        *,
        reasons: Sequence[str] = (),
        fingerprint: str = "",
        run: RunFacts | None = None,
    ) -> RunManifest:
        """Return the run manifest that publishes the tables of the version."""
        return RunManifest(
            version=self.version,
            command=command,
            status=status,
            created_at=next_event_time(self.store),
            tables={name: manifest.version for name, manifest in tables.items()},
            reasons=tuple(reasons),
            fingerprint=fingerprint,
            run=run,
        )

    def _stage_timing(self, table: Table) -> StageTiming | None:
        """Return the timing of the stage that wrote a table, or None if the stage reused files."""
        timings = (self.progress.timing(stage) for stage in timed_stages(table))
        return next((timing for timing in timings if timing is not None), None)


def _content(manifest: Manifest) -> str:
    """Return a digest of a manifest without its time, environment and timing."""
    return digest(
        [
            [asdict(file) for file in manifest.files],
            manifest.fingerprint,
            manifest.config,
            list(map(str, manifest.parents)),
            manifest.metrics,
        ]
    )


@functools.cache
def collect_environment() -> dict[str, str]:
    """Return the versions of toytip, Python and packages, and the git commit of a checkout."""
    versions = {"toytip": __version__, "python": platform.python_version(), "git_commit": _git_commit()}
    for name in ENVIRONMENT_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {name: version for name, version in versions.items() if version}


def _git_commit() -> str:
    """Return the git commit of the checkout. Return "" if toytip does not run from a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603
    return ""


@contextlib.contextmanager
def open_run(
    settings: Settings,
    progress: Progress,
    cluster_plan: ClusterPlan | None = None,
) -> Iterator[RunContext]:
    """Lock a version in the store, connect to the cluster, and show the progress.

    Raises StoreError before any work if the version is already published, or if the store is not
    writable. Raises ConfigError if toytip does not support the installed XGBoost.
    """
    require_xgboost(local_versions()["xgboost"])
    store, cluster_plan = store_from_settings(settings), cluster_plan or cluster.plan_cluster(settings)
    version = settings.version_id or new_version_id()
    store.require_credentials()
    store.require_unpublished(version)
    with store.write_version(version), cluster.connect(settings, cluster_plan) as client:
        local_workers = cluster_plan.starts_local_workers
        context = RunContext(settings, store, client, progress, version, local_workers)
        progress.info(f"version {version} in {store.display_uri}")
        if not local_workers:
            preflight.require_shared_store(client, store.root, store.env, store.storage_options)
        incomplete = store.incomplete_versions()
        progress.begin_run(version, store.display_uri)
        workers, threads = _report_workers(context)
        past = timings.stage_timings(store.list_tables())
        progress.set_history(StoreHistory(timings=past, workers=workers, threads=threads))
        with reporter.report_state(client, settings, progress), progress.show_live():
            yield context
        _clean_up(context, incomplete)


def _clean_up(context: RunContext, incomplete: Iterable[str]) -> None:
    """Delete incomplete versions whose files this run reused. Report other incomplete versions."""
    # Another run may refer to a table of an incomplete version until it publishes.
    is_alone = context.store.active_versions() <= {context.version}
    for version in incomplete:
        if version == context.version:
            continue
        if version in context.reused_versions and is_alone:
            context.store.purge(version)
        else:
            context.progress.info(
                f"version {version} is incomplete: its run did not finish (delete it with `toytip version gc`)"
            )


@contextlib.contextmanager
def open_reader(settings: Settings, progress: Progress) -> Iterator[RunContext]:
    """Connect to the cluster and show the progress of a command that reads published versions."""
    store, cluster_plan = store_from_settings(settings), cluster.plan_cluster(settings)
    with cluster.connect(settings, cluster_plan) as client:
        context = RunContext(settings, store, client, progress, "", cluster_plan.starts_local_workers)
        _report_workers(context)
        progress.begin_run(f"reading {new_version_id()}", store.display_uri)
        with reporter.report_state(client, settings, progress), progress.show_live():
            yield context


@dataclass(frozen=True, kw_only=True)
class StoreHistory:
    """Stage timings from the manifests of a store, to compare a run with earlier runs.

    Only runs with `workers` workers and `threads` threads in total are comparable.
    """

    timings: Sequence[StageTiming]
    workers: int
    threads: int

    def expected_seconds(self, stage: str, work: int) -> float | None:
        """Return the usual duration of a stage for an amount of work, or None without history."""
        comparable = timings.comparable(self.timings, stage, self.workers, self.threads)
        rate = timings.median_rate(comparable)
        return None if rate is None else rate * work

    def slow_warning(self, timing: StageTiming) -> str | None:
        """Return a warning if a stage took much longer than usual."""
        return timings.slow_warning(timing, self.timings)


def _report_workers(context: RunContext) -> tuple[int, int]:
    """Print the workers and the dashboard. Return the number of workers and of threads."""
    client, progress = context.client, context.progress
    workers = cluster.workers_by_address(client)
    threads = sum(worker.threads for worker in workers.values())
    progress.set_workers(len(workers), threads)
    size = f"{plural(len(workers), 'worker')}, {plural(threads, 'thread')}"
    progress.info(f"{size}, dashboard {client.dashboard_link}")
    if context.local_workers and (note := describe_shared_cores(threads, cluster.available_cores())):
        progress.info(note)
    return len(workers), threads


def describe_shared_cores(threads: int, cores: int) -> str:
    """Return a line about more threads than cores, or "".

    The line is not a warning: the result is the same, and the run takes about as long.
    """
    if threads <= cores:
        return ""
    shared = f"{plural(threads, 'thread')} share {plural(cores, 'core')}"
    return f"{shared} (one thread per core is as fast, and needs less memory)"
