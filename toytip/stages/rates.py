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

from toytip.splits import CARD
from toytip.values import ZONES, FeatureCodes

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

PAIRS = ZONES * ZONES
# Rates have bins of equal width, known beforehand: no second look at the rows is needed to fix them.
BINS = 250
# What has few trips is drawn to the rate of all zones, which counts for so many.
SMOOTHING = 20
DENSE = 8


@dataclass(frozen=True)
class Rate:
    """A rate by zone: its name, the moment from which it can be known, and the zones that it is looked up by."""

    name: str
    moment: str
    needs: tuple[str, ...]


RATES = (
    Rate("pickup_zone_rate", "pickup", ("PULocationID",)),
    Rate("dropoff_zone_rate", "dropoff", ("DOLocationID",)),
    Rate("zone_pair_rate", "dropoff", ("PULocationID", "DOLocationID")),
)
BY_NAME = {rate.name: rate for rate in RATES}


def month_of(features: pd.DataFrame) -> Counts:
    """Return the month of each pickup, counted from the year 0."""
    pickup = features["pickup_at"].dt
    months: Counts = (pickup.year * 12 + pickup.month - 1).to_numpy(np.int64)
    return months


def _zones(features: pd.DataFrame) -> tuple[Counts, Counts]:
    pickup, dropoff = (
        features[name].clip(0, ZONES - 1).to_numpy(np.int64) for name in ("PULocationID", "DOLocationID")
    )
    return pickup, dropoff


def count(features: pd.DataFrame) -> tuple[Counts, Counts, Counts]:
    """Count the card trips, and those with a high tip, by month and pair of zones: places, trips, high tips."""
    rows = features[features["payment_type"] == CARD]
    pickup, dropoff = _zones(rows)
    place = month_of(rows) * PAIRS + pickup * ZONES + dropoff
    return counted(place, rows["high_tip"].to_numpy())


def counted(items: npt.NDArray[Any], label: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[Any], Counts, Counts]:
    """Count integers: those there are, in order, how often each comes, and how often with a label."""
    # A number that carries its label is counted once for both. Where there are about as many rows as numbers they can be,
    # to count them in place is several times faster than to sort them.
    both = items.astype(np.int64) * 2 + label
    low = int(both.min()) & -2 if len(both) else 0
    if len(both) and int(both.max()) - low < DENSE * len(both):
        times = np.bincount(both - low)
        sides = np.append(times, np.zeros(len(times) % 2, np.int64)).reshape(-1, 2)
        found = np.flatnonzero(sides.any(axis=1))
        trips, tipped = sides[found].sum(axis=1), sides[found, 1]
        return (found + low // 2).astype(items.dtype), trips, tipped
    there, times = np.unique(both, return_counts=True)
    found, first = np.unique(there >> 1, return_index=True)
    hits = np.where(there & 1, times, 0)
    trips, tipped = (np.add.reduceat(side, first) if len(first) else side for side in (times, hits))
    return found.astype(items.dtype), trips.astype(np.int64), tipped.astype(np.int64)


def pack(place: Counts, trips: Counts, tipped: Counts) -> str:
    """Return the counts as text: a model carries them. Sorted places are told by their distances."""
    table = np.stack([np.diff(place, prepend=0), trips, tipped])
    return base64.b64encode(zlib.compress(table.astype("<i8").tobytes(), 9)).decode()


@lru_cache(maxsize=8)
def _unpack(packed: str) -> tuple[Counts, Counts, Counts]:
    content = np.frombuffer(zlib.decompress(base64.b64decode(packed)), "<i8").reshape(3, -1)
    return np.cumsum(content[0]), content[1], content[2]


def by_pickup_zone(packed: str) -> tuple[Counts, Counts]:
    """Return the card trips of the training months, and those with a high tip, by pickup zone."""
    place, trips, tipped = _unpack(packed)
    zone = place % PAIRS // ZONES
    both = (np.bincount(zone, side, ZONES).astype(np.int64) for side in (trips, tipped))
    known, high = both
    return known, high


@lru_cache(maxsize=64)
def _as_of(packed: str, month: int) -> dict[str, Floats] | None:
    """Return the rates by zone as they stood at the start of a month; None where no trip was seen before."""
    place, trips, tipped = _unpack(packed)
    before = place // PAIRS < month
    if not trips[before].sum():
        return None
    pair = place[before] % PAIRS
    sides = [
        np.bincount(pair, side[before].astype(np.float64), PAIRS).reshape(ZONES, ZONES)
        for side in (trips, tipped)
    ]
    whole = sides[1].sum() / sides[0].sum()
    found = {}
    for name, axis in (("pickup_zone_rate", 1), ("dropoff_zone_rate", 0), ("zone_pair_rate", None)):
        many, hits = sides if axis is None else [side.sum(axis=axis) for side in sides]
        found[name] = ((hits + SMOOTHING * whole) / (many + SMOOTHING)).astype(np.float32).ravel()
    return found


def look_up(features: pd.DataFrame, packed: str, names: tuple[str, ...]) -> dict[str, Floats]:
    """Return the rates that each trip sees, as of the start of its month; NaN where nothing was known yet."""
    pickup, dropoff = _zones(features)
    places = {
        "pickup_zone_rate": pickup,
        "dropoff_zone_rate": dropoff,
        "zone_pair_rate": pickup * ZONES + dropoff,
    }
    month = month_of(features)
    last = _last(packed)
    found = {name: np.full(len(features), np.nan, np.float32) for name in names}
    for each in np.unique(month).tolist():
        table = _as_of(packed, min(each, last + 1))
        rows = month == each
        for name in names if table is not None else ():
            found[name][rows] = table[name][places[name][rows]]  # type: ignore[index]
    return found


@lru_cache(maxsize=8)
def _last(packed: str) -> int:
    place = _unpack(packed)[0]
    return int(place[-1] // PAIRS) if len(place) else 0


def codes(name: str) -> FeatureCodes:
    """Return how a rate becomes a small integer: by equal bins of 0 to 1."""
    edges = (np.arange(1, BINS) / BINS).astype(np.float32)
    return FeatureCodes(name=name, exact=False, values=tuple(edges.tolist()))


def rate_set(features: str) -> tuple[str, ...]:
    """Return the rates that go with a set of features: those known by its moment; none with `seed`."""
    known = {
        "pickup": ("pickup",),
        "dropoff": ("pickup", "dropoff"),
        "payment": ("pickup", "dropoff", "payment"),
    }
    return tuple(rate.name for rate in RATES if rate.moment in known.get(features, ()))
