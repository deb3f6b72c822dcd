"""Functions that commands share: settings, stores, printing, signals, errors and exit codes."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from toytip.cli.render.stdout import tolerant_stdout
from toytip.core.redact import first_line
from toytip.errors import ConfigError, StoreError, ToytipError

if TYPE_CHECKING:
    from pathlib import Path

    from toytip.config import Settings
    from toytip.pipeline.context import RunContext
    from toytip.progress.tracker import Progress
    from toytip.store.catalog import UnreadableManifest
    from toytip.store.manifest import Manifest
    from toytip.store.store import Store

EXIT_CODES = {
    0: "Success.",
    1: "Error. The cause is printed to stderr, often with a hint.",
    2: "Usage error: an unknown command or option, or an invalid value or combination of options or "
    "settings.",
    3: "`toytip monitor` and `toytip run --model`: an alert fires in the latest analysis month.",
    128 + signal.SIGHUP: "Stopped by SIGHUP, for example because the terminal was closed.",
    128 + signal.SIGINT: "Stopped by Ctrl-C (SIGINT).",
    128
    + signal.SIGPIPE: "`toytip score`: the reader of stdout, for example `head`, ended before it had read all "
    "scores. Other commands keep their exit code, because they complete their work.",
    128 + signal.SIGTERM: "Stopped by SIGTERM.",
}
EXIT_USAGE = 2
EXIT_ALERT = 3
EXIT_UNREAD = 128 + signal.SIGPIPE
EXIT_INTERRUPTED = 128 + signal.SIGINT
STOPPED_MESSAGE = "stopped"
RESUMABLE_MESSAGE = "stopped: complete outputs are kept. Run the same command again to resume"

Result = TypeVar("Result")


def resolve_command_settings(
    options: Mapping[str, Any],
    *,
    workers_needed: bool = True,
    prepare: bool = True,
    resumable: bool = False,
) -> Settings:
    """Return the settings of a command. If the command needs workers, also prepare their start.

    Without `prepare`, the command calls `prepare_workers` itself. With `resumable`, the message of
    a stopped command tells users how to resume the command.
    """
    global _stopped_message  # noqa: PLW0603 - `run_cli` prints the message
    if resumable:
        _stopped_message = RESUMABLE_MESSAGE
    if workers_needed:
        install_signal_handlers()
    from toytip.config import Settings
    from toytip.io.credentials import export_credentials
    from toytip.models.code_policy import apply_code_policy
    from toytip.settings_files import warn_of_misspelled_variables

    export_credentials()
    if options.get("quiet"):
        logging.getLogger("toytip").setLevel(logging.ERROR)
        options = {**options, "progress": "none"}
    settings = Settings.load(
        **{name: value for name, value in options.items() if name in Settings.model_fields}
    )
    warn_of_misspelled_variables(Settings.model_fields)
    apply_code_policy(settings)
    from toytip.cluster import apply_cluster_definition

    requested = {name for name, value in options.items() if value is not None}
    settings = apply_cluster_definition(settings, requested, uses_workers=workers_needed)
    if workers_needed and prepare:
        prepare_workers(settings)
    return settings


def prepare_workers(settings: Settings) -> None:
    """Start the fork server of local workers, and import Dask."""
    from toytip.cluster import plan_cluster, prestart_forkserver

    if settings.scheduler is None:
        starts_workers = plan_cluster(settings).starts_local_workers
        if starts_workers:
            _require_folder()
        prestart_forkserver(settings.start_method if starts_workers else "spawn")
    import toytip.cluster.slim_imports  # noqa: F401 - before anything imports more


def _require_folder() -> None:
    """Raise ToytipError if the current folder was deleted, because workers start in this folder."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        raise ToytipError(
            "cannot start workers: the current folder was deleted", hint="Change to another folder."
        ) from None


def open_command_store(options: Mapping[str, Any]) -> Store:
    """Return the store of a command that needs no workers.

    Raises StoreError if the store does not exist.
    """
    return open_existing_store(resolve_command_settings(options, workers_needed=False))


def open_existing_store(settings: Settings) -> Store:
    """Return the store that the settings name. Raises StoreError if the store does not exist."""
    from toytip.store.store import store_from_settings

    store = store_from_settings(settings)
    layout = store.layout
    folders = layout.runs, layout.manifests(), layout.staging, layout.registry
    with store.reading():
        exists = any(store.file_io.list_files(folder) for folder in folders)
    if not exists:
        raise StoreError(
            f"cannot read store {store.display_uri}: it does not exist",
            hint="Check --store and --env, or create the store with `toytip run`.",
        )
    return store


def resolve_upstream(
    settings: Settings, table: str, version: str | None, as_of: str | None = None
) -> Manifest:
    """Return the version with an ID or tag, or else the newest version as of a time.

    A stage reads the newest version even if it did not pass, because stages are run one by one.
    """
    from toytip.store.refs import resolve_version
    from toytip.store.store import store_from_settings

    return resolve_version(store_from_settings(settings), table, version, as_of, any_status=True)


@contextlib.contextmanager
def open_features(
    settings: Settings, progress: Progress, version: str | None, as_of: str | None
) -> Iterator[tuple[RunContext, Manifest]]:
    """Yield the features of `--source`, or the current features of the store without a source.

    Publishes the features of a source. Raises ConfigError if the store has features of both taxi
    types, and neither a source nor a version selects one.
    """
    from toytip.pipeline import read_source, source
    from toytip.pipeline.context import open_reader, open_run
    from toytip.store.refs import resolve_version
    from toytip.store.store import store_from_settings

    if settings.source is not None and version is None and as_of is None:
        plan = source.prepare_plan(settings, progress)
        with open_run(settings, progress) as context:
            tables = read_source.read_source(context, source.complete_plan(context, plan))
            context.publish("features", tables)
            yield context, tables["features"]
        return
    features = resolve_version(store_from_settings(settings), "features", version, as_of)
    if version is None:
        _require_one_taxi(settings)
    with open_reader(settings, progress) as context:
        yield context, features


def _require_one_taxi(settings: Settings) -> None:
    """Raise ConfigError if the store has features of both taxi types."""
    from toytip.datasets.words import describe_kinds
    from toytip.store.store import store_from_settings

    store = store_from_settings(settings)
    taxis = sorted({str(manifest.config["taxi"]) for manifest in store.list_manifests("features")})
    if len(taxis) > 1:
        raise ConfigError(
            f"cannot choose features: {store.display_uri} has features of {describe_kinds(taxis)}",
            hint="Set --source to the trips, or --input-version to a version of features.",
        )


def run_stage(
    settings: Settings,
    name: str,
    work: Callable[[RunContext], dict[str, Any]],
    options: Mapping[str, Any],
    as_json: bool,
    progress: Progress | None = None,
) -> None:
    """Run a single stage, publish its tables, and print them."""
    from toytip.cli.render.run import show_stage
    from toytip.pipeline.context import open_run
    from toytip.pipeline.result import describe_stage
    from toytip.pipeline.run_facts import stage_status
    from toytip.progress.tracker import Progress

    progress = progress or Progress.from_settings(settings)
    with open_run(settings, progress) as context:
        tables = work(context)
        context.publish(f"stage {name}", tables, stage_status(context.store, tables))
        stage = describe_stage(context, tables)
    print_result(stage, show_stage, as_json=as_json, quiet=options["quiet"])


def print_result(
    result: Result, show: Callable[[Result], None], *, as_json: bool, quiet: bool = False
) -> None:
    """Print a typed result as JSON or with `show`. With `quiet`, only JSON is printed."""
    if as_json:
        print_json(result)
    elif not quiet:
        show(result)


def print_json(value: Any) -> None:
    """Print a value as JSON on one line, as `--json` does."""
    from toytip.core.jsonable import dump_json, to_json

    typer.echo(dump_json(to_json(value)))


def raise_for_unreadable(unreadable: Sequence[UnreadableManifest]) -> None:
    """Raise StoreError if manifests could not be read, after all other work of the command."""
    if unreadable:
        more = f" (and {len(unreadable) - 1} more)" if unreadable[1:] else ""
        raise StoreError(f"{unreadable[0].error}{more}", hint=unreadable[0].error.hint)


def write_output(file: Path, content: bytes) -> None:
    """Write the file of `--output`. Raises ToytipError if the file cannot be written."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise ToytipError(
            f"cannot write {file}: {first_line(error)}", hint="Set --output to a writable file."
        ) from None


_stop_signal = signal.SIGINT
_stopped_message = STOPPED_MESSAGE


def install_signal_handlers() -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C, unless `nohup` ignores SIGHUP."""
    signal.signal(signal.SIGTERM, _raise_interrupt)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _raise_interrupt)


def _raise_interrupt(number: int, _frame: Any) -> None:
    global _stop_signal  # noqa: PLW0603 - a signal handler cannot return a value
    _stop_signal = signal.Signals(number)
    raise KeyboardInterrupt


class _WarningHandler(logging.Handler):
    """Prints warnings on stderr.

    Looks up `sys.stderr` for each warning, because the progress grid redirects it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line: the level and the message."""
        with contextlib.suppress(OSError, AttributeError):
            sys.stderr.write(f"{record.levelname.lower()}: {' '.join(record.getMessage().split())}\n")


def run_cli(command: Callable[..., Any]) -> int:
    """Run the command line, and return its exit code (see `EXIT_CODES`)."""
    global _stopped_message  # noqa: PLW0603 - a command that can be resumed sets another message
    _stopped_message = STOPPED_MESSAGE
    handler = _WarningHandler()
    log = logging.getLogger("toytip")
    log.addHandler(handler)
    level = log.level
    _prepare_libraries()
    try:
        with tolerant_stdout():
            code = command(standalone_mode=False) or 0
        return _print_stopped() if code == EXIT_INTERRUPTED else int(code)  # Typer handles Ctrl-C itself
    except ToytipError as error:
        if "--debug" in sys.argv:
            raise
        _print_line(f"error: {error}")
        if error.hint:
            _print_line(f"hint: {error.hint}")
        return EXIT_USAGE if isinstance(error, ConfigError) else 1
    except (KeyboardInterrupt, typer.Abort):
        return _print_stopped()
    except Exception as error:  # noqa: BLE001 - _show_usage_error raises bugs again
        return _show_usage_error(error)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _prepare_libraries() -> None:
    """Prepare the environment of libraries, so that they start and print nothing about caches."""
    from toytip.io.home import ensure_home
    from toytip.io.proxies import exclude_loopback

    ensure_home()
    exclude_loopback()
    if os.environ.get("COLUMNS", "").strip() == "0":  # a terminal of unknown width
        del os.environ["COLUMNS"]
    # Matplotlib would print where it stores its fonts if the home folder is not writable.
    for library in ("matplotlib", "matplotlib.font_manager"):
        logging.getLogger(library).setLevel(logging.ERROR)


def _print_stopped() -> int:
    """Print that the command was stopped, and return the exit code of the signal."""
    global _stop_signal
    number, _stop_signal = _stop_signal, signal.SIGINT
    _print_line(_stopped_message)
    return 128 + number


def _show_usage_error(error: Exception) -> int:
    """Show a usage error as Click does. Raise any other error again, because it is a bug."""
    show = getattr(error, "show", None)
    if show is None:
        raise error
    vars(error)["message"] = _plain_cause(getattr(error, "message", ""))
    show()
    return int(getattr(error, "exit_code", EXIT_USAGE))


def _plain_cause(message: str) -> str:
    """Return the message of a usage error without the wording of pydantic."""
    message = message.removeprefix("Value error, ").replace("Input should be", "must be", 1)
    return re.sub(r"must be a valid (\w+), unable to parse.*", r"must be a valid \1", message)


def _print_line(line: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # stderr may be full or closed
        sys.stderr.write(" ".join(line.split()) + "\n")
