"""The meaning of every column and metric. `docs/reference/` is generated from it."""

from __future__ import annotations

from typing import NamedTuple

from toytip.errors import SchemaError

# The stages of a trip at which values become available, in order.
AVAILABILITY_DESCRIPTIONS = {
    "pickup": "when the passenger gets in",
    "dropoff": "when the ride ends, before payment",
    "payment": "when the passenger chooses how to pay",
    "settled": "with the tip or later, so the column is never a feature",
}


class ColumnDoc(NamedTuple):
    """The meaning of a column, its unit, and its availability if it is a value of the trip."""

    text: str
    unit: str = ""
    available_at: str = ""


# Source of the TLC's columns: its data dictionaries for yellow and green trip records.
COLUMN_DOCS = {
    "trip_id": ColumnDoc(
        "ID of the trip, with readable digits: taxi type, year and month of the file, row in the file."
    ),
    "pickup_at": ColumnDoc("Time at which the meter was started, in New York time.", "", "pickup"),
    "dropoff_at": ColumnDoc("Time at which the meter was stopped, in New York time.", "", "dropoff"),
    "VendorID": ColumnDoc(
        "Provider of the record: 1 Creative Mobile, 2 Curb, and later 6 Myle and 7 Helix.", "code", "pickup"
    ),
    "passenger_count": ColumnDoc("Number of passengers that the driver entered.", "people", "pickup"),
    "trip_distance": ColumnDoc("Distance that the meter measured.", "miles", "dropoff"),
    "PULocationID": ColumnDoc("Taxi zone of the pickup, 1 to 265.", "code", "pickup"),
    "DOLocationID": ColumnDoc("Taxi zone of the dropoff, 1 to 265.", "code", "dropoff"),
    "RatecodeID": ColumnDoc(
        "Rate at the end of the trip: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, "
        "5 negotiated, 6 group.",
        "code",
        "dropoff",
    ),
    "payment_type": ColumnDoc(
        "Type of payment: 0 flex fare (dispatched), 1 card, 2 cash, 3 no charge, 4 dispute, "
        "5 unknown, 6 voided.",
        "code",
        "payment",
    ),
    "trip_type": ColumnDoc(
        "Type of a green taxi trip: 1 hailed in the street, 2 dispatched.", "code", "pickup"
    ),
    "fare_amount": ColumnDoc("Fare of the meter, without the amounts below.", "dollars", "dropoff"),
    "tip_amount": ColumnDoc("Tip of a card trip. Cash tips are not recorded.", "dollars", "settled"),
    "extra": ColumnDoc("Extras, for example for the rush hour or the night.", "dollars", "dropoff"),
    "mta_tax": ColumnDoc("Tax of the transport authority.", "dollars", "dropoff"),
    "tolls_amount": ColumnDoc("Tolls of bridges and tunnels.", "dollars", "dropoff"),
    "improvement_surcharge": ColumnDoc("Improvement surcharge, since 2015.", "dollars", "dropoff"),
    "congestion_surcharge": ColumnDoc("Congestion surcharge of the state, since 2019.", "dollars", "dropoff"),
    "airport_fee": ColumnDoc(
        "Fee for a yellow taxi pickup at LaGuardia or JFK airport.", "dollars", "dropoff"
    ),
    "cbd_congestion_fee": ColumnDoc("Toll of the congestion zone, since 2025.", "dollars", "dropoff"),
    "reason": ColumnDoc("First cleaning rule that rejects the trip."),
    "pickup_weekday": ColumnDoc("Day of the week of the pickup, 0 = Monday.", "", "pickup"),
    "pickup_hour": ColumnDoc("Hour of the pickup, 0 to 23.", "hours", "pickup"),
    "pickup_minute": ColumnDoc("Minute of the pickup, 0 to 59.", "minutes", "pickup"),
    "work_hours": ColumnDoc(
        "1 from Monday to Friday in the hours 8 to 18, inclusive. Otherwise 0.", "", "pickup"
    ),
    "trip_time": ColumnDoc("Time from pickup to dropoff.", "seconds", "dropoff"),
    "trip_speed": ColumnDoc("Distance divided by time.", "miles per hour", "dropoff"),
    "pickup_zone_rate": ColumnDoc(
        "Share of high tips among earlier card trips from the pickup zone.", "share", "pickup"
    ),
    "dropoff_zone_rate": ColumnDoc(
        "Share of high tips among earlier card trips to the dropoff zone.", "share", "dropoff"
    ),
    "zone_pair_rate": ColumnDoc(
        "Share of high tips among earlier card trips between the two zones.", "share", "dropoff"
    ),
    "high_tip": ColumnDoc("Label: whether the tip is more than a fifth of the fare.", "", "settled"),
    "probability": ColumnDoc("Probability of a high tip, as the model predicts it.", "share"),
    "prediction": ColumnDoc("Whether the probability reaches the decision threshold of the model."),
    "split": ColumnDoc("Split of the trip for the model: train, validation, test or other."),
    "model_version": ColumnDoc("Version that the model was trained as."),
    "feature": ColumnDoc("Name of the feature."),
    "is_card": ColumnDoc("Whether the counted trips were paid by card."),
    "trips": ColumnDoc("Number of trips in the bin.", "trips"),
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
# Columns with a different meaning in one table.
TABLE_COLUMN_DOCS = {
    ("feature_histograms", "value"): ColumnDoc(
        "Value of the bin, to 9 significant bits. Null for missing values.", "the feature's"
    ),
    ("monitoring", "value"): ColumnDoc("Value of the measure in the month."),
}
# The folders in the path of a file, which query engines return as columns.
PATH_COLUMN_DOCS = {
    "version": ColumnDoc("Version ID, for example `v20261124T101500Z-3f9c2a`."),
    "year": ColumnDoc("Year of the source file of the trip."),
    "month": ColumnDoc("Month of the source file of the trip."),
}

METRIC_DOCS = {
    "rows": ColumnDoc("Number of evaluated trips.", "trips"),
    "prevalence": ColumnDoc("Share of trips with a high tip.", "share"),
    "auc": ColumnDoc(
        "Probability that a trip with a high tip has a higher score than one without. A random score has 0.5."
    ),
    "pr_auc": ColumnDoc("Average precision over all recalls. A random score has the prevalence."),
    "log_loss": ColumnDoc(
        "Mean negative logarithm of the probability of the observed outcome. Smaller is better.", "nats"
    ),
    "brier": ColumnDoc("Mean squared difference between probability and outcome. Smaller is better."),
    "f1": ColumnDoc("Harmonic mean of precision and recall, at the decision threshold."),
    "precision": ColumnDoc("Share of high tips among the trips that are predicted to have one.", "share"),
    "recall": ColumnDoc("Share of predicted trips among those with a high tip.", "share"),
    "f1_always_positive": ColumnDoc("F1 of the baseline that predicts a high tip for every trip."),
}


def column_doc(table: str, column: str) -> ColumnDoc:
    """Return the meaning of a column. Raises SchemaError if it is not documented.

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
