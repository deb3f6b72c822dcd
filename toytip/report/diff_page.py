"""contrast: the page of two versions: the same facts of both, and what is different."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from toytip.core.tables import METRIC_HISTOGRAMS, MONITORING, PREDICTIONS
from toytip.evaluation.report import SegmentReport
from toytip.monitoring.drift import measure_drift
from toytip.report import formatting
from toytip.report.blocks import (
    Block,
    MissingBlock,
    Page,
    PairsBlock,
    Section,
    TableBlock,
    TextBlock,
    WarningsBlock,
)
from toytip.report.facts import Facts
from toytip.report.page import KeyFigure, footer_text, key_figures_or_empty, render_html
from toytip.report.sections import diff
from toytip.report.sections.diff import (
    DIFFERENCE_HEADER,
    DRIFT_PSI,
    METRIC_DIRECTIONS,
    difference,
    paired_improvements,
    reported_metric,
)
from toytip.store.compare import VersionDiff

# What their config says is told of the model already.
REDUNDANT_CONFIG_TABLES = {METRIC_HISTOGRAMS.name, PREDICTIONS.name, MONITORING.name}


def render_diff_page(a: Facts, b: Facts, comparison: VersionDiff) -> str:
    """Return the page of two versions; `comparison` is what `toytip.store.compare` found."""
    return render_html(
        Page(
            title="Two versions",
            kicker="toytip diff",
            subtitle=[
                f"{side}: {told.version} · {formatting.format_minute(told.created_at)}"
                for side, told in (("A", a), ("B", b))
            ],
            key_figures=key_figures_or_empty(lambda: _key_figures(a, b, comparison)),
            sections=list(_sections(a, b, comparison)),
            footer=footer_text(),
        )
    )


def _sections(a: Facts, b: Facts, comparison: VersionDiff) -> Iterator[Section]:
    parts: tuple[tuple[str, str, Callable[[], Section]], ...] = (
        ("first", "Look at this first", lambda: _findings_section(a, b)),
        ("changed", "What was changed", lambda: _changes_section(a, b)),
        ("rows", "Rows", lambda: _rows_section(comparison)),
        ("metrics", "Metrics", lambda: diff.metrics_diff_section(a, b)),
        ("curves", "Curves", lambda: diff.curves_diff_section(a, b)),
        ("predictions", "Predictions", lambda: _predictions_section(comparison)),
        ("features", "Features", lambda: diff.features_diff_section(a, b)),
        ("leaning", "What the models lean on", lambda: diff.importance_diff_section(a, b)),
        ("time", "Time", lambda: _time_section(a, b)),
    )
    for name, title, make in parts:
        try:
            yield make()
        except Exception as error:  # noqa: BLE001 - as in the report of a run: one part that fails is a line
            yield Section(
                name, title, "", [MissingBlock(f"This part failed: {type(error).__name__}: {error}")]
            )


def _key_figures(a: Facts, b: Facts, comparison: VersionDiff) -> list[KeyFigure]:
    found = []
    for name, key in (("AUC", "auc"), ("F1", "f1"), ("log loss", "log_loss")):
        pair = [reported_metric(each, "all", key) for each in (a, b)]
        if None not in pair:
            found.append(
                (
                    f"{name}, {DIFFERENCE_HEADER}",
                    formatting.format_signed(difference(*pair)),
                    f"{pair[0]:.4f} to {pair[1]:.4f}",
                )
            )
    predictions = comparison.predictions
    if predictions is not None and predictions.changed_share is not None:
        found.append(
            (
                "predictions changed",
                formatting.format_share(predictions.changed_share, 2),
                f"of {formatting.format_count(predictions.common)} common trips",
            )
        )
    return found


def _findings_section(a: Facts, b: Facts) -> Section:
    lines = list(_diff_findings(a, b))
    blocks: list[Block] = [WarningsBlock(lines)] if lines else [TextBlock("Nothing to warn of.")]
    return Section("first", "Look at this first", "", blocks)


def _diff_findings(a: Facts, b: Facts) -> Iterator[tuple[str, str]]:
    if a.split and b.split and a.split.get("test") != b.split.get("test"):
        yield "The test months are not the same: the metrics are of other trips.", "changed"
    if a.segment != b.segment:
        yield (
            f"A has learned from {a.segment or 'no'} trips, B from {b.segment or 'no'} trips.",
            "changed",
        )
    for population in ("all", "card"):
        worse = [
            f"{formatting.label(key)} by {-change:.4f}"
            for key, change in _significant_losses(a, b, population)
        ]
        if worse:
            yield f"B is worse on {population} trips, by more than chance: {', '.join(worse)}.", "metrics"
    moved = [
        told.feature for told in measure_drift(a.histograms, b.histograms) if (told.psi or 0) > DRIFT_PSI
    ]
    if moved:
        yield f"Features have moved from A to B: {', '.join(moved)}.", "features"


def _significant_losses(a: Facts, b: Facts, segment: str) -> Iterator[tuple[str, float]]:
    """Yield the metrics that are worse in B by more than chance, and by how much, below zero."""
    spans = paired_improvements(a, b, segment)
    for key in ("auc", "f1", "log_loss"):
        change = difference(reported_metric(a, segment, key), reported_metric(b, segment, key))
        if change is None or change * METRIC_DIRECTIONS[key] >= 0:
            continue
        first, second = (facts.evaluation_of(segment) for facts in (a, b))
        span = spans.get(key)
        if (span and span.high < 0) or (not spans and _intervals_disjoint(first, second, key)):
            yield key, change * METRIC_DIRECTIONS[key]


def _intervals_disjoint(a: SegmentReport | None, b: SegmentReport | None, metric: str) -> bool:
    first, second = (item.intervals.get(metric) if item else None for item in (a, b))
    if first is None or second is None:
        return False
    return first.high < second.low or second.high < first.low


def _changes_section(a: Facts, b: Facts) -> Section:
    pairs: dict[str, tuple[Any, Any]] = {
        "store": (a.store, b.store),
        "taxi": (a.taxi, b.taxi),
        "months": (a.months, b.months),
        "population": (a.segment, b.segment),
        "features": (sorted(a.features), sorted(b.features)),
        **{
            f"split: {name}": (a.split.get(name), b.split.get(name))
            for name in ("train", "validation", "test")
        },
        "rounds kept": (a.rounds, b.rounds),
        "threshold": (a.threshold, b.threshold),
    }
    for table in sorted((a.config.keys() & b.config.keys()) - REDUNDANT_CONFIG_TABLES):
        x, y = a.config[table], b.config[table]
        pairs |= {f"{table}: {formatting.label(k)}": (x.get(k), y.get(k)) for k in {**x, **y}}
    pairs |= {
        f"made with: {k}": (a.environment.get(k), b.environment.get(k))
        for k in {**a.environment, **b.environment}
    }
    files = [{source.checksum for source in each.sources} for each in (a, b)]
    pairs["source files"] = (
        f"{len(files[0])}, {len(files[0] - files[1])} of them only here",
        f"{len(files[1])}, {len(files[1] - files[0])} of them only here",
    )
    body = [[name, *_value_pair(name, *pair)] for name, pair in pairs.items() if pair[0] != pair[1]]
    if not body:
        return Section(
            "changed",
            "What was changed",
            "",
            [TextBlock("Config, environment, split, features and source files are the same.")],
        )
    return Section("changed", "What was changed", "All that is not the same in config, environment and source.", [
        TableBlock(caption="What is not the same", header=["", "A", "B"], rows=body, text_columns=(0, 1, 2), wrap=True)
    ])  # fmt: skip


def _value_pair(name: str, a: Any, b: Any) -> list[str]:
    if name == "features":  # two long lists that are nearly the same say nothing
        return [
            f"{len(x)}" + (f", with {', '.join(only)}" if (only := sorted(set(x) - set(y))) else "")
            for x, y in ((a, b), (b, a))
        ]
    return [formatting.format_setting(a), formatting.format_setting(b)]


def _rows_section(comparison: VersionDiff) -> Section:
    body = [
        [name, *map(formatting.format_count, pair), _format_difference(*pair)]
        for name, pair in comparison.rows.items()
        if any(pair)
    ]
    blocks: list[Block] = [
        TableBlock(caption="Rows of every table", header=["table", "A", "B", DIFFERENCE_HEADER], rows=body)
    ]
    if comparison.rejects:
        body = [
            [formatting.label(reason), *map(formatting.format_count, pair), _format_difference(*pair)]
            for reason, pair in comparison.rejects.items()
        ]
        blocks.append(
            TableBlock(
                caption="Rejected trips by reason", header=["reason", "A", "B", DIFFERENCE_HEADER], rows=body
            )
        )
    else:
        blocks.append(MissingBlock("No rejects to compare."))
    return Section("rows", "Rows", "", blocks)


def _format_difference(a: float, b: float) -> str:
    return formatting.format_signed(b - a, 0) if b != a else "0"


def _predictions_section(comparison: VersionDiff) -> Section:
    predictions = comparison.predictions
    if predictions is None:
        return Section(
            "predictions", "Predictions", "", [MissingBlock("One of the versions has no predictions.")]
        )
    change = predictions.mean_probability_change
    changed = formatting.format_count(predictions.changed_predictions)
    pairs = [
        ("in both", f"{formatting.format_count(predictions.common)} trips"),
        ("in one version only", f"{formatting.format_count(predictions.unmatched)} trips"),
        ("changed", f"{changed} trips, {formatting.format_share(predictions.changed_share, 2)}"),
        ("change of probability", f"{change:.4f} on average" if change is not None else formatting.NO_VALUE),
    ]
    return Section("predictions", "Predictions", "Trips are joined by their ID.", [PairsBlock(pairs)])


def _time_section(a: Facts, b: Facts) -> Section:
    if a.run_result is None or b.run_result is None:
        return Section(
            "time",
            "Time",
            "",
            [
                MissingBlock(
                    "Of one of the versions no seconds were kept: it was not made by a run, or by an earlier toytip."
                )
            ],
        )
    timings = [result.timing for result in (a.run_result, b.run_result)]
    sides = [{**timing.stage_seconds, "all": timing.elapsed_seconds} for timing in timings]
    body = [
        [
            name,
            *(f"{side[name]:.1f}" if name in side else formatting.NO_VALUE for side in sides),
            formatting.format_signed(difference(sides[0].get(name), sides[1].get(name)), 1),
        ]
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]
    peaks = [timing.peak_memory_mb for timing in timings]
    body.append(
        ["peak MB", *(f"{peak:,.0f}" for peak in peaks), formatting.format_signed(peaks[1] - peaks[0], 0)]
    )
    return Section("time", "Time", "A stage that was taken over from an earlier version takes next to none.", [
        TableBlock(caption="Seconds by stage", header=["stage", "A", "B", DIFFERENCE_HEADER], rows=body)
    ])  # fmt: skip
