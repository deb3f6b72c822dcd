"""`toytip cluster`: start, stop and check clusters, and create certificates for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import install_signal_handlers, print_result, resolve_command_settings
from toytip.cli.option_groups import (
    CommonOptions,
    SourceOptions,
    StoreOptions,
    TlsOptions,
    WorkerSizeOptions,
    expand_options,
)
from toytip.cli.options import AdaptOption, FeatureSetOption, JsonOption, option

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a cluster in clusters.toml or toytip.toml.")
]


class AdaptiveSizeOptions(WorkerSizeOptions):
    """Number and size of the workers, fixed or adaptive."""

    adapt: AdaptOption


class UpOptions(AdaptiveSizeOptions, TlsOptions, CommonOptions):
    """Options to start a cluster."""


class StatusOptions(TlsOptions, CommonOptions):
    """Options to connect to a cluster."""


class DoctorOptions(SourceOptions, StoreOptions, WorkerSizeOptions, TlsOptions):
    """Options of `toytip cluster doctor`: the source, store and workers of a later run."""

    feature_set: FeatureSetOption


app = new_app("cluster", "toytip cluster up lab --workers 12")


@app.command("list", epilog="Example:  toytip cluster list")
@expand_options
def list_(json_: JsonOption = False, **options: Unpack[CommonOptions]) -> None:
    """List the clusters that --cluster can name.

    Prints the kind of each cluster, the file with its definition, and the address of its scheduler,
    if the definition has an address or if `toytip cluster up` has started the cluster.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.cli.render.cluster import show_clusters
    from toytip.cli.results import ClusterList, DefinedCluster
    from toytip.cluster.definitions import CLUSTERS_FILE, cluster_names
    from toytip.cluster.lifecycle import plan_cluster

    def describe(name: str) -> DefinedCluster:
        plan = plan_cluster(settings.model_copy(update={"cluster": name}))
        return DefinedCluster(
            cluster=name,
            kind=plan.definition.kind,
            file="toytip.toml" if name in settings.clusters else CLUSTERS_FILE,
            workers=plan.definition.workers,
            address=plan.address,
        )

    result = ClusterList(clusters=tuple(map(describe, cluster_names(settings))))
    print_result(result, show_clusters, as_json=json_)


@app.command(epilog="Example:  toytip cluster up lab --workers 12")
@expand_options
def up(name: NameArgument, json_: JsonOption = False, **options: Unpack[UpOptions]) -> None:
    """Start a cluster that keeps running after the command ends.

    `toytip run --cluster NAME` uses the cluster. `toytip cluster down NAME` stops the cluster.
    """
    settings = resolve_command_settings({**options, "cluster": name}, workers_needed=False)
    from toytip.cli.results import ClusterAddress
    from toytip.cluster import lifecycle

    install_signal_handlers()
    started = ClusterAddress(cluster=name, address=lifecycle.start_persistent_cluster(settings))
    print_result(
        started,
        lambda _: typer.echo(
            f"cluster {name} is running at {started.address}. Stop it with `toytip cluster down {name}`"
        ),
        as_json=json_,
    )


@app.command(epilog="Example:  toytip cluster down lab")
@expand_options
def down(name: NameArgument, json_: JsonOption = False, **options: Unpack[CommonOptions]) -> None:
    """Stop a cluster.

    Stops the scheduler and all workers that `toytip cluster up` started.
    """
    settings = resolve_command_settings({**options, "cluster": name}, workers_needed=False)
    from toytip.cli.results import ClusterStop
    from toytip.cluster import lifecycle

    result = ClusterStop(cluster=name, stopped=lifecycle.stop_persistent_cluster(settings))
    state = "stopped" if result.stopped else "was not running"
    print_result(result, lambda _: typer.echo(f"cluster {name} {state}"), as_json=json_)


@app.command(epilog="Example:  toytip cluster status lab")
@expand_options
def status(name: NameArgument, json_: JsonOption = False, **options: Unpack[StatusOptions]) -> None:
    """Show the workers of a running cluster.

    Prints the addresses of the scheduler and the dashboard. Lists each worker with its threads and
    its memory limit.
    """
    settings = resolve_command_settings({**options, "cluster": name}, workers_needed=False)
    from toytip.cli.render.cluster import show_status
    from toytip.cli.results import ClusterStatus, WorkerStatus
    from toytip.cluster import lifecycle, workers_by_address
    from toytip.cluster.connect import connect

    state = ClusterStatus(cluster=name, running=False, address=None, dashboard_url=None, workers=())
    if lifecycle.plan_cluster(settings).address is not None:
        with connect(settings, strict=False) as client:
            state = ClusterStatus(
                cluster=name,
                running=True,
                address=client.scheduler.address,
                dashboard_url=client.dashboard_link,
                workers=tuple(
                    WorkerStatus(
                        address=address,
                        host=worker.host,
                        threads=worker.threads,
                        memory_limit=worker.memory_limit,
                    )
                    for address, worker in workers_by_address(client).items()
                ),
            )
    print_result(state, show_status, as_json=json_)


@app.command(epilog="Example:  toytip cluster doctor lab --source s3://trips/green --store s3://mine/toytip")
@expand_options
def doctor(name: NameArgument, json_: JsonOption = False, **options: Unpack[DoctorOptions]) -> None:
    """Check that a cluster can run toytip, and suggest fixes.

    Checks the workers, packages, source, store, memory, disk space, clocks, TLS and the dashboard.
    If the cluster is not running, the command starts the cluster for the checks. Exits with 1 if a
    check fails.
    """
    settings = resolve_command_settings({**options, "cluster": name})
    from toytip.cli.render.cluster import show_checks
    from toytip.cli.results import ClusterCheck
    from toytip.pipeline.doctor import run_checks
    from toytip.progress.tracker import Progress

    checks = run_checks(settings, Progress.from_settings(settings))
    passed = all(check.ok for check in checks)
    result = ClusterCheck(cluster=name, ok=passed, checks=tuple(checks))
    print_result(result, lambda _: show_checks(checks), as_json=json_)
    if not passed:
        raise typer.Exit(1)


@app.command(
    "create-certs",
    epilog="Example:  toytip cluster create-certs --output-dir certs --hosts 10.0.0.1,10.0.0.2,10.0.0.3",
)
@expand_options
def create_certs(
    output_dir: Annotated[
        Path, option("--output-dir", metavar="DIR", help="Folder for the certificates and keys.")
    ] = Path("certs"),
    hosts: Annotated[
        str,
        option(
            "--hosts", metavar="HOSTS", help="Comma-separated addresses or names of all hosts of the cluster."
        ),
    ] = "localhost,127.0.0.1",
    json_: JsonOption = False,
    **options: Unpack[CommonOptions],  # noqa: ARG001 - run_cli reads --debug
) -> None:
    """Create certificates for a cluster.

    Creates a certificate authority, and certificates for the nodes and the clients. Copy ca.pem to
    every host, node.pem and node.key to the hosts of the cluster, and client.pem and client.key to
    the machines that run toytip. The command does not overwrite existing files.
    """
    from toytip.cli.render.cluster import show_certificates
    from toytip.cli.results import CertificateFiles
    from toytip.cluster.certificates import create_certificates

    names = [host.strip() for host in hosts.split(",") if host.strip()]
    files = CertificateFiles(files=tuple(map(str, create_certificates(output_dir, names))))
    print_result(files, show_certificates, as_json=json_)
