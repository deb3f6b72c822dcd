"""Descriptions of all columns and metrics. `docs/reference/` is generated from them."""

from __future__ import annotations

from typing import NamedTuple

from toytip.errors import SchemaError

# The availability of a value, in the order of a trip. Settled values are known only with the tip.
AVAILABILITY_DESCRIPTIONS = {
    "pickup": "known when the passenger gets in",
    "dropoff": "known when the ride ends, before payment",
    "payment": "known when the passenger chooses how to pay",
    "settled": "known only with the tip or after it, so it cannot be a feature",
}


class ColumnDoc(NamedTuple):
    """A column: its meaning, its unit, and its availability.

    Columns that toytip computes after the trip have no availability.
    """

    text: str
    unit: str = ""
    available_at: str = ""


# Source of the TLC's columns: its data dictionaries for yellow and green trip records.
COLUMN_DOCS = {
    "trip_id": ColumnDoc(
        "ID of the trip. Its digits are taxi, year and month of the file, and row in the file."
    ),
    "pickup_at": ColumnDoc("Time when the meter was started, in New York local time.", "", "pickup"),
    "dropoff_at": ColumnDoc("Time when the meter was stopped, in New York local time.", "", "dropoff"),
    "VendorID": ColumnDoc(
        "Provider of the record: 1 Creative Mobile, 2 Curb, later also 6 Myle and 7 Helix.", "code", "pickup"
    ),
    "passenger_count": ColumnDoc("Number of passengers, entered by the driver.", "people", "pickup"),
    "trip_distance": ColumnDoc("Distance on the meter.", "miles", "dropoff"),
    "PULocationID": ColumnDoc("Taxi zone of the pickup, 1 to 265.", "code", "pickup"),
    "DOLocationID": ColumnDoc("Taxi zone of the dropoff, 1 to 265.", "code", "dropoff"),
    "RatecodeID": ColumnDoc(
        "Rate code at the end of the trip: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, 5 negotiated, 6 group.",
        "code",
        "dropoff",
    ),
    "payment_type": ColumnDoc(
        "Payment type: 0 flex fare, 1 card, 2 cash, 3 no charge, 4 dispute, 5 unknown, 6 voided.",
        "code",
        "payment",
    ),
    "trip_type": ColumnDoc("Green taxis only: 1 hailed in the street, 2 dispatched.", "code", "pickup"),
    "fare_amount": ColumnDoc("Fare on the meter, without the surcharges below.", "dollars", "dropoff"),
    "tip_amount": ColumnDoc("Tip of a card trip. Cash tips are not recorded.", "dollars", "settled"),
    "extra": ColumnDoc("Extras, for example for rush hour and night.", "dollars", "dropoff"),
    "mta_tax": ColumnDoc("Tax of the Metropolitan Transportation Authority.", "dollars", "dropoff"),
    "tolls_amount": ColumnDoc("Tolls for bridges and tunnels.", "dollars", "dropoff"),
    "improvement_surcharge": ColumnDoc("Improvement surcharge, since 2015.", "dollars", "dropoff"),
    "congestion_surcharge": ColumnDoc("Congestion surcharge of the state, since 2019.", "dollars", "dropoff"),
    "airport_fee": ColumnDoc(
        "Fee for a pickup at LaGuardia or JFK (yellow taxis only).", "dollars", "dropoff"
    ),
    "cbd_congestion_fee": ColumnDoc("Toll for the congestion zone, since 2025.", "dollars", "dropoff"),
    "reason": ColumnDoc("First cleaning rule that the trip violates."),
    "pickup_weekday": ColumnDoc("Day of the week of the pickup, 0 = Monday.", "", "pickup"),
    "pickup_hour": ColumnDoc("Hour of the pickup, 0 to 23.", "hours", "pickup"),
    "pickup_minute": ColumnDoc("Minute of the pickup, 0 to 59.", "minutes", "pickup"),
    "work_hours": ColumnDoc(
        "1 from Monday to Friday in the hours 8 to 18 inclusive, otherwise 0.", "", "pickup"
    ),
    "trip_time": ColumnDoc("Duration from pickup to dropoff.", "seconds", "dropoff"),
    "trip_speed": ColumnDoc("Distance divided by duration.", "miles per hour", "dropoff"),
    "pickup_zone_rate": ColumnDoc(
        "Share of high tips among earlier card trips from the pickup zone.", "share", "pickup"
    ),
    "dropoff_zone_rate": ColumnDoc(
        "Share of high tips among earlier card trips to the dropoff zone.", "share", "dropoff"
    ),
    "zone_pair_rate": ColumnDoc(
        "Share of high tips among earlier card trips between the two zones.", "share", "dropoff"
    ),
    "high_tip": ColumnDoc("Label: whether the tip is more than 20 % of the fare.", "", "settled"),
    "probability": ColumnDoc("Predicted probability of a high tip.", "share"),
    "prediction": ColumnDoc("Whether the probability reaches the threshold of the model."),
    "split": ColumnDoc("Split of the trip: train, validation, test, or other."),
    "model_version": ColumnDoc("Version of the model."),
    "feature": ColumnDoc("Name of the feature."),
    "is_card": ColumnDoc("Whether the trips were paid by card."),
    "trips": ColumnDoc("Number of trips with about this value.", "trips"),
    "value_sum": ColumnDoc("Sum of the values of these trips.", "`1 / value_scale` of the feature's unit"),
    "value_scale": ColumnDoc("Number by which `value_sum` is divided to get the feature's unit."),
    "kind": ColumnDoc("Kind of the measure: drift, missing, rejects, share, performance, model or estimate."),
    "name": ColumnDoc("Feature, reject reason, share or metric that is measured."),
    "measure": ColumnDoc("Measure, for example psi, ks or rate."),
    "reference": ColumnDoc("Value in the reference months. Null if the measure is itself a comparison."),
    "effect": ColumnDoc("Number that is compared with the threshold."),
    "threshold": ColumnDoc("Largest effect that is not a breach. Null if the measure has no threshold."),
    "exceeds_threshold": ColumnDoc("Whether the effect exceeds the threshold."),
    "alert": ColumnDoc("Whether an alert fires in this month."),
}
# Columns whose meaning depends on the table.
TABLE_COLUMN_DOCS = {
    ("feature_histograms", "value"): ColumnDoc(
        "Value, rounded to 9 significant bits. Null stands for missing values.", "unit of the feature"
    ),
    ("monitoring", "value"): ColumnDoc("Value of the measure in the month."),
}
# The folders of a table, which query engines return as columns.
PATH_COLUMN_DOCS = {
    "version": ColumnDoc("Version, for example `v20261124T101500Z-3f9c2a`."),
    "year": ColumnDoc("Year of the source file."),
    "month": ColumnDoc("Month of the source file."),
}

METRIC_DOCS = {
    "rows": ColumnDoc("Number of trips.", "trips"),
    "prevalence": ColumnDoc("Share of trips with a high tip.", "share"),
    "auc": ColumnDoc(
        "Probability that a trip with a high tip ranks above a trip without. A random ranking has 0.5."
    ),
    "pr_auc": ColumnDoc("Area under the precision-recall curve. A random ranking has the prevalence."),
    "log_loss": ColumnDoc("Mean negative log-likelihood of the label. Lower is better.", "nats"),
    "brier": ColumnDoc("Mean squared error of the probability. Lower is better."),
    "f1": ColumnDoc("Harmonic mean of precision and recall at the threshold of the model."),
    "precision": ColumnDoc("Share of trips with a high tip among the positive predictions.", "share"),
    "recall": ColumnDoc("Share of positive predictions among the trips with a high tip.", "share"),
    "f1_always_positive": ColumnDoc("F1 of the baseline that predicts a high tip for every trip."),
}


def column_doc(table: str, column: str) -> ColumnDoc:
    """Return the description of a column. Raises SchemaError if there is none.

    >>> column_doc("features", "trip_speed").unit
    'miles per hour'
    """
    doc = TABLE_COLUMN_DOCS.get((table, column)) or COLUMN_DOCS.get(column)
    if doc is None:
        raise SchemaError(
            f"cannot describe column {column} of {table}: it is not documented",
            hint="Describe it in toytip/core/glossary.py.",
        )
    return doc
