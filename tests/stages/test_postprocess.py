"""The decision threshold with the best F1."""

import numpy as np
from sklearn import metrics as sklearn_metrics

from tests.support.scored_trips import scored_trips, tallies_of
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.evaluation.tally import PROBABILITY_BINS, tally_of
from toytip.stages.postprocess import best_f1_threshold, postprocess


def test_tuned_threshold_has_the_best_f1():
    scores, features = scored_trips()
    tally = tally_of(tallies_of(scores, features), "validation", "all")
    threshold = best_f1_threshold(tally.negatives, tally.positives)
    frame = scores[scores["split"] == "validation"].reset_index(drop=True)

    def f1(threshold):
        return sklearn_metrics.f1_score(frame["high_tip"], postprocess(frame, threshold, TLC)["prediction"])

    assert f1(threshold) >= max(f1(other) for other in np.linspace(0, 0.99, 200))
    assert float(np.float32(threshold)) == threshold


def test_threshold_without_positives_is_the_default():
    assert best_f1_threshold(np.ones(PROBABILITY_BINS, np.int64), np.zeros(PROBABILITY_BINS, np.int64)) == 0.5
