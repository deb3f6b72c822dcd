"""The stages, one command each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    FreshOption,
    FromOption,
    JsonOption,
    KeyOption,
    MemoryOption,
    ModelOption,
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
from toytip.cli.shell import print_json, run_stage, settings_of, upstream_of
from toytip.errors import ConfigError

if TYPE_CHECKING:
    from toytip.pipeline.context import Context


@app.command(epilog="Example:  toytip clean --source data/green-2023 --workers 2")
def clean(
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
    fresh: FreshOption = None,
    quiet: QuietOption = False,
    plain: PlainOption = False,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Source -> the tables trips and rejects."""
    settings = settings_of(locals())
    from toytip.pipeline import plan, stages
    from toytip.progress import Progress

    progress = Progress.of(settings)
    found = plan.prepare(settings, progress)

    def work(context: Context) -> dict[str, Any]:
        return stages.clean(context, plan.settle(context, found))

    run_stage(settings, ("trips", "rejects"), work, json_, progress)


@app.command(epilog="Example:  toytip featurize --store ./toytip-store")
def featurize(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    store: StoreOption = None,
    endpoint: EndpointOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    adapt: AdaptOption = None,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    fresh: FreshOption = None,
    quiet: QuietOption = False,
    plain: PlainOption = False,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Trips -> the table features."""
    settings = settings_of(locals())
    upstream = upstream_of(settings, "trips", from_, as_of)
    from toytip.pipeline import stages

    run_stage(settings, ("features",), lambda context: stages.featurize(context, upstream), json_)


@app.command(epilog="Example:  toytip preprocess --features dropoff --valid 2023-11 --test 2023-12")
def preprocess(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    store: StoreOption = None,
    endpoint: EndpointOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    adapt: AdaptOption = None,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    train: TrainOption = None,
    valid: ValidOption = None,
    test: TestOption = None,
    features: FeaturesOption = None,
    population: PopulationOption = None,
    quiet: QuietOption = False,
    plain: PlainOption = False,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Features -> the encoding of every feature, fitted on the training months."""
    settings = settings_of(locals())
    upstream = upstream_of(settings, "features", from_, as_of)

    from toytip.pipeline import learn

    run_stage(settings, ("encodings",), lambda context: learn.preprocess(context, upstream)[0], json_)


@app.command(epilog="Example:  toytip train --rounds 100 --max-depth 8")
def train(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    store: StoreOption = None,
    endpoint: EndpointOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    adapt: AdaptOption = None,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    params: ParamsOption = None,
    rounds: RoundsOption = None,
    max_depth: DepthOption = None,
    eta: EtaOption = None,
    early_stop: StopOption = None,
    quiet: QuietOption = False,
    plain: PlainOption = False,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Encoding and its features -> the model. `--from` names the version of the encoding."""
    settings = settings_of(locals())
    upstream = upstream_of(settings, "encodings", from_, as_of)
    from toytip.history import resolve
    from toytip.pipeline.context import parent_version

    def work(context: Context) -> dict[str, Any]:
        features = resolve(context.store, "features", parent_version(upstream, "features"))
        return learn.train(context, features, learn.load_encoding(context, upstream), upstream)[0]

    from toytip.pipeline import learn

    run_stage(settings, ("models",), work, json_)


@app.command(epilog="Example:  toytip infer --model champion")
def infer(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    model: ModelOption = None,
    store: StoreOption = None,
    endpoint: EndpointOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    adapt: AdaptOption = None,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    fresh: FreshOption = None,
    quiet: QuietOption = False,
    plain: PlainOption = False,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Features and the model -> the table scores. `--from` names the version of the features."""
    settings = settings_of(locals())
    upstream = upstream_of(settings, "features", from_, as_of)
    from toytip.pipeline import models, stages

    learned = models.named(settings, model, upstream.config.get("taxi"), as_of)

    def work(context: Context) -> dict[str, Any]:
        return stages.infer(context, upstream, learned)

    run_stage(settings, ("scores",), work, json_)


@app.command(epilog="Example:  toytip postprocess --env prod")
def postprocess(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    store: StoreOption = None,
    endpoint: EndpointOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    adapt: AdaptOption = None,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    fresh: FreshOption = None,
    quiet: QuietOption = False,
    plain: PlainOption = False,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Scores -> the table predictions, decided at the model's threshold."""
    settings = settings_of(locals())
    upstream = upstream_of(settings, "scores", from_, as_of)
    from toytip.pipeline import models, stages

    learned = models.behind(settings, upstream)

    def work(context: Context) -> dict[str, Any]:
        return stages.postprocess(context, upstream, learned)

    run_stage(settings, ("predictions",), work, json_)


@app.command(epilog="Example:  toytip evaluate --from v20261124T101500Z-3f9c2a --json")
def evaluate(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    store: StoreOption = None,
    endpoint: EndpointOption = None,
    env: EnvOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    cluster: ClusterOption = None,
    adapt: AdaptOption = None,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Draw calibration and thresholds to a PNG.", show_default=False),
    ] = None,
    quiet: QuietOption = False,
    plain: PlainOption = False,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Predictions -> metrics of every split, beside the trivial baseline."""
    settings = settings_of(locals())
    upstream = upstream_of(settings, "predictions", from_, as_of)
    from toytip.pipeline import models, stages
    from toytip.pipeline.context import reading
    from toytip.progress import Progress

    learned = models.behind(settings, upstream)
    with reading(settings, Progress.of(settings)) as context:
        evaluation = stages.evaluate(context, upstream, learned)
    if picture is not None:
        _draw(picture, evaluation.report, upstream.version)
    if json_:
        print_json(
            {"version": upstream.version, "metrics": evaluation.metrics, "evaluation": evaluation.report}
        )
    elif settings.progress != "quiet":
        from toytip.cli.summarize import show_evaluation

        show_evaluation(evaluation.report)


def _draw(picture: Path, report: dict[str, dict[str, Any]], version: str) -> None:
    from toytip import plots

    try:
        picture.write_bytes(plots.evaluation(report, f"{next(reversed(report))} trips of {version}"))
    except OSError as error:
        raise ConfigError(f"--picture {picture} cannot be written: {error.strerror}") from None
