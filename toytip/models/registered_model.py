"""A model in the registry, the tags that MLflow stores with it, and a rollback."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toytip.core.jsonable import dump_json

# Names of the tags of a model version in MLflow. The MLflow UI shows these tags.
RUN_VERSION_TAG, STORE_TAG, SEGMENT_TAG, CHECKSUMS_TAG = (
    f"toytip.{name}" for name in ("run_version", "store", "segment", "checksums")
)
DECISION_TAG, REASONS_TAG, PROMOTED_TAG, ROLLED_BACK_TAG = (
    f"toytip.{name}" for name in ("decision", "promotion_reasons", "promoted_at", "rolled_back_at")
)
# The limits keep the value of a tag below 5,000 characters, the maximum in MLflow.
MAX_REASON_LENGTH, MAX_REASONS = 300, 12


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """A model in the registry, with its aliases and the decision of the promotion gate."""

    number: int
    """Model number, the version of the model in MLflow: 1, 2 and so on for each registered
    name."""
    run_version: str
    """Run version: the version of the run that trained the model."""
    created_at: str
    """Time of registration, as ISO 8601 in UTC."""
    aliases: tuple[str, ...]
    """Aliases of the model in MLflow: `champion` or `challenger`. Empty without an alias."""
    decision: str
    """Decision of the promotion gate: `promoted`, `forced` or `rejected`. Empty without a
    decision."""
    promotion_reasons: tuple[str, ...]
    """Reasons for the decision, at most 12."""
    promoted_at: str | None
    """Time of the latest promotion, as ISO 8601 in UTC. Null without a promotion."""
    rolled_back_at: str | None
    """Time of the rollback of the latest promotion, as ISO 8601 in UTC. Null without a rollback."""
    store: str
    """Path or URI of the store that the run wrote to."""
    checksums: dict[str, str]
    """SHA-256 of each registered file, by file name."""
    mlflow_run_id: str
    """ID of the MLflow run."""
    artifact_uri: str
    """URI of the folder with the files of the model."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that commands accept for the model: aliases, model number and run version."""
        return *self.aliases, str(self.number), self.run_version


@dataclass(frozen=True, kw_only=True)
class ModelList:
    """The registered models of an environment."""

    models: dict[str, list[RegisteredModel]]
    """Models by registered name in MLflow, such as `toytip-dev-green-all`, ordered by model
    number."""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """The result of a rollback to the previous champion."""

    champion: str
    """Run version of the restored champion."""
    number: int
    """Model number of the restored champion."""
    previous_champion: str
    """Run version of the champion before the rollback."""


def registered_model(item: Any, aliases: Sequence[str], artifact_uri: str) -> RegisteredModel:
    """Return the `RegisteredModel` for `item`, which is a `ModelVersion` of MLflow."""
    created = dt.datetime.fromtimestamp(item.creation_timestamp / 1000, dt.UTC)
    return RegisteredModel(
        number=int(item.version),
        run_version=item.tags.get(RUN_VERSION_TAG, ""),
        created_at=created.isoformat(),
        aliases=tuple(sorted(aliases)),
        decision=item.tags.get(DECISION_TAG, ""),
        promotion_reasons=tuple(json.loads(item.tags.get(REASONS_TAG, "[]"))),
        promoted_at=item.tags.get(PROMOTED_TAG),
        rolled_back_at=item.tags.get(ROLLED_BACK_TAG),
        store=item.tags.get(STORE_TAG, ""),
        checksums=json.loads(item.tags.get(CHECKSUMS_TAG, "{}")),
        mlflow_run_id=item.run_id,
        artifact_uri=artifact_uri,
    )


def reasons_tag(reasons: Sequence[str]) -> str:
    """Return reasons as the value of a tag, shortened to the limits of MLflow."""
    return dump_json([reason[:MAX_REASON_LENGTH] for reason in reasons[:MAX_REASONS]])


def find_run(models: Sequence[RegisteredModel], run_version: str) -> RegisteredModel | None:
    """Return the newest model of a run, or else None."""
    return next((model for model in reversed(models) if model.run_version == run_version), None)


def find_by_name(models: Sequence[RegisteredModel], name: str) -> RegisteredModel | None:
    """Return the newest model with an alias, model number or run version, or else None."""
    return next((model for model in reversed(models) if name in model.names), None)


def find_previous_champion(
    models: Sequence[RegisteredModel], champion: RegisteredModel | None
) -> RegisteredModel | None:
    """Return the model that was the champion before, unless it was rolled back, or None."""
    earlier = [
        (model.promoted_at, model.number, model)
        for model in models
        if champion
        and champion.promoted_at
        and model.promoted_at
        and not model.rolled_back_at
        and model.promoted_at < champion.promoted_at
    ]
    return max(earlier)[2] if earlier else None


def file_checksum(path: Path) -> str:
    """Return the SHA-256 checksum of a file of a model."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def utc_now() -> str:
    """Return the time for a tag, in ISO 8601."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
