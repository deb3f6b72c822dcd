"""Scoring raw trips with a model that is there: a file, or over HTTP."""

from __future__ import annotations

import io
import signal
import socket
import sys
from typing import Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import print_json, resolve_command_settings
from toytip.cli.models import TaxiOption
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import JsonOption
from toytip.cli.stdout import stdout_closed
from toytip.errors import ConfigError

ServingModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Version, champion, challenger or number [default: the champion, else the newest]",
        show_default=False,
    ),
]


@app.command(epilog="Example:  toytip score trips.parquet --out scores.parquet")
@expand_options
def score(
    trips: Annotated[str, typer.Argument(help="Raw trips: parquet, CSV or JSON lines; - for stdin.")],
    model: ServingModelOption = None,
    taxi: TaxiOption = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", help=".parquet, .csv or .jsonl [default: JSON lines on stdout]", show_default=False
        ),
    ] = None,
    reasons: Annotated[
        int, typer.Option("--reasons", min=0, help="Name so many features that say most (JSON lines).")
    ] = 0,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Raw trips -> a probability, a decision, or the rule that rejects it, for each, in order."""
    if json_ and out is None:
        raise ConfigError("--json prints a summary on stdout: say with --out where the answers go")
    settings = resolve_command_settings(given, workers_needed=False)
    from toytip.core.jsonable import to_json
    from toytip.models import resolve
    from toytip.serving import batch as scorer

    if out is None and sys.stdout is None:
        raise ConfigError("standard output is closed: say with --out where the answers go")
    answering = resolve.serving_loader(settings, model, taxi)(None)
    assert answering is not None, "nothing is at hand yet"
    read = scorer.read_batches(trips, getattr(sys.stdin, "buffer", io.BytesIO()), settings.endpoint_url)
    with scorer.open_answer_writer(out, getattr(sys.stdout, "buffer", io.BytesIO())) as write:
        counts = scorer.score_batches(answering, read, write, reasons, lambda _: _exit_if_unread(out))
    report = scorer.ScoreReport.of(answering.version, counts, out)
    if json_:
        print_json(to_json(report))
    rejected = "".join(f", {count:,} {rule}" for rule, count in sorted(report.rejects.items()))
    typer.echo(f"{report.scored_count:,} trips scored by {report.model_version}{rejected}", err=True)


def _exit_if_unread(out: str | None) -> None:
    """End in peace where the answers go to nobody any more."""
    if out is None and stdout_closed():
        raise typer.Exit


@app.command(epilog="Example:  toytip serve --model champion --port 8000")
@expand_options
def serve(
    model: ServingModelOption = None,
    taxi: TaxiOption = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; there is no login.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port; 0 for any.")] = 8000,
    max_trips: Annotated[int, typer.Option("--max-trips", min=1, help="Trips in a request.")] = 1_000,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=100, help="Bytes of a request.")] = 1_000_000,
    rate: Annotated[
        float, typer.Option("--rate", min=0, help="Requests a second from one client; 0 for any.")
    ] = 0.0,
    reload_every: Annotated[
        float, typer.Option("--reload-every", min=0.1, help="Seconds between looks for another champion.")
    ] = 10.0,
    **given: Unpack[StoreOptions],
) -> None:
    """Answer raw trips over HTTP: POST /score, GET /healthz, /metrics, /docs. Takes a promoted model up by itself."""
    settings = resolve_command_settings(given, workers_needed=False)
    import uvicorn

    from toytip.models import resolve
    from toytip.serving.app import make_app
    from toytip.serving.request import RequestLimits

    limits = RequestLimits(max_trips=max_trips, max_bytes=max_bytes, max_requests_per_second=rate)
    application = make_app(resolve.serving_loader(settings, model, taxi), limits, reload_every)
    if host not in ("127.0.0.1", "::1", "localhost"):
        typer.echo(f"warning: {host} can be reached by others, and there is no login", err=True)
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=10,
        server_header=False,
    )
    server = uvicorn.Server(config)
    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2_048
        )
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port}: {(error.strerror or str(error)).lower()}; choose another port, or 0 for any"
        ) from None
    # It is uvicorn that ends in order on this signal, and then raises it again: that is not to kill us.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    with listening:
        typer.echo(
            f"http://{host}:{listening.getsockname()[1]} answers POST /score; Ctrl-C ends it", err=True
        )
        server.run(sockets=[listening])
    typer.echo("stopped; what was asked has been answered", err=True)
