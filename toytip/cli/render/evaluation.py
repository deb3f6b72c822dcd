"""Metrics of evaluated predictions as tables."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from toytip.cli.render.tables import (
    Section,
    format_number,
    make_console,
    new_table,
    print_wrapped,
    show_table,
    signed,
)
from toytip.core.text import plural
from toytip.datasets.words import SEGMENT_WORDS
from toytip.evaluation.report import EvaluationSummary, SegmentSummary

TITLES = {
    "auc": "AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "prevalence": "prevalence",
}
# A run prints one metric for the ranking, one for the probabilities, and one for the decisions.
SHORT_METRICS = ("auc", "log_loss", "f1")
BASELINE_TITLES = {
    "always_positive": "vs. always\npositive",
    "constant_probability": "vs. constant\nprobability",
    "champion": "vs.\nchampion",
}
# Width of the title of the group mean, whose words depend on the data set.
GROUP_MEAN_WIDTH = 13
NO_SPLITS = (
    "no metrics: none of the trips are in the training, validation or test months of the model. "
    "`toytip monitor` measures the performance on other months"
)


def show_metrics(metrics: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a table of metrics with one column per split."""
    table = new_table("", *metrics)
    table.add_row("trips", *(f"{values['rows']:,}" for values in metrics.values()))
    for name, title in TITLES.items():
        table.add_row(title, *(format_number(values[name]) for values in metrics.values()))
    show_table(console or make_console(), table)


def show_evaluation(
    report: EvaluationSummary,
    console: Console | None = None,
    *,
    verbose: bool = False,
    name_dropped: bool = True,
) -> None:
    """Print metrics with intervals and the improvement over the baselines, for both segments.

    Prints three metrics of the test months. With `verbose`, prints all metrics of all splits, and
    the three worst slices. `name_dropped` is the argument of `show_table`.
    """
    console = console or make_console()
    if not report:
        print_wrapped(console, NO_SPLITS)
    splits = list(report)[::-1]
    for split in splits if verbose else splits[:1]:
        show_split(split, report[split], console, verbose=verbose, name_dropped=name_dropped)
    if verbose and report:
        for item in report[splits[0]]["all"].worst_slices[:3]:
            print_wrapped(
                console,
                f"worst slice: {item.label}, AUC {format_number(item.auc)}, {plural(item.rows, 'trip')}",
            )


def show_split(
    split: str,
    segments: Mapping[str, SegmentSummary],
    console: Console,
    *,
    verbose: bool = False,
    name_dropped: bool = True,
) -> None:
    """Print the metrics of a split in one table, with one section per segment.

    On a narrow console, the table leaves out the comparison with the champion.
    """
    titles = _baseline_titles(segments)
    if verbose:  # the first column is wider, so the other columns must be narrower
        titles = [title.replace("vs. ", "vs.\n") for title in titles]
    table = new_table(split, "value", "95 % interval", *titles)
    for segment, evaluation in segments.items():
        _add_segment(table, segment, evaluation, verbose=verbose)
    show_table(console, table, drop=(BASELINE_TITLES["champion"],), name_dropped=name_dropped)


def _baseline_titles(segments: Mapping[str, SegmentSummary]) -> list[str]:
    """Return the title of the column of each baseline, in lines."""
    first = next(iter(segments.values()))
    words = f"vs. {first.group_mean_label}"
    group_mean = "\n".join(textwrap.wrap(words, GROUP_MEAN_WIDTH, break_long_words=False))
    titles = {**BASELINE_TITLES, "group_mean": group_mean}
    return [titles.get(name, f"vs.\n{name}") for name in first.improvement]


def short_height(report: EvaluationSummary) -> int:
    """Return the number of lines on a terminal that `show_evaluation` prints without `verbose`."""
    if not report:
        return 2
    segments = list(report.values())[-1]
    header = max(len(title.split("\n")) for title in ("", *_baseline_titles(segments)))
    return header + len(segments) * (1 + len(SHORT_METRICS))


def segment_title(name: str, rows: str) -> str:
    """Return the title of a segment with a number of rows."""
    words = SEGMENT_WORDS.get(name)
    return f"{words.title} ({rows}), {words.note}" if words else f"{name} trips ({rows})"


def _add_segment(table: Table, segment: str, evaluation: SegmentSummary, *, verbose: bool) -> None:
    table.add_row(Section(segment_title(segment, f"{evaluation.metrics.rows:,}")))
    for name in TITLES if verbose else SHORT_METRICS:
        interval = evaluation.intervals[name]
        table.add_row(
            TITLES[name],
            format_number(getattr(evaluation.metrics, name)),
            f"{interval.low:.4f} to {interval.high:.4f}" if interval else "",
            *(signed(getattr(item, name, None)) for item in evaluation.improvement.values()),
        )
    if verbose:
        table.add_row("calibration error", format_number(evaluation.calibration_error))
