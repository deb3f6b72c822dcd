"""Metrics as tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from toytip.cli.render.tables import format_number, make_console, show_table, signed

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


def show_evaluation(
    report: dict[str, dict[str, Any]], console: Console | None = None, *, verbose: bool = False
) -> None:
    """Print the last split's metrics, of all trips and of those paid by card, beside the trivial baselines."""
    console = console or make_console()
    for split, populations in list(report.items())[:: -1 if verbose else -len(report)]:
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
        cells += [signed(lift.get(name)) for lift in report["lift"].values()]
        table.add_row(name.replace("_", " "), *cells)
    table.add_row("calibration error", format_number(report["ece"]))
    return table
