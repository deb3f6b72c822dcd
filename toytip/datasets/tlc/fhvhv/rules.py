"""The cleaning rules of trips in high-volume for-hire vehicles."""

from __future__ import annotations

from toytip.datasets.tlc.rides import required_columns, ride_rules

AMOUNTS = ("base_passenger_fare", "tips", "trip_miles")
REQUIRED_COLUMNS = required_columns(*AMOUNTS)
RULES = ride_rules(*AMOUNTS)
