"""The page that shows the runs of a store over time."""

from __future__ import annotations

from collections.abc import Sequence

from toytip.core.dataset.segments import ALL_ROWS
from toytip.report import formatting
from toytip.report.blocks import MissingBlock, Page, Picture, PicturesBlock, Section, TableBlock, TableCell
from toytip.report.charts.axes import (
    LabeledLines,
    draw_lines,
    drop_missing_points,
    join_labels,
    legend_of,
    set_round_ticks,
)
from toytip.report.charts.svg import FONT_SIZE, LINE_COLORS, MUTED_COLOR, inline_svg, open_drawing
from toytip.report.page import footer_text, render_html
from toytip.store.runs import RunList, RunSummary

STATUS_TONES = {"passed": "good", "refused": "bad", "failed-check": "bad"}
FACT_COLUMNS = ("run", "published", "source", "trips", "model")


def render_runs_page(listed: RunList) -> str:
    """Return the page with the test AUC and the status of all listed runs, as HTML."""
    runs = list(reversed(listed.runs))
    current = next((run.version for run in runs if run.is_current), formatting.NO_VALUE)
    passed = sum(run.status == "passed" for run in runs)
    return render_html(
        Page(
            title="Runs over time",
            kicker="toytip runs",
            subtitle=[f"current run: {current}"],
            key_figures=[
                ("runs", formatting.format_count(len(runs)), ""),
                ("passed", formatting.format_count(passed), "by the data check and the promotion gate"),
            ],
            sections=[_auc_section(runs), _table_section(listed.runs)],
            footer=footer_text(),
        )
    )


def _auc_section(runs: Sequence[RunSummary]) -> Section:
    lead = "Runs with different test months have different test trips, so their AUC is not comparable."
    if not any(auc is not None for run in runs for auc in run.test_auc.values()):
        return Section("auc", "Test AUC", "", [MissingBlock("No run has test trips with labels.")])
    return Section("auc", "Test AUC", lead, [PicturesBlock([_draw_auc(runs)])])


def _draw_auc(runs: Sequence[RunSummary]) -> Picture:
    positions = list(range(1, len(runs) + 1))
    lines: LabeledLines = {
        color: (
            f"{segment} trips",
            drop_missing_points(positions, [run.test_auc.get(segment) for run in runs]),
        )
        for color, segment in zip("ab", _segments(runs), strict=False)
    }
    with open_drawing(left=44, top=22) as drawn:
        draw_lines(drawn.axes, lines)
        for color, (_, (x, y)) in lines.items():
            drawn.axes.plot(x, y, "o", color=LINE_COLORS[color], markersize=3)
        drawn.axes.set(xlabel="run, oldest first", xlim=(0.5, len(runs) + 0.5))
        drawn.axes.set_title("AUC", loc="left", fontsize=FONT_SIZE, color=MUTED_COLOR, pad=4)
        drawn.axes.xaxis.get_major_locator().set_params(integer=True)
        set_round_ticks(drawn.axes)
    caption = "AUC on the test trips of each run."
    alt = f"AUC by run of {join_labels(lines)}."
    return Picture(
        title="Test AUC by run",
        svg=inline_svg(drawn.svg, alt, "runs-auc"),
        alt=alt,
        caption=caption,
        legend=legend_of(lines),
    )


def _table_section(runs: Sequence[RunSummary]) -> Section:
    if not runs:
        return Section("runs", "Runs", "", [MissingBlock("The store has no runs.")])
    segments = _segments(runs)
    aucs = ["AUC" if segment == ALL_ROWS else f"AUC, {segment}" for segment in segments]
    count = len(FACT_COLUMNS) + len(aucs)
    return Section(
        "runs",
        "Runs",
        "Newest first. Readers take the current run by default.",
        [
            TableBlock(
                caption="Runs",
                header=[*FACT_COLUMNS, *aucs, "status", "marks"],
                rows=[_row(run, segments) for run in runs],
                text_columns=(*range(len(FACT_COLUMNS)), count, count + 1),
            )
        ],
    )


def _segments(runs: Sequence[RunSummary]) -> list[str]:
    """Return the names of all segments that the runs have metrics of."""
    return list(dict.fromkeys(segment for run in runs for segment in run.test_auc))


def _row(run: RunSummary, segments: Sequence[str]) -> list[str | TableCell]:
    marks = [name for name, is_set in (("current", run.is_current), ("champion", run.is_champion)) if is_set]
    return [
        run.version,
        formatting.format_minute(run.created_at),
        run.source,
        f"{run.taxi}, {formatting.format_month_range(run.months)}",
        f"{run.feature_set}, {run.segment} trips",
        *(formatting.format_metric(run.test_auc.get(segment)) for segment in segments),
        TableCell(run.status, tone=STATUS_TONES.get(run.status, "")),
        ", ".join((*marks, *run.tags)),
    ]
