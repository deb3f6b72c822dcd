"""Lineage, read from the manifests only: inputs of a version, and versions that use a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from toytip.core.months import Month
from toytip.core.partitions import DataFile, input_files
from toytip.core.tables import FEATURES, REJECTS, TABLES, TABLES_BY_NAME, tables_published_with
from toytip.errors import StoreError
from toytip.store.manifest import Manifest, SourceFileRef, VersionRef
from toytip.store.refs import NO_RUN_PASSED_HINT, find_current, manifests_of, parse_as_of, resolve_version
from toytip.store.store import Store

# Each file of these tables is computed from one file of the parent. The lineage of a month
# therefore contains only files of this month.
_ROW_TABLES = frozenset(table.name for table in TABLES if table.rows_are_trips)


@dataclass(frozen=True, kw_only=True)
class LineageFile:
    """A data file in the lineage of a month."""

    path: str
    """Path of the file, relative to the folder of the version."""
    rows: int
    """Number of rows."""
    checksum: str
    """`sha256:` followed by the SHA-256 checksum of the file."""
    input_fingerprint: str
    """Checksum of the input from which the file was computed. If the input is a source file, the
    row range follows."""


@dataclass(frozen=True, kw_only=True)
class DeletedVersion:
    """A parent version whose manifest no longer exists."""

    table: str
    """Name of the table or artifact."""
    version: str
    """Version ID."""
    deleted: bool = True
    """Always true."""


@dataclass(frozen=True, kw_only=True)
class LineageNode:
    """A version and, recursively, all of its inputs."""

    table: str
    """Name of the table or artifact."""
    version: str
    """Version ID."""
    created_at: str
    """Publication time in UTC (ISO 8601)."""
    rows: int
    """Number of rows of the selected month, or of all months if no month is selected."""
    config: dict[str, Any]
    """Settings that determine the content of the version."""
    code: str
    """Hash of the source code that determines the content."""
    environment: dict[str, str]
    """Versions of toytip, Python and other packages, and the git commit if toytip runs from a
    checkout."""
    files: tuple[LineageFile, ...] = ()
    """Data files of the selected month. Empty if no month is selected."""
    parents: tuple[LineageNode | DeletedVersion | SourceFileRef, ...] = field(default=())
    """Direct inputs of the version: other versions, deleted versions and source files."""

    @property
    def ref(self) -> VersionRef:
        """The table and the version."""
        return VersionRef(self.table, self.version)


LineageParent = LineageNode | DeletedVersion | SourceFileRef


def main_manifest(store: Store, version: str) -> Manifest:
    """Return the manifest of a version's most important table: `predictions`, if it exists."""
    return most_important(manifests_of(store, version))


def most_important(manifests: Sequence[Manifest]) -> Manifest:
    """Return the manifest of the most important table: `predictions`, if it exists."""
    by_table = {manifest.table: manifest for manifest in manifests}
    return next((by_table[name] for name in TABLES_BY_NAME if name in by_table), manifests[0])


def trace_lineage(store: Store, manifest: Manifest, month: Month | None = None) -> LineageNode:
    """Return the lineage of a version, down to the source files.

    With a month, the lineage is limited to the files of this month. The fitted encoding, the model
    and their inputs are not limited, because they depend on all training months. Raises StoreError
    if the version has no files of the month.
    """
    files = [file for file in manifest.files if file.month == month] if month else []
    if month and not files and manifest.months:
        raise StoreError(
            f"cannot trace {manifest.ref}: it has no month {month}",
            hint=f"Select a month between {manifest.months[0]} and {manifest.months[-1]}.",
        )
    return LineageNode(
        table=manifest.table,
        version=manifest.version,
        created_at=manifest.created_at,
        rows=sum(file.rows for file in files) if files else manifest.rows,
        config=manifest.config,
        code=manifest.code,
        environment=manifest.environment,
        files=tuple(
            LineageFile(
                path=file.path,
                rows=file.rows,
                checksum=file.checksum,
                input_fingerprint=file.input_fingerprint,
            )
            for file in files
        ),
        parents=(
            *(_trace_parent(store, parent, month) for parent in manifest.parent_versions),
            *_source_files_of(manifest, files),
        ),
    )


def _source_files_of(manifest: Manifest, files: list[DataFile]) -> Iterator[SourceFileRef]:
    """Yield the source files of the data files, or all source files if `files` is empty."""
    checksums = {checksum for file in files for checksum, _ in input_files(file.input_fingerprint)}
    for source in manifest.source_files:
        if not files or source.checksum in checksums:
            yield source


def _trace_parent(store: Store, parent: VersionRef, month: Month | None) -> LineageNode | DeletedVersion:
    manifest = store.get_manifest(parent.table, parent.version)
    if manifest is None:
        return DeletedVersion(table=parent.table, version=parent.version)
    return trace_lineage(store, manifest, month if parent.table in _ROW_TABLES else None)


def walk(
    start: Iterable[Manifest],
    neighbors: Callable[[Manifest], Iterable[Manifest]],
    key: Callable[[Manifest], object] = lambda manifest: manifest.ref,
) -> Iterator[Manifest]:
    """Yield all manifests that are reachable from `start`, breadth-first, one per key."""
    pending, visited = deque(start), set()
    while pending:
        manifest = pending.popleft()
        if key(manifest) not in visited:
            visited.add(key(manifest))
            yield manifest
            pending.extend(neighbors(manifest))


def resolve_version_of_taxi(
    store: Store, table: str, taxi: str, version: str | None = None, as_of: str | None = None
) -> Manifest:
    """Return the manifest of a version ID or tag, by default of the current version of a taxi type.

    Other taxi types do not change the current version of a taxi type. Raises StoreError if no
    version matches, or if the version has trips of another taxi type.
    """
    tables = {manifest.ref: manifest for manifest in store.list_tables()}
    if version is not None:
        named = resolve_version(store, table, version)
        if (actual := _taxi_of(tables, named)) != taxi:
            raise StoreError(
                f"cannot read version {version} of {table} for the taxi type {taxi}: its taxi type is {actual}",
                hint=f"Name a version of this taxi type. `toytip runs --taxi {taxi}` lists them.",
            )
        return named
    manifests = [item for item in store.list_manifests(table) if _taxi_of(tables, item) == taxi]
    current = find_current(store, manifests, parse_as_of(as_of) if as_of else None)
    if current is not None:
        return current
    failure = f"cannot read {table} of the taxi type {taxi} in {store.display_uri}"
    if manifests and not as_of:
        raise StoreError(f"{failure}: no run passed", hint=NO_RUN_PASSED_HINT)
    when = f" as of {as_of}" if as_of else ""
    raise StoreError(
        f"{failure}: there is no version{when}", hint=f"List the runs with `toytip runs --taxi {taxi}`."
    )


def find_rows(store: Store, manifest: Manifest) -> Manifest | None:
    """Return the version that names the taxi type of a version: itself or one of its inputs.

    Returns None if there is no such version.
    """
    return _rows_of({item.ref: item for item in store.list_tables()}, manifest)


def _taxi_of(tables: Mapping[VersionRef, Manifest], manifest: Manifest) -> str | None:
    """Return the taxi type of a version, which the version or one of its inputs names."""
    rows = _rows_of(tables, manifest)
    return None if rows is None else str(rows.config["taxi"])


def _rows_of(tables: Mapping[VersionRef, Manifest], manifest: Manifest) -> Manifest | None:
    related = walk([manifest], lambda item: [tables[ref] for ref in item.parent_versions if ref in tables])
    return next((item for item in related if "taxi" in item.config), None)


def _table_name(manifest: Manifest) -> str:
    return manifest.table


def downstream_versions(store: Store, file: str) -> list[Manifest]:
    """Return the versions that depend directly or indirectly on a source file, oldest first.

    `file` is a URI, the last segments of a URI, or a checksum. Raises StoreError if no version uses
    the file.
    """
    manifests = store.list_manifests()
    direct = [
        manifest
        for manifest in manifests
        if any(_matches_file(file, source) for source in manifest.source_files)
    ]
    if not direct:
        raise StoreError(
            f"cannot find versions that use {file}: no manifest in {store.display_uri} names this file",
            hint="List the source files of a version with `toytip version lineage VERSION`.",
        )
    children: dict[VersionRef, list[Manifest]] = {}
    for manifest in manifests:
        for parent in manifest.parent_versions:
            children.setdefault(parent, []).append(manifest)
    affected = walk(direct, lambda manifest: children.get(manifest.ref, ()))
    return sorted(affected, key=lambda manifest: manifest.created_at)


def _matches_file(pattern: str, source: SourceFileRef) -> bool:
    segments = tuple(segment for segment in PurePosixPath(pattern).parts if segment not in (".", ".."))
    path = PurePosixPath(source.uri).parts
    return source.checksum == pattern or (bool(segments) and path[-len(segments) :] == segments)


def ancestors(store: Store, version: str) -> dict[str, Manifest]:
    """Return the manifests of a version and of all its inputs, by table.

    Raises StoreError if the version or one of its inputs does not exist.
    """
    manifests = {
        manifest.table: manifest
        for manifest in walk(
            manifests_of(store, version),
            lambda manifest: [
                store.require_manifest(parent.table, parent.version) for parent in manifest.parent_versions
            ],
            key=_table_name,
        )
    }
    if FEATURES.name in manifests and REJECTS.name not in manifests:
        rejects = store.get_manifest(REJECTS.name, manifests[FEATURES.name].version)
        manifests |= {REJECTS.name: rejects} if rejects else {}
    return manifests


def ancestors_and_missing(
    store: Store, manifests: Sequence[Manifest]
) -> tuple[dict[str, Manifest], list[VersionRef]]:
    """Return the manifests of a version, its inputs, and tables published with them, by table.

    Also returns the inputs that no longer exist.
    """
    missing: dict[VersionRef, None] = {}

    def neighbors(manifest: Manifest) -> Iterator[Manifest]:
        for parent in manifest.parent_versions:
            parent_manifest = store.get_manifest(parent.table, parent.version)
            if parent_manifest is None:
                missing[parent] = None
            else:
                yield parent_manifest
        for table in tables_published_with(manifest.table):
            sibling = store.get_manifest(table.name, manifest.version)
            if sibling is not None:
                yield sibling

    by_table = {manifest.table: manifest for manifest in walk(manifests, neighbors, key=_table_name)}
    return by_table, list(missing)
