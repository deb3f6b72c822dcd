"""A stub of an MLflow tracking server: an empty registry, one experiment, and stored artifacts."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class MlflowStub:
    """The server. `refusal` is a status and a text with which it refuses every request."""

    uri: str = ""
    artifact_location: str = "mlflow-artifacts:/1"
    refusal: tuple[int, str] | None = None
    refuses_artifacts: bool = False
    artifacts: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        if self.refusal is not None:
            return self.refusal
        if "/mlflow-artifacts/artifacts" in path:
            return self.reply_to_artifact(method, path, body)
        experiment = {"experiment_id": "1", "name": "x", "artifact_location": self.artifact_location}
        if "/experiments/get" in path:
            return 200, json.dumps({"experiment": {**experiment, "lifecycle_stage": "active"}})
        return 200, "{}"

    def reply_to_artifact(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        if self.refuses_artifacts:
            return 500, json.dumps({"error_code": "INTERNAL_ERROR", "message": "the bucket is read-only"})
        name = path.rpartition("/")[2]
        if method == "PUT":
            self.artifacts[name] = body
        elif method == "DELETE":
            self.artifacts.pop(name, None)
        return 200, "{}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: MlflowStub

    def log_message(self, *args):
        pass

    def handle_any(self):
        body = self.read_body()
        path = self.path.partition("?")[0]
        self.stub.requests.append(f"{self.command} {path}")
        status, text = self.stub.reply(self.command, path, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - names of http.server

    def read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


@contextlib.contextmanager
def run_mlflow_stub() -> Iterator[MlflowStub]:
    """Run the stub on a free port of this machine."""
    stub = MlflowStub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stub": stub}))
    server.daemon_threads = True
    stub.uri = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
