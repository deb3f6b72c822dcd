"""The kinds of source files, and the segments, for which a registry has models."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

from toytip.config import Settings
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.redact import mask_credentials
from toytip.datasets.words import KINDS, SEGMENTS
from toytip.errors import RegistryError
from toytip.models.database import open_client
from toytip.models.mlflow_env import error_cause, mlflow_exceptions, silence_mlflow
from toytip.models.model_versions import BUSY_TIMEOUT_S
from toytip.models.registry import Registry, open_registry
from toytip.models.registry_check import registry_hint

# The most registered names that MLflow returns at once.
MAX_NAMES = 1_000


class ModelKind(NamedTuple):
    """The kind of the source files and the segment of the trips that a model was trained on."""

    taxi: str
    segment: str


def find_kinds(settings: Settings, taxi: str | None = None, segment: str | None = None) -> list[ModelKind]:
    """Return the kinds that a registry can have, filtered by taxi type and segment.

    These are the kinds of the built-in data sets, and all others with a registered model.
    """
    if taxi is not None and segment is not None:
        return [ModelKind(taxi, segment)]
    built_in = [ModelKind(kind, name) for kind in KINDS for name in SEGMENTS]
    kinds = dict.fromkeys([*built_in, *_registered_kinds(settings)])
    return [
        kind
        for kind in kinds
        if (taxi is None or kind.taxi == taxi) and (segment is None or kind.segment == segment)
    ]


def _registered_kinds(settings: Settings) -> list[ModelKind]:
    registry = open_registry(settings, KINDS[0], ALL_ROWS)
    prefix = f"toytip-{settings.env}-"
    kinds = []
    for name in _registered_names(registry):
        taxi, _, segment = name.removeprefix(prefix).partition("-")
        if name.startswith(prefix) and segment:
            kinds.append(ModelKind(taxi, segment))
    return sorted(kinds)


def _registered_names(registry: Registry) -> list[str]:
    if not registry.exists:
        return []
    if registry.artifacts is not None:
        names = _names_in_file(Path(registry.uri.removeprefix("sqlite:///")))
        if names is not None:
            return names
    return _names_with_client(registry)


def _names_with_client(registry: Registry) -> list[str]:
    """Return the registered names that MLflow's client finds. Raises RegistryError."""
    registry.require_reachable()
    try:
        with silence_mlflow():
            models = open_client(registry.uri).search_registered_models(max_results=MAX_NAMES)
            return [str(item.name) for item in models]
    except mlflow_exceptions() as error:
        cause = mask_credentials(error_cause(error))
        raise RegistryError(
            f"cannot open the registry {registry.display_name}: {cause}", hint=registry_hint(None)
        ) from None


def _names_in_file(file: Path) -> list[str] | None:
    """Return the registered names in a database file, or None if SQLite cannot read the file."""
    uri = f"{file.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as database:
            return [name for (name,) in database.execute("SELECT name FROM registered_models")]
    except sqlite3.Error:
        return None
