"""Reports and results next to the tables, and the records of registered models."""

from __future__ import annotations

from toytip.core.jsonable import dump_json
from toytip.core.redact import mask_credentials
from toytip.store.store import Store


def report_uri(store: Store, version: str) -> str | None:
    """Return the URI or path of the HTML report of a version, or None without a report."""
    name = store.layout.page(version)
    with store.reading():
        return store.uri_of(name) if store.file_io.exists(name) else None


def save_report(store: Store, name: str, content: bytes) -> str:
    """Write a report or result, and return its URI or path without credentials."""
    path = store.layout.report(name)
    with store.writing():
        store.file_io.write(path, content)
    return mask_credentials(store.uri_of(path))


def pin_version(store: Store, version: str, registry: str) -> None:
    """Record that a registry contains the model of a version, so that gc keeps the model."""
    with store.writing():
        store.file_io.write(store.layout.pin(version), dump_json({"registry": registry}).encode())


def pinned_versions(store: Store) -> set[str]:
    """Return the versions whose models are in a registry."""
    with store.reading():
        files = store.file_io.list_files(store.layout.pinned)
    return {name.rpartition("/")[2].removesuffix(".json") for name in files}
