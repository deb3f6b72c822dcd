"""The synthetic year: yellow trips in the form that the TLC publishes, generated from a seed.

Zones, hours, distances, fares, card payments and tips are related as in real months. Invalid rows
are of the same kinds as in real months, and their numbers are known. The year drifts like 2020:
from March, and most in April and May, there are fewer trips, and trips are faster, farther from
the center, and paid by card less often. The synthetic year is for tests of the pipeline, and does
not describe real passengers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from toytip.core.arrays import Int64Array
from toytip.core.dataset.synthetic import SyntheticFiles, SyntheticSpec
from toytip.core.months import Month
from toytip.datasets.tlc.synthetic_city import (
    KILOMETERS_PER_MILE,
    MONTHLY_DRIFT,
    SYNTHETIC_MONTHS,
    choose_rows,
    count_invalid_rows,
    month_rows,
)
from toytip.datasets.tlc.taxis.names import DRIFT_KINDS
from toytip.datasets.tlc.taxis.synthetic_trips import draw_trips

# Share of a month's rows that each cleaning rule must reject. The shares are close to those of real
# months, except that every rule rejects some rows.
INVALID_ROW_SHARES = {
    "missing_value": 0.0005,
    "out_of_month": 0.0004,
    "non_positive_fare": 0.005,
    "negative_tip": 0.0002,
    "non_positive_duration": 0.0015,
    "overlong_trip": 0.0003,
    "implausible_distance": 0.0006,
}
CARD_TO_CASH_SHARE = 0.3


def month_file_name(month: Month) -> str:
    """Return the name that the TLC gives to the file of a month.

    >>> month_file_name(Month(2020, 1))
    'yellow_tripdata_2020-01.parquet'
    """
    return f"yellow_tripdata_{month}.parquet"


def invalid_rows(month: Month, rows_per_month: int) -> dict[str, int]:
    """Return the exact number of rows in a month's file that each cleaning rule must reject."""
    return count_invalid_rows(month_rows(month, rows_per_month), INVALID_ROW_SHARES)


def generate_month(month: Month, spec: SyntheticSpec) -> pa.Table:
    """Return the raw trips of a month, with the TLC's column names and types.

    Equal months and parameters give equal tables.
    """
    rng = np.random.default_rng([spec.seed, month.year, month.month])
    rows = month_rows(month, spec.rows_per_month)
    drift = float(MONTHLY_DRIFT[month.month - 1]) if spec.drift else 0.0
    trips = draw_trips(rng, month, rows, drift)
    _inject_drift(np.random.default_rng([spec.seed, month.year, month.month, 1]), trips, spec.injected_drift)
    _add_invalid_rows(rng, trips, month, invalid_rows(month, spec.rows_per_month))
    return pa.table({name: _arrow_column(name, values, rows) for name, values in trips.items()})


def _inject_drift(rng: np.random.Generator, trips: dict[str, Any], kind: str | None) -> None:
    """Add a drift of one kind to the trips, in place.

    - `distance`: distances are in kilometers instead of miles.
    - `card`: 30 % of the card trips become cash trips.
    - `skill`: high tips are shuffled among the card trips, so that their share stays the same.
    """
    card = np.flatnonzero(trips["payment_type"] == 1)
    due = trips["total_amount"] - trips["tip_amount"]
    if kind == "distance":
        trips["trip_distance"] = np.round(trips["trip_distance"] * KILOMETERS_PER_MILE, 2)
    elif kind == "card":
        cash = card[rng.random(len(card)) < CARD_TO_CASH_SHARE]
        trips["payment_type"][cash] = 2
        trips["tip_amount"][cash] = 0.0
    elif kind == "skill":
        high = rng.permutation(trips["tip_amount"][card] > 0.2 * trips["fare_amount"][card])
        trips["tip_amount"][card] = np.round(trips["fare_amount"][card] * np.where(high, 0.25, 0.1), 2)
    trips["total_amount"] = np.round(due + trips["tip_amount"], 2)


def _add_invalid_rows(
    rng: np.random.Generator, trips: dict[str, Any], month: Month, counts: dict[str, int]
) -> None:
    """Make as many rows invalid per reason as `counts` says, in place. Each row gets one reason."""
    chosen = choose_rows(rng, len(trips["fare_amount"]), counts)
    _remove_values(trips, chosen["missing_value"])
    _move_out_of_month(trips, chosen["out_of_month"], month)
    _refund(trips, chosen["non_positive_fare"])
    trips["tip_amount"][chosen["negative_tip"]] = -1.0
    pickup, dropoff = trips["tpep_pickup_datetime"], trips["tpep_dropoff_datetime"]
    rows = chosen["non_positive_duration"]
    dropoff[rows] = pickup[rows] - (np.arange(len(rows)) % 2 * 60).astype("timedelta64[s]")
    rows = chosen["overlong_trip"]
    dropoff[rows] = pickup[rows] + np.timedelta64(24 * 3600 + 37, "s")
    rows = chosen["implausible_distance"]
    trips["trip_distance"][rows] = np.where(np.arange(len(rows)) % 2, -3.2, 12_345.6)


def _remove_values(trips: dict[str, Any], rows: Int64Array) -> None:
    for index, name in enumerate(("fare_amount", "tip_amount", "PULocationID")):
        trips[name][rows[index::3]] = np.nan


def _move_out_of_month(trips: dict[str, Any], rows: Int64Array, month: Month) -> None:
    outside = np.array(
        [
            np.datetime64(month.next.start, "us"),
            np.datetime64(month.start, "us") - np.timedelta64(1, "s"),
            np.datetime64("2008-12-31T23:05:00", "us"),
            np.datetime64("2041-01-02T10:00:00", "us"),
        ]
    )[np.arange(len(rows)) % 4]
    duration = trips["tpep_dropoff_datetime"][rows] - trips["tpep_pickup_datetime"][rows]
    trips["tpep_pickup_datetime"][rows], trips["tpep_dropoff_datetime"][rows] = outside, outside + duration


def _refund(trips: dict[str, Any], rows: Int64Array) -> None:
    """Set the fare of a quarter of the rows to 0, and negate the amounts of the others."""
    free, refunded = rows[: len(rows) // 4], rows[len(rows) // 4 :]
    trips["fare_amount"][free] = 0.0
    trips["tip_amount"][rows] = 0.0
    for name in ("fare_amount", "extra", "mta_tax", "tolls_amount", "improvement_surcharge", "total_amount"):
        trips[name][refunded] *= -1
    trips["payment_type"][refunded] = 4


def _arrow_column(name: str, values: Any, rows: int) -> pa.Array:
    if values is None:
        return pa.nulls(rows)
    if name in ("PULocationID", "DOLocationID"):
        return pa.array(values, pa.float64(), from_pandas=True).cast(pa.int64())
    return pa.array(values, from_pandas=True)


SYNTHETIC = SyntheticFiles(
    kind="yellow",
    months=SYNTHETIC_MONTHS,
    drift_kinds=DRIFT_KINDS,
    file_name=month_file_name,
    generate_month=generate_month,
)
