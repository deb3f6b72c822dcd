"""True changes of the trips, which the data check must not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from toytip.core.months import Month

Year = dict[Month, pd.DataFrame]
# Arguments: the trips of a month, and the position of the month in the year.
ChangeMonth = Callable[[pd.DataFrame, int], pd.DataFrame]
LAST_TRAINING_MONTH = 9


@dataclass(frozen=True, kw_only=True)
class TrueChange:
    """A change with its description. It changes the trips of all months."""

    name: str
    change_month: ChangeMonth

    def apply(self, year: Year) -> Year:
        """Return the year with the change."""
        return {
            month: self.change_month(year[month].copy(), position)
            for position, month in enumerate(sorted(year))
        }


def _raise_fares(start: int) -> ChangeMonth:
    """Raise fares by 23 %, in steps of 70 cents, as in December 2022. Tips rise as well."""

    def change(trips: pd.DataFrame, position: int) -> pd.DataFrame:
        if position >= start:
            trips["fare_amount"] = 3 + ((trips["fare_amount"] * 1.23 - 3) / 0.7).round() * 0.7
            trips["tip_amount"] = (trips["tip_amount"] * 1.23).round(2)
        return trips

    return change


def _change_fee(column: str, start: int, before: float, after: float) -> ChangeMonth:
    def change(trips: pd.DataFrame, position: int) -> pd.DataFrame:
        trips[column] = after if position >= start else before
        return trips

    return change


def _start_congestion_surcharge(start: int) -> ChangeMonth:
    """Remove the congestion surcharge before its start, as in January 2019."""

    def change(trips: pd.DataFrame, position: int) -> pd.DataFrame:
        if position < start:
            trips["congestion_surcharge"] = np.where(np.arange(len(trips)) % 3, np.nan, 0.0)
        return trips

    return change


def _add_toll(trips: pd.DataFrame, position: int) -> pd.DataFrame:
    """Add the toll of 2025, and a column that toytip does not know."""
    if position >= LAST_TRAINING_MONTH:
        trips["cbd_congestion_fee"], trips["request_source"] = 0.75, "app"
    return trips


def _drift_vendors(trips: pd.DataFrame, position: int) -> pd.DataFrame:
    """Let a vendor lose 6 % of its trips per month."""
    keep = (np.arange(len(trips)) % 100 >= 6 * position) | (trips["VendorID"] != 1).to_numpy()
    return trips[keep]


def _seasons(trips: pd.DataFrame, position: int) -> pd.DataFrame:
    """Let the number, length and speed of trips follow a season."""
    season = np.cos(2 * np.pi * position / 12)
    keep = np.arange(len(trips)) % 100 < 85 + 15 * season
    trips["trip_distance"] = (trips["trip_distance"] * (1 + 0.06 * season)).round(2)
    seconds = (trips["dropoff_at"] - trips["pickup_at"]) * (1 - 0.04 * season)
    trips["dropoff_at"] = trips["pickup_at"] + seconds.dt.floor("s")
    return trips[keep]


def _close_for_a_day(trips: pd.DataFrame, position: int) -> pd.DataFrame:
    """Remove the trips of one day, as in a snowstorm."""
    return trips[(trips["pickup_at"].dt.day != 23) | (position != 0)]


def _raise_tolls(trips: pd.DataFrame, position: int) -> pd.DataFrame:
    if position >= LAST_TRAINING_MONTH:
        trips["tolls_amount"] = (trips["tolls_amount"] * 1.07).round(2)
    return trips


CHANGES = tuple(
    TrueChange(name=name, change_month=change)
    for name, change in (
        ("fare rise of 23 % in the latest month", _raise_fares(LAST_TRAINING_MONTH)),
        ("fare rise of 23 % in the middle of the year", _raise_fares(5)),
        (
            "improvement surcharge from 0.3 to 1.0 in the latest month",
            _change_fee("improvement_surcharge", LAST_TRAINING_MONTH, 0.3, 1.0),
        ),
        (
            "improvement surcharge from 0.3 to 1.0 in the middle of the year",
            _change_fee("improvement_surcharge", 5, 0.3, 1.0),
        ),
        ("new congestion surcharge in the second month", _start_congestion_surcharge(1)),
        ("new congestion surcharge in the latest month", _start_congestion_surcharge(LAST_TRAINING_MONTH)),
        ("new column in the latest month", _add_toll),
        ("tolls rise in the latest month", _raise_tolls),
        ("slow shift between vendors", _drift_vendors),
        ("strong seasons", _seasons),
        ("one day without trips", _close_for_a_day),
    )
)
