"""`toytip stage`: one command per stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from toytip.cli.app import new_app
from toytip.cli.command import (
    print_result,
    resolve_command_settings,
    resolve_upstream,
    run_stage,
    write_output,
)
from toytip.cli.option_groups import (
    BoosterOptions,
    ClusterOptions,
    ProgressOptions,
    PublishOptions,
    RefreshOptions,
    SizedClusterOptions,
    SourceOptions,
    SplitOptions,
    StoreOptions,
    expand_options,
)
from toytip.cli.options import (
    JsonOption,
    ModelOption,
    ModelSegmentOption,
    StageAsOfOption,
    StageInputOption,
    VerboseOption,
    output_option,
)

if TYPE_CHECKING:
    from toytip.pipeline.context import RunContext


class CleanOptions(SourceOptions, PublishOptions, RefreshOptions, SizedClusterOptions, ProgressOptions):
    """Options of the stage that reads a source."""


class StageOptions(PublishOptions, RefreshOptions, ClusterOptions, ProgressOptions):
    """Options of a stage that computes a table from another table."""


class PreprocessOptions(PublishOptions, ClusterOptions, SplitOptions, ProgressOptions):
    """Options of the stage that fits the encoding."""


class TrainOptions(PublishOptions, ClusterOptions, BoosterOptions, ProgressOptions):
    """Options of the stage that trains a model."""


class EvaluateOptions(StoreOptions, ClusterOptions, ProgressOptions):
    """Options of the stage that evaluates predictions, and publishes nothing."""


app = new_app("stage", "toytip stage clean --source data/green-2023")


@app.command(epilog="Example:  toytip stage clean --source data/green-2023 --workers 2")
@expand_options
def clean(json_: JsonOption = False, **options: Unpack[CleanOptions]) -> None:
    """Read a source, and apply the cleaning rules.

    Publishes the tables `trips` and `rejects`. Every row of the source is in one of the two tables.
    """
    settings = resolve_command_settings(options)
    from toytip.pipeline import read_source, source
    from toytip.progress.tracker import Progress

    progress = Progress.from_settings(settings)
    plan = source.prepare_plan(settings, progress)

    def work(context: RunContext) -> dict[str, Any]:
        return read_source.clean_source(context, source.complete_plan(context, plan))

    run_stage(settings, "clean", work, options, json_, progress)


@app.command(epilog="Example:  toytip stage featurize --store ./toytip-store")
@expand_options
def featurize(
    input_version: StageInputOption = None,
    as_of: StageAsOfOption = None,
    json_: JsonOption = False,
    **options: Unpack[StageOptions],
) -> None:
    """Compute the features of cleaned trips.

    Reads the table `trips` and publishes the table `features`.
    """
    settings = resolve_command_settings(options)
    upstream = resolve_upstream(settings, "trips", input_version, as_of)
    from toytip.pipeline import read_source

    run_stage(
        settings,
        "featurize",
        lambda context: read_source.featurize_trips(context, upstream),
        options,
        json_,
    )


@app.command(
    epilog="Example:  toytip stage preprocess --feature-set dropoff --validation-month 2023-11 --test-months 2023-12"
)
@expand_options
def preprocess(
    input_version: StageInputOption = None,
    as_of: StageAsOfOption = None,
    json_: JsonOption = False,
    **options: Unpack[PreprocessOptions],
) -> None:
    """Fit the encoding of the features on the training months.

    Checks the data of each month first, and leaves out months that the check holds. Reads the table
    `features` and publishes the artifact `encodings`: the bins of every feature,
    and the target encoding of zones.
    """
    settings = resolve_command_settings(options)
    upstream = resolve_upstream(settings, "features", input_version, as_of)
    from toytip.pipeline import check_data, fit_encoding
    from toytip.pipeline.history import feature_tables

    def work(context: RunContext) -> dict[str, Any]:
        split = fit_encoding.split_features(settings, upstream)
        check = check_data.check_data(context, feature_tables(context.store, upstream), split)
        split = check_data.split_without_held(split, check)
        return fit_encoding.fit_feature_encoding(context, upstream, split)[0]

    run_stage(settings, "preprocess", work, options, json_)


@app.command(epilog="Example:  toytip stage train --rounds 100 --max-depth 8")
@expand_options
def train(
    input_version: StageInputOption = None,
    as_of: StageAsOfOption = None,
    json_: JsonOption = False,
    **options: Unpack[TrainOptions],
) -> None:
    """Train a model.

    Reads the artifact `encodings`, and the features on which this encoding was fitted. Publishes
    the artifact `models`. --input-version is a version of `encodings`.
    """
    settings = resolve_command_settings(options, resumable=True)
    upstream = resolve_upstream(settings, "encodings", input_version, as_of)
    from toytip.pipeline.plan import booster_params
    from toytip.pipeline.train import train_model
    from toytip.store import artifacts

    def work(context: RunContext) -> dict[str, Any]:
        features = context.store.require_manifest("features", upstream.parent_version("features"))
        encoding = artifacts.load_encoding(context.store, upstream)
        return train_model(context, features, encoding, upstream, booster_params(settings))[0]

    run_stage(settings, "train", work, options, json_)


@app.command(epilog="Example:  toytip stage infer --model champion")
@expand_options
def infer(
    input_version: StageInputOption = None,
    as_of: StageAsOfOption = None,
    model: ModelOption = None,
    segment: ModelSegmentOption = None,
    json_: JsonOption = False,
    **options: Unpack[StageOptions],
) -> None:
    """Compute the probability of a positive label for every trip.

    Reads the table `features` and a model, and publishes the table `scores`. --input-version is a
    version of `features`.
    """
    settings = resolve_command_settings(options)
    upstream = resolve_upstream(settings, "features", input_version, as_of)
    from toytip.models import resolve
    from toytip.pipeline import predict

    trained = resolve.load_model(
        settings, model, upstream.config.get("taxi"), as_of, segment=segment, any_status=True
    )
    run_stage(
        settings, "infer", lambda context: predict.score_trips(context, upstream, trained), options, json_
    )


@app.command(epilog="Example:  toytip stage postprocess --env prod")
@expand_options
def postprocess(
    input_version: StageInputOption = None,
    as_of: StageAsOfOption = None,
    json_: JsonOption = False,
    **options: Unpack[StageOptions],
) -> None:
    """Turn probabilities into decisions at the model's threshold.

    Reads the table `scores` and publishes the table `predictions`.
    """
    settings = resolve_command_settings(options)
    upstream = resolve_upstream(settings, "scores", input_version, as_of)
    from toytip.models import resolve
    from toytip.pipeline import predict

    trained = resolve.model_of(settings, upstream)
    run_stage(
        settings,
        "postprocess",
        lambda context: predict.decide_scores(context, upstream, trained),
        options,
        json_,
    )


@app.command(epilog="Example:  toytip stage evaluate --input-version v20261124T101500Z-3f9c2a --json")
@expand_options
def evaluate(
    input_version: StageInputOption = None,
    as_of: StageAsOfOption = None,
    output: Annotated[
        Path | None, output_option("PNG file for the calibration and threshold curves.", "no file")
    ] = None,
    verbose: VerboseOption = False,
    json_: JsonOption = False,
    **options: Unpack[EvaluateOptions],
) -> None:
    """Compute metrics with confidence intervals and baselines.

    Reads the table `predictions` and publishes nothing. Prints the metrics of the test months. With
    --verbose, also prints the metrics of the training and validation months.
    """
    settings = resolve_command_settings(options)
    upstream = resolve_upstream(settings, "predictions", input_version, as_of)
    from toytip.cli.render.evaluation import show_evaluation
    from toytip.cli.results import EvaluationResult
    from toytip.models import resolve
    from toytip.pipeline import evaluate as pipeline_evaluate
    from toytip.pipeline.context import open_reader
    from toytip.pipeline.result import metrics_by_segment
    from toytip.progress.tracker import Progress

    trained = resolve.model_of(settings, upstream)
    with open_reader(settings, Progress.from_settings(settings)) as context:
        report = pipeline_evaluate.evaluate_predictions(context, upstream, trained).report
    if output is not None and report:
        from toytip.report.charts import png

        write_output(
            output, png.draw_evaluation(report, f"{next(reversed(report))} trips of {upstream.version}")
        )
    result = EvaluationResult(version=upstream.version, metrics=metrics_by_segment(report), evaluation=report)
    print_result(
        result,
        lambda evaluated: show_evaluation(evaluated.evaluation, verbose=verbose),
        as_json=json_,
        quiet=options["quiet"],
    )
