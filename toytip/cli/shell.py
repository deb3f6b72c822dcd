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

from toytip.cli.output import output
from toytip.errors import StoreError, ToytipError

if TYPE_CHECKING:
    from toytip.cli.groups import StoreOptions
    from toytip.config import Settings
    from toytip.pipeline.context import Context
    from toytip.progress import Progress
    from toytip.store import Damaged, Manifest, Store

INTERRUPTED = 130
STOPPED = "stopped; nothing half-made was left behind"


def settings_of(given: Mapping[str, object], *, workers_needed: bool = True) -> Settings:
    """Resolve the settings from a command's arguments; set off the workers' imports before our own."""
    if workers_needed:
        end_in_order()
    from toytip.config import Settings, export_credentials

    export_credentials()
    for mode in ("plain", "quiet"):  # of both, quiet is the stronger
        if given.get(mode):
            given = {**given, "progress": mode}
    settings = Settings.load(
        **{name: value for name, value in given.items() if name in Settings.model_fields}
    )
    if settings.progress == "quiet":
        logging.getLogger("toytip").setLevel(logging.ERROR)
    from toytip.cluster import settled, starts_here, warm

    asked = {name for name, value in given.items() if value is not None}
    settings = settled(settings, asked, using=workers_needed)
    if workers_needed and settings.scheduler is None:
        warm(settings.start_method if starts_here(settings) else "spawn")
    if workers_needed:
        import toytip.lean  # noqa: F401 - before anything imports more
    return settings


def store_given(given: StoreOptions) -> Store:
    """Return the store that a command's options name."""
    settings = settings_of(given, workers_needed=False)
    from toytip.store import store_of

    return store_of(settings)


def upstream_of(settings: Settings, table: str, version: str | None, as_of: str | None = None) -> Manifest:
    """Return the version to work on: the one of that name or tag, or the newest, as of a moment."""
    from toytip.history import resolve
    from toytip.store import store_of

    return resolve(store_of(settings), table, version, as_of)


def run_stage(
    settings: Settings,
    tables: tuple[str, ...],
    work: Callable[[Context], dict[str, Any]],
    as_json: bool,
    progress: Progress | None = None,
) -> None:
    """Run one stage alone and say what it published."""
    from toytip.pipeline.context import opened
    from toytip.pipeline.run import describe
    from toytip.progress import Progress

    progress = progress or Progress.of(settings)
    with opened(settings, tables, progress) as context:
        published = {name: describe(context, manifest) for name, manifest in work(context).items()}
    if as_json:
        print_json({"version": context.version, "tables": published, "stages": progress.seconds})
        return
    if settings.progress == "quiet":
        return
    for name, told in published.items():
        typer.echo(f"{name} {told['version']}: {told['rows']:,} rows in {told['path']}")


def print_json(value: Any) -> None:
    """Print the one line that `--json` promises."""
    typer.echo(json.dumps(value))


def refuse_damaged(damaged: Sequence[Damaged]) -> None:
    """Raise StoreError, after the work, where manifests cannot be read; nothing else was kept from it."""
    if damaged:
        more = f" (and {len(damaged) - 1} more)" if damaged[1:] else ""
        raise StoreError(f"{damaged[0].error}{more}")


def tell(as_json: bool, value: dict[str, Any], *lines: str) -> None:
    """Print what a program reads, or the lines that a person does."""
    if as_json:
        print_json(value)
    for line in () if as_json else lines:
        typer.echo(line)


def end_in_order() -> None:
    """End on SIGTERM, or when the terminal is closed, as on Ctrl-C: clean up, leave no worker behind."""
    signal.signal(signal.SIGTERM, _terminate)
    if (
        hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
    ):  # which `nohup` asks for
        signal.signal(signal.SIGHUP, _terminate)


def _terminate(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def guarded(command: Callable[..., Any]) -> int:
    """Run the command line; return the exit code: 0, 1 our error (one line), 2 usage, 130 Ctrl-C."""
    try:
        with output():
            code = command(standalone_mode=False) or 0
        if code == INTERRUPTED:  # Typer has caught the Ctrl-C
            _say(STOPPED)
    except ToytipError as error:
        if "--debug" in sys.argv:
            raise
        _say(f"error: {error}")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        _say(STOPPED)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - told apart in _usage, which raises what is a bug
        return _usage(error)
    return int(code)


def _usage(error: Exception) -> int:
    """Show a usage error as Click does; anything else is a bug and keeps its traceback."""
    show = getattr(error, "show", None)
    if show is None:
        raise error
    show()
    return int(getattr(error, "exit_code", 2))


def _say(line: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # it may be full, gone or closed
        sys.stderr.write(" ".join(line.split()) + "\n")
