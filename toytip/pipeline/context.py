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

import toytip
from toytip import cluster, pace
from toytip.cluster import live, sharing
from toytip.config import Settings
from toytip.errors import StoreError
from toytip.progress import Progress
from toytip.schema import Table
from toytip.store import Manifest, Store, digest, new_version, store_of
from toytip.values import PartRecord, Took

# What a stage has published, by table.
Published = dict[str, Manifest]

# The stages whose time a manifest keeps: one of these has made the table.
STAGES_OF = {
    "trips": ("clean",),
    "features": ("featurize",),
    "encodings": ("preprocess",),
    "models": ("train",),
    "scores": ("infer",),
    "predictions": ("infer", "postprocess"),
}
PACKAGES = ("dask", "distributed", "numpy", "pandas", "pyarrow", "scikit-learn", "xgboost", "xgboost-cpu")


@dataclass(frozen=True)
class Context:
    """A run under way."""

    settings: Settings
    store: Store
    client: Any
    progress: Progress
    version: str
    taken_from: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)

    def tell(self, stage: str, reason: str) -> None:
        """Keep why a stage runs or not; say it where it was asked for, or where something is taken over."""
        self.reasons[stage] = reason
        if self.settings.explain or "taken over" in reason or "reused" in reason:
            self.progress.say(f"{stage}: {reason}")

    def publish(
        self,
        table: Table | str,
        records: Iterable[PartRecord],
        config: dict[str, Any],
        parents: list[dict[str, Any]],
        *,
        code: str = "",
        identity: str = "",
        metrics: dict[str, Any] | None = None,
    ) -> Manifest:
        """Publish the version of a table, or of an artifact, from the records of its parts.

        Where a run that was killed has published the very same under this version already, that is it.
        Raises StoreError where the version is published with something else.
        """
        name, shape = (table, []) if isinstance(table, str) else (table.name, [str(f) for f in table.arrow])
        manifest = Manifest(
            table=name,
            version=self.version,
            created=dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
            parts=tuple(
                sorted(records, key=lambda record: (record.month or (0, 0), record.number, record.path))
            ),
            config=config,
            config_digest=digest(config),
            parents=parents,
            schema_digest=digest(shape),
            code=code,
            identity=identity,
            metrics=metrics or {},
            environment=environment(),
            took=self._took(name),
        )
        there = self.store.published(name, self.version)
        if there is not None and there.parts == manifest.parts and there.identity == identity:
            return there
        published = self.store.publish(manifest)
        self.progress.published.append(name)
        return published

    def _took(self, table: str) -> Took | None:
        """Return how long the stage took that has made all of a table."""
        stages = STAGES_OF.get(table, ())
        return next((self.progress.took[stage] for stage in stages if stage in self.progress.took), None)


def parent(manifest: Manifest) -> dict[str, Any]:
    """Return how a manifest names another as its parent."""
    return {"table": manifest.table, "version": manifest.version}


def parent_version(manifest: Manifest, table: str) -> str:
    """Return the version of the parent of that name. Raises StoreError where the manifest has none."""
    for item in manifest.parents:
        if item.get("table") == table:
            return str(item["version"])
    raise StoreError(f"{manifest.table} {manifest.version} names no {table} as its parent; make it anew")


def environment() -> dict[str, str]:
    """Return what the outputs were made with: toytip, its commit where known, Python and the packages."""
    found = {"toytip": toytip.__version__, "python": platform.python_version(), "git_commit": _git_commit()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return {name: value for name, value in found.items() if value}


def _git_commit() -> str:
    """Return the commit of the checkout that toytip runs from; empty where it is installed."""
    root = Path(toytip.__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603
    return ""


@contextlib.contextmanager
def opened(settings: Settings, tables: tuple[str, ...], progress: Progress) -> Iterator[Context]:
    """Claim a version in the store, connect to the cluster, show the progress: a Context to work in.

    Raises StoreError where the version is published already or the store cannot be written, before any work.
    """
    store = store_of(settings)
    version = settings.version or new_version()
    store.refuse_unsigned()
    store.refuse_published(version, tables)
    with store.making(version), cluster.connect(settings) as client:
        context = Context(settings, store, client, progress, version)
        progress.say(f"version {version} in {store.shown}")
        if not cluster.starts_here(settings):
            sharing.refuse_unshared_store(client, store.root, store.env, store.access)
        _greet(client, settings, progress)
        left = store.abandoned()
        progress.run, progress.store = version, store.shown
        _pace(store, progress)
        with live.shown(client, settings, progress), progress.live():
            yield context
        for other in left:
            if other in context.taken_from:
                store.sweep(other)
            else:
                progress.say(f"{other} was never finished; `toytip gc` removes what is left of it")


@contextlib.contextmanager
def reading(settings: Settings, progress: Progress) -> Iterator[Context]:
    """Connect to the cluster and show the progress, to work on what is published; nothing is written."""
    with cluster.connect(settings) as client:
        _greet(client, settings, progress)
        progress.run, progress.store = f"reading {new_version()}", store_of(settings).shown
        with live.shown(client, settings, progress), progress.live():
            yield Context(settings, store_of(settings), client, progress, version="")


def _pace(store: Store, progress: Progress) -> None:
    """Have the progress compare stages with their own history in the store."""
    before = pace.history(store.versions())

    def expected(stage: str, work: int) -> float | None:
        usual = pace.usual(pace.alike(before, stage, progress.workers, progress.threads))
        return None if usual is None else usual * work

    progress.bell, progress.pace = functools.partial(pace.slow, before=before), expected


def _greet(client: Any, settings: Settings, progress: Progress) -> None:
    workers = cluster.workers_of(client)
    threads = sum(info["nthreads"] for info in workers.values())
    progress.workers, progress.threads = len(workers), threads
    progress.say(f"{len(workers)} workers, {threads} threads; dashboard {client.dashboard_link}")
    if cluster.starts_here(settings) and threads > cluster.cores():
        progress.warn(
            f"{threads} worker threads share {cluster.cores()} cores: "
            "it works, but no faster than one worker a core, and in more memory"
        )
