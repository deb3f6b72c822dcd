"""Starting clusters elsewhere, each with the deployer that Dask has for it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import ipaddress
import logging
from collections.abc import Iterator
from typing import Any

from toytip.cluster import tls
from toytip.cluster.adaptive import parse_adapt
from toytip.cluster.definitions import ClusterDefinition, load_definition
from toytip.cluster.kubernetes import start_kubernetes
from toytip.cluster.local import start_local
from toytip.config import Settings
from toytip.errors import ClusterError

# What has begun to start is given so long to end.
CLOSE_TIMEOUT_S = 30
REQUIRED_PACKAGES = {"ssh": "asyncssh", "slurm": "dask_jobqueue"}


def deploy_cluster(settings: Settings) -> Any:
    """Start the cluster that the settings name, the default one on this machine.

    Returns what ends it with its context: Dask's cluster object, or what yields the scheduler's address. Raises ClusterError where an extra is missing, or the deployer fails.
    """
    found = load_definition(settings)
    if extra := REQUIRED_PACKAGES.get(found.kind):
        _require_package(found.kind, extra)
    start = {
        "local": lambda s, _: start_local(s),
        "ssh": _start_ssh,
        "slurm": _start_slurm,
        "kubernetes": start_kubernetes,
    }[found.kind]
    try:
        with _close_on_interrupt():
            return start(settings, found)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ClusterError(
            f"cluster {settings.cluster or found.kind} could not be started: {said}; see its definition in clusters.toml"
        ) from None


@contextlib.contextmanager
def _close_on_interrupt() -> Iterator[None]:
    """End what has begun to start where it is interrupted; Dask would try at the exit, fail, and say so at length."""
    from distributed.core import Status
    from distributed.deploy.spec import SpecCluster

    before = set(SpecCluster._instances)  # noqa: SLF001 - Dask keeps them nowhere else
    try:
        yield
    except KeyboardInterrupt:
        for cluster in set(SpecCluster._instances) - before:  # noqa: SLF001
            cluster.shutdown_on_close = False
            if cluster.status != Status.closed:
                with contextlib.suppress(Exception):
                    cluster.sync(_close_cluster, cluster, callback_timeout=CLOSE_TIMEOUT_S)
        raise


async def _close_cluster(cluster: Any) -> None:
    """End a cluster's workers, also those that have not begun, and then its scheduler."""
    # One that is just being started would say at length that it is alone.
    await asyncio.gather(*cluster._created, return_exceptions=True)  # noqa: SLF001
    await asyncio.gather(*(each.close() for each in cluster._created), return_exceptions=True)  # noqa: SLF001
    if cluster.scheduler is not None:
        await cluster.scheduler.close()


def _require_package(kind: str, package: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError:
        raise ClusterError(
            f"a cluster of kind {kind} needs {package.replace('_', '-')}: pip install 'toytip[{kind}]'"
        ) from None


def _merge_options(options: dict[str, Any], name: str, **ours: Any) -> dict[str, Any]:
    """Return what of the options stands under a name, with ours below it; what is None is left to the deployer."""
    return {**{key: value for key, value in ours.items() if value is not None}, **options.get(name, {})}


def _start_ssh(settings: Settings, definition: ClusterDefinition) -> Any:
    """Start a scheduler on the first host and workers on all; they have this process' interpreter, at the same path."""
    import dask
    from distributed import SSHCluster

    scheme = "tls://" if tls.uses_tls(settings) else None
    options = dict(definition.options)
    workers = _merge_options(
        options, "worker_options", nthreads=settings.threads_per_worker, memory_limit=settings.memory_limit,
        n_workers=max(1, (settings.workers or 0) // len(definition.hosts)), protocol=scheme,
    )  # fmt: skip
    scheduler = _merge_options(
        options, "scheduler_options", protocol=scheme, port=0, dashboard_address="127.0.0.1:8787"
    )
    if _is_address(definition.hosts[0]):  # a name may mean another address there
        scheduler.setdefault("host", definition.hosts[0])
    ours = tls.dask_security(settings)
    # The processes there inherit Dask's config of this moment.
    with dask.config.set(
        tls.remote_tls_config(definition.remote_tls_dir) if scheme and definition.remote_tls_dir else {}
    ):
        return SSHCluster(
            [definition.hosts[0], *definition.hosts],
            **{**options, "worker_options": workers, "scheduler_options": scheduler},
            security=ours, silence_logs=logging.CRITICAL,
        )  # fmt: skip


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return host == "localhost"


def _start_slurm(settings: Settings, definition: ClusterDefinition) -> Any:
    """Start a scheduler here, and a job for each worker."""
    from dask_jobqueue import SLURMCluster

    limits, threads = parse_adapt(settings), settings.threads_per_worker or 1
    options = {"n_workers": limits[0] if limits else settings.workers or 1, **definition.options}
    jobs = options.pop("n_workers")
    scheduler = _merge_options(options, "scheduler_options", dashboard_address="127.0.0.1:8787")
    cluster = SLURMCluster(**{
        "cores": threads, "processes": 1, "memory": settings.memory_limit or "4GB", "silence_logs": logging.CRITICAL,
        "security": tls.dask_security(settings) if tls.uses_tls(settings) else None,
        **options, "scheduler_options": scheduler,
    })  # fmt: skip
    try:
        cluster.sync(_submit_jobs, cluster, jobs)
    except BaseException:
        cluster.close()
        raise
    return cluster


async def _submit_jobs(cluster: Any, jobs: int) -> None:
    """Submit a job for each worker, and wait until all are: Dask would keep a refusal to itself, and wait for workers."""
    cluster.scale(jobs)
    try:
        await cluster
    except RuntimeError as error:  # the command's number, words, and what it said, its reason last
        raise RuntimeError(f"no job could be submitted: {str(error).strip().splitlines()[-1]}") from None
