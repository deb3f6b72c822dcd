"""The expected output of the job as data: the number of kept rows, and a checksum per column.

The committed file `expected.json` has the checksums of the years that the benchmark publishes. For
other years, the checksums are computed from the definition when they are needed.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.conformance.definition import DefinedMonth, Integers, define_months
from benchmarks.workloads import BenchmarkSource

EXPECTED_FILE = Path(__file__).parent / "expected.json"
Bits = npt.NDArray[np.uint64]


@dataclass
class Digest:
    """The number of rows, and one checksum per column. The order of the rows does not matter.

    A checksum is the sum of the hashes of (trip ID, value), so that it changes if a value moves to
    another trip. A year is digested in parts.
    """

    kept: int = 0
    checksums: dict[str, int] = field(default_factory=dict)

    def add(self, trip_id: Integers, columns: dict[str, npt.NDArray[Any]]) -> None:
        """Add the rows of a part."""
        ids = _mix(trip_id.astype(np.uint64))
        self.kept += len(trip_id)
        self._add_hashes("trip_id", ids)
        for name, values in columns.items():
            self._add_hashes(name, _mix(ids ^ _mix(_bits(values))))

    def _add_hashes(self, name: str, hashes: Bits) -> None:
        total = self.checksums.get(name, 0) + int(hashes.sum(dtype=np.uint64))
        self.checksums[name] = total % 2**64


def _bits(values: npt.NDArray[Any]) -> Bits:
    """Return the bits of the values as float32. Equal numbers have equal bits."""
    numbers = values.astype(np.float32) + np.float32(0)  # -0 becomes 0
    numbers[np.isnan(numbers)] = np.nan
    return numbers.view(np.uint32).astype(np.uint64)


def _mix(values: Bits) -> Bits:
    """Return a hash of each value (the last step of SplitMix64)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def columns_of(month: DefinedMonth) -> dict[str, npt.NDArray[Any]]:
    """Return the label and the features of a month."""
    return {"high_tip": month.high_tip, **month.features}


def digest_months(months: Iterable[DefinedMonth]) -> Digest:
    """Return the digest of the output that the definition gives."""
    digest = Digest()
    for month in months:
        digest.add(month.trip_id, columns_of(month))
    return digest


@functools.cache
def expected_digest(source: BenchmarkSource) -> Digest:
    """Return the expected digest of a source, from the committed file or from the definition."""
    record = load_expected().get(source.name)
    if record is not None and record["rows"] == source.rows:
        return Digest(record["kept"], {name: int(text, 16) for name, text in record["checksums"].items()})
    return digest_months(define_months(source.folder))


def load_expected(file: Path = EXPECTED_FILE) -> dict[str, dict[str, Any]]:
    """Return the records of the committed file, by the name of the year."""
    records: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    return records


def record_of(source: BenchmarkSource) -> dict[str, Any]:
    """Return the record of a source for the committed file, computed from the definition."""
    digest = asdict(digest_months(define_months(source.folder)))
    checksums = {name: f"{value:016x}" for name, value in digest["checksums"].items()}
    return {"rows": source.rows, "kept": digest["kept"], "checksums": checksums}
