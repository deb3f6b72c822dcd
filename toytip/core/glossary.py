"""The meaning of metrics, and of columns that all data sets have, for `docs/reference/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from toytip.errors import SchemaError


class ColumnDoc(NamedTuple):
    """The meaning and unit of a column, and its availability if it describes the trip itself."""

    text: str
    unit: str = ""
    available_at: str = ""


COLUMN_DOCS = {
    "trip_id": ColumnDoc(
        "ID of the trip. Its digits are the taxi type, the year and month of the file, and the row in the file."
    ),
    "reason": ColumnDoc("First cleaning rule that rejects the trip."),
    "probability": ColumnDoc("Probability of a positive label, as predicted by the model.", "share"),
    "prediction": ColumnDoc("Whether the probability is at least the decision threshold of the model."),
    "split": ColumnDoc(
        "Split to which the trip belongs: train, validation, test, or other (none of the three)."
    ),
    "model_version": ColumnDoc("Version of the run that trained the model."),
    "feature": ColumnDoc(
        "Name of the feature. Only the data check uses the histograms `label`, `day_of_month` and `trip_hash`."
    ),
    "in_segment": ColumnDoc(
        "Whether the counted trips are in the segment of the data set, for example paid by card."
    ),
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
    "prevalence": ColumnDoc("Share of trips with a positive label.", "share"),
    "auc": ColumnDoc(
        "Probability that a random trip with a positive label has a higher score than a random trip without one. "
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
        "Share of trips with a positive label, among the trips for which the model predicts one.", "share"
    ),
    "recall": ColumnDoc(
        "Share of trips for which the model predicts a positive label, among the trips with a positive label.",
        "share",
    ),
    "f1_always_positive": ColumnDoc("F1 of the baseline that predicts a positive label for every trip."),
}


def column_doc(table: str, column: str, column_docs: Mapping[str, ColumnDoc]) -> ColumnDoc:
    """Return the meaning of a column, given the columns of a data set.

    Raises SchemaError if the column is not documented.
    """
    doc = TABLE_COLUMN_DOCS.get((table, column)) or {**COLUMN_DOCS, **column_docs}.get(column)
    if doc is None:
        raise SchemaError(
            f"cannot describe column {column} of {table}: it is not documented",
            hint="Add it to the column docs of the data set.",
        )
    return doc
