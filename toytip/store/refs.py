"""History: which version a reader gets: one by its name or tag, the newest, or the newest as of a moment.

All of it is in small files that are created once: manifests, tags and rollbacks. No server, no database.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from toytip.config import mask_credentials
from toytip.errors import ConfigError, StoreError
from toytip.io.access import as_store_error
from toytip.store.manifest import Manifest, validate_version
from toytip.store.store import Store

TAGS_FOLDER = "_tags"
ROLLBACKS_FOLDER = "_rollbacks"


def parse_as_of(text: str) -> dt.datetime:
    """Read a moment; without a zone it is UTC, and a day alone means its end. Raises ConfigError.

    >>> parse_as_of("2026-11-24")
    datetime.datetime(2026, 11, 24, 23, 59, 59, 999999, tzinfo=datetime.timezone.utc)
    """
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--as-of {text}: not a time; write it as 2026-11-24 or 2026-11-24T10:15") from None
    if len(text) == len("2026-11-24"):
        found = found.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def resolve_version(
    store: Store, table: str, version: str | None = None, as_of: str | None = None
) -> Manifest:
    """Return a version of a table: the one of that name or tag, else the newest, as of a moment if one is given.

    After a rollback the newest is the version that was rolled back to, until a later one is published.
    Raises StoreError where there is none.
    """
    if version is not None:
        named = store.get_manifest(table, validate_version(version))
        if named is None and version in (tagged := read_tags(store)):
            named = store.get_manifest(table, tagged[version])
        if named is None:
            raise StoreError(f"no version {version} of {table} in {store.display_uri}; see `toytip versions`")
        return named
    limit = parse_as_of(as_of) if as_of else None
    there = [m for m in store.list_manifests(table) if limit is None or _parse_time(m.created_at) <= limit]
    if not there:
        way = f" as of {as_of}; see `toytip versions`" if as_of else "; `toytip run` makes one"
        raise StoreError(f"no version of {table} in {store.display_uri}{way}")
    return newest_version(store, there, limit)


def newest_version(store: Store, manifests: Sequence[Manifest], limit: dt.datetime | None = None) -> Manifest:
    """Return the newest of a table's versions: the last, or the one that it was rolled back to since."""
    last = manifests[-1]
    for at, versions in read_rollbacks(store):
        if (limit is None or at <= limit) and at > _parse_time(last.created_at) and last.table in versions:
            last = next((m for m in manifests if m.version == versions[last.table]), last)
    return last


def _parse_time(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def describe_versions(manifests: Sequence[Manifest], tags: dict[str, str]) -> list[dict[str, Any]]:
    """Return a plain row for each version: its table, rows, months, bytes, time, parents and tags."""
    rows = []
    for manifest in manifests:
        months = sorted({part.month for part in manifest.files if part.month})
        parents = [f"{p['table']} {p['version']}" for p in manifest.parents if "table" in p]
        files = [p for p in manifest.parents if "uri" in p]
        rows.append(
            {
                "table": manifest.table,
                "version": manifest.version,
                "rows": manifest.rows,
                "months": [str(month) for month in months],
                "bytes": manifest.bytes,
                "created_at": manifest.created_at,
                "parents": parents or [f"{len(files)} files"],
                "tags": sorted(name for name, version in tags.items() if version == manifest.version),
            }
        )
    return rows


def read_tags(store: Store) -> dict[str, str]:
    """Return the version that every tag names."""
    return {
        name.rpartition("/")[2][:-5]: str(told["version"]) for name, told in _read_records(store, TAGS_FOLDER)
    }


def set_tag(store: Store, name: str, version: str, *, force: bool = False) -> None:
    """Give a version a name that stays. Raises StoreError where the tag names another, unless it may `force`."""
    version = manifests_of(store, version)[0].version
    path = f"{store.env}/{TAGS_FOLDER}/{validate_version(name)}.json"
    content = json.dumps({"version": version, "at": dt.datetime.now(dt.UTC).isoformat()}).encode()
    if any(manifest.version == name for manifest in store.list_manifests()):
        raise StoreError(f"{name} is a version; choose another name for the tag")
    with as_store_error(f"cannot write to the store {store.display_uri}", passed_through=FileExistsError):
        if force:
            store.file_io.write(path, content)
            return
        try:
            store.file_io.create(path, content)
        except FileExistsError:
            there = read_tags(store).get(name)
            if there != version:
                raise StoreError(f"the tag {name} names {there}; move it with --move") from None


def remove_tag(store: Store, name: str) -> None:
    """Remove a tag; the version stays. Raises StoreError where there is no such tag."""
    if name not in read_tags(store):
        raise StoreError(f"no tag {name} in {store.display_uri}; `toytip tag` lists them")
    with as_store_error(f"cannot write to the store {store.display_uri}"):
        store.file_io.remove([f"{store.env}/{TAGS_FOLDER}/{name}.json"])


def manifests_of(store: Store, version: str) -> list[Manifest]:
    """Return what was published under a version, or under the one that a tag names.

    Raises StoreError where nothing was.
    """
    version = read_tags(store).get(validate_version(version), version)
    whole, damaged = store.scan_manifests()
    for each in damaged:
        if each.version == version:
            raise each.error
    found = [manifest for manifest in whole if manifest.version == version]
    if not found:
        raise StoreError(f"no version {version} in {store.display_uri}; see `toytip versions`")
    return found


def roll_back_to(store: Store, version: str) -> dict[str, str]:
    """Make a version the newest again, with all that it was made of; return the versions by table.

    Nothing is removed, and the next run's version is the newest then.
    """
    found = {manifest.table: manifest.version for manifest in manifests_of(store, version)}
    for manifest in manifests_of(store, version):
        for parent in manifest.parents:
            if "table" in parent:
                found.setdefault(parent["table"], parent["version"])
    now = dt.datetime.now(dt.UTC)
    name = f"{store.env}/{ROLLBACKS_FOLDER}/{now:%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}.json"
    with as_store_error(f"cannot write to the store {store.display_uri}"):
        store.file_io.create(name, json.dumps({"at": now.isoformat(), "versions": found}).encode())
    return found


def read_rollbacks(store: Store) -> list[tuple[dt.datetime, dict[str, str]]]:
    """Return all rollbacks, in order of time: when, and which version of every table."""
    return sorted(
        (
            (_parse_time(told["at"]), dict(told["versions"]))
            for _, told in _read_records(store, ROLLBACKS_FOLDER)
        ),
        key=lambda item: item[0],
    )


def _read_records(store: Store, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with as_store_error(f"the store {store.display_uri} cannot be read"):
        for name in store.file_io.list_files(f"{store.env}/{folder}"):
            with contextlib.suppress(FileNotFoundError):
                try:
                    yield name, json.loads(store.file_io.read(name))
                except ValueError:
                    raise StoreError(
                        f"{name} in {mask_credentials(store.root)} cannot be read; remove it"
                    ) from None
