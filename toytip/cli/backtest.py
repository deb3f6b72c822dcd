"""`toytip backtest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import print_json, resolve_command_settings, resolve_upstream
from toytip.cli.option_groups import SizedClusterOptions, SourceOptions, StoreOptions, expand_options
from toytip.cli.options import (
    AsOfOption,
    EarlyStoppingOption,
    FeatureSetOption,
    InputVersionOption,
    JsonOption,
    LearningRateOption,
    MaxDepthOption,
    RoundsOption,
    SegmentOption,
)

if TYPE_CHECKING:
    from toytip.monitoring.aging import BacktestResult
    from toytip.pipeline.context import RunContext
    from toytip.store.manifest import Manifest


class BacktestOptions(SourceOptions, StoreOptions, SizedClusterOptions):
    """Of many models, each of which learns the same from other months."""

    feature_set: FeatureSetOption
    segment: SegmentOption
    rounds: RoundsOption
    max_depth: MaxDepthOption
    learning_rate: LearningRateOption
    early_stopping_rounds: EarlyStoppingOption


@app.command(epilog="Example:  toytip backtest --source data/green-2023 --horizon 6")
@expand_options
def backtest(
    from_: InputVersionOption = None,
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
    json_: JsonOption = False,
    **given: Unpack[BacktestOptions],
) -> None:
    """Train through every month and test on those after it, to tell how old a model may be, and what makes it worse.

    Without --source it works on the newest published features.
    """
    settings = resolve_command_settings(given)
    from toytip.pipeline import read_source, source
    from toytip.pipeline.backtest import run_backtest
    from toytip.pipeline.context import open_reader, open_run
    from toytip.progress.tracker import Progress

    progress = Progress.from_settings(settings)

    def work(context: RunContext, features: Manifest) -> BacktestResult:
        return run_backtest(
            context, features, min_train_months=first, horizon_months=horizon, max_auc_loss=tolerance
        )

    if settings.source is not None:
        prepared = source.prepare_plan(settings, progress)
        with open_run(settings, ("features", "rejects"), progress) as context:
            published = read_source.read_source(context, source.complete_plan(context, prepared))
            result = work(context, published["features"])
    else:
        features = resolve_upstream(settings, "features", from_, as_of)
        with open_reader(settings, progress) as context:
            result = work(context, features)
    if json_:
        print_json(result)
    else:
        from toytip.cli.render.backtest import show_backtest

        show_backtest(result, tolerance)
