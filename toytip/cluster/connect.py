"""One client: of a scheduler that is there, or of workers that end with the run; and what is asked of it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toytip.cluster import adaptive, tls
from toytip.cluster.definitions import ClusterDefinition, load_definition
from toytip.cluster.deploy import deploy_cluster
from toytip.cluster.lifecycle import scheduler_address, starts_local_workers
from toytip.cluster.probe import IDENTITY_TIMEOUT_S, probe_scheduler, start_hint
from toytip.config import Settings, mask_credentials
from toytip.errors import ClusterError

# A model of many rounds is one value of the graph, and sent once: nothing to warn of.
DASK_OPTIONS = {"distributed.admin.large-graph-warning-threshold": "1 GiB"}


@contextlib.contextmanager
def connect(settings: Settings, *, strict: bool = True) -> Iterator[Any]:
    """Yield a client of the cluster that the settings name, or of a local one that ends with the context.

    Raises ClusterError where no scheduler answers, no worker comes, one has other versions (if `strict`), or the
    scheduler is lost.
    """
    address = scheduler_address(settings)
    with (
        _configure_dask(settings),
        connect_to(address, settings) if address else start_cluster(settings) as client,
    ):
        try:
            with _require_same_versions(client, settings) if strict else contextlib.nullcontext():
                yield client
        except (OSError, RuntimeError):
            if scheduler_answers(client):
                raise
            raise ClusterError(
                f"the cluster at {client.scheduler.address} was lost; run again: what is whole is taken over"
            ) from None


def _require_same_versions(client: Any, settings: Settings) -> contextlib.AbstractContextManager[None]:
    """Refuse processes of other versions; what this machine starts for the run has this process' own."""
    if starts_local_workers(settings):
        return contextlib.nullcontext()
    from toytip.cluster.versions import require_same

    return require_same(client)


@contextlib.contextmanager
def _configure_dask(settings: Settings) -> Iterator[None]:
    """Set Dask's config, and keep its log to itself: what goes wrong is said once, in our words, by whoever catches it."""
    import dask

    for name in ("distributed", "distributed.client", "tornado.application"):  # each has a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set({**DASK_OPTIONS, **tls.dask_tls_config(settings)}):
        yield


@contextlib.contextmanager
def start_cluster(settings: Settings) -> Iterator[Any]:
    """Yield a client of workers that end with the context. Raises ClusterError."""
    with (
        _configure_dask(settings),
        deploy_cluster(settings) as deployer,
        _open_client(deployer, settings) as client,
    ):
        adaptive.enable_adaptive(client, settings)
        limits = adaptive.parse_adapt(settings)
        fewest = limits[0] if limits else settings.workers or 1
        _wait_for_workers(client, max(1, fewest) if starts_local_workers(settings) else 1, settings)
        yield client


def _open_client(deployer: Any, settings: Settings) -> contextlib.AbstractContextManager[Any]:
    """Return a client of what a deployer has started: Dask's cluster object, or an address."""
    import distributed

    return connect_to(deployer, settings) if isinstance(deployer, str) else distributed.Client(deployer)


@contextlib.contextmanager
def connect_to(address: str, settings: Settings) -> Iterator[Any]:
    """Yield a client of the scheduler at an address. Raises ClusterError where none answers, or it refuses this one."""
    import distributed

    if (current := _existing_client(address)) is not None:
        _wait_for_workers(current, 1, settings)
        yield current
        return
    tls.check_scheme(address, settings)
    if why := probe_scheduler(address, settings):
        raise ClusterError(why)
    try:
        client = distributed.Client(address, security=tls.dask_security(settings), timeout=IDENTITY_TIMEOUT_S)
    except (OSError, ValueError, TimeoutError, ImportError) as error:
        raise ClusterError(
            f"the scheduler at {mask_credentials(address)} has gone ({type(error).__name__}); {start_hint(settings)}"
        ) from None
    with client:
        _wait_for_workers(client, 1, settings)
        yield client


def _existing_client(address: str) -> Any:
    """Return the client that this program has of that scheduler already, and goes on using; None where it has none."""
    import distributed

    with contextlib.suppress(ValueError):
        client = distributed.Client.current()
        if client.scheduler.address == address and not client.asynchronous:
            return client
    return None


def _wait_for_workers(client: Any, workers: int, settings: Settings) -> None:
    found = load_definition(settings)
    try:
        client.wait_for_workers(workers, timeout=found.start_timeout)
    except TimeoutError:
        raise ClusterError(f"no worker has come within {found.start_timeout} s; {_log_hint(found)}") from None


def _log_hint(definition: ClusterDefinition) -> str:
    """Return what tells why workers do not come: whoever starts them knows."""
    jobs = f"{definition.options.get('log_directory', 'this folder')}/slurm-*.out"
    return {
        "slurm": f"`squeue --me` tells whether their jobs wait, and {jobs} why they ended",
        "kubernetes": "`kubectl get pods` and `kubectl describe pod` in their namespace tell why",
        "compose": f"`docker compose --file {definition.config_file} logs worker` tells why",
    }.get(definition.kind, "start one with `dask worker ADDRESS`")


def scheduler_answers(client: Any) -> bool:
    """Tell whether the scheduler of a client is there."""
    with contextlib.suppress(OSError, RuntimeError):
        client.nthreads()
        return bool(client.status == "running")
    return False


@contextlib.contextmanager
def dask_report(path: Path) -> Iterator[None]:
    """Write Dask's page of what the workers did; none after an error, when there may be no scheduler to ask."""
    import distributed

    report = distributed.performance_report(filename=path)
    report.__enter__()
    yield
    report.__exit__(None, None, None)
