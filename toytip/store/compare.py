"""Comparing two versions: rows, rejects, columns of the features, predictions that flipped, metrics."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from toytip.core.jsonable import to_json
from toytip.core.months import Month
from toytip.core.partitions import DataFile
from toytip.core.tables import METRIC_HISTOGRAMS
from toytip.evaluation import metrics
from toytip.evaluation.tally import tally_of
from toytip.store.artifacts import load_tallies
from toytip.store.lineage import ancestors
from toytip.store.manifest import Manifest
from toytip.store.store import Store

COMPARISON_THREADS = 4
ValuePair = list[Any]


def compare_versions(store: Store, a: str, b: str, on_rows_read: Callable[[int], None]) -> dict[str, Any]:
    """Return what is different between two versions, each value as a pair; `on_rows_read` is told the rows of every part read.

    A version is taken with all that it was made from. Columns are those of the features: mean, smallest, largest,
    and the share of missing values. Predictions are joined by trip.
    """
    left, right = ancestors(store, a), ancestors(store, b)
    both = [name for name in left if name in right]
    result: dict[str, Any] = {
        "versions": [a, b],
        "rows": {name: [left[name].rows, right[name].rows] for name in both},
        "rejects": {},
        "config": {name: _config_differences(left[name].config, right[name].config) for name in both},
    }
    result["config"] = {name: found for name, found in result["config"].items() if found}
    if "rejects" in both:
        counts = left["rejects"].rejects, right["rejects"].rejects
        result["rejects"] = {r: [c.get(r, 0) for c in counts] for r in sorted({*counts[0], *counts[1]})}
    if "features" in both:
        pair = left["features"], right["features"]
        result["columns"] = _compare_columns(store, *pair, on_rows_read)
    if "predictions" in both:
        pair = left["predictions"], right["predictions"]
        learned = {
            side["encodings"].config.get("population") for side in (left, right) if "encodings" in side
        }
        result["population"], told = _compare_metrics(store, *pair, learned)
        result["metrics"] = {
            split: {name: [side.get(split, {}).get(name) for side in told] for name in values}
            for split, values in told[0].items()
        }
        result["predictions"] = _compare_predictions(store, *pair, on_rows_read)
    return result


def _compare_metrics(
    store: Store, a: Manifest, b: Manifest, learned: set[Any]
) -> tuple[Any, list[dict[str, dict[str, Any]]]]:
    """Return the metrics of both by split, and of which trips they are.

    That is the population that both models have learned from; where they have not learned from the same one, card trips, which both
    answer for; and None, each of its own, where one has no tallies to tell that from.
    """
    if len(learned) == 1:
        return next(iter(learned)), [a.metrics, b.metrics]
    found = []
    for manifest in (a, b):
        tallies = store.get_manifest(METRIC_HISTOGRAMS.name, manifest.version)
        if tallies is None:
            return None, [a.metrics, b.metrics]
        summary = load_tallies(store, tallies)
        card = {split: tally_of(summary, split, "card") for split in manifest.metrics}
        found.append(
            {split: to_json(metrics.compute_metrics(tally)) for split, tally in card.items() if tally.rows}
        )
    return "card", found


def _config_differences(a: dict[str, Any], b: dict[str, Any]) -> dict[str, ValuePair]:
    names = sorted({*a, *b})
    return {name: [a.get(name), b.get(name)] for name in names if a.get(name) != b.get(name)}


def _read_columns(
    store: Store, manifest: Manifest, part: DataFile, columns: list[str] | None = None
) -> pa.Table:
    content = io.BytesIO(store.read_file(manifest.table, manifest.version, part))
    return pq.ParquetFile(content).read(columns=columns, use_threads=False)


def _compare_columns(
    store: Store, a: Manifest, b: Manifest, on_rows_read: Callable[[int], None]
) -> dict[str, dict[str, ValuePair]]:
    # Parts of equal content say the same: they are read once.
    parts = {part.checksum: (m, part) for m in (a, b) for part in m.files}

    def describe(item: tuple[Manifest, DataFile]) -> dict[str, Any]:
        manifest, part = item
        found = {}
        for name, column in _numeric_columns(_read_columns(store, manifest, part)):
            low, high = pc.min_max(column).as_py().values()
            total = pc.sum(column).as_py() or 0
            found[name] = (len(column), column.null_count, float(total), low, high)
        on_rows_read(part.rows)
        return found

    with ThreadPoolExecutor(COMPARISON_THREADS) as pool:
        told = dict(zip(parts, pool.map(describe, parts.values()), strict=True))
    sides = [_merge_column_statistics([told[part.checksum] for part in m.files]) for m in (a, b)]
    return {
        name: {
            stat: [side.get(name, {}).get(stat) for side in sides]
            for stat in ("mean", "min", "max", "missing")
        }
        for name in sides[0]
    }


def _numeric_columns(table: pa.Table) -> Iterable[tuple[str, pa.ChunkedArray]]:
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        if name != "trip_id" and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            yield (
                name,
                pc.if_else(pc.is_nan(column), None, column) if pa.types.is_floating(column.type) else column,
            )


def _merge_column_statistics(parts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    result = {}
    for name in parts[0]:
        rows, nulls, total, low, high = zip(*(part[name] for part in parts), strict=True)
        there = sum(rows) - sum(nulls)
        result[name] = {
            "mean": sum(total) / there if there else None,
            "min": min((v for v in low if v is not None), default=None),
            "max": max((v for v in high if v is not None), default=None),
            "missing": sum(nulls) / max(sum(rows), 1),
        }
    return result


def _compare_predictions(
    store: Store, a: Manifest, b: Manifest, on_rows_read: Callable[[int], None]
) -> dict[str, Any]:
    months = sorted({part.month for m in (a, b) for part in m.files if part.month})

    def join(month: Month) -> tuple[int, int, int, float]:
        x, y = (_read_predictions(store, m, month, on_rows_read) for m in (a, b))
        _, i, j = np.intersect1d(x[0], y[0], assume_unique=True, return_indices=True)
        change = np.abs(x[2][i].astype(np.float64) - y[2][j])
        return (
            len(x[0]) + len(y[0]) - 2 * len(i),
            len(i),
            int((x[1][i] != y[1][j]).sum()),
            float(change.sum()),
        )

    with ThreadPoolExecutor(COMPARISON_THREADS) as pool:
        alone, common, flipped, change = map(sum, zip(*pool.map(join, months), strict=True))
    return {
        "common": common,
        "in_one_only": alone,
        "flipped": flipped,
        "flipped_share": flipped / common if common else None,
        "mean_change_of_probability": change / common if common else None,
    }


def _read_predictions(
    store: Store, manifest: Manifest, month: Month, on_rows_read: Callable[[int], None]
) -> tuple[npt.NDArray[Any], ...]:
    names = ["trip_id", "prediction", "probability"]
    parts = [part for part in manifest.files if part.month == month]
    tables = [_read_columns(store, manifest, part, names) for part in parts]
    for part in parts:
        on_rows_read(part.rows)
    if not tables:
        return np.empty(0, np.int64), np.empty(0, bool), np.empty(0, np.float32)
    table = pa.concat_tables(tables)
    return tuple(table.column(name).to_numpy() for name in names)
