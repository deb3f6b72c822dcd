"""The root command `toytip`, and its subcommands in the order in which the help lists them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from toytip._version import __version__
from toytip.cli.lazy_group import HelpfulCommand, HelpfulGroup, LazyCommand, LazyGroup

SUMMARY = "Train and run a high-tip classifier on a year of New York taxi trips."


class RootGroup(LazyGroup):
    """The commands of `toytip`."""

    lazy_commands = {  # noqa: RUF012 - read only
        "new": LazyCommand("toytip.cli.new", "Create a project with your own features, rules and label."),
        "run": LazyCommand("toytip.cli.run", "Run the complete pipeline."),
        "runs": LazyCommand("toytip.cli.runs", "List the runs of a store, newest first."),
        "report": LazyCommand("toytip.cli.report", "Write the HTML report of a version."),
        "stage": LazyCommand("toytip.cli.stages", "Run a single stage of the pipeline."),
        "source": LazyCommand("toytip.cli.source", "Download, check and generate source files."),
        "version": LazyCommand("toytip.cli.versions", "Inspect and manage the versions of a store."),
        "model": LazyCommand("toytip.cli.models", "Inspect, promote and roll back models."),
        "score": LazyCommand("toytip.cli.score", "Score the trips of a file."),
        "judge": LazyCommand("toytip.cli.judge", "Evaluate predictions of any program."),
        "serve": LazyCommand("toytip.cli.serve", "Serve a model over HTTP."),
        "monitor": LazyCommand("toytip.cli.monitor", "Monitor data drift and model performance."),
        "backtest": LazyCommand("toytip.cli.backtest", "Measure how the AUC of models falls with their age."),
        "tune": LazyCommand("toytip.cli.tune", "Search for the model parameters with the lowest log loss."),
        "cluster": LazyCommand("toytip.cli.cluster", "Start, stop and check clusters."),
        "config": LazyCommand("toytip.cli.config", "Print the resolved settings."),
    }


class CommandApp(typer.Typer):
    """A Typer app whose commands are of the class `HelpfulCommand`."""

    def command(self, name: str | None = None, **details: Any) -> Any:
        """Return the decorator of a command."""
        return super().command(name, cls=HelpfulCommand, **details)


def new_app(name: str, example: str | None = None) -> typer.Typer:
    """Return the Typer app of a command or of a group of commands.

    `example` is shown below the help of a group.
    """
    return CommandApp(
        name=name,
        cls=HelpfulGroup,
        help=RootGroup.lazy_commands[name].summary,
        epilog=f"Example:  {example}" if example else None,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


app = typer.Typer(
    name="toytip",
    cls=RootGroup,
    help=SUMMARY,
    epilog="Example:  toytip run --workers 8",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version of toytip and exit.")
    ] = False,
) -> None:
    """Print the version of toytip if `--version` is set."""
    if show_version:
        typer.echo(f"toytip {__version__}")
        raise typer.Exit
