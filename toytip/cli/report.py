"""`toytip report`."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import print_result, resolve_command_settings
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import JsonOption, output_option, setting_option

app = new_app("report")


@app.command(epilog="Example:  toytip report v20261124T101500Z-3f9c2a --output report.html")
@expand_options
def report(
    version: Annotated[
        str | None,
        typer.Argument(metavar="VERSION", help="Version or tag. \\[default: the current predictions]"),
    ] = None,
    output: Annotated[str | None, output_option("HTML file for the report.", "a file in the store")] = None,
    zone_map_file: Annotated[
        str | None, setting_option("zone_map_file", "--zone-map", metavar="FILE")
    ] = None,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Write the HTML report of a version.

    The report contains warnings, the run summary, features, metrics, drift, durations and lineage.
    The report opens in a browser without a network or a server. Every run writes its own report.
    """
    settings = resolve_command_settings({**options, "zone_map_file": zone_map_file}, workers_needed=False)
    import toytip.cluster.slim_imports  # noqa: F401 - before anything imports more
    from toytip.pipeline.reporting.pages import write_report
    from toytip.progress.tracker import Progress

    written = write_report(settings, version, output, Progress.from_settings(settings))
    print_result(written, lambda result: typer.echo(result.report_path), as_json=json_)
