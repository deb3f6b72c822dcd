"""A proxy in front of an S3 server that plays the faults of other servers."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import http_server

HOP_HEADERS = {"connection", "content-length", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Request:
    """A request of a client: its method, its path, its query and its headers in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def is_signed(self) -> bool:
        return "authorization" in self.headers

    @property
    def is_bulk_delete(self) -> bool:
        return self.method == "POST" and "delete" in self.query


@dataclass(frozen=True)
class Reply:
    """A reply instead of the server's: a status, an S3 error code and headers."""

    status: int
    code: str
    headers: Mapping[str, str] = field(default_factory=dict)
    details: str = ""

    def body(self) -> bytes:
        if self.status < 300:
            return b""
        return f"<Error><Code>{self.code}</Code><Message>told by {self.code}</Message>{self.details}</Error>".encode()


Fault = Callable[[Request], Reply | None]


def pass_on(_: Request) -> Reply | None:
    """Let the server reply to every request."""
    return None


@dataclass
class FaultyServer:
    """The proxy. `fault` returns a reply for a request, or None to pass the request on.

    `change_answer` changes the content of the server's answers. The proxy is also a forward proxy:
    it passes requests for any host to the server.
    """

    target: str
    fault: Fault = pass_on
    change_answer: Callable[[Request, bytes], bytes] = lambda _, body: body
    requests: list[Request] = field(default_factory=list)
    endpoint: str = ""


class _Handler(http_server.Handler):
    faulty: FaultyServer

    def respond(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.path = "/" + self.path.partition("://")[2].partition("/")[2] if "://" in self.path else self.path
        path, _, query = self.path.partition("?")
        request = Request(
            self.command,
            urllib.parse.unquote(path),
            dict(urllib.parse.parse_qsl(query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
        )
        self.faulty.requests.append(request)
        reply = self.faulty.fault(request)
        if reply is not None:
            self.send(reply.status, reply.headers, reply.body())
            return
        self.pass_on(request, body)

    def do_CONNECT(self):  # noqa: N802 - name of http.server
        """Open a tunnel to the server, whatever host the client names."""
        self.faulty.requests.append(
            Request("CONNECT", self.path, {}, {name.lower(): value for name, value in self.headers.items()})
        )
        with socket.create_connection(self.faulty.target.split(":")) as server:
            self.send_response_only(200)
            self.end_headers()
            peers = {self.connection: server, server: self.connection}
            while True:
                for source in select.select(list(peers), [], [])[0]:
                    with contextlib.suppress(ConnectionError):
                        if content := source.recv(65_536):
                            peers[source].sendall(content)
                            continue
                    self.close_connection = True
                    return

    def pass_on(self, request, body):
        """Send the request to the server. The signature covers the host that the client used."""
        connection = http.client.HTTPConnection(self.faulty.target, timeout=60)
        with contextlib.closing(connection):
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_HEADERS | {"expect", "proxy-connection"}:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            length = response.headers.get("Content-Length") if self.command == "HEAD" else None
            content = self.faulty.change_answer(request, response.read())
            self.send(response.status, response.headers, content, length)

    def send(self, status, headers, body, length=None):
        with contextlib.suppress(ConnectionError):
            self.send_response_only(status)
            if "date" not in {name.lower() for name in headers}:
                self.send_header("Date", self.date_time_string())
            for name, value in headers.items():
                if name.lower() not in HOP_HEADERS:
                    self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)


@contextlib.contextmanager
def run_faulty_server(
    endpoint: str, certificate: Path | None = None, host: str = "127.0.0.1"
) -> Iterator[FaultyServer]:
    """Run a proxy in front of a server, with TLS if there is a certificate (PEM with its key)."""
    faulty = FaultyServer(endpoint.partition("://")[2])
    with http_server.serve(_Handler, certificate, faulty=faulty) as port:
        faulty.endpoint = f"{'https' if certificate else 'http'}://{host}:{port}"
        yield faulty
