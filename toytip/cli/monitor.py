"""`toytip monitor`."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import EXIT_ALERT, print_result, resolve_command_settings
from toytip.cli.option_groups import PublishOptions, expand_options
from toytip.cli.options import JsonOption, ModelSegmentOption, ServingModelOption, TaxiOption, option

app = new_app("monitor")


@app.command(epilog="Example:  toytip monitor --taxi green --analysis-months 2023-11:2023-12")
@expand_options
def monitor(
    model: ServingModelOption = None,
    taxi: TaxiOption = None,
    segment: ModelSegmentOption = None,
    reference: Annotated[
        str | None,
        option(
            "--reference",
            metavar="MONTHS",
            help="Reference months, as FIRST:LAST.",
            default="the training months for features, the validation month for performance",
        ),
    ] = None,
    analysis_months: Annotated[
        str | None,
        option(
            "--analysis-months",
            metavar="MONTHS",
            help="Months to monitor, as FIRST:LAST.",
            default="all months after the training months",
        ),
    ] = None,
    labels_until: Annotated[
        str | None,
        option(
            "--labels-until",
            metavar="MONTH",
            help="Latest month with labels. For later months, metrics are only estimated.",
            default="the latest analysis month",
        ),
    ] = None,
    dry_run: Annotated[bool, option("--dry-run", help="Print the report, but store nothing.")] = False,
    json_: JsonOption = False,
    **options: Unpack[PublishOptions],
) -> None:
    """Monitor data drift and model performance.

    Reports the drift of the features, and the changes in F1 and log loss. Splits each change into a
    part that is due to different trips and a part that is due to the model. Exits with 3 if an
    alert fires in the latest analysis month. Reads histograms, not trips. The settings `alert_...`
    set the thresholds.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    import toytip.cluster.slim_imports  # noqa: F401 - before anything imports more
    from toytip.cli.render.monitoring import show_monitoring
    from toytip.pipeline.monitor import monitor_model
    from toytip.progress.tracker import Progress

    progress = Progress.from_settings(settings)
    with progress.show_live():
        report = monitor_model(
            settings,
            model,
            progress,
            reference=reference,
            analysis_months=analysis_months,
            labels_until=labels_until,
            publish=not dry_run,
            taxi=taxi,
            segment=segment,
        )
    print_result(report, show_monitoring, as_json=json_)
    if report.active_alerts:
        raise typer.Exit(EXIT_ALERT)
