"""Explanations of why files cannot be reused."""

from dataclasses import replace

import pytest

from tests.support.trips import make_part_record
from toytip.core.months import Month, parse_months
from toytip.core.splits import plan_split
from toytip.store.changes import Recipe, explain_changes, inputs_by_month, inputs_with_split

JANUARY, FEBRUARY, MARCH = parse_months("2023-01:2023-03")


def ranges(*stops, checksum="sha256:a"):
    """Return the inputs of a month whose file is read in partitions that end at these rows."""
    return frozenset((checksum, f"0:{stop}]") for stop in stops)


STORED = Recipe(
    code="c1",
    packages={"pandas": "2.2.3", "xgboost": "3.2.0", "dask-ml": ""},
    settings={"max_depth": 6, "encoding": "v1"},
    inputs={JANUARY: ranges(900), FEBRUARY: ranges(900)},
    input_name="source files",
    detail_name="partition_rows",
    detail=500_000,
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "files of v1 are missing or damaged: 2023-01, 2023-02"),
        ({"code": "c2"}, "differs from v1 in code"),
        (
            {"packages": {"pandas": "3.0.1", "xgboost": "3.2.0"}},
            "differs from v1 in pandas (2.2.3, now 3.0.1)",
        ),
        (
            {"packages": {"xgboost-cpu": "3.2.0", **STORED.packages}},
            "differs from v1 in xgboost-cpu (none, now 3.2.0)",
        ),
        (
            {"code": "c2", "settings": {"max_depth": 8, "encoding": "v2"}},
            "differs from v1 in code, max_depth (6, now 8) and encoding (v1, now v2)",
        ),
        (
            {"inputs": {JANUARY: ranges(500, 900), FEBRUARY: ranges(500, 900)}, "detail": 500},
            "differs from v1 in partition_rows (500000, now 500)",
        ),
        ({"inputs": {MARCH: ranges(900)}}, "differs from v1 in source files (new: 2023-03)"),
        (
            {"inputs": {JANUARY: ranges(900, checksum="sha256:b"), MARCH: ranges(900)}},
            "differs from v1 in source files (new: 2023-03, changed: 2023-01)",
        ),
        # A partition size that gives the same ranges is no reason.
        ({"inputs": {JANUARY: ranges(900)}, "detail": 1_000}, "files of v1 are missing or damaged: 2023-01"),
    ],
)
def test_the_reason_names_the_difference(changes, reason):
    assert explain_changes(replace(STORED, **changes), {"v1": STORED}) == reason


def test_the_closest_version_is_compared_and_then_the_newest():
    far, near = replace(STORED, code="c0", packages={}), replace(STORED, settings={"max_depth": 4})
    planned = replace(STORED, settings={"max_depth": 8})
    expected = "differs from {} in max_depth (4, now 8)"
    assert explain_changes(planned, {"v1": far, "v2": near, "v3": far}) == expected.format("v2")
    assert explain_changes(planned, {"v1": near, "v2": near, "v3": far}) == expected.format("v2")


def test_the_closest_version_has_the_most_months_in_common():
    """Both versions lack the new January, and the newer one has another partition size."""
    other_size = {JANUARY: ranges(500, 900), FEBRUARY: ranges(500, 900)}
    newer = replace(STORED, inputs=other_size, detail=500)
    changed = {**STORED.inputs, JANUARY: ranges(900, checksum="sha256:b")}
    reason = explain_changes(replace(STORED, inputs=changed), {"v1": STORED, "v2": newer}, {JANUARY})
    assert reason == "differs from v1 in source files (changed: 2023-01)"


def test_the_inputs_of_files_are_grouped_by_month():
    record = make_part_record(JANUARY)
    files = [replace(record, input_fingerprint=f"sha256:a[{rows}]") for rows in ("0:5", "5:9")]
    assert inputs_by_month(files) == {JANUARY: {("sha256:a", "0:5]"), ("sha256:a", "5:9]")}}


@pytest.mark.parametrize(("month", "is_same"), [(1, True), (2, True), (3, True), (4, False)])
def test_only_the_split_of_the_own_month_counts(month, is_same):
    """The test months of the second split include April."""
    months = parse_months("2023-01:2023-04")
    splits = (plan_split(months, "2023-01", "2023-02", test) for test in ("2023-03", "2023-03:2023-04"))
    file = replace(make_part_record(Month(2023, month)), input_fingerprint="sha256:a")
    first, second = (inputs_with_split([file], split) for split in splits)
    assert (first == second) is is_same
