"""Tests of the progress grid."""

import dataclasses
import re

import pytest

from tests.support.states import run_state
from toytip.core.months import parse_months
from toytip.progress import terminal
from toytip.progress.state import MonthProgress, RowCount, StageState

YEAR = [str(month) for month in parse_months("2023-01:2023-12")]


def month_progress_of(months, status_of):
    progress = {
        "done": MonthProgress(1, 1),
        "running": MonthProgress(1, running=1),
        "waiting": MonthProgress(1),
    }
    return {month: progress[status_of(month)] for month in months}


def year_state():
    """Return a run that has featurized half of a year, and has not started inference."""
    half = month_progress_of(
        YEAR, lambda m: "done" if m < "2023-07" else "running" if m < "2023-09" else "waiting"
    )
    return run_state(
        StageState(name="featurize", total=12, done=6, rows=654_321, started_at=90, month_progress=half),
        StageState(name="train", unit="rounds", total=300),
        StageState(name="infer", total=12, month_progress=month_progress_of(YEAR, lambda _: "waiting")),
        rejects={"out_of_month": 30, "negative_tip": 4},
    )


def test_a_year_fits_eighty_columns():
    lines = terminal.render(year_state(), 80).plain.split("\n")
    assert max(map(len, lines)) < 80
    assert lines[0].split() == ["2023", *map(str, range(1, 13))]
    assert lines[1].split()[:2] == ["▸", "featurize"]
    assert lines[1].count("■") == 6
    assert lines[1].count("▪") == 2
    assert "6/12  10.0 s  65k rows/s" in lines[1]
    assert lines[3].split() == ["·", "infer", *"·" * 12]
    assert lines[4] == "  34 rejected, 30 of them out_of_month; about 10 s left in featurize"


def test_a_wide_terminal_displays_the_current_rate():
    year = year_state()
    first = dataclasses.replace(
        year.stages[0], row_counts=(RowCount(90, 0), RowCount(95, 4_321), RowCount(99, 654_321))
    )
    year = dataclasses.replace(year, stages=(first, *year.stages[1:]))
    assert "now" not in terminal.render(year, 80).plain
    assert "  6/12  10.0 s  65k rows/s, 65k now\n" in terminal.render(year, 100).plain


def test_a_column_is_one_month_in_every_line():
    lines = terminal.render(year_state(), 80).plain.split("\n")
    assert [m.end() for m in re.finditer(r"\d+", lines[0])][1:] == [
        m.end() for m in re.finditer(r"[■▪·]", lines[1])
    ]


@pytest.mark.parametrize(("years", "marks"), [(1, 12), (2, 8), (4, 16), (15, 15)])
def test_many_months_share_marks(years, marks):
    months = [str(month) for month in parse_months(f"2010-01:{2009 + years}-12")]
    stage = StageState(
        name="infer",
        total=len(months),
        done=1,
        started_at=99,
        month_progress=month_progress_of(months, lambda _: "done"),
    )
    lines = terminal.render(run_state(stage), 80).plain.split("\n")
    assert lines[1].count("■") == marks
    assert max(map(len, lines)) < 80


def test_marks_for_terminals_without_unicode():
    text = terminal.render(year_state(), 80, terminal.glyphs_for("ascii")).plain
    assert text.isascii()
    assert terminal.glyphs_for("UTF-8") is terminal.UNICODE_GLYPHS


def test_a_run_without_stages_draws_nothing():
    assert terminal.render(run_state(), 80).plain == ""
