"""The stages, one command each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import print_json, resolve_command_settings, resolve_upstream, run_stage
from toytip.cli.option_groups import (
    BoosterOptions,
    ClusterOptions,
    ProgressOptions,
    PublishOptions,
    SizedClusterOptions,
    SourceOptions,
    SplitOptions,
    StoreOptions,
    expand_options,
)
from toytip.cli.options import AsOfOption, FullRefreshOption, InputVersionOption, JsonOption, ModelOption
from toytip.errors import ConfigError

if TYPE_CHECKING:
    from toytip.evaluation.report import EvaluationReport
    from toytip.pipeline.context import RunContext


class CleanOptions(SourceOptions, PublishOptions, SizedClusterOptions, ProgressOptions):
    """Of the stage that reads a source."""

    fresh: FullRefreshOption


class StageOptions(PublishOptions, ClusterOptions, ProgressOptions):
    """Of a stage that makes one table of another."""

    fresh: FullRefreshOption


class PreprocessOptions(PublishOptions, ClusterOptions, SplitOptions, ProgressOptions):
    """Of the stage that fits encodings."""


class TrainOptions(PublishOptions, ClusterOptions, BoosterOptions, ProgressOptions):
    """Of the stage that trains."""


class EvaluateOptions(StoreOptions, ClusterOptions, ProgressOptions):
    """Of the stage that only looks."""


@app.command(epilog="Example:  toytip clean --source data/green-2023 --workers 2")
@expand_options
def clean(json_: JsonOption = False, **given: Unpack[CleanOptions]) -> None:
    """Source -> the tables trips and rejects."""
    settings = resolve_command_settings(given)
    from toytip.pipeline import read_source, source
    from toytip.progress.tracker import Progress

    progress = Progress.from_settings(settings)
    plan = source.prepare_plan(settings, progress)

    def work(context: RunContext) -> dict[str, Any]:
        return read_source.clean_source(context, source.complete_plan(context, plan))

    run_stage(settings, ("trips", "rejects"), work, json_, progress)


@app.command(epilog="Example:  toytip featurize --store ./toytip-store")
@expand_options
def featurize(
    from_: InputVersionOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **given: Unpack[StageOptions],
) -> None:
    """Trips -> the table features."""
    settings = resolve_command_settings(given)
    upstream = resolve_upstream(settings, "trips", from_, as_of)
    from toytip.pipeline import read_source

    run_stage(settings, ("features",), lambda context: read_source.featurize_trips(context, upstream), json_)


@app.command(epilog="Example:  toytip preprocess --features dropoff --valid 2023-11 --test 2023-12")
@expand_options
def preprocess(
    from_: InputVersionOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **given: Unpack[PreprocessOptions],
) -> None:
    """Features -> the encoding of every feature, fitted on the training months."""
    settings = resolve_command_settings(given)
    upstream = resolve_upstream(settings, "features", from_, as_of)

    from toytip.pipeline import fit_encoding

    def work(context: RunContext) -> dict[str, Any]:
        split = fit_encoding.split_features(settings, upstream)
        return fit_encoding.fit_feature_encoding(context, upstream, split)[0]

    run_stage(settings, ("encodings",), work, json_)


@app.command(epilog="Example:  toytip train --rounds 100 --max-depth 8")
@expand_options
def train(
    from_: InputVersionOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **given: Unpack[TrainOptions],
) -> None:
    """Encoding and its features -> the model. `--from` names the version of the encoding."""
    settings = resolve_command_settings(given)
    upstream = resolve_upstream(settings, "encodings", from_, as_of)
    from toytip.store.lineage import parent_version
    from toytip.store.refs import resolve_version

    def work(context: RunContext) -> dict[str, Any]:
        features = resolve_version(context.store, "features", parent_version(upstream, "features"))
        encoding = artifacts.load_encoding(context.store, upstream)
        return train_model(context, features, encoding, upstream, booster_params(settings))[0]

    from toytip.pipeline.plan import booster_params
    from toytip.pipeline.train import train_model
    from toytip.store import artifacts

    run_stage(settings, ("models",), work, json_)


@app.command(epilog="Example:  toytip infer --model champion")
@expand_options
def infer(
    from_: InputVersionOption = None,
    as_of: AsOfOption = None,
    model: ModelOption = None,
    json_: JsonOption = False,
    **given: Unpack[StageOptions],
) -> None:
    """Features and the model -> the table scores. `--from` names the version of the features."""
    settings = resolve_command_settings(given)
    upstream = resolve_upstream(settings, "features", from_, as_of)
    from toytip.models import resolve
    from toytip.pipeline import predict

    learned = resolve.load_model(settings, model, upstream.config.get("taxi"), as_of)

    def work(context: RunContext) -> dict[str, Any]:
        return predict.score_trips(context, upstream, learned)

    run_stage(settings, ("scores",), work, json_)


@app.command(epilog="Example:  toytip postprocess --env prod")
@expand_options
def postprocess(
    from_: InputVersionOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **given: Unpack[StageOptions],
) -> None:
    """Scores -> the table predictions, decided at the model's threshold."""
    settings = resolve_command_settings(given)
    upstream = resolve_upstream(settings, "scores", from_, as_of)
    from toytip.models import resolve
    from toytip.pipeline import predict

    learned = resolve.model_of(settings, upstream)

    def work(context: RunContext) -> dict[str, Any]:
        return predict.decide_scores(context, upstream, learned)

    run_stage(settings, ("predictions",), work, json_)


@app.command(epilog="Example:  toytip evaluate --from v20261124T101500Z-3f9c2a --json")
@expand_options
def evaluate(
    from_: InputVersionOption = None,
    as_of: AsOfOption = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Draw calibration and thresholds to a PNG.", show_default=False),
    ] = None,
    json_: JsonOption = False,
    **given: Unpack[EvaluateOptions],
) -> None:
    """Predictions -> metrics of every split, beside the trivial baseline."""
    settings = resolve_command_settings(given)
    upstream = resolve_upstream(settings, "predictions", from_, as_of)
    from toytip.models import resolve
    from toytip.pipeline import evaluate as pipeline_evaluate
    from toytip.pipeline.context import open_reader
    from toytip.pipeline.result import metrics_by_segment
    from toytip.progress.tracker import Progress

    learned = resolve.model_of(settings, upstream)
    with open_reader(settings, Progress.from_settings(settings)) as context:
        evaluation = pipeline_evaluate.evaluate_predictions(context, upstream, learned)
    if picture is not None:
        _write_charts(picture, evaluation.report, upstream.version)
    if json_:
        from toytip.core.jsonable import to_json

        print_json(
            {
                "version": upstream.version,
                "metrics": to_json(metrics_by_segment(evaluation.report)),
                "evaluation": to_json(evaluation.report),
            }
        )
    elif settings.progress != "none":
        from toytip.cli.render.evaluation import show_evaluation

        show_evaluation(evaluation.report)


def _write_charts(picture: Path, report: EvaluationReport, version: str) -> None:
    from toytip.report.charts import png

    try:
        picture.write_bytes(png.draw_evaluation(report, f"{next(reversed(report))} trips of {version}"))
    except OSError as error:
        raise ConfigError(f"--picture {picture} cannot be written: {error.strerror}") from None
