"""Lists of versions, runs and tags, and the results of their maintenance as text."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from toytip.cli.render.tables import (
    format_number,
    make_console,
    new_table,
    print_wrapped,
    show_table,
)
from toytip.cli.results import DeletedVersions, RollbackResult, TagList
from toytip.core.text import plural
from toytip.store.maintenance import FileFault
from toytip.store.refs import VersionSummary
from toytip.store.runs import RunList


def show_versions(rows: Sequence[VersionSummary], store_uri: str, as_of: str | None = None) -> None:
    """Print one line per table and version."""
    console = make_console()
    if not rows and as_of:
        print_wrapped(console, f"no versions in {store_uri} as of {as_of}")
        return
    if not rows:
        print_wrapped(console, f"no versions in {store_uri}. `toytip run` publishes the first one")
        return
    table = new_table("table", "version", "rows", "months", "MB", "tags", left=("version", "months", "tags"))
    for row in rows:
        months = f"{row.months[0]}:{row.months[-1]}" if row.months else ""
        cells = (f"{row.rows:,}", months, f"{row.bytes / 1e6:.1f}", ", ".join(row.tags))
        table.add_row(row.table, row.version, *cells)
    show_table(console, table, drop=("MB", "months"))


def show_runs(listed: RunList, store_uri: str) -> None:
    """Print one line per run."""
    console = make_console()
    if not listed.runs:
        print_wrapped(console, f"no runs in {store_uri}. `toytip run` publishes the first one")
        return
    titles = ("version", "created", "source", "months", "feature set", "segment", "test AUC")
    table = new_table(*titles, left=titles[:-1])
    for run in listed.runs:
        table.add_row(
            run.version,
            run.created_at[:16].replace("T", " "),
            posixpath.basename(run.source) if run.source else "-",
            f"{run.months[0]}:{run.months[-1]}" if run.months else "",
            run.feature_set or "-",
            run.segment or "-",
            format_number(run.test_auc),
        )
    # The version ID contains the creation time, so that column can be dropped.
    show_table(console, table, drop=("created", "segment", "source", "months"))


def show_tags(listed: TagList, store_uri: str) -> None:
    """Print one line per tag."""
    console = make_console()
    for tag, version in sorted(listed.tags.items()):
        console.print(f"{tag}  {version}", soft_wrap=True)
    if not listed.tags:
        print_wrapped(console, f"no tags in {store_uri}. `toytip version tag TAG VERSION` sets one")


def show_current_versions(result: RollbackResult, version: str) -> None:
    """Print the default version of each table after a rollback to `version`."""
    console = make_console()
    print_wrapped(console, f"rolled back to {version}. Commands now read these versions:")
    width = max(map(len, result.versions), default=0)
    for table, default in sorted(result.versions.items()):
        console.print(f"  {table:<{width}}  {default}", soft_wrap=True)


def show_faults(faults: Sequence[FileFault], file_count: int, table_count: int) -> None:
    """Print the files that differ from the manifests.

    If there are no such files, print that all files match.
    """
    console = make_console()
    for fault in faults:
        print_wrapped(console, f"{fault.path} {fault.message}")
    if not faults:
        files, tables = plural(file_count, "file"), plural(table_count, "table")
        print_wrapped(console, f"verified {files} of {tables}: no differences from the checksums")


def show_deleted_versions(result: DeletedVersions) -> None:
    """Print the versions and files that were deleted, or that would be deleted in a dry run."""
    console = make_console()
    for version in result.versions:
        console.print(f"{version.table} {version.version}", soft_wrap=True)
    for version_id in result.incomplete_versions:
        console.print(f"incomplete version {version_id}", soft_wrap=True)
    for name in result.orphaned_files:
        console.print(name, soft_wrap=True)
    verb = "deleted" if result.deleted else "would be deleted"
    console.print(f"{plural(len(result.versions), 'version')}, {result.bytes / 1e6:,.1f} MB {verb}")
