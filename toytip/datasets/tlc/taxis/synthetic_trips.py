"""Draw valid synthetic trips: a city, rides in the city, charges and payments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toytip.core.arrays import BoolArray, Float64Array, Int64Array
from toytip.core.months import Month
from toytip.datasets.tlc.synthetic_city import (
    AIRPORTS,
    CENTER_RADIUS,
    JFK,
    City,
    Rides,
    city_map,
    draw_bernoulli,
    draw_rides,
)

JFK_FARE = 52.0
AIRPORT_TOLL = 6.12
CONGESTION_SURCHARGE = 2.5
IMPROVEMENT_SURCHARGE = 0.3
MTA_TAX = 0.5
# Dispatched trips have no passenger count, rate code or congestion surcharge. They are valid.
DISPATCHED_SHARE = 0.02


def draw_trips(rng: np.random.Generator, month: Month, rows: int, drift: float) -> dict[str, Any]:
    """Return the raw columns of a month by name. `drift` is the strength of the drift, 0 to 1."""
    city = city_map()
    rides = draw_rides(rng, city, month, rows, drift)
    charges = _draw_charges(rng, city, rides)
    passengers = rng.choice([1, 2, 3, 4, 5, 6], rows, p=[0.72, 0.15, 0.05, 0.02, 0.035, 0.025]).astype(float)
    payments = _draw_payments(rng, city, rides, charges, passengers, drift)
    dispatched = payments.payment_type == 0
    return {
        "VendorID": rng.choice([1, 2], rows, p=[0.33, 0.67]),
        "tpep_pickup_datetime": rides.pickup,
        "tpep_dropoff_datetime": rides.pickup + rides.seconds.astype("timedelta64[s]"),
        "passenger_count": np.where(dispatched, np.nan, passengers),
        "trip_distance": rides.distance,
        "RatecodeID": np.where(dispatched, np.nan, np.where(charges.is_jfk, 2.0, 1.0)),
        "store_and_fwd_flag": np.where(rng.random(rows) < 0.01, "Y", "N"),
        "PULocationID": (rides.start + 1).astype(float),
        "DOLocationID": (rides.end + 1).astype(float),
        "payment_type": payments.payment_type.astype(np.int64),
        "fare_amount": charges.fare,
        "extra": charges.extra,
        "mta_tax": np.full(rows, MTA_TAX),
        "tip_amount": payments.tip,
        "tolls_amount": charges.tolls,
        "improvement_surcharge": np.full(rows, IMPROVEMENT_SURCHARGE),
        "total_amount": np.round(charges.due + payments.tip, 2),
        "congestion_surcharge": np.where(dispatched, np.nan, charges.congestion),
        "airport_fee": None,
    }


@dataclass(frozen=True, kw_only=True)
class _Charges:
    """The amounts of the trips in dollars, without the tip."""

    is_jfk: BoolArray
    is_night: BoolArray
    fare: Float64Array
    extra: Float64Array
    tolls: Float64Array
    congestion: Float64Array

    @property
    def due(self) -> Float64Array:
        """The total amount without the tip."""
        return self.fare + self.extra + self.tolls + self.congestion + (MTA_TAX + IMPROVEMENT_SURCHARGE)


def _draw_charges(rng: np.random.Generator, city: City, rides: Rides) -> _Charges:
    start, end, radius = rides.start, rides.end, city.radius
    from_jfk = (start == JFK - 1) & (radius[end] < CENTER_RADIUS)
    to_jfk = (end == JFK - 1) & (radius[start] < CENTER_RADIUS)
    metered = 2.5 + np.floor(rides.distance * 5 * 0.75 + rides.seconds / 60 * 0.35) * 0.5 + 0.5
    night = (rides.hour >= 20) | (rides.hour < 6)
    center = (radius[start] < CENTER_RADIUS) | (radius[end] < CENTER_RADIUS)
    airport = np.isin(start + 1, AIRPORTS) | np.isin(end + 1, AIRPORTS)
    return _Charges(
        is_jfk=from_jfk | to_jfk,
        is_night=night,
        fare=np.where(from_jfk | to_jfk, JFK_FARE, metered),
        extra=np.where(night, 0.5, np.where((rides.rush > 0.4) & (rides.hour >= 16), 1.0, 0.0)),
        tolls=np.where(airport & (rng.random(len(start)) < 0.55), AIRPORT_TOLL, 0.0),
        congestion=np.where(center, CONGESTION_SURCHARGE, 0.0),
    )


@dataclass(frozen=True, kw_only=True)
class _Payments:
    """Payment types (1 card, 0 dispatched), and tips in dollars."""

    payment_type: Int64Array
    tip: Float64Array


def _draw_payments(
    rng: np.random.Generator,
    city: City,
    rides: Rides,
    charges: _Charges,
    passengers: Float64Array,
    drift: float,
) -> _Payments:
    rows, preference, fare = len(rides.start), city.card_preference, charges.fare
    card_logit = (
        1.15
        + 0.9 * preference[rides.start]
        + 0.012 * fare
        - 0.25 * rides.is_weekend
        - 0.95 * drift
        + 0.3 * charges.is_night
    )
    payment_type = np.where(
        draw_bernoulli(rng, card_logit), 1, rng.choice([2, 3, 4], rows, p=[0.965, 0.02, 0.015])
    )
    payment_type = np.where(rng.random(rows) < DISPATCHED_SHARE * (1 + drift), 0, payment_type)
    tip_logit = (
        1.15
        + 0.8 * preference[rides.start]
        + 0.45 * preference[rides.end]
        - 0.012 * (fare - 12)
        + 0.3 * rides.rush
        + 0.2 * (passengers == 1)
    )
    tip = np.where(payment_type == 1, _draw_tips(rng, tip_logit, charges.due, fare), 0.0)
    return _Payments(payment_type=payment_type, tip=tip)


def _draw_tips(
    rng: np.random.Generator, logit: Float64Array, due: Float64Array, fare: Float64Array
) -> Float64Array:
    """Return card tips: none, whole dollars, or 20, 25 or 30 % of the amount due (by button)."""
    rows = len(due)
    by_button = np.round(due * rng.choice([0.2, 0.25, 0.3], rows, p=[0.72, 0.2, 0.08]), 2)
    dollars = np.maximum(1.0, np.floor(fare * rng.uniform(0.06, 0.24, rows)))
    no_tip = rng.random(rows) < 0.06
    return np.where(no_tip, 0.0, np.where(draw_bernoulli(rng, logit), by_button, dollars))
