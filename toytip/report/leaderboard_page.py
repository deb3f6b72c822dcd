"""The page that compares judged predictions."""

from __future__ import annotations

from collections.abc import Sequence

from toytip.evaluation.judgment import LeaderboardEntry, RankedEntry, rank_entries
from toytip.report import formatting
from toytip.report.blocks import Page, Section, TableBlock, TableCell
from toytip.report.judge_page import difference_cells, test_period
from toytip.report.page import KeyFigure, footer_text, render_html

HEADER = (
    *("entry", "AUC", "conclusion", "difference to the best", "95 % interval of the AUC"),
    *("log loss", "F1", "calibration error"),
)
NOTE = (
    "The difference is that in AUC, with its 95 % interval. The interval is paired: each resample takes the same days "
    "for both entries. If the interval contains 0, the entry is not distinguishable from the best entry."
)


def render_leaderboard_page(entries: Sequence[LeaderboardEntry]) -> str:
    """Return the page of a leaderboard as HTML. All entries have the same trips."""
    first = entries[0].judgment
    ranked = {segment: rank_entries(entries, segment) for segment in first.evaluation["test"]}
    return render_html(
        Page(
            title="Leaderboard",
            kicker="toytip judge",
            subtitle=[f"{first.taxi} trips, {test_period(first)}"],
            key_figures=_key_figures(ranked[first.reported_segment], first.reported_segment),
            sections=[_section(segment, items) for segment, items in ranked.items() if items],
            footer=footer_text(),
        )
    )


def _key_figures(ranked: Sequence[RankedEntry], segment: str) -> list[KeyFigure]:
    best, *others = ranked
    same = sum(not entry.is_distinguishable for entry in others)
    auc = best.judgment.metrics["test"][segment].auc
    return [
        ("entries", formatting.format_count(len(ranked)), f"{segment} trips"),
        ("highest AUC", formatting.format_metric(auc), best.judgment.name),
        ("not distinguishable from the best", formatting.format_count(same), "of the other entries"),
    ]


def _section(segment: str, ranked: Sequence[RankedEntry]) -> Section:
    trips = formatting.format_count(ranked[0].judgment.metrics["test"][segment].rows)
    rows = [_row(entry, segment) for entry in ranked]
    rows.append(_baseline_row(ranked[0], segment))
    table = TableBlock(
        caption=f"Entries by AUC, {segment} trips ({trips})",
        header=HEADER,
        rows=rows,
        note=NOTE,
        text_columns=(0, 2),
    )
    return Section(segment, f"{segment.capitalize()} trips", "", [table])


def _row(entry: RankedEntry, segment: str) -> list[str | TableCell]:
    judgment = entry.judgment
    report = judgment.evaluation["test"][segment]
    values, interval = report.metrics, report.intervals.get("auc")
    difference, conclusion = "", TableCell("best")
    if entry.difference is not None:
        value, span, conclusion = difference_cells(entry.difference)
        difference = f"{value} ({span})"
    return [
        TableCell(judgment.name, link=f"{judgment.name}.html"),
        formatting.format_metric(values.auc),
        conclusion,
        difference,
        f"{interval.low:.4f} to {interval.high:.4f}" if interval else formatting.NO_VALUE,
        formatting.format_metric(values.log_loss),
        formatting.format_metric(values.f1),
        formatting.format_metric(report.calibration_error),
    ]


def _baseline_row(best: RankedEntry, segment: str) -> list[str | TableCell]:
    """Return the row of the group mean, the baseline with probabilities of its own."""
    report = best.judgment.evaluation["test"][segment]
    baseline = report.baselines["group_mean"]
    return [
        f"baseline: {report.group_mean_label}",
        formatting.format_metric(baseline.auc),
        *("", "", ""),
        formatting.format_metric(baseline.log_loss),
        formatting.format_metric(baseline.f1),
        "",
    ]
