"""The meaning of the columns, features and label, for `docs/reference/`."""

from __future__ import annotations

from toytip.core.glossary import ColumnDoc

# The TLC's data dictionary of high-volume for-hire vehicles defines the TLC's columns.
COLUMN_DOCS = {
    "pickup_at": ColumnDoc("Time of the pickup, in New York time.", "", "pickup"),
    "dropoff_at": ColumnDoc("Time of the dropoff, in New York time.", "", "dropoff"),
    "request_at": ColumnDoc("Time when the passenger requested the ride, in New York time.", "", "pickup"),
    "company": ColumnDoc("Company: 2 Juno, 3 Uber, 4 Via, 5 Lyft.", "code", "pickup"),
    "PULocationID": ColumnDoc("Taxi zone of the pickup, 1 to 265.", "code", "pickup"),
    "DOLocationID": ColumnDoc("Taxi zone of the dropoff, 1 to 265.", "code", "dropoff"),
    "trip_miles": ColumnDoc("Distance of the trip.", "miles", "dropoff"),
    "trip_time": ColumnDoc("Duration of the trip, as published.", "seconds", "dropoff"),
    "base_passenger_fare": ColumnDoc("Fare before tolls, tips, taxes and fees.", "dollars", "dropoff"),
    "tolls": ColumnDoc("Tolls for bridges and tunnels.", "dollars", "dropoff"),
    "bcf": ColumnDoc("Contribution to the Black Car Fund.", "dollars", "dropoff"),
    "sales_tax": ColumnDoc("Sales tax of New York State.", "dollars", "dropoff"),
    "congestion_surcharge": ColumnDoc(
        "Congestion surcharge of New York State, since 2019.", "dollars", "dropoff"
    ),
    "airport_fee": ColumnDoc(
        "Fee for a pickup or dropoff at LaGuardia, Newark or JFK airport.", "dollars", "dropoff"
    ),
    "cbd_congestion_fee": ColumnDoc(
        "Toll for Manhattan's congestion zone, since 2025.", "dollars", "dropoff"
    ),
    "tips": ColumnDoc("Tip that the passenger paid in the app.", "dollars", "settled"),
    "driver_pay": ColumnDoc("Pay of the driver, without tolls and tips.", "dollars", "payment"),
    "shared_request": ColumnDoc("1 if the passenger agreed to a shared ride, otherwise 0.", "code", "pickup"),
    "shared_match": ColumnDoc("1 if another passenger shared the ride, otherwise 0.", "code", "dropoff"),
    "access_a_ride": ColumnDoc("1 for a trip on behalf of the MTA, otherwise 0.", "code", "pickup"),
    "wav_request": ColumnDoc("1 if a wheelchair-accessible vehicle was requested.", "code", "pickup"),
    "wav_match": ColumnDoc("1 if the vehicle was wheelchair-accessible.", "code", "dropoff"),
    "pickup_weekday": ColumnDoc("Day of the week of the pickup, 0 (Monday) to 6 (Sunday).", "", "pickup"),
    "pickup_hour": ColumnDoc("Hour of the pickup, 0 to 23.", "hours", "pickup"),
    "pickup_minute": ColumnDoc("Minute of the pickup, 0 to 59.", "minutes", "pickup"),
    "work_hours": ColumnDoc(
        "1 if the pickup is on a weekday (Monday to Friday) from 8:00 to 18:59, otherwise 0.", "", "pickup"
    ),
    "wait_time": ColumnDoc("Time from the request to the pickup.", "seconds", "pickup"),
    "trip_speed": ColumnDoc("Mean speed: distance divided by time.", "miles per hour", "dropoff"),
    "pickup_zone_rate": ColumnDoc(
        "Share of high tips among earlier trips from the pickup zone.", "share", "pickup"
    ),
    "dropoff_zone_rate": ColumnDoc(
        "Share of high tips among earlier trips to the dropoff zone.", "share", "dropoff"
    ),
    "zone_pair_rate": ColumnDoc(
        "Share of high tips among earlier trips from the pickup zone to the dropoff zone.", "share", "dropoff"
    ),
    "high_tip": ColumnDoc("Label: whether the tip is more than a fifth of the fare.", "", "settled"),
}
