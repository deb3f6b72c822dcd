"""What a person reads at the end of a run: metrics beside their baselines, and where everything is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from toytip.store import Manifest

# A table that is piped into a file or a log keeps its columns whole.
WIDTH = 132
METRICS = ("prevalence", "auc", "pr_auc", "log_loss", "brier", "precision", "recall", "f1", "f1_always_yes")


def show(summary: dict[str, Any]) -> None:
    """Print a run's summary on stdout."""
    console = _console()
    rows, model = summary["rows"], summary["model"]
    console.print(
        f"\n{rows['read']:,} trips read, {rows['kept']:,} kept, {rows['rejected']:,} rejected"
        + "".join(f"\n  {count:>9,} {reason}" for reason, count in summary["rejects"].items())
    )
    if summary["source"] == "synthetic":
        console.print("the trips are synthetic: what follows says nothing of real passengers")
    show_metrics(summary["metrics"], console)
    console.print(
        f"model: {model['rounds']} rounds, {len(model['features'])} features, threshold {model['threshold']:.4f}"
    )
    for name in ("predictions", "features", "rejects"):
        console.print(f"{name:<12} {summary['tables'][name]['path']}", soft_wrap=True)
    console.print(f"{'model':<12} {model['path']}", soft_wrap=True)
    console.print(f"{'report':<12} {summary['report']}", soft_wrap=True)
    console.print(
        f"{summary['seconds']:.1f} s, {summary['rows_per_s']:,.0f} rows/s, "
        f"{summary['peak_memory_mb']:,.0f} MB at the peak, {summary['workers']} workers"
    )


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def show_metrics(metrics: dict[str, dict[str, Any]], console: Console | None = None) -> None:
    """Print a line of metrics for each split; the last column is the F1 of answering yes to every trip."""
    table = Table(box=None, pad_edge=False)
    for title in ("split", "trips", *METRICS):
        table.add_column(title.replace("_", " "), justify="left" if title == "split" else "right")
    for split, values in metrics.items():
        cells = ["-" if values[name] is None else f"{values[name]:.4f}" for name in METRICS]
        table.add_row(split, f"{values['rows']:,}", *cells)
    (console or _console()).print(table)


def version_rows(manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    """Return a plain row for each version: its table, rows, months, bytes, time and parents."""
    rows = []
    for manifest in manifests:
        months = sorted({part.month for part in manifest.parts if part.month})
        parents = [f"{p['table']} {p['version']}" for p in manifest.parents if "table" in p]
        files = [p for p in manifest.parents if "uri" in p]
        rows.append(
            {
                "table": manifest.table,
                "version": manifest.version,
                "rows": manifest.rows,
                "months": [str(month) for month in months],
                "bytes": manifest.bytes,
                "created": manifest.created,
                "parents": parents or [f"{len(files)} files"],
            }
        )
    return rows


def show_versions(rows: list[dict[str, Any]], where: str) -> None:
    """Print the versions as a table."""
    console = _console()
    if not rows:
        console.print(f"no versions in {where} yet; `toytip run` makes the first", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("table", "version", "rows", "months", "MB", "created", "parents"):
        table.add_column(title, justify="right" if title in ("rows", "MB") else "left")
    for row in rows:
        months = f"{row['months'][0]} to {row['months'][-1]}" if row["months"] else ""
        cells = (
            f"{row['rows']:,}",
            months,
            f"{row['bytes'] / 1e6:.1f}",
            row["created"][:19],
            ", ".join(row["parents"]),
        )
        table.add_row(row["table"], row["version"], *cells)
    console.print(table)
