"""The declaration of the data set of yellow and green taxis."""

from __future__ import annotations

from toytip.core.dataset.dataset import Dataset
from toytip.datasets.tlc.rides import BASELINE_NAME, HOUR_AND_ZONE, MOMENTS, ZONE_RATES, stage_modules
from toytip.datasets.tlc.taxis import docs, examples, features, fields, names, rules, slices, words
from toytip.datasets.tlc.taxis.layout import LAYOUT
from toytip.datasets.tlc.taxis.monitoring import MONITORING
from toytip.datasets.tlc.taxis.synthetic import SYNTHETIC

TLC = Dataset(
    name="tlc",
    kinds=names.TAXI_NUMBERS,
    fields=fields.FIELDS,
    moments=MOMENTS,
    required_columns=rules.REQUIRED_COLUMNS,
    rules=rules.RULES,
    features=features.FEATURES,
    feature_sets={"seed": features.SEED_FEATURES},
    leaking_columns=("tip_amount", "total_amount"),
    label=features.high_tip,
    segment=features.card,
    score_columns=("PULocationID", "DOLocationID"),
    target_encoding=ZONE_RATES,
    baseline=HOUR_AND_ZONE,
    report_names=(BASELINE_NAME, "{} taxis"),
    hash_columns=("trip_time", "PULocationID", "DOLocationID", "trip_distance", "fare_amount"),
    modules=stage_modules("taxis"),
    monitoring=MONITORING,
    zone_columns=("PULocationID", "DOLocationID"),
    listed_slices=("payment_type", "borough", "distance"),
    slices=slices.SLICES,
    column_docs=docs.COLUMN_DOCS,
    value_words=words.VALUE_WORDS,
    golden_rows=examples.golden_rows,
    placeholders=examples.placeholders,
    layout=LAYOUT,
    synthetic=SYNTHETIC,
)
