"""The declaration of the data set of high-volume for-hire vehicles."""

from __future__ import annotations

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.slices import column_slice
from toytip.datasets.tlc.fhvhv import docs, examples, features, fields, names, rules, words
from toytip.datasets.tlc.fhvhv.layout import LAYOUT
from toytip.datasets.tlc.fhvhv.monitoring import MONITORING
from toytip.datasets.tlc.fhvhv.synthetic import SYNTHETIC
from toytip.datasets.tlc.rides import (
    AIRPORT_SLICE,
    BASELINE_NAME,
    BOROUGH_SLICE,
    HOUR_AND_ZONE,
    HOUR_SLICE,
    MOMENTS,
    WEEKDAY_SLICE,
    ZONE_RATES,
    distance_slice,
    stage_modules,
)

FHVHV = Dataset(
    name="fhvhv",
    kinds=names.KIND_NUMBERS,
    fields=fields.FIELDS,
    moments=MOMENTS,
    required_columns=rules.REQUIRED_COLUMNS,
    rules=rules.RULES,
    features=features.FEATURES,
    feature_sets={"seed": features.SEED_FEATURES},
    leaking_columns=("tips",),
    label=features.high_tip,
    # The files do not have a payment type.
    segment=None,
    score_columns=("PULocationID", "DOLocationID"),
    target_encoding=ZONE_RATES,
    baseline=HOUR_AND_ZONE,
    report_names=(BASELINE_NAME, "{} trips"),
    hash_columns=("trip_time", "PULocationID", "DOLocationID", "trip_miles", "base_passenger_fare"),
    modules=stage_modules("fhvhv"),
    monitoring=MONITORING,
    zone_columns=("PULocationID", "DOLocationID"),
    listed_slices=("company", "borough", "distance"),
    slices=(
        distance_slice("trip_miles"),
        AIRPORT_SLICE,
        HOUR_SLICE,
        WEEKDAY_SLICE,
        column_slice("company", "company", words.VALUE_WORDS["company"], "company {}"),
        column_slice("shared", "shared_match", words.VALUE_WORDS["shared_match"]),
        BOROUGH_SLICE,
    ),
    column_docs=docs.COLUMN_DOCS,
    value_words=words.VALUE_WORDS,
    golden_rows=examples.golden_rows,
    placeholders=examples.placeholders,
    layout=LAYOUT,
    synthetic=SYNTHETIC,
)
