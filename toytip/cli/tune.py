"""`toytip tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

from toytip.cli.app import new_app
from toytip.cli.command import open_features, print_result, resolve_command_settings
from toytip.cli.option_groups import (
    FixedBoosterOptions,
    SchedulerOptions,
    SourceOptions,
    SplitOptions,
    StoreOptions,
    TlsOptions,
    WorkerOptions,
    expand_options,
)
from toytip.cli.options import (
    AsOfOption,
    EarlyStoppingRoundsOption,
    InputVersionOption,
    JsonOption,
    MemoryLimitOption,
    RoundsOption,
    option,
    output_option,
)
from toytip.cli.results import FoldResult, TrialSummary, TuningSummary

if TYPE_CHECKING:
    from toytip.pipeline.experiments.tune import TuningResult
    from toytip.training.tuning import TrialResult


class TunerOptions(WorkerOptions):
    """Workers that run the trials."""

    memory_limit: MemoryLimitOption


class TuneOptions(
    SourceOptions,
    StoreOptions,
    TunerOptions,
    SchedulerOptions,
    TlsOptions,
    SplitOptions,
    FixedBoosterOptions,
):
    """Options that apply to all trials. The study searches for the values of other parameters."""

    rounds: RoundsOption
    early_stopping_rounds: EarlyStoppingRoundsOption


app = new_app("tune")


@app.command(
    epilog="Example:  toytip tune --source data/green-2023 --trials 40 && toytip run --params toytip-params.toml"
)
@expand_options
def tune(
    trials: Annotated[
        int,
        option(
            "--trials",
            min=1,
            metavar="N",
            help="Total number of trials, including the trials of an existing study.",
        ),
    ] = 30,
    folds: Annotated[
        int, option("--folds", min=1, metavar="N", help="Number of folds. Each fold tests on one month.")
    ] = 3,
    max_rows: Annotated[
        int,
        option(
            "--max-rows",
            min=1_000,
            metavar="N",
            help="Approximate maximum number of rows per trial, for training and testing together.",
        ),
    ] = 1_000_000,
    study: Annotated[
        str | None,
        option(
            "--study",
            metavar="FILE",
            help="SQLite file of the study.",
            default="a file in a local store, else in the current folder",
        ),
    ] = None,
    output: Annotated[Path, output_option("TOML file for the best parameters.")] = Path("toytip-params.toml"),
    seed: Annotated[int, option("--seed", min=0, metavar="N", help="Random seed of the search.")] = 0,
    input_version: InputVersionOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **options: Unpack[TuneOptions],
) -> None:
    """Search for the model parameters with the lowest log loss.

    Each trial trains on earlier months, and measures the log loss on later months. Trials never use
    the test months. The first trial uses the default parameters. Without --source, the command
    reads the current features of the store. Run the same command again to resume a stopped study.
    """
    settings = resolve_command_settings(options, resumable=True)
    from toytip.cli.render.models import show_tuning
    from toytip.pipeline.experiments import tune as pipeline_tune
    from toytip.pipeline.plan import booster_params
    from toytip.progress.tracker import Progress

    progress = Progress.from_settings(settings)
    with open_features(settings, progress, input_version, as_of) as (context, features):
        result = pipeline_tune.tune(
            context, features, trials=trials, folds=folds, max_rows=max_rows, study=study, seed=seed
        )
    pipeline_tune.write_params_file(result, output, features, booster_params(settings))
    print_result(_summarize(result, output), lambda _: show_tuning(result, output), as_json=json_)


def _summarize(result: TuningResult, params_file: Path) -> TuningSummary:
    return TuningSummary(
        best=_summarize_trial(result.best),
        baseline=_summarize_trial(result.default),
        fold_months=tuple(result.fold_months),
        trials=len(result.trials),
        pruned=sum(len(trial.fold_scores) < len(result.fold_months) for trial in result.trials),
        existing_trials=result.resumed_trials,
        rows=result.rows,
        max_rounds_trials=len(result.max_rounds_trials),
        max_rounds_limited_best=result.best in result.max_rounds_trials,
        params_file=str(params_file),
    )


def _summarize_trial(trial: TrialResult) -> TrialSummary:
    return TrialSummary(
        params=trial.params,
        log_loss=trial.log_loss,
        folds=tuple(FoldResult(**score._asdict()) for score in trial.fold_scores),
    )
