"""`toytip run`. The module `cli/render/run.py` prints the summary of the run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import EXIT_ALERT, prepare_workers, print_result, resolve_command_settings
from toytip.cli.option_groups import (
    BoosterOptions,
    ProgressOptions,
    PublishOptions,
    RefreshOptions,
    SizedClusterOptions,
    SourceOptions,
    SplitOptions,
    expand_options,
)
from toytip.cli.options import ExplainOption, GateOption, JsonOption, VerboseOption, option
from toytip.pipeline.startup.training_settings import require_no_training_settings

if TYPE_CHECKING:
    from toytip.config import Settings
    from toytip.pipeline.result import RunResult


class RunOptions(
    SourceOptions,
    PublishOptions,
    RefreshOptions,
    SizedClusterOptions,
    SplitOptions,
    BoosterOptions,
    ProgressOptions,
):
    """Options of all stages."""

    gate: GateOption
    explain: ExplainOption


app = new_app("run")


@app.command(epilog="Example:  toytip run --source data/green-2023 --workers 8")
@expand_options
def run(
    model: Annotated[
        str | None,
        option(
            "--model",
            metavar="MODEL",
            help="Score the source with this model, for example champion, and train no model.",
            default="train a model",
        ),
    ] = None,
    verbose: VerboseOption = False,
    json_: JsonOption = False,
    **options: Unpack[RunOptions],
) -> None:
    """Run the complete pipeline.

    Reads, cleans, featurizes and checks the source. Trains a model, and scores and evaluates all
    trips. Monitors the months after the training months, and promotes the model if it passes the
    gate. Reuses output of earlier runs that had the same input, code and settings. With --model,
    trains no model, and exits with 3 if an alert fires in the latest month of a new version.
    """
    if model is not None:
        require_no_training_settings(options)
    settings = resolve_command_settings(options, prepare=False, resumable=True)
    from toytip.pipeline.unchanged import find_unchanged_run

    result = find_unchanged_run(settings, model) or _run_pipeline(settings, model)
    from toytip.cli.render.run import show_run

    print_result(result, partial(show_run, verbose=verbose), as_json=json_, quiet=options["quiet"])
    is_new = model is not None and not result.up_to_date
    if is_new and result.monitoring is not None and result.monitoring.active_alerts:
        raise typer.Exit(EXIT_ALERT)


def _run_pipeline(settings: Settings, model: str | None) -> RunResult:
    """Start the workers, and run all stages."""
    prepare_workers(settings)
    from toytip.pipeline import run as pipeline
    from toytip.progress.tracker import Progress

    return pipeline.run(settings, Progress.from_settings(settings), model)
