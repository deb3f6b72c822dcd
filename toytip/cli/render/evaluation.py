"""Metrics as tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from toytip.cli.render.tables import format_number, make_console, show_table, signed
from toytip.evaluation.report import EvaluationSummary, SegmentSummary

METRIC_ROWS = (
    "prevalence",
    "auc",
    "pr_auc",
    "log_loss",
    "brier",
    "precision",
    "recall",
    "f1",
)


def show_metrics(metrics: dict[str, dict[str, Any]], console: Console | None = None) -> None:
    """Print a column of metrics for each split."""
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


def show_evaluation(report: EvaluationSummary, console: Console | None = None) -> None:
    """Print the metrics of every split and segment with the improvement over the baselines."""
    console = console or make_console()
    for split, segments in list(report.items())[::-1]:
        console.print(f"\n{split}", style="bold")
        for segment, evaluation in segments.items():
            show_table(console, evaluation_table(segment, evaluation))
    console.print(CARD_SEGMENT_NOTE)
    worst = list(report.values())[-1]["all"].worst_slices if report else ()
    for slice_ in worst[:3]:
        console.print(
            f"worst slices: {slice_.slice} {slice_.value}: AUC {slice_.auc:.4f} of {slice_.rows:,} trips"
        )


def evaluation_table(segment: str, evaluation: SegmentSummary) -> Table:
    """Return the metrics of a segment with intervals and the improvement over the baselines."""
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{segment}, {evaluation.metrics.rows:,} trips", min_width=22)
    for title in ("value", "95 % interval", *evaluation.improvement):
        table.add_column(title.replace("_", " "), justify="right", no_wrap=True)
    for name in ("auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "prevalence"):
        interval = evaluation.intervals[name]
        cells = [
            format_number(getattr(evaluation.metrics, name)),
            f"{interval.low:.4f} to {interval.high:.4f}" if interval else "",
            *(signed(getattr(gain, name, None)) for gain in evaluation.improvement.values()),
        ]
        table.add_row(name.replace("_", " "), *cells)
    table.add_row("calibration error", format_number(evaluation.calibration_error))
    return table
