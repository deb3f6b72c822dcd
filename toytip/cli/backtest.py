"""`toytip backtest`."""

from __future__ import annotations

from typing import Annotated, Unpack

from toytip.cli.app import new_app
from toytip.cli.command import open_features, print_result, resolve_command_settings
from toytip.cli.option_groups import SizedClusterOptions, SourceOptions, StoreOptions, expand_options
from toytip.cli.options import (
    AsOfOption,
    EarlyStoppingRoundsOption,
    FeatureSetOption,
    InputVersionOption,
    JsonOption,
    LearningRateOption,
    MaxDepthOption,
    RoundsOption,
    SegmentOption,
    option,
)


class BacktestOptions(SourceOptions, StoreOptions, SizedClusterOptions):
    """Options that apply to all models of the backtest."""

    feature_set: FeatureSetOption
    segment: SegmentOption
    rounds: RoundsOption
    max_depth: MaxDepthOption
    learning_rate: LearningRateOption
    early_stopping_rounds: EarlyStoppingRoundsOption


app = new_app("backtest")


@app.command(epilog="Example:  toytip backtest --source data/green-2023 --horizon-months 6")
@expand_options
def backtest(
    input_version: InputVersionOption = None,
    as_of: AsOfOption = None,
    min_train_months: Annotated[
        int,
        option(
            "--min-train-months",
            min=1,
            metavar="N",
            help="Number of months on which the first model is trained.",
        ),
    ] = 2,
    horizon_months: Annotated[
        int,
        option(
            "--horizon-months",
            min=1,
            metavar="N",
            help="Maximum number of months on which each model is tested.",
        ),
    ] = 6,
    max_auc_loss: Annotated[
        float,
        option(
            "--max-auc-loss",
            min=0,
            metavar="AUC",
            help="Largest acceptable mean AUC loss, compared with a one-month-old model.",
        ),
    ] = 0.005,
    json_: JsonOption = False,
    **options: Unpack[BacktestOptions],
) -> None:
    """Measure how the AUC of models falls with their age.

    Trains one model for each validation month, on all months before that month. Uses the validation
    month for early stopping and for the decision threshold, and tests the model on the months after
    the validation month. Reports the AUC loss by model age. Without --source, the command reads the
    current features of the store.
    """
    settings = resolve_command_settings(options)
    from toytip.cli.render.backtest import show_backtest
    from toytip.pipeline.experiments.backtest import run_backtest
    from toytip.progress.tracker import Progress

    progress = Progress.from_settings(settings)
    with open_features(settings, progress, input_version, as_of) as (context, features):
        result = run_backtest(
            context,
            features,
            min_train_months=min_train_months,
            horizon_months=horizon_months,
            max_auc_loss=max_auc_loss,
        )
    print_result(result, lambda backtested: show_backtest(backtested, max_auc_loss), as_json=json_)
