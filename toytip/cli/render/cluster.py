"""Results of `toytip cluster` as text."""

from __future__ import annotations

from collections.abc import Sequence

from toytip.cli.render.tables import make_console
from toytip.cli.results import CertificateFiles, ClusterStatus
from toytip.cluster.certificates import CERTIFICATE_DAYS
from toytip.pipeline.doctor import CheckResult


def show_status(status: ClusterStatus) -> None:
    """Print whether a cluster is running, and its workers."""
    console = make_console()
    if not status.running:
        console.print(
            f"cluster {status.cluster} is not running. Start it with `toytip cluster up {status.cluster}`",
            soft_wrap=True,
        )
        return
    console.print(f"cluster {status.cluster} is running at {status.address}: {len(status.workers)} workers")
    console.print(f"dashboard {status.dashboard_url}", soft_wrap=True)
    for worker in status.workers:
        console.print(
            f"  {worker.address}  {worker.threads} threads  {worker.memory_limit / 1e6:,.0f} MB",
            soft_wrap=True,
        )


def show_checks(checks: Sequence[CheckResult]) -> None:
    """Print the result of each check, with a hint for each failed check."""
    console = make_console()
    for check in checks:
        console.print(f"{check.name:<10} {'ok' if check.ok else 'FAILED':<7} {check.message}", soft_wrap=True)
        if not check.ok and check.advice:
            console.print(f"{'':<18} hint: {check.advice}", soft_wrap=True)


def show_certificates(certificates: CertificateFiles) -> None:
    """Print the new files, and the machines to which the user must copy them."""
    console = make_console()
    for file in certificates.files:
        console.print(file, soft_wrap=True)
    console.print(
        "Copy ca.pem to every host, node.pem and node.key to the hosts of the cluster, and client.pem and\n"
        "client.key to the machines that run toytip. Keep ca.key offline: it signs certificates.\n"
        f"The certificates are valid for {CERTIFICATE_DAYS} days."
    )
