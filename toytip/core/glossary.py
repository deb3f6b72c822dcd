"""What the words of the tables and of the metrics mean: data, for whoever describes them.

Every column of every table has its line here, and every metric: the reference in `docs/reference/` is made from them.
"""

from __future__ import annotations

from typing import NamedTuple

from toytip.errors import SchemaError

# The moments of a trip, in order; what is settled is known only once the tip is.
AVAILABILITY_DESCRIPTIONS = {
    "pickup": "as the passenger gets in",
    "dropoff": "as the ride ends, before it is paid",
    "payment": "as the passenger chooses how to pay",
    "settled": "with the tip, or after it: never a feature",
}


class ColumnDoc(NamedTuple):
    """What a column says, its unit, and the moment of the trip at which it is known; none of what toytip makes."""

    text: str
    unit: str = ""
    available_at: str = ""


# Source of those that the TLC fills: its data dictionaries for yellow and green trip records.
COLUMN_DOCS = {
    "trip_id": ColumnDoc(
        "The trip, readable as a number: taxi, year and month of the file, row in the file."
    ),
    "pickup_at": ColumnDoc("When the meter was started, as the clock in New York showed it.", "", "pickup"),
    "dropoff_at": ColumnDoc("When the meter was stopped, by the same clock.", "", "dropoff"),
    "VendorID": ColumnDoc(
        "Who made the record: 1 Creative Mobile, 2 Curb; later 6 Myle, 7 Helix.", "code", "pickup"
    ),
    "passenger_count": ColumnDoc("How many passengers, as the driver entered it.", "people", "pickup"),
    "trip_distance": ColumnDoc("How far, as the meter told it.", "miles", "dropoff"),
    "PULocationID": ColumnDoc("Taxi zone of the pickup, 1 to 265.", "code", "pickup"),
    "DOLocationID": ColumnDoc("Taxi zone of the dropoff, 1 to 265.", "code", "dropoff"),
    "RatecodeID": ColumnDoc(
        "Rate at the end of the trip: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, 5 negotiated, 6 group.",
        "code",
        "dropoff",
    ),
    "payment_type": ColumnDoc(
        "How it was paid: 1 card, 2 cash, 3 no charge, 4 dispute, 5 unknown, 6 voided; 0 where it was dispatched.",
        "code",
        "payment",
    ),
    "trip_type": ColumnDoc("Green taxis only: 1 hailed in the street, 2 dispatched.", "code", "pickup"),
    "fare_amount": ColumnDoc("The fare of the meter, without anything below.", "dollars", "dropoff"),
    "tip_amount": ColumnDoc("The tip, of card trips only: cash tips are not recorded.", "dollars", "settled"),
    "extra": ColumnDoc("Extras, as those of rush hour and night.", "dollars", "dropoff"),
    "mta_tax": ColumnDoc("The tax of the transport authority.", "dollars", "dropoff"),
    "tolls_amount": ColumnDoc("Tolls of bridges and tunnels.", "dollars", "dropoff"),
    "improvement_surcharge": ColumnDoc("The improvement surcharge, since 2015.", "dollars", "dropoff"),
    "congestion_surcharge": ColumnDoc("The state's congestion surcharge, since 2019.", "dollars", "dropoff"),
    "airport_fee": ColumnDoc("Fee of a pickup at LaGuardia or JFK; yellow taxis.", "dollars", "dropoff"),
    "cbd_congestion_fee": ColumnDoc("Toll of the congestion zone, since 2025.", "dollars", "dropoff"),
    "reason": ColumnDoc("The first cleaning rule that the trip breaks."),
    "pickup_weekday": ColumnDoc("Day of the week of the pickup, 0 = Monday.", "", "pickup"),
    "pickup_hour": ColumnDoc("Hour of the pickup, 0 to 23.", "hours", "pickup"),
    "pickup_minute": ColumnDoc("Minute of the pickup, 0 to 59.", "minutes", "pickup"),
    "work_hours": ColumnDoc(
        "1 from Monday to Friday, in the hours 8 to 18 inclusive; otherwise 0.", "", "pickup"
    ),
    "trip_time": ColumnDoc("From pickup to dropoff.", "seconds", "dropoff"),
    "trip_speed": ColumnDoc("Distance over time.", "miles an hour", "dropoff"),
    "pickup_zone_rate": ColumnDoc(
        "Share of high tips among earlier card trips from the pickup zone.", "share", "pickup"
    ),
    "dropoff_zone_rate": ColumnDoc(
        "Share of high tips among earlier card trips to the dropoff zone.", "share", "dropoff"
    ),
    "zone_pair_rate": ColumnDoc(
        "Share of high tips among earlier card trips between the two zones.", "share", "dropoff"
    ),
    "high_tip": ColumnDoc("The label: the tip is more than a fifth of the fare.", "", "settled"),
    "probability": ColumnDoc("The model's probability of a high tip.", "share"),
    "prediction": ColumnDoc("Whether the probability reaches the model's threshold."),
    "split": ColumnDoc("What the model had the trip for: train, validation or test; other where for none."),
    "model_version": ColumnDoc("Version under which the model was trained."),
    "feature": ColumnDoc("Name of the feature that is counted."),
    "is_card": ColumnDoc("Whether the trips counted were paid by card."),
    "trips": ColumnDoc("How many trips have about this value.", "trips"),
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
# A column of this name says something else in the table.
TABLE_COLUMN_DOCS = {
    ("feature_histograms", "value"): ColumnDoc(
        "The value, to 9 significant bits; null where it is missing.", "the feature's"
    ),
    ("monitoring", "value"): ColumnDoc("Value of the measure in the month."),
}
# The folders of a table, which engines give back as columns.
PATH_COLUMN_DOCS = {
    "version": ColumnDoc("The version, as `v20261124T101500Z-3f9c2a`."),
    "year": ColumnDoc("Year of the file that the trip comes from."),
    "month": ColumnDoc("Month of the file that the trip comes from."),
}

METRIC_DOCS = {
    "rows": ColumnDoc("Trips that were measured.", "trips"),
    "prevalence": ColumnDoc("Share of trips with a high tip.", "share"),
    "auc": ColumnDoc(
        "How often a trip with a high tip has the higher probability than one without; 0.5 is guessing."
    ),
    "pr_auc": ColumnDoc("Precision, averaged over the recall that it buys; its floor is the prevalence."),
    "log_loss": ColumnDoc(
        "Mean negative logarithm of the probability of what happened; smaller is better.", "nats"
    ),
    "brier": ColumnDoc("Mean squared distance of probability and outcome; smaller is better."),
    "f1": ColumnDoc("Harmonic mean of precision and recall, at the model's threshold."),
    "precision": ColumnDoc("Of the trips answered yes, the share with a high tip.", "share"),
    "recall": ColumnDoc("Of the trips with a high tip, the share answered yes.", "share"),
    "f1_always_positive": ColumnDoc("F1 of the baseline that predicts a high tip for every trip."),
}


def column_doc(table: str, column: str) -> ColumnDoc:
    """Return what a column of a table means. Raises SchemaError where nobody has said it.

    >>> column_doc("features", "trip_speed").unit
    'miles an hour'
    """
    found = TABLE_COLUMN_DOCS.get((table, column)) or COLUMN_DOCS.get(column)
    if found is None:
        raise SchemaError(f"column {column} of {table} means nothing yet: say it in toytip/core/glossary.py")
    return found
