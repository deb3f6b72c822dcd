"""`toytip cluster`: bring a cluster up and down, look at it, and make certificates for it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Unpack

import typer

from toytip.cli.app import cluster_app
from toytip.cli.command import install_signal_handlers, print_result, resolve_command_settings
from toytip.cli.option_groups import (
    CommonOptions,
    SourceOptions,
    StoreOptions,
    TlsOptions,
    WorkerSizeOptions,
    expand_options,
)
from toytip.cli.options import AdaptOption, DebugOption, FeatureSetOption, JsonOption

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A cluster of clusters.toml or toytip.toml.")
]


class AdaptiveSizeOptions(WorkerSizeOptions):
    """How many work, now and later."""

    adapt: AdaptOption


class UpOptions(AdaptiveSizeOptions, TlsOptions, CommonOptions):
    """Of a cluster that is to be."""


class StatusOptions(TlsOptions, CommonOptions):
    """Of a cluster that is there."""


class DoctorOptions(SourceOptions, StoreOptions, WorkerSizeOptions, TlsOptions):
    """Of a run that might be."""

    features: FeatureSetOption


@cluster_app.command(epilog="Example:  toytip cluster up lab --workers 12")
@expand_options
def up(name: NameArgument, json_: JsonOption = False, **given: Unpack[UpOptions]) -> None:
    """Start a cluster and leave it running; `toytip run --cluster NAME` then uses it."""
    settings = resolve_command_settings({**given, "cluster": name}, workers_needed=False)
    from toytip.cluster import lifecycle

    install_signal_handlers()
    address = lifecycle.start_persistent_cluster(settings)
    said = f"{name} is up at {address}; `toytip cluster down {name}` ends it"
    print_result(json_, {"cluster": name, "address": address}, said)


@cluster_app.command(epilog="Example:  toytip cluster down lab")
@expand_options
def down(name: NameArgument, json_: JsonOption = False, **given: Unpack[CommonOptions]) -> None:
    """End a cluster that was brought up."""
    settings = resolve_command_settings({**given, "cluster": name}, workers_needed=False)
    from toytip.cluster import lifecycle

    ended = lifecycle.stop_persistent_cluster(settings)
    print_result(json_, {"cluster": name, "ended": ended}, f"{name} {'is down' if ended else 'was not up'}")


@cluster_app.command(epilog="Example:  toytip cluster status lab")
@expand_options
def status(name: NameArgument, json_: JsonOption = False, **given: Unpack[StatusOptions]) -> None:
    """Show the workers of a cluster that is up."""
    settings = resolve_command_settings({**given, "cluster": name}, workers_needed=False)
    from toytip.cluster import lifecycle, workers_by_address
    from toytip.cluster.connect import connect

    if lifecycle.scheduler_address(settings) is None:
        said = f"{name} is not up; `toytip cluster up {name}` starts it"
        print_result(json_, {"cluster": name, "up": False}, said)
        return
    with connect(settings, strict=False) as client:
        there: list[dict[str, Any]] = [
            {
                "address": address, "host": info.host, "threads": info.threads,
                "memory_limit": info.memory_limit,
            }
            for address, info in workers_by_address(client).items()
        ]  # fmt: skip
        address, dashboard = client.scheduler.address, client.dashboard_link
    print_result(
        json_,
        {"cluster": name, "up": True, "address": address, "dashboard": dashboard, "workers": there},
        f"{name} is up at {address}: {len(there)} workers; dashboard {dashboard}",
        *(f"  {w['address']}  {w['threads']} threads  {w['memory_limit'] / 1e6:,.0f} MB" for w in there),
    )


@cluster_app.command(
    epilog="Example:  toytip cluster doctor lab --source s3://trips/green --store s3://mine/toytip"
)
@expand_options
def doctor(name: NameArgument, json_: JsonOption = False, **given: Unpack[DoctorOptions]) -> None:
    """Look whether a run on a cluster would work, and say what to do where not; exit code 1 then."""
    settings = resolve_command_settings({**given, "cluster": name})
    from toytip.pipeline.doctor import run_checks
    from toytip.progress.tracker import Progress

    checks = run_checks(settings, Progress.from_settings(settings))
    well = all(check.ok for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.name:<10} {'ok' if check.ok else 'FAILED':<7} {check.message}")
        if not check.ok and check.advice:
            lines.append(f"{'':<18} {check.advice}")
    print_result(json_, {"cluster": name, "ok": well, "checks": [asdict(check) for check in checks]}, *lines)
    if not well:
        raise typer.Exit(1)


@cluster_app.command(epilog="Example:  toytip cluster certs --out certs --hosts 10.0.0.1,10.0.0.2,10.0.0.3")
def certs(
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("certs"),
    hosts: Annotated[
        str, typer.Option("--hosts", help="Addresses or names of all hosts, with commas.")
    ] = "localhost,127.0.0.1",
    json_: JsonOption = False,
    debug: DebugOption = False,  # noqa: ARG001 - every command takes it, and `guarded` reads it
) -> None:
    """Make a certificate authority, and certificates of the nodes and the clients of a cluster; nothing is overwritten."""
    from toytip.cluster import certificates as maker

    made = maker.create_certificates(out, [host.strip() for host in hosts.split(",") if host.strip()])
    files = [str(path) for path in made]
    said = (
        f"ca.pem goes to every host; node.pem and node.key to those of the cluster; client.* to who runs toytip. "
        f"ca.key signs: keep it offline. Good for {maker.CERTIFICATE_DAYS} days."
    )
    print_result(json_, {"files": files}, *files, said)
