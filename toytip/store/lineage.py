"""Lineage, from the manifests alone: what a version was made from, and what was made from a file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from toytip.core.months import Month
from toytip.core.tables import (
    FEATURES_TABLE,
    REJECTS,
    TABLES,
    TABLES_BY_NAME,
    tables_published_with,
)
from toytip.errors import StoreError
from toytip.store.manifest import Manifest
from toytip.store.refs import manifests_of, resolve_version
from toytip.store.store import Store

# A file of these tables is made from one file of the parent: its lineage stays within the month.
ROW_TABLES = {table.name for table in TABLES if table.rows_are_trips}


def main_manifest(store: Store, version: str) -> Manifest:
    """Return what a version is for: its predictions, or else the last table that was published under it."""
    found = {manifest.table: manifest for manifest in manifests_of(store, version)}
    return next((found[name] for name in TABLES_BY_NAME if name in found), next(iter(found.values())))


def trace_lineage(store: Store, manifest: Manifest, month: Month | None = None) -> dict[str, Any]:
    """Return what a version was made from, down to the files: nested plain values.

    With a month, only that month's parts and files are told, with their checksums, down to the stage that learned
    from all months. Raises StoreError where the version does not have the month.
    """
    parts = [part for part in manifest.files if part.month == month] if month else []
    if month and not parts and any(part.month for part in manifest.files):
        raise StoreError(f"{manifest.table} {manifest.version} has no month {month}")
    return {
        "table": manifest.table,
        "version": manifest.version,
        "created_at": manifest.created_at,
        "rows": sum(part.rows for part in parts) if parts else manifest.rows,
        "config": manifest.config,
        "code": manifest.code,
        "environment": manifest.environment,
        "parts": [
            {"path": part.path, "rows": part.rows, "checksum": part.checksum, "input": part.input_fingerprint}
            for part in parts
        ],
        "parents": [_trace_parent(store, parent, month) for parent in _parents_of_month(manifest, parts)],
    }


def _parents_of_month(manifest: Manifest, parts: list[Any]) -> list[dict[str, Any]]:
    """Leave out the files that a month's parts do not come from."""
    inputs = {part.input_fingerprint.partition("[")[0] for part in parts}
    return [p for p in manifest.parents if "table" in p or not inputs or p["checksum"] in inputs]


def _trace_parent(store: Store, parent: dict[str, Any], month: Month | None) -> dict[str, Any]:
    if "table" not in parent:
        return {"file": parent["uri"], **{k: parent[k] for k in ("rows", "bytes", "checksum")}}
    found = store.get_manifest(parent["table"], parent["version"])
    if found is None:
        return {**parent, "gone": True}
    # What was learned was learned from all months.
    return trace_lineage(store, found, month if parent["table"] in ROW_TABLES else None)


def downstream_versions(store: Store, file: str) -> list[Manifest]:
    """Return every version that was made from a file, directly or not, in order of time.

    The file is named by its address, the end of it, or its checksum. Raises StoreError where nothing was.
    """
    versions = store.list_manifests()
    touched = {
        (m.table, m.version)
        for m in versions
        for parent in m.parents
        if "uri" in parent and _matches_file(file, parent)
    }
    if not touched:
        raise StoreError(
            f"nothing in {store.display_uri} was made from {file}; `toytip trace V` shows the files"
        )
    found: list[Manifest] = []
    for manifest in sorted(versions, key=lambda m: m.created_at):
        parents = {(p["table"], p["version"]) for p in manifest.parents if "table" in p}
        if (manifest.table, manifest.version) in touched or parents & touched:
            touched.add((manifest.table, manifest.version))
            found.append(manifest)
    return found


def _matches_file(file: str, parent: dict[str, Any]) -> bool:
    wanted, uri = PurePosixPath(file).parts, PurePosixPath(parent["uri"]).parts
    plain = tuple(piece for piece in wanted if piece not in (".", ".."))
    return parent["checksum"] == file or (bool(plain) and uri[-len(plain) :] == plain)


def ancestors(store: Store, version: str) -> dict[str, Manifest]:
    """Return the tables that belong to a version: its own, and those it was made from, by name."""
    found: dict[str, Manifest] = {}
    todo = [*manifests_of(store, version)]
    while todo:
        manifest = todo.pop(0)
        if manifest.table not in found:
            found[manifest.table] = manifest
            todo += [
                resolve_version(store, parent["table"], parent["version"])
                for parent in manifest.parents
                if "table" in parent
            ]
    if FEATURES_TABLE.name in found and REJECTS.name not in found:
        rejects = store.get_manifest(REJECTS.name, found[FEATURES_TABLE.name].version)
        found |= {REJECTS.name: rejects} if rejects else {}
    return found


def ancestors_and_missing(store: Store, version: str) -> tuple[dict[str, Manifest], list[str]]:
    """Return all that a version tells of: its tables, those it was made from, and what was published beside these.

    And what is gone of it, by table and version. Raises StoreError where nothing was published under the version.
    """
    found: dict[str, Manifest] = {}
    gone: list[str] = []
    todo: list[Manifest] = [*manifests_of(store, version)]
    while todo:
        manifest = todo.pop(0)
        if manifest.table in found:
            continue
        found[manifest.table] = manifest
        for parent in manifest.parents:
            if "table" in parent:
                there = store.get_manifest(parent["table"], parent["version"])
                todo += [there] if there else []
                gone += [] if there else [f"{parent['table']} {parent['version']}"]
        beside = (
            store.get_manifest(table.name, manifest.version)
            for table in tables_published_with(manifest.table)
        )
        todo += [there for there in beside if there]
    return found, list(dict.fromkeys(gone))


def version_reference(manifest: Manifest) -> dict[str, Any]:
    """Return how a manifest names another as its parent."""
    return {"table": manifest.table, "version": manifest.version}


def parent_version(manifest: Manifest, table: str) -> str:
    """Return the version of the parent of that name. Raises StoreError where the manifest has none."""
    for item in manifest.parents:
        if item.get("table") == table:
            return str(item["version"])
    raise StoreError(f"{manifest.table} {manifest.version} names no {table} as its parent; make it anew")
