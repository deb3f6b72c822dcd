"""Target encoding of zones: high-tip rates of earlier card trips, as features.

Cash tips are not recorded, so only card trips count. The rates of a month are computed from earlier
training months only, so that no label leaks into its own month. Trips after the last training month
use the rates of all training months.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BoolArray, Float32Array, Int64Array
from toytip.core.columns import Columns, columns_of
from toytip.core.model import FeatureEncoding
from toytip.core.splits import CARD_PAYMENT_TYPE
from toytip.core.times import month_index
from toytip.core.tlc import ZONE_ID_COUNT

ZONE_PAIR_COUNT = ZONE_ID_COUNT * ZONE_ID_COUNT
# Rates have bins of equal width, which need no second pass over the rows to fit them.
RATE_BINS = 250
# Smoothing adds this number of trips, which have the overall rate, to each zone and zone pair.
ZONE_RATE_SMOOTHING = 20
# Integers are counted in an array if their range is at most this many times the number of rows.
DENSE_RANGE_FACTOR = 8


@dataclass(frozen=True)
class ZoneRate:
    """A target-encoded feature: its name, its availability, and the zones that it depends on."""

    name: str
    available_at: str
    needs: tuple[str, ...]


ZONE_RATES = (
    ZoneRate("pickup_zone_rate", "pickup", ("PULocationID",)),
    ZoneRate("dropoff_zone_rate", "dropoff", ("DOLocationID",)),
    ZoneRate("zone_pair_rate", "dropoff", ("PULocationID", "DOLocationID")),
)
ZONE_RATES_BY_NAME = {rate.name: rate for rate in ZONE_RATES}
AVAILABLE_RATES = {
    "pickup": ("pickup",),
    "dropoff": ("pickup", "dropoff"),
    "payment": ("pickup", "dropoff", "payment"),
}


def zone_rates_for(feature_set: str) -> tuple[str, ...]:
    """Return the names of the target-encoded features in a feature set (none for `seed`)."""
    available = AVAILABLE_RATES.get(feature_set, ())
    return tuple(rate.name for rate in ZONE_RATES if rate.available_at in available)


class LabeledCounts(NamedTuple):
    """Distinct values in order, with the number of trips and of high-tip trips of each value."""

    distinct: npt.NDArray[Any]
    trips: Int64Array
    positives: Int64Array

    @classmethod
    def empty(cls, dtype: type[np.generic] = np.int64) -> LabeledCounts:
        """Return counts of no trips."""
        return cls(np.empty(0, dtype), np.empty(0, np.int64), np.empty(0, np.int64))

    def merge(self, other: LabeledCounts) -> LabeledCounts:
        """Return the counts of both sets of trips. The merge is exact, in any order."""
        values, index = np.unique(np.concatenate([self.distinct, other.distinct]), return_inverse=True)
        trips, positives = np.zeros((2, len(values)), np.int64)
        np.add.at(trips, index, np.concatenate([self.trips, other.trips]))
        np.add.at(positives, index, np.concatenate([self.positives, other.positives]))
        return LabeledCounts(values, trips, positives)


def count_labeled(values: npt.NDArray[Any], label: BoolArray) -> LabeledCounts:
    """Count the trips and the high-tip trips of each distinct integer."""
    # Value and label are combined in one number, so that one pass counts both. If the range of the
    # numbers is not much larger than the number of rows, counting in an array is several times
    # faster than sorting.
    labeled = values.astype(np.int64) * 2 + label
    low = int(labeled.min()) & -2 if len(labeled) else 0
    if len(labeled) and int(labeled.max()) - low < DENSE_RANGE_FACTOR * len(labeled):
        counts = np.bincount(labeled - low)
        by_label = np.append(counts, np.zeros(len(counts) % 2, np.int64)).reshape(-1, 2)
        index = np.flatnonzero(by_label.any(axis=1))
        return LabeledCounts(
            (index + low // 2).astype(values.dtype), by_label[index].sum(axis=1), by_label[index, 1]
        )
    numbers, counts = np.unique(labeled, return_counts=True)
    distinct, first = np.unique(numbers >> 1, return_index=True)
    positive_counts = np.where(numbers & 1, counts, 0)
    trips, positives = (
        np.add.reduceat(column, first) if len(first) else column for column in (counts, positive_counts)
    )
    return LabeledCounts(distinct.astype(values.dtype), trips.astype(np.int64), positives.astype(np.int64))


def _zone_ids(features: Columns) -> tuple[Int64Array, Int64Array]:
    pickup, dropoff = (
        np.clip(features[name], 0, ZONE_ID_COUNT - 1).astype(np.int64)
        for name in ("PULocationID", "DOLocationID")
    )
    return pickup, dropoff


def count_month_zone_pairs(features: pd.DataFrame) -> LabeledCounts:
    """Count card trips by month and zone pair, combined in one integer (the cell index)."""
    rows = features[features["payment_type"] == CARD_PAYMENT_TYPE]
    pickup, dropoff = _zone_ids(columns_of(rows))
    cell_index = month_index(rows["pickup_at"]) * ZONE_PAIR_COUNT + pickup * ZONE_ID_COUNT + dropoff
    return count_labeled(cell_index, rows["high_tip"].to_numpy())


def pack_counts(cell_index: Int64Array, trips: Int64Array, positives: Int64Array) -> str:
    """Return counts by cell as compressed text, which a model stores.

    The text contains the differences between consecutive cell indexes, which compress better.
    """
    table = np.stack([np.diff(cell_index, prepend=0), trips, positives])
    return base64.b64encode(zlib.compress(table.astype("<i8").tobytes(), 9)).decode()


@lru_cache(maxsize=8)
def _unpack_counts(packed: str) -> LabeledCounts:
    content = np.frombuffer(zlib.decompress(base64.b64decode(packed)), "<i8").reshape(3, -1)
    return LabeledCounts(np.cumsum(content[0]), content[1], content[2])


def counts_by_pickup_zone(packed: str) -> tuple[Int64Array, Int64Array]:
    """Return the card trips and the high-tip card trips of the training months, by pickup zone."""
    cell_index, trips, positives = _unpack_counts(packed)
    zone = cell_index % ZONE_PAIR_COUNT // ZONE_ID_COUNT
    trips_by_zone, positives_by_zone = (
        np.bincount(zone, counts, ZONE_ID_COUNT).astype(np.int64) for counts in (trips, positives)
    )
    return trips_by_zone, positives_by_zone


@lru_cache(maxsize=64)
def _rates_as_of(packed: str, month: int) -> dict[str, Float32Array] | None:
    """Return the rates at the start of a month, from earlier months (None without card trips)."""
    cell_index, trips, positives = _unpack_counts(packed)
    earlier = cell_index // ZONE_PAIR_COUNT < month
    if not trips[earlier].sum():
        return None
    pair = cell_index[earlier] % ZONE_PAIR_COUNT
    pair_trips, pair_positives = (
        np.bincount(pair, counts[earlier].astype(np.float64), ZONE_PAIR_COUNT).reshape(
            ZONE_ID_COUNT, ZONE_ID_COUNT
        )
        for counts in (trips, positives)
    )
    mean_rate = pair_positives.sum() / pair_trips.sum()
    cells = {
        "pickup_zone_rate": (pair_trips.sum(axis=1), pair_positives.sum(axis=1)),
        "dropoff_zone_rate": (pair_trips.sum(axis=0), pair_positives.sum(axis=0)),
        "zone_pair_rate": (pair_trips, pair_positives),
    }
    return {name: _smoothed_rate(*counts, mean_rate) for name, counts in cells.items()}


def _smoothed_rate(trips: npt.NDArray[Any], positives: npt.NDArray[Any], mean_rate: float) -> Float32Array:
    rate = (positives + ZONE_RATE_SMOOTHING * mean_rate) / (trips + ZONE_RATE_SMOOTHING)
    return np.asarray(rate.astype(np.float32).ravel())


def lookup_rates(features: Columns, packed: str, names: tuple[str, ...]) -> dict[str, Float32Array]:
    """Return the rates of each trip at the start of its month (NaN without earlier card trips)."""
    pickup, dropoff = _zone_ids(features)
    cells = {
        "pickup_zone_rate": pickup,
        "dropoff_zone_rate": dropoff,
        "zone_pair_rate": pickup * ZONE_ID_COUNT + dropoff,
    }
    month = month_index(features["pickup_at"])
    last_month = _last_month(packed)
    rates = {name: np.full(len(month), np.nan, np.float32) for name in names}
    for index in np.unique(month).tolist():
        table = _rates_as_of(packed, min(index, last_month + 1))
        rows = month == index
        for name in names if table is not None else ():
            rates[name][rows] = table[name][cells[name][rows]]  # type: ignore[index]
    return rates


@lru_cache(maxsize=8)
def _last_month(packed: str) -> int:
    cell_index = _unpack_counts(packed).distinct
    return int(cell_index[-1] // ZONE_PAIR_COUNT) if len(cell_index) else 0


def rate_encoding(name: str) -> FeatureEncoding:
    """Return the bins of a rate: intervals of equal width from 0 to 1."""
    edges = (np.arange(1, RATE_BINS) / RATE_BINS).astype(np.float32)
    return FeatureEncoding(name=name, exact=False, values=tuple(edges.tolist()))
