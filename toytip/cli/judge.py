"""`toytip judge`."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import print_result, resolve_command_settings
from toytip.cli.option_groups import ClusterOptions, ProgressOptions, StoreOptions, expand_options
from toytip.cli.options import (
    AsOfOption,
    InputVersionOption,
    JsonOption,
    VerboseOption,
    option,
    output_option,
)


class JudgeOptions(StoreOptions, ClusterOptions, ProgressOptions):
    """Options of the store and of the workers."""


app = new_app("judge")


@app.command(epilog="Example:  toytip judge my-predictions.parquet --leaderboard leaderboard")
@expand_options
def judge(
    predictions: Annotated[
        str,
        typer.Argument(
            metavar="PREDICTIONS",
            help="Parquet or CSV file, or folder, glob or URI of such files, with the columns trip_id and "
            "probability.",
        ),
    ],
    input_version: InputVersionOption = None,
    as_of: AsOfOption = None,
    name: Annotated[
        str | None,
        option(
            "--name",
            metavar="NAME",
            help="Name of the predictions in the report and on the leaderboard.",
            default="the name of the file or folder",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        option(
            "--threshold",
            min=0,
            max=1,
            metavar="PROBABILITY",
            help="Lowest probability that is a positive decision.",
            default="the column prediction, else tuned on the validation trips, else 0.5",
        ),
    ] = None,
    output: Annotated[str | None, output_option("HTML file for the report.", "a file in the store")] = None,
    leaderboard: Annotated[
        str | None,
        option(
            "--leaderboard",
            metavar="FOLDER",
            help="Folder of a page that compares judged predictions. The command adds these predictions.",
            default="no leaderboard",
        ),
    ] = None,
    verbose: VerboseOption = False,
    json_: JsonOption = False,
    **options: Unpack[JudgeOptions],
) -> None:
    """Evaluate predictions of any program.

    Compares the predictions with the labels of the test trips of a version, by the same metrics as
    a run: metrics with confidence intervals, baselines, slices, calibration, and paired differences
    to the champion. Fails if a test trip has no prediction or several, or if a prediction is
    invalid or of an unknown trip.
    """
    settings = resolve_command_settings(options)
    from toytip.cli.render.judge import show_judgment
    from toytip.pipeline.judging.judge import JudgeRequest, judge_predictions
    from toytip.progress.tracker import Progress

    request = JudgeRequest(
        predictions=predictions,
        name=name,
        version=input_version,
        as_of=as_of,
        threshold=threshold,
        output=output,
        leaderboard=leaderboard,
    )
    judgment = judge_predictions(settings, request, Progress.from_settings(settings))
    print_result(
        judgment,
        lambda judged: show_judgment(judged, verbose=verbose),
        as_json=json_,
        quiet=options["quiet"],
    )
