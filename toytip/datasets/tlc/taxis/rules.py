"""The cleaning rules of taxi trips."""

from __future__ import annotations

from toytip.datasets.tlc.rides import required_columns, ride_rules

AMOUNTS = ("fare_amount", "tip_amount", "trip_distance")
REQUIRED_COLUMNS = required_columns(*AMOUNTS)
RULES = (
    # The rules that all rides have.
    *ride_rules(*AMOUNTS),
)
