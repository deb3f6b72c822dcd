"""The stages, one command each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.groups import (
    BoostOptions,
    ClusterOptions,
    PublishOptions,
    ShownOptions,
    SizedOptions,
    SourceOptions,
    SplitOptions,
    StoreOptions,
    spread,
)
from toytip.cli.options import AsOfOption, FreshOption, FromOption, JsonOption, ModelOption
from toytip.cli.shell import print_json, run_stage, settings_of, upstream_of
from toytip.errors import ConfigError

if TYPE_CHECKING:
    from toytip.pipeline.context import Context


class CleanOptions(SourceOptions, PublishOptions, SizedOptions, ShownOptions):
    """Of the stage that reads a source."""

    fresh: FreshOption


class StageOptions(PublishOptions, ClusterOptions, ShownOptions):
    """Of a stage that makes one table of another."""

    fresh: FreshOption


class PreprocessOptions(PublishOptions, ClusterOptions, SplitOptions, ShownOptions):
    """Of the stage that fits encodings."""


class TrainOptions(PublishOptions, ClusterOptions, BoostOptions, ShownOptions):
    """Of the stage that trains."""


class EvaluateOptions(StoreOptions, ClusterOptions, ShownOptions):
    """Of the stage that only looks."""


@app.command(epilog="Example:  toytip clean --source data/green-2023 --workers 2")
@spread
def clean(json_: JsonOption = False, **given: Unpack[CleanOptions]) -> None:
    """Source -> the tables trips and rejects."""
    settings = settings_of(given)
    from toytip.pipeline import plan, stages
    from toytip.progress import Progress

    progress = Progress.of(settings)
    found = plan.prepare(settings, progress)

    def work(context: Context) -> dict[str, Any]:
        return stages.clean(context, plan.settle(context, found))

    run_stage(settings, ("trips", "rejects"), work, json_, progress)


@app.command(epilog="Example:  toytip featurize --store ./toytip-store")
@spread
def featurize(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **given: Unpack[StageOptions],
) -> None:
    """Trips -> the table features."""
    settings = settings_of(given)
    upstream = upstream_of(settings, "trips", from_, as_of)
    from toytip.pipeline import stages

    run_stage(settings, ("features",), lambda context: stages.featurize(context, upstream), json_)


@app.command(epilog="Example:  toytip preprocess --features dropoff --valid 2023-11 --test 2023-12")
@spread
def preprocess(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **given: Unpack[PreprocessOptions],
) -> None:
    """Features -> the encoding of every feature, fitted on the training months."""
    settings = settings_of(given)
    upstream = upstream_of(settings, "features", from_, as_of)

    from toytip.pipeline import learn

    run_stage(settings, ("encodings",), lambda context: learn.preprocess(context, upstream)[0], json_)


@app.command(epilog="Example:  toytip train --rounds 100 --max-depth 8")
@spread
def train(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **given: Unpack[TrainOptions],
) -> None:
    """Encoding and its features -> the model. `--from` names the version of the encoding."""
    settings = settings_of(given)
    upstream = upstream_of(settings, "encodings", from_, as_of)
    from toytip.history import resolve
    from toytip.pipeline.context import parent_version

    def work(context: Context) -> dict[str, Any]:
        features = resolve(context.store, "features", parent_version(upstream, "features"))
        return learn.train(context, features, learn.load_encoding(context, upstream), upstream)[0]

    from toytip.pipeline import learn

    run_stage(settings, ("models",), work, json_)


@app.command(epilog="Example:  toytip infer --model champion")
@spread
def infer(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    model: ModelOption = None,
    json_: JsonOption = False,
    **given: Unpack[StageOptions],
) -> None:
    """Features and the model -> the table scores. `--from` names the version of the features."""
    settings = settings_of(given)
    upstream = upstream_of(settings, "features", from_, as_of)
    from toytip.pipeline import models, stages

    learned = models.named(settings, model, upstream.config.get("taxi"), as_of)

    def work(context: Context) -> dict[str, Any]:
        return stages.infer(context, upstream, learned)

    run_stage(settings, ("scores",), work, json_)


@app.command(epilog="Example:  toytip postprocess --env prod")
@spread
def postprocess(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **given: Unpack[StageOptions],
) -> None:
    """Scores -> the table predictions, decided at the model's threshold."""
    settings = settings_of(given)
    upstream = upstream_of(settings, "scores", from_, as_of)
    from toytip.pipeline import models, stages

    learned = models.behind(settings, upstream)

    def work(context: Context) -> dict[str, Any]:
        return stages.postprocess(context, upstream, learned)

    run_stage(settings, ("predictions",), work, json_)


@app.command(epilog="Example:  toytip evaluate --from v20261124T101500Z-3f9c2a --json")
@spread
def evaluate(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Draw calibration and thresholds to a PNG.", show_default=False),
    ] = None,
    json_: JsonOption = False,
    **given: Unpack[EvaluateOptions],
) -> None:
    """Predictions -> metrics of every split, beside the trivial baseline."""
    settings = settings_of(given)
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
