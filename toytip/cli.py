"""The command line: parse, resolve the settings, call, and turn our errors into one line and an exit code.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toytip import __version__
from toytip.errors import ToytipError

if TYPE_CHECKING:
    from toytip.config import Settings
    from toytip.pipeline.context import Context
    from toytip.source import Source
    from toytip.store import Manifest

INTERRUPTED = 130
STOPPED = "stopped; nothing half-made was left behind"

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

READ = "Reading"
STORE = "Store"
WORK = "Workers"
LEARN = "Learning"


def _option(*names: str, help: str, panel: str) -> Any:  # noqa: A002 - Typer's word
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False)


SourceOption = Annotated[
    str | None,
    _option(
        "--source",
        help="Folder, glob, list (commas) or URI of TLC monthly parquet [default: a synthetic year]",
        panel=READ,
    ),
]
MonthsOption = Annotated[
    str | None, _option("--months", help="Months: 2023-01:2023-12, or a list 2023-01,2023-03", panel=READ)
]
RowsOption = Annotated[
    int | None, _option("--partition-rows", help="Rows in a partition, at most [default: 500000]", panel=READ)
]
StoreOption = Annotated[
    str | None, _option("--store", help="Where versions live [default: ./toytip-store]", panel=STORE)
]
EnvOption = Annotated[str | None, _option("--env", help="dev or prod [default: dev]", panel=STORE)]
VersionOption = Annotated[
    str | None, _option("--version", help="Id of the version to publish [default: a new one]", panel=STORE)
]
WorkersOption = Annotated[
    int | None, _option("--workers", help="Worker processes [default: one a core]", panel=WORK)
]
ThreadsOption = Annotated[
    int | None, _option("--threads-per-worker", help="Threads in each [default: cores / workers]", panel=WORK)
]
MemoryOption = Annotated[
    str | None, _option("--memory-limit", help="Memory per worker, as 4GB [default: its share]", panel=WORK)
]
SchedulerOption = Annotated[
    str | None, _option("--scheduler", help="Address of a running Dask scheduler, tcp://...", panel=WORK)
]
StartOption = Annotated[
    str | None, _option("--start-method", help="forkserver or spawn [default: forkserver]", panel=WORK)
]
TrainOption = Annotated[
    str | None, _option("--train", help="Months to train on, A:B [default: all before valid]", panel=LEARN)
]
ValidOption = Annotated[
    str | None,
    _option("--valid", help="Month to stop and tune on, or none [default: last but one]", panel=LEARN),
]
TestOption = Annotated[
    str | None, _option("--test", help="Month to test on [default: the last]", panel=LEARN)
]
FeaturesOption = Annotated[
    str | None, _option("--features", help="seed, pickup, dropoff or payment [default: payment]", panel=LEARN)
]
PopulationOption = Annotated[
    str | None, _option("--population", help="all trips, or those paid by card [default: all]", panel=LEARN)
]
RoundsOption = Annotated[
    int | None, _option("--rounds", help="Boosting rounds, at most [default: 300]", panel=LEARN)
]
DepthOption = Annotated[int | None, _option("--max-depth", help="Depth of a tree [default: 6]", panel=LEARN)]
EtaOption = Annotated[float | None, _option("--eta", help="Learning rate [default: 0.1]", panel=LEARN)]
StopOption = Annotated[
    int | None,
    _option("--early-stop", help="Rounds without gain before stopping, 0 = never [default: 20]", panel=LEARN),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="Version to work on [default: the newest upstream]", show_default=False),
]


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,  # noqa: ARG001
    show_version: Annotated[bool, typer.Option("--version", help="Print toytip's version and exit.")] = False,
) -> None:
    """Read a year of taxi trips, and predict for every trip whether the passenger leaves a high tip."""
    if show_version:
        typer.echo(f"toytip {__version__}")
        raise typer.Exit


@app.command(epilog="Example:  toytip run --source data/green-2023 --workers 8")
def run(
    source: SourceOption = None,
    months: MonthsOption = None,
    partition_rows: RowsOption = None,
    store: StoreOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    threads_per_worker: ThreadsOption = None,
    memory_limit: MemoryOption = None,
    scheduler: SchedulerOption = None,
    start_method: StartOption = None,
    train: TrainOption = None,
    valid: ValidOption = None,
    test: TestOption = None,
    features: FeaturesOption = None,
    population: PopulationOption = None,
    rounds: RoundsOption = None,
    max_depth: DepthOption = None,
    eta: EtaOption = None,
    early_stop: StopOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run the whole pipeline: read, clean, featurize, train, infer, evaluate."""
    settings = _settings(locals())
    from toytip.pipeline.run import run as run_all
    from toytip.progress import Progress

    summary = run_all(settings, Progress())
    if json_:
        _print_json(summary)
    else:
        from toytip.summarize import show

        show(summary)


@app.command(epilog="Example:  toytip clean --source data/green-2023 --workers 2")
def clean(
    source: SourceOption = None,
    months: MonthsOption = None,
    partition_rows: RowsOption = None,
    store: StoreOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    threads_per_worker: ThreadsOption = None,
    memory_limit: MemoryOption = None,
    scheduler: SchedulerOption = None,
    start_method: StartOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Source -> the tables trips and rejects."""
    settings = _settings(locals())
    from toytip.pipeline import plan, stages

    found = plan.resolve(settings)

    def work(context: Context) -> dict[str, Any]:
        files: Source = found or plan.synthetic(context)
        plan.check(context, files)
        return stages.clean(context, files)

    _stage(settings, ("trips", "rejects"), work, json_)


@app.command(epilog="Example:  toytip featurize --store ./toytip-store")
def featurize(
    from_: FromOption = None,
    store: StoreOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Trips -> the table features."""
    settings = _settings(locals())
    upstream = _upstream(settings, "trips", from_)
    from toytip.pipeline import stages

    _stage(settings, ("features",), lambda context: stages.featurize(context, upstream), json_)


@app.command(epilog="Example:  toytip preprocess --features dropoff --valid 2023-11 --test 2023-12")
def preprocess(
    from_: FromOption = None,
    store: StoreOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    train: TrainOption = None,
    valid: ValidOption = None,
    test: TestOption = None,
    features: FeaturesOption = None,
    population: PopulationOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Features -> the encoding of every feature, fitted on the training months."""
    settings = _settings(locals())
    upstream = _upstream(settings, "features", from_)
    from toytip.pipeline import stages

    _stage(settings, ("encodings",), lambda context: stages.preprocess(context, upstream)[0], json_)


@app.command(epilog="Example:  toytip train --rounds 100 --max-depth 8")
def train(
    from_: FromOption = None,
    store: StoreOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    rounds: RoundsOption = None,
    max_depth: DepthOption = None,
    eta: EtaOption = None,
    early_stop: StopOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Encoding and its features -> the model. `--from` names the version of the encoding."""
    settings = _settings(locals())
    upstream = _upstream(settings, "encodings", from_)
    from toytip.pipeline import stages
    from toytip.pipeline.context import parent_version

    def work(context: Context) -> dict[str, Any]:
        features = context.store.resolve("features", parent_version(upstream, "features"))
        return stages.train(context, features, stages.load_encoding(context, upstream), upstream)[0]

    _stage(settings, ("models",), work, json_)


@app.command(epilog="Example:  toytip infer --model v20261124T101500Z-3f9c2a")
def infer(
    from_: FromOption = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Version of the model [default: the newest]", show_default=False),
    ] = None,
    store: StoreOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Features and the model -> the table scores. `--from` names the version of the features."""
    settings = _settings(locals())
    upstream = _upstream(settings, "features", from_)
    learned = _upstream(settings, "models", model)
    from toytip.pipeline import stages

    def work(context: Context) -> dict[str, Any]:
        return stages.infer(context, upstream, stages.load_model(context, learned))

    _stage(settings, ("scores",), work, json_)


@app.command(epilog="Example:  toytip postprocess --env prod")
def postprocess(
    from_: FromOption = None,
    store: StoreOption = None,
    env: EnvOption = None,
    version: VersionOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Scores -> the table predictions, decided at the model's threshold."""
    settings = _settings(locals())
    upstream = _upstream(settings, "scores", from_)
    from toytip.pipeline import stages

    def work(context: Context) -> dict[str, Any]:
        return stages.postprocess(context, upstream, stages.model_of(context, upstream))

    _stage(settings, ("predictions",), work, json_)


@app.command(epilog="Example:  toytip evaluate --from v20261124T101500Z-3f9c2a --json")
def evaluate(
    from_: FromOption = None,
    store: StoreOption = None,
    env: EnvOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json_: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Predictions -> metrics of every split, beside the trivial baseline."""
    settings = _settings(locals())
    upstream = _upstream(settings, "predictions", from_)
    from toytip.pipeline import stages
    from toytip.pipeline.context import opened
    from toytip.progress import Progress

    with opened(settings, (), Progress()) as context:
        metrics = stages.evaluate(context, upstream)
    if json_:
        _print_json({"version": upstream.version, "metrics": metrics})
    else:
        from toytip.summarize import show_metrics

        show_metrics(metrics)


@app.command(epilog="Example:  toytip versions --store ./toytip-store --env prod")
def versions(
    store: StoreOption = None, env: EnvOption = None, json_: JsonOption = False, debug: DebugOption = False
) -> None:
    """List the published versions of every table: rows, months, bytes, created, parents."""
    settings = _settings(locals(), workers_needed=False)
    from toytip.store import Store
    from toytip.summarize import show_versions, version_rows

    rows = version_rows(Store(settings.store, settings.env).versions())
    if json_:
        _print_json({"versions": rows})
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
    settings = _settings(locals(), workers_needed=False)
    if json_:
        _print_json(settings.masked())
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
    settings = _settings({**locals(), "synth_rows": rows, "synth_seed": seed})
    from toytip import cluster
    from toytip.pipeline import plan
    from toytip.progress import Progress

    progress = Progress()
    with cluster.connect(settings) as client, progress.live():
        made = plan.write_synthetic(client, settings, folder, progress)
    if json_:
        _print_json(
            {
                "folder": folder,
                "files": len(made.files),
                "rows": made.rows,
                "months": [str(m) for m in made.months],
            }
        )
    else:
        typer.echo(f"{len(made.files)} files, {made.rows:,} rows in {folder}")


def _settings(given: dict[str, Any], *, workers_needed: bool = True) -> Settings:
    """Resolve the settings from a command's arguments; set off the workers' imports before our own."""
    global _debug  # noqa: PLW0603 - read by `guarded`, which knows no command
    _debug = given.get("debug", False)
    if workers_needed:
        signal.signal(signal.SIGTERM, _terminate)
    from toytip.config import Settings

    settings = Settings.load(
        **{name: value for name, value in given.items() if name in Settings.model_fields}
    )
    if workers_needed and settings.scheduler is None:
        from toytip.cluster import warm

        warm(settings.start_method)
    return settings


def _upstream(settings: Settings, table: str, version: str | None) -> Manifest:
    from toytip.store import Store

    return Store(settings.store, settings.env).resolve(table, version)


def _stage(
    settings: Settings, tables: tuple[str, ...], work: Callable[[Context], dict[str, Any]], as_json: bool
) -> None:
    """Run one stage alone and say what it published."""
    from toytip.pipeline.context import opened
    from toytip.pipeline.run import describe
    from toytip.progress import Progress

    progress = Progress()
    with opened(settings, tables, progress) as context:
        published = {name: describe(context, manifest) for name, manifest in work(context).items()}
    if as_json:
        _print_json({"version": context.version, "tables": published, "stages": progress.seconds})
        return
    for name, told in published.items():
        typer.echo(f"{name} {told['version']}: {told['rows']:,} rows in {told['path']}")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value))


_debug = False


def _terminate(_signal: int, _frame: Any) -> None:
    """End on SIGTERM as on Ctrl-C: clean up, leave no worker behind."""
    raise KeyboardInterrupt


def guarded(command: Callable[..., Any]) -> int:
    """Run the command line; return the exit code: 0, 1 our error (one line), 2 usage, 130 Ctrl-C."""
    try:
        code = command(standalone_mode=False) or 0
        if code == INTERRUPTED:  # Typer has caught the Ctrl-C
            _say(STOPPED)
    except ToytipError as error:
        if _debug:
            raise
        _say(f"error: {error}")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        _say(STOPPED)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
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
    with contextlib.suppress(OSError):
        sys.stderr.write(" ".join(line.split()) + "\n")
