"""The runs of a store, as the manifests of their versions describe them."""

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
    """A run, read from the manifests of its version."""

    version: str
    """Version of the tables that the run published."""
    created_at: str
    """UTC time of publication, in ISO 8601."""
    source: str | None
    """Folder of the source files. Null if the features are no longer in the store."""
    months: tuple[str, ...]
    """Months of the predictions, as `2023-01`."""
    feature_set: str | None
    """Feature set of the model. Null if its encoding is no longer in the store."""
    segment: str | None
    """Segment that the model was trained on. Null if its encoding is no longer in the store."""
    test_auc: float | None
    """AUC of the test trips, of the model's segment. Null if it is not defined."""


@dataclass(frozen=True, kw_only=True)
class RunList:
    """The runs of a store, in order of time."""

    runs: tuple[RunSummary, ...]
    """The runs."""


def list_runs(manifests: Sequence[Manifest]) -> RunList:
    """Return the runs among the manifests of a store, the newest last."""
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
