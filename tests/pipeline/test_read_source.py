"""The message about months of which the cleaning rules rejected all trips."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.support.trips import make_part_record, make_trips
from toytip.core.months import Month
from toytip.core.tables import FEATURES, REJECTS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import StoreError
from toytip.pipeline.read_source import _report_rejected_months
from toytip.progress.tracker import Progress
from toytip.stages.clean import clean, count_reasons
from toytip.store.store import Store

JANUARY, FEBRUARY = Month(2023, 1), Month(2023, 2)


@pytest.fixture
def context(tmp_path):
    return SimpleNamespace(store=Store(str(tmp_path), "dev"), version="v1", progress=Progress())


def report(context, trips_by_month):
    """Report the rejected months of a source of green taxis, given the trips of each month."""
    files = {FEATURES.name: [], REJECTS.name: []}
    for month, trips in trips_by_month.items():
        accepted, rejects = clean(make_trips(*trips), TLC)
        record = replace(make_part_record(month), rejects=count_reasons(rejects))
        files[REJECTS.name].append(
            context.store.write_data_file(TLC.table(REJECTS), context.version, record, rejects)
        )
        files[FEATURES.name].append(replace(make_part_record(month), rows=len(accepted)))
    plan = SimpleNamespace(dataset=TLC, source=SimpleNamespace(taxi="green"))
    _report_rejected_months(context, plan, TLC.table(FEATURES), files)
    return context.progress.warnings


@pytest.mark.parametrize(
    ("change", "cause", "fix"),
    [
        ({"tip_amount": None}, "3 missing_value, most often because tip_amount is null", "`toytip score`"),
        ({"pickup_at": None}, "3 missing_value, most often because lpep_pickup_datetime is null", "check"),
        ({"fare_amount": -1.0}, "3 non_positive_fare", "`toytip source check`"),
    ],
)
def test_a_source_without_accepted_trips_is_an_error(context, change, cause, fix):
    with pytest.raises(StoreError) as caught:
        report(context, {JANUARY: [change] * 3})
    expected = "cannot publish features: the cleaning rules rejected all trips of 2023-01"
    assert str(caught.value) == f"{expected} ({cause})"
    assert fix in caught.value.hint


def test_the_error_names_a_column_only_if_most_trips_have_a_missing_value(context):
    with pytest.raises(StoreError, match=r"\(2 non_positive_fare, 1 missing_value\)"):
        report(context, {JANUARY: [*[{"fare_amount": -1.0}] * 2, {"tip_amount": None}]})


def test_a_month_without_accepted_trips_is_a_warning(context):
    (warning,) = report(context, {JANUARY: [{}, {"tip_amount": None}], FEBRUARY: [{"tip_amount": None}] * 2})
    assert warning == (
        "the cleaning rules rejected all trips of 2023-02 (2 missing_value, most often because tip_amount "
        "is null). To score trips without labels, use `toytip score`"
    )


def test_a_month_with_an_accepted_trip_is_not_reported(context):
    assert report(context, {JANUARY: [{}, {"tip_amount": None}]}) == []
