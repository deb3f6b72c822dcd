"""Looking at what there is: the settings, and the source."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import app, source_app
from toytip.cli.command import print_json, print_result, resolve_command_settings
from toytip.cli.option_groups import ClusterOptions, CommonOptions, expand_options
from toytip.cli.options import (
    ClusterOption,
    EndpointUrlOption,
    EnvOption,
    JsonOption,
    MonthsOption,
    SourceOption,
    StoreOption,
)


class ConfigOptions(CommonOptions):
    """Of the settings that are looked at most."""

    store: StoreOption
    env: EnvOption
    source: SourceOption
    cluster: ClusterOption


class MonthlyFilesOptions(CommonOptions):
    """Of files by month."""

    months: MonthsOption


class SynthOptions(MonthlyFilesOptions, ClusterOptions):
    """Of making files."""


class CheckOptions(MonthlyFilesOptions):
    """Of looking at files."""

    endpoint: EndpointUrlOption


@app.command(epilog="Example:  TOYTIP_WORKERS=4 toytip config")
@expand_options
def config(json_: JsonOption = False, **given: Unpack[ConfigOptions]) -> None:
    """Print the settings as they resolve: flags, TOYTIP_* variables, .env, toytip.toml, defaults."""
    found = resolve_command_settings(given, workers_needed=False).to_masked_dict()
    print_result(
        json_, found, *(f"{name} = {'' if value is None else value}" for name, value in found.items())
    )


@source_app.command(
    epilog="Example:  toytip source synth data/synthetic --rows 10000 --months 2020-01:2020-06"
)
@expand_options
def synth(
    folder: Annotated[str, typer.Argument(help="Folder or URI to write the monthly files to.")],
    rows: Annotated[
        int | None,
        typer.Option("--rows", help="Trips a month, on average [default: 100000]", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Seed of the random numbers [default: 2020]", show_default=False),
    ] = None,
    plant: Annotated[
        str | None,
        typer.Option(
            "--plant",
            help="A drift for `toytip monitor` to find: distance, card or skill [default: none]",
            show_default=False,
        ),
    ] = None,
    steady: Annotated[
        bool, typer.Option("--steady", help="Without the drift of 2020: every month alike but for its size.")
    ] = False,
    json_: JsonOption = False,
    **given: Unpack[SynthOptions],
) -> None:
    """Write a synthetic year of yellow trips, TLC-shaped, with known amounts of dirt."""
    settings = resolve_command_settings({**given, "synth_rows_per_month": rows, "synth_seed": seed})
    from toytip.cluster import connect
    from toytip.core.jsonable import to_json
    from toytip.pipeline.source import write_synthetic
    from toytip.progress.tracker import Progress
    from toytip.sources.synthetic import SyntheticReport

    progress = Progress.from_settings(settings)
    with connect(settings) as client, progress.show_live():
        source = write_synthetic(client, settings, folder, progress, inject_drift=plant, drift=not steady)
    report = SyntheticReport(
        folder=folder, file_count=len(source.files), rows=source.rows, months=source.months
    )
    print_result(json_, to_json(report), f"{len(source.files)} files, {source.rows:,} rows in {folder}")


@source_app.command(
    epilog="Example:  toytip source fetch --taxi yellow --months 2023-01:2023-12 --to data/yellow"
)
@expand_options
def fetch(
    taxi: Annotated[str, typer.Option("--taxi", help="yellow or green.")] = "yellow",
    to: Annotated[
        str | None,
        typer.Option("--to", help="Folder to fetch to [default: ./toytip-data]", show_default=False),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", help="Server [default: the TLC's public address]", show_default=False),
    ] = None,
    json_: JsonOption = False,
    **given: Unpack[MonthlyFilesOptions],
) -> None:
    """Fetch monthly files and the zone table; goes on where it was cut, and checks all before they count."""
    settings = resolve_command_settings({**given, "data_dir": to, "base_url": base_url}, workers_needed=False)
    from pathlib import Path

    from toytip.core.jsonable import to_json
    from toytip.pipeline.source import download_months
    from toytip.progress.tracker import Progress

    report, _ = download_months(settings, taxi, Path(settings.data_dir), Progress.from_settings(settings))
    existing = sum(file.downloaded_bytes == 0 for file in report.files)
    summary = f"{len(report.files)} files in {report.folder}, {existing} of them already existed"
    print_result(json_, to_json(report), summary)


@source_app.command(epilog="Example:  toytip source check data/yellow --json")
@expand_options
def check(
    source: Annotated[str, typer.Argument(help="Folder, glob, list (commas) or URI of monthly parquet.")],
    json_: JsonOption = False,
    **given: Unpack[CheckOptions],
) -> None:
    """Say of each file: rows, era of its schema, missing values, trips of other months, rows beside its neighbours."""
    settings = resolve_command_settings(given, workers_needed=False)
    from toytip.cli.render.tables import show_inspection
    from toytip.core.jsonable import to_json
    from toytip.progress.tracker import Progress
    from toytip.sources.discovery import open_source
    from toytip.sources.inspection import inspect_source

    found = open_source(source, settings.months, settings.endpoint_url)
    progress = Progress.from_settings(settings)
    with progress.show_live(), progress.stage("check", len(found.files)) as stage:
        report = inspect_source(found, stage.advance)
    if json_:
        print_json(to_json(report))
    else:
        show_inspection(report)
