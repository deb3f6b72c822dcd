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

from toytip import metrics
from toytip.history import TALLIES, tallied
from toytip.lineage import family
from toytip.manifest import Manifest
from toytip.store import Store
from toytip.tally import select
from toytip.values import Month, PartRecord

READERS = 4
Pair = list[Any]


def compare(store: Store, a: str, b: str, seen: Callable[[int], None]) -> dict[str, Any]:
    """Return what is different between two versions, each value as a pair; `seen` is told the rows of every part read.

    A version is taken with all that it was made from. Columns are those of the features: mean, smallest, largest,
    and the share of missing values. Predictions are joined by trip.
    """
    left, right = family(store, a), family(store, b)
    both = [name for name in left if name in right]
    result: dict[str, Any] = {
        "versions": [a, b],
        "rows": {name: [left[name].rows, right[name].rows] for name in both},
        "rejects": {},
        "config": {name: _differences(left[name].config, right[name].config) for name in both},
    }
    result["config"] = {name: found for name, found in result["config"].items() if found}
    if "rejects" in both:
        counts = left["rejects"].rejects, right["rejects"].rejects
        result["rejects"] = {r: [c.get(r, 0) for c in counts] for r in sorted({*counts[0], *counts[1]})}
    if "features" in both:
        pair = left["features"], right["features"]
        result["columns"] = _columns(store, *pair, seen)
    if "predictions" in both:
        pair = left["predictions"], right["predictions"]
        learned = {
            side["encodings"].config.get("population") for side in (left, right) if "encodings" in side
        }
        result["population"], told = _metrics(store, *pair, learned)
        result["metrics"] = {
            split: {name: [side.get(split, {}).get(name) for side in told] for name in values}
            for split, values in told[0].items()
        }
        result["predictions"] = _flipped(store, *pair, seen)
    return result


def _metrics(
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
        tallies = store.published(TALLIES, manifest.version)
        if tallies is None:
            return None, [a.metrics, b.metrics]
        summary = tallied(store, tallies)
        card = {split: select(summary, split, "card") for split in manifest.metrics}
        found.append({split: metrics.measure(tally) for split, tally in card.items() if tally.rows})
    return "card", found


def _differences(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Pair]:
    names = sorted({*a, *b})
    return {name: [a.get(name), b.get(name)] for name in names if a.get(name) != b.get(name)}


def _read(store: Store, manifest: Manifest, part: PartRecord, columns: list[str] | None = None) -> pa.Table:
    content = io.BytesIO(store.get(manifest.table, manifest.version, part))
    return pq.ParquetFile(content).read(columns=columns, use_threads=False)


def _columns(
    store: Store, a: Manifest, b: Manifest, seen: Callable[[int], None]
) -> dict[str, dict[str, Pair]]:
    # Parts of equal content say the same: they are read once.
    parts = {part.checksum: (m, part) for m in (a, b) for part in m.parts}

    def describe(item: tuple[Manifest, PartRecord]) -> dict[str, Any]:
        manifest, part = item
        found = {}
        for name, column in _numbers(_read(store, manifest, part)):
            low, high = pc.min_max(column).as_py().values()
            total = pc.sum(column).as_py() or 0
            found[name] = (len(column), column.null_count, float(total), low, high)
        seen(part.rows)
        return found

    with ThreadPoolExecutor(READERS) as pool:
        told = dict(zip(parts, pool.map(describe, parts.values()), strict=True))
    sides = [_summed([told[part.checksum] for part in m.parts]) for m in (a, b)]
    return {
        name: {
            stat: [side.get(name, {}).get(stat) for side in sides]
            for stat in ("mean", "min", "max", "missing")
        }
        for name in sides[0]
    }


def _numbers(table: pa.Table) -> Iterable[tuple[str, pa.ChunkedArray]]:
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        if name != "trip_id" and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            yield (
                name,
                pc.if_else(pc.is_nan(column), None, column) if pa.types.is_floating(column.type) else column,
            )


def _summed(parts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
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


def _flipped(store: Store, a: Manifest, b: Manifest, seen: Callable[[int], None]) -> dict[str, Any]:
    months = sorted({part.month for m in (a, b) for part in m.parts if part.month})

    def join(month: Month) -> tuple[int, int, int, float]:
        x, y = (_predicted(store, m, month, seen) for m in (a, b))
        _, i, j = np.intersect1d(x[0], y[0], assume_unique=True, return_indices=True)
        change = np.abs(x[2][i].astype(np.float64) - y[2][j])
        return (
            len(x[0]) + len(y[0]) - 2 * len(i),
            len(i),
            int((x[1][i] != y[1][j]).sum()),
            float(change.sum()),
        )

    with ThreadPoolExecutor(READERS) as pool:
        alone, common, flipped, change = map(sum, zip(*pool.map(join, months), strict=True))
    return {
        "common": common,
        "in_one_only": alone,
        "flipped": flipped,
        "flipped_share": flipped / common if common else None,
        "mean_change_of_probability": change / common if common else None,
    }


def _predicted(
    store: Store, manifest: Manifest, month: Month, seen: Callable[[int], None]
) -> tuple[npt.NDArray[Any], ...]:
    names = ["trip_id", "prediction", "probability"]
    parts = [part for part in manifest.parts if part.month == month]
    tables = [_read(store, manifest, part, names) for part in parts]
    for part in parts:
        seen(part.rows)
    if not tables:
        return np.empty(0, np.int64), np.empty(0, bool), np.empty(0, np.float32)
    table = pa.concat_tables(tables)
    return tuple(table.column(name).to_numpy() for name in names)
