"""What a person reads at the end of a run: metrics beside their baselines, and where everything is."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from toytip.check import FileReport
from toytip.schema import PREDICTIONS
from toytip.store import Manifest

# What is piped into a file or a log is no wider, but for tables, which keep their columns whole.
PIPED_WIDTH = 132
# Spaces between the columns of a table.
COLUMN_GAP = 2
METRIC_ROWS = (
    "prevalence",
    "auc",
    "pr_auc",
    "log_loss",
    "brier",
    "precision",
    "recall",
    "f1",
    "f1_always_yes",
)


def show_run(summary: dict[str, Any]) -> None:
    """Print a run's summary on stdout."""
    console = make_console()
    rows, model = summary["rows"], summary["model"]
    console.print(
        f"\n{rows['read']:,} trips read, {rows['kept']:,} kept, {rows['rejected']:,} rejected"
        + "".join(f"\n  {count:>9,} {reason}" for reason, count in summary["rejects"].items())
    )
    if summary["source"] == "synthetic":
        console.print("the trips are synthetic: what follows says nothing of real passengers")
    show_evaluation(summary["evaluation"], console)
    console.print(
        f"model: {model['rounds']} rounds, {len(model['features'])} features, threshold {model['threshold']:.4f}"
    )
    if told := summary["registry"]:
        show_decision(told, console)
    if told := summary["monitor"]:
        console.print(
            f"monitor: {len(told['alerts'])} alerts in {told['months'][-1]}; `toytip monitor` tells"
            if told["alerts"]
            else f"monitor: nothing rings in {told['months'][-1]}"
        )
    for warning in summary["warnings"]:
        console.print(f"warning: {warning}", soft_wrap=True)
    for name in ("predictions", "features", "rejects"):
        console.print(f"{name:<12} {summary['tables'][name]['path']}", soft_wrap=True)
    console.print(f"{'model':<12} {model['path']}", soft_wrap=True)
    if summary["report"]:
        console.print(f"{'report':<12} {summary['report']}", soft_wrap=True)
    console.print(f"{summary['source_bytes_read'] / 1e6:,.1f} MB of raw data read")
    console.print(
        f"{summary['seconds']:.1f} s, {summary['rows_per_s']:,.0f} rows/s, "
        f"{summary['peak_memory_mb']:,.0f} MB at the peak, {summary['workers']} workers"
    )


def show_decision(decision: dict[str, Any], console: Console | None = None) -> None:
    """Print what the gate decided, and why."""
    console = console or make_console()
    number = f" as number {decision['number']}" if decision["number"] else ""
    console.print(f"gate: {decision['decision']}; {decision['name']}{number}")
    for reason in decision["reasons"]:
        console.print(f"  {reason}", soft_wrap=True)


def make_console() -> Console:
    """Return a console that takes what it is given as it is, brackets too."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def show_table(console: Console, table: Table) -> None:
    """Print a table; what a terminal is too narrow for comes below, beside the first column again. Nothing is cut."""
    if table.title:
        console.print(table.title, style="italic")
    for columns in _column_blocks(table, console.width) if console.is_terminal else [table.columns]:
        block = Table(box=None, pad_edge=False, header_style=table.header_style)
        for column in columns:
            block.add_column(column.header, justify=column.justify, no_wrap=True, min_width=column.min_width)
        for cells in zip(*(column.cells for column in columns), strict=True):
            block.add_row(*cells)
        block.width = sum(map(_column_width, columns)) + COLUMN_GAP * (len(columns) - 1)
        console.print(block, soft_wrap=True)


def _column_blocks(table: Table, width: int) -> list[list[Column]]:
    """Return the columns in blocks that a width has room for, each with the first; one has another at least."""
    first, *rest = table.columns
    blocks: list[list[Column]] = []
    room = 0
    for column in rest:
        room -= COLUMN_GAP + _column_width(column)
        if not blocks or room < 0:
            blocks.append([first])
            room = width - _column_width(first) - COLUMN_GAP - _column_width(column)
        blocks[-1].append(column)
    return blocks


def _column_width(column: Column) -> int:
    return max(column.min_width or 0, *(cell_len(str(each)) for each in (column.header, *column.cells)))


def show_metrics(metrics: dict[str, dict[str, Any]], console: Console | None = None) -> None:
    """Print a column of metrics for each split; the last row is the F1 of answering yes to every trip."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for split in metrics:
        table.add_column(split, justify="right")
    table.add_row("trips", *(f"{values['rows']:,}" for values in metrics.values()))
    for name in METRIC_ROWS:
        cells = ("-" if values[name] is None else f"{values[name]:.4f}" for values in metrics.values())
        table.add_row(name.replace("_", " "), *cells)
    show_table(console or make_console(), table)


CARD_SEGMENT_NOTE = (
    "The meter records card tips only: a cash trip always looks like no tip. `all` is therefore the easier task, "
    "much of which is telling how a trip was paid; `card` asks who tips."
)


def show_evaluation(report: dict[str, dict[str, Any]], console: Console | None = None) -> None:
    """Print the last split's metrics, of all trips and of those paid by card, beside the trivial baselines."""
    console = console or make_console()
    for split, populations in list(report.items())[::-1]:
        console.print(f"\n{split}", style="bold")
        for population, told in populations.items():
            show_table(console, evaluation_table(population, told))
    console.print(CARD_SEGMENT_NOTE)
    worst = next(reversed(report.values()))["all"]["worst"] if report else []
    for slice_ in worst[:3]:
        console.print(
            f"worst slices: {slice_['slice']} {slice_['value']}: AUC {slice_['auc']:.4f} of {slice_['rows']:,} trips"
        )


def evaluation_table(segment: str, report: dict[str, Any]) -> Table:
    """Return the metrics of a split's trips with intervals and lifts."""
    table = Table(box=None, pad_edge=False)
    values = report["metrics"]
    table.add_column(f"{segment}, {values['rows']:,} trips", min_width=22)
    for title in ("value", "95 % interval", *report["lift"]):
        table.add_column(title.replace("_", " "), justify="right", no_wrap=True)
    for name in ("auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "prevalence"):
        span = report["intervals"][name]
        cells = [format_number(values[name]), "" if span is None else f"{span[0]:.4f} to {span[1]:.4f}"]
        cells += [_format_signed(lift.get(name)) for lift in report["lift"].values()]
        table.add_row(name.replace("_", " "), *cells)
    table.add_row("calibration error", format_number(report["ece"]))
    return table


def format_number(value: float | None) -> str:
    """Return a number as text."""
    return "-" if value is None else f"{value:.4f}"


def _format_signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"


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
        f"{manifest.table} {manifest.version}: {manifest.rows:,} rows, {len(manifest.parts)} files, "
        f"{manifest.bytes / 1e6:,.1f} MB, created {manifest.created[:19]}"
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
        f"  {node['created'][:19]}  {node['rows']:,} rows  "
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


def format_value(value: Any) -> str:
    """Return a value as text."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def show_inspection(files: list[FileReport]) -> None:
    """Print a line for each file of a source, and below it what stands out."""
    console = make_console()
    table = Table(box=None, pad_edge=False)
    for title in ("month", "rows", "x neighbours", "of other months", "era"):
        table.add_column(title, justify="left" if title in ("month", "era") else "right", no_wrap=True)
    for file in files:
        beside = "" if file.neighbours is None else f"{file.neighbours:.2f}"
        table.add_row(file.month, f"{file.rows:,}", beside, f"{file.out_of_month:.4%}", file.era)
    show_table(console, table)
    for name in dict.fromkeys(name for file in files for name in file.nulls):
        shares = [file.nulls.get(name, 0.0) for file in files]
        console.print(f"{name} is missing in {min(shares):.2%} to {max(shares):.2%} of a month")
    for file in files:
        for warning in file.warnings:
            console.print(f"{file.month}: warning: {warning}")
