"""Connect to a running scheduler, or start workers for the duration of a run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toytip.cluster import adaptive, tls
from toytip.cluster.definitions import ClusterDefinition
from toytip.cluster.deploy import deploy_cluster
from toytip.cluster.lifecycle import ClusterPlan, plan_cluster
from toytip.cluster.local import DASK_LOGGERS
from toytip.cluster.probe import IDENTITY_TIMEOUT_S, probe_scheduler, start_hint
from toytip.config import Settings
from toytip.core.redact import mask_credentials
from toytip.errors import ClusterError

# The cluster of a program's own client is usually running already. It can still be scaling up.
CLIENT_WORKERS_TIMEOUT_S = 30
# A model with many rounds is one large value in the graph. The model is sent only once, so Dask's
# warning about large graphs does not apply.
DASK_OPTIONS = {"distributed.admin.large-graph-warning-threshold": "1 GiB"}


@contextlib.contextmanager
def connect(settings: Settings, plan: ClusterPlan | None = None, *, strict: bool = True) -> Iterator[Any]:
    """Yield a client of the configured cluster.

    If the cluster is not running, it is started, and stops when the context ends. Raises
    ClusterError if no scheduler answers, if no worker starts, if package versions differ (only with
    `strict`), or if the connection to the scheduler is lost.
    """
    plan = plan or plan_cluster(settings)
    with (
        _configure_dask(settings),
        _connect_to(plan.address, settings, plan.definition)
        if plan.address
        else start_cluster(settings, plan) as client,
    ):
        try:
            with _require_same_versions(client, plan) if strict else contextlib.nullcontext():
                yield client
        except (OSError, RuntimeError):
            if scheduler_answers(client):
                raise
            raise ClusterError(
                f"cannot reach the cluster at {client.scheduler.address}: the connection was lost",
                hint="Run the command again. The run resumes from the completed files.",
            ) from None


def _require_same_versions(client: Any, plan: ClusterPlan) -> contextlib.AbstractContextManager[None]:
    """Reject processes with different package versions, which local workers cannot have."""
    if plan.starts_local_workers:
        return contextlib.nullcontext()
    from toytip.cluster.versions import require_same

    return require_same(client)


@contextlib.contextmanager
def _configure_dask(settings: Settings) -> Iterator[None]:
    """Set Dask's config, and silence Dask's loggers, because toytip reports each error itself."""
    import dask

    for name in DASK_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set({**DASK_OPTIONS, **tls.dask_tls_config(settings)}):
        yield


@contextlib.contextmanager
def start_cluster(settings: Settings, plan: ClusterPlan) -> Iterator[Any]:
    """Start a cluster, yield its client, and stop the cluster at the end. Raises ClusterError."""
    with (
        _configure_dask(settings),
        deploy_cluster(settings, plan.definition) as deployer,
        _open_client(deployer, settings, plan.definition) as client,
    ):
        adaptive.enable_adaptive(client, settings)
        limits = adaptive.parse_adapt(settings)
        minimum = limits.minimum if limits else settings.workers or 1
        _wait_for_workers(client, minimum if plan.starts_local_workers else 1, plan.definition)
        yield client


def _open_client(
    deployer: Any, settings: Settings, definition: ClusterDefinition
) -> contextlib.AbstractContextManager[Any]:
    """Return a client of a deployed cluster.

    `deployer` is a cluster object of Dask, or the address of the scheduler.
    """
    import distributed

    if isinstance(deployer, str):
        return _connect_to(deployer, settings, definition)
    client: contextlib.AbstractContextManager[Any] = distributed.Client(deployer)
    return client


@contextlib.contextmanager
def _connect_to(address: str, settings: Settings, definition: ClusterDefinition) -> Iterator[Any]:
    """Yield a client of the scheduler at an address. Raises ClusterError."""
    import distributed

    if (current := _existing_client(address)) is not None:
        _require_worker(current)
        yield current
        return
    tls.check_scheme(address, settings)
    if error := probe_scheduler(address, settings):
        raise error
    try:
        client = distributed.Client(address, security=tls.dask_security(settings), timeout=IDENTITY_TIMEOUT_S)
    except (OSError, ValueError, TimeoutError, ImportError) as error:
        raise ClusterError(
            f"cannot connect to {mask_credentials(address)}: no Dask scheduler answers ({type(error).__name__})",
            hint=start_hint(settings),
        ) from None
    with client:
        _wait_for_workers(client, 1, definition)
        yield client


def _existing_client(address: str) -> Any:
    """Return the program's current client if it is connected to this scheduler, else None."""
    import distributed

    with contextlib.suppress(ValueError):
        client = distributed.Client.current()
        if client.scheduler.address == address and not client.asynchronous:
            return client
    return None


def _require_worker(client: Any) -> None:
    """Raise ClusterError if the cluster of the program's own client has no worker."""
    try:
        client.wait_for_workers(1, timeout=CLIENT_WORKERS_TIMEOUT_S)
    except TimeoutError:
        raise ClusterError(
            f"cannot use the program's Dask client: its cluster at {client.scheduler.address} has no worker "
            f"after {CLIENT_WORKERS_TIMEOUT_S} s",
            hint="Add workers, for example with client.cluster.scale(2), or close the client.",
        ) from None


def _wait_for_workers(client: Any, workers: int, definition: ClusterDefinition) -> None:
    try:
        client.wait_for_workers(workers, timeout=definition.start_timeout)
    except TimeoutError:
        raise ClusterError(
            f"cannot use the cluster at {mask_credentials(client.scheduler.address)}: "
            f"it has {'no worker' if workers == 1 else f'fewer than {workers} workers'} "
            f"after {definition.start_timeout} s",
            hint=_worker_log_hint(definition),
        ) from None


def _worker_log_hint(definition: ClusterDefinition) -> str:
    """Return a hint that says where to find out why workers do not start."""
    folder = definition.options.get("log_directory")
    job_logs = f"`{folder}/slurm-*.out`" if folder else "`slurm-*.out` in the current folder"
    return {
        "slurm": f"For waiting jobs, run `squeue --me`. For failed jobs, read {job_logs}.",
        "kubernetes": "Check `kubectl get pods` and `kubectl describe pod` in the namespace.",
        "compose": f"Check `docker compose --file {definition.config_file} logs worker`.",
    }.get(definition.kind, "Start a worker with `dask worker ADDRESS`.")


def scheduler_answers(client: Any) -> bool:
    """Return whether the scheduler of a client answers."""
    with contextlib.suppress(OSError, RuntimeError):
        client.nthreads()
        return bool(client.status == "running")
    return False


@contextlib.contextmanager
def dask_report(path: Path) -> Iterator[None]:
    """Write Dask's performance report of the context, unless the context ends with an error.

    After an error, the scheduler that has the data may no longer run.
    """
    import distributed

    report = distributed.performance_report(filename=path)
    report.__enter__()
    yield
    report.__exit__(None, None, None)
