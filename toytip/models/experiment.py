"""The MLflow experiment of a registry: its runs have the files of the models.

The checks run before any work. Otherwise, a run would find out after its training that it cannot
store the model.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toytip.core.redact import mask_credentials
from toytip.errors import RegistryError
from toytip.models.mlflow_env import error_cause, limit_requests, mlflow_exceptions
from toytip.models.registry_check import BUSY_TIMEOUT_S, TRACKING_URI, WITHOUT_REGISTRY

PROBE_NAME = "toytip-probe.txt"
# MLflow refuses more values in one request.
MAX_BATCH = 1_000
LIST_ENDPOINT = "/api/2.0/mlflow/artifacts/list"


def open_experiment(client: Any, uri: str, name: str, folder: str | None) -> str:
    """Return the ID of the experiment with a name, which is created if it does not exist.

    `folder` is that of the model files, or None if a server stores the files. Raises RegistryError
    if the experiment is deleted.
    """
    if client.get_experiment_by_name(name) is None:
        location = Path(folder).absolute().as_uri() if folder else None
        try:
            client.create_experiment(name, artifact_location=location)
        except mlflow_exceptions():
            if client.get_experiment_by_name(name) is None:  # another run has not created it
                raise
    experiment = client.get_experiment_by_name(name)
    if experiment.lifecycle_stage != "active":
        raise _deleted_experiment(uri, name, experiment.experiment_id)
    return str(experiment.experiment_id)


def check_experiment(file: Path, name: str) -> None:
    """Raise RegistryError if the experiment in a database file is deleted."""
    address = f"{file.absolute().as_uri()}?mode=ro"
    query = "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'deleted'"
    with contextlib.suppress(sqlite3.Error):  # MLflow has not created the file or its tables yet
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)) as database:
            rows = database.execute(query, [name]).fetchall()
        if rows:
            raise _deleted_experiment(f"sqlite:///{file}", name, rows[0][0])


def _deleted_experiment(uri: str, name: str, experiment_id: Any) -> RegistryError:
    command = f"mlflow experiments restore --experiment-id {experiment_id}"
    return RegistryError(
        f"cannot register models: the MLflow experiment {name} is deleted",
        hint=f"Restore it with `{TRACKING_URI}={mask_credentials(uri)} {command}`. {WITHOUT_REGISTRY}",
    )


def log_metrics(client: Any, run_id: str, metrics: Mapping[str, float]) -> None:
    """Store the metrics of a run, of which a model has hundreds, with few requests to a server."""
    from mlflow.entities import Metric

    now = round(time.time() * 1_000)
    values = [Metric(name, value, now, 0) for name, value in metrics.items()]
    for start in range(0, len(values), MAX_BATCH):
        client.log_batch(run_id, metrics=values[start : start + MAX_BATCH])


def check_artifacts(client: Any, uri: str, experiment_id: str) -> str:
    """Store a small file where the server stores the files of models, and delete the file.

    Returns a warning if this process can write to a folder in which the server does not find the
    file, else "". Raises RegistryError if this process cannot write there. The folder can be on the
    host of the server, or in an object store for which this process has no credentials.
    """
    location = client.get_experiment(experiment_id).artifact_location
    try:
        with limit_requests(), tempfile.TemporaryDirectory() as folder:
            file = Path(folder, PROBE_NAME)
            file.write_text("toytip checks whether it can store files\n", encoding="utf-8")
            if urllib.parse.urlsplit(location).scheme not in ("", "file"):
                _store_file(location, uri, file)
                return ""
            is_found = _is_found_by_server(client, uri, experiment_id, file)
    except Exception as error:  # noqa: BLE001 - each kind of storage has errors of its own
        raise RegistryError(
            f"cannot store files of models in {mask_credentials(location)}, which the MLflow server at "
            f"{mask_credentials(uri)} names: {mask_credentials(error_cause(error))}",
            hint="Start the server with --serve-artifacts, or make its artifact root writable for this "
            f"machine. {WITHOUT_REGISTRY}",
        ) from None
    if is_found:
        return ""
    return (
        f"this machine stores the files of models in its folder {location}, in which the MLflow server at "
        f"{mask_credentials(uri)} does not find them (to share models, start the server with --serve-artifacts)"
    )


def _store_file(location: str, uri: str, file: Path) -> None:
    """Store a file, and delete it if the storage can delete."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(location, tracking_uri=uri)
    repository.log_artifact(str(file))
    with contextlib.suppress(Exception):
        repository.delete_artifacts(PROBE_NAME)


def _is_found_by_server(client: Any, uri: str, experiment_id: str, file: Path) -> bool:
    """Store a file in a local folder, and return whether the server finds it there.

    The server lists only the files of its runs. The run of the file is deleted again.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    run = client.create_run(experiment_id, run_name=PROBE_NAME).info
    try:
        repository = get_artifact_repository(run.artifact_uri, tracking_uri=uri)
        repository.log_artifact(str(file))
        server, parameters = get_default_host_creds(uri), {"run_id": run.run_id}
        answer = http_request(server, LIST_ENDPOINT, "GET", params=parameters)
        repository.delete_artifacts()
    finally:
        client.delete_run(run.run_id)
    return PROBE_NAME in answer.text
