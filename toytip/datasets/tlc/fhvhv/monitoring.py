"""How monitoring and the data check treat the features of high-volume for-hire vehicles."""

from __future__ import annotations

from toytip.core.dataset.monitoring import MonitoringFacts

_CODES = ("company", "shared_request", "shared_match", "access_a_ride", "wav_request", "wav_match")
_ZONES = ("PULocationID", "DOLocationID")

MONITORING = MonitoringFacts(
    hour="pickup_hour",
    weekday="pickup_weekday",
    unordered=(*_CODES, *_ZONES, "work_hours", "pickup_weekday"),
    categories=(*_ZONES, *_CODES, "pickup_hour", "pickup_minute"),
    # Zones without trips are normal in a small month, and so are months without rare requests.
    unreliable_categories=(*_ZONES, "access_a_ride", "wav_request", "wav_match"),
    fees=("bcf", "sales_tax", "congestion_surcharge", "airport_fee", "cbd_congestion_fee"),
    tariffs=("tolls",),
    new_values=("tolls",),
    measurements=("trip_miles", "trip_time", "trip_speed", "wait_time", "base_passenger_fare", "driver_pay"),
    lengths=("trip_miles", "trip_time", "trip_speed", "base_passenger_fare", "driver_pay"),
    # New companies, fare rises, more traffic, and fewer drivers.
    limit_factors={
        "company": 3.0,
        "base_passenger_fare": 2.0,
        "driver_pay": 2.0,
        "bcf": 2.0,
        "sales_tax": 2.0,
        "tolls": 2.0,
        "trip_time": 2.0,
        "trip_speed": 2.0,
        "wait_time": 2.0,
    },
    compared_elsewhere=("pickup_weekday", "work_hours"),
    other_inputs={
        "label": ("tips", "base_passenger_fare"),
        "out_of_month": ("pickup_at",),
        "non_positive_fare": ("base_passenger_fare",),
        "negative_tip": ("tips",),
        "non_positive_duration": ("pickup_at", "dropoff_at"),
        "overlong_trip": ("pickup_at", "dropoff_at"),
        "implausible_distance": ("trip_miles",),
    },
)
