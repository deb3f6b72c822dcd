"""`toytip runs` lists the runs of a store, and `toytip runs compare` compares some of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Unpack, get_args

import typer

from toytip.cli.command import (
    open_command_store,
    print_result,
    raise_for_unreadable,
    resolve_command_settings,
)
from toytip.cli.lazy_group import HelpfulCommand, HelpfulGroup
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import JsonOption, option, output_option

if TYPE_CHECKING:
    from toytip.store.run_manifest import RunManifest

StatusName = Literal["passed", "not-gated", "refused", "failed-check"]

app = typer.Typer(
    name="runs",
    cls=HelpfulGroup,
    epilog="Example:  toytip runs --taxi green --status passed --limit 10",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
@expand_options
def runs(
    ctx: typer.Context,
    limit: Annotated[
        int | None,
        option("--limit", min=1, metavar="N", help="Maximum number of runs to list.", default="all runs"),
    ] = None,
    taxi: Annotated[
        str | None,
        option(
            "--taxi",
            metavar="TAXI",
            help="Taxi type of the runs.",
            default="all types",
        ),
    ] = None,
    status: Annotated[
        StatusName | None,
        option(
            "--status",
            metavar="STATUS",
            help="Status of the runs.",
            choices=get_args(StatusName),
            default="any status",
        ),
    ] = None,
    output: Annotated[
        Path | None, output_option("HTML file for a page with all listed runs over time.", "no file")
    ] = None,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """List the runs of a store, newest first.

    Prints the version, source, months, feature set, AUC on the test trips, and status of each run.
    `*` marks the current run, which readers take by default. `C` marks the runs that trained the
    champions.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings = resolve_command_settings(options, workers_needed=False)
    store = open_command_store(options)
    from toytip.cli.render.versions import show_runs
    from toytip.models.resolve import champion_versions
    from toytip.store.runs import list_runs

    manifests, unreadable = store.scan_runs()
    chosen = [run for run in manifests if _matches(run, taxi, status)][-(limit or 0) :]
    listed = list_runs(store, chosen, champion_versions(settings))
    if output is not None:
        _write_page(listed, output)
    print_result(listed, lambda _: show_runs(listed, store.display_uri), as_json=json_)
    raise_for_unreadable(unreadable)


def _matches(run: RunManifest, taxi: str | None, status: str | None) -> bool:
    facts = run.run
    return facts is not None and taxi in (None, facts.taxi) and status in (None, run.status)


def _write_page(listed: Any, output: Path) -> None:
    from toytip.cli.command import write_output
    from toytip.report.runs_page import render_runs_page

    write_output(output, render_runs_page(listed).encode())
    typer.echo(f"wrote {output}", err=True)


@app.command(
    cls=HelpfulCommand,
    epilog="Example:  toytip runs compare v20261124T101500Z-3f9c2a v20261125T101500Z-81d0b7",
)
@expand_options
def compare(
    versions: Annotated[
        list[str], typer.Argument(metavar="VERSION...", help="Versions or tags of two or more runs.")
    ],
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Compare runs side by side.

    Prints the facts and settings that differ between the runs, and their metrics on the test trips.
    """
    store = open_command_store(options)
    from toytip.cli.render.versions import show_run_comparison
    from toytip.store.runs import compare_runs

    print_result(compare_runs(store, versions), show_run_comparison, as_json=json_)
