"""`toytip score`."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import EXIT_UNREAD, print_json, resolve_command_settings
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import (
    JsonOption,
    ScoringSegmentOption,
    ScoringTaxiOption,
    ServingModelOption,
    option,
    output_option,
)
from toytip.cli.render.stdout import stdout_closed
from toytip.core.text import plural
from toytip.errors import ConfigError, ToytipError

app = new_app("score")


@app.command(epilog="Example:  toytip score trips.parquet --output scores.parquet")
@expand_options
def score(
    trips: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Raw trips: a Parquet, CSV or JSON Lines file (also with gzip), or - for stdin.",
        ),
    ],
    model: ServingModelOption = None,
    taxi: ScoringTaxiOption = None,
    segment: ScoringSegmentOption = None,
    output: Annotated[
        str | None, output_option("Output file: .parquet, .csv or .jsonl.", "JSON Lines on stdout")
    ] = None,
    shap_top: Annotated[
        int,
        option(
            "--shap-top",
            min=0,
            metavar="N",
            help="Number of explanations per trip: the features with the largest absolute SHAP values "
            "(JSON Lines only).",
        ),
    ] = 0,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Score the trips of a file.

    The columns show the taxi type of the trips, and so select the champion. The output has
    one row per trip, in the order of the input. A row has a probability and a decision, or the
    reason why the trip has none: a cleaning rule that rejects the trip, or outside_segment.
    """
    if shap_top and output is not None and not output.lower().endswith(".jsonl"):
        raise ConfigError(
            f"cannot write explanations to {output}: only JSON Lines can contain explanations",
            hint="Set --output to a file with the suffix .jsonl, or leave out --shap-top.",
        )
    if json_ and output is None:
        raise ConfigError(
            "cannot print scores and the summary of --json on stdout",
            hint="Set --output FILE for the scores.",
        )
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.models.selection import ModelChoice, find_own_dataset
    from toytip.serving import batch, trip_files

    if output is None and sys.stdout is None:
        raise ToytipError("cannot print scores: stdout is closed", hint="Set --output FILE.")
    choice = ModelChoice(name=model, taxi=taxi, segment=segment)
    dataset, stdin = find_own_dataset(settings, choice), getattr(sys.stdin, "buffer", io.BytesIO())
    batches = trip_files.read_batches(trips, stdin, settings.endpoint_url, dataset)
    notes: list[str] = []
    with batch.open_answer_writer(trips, output, getattr(sys.stdout, "buffer", io.BytesIO())) as write:
        scorer, batches = batch.select_model_for(settings, choice, batches)
        counts = batch.score_batches(
            scorer, batches, write, shap_top, lambda _: _exit_if_unread(output), notes.append
        )
    report = batch.ScoreReport.of(scorer.version, counts, notes, output)
    if json_:
        print_json(report)
    unscored = "".join(
        f", {count:,} not scored ({reason})" for reason, count in sorted(report.unscored.items())
    )
    for note in notes:
        typer.echo(note, err=True)
    target = f" to {output}" if output else ""
    typer.echo(
        f"{plural(report.scored_count, 'trip')} scored{target} by model {report.model_version}{unscored}",
        err=True,
    )


def _exit_if_unread(output: str | None) -> None:
    """Exit as `cat` does if the scores go to stdout, and nothing reads stdout any longer."""
    if output is None and stdout_closed():
        raise typer.Exit(EXIT_UNREAD)
