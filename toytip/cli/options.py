"""Options of the command line. Each option is declared once.

If an option sets a setting, its help, choices and default come from `Settings`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from toytip.config import (
    COMPUTED_DEFAULT,
    Env,
    GateMode,
    ProgressChoice,
    Settings,
    StartMethod,
)

SOURCE_PANEL = "Source"
STORE_PANEL = "Store"
WORKERS_PANEL = "Workers and cluster"
TRAINING_PANEL = "Training"
PARAMETERS_PANEL = "Model parameters"
OUTPUT_PANEL = "Output"


def option(
    *names: str,
    help: str,  # noqa: A002 - Typer's word
    default: str = "",
    choices: tuple[str, ...] = (),
    panel: str | None = None,
    **details: Any,
) -> Any:
    """Return an option. `default` describes a default that the command computes."""
    text = f"{help} {_note(choices=', '.join(choices), default=default)}" if default else help
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=not default, **details)


def setting_option(setting: str, *names: str, panel: str | None = None, metavar: str | None = None) -> Any:
    """Return the option of a setting. Raises KeyError if there is no such setting."""
    field = Settings.model_fields[setting]
    is_flag = isinstance(field.default, bool)
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    note = _note(choices=", ".join(choices), default=default_text(setting))
    return typer.Option(
        *(names or (f"--{setting.replace('_', '-')}",)),
        help=field.description if is_flag else f"{field.description} {note}",
        rich_help_panel=panel,
        show_default=False,
        metavar=metavar,
        **_range(field),
    )


def _note(**parts: str) -> str:
    """Return the text in brackets after a help text. Rich does not read it as markup."""
    return "\\[" + "; ".join(f"{name}: {text}" for name, text in parts.items() if text) + "]"


def _range(field: FieldInfo) -> dict[str, Any]:
    """Return the `min` and `max` of a number.

    Returns nothing if a limit is exclusive, because Typer does not support exclusive limits.
    """
    limits = {
        name: getattr(item, name)
        for item in field.metadata
        for name in ("ge", "gt", "le")
        if getattr(item, name, None) is not None
    }
    return {} if "gt" in limits else {{"ge": "min", "le": "max"}[name]: limits[name] for name in limits}


def default_text(setting: str) -> str:
    """Return the default of a setting, or how toytip computes it."""
    field = Settings.model_fields[setting]
    extra = field.json_schema_extra
    computed = extra.get(COMPUTED_DEFAULT) if isinstance(extra, dict) else None
    return str(computed or field.get_default(call_default_factory=True))


SourceOption = Annotated[str | None, setting_option("source", panel=SOURCE_PANEL, metavar="SOURCE")]
SourceEndpointUrlOption = Annotated[
    str | None, setting_option("source_endpoint_url", panel=SOURCE_PANEL, metavar="URL")
]
MonthsOption = Annotated[str | None, setting_option("months", panel=SOURCE_PANEL, metavar="MONTHS")]
PartitionRowsOption = Annotated[int | None, setting_option("partition_rows", panel=SOURCE_PANEL, metavar="N")]

StoreOption = Annotated[str | None, setting_option("store", panel=STORE_PANEL, metavar="STORE")]
EndpointUrlOption = Annotated[str | None, setting_option("endpoint_url", panel=STORE_PANEL, metavar="URL")]
EnvOption = Annotated[Env | None, setting_option("env", panel=STORE_PANEL, metavar="ENV")]
VersionIdOption = Annotated[str | None, setting_option("version_id", panel=STORE_PANEL, metavar="ID")]
FullRefreshOption = Annotated[bool | None, setting_option("full_refresh", panel=STORE_PANEL)]

WorkersOption = Annotated[int | None, setting_option("workers", panel=WORKERS_PANEL, metavar="N")]
ThreadsPerWorkerOption = Annotated[
    int | None, setting_option("threads_per_worker", panel=WORKERS_PANEL, metavar="N")
]
MemoryLimitOption = Annotated[str | None, setting_option("memory_limit", panel=WORKERS_PANEL, metavar="SIZE")]
SchedulerOption = Annotated[str | None, setting_option("scheduler", panel=WORKERS_PANEL, metavar="ADDRESS")]
ClusterOption = Annotated[str | None, setting_option("cluster", panel=WORKERS_PANEL, metavar="NAME")]
AdaptOption = Annotated[str | None, setting_option("adapt", panel=WORKERS_PANEL, metavar="MIN:MAX")]
TlsCaFileOption = Annotated[str | None, setting_option("tls_ca_file", panel=WORKERS_PANEL, metavar="FILE")]
TlsCertOption = Annotated[str | None, setting_option("tls_cert", panel=WORKERS_PANEL, metavar="FILE")]
TlsKeyOption = Annotated[str | None, setting_option("tls_key", panel=WORKERS_PANEL, metavar="FILE")]
StartMethodOption = Annotated[
    StartMethod | None, setting_option("start_method", panel=WORKERS_PANEL, metavar="METHOD")
]

TrainMonthsOption = Annotated[
    str | None, setting_option("train_months", panel=TRAINING_PANEL, metavar="MONTHS")
]
ValidationMonthOption = Annotated[
    str | None, setting_option("validation_month", panel=TRAINING_PANEL, metavar="MONTH")
]
TestMonthsOption = Annotated[
    str | None, setting_option("test_months", panel=TRAINING_PANEL, metavar="MONTHS")
]
FeatureSetOption = Annotated[str | None, setting_option("feature_set", panel=TRAINING_PANEL, metavar="SET")]
SegmentOption = Annotated[str | None, setting_option("segment", panel=TRAINING_PANEL, metavar="SEGMENT")]
ParamsOption = Annotated[str | None, setting_option("params", panel=TRAINING_PANEL, metavar="FILE")]
RoundsOption = Annotated[int | None, setting_option("rounds", panel=TRAINING_PANEL, metavar="N")]
MaxDepthOption = Annotated[int | None, setting_option("max_depth", panel=TRAINING_PANEL, metavar="N")]
LearningRateOption = Annotated[
    float | None, setting_option("learning_rate", panel=TRAINING_PANEL, metavar="RATE")
]
EarlyStoppingRoundsOption = Annotated[
    int | None, setting_option("early_stopping_rounds", panel=TRAINING_PANEL, metavar="N")
]
MinChildWeightOption = Annotated[
    float | None, setting_option("min_child_weight", panel=PARAMETERS_PANEL, metavar="SUM")
]
RegLambdaOption = Annotated[
    float | None, setting_option("reg_lambda", panel=PARAMETERS_PANEL, metavar="PENALTY")
]
RegAlphaOption = Annotated[
    float | None, setting_option("reg_alpha", panel=PARAMETERS_PANEL, metavar="PENALTY")
]
GammaOption = Annotated[float | None, setting_option("gamma", panel=PARAMETERS_PANEL, metavar="LOSS")]
SubsampleOption = Annotated[
    float | None, setting_option("subsample", panel=PARAMETERS_PANEL, metavar="SHARE")
]
ColsampleBytreeOption = Annotated[
    float | None, setting_option("colsample_bytree", panel=PARAMETERS_PANEL, metavar="SHARE")
]
ColsampleBylevelOption = Annotated[
    float | None, setting_option("colsample_bylevel", panel=PARAMETERS_PANEL, metavar="SHARE")
]
SamplingSeedOption = Annotated[
    int | None, setting_option("sampling_seed", panel=PARAMETERS_PANEL, metavar="N")
]
ScalePosWeightOption = Annotated[
    float | None, setting_option("scale_pos_weight", panel=PARAMETERS_PANEL, metavar="FACTOR")
]
MaxBinOption = Annotated[int | None, setting_option("max_bin", panel=PARAMETERS_PANEL, metavar="N")]
MonotoneConstraintsOption = Annotated[
    str | None, setting_option("monotone_constraints", panel=PARAMETERS_PANEL, metavar="LIST")
]
GateOption = Annotated[GateMode | None, setting_option("gate", panel=TRAINING_PANEL, metavar="MODE")]

ExplainOption = Annotated[bool | None, setting_option("explain", panel=OUTPUT_PANEL)]
ProgressOption = Annotated[
    ProgressChoice | None, setting_option("progress", panel=OUTPUT_PANEL, metavar="STYLE")
]
QuietOption = Annotated[
    bool,
    option(
        "--quiet", "-q", help="Print errors only. With --json, also print the result.", panel=OUTPUT_PANEL
    ),
]
VerboseOption = Annotated[
    bool,
    option("--verbose", "-v", help="Print all metrics, reject reasons and warnings.", panel=OUTPUT_PANEL),
]
JsonOption = Annotated[
    bool, option("--json", help="Print one JSON object, and nothing else, to stdout.", panel=OUTPUT_PANEL)
]
DebugOption = Annotated[bool, option("--debug", help="Print the traceback of an error.", panel=OUTPUT_PANEL)]

MODEL_HELP = "Model: champion, challenger, a model number such as 3, or the version or tag of a run."


def _input_version_option(default: str) -> Any:
    return option(
        "--input-version",
        help="Version or tag of the table or artifact that the command reads.",
        default=default,
        metavar="VERSION",
    )


def _as_of_option(version: str) -> Any:
    return option(
        "--as-of",
        help=f"Read the version that was {version} at this UTC time, for example 2026-11-24T10:15.",
        default="now",
        metavar="TIME",
    )


InputVersionOption = Annotated[str | None, _input_version_option("the current version")]
AsOfOption = Annotated[str | None, _as_of_option("current")]
# A stage continues with the output of the previous stage, which has no status of its own.
StageInputOption = Annotated[str | None, _input_version_option("the newest version, even of a refused run")]
StageAsOfOption = Annotated[str | None, _as_of_option("the newest")]
ModelOption = Annotated[
    str | None,
    option(
        "--model",
        help=MODEL_HELP,
        default="the newest model, even of a refused run",
        metavar="MODEL",
    ),
]
TaxiOption = Annotated[
    str | None,
    option(
        "--taxi",
        help="Taxi type of the model. Required if several types have a matching model.",
        default="the only type that has a matching model",
        metavar="TAXI",
    ),
]
ModelSegmentOption = Annotated[
    str | None,
    option(
        "--segment",
        help="Segment that the model was trained on. Required if several segments have a matching model.",
        default="the only segment that has a matching model",
        metavar="SEGMENT",
    ),
]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="Version or tag.")]


def output_option(help: str, default: str = "") -> Any:  # noqa: A002 - Typer's word
    """Return the option `--output FILE` of a command."""
    return option("--output", "-o", help=help, default=default, metavar="FILE")


ScoringTaxiOption = Annotated[
    str | None,
    option(
        "--taxi",
        help="Taxi type of the model.",
        default="the type that the pickup column of the trips shows",
        metavar="TAXI",
    ),
]
ScoringSegmentOption = Annotated[
    str | None,
    option(
        "--segment",
        help="Segment that the model was trained on.",
        default="all, if there is such a champion",
        metavar="SEGMENT",
    ),
]
ServingModelOption = Annotated[
    str | None,
    option(
        "--model",
        help=MODEL_HELP,
        default="the champion, else the current model",
        metavar="MODEL",
    ),
]
