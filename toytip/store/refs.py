"""Find versions: by ID, by tag, the current version, or the version that was current at a time.

Each tag, each release and each rollback is a small file, which needs no server and no database.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from toytip.core.jsonable import dump_json
from toytip.core.redact import mask_credentials
from toytip.core.text import plural
from toytip.errors import ConfigError, StoreError
from toytip.store.catalog import published_refs
from toytip.store.layout import validate_version
from toytip.store.manifest import Manifest, VersionRef, later_time
from toytip.store.run_manifest import RunManifest, RunStatus
from toytip.store.store import Store

_LIST_HINT = "List the versions with `toytip version list`."
NO_RUN_PASSED_HINT = (
    "List the runs with `toytip runs`. Name one with its version, or make it current with "
    "`toytip version release VERSION --reason TEXT`."
)


@dataclass(frozen=True, kw_only=True)
class VersionSummary:
    """A published version of a table or artifact, as `toytip version list` shows it."""

    table: str
    """Name of the table or artifact."""
    version: str
    """Version ID."""
    rows: int
    """Number of rows. Zero for artifacts."""
    months: tuple[str, ...]
    """Months of the files, for example `2023-01`. Empty for artifacts."""
    bytes: int
    """Size of all files in bytes."""
    created_at: str
    """Publication time in UTC (ISO 8601)."""
    parents: tuple[str, ...]
    """Direct inputs: the parent versions, for example `features v1`. Without parent versions, the
    array has one text, the number of source files, for example `12 files`."""
    tags: tuple[str, ...]
    """Tags of the version."""


def parse_as_of(text: str) -> dt.datetime:
    """Parse the time of `--as-of`.

    A time without a time zone is in UTC. A date without a time means the end of that day. Raises
    ConfigError if the text is not a date or time.

    >>> parse_as_of("2026-11-24")
    datetime.datetime(2026, 11, 24, 23, 59, 59, 999999, tzinfo=datetime.timezone.utc)
    """
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"cannot use --as-of {text!r}: it is not a date or time",
            hint="Write the time as 2026-11-24 or 2026-11-24T10:15.",
        ) from None
    if len(text) == len("2026-11-24"):
        time = time.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Release:
    """A decision of a person to make a version current."""

    created_at: str
    """Time of the decision in UTC (ISO 8601)."""
    version: str
    """Version that became current."""
    tables: dict[str, str]
    """Version that became current for each table."""
    reason: str = ""
    """Reason for a release. Empty for a rollback."""


def resolve_version(
    store: Store,
    table: str,
    version: str | None = None,
    as_of: str | None = None,
    *,
    any_status: bool = False,
) -> Manifest:
    """Return the manifest of a version ID or tag, by default of the current version.

    With `as_of`, the result is the version that was current at that time. With `any_status`, the
    default is the newest version, whatever its status. Raises StoreError if no version matches.
    """
    if version is not None:
        return _resolve_named(store, table, version)
    limit = parse_as_of(as_of) if as_of else None
    manifests = store.list_manifests(table)
    current = find_current(store, manifests, limit, any_status=any_status)
    if current is not None:
        return current
    when = f" as of {as_of}" if as_of else ""
    if manifests and not as_of:
        raise StoreError(
            f"cannot read {table} in {store.display_uri}: no run passed", hint=NO_RUN_PASSED_HINT
        )
    raise StoreError(
        f"cannot read {table} in {store.display_uri}: it has no version{when}",
        hint=_LIST_HINT if as_of else "Create a version with `toytip run`.",
    )


def _resolve_named(store: Store, table: str, version: str) -> Manifest:
    manifest = find_version(store, table, version)
    if manifest is None:
        raise StoreError(
            f"cannot read version {version} of {table} in {store.display_uri}: it does not exist",
            hint=_LIST_HINT,
        )
    return manifest


def find_version(store: Store, table: str, version: str) -> Manifest | None:
    """Return the manifest that a table has in a version or tag, or None.

    A run that reused a table of an earlier run has the version of that run.
    """
    run = store.get_run(validate_version(version))
    if run is None and version in (tags := read_tags(store)):
        version = tags[version]
        run = store.get_run(version)
    version_of_table = run.tables.get(table) if run else _published_without_run(store, table, version)
    return store.get_manifest(table, version_of_table) if version_of_table else None


def _published_without_run(store: Store, table: str, version: str) -> str | None:
    """Return the version if another run has published this table of a killed run."""
    return version if VersionRef(table, version) in published_refs(store.list_runs()) else None


def find_current(
    store: Store,
    manifests: Sequence[Manifest],
    limit: dt.datetime | None = None,
    *,
    any_status: bool = False,
) -> Manifest | None:
    """Return the manifest that readers take by default, among published manifests of one table.

    A run that passed becomes current when it is published. A run without a gate becomes current
    only if no gate ever evaluated a run with one of these manifests. A release or a rollback makes
    its version current. Returns None if no version is current.
    """
    by_version = {manifest.version: manifest for manifest in manifests}
    table = manifests[0].table if manifests else ""
    runs = [run for run in runs_as_of(store.list_runs(), limit) if run.tables.get(table) in by_version]
    is_gated = any(run.status in (RunStatus.PASSED, RunStatus.REFUSED) for run in runs)
    accepted = {RunStatus.PASSED} if is_gated else {RunStatus.PASSED, RunStatus.NOT_GATED}
    if any_status:
        accepted = set(RunStatus) - {RunStatus.FAILED_CHECK}
    events = [(run.created_at, run.tables) for run in runs if run.status in accepted]
    events += [
        (release.created_at, release.tables)
        for release in read_releases(store)
        if release.tables.get(table) in by_version and _is_before(release.created_at, limit)
    ]
    if not events:
        return None
    return by_version[max(events, key=lambda event: _parse_time(event[0]))[1][table]]


def next_event_time(store: Store) -> str:
    """Return the time of a new run or release, which is later than all earlier ones.

    The newest of them is current, and the clocks of machines differ.
    """
    times = [run.created_at for run in store.list_runs()]
    times += [release.created_at for release in read_releases(store)]
    return later_time(max(times, default=""))


def status_of_model(store: Store, model: str) -> RunStatus:
    """Return the status of the run that trained a model.

    A version that only applies or evaluates the model gets the same status.
    """
    run = store.get_run(model)
    return run.status if run else RunStatus.NOT_GATED


def runs_as_of(runs: Iterable[RunManifest], limit: dt.datetime | None) -> list[RunManifest]:
    """Return the runs that were published at or before a time. None means no limit."""
    return [run for run in runs if _is_before(run.created_at, limit)]


def manifests_as_of(store: Store, table: str | None, limit: dt.datetime | None) -> list[Manifest]:
    """Return the manifests that were published at or before a time. None means no limit."""
    published = published_refs(runs_as_of(store.list_runs(), limit))
    return [manifest for manifest in store.list_manifests(table) if manifest.ref in published]


def _is_before(created_at: str, limit: dt.datetime | None) -> bool:
    return limit is None or _parse_time(created_at) <= limit


def _parse_time(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def describe_versions(manifests: Sequence[Manifest], tags: dict[str, str]) -> list[VersionSummary]:
    """Return a summary of each version."""
    return [
        VersionSummary(
            table=manifest.table,
            version=manifest.version,
            rows=manifest.rows,
            months=tuple(map(str, manifest.months)),
            bytes=manifest.bytes,
            created_at=manifest.created_at,
            parents=tuple(map(str, manifest.parent_versions))
            or (plural(len(manifest.source_files), "file"),),
            tags=tuple(sorted(name for name, version in tags.items() if version == manifest.version)),
        )
        for manifest in manifests
    ]


def read_tags(store: Store) -> dict[str, str]:
    """Return the version ID of each tag, by the name of the tag."""
    return {
        name.rpartition("/")[2].removesuffix(".json"): str(record["version"])
        for name, record in _read_records(store, store.layout.tags)
    }


def set_tag(store: Store, name: str, version: str, *, force: bool = False) -> None:
    """Tag a version. With `force`, an existing tag is moved to this version.

    Raises StoreError if the tag already names a different version, if a version has the name of the
    tag, or if the version does not exist.
    """
    version = manifests_of(store, version)[0].version
    path = store.layout.tag(name)
    content = dump_json({"version": version, "created_at": dt.datetime.now(dt.UTC).isoformat()}).encode()
    if any(manifest.version == name for manifest in store.list_manifests()):
        raise StoreError(
            f"cannot set tag {name}: a version has this name", hint="Use another name for the tag."
        )
    with store.writing(passed_through=FileExistsError):
        if force:
            store.file_io.write(path, content)
            return
        try:
            store.file_io.create(path, content)
        except FileExistsError:
            existing = read_tags(store).get(name)
            if existing != version:
                raise StoreError(
                    f"cannot set tag {name}: it already names version {existing}",
                    hint="Move the tag with --force.",
                ) from None


def remove_tag(store: Store, name: str) -> None:
    """Remove a tag, but not its version. Raises StoreError if the tag does not exist."""
    if name not in read_tags(store):
        raise StoreError(
            f"cannot remove tag {name} from {store.display_uri}: it does not exist",
            hint="List the tags with `toytip version tag`.",
        )
    with store.writing():
        store.file_io.remove([store.layout.tag(name)])


def manifests_of(store: Store, version: str) -> list[Manifest]:
    """Return the manifests of all tables and artifacts of a version or tag.

    Raises StoreError if the version does not exist, or if one of its manifests is damaged.
    """
    version = read_tags(store).get(validate_version(version), version)
    manifests, unreadable = store.scan_manifests()
    for damaged in unreadable:
        if damaged.version == version:
            raise damaged.error
    matches = [manifest for manifest in manifests if manifest.version == version]
    if not matches:
        raise StoreError(
            f"cannot read version {version} in {store.display_uri}: it does not exist", hint=_LIST_HINT
        )
    return matches


def plan_release(store: Store, version: str, reason: str = "") -> Release:
    """Return the record that makes a version or tag and its direct inputs current.

    Raises StoreError if the version does not exist.
    """
    manifests = manifests_of(store, version)
    version = manifests[0].version
    run = store.get_run(version)
    tables = dict(run.tables) if run else {manifest.table: version for manifest in manifests}
    for parent in (parent for manifest in manifests for parent in manifest.parent_versions):
        tables.setdefault(parent.table, parent.version)
    return Release(created_at=next_event_time(store), version=version, tables=tables, reason=reason)


def record_release(store: Store, release: Release) -> None:
    """Make the tables of a release current."""
    time = _parse_time(release.created_at)
    name = store.layout.release(f"{time:%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}")
    with store.writing():
        store.file_io.create(name, dump_json(asdict(release)).encode())


def read_releases(store: Store) -> list[Release]:
    """Return the releases and rollbacks, oldest first."""
    releases = [Release(**record) for _, record in _read_records(store, store.layout.releases)]
    return sorted(releases, key=lambda release: release.created_at)


def _read_records(store: Store, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with store.reading():
        for name in store.file_io.list_files(folder):
            with contextlib.suppress(FileNotFoundError):
                try:
                    yield name, json.loads(store.file_io.read(name))
                except ValueError:
                    raise StoreError(
                        f"cannot read {mask_credentials(store.uri_of(name))}: it is not valid JSON",
                        hint="Delete the file.",
                    ) from None
