"""HTTP servers of tests, on free ports of this machine."""

from __future__ import annotations

import abc
import contextlib
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler
from typing import Any


class Handler(BaseHTTPRequestHandler, abc.ABC):
    """A handler of requests that logs nothing, and keeps connections open."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    @abc.abstractmethod
    def respond(self) -> None:
        """Respond to a request of any method."""

    def _respond(self) -> None:
        self.respond()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _respond  # noqa: N815 - names of http.server

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, Any] | None = None) -> None:
        """Send an answer with the length of its body. The answer to a HEAD request has no body."""
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read_body(self) -> bytes:
        """Return the body of a request, which can be chunked."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about a client that closes its connection before the end of an answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def serve(
    handler: type[BaseRequestHandler], certificate: Path | None = None, **attributes: Any
) -> Iterator[int]:
    """Run a server, with TLS if there is a certificate (PEM with its key), and yield its port.

    `attributes` are class attributes of the handler.
    """
    server = _Server(("127.0.0.1", 0), type("Handler", (handler,), attributes))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
