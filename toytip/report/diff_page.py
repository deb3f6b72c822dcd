"""The page that compares two versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from toytip.core.tables import METRIC_HISTOGRAMS, MONITORING, PREDICTIONS
from toytip.core.text import plural
from toytip.evaluation.report import SegmentReport
from toytip.monitoring.drift import measure_drift
from toytip.report import formatting
from toytip.report.blocks import MissingBlock, Page, PairsBlock, Section, TableBlock, TextBlock, WarningsBlock
from toytip.report.facts import Facts
from toytip.report.findings import Finding
from toytip.report.page import KeyFigure, footer_text, key_figures_or_empty, render_html
from toytip.report.sections import diff
from toytip.report.sections.diff import (
    DIFFERENCE_HEADER,
    DRIFT_PSI,
    METRIC_DIRECTIONS,
    VersionPair,
    difference,
    paired_improvements,
    reported_metric,
)
from toytip.report.sections.section import Content, missing, section
from toytip.store.compare import VersionDiff

# Omitted from the differences, because these tables have the same settings as the model.
REDUNDANT_CONFIG_TABLES = {METRIC_HISTOGRAMS.name, PREDICTIONS.name, MONITORING.name}


@dataclass(frozen=True)
class DiffSource:
    """The facts of two versions, and the comparison of their tables."""

    pair: VersionPair
    comparison: VersionDiff


def render_diff_page(a: Facts, b: Facts, comparison: VersionDiff) -> str:
    """Return the page that compares two versions, as HTML.

    `comparison` is the result of `toytip.store.compare`.
    """
    source = DiffSource(VersionPair(a, b), comparison)
    return render_html(
        Page(
            title="Comparison of two versions",
            kicker="toytip version diff",
            subtitle=[
                f"{name}: {facts.version} · {formatting.format_minute(facts.created_at)}"
                for name, facts in (("A", a), ("B", b))
            ],
            key_figures=key_figures_or_empty(lambda: _key_figures(a, b, comparison)),
            sections=list(_build_sections(source)),
            footer=footer_text(),
        )
    )


def _build_sections(source: DiffSource) -> Iterator[Section]:
    yield _findings_section(source)
    yield _changes_section(source)
    yield _rows_section(source)
    yield diff.metrics_diff_section(source.pair)
    yield diff.curves_diff_section(source.pair)
    yield _predictions_section(source)
    yield diff.features_diff_section(source.pair)
    yield diff.importance_diff_section(source.pair)
    yield _time_section(source)


def _key_figures(a: Facts, b: Facts, comparison: VersionDiff) -> list[KeyFigure]:
    figures = []
    for name, metric in (("AUC", "auc"), ("F1", "f1"), ("log loss", "log_loss")):
        first, second = (reported_metric(facts, "all", metric) for facts in (a, b))
        if first is not None and second is not None:
            change = formatting.format_signed(difference(first, second))
            figures.append((f"{name}, {DIFFERENCE_HEADER}", change, f"{first:.4f} to {second:.4f}"))
    predictions = comparison.predictions
    if predictions is not None and predictions.changed_share is not None:
        share = formatting.format_share(predictions.changed_share, 2)
        common = formatting.format_count(predictions.common)
        figures.append(("changed predictions", share, f"of {common} trips in both versions"))
    return figures


@section("warnings", "Warnings")
def _findings_section(source: DiffSource) -> Content:
    findings = list(_diff_findings(*source.pair))
    return Content("", [WarningsBlock(findings) if findings else TextBlock("There are no warnings.")])


def _diff_findings(a: Facts, b: Facts) -> Iterator[Finding]:
    for segment in a.segments:
        worse = [
            f"{formatting.label(metric)} by {-change:.4f}"
            for metric, change in _significant_losses(a, b, segment)
        ]
        if worse:
            text = f"B is significantly worse on {segment} trips: {', '.join(worse)}."
            yield Finding(text, "metrics")
    if a.split and b.split and a.split.get("test") != b.split.get("test"):
        text = "The test months differ, so the metrics of A and B are computed on different trips."
        yield Finding(text, "changes")
    if a.segment != b.segment:
        yield Finding(f"{_training_text('A', a)} {_training_text('B', b)}", "changes")
    drifted = [
        drift.feature for drift in measure_drift(a.histograms, b.histograms) if (drift.psi or 0) > DRIFT_PSI
    ]
    if drifted:
        text = f"Features with a PSI above {DRIFT_PSI:g} between A and B: {', '.join(drifted)}."
        yield Finding(text, "features")


def _training_text(name: str, facts: Facts) -> str:
    return f"{name} was trained on {facts.segment} trips." if facts.segment else f"{name} has no model."


def _significant_losses(a: Facts, b: Facts, segment: str) -> Iterator[tuple[str, float]]:
    """Yield each metric that is significantly worse in B, with its change.

    The change is signed so that a negative value means worse.
    """
    intervals = paired_improvements(a, b, segment)
    for metric in ("auc", "f1", "log_loss"):
        change = difference(reported_metric(a, segment, metric), reported_metric(b, segment, metric))
        if change is None or change * METRIC_DIRECTIONS[metric] >= 0:
            continue
        first, second = (facts.evaluation_of(segment) for facts in (a, b))
        paired = intervals.get(metric)
        if (paired and paired.high < 0) or (not intervals and _intervals_disjoint(first, second, metric)):
            yield metric, change * METRIC_DIRECTIONS[metric]


def _intervals_disjoint(a: SegmentReport | None, b: SegmentReport | None, metric: str) -> bool:
    first, second = (item.intervals.get(metric) if item else None for item in (a, b))
    if first is None or second is None:
        return False
    return first.high < second.low or second.high < first.low


@section("changes", "Changes")
def _changes_section(source: DiffSource) -> Content:
    pairs = {name: values for name, values in _setting_pairs(*source.pair) if values[0] != values[1]}
    if not pairs:
        text = "A and B have the same settings, packages, split, features and source files."
        return Content("", [TextBlock(text)])
    rows = [[name, *_value_pair(name, *values)] for name, values in pairs.items()]
    table = TableBlock(
        caption="Differences", header=["setting", "A", "B"], rows=rows, text_columns=(0, 1, 2), wrap=True
    )
    return Content("The table lists the settings, packages and inputs that differ.", [table])


def _setting_pairs(a: Facts, b: Facts) -> Iterator[tuple[str, tuple[Any, Any]]]:
    yield "store", (a.store, b.store)
    yield "taxi", (a.taxi, b.taxi)
    yield "months", (a.months, b.months)
    yield "segment", (a.segment, b.segment)
    yield "features", (sorted(a.features), sorted(b.features))
    for name in ("train", "validation", "test"):
        yield f"split: {name}", (a.split.get(name), b.split.get(name))
    yield "rounds of the model", (a.rounds, b.rounds)
    yield "decision threshold", (a.threshold, b.threshold)
    for table in sorted((a.config.keys() & b.config.keys()) - REDUNDANT_CONFIG_TABLES):
        first, second = a.config[table], b.config[table]
        for key in {**first, **second}:
            if key == "split":  # listed above
                continue
            yield f"{table}: {formatting.label(key)}", (first.get(key), second.get(key))
    for name in {**a.environment, **b.environment}:
        yield f"package: {name}", (a.environment.get(name), b.environment.get(name))
    files = [{file.checksum for file in facts.sources} for facts in (a, b)]
    yield (
        "source files",
        (
            _file_counts("A", *files),
            _file_counts("B", *reversed(files)),
        ),
    )


def _file_counts(name: str, own: set[str], other: set[str]) -> str:
    only = len(own - other)
    return f"{len(own)}, {only} of them only in {name}" if only else f"{len(own)}"


def _value_pair(name: str, a: Any, b: Any) -> list[str]:
    if name == "features":  # two long, nearly equal lists would hide the difference
        return [
            f"{len(own)}"
            + (f", only here: {', '.join(only)}" if (only := sorted(set(own) - set(other))) else "")
            for own, other in ((a, b), (b, a))
        ]
    return [formatting.format_setting(a), formatting.format_setting(b)]


@section("rows", "Rows")
def _rows_section(source: DiffSource) -> Content:
    rows, rejects = source.comparison.rows, source.comparison.rejects
    used = {name: counts for name, counts in rows.items() if any(counts)}
    table = _count_table("Rows of each table", "table", used)
    if not rejects:
        return Content("", [table, MissingBlock("There are no rejected trips to compare.")])
    by_reason = {formatting.label(reason): counts for reason, counts in rejects.items()}
    return Content("", [table, _count_table("Rejected trips by reason", "reason", by_reason)])


def _count_table(caption: str, label: str, counts: Mapping[str, tuple[int, int]]) -> TableBlock:
    rows = [
        [name, *map(formatting.format_count, pair), _format_difference(*pair)]
        for name, pair in counts.items()
    ]
    return TableBlock(caption=caption, header=[label, "A", "B", DIFFERENCE_HEADER], rows=rows)


def _format_difference(a: float, b: float) -> str:
    return formatting.format_signed(b - a, 0) if b != a else "0"


@section("predictions", "Predictions")
def _predictions_section(source: DiffSource) -> Content:
    predictions = source.comparison.predictions
    if predictions is None:
        return missing("", "One of the versions has no predictions.")
    count, change = formatting.format_count, predictions.mean_probability_change
    share = formatting.format_share(predictions.changed_share, 2)
    pairs = [
        ("trips in both versions", count(predictions.common)),
        ("trips in one version only", count(predictions.unmatched)),
        ("changed predictions", f"{plural(predictions.changed_predictions, 'trip')}, {share}"),
        ("mean absolute change in probability", formatting.NO_VALUE if change is None else f"{change:.4f}"),
    ]
    return Content("The trips of A and B are matched by `trip_id`.", [PairsBlock(pairs)])


@section("time", "Time")
def _time_section(source: DiffSource) -> Content:
    a, b = source.pair
    if a.run_result is None or b.run_result is None:
        text = "Time and memory are not available for one of the versions: only `toytip run` stores them."
        return missing("", text)
    timings = [result.timing for result in (a.run_result, b.run_result)]
    seconds = [{**timing.stage_seconds, "total run": timing.elapsed_seconds} for timing in timings]
    rows = [
        [
            stage,
            *(f"{times[stage]:.1f}" if stage in times else formatting.NO_VALUE for times in seconds),
            formatting.format_signed(difference(seconds[0].get(stage), seconds[1].get(stage)), 1),
        ]
        for stage in dict.fromkeys([*seconds[0], *seconds[1]])
    ]
    peaks = [timing.peak_memory_mb for timing in timings]
    change = formatting.format_signed(peaks[1] - peaks[0], 0)
    rows.append(["peak memory in MB", *(f"{peak:,.0f}" for peak in peaks), change])
    table = TableBlock(
        caption="Seconds by stage, and peak memory", header=["stage", "A", "B", DIFFERENCE_HEADER], rows=rows
    )
    return Content("A stage that reused the files of an earlier run took almost no time.", [table])
