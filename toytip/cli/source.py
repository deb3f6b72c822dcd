"""`toytip source`: download, check and generate source files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Unpack, get_args

import typer

from toytip.cli.app import new_app
from toytip.cli.command import print_result, resolve_command_settings
from toytip.cli.option_groups import ClusterOptions, CommonOptions, StoreOptions, expand_options
from toytip.cli.options import (
    JsonOption,
    MonthsOption,
    option,
    setting_option,
)
from toytip.datasets.words import DriftKind, SyntheticKind, Taxi, describe_kind

# `toytip source check` reads no store, so this option names the server of the source.
SourceServerOption = Annotated[
    str | None,
    option(
        "--endpoint-url",
        help="URL of the S3 server of the source.",
        default="AWS_ENDPOINT_URL, else the AWS profile",
        metavar="URL",
    ),
]

HeldTaxiOption = Annotated[
    str | None,
    option(
        "--taxi",
        help="Taxi type of the month. Required if runs of several types hold the month.",
        default="the only type whose runs hold the month",
        metavar="TAXI",
    ),
]


class DownloadOptions(CommonOptions):
    """Months to download."""

    months: Annotated[
        str | None,
        option(
            "--months",
            help="Months to download: a range such as 2023-01:2023-12, or a list such as 2023-01,2023-03.",
            default="TOYTIP_MONTHS, else required",
            metavar="MONTHS",
        ),
    ]


class MonthlyFilesOptions(CommonOptions):
    """Months of the files."""

    months: MonthsOption


class SynthOptions(MonthlyFilesOptions, ClusterOptions):
    """Options to generate files."""


class CheckOptions(MonthlyFilesOptions):
    """Options to check files."""

    endpoint_url: SourceServerOption


app = new_app("source", "toytip source check data/green-2023")


@app.command(
    epilog="Example:  toytip source download --taxi green --months 2023-01:2023-12 --output-dir data/green-2023"
)
@expand_options
def download(
    taxi: Annotated[
        Taxi,
        option(
            "--taxi", metavar="TAXI", help="Taxi type of the files.", choices=get_args(Taxi), default="yellow"
        ),
    ] = "yellow",
    output_dir: Annotated[str | None, setting_option("data_dir", "--output-dir", metavar="DIR")] = None,
    base_url: Annotated[str | None, setting_option("base_url", metavar="URL")] = None,
    json_: JsonOption = False,
    **options: Unpack[DownloadOptions],
) -> None:
    """Download monthly files and the zone names from the TLC.

    If a download is interrupted, run the same command again to resume it. Each file is validated
    before it gets its final name. Files that already exist are not downloaded again.
    """
    flags = {**options, "data_dir": output_dir, "base_url": base_url}
    settings = resolve_command_settings(flags, workers_needed=False, resumable=True)
    from toytip.cli.render.source import show_download
    from toytip.pipeline.source import download_months
    from toytip.progress.tracker import Progress

    report, _ = download_months(settings, taxi, Path(settings.data_dir), Progress.from_settings(settings))
    print_result(report, show_download, as_json=json_)


@app.command(epilog='Example:  toytip source accept 2020-04 --reason "the lockdown is real"')
@expand_options
def accept(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="Month that the data check holds.")],
    reason: Annotated[
        str,
        option(
            "--reason", metavar="TEXT", help="Reason for the acceptance, which the store keeps (required)."
        ),
    ] = "",
    taxi: HeldTaxiOption = None,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Accept a month that the data check holds.

    Later runs use the month. The acceptance is valid for the file that the newest run with this
    held month has read. If the content of the file changes, the acceptance is no longer valid.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.pipeline.check_data import accept_held_month
    from toytip.store.acceptances import Acceptance

    def show(accepted: Acceptance) -> None:
        typer.echo(f"accepted {accepted.month} of {describe_kind(accepted.taxi)}: {accepted.reason}")

    print_result(accept_held_month(settings, month, reason, taxi), show, as_json=json_)


@app.command(epilog="Example:  toytip source check data/yellow --json")
@expand_options
def check(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Parquet or CSV files: a folder, a glob, a URI or a comma-separated list.",
        ),
    ],
    json_: JsonOption = False,
    **options: Unpack[CheckOptions],
) -> None:
    """Check the files of a source.

    Reports the number of rows, the schema version, the missing values and the share of rows of
    other months for each month. Also compares each month with the other months, as the data check
    of a run does. Exits with an error if `toytip run` with the same settings cannot train on the
    source.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.cli.render.source import show_inspection
    from toytip.pipeline.startup.check_source import check_source
    from toytip.pipeline.startup.project import open_own_dataset
    from toytip.progress.tracker import Progress
    from toytip.sources.discovery import open_source

    own = open_own_dataset(settings)
    opened = open_source(source, settings.months, settings.endpoint_url, own)
    progress = Progress.from_settings(settings)
    with progress.show_live(), progress.stage("check", len(opened.months)) as stage:
        as_run = settings.model_copy(update={"source": source})
        checked = check_source(as_run, opened, stage.advance)
    print_result(checked.report, show_inspection, as_json=json_)
    if checked.error is not None:
        raise checked.error


@app.command(
    epilog="Example:  toytip source synth data/synthetic --rows-per-month 10000 --months 2020-01:2020-06"
)
@expand_options
def synth(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Folder or URI to write the monthly files to.")
    ],
    rows_per_month: Annotated[
        int | None, setting_option("synth_rows_per_month", "--rows-per-month", metavar="N")
    ] = None,
    seed: Annotated[int | None, setting_option("synth_seed", "--seed", metavar="N")] = None,
    taxi: Annotated[
        SyntheticKind,
        option(
            "--taxi",
            metavar="TAXI",
            help="Taxi type of the trips.",
            choices=get_args(SyntheticKind),
            default="yellow",
        ),
    ] = "yellow",
    inject_drift: Annotated[
        DriftKind | None,
        option(
            "--inject-drift",
            metavar="KIND",
            help="Drift to inject, for a test of `toytip monitor`. distance: distances are in kilometers "
            "instead of miles. card: 30 % of the passengers who paid by card pay cash instead. skill: high "
            "tips are assigned to card trips at random.",
            default="none",
        ),
    ] = None,
    no_drift: Annotated[
        bool,
        option(
            "--no-drift",
            help="Leave out the drift that the synthetic year has from March 2020. Months then differ only in "
            "their number of trips.",
        ),
    ] = False,
    json_: JsonOption = False,
    **options: Unpack[SynthOptions],
) -> None:
    """Generate a synthetic year of trips.

    The files have the format of the TLC's files, and contain a known number of invalid rows.
    """
    flags = {**options, "synth_rows_per_month": rows_per_month, "synth_seed": seed}
    settings = resolve_command_settings(flags, resumable=True)
    from toytip.cli.render.source import show_synthetic
    from toytip.cluster import connect
    from toytip.core.dataset.synthetic import SyntheticReport
    from toytip.pipeline.source import write_synthetic
    from toytip.progress.tracker import Progress

    progress = Progress.from_settings(settings)
    with connect(settings) as client, progress.show_live():
        source = write_synthetic(
            client, settings, folder, progress, taxi=taxi, inject_drift=inject_drift, drift=not no_drift
        )
    report = SyntheticReport(
        folder=folder, file_count=len(source.files), rows=source.rows, months=source.months
    )
    print_result(report, show_synthetic, as_json=json_)
