"""The evaluation slices of taxi trips."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from toytip.core.dataset.slices import MISSING, Slice, SliceCodes, column_slice, default_label, factorize
from toytip.datasets.tlc.words import VALUE_WORDS
from toytip.datasets.zones import ZONE_ID_COUNT

# Edges of the distance slices in miles. The last slice has no upper edge.
DISTANCE_EDGES_MILES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)
# The zone IDs of Newark, JFK and LaGuardia.
AIRPORT_ZONES = (1, 132, 138)
HOUR_WORDS = {str(hour): f"{hour}:00 to {hour}:59" for hour in range(24)}
AIRPORT_WORDS = {"yes": "airport trips", "no": "trips without an airport"}


def _by_distance(features: pd.DataFrame, _: tuple[str, ...]) -> SliceCodes:
    codes = np.digitize(features["trip_distance"], DISTANCE_EDGES_MILES[1:]).astype(np.int64)
    values = [f"{low:g}-{high:g} miles" for low, high in pairwise(DISTANCE_EDGES_MILES)]
    return codes, [*values, f"{DISTANCE_EDGES_MILES[-1]:g} miles or more"]


def _by_airport(features: pd.DataFrame, _: tuple[str, ...]) -> SliceCodes:
    is_airport = np.isin(np.arange(ZONE_ID_COUNT), AIRPORT_ZONES)
    pickup, dropoff = (
        features[name].clip(0, ZONE_ID_COUNT - 1).to_numpy() for name in ("PULocationID", "DOLocationID")
    )
    return (is_airport[pickup] | is_airport[dropoff]).astype(np.int64), ["no", "yes"]


def _by_borough(features: pd.DataFrame, boroughs: tuple[str, ...]) -> SliceCodes | None:
    if not boroughs:
        return None
    zone = features["PULocationID"].clip(0, len(boroughs) - 1).to_numpy()
    return factorize(pd.Series(np.array(boroughs, dtype=object)[zone]))


def _borough_label(value: str) -> str:
    return default_label("borough", value) if value in (MISSING, "unknown") else value


SLICES = (
    Slice("distance", ("trip_distance",), _by_distance, str),
    Slice(
        "airport",
        ("PULocationID", "DOLocationID"),
        _by_airport,
        lambda value: AIRPORT_WORDS.get(value, value),
    ),
    column_slice("hour", "pickup_hour", HOUR_WORDS),
    column_slice("weekday", "pickup_weekday", VALUE_WORDS["pickup_weekday"]),
    column_slice("payment_type", "payment_type", VALUE_WORDS["payment_type"]),
    column_slice("rate_code", "RatecodeID", VALUE_WORDS["RatecodeID"]),
    column_slice("vendor", "VendorID", VALUE_WORDS["VendorID"], "vendor {}"),
    Slice("borough", ("PULocationID",), _by_borough, _borough_label),
)
