"""Lists of versions, runs and tags, and the results of their maintenance as text."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from rich.console import Console

from toytip.cli.render.tables import (
    Section,
    format_number,
    make_console,
    new_table,
    print_wrapped,
    show_table,
)
from toytip.cli.results import DeletedVersions, RollbackResult, TagList
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.text import plural
from toytip.store.maintenance import FileFault
from toytip.store.refs import VersionSummary
from toytip.store.release import ReleaseResult
from toytip.store.runs import RunComparison, RunList


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
    """Print one line per run, newest first, with marks for the current run and the champion."""
    console = make_console()
    if not listed.runs:
        print_wrapped(console, f"no runs in {store_uri}. `toytip run` publishes the first one")
        return
    segments = list(dict.fromkeys(segment for run in listed.runs for segment in run.test_auc))
    aucs = ["AUC" if segment == ALL_ROWS else segment for segment in segments]
    titles = ("version", "when", "source", "trips", "model", *aucs, "status")
    table = new_table(*titles, left=[title for title in titles if title not in aucs])
    for run in listed.runs:
        marks = ("*" if run.is_current else "") + ("C" if run.is_champion else "")
        table.add_row(
            run.version,
            run.created_at[5:16].replace("T", " "),
            posixpath.basename(run.source.rstrip("/")),
            f"{run.taxi} {short_months(run.months)}",
            run.feature_set + ("" if run.segment == ALL_ROWS else f", {run.segment}"),
            *("-" if auc is None else f"{auc:.3f}" for auc in map(run.test_auc.get, segments)),
            f"{run.status} {marks}".rstrip(),
        )
    # The version ID contains the time, and the version shows the source.
    show_table(console, table, drop=("when", "source", *aucs[1:], "model"))
    if any(run.is_current or run.is_champion for run in listed.runs):
        legend = "(AUC on the test trips. *: current, which readers take by default. C: champion)"
        print_wrapped(console, legend, " ", style="dim")


def short_months(months: Sequence[str]) -> str:
    """Return the first and the last month.

    >>> short_months(["2023-01", "2023-02"]), short_months(["2022-12", "2023-01"])
    ('2023-01:02', '2022-12:2023-01')
    """
    if not months:
        return "-"
    first, last = months[0], months[-1]
    if first == last:
        return first
    return f"{first}:{last[5:] if first[:4] == last[:4] else last}"


def show_run_comparison(result: RunComparison) -> None:
    """Print what differs between runs, and their test metrics, with one column per run."""
    console = make_console()
    table = new_table("", *(f"{letter}" for letter in _letters(result)))
    for letter, version in zip(_letters(result), result.versions, strict=True):
        console.print(f"{letter}  {version}", soft_wrap=True)
    for title, values in (("differs", result.facts), ("setting", result.settings)):
        if values:
            table.add_row(Section(title))
        for name, items in values.items():
            table.add_row(f"  {name}", *("-" if item is None else str(item) for item in items))
    for segment, metrics in result.metrics.items():
        table.add_row(Section(f"test, {segment} trips"))
        for name, numbers in metrics.items():
            cells = [
                f"{number:,.0f}" if name == "rows" and number else format_number(number) for number in numbers
            ]
            table.add_row(f"  {name}", *cells)
    show_table(console, table)


def _letters(result: RunComparison) -> list[str]:
    return [chr(ord("A") + index) for index in range(len(result.versions))]


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
    _print_current(console, result.versions)


def show_release(result: ReleaseResult) -> None:
    """Print the current version of each table after a release."""
    console = make_console()
    copied = f", {plural(result.copied_tables, 'table')} copied from dev" if result.copied_tables else ""
    print_wrapped(
        console,
        f"released {result.version} in {result.env} ({result.status}{copied}): {result.reason}. "
        "Commands now read these versions:",
    )
    _print_current(console, result.tables)


def _print_current(console: Console, tables: Mapping[str, str]) -> None:
    width = max(map(len, tables), default=0)
    for table, version in sorted(tables.items()):
        console.print(f"  {table:<{width}}  {version}", soft_wrap=True)


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
