"""Compare a disturbed run with an undisturbed one: rows, values, metrics and model bytes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb

from toytip.core.tables import FEATURES, PREDICTIONS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.store import maintenance
from toytip.store.store import Store

# The store of an undisturbed run, and its JSON result.
ReferenceRun = tuple[Path, dict[str, Any]]
# The counts that the tests of faults print: injected faults, and lost or doubled rows.
COUNTS: Counter[str] = Counter()


def check_complete(store: Store, reference: ReferenceRun) -> None:
    """Check that every published version is valid and has the expected number of rows.

    On a disk, the files that a glob finds must also be complete.
    """
    expected = {name: table["rows"] for name, table in reference[1]["tables"].items()}
    for manifest in store.list_manifests():
        assert manifest.rows == expected[manifest.table]
        faults = maintenance.verify_version(store, manifest.version, lambda _: None)
        assert not [fault for fault in faults if fault.table == manifest.table]
    if store.file_io.local_path(store.env):
        for table in ("features", "rejects", "predictions"):
            check_visible_rows(store, table, expected[table])


def check_visible_rows(store: Store, table: str, rows: int) -> None:
    """Check the number of rows per version that a reader without manifests finds."""
    if list(Path(store.uri(table)).glob("*/*/*/*.parquet")):
        files = f"read_parquet('{store.uri(table)}/*/*/*/*.parquet', hive_partitioning=true)"
        counts = duckdb.sql(f"select version, count(*) from {files} group by 1").fetchall()
        assert {count for _, count in counts} == {rows}


def check_same_results(store: Store, summary: dict[str, Any], reference: ReferenceRun) -> None:
    """Compare predictions and features with those of the undisturbed run, by trip."""
    root, reference_summary = reference
    runs = [(Store(str(root), "dev"), reference_summary), (store, summary)]
    for table in (TLC.table(PREDICTIONS), TLC.table(FEATURES)):
        frames = [_read_frames(run_store, table, run_summary) for run_store, run_summary in runs]
        expected_ids, ids = (_count_trip_ids(run_frames) for run_frames in frames)
        COUNTS["rows lost"] += sum((expected_ids - ids).values())
        COUNTS["rows doubled"] += sum((ids - expected_ids).values())
        assert expected_ids == ids
        for expected_frame, frame in zip(*frames, strict=True):
            assert _drop_version(expected_frame).equals(_drop_version(frame))
    assert summary["metrics"] == reference_summary["metrics"]
    checksums = [checksum for run in runs for checksum in _booster_checksums(*run)]
    assert len(checksums) == 2
    assert len(set(checksums)) == 1, "the model bytes differ"


def _read_frames(store: Store, table: Any, summary: dict[str, Any]) -> list[Any]:
    version = summary["tables"][table.name]["version"]
    manifest = store.get_manifest(table.name, version)
    assert manifest is not None
    return [store.read_data_file(table, version, file) for file in manifest.files]


def _count_trip_ids(frames: list[Any]) -> Counter[int]:
    return Counter(trip_id for frame in frames for trip_id in frame["trip_id"].tolist())


def _drop_version(frame: Any) -> Any:
    return frame.drop(columns="model_version", errors="ignore")


def _booster_checksums(store: Store, summary: dict[str, Any]) -> list[str]:
    manifest = store.get_manifest("models", summary["model"]["version"])
    assert manifest is not None
    return [file.checksum for file in manifest.files if file.path == "model.ubj"]
