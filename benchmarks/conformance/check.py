"""Compare the output of an engine with the expected output, and name the first difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.conformance.definition import (
    MISSING,
    NULLABLE,
    ROWS_IN_FILE,
    DefinedMonth,
    Integers,
    define_months,
)
from benchmarks.conformance.expected import Digest, columns_of, expected_digest
from benchmarks.results import FAILED, PASSED, Level
from benchmarks.workloads import BenchmarkSource

LABEL = "high_tip"


@dataclass(frozen=True)
class Written:
    """Rows that an engine wrote: the IDs of the trips, and columns as float32."""

    trip_id: Integers
    columns: dict[str, npt.NDArray[np.float32]]

    def of_month(self, month: DefinedMonth) -> Written:
        """Return the rows of a monthly file, sorted by trip ID."""
        rows = np.flatnonzero(self.trip_id // ROWS_IN_FILE == month.first_trip_id // ROWS_IN_FILE)
        rows = rows[np.argsort(self.trip_id[rows], kind="stable")]
        return Written(self.trip_id[rows], {name: values[rows] for name, values in self.columns.items()})


def check_rows(predictions: Path, source: BenchmarkSource) -> Level:
    """Check that the predictions are of the kept trips, with their labels."""
    return _check(predictions, source, (LABEL,))


def check_features(features: Path, source: BenchmarkSource, names: Sequence[str]) -> Level:
    """Check that each feature has the expected value for each kept trip."""
    return _check(features, source, tuple(names))


def _check(folder: Path, source: BenchmarkSource, names: tuple[str, ...]) -> Level:
    expected, digest = expected_digest(source), Digest()
    try:
        parts = list(_read_parts(folder, names))
    except (pa.ArrowInvalid, pa.ArrowTypeError, KeyError, ValueError) as error:
        return Level(FAILED, f"cannot read {', '.join(('trip_id', *names))}: {str(error).splitlines()[0]}")
    for part in parts:
        digest.add(part.trip_id, dict(part.columns))
    checked = ("trip_id", *names)
    if digest.kept == expected.kept and all(
        digest.checksums.get(name) == expected.checksums[name] for name in checked
    ):
        return Level(PASSED)
    return Level(FAILED, _first_difference(_concatenate(parts, names), source, names))


def _read_parts(folder: Path, names: tuple[str, ...]) -> Iterator[Written]:
    """Yield the rows of each file below a folder."""
    for file in sorted(folder.rglob("*.parquet")):
        # `ParquetFile` does not add the partition columns, which are not necessary here.
        table = pq.ParquetFile(file).read(["trip_id", *names])
        columns = {name: _as_float32(name, table[name]) for name in names}
        yield Written(table["trip_id"].cast(pa.int64()).to_numpy(), columns)


def _as_float32(name: str, column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """Return values as float32, with MISSING for a missing value if the job allows it."""
    values = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
    values = np.where(np.isnan(values), MISSING, values) if name in NULLABLE else values
    single: npt.NDArray[np.float32] = values.astype(np.float32)
    return single


def _concatenate(parts: list[Written], names: tuple[str, ...]) -> Written:
    empty = np.empty(0, np.float32)
    return Written(
        np.concatenate([np.empty(0, np.int64), *(part.trip_id for part in parts)]),
        {name: np.concatenate([empty, *(part.columns[name] for part in parts)]) for name in names},
    )


def _first_difference(written: Written, source: BenchmarkSource, names: tuple[str, ...]) -> str:
    """Return the first difference between written and expected rows as text."""
    known = 0
    for month in define_months(source.folder):
        found = written.of_month(month)
        known += len(found.trip_id)
        text = _difference_of_trips(found.trip_id, month) or _difference_of_values(found, month, names)
        if text:
            return text
    if known < len(written.trip_id):
        return f"{len(written.trip_id) - known:,} rows are of no trip of the source"
    return f"the files of {source.name} differ from those of benchmarks/conformance/expected.json"


def _difference_of_trips(trip_id: Integers, month: DefinedMonth) -> str:
    name = f"{month.year}-{month.month:02}"
    missing = np.setdiff1d(month.trip_id, trip_id)
    if len(missing):
        return f"{len(missing):,} of {len(month.trip_id):,} trips of {name} are missing, first {missing[0]}"
    surplus = np.setdiff1d(trip_id, month.trip_id)
    if len(surplus):
        return f"{len(surplus):,} trips of {name} are not kept trips, first {surplus[0]}"
    if len(trip_id) > len(month.trip_id):
        return f"{len(trip_id) - len(month.trip_id):,} rows of {name} repeat a trip"
    return ""


def _difference_of_values(written: Written, month: DefinedMonth, names: tuple[str, ...]) -> str:
    expected = columns_of(month)
    for name in names:
        values: npt.NDArray[Any] = expected[name].astype(np.float32)
        different = np.flatnonzero(~(written.columns[name] == values))
        if len(different):
            row = different[0]
            return (
                f"{name} of trip {month.trip_id[row]} is {written.columns[name][row]:g}, expected "
                f"{values[row]:g} ({len(different):,} of {len(values):,} trips of "
                f"{month.year}-{month.month:02} differ)"
            )
    return ""
