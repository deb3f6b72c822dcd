"""`toytip backtest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from toytip.cli.app import app
from toytip.cli.options import (
    AdaptOption,
    AsOfOption,
    CaOption,
    CertOption,
    ClusterOption,
    DebugOption,
    DepthOption,
    EndpointOption,
    EnvOption,
    EtaOption,
    FeaturesOption,
    FromOption,
    JsonOption,
    KeyOption,
    MemoryOption,
    MonthsOption,
    PopulationOption,
    RoundsOption,
    RowsOption,
    SchedulerOption,
    SourceEndpointOption,
    SourceOption,
    StartOption,
    StopOption,
    StoreOption,
    ThreadsOption,
    WorkersOption,
)
from toytip.cli.shell import print_json, settings_of, upstream_of

if TYPE_CHECKING:
    from toytip.pipeline.backtest import Backtest
    from toytip.pipeline.context import Context
    from toytip.store import Manifest


@app.command(epilog="Example:  toytip backtest --source data/green-2023 --horizon 6")
def backtest(
    source: SourceOption = None,
    source_endpoint: SourceEndpointOption = None,
    months: MonthsOption = None,
    from_: FromOption = None,
    as_of: AsOfOption = None,
    first: Annotated[
        int, typer.Option("--first", min=1, help="Months that the first model is trained on.")
    ] = 2,
    horizon: Annotated[
        int, typer.Option("--horizon", min=1, help="Months that each model is tested on.")
    ] = 6,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="AUC that a model may lose to one tuned last month.")
    ] = 0.005,
    partition_rows: RowsOption = None,
    store: StoreOption = None,
    endpoint: EndpointOption = None,
    env: EnvOption = None,
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
    features: FeaturesOption = None,
    population: PopulationOption = None,
    rounds: RoundsOption = None,
    max_depth: DepthOption = None,
    eta: EtaOption = None,
    early_stop: StopOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Train through every month and test on those after it, to tell how old a model may be, and what makes it worse.

    Without --source it works on the newest published features.
    """
    settings = settings_of(locals())
    from toytip.pipeline import backtest as tester
    from toytip.pipeline import plan, stages
    from toytip.pipeline.context import opened, reading
    from toytip.progress import Progress

    progress = Progress.of(settings)

    def work(context: Context, upstream: Manifest) -> tuple[Manifest, Backtest, dict[str, str]]:
        found = tester.run(context, upstream, first=first, horizon=horizon, tolerance=tolerance)
        return upstream, found, tester.save(context, found, upstream.version)

    if settings.source is not None:
        prepared = plan.prepare(settings, progress)
        with opened(settings, ("features", "rejects"), progress) as context:
            made = stages.read(context, plan.settle(context, prepared))
            upstream, found, files = work(context, made["features"])
    else:
        there = upstream_of(settings, "features", from_, as_of)
        with reading(settings, progress) as context:
            upstream, found, files = work(context, there)
    if json_:
        print_json({"version": upstream.version, **tester.to_json(found), "files": files})
    else:
        from toytip.cli.summarize_models import show_backtest

        show_backtest(found, files, tolerance)
