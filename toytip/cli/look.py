"""Looking at what there is: versions, settings; and the synthetic source."""

from __future__ import annotations

from typing import Annotated

import typer

from toytip.cli.app import app, source_app
from toytip.cli.options import (
    DebugOption,
    EnvOption,
    JsonOption,
    MonthsOption,
    SchedulerOption,
    SourceOption,
    StoreOption,
    WorkersOption,
)
from toytip.cli.shell import print_json, settings_of


@app.command(epilog="Example:  toytip versions --store ./toytip-store --env prod")
def versions(
    store: StoreOption = None, env: EnvOption = None, json_: JsonOption = False, debug: DebugOption = False
) -> None:
    """List the published versions of every table: rows, months, bytes, created, parents."""
    settings = settings_of(locals(), workers_needed=False)
    from toytip.cli.summarize import show_versions, version_rows
    from toytip.store import Store

    rows = version_rows(Store(settings.store, settings.env).versions())
    if json_:
        print_json({"versions": rows})
    else:
        show_versions(rows, f"{settings.store}/{settings.env}")


@app.command(epilog="Example:  TOYTIP_WORKERS=4 toytip config")
def config(
    store: StoreOption = None,
    env: EnvOption = None,
    source: SourceOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Print the settings as they resolve: flags, TOYTIP_* variables, .env, toytip.toml, defaults."""
    settings = settings_of(locals(), workers_needed=False)
    if json_:
        print_json(settings.masked())
        return
    for name, value in settings.masked().items():
        typer.echo(f"{name} = {'' if value is None else value}")


@source_app.command(
    epilog="Example:  toytip source synth data/synthetic --rows 10000 --months 2020-01:2020-06"
)
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
    months: MonthsOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a synthetic year of yellow trips, TLC-shaped, with known amounts of dirt."""
    settings = settings_of({**locals(), "synth_rows": rows, "synth_seed": seed})
    from toytip import cluster
    from toytip.pipeline import plan
    from toytip.progress import Progress

    progress = Progress()
    with cluster.connect(settings) as client, progress.live():
        made = plan.write_synthetic(client, settings, folder, progress)
    if json_:
        print_json(
            {
                "folder": folder,
                "files": len(made.files),
                "rows": made.rows,
                "months": [str(m) for m in made.months],
            }
        )
    else:
        typer.echo(f"{len(made.files)} files, {made.rows:,} rows in {folder}")
