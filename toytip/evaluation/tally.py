"""Tallies: counts from which every metric follows, and which merge exactly.

All is kept in whole numbers (losses in units of 2^-32), so that the order of merging never shows.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from functools import reduce
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from toytip.core.arrays import Int64Array

# Probabilities are counted in bins of 2^-14: thresholds are exact in float32, and the error that bins bring
# into the AUC is bounded by the pairs that share a bin (`metrics.auc_binning_error`). Days and slices, of which there are
# many, have bins of 2^-9.
PROBABILITY_BINS = 2**14
SLICE_BINS = 2**9
LOSS_SCALE = 2.0**32


class TallyKey(NamedTuple):
    """Which trips a tally is of: a split, paid by card or not, and a value of a slice; and whose probabilities.

    The slice "" is all trips. `predictor` is `model`; `champion`, the registered one; or `hour_zone`: the rate of high
    tips by hour and pickup zone.
    """

    split: str
    is_card: bool
    predictor: str = "model"
    slice: str = ""
    value: str = ""


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts over some trips.

    `negatives` and `positives` count trips by bin of probability (equal bins of [0, 1]); `true_positives` and
    `false_positives` at the decision; `log_loss` (of all, and of the positives alone) and `squared_error` are sums in
    units of 2^-32.
    """

    negatives: Int64Array
    positives: Int64Array
    true_positives: int
    false_positives: int
    log_loss: int
    squared_error: int
    log_loss_positives: int = 0

    @classmethod
    def empty(cls, bins: int = PROBABILITY_BINS) -> Tally:
        """The neutral tally."""
        return cls(np.zeros(bins, np.int64), np.zeros(bins, np.int64), 0, 0, 0, 0)

    @property
    def rows(self) -> int:
        """The trips counted."""
        return int(self.positives.sum() + self.negatives.sum())

    def merge(self, other: Tally) -> Tally:
        """Return the tally of both sets of trips; associative and commutative, exactly."""
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays do not hash


Tallies = dict[TallyKey, Tally]
SEGMENTS = ("all", "card")
# Slices with fewer trips are not told: chance alone would name them the worst.
MIN_SLICE_TRIPS = 200


def combine_tallies(a: Tallies, b: Tallies) -> Tallies:
    """Merge two summaries, cell by cell."""
    both = {cell: tally.merge(b[cell]) if cell in b else tally for cell, tally in a.items()}
    return both | {cell: tally for cell, tally in b.items() if cell not in a}


def tally_of(tallies: Tallies, split: str, segment: str, predictor: str = "model") -> Tally:
    """Return the tally of a split's trips, all of them or those paid by card."""
    cells = [TallyKey(split, card, predictor) for card in ((True,) if segment == "card" else (True, False))]
    return reduce(Tally.merge, (tallies[cell] for cell in cells if cell in tallies), Tally.empty())


def slice_tallies(
    tallies: Tallies, split: str, segment: str, predictor: str = "model"
) -> dict[tuple[str, str], Tally]:
    """Return the tallies of a split by slice and value, of all trips or those paid by card."""
    found: dict[tuple[str, str], Tally] = {}
    for cell, tally in tallies.items():
        there = cell.split == split and cell.predictor == predictor and cell.slice
        if there and (cell.is_card or segment == "all"):
            name = (cell.slice, cell.value)
            found[name] = found[name].merge(tally) if name in found else tally
    return found


def daily_tallies(tallies: Tallies, split: str, segment: str, predictor: str = "model") -> list[Tally]:
    """Return the tallies of a split's days, in order of time."""
    told = sorted(slice_tallies(tallies, split, segment, predictor).items())
    return [part for (name, _), part in told if name == "day"]


_SUMS = ("true_positives", "false_positives", "log_loss", "squared_error", "log_loss_positives")
_COUNTS = ("negatives", "positives")


def tallies_to_parquet(tallies: Tallies) -> bytes:
    """Return a summary as a parquet file, a row for each cell: the same bytes for the same summary."""
    cells = sorted(tallies)
    columns: dict[str, pa.Array] = {
        name: pa.array(
            [getattr(cell, name) for cell in cells], pa.bool_() if name == "is_card" else pa.string()
        )
        for name in TallyKey._fields
    }
    for name in _SUMS:
        columns[name] = pa.array([getattr(tallies[cell], name) for cell in cells], pa.int64())
    for name in _COUNTS:
        counts = [getattr(tallies[cell], name) for cell in cells]
        ends = np.cumsum([0, *map(len, counts)], dtype=np.int32)
        columns[name] = pa.ListArray.from_arrays(ends, np.concatenate([*counts, np.empty(0, np.int64)]))
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", use_dictionary=False)
    return buffer.getvalue()


def tallies_from_parquet(content: bytes) -> Tallies:
    """Read back what `tallies_to_parquet` gave."""
    table = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False)
    cells = zip(*(table[name].to_pylist() for name in TallyKey._fields), strict=True)
    sums = [table[name].to_pylist() for name in _SUMS]
    counts = [table[name].combine_chunks() for name in _COUNTS]
    return {
        TallyKey(*cell): Tally(
            *(side[row].values.to_numpy(zero_copy_only=False) for side in counts),
            *(column[row] for column in sums),
        )
        for row, cell in enumerate(cells)
    }


def daily_tallies_by_payment(tallies: Tallies) -> dict[str, tuple[Tally, Tally]]:
    """Return the tallies of the model by day, as `2023-01-31`, in order of time: of card trips, and of the others."""
    found: dict[str, tuple[Tally, Tally]] = {}
    for cell, tally in sorted(tallies.items(), key=lambda item: item[0].value):
        if cell.slice == "day" and cell.predictor == "model":
            card, other = found.get(cell.value, (Tally.empty(SLICE_BINS), Tally.empty(SLICE_BINS)))
            found[cell.value] = (card.merge(tally), other) if cell.is_card else (card, other.merge(tally))
    return found
