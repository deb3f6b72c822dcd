"""Sources that a run refuses before its workers start, in the words of `toytip source check`."""

import gzip
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.trips import make_part_record, make_trips, raw_table, write_months
from toytip.core.months import Month
from toytip.core.splits import plan_split
from toytip.core.tables import REJECTS
from toytip.datasets.tlc.fhvhv.dataset import FHVHV
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import DataCheckError, SourceError
from toytip.monitoring.month_counts import MonthSummary
from toytip.monitoring.required_trips import find_empty_segment, require_trips, require_two_labels
from toytip.pipeline.read_source import _rows_out_of_month
from toytip.sources.discovery import require_months_of_files
from toytip.sources.source import Source, SourceFile
from toytip.stages.featurize import featurize
from toytip.stages.preprocess import ValueCounts, count_values
from toytip.stages.profile import profile

MONTHS = [Month(2023, month) for month in (1, 2, 3)]
NAMES = [f"yellow_tripdata_{month}.parquet" for month in MONTHS]


def overwrite(folder, content):
    (folder / NAMES[1]).write_bytes(content)


def add(folder, name, table):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name)


REFUSED = {
    "pointer": (lambda f: overwrite(f, b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
    "web page": (lambda f: overwrite(f, b"<!DOCTYPE html>"), "a web page"),
    "gzip": (lambda f: overwrite(f, gzip.compress(b"x")), "compressed with gzip"),
    "empty": (lambda f: overwrite(f, b""), "the file is empty"),
    "cut short": (lambda f: overwrite(f, (f / NAMES[1]).read_bytes()[:-9]), "corrupt or incomplete"),
    "renamed": (lambda f: add(f, NAMES[1], raw_table(60, MONTHS[2])), "its name says 2023-02"),
    "a gap": (lambda f: (f / NAMES[1]).unlink(), "2023-02 is missing"),
    "twice": (lambda f: shutil.copy(f / NAMES[1], f / "copy 2023-02.parquet"), "the same trips of 2023-02"),
    "Delta": (lambda f: (f / "_delta_log").mkdir(), "Delta table"),
    "both taxis": (
        lambda f: add(f, "green/2023-01.parquet", raw_table(60, prefix="lpep")),
        "it contains yellow and green files",
    ),
    "for-hire vehicles": (
        lambda f: add(f, "fhv_tripdata_2023-01.parquet", pa.table({"dispatching_base_num": ["B0"]})),
        "it contains yellow and fhv files",
    ),
    "predictions": (
        lambda f: add(f, "predictions.parquet", pa.table({"a": [1]})),
        "is not a yellow, green or fhvhv trip record",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_check_and_run_refuse_a_source_in_the_same_words(case, tmp_path, invoke_cli):
    break_source, cause = REFUSED[case]
    tables = {month: raw_table(60, month) for month in MONTHS}
    folder = write_months(tmp_path / "in", tables)
    break_source(folder)
    check = invoke_cli("source", "check", folder)
    run = invoke_cli("run", "--source", folder, "--store", tmp_path / "store", "--progress", "none")
    assert check.returncode == run.returncode == 1
    assert cause in " ".join(check.stderr.split())
    assert run.stderr == check.stderr
    assert not (tmp_path / "store" / "dev").exists()


def summarize(month, trips):
    frame = featurize(make_trips(*trips, month=month), TLC)
    return MonthSummary(histograms=profile(frame, TLC), rows=len(frame), rejects={})


def trips_of(month, count=4, **changes):
    """Return trips in the training, validation and test days of a month."""
    days = [f"{month}-{day}" for day in ("03", "11", "21", "27")]
    return [
        {"pickup_at": f"{day} 08:00:00", "dropoff_at": f"{day} 08:20:00", **changes} for day in days[:count]
    ]


@pytest.mark.parametrize(
    ("empty", "name"), [(0, "train"), (1, "validation"), (2, "test")], ids=["train", "validation", "test"]
)
def test_an_empty_period_is_an_error_before_training(empty, name):
    months = {
        month: summarize(month, trips_of(month, 0 if month == MONTHS[empty] else 4)) for month in MONTHS
    }
    split = plan_split(tuple(MONTHS))
    with pytest.raises(DataCheckError, match=f"the {name} period .* has no trips after cleaning"):
        require_trips(months, split, "all")


def test_a_segment_without_trips_is_an_error():
    cash = {month: summarize(month, trips_of(month, payment_type=2)) for month in MONTHS}
    require_trips(cash, plan_split(tuple(MONTHS)), "all")
    with pytest.raises(DataCheckError, match="has no card trips"):
        require_trips(cash, plan_split(tuple(MONTHS)), "card")


def test_a_segment_that_no_trip_is_in_gives_a_warning():
    cash, card, none = (
        {month: summarize(month, trips_of(month, count, payment_type=code)) for month in MONTHS}
        for count, code in ((4, 2), (4, 1), (0, 1))
    )
    assert find_empty_segment(cash, TLC, trains=True) == (
        "no trip is in the segment card (payment_type 1), so there are no metrics for this segment, "
        "and the model has no target-encoded features (check the condition and the values)"
    )
    assert "target" not in find_empty_segment(cash, TLC, trains=False)
    assert find_empty_segment(cash | {MONTHS[0]: card[MONTHS[0]]}, TLC, trains=True) is None
    assert find_empty_segment(none, TLC, trains=True) is None
    assert find_empty_segment(cash, FHVHV, trains=True) is None


def test_days_of_a_single_month_are_counted():
    (month, *_) = MONTHS
    split = plan_split((month,))
    require_trips({month: summarize(month, trips_of(month))}, split, "all")
    with pytest.raises(DataCheckError, match="the test period"):
        require_trips({month: summarize(month, trips_of(month, 3))}, split, "all")


@pytest.mark.parametrize(
    ("tips", "cause"),
    [
        ([], "there are no training trips"),
        ([0.0, 0.1], "the label high_tip is false for all 2 training trips"),
        ([9.0, 9.0], "the label high_tip is true for all 2 training trips"),
        ([0.0, 9.0], None),
    ],
)
def test_training_needs_both_labels(tips, cause):
    frame = featurize(make_trips(*[{"tip_amount": tip} for tip in tips]), TLC)
    names = ("pickup_hour",)
    counts = (
        count_values(frame, names, plan_split(tuple(MONTHS)), "all", TLC)
        if tips
        else ValueCounts.empty(names, TLC)
    )
    if cause is None:
        require_two_labels(TLC, counts.rows, counts.positives)
    else:
        with pytest.raises(DataCheckError, match=f"cannot train: {cause}"):
            require_two_labels(TLC, counts.rows, counts.positives)


@pytest.mark.parametrize(("outside", "is_usable"), [(5, True), (6, False)])
def test_pickups_of_other_months_are_counted_after_reading(outside, is_usable):
    file = SourceFile(
        uri="s3://b/yellow_2023-01.parquet",
        taxi="yellow",
        month=MONTHS[0],
        rows=10,
        bytes=9,
        modified="",
        missing_columns=(),
    )
    source = Source(taxi="yellow", files=(file,))
    rejects = replace(make_part_record(MONTHS[0]), rejects={"out_of_month": outside, "negative_tip": 9})
    counts = _rows_out_of_month({REJECTS.name: [rejects]})
    if is_usable:
        require_months_of_files(source, counts)
    else:
        with pytest.raises(SourceError, match=r"for 2023-01: 60\.0 % of the rows are in other months"):
            require_months_of_files(source, counts)
