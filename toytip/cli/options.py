"""The options of the command line: each is declared once, and used by the commands that take it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

READ = "Reading"
STORE = "Store"
WORK = "Workers"
LEARN = "Learning"
SHOWN = "Progress"


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
EndpointOption = Annotated[
    str | None,
    _option(
        "--endpoint", help="Address of the S3 server [default: AWS_ENDPOINT_URL, or Amazon's]", panel=STORE
    ),
]
SourceEndpointOption = Annotated[
    str | None,
    _option("--source-endpoint", help="Address of the source's S3 server [default: --endpoint]", panel=READ),
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
    str | None,
    _option("--scheduler", help="Address of a running Dask scheduler, tcp://... or tls://...", panel=WORK),
]
ClusterOption = Annotated[
    str | None,
    _option(
        "--cluster", help="Name of a cluster, as cluster/clusters.toml has it [default: local]", panel=WORK
    ),
]
AdaptOption = Annotated[
    str | None,
    _option("--adapt", help="Fewest and most workers, MIN:MAX, as there is work for them", panel=WORK),
]
CaOption = Annotated[
    str | None,
    _option(
        "--tls-ca-file", help="The authority's certificate, as `toytip cluster certs` makes it", panel=WORK
    ),
]
CertOption = Annotated[str | None, _option("--tls-cert", help="This end's certificate", panel=WORK)]
KeyOption = Annotated[str | None, _option("--tls-key", help="Its private key", panel=WORK)]
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
ParamsOption = Annotated[
    str | None, _option("--params", help="File of parameters, as `toytip tune` writes them", panel=LEARN)
]
GateOption = Annotated[
    str | None,
    _option(
        "--gate",
        help="on: judge, register and promote the model; dry-run: only judge it; off [default: on]",
        panel=LEARN,
    ),
]
FreshOption = Annotated[
    bool | None,
    _option("--fresh", help="Make everything anew, whatever the store holds already", panel=WORK),
]
ExplainOption = Annotated[
    bool | None, _option("--explain", help="Say of every stage why it runs or not", panel=WORK)
]
QuietOption = Annotated[
    bool, _option("--quiet", help="Say nothing but errors, not even what came out (see --json)", panel=SHOWN)
]
PlainOption = Annotated[
    bool, _option("--plain", help="Progress as lines without control codes, also on a terminal", panel=SHOWN)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
FromOption = Annotated[
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
