"""How monitoring and the data check treat the features of taxi trips."""

from __future__ import annotations

from toytip.core.dataset.monitoring import MonitoringFacts

MONITORING = MonitoringFacts(
    hour="pickup_hour",
    weekday="pickup_weekday",
    unordered=(
        "VendorID",
        "trip_type",
        "RatecodeID",
        "payment_type",
        "PULocationID",
        "DOLocationID",
        "work_hours",
        "pickup_weekday",
    ),
    categories=(
        "PULocationID",
        "DOLocationID",
        "VendorID",
        "RatecodeID",
        "passenger_count",
        "payment_type",
        "pickup_hour",
        "pickup_minute",
        "trip_type",
    ),
    # Zones without trips are normal in a small month, and drivers enter the number of passengers.
    unreliable_categories=("PULocationID", "DOLocationID", "passenger_count"),
    fees=(
        "extra",
        "mta_tax",
        "improvement_surcharge",
        "congestion_surcharge",
        "airport_fee",
        "cbd_congestion_fee",
    ),
    tariffs=("fare_amount", "tolls_amount"),
    new_values=("tolls_amount",),
    measurements=("trip_distance", "trip_time", "trip_speed"),
    lengths=("trip_distance", "trip_time", "trip_speed", "fare_amount"),
    # New vendors, fare rises, more traffic.
    limit_factors={
        "VendorID": 3.0,
        "passenger_count": 2.0,
        "fare_amount": 2.0,
        "tolls_amount": 2.0,
        "trip_time": 2.0,
        "trip_speed": 2.0,
    },
    compared_elsewhere=("pickup_weekday", "work_hours"),
    other_inputs={
        "label": ("tip_amount", "fare_amount", "payment_type"),
        "out_of_month": ("pickup_at",),
        "non_positive_fare": ("fare_amount",),
        "negative_tip": ("tip_amount",),
        "non_positive_duration": ("pickup_at", "dropoff_at"),
        "overlong_trip": ("pickup_at", "dropoff_at"),
        "implausible_distance": ("trip_distance",),
    },
)
