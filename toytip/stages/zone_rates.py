"""rates: how often the passengers of a zone left a high tip before, as features; told from earlier months only.

A cash tip is not recorded, so only trips paid by card count. Of a month nothing is told to itself: its trips see the
months before it, and of those the training months alone. After the last training month all of them are seen.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import Float32Array, Int64Array
from toytip.core.model import FeatureEncoding
from toytip.core.splits import CARD_PAYMENT_TYPE
from toytip.core.tlc import ZONE_ID_COUNT

ZONE_PAIR_COUNT = ZONE_ID_COUNT * ZONE_ID_COUNT
# Rates have bins of equal width, known beforehand: no second look at the rows is needed to fix them.
RATE_BINS = 250
# What has few trips is drawn to the rate of all zones, which counts for so many.
ZONE_RATE_SMOOTHING = 20
DENSE_RANGE_FACTOR = 8


@dataclass(frozen=True)
class ZoneRate:
    """A rate by zone: its name, the moment from which it can be known, and the zones that it is looked up by."""

    name: str
    available_at: str
    needs: tuple[str, ...]


ZONE_RATES = (
    ZoneRate("pickup_zone_rate", "pickup", ("PULocationID",)),
    ZoneRate("dropoff_zone_rate", "dropoff", ("DOLocationID",)),
    ZoneRate("zone_pair_rate", "dropoff", ("PULocationID", "DOLocationID")),
)
ZONE_RATES_BY_NAME = {rate.name: rate for rate in ZONE_RATES}


def pickup_month_index(features: pd.DataFrame) -> Int64Array:
    """Return the month of each pickup, counted from the year 0."""
    pickup = features["pickup_at"].dt
    months: Int64Array = (pickup.year * 12 + pickup.month - 1).to_numpy(np.int64)
    return months


def _zone_ids(features: pd.DataFrame) -> tuple[Int64Array, Int64Array]:
    pickup, dropoff = (
        features[name].clip(0, ZONE_ID_COUNT - 1).to_numpy(np.int64)
        for name in ("PULocationID", "DOLocationID")
    )
    return pickup, dropoff


def count_month_zone_pairs(features: pd.DataFrame) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Count the card trips, and those with a high tip, by month and pair of zones: places, trips, high tips."""
    rows = features[features["payment_type"] == CARD_PAYMENT_TYPE]
    pickup, dropoff = _zone_ids(rows)
    place = pickup_month_index(rows) * ZONE_PAIR_COUNT + pickup * ZONE_ID_COUNT + dropoff
    return count_labeled(place, rows["high_tip"].to_numpy())


def count_labeled(
    values: npt.NDArray[Any], label: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[Any], Int64Array, Int64Array]:
    """Count integers: those there are, in order, how often each comes, and how often with a label."""
    # A number that carries its label is counted once for both. Where there are about as many rows as numbers they can be,
    # to count them in place is several times faster than to sort them.
    both = values.astype(np.int64) * 2 + label
    low = int(both.min()) & -2 if len(both) else 0
    if len(both) and int(both.max()) - low < DENSE_RANGE_FACTOR * len(both):
        times = np.bincount(both - low)
        sides = np.append(times, np.zeros(len(times) % 2, np.int64)).reshape(-1, 2)
        found = np.flatnonzero(sides.any(axis=1))
        trips, tipped = sides[found].sum(axis=1), sides[found, 1]
        return (found + low // 2).astype(values.dtype), trips, tipped
    there, times = np.unique(both, return_counts=True)
    found, first = np.unique(there >> 1, return_index=True)
    hits = np.where(there & 1, times, 0)
    trips, tipped = (np.add.reduceat(side, first) if len(first) else side for side in (times, hits))
    return found.astype(values.dtype), trips.astype(np.int64), tipped.astype(np.int64)


def pack_counts(cell_index: Int64Array, trips: Int64Array, tipped: Int64Array) -> str:
    """Return the counts as text: a model carries them. Sorted places are told by their distances."""
    table = np.stack([np.diff(cell_index, prepend=0), trips, tipped])
    return base64.b64encode(zlib.compress(table.astype("<i8").tobytes(), 9)).decode()


@lru_cache(maxsize=8)
def _unpack_counts(packed: str) -> tuple[Int64Array, Int64Array, Int64Array]:
    content = np.frombuffer(zlib.decompress(base64.b64decode(packed)), "<i8").reshape(3, -1)
    return np.cumsum(content[0]), content[1], content[2]


def counts_by_pickup_zone(packed: str) -> tuple[Int64Array, Int64Array]:
    """Return the card trips of the training months, and those with a high tip, by pickup zone."""
    place, trips, tipped = _unpack_counts(packed)
    zone = place % ZONE_PAIR_COUNT // ZONE_ID_COUNT
    both = (np.bincount(zone, side, ZONE_ID_COUNT).astype(np.int64) for side in (trips, tipped))
    known, high = both
    return known, high


@lru_cache(maxsize=64)
def _rates_as_of(packed: str, month: int) -> dict[str, Float32Array] | None:
    """Return the rates by zone as they stood at the start of a month; None where no trip was seen before."""
    place, trips, tipped = _unpack_counts(packed)
    before = place // ZONE_PAIR_COUNT < month
    if not trips[before].sum():
        return None
    pair = place[before] % ZONE_PAIR_COUNT
    sides = [
        np.bincount(pair, side[before].astype(np.float64), ZONE_PAIR_COUNT).reshape(
            ZONE_ID_COUNT, ZONE_ID_COUNT
        )
        for side in (trips, tipped)
    ]
    whole = sides[1].sum() / sides[0].sum()
    found = {}
    for name, axis in (("pickup_zone_rate", 1), ("dropoff_zone_rate", 0), ("zone_pair_rate", None)):
        many, hits = sides if axis is None else [side.sum(axis=axis) for side in sides]
        found[name] = (
            ((hits + ZONE_RATE_SMOOTHING * whole) / (many + ZONE_RATE_SMOOTHING)).astype(np.float32).ravel()
        )
    return found


def lookup_rates(features: pd.DataFrame, packed: str, names: tuple[str, ...]) -> dict[str, Float32Array]:
    """Return the rates that each trip sees, as of the start of its month; NaN where nothing was known yet."""
    pickup, dropoff = _zone_ids(features)
    places = {
        "pickup_zone_rate": pickup,
        "dropoff_zone_rate": dropoff,
        "zone_pair_rate": pickup * ZONE_ID_COUNT + dropoff,
    }
    month = pickup_month_index(features)
    last = _last_month(packed)
    found = {name: np.full(len(features), np.nan, np.float32) for name in names}
    for each in np.unique(month).tolist():
        table = _rates_as_of(packed, min(each, last + 1))
        rows = month == each
        for name in names if table is not None else ():
            found[name][rows] = table[name][places[name][rows]]  # type: ignore[index]
    return found


@lru_cache(maxsize=8)
def _last_month(packed: str) -> int:
    place = _unpack_counts(packed)[0]
    return int(place[-1] // ZONE_PAIR_COUNT) if len(place) else 0


def rate_encoding(name: str) -> FeatureEncoding:
    """Return how a rate becomes a small integer: by equal bins of 0 to 1."""
    edges = (np.arange(1, RATE_BINS) / RATE_BINS).astype(np.float32)
    return FeatureEncoding(name=name, exact=False, values=tuple(edges.tolist()))


def zone_rates_for(feature_set: str) -> tuple[str, ...]:
    """Return the rates that go with a set of features: those known by its moment; none with `seed`."""
    known = {
        "pickup": ("pickup",),
        "dropoff": ("pickup", "dropoff"),
        "payment": ("pickup", "dropoff", "payment"),
    }
    return tuple(rate.name for rate in ZONE_RATES if rate.available_at in known.get(feature_set, ()))
