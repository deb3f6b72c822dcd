"""The options of the command line: each is declared once, and used by the commands that take it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

SOURCE_PANEL = "Reading"
STORE_PANEL = "Store"
WORKERS_PANEL = "Workers"
LEARNING_PANEL = "Learning"
PROGRESS_PANEL = "Progress"


def _option(*names: str, help: str, panel: str) -> Any:  # noqa: A002 - Typer's word
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False)


SourceOption = Annotated[
    str | None,
    _option(
        "--source",
        help="Folder, glob, list (commas) or URI of TLC monthly parquet [default: a synthetic year]",
        panel=SOURCE_PANEL,
    ),
]
MonthsOption = Annotated[
    str | None,
    _option("--months", help="Months: 2023-01:2023-12, or a list 2023-01,2023-03", panel=SOURCE_PANEL),
]
PartitionRowsOption = Annotated[
    int | None,
    _option("--partition-rows", help="Rows in a partition, at most [default: 500000]", panel=SOURCE_PANEL),
]
StoreOption = Annotated[
    str | None, _option("--store", help="Where versions live [default: ./toytip-store]", panel=STORE_PANEL)
]
EndpointUrlOption = Annotated[
    str | None,
    _option(
        "--endpoint",
        help="Address of the S3 server [default: AWS_ENDPOINT_URL, or Amazon's]",
        panel=STORE_PANEL,
    ),
]
SourceEndpointUrlOption = Annotated[
    str | None,
    _option(
        "--source-endpoint",
        help="Address of the source's S3 server [default: --endpoint]",
        panel=SOURCE_PANEL,
    ),
]
EnvOption = Annotated[str | None, _option("--env", help="dev or prod [default: dev]", panel=STORE_PANEL)]
VersionIdOption = Annotated[
    str | None,
    _option("--version", help="Id of the version to publish [default: a new one]", panel=STORE_PANEL),
]
WorkersOption = Annotated[
    int | None, _option("--workers", help="Worker processes [default: one a core]", panel=WORKERS_PANEL)
]
ThreadsPerWorkerOption = Annotated[
    int | None,
    _option("--threads-per-worker", help="Threads in each [default: cores / workers]", panel=WORKERS_PANEL),
]
MemoryLimitOption = Annotated[
    str | None,
    _option("--memory-limit", help="Memory per worker, as 4GB [default: its share]", panel=WORKERS_PANEL),
]
SchedulerOption = Annotated[
    str | None,
    _option(
        "--scheduler", help="Address of a running Dask scheduler, tcp://... or tls://...", panel=WORKERS_PANEL
    ),
]
ClusterOption = Annotated[
    str | None,
    _option(
        "--cluster",
        help="Name of a cluster, as cluster/clusters.toml has it [default: local]",
        panel=WORKERS_PANEL,
    ),
]
AdaptOption = Annotated[
    str | None,
    _option(
        "--adapt", help="Fewest and most workers, MIN:MAX, as there is work for them", panel=WORKERS_PANEL
    ),
]
TlsCaFileOption = Annotated[
    str | None,
    _option(
        "--tls-ca-file",
        help="The authority's certificate, as `toytip cluster certs` makes it",
        panel=WORKERS_PANEL,
    ),
]
TlsCertOption = Annotated[
    str | None, _option("--tls-cert", help="This end's certificate", panel=WORKERS_PANEL)
]
TlsKeyOption = Annotated[str | None, _option("--tls-key", help="Its private key", panel=WORKERS_PANEL)]
StartMethodOption = Annotated[
    str | None,
    _option("--start-method", help="forkserver or spawn [default: forkserver]", panel=WORKERS_PANEL),
]
TrainMonthsOption = Annotated[
    str | None,
    _option("--train", help="Months to train on, A:B [default: all before valid]", panel=LEARNING_PANEL),
]
ValidationMonthOption = Annotated[
    str | None,
    _option(
        "--valid", help="Month to stop and tune on, or none [default: last but one]", panel=LEARNING_PANEL
    ),
]
TestMonthsOption = Annotated[
    str | None, _option("--test", help="Month to test on [default: the last]", panel=LEARNING_PANEL)
]
FeatureSetOption = Annotated[
    str | None,
    _option("--features", help="seed, pickup, dropoff or payment [default: payment]", panel=LEARNING_PANEL),
]
SegmentOption = Annotated[
    str | None,
    _option("--population", help="all trips, or those paid by card [default: all]", panel=LEARNING_PANEL),
]
RoundsOption = Annotated[
    int | None, _option("--rounds", help="Boosting rounds, at most [default: 300]", panel=LEARNING_PANEL)
]
MaxDepthOption = Annotated[
    int | None, _option("--max-depth", help="Depth of a tree [default: 6]", panel=LEARNING_PANEL)
]
LearningRateOption = Annotated[
    float | None, _option("--eta", help="Learning rate [default: 0.1]", panel=LEARNING_PANEL)
]
EarlyStoppingOption = Annotated[
    int | None,
    _option(
        "--early-stop",
        help="Rounds without gain before stopping, 0 = never [default: 20]",
        panel=LEARNING_PANEL,
    ),
]
ParamsOption = Annotated[
    str | None,
    _option("--params", help="File of parameters, as `toytip tune` writes them", panel=LEARNING_PANEL),
]
GateOption = Annotated[
    str | None,
    _option(
        "--gate",
        help="on: judge, register and promote the model; dry-run: only judge it; off [default: on]",
        panel=LEARNING_PANEL,
    ),
]
FullRefreshOption = Annotated[
    bool | None,
    _option("--fresh", help="Make everything anew, whatever the store holds already", panel=WORKERS_PANEL),
]
ExplainOption = Annotated[
    bool | None, _option("--explain", help="Say of every stage why it runs or not", panel=WORKERS_PANEL)
]
QuietOption = Annotated[
    bool,
    _option(
        "--quiet", help="Say nothing but errors, not even what came out (see --json)", panel=PROGRESS_PANEL
    ),
]
PlainOption = Annotated[
    bool,
    _option(
        "--plain", help="Progress as lines without control codes, also on a terminal", panel=PROGRESS_PANEL
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
InputVersionOption = Annotated[
    str | None,
    typer.Option(
        "--from", help="Version or tag to work on [default: the newest upstream]", show_default=False
    ),
]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="The newest version as of a time: 2026-11-24T10:15, UTC", show_default=False
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Version, champion, challenger or number of the model [default: the newest]",
        show_default=False,
    ),
]
