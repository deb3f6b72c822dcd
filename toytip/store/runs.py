"""The runs of a store, read from the manifests of their versions."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toytip.core.redact import mask_credentials
from toytip.core.tables import ENCODINGS, FEATURES_TABLE, MODELS, PREDICTIONS
from toytip.store.manifest import Manifest, VersionRef

ManifestsByRef = Mapping[VersionRef, Manifest]


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """Summary of a run, from the manifests of its version."""

    version: str
    """Version ID of the tables that the run published."""
    created_at: str
    """Publication time in UTC (ISO 8601)."""
    source: str | None
    """Folder of the source files. Null if the table `features` is no longer in the store."""
    months: tuple[str, ...]
    """Months of the predictions, for example `2023-01`."""
    feature_set: str | None
    """Feature set of the model. Null if the fitted encoding is no longer in the store."""
    segment: str | None
    """Segment that the model was trained on. Null if the fitted encoding is no longer in the store.
    """
    test_auc: float | None
    """AUC on the test trips of the model's segment. Null if the run has no test trips, or if the
    AUC is undefined."""


@dataclass(frozen=True, kw_only=True)
class RunList:
    """The runs of a store, oldest first."""

    runs: tuple[RunSummary, ...]
    """Runs, oldest first."""


def list_runs(manifests: Sequence[Manifest]) -> RunList:
    """Return the runs whose predictions are among the manifests, oldest first."""
    by_ref = {manifest.ref: manifest for manifest in manifests}
    predictions = [manifest for manifest in manifests if manifest.table == PREDICTIONS.name]
    predictions.sort(key=lambda manifest: manifest.created_at)
    return RunList(runs=tuple(_summarize(manifest, by_ref) for manifest in predictions))


def _summarize(predictions: Manifest, manifests: ManifestsByRef) -> RunSummary:
    features = _parent(predictions, FEATURES_TABLE.name, manifests)
    models = _parent(predictions, MODELS.name, manifests)
    encodings = _parent(models, ENCODINGS.name, manifests)
    config: Mapping[str, Any] = encodings.config if encodings else {}
    return RunSummary(
        version=predictions.version,
        created_at=predictions.created_at,
        source=_source_folder(features),
        months=tuple(map(str, predictions.months)),
        feature_set=config.get("feature_set"),
        segment=config.get("segment"),
        test_auc=predictions.metrics.get("test", {}).get("auc"),
    )


def _parent(manifest: Manifest | None, table: str, manifests: ManifestsByRef) -> Manifest | None:
    for parent in manifest.parent_versions if manifest else ():
        if parent.table == table:
            return manifests.get(parent)
    return None


def _source_folder(features: Manifest | None) -> str | None:
    """Return the folder of the source files that features were computed from."""
    files = features.source_files if features else ()
    return mask_credentials(posixpath.dirname(files[0].uri)) if files else None
