"""`toytip run`."""

from __future__ import annotations

from toytip.cli.app import app
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
    ExplainOption,
    FeaturesOption,
    FreshOption,
    GateOption,
    JsonOption,
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
from toytip.cli.shell import print_json, settings_of


@app.command(epilog="Example:  toytip run --source data/green-2023 --workers 8")
def run(
    source: SourceOption = None,
    source_endpoint: SourceEndpointOption = None,
    months: MonthsOption = None,
    partition_rows: RowsOption = None,
    store: StoreOption = None,
    endpoint: EndpointOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    threads_per_worker: ThreadsOption = None,
    memory_limit: MemoryOption = None,
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    adapt: AdaptOption = None,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    start_method: StartOption = None,
    train: TrainOption = None,
    valid: ValidOption = None,
    test: TestOption = None,
    features: FeaturesOption = None,
    population: PopulationOption = None,
    params: ParamsOption = None,
    rounds: RoundsOption = None,
    max_depth: DepthOption = None,
    eta: EtaOption = None,
    early_stop: StopOption = None,
    gate: GateOption = None,
    fresh: FreshOption = None,
    explain: ExplainOption = None,
    quiet: QuietOption = False,
    plain: PlainOption = False,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run the whole pipeline: read, clean, featurize, train, infer, evaluate."""
    settings = settings_of(locals())
    from toytip.pipeline.run import run as run_all
    from toytip.progress import Progress

    summary = run_all(settings, Progress.of(settings))
    if json_:
        print_json(summary)
    elif settings.progress != "quiet":
        from toytip.cli.summarize import show

        show(summary)
