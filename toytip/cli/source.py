"""`toytip source`: download, check and generate source files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import print_result, resolve_command_settings
from toytip.cli.option_groups import ClusterOptions, CommonOptions, expand_options
from toytip.cli.options import (
    EndpointUrlOption,
    JsonOption,
    MonthsOption,
    option,
    setting_option,
)
from toytip.config import Taxi


class MonthlyFilesOptions(CommonOptions):
    """Months of the files."""

    months: MonthsOption


class SynthOptions(MonthlyFilesOptions, ClusterOptions):
    """Options of generating files."""


class CheckOptions(MonthlyFilesOptions):
    """Options of checking files."""

    endpoint_url: EndpointUrlOption


app = new_app("source")


@app.command(
    epilog="Example:  toytip source download --taxi green --months 2023-01:2023-12 --output-dir data/green-2023"
)
@expand_options
def download(
    taxi: Annotated[Taxi, option("--taxi", help="Taxi type.")] = "yellow",
    output_dir: Annotated[str | None, setting_option("data_dir", "--output-dir", metavar="DIR")] = None,
    base_url: Annotated[str | None, setting_option("base_url", metavar="URL")] = None,
    json_: JsonOption = False,
    **options: Unpack[MonthlyFilesOptions],
) -> None:
    """Download monthly files and the zone names from the TLC.

    An interrupted download resumes. toytip checks each file before it gets its final name, and does
    not download existing files again.
    """
    flags = {**options, "data_dir": output_dir, "base_url": base_url}
    settings = resolve_command_settings(flags, workers_needed=False)
    from toytip.cli.render.source import show_download
    from toytip.pipeline.source import download_months
    from toytip.progress.tracker import Progress

    report, _ = download_months(settings, taxi, Path(settings.data_dir), Progress.from_settings(settings))
    print_result(report, show_download, as_json=json_)


@app.command(epilog="Example:  toytip source check data/yellow --json")
@expand_options
def check(
    source: Annotated[
        str, typer.Argument(help="Monthly Parquet files: a folder, a glob, a comma-separated list or a URI.")
    ],
    json_: JsonOption = False,
    **options: Unpack[CheckOptions],
) -> None:
    """Check the files of a source.

    Reports rows, schema, missing values and trips of other months for each file, and compares the
    number of rows with the adjacent months.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.cli.render.source import show_inspection
    from toytip.progress.tracker import Progress
    from toytip.sources.discovery import open_source
    from toytip.sources.inspection import inspect_source

    opened = open_source(source, settings.months, settings.endpoint_url)
    progress = Progress.from_settings(settings)
    with progress.show_live(), progress.stage("check", len(opened.files)) as stage:
        report = inspect_source(opened, stage.advance)
    print_result(report, show_inspection, as_json=json_)


@app.command(
    epilog="Example:  toytip source synth data/synthetic --rows-per-month 10000 --months 2020-01:2020-06"
)
@expand_options
def synth(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder or URI for the monthly files.")],
    rows_per_month: Annotated[
        int | None, setting_option("synth_rows_per_month", "--rows-per-month", metavar="N")
    ] = None,
    seed: Annotated[int | None, setting_option("synth_seed", "--seed", metavar="N")] = None,
    inject_drift: Annotated[
        Literal["distance", "card", "skill"] | None,
        option("--inject-drift", help="Drift to inject, to test `toytip monitor`.", default="none"),
    ] = None,
    no_drift: Annotated[
        bool,
        option("--no-drift", help="Generate months that differ in size only, without the drift of 2020."),
    ] = False,
    json_: JsonOption = False,
    **options: Unpack[SynthOptions],
) -> None:
    """Generate a synthetic year of yellow trips.

    The files look like those of the TLC and contain a known number of invalid rows.
    """
    flags = {**options, "synth_rows_per_month": rows_per_month, "synth_seed": seed}
    settings = resolve_command_settings(flags)
    from toytip.cli.render.source import show_synthetic
    from toytip.cluster import connect
    from toytip.pipeline.source import write_synthetic
    from toytip.progress.tracker import Progress
    from toytip.sources.synthetic import SyntheticReport

    progress = Progress.from_settings(settings)
    with connect(settings) as client, progress.show_live():
        source = write_synthetic(
            client, settings, folder, progress, inject_drift=inject_drift, drift=not no_drift
        )
    report = SyntheticReport(
        folder=folder, file_count=len(source.files), rows=source.rows, months=source.months
    )
    print_result(report, show_synthetic, as_json=json_)
