"""Groups of options, and `expand_options`, which adds the options of a group to a command.

The signature of a command has its own options, followed by one group of shared options::

    @app.command()
    @expand_options
    def list_(as_of: AsOfOption = None, **options: Unpack[StoreOptions]) -> None: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypedDict, TypeVar, get_args, get_type_hints

from toytip.cli.options import (
    OUTPUT_PANEL,
    AdaptOption,
    ClusterOption,
    ColsampleBylevelOption,
    ColsampleBytreeOption,
    DebugOption,
    EarlyStoppingRoundsOption,
    EndpointUrlOption,
    EnvOption,
    FeatureSetOption,
    FullRefreshOption,
    GammaOption,
    LearningRateOption,
    MaxBinOption,
    MaxDepthOption,
    MemoryLimitOption,
    MinChildWeightOption,
    MonotoneConstraintsOption,
    MonthsOption,
    ParamsOption,
    PartitionRowsOption,
    ProgressOption,
    QuietOption,
    RegAlphaOption,
    RegLambdaOption,
    RoundsOption,
    SamplingSeedOption,
    ScalePosWeightOption,
    SchedulerOption,
    SegmentOption,
    SourceEndpointUrlOption,
    SourceOption,
    StartMethodOption,
    StoreOption,
    SubsampleOption,
    TestMonthsOption,
    ThreadsPerWorkerOption,
    TlsCaFileOption,
    TlsCertOption,
    TlsKeyOption,
    TrainMonthsOption,
    ValidationMonthOption,
    VersionIdOption,
    WorkersOption,
)


class CommonOptions(TypedDict):
    """Options of every command."""

    debug: DebugOption


class StoreOptions(CommonOptions):
    """Location of the store."""

    store: StoreOption
    endpoint_url: EndpointUrlOption
    env: EnvOption


class PublishOptions(StoreOptions):
    """Location of the store, and the ID of a new version."""

    version_id: VersionIdOption


class SourceOptions(TypedDict):
    """Source files to read, and the size of the partitions."""

    source: SourceOption
    source_endpoint_url: SourceEndpointUrlOption
    months: MonthsOption
    partition_rows: PartitionRowsOption


class WorkerOptions(TypedDict):
    """Number of workers."""

    workers: WorkersOption


class WorkerSizeOptions(WorkerOptions):
    """Number and size of the workers."""

    threads_per_worker: ThreadsPerWorkerOption
    memory_limit: MemoryLimitOption


class SchedulerOptions(TypedDict):
    """Cluster to use."""

    scheduler: SchedulerOption
    cluster: ClusterOption
    adapt: AdaptOption


class TlsOptions(TypedDict):
    """Certificates for the connection to the cluster."""

    tls_ca_file: TlsCaFileOption
    tls_cert: TlsCertOption
    tls_key: TlsKeyOption


class ClusterOptions(WorkerOptions, SchedulerOptions, TlsOptions):
    """Options of the workers that process tables of the store."""


class SizedClusterOptions(WorkerSizeOptions, SchedulerOptions, TlsOptions):
    """Options of the workers that read a source.

    A worker needs memory for one partition per thread.
    """

    start_method: StartMethodOption


class SplitOptions(TypedDict):
    """Training, validation and test months, features, segment and bins of a model."""

    train_months: TrainMonthsOption
    validation_month: ValidationMonthOption
    test_months: TestMonthsOption
    feature_set: FeatureSetOption
    segment: SegmentOption
    max_bin: MaxBinOption


class FixedBoosterOptions(TypedDict):
    """Parameters of the training that `toytip tune` does not search for."""

    scale_pos_weight: ScalePosWeightOption
    monotone_constraints: MonotoneConstraintsOption
    sampling_seed: SamplingSeedOption


class BoosterOptions(FixedBoosterOptions):
    """Parameters of the training."""

    params: ParamsOption
    rounds: RoundsOption
    max_depth: MaxDepthOption
    learning_rate: LearningRateOption
    early_stopping_rounds: EarlyStoppingRoundsOption
    min_child_weight: MinChildWeightOption
    reg_lambda: RegLambdaOption
    reg_alpha: RegAlphaOption
    gamma: GammaOption
    subsample: SubsampleOption
    colsample_bytree: ColsampleBytreeOption
    colsample_bylevel: ColsampleBylevelOption


class ProgressOptions(TypedDict):
    """Output on the terminal."""

    quiet: QuietOption
    progress: ProgressOption


class RefreshOptions(TypedDict):
    """Reuse of existing output."""

    full_refresh: FullRefreshOption


Command = TypeVar("Command", bound=Callable[..., None])


def expand_options(command: Command) -> Command:
    """Add the options of a command's group to its signature, because Typer ignores `Unpack`.

    The default of a switch is False. The default of every other option is None. Output options
    come last. Each paragraph of the docstring becomes one line, because Typer keeps line breaks.
    """
    signature = inspect.signature(command, eval_str=True)
    *own, group_parameter = signature.parameters.values()
    (group,) = get_args(group_parameter.annotation)
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if get_args(hint)[0] is bool else None,
            annotation=hint,
        )
        for name, hint in get_type_hints(group, include_extras=True).items()
    ]
    own = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) if _is_output(item) else item for item in own]
    parameters = sorted([*own, *shared], key=_is_output)
    vars(command)["__signature__"] = signature.replace(parameters=parameters)
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    command.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return command


def _is_output(parameter: inspect.Parameter) -> bool:
    """Return whether a parameter is in the output panel."""
    details = getattr(parameter.annotation, "__metadata__", (None,))[0]
    return getattr(details, "rich_help_panel", None) == OUTPUT_PANEL
