"""What the words of the tables and of the metrics mean: data, for whoever describes them.

Every column of every table has its line here, and every metric: the reference in `docs/reference/` is made from them.
"""

from __future__ import annotations

from typing import NamedTuple

from toytip.errors import SchemaError

# The moments of a trip, in order; what is settled is known only once the tip is.
MOMENTS = {
    "pickup": "as the passenger gets in",
    "dropoff": "as the ride ends, before it is paid",
    "payment": "as the passenger chooses how to pay",
    "settled": "with the tip, or after it: never a feature",
}


class Meaning(NamedTuple):
    """What a column says, its unit, and the moment of the trip at which it is known; none of what toytip makes."""

    text: str
    unit: str = ""
    moment: str = ""


# Source of those that the TLC fills: its data dictionaries for yellow and green trip records.
COLUMNS = {
    "trip_id": Meaning("The trip, readable as a number: taxi, year and month of the file, row in the file."),
    "pickup_at": Meaning("When the meter was started, as the clock in New York showed it.", "", "pickup"),
    "dropoff_at": Meaning("When the meter was stopped, by the same clock.", "", "dropoff"),
    "VendorID": Meaning(
        "Who made the record: 1 Creative Mobile, 2 Curb; later 6 Myle, 7 Helix.", "code", "pickup"
    ),
    "passenger_count": Meaning("How many passengers, as the driver entered it.", "people", "pickup"),
    "trip_distance": Meaning("How far, as the meter told it.", "miles", "dropoff"),
    "PULocationID": Meaning("Taxi zone of the pickup, 1 to 265.", "code", "pickup"),
    "DOLocationID": Meaning("Taxi zone of the dropoff, 1 to 265.", "code", "dropoff"),
    "RatecodeID": Meaning(
        "Rate at the end of the trip: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, 5 negotiated, 6 group.",
        "code",
        "dropoff",
    ),
    "payment_type": Meaning(
        "How it was paid: 1 card, 2 cash, 3 no charge, 4 dispute, 5 unknown, 6 voided; 0 where it was dispatched.",
        "code",
        "payment",
    ),
    "trip_type": Meaning("Green taxis only: 1 hailed in the street, 2 dispatched.", "code", "pickup"),
    "fare_amount": Meaning("The fare of the meter, without anything below.", "dollars", "dropoff"),
    "tip_amount": Meaning("The tip, of card trips only: cash tips are not recorded.", "dollars", "settled"),
    "extra": Meaning("Extras, as those of rush hour and night.", "dollars", "dropoff"),
    "mta_tax": Meaning("The tax of the transport authority.", "dollars", "dropoff"),
    "tolls_amount": Meaning("Tolls of bridges and tunnels.", "dollars", "dropoff"),
    "improvement_surcharge": Meaning("The improvement surcharge, since 2015.", "dollars", "dropoff"),
    "congestion_surcharge": Meaning("The state's congestion surcharge, since 2019.", "dollars", "dropoff"),
    "airport_fee": Meaning("Fee of a pickup at LaGuardia or JFK; yellow taxis.", "dollars", "dropoff"),
    "cbd_congestion_fee": Meaning("Toll of the congestion zone, since 2025.", "dollars", "dropoff"),
    "reason": Meaning("The first cleaning rule that the trip breaks."),
    "pickup_weekday": Meaning("Day of the week of the pickup, 0 = Monday.", "", "pickup"),
    "pickup_hour": Meaning("Hour of the pickup, 0 to 23.", "hours", "pickup"),
    "pickup_minute": Meaning("Minute of the pickup, 0 to 59.", "minutes", "pickup"),
    "work_hours": Meaning(
        "1 from Monday to Friday, in the hours 8 to 18 inclusive; otherwise 0.", "", "pickup"
    ),
    "trip_time": Meaning("From pickup to dropoff.", "seconds", "dropoff"),
    "trip_speed": Meaning("Distance over time.", "miles an hour", "dropoff"),
    "pickup_zone_rate": Meaning(
        "Share of high tips among earlier card trips from the pickup zone.", "share", "pickup"
    ),
    "dropoff_zone_rate": Meaning(
        "Share of high tips among earlier card trips to the dropoff zone.", "share", "dropoff"
    ),
    "zone_pair_rate": Meaning(
        "Share of high tips among earlier card trips between the two zones.", "share", "dropoff"
    ),
    "high_tip": Meaning("The label: the tip is more than a fifth of the fare.", "", "settled"),
    "probability": Meaning("The model's probability of a high tip.", "share"),
    "prediction": Meaning("Whether the probability reaches the model's threshold."),
    "split": Meaning("What the model had the trip for: train, valid or test; other where for none."),
    "model_version": Meaning("Version under which the model was trained."),
    "feature": Meaning("Name of the feature that is counted."),
    "card": Meaning("Whether the trips counted were paid by card."),
    "trips": Meaning("How many trips have about this value.", "trips"),
    "total": Meaning("Sum of their values.", "1/1024 of the feature's unit"),
    "kind": Meaning("What was looked at: drift, missing, rejects, share, performance, skill or estimate."),
    "name": Meaning("Of which feature, reason or metric."),
    "measure": Meaning("How it is told, as psi, ks or rate."),
    "reference": Meaning("The same in the months that are compared with; null where there is none."),
    "effect": Meaning("How far both are apart, by this measure."),
    "bound": Meaning("From which effect on it counts; null where nothing is bounded."),
    "beyond": Meaning("Whether this month is beyond the bound."),
    "alert": Meaning("Whether the rule of months rings with it."),
}
# A column of this name says something else in the table.
COLUMNS_OF = {
    ("profiles", "value"): Meaning(
        "The value, to 9 significant bits; null where it is missing.", "the feature's"
    ),
    ("monitors", "value"): Meaning("What was read of the month, by this measure."),
}
# The folders of a table, which engines give back as columns.
PARTITIONS = {
    "version": Meaning("The version, as `v20261124T101500Z-3f9c2a`."),
    "year": Meaning("Year of the file that the trip comes from."),
    "month": Meaning("Month of the file that the trip comes from."),
}

# What a row is, and which command makes the table.
TABLES = {
    "trips": "A trip that was kept, under one schema for all years. Made by `toytip clean`.",
    "rejects": "A row of the source that was not kept, with the reason. Made by every run.",
    "features": "A trip that was kept: what a model may learn from, and the label. Made by every run.",
    "profiles": "A value of a feature in a part, and how many trips have it: what drift is told from. Made with `features`.",
    "scores": "A trip that was kept, with its probability, not yet decided. Made by `toytip infer`.",
    "predictions": "A trip that was kept, with what the model says of it. Made by every run.",
    "monitors": "A measure of a month, as monitoring read it. Made by every run and by `toytip monitor`.",
}

METRICS = {
    "rows": Meaning("Trips that were measured.", "trips"),
    "prevalence": Meaning("Share of trips with a high tip.", "share"),
    "auc": Meaning(
        "How often a trip with a high tip has the higher probability than one without; 0.5 is guessing."
    ),
    "pr_auc": Meaning("Precision, averaged over the recall that it buys; its floor is the prevalence."),
    "log_loss": Meaning(
        "Mean negative logarithm of the probability of what happened; smaller is better.", "nats"
    ),
    "brier": Meaning("Mean squared distance of probability and outcome; smaller is better."),
    "f1": Meaning("Harmonic mean of precision and recall, at the model's threshold."),
    "precision": Meaning("Of the trips answered yes, the share with a high tip.", "share"),
    "recall": Meaning("Of the trips with a high tip, the share answered yes.", "share"),
    "f1_always_yes": Meaning("F1 of answering yes to every trip: what F1 has to be held against."),
}


def meaning(table: str, column: str) -> Meaning:
    """Return what a column of a table means. Raises SchemaError where nobody has said it.

    >>> meaning("features", "trip_speed").unit
    'miles an hour'
    """
    found = COLUMNS_OF.get((table, column)) or COLUMNS.get(column)
    if found is None:
        raise SchemaError(f"column {column} of {table} means nothing yet: say it in toytip/glossary.py")
    return found
