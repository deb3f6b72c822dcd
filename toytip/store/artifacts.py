"""The artifacts of a store: names, bytes, and how they are loaded."""

from __future__ import annotations

import json

from toytip.core.model import Encoding, TrainedModel
from toytip.core.tables import METRIC_HISTOGRAMS
from toytip.evaluation.tally import Tallies, tallies_from_parquet
from toytip.store.manifest import Manifest
from toytip.store.store import Store


def load_tallies(store: Store, manifest: Manifest) -> Tallies:
    """Return what a version of METRIC_HISTOGRAMS has kept: the counts that metrics are told from."""
    return tallies_from_parquet(store.read_file(METRIC_HISTOGRAMS.name, manifest.version, manifest.files[0]))


def model_to_json(model: TrainedModel) -> bytes:
    """Return all of a model but the booster."""
    about = {
        "version": model.version,
        "taxi": model.taxi,
        "rounds": model.rounds,
        "threshold": model.threshold,
        "encoding": model.encoding.to_json(),
    }
    return json.dumps(about).encode()


def model_from_bytes(metadata: bytes, booster: bytes) -> TrainedModel:
    """Read a model back."""
    told = json.loads(metadata)
    return TrainedModel(**{**told, "encoding": Encoding.from_json(told["encoding"])}, booster=booster)


def read_model(store: Store, manifest: Manifest) -> TrainedModel:
    """Read a published model."""
    files = {part.path: part for part in manifest.files}
    about, booster = (
        store.read_file(manifest.table, manifest.version, files[name]) for name in ("model.json", "model.ubj")
    )
    return model_from_bytes(about, booster)


def load_encoding(store: Store, manifest: Manifest) -> Encoding:
    """Read a published encoding."""
    content = store.read_file(manifest.table, manifest.version, manifest.files[0])
    return Encoding.from_json(json.loads(content))
