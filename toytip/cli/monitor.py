"""`toytip monitor`."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import print_json, resolve_command_settings
from toytip.cli.option_groups import PublishOptions, expand_options
from toytip.cli.options import JsonOption, ModelOption

# For schedulers: nothing went wrong, but somebody should look.
EXIT_ALERT = 3


@app.command(epilog="Example:  toytip monitor --model champion --months 2023-11:2023-12")
@expand_options
def monitor(
    model: ModelOption = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="Months to compare with, A:B [default: the training months for features, the valid month for skill]",
            show_default=False,
        ),
    ] = None,
    months: Annotated[
        str | None,
        typer.Option(
            "--months", help="Months to watch, A:B [default: all after the training]", show_default=False
        ),
    ] = None,
    labels_until: Annotated[
        str | None,
        typer.Option(
            "--labels-until",
            help="Last month whose labels are there; later ones are estimated [default: all have them]",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look, and keep nothing in the store.")] = False,
    json_: JsonOption = False,
    **given: Unpack[PublishOptions],
) -> None:
    """Tell how far features have moved, how a model has decayed, and why; exit code 3 where an alert rings.

    No trip is read: each run leaves profiles and tallies. Bounds are settings, `alert_...` (see `toytip config`).
    """
    settings = resolve_command_settings(given, workers_needed=False)
    import toytip.cluster.slim_imports  # noqa: F401 - before anything imports more
    from toytip.pipeline.monitor import monitor_model
    from toytip.progress.tracker import Progress

    progress = Progress.from_settings(settings)
    with progress.show_live():
        report = monitor_model(
            settings,
            model,
            progress,
            reference=reference,
            analysis_months=months,
            labels_until=labels_until,
            publish=not dry_run,
        )
    if json_:
        print_json(report)
    else:
        from toytip.cli.render.monitoring import show_monitoring

        show_monitoring(report)
    if report.active_alerts:
        raise typer.Exit(EXIT_ALERT)
