"""The command line's root."""

from __future__ import annotations

from typing import Annotated

import typer

from toytip._version import __version__

app = typer.Typer(
    name="toytip",
    help="Read a year of taxi trips, and predict for every trip whether the passenger leaves a high tip.",
    epilog="Example:  toytip run --workers 8",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
source_app = typer.Typer(help="Make and look at input files.", no_args_is_help=True)
app.add_typer(source_app, name="source")
cluster_app = typer.Typer(help="Bring clusters up and down, look at them, secure them.", no_args_is_help=True)
app.add_typer(cluster_app, name="cluster")


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,  # noqa: ARG001
    show_version: Annotated[bool, typer.Option("--version", help="Print toytip's version and exit.")] = False,
) -> None:
    """Read a year of taxi trips, and predict for every trip whether the passenger leaves a high tip."""
    if show_version:
        typer.echo(f"toytip {__version__}")
        raise typer.Exit
