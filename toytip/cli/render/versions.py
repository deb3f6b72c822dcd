"""Versions, lineage and differences as text."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from rich.text import Text
from rich.tree import Tree

from toytip.cli.render.evaluation import show_metrics
from toytip.cli.render.tables import (
    format_number,
    format_value,
    make_console,
    new_table,
    plural,
    show_table,
)
from toytip.cli.results import DeletedVersions, RollbackResult, TagList, VersionContents
from toytip.core.tables import PREDICTIONS
from toytip.store.compare import Pair, VersionDiff
from toytip.store.lineage import DeletedVersion, LineageNode, LineageParent
from toytip.store.maintenance import FileFault
from toytip.store.manifest import Manifest, SourceFileRef
from toytip.store.refs import VersionSummary
from toytip.store.runs import RunList


def show_versions(rows: Sequence[VersionSummary], store_uri: str) -> None:
    """Print one line per table and version."""
    console = make_console()
    if not rows:
        console.print(f"no versions in {store_uri}. `toytip run` publishes the first one", soft_wrap=True)
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
        console.print(f"no runs in {store_uri}. `toytip run` publishes the first one", soft_wrap=True)
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
    show_table(console, table, drop=("created", "segment"))


def show_version(contents: VersionContents) -> None:
    """Print the tables of a version, and the path of its report if one exists."""
    for manifest in contents.tables.values():
        show_manifest(manifest)
    if contents.report_path:
        make_console().print(f"report {contents.report_path}", soft_wrap=True)


def show_tags(listed: TagList, store_uri: str) -> None:
    """Print one line per tag."""
    console = make_console()
    for tag, version in sorted(listed.tags.items()):
        console.print(f"{tag}  {version}", soft_wrap=True)
    if not listed.tags:
        console.print(f"no tags in {store_uri}. `toytip version tag TAG VERSION` sets one", soft_wrap=True)


def show_current_versions(result: RollbackResult) -> None:
    """Print the newest version of each table after a rollback."""
    for table, version in sorted(result.versions.items()):
        make_console().print(f"{table}  {version}", soft_wrap=True)


def show_faults(faults: Sequence[FileFault], file_count: int, table_count: int) -> None:
    """Print the files that differ from the manifests.

    If there are none, print that all files match.
    """
    console = make_console()
    for fault in faults:
        console.print(f"{fault.path} {fault.message}", soft_wrap=True)
    if not faults:
        console.print(f"all {file_count} files of {table_count} tables match their checksums")


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


def show_manifest(manifest: Manifest) -> None:
    """Print one table of a version."""
    console = make_console()
    console.print(
        f"{manifest.table} {manifest.version}: {manifest.rows:,} rows, {len(manifest.files)} files, "
        f"{manifest.bytes / 1e6:,.1f} MB, created {manifest.created_at[:19]}"
    )
    for parent in manifest.parents:
        console.print(f"  from {parent}", soft_wrap=True)
    for name, value in manifest.config.items():
        console.print(f"  {name} = {value}", soft_wrap=True)
    for reason, count in manifest.rejects.items():
        console.print(f"  {count:>9,} {reason}")
    for name, value in manifest.metrics.get("auc_alone", {}).items():
        console.print(f"  {name} alone: AUC {format_number(value)}")
    if manifest.table == PREDICTIONS.name and manifest.metrics:
        show_metrics(manifest.metrics, console)


def show_lineage(lineage: LineageNode) -> None:
    """Print the lineage of a version as a tree."""
    make_console().print(lineage_tree(lineage))


def lineage_tree(node: LineageParent) -> Tree:
    """Return the lineage of a version as a tree."""
    if isinstance(node, SourceFileRef):
        return Tree(f"{node.uri}  {node.rows:,} rows  {node.checksum}")
    if isinstance(node, DeletedVersion):
        return Tree(f"{node.table} {node.version}  (deleted)")
    commit = node.environment.get("git_commit", "")[:12]
    details = (
        f"  {node.created_at[:19]}  {node.rows:,} rows  toytip {node.environment.get('toytip', '')} {commit}"
    )
    tree = Tree(Text.assemble((str(node.ref), "bold"), details))
    for file in node.files:
        tree.add(f"{file.path}  {file.rows:,} rows  {file.checksum}")
    for parent in node.parents:
        tree.add(lineage_tree(parent))
    return tree


def show_diff(diff: VersionDiff) -> None:
    """Print the values that differ between two versions."""
    console = make_console()
    table = new_table("", *diff.versions)
    different = {name: pair for name, pair in _diff_pairs(diff) if pair[0] != pair[1]}
    for name, pair in different.items():
        table.add_row(name, *(format_value(value) for value in pair))
    if different:
        show_table(console, table)
    else:
        console.print("rows, rejects, settings, columns and metrics are the same")
    if not diff.has_same_segment:
        trips = f"{diff.segment} trips" if diff.segment else "the trips of each version"
        console.print(f"the models were trained on different segments: the metrics are those of {trips}")
    predictions = diff.predictions
    if predictions and predictions.common:
        console.print(
            f"{predictions.changed_predictions:,} of {predictions.common:,} predictions changed "
            f"({predictions.changed_share:.4%}), {predictions.unmatched:,} trips are in one version only"
        )


def _diff_pairs(diff: VersionDiff) -> Iterator[tuple[str, Pair[Any]]]:
    for name, rows in diff.rows.items():
        yield f"{name} rows", rows
    for reason, counts in diff.rejects.items():
        yield f"rejected {reason}", counts
    for table, settings in diff.config.items():
        for name, values in settings.items():
            yield f"{table} {name}", values
    for column, statistics in diff.columns.items():
        for item in fields(statistics):
            yield f"{column} {item.name}", getattr(statistics, item.name)
    for split, metrics in diff.metrics.items():
        for name, values in metrics.items():
            yield f"{split} {name}", values
