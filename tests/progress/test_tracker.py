"""Tests of the progress of stages, and of its output."""

import io
import re

import pytest
from rich.console import Console

from tests.support.states import stage_timing
from toytip.progress.state import CurvePoint, MonthProgress
from toytip.progress.tracker import Progress
from toytip.store import timings


def run_two_months(mode):
    """Run a stage of two months; return the progress and its output on a terminal."""
    out = io.StringIO()
    progress = Progress(mode, Console(file=out, force_terminal=True, width=80))
    with progress.show_live():
        progress.info("version v1")
        progress.expect("infer", ["2023-01"])
        with progress.stage("featurize", 2, ["2023-01", "2023-02"]) as stage:
            stage.advance(60, month="2023-01", rejects={"out_of_month": 2})
            stage.advance(month="2023-02", reused=True)
        progress.warn("look here")
    return progress, out.getvalue()


def test_plain_lines_have_no_control_codes_on_a_terminal():
    _, output = run_two_months("plain")
    assert "\x1b" not in output
    assert re.fullmatch(
        r"version v1\nfeaturize       2 done     \d\.\d s  60 rows  [\d,]+ rows/s\nwarning: look here\n",
        output,
    )


def test_none_prints_nothing_and_keeps_the_state():
    progress, output = run_two_months("none")
    assert output == ""
    assert progress.warnings == ["look here"]
    assert set(progress.stage_seconds) == {"featurize"}


def test_a_grid_is_drawn_on_a_terminal():
    progress, output = run_two_months("auto")
    assert progress.style == "grid"
    assert "featurize" in output
    assert "\x1b[" in output
    assert "warning: look here" in output


def test_the_state_has_the_counts_of_a_stage():
    progress, _ = run_two_months("none")
    featurize, infer = progress.state().stages
    assert featurize.month_progress == {"2023-01": MonthProgress(1, 1), "2023-02": MonthProgress(1, 1, 1)}
    assert (featurize.rows, featurize.status, infer.status) == (60, "done", "waiting")
    assert [count.rows for count in featurize.row_counts] == [0, 60]
    assert progress.state().rejects == {"out_of_month": 2}


def test_an_unplanned_stage_precedes_the_planned_ones():
    progress = Progress("none")
    progress.expect("featurize", ["2023-01"])
    progress.expect("train", total=9)
    with progress.stage("checksum", 3):
        pass
    progress.skip("train", "v1 is reused")
    assert [(stage.name, stage.status) for stage in progress.state().stages] == [
        ("checksum", "done"),
        ("featurize", "waiting"),
        ("train", "skipped"),
    ]


def test_a_curve_has_the_training_loss_of_its_own_round():
    progress = Progress("none")
    with progress.stage("train", 3, unit="rounds") as stage:
        stage.record_round(1, 0.6, 0.69)
        stage.record_round(2, 0.5, 0.58)
        stage.record_round(3, None)
    assert progress.state().curve == (
        CurvePoint(1, 0.58, 0.6),
        CurvePoint(2, None, 0.5),
        CurvePoint(3, None, None),
    )
    assert progress.state().stages[0].done == 3


def test_a_curve_resumes_with_its_training():
    progress = Progress("none")
    with progress.stage("train", 9, unit="rounds") as stage:
        for number in (1, 2, 3, 2, 3):
            stage.record_round(number, 1 / number)
    assert [point.round for point in progress.state().curve] == [1, 2, 3]


@pytest.mark.parametrize(("is_terminal", "style"), [(False, "plain"), (True, "grid")])
def test_only_a_real_terminal_gets_a_grid(is_terminal, style, monkeypatch):
    """Jupyter sets FORCE_COLOR, and stores all output of a cell."""
    stderr = io.StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    progress = Progress("auto")
    assert progress.style == style
    if style == "plain":
        with progress.show_live(), progress.stage("report", 1) as stage:
            stage.advance()
        assert "\x1b" not in stderr.getvalue()


def test_a_line_has_no_spaces_at_its_end():
    out = io.StringIO()
    with Progress("plain", Console(file=out)).stage("report", 1) as stage:
        stage.advance()
    assert re.fullmatch(r"report +1 done +\d\.\d s\n", out.getvalue())


class SlowHistory:
    """Pretends that each stage took 25 s, and 10 s in earlier runs."""

    def expected_seconds(self, _stage, _work):
        return None

    def slow_warning(self, timing):
        earlier = [stage_timing(10, stage=timing.stage)] * 5
        return timings.slow_warning(stage_timing(25, stage=timing.stage), earlier)


def test_a_slow_stage_is_reported_once_on_one_line():
    out = io.StringIO()
    progress = Progress("plain", Console(file=out))
    progress.set_history(SlowHistory())
    with progress.stage("infer", 1) as stage:
        stage.advance(10)
    with progress.stage("again", 1) as stage:
        stage.advance(reused=True)
    line = (
        "infer took 25.0 s, and the last 5 runs of this size with 2 workers took 10.0 to 10.0 s "
        "(check whether other programs use the machine)"
    )
    assert progress.warnings == [line]
    assert out.getvalue().count(f"warning: {line}\n") == 1
