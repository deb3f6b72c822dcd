"""The model versions of a registered name: read from a database file, or with MLflow's client.

Most commands only read the registry. SQLite needs a millisecond, and the import of MLflow alone
takes more than a second.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from toytip.models.registered_model import RegisteredModel, registered_model

# MLflow keeps the rows of deleted model versions, with this stage.
DELETED_STAGE = "Deleted_Internal"
BUSY_TIMEOUT_S = 5


class VersionRow(NamedTuple):
    """A model version in a database file, with the attributes of MLflow's `ModelVersion`."""

    version: int
    creation_timestamp: int
    run_id: str
    source: str
    tags: dict[str, str]


def read_from_file(file: Path, name: str, artifact_uri: Callable[[Any], str]) -> list[RegisteredModel] | None:
    """Return the models with a registered name in a database file, ordered by model number.

    Returns None if SQLite cannot read the file, or if its tables are those of a different MLflow.
    """
    uri = f"{file.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as database:
            database.execute("BEGIN")  # all queries see the same state
            rows, aliases = _read_rows(database, name), _read_aliases(database, name)
    except sqlite3.Error:
        return None
    return [registered_model(row, aliases.get(row.version, []), artifact_uri(row)) for row in rows]


def _read_rows(database: sqlite3.Connection, name: str) -> list[VersionRow]:
    tags: dict[int, dict[str, str]] = {}
    query = "SELECT version, key, value FROM model_version_tags WHERE name = ?"
    for version, key, value in database.execute(query, [name]):
        tags.setdefault(int(version), {})[key] = value
    query = (
        "SELECT version, model_versions.creation_time, run_id, source "
        "FROM model_versions JOIN registered_models USING (name) "
        "WHERE name = ? AND current_stage != ? ORDER BY version"
    )
    return [
        VersionRow(int(version), created, run_id, source, tags.get(int(version), {}))
        for version, created, run_id, source in database.execute(query, [name, DELETED_STAGE])
    ]


def _read_aliases(database: sqlite3.Connection, name: str) -> dict[int, list[str]]:
    aliases: dict[int, list[str]] = {}
    query = "SELECT version, alias FROM registered_model_aliases WHERE name = ?"
    for version, alias in database.execute(query, [name]):
        aliases.setdefault(int(version), []).append(alias)
    return aliases


def read_with_client(client: Any, name: str, artifact_uri: Callable[[Any], str]) -> list[RegisteredModel]:
    """Return the models with a registered name, as `read_from_file` does."""
    registered = client.search_registered_models(f"name = '{name}'")
    if not registered:
        return []
    aliases: dict[int, list[str]] = {}
    for alias, version in registered[0].aliases.items():
        aliases.setdefault(int(version), []).append(alias)
    versions = client.search_model_versions(f"name = '{name}'", max_results=10_000)
    models = [
        registered_model(item, aliases.get(int(item.version), []), artifact_uri(item)) for item in versions
    ]
    return sorted(models, key=lambda model: model.number)
