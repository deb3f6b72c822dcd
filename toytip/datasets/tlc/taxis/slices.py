"""The evaluation slices of taxi trips."""

from __future__ import annotations

from toytip.core.dataset.slices import column_slice
from toytip.datasets.tlc.rides import AIRPORT_SLICE, BOROUGH_SLICE, HOUR_SLICE, WEEKDAY_SLICE, distance_slice
from toytip.datasets.tlc.taxis.words import VALUE_WORDS

SLICES = (
    distance_slice("trip_distance"),
    AIRPORT_SLICE,
    HOUR_SLICE,
    WEEKDAY_SLICE,
    column_slice("payment_type", "payment_type", VALUE_WORDS["payment_type"]),
    column_slice("rate_code", "RatecodeID", VALUE_WORDS["RatecodeID"]),
    column_slice("vendor", "VendorID", VALUE_WORDS["VendorID"], "vendor {}"),
    BOROUGH_SLICE,
)
