"""Find versions: by ID, by tag, the newest version, or the newest version as of a time.

Each tag and each rollback is a small file, which needs no server and no database.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from toytip.core.redact import mask_credentials
from toytip.errors import ConfigError, StoreError
from toytip.store.layout import validate_version
from toytip.store.manifest import Manifest
from toytip.store.store import Store

_LIST_HINT = "List the versions with `toytip version list`."


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


def resolve_version(
    store: Store, table: str, version: str | None = None, as_of: str | None = None
) -> Manifest:
    """Return the manifest of a version ID or tag, by default of the newest version.

    With `as_of`, the result is the version that was the newest at that time. A rollback makes an
    older version the newest one, until a later version is published. Raises StoreError if no
    version matches.
    """
    if version is not None:
        manifest = store.get_manifest(table, validate_version(version))
        if manifest is None and version in (tags := read_tags(store)):
            manifest = store.get_manifest(table, tags[version])
        if manifest is None:
            raise StoreError(
                f"cannot read version {version} of {table} in {store.display_uri}: it does not exist",
                hint=_LIST_HINT,
            )
        return manifest
    limit = parse_as_of(as_of) if as_of else None
    manifests = manifests_as_of(store.list_manifests(table), limit)
    if not manifests:
        when = f" as of {as_of}" if as_of else ""
        raise StoreError(
            f"cannot read {table} in {store.display_uri}: it has no version{when}",
            hint=_LIST_HINT if as_of else "Create a version with `toytip run`.",
        )
    return newest_version(store, manifests, limit)


def manifests_as_of(manifests: Iterable[Manifest], limit: dt.datetime | None) -> list[Manifest]:
    """Return the manifests that were published at or before a time. None means no limit."""
    return [item for item in manifests if limit is None or _parse_time(item.created_at) <= limit]


def newest_version(store: Store, manifests: Sequence[Manifest], limit: dt.datetime | None = None) -> Manifest:
    """Return the newest version of a table: the latest one, or the target of a later rollback."""
    last = manifests[-1]
    for time, versions in read_rollbacks(store):
        is_later = time > _parse_time(last.created_at) and (limit is None or time <= limit)
        if is_later and last.table in versions:
            last = next(
                (manifest for manifest in manifests if manifest.version == versions[last.table]), last
            )
    return last


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
            parents=tuple(map(str, manifest.parent_versions)) or (f"{len(manifest.source_files)} files",),
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
    content = json.dumps({"version": version, "created_at": dt.datetime.now(dt.UTC).isoformat()}).encode()
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


def roll_back_to(store: Store, version: str) -> dict[str, str]:
    """Make a version and its direct inputs the newest versions of their tables again.

    A rollback deletes nothing. The version that the next run publishes becomes the newest one.
    Returns the versions that are now the newest, by table.
    """
    manifests = manifests_of(store, version)
    versions = {manifest.table: manifest.version for manifest in manifests}
    for parent in (parent for manifest in manifests for parent in manifest.parent_versions):
        versions.setdefault(parent.table, parent.version)
    now = dt.datetime.now(dt.UTC)
    name = store.layout.rollback(f"{now:%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}")
    content = json.dumps({"created_at": now.isoformat(), "versions": versions}).encode()
    with store.writing():
        store.file_io.create(name, content)
    return versions


def read_rollbacks(store: Store) -> list[tuple[dt.datetime, dict[str, str]]]:
    """Return the rollbacks, oldest first: each with its time and its target versions by table."""
    rollbacks = (
        (_parse_time(record["created_at"]), dict(record["versions"]))
        for _, record in _read_records(store, store.layout.rollbacks)
    )
    return sorted(rollbacks, key=lambda rollback: rollback[0])


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
