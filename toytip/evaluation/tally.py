"""Tallies: the metric histograms of sets of trips, from which all metrics are computed.

All values are integers, with losses in units of 2^-32. Tallies therefore merge exactly, in any
order.
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
from toytip.core.dataset.segments import ALL_ROWS

# Probabilities have bins of 2^-14. Thresholds are then exact in float32, and the error of the AUC
# is at most half the share of pairs in the same bin (`metrics.auc_binning_error`). Days and slices
# have larger bins, 2^-9, because there are many days and slices.
PROBABILITY_BINS = 2**14
SLICE_BINS = 2**9
LOSS_SCALE = 2.0**32


class TallyKey(NamedTuple):
    """The trips of a tally, and the predictor that scored these trips.

    The trips belong to one split, and have one value of a slice. The slice "" contains all trips.
    The segment is "" for trips outside of the data set's segment. The predictor is `model`,
    `champion` (the registered champion), or `group_mean` (the rate of positive labels by group in
    training).
    """

    split: str
    segment: str
    predictor: str = "model"
    slice: str = ""
    value: str = ""


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts and sums over a set of scored trips.

    `negatives` and `positives` count the trips without and with a positive label by probability, in
    equal bins of [0, 1]. `true_positives` and `false_positives` count decisions. `log_loss`,
    `log_loss_positives` (of the positives only) and `squared_error` are sums in units of 2^-32.
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
        """Return a tally without trips."""
        return cls(np.zeros(bins, np.int64), np.zeros(bins, np.int64), 0, 0, 0, 0)

    @property
    def rows(self) -> int:
        """Number of trips."""
        return int(self.positives.sum() + self.negatives.sum())

    def merge(self, other: Tally) -> Tally:
        """Return the tally of two sets of trips together. The sum is exact in any order."""
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays do not hash


Tallies = dict[TallyKey, Tally]
# Smaller slices are omitted, because chance alone would put some of them among the worst slices.
MIN_SLICE_TRIPS = 200


def combine_tallies(a: Tallies, b: Tallies) -> Tallies:
    """Return the tallies of two sets of trips together, merged key by key."""
    merged = {key: tally.merge(b[key]) if key in b else tally for key, tally in a.items()}
    return merged | {key: tally for key, tally in b.items() if key not in a}


def tally_of(tallies: Tallies, split: str, segment: str, predictor: str = "model") -> Tally:
    """Return the tally of the trips of a split and segment."""
    matches = (
        tally
        for key, tally in tallies.items()
        if not key.slice
        and (key.split, key.predictor) == (split, predictor)
        and segment in (ALL_ROWS, key.segment)
    )
    return reduce(Tally.merge, matches, Tally.empty())


def segments_of(tallies: Tallies) -> tuple[str, ...]:
    """Return the names of all segments that have trips. The first segment has all trips."""
    return (ALL_ROWS, *sorted({key.segment for key in tallies} - {""}))


def slice_tallies(
    tallies: Tallies, split: str, segment: str, predictor: str = "model"
) -> dict[tuple[str, str], Tally]:
    """Return the tallies of a split and segment, by slice and value."""
    by_slice: dict[tuple[str, str], Tally] = {}
    for key, tally in tallies.items():
        is_slice = key.slice and key.split == split and key.predictor == predictor
        if is_slice and segment in (ALL_ROWS, key.segment):
            name = (key.slice, key.value)
            by_slice[name] = by_slice[name].merge(tally) if name in by_slice else tally
    return by_slice


def daily_tallies(tallies: Tallies, split: str, segment: str, predictor: str = "model") -> list[Tally]:
    """Return the tallies of a split and segment by day, oldest day first."""
    by_slice = sorted(slice_tallies(tallies, split, segment, predictor).items())
    return [tally for (name, _), tally in by_slice if name == "day"]


def daily_tallies_by_segment(tallies: Tallies) -> dict[str, tuple[Tally, Tally]]:
    """Return two tallies of the model by day (such as 2023-01-31): inside and outside segments."""
    by_day: dict[str, tuple[Tally, Tally]] = {}
    for key, tally in sorted(tallies.items(), key=lambda item: item[0].value):
        if key.slice == "day" and key.predictor == "model":
            inside, outside = by_day.get(key.value, (Tally.empty(SLICE_BINS), Tally.empty(SLICE_BINS)))
            by_day[key.value] = (
                (inside.merge(tally), outside) if key.segment else (inside, outside.merge(tally))
            )
    return by_day


_SUMS = ("true_positives", "false_positives", "log_loss", "squared_error", "log_loss_positives")
_COUNTS = ("negatives", "positives")


def tallies_to_parquet(tallies: Tallies) -> bytes:
    """Return tallies as the bytes of a Parquet file, one row per key.

    Equal tallies give equal bytes.
    """
    keys = sorted(tallies)
    columns: dict[str, pa.Array] = {
        name: pa.array([getattr(key, name) for key in keys], pa.string()) for name in TallyKey._fields
    }
    for name in _SUMS:
        columns[name] = pa.array([getattr(tallies[key], name) for key in keys], pa.int64())
    for name in _COUNTS:
        counts = [getattr(tallies[key], name) for key in keys]
        offsets = np.cumsum([0, *map(len, counts)], dtype=np.int32)
        columns[name] = pa.ListArray.from_arrays(offsets, np.concatenate([*counts, np.empty(0, np.int64)]))
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", use_dictionary=False)
    return buffer.getvalue()


def tallies_from_parquet(content: bytes) -> Tallies:
    """Return the tallies from the bytes of a file that `tallies_to_parquet` created."""
    table = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False)
    keys = zip(*(table[name].to_pylist() for name in TallyKey._fields), strict=True)
    sums = [table[name].to_pylist() for name in _SUMS]
    counts = [table[name].combine_chunks() for name in _COUNTS]
    return {
        TallyKey(*key): Tally(
            *(side[row].values.to_numpy(zero_copy_only=False) for side in counts),
            *(column[row] for column in sums),
        )
        for row, key in enumerate(keys)
    }
