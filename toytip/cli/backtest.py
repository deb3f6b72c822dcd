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
    from toytip.pipeline.backtest import BacktestResult
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
    from toytip.pipeline import backtest as tester
    from toytip.pipeline import read_source, source
    from toytip.pipeline.context import open_reader, open_run
    from toytip.progress.tracker import Progress

    progress = Progress.from_settings(settings)

    def work(context: RunContext, upstream: Manifest) -> tuple[Manifest, BacktestResult, dict[str, str]]:
        found = tester.run_backtest(
            context, upstream, min_train_months=first, horizon_months=horizon, max_auc_loss=tolerance
        )
        return upstream, found, tester.save_backtest(context, found, upstream.version)

    if settings.source is not None:
        prepared = source.find_source(settings, progress)
        with open_run(settings, ("features", "rejects"), progress) as context:
            made = read_source.read_source(context, source.ensure_source(context, prepared))
            upstream, found, files = work(context, made["features"])
    else:
        there = resolve_upstream(settings, "features", from_, as_of)
        with open_reader(settings, progress) as context:
            upstream, found, files = work(context, there)
    if json_:
        print_json({"version": upstream.version, **tester.backtest_json(found), "files": files})
    else:
        from toytip.cli.render.models import show_backtest

        show_backtest(found, files, tolerance)
