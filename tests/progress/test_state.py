"""Tests of the state of a run, and of its form on the wire."""

import dataclasses
import json

import pytest

from tests.support.states import run_state
from toytip.progress.snapshot import snapshot_run
from toytip.progress.state import (
    CurvePoint,
    MonthProgress,
    RowCount,
    StageState,
    downsample,
    format_duration,
)


@pytest.mark.parametrize(
    ("month", "status"),
    [
        (MonthProgress(2), "waiting"),
        (MonthProgress(2, running=1), "running"),
        (MonthProgress(2, done=1), "running"),
        (MonthProgress(2, done=2), "done"),
        (MonthProgress(2, done=2, reused=2, retried=1), "done"),
    ],
)
def test_status_of_a_month(month, status):
    assert month.status == status


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        ({"total": 4, "done": 1, "started_at": 90}, 30),  # ten seconds for one, three remain
        ({"total": 4, "done": 3, "reused": 2, "started_at": 90}, 10),  # reused partitions take no time
        ({"total": 4, "started_at": 90}, None),  # unknown
        ({"total": 4, "started_at": 90, "expected_seconds": 25}, 15),  # from earlier timings
        ({"total": 4, "expected_seconds": 25}, 25),
        ({"total": 4}, None),
        ({"total": 4, "started_at": 90, "expected_seconds": 5}, 0),  # never negative
        ({"total": 4, "skipped": True}, 0),
        ({"total": 4, "done": 2, "started_at": 90, "ended_at": 95}, 0),
    ],
)
def test_remaining_time_of_a_stage(stage, seconds):
    assert StageState(name="train", **stage).remaining(100) == seconds


CONSTANT_RATE = tuple(RowCount(second, 10 * (second - 60)) for second in range(60, 101))


@pytest.mark.parametrize(
    ("counts", "now", "rate"),
    [
        (CONSTANT_RATE, 100, 10),
        ((*CONSTANT_RATE[:-1], RowCount(100, 490)), 100, 19),  # the last partition was large
        (CONSTANT_RATE[-5:], 100, 10),  # more partitions than the state keeps
        (CONSTANT_RATE, 105, 5),  # a stall
        (CONSTANT_RATE, 199, 0.1),
        ((RowCount(60, 0), RowCount(80, 200)), 100, 5),  # a single partition
        (
            (RowCount(40, 0), RowCount(60, 300), RowCount(80, 500)),
            100,
            5,
        ),  # one partition takes longer than the window
        ((RowCount(60, 0),), 100, None),  # no rows yet
        ((), 100, None),
    ],
)
def test_current_rate(counts, now, rate):
    stage = StageState(
        name="infer", total=50, started_at=60, rows=counts[-1].rows if counts else 0, row_counts=counts
    )
    assert stage.current_rows_per_second(now) == rate
    assert dataclasses.replace(stage, ended_at=now).current_rows_per_second(now) is None
    run = dataclasses.replace(run_state(stage), now=now)
    assert snapshot_run(run)["stages"][0]["current_rows_per_second"] == rate
    stopped = dataclasses.replace(run, outcome="stopped")
    assert snapshot_run(stopped)["stages"][0]["current_rows_per_second"] is None


def test_remaining_time_of_a_run_needs_an_estimate_of_every_stage():
    done = StageState(name="featurize", total=1, done=1, started_at=80, ended_at=90)
    half = StageState(name="train", unit="rounds", total=4, done=2, started_at=90)
    last = StageState(name="infer", total=3)
    step = StageState(name="gate", unit="step", total=1)
    assert run_state(done, half, step).remaining == 10
    assert run_state(done, half, last, step).remaining is None
    estimated = StageState(name="infer", total=3, expected_seconds=7)
    assert run_state(done, half, estimated, step).remaining == 17
    assert run_state(done, half, outcome="failed").remaining == 0
    assert run_state().remaining is None


def test_a_downsampled_curve_keeps_its_last_round():
    curve = [CurvePoint(n, 1 / n, 1 / n) for n in range(1, 1_235)]
    assert len(downsample(curve)) <= 401
    assert downsample(curve)[-1] == curve[-1]
    assert downsample(curve[:7]) == curve[:7]
    assert downsample([]) == []


def test_a_snapshot_is_json():
    stage = StageState(
        name="infer",
        total=2,
        done=1,
        rows=50,
        started_at=90,
        month_progress={"2023-01": MonthProgress(2, 1, 0, 1)},
    )
    snapshot = json.loads(json.dumps(snapshot_run(run_state(stage, curve=(CurvePoint(1, None, 0.5),)))))
    assert snapshot["stages"][0]["months"] == {"2023-01": ["running", 2, 1, 0, 1, 0]}
    assert snapshot["stages"][0]["rows_per_second"] == 5
    assert (snapshot["remaining_seconds"], snapshot["curve"]) == (10, [[1, None, 0.5]])


def test_durations_are_in_words():
    assert [format_duration(seconds) for seconds in (0.4, 59.4, 59.6, 3_599, 90_000)] == [
        "0 s",
        "59 s",
        "1 min 00 s",
        "59 min 59 s",
        "25 h 00 min",
    ]
