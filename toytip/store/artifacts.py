"""The artifacts of a store: the fitted encoding, the model and the metric histograms."""

from __future__ import annotations

import json

from toytip.core.jsonable import dump_json
from toytip.core.model import Encoding, TrainedModel
from toytip.core.splits import Split
from toytip.core.tables import METRIC_HISTOGRAMS, MODELS
from toytip.evaluation.tally import Tallies, tallies_from_parquet
from toytip.store.manifest import Manifest
from toytip.store.store import Store


def load_tallies(store: Store, manifest: Manifest) -> Tallies:
    """Return the metric histograms of a version."""
    return tallies_from_parquet(store.read_file(METRIC_HISTOGRAMS.name, manifest.version, manifest.files[0]))


def model_to_json(model: TrainedModel) -> bytes:
    """Return the metadata of a model: everything except the booster."""
    metadata = {
        "version": model.version,
        "taxi": model.taxi,
        "rounds": model.rounds,
        "threshold": model.threshold,
        "group_mean_threshold": model.group_mean_threshold,
        "encoding": model.encoding.to_json(),
    }
    return dump_json(metadata).encode()


def model_from_bytes(metadata: bytes, booster: bytes) -> TrainedModel:
    """Return the model from a booster and from the metadata that `model_to_json` wrote."""
    record = json.loads(metadata)
    return TrainedModel(**{**record, "encoding": Encoding.from_json(record["encoding"])}, booster=booster)


def read_model(store: Store, manifest: Manifest) -> TrainedModel:
    """Return a published model."""
    files = {file.path: file for file in manifest.files}
    metadata, booster = (
        store.read_file(manifest.table, manifest.version, files[name]) for name in MODELS.artifact_files
    )
    return model_from_bytes(metadata, booster)


def encoding_to_bytes(encoding: Encoding) -> bytes:
    """Return the content of the file of an encoding.

    The split is in the manifest instead. The content therefore does not depend on the test months.
    """
    record = encoding.to_json()
    del record["split"]
    return dump_json(record).encode()


def load_encoding(store: Store, manifest: Manifest) -> Encoding:
    """Return a published fitted encoding."""
    content = store.read_file(manifest.table, manifest.version, manifest.files[0])
    return Encoding.from_json({**json.loads(content), "split": manifest.config["split"]})


def with_split_of(model: TrainedModel, scored: Manifest) -> TrainedModel:
    """Return a model with the split of its scores or predictions.

    A run that reuses a model can have test months other than those of the run that trained it.
    """
    return model.with_split(Split.from_json(scored.config["split"]))
