"""Metrics estimated without labels agree with the realized ones if probabilities are calibrated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from tests.support.score_histograms import tally_of_trips
from toytip.evaluation.metrics import compute_metrics
from toytip.evaluation.tally import Tally
from toytip.monitoring import cbpe


def test_the_estimate_agrees_with_the_realized_metrics():
    rng = np.random.default_rng(3)
    truth = rng.beta(2, 2, 200_000)
    probability = truth**1.5  # not calibrated, with a threshold in the middle of a bin
    label = rng.random(len(truth)) < truth
    reference = slice(0, 100_000)
    calibration = cbpe.fit_calibration(tally_of_trips(probability[reference], label[reference], 0.4003))
    harder = np.flatnonzero(truth[100_000:] < 0.7) + 100_000
    month = tally_of_trips(probability[harder], label[harder], 0.4003)
    estimated = cbpe.estimate_metrics(month, calibration)
    realized = compute_metrics(month)
    for name in ("prevalence", "auc", "f1", "log_loss"):
        assert getattr(estimated, name) == pytest.approx(getattr(realized, name), abs=0.01), name
    unlabeled = replace(month, negatives=month.negatives + month.positives, positives=0 * month.positives)
    assert cbpe.estimate_metrics(unlabeled, calibration).f1 == estimated.f1, "it reads no label"
    assert cbpe.fit_calibration(Tally.empty()) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=60))
def test_the_calibration_has_the_bits_of_scikit_learn(counts):
    negatives, positives = np.array(counts, np.int64).T
    tally = replace(Tally.empty(), negatives=negatives, positives=positives)
    calibration = cbpe.fit_calibration(tally)
    trips, bins = negatives + positives, np.arange(len(counts))
    if not 0 < positives.sum() < trips.sum():
        assert calibration is None
        return
    filled = trips > 0
    expected = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
        bins[filled], positives[filled] / trips[filled], sample_weight=trips[filled]
    )
    assert calibration.tolist() == expected.predict(bins).tolist()
