"""Metrics from metric histograms: equal to those of scikit-learn."""

from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from tests.support.scored_trips import SPLIT, scored_trips, tallies_of
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.evaluation import metrics
from toytip.evaluation.breakdown import metrics_by_split
from toytip.evaluation.tally import combine_tallies, tally_of
from toytip.stages import preprocess
from toytip.stages.postprocess import postprocess
from toytip.stages.summarize import PROBABILITY_EPSILON


def expected_metrics(rows):
    """Return the metrics of scikit-learn."""
    label, probability = rows["high_tip"], rows["probability"].astype(float)
    prediction = rows["prediction"]
    clipped = np.clip(probability, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)
    return {
        "rows": len(rows),
        "prevalence": pytest.approx(label.mean()),
        "auc": pytest.approx(sklearn_metrics.roc_auc_score(label, probability), abs=1e-4),
        "pr_auc": pytest.approx(sklearn_metrics.average_precision_score(label, probability), abs=1e-3),
        "log_loss": pytest.approx(sklearn_metrics.log_loss(label, clipped), abs=1e-6),
        "brier": pytest.approx(sklearn_metrics.brier_score_loss(label, probability), abs=1e-8),
        "f1": pytest.approx(sklearn_metrics.f1_score(label, prediction)),
        "precision": pytest.approx(sklearn_metrics.precision_score(label, prediction)),
        "recall": pytest.approx(sklearn_metrics.recall_score(label, prediction)),
    }


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 3_000), max_size=3), st.integers(0, 9))
def test_metrics_equal_those_of_scikit_learn_for_any_partitions(cuts, seed):
    scores, features = scored_trips(3_000, seed)
    predictions = postprocess(scores, 0.5, TLC)
    edges = [0, *sorted(cuts), 3_000]
    tallies = {}
    for start, stop in pairwise(edges):
        parts = (frame[start:stop].reset_index(drop=True) for frame in (scores, features))
        tallies = combine_tallies(tallies, tallies_of(*parts))
    for segment in ("all", "card"):
        in_segment = predictions[features["payment_type"] == 1] if segment == "card" else predictions
        by_split = metrics_by_split(tallies, segment)
        assert list(by_split) == ["train", "validation", "test"]
        for split, values in by_split.items():
            rows = in_segment[in_segment["split"] == split]
            assert asdict(values) == expected_metrics(rows)
            always_positive = sklearn_metrics.f1_score(rows["high_tip"], np.ones(len(rows), bool))
            tally = tally_of(tallies, split, segment)
            assert metrics.f1_always_positive(tally) == pytest.approx(always_positive)


def test_binning_error_is_an_upper_bound():
    scores, features = scored_trips()
    tally = tally_of(tallies_of(scores, features), "test", "all")
    rows = scores[scores["split"] == "test"]
    exact = sklearn_metrics.roc_auc_score(rows["high_tip"], rows["probability"])
    assert (
        abs(metrics.compute_metrics(tally).auc - exact)
        <= metrics.auc_binning_error(tally.negatives, tally.positives)
        < 1e-3
    )


def test_calibration_equals_that_of_scikit_learn():
    scores, features = scored_trips()
    rows = scores[scores["split"] == "test"]
    tally = tally_of(tallies_of(scores, features), "test", "all")
    bins = metrics.calibration_bins(tally)
    observed, predicted = calibration_curve(
        rows["high_tip"], rows["probability"], n_bins=metrics.CALIBRATION_BINS
    )
    assert [item.observed for item in bins] == pytest.approx(observed.tolist(), abs=1e-12)
    assert [item.predicted for item in bins] == pytest.approx(predicted.tolist(), abs=1e-4)
    trips = np.array([item.trips for item in bins])
    expected = np.average(np.abs(observed - predicted), weights=trips)
    assert metrics.calibration_error(tally) == pytest.approx(expected, abs=1e-4)


def test_confusion_and_threshold_curve():
    scores, features = scored_trips()
    tally = tally_of(tallies_of(scores, features, 0.3), "test", "all")
    predictions = postprocess(scores, 0.3, TLC)
    rows = predictions[predictions["split"] == "test"]
    assert list(asdict(metrics.confusion_counts(tally)).values()) == [
        ((rows["prediction"] == prediction) & (rows["high_tip"] == label)).sum()
        for prediction, label in ((True, True), (True, False), (False, True), (False, False))
    ]
    for point in metrics.threshold_curve(tally)[::10]:
        decided = rows["probability"] >= np.float32(point.threshold)
        assert point.f1 == pytest.approx(sklearn_metrics.f1_score(rows["high_tip"], decided))


def test_feature_that_reveals_the_tip_has_a_high_auc():
    scores, features = scored_trips(20_000)
    rng = np.random.default_rng(0)
    label = scores["high_tip"].to_numpy()
    noise = rng.normal(0, 0.01, len(label))
    columns = {
        "settled": np.where(label, 5.0, 0.0),
        "derived": np.log1p(np.where(label, 5.0, 0.0)) / features["fare_amount"] + noise,
        "not monotone": np.where(label, rng.choice([-3.0, 3.0], len(label)), rng.normal(0, 0.5, len(label))),
        "missing if tipped": np.where(label, np.nan, 1.0),
        "chance": rng.normal(size=len(label)),
        "payment": features["payment_type"],
    }
    frame = features.assign(**columns)
    counts = preprocess.count_values(frame, tuple(columns), SPLIT, "all", TLC)
    aucs = {
        name: metrics.single_feature_auc(by_value, positives, counts.rows, counts.positives)
        for name, (_, by_value, positives) in counts.by_value.items()
    }
    leaking = {name for name, value in aucs.items() if value >= metrics.LEAKAGE_AUC}
    assert leaking == set(columns) - {"chance", "payment"}
    assert aucs["chance"] < 0.6
    rows = features["pickup_at"] < "2023-01-11"
    is_card = (features["payment_type"] == 1)[rows]
    assert aucs["payment"] == pytest.approx(sklearn_metrics.roc_auc_score(label[rows], is_card))
