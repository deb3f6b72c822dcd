"""The differences between two versions as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from toytip.cli.render.contents import manifest_settings, show_names, show_pairs
from toytip.cli.render.evaluation import TITLES, segment_title
from toytip.cli.render.tables import (
    Section,
    format_number,
    make_console,
    new_table,
    print_wrapped,
    show_table,
    signed,
)
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.tables import ENCODINGS, METRIC_HISTOGRAMS, MONITORING, PREDICTIONS, SCORES, TABLES_BY_NAME
from toytip.core.text import plural, verb
from toytip.store.compare import Pair, VersionDiff

# The settings of these tables are also those of the model or of the encoding.
REDUNDANT_SETTINGS = (METRIC_HISTOGRAMS.name, SCORES.name)
SHOWN_METRICS = ("auc", "pr_auc", "log_loss", "brier", "f1")
# A feature is printed if its mean changes by more than this share of the mean in A.
MIN_MEAN_CHANGE = 0.01
MAX_FEATURES = 10


def show_diff(diff: VersionDiff, output: str | None = None) -> None:
    """Print the test metrics of two versions, and everything else that differs.

    `output` is the file to which the HTML page was written.
    """
    console = make_console()
    settings = {name: pair for name, pair in _setting_pairs(diff) if pair[0] != pair[1]}
    show_names(console, diff.versions)
    if diff.has_equal_metrics:
        print_wrapped(console, "the test metrics of A and B are the same")
    elif diff.test_metrics:
        _show_metrics(console, diff)
    if settings:
        show_pairs(console, settings)
    elif diff.has_equal_metrics:
        print_wrapped(console, "rows, rejected rows and settings are the same")
    _show_features(console, diff)
    predictions = diff.predictions
    if predictions and predictions.common:
        print_wrapped(
            console,
            f"{predictions.changed_predictions:,} of {predictions.common:,} predictions changed "
            f"({predictions.changed_share:.4%}), {plural(predictions.unmatched, 'trip')} {verb(predictions.unmatched, 'is', 'are')} in one version only",
        )
    if output:
        console.print(f"comparison written to {output}", soft_wrap=True)


def _show_metrics(console: Console, diff: VersionDiff) -> None:
    """Print the metrics of the test trips, by segment."""
    table = new_table("test", "A", "B", "B - A", "95 % interval")
    for segment, changes in diff.test_metrics.items():
        rows = list(dict.fromkeys(changes["rows"].values))
        table.add_row(Section(segment_title(segment, " and ".join(f"{count:,}" for count in rows))))
        for name in SHOWN_METRICS:
            change = changes[name]
            interval = change.interval
            table.add_row(
                TITLES[name],
                *map(format_number, change.values),
                signed(change.change),
                f"{interval.low:+.4f} to {interval.high:+.4f}" if interval else "",
            )
    show_table(console, table)
    if not any(change.interval for changes in diff.test_metrics.values() for change in changes.values()):
        print_wrapped(
            console,
            "there are no intervals of the differences, because A and B have different test trips, or "
            "test trips of fewer than seven days",
        )
    if not diff.has_same_segment:
        smaller = " or ".join(name for name in diff.test_metrics if name != ALL_ROWS)
        print_wrapped(
            console, f"the models were trained on different segments: compare them on {smaller} trips"
        )


def _setting_pairs(diff: VersionDiff) -> Iterator[tuple[str, Pair[Any]]]:
    """Yield the numbers of rows and rejected rows, and the settings."""
    for name, rows in diff.rows.items():
        if TABLES_BY_NAME[name].rows_are_trips:
            yield f"{name} rows", rows
    for reason, counts in diff.rejects.items():
        yield f"rejected {reason}", counts
    for table, config in diff.config.items():
        if table in REDUNDANT_SETTINGS or (table == MONITORING.name and ENCODINGS.name in diff.config):
            continue
        first, second = ({name: pair[side] for name, pair in config.items()} for side in (0, 1))
        values = dict(manifest_settings(first)), dict(manifest_settings(second))
        for name in dict.fromkeys([*values[0], *values[1]]):
            # A reused encoding can have other test months than the predictions.
            if table != ENCODINGS.name or not name.startswith("split") or PREDICTIONS.name not in diff.rows:
                yield name, (values[0].get(name), values[1].get(name))


def _show_features(console: Console, diff: VersionDiff) -> None:
    """Print the features whose mean changes most, relative to the mean in A."""
    changes = {
        name: abs(b - a) / (abs(a) or 1)
        for name, (a, b) in ((name, item.mean) for name, item in diff.columns.items())
        if a is not None and b is not None
    }
    shifted = sorted((name for name in changes if changes[name] > MIN_MEAN_CHANGE), key=lambda n: -changes[n])
    if not shifted:
        return
    table = new_table("mean", "A", "B", "B - A")
    for name in shifted[:MAX_FEATURES]:
        a, b = diff.columns[name].mean
        table.add_row(name, f"{a:,.6g}", f"{b:,.6g}", f"{(b or 0) - (a or 0):+,.4g}")
    show_table(console, table)
    if shifted[MAX_FEATURES:]:
        more = len(shifted) - MAX_FEATURES
        print_wrapped(console, f"(features not shown: {more}. See --json)", " ", style="dim")
