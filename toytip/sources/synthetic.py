"""The built-in synthetic year: yellow months as the TLC publishes them, made from a seed.

Zones, hours, distances, fares, card payments and tips hang together as in real months; the dirt is of the real
kinds, in amounts known beforehand; and the year drifts as 2020 did: fewer trips, shorter ones, farther from the
centre, and less often paid by card from March to May. What it teaches about pipelines is true. What it says of
passengers is made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from toytip.core.arrays import Float64Array, Int64Array
from toytip.core.months import Month, parse_months

SYNTHETIC_MONTHS = parse_months("2020-01:2020-12")
CITY_ZONES = 263
AIRPORTS = (132, 138)  # JFK (a flat fare) and LaGuardia
JFK_FARE = 52.0
CONGESTION_SURCHARGE = 2.5

# By calendar month, January first: trips against the yearly mean, and how far the year has drifted (0 to 1).
MONTHLY_VOLUME = np.array([1.42, 1.40, 1.00, 0.55, 0.60, 0.75, 0.85, 0.95, 1.05, 1.15, 1.13, 1.15])
MONTHLY_DRIFT = np.array([0.0, 0.0, 0.35, 1.0, 0.95, 0.75, 0.6, 0.5, 0.4, 0.35, 0.35, 0.3])
# Pickups by hour of the day, in any unit: from the rhythm of a working city.
HOURLY_PICKUPS = np.array(
    [27, 19, 13, 9, 8, 10, 22, 38, 47, 46, 45, 48, 51, 52, 54, 53, 49, 56, 64, 63, 56, 55, 51, 41.0]
)

# Share of a month's rows that each cleaning reason must reject: about what real months hold, and a little of all.
INVALID_ROW_SHARES = {
    "missing_value": 0.0005,
    "out_of_month": 0.0004,
    "non_positive_fare": 0.005,
    "negative_tip": 0.0002,
    "non_positive_duration": 0.0015,
    "overlong_trip": 0.0003,
    "implausible_distance": 0.0006,
}
DISPATCHED_SHARE = 0.02  # trips without passenger count, rate and payment type: real trips, to be kept

DriftKind = Literal["distance", "card", "skill"]
KILOMETERS_PER_MILE = 1.609344
CARD_TO_CASH_SHARE = 0.3


@dataclass(frozen=True, kw_only=True)
class SyntheticSpec:
    """The recipe: trips a month, on average over the year, the seed, and whether the year drifts.

    `injected_drift` is a drift of one kind, for monitoring to find: `distance`, which the meter tells in kilometres; `card`, of which
    three in ten become cash; `skill`: who tips is drawn anew among the trips paid by card, as many as before.
    """

    rows_per_month: int = 100_000
    seed: int = 2020
    drift: bool = True
    injected_drift: DriftKind | None = None


def month_file_name(month: Month) -> str:
    """Return the TLC's name for the month.

    >>> month_file_name(Month(2020, 1))
    'yellow_tripdata_2020-01.parquet'
    """
    return f"yellow_tripdata_{month}.parquet"


def month_rows(month: Month, rows_per_month: int) -> int:
    """Return the rows of a month's file when the year's mean is `rows_per_month`."""
    return max(1, round(rows_per_month * float(MONTHLY_VOLUME[month.month - 1] / MONTHLY_VOLUME.mean())))


def invalid_rows(month: Month, rows_per_month: int) -> dict[str, int]:
    """Return how many rows of the month's file each cleaning reason must reject, exactly."""
    total = month_rows(month, rows_per_month)
    return {
        reason: round(total * share) or int(total >= 1_000) for reason, share in INVALID_ROW_SHARES.items()
    }


def generate_month(month: Month, spec: SyntheticSpec) -> pa.Table:
    """Return the month's raw file, under the TLC's names and types; the same for the same month and recipe."""
    rng = np.random.default_rng([spec.seed, month.year, month.month])
    rows = month_rows(month, spec.rows_per_month)
    trips = _draw_trips(rng, month, rows, float(MONTHLY_DRIFT[month.month - 1]) if spec.drift else 0.0)
    _inject_drift(np.random.default_rng([spec.seed, month.year, month.month, 1]), trips, spec.injected_drift)
    _add_invalid_rows(rng, trips, month, invalid_rows(month, spec.rows_per_month))
    return pa.table({name: _arrow_column(name, values, rows) for name, values in trips.items()})


def _city_map() -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return where each zone lies (miles east and north of the centre) and how many trips begin there.

    The map is the same for every seed: a spiral, dense in the middle, with the airports far out.
    """
    number = np.arange(CITY_ZONES)
    radius = 10 * (number * 101 % CITY_ZONES / CITY_ZONES) ** 1.3
    angle = number * 2.399963  # the golden angle: even in all directions
    east, north = radius * np.cos(angle), radius * np.sin(angle)
    weight = np.exp(-radius / 2.2) + 0.004
    for zone, (x, y, share) in {AIRPORTS[0]: (11.0, -7.0, 0.25), AIRPORTS[1]: (7.0, 3.0, 0.3)}.items():
        east[zone - 1], north[zone - 1], weight[zone - 1] = x, y, share * weight.max()
    return east, north, weight


def _draw_trips(rng: np.random.Generator, month: Month, rows: int, drift: float) -> dict[str, Any]:
    east, north, weight = _city_map()
    radius = np.hypot(east, north)
    weight = weight * (1 + drift * 0.25 * radius)
    nearby = rng.random(rows) < 0.15
    start = rng.choice(CITY_ZONES, rows, p=weight / weight.sum())
    end = np.where(nearby, start, rng.choice(CITY_ZONES, rows, p=weight / weight.sum()))
    pickup, hour, weekend = _draw_pickups(rng, month, rows)

    street = np.abs(east[start] - east[end]) + np.abs(north[start] - north[end])
    distance = np.round((street + rng.gamma(2, 0.35, rows)) * rng.lognormal(0, 0.12, rows) + 0.01, 2)
    rush = np.exp(-(((hour - 17) / 4.0) ** 2)) * ~weekend
    speed = (
        (9 + 0.9 * np.minimum(distance, 15))
        * (1 - 0.35 * rush)
        * (1 + 0.2 * drift)
        * rng.lognormal(0, 0.18, rows)
    )
    seconds = np.clip(distance / speed * 3600, 20, 6 * 3600).astype(np.int64)

    jfk = ((start == AIRPORTS[0] - 1) & (radius[end] < 4)) | ((end == AIRPORTS[0] - 1) & (radius[start] < 4))
    metered = 2.5 + np.floor(distance * 5 * 0.75 + seconds / 60 * 0.35) * 0.5 + 0.5
    fare = np.where(jfk, JFK_FARE, metered)
    night = (hour >= 20) | (hour < 6)
    extra = np.where(night, 0.5, np.where((rush > 0.4) & (hour >= 16), 1.0, 0.0))
    core = (radius[start] < 4) | (radius[end] < 4)
    airport = np.isin(start + 1, AIRPORTS) | np.isin(end + 1, AIRPORTS)
    tolls = np.where(airport & (rng.random(rows) < 0.55), 6.12, 0.0)
    congestion = np.where(core, CONGESTION_SURCHARGE, 0.0)
    passengers = rng.choice([1, 2, 3, 4, 5, 6], rows, p=[0.72, 0.15, 0.05, 0.02, 0.035, 0.025]).astype(float)

    wealth = (
        np.cos(np.arange(CITY_ZONES) * 1.7) * 0.5 - 0.12 * radius
    )  # some zones pay by card and tip, some do not
    liking = 1.15 + 0.9 * wealth[start] + 0.012 * fare - 0.25 * weekend - 0.95 * drift + 0.3 * night
    payment = np.where(_draw_yes(rng, liking), 1, rng.choice([2, 3, 4], rows, p=[0.965, 0.02, 0.015]))
    dispatch = rng.random(rows) < DISPATCHED_SHARE * (1 + drift)
    payment = np.where(dispatch, 0, payment)
    due = fare + extra + tolls + congestion + 0.8
    generous = (
        1.15
        + 0.8 * wealth[start]
        + 0.45 * wealth[end]
        - 0.012 * (fare - 12)
        + 0.3 * rush
        + 0.2 * (passengers == 1)
    )
    tip = np.where(payment == 1, _draw_tips(rng, generous, due, fare), 0.0)

    return {
        "VendorID": rng.choice([1, 2], rows, p=[0.33, 0.67]),
        "tpep_pickup_datetime": pickup,
        "tpep_dropoff_datetime": pickup + seconds.astype("timedelta64[s]"),
        "passenger_count": np.where(dispatch, np.nan, passengers),
        "trip_distance": distance,
        "RatecodeID": np.where(dispatch, np.nan, np.where(jfk, 2.0, 1.0)),
        "store_and_fwd_flag": np.where(rng.random(rows) < 0.01, "Y", "N"),
        "PULocationID": (start + 1).astype(float),
        "DOLocationID": (end + 1).astype(float),
        "payment_type": payment.astype(np.int64),
        "fare_amount": fare,
        "extra": extra,
        "mta_tax": np.full(rows, 0.5),
        "tip_amount": tip,
        "tolls_amount": tolls,
        "improvement_surcharge": np.full(rows, 0.3),
        "total_amount": np.round(due + tip, 2),
        "congestion_surcharge": np.where(dispatch, np.nan, congestion),
        "airport_fee": None,
    }


def _draw_pickups(
    rng: np.random.Generator, month: Month, rows: int
) -> tuple[Any, Int64Array, npt.NDArray[np.bool_]]:
    """Return pickup times inside the month, with their hour and whether it is a weekend."""
    first = np.datetime64(month.start, "D")
    days = int((np.datetime64(month.next.start, "D") - first).astype(int))
    day = rng.integers(0, days, rows)
    weekend = (first + day).astype(np.int64) % 7 >= 2  # 1970-01-01 was a Thursday
    weekend &= (first + day).astype(np.int64) % 7 <= 3
    hour = rng.choice(24, rows, p=HOURLY_PICKUPS / HOURLY_PICKUPS.sum())
    hour = np.where(weekend & (rng.random(rows) < 0.3), (hour + 5) % 24, hour)
    pickup = (first + day).astype("datetime64[us]") + (hour * 3600 + rng.integers(0, 3600, rows)).astype(
        "timedelta64[s]"
    )
    return pickup, hour, weekend


def _draw_yes(rng: np.random.Generator, logit: Float64Array) -> npt.NDArray[np.bool_]:
    return np.asarray(rng.random(len(logit)) < 1 / (1 + np.exp(-logit)))


def _draw_tips(
    rng: np.random.Generator, generous: Float64Array, due: Float64Array, fare: Float64Array
) -> Float64Array:
    """Return tips by card: a button (20, 25 or 30 % of all that is due), whole dollars, or nothing."""
    rows = len(due)
    button = np.round(due * rng.choice([0.2, 0.25, 0.3], rows, p=[0.72, 0.2, 0.08]), 2)
    dollars = np.maximum(1.0, np.floor(fare * rng.uniform(0.06, 0.24, rows)))
    none = rng.random(rows) < 0.06
    return np.where(none, 0.0, np.where(_draw_yes(rng, generous), button, dollars))


def _inject_drift(rng: np.random.Generator, trips: dict[str, Any], kind: DriftKind | None) -> None:
    """Let one thing drift, in place."""
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
    rng: np.random.Generator, trips: dict[str, Any], month: Month, amounts: dict[str, int]
) -> None:
    """Spoil as many rows as `amounts` says, a different row for each reason, in place."""
    rows = len(trips["fare_amount"])
    spoiled = iter(rng.permutation(rows)[: sum(amounts.values())])
    chosen = {
        reason: np.array([next(spoiled) for _ in range(count)], dtype=int)
        for reason, count in amounts.items()
    }

    for name, at in zip(
        ("fare_amount", "tip_amount", "PULocationID"), _split_in_thirds(chosen["missing_value"]), strict=True
    ):
        trips[name][at] = np.nan
    at = chosen["out_of_month"]
    odd = np.array(
        [np.datetime64(month.next.start, "us"), np.datetime64(month.start, "us") - np.timedelta64(1, "s")]
        + [np.datetime64(text, "us") for text in ("2008-12-31T23:05:00", "2041-01-02T10:00:00")]
    )[np.arange(len(at)) % 4]
    lasted = trips["tpep_dropoff_datetime"][at] - trips["tpep_pickup_datetime"][at]
    trips["tpep_pickup_datetime"][at], trips["tpep_dropoff_datetime"][at] = odd, odd + lasted

    at = chosen["non_positive_fare"]
    refunded = at[len(at) // 4 :]
    trips["fare_amount"][at[: len(at) // 4]] = 0.0
    trips["tip_amount"][at] = 0.0
    for name in ("fare_amount", "extra", "mta_tax", "tolls_amount", "improvement_surcharge", "total_amount"):
        trips[name][refunded] *= -1
    trips["payment_type"][refunded] = 4
    trips["tip_amount"][chosen["negative_tip"]] = -1.0

    pickup, dropoff = trips["tpep_pickup_datetime"], trips["tpep_dropoff_datetime"]
    at = chosen["non_positive_duration"]
    dropoff[at] = pickup[at] - (np.arange(len(at)) % 2 * 60).astype("timedelta64[s]")
    at = chosen["overlong_trip"]
    dropoff[at] = pickup[at] + np.timedelta64(24 * 3600 + 37, "s")
    at = chosen["implausible_distance"]
    trips["trip_distance"][at] = np.where(np.arange(len(at)) % 2, -3.2, 12_345.6)


def _split_in_thirds(at: Int64Array) -> list[Int64Array]:
    return [at[k::3] for k in range(3)]


def _arrow_column(name: str, values: Any, rows: int) -> pa.Array:
    if values is None:
        return pa.nulls(rows)
    if name in ("PULocationID", "DOLocationID"):
        return pa.array(values, pa.float64(), from_pandas=True).cast(pa.int64())
    return pa.array(values, from_pandas=True)
