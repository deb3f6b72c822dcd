"""Start a cluster with the deployer for its kind."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import ipaddress
import logging
from collections.abc import Callable, Iterator
from typing import Any

from toytip.cluster import tls
from toytip.cluster.adaptive import parse_adapt
from toytip.cluster.definitions import ClusterDefinition
from toytip.cluster.kubernetes import start_kubernetes
from toytip.cluster.local import start_local
from toytip.config import Settings
from toytip.errors import ClusterError

# Maximum time to stop a cluster that is still starting.
CLOSE_TIMEOUT_S = 30
REQUIRED_PACKAGES = {"ssh": "asyncssh", "slurm": "dask_jobqueue"}
DASHBOARD_ADDRESS = "127.0.0.1:8787"


def deploy_cluster(settings: Settings, definition: ClusterDefinition) -> Any:
    """Start the configured cluster, by default on this machine.

    Returns a context manager that stops the cluster at its end. The context manager is a cluster
    object of Dask, or yields the address of the scheduler. Raises ClusterError if a package is
    missing or the deployer fails.
    """
    if package := REQUIRED_PACKAGES.get(definition.kind):
        _require_package(definition.kind, package)
    start = DEPLOYERS[definition.kind]
    try:
        with _close_on_interrupt():
            return start(settings, definition)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ClusterError(
            f"cannot start cluster {settings.cluster or definition.kind}: {cause}",
            hint="Check the definition of the cluster in toytip.toml or clusters.toml.",
        ) from None


@contextlib.contextmanager
def _close_on_interrupt() -> Iterator[None]:
    """If Ctrl-C interrupts the context, stop the clusters that are still starting.

    If toytip did not stop these clusters, Dask would try to stop them at exit, fail, and print long
    tracebacks.
    """
    from distributed.core import Status
    from distributed.deploy.spec import SpecCluster

    previous = set(SpecCluster._instances)  # noqa: SLF001 - Dask has no public list of clusters
    try:
        yield
    except KeyboardInterrupt:
        for cluster in set(SpecCluster._instances) - previous:  # noqa: SLF001
            cluster.shutdown_on_close = False
            if cluster.status != Status.closed:
                with contextlib.suppress(Exception):
                    cluster.sync(_close_cluster, cluster, callback_timeout=CLOSE_TIMEOUT_S)
        raise


async def _close_cluster(cluster: Any) -> None:
    """Stop the workers of a cluster, even if they are still starting, and then its scheduler."""
    # Wait until all workers have started: a worker that loses its scheduler while it starts prints
    # a long error.
    await asyncio.gather(*cluster._created, return_exceptions=True)  # noqa: SLF001
    await asyncio.gather(*(worker.close() for worker in cluster._created), return_exceptions=True)  # noqa: SLF001
    if cluster.scheduler is not None:
        await cluster.scheduler.close()


def _require_package(kind: str, package: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError:
        raise ClusterError(
            f"cannot start a cluster of kind {kind}: "
            f"the package {package.replace('_', '-')} is not installed",
            hint=f"Install the package with `pip install 'toytip[{kind}]'`.",
        ) from None


def _merge_options(options: dict[str, Any], name: str, **defaults: Any) -> dict[str, Any]:
    """Return the options under `name`, plus the defaults that they do not override.

    A default of None is omitted, so that the deployer uses its own default.
    """
    return {**{key: value for key, value in defaults.items() if value is not None}, **options.get(name, {})}


def _start_ssh(settings: Settings, definition: ClusterDefinition) -> Any:
    """Start a scheduler on the first host, and workers on all hosts.

    All hosts must have a Python interpreter at the same path as the interpreter of this process.
    """
    import dask
    from distributed import SSHCluster

    has_tls = tls.uses_tls(settings)
    options = {
        **definition.options,
        "worker_options": _ssh_worker_options(settings, definition, has_tls=has_tls),
        "scheduler_options": _ssh_scheduler_options(definition, has_tls=has_tls),
    }
    security = tls.dask_security(settings)
    remote_dir = definition.remote_tls_dir
    # The remote processes inherit the Dask config that is set while the cluster starts.
    with dask.config.set(tls.remote_tls_config(remote_dir) if has_tls and remote_dir else {}):
        return SSHCluster(
            [definition.hosts[0], *definition.hosts],
            **options,
            security=security,
            silence_logs=logging.CRITICAL,
        )


def _ssh_worker_options(
    settings: Settings, definition: ClusterDefinition, *, has_tls: bool
) -> dict[str, Any]:
    return _merge_options(
        definition.options,
        "worker_options",
        nthreads=settings.threads_per_worker,
        memory_limit=settings.memory_limit,
        n_workers=max(1, (settings.workers or 0) // len(definition.hosts)),
        protocol="tls://" if has_tls else None,
    )


def _ssh_scheduler_options(definition: ClusterDefinition, *, has_tls: bool) -> dict[str, Any]:
    options = _merge_options(
        definition.options,
        "scheduler_options",
        protocol="tls://" if has_tls else None,
        port=0,
        dashboard_address=DASHBOARD_ADDRESS,
    )
    if _is_address(definition.hosts[0]):  # a host name may resolve to a different address on that host
        options.setdefault("host", definition.hosts[0])
    return options


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return host == "localhost"


def _start_slurm(settings: Settings, definition: ClusterDefinition) -> Any:
    """Start a scheduler in this process, and submit one job per worker."""
    from dask_jobqueue import SLURMCluster

    limits = parse_adapt(settings)
    defaults = {
        "n_workers": limits.minimum if limits else settings.workers or 1,
        "cores": settings.threads_per_worker or 1,
        "processes": 1,
        "memory": settings.memory_limit or "4GB",
        "silence_logs": logging.CRITICAL,
        "security": tls.dask_security(settings) if tls.uses_tls(settings) else None,
    }
    options = {**defaults, **definition.options}
    job_count = options.pop("n_workers")
    options["scheduler_options"] = _merge_options(
        options, "scheduler_options", dashboard_address=DASHBOARD_ADDRESS
    )
    cluster = SLURMCluster(**options)
    try:
        cluster.sync(_submit_jobs, cluster, job_count)
    except BaseException:
        cluster.close()
        raise
    return cluster


async def _submit_jobs(cluster: Any, job_count: int) -> None:
    """Submit one job per worker, and wait until all jobs are submitted.

    Without this wait, Dask would hide a rejected submission, and wait for the worker of this job.
    """
    cluster.scale(job_count)
    try:
        await cluster
    except RuntimeError as error:  # the last line of the message is the cause
        raise RuntimeError(f"no job could be submitted: {str(error).strip().splitlines()[-1]}") from None


def _start_local(settings: Settings, _: ClusterDefinition) -> Any:
    return start_local(settings)


DEPLOYERS: dict[str, Callable[[Settings, ClusterDefinition], Any]] = {
    "local": _start_local,
    "ssh": _start_ssh,
    "slurm": _start_slurm,
    "kubernetes": start_kubernetes,
}
