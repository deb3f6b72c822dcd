"""Versions, lineage and differences as text."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from toytip.cli.render.evaluation import show_metrics
from toytip.cli.render.tables import format_number, format_value, make_console, show_table
from toytip.core.tables import PREDICTIONS
from toytip.store.manifest import Manifest


def show_versions(rows: list[dict[str, Any]], store_uri: str) -> None:
    """Print the versions as a table that fits a narrow terminal; `toytip show` tells the rest."""
    console = make_console()
    if not rows:
        console.print(f"no versions in {store_uri} yet; `toytip run` makes the first", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("table", "version", "rows", "months", "MB", "tags"):
        table.add_column(title, justify="right" if title in ("rows", "MB") else "left", no_wrap=True)
    for row in rows:
        months = f"{row['months'][0]}:{row['months'][-1]}" if row["months"] else ""
        cells = (f"{row['rows']:,}", months, f"{row['bytes'] / 1e6:.1f}", ", ".join(row["tags"]))
        table.add_row(row["table"], row["version"], *cells)
    show_table(console, table)


def show_manifest(manifest: Manifest) -> None:
    """Print one table of a version."""
    console = make_console()
    console.print(
        f"{manifest.table} {manifest.version}: {manifest.rows:,} rows, {len(manifest.files)} files, "
        f"{manifest.bytes / 1e6:,.1f} MB, created {manifest.created_at[:19]}"
    )
    for parent in manifest.parents:
        told = parent.get("uri") or f"{parent['table']} {parent['version']}"
        console.print(f"  from {told}", soft_wrap=True)
    for name, value in manifest.config.items():
        console.print(f"  {name} = {value}", soft_wrap=True)
    for reason, count in manifest.rejects.items():
        console.print(f"  {count:>9,} {reason}")
    for name, value in manifest.metrics.get("auc_alone", {}).items():
        console.print(f"  {name} alone: AUC {format_number(value)}")
    if manifest.table == PREDICTIONS.name and manifest.metrics:
        show_metrics(manifest.metrics, console)


def show_lineage(lineage: dict[str, Any]) -> None:
    """Print what a version was made from, as a tree."""
    make_console().print(lineage_tree(lineage))


def lineage_tree(node: dict[str, Any]) -> Tree:
    """Return what a version was made from, as a tree."""
    if "file" in node:
        return Tree(f"{node['file']}  {node['rows']:,} rows  {node['checksum']}")
    if node.get("gone"):
        return Tree(f"{node['table']} {node['version']}  (removed since)")
    commit = node["environment"].get("git_commit", "")[:12]
    about = (
        f"  {node['created_at'][:19]}  {node['rows']:,} rows  "
        f"toytip {node['environment'].get('toytip', '')} {commit}"
    )
    tree = Tree(Text.assemble((f"{node['table']} {node['version']}", "bold"), about))
    for part in node["parts"]:
        tree.add(f"{part['path']}  {part['rows']:,} rows  {part['checksum']}")
    for parent in node["parents"]:
        tree.add(lineage_tree(parent))
    return tree


def show_diff(diff: dict[str, Any]) -> None:
    """Print how two versions differ; what is equal is left out."""
    console = make_console()
    table = Table(box=None, pad_edge=False)
    for title in ("", *diff["versions"]):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    pairs: dict[str, list[Any]] = {f"{name} rows": pair for name, pair in diff["rows"].items()}
    pairs |= {f"rejected {name}": pair for name, pair in diff["rejects"].items()}
    for stage, changes in diff["config"].items():
        pairs |= {f"{stage} {name}": pair for name, pair in changes.items()}
    for column, stats in diff.get("columns", {}).items():
        pairs |= {f"{column} {name}": pair for name, pair in stats.items()}
    for split, values in diff.get("metrics", {}).items():
        pairs |= {f"{split} {name}": pair for name, pair in values.items()}
    different = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    for name, pair in different.items():
        table.add_row(name, *(format_value(value) for value in pair))
    if different:
        show_table(console, table)
    else:
        console.print("rows, rejects, config, columns and metrics are the same")
    if "population" in diff["config"].get("encodings", {}):
        of = f"of {diff['population']} trips" if diff["population"] else "each of its own trips"
        console.print(f"the models have not learned from the same trips: metrics are {of}")
    flips = diff.get("predictions")
    if flips and flips["common"]:
        console.print(
            f"{flips['flipped']:,} of {flips['common']:,} predictions flipped ({flips['flipped_share']:.4%}), "
            f"{flips['in_one_only']:,} trips are in one only"
        )
