"""`toytip tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import print_json, resolve_command_settings, resolve_upstream
from toytip.cli.option_groups import (
    SchedulerOptions,
    SplitOptions,
    StoreOptions,
    TlsOptions,
    WorkerOptions,
    expand_options,
)
from toytip.cli.options import (
    AsOfOption,
    EarlyStoppingOption,
    InputVersionOption,
    JsonOption,
    MemoryLimitOption,
    RoundsOption,
)


class TunerOptions(WorkerOptions):
    """Who tries."""

    memory_limit: MemoryLimitOption


class TuneOptions(StoreOptions, TunerOptions, SchedulerOptions, TlsOptions, SplitOptions):
    """Of many models that learn from the same months; the rest of how they learn is what is searched."""

    rounds: RoundsOption
    early_stopping_rounds: EarlyStoppingOption


@app.command(epilog="Example:  toytip tune --trials 40 && toytip run --params toytip-params.toml")
@expand_options
def tune(
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Trials, with those the study has already.")
    ] = 30,
    folds: Annotated[int, typer.Option("--folds", min=1, help="Months that trials are measured on.")] = 3,
    rows: Annotated[
        int, typer.Option("--rows", min=1_000, help="Rows that trials learn from, at most.")
    ] = 1_000_000,
    study: Annotated[
        str | None,
        typer.Option("--study", help="File that keeps the study [default: in the store]", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="File for the best parameters.")] = Path(
        "toytip-params.toml"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of what is proposed.")] = 0,
    from_: InputVersionOption = None,
    as_of: AsOfOption = None,
    json_: JsonOption = False,
    **given: Unpack[TuneOptions],
) -> None:
    """Search for better parameters on blocks of time, never the test months; goes on where it was stopped."""
    settings = resolve_command_settings(given)
    upstream = resolve_upstream(settings, "features", from_, as_of)
    from toytip.pipeline import tune as tuner
    from toytip.pipeline.context import open_reader
    from toytip.progress.tracker import Progress

    with open_reader(settings, Progress.from_settings(settings)) as context:
        found = tuner.tune(
            context, upstream, trials=trials, folds=folds, max_rows=rows, study=study, seed=seed
        )
    tuner.write_params_file(found, out, upstream, settings.early_stopping_rounds)
    if json_:
        print_json(
            {
                "best": {
                    "params": found.best.params,
                    "log_loss": found.best.log_loss,
                    "blocks": found.best.fold_scores,
                },
                "default": {"log_loss": found.default.log_loss, "blocks": found.default.fold_scores},
                "blocks": found.fold_months,
                "trials": len(found.trials),
                "dropped": sum(len(t.fold_scores) < len(found.fold_months) for t in found.trials),
                "there": found.resumed_trials,
                "rows": found.rows,
                "out": str(out),
            }
        )
        return
    from toytip.cli.render.models import show_tuning

    show_tuning(found, out)
