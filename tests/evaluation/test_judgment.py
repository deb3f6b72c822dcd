"""Differences between predictors, ranks on a leaderboard, and the text of faults."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.support.scored_trips import scored_trips, tallies_of
from toytip.evaluation.judgment import (
    Conclusion,
    FaultCount,
    MetricDifference,
    PredictionFaults,
    ScoredDays,
    differences_to,
)
from toytip.evaluation.report import Interval
from toytip.evaluation.tally import TallyKey


def with_noise(scores, spread):
    noise = np.random.default_rng(1).normal(0, spread, len(scores))
    return scores.assign(probability=(scores["probability"] + noise).clip(0, 1).astype("float32"))


@pytest.mark.parametrize(
    ("value", "interval", "conclusion"),
    [
        (0.01, (0.001, 0.02), "better"),
        (-0.01, (-0.02, -0.001), "worse"),
        (0.01, (-0.001, 0.02), "not_distinguishable"),
        (0.0, (0.0, 0.0), "not_distinguishable"),
        (0.01, None, "not_distinguishable"),
        (None, None, "not_distinguishable"),
    ],
)
def test_a_conclusion_needs_an_interval_without_zero(value, interval, conclusion):
    assert MetricDifference.of(value, interval and Interval(*interval)).conclusion == conclusion


@pytest.mark.parametrize(
    ("spread", "conclusion"), [(0.0, "not_distinguishable"), (0.001, "not_distinguishable"), (0.5, "worse")]
)
def test_noise_makes_predictions_worse(spread, conclusion):
    scores, features = scored_trips(20_000)
    reference = ScoredDays.of(tallies_of(scores, features), "all")
    noisy = ScoredDays.of(tallies_of(with_noise(scores, spread), features), "all")
    difference = noisy.differences(reference)["auc"]
    assert difference.conclusion == conclusion
    if not spread:
        assert (difference.value, difference.interval) == (0, Interval(0, 0))
    opposite = reference.differences(noisy)["auc"]
    assert opposite.value == pytest.approx(-difference.value)
    assert (opposite.conclusion == Conclusion.BETTER) == (conclusion == "worse")


def test_the_champion_is_compared_by_segment():
    scores, features = scored_trips(20_000)
    champion = tallies_of(with_noise(scores, 0.5), features, predictor="champion")
    differences = differences_to(tallies_of(scores, features) | champion, "champion", ("all", "card"))
    assert list(differences) == ["all", "card"]
    for metrics in differences.values():
        assert list(metrics) == ["auc", "log_loss", "brier", "f1"]
        assert metrics["auc"].conclusion == "better"
        assert metrics["auc"].value > 0


def test_a_few_days_have_no_conclusion():
    scores, features = scored_trips(5_000)
    tallies = {
        key: tally
        for key, tally in tallies_of(scores, features).items()
        if key.slice != "day" or key.value < "2023-01-24"
    }
    assert TallyKey("test", "card") in tallies
    days = ScoredDays.of(tallies, "all")
    difference = days.differences(days)["auc"]
    assert (difference.interval, difference.conclusion) == (None, "not_distinguishable")


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        ({"missing": FaultCount(1, 7)}, "1 test trip has no prediction (trip ID 7)"),
        ({"repeated": FaultCount(1200, 7)}, "1,200 predictions repeat a trip (first trip ID 7)"),
        ({"unknown": FaultCount(1, -7)}, "1 prediction is of trips that v1 does not contain (trip ID -7)"),
        (
            {"null": FaultCount(2), "out_of_range": FaultCount(1)},
            "2 predictions are incomplete (null) and 1 prediction has a probability that is not between 0 and 1",
        ),
        (
            {"null": FaultCount(2, 1202004000000000)},
            "2 predictions are incomplete (null, first trip ID 1202004000000000)",
        ),
    ],
)
def test_faults_are_counted_in_words(faults, text):
    counted = PredictionFaults(**faults)
    assert counted
    assert counted.describe("v1") == text
    assert not PredictionFaults()
    one, two = FaultCount(1, 5), FaultCount(2, 5)
    assert PredictionFaults(missing=one) + replace(counted, missing=one) == replace(counted, missing=two)


def test_the_first_trip_of_a_fault_is_the_smallest_in_any_order():
    parts = [FaultCount.of(np.array(ids, np.int64)) for ids in ([9, 4], [], [6, 3])]
    for order in itertools.permutations(parts):
        assert sum(order, FaultCount()) == FaultCount(4, 3)
    assert FaultCount.of(np.array([], np.int64), count=2) == FaultCount(2, None)
