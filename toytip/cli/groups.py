"""Options that commands take together, and `spread`, through which Typer sees them.

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
    CaOption,
    CertOption,
    ClusterOption,
    DebugOption,
    DepthOption,
    EndpointOption,
    EnvOption,
    EtaOption,
    FeaturesOption,
    KeyOption,
    MemoryOption,
    MonthsOption,
    ParamsOption,
    PlainOption,
    PopulationOption,
    QuietOption,
    RoundsOption,
    RowsOption,
    SchedulerOption,
    SourceEndpointOption,
    SourceOption,
    StartOption,
    StopOption,
    StoreOption,
    TestOption,
    ThreadsOption,
    TrainOption,
    ValidOption,
    VersionOption,
    WorkersOption,
)


class Options(TypedDict):
    """Of every command; it is `guarded` that looks at it."""

    debug: DebugOption


class StoreOptions(Options):
    """Where versions are."""

    store: StoreOption
    endpoint: EndpointOption
    env: EnvOption


class PublishOptions(StoreOptions):
    """Where a version is to be."""

    version: VersionOption


class SourceOptions(TypedDict):
    """What trips are read, and in what pieces."""

    source: SourceOption
    source_endpoint: SourceEndpointOption
    months: MonthsOption
    partition_rows: RowsOption


class WorkerOptions(TypedDict):
    """How many work."""

    workers: WorkersOption


class SizeOptions(WorkerOptions):
    """How many work, and how large each is."""

    threads_per_worker: ThreadsOption
    memory_limit: MemoryOption


class PlaceOptions(TypedDict):
    """Where they work."""

    scheduler: SchedulerOption
    cluster: ClusterOption
    adapt: AdaptOption


class TlsOptions(TypedDict):
    """Whom they trust."""

    tls_ca_file: CaOption
    tls_cert: CertOption
    tls_key: KeyOption


class ClusterOptions(WorkerOptions, PlaceOptions, TlsOptions):
    """Who works on what is in the store already."""


class SizedOptions(SizeOptions, PlaceOptions, TlsOptions):
    """Who works on a source: how large a worker is counts there."""

    start_method: StartOption


class SplitOptions(TypedDict):
    """What is learned from."""

    train: TrainOption
    valid: ValidOption
    test: TestOption
    features: FeaturesOption
    population: PopulationOption


class BoostOptions(TypedDict):
    """How it is learned."""

    params: ParamsOption
    rounds: RoundsOption
    max_depth: DepthOption
    eta: EtaOption
    early_stop: StopOption


class ShownOptions(TypedDict):
    """How far it is."""

    quiet: QuietOption
    plain: PlainOption


Command = TypeVar("Command", bound=Callable[..., None])


def spread(command: Command) -> Command:
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
