"""The report of predictions that any program made."""

from __future__ import annotations

from collections.abc import Iterator

from toytip.core.text import plural
from toytip.evaluation.judgment import Conclusion, Judgment, MetricDifference
from toytip.report import formatting
from toytip.report.blocks import MissingBlock, Page, PairsBlock, Section, TableBlock, TableCell
from toytip.report.facts import Facts
from toytip.report.page import KeyFigure, footer_text, key_figures_or_empty, metric_figures, render_html
from toytip.report.sections import model, run

TONES = {Conclusion.BETTER: "good", Conclusion.WORSE: "bad", Conclusion.NOT_DISTINGUISHABLE: ""}


def render_judge_page(judgment: Judgment, facts: Facts) -> str:
    """Return the report of a judgment as HTML."""
    sections = [
        run.findings_section(facts),
        _summary_section(judgment),
        _champion_section(judgment),
        model.ranking_section(facts),
        model.metrics_section(facts),
        model.slices_section(facts),
    ]
    return render_html(
        Page(
            title=judgment.name,
            kicker="toytip judge",
            subtitle=[f"{judgment.version} · {formatting.format_minute(judgment.created_at)}"],
            key_figures=key_figures_or_empty(lambda: list(_key_figures(judgment, facts))),
            sections=sections,
            footer=footer_text(),
        )
    )


def _key_figures(judgment: Judgment, facts: Facts) -> Iterator[KeyFigure]:
    yield "trips judged", formatting.format_count(judgment.rows.judged), test_period(judgment)
    yield from metric_figures(facts)


def test_period(judgment: Judgment) -> str:
    """Return the test period in words."""
    return f"{judgment.test.start[:10]} to {judgment.test.stop[:10]}, end exclusive"


def _summary_section(judgment: Judgment) -> Section:
    rows = judgment.rows
    pairs = [
        ("predictions", f"{judgment.predictions}, {plural(judgment.files, 'file')}"),
        ("version", judgment.version),
        ("store", judgment.store),
        ("taxi", judgment.taxi),
        ("test period", test_period(judgment)),
        ("predictions of test trips", formatting.format_count(rows.judged)),
        ("predictions of other trips", f"{formatting.format_count(rows.other)}, which do not count"),
        ("decisions", judgment.decisions.describe()),
    ]
    lead = "Only trips of the test period count. Each test trip has exactly one prediction."
    return Section("summary", "Judged predictions", lead, [PairsBlock(pairs)])


def _champion_section(judgment: Judgment) -> Section:
    comparison = judgment.champion
    if comparison is None:
        text = f"The predictions are not compared with the champion: {judgment.not_compared_reason}."
        return Section("champion", "Champion", "", [MissingBlock(text)])
    lead = (
        f"The champion is model number {comparison.number}, of run {comparison.version}. It scored the same trips. "
        "A positive difference means that the predictions are better. The intervals are paired: each "
        "resample takes the same days for both."
    )
    tables = [
        TableBlock(
            caption=f"Difference to the champion, {segment} trips",
            header=["metric", "difference", "95 % interval", "conclusion"],
            rows=[
                [formatting.label(name), *difference_cells(difference)]
                for name, difference in differences.items()
            ],
            text_columns=(0, 3),
        )
        for segment, differences in comparison.differences.items()
    ]
    return Section("champion", "Champion", lead, tables)


def difference_cells(difference: MetricDifference) -> tuple[str, str, TableCell]:
    """Return the value, the interval and the conclusion of a difference as cells."""
    interval, conclusion = difference.interval, difference.conclusion
    span = formatting.NO_VALUE
    if interval is not None:
        span = f"{formatting.format_signed(interval.low)} to {formatting.format_signed(interval.high)}"
    cell = TableCell(conclusion.label, tone=TONES[conclusion])
    return formatting.format_signed(difference.value), span, cell
