"""The data check of trips whose payment is unknown, because their data set has no segment."""

import pyarrow.compute as pc
import pytest

from toytip.core.dataset.synthetic import SyntheticSpec
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.datasets.tlc.fhvhv.dataset import FHVHV
from toytip.datasets.tlc.fhvhv.synthetic import generate_month
from toytip.monitoring.data_check import check_months
from toytip.monitoring.month_counts import MonthSummary
from toytip.stages import clean, conform, profile
from toytip.stages.featurize import featurize

MONTHS = [Month(2021, month) for month in range(1, 6)]
FAULTY = MONTHS[3]


def summarize(month, *, tips=1.0):
    table = generate_month(month, SyntheticSpec(rows_per_month=3_000, seed=5, drift=False))
    partition = SourcePartition(taxi="fhvhv", month=month, uri="f", start=0, stop=len(table), number=0)
    position = table.column_names.index("tips")
    raw = table.set_column(position, "tips", pc.multiply(table.column(position), tips))
    trips = conform.conform(raw, partition, FHVHV)
    kept, rejects = clean.clean(trips, FHVHV)
    histograms = profile.profile(featurize(kept, FHVHV), FHVHV)
    return MonthSummary(histograms=histograms, rows=len(table), rejects=clean.count_reasons(rejects))


@pytest.fixture(scope="module")
def checked():
    summaries = {month: summarize(month, tips=0.0 if month == FAULTY else 1.0) for month in MONTHS}
    return {month.month: month for month in check_months(summaries, MONTHS, {}, FHVHV).months}


def test_lost_tips_are_held_and_no_payment_is_named(checked):
    assert checked[str(FAULTY)].is_held
    (finding,) = [finding for finding in checked[str(FAULTY)].findings if "labels" in finding.measure]
    assert (finding.measure, finding.feature, finding.value) == ("labels", "high_tip", 0)
    assert finding.message.startswith("high_tip is true for 0.0 % of the trips, usually for ")


def test_no_other_month_is_held(checked):
    assert [month for month, item in checked.items() if item.is_held] == [str(FAULTY)]
