"""Check a registry before any work: read its database, or ask its server.

Otherwise, a run would find out after its training that it cannot register the model.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import urllib.parse
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from toytip.core.redact import first_line, mask_credentials
from toytip.errors import RegistryError
from toytip.io.aws_profile import profile_values
from toytip.io.connection import require_answer
from toytip.io.endpoint import find_ca_file

BUSY_TIMEOUT_S = 10
WITHOUT_REGISTRY = "To run without the registry, set --gate off."
TRACKING_URI = "MLFLOW_TRACKING_URI"
# MLflow reads this variable. toytip sets the variable to the authority that its own clients trust.
CERTIFICATE_VARIABLE = "MLFLOW_TRACKING_SERVER_CERT_PATH"
_REVISION = re.compile(r"^(down_)?revision\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)


def registry_hint(file: Path | None) -> str:
    """Return a hint for a registry that cannot be used: a database file, or None for a server."""
    if file is None or os.environ.get(TRACKING_URI):
        return f"Check {TRACKING_URI}, or unset it. {WITHOUT_REGISTRY}"
    return f"Restore {file}, or move it away to start with an empty registry. {WITHOUT_REGISTRY}"


def check_database(file: Path) -> None:
    """Raise RegistryError if an existing database file cannot be read and written by MLflow.

    MLflow itself would try to open a file that cannot be opened for minutes.
    """
    if not file.exists():
        return
    failure, hint = f"cannot open the registry {file}", registry_hint(file)
    if not file.is_file():
        raise RegistryError(f"{failure}: it is not a file", hint=hint)
    try:
        revision = _read_revision(file)
    except sqlite3.Error as error:
        if "locked" in str(error):
            cause = f"another process has locked the database for {BUSY_TIMEOUT_S} s"
            hint = f"End the process that uses {file}, and run the command again. {WITHOUT_REGISTRY}"
            raise RegistryError(f"{failure}: {cause}", hint=hint) from None
        raise RegistryError(f"{failure}: {first_line(error)}", hint=hint) from None
    if revision is not None:
        _check_revision(file, revision, failure)


def _read_revision(file: Path) -> str | None:
    """Return the Alembic revision of a database, or None if the database has no tables of MLflow.

    The empty transaction fails if the file is read-only, or if another process holds a lock.
    """
    uri = f"{file.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as database:
        database.execute("BEGIN IMMEDIATE")
        tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
        rows = database.execute("SELECT version_num FROM alembic_version").fetchall() if tables else []
        database.execute("ROLLBACK")
    return str(rows[0][0]) if rows else None


class Revisions(NamedTuple):
    """The Alembic revisions that the installed MLflow knows, and the newest of them."""

    names: frozenset[str]
    newest: str


def _installed_revisions() -> Revisions | None:
    """Return the revisions in the files of MLflow, without the import of MLflow."""
    package = find_spec("mlflow")
    if package is None or package.origin is None:
        return None
    texts = [
        path.read_text(encoding="utf-8")
        for path in Path(package.origin).parent.glob("store/db_migrations/versions/*.py")
    ]
    assignments = [match for text in texts for match in _REVISION.findall(text)]
    names = frozenset(name for down, name in assignments if not down)
    newest = names - {name for down, name in assignments if down}
    return Revisions(names, min(newest)) if len(newest) == 1 else None


def _check_revision(file: Path, revision: str, failure: str) -> None:
    installed = _installed_revisions()
    if installed is None or revision == installed.newest:
        return
    if revision in installed.names:
        raise RegistryError(
            f"{failure}: an older MLflow wrote the database (revision {revision})",
            hint=f"Copy {file}, then run `mlflow db upgrade 'sqlite:///{file}'`. {WITHOUT_REGISTRY}",
        )
    raise RegistryError(
        f"{failure}: the installed MLflow does not know the revision {revision} of the database",
        hint=f"Install the MLflow that wrote the database, or move {file} away. {WITHOUT_REGISTRY}",
    )


def check_server(uri: str) -> None:
    """Raise RegistryError or StoreError if no MLflow server answers at a URL.

    The request has no credentials, so the server may deny it.
    """
    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() == "true"
    ca_file = os.environ.get(CERTIFICATE_VARIABLE) or find_ca_file(profile_values())
    if ca_file and not insecure and uri.startswith("https://"):
        os.environ.setdefault(CERTIFICATE_VARIABLE, ca_file)
    path = "api/2.0/mlflow/registered-models/search?max_results=1"
    answer = require_answer(
        f"{uri.rstrip('/')}/{path}", "MLflow server", "GET", ca_file=ca_file, verify=not insecure
    )
    failure = f"cannot use the MLflow server at {mask_credentials(uri)}"
    body = " ".join(answer.body.split())[:200]
    if answer.status == 403 and "host" in body.lower():
        host = urllib.parse.urlsplit(uri).netloc.rpartition("@")[2]
        raise RegistryError(
            f"{failure}: {body}",
            hint=f"Start the server with `mlflow server --allowed-hosts {host}`, or use a host name in "
            f"{TRACKING_URI} that the server allows. {WITHOUT_REGISTRY}",
        )
    if answer.status == 404 or (answer.status == 200 and not body.startswith("{")):
        cause = f"it is not an MLflow server (status {answer.status})"
        raise RegistryError(f"{failure}: {cause}", hint=registry_hint(None))
    if answer.status >= 500:
        raise RegistryError(f"{failure}: it answers {answer.status} {body}", hint=registry_hint(None))
