"""The meaning of every column and metric, for the pages in `docs/reference/`."""

from __future__ import annotations

from typing import NamedTuple

from toytip.errors import SchemaError

# The points in a trip at which values become available, in order.
AVAILABILITY_DESCRIPTIONS = {
    "pickup": "when the passenger gets in",
    "dropoff": "when the ride ends, before payment",
    "payment": "when the passenger chooses how to pay",
    "settled": "when the tip is paid, or later. Columns with this availability are never features.",
}


class ColumnDoc(NamedTuple):
    """The meaning and unit of a column, and its availability if it describes the trip itself."""

    text: str
    unit: str = ""
    available_at: str = ""


# The TLC's data dictionaries for yellow and green trip records define the TLC's columns.
COLUMN_DOCS = {
    "trip_id": ColumnDoc(
        "ID of the trip. Its digits are the taxi type, the year and month of the file, and the row in the file."
    ),
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
    "reason": ColumnDoc("First cleaning rule that rejects the trip."),
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
    "probability": ColumnDoc("Probability of a high tip, as predicted by the model.", "share"),
    "prediction": ColumnDoc("Whether the probability is at least the decision threshold of the model."),
    "split": ColumnDoc(
        "Split to which the trip belongs: train, validation, test, or other (none of the three)."
    ),
    "model_version": ColumnDoc("Version of the run that trained the model."),
    "feature": ColumnDoc(
        "Name of the feature. Only the data check uses the histograms `high_tip`, `pickup_day` and `trip_hash`."
    ),
    "is_card": ColumnDoc("Whether the counted trips were paid by card."),
    "trips": ColumnDoc("Number of trips in the bin.", "trips"),
    "value_sum": ColumnDoc("Sum of the feature over the trips in the bin, multiplied by `value_scale`."),
    "value_scale": ColumnDoc("Factor of `value_sum`. Divide `value_sum` by this factor to get the sum."),
    "kind": ColumnDoc(
        "Kind of the measurement: drift, missing, rejects, share, performance, model or estimate."
    ),
    "name": ColumnDoc("Name of the measured feature, reject reason, share or metric."),
    "measure": ColumnDoc("Name of the measure, for example psi, ks or rate."),
    "reference": ColumnDoc(
        "Value of the measure in the reference months. Null if the measure itself "
        "compares the month with the reference."
    ),
    "effect": ColumnDoc("Effect size, which is compared with the threshold."),
    "threshold": ColumnDoc("Largest effect that is not a breach. Null if the measure has no threshold."),
    "exceeds_threshold": ColumnDoc("Whether the effect exceeds the threshold (a breach)."),
    "alert": ColumnDoc("Whether an alert fires for this measurement in this month."),
}
# Columns with a different meaning in one table.
TABLE_COLUMN_DOCS = {
    ("feature_histograms", "value"): ColumnDoc(
        "Feature value of the bin, truncated to 9 significant bits. Null for missing values.",
        "unit of the feature",
    ),
    ("monitoring", "value"): ColumnDoc("Value of the measure in the month."),
}
# Folders in the path of a file have the form `column=value`. Query engines return
# these names and values as columns.
PATH_COLUMN_DOCS = {
    "version": ColumnDoc("Version ID, for example `v20261124T101500Z-3f9c2a`."),
    "year": ColumnDoc("Year of the source file of the trip."),
    "month": ColumnDoc("Month of the source file of the trip."),
}

METRIC_DOCS = {
    "rows": ColumnDoc("Number of evaluated trips.", "trips"),
    "prevalence": ColumnDoc("Share of trips with a high tip.", "share"),
    "auc": ColumnDoc(
        "Probability that a random trip with a high tip has a higher score than a random trip without one. "
        "Random scores have an AUC of 0.5."
    ),
    "pr_auc": ColumnDoc(
        "Average precision: the mean of the precision over all recalls. For random scores, the average "
        "precision equals the prevalence."
    ),
    "log_loss": ColumnDoc(
        "Mean negative logarithm of the probability of the observed label. Smaller is better.", "nats"
    ),
    "brier": ColumnDoc("Mean squared difference between probability and label. Smaller is better."),
    "f1": ColumnDoc("Harmonic mean of precision and recall, at the decision threshold."),
    "precision": ColumnDoc(
        "Share of trips with a high tip, among the trips for which the model predicts one.", "share"
    ),
    "recall": ColumnDoc(
        "Share of trips for which the model predicts a high tip, among the trips with a high tip.", "share"
    ),
    "f1_always_positive": ColumnDoc("F1 of the baseline that predicts a high tip for every trip."),
}


def column_doc(table: str, column: str) -> ColumnDoc:
    """Return the meaning of a column. Raises SchemaError if the column is not documented.

    >>> column_doc("features", "trip_speed").unit
    'miles per hour'
    """
    doc = TABLE_COLUMN_DOCS.get((table, column)) or COLUMN_DOCS.get(column)
    if doc is None:
        raise SchemaError(
            f"cannot describe column {column} of {table}: it is not documented",
            hint="Add it to COLUMN_DOCS in toytip/core/glossary.py.",
        )
    return doc
