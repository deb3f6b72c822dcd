"""The evaluation by split, segment and slice, compared with the baselines."""

import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn import metrics as sklearn_metrics

from tests.support.scored_trips import ENCODING, scored_trips, tallies_of
from toytip.core.columns import columns_of
from toytip.core.jsonable import to_json
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.evaluation.breakdown import evaluation_report, metrics_by_split
from toytip.evaluation.metrics import MIN_CLASS_TRIPS, FittedBaselines
from toytip.evaluation.report import EvaluationSummary, summarize_report
from toytip.evaluation.tally import MIN_SLICE_TRIPS

BASELINES = FittedBaselines(rate=0.4, group_mean_threshold=0.5)


def test_metrics_are_compared_with_baselines():
    scores, features = scored_trips()
    report = evaluation_report(tallies_of(scores, features), BASELINES, TLC)["test"]["all"]
    rows = scores[scores["split"] == "test"]
    label = rows["high_tip"]
    names = ("always_positive", "constant_probability", "group_mean")
    always_positive, constant, group_mean = (report.baselines[name] for name in names)
    constant_rate = np.full(len(label), 0.4)
    assert always_positive.f1 == pytest.approx(sklearn_metrics.f1_score(label, np.ones(len(label), bool)))
    assert constant.log_loss == pytest.approx(sklearn_metrics.log_loss(label, constant_rate))
    assert constant.brier == pytest.approx(sklearn_metrics.brier_score_loss(label, constant_rate))
    rates = ENCODING.baseline_rate(columns_of(features))[rows.index]
    assert group_mean.auc == pytest.approx(sklearn_metrics.roc_auc_score(label, rates), abs=1e-3)
    assert group_mean.log_loss == pytest.approx(
        sklearn_metrics.log_loss(label, rates.astype(float)), abs=1e-6
    )
    assert report.improvement["constant_probability"].log_loss == pytest.approx(
        constant.log_loss - report.metrics.log_loss
    )
    assert report.improvement["always_positive"].auc == pytest.approx(report.metrics.auc - 0.5)


def test_worst_slices_have_enough_trips_of_both_classes():
    report = evaluation_report(tallies_of(*scored_trips()), BASELINES, TLC)["test"]["all"]
    assert all(item.rows >= MIN_SLICE_TRIPS for item in report.slices)
    aucs = [item.auc for item in report.worst_slices]
    assert aucs == sorted(aucs)
    smaller_class = [round(item.rows * min(item.prevalence, 1 - item.prevalence)) for item in report.slices]
    ranked = zip(report.slices, smaller_class, strict=True)
    assert aucs[0] == min(item.auc for item, trips in ranked if trips >= MIN_CLASS_TRIPS)
    assert min(smaller_class) < MIN_CLASS_TRIPS, "some slices must be too small"


def test_slices_have_words_and_the_card_segment_is_not_among_the_worst():
    scores, features = scored_trips()
    card = features["payment_type"] == 1
    scores["probability"] = scores["probability"].where(~card, 1 - scores["probability"])
    report = evaluation_report(tallies_of(scores, features), BASELINES, TLC)["test"]
    by_label = {item.label: item for item in report["all"].slices}
    assert {"card", "cash", "Monday", "2-5 miles"} <= set(by_label)
    assert (by_label["card"].slice, by_label["card"].value) == ("payment_type", "1")
    for segment in report.values():
        ranked = [item.label for item in segment.worst_slices]
        assert ranked
        assert "card" not in ranked


def test_split_without_positives_has_no_auc():
    scores, features = scored_trips(300)
    tallies = tallies_of(scores.assign(high_tip=False), features)
    values = metrics_by_split(tallies)["test"]
    assert values.auc is values.pr_auc is values.recall is None
    assert values.prevalence == 0
    assert evaluation_report(tallies, FittedBaselines(rate=0.4), TLC)["test"]["all"].worst_slices == ()


def test_summary_survives_the_round_trip_through_json():
    tallies = tallies_of(*scored_trips(20_000))
    summary = summarize_report(evaluation_report(tallies, BASELINES, TLC))
    assert summary["test"]["all"].intervals["auc"] is not None
    assert summary["test"]["all"].worst_slices
    assert TypeAdapter(EvaluationSummary).validate_python(to_json(summary)) == summary
