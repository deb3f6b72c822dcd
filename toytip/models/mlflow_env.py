"""Run MLflow so that it prints nothing and sends no telemetry, and describe its errors."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

from toytip.core.redact import first_line
from toytip.io.connection import connection_cause
from toytip.io.home import ensure_home
from toytip.io.proxies import exclude_loopback

# How often MLflow repeats a request to a server, and how many seconds it waits for an answer. With
# its own limits of 7 and 120, a request to a server that does not answer takes many minutes.
REQUEST_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
# The limits of a check before any work, where a quick error is better than a late success.
CHECK_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}


@contextlib.contextmanager
def silence_mlflow() -> Iterator[None]:
    """Disable MLflow's log lines, warnings, progress bars and telemetry.

    MLflow logs errors with tracebacks, and also raises them. The log lines are therefore not
    necessary. A server on this machine is reached without a proxy.
    """
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        # MLflow would print the URL of a run on stdout, which is reserved for results.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        **REQUEST_LIMITS,
    }.items():
        os.environ.setdefault(name, value)
    exclude_loopback()
    ensure_home()
    previous_level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous_level)


@contextlib.contextmanager
def limit_requests() -> Iterator[None]:
    """Let requests of MLflow in this context fail early, unless the user has set their limits."""
    changed = {name for name, value in REQUEST_LIMITS.items() if os.environ.get(name, value) == value}
    os.environ.update({name: CHECK_LIMITS[name] for name in changed})
    try:
        yield
    finally:
        os.environ.update({name: REQUEST_LIMITS[name] for name in changed})


def import_pyfunc() -> Any:
    """Import and return `mlflow.pyfunc`, which takes about a second."""
    with silence_mlflow():
        import mlflow.pyfunc

        return mlflow.pyfunc


def mlflow_exceptions() -> tuple[type[Exception], ...]:
    """Return the exceptions that a call of MLflow can raise."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError


def error_cause(error: Exception) -> str:
    """Return the cause of an error on one line.

    MLflow's errors about a server contain the URL of the request, and the objects of its client.
    """
    origin = _connection_error(error)
    return connection_cause(origin) if origin else first_line(error)


def _connection_error(error: BaseException | None) -> Exception | None:
    """Return the error of the connection because of which a request of MLflow failed."""
    import urllib3

    while error is not None:
        for item in (error, *error.args):
            if isinstance(item, urllib3.exceptions.MaxRetryError):
                return item.reason
            if isinstance(item, urllib3.exceptions.HTTPError):
                return item
        error = error.__cause__ or error.__context__
    return None
