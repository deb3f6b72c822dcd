"""The meaning of the columns, features and label of taxi trips, for `docs/reference/`."""

from __future__ import annotations

from toytip.core.glossary import ColumnDoc

# The TLC's data dictionaries for yellow and green trip records define the TLC's columns.
COLUMN_DOCS = {
    "pickup_at": ColumnDoc("Time when the meter was started, in New York time.", "", "pickup"),
    "dropoff_at": ColumnDoc("Time when the meter was stopped, in New York time.", "", "dropoff"),
    "VendorID": ColumnDoc(
        "Company that supplied the record: 1 Creative Mobile, 2 Curb, in later years also 6 Myle and 7 Helix.",
        "code",
        "pickup",
    ),
    "passenger_count": ColumnDoc("Number of passengers that the driver entered.", "people", "pickup"),
    "trip_distance": ColumnDoc("Distance that the meter measured.", "miles", "dropoff"),
    "PULocationID": ColumnDoc("Taxi zone of the pickup, 1 to 265.", "code", "pickup"),
    "DOLocationID": ColumnDoc("Taxi zone of the dropoff, 1 to 265.", "code", "dropoff"),
    "RatecodeID": ColumnDoc(
        "Rate code at the end of the trip: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, "
        "5 negotiated, 6 group.",
        "code",
        "dropoff",
    ),
    "payment_type": ColumnDoc(
        "Payment type: 0 flex fare (dispatched), 1 card, 2 cash, 3 no charge, 4 dispute, "
        "5 unknown, 6 voided.",
        "code",
        "payment",
    ),
    "trip_type": ColumnDoc(
        "Type of a green taxi trip: 1 hailed in the street, 2 dispatched.", "code", "pickup"
    ),
    "fare_amount": ColumnDoc(
        "Metered fare for time and distance, without tip, extras, taxes, tolls, surcharges and fees.",
        "dollars",
        "dropoff",
    ),
    "tip_amount": ColumnDoc("Tip of a card trip. Cash tips are not recorded.", "dollars", "settled"),
    "extra": ColumnDoc("Extra charges, for example for rush-hour and overnight trips.", "dollars", "dropoff"),
    "mta_tax": ColumnDoc("Tax of the Metropolitan Transportation Authority.", "dollars", "dropoff"),
    "tolls_amount": ColumnDoc("Tolls for bridges and tunnels.", "dollars", "dropoff"),
    "improvement_surcharge": ColumnDoc("Improvement surcharge, since 2015.", "dollars", "dropoff"),
    "congestion_surcharge": ColumnDoc(
        "Congestion surcharge of New York State, since 2019.", "dollars", "dropoff"
    ),
    "airport_fee": ColumnDoc(
        "Fee for a yellow taxi pickup at LaGuardia or JFK airport.", "dollars", "dropoff"
    ),
    "cbd_congestion_fee": ColumnDoc(
        "Toll for Manhattan's congestion zone, since 2025.", "dollars", "dropoff"
    ),
    "pickup_weekday": ColumnDoc("Day of the week of the pickup, 0 (Monday) to 6 (Sunday).", "", "pickup"),
    "pickup_hour": ColumnDoc("Hour of the pickup, 0 to 23.", "hours", "pickup"),
    "pickup_minute": ColumnDoc("Minute of the pickup, 0 to 59.", "minutes", "pickup"),
    "work_hours": ColumnDoc(
        "1 if the pickup is on a weekday (Monday to Friday) from 8:00 to 18:59, otherwise 0.", "", "pickup"
    ),
    "trip_time": ColumnDoc("Time from pickup to dropoff.", "seconds", "dropoff"),
    "trip_speed": ColumnDoc("Mean speed: distance divided by time.", "miles per hour", "dropoff"),
    "pickup_zone_rate": ColumnDoc(
        "Share of high tips among earlier card trips from the pickup zone.", "share", "pickup"
    ),
    "dropoff_zone_rate": ColumnDoc(
        "Share of high tips among earlier card trips to the dropoff zone.", "share", "dropoff"
    ),
    "zone_pair_rate": ColumnDoc(
        "Share of high tips among earlier card trips from the pickup zone to the dropoff zone.",
        "share",
        "dropoff",
    ),
    "high_tip": ColumnDoc("Label: whether the tip is more than a fifth of the fare.", "", "settled"),
}
