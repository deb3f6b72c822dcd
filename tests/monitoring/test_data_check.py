"""The data check: faults are held, true changes are not, and a fault changes no other verdict."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.data_changes import CHANGES
from benchmarks.data_check import main, read_year, sample_year, summarize, summarize_year, synthetic_year
from benchmarks.data_faults import FAULTS, RawMonth
from benchmarks.data_tables import measure_table, replace_block
from benchmarks.data_windows import all_windows, check_windows
from toytip.core.months import Month
from toytip.core.tables import FEATURE_HISTOGRAMS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.synthetic import SYNTHETIC_MONTHS, SyntheticSpec, generate_month
from toytip.monitoring.data_check import check_months
from toytip.monitoring.data_measures import repeated_share
from toytip.monitoring.month_counts import MonthSummary

ROWS = 4_000
SEED = 3
MONTHS = [Month(2020, month) for month in range(1, 9)]
FAULTY = MONTHS[4]
FAULTS_BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def year():
    raw = synthetic_year(ROWS, SEED)
    return {month: raw[month] for month in MONTHS}


@pytest.fixture(scope="module")
def summaries(year):
    return summarize_year(year)


def inject(year, fault, strength=1.0, month=FAULTY):
    raw = RawMonth(month=month, trips=year[month], other=year[MONTHS[3]], rng=np.random.default_rng(5))
    return summarize(FAULTS_BY_NAME[fault].apply(raw, strength), month)


def check(summaries, accepted=None):
    return check_months(summaries, list(summaries), accepted or {}, TLC)


def multiply(summary, factor):
    """Return the summary of a month with so many times the trips."""
    histograms = summary.histograms.copy()
    is_hash = histograms["feature"] == "trip_hash"
    histograms.loc[~is_hash, "trips"] *= factor
    return MonthSummary(
        histograms=histograms,
        rows=factor * summary.rows,
        rejects={reason: factor * count for reason, count in summary.rejects.items()},
    )


def verdicts(result):
    return {month.month: month.verdict for month in result.months}


def month_of(result, month):
    return next(checked for checked in result.months if checked.month == str(month))


@pytest.mark.parametrize("rows", [200, 1_000, 4_000])
def test_steady_months_pass(rows):
    result = check(summarize_year(synthetic_year(rows, SEED)))
    assert set(verdicts(result).values()) == {"pass"}
    assert result.held == ()
    assert result.reference == tuple(map(str, summarize_year(synthetic_year(rows, SEED))))


def test_the_first_days_of_months_pass():
    """A few days do not contain each day of the week equally often."""
    year = synthetic_year(8_000, SEED)
    days = {month: trips[trips["pickup_at"].dt.day <= 4] for month, trips in year.items()}
    assert set(verdicts(check(summarize_year(days))).values()) == {"pass"}


def held_in_a_part_of(summaries):
    """Return the held months if a user has only some consecutive months of a year."""
    months = sorted(summaries)
    parts = [months[start : start + size] for size in range(3, len(months) + 1) for start in (0, 3, 6)]
    checks = [
        check_months({month: summaries[month] for month in part}, part[:-2] or part, {}, TLC)
        for part in parts
        if len(part) > 2
    ]
    return {month for result in checks for month in result.held}


def test_no_month_of_the_built_in_year_is_held():
    """The built-in year has drift. It must not stop a run of some of its months."""
    spec = SyntheticSpec(rows_per_month=2_000, seed=SEED)
    year = {month: generate_month(month, spec).to_pandas() for month in SYNTHETIC_MONTHS}
    assert held_in_a_part_of(summarize_year(year)) == set()


@functools.cache
def real_summaries(folder):
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    return summarize_year(read_year(folder))


STEADY_YEARS = pytest.mark.parametrize("name", ["green-2023", "yellow-sample-2019"])


@STEADY_YEARS
def test_no_month_of_a_steady_real_year_is_held(name, real_data_dir):
    assert held_in_a_part_of(real_summaries(real_data_dir / name)) == set()


@STEADY_YEARS
def test_the_monthly_job_holds_no_month_of_a_steady_real_year(name, real_data_dir):
    """Models that were trained from January or May on score each later month of the year."""
    summaries = real_summaries(real_data_dir / name)
    windows = [window for window in all_windows(summaries) if window.training[0].month in (1, 5)]
    result = check_windows(summaries, windows)
    assert (result.windows, result.checks) == (18, 94)
    assert result.held == ()


HELD = [
    # fault, share of rows, measure, features
    ("distance in kilometers", 1.0, "single values", {"trip_distance", "trip_speed"}),
    ("distance in meters", 0.2, "reject rate", {"implausible_distance"}),
    ("all amounts in cents", 0.2, "new values", {"fare_amount"}),
    ("UTC instead of local time", 1.0, "moved hours", {"pickup_hour"}),
    ("times without seconds", 1.0, "single values", {"trip_time"}),
    ("pickup and dropoff time swapped", 0.2, "reject rate", {"non_positive_duration"}),
    ("all zones unknown (264)", 0.2, "new values", {"PULocationID"}),
    ("days missing (at least one, at most half)", 0.2, "empty days", {"day_of_month"}),
    ("one vendor missing", 1.0, "constant value", {"VendorID"}),
    ("trips repeated", 1.0, "repeated trips", set()),
    ("file of another month", 1.0, "reject rate", {"out_of_month"}),
    ("file of another month with moved dates", 1.0, "copy", set()),
    ("rate code missing", 0.2, "missing share", {"RatecodeID"}),
    ("congestion surcharge missing", 1.0, "missing share", {"congestion_surcharge"}),
    ("tax 0", 1.0, "zeros", {"mta_tax"}),
    ("fare constant", 0.2, "frequent value", {"fare_amount"}),
    ("passenger count always 1", 1.0, "constant value", {"passenger_count"}),
    ("passenger count -1", 0.05, "new values", {"passenger_count"}),
    ("fare rounded to dollars", 1.0, "whole numbers", {"fare_amount"}),
    ("distance cut to one decimal", 1.0, "single values", {"trip_distance"}),
    ("extras negative", 1.0, "negative values", {"extra"}),
    ("card recoded as cash", 1.0, "vanished values", {"payment_type"}),
    ("all tips lost", 1.0, "labels in segment", {"high_tip"}),
    ("fare includes the tip", 1.0, "labels in segment", {"high_tip"}),
]


@pytest.mark.parametrize(("fault", "strength", "measure", "features"), HELD)
def test_a_fault_is_held_and_named(fault, strength, measure, features, year, summaries):
    result = check({**summaries, FAULTY: inject(year, fault, strength)})
    assert result.held == (str(FAULTY),)
    assert str(FAULTY) not in result.reference
    findings = [finding for finding in month_of(result, FAULTY).findings if finding.verdict == "hold"]
    assert measure in {finding.measure for finding in findings}
    assert features <= {feature for finding in findings for feature in finding.features}
    assert all(0 < finding.share <= 1 and finding.message.endswith(".") for finding in findings)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_true_change_is_not_held(change):
    summaries = summarize_year(change.apply(synthetic_year(ROWS, SEED)))
    training = sorted(summaries)[:10]
    assert check({month: summaries[month] for month in training}).held == ()


CODES = {1.0: 0.7, 2.0: 0.3}
LOST_VALUES = [
    # feature, shares without the lost value, its share, other months, measure, verdict
    ("improvement_surcharge", {1.0: 1.0}, 0.06, 3, "constant fee", "warn"),
    ("improvement_surcharge", {1.0: 1.0}, 0.06, 7, "constant fee", "warn"),
    ("improvement_surcharge", {1.0: 1.0}, 0.12, 3, "constant fee", "warn"),
    ("improvement_surcharge", {1.0: 1.0}, 0.12, 7, "constant fee", "hold"),
    ("improvement_surcharge", {1.0: 1.0}, 0.25, 3, "constant fee", "hold"),
    ("passenger_count", {1.0: 1.0}, 0.06, 3, "constant value", "hold"),
    ("passenger_count", {1.0: 1.0}, 0.06, 7, "constant value", "hold"),
    ("payment_type", CODES, 0.01, 7, "vanished values", "warn"),
    ("payment_type", CODES, 0.02, 3, "vanished values", "warn"),
    ("payment_type", CODES, 0.02, 7, "vanished values", "hold"),
    ("payment_type", CODES, 0.04, 3, "vanished values", "hold"),
]


def set_values(summary, feature, shares):
    """Return the summary with other values of a feature, by their share of the trips."""
    histograms = summary.histograms[summary.histograms["feature"] != feature]
    trips = [int(share * summary.kept_rows) for share in shares.values()]
    values = pd.DataFrame({"feature": feature, "in_segment": 1, "value": list(shares), "trips": trips})
    return replace(summary, histograms=pd.concat([histograms, values], ignore_index=True))


@pytest.mark.parametrize(("feature", "rest", "share", "others", "measure", "verdict"), LOST_VALUES)
def test_a_month_that_lost_a_value(feature, rest, share, others, measure, verdict, summaries):
    """A fee can lose its old amount, and a code can go out of use, but not in many trips."""
    reference = MONTHS[:others]
    with_value = {value: part * (1 - share) for value, part in rest.items()} | {0.0: share}
    months = {month: set_values(multiply(summaries[month], 10), feature, with_value) for month in reference}
    months[MONTHS[7]] = set_values(multiply(summaries[MONTHS[7]], 10), feature, rest)
    checked = check_months(months, reference, {}, TLC).months[-1]
    found = {finding.measure: finding.verdict for finding in checked.findings if finding.feature == feature}
    assert found == {measure: verdict}


def test_features_that_move_together_raise_one_finding(year, summaries):
    result = check({**summaries, FAULTY: inject(year, "distance in kilometers")})
    (finding,) = month_of(result, FAULTY).findings
    assert {"trip_distance", "trip_speed"} <= set(finding.features)
    assert finding.feature == finding.features[0]
    assert finding.value > finding.limit > finding.reference
    assert finding.feature in finding.message


def test_columns_that_are_missing_in_the_same_trips_raise_one_finding(year, summaries):
    trips = year[FAULTY].copy()
    trips.loc[trips.index[::4], ["RatecodeID", "passenger_count", "congestion_surcharge"]] = np.nan
    result = check({**summaries, FAULTY: summarize(pa.Table.from_pandas(trips), FAULTY)})
    findings = [f for f in month_of(result, FAULTY).findings if f.measure == "missing share"]
    assert [set(finding.features) for finding in findings] == [
        {"RatecodeID", "passenger_count", "congestion_surcharge"}
    ]
    assert findings[0].share == pytest.approx(0.25, abs=0.05)


def test_amounts_in_another_unit_raise_one_finding(year, summaries):
    result = check({**summaries, FAULTY: inject(year, "all amounts in cents")})
    findings = [finding for finding in month_of(result, FAULTY).findings if finding.verdict == "hold"]
    assert {"fare_amount", "mta_tax", "improvement_surcharge", "congestion_surcharge"} <= set(
        findings[0].features
    )
    assert not [finding for finding in findings[1:] if "amount" in finding.feature]


def test_an_accepted_month_is_not_held_and_keeps_its_findings(year, summaries):
    months = {**summaries, FAULTY: inject(year, "distance in kilometers")}
    result = check(months, {str(FAULTY): "The meter was replaced."})
    accepted = month_of(result, FAULTY)
    assert (accepted.verdict, accepted.accepted) == ("hold", "The meter was replaced.")
    assert accepted.findings
    assert result.held == ()
    assert str(FAULTY) in result.reference


@pytest.mark.parametrize(
    ("accepted", "held"),
    [((), ["2020-05", "2020-06"]), ((FAULTY,), []), ((MONTHS[5],), [])],
    ids=["none", "the first", "the second"],
)
def test_an_accepted_month_shows_that_an_equal_month_is_normal(year, summaries, accepted, held):
    few = {month: summaries[month] for month in MONTHS[3:4]}
    for month in (FAULTY, MONTHS[5]):
        few[month] = inject(year, "all amounts in cents", month=month)
    result = check_months(few, [MONTHS[3], *accepted], {str(month): "a reason" for month in accepted}, TLC)
    assert list(result.held) == held


def test_an_accepted_month_does_not_hold_another_month(year, summaries):
    few = {month: summaries[month] for month in MONTHS[3:4]}
    few[FAULTY] = inject(year, "all amounts in cents")
    result = check(few, {str(FAULTY): "a reason"})
    assert verdicts(result) == {str(MONTHS[3]): "pass", str(FAULTY): "hold"}
    only_accepted = check_months(few, [FAULTY], {str(FAULTY): "a reason"}, TLC)
    assert only_accepted.held == (str(MONTHS[3]),), "there is no other month to compare with"


def test_only_gross_faults_are_held_if_there_are_few_months(year, summaries):
    few = {month: summaries[month] for month in MONTHS[3:5]}
    assert set(verdicts(check(few)).values()) == {"pass"}
    for fault in ("all amounts in cents", "rate code missing", "distance in meters"):
        assert check({**few, FAULTY: inject(year, fault)}).held == (str(FAULTY),), fault
    weak = check({**few, FAULTY: inject(year, "distance in kilometers")})
    assert verdicts(weak)[str(FAULTY)] == "warn"


def test_nothing_is_held_without_a_month_to_compare_with(year):
    alone = {FAULTY: inject(year, "all amounts in cents")}
    assert verdicts(check(alone)) == {str(FAULTY): "pass"}
    assert check_months({}, [], {}, TLC).months == ()


def test_a_month_outside_of_the_reference_is_checked_but_never_compared_with(year, summaries):
    months = {**summaries, FAULTY: inject(year, "all amounts in cents")}
    result = check_months(months, [month for month in MONTHS if month != FAULTY], {}, TLC)
    assert result.held == (str(FAULTY),)
    assert len(result.reference) == len(MONTHS) - 1


def test_a_month_without_trips_is_held(summaries):
    empty = MonthSummary(histograms=FEATURE_HISTOGRAMS.empty(), rows=0, rejects={})
    rejected = MonthSummary(histograms=FEATURE_HISTOGRAMS.empty(), rows=900, rejects={"missing_value": 900})
    for summary in (empty, rejected):
        assert check({**summaries, FAULTY: summary}).held == (str(FAULTY),)


def test_two_faulty_months_do_not_hide_each_other(year, summaries):
    other = MONTHS[1]
    months = {
        **summaries,
        FAULTY: inject(year, "distance in kilometers"),
        other: inject(year, "distance in kilometers", month=other),
    }
    assert check(months).held == (str(other), str(FAULTY))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_changes_the_share_of_rows_that_it_names(fault, year):
    raw = RawMonth(month=FAULTY, trips=year[FAULTY], other=year[MONTHS[3]], rng=np.random.default_rng(5))
    before = raw.trips.copy()
    assert not fault.apply(raw, 1.0).equals(pa.Table.from_pandas(before, preserve_index=False))
    pd.testing.assert_frame_equal(raw.trips, before)


def test_the_page_lists_the_measures_with_their_limits():
    page = (Path(__file__).parents[2] / "docs/explanation/data-check.md").read_text(encoding="utf-8")
    assert replace_block(page, "measures", measure_table()) == page
    with pytest.raises(ValueError, match="no block 'other'"):
        replace_block(page, "other", ())


def test_missing_months_are_one_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["data_check", "--data", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert "has no folder green-2023" in capsys.readouterr().err


@pytest.mark.parametrize("rows", [200, 2_000])
def test_samples_of_a_year_pass(year, rows):
    assert check(summarize_year(sample_year(year, rows, SEED))).held == ()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(100, 10_000))
def test_months_with_the_same_distribution_pass(seed):
    raw = synthetic_year(500, seed)
    assert check(summarize_year({month: raw[month] for month in MONTHS[:5]})).held == ()


GROSS_FAULTS = ("all amounts in cents", "rate code missing", "UTC instead of local time", "trips repeated")


@settings(max_examples=12, deadline=None)
@given(fault=st.sampled_from(GROSS_FAULTS), position=st.integers(0, 7), order=st.permutations(MONTHS))
def test_a_held_month_does_not_change_other_verdicts_and_order_does_not_matter(
    year, summaries, fault, position, order
):
    month = MONTHS[position]
    months = {**summaries, month: inject(year, fault, month=month)}
    result = check(months)
    without = check({other: summaries[other] for other in MONTHS if other != month})
    assert result.held == (str(month),)
    assert [checked for checked in result.months if checked.month != str(month)] == list(without.months)
    assert check_months({other: months[other] for other in order}, order[::-1], {}, TLC) == result


@settings(max_examples=10, deadline=None)
@given(factor=st.integers(2, 5))
def test_more_trips_with_the_same_distribution_give_the_same_verdict(summaries, factor):
    one = {month: multiply(summary, factor) for month, summary in summaries.items()}
    assert check(one).held == ()


@pytest.mark.parametrize(("copies", "share"), [(2, 0.5), (3, 0.67), (20, 0.95)])
def test_the_share_of_repeated_trips_is_at_most_one(copies, share, year):
    """The estimate is rough, because the month is small."""
    trips = pd.concat([year[FAULTY]] * copies, ignore_index=True)
    estimate = repeated_share(summarize(pa.Table.from_pandas(trips, preserve_index=False), FAULTY))
    assert 0.6 * share < estimate < 1
