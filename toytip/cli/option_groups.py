"""Options that commands take together, and `expand_options`, through which Typer sees them.

A command has in its signature what it uses itself, and behind that, in one group, what goes into the settings::

    @app.command()
    @spread
    def versions(as_of: AsOfOption = None, **given: Unpack[StoreOptions]) -> None: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypedDict, TypeVar, get_args, get_type_hints

from toytip.cli.options import (
    AdaptOption,
    ClusterOption,
    DebugOption,
    EarlyStoppingOption,
    EndpointUrlOption,
    EnvOption,
    FeatureSetOption,
    LearningRateOption,
    MaxDepthOption,
    MemoryLimitOption,
    MonthsOption,
    ParamsOption,
    PartitionRowsOption,
    PlainOption,
    QuietOption,
    RoundsOption,
    SchedulerOption,
    SegmentOption,
    SourceEndpointUrlOption,
    SourceOption,
    StartMethodOption,
    StoreOption,
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
    """Of every command; it is `guarded` that looks at it."""

    debug: DebugOption


class StoreOptions(CommonOptions):
    """Where versions are."""

    store: StoreOption
    endpoint_url: EndpointUrlOption
    env: EnvOption


class PublishOptions(StoreOptions):
    """Where a version is to be."""

    version_id: VersionIdOption


class SourceOptions(TypedDict):
    """What trips are read, and in what pieces."""

    source: SourceOption
    source_endpoint_url: SourceEndpointUrlOption
    months: MonthsOption
    partition_rows: PartitionRowsOption


class WorkerOptions(TypedDict):
    """How many work."""

    workers: WorkersOption


class WorkerSizeOptions(WorkerOptions):
    """How many work, and how large each is."""

    threads_per_worker: ThreadsPerWorkerOption
    memory_limit: MemoryLimitOption


class SchedulerOptions(TypedDict):
    """Where they work."""

    scheduler: SchedulerOption
    cluster: ClusterOption
    adapt: AdaptOption


class TlsOptions(TypedDict):
    """Whom they trust."""

    tls_ca_file: TlsCaFileOption
    tls_cert: TlsCertOption
    tls_key: TlsKeyOption


class ClusterOptions(WorkerOptions, SchedulerOptions, TlsOptions):
    """Who works on what is in the store already."""


class SizedClusterOptions(WorkerSizeOptions, SchedulerOptions, TlsOptions):
    """Who works on a source: how large a worker is counts there."""

    start_method: StartMethodOption


class SplitOptions(TypedDict):
    """What is learned from."""

    train_months: TrainMonthsOption
    validation_month: ValidationMonthOption
    test_months: TestMonthsOption
    feature_set: FeatureSetOption
    segment: SegmentOption


class BoosterOptions(TypedDict):
    """How it is learned."""

    params: ParamsOption
    rounds: RoundsOption
    max_depth: MaxDepthOption
    learning_rate: LearningRateOption
    early_stopping_rounds: EarlyStoppingOption


class ProgressOptions(TypedDict):
    """How far it is."""

    quiet: QuietOption
    plain: PlainOption


Command = TypeVar("Command", bound=Callable[..., None])


def expand_options(command: Command) -> Command:
    """Show Typer the options behind a command's `**given: Unpack[...]`: it reads signatures, and knows no `Unpack`.

    The command itself stays as it is. Of what nobody gives, a switch is off, and all else None.
    """
    signature = inspect.signature(command, eval_str=True)
    *own, given = signature.parameters.values()
    (group,) = get_args(given.annotation)
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if get_args(hint)[0] is bool else None,
            annotation=hint,
        )
        for name, hint in get_type_hints(group, include_extras=True).items()
    ]
    vars(command)["__signature__"] = signature.replace(parameters=[*own, *shared])
    return command
