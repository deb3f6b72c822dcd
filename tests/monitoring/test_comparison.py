"""Monitoring names an injected drift and its cause, and raises no alert without drift."""

from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
from scipy import stats

from tests.support.monitored_year import LEARNING_MONTHS, LONG_YEAR, ROWS, YEAR, MonthInputs, monitor_year
from tests.support.monitored_year import score_month as score
from toytip.datasets.tlc.taxis.synthetic import SyntheticSpec
from toytip.evaluation.tally import (
    combine_tallies,
    daily_tallies_by_segment,
    tallies_from_parquet,
    tallies_to_parquet,
)
from toytip.monitoring.month_counts import MonthSummary
from toytip.report.facts import Facts
from toytip.report.sections.drift import drift_section
from toytip.stages import profile


def test_no_alert_fires_in_a_year_without_drift(model, year):
    report = monitor_year(model, year).report
    assert report.alert_history == ()
    assert report.active_alerts == ()
    assert report.feature_reference == ("2021-01", "2021-02", "2021-03")
    assert report.performance_reference == ("2021-04",)
    assert len(report.analysis_months) == 9


def inject_drift(model, year, spec, drift):
    """Return the report of a year with a drift in its last three months."""
    drifted = {month: score(model, month, replace(spec, injected_drift=drift)) for month in YEAR[-3:]}
    return monitor_year(model, {**year, **drifted}).report


def alert_subjects(report):
    return {(alert.kind, alert.name) for alert in report.active_alerts}


def read_section(report):
    """Return the caption of the F1 chart, the paragraphs and the tables of the HTML report."""
    facts = Facts(
        version="v1", created_at="2026-01-01T00:00:00+00:00", store="s", env="dev", monitoring=report
    )
    blocks = drift_section(facts).blocks
    tables = {
        block.caption.partition(",")[0]: [
            [getattr(cell, "text", cell) for cell in row] for row in (block.header, *block.rows)
        ]
        for block in blocks
        if block.kind == "table"
    }
    paragraphs = " ".join(block.text for block in blocks if block.kind == "text")
    return blocks[0].pictures[0].caption, paragraphs, tables


def test_a_shifted_feature_is_named(model, year, spec):
    report = inject_drift(model, year, spec, "distance")
    alerts = alert_subjects(report)
    # The speed follows from the distance and shifts with it. The model hardly uses it.
    assert ("drift", "trip_distance") in alerts
    assert {name for kind, name in alerts if kind == "drift"} <= {"trip_distance", "trip_speed"}
    assert {drift.feature for drift in report.drift_by_month["2021-12"] if (drift.psi or 0) > 0.1} == {
        "trip_distance",
        "trip_speed",
    }
    assert not any(kind in ("share", "missing") for kind, _ in alerts)
    (distance,) = (drift for drift in report.drift_by_month["2021-12"] if drift.feature == "trip_distance")
    assert distance.mean / distance.reference_mean == pytest.approx(1.609, rel=0.03)


def test_a_changed_card_share_is_named_and_not_attributed_to_the_model(model, year, spec):
    report = inject_drift(model, year, spec, "card")
    assert alert_subjects(report) == {("drift", "payment_type"), ("share", "segment")}
    caption, _, _ = read_section(report)
    assert caption.startswith(
        "2 alerts in 2021-12, but no alert for worse model performance. If F1 falls together with F1"
    )
    last = report.performance_by_month[-1]
    assert last.segment_share / report.reference_performance.segment_share == pytest.approx(0.7, abs=0.02)
    assert last.prevalence_change.segment_share < 10 * -abs(last.prevalence_change.prevalence)


def test_a_worse_model_is_named_and_nothing_else(model, year, spec):
    report = inject_drift(model, year, spec, "skill")
    alerts = alert_subjects(report)
    assert alerts
    assert {kind for kind, _ in alerts} == {"model"}
    assert ("model", "auc") in alerts
    last, reference = report.performance_by_month[-1], report.reference_performance
    assert last.metrics.prevalence == pytest.approx(reference.metrics.prevalence, abs=0.02)
    assert last.segment_auc == pytest.approx(0.5, abs=0.02)
    # The estimate does not notice, because the trips are the same as before.
    assert last.estimated_metrics.auc - last.metrics.auc > 0.01
    caption, _, tables = read_section(report)
    assert "The model performs worse, as measured by" in caption
    assert "AUC of card trips" in caption
    header, *rows = tables["Performance by month"]
    cells = dict(zip(header, rows[-1], strict=True))
    assert cells["AUC of card trips"] == f"{last.segment_auc:.4f}"
    assert cells["estimated F1"] == f"{last.estimated_metrics.f1:.4f}"
    assert cells["change in log loss due to model"] == f"{last.log_loss_change.model:+.4f}"
    ((_, value, threshold, *months),) = [
        row for row in tables["Exceeded thresholds by month"] if row[0] == "AUC of card trips"
    ]
    assert (value, threshold) == (f"{reference.segment_auc:.4f}", "0.03")
    assert months[-1] == cells["AUC of card trips"]


def test_months_without_labels_have_estimated_metrics(model, year):
    report = monitor_year(model, year, labels_until="2021-10").report
    last = report.performance_by_month[-1]
    assert (last.month, last.metrics, last.f1_change, last.segment_prevalence) == (
        "2021-12",
        None,
        None,
        None,
    )
    realized = monitor_year(model, year).report.performance_by_month[-1]
    assert last.estimated_metrics == realized.estimated_metrics
    assert last.estimated_metrics.f1 == pytest.approx(realized.metrics.f1, abs=0.015)
    assert max(day.day for day in report.performance_by_day) == "2021-10-31"
    assert not report.alert_history
    caption, text, _ = read_section(report)
    assert caption.startswith(
        "No alert in 2021-12. Without labels, toytip cannot detect that the model performs worse."
    )
    assert text == "No threshold is exceeded in any month."


def test_the_default_synthetic_year_drifts(model, year):
    drifting = SyntheticSpec(rows_per_month=ROWS, seed=11)
    inputs = {**year, **{month: score(model, month, drifting) for month in YEAR[3:7]}}
    report = monitor_year(model, inputs, months=YEAR[:7]).report
    assert {("share", "segment"), ("missing", "passenger_count")} <= {
        (alert.kind, alert.name) for alert in report.alert_history
    }
    _, text, tables = read_section(report)
    (row,) = [
        row
        for row in tables["Exceeded thresholds by month"]
        if row[0] == "share of trips without passenger_count"
    ]
    rates = [
        measurement.value
        for measurement in report.exceeded_measurements
        if (measurement.kind, measurement.name) == ("missing", "passenger_count")
    ]
    assert row[2] == "reference range"
    assert [cell for cell in row[3:] if cell] == [f"{rate:.4f}" for rate in rates]
    assert text.startswith("Alerts in earlier months: ")
    assert "share of trips without passenger_count (2021-04, 2021-05" in text


def test_tallies_survive_parquet(year):
    tallies = year[YEAR[0]].tallies
    content = tallies_to_parquet(tallies)
    assert tallies_from_parquet(content) == tallies
    assert tallies_to_parquet(dict(reversed(tallies.items()))) == content
    days = daily_tallies_by_segment(tallies)
    assert len(days) == 31
    assert sum(card.rows + other.rows for card, other in days.values()) == sum(
        tally.rows for cell, tally in tallies.items() if not cell.slice and cell.predictor == "model"
    )


# more rows


def score_large_month(model, month, times):
    """Return the inputs of a month with `times` as many trips, merged from pieces as in a run."""
    tallies, histograms, rejects, rows = {}, [], Counter(), 0
    for seed in range(100, 100 + times):
        piece = score(model, month, SyntheticSpec(rows_per_month=ROWS, seed=seed, drift=False))
        tallies = combine_tallies(tallies, piece.tallies)
        histograms.append(piece.summary.histograms)
        rejects.update(piece.summary.rejects)
        rows += piece.summary.rows
        if len(histograms) > 8:
            histograms = [profile.merge_profiles(histograms)]
    return MonthInputs(
        tallies, MonthSummary(histograms=profile.merge_profiles(histograms), rows=rows, rejects=rejects)
    )


def count_significant(report, inputs):
    """Return how many features of the model differ from the reference by a chi-squared test."""
    by_month = {str(month): piece.summary.histograms for month, piece in inputs.items()}
    reference = profile.merge_profiles(by_month[month] for month in report.feature_reference)
    last = by_month[report.last_month]
    significant = 0
    for name in report.feature_importance:
        trips = [
            frame[frame["feature"] == name].groupby("value")["trips"].sum() for frame in (reference, last)
        ]
        table = pd.concat(trips, axis=1).fillna(0).to_numpy()
        table = table[table.sum(axis=1) >= 10]
        significant += len(table) > 1 and stats.chi2_contingency(table).pvalue < 0.001
    return significant


def monitor_large_year(model, times, months=YEAR):
    inputs = {month: score_large_month(model, month, times) for month in months}
    result = monitor_year(model, inputs, months)
    assert result.report.alert_history == ()
    rows = sum(performance.rows for performance in result.report.analysis_performance)
    assert rows > 0.9 * times * ROWS * (len(months) - len(LEARNING_MONTHS)) * 0.9
    return result, inputs


def largest_psi(result):
    """Return the largest PSI, without the calendar, because months differ in their weekdays."""
    calendar = ("pickup_weekday", "work_hours", "pickup_hour")
    return max(
        item.effect for item in result.measurements if item.measure == "psi" and item.name not in calendar
    )


def test_effects_shrink_as_trips_increase(model, year):
    result, _ = monitor_large_year(model, 4)
    assert largest_psi(result) < largest_psi(monitor_year(model, year)) / 2


@pytest.mark.volume
@pytest.mark.timeout(1800)
def test_no_alert_fires_at_a_hundred_times_the_rows(model):
    result, inputs = monitor_large_year(model, 100, LONG_YEAR)
    assert len(result.report.analysis_performance) == 12
    assert largest_psi(result) < 0.001
    # Significance is different: the calendar alone makes some p-values as good as zero.
    assert count_significant(result.report, inputs) > 2
