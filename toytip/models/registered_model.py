"""An entry of the model registry, and its tags in MLflow."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Tags of a model version in MLflow. MLflow's web pages show them.
RUN_VERSION_TAG, STORE_TAG, SEGMENT_TAG, CHECKSUMS_TAG = (
    f"toytip.{name}" for name in ("run_version", "store", "segment", "checksums")
)
DECISION_TAG, REASONS_TAG, PROMOTED_TAG, ROLLED_BACK_TAG = (
    f"toytip.{name}" for name in ("decision", "promotion_reasons", "promoted_at", "rolled_back_at")
)
# The value of a tag in MLflow has at most 5,000 characters.
MAX_REASON_LENGTH, MAX_REASONS = 300, 12


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """A model in the registry, with its aliases and the decision of the promotion gate."""

    model_version: int
    """Version of the model in MLflow: 1, 2, and so on per registry."""
    run_version: str
    """Version that the model was trained as."""
    created_at: str
    """Time of the registration, as ISO 8601 in UTC."""
    aliases: tuple[str, ...]
    """Aliases in MLflow: `champion`, `challenger` or none."""
    decision: str
    """Decision of the promotion gate: `promoted`, `forced`, `rejected`. Empty before a decision."""
    promotion_reasons: tuple[str, ...]
    """Reasons of the decision, at most 12."""
    promoted_at: str | None
    """Time of the last promotion, as ISO 8601 in UTC. Null if never promoted."""
    rolled_back_at: str | None
    """Time of the rollback of the last promotion, as ISO 8601 in UTC. Null otherwise."""
    store: str
    """Path or URI of the store of the run."""
    checksums: dict[str, str]
    """SHA-256 of each registered file, by file name."""
    mlflow_run_id: str
    """ID of the MLflow run."""
    artifact_uri: str
    """URI of the model's files."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that commands accept for the model."""
        return *self.aliases, str(self.model_version), self.run_version


@dataclass(frozen=True, kw_only=True)
class ModelList:
    """The registered models of an environment."""

    models: dict[str, list[RegisteredModel]]
    """Registered models by the name of the registered model in MLflow, by model version."""


def registered_model(item: Any, aliases: Sequence[str], artifact_uri: str) -> RegisteredModel:
    """Return the entry of MLflow's `ModelVersion`."""
    created = dt.datetime.fromtimestamp(item.creation_timestamp / 1000, dt.UTC)
    return RegisteredModel(
        model_version=int(item.version),
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
    """Return reasons as the value of a tag, shortened to MLflow's limit."""
    return json.dumps([reason[:MAX_REASON_LENGTH] for reason in reasons[:MAX_REASONS]])


def find_by_name(models: Sequence[RegisteredModel], name: str) -> RegisteredModel | None:
    """Return the newest model with an alias, model version or run version. None without one."""
    return next((model for model in reversed(models) if name in model.names), None)
