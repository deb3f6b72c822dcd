"""Faults of monthly files, as they happen in practice, for the evaluation of the data check.

A fault changes the raw trips of a month. The strength is the share of the rows that are affected.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toytip.core.months import Month
from toytip.datasets.tlc.taxis.fields import match_fields

STRENGTHS = (0.01, 0.05, 0.2, 1.0)
KILOMETERS_PER_MILE = 1.609344
AMOUNTS = (
    "fare_amount",
    "tip_amount",
    "extra",
    "mta_tax",
    "tolls_amount",
    "improvement_surcharge",
    "congestion_surcharge",
)
UNKNOWN_ZONE = 264


@dataclass(frozen=True, kw_only=True)
class RawMonth:
    """The raw trips of a month, and those of another month of the same source."""

    month: Month
    trips: pd.DataFrame
    """One row per trip, with the columns of `trips`."""
    other: pd.DataFrame
    """The raw trips of another month."""
    rng: np.random.Generator

    def choose(self, share: float, among: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
        """Return a random share of the rows, or of the rows that are marked in `among`."""
        chosen = np.asarray(self.rng.random(len(self.trips)) < share)
        return chosen if among is None else chosen & among


Inject = Callable[[RawMonth, float], pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault with its description, and the function that injects it."""

    name: str
    inject: Inject

    def apply(self, raw: RawMonth, strength: float) -> pa.Table:
        """Return the raw table of the month with the fault in a share of its rows."""
        trips = replace(raw, trips=raw.trips.copy())
        return pa.Table.from_pandas(self.inject(trips, strength), preserve_index=False)


def read_raw(table: pa.Table) -> pd.DataFrame:
    """Return the columns of a raw table that toytip uses, under their names in `trips`."""
    names = {column: field for field, column in match_fields(table.column_names).items()}
    frame = table.select(list(names)).rename_columns(list(names.values())).to_pandas()
    integers = [name for name in frame.columns if pd.api.types.is_integer_dtype(frame[name])]
    return frame.astype(dict.fromkeys(integers, "float64"))


def _changed(*columns: str) -> Callable[[Callable[[pd.Series], pd.Series]], Inject]:
    """Return a fault that computes other values of these columns."""

    def decorate(change: Callable[[pd.Series], pd.Series]) -> Inject:
        def inject(raw: RawMonth, share: float) -> pd.DataFrame:
            rows = raw.choose(share)
            for name in columns:
                if name in raw.trips and raw.trips[name].dtype != object:
                    raw.trips.loc[rows, name] = change(raw.trips.loc[rows, name])
            return raw.trips

        return inject

    return decorate


def _set(column: str, value: float) -> Inject:
    """Return a fault that replaces the values of a column by one value."""
    return _changed(column)(lambda values: values * 0 + value if not np.isnan(value) else values * np.nan)


def _shift_times(hours: float) -> Inject:
    return _changed("pickup_at", "dropoff_at")(lambda times: times + pd.Timedelta(hours=hours))


def _lose_afternoon(raw: RawMonth, share: float) -> pd.DataFrame:
    """Write times of the afternoon with the hours of the morning."""
    rows = raw.choose(share, (raw.trips["pickup_at"].dt.hour >= 12).to_numpy())
    for name in ("pickup_at", "dropoff_at"):
        raw.trips.loc[rows, name] -= pd.Timedelta(hours=12)
    return raw.trips


def _drop_rows(raw: RawMonth, share: float) -> pd.DataFrame:
    return raw.trips[~raw.choose(min(share, 0.5))]


def _drop_days(raw: RawMonth, share: float) -> pd.DataFrame:
    """Drop the last days of the month, at least one and at most half of the days."""
    days = calendar.monthrange(*raw.month)[1]
    lost = round(min(max(share * days, 1), days / 2))
    return raw.trips[raw.trips["pickup_at"].dt.day <= days - lost]


def _drop_vendor(raw: RawMonth, share: float) -> pd.DataFrame:
    return raw.trips[~raw.choose(share, _second_vendor(raw))]


def _second_vendor(raw: RawMonth) -> npt.NDArray[np.bool_]:
    """Return the rows of the vendor with the second most trips."""
    return np.asarray(raw.trips["VendorID"] == raw.trips["VendorID"].value_counts().index[1])


def _lose_tips_of_vendor(raw: RawMonth, share: float) -> pd.DataFrame:
    raw.trips.loc[raw.choose(share, _second_vendor(raw)), "tip_amount"] = 0.0
    return raw.trips


def _swap(first: str, second: str) -> Inject:
    def inject(raw: RawMonth, share: float) -> pd.DataFrame:
        rows = raw.choose(share)
        swapped = raw.trips.loc[rows, [second, first]].to_numpy()
        raw.trips.loc[rows, [first, second]] = swapped
        return raw.trips

    return inject


def _copy_column(source: str, target: str) -> Inject:
    def inject(raw: RawMonth, share: float) -> pd.DataFrame:
        rows = raw.choose(share)
        raw.trips.loc[rows, target] = raw.trips.loc[rows, source]
        return raw.trips

    return inject


def _include_tip(raw: RawMonth, share: float) -> pd.DataFrame:
    rows = raw.choose(share)
    raw.trips.loc[rows, "fare_amount"] += raw.trips.loc[rows, "tip_amount"]
    return raw.trips


def _recode(column: str, codes: dict[float, float]) -> Inject:
    """Return a fault that replaces codes. The share counts among the rows with one of the codes."""

    def inject(raw: RawMonth, share: float) -> pd.DataFrame:
        rows = raw.choose(share, raw.trips[column].isin(codes).to_numpy())
        raw.trips.loc[rows, column] = raw.trips.loc[rows, column].map(codes)
        return raw.trips

    return inject


def _repeat_rows(raw: RawMonth, share: float) -> pd.DataFrame:
    return pd.concat([raw.trips, raw.trips[raw.choose(share)]], ignore_index=True)


def _replace_by_other_month(raw: RawMonth, share: float) -> pd.DataFrame:
    """Replace rows by rows of another month, with their dates unchanged."""
    return _mix_in(raw, raw.other, share)


def _replace_by_moved_month(raw: RawMonth, share: float) -> pd.DataFrame:
    """Replace rows by rows of another month, with their dates moved into this month."""
    moved = raw.other.copy()
    step = pd.Timestamp(raw.month.start) - moved["pickup_at"].median().to_period("M").start_time
    for name in ("pickup_at", "dropoff_at"):
        moved[name] += step
    return _mix_in(raw, moved, share)


def _mix_in(raw: RawMonth, rows: pd.DataFrame, share: float) -> pd.DataFrame:
    if share >= 1:
        return rows
    mixed = rows[raw.rng.random(len(rows)) < share]
    return pd.concat([raw.trips[~raw.choose(share)], mixed], ignore_index=True)


def _add_test_trips(raw: RawMonth, share: float) -> pd.DataFrame:
    """Replace rows by equal trips of a test system."""
    rows = raw.choose(share)
    values = {"PULocationID": UNKNOWN_ZONE, "DOLocationID": UNKNOWN_ZONE, "trip_distance": 1.0}
    values |= {"fare_amount": 1.0, "tip_amount": 0.0, "passenger_count": 1.0}
    for name, value in values.items():
        raw.trips.loc[rows, name] = value
    raw.trips.loc[rows, "dropoff_at"] = raw.trips.loc[rows, "pickup_at"] + pd.Timedelta(minutes=1)
    return raw.trips


def _faults() -> Iterator[tuple[str, Inject]]:
    yield "distance in kilometers", _changed("trip_distance")(lambda miles: miles * KILOMETERS_PER_MILE)
    yield "distance in meters", _changed("trip_distance")(lambda miles: miles * KILOMETERS_PER_MILE * 1000)
    yield "all amounts in cents", _changed(*AMOUNTS)(lambda dollars: dollars * 100)
    yield "fare in cents", _changed("fare_amount")(lambda dollars: dollars * 100)
    yield "UTC instead of local time", _shift_times(5)
    yield "times one hour late", _shift_times(1)
    yield "afternoon hours written as morning hours", _lose_afternoon
    yield "times without seconds", _changed("pickup_at", "dropoff_at")(lambda times: times.dt.floor("min"))
    yield "pickup and dropoff time swapped", _swap("pickup_at", "dropoff_at")
    yield "pickup and dropoff zone swapped", _swap("PULocationID", "DOLocationID")
    yield "dropoff zone equals pickup zone", _copy_column("PULocationID", "DOLocationID")
    yield "all zones unknown (264)", _set("PULocationID", UNKNOWN_ZONE)
    yield "days missing (at least one, at most half)", _drop_days
    yield "rows missing (at most half)", _drop_rows
    yield "one vendor missing", _drop_vendor
    yield "trips repeated", _repeat_rows
    yield "file of another month", _replace_by_other_month
    yield "file of another month with moved dates", _replace_by_moved_month
    yield "test trips", _add_test_trips
    yield "passenger count missing", _set("passenger_count", np.nan)
    yield "rate code missing", _set("RatecodeID", np.nan)
    yield "payment type missing", _set("payment_type", np.nan)
    yield "distance missing", _set("trip_distance", np.nan)
    yield "congestion surcharge missing", _set("congestion_surcharge", np.nan)
    yield "distance 0", _set("trip_distance", 0.0)
    yield "tolls 0", _set("tolls_amount", 0.0)
    yield "tax 0", _set("mta_tax", 0.0)
    yield "fare constant", _set("fare_amount", 10.0)
    yield "passenger count always 1", _set("passenger_count", 1.0)
    yield "passenger count -1", _set("passenger_count", -1.0)
    yield "distance 99.9", _set("trip_distance", 99.9)
    yield "fare 999", _set("fare_amount", 999.0)
    yield "fare rounded to dollars", _changed("fare_amount")(lambda dollars: dollars.round())
    yield "distance rounded to miles", _changed("trip_distance")(lambda miles: miles.round())
    yield "distance cut to one decimal", _changed("trip_distance")(lambda miles: np.floor(miles * 10) / 10)
    yield "fare negative", _changed("fare_amount")(lambda dollars: -dollars)
    yield "extras negative", _changed("extra")(lambda dollars: -dollars)
    yield "card recoded as cash", _recode("payment_type", {1: 2})
    yield "payment codes plus one", _recode("payment_type", {code: code + 1 for code in range(5)})
    yield "airport rate codes lost", _recode("RatecodeID", {2: 1, 3: 1})
    yield "rate code 99", _set("RatecodeID", 99.0)
    yield "tips of one vendor lost", _lose_tips_of_vendor
    yield "all tips lost", _set("tip_amount", 0.0)
    yield "fare includes the tip", _include_tip


FAULTS = tuple(Fault(name=name, inject=inject) for name, inject in _faults())
