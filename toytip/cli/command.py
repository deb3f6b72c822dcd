"""What every command shares: settings, one stage alone, one JSON object, one line for an error, an exit code."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from toytip.cli.stdout import tolerant_stdout
from toytip.core.jsonable import to_json
from toytip.errors import StoreError, ToytipError

if TYPE_CHECKING:
    from toytip.cli.option_groups import StoreOptions
    from toytip.config import Settings
    from toytip.pipeline.context import RunContext
    from toytip.progress.tracker import Progress
    from toytip.store.catalog import UnreadableManifest
    from toytip.store.manifest import Manifest
    from toytip.store.store import Store

EXIT_INTERRUPTED = 130
STOPPED_MESSAGE = "stopped; nothing half-made was left behind"


def resolve_command_settings(options: Mapping[str, object], *, workers_needed: bool = True) -> Settings:
    """Resolve the settings from a command's arguments; set off the workers' imports before our own."""
    if workers_needed:
        install_signal_handlers()
    from toytip.config import Settings, export_credentials

    export_credentials()
    for option, mode in (("plain", "plain"), ("quiet", "none")):  # of both, quiet is the stronger
        if options.get(option):
            options = {**options, "progress": mode}
    settings = Settings.load(
        **{name: value for name, value in options.items() if name in Settings.model_fields}
    )
    if settings.progress == "none":
        logging.getLogger("toytip").setLevel(logging.ERROR)
    from toytip.cluster import apply_cluster_definition, prestart_forkserver, starts_local_workers

    asked = {name for name, value in options.items() if value is not None}
    settings = apply_cluster_definition(settings, asked, uses_workers=workers_needed)
    if workers_needed and settings.scheduler is None:
        prestart_forkserver(settings.start_method if starts_local_workers(settings) else "spawn")
    if workers_needed:
        import toytip.cluster.slim_imports  # noqa: F401 - before anything imports more
    return settings


def open_command_store(options: StoreOptions) -> Store:
    """Return the store that a command's options name."""
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.store.store import store_from_settings

    return store_from_settings(settings)


def resolve_upstream(
    settings: Settings, table: str, version: str | None, as_of: str | None = None
) -> Manifest:
    """Return the version to work on: the one of that name or tag, or the newest, as of a moment."""
    from toytip.store.refs import resolve_version
    from toytip.store.store import store_from_settings

    return resolve_version(store_from_settings(settings), table, version, as_of)


def run_stage(
    settings: Settings,
    tables: tuple[str, ...],
    work: Callable[[RunContext], dict[str, Any]],
    as_json: bool,
    progress: Progress | None = None,
) -> None:
    """Run one stage alone and say what it published."""
    from toytip.core.jsonable import to_json
    from toytip.pipeline.context import open_run
    from toytip.pipeline.result import describe_stage
    from toytip.progress.tracker import Progress

    progress = progress or Progress.from_settings(settings)
    with open_run(settings, tables, progress) as context:
        result = describe_stage(context, work(context))
    if as_json:
        print_json(to_json(result))
        return
    if settings.progress == "none":
        return
    for name, table in result.tables.items():
        typer.echo(f"{name} {table.version}: {table.rows:,} rows in {table.path}")


def print_json(value: Any) -> None:
    """Print the one line that `--json` promises."""
    typer.echo(json.dumps(to_json(value)))


def raise_for_unreadable(unreadable: Sequence[UnreadableManifest]) -> None:
    """Raise StoreError, after the work, where manifests cannot be read; nothing else was kept from it."""
    if unreadable:
        more = f" (and {len(unreadable) - 1} more)" if unreadable[1:] else ""
        error = unreadable[0].error
        raise StoreError(f"{error}{more}", hint=error.hint)


def print_result(as_json: bool, value: dict[str, Any], *lines: str) -> None:
    """Print what a program reads, or the lines that a person does."""
    if as_json:
        print_json(value)
    for line in () if as_json else lines:
        typer.echo(line)


def install_signal_handlers() -> None:
    """End on SIGTERM, or when the terminal is closed, as on Ctrl-C: clean up, leave no worker behind."""
    signal.signal(signal.SIGTERM, _raise_interrupt)
    if (
        hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
    ):  # which `nohup` asks for
        signal.signal(signal.SIGHUP, _raise_interrupt)


def _raise_interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def run_cli(command: Callable[..., Any]) -> int:
    """Run the command line; return the exit code: 0, 1 our error (one line), 2 usage, 130 Ctrl-C."""
    try:
        with tolerant_stdout():
            code = command(standalone_mode=False) or 0
        if code == EXIT_INTERRUPTED:  # Typer has caught the Ctrl-C
            _print_error(STOPPED_MESSAGE)
    except ToytipError as error:
        if "--debug" in sys.argv:
            raise
        _print_error(f"error: {error}")
        if error.hint:
            _print_error(f"hint: {error.hint}")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        _print_error(STOPPED_MESSAGE)
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - told apart in _usage, which raises what is a bug
        return _show_usage_error(error)
    return int(code)


def _show_usage_error(error: Exception) -> int:
    """Show a usage error as Click does; anything else is a bug and keeps its traceback."""
    show = getattr(error, "show", None)
    if show is None:
        raise error
    show()
    return int(getattr(error, "exit_code", 2))


def _print_error(line: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # it may be full, gone or closed
        sys.stderr.write(" ".join(line.split()) + "\n")
