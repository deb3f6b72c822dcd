"""`toytip report`."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import print_json, resolve_command_settings
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import JsonOption


@app.command(epilog="Example:  toytip report v20261124T101500Z-3f9c2a --to report.html")
@expand_options
def report(
    version: Annotated[
        str | None,
        typer.Argument(metavar="VERSION", help="A version or a tag [default: the newest predictions]"),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="File to write the page to [default: the store keeps it]", show_default=False
        ),
    ] = None,
    zone_map: Annotated[
        str | None,
        typer.Option("--zone-map", help="GeoJSON of the TLC's zones, to draw a map from", show_default=False),
    ] = None,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Tell all of a version on one page: what to look at first, rows, features, metrics, drift, time, lineage.

    The page needs no network and no server. A run makes its own; what a version has not is left out, and said.
    """
    settings = resolve_command_settings({**given, "zone_map_file": zone_map}, workers_needed=False)
    import toytip.cluster.slim_imports  # noqa: F401 - before anything imports more
    from toytip.pipeline.report import write_report
    from toytip.progress.tracker import Progress

    told = write_report(settings, version, to, Progress.from_settings(settings))
    if json_:
        print_json(told)
    else:
        typer.echo(told["report"])
