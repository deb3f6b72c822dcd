"""Results of `toytip cluster` as text."""

from __future__ import annotations

from collections.abc import Sequence

from toytip.cli.render.tables import make_console, new_table, print_wrapped, show_table
from toytip.cli.results import CertificateFiles, ClusterList, ClusterStatus
from toytip.cluster.certificates import CERTIFICATE_DAYS
from toytip.core.text import plural
from toytip.pipeline.doctor import CheckResult

# Indent of the message of a check, below its name and its state.
INDENT = " " * 19


def show_clusters(listed: ClusterList) -> None:
    """Print one line per cluster."""
    titles = ("cluster", "kind", "defined in", "workers", "scheduler")
    table = new_table(*titles, left=("kind", "defined in", "scheduler"))
    for cluster in listed.clusters:
        workers = "-" if cluster.workers is None else str(cluster.workers)
        table.add_row(cluster.cluster, cluster.kind, cluster.file, workers, cluster.address or "-")
    show_table(make_console(), table)


def show_status(status: ClusterStatus) -> None:
    """Print whether a cluster is running, and its workers."""
    console = make_console()
    if not status.running:
        print_wrapped(
            console,
            f"cluster {status.cluster} is not running. Start it with `toytip cluster up {status.cluster}`",
        )
        return
    workers = plural(len(status.workers), "worker")
    print_wrapped(console, f"cluster {status.cluster} is running at {status.address}: {workers}")
    console.print(f"dashboard {status.dashboard_url}", soft_wrap=True)
    for worker in status.workers:
        threads = plural(worker.threads, "thread")
        print_wrapped(
            console, f"{worker.address}  {threads}  {worker.memory_limit / 1e6:,.0f} MB", "    ", "  "
        )


def show_checks(checks: Sequence[CheckResult]) -> None:
    """Print the result of each check, with a hint for each failed check."""
    console = make_console()
    for check in checks:
        state = "ok" if check.ok else "FAILED"
        print_wrapped(console, check.message, INDENT, f"{check.name:<10} {state:<7} ")
        if not check.ok and check.advice:
            print_wrapped(console, f"hint: {check.advice}", f"{INDENT}  ", INDENT)


def show_certificates(certificates: CertificateFiles) -> None:
    """Print the new files, and the machines to which the user must copy them."""
    console = make_console()
    for file in certificates.files:
        console.print(file, soft_wrap=True)
    print_wrapped(
        console,
        "Copy ca.pem to every host, node.pem and node.key to the hosts of the cluster, and client.pem and "
        "client.key to the machines that run toytip. Keep ca.key offline: it signs certificates. "
        f"The certificates are valid for {CERTIFICATE_DAYS} days.",
        "",
    )
