"""A stub of an MLflow tracking server: an empty registry, one experiment, and stored artifacts.

Its answers are those of `mlflow server` 3.18.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support import http_server
from toytip.models.experiment import PROBE_NAME

NO_EXPERIMENT = {
    "error_code": "RESOURCE_DOES_NOT_EXIST",
    "message": "Could not find experiment with name 'x'",
}
NOT_FOUND = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>"


@dataclass
class MlflowStub:
    """The server. `refusal` is a status and a text with which it refuses every request.

    With `lists_files`, it finds the file that a client stores in the folder of a run.
    """

    uri: str = ""
    artifact_location: str = "mlflow-artifacts:/1"
    refusal: tuple[int, str] | None = None
    refuses_artifacts: bool = False
    has_experiment: bool = False
    lifecycle_stage: str = "active"
    lists_files: bool = True
    artifacts: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        if self.refusal is not None:
            return self.refusal
        if "/mlflow-artifacts/artifacts" in path:
            return self.reply_to_artifact(method, path, body)
        if path.endswith("/experiments/create"):
            self.has_experiment = True
            return 200, json.dumps({"experiment_id": "1"})
        if "/experiments/get" in path:
            return self.reply_to_experiment()
        return self.reply_to_run(path) if path.startswith("/api/") else (404, NOT_FOUND)

    def reply_to_run(self, path: str) -> tuple[int, str]:
        if path.endswith("/runs/create"):
            info = {"run_id": "r1", "artifact_uri": f"{self.artifact_location}/r1/artifacts"}
            return 200, json.dumps({"run": {"info": info}})
        is_found = path.endswith("/artifacts/list") and self.lists_files
        return 200, json.dumps({"files": [{"path": PROBE_NAME}]}) if is_found else "{}"

    def reply_to_experiment(self) -> tuple[int, str]:
        if not self.has_experiment:
            return 404, json.dumps(NO_EXPERIMENT)
        experiment = {"experiment_id": "1", "name": "x", "artifact_location": self.artifact_location}
        return 200, json.dumps({"experiment": {**experiment, "lifecycle_stage": self.lifecycle_stage}})

    def reply_to_artifact(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        if self.refuses_artifacts:
            return 500, "Internal Server Error"
        name = path.rpartition("/")[2]
        if method == "PUT":
            self.artifacts[name] = body
            return 200, ""
        self.artifacts.pop(name, None)
        return 200, "{}"


class _Handler(http_server.Handler):
    stub: MlflowStub

    def respond(self):
        body = self.read_body()
        path = self.path.partition("?")[0]
        self.stub.requests.append(f"{self.command} {path}")
        status, text = self.stub.reply(self.command, path, body)
        content_type = {"{": "application/json", "<": "text/html"}.get(text[:1], "text/plain")
        self.answer(status, text.encode(), {"Content-Type": content_type} if text else {})


@contextlib.contextmanager
def run_mlflow_stub() -> Iterator[MlflowStub]:
    """Run the stub on a free port of this machine."""
    stub = MlflowStub()
    with http_server.serve(_Handler, stub=stub) as port:
        stub.uri = f"http://127.0.0.1:{port}"
        yield stub
