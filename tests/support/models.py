"""Models of few trips that are trained in this process, and their registration."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from toytip.config import Settings
from toytip.core.columns import LABEL_COLUMN
from toytip.core.dataset.dataset import Dataset
from toytip.core.model import TrainedModel
from toytip.core.months import Month, parse_months
from toytip.core.parameters import BoosterParams
from toytip.core.partitions import SourcePartition
from toytip.core.splits import in_split, plan_split
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.fields import source_column
from toytip.datasets.tlc.taxis.synthetic import SyntheticSpec, generate_month
from toytip.models.card import ModelCard
from toytip.models.package import write_package
from toytip.models.registered_model import RegisteredModel
from toytip.models.registry import open_registry
from toytip.monitoring.history import MonitoringHistory
from toytip.stages import clean, conform, featurize, preprocess
from toytip.store.lineage import LineageNode
from toytip.training.boosting import model_bytes
from toytip.training.local import train_in_process
from toytip.training.spec import TrainingSpec

NO_REFERENCE = MonitoringHistory(months={}, tallies={})
MONTHS = parse_months("2023-01:2023-03")
ROUNDS = 8


def raw_month(taxi: str, month: Month = MONTHS[-1], rows: int = 1_500) -> pa.Table:
    """Return the raw trips of a synthetic month. Green trips also have a trip type."""
    trips = generate_month(month, SyntheticSpec(rows_per_month=rows))
    times = {source_column(name, "yellow"): source_column(name, taxi) for name in ("pickup_at", "dropoff_at")}
    trips = trips.rename_columns([times.get(name, name) for name in trips.column_names])
    return trips if taxi == "yellow" else trips.append_column("trip_type", pa.array([1] * len(trips)))


@functools.cache
def train_model(
    taxi: str = "green",
    segment: str = "all",
    version: str = "v1",
    feature_set: str = "payment",
    dataset: Dataset = TLC,
) -> TrainedModel:
    """Train a model of one synthetic month."""
    month, names = MONTHS[0], dataset.feature_set(feature_set)
    partition = SourcePartition(taxi=taxi, month=month, uri="synthetic", start=0, stop=1_500, number=0)
    raw = raw_month(taxi, month).slice(0, 1_500)
    features = featurize.featurize(clean.clean(conform.conform(raw, partition, dataset), dataset)[0], dataset)
    split = plan_split(MONTHS)
    encoding = preprocess.fit_encoding(
        preprocess.count_values(features, names, split, segment, dataset),
        split,
        segment,
        dataset,
        dataset.target_rate_set(feature_set),
    )
    rows = features[in_split(features, split, segment, "train", dataset)]
    part = preprocess.encode(rows, encoding).assign(**{LABEL_COLUMN: rows[dataset.label.name]})
    params = BoosterParams(rounds=ROUNDS, max_depth=3, learning_rate=0.4)
    spec = TrainingSpec(params=params, bin_counts=encoding.bin_counts)
    booster, _ = train_in_process([part], None, spec)
    content = model_bytes(booster, ROUNDS)
    return TrainedModel(version=version, booster=content, encoding=encoding, rounds=ROUNDS, taxi=taxi)


def register(store: Path, model: TrainedModel, *, promote: bool = True, **tags: Any) -> RegisteredModel:
    """Register a model in the registry of a store, and make it the champion."""
    registry = open_registry(Settings.load(store=str(store)), model.taxi, model.encoding.segment)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "package")
        write_package(package, model, make_card(model), NO_REFERENCE)
        registered = registry.register(package, model.version, tags=tags, metrics={})
    if promote:
        registry.promote(registered, expected_champion=registry.champion())
    return registry.find_model(str(registered.number))


def make_card(model: TrainedModel) -> ModelCard:
    """Return the card of a model that was not evaluated."""
    features = {
        name: model.encoding.dataset.feature_availability[name] for name in model.encoding.feature_names
    }
    node: dict[str, Any] = {
        "version": model.version,
        "created_at": "",
        "rows": 0,
        "config": {},
        "code": "",
        "environment": {},
    }
    lineage = LineageNode(table="models", **node, parents=(LineageNode(table="features", **node),))
    return ModelCard(
        run_version=model.version,
        taxi=model.taxi,
        segment=model.encoding.segment,
        features=features,
        split=model.encoding.split.time_ranges(),
        rounds=model.rounds,
        threshold=model.threshold,
        params={},
        environment={},
        lineage=lineage,
        evaluation={},
    )
