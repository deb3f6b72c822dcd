"""What every stage of a run shares: settings, store, client, progress; and how a version is published."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import toytip
from toytip import cluster
from toytip.config import Settings, mask
from toytip.errors import StoreError
from toytip.progress import Progress
from toytip.schema import Table
from toytip.store import Manifest, Store, digest, new_version
from toytip.values import PartRecord

PACKAGES = ("dask", "distributed", "numpy", "pandas", "pyarrow", "scikit-learn", "xgboost", "xgboost-cpu")


@dataclass(frozen=True)
class Context:
    """A run under way."""

    settings: Settings
    store: Store
    client: Any
    progress: Progress
    version: str
    started: float = field(default_factory=time.perf_counter)

    def publish(
        self,
        table: Table | str,
        records: Iterable[PartRecord],
        config: dict[str, Any],
        parents: list[dict[str, Any]],
    ) -> Manifest:
        """Publish the version of a table, or of an artifact, from the records of its parts."""
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
            environment=environment(),
        )
        return self.store.publish(manifest)


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
    store = Store(settings.store, settings.env)
    version = settings.version or new_version()
    store.refuse_published(version, tables)
    with store.claim(version), cluster.connect(settings) as client:
        _greet(client, settings, progress, version)
        with progress.live():
            yield Context(settings, store, client, progress, version)


def _greet(client: Any, settings: Settings, progress: Progress, version: str) -> None:
    workers = cluster.workers_of(client)
    threads = sum(info["nthreads"] for info in workers.values())
    progress.say(f"version {version} in {mask(settings.store)}/{settings.env}")
    progress.say(f"{len(workers)} workers, {threads} threads; dashboard {client.dashboard_link}")
    if settings.scheduler is None and threads > cluster.cores():
        progress.say(
            f"warning: {threads} worker threads share {cluster.cores()} cores: "
            "it works, but no faster than one worker a core, and in more memory"
        )
