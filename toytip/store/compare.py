"""Differences between two versions: rows, rejects, settings, features, metrics and predictions."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.jsonable import to_json
from toytip.core.months import Month
from toytip.core.partitions import DataFile
from toytip.core.tables import ENCODINGS, FEATURES, METRIC_HISTOGRAMS, PREDICTIONS, REJECTS
from toytip.evaluation import metrics
from toytip.evaluation.tally import tally_of
from toytip.store.artifacts import load_tallies
from toytip.store.lineage import ancestors
from toytip.store.manifest import Manifest
from toytip.store.metric_changes import MetricChanges, compare_test_metrics
from toytip.store.store import Store

COMPARISON_THREADS = 4
Value = TypeVar("Value")
# A value of the first version, and the corresponding value of the second version.
Pair = tuple[Value, Value]
# Metrics by split and name. A split is missing if the version has no trips of this split.
SplitMetrics = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ColumnDiff:
    """Statistics of a numeric column in two versions.

    A value is null if a version lacks the column.
    """

    mean: Pair[float | None]
    """Mean of the column in each version."""
    min: Pair[float | None]
    """Smallest value of the column in each version."""
    max: Pair[float | None]
    """Largest value of the column in each version."""
    missing: Pair[float | None]
    """Share of missing values of the column in each version."""


@dataclass(frozen=True, kw_only=True)
class PredictionDiff:
    """Differences between the predictions of two versions, matched by trip ID."""

    common: int
    """Number of common trips: trips with a prediction in both versions."""
    unmatched: int
    """Number of trips with a prediction in only one version."""
    changed_predictions: int
    """Number of common trips for which the two decisions differ."""
    changed_share: float | None
    """Share of common trips for which the two decisions differ. Null if there are no common trips.
    """
    mean_probability_change: float | None
    """Mean absolute difference between the two probabilities of a common trip. Null if there are no
    common trips."""


@dataclass(frozen=True, kw_only=True)
class VersionDiff:
    """The differences between two versions, including their inputs.

    Each pair has the value of the first and of the second version.
    """

    versions: Pair[str]
    """The two compared versions, as specified by the caller (version ID or tag)."""
    rows: dict[str, Pair[int]]
    """Number of rows in each version, by table."""
    rejects: dict[str, Pair[int]]
    """Number of rejected rows in each version, by reason."""
    config: dict[str, dict[str, Pair[Any]]]
    """Settings that differ between the versions, by table and setting."""
    columns: dict[str, ColumnDiff]
    """Statistics of the numeric features, by column. Empty if a version has no table `features`."""
    segment: str | None
    """Segment of trips that the metrics are computed on. If the models were trained on different
    segments, it is the smaller one. Null if there are no metrics, or if the metrics of each version
    are for a different segment."""
    metrics: dict[str, dict[str, Pair[Any]]]
    """Metrics of the predictions in each version, by split and metric. Empty if a version has no
    predictions."""
    test_metrics: MetricChanges
    """Changes of the metrics of the test trips, by segment and metric. Empty if a version has no
    predictions or no test trips."""
    predictions: PredictionDiff | None
    """Differences between the predictions. Null if a version has no predictions."""

    @property
    def has_equal_metrics(self) -> bool:
        """Whether all test metrics are the same in both versions, with or without test trips."""
        changes = (change for by_name in self.test_metrics.values() for change in by_name.values())
        return all(change.values[0] == change.values[1] for change in changes)

    @property
    def has_same_segment(self) -> bool:
        """Whether both models were trained on the same segment."""
        return "segment" not in self.config.get(ENCODINGS.name, {})


def compare_versions(store: Store, a: str, b: str, on_rows_read: Callable[[int], None]) -> VersionDiff:
    """Return the differences between two versions, including their inputs.

    `on_rows_read` is called with the number of rows of each file that is read.
    """
    first, second = ancestors(store, a), ancestors(store, b)
    common = {name: (first[name], second[name]) for name in first if name in second}
    features, predictions = common.get(FEATURES.name), common.get(PREDICTIONS.name)
    config = {
        name: _config_differences(*(manifest.config for manifest in pair)) for name, pair in common.items()
    }
    segment: str | None = None
    split_metrics: dict[str, dict[str, Pair[Any]]] = {}
    if predictions:
        encodings = (side[ENCODINGS.name] for side in (first, second) if ENCODINGS.name in side)
        segments = {manifest.config.get("segment") for manifest in encodings}
        segment, split_metrics = _compare_metrics(store, predictions, segments)
    return VersionDiff(
        versions=(a, b),
        rows={name: (pair[0].rows, pair[1].rows) for name, pair in common.items()},
        rejects=_compare_rejects(*common[REJECTS.name]) if REJECTS.name in common else {},
        config={name: differences for name, differences in config.items() if differences},
        columns=_compare_columns(store, features, on_rows_read) if features else {},
        segment=segment,
        metrics=split_metrics,
        test_metrics=compare_test_metrics(store, (predictions[0].version, predictions[1].version))
        if predictions
        else {},
        predictions=_compare_predictions(store, predictions, on_rows_read) if predictions else None,
    )


def _config_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Pair[Any]]:
    names = sorted({*a, *b})
    return {name: (a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)}


def _compare_rejects(a: Manifest, b: Manifest) -> dict[str, Pair[int]]:
    first, second = a.rejects, b.rejects
    return {reason: (first.get(reason, 0), second.get(reason, 0)) for reason in sorted({*first, *second})}


def _compare_metrics(
    store: Store, predictions: Pair[Manifest], segments: set[Any]
) -> tuple[str | None, dict[str, dict[str, Pair[Any]]]]:
    """Return the segment of the metrics, and the metrics by split and name.

    If the models were trained on different segments, the metrics are computed on the smaller
    segment, whose trips belong to both segments. If a version has no metric histograms, these
    metrics cannot be computed. The metrics are then for different segments, and the returned
    segment is None.
    """
    sides: list[SplitMetrics] = [manifest.metrics for manifest in predictions]
    segment = next(iter(segments)) if len(segments) == 1 else None
    if len(segments) != 1:
        (common, *_) = sorted(segments - {ALL_ROWS})
        metrics_of_common = [_segment_metrics(store, manifest, common) for manifest in predictions]
        if all(side is not None for side in metrics_of_common):
            segment, sides = common, [side for side in metrics_of_common if side is not None]
    return segment, {
        split: {
            name: (sides[0].get(split, {}).get(name), sides[1].get(split, {}).get(name)) for name in values
        }
        for split, values in sides[0].items()
    }


def _segment_metrics(store: Store, predictions: Manifest, segment: str) -> SplitMetrics | None:
    histograms = store.get_manifest(METRIC_HISTOGRAMS.name, predictions.version)
    if histograms is None:
        return None
    tallies = load_tallies(store, histograms)
    by_split = {split: tally_of(tallies, split, segment) for split in predictions.metrics}
    return {split: to_json(metrics.compute_metrics(tally)) for split, tally in by_split.items() if tally.rows}


def _read_columns(
    store: Store, manifest: Manifest, file: DataFile, columns: list[str] | None = None
) -> pa.Table:
    content = io.BytesIO(store.read_file(manifest.table, manifest.version, file))
    return pq.ParquetFile(content).read(columns=columns, use_threads=False)


class _ColumnSummary(NamedTuple):
    """Mergeable statistics of a column in one file."""

    rows: int
    missing: int
    total: float
    low: float | None
    high: float | None


def _compare_columns(
    store: Store, features: Pair[Manifest], on_rows_read: Callable[[int], None]
) -> dict[str, ColumnDiff]:
    # Files with equal content are read only once.
    files = {file.checksum: (manifest, file) for manifest in features for file in manifest.files}

    def summarize(item: tuple[Manifest, DataFile]) -> dict[str, _ColumnSummary]:
        manifest, file = item
        summaries = {
            name: _summarize_column(column)
            for name, column in _numeric_columns(_read_columns(store, manifest, file))
        }
        on_rows_read(file.rows)
        return summaries

    with ThreadPoolExecutor(COMPARISON_THREADS) as pool:
        by_checksum = dict(zip(files, pool.map(summarize, files.values()), strict=True))
    first, second = (
        _merge_summaries([by_checksum[file.checksum] for file in manifest.files]) for manifest in features
    )
    return {
        name: ColumnDiff(
            **{statistic: (value, second.get(name, {}).get(statistic)) for statistic, value in values.items()}
        )
        for name, values in first.items()
    }


def _numeric_columns(table: pa.Table) -> Iterable[tuple[str, pa.ChunkedArray]]:
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        if name == "trip_id":
            continue
        if pa.types.is_floating(column.type):
            yield name, pc.if_else(pc.is_nan(column), None, column)
        elif pa.types.is_integer(column.type):
            yield name, column


def _summarize_column(column: pa.ChunkedArray) -> _ColumnSummary:
    low, high = pc.min_max(column).as_py().values()
    total = pc.sum(column).as_py() or 0
    return _ColumnSummary(len(column), column.null_count, float(total), low, high)


def _merge_summaries(files: list[dict[str, _ColumnSummary]]) -> dict[str, dict[str, float | None]]:
    merged = {}
    for name in files[0]:
        columns = [file[name] for file in files]
        rows, missing = sum(column.rows for column in columns), sum(column.missing for column in columns)
        total = sum(column.total for column in columns)
        merged[name] = {
            "mean": total / (rows - missing) if rows > missing else None,
            "min": min((column.low for column in columns if column.low is not None), default=None),
            "max": max((column.high for column in columns if column.high is not None), default=None),
            "missing": missing / max(rows, 1),
        }
    return merged


class _MonthDiff(NamedTuple):
    """Differences between the predictions of two versions in one month."""

    unmatched: int
    common: int
    changed: int
    probability_change: float


def _compare_predictions(
    store: Store, predictions: Pair[Manifest], on_rows_read: Callable[[int], None]
) -> PredictionDiff:
    months = sorted({month for manifest in predictions for month in manifest.months})

    def compare(month: Month) -> _MonthDiff:
        a, b = (_read_predictions(store, manifest, month, on_rows_read) for manifest in predictions)
        _, i, j = np.intersect1d(a.trip_id, b.trip_id, assume_unique=True, return_indices=True)
        change = np.abs(a.probability[i].astype(np.float64) - b.probability[j])
        return _MonthDiff(
            unmatched=len(a.trip_id) + len(b.trip_id) - 2 * len(i),
            common=len(i),
            changed=int((a.prediction[i] != b.prediction[j]).sum()),
            probability_change=float(change.sum()),
        )

    with ThreadPoolExecutor(COMPARISON_THREADS) as pool:
        total = _MonthDiff(*map(sum, zip(*pool.map(compare, months), strict=True)))
    return PredictionDiff(
        common=total.common,
        unmatched=total.unmatched,
        changed_predictions=total.changed,
        changed_share=total.changed / total.common if total.common else None,
        mean_probability_change=total.probability_change / total.common if total.common else None,
    )


class _PredictionColumns(NamedTuple):
    """The predictions of a month, as arrays of the same length."""

    trip_id: npt.NDArray[np.int64]
    prediction: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float32]


def _read_predictions(
    store: Store, manifest: Manifest, month: Month, on_rows_read: Callable[[int], None]
) -> _PredictionColumns:
    files = [file for file in manifest.files if file.month == month]
    tables = [_read_columns(store, manifest, file, list(_PredictionColumns._fields)) for file in files]
    for file in files:
        on_rows_read(file.rows)
    if not tables:
        return _PredictionColumns(np.empty(0, np.int64), np.empty(0, bool), np.empty(0, np.float32))
    table = pa.concat_tables(tables)
    return _PredictionColumns(*(table.column(name).to_numpy() for name in _PredictionColumns._fields))
