"""The registry of tables and artifacts: names, columns, and how the pipeline computes them.

A table whose columns depend on the data set has no columns here: `Dataset.table` adds the columns.
To add a table, declare it here. Manifests, garbage collection, fingerprints, the row balance, the
metrics of the dashboard and the reference then include the table.
"""

from __future__ import annotations

from toytip.core.schema import Column, Table
from toytip.errors import SchemaError

# The keys in the paths of tables, which readers add as columns.
PARTITION_KEYS = ("version", "year", "month")
_CLEANING_MODULES = (
    "datasets.registry",
    "sources.formats",
    "sources.csv_files.header",
    "sources.csv_files.numbers",
    "sources.csv_files.rows",
    "sources.windows",
    "sources.reader",
    "stages.conform",
    "stages.clean",
)
_ENCODING_MODULES = ("core.splits", "stages.preprocess", "stages.target_encoding")

TRIPS = Table(
    "trips",
    description="A kept trip, with the same columns for all years. Written by `toytip stage clean`.",
    made_by="clean",
    modules=_CLEANING_MODULES,
)
# The rows of a source before cleaning. They exist only in memory.
RAW_TRIPS = Table(
    "raw_trips",
    description="A row of the source, and whether one of its values cannot be read.",
)
REJECTS = Table(
    "rejects",
    description="A rejected row of the source, with the reason. "
    "Written by `toytip run` and `toytip stage clean`.",
    made_by="clean",
    modules=_CLEANING_MODULES,
    published_with=("features", "trips"),
)
FEATURES = Table(
    "features",
    description="A kept trip: its features and its label. "
    "Written by `toytip run` and `toytip stage featurize`.",
    made_by="featurize",
    modules=("stages.featurize",),
)

# `value_sum` is the sum of a feature, multiplied by this factor and rounded to an integer.
HISTOGRAM_VALUE_SCALE = 1024
FEATURE_HISTOGRAMS = Table(
    "feature_histograms",
    (
        Column("feature", "str"),
        Column("in_segment", "bool"),
        Column("value", "float32"),
        Column("trips", "int64"),
        Column("value_sum", "int64"),
        Column("value_scale", "int32"),
    ),
    description="A bin of a feature's values, with the number of trips in the bin. Written with `features`.",
    made_by="featurize",
    modules=("stages.profile", "core.splits"),
    rows_are_trips=False,
    published_with=("features",),
)

ENCODINGS = Table(
    "encodings",
    artifact_files=("encoding.json",),
    description="The fitted encoding: bins and target encoding. "
    "Written by `toytip run` and `toytip stage preprocess`.",
    made_by="preprocess",
    modules=_ENCODING_MODULES,
    rows_are_trips=False,
)
MODELS = Table(
    "models",
    artifact_files=("model.json", "model.ubj"),
    description="The booster in XGBoost's format, and its metadata. "
    "Written by `toytip run` and `toytip stage train`.",
    made_by="train",
    modules=(
        *_ENCODING_MODULES,
        "core.parameters",
        "estimators.parallel",
        "training.boosting",
        "training.driver",
        "training.exact_sums",
        "training.fitting",
        "training.local",
        "training.matrix",
        "training.objective",
        "training.rank",
        "training.rows",
        "training.sampling",
        "training.spec",
        "evaluation.tally",
        "stages.infer",
        "stages.postprocess",
        "stages.summarize",
    ),
    rows_are_trips=False,
)

SCORES = Table(
    "scores",
    description="A kept trip with its probability of a positive label, but without a decision. "
    "Written by `toytip stage infer`.",
    made_by="infer",
    modules=(*_ENCODING_MODULES, "stages.infer"),
)
PREDICTIONS = Table(
    "predictions",
    description="A kept trip with its probability of a positive label and the decision. "
    "Written by `toytip run` and `toytip stage postprocess`.",
    made_by="postprocess",
    modules=("stages.postprocess",),
)
METRIC_HISTOGRAMS = Table(
    "metric_histograms",
    artifact_files=("metric_histograms.parquet",),
    description="Counts of predictions, from which all metrics are computed. Written with `predictions`.",
    made_by="postprocess",
    rows_are_trips=False,
    published_with=("predictions",),
)

MONITORING = Table(
    "monitoring",
    (
        Column("kind", "str"),
        Column("name", "str"),
        Column("measure", "str"),
        Column("value", "float64"),
        Column("reference", "float64"),
        Column("effect", "float64"),
        Column("threshold", "float64"),
        Column("exceeds_threshold", "bool"),
        Column("alert", "bool"),
    ),
    description="A measurement of one month. Written by `toytip run` and `toytip monitor`.",
    made_by="monitor",
    rows_are_trips=False,
)

# In order of importance. The first table in this list that a version has is its main table.
TABLES = (
    PREDICTIONS,
    SCORES,
    MODELS,
    ENCODINGS,
    FEATURES,
    TRIPS,
    REJECTS,
    MONITORING,
    METRIC_HISTOGRAMS,
    FEATURE_HISTOGRAMS,
)
TABLES_BY_NAME = {table.name: table for table in TABLES}

# A run computes each group of stages in one task per partition. Progress shows a group by one name.
FUSED_STAGES = {"read": ("clean", "featurize"), "predict": ("infer", "postprocess")}
STAGE_LABELS = {"read": "featurize", "predict": "infer"}


def get_table(name: str) -> Table:
    """Return the table or artifact with a name. Raises SchemaError for an unknown name.

    >>> get_table("models").artifact_files
    ('model.json', 'model.ubj')
    """
    if name not in TABLES_BY_NAME:
        raise SchemaError(
            f"cannot find table {name!r}: it is not in the registry",
            hint=f"Use one of {', '.join(TABLES_BY_NAME)}.",
        )
    return TABLES_BY_NAME[name]


def tables_published_with(name: str) -> tuple[Table, ...]:
    """Return the tables that are published under the same version as a table.

    >>> [table.name for table in tables_published_with("features")]
    ['rejects', 'feature_histograms']
    """
    return tuple(table for table in TABLES if name in table.published_with)


def publication_group(name: str) -> frozenset[str]:
    """Return the names of all tables that one version must contain together, including `name`.

    >>> sorted(publication_group("metric_histograms"))
    ['metric_histograms', 'predictions']
    """
    group: set[str] = set()
    pending = {name}
    while pending:
        group |= pending
        neighbors = {other for table in TABLES if table.name in pending for other in table.published_with}
        neighbors |= {table.name for other in pending for table in tables_published_with(other)}
        pending = neighbors - group
    return frozenset(group)


def stage_modules(stage: str) -> tuple[str, ...]:
    """Return the modules that determine the output of a stage, for its fingerprint.

    >>> stage_modules("clean")[-3:]
    ('sources.reader', 'stages.conform', 'stages.clean')
    """
    stages = FUSED_STAGES.get(stage, (stage,))
    return tuple(
        dict.fromkeys(
            module for name in stages for table in TABLES if table.made_by == name for module in table.modules
        )
    )


def timed_stages(table: Table) -> tuple[str, ...]:
    """Return the names under which progress measures the stages that can compute a table.

    >>> timed_stages(PREDICTIONS)
    ('infer', 'postprocess')
    """
    fused = (STAGE_LABELS[name] for name, stages in FUSED_STAGES.items() if table.made_by in stages)
    return tuple(dict.fromkeys((*fused, table.made_by)))
