"""Make a version current by hand, roll back to a version, and copy it to another environment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from toytip.errors import ConfigError, StoreError
from toytip.store.lineage import walk
from toytip.store.manifest import Manifest
from toytip.store.refs import (
    Release,
    next_event_time,
    plan_release,
    read_releases,
    read_tags,
    record_release,
)
from toytip.store.run_manifest import RunManifest, RunStatus
from toytip.store.store import Store

COPY_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class ReleaseResult:
    """A version that was made current by hand."""

    version: str
    """Version ID."""
    env: str
    """Environment in which the version is current."""
    status: str
    """Status of the run: `passed`, `not-gated`, `refused` or `failed-check`."""
    reason: str
    """Reason, as given with `--reason`."""
    tables: dict[str, str]
    """Version that is now current for each table."""
    copied_tables: int
    """Number of tables that were copied from the environment `dev`."""


def roll_back_to(store: Store, version: str) -> Release:
    """Make a version and its direct inputs current again, until a later run passes.

    A rollback deletes nothing. Raises StoreError if the version does not exist, or if its run was
    refused or failed the data check, and nobody released it.
    """
    release = plan_release(store, version)
    run = store.get_run(release.version)
    is_released = any(
        earlier.reason and earlier.version == release.version for earlier in read_releases(store)
    )
    if run is not None and run.status in (RunStatus.REFUSED, RunStatus.FAILED_CHECK) and not is_released:
        raise StoreError(
            f"cannot roll back to {release.version}: the status of its run is {run.status}",
            hint=f"To use it anyway, run `toytip version release {release.version} --reason TEXT`.",
        )
    record_release(store, release)
    return release


def release_version(store: Store, name: str, reason: str) -> ReleaseResult:
    """Make a version or tag current, and record the reason.

    In the environment `prod`, a version that exists only in `dev` is copied first, together with
    all of its inputs: by hard links on a disk, and by the server on S3. The copy becomes visible in
    one step. Raises StoreError if the version does not exist or if a copy fails, and ConfigError
    without a reason.
    """
    source = replace(store, env="dev")
    version = read_tags(store).get(name, name)
    run = store.get_run(version)
    if run is not None or store.env == source.env:
        release = plan_release(store, name, _require_reason(name, reason))
        record_release(store, release)
        return _result(store, release, store.get_run(release.version), 0)
    return _copy_and_release(source, store, name, reason)


def _require_reason(name: str, reason: str) -> str:
    if not reason.strip():
        raise ConfigError(f"cannot release {name}: no reason given", hint="Say why with --reason TEXT.")
    return reason.strip()


def _copy_and_release(source: Store, target: Store, name: str, reason: str) -> ReleaseResult:
    version = read_tags(source).get(name, name)
    run = source.get_run(version)
    if run is None:
        raise StoreError(
            f"cannot release {name}: neither {target.display_uri} nor {source.display_uri} has this version",
            hint="List the runs of the environment dev with `toytip runs`.",
        )
    release = plan_release(source, version, _require_reason(name, reason))
    tables = _tables_to_copy(source, target, run)
    with contextlib.ExitStack() as stack:
        for other in sorted({version, *(manifest.version for manifest in tables)}):
            stack.enter_context(target.write_version(other))
        for manifest in tables:
            _copy_table(source, target, manifest)
        _copy_reports(source, target, version)
        # The record comes first, so that the run manifest publishes and releases in one step.
        record_release(target, release)
        target.publish(replace(run, created_at=next_event_time(target)))
    return _result(target, release, run, len(tables))


def _tables_to_copy(source: Store, target: Store, run: RunManifest) -> list[Manifest]:
    """Return the tables of a run, with all inputs, that the target does not have."""

    def parents(manifest: Manifest) -> Iterator[Manifest]:
        for parent in manifest.parent_versions:
            manifest_of_parent = source.get_manifest(parent.table, parent.version)
            if manifest_of_parent is not None:
                yield manifest_of_parent

    own = [source.require_manifest(table, version) for table, version in run.tables.items()]
    tables = [item for item in walk(own, parents) if target.get_manifest(item.table, item.version) is None]
    return sorted(tables, key=lambda manifest: (manifest.version, manifest.table))


def _copy_table(source: Store, target: Store, manifest: Manifest) -> None:
    folder = source.layout.version_folder(manifest.table, manifest.version)
    staged = target.staged_folder(manifest.table, manifest.version)
    with target.writing(), ThreadPoolExecutor(COPY_THREADS) as pool:
        names = [file.path for file in manifest.files]
        list(pool.map(lambda name: source.file_io.copy(f"{folder}/{name}", f"{staged}/{name}"), names))
    target.add_table(manifest)


def _copy_reports(source: Store, target: Store, version: str) -> None:
    with target.writing():
        for name in source.file_io.list_files(source.layout.reports):
            file = name.rpartition("/")[2]
            if file.startswith(f"{version}."):
                source.file_io.copy(name, target.layout.report(file))


def _result(store: Store, release: Release, run: RunManifest | None, copied: int) -> ReleaseResult:
    return ReleaseResult(
        version=release.version,
        env=store.env,
        status=run.status if run else "not-gated",
        reason=release.reason,
        tables=release.tables,
        copied_tables=copied,
    )
