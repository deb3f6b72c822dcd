"""`toytip serve`."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import resolve_command_settings
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import ScoringSegmentOption, ScoringTaxiOption, ServingModelOption, option
from toytip.errors import ToytipError

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)

# The longest time that a stopping server waits for open requests.
STOP_SECONDS = 10
LOOPBACK = ("127.0.0.1", "::1", "localhost")

app = new_app("serve")


@app.command(epilog="Example:  toytip serve --model champion --port 8000")
@expand_options
def serve(
    model: ServingModelOption = None,
    taxi: ScoringTaxiOption = None,
    segment: ScoringSegmentOption = None,
    host: Annotated[
        str, option("--host", metavar="HOST", help="Address to listen on. The server has no login.")
    ] = "127.0.0.1",
    port: Annotated[
        int, option("--port", min=0, metavar="PORT", help="Port to listen on. 0 selects any free port.")
    ] = 8000,
    max_trips: Annotated[
        int, option("--max-trips", min=1, metavar="N", help="Maximum number of trips per request.")
    ] = 1_000,
    max_bytes: Annotated[
        int, option("--max-bytes", min=100, metavar="N", help="Maximum size of a request body in bytes.")
    ] = 1_000_000,
    max_requests_per_second: Annotated[
        float,
        option(
            "--max-requests-per-second",
            min=0,
            metavar="N",
            help="Maximum number of requests per second from one client. 0 means no limit.",
        ),
    ] = 0.0,
    reload_interval: Annotated[
        float,
        option(
            "--reload-interval",
            min=0.1,
            metavar="SECONDS",
            help="Interval in seconds at which the server checks for a new model.",
        ),
    ] = 10.0,
    no_access_log: Annotated[
        bool, option("--no-access-log", help="Do not print a line on stderr for each request.")
    ] = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Serve a model over HTTP.

    Serves one model per taxi type. The pickup column of a trip selects the model. Endpoints: POST
    /score, GET /healthz, GET /metrics and GET /docs. When another model is promoted, a server that
    serves the champion loads the new champion.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    import uvicorn

    from toytip.datasets.words import describe_kind
    from toytip.models.selection import ModelChoice, load_models, registered_number
    from toytip.serving.app import Server, make_app
    from toytip.serving.pages import ModelDescription
    from toytip.serving.request import RequestLimits

    limits = RequestLimits(
        max_trips=max_trips, max_bytes=max_bytes, max_requests_per_second=max_requests_per_second
    )
    choice = ModelChoice(name=model, taxi=taxi, segment=segment)
    scorer = Server(
        partial(load_models, settings, choice),
        limits,
        reload_interval,
        write_access_log=None if no_access_log or sys.stderr is None else _print_line,
    )
    scorer.reload()
    for model_served in scorer.models.values():
        served, number = ModelDescription.of(model_served), registered_number(settings, model_served)
        registered = f"registered model {number}, " if number is not None else ""
        typer.echo(
            f"serving model {served.version} ({registered}{describe_kind(served.taxi)}, segment {served.segment})",
            err=True,
        )
        typer.echo(f"  required columns: {', '.join(served.required_columns)}", err=True)
    if host not in LOOPBACK:
        log.warning("other machines can reach %s, and the server has no login", host)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(scorer),
            host=host,
            port=port,
            log_level="warning",
            timeout_graceful_shutdown=STOP_SECONDS,
            server_header=False,
        )
    )
    _run_server(server, host, port)


def _print_line(line: str) -> None:
    """Print a line of the access log. Without a reader of stderr, the server continues."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises ToytipError if the server cannot listen."""
    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2_048
        )
    except (OSError, OverflowError, TypeError) as error:
        # `create_server` adds the address to the text of the system.
        cause = (getattr(error, "strerror", None) or str(error)).partition(" (while ")[0].lower()
        raise ToytipError(
            f"cannot listen on --host {host} --port {port}: {cause}",
            hint="Choose another --host, or another --port (0 for any free port).",
        ) from None
    # Connections inherit this option. uvicorn sends the head and the body of a response separately.
    # Without the option, the body would wait 40 ms for the client to acknowledge the head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _run_server(server: uvicorn.Server, host: str, port: int) -> None:
    """Run a server until it is stopped. Raises ToytipError if the server cannot listen."""
    listening = listen(host, port)
    # uvicorn shuts down on this signal and then raises it again, which must not kill this process.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    with listening:
        typer.echo(f"listening on http://{host}:{listening.getsockname()[1]}; stop with Ctrl-C", err=True)
        stop = _StopFilter(server)
        errors = logging.getLogger("uvicorn.error")
        errors.addFilter(stop)
        try:
            server.run(sockets=[listening])
        finally:
            errors.removeFilter(stop)
    end = "and ended the open requests" if stop.timed_out else "after all open requests were answered"
    typer.echo(f"stopped {end}", err=True)


class _StopFilter(logging.Filter):
    """Drops the log records about requests that a stop of the server cancels."""

    def __init__(self, server: uvicorn.Server) -> None:
        super().__init__()
        self.server = server
        self.timed_out = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        is_timeout = "timeout graceful shutdown exceeded" in str(record.msg)
        self.timed_out |= is_timeout
        return not (is_timeout or self.server.force_exit)
