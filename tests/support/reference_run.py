"""A run that was struck beside one that nobody disturbed: the same rows, values, metrics and model bytes, nothing half-made."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb

from toytip.core.tables import PREDICTIONS
from toytip.stages.featurize import FEATURES_SCHEMA
from toytip.store import maintenance
from toytip.store.store import Store

# A run that nobody disturbed: the folder of its store, and its summary.
ReferenceRun = tuple[Path, dict[str, Any]]
ROW_DIFFERENCES: Counter[str] = Counter()


def check_complete(store: Store, reference: ReferenceRun) -> None:
    """What is published verifies; and what a glob sees on a disk is whole."""
    expected = {name: told["rows"] for name, told in reference[1]["tables"].items()}
    for manifest in store.list_manifests():
        assert manifest.rows == expected[manifest.table]
        assert not [
            f
            for f in maintenance.verify_version(store, manifest.version, lambda _: None)
            if f.table == manifest.table
        ]
    if store.file_io.local_path(store.env):
        for table in ("features", "rejects", "predictions"):
            pattern = f"{store.uri(table)}/*/*/*/*.parquet"
            if list(Path(store.uri(table)).glob("*/*/*/*.parquet")):
                query = f"select version, count(*) from read_parquet('{pattern}', hive_partitioning=true) group by 1"
                assert {rows for _, rows in duckdb.sql(query).fetchall()} == {expected[table]}


def check_same_results(store: Store, summary: dict[str, Any], reference: ReferenceRun) -> None:
    """Compare predictions and features with those of the undisturbed run, row for row, by trip."""
    root, first = reference
    undisturbed = Store(str(root), "dev")
    for table in (PREDICTIONS, FEATURES_SCHEMA):
        versions = [s["tables"][table.name]["version"] for s in (first, summary)]
        frames = [
            [
                side.read_data_file(table, version, part)
                for part in side.get_manifest(table.name, version).files
            ]
            for side, version in zip((undisturbed, store), versions, strict=True)
        ]
        ids = [Counter(i for frame in frames_of for i in frame["trip_id"].tolist()) for frames_of in frames]
        ROW_DIFFERENCES["rows lost"] += sum((ids[0] - ids[1]).values())
        ROW_DIFFERENCES["rows doubled"] += sum((ids[1] - ids[0]).values())
        assert ids[0] == ids[1]
        for a, b in zip(*frames, strict=True):
            assert a.drop(columns="model_version", errors="ignore").equals(
                b.drop(columns="model_version", errors="ignore")
            )
    assert summary["metrics"] == first["metrics"]
    models = [
        side.get_manifest("models", s["model"]["version"])
        for side, s in ((undisturbed, first), (store, summary))
    ]
    boosters = [p.checksum for manifest in models for p in manifest.files if p.path == "model.ubj"]
    assert len(boosters) == 2
    assert len(set(boosters)) == 1, "the same model bytes"
