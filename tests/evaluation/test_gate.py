"""The promotion gate: checks of a challenger from counts of the test rows."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.support.scored_trips import ENCODING, SPLIT, scored_trips, tallies_of
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.evaluation.gate import evaluate_gate
from toytip.evaluation.metrics import FittedBaselines
from toytip.evaluation.tally import combine_tallies
from toytip.stages.postprocess import postprocess
from toytip.stages.summarize import summarize_predictions

BASELINES = FittedBaselines(rate=0.4, group_mean_threshold=0.5)


@pytest.fixture(scope="module")
def trips():
    """Scores and features of the test rows."""
    scores, features = scored_trips(60_000)
    rows = (scores["split"] == "test").to_numpy()
    return scores[rows].reset_index(drop=True), features[rows].reset_index(drop=True)


def tallies_with(trips, probability, predictor="model", threshold=0.5):
    scores, features = trips
    scores = scores.assign(probability=probability.astype(np.float32))
    return tallies_of(scores, features, threshold, predictor=predictor)


def probabilities(trips, skill, seed=0):
    """Return probabilities that predict the label; with skill 0 they do not."""
    rng = np.random.default_rng(seed)
    label = trips[0]["high_tip"].to_numpy()
    rate = label.mean()
    evidence = rng.normal(skill * (label - 0.5), 1.0)
    odds = rate / (1 - rate) * np.exp(skill * evidence)
    return odds / (1 + odds)


def check(trips, challenger, champion=None):
    tallies = tallies_with(trips, challenger, threshold=0.3)
    if champion is not None:
        tallies = combine_tallies(tallies, tallies_with(trips, champion, "champion"))
    return evaluate_gate(tallies, BASELINES, "all", TLC)


def failed(gate):
    return [check.name for check in gate.checks if not check.passed]


def test_first_good_model_passes(trips):
    gate = check(trips, probabilities(trips, 1.5))
    assert gate.passed, gate.rejection_reasons
    assert {check.name.split(" (")[0] for check in gate.checks} == {
        "better than the always-positive baseline",
        "better than the constant-probability baseline",
        "better than the hour-and-zone mean",
        "not worse in any slice",
    }


def test_model_without_skill_is_rejected_with_reasons(trips):
    gate = check(trips, probabilities(trips, 0.0))
    assert not gate.passed
    assert any("the hour-and-zone mean 0." in reason for reason in gate.rejection_reasons)


@pytest.mark.parametrize(
    ("challenger", "champion", "passes"),
    [
        ((1.5, 1), (1.2, 1), True),
        ((1.2, 1), (1.5, 1), False),
        ((1.5, 1), (1.5, 1), True),
        ((1.49, 3), (1.5, 1), True),
    ],
    ids=["better", "worse", "equal", "not significantly worse"],
)
def test_challenger_is_compared_with_the_champion(trips, challenger, champion, passes):
    gate = check(trips, probabilities(trips, *challenger), probabilities(trips, *champion))
    assert gate.passed is passes, gate.checks
    assert passes or any("champion 0." in reason for reason in gate.rejection_reasons)


def test_worse_slice_is_named(trips):
    good = probabilities(trips, 1.5)
    hour = (trips[1]["pickup_hour"] == 8).to_numpy()
    inverted = np.where(hour, 1 - good, good)
    for champion in (good, None):
        reasons = check(trips, inverted, champion).rejection_reasons
        assert any("slice 8:00 to 8:59" in reason for reason in reasons)


def test_a_slice_that_passes_states_its_limit(trips):
    """The message shows why a slice passes whose AUC is lower than that of the champion."""
    gate = check(trips, probabilities(trips, 1.49, 3), probabilities(trips, 1.5))
    slices = gate.checks[-1]
    assert slices.passed
    pattern = r"AUC (\S+) in slice .+, at least (\S+) required \(champion \S+ minus 3 standard errors\)"
    auc, limit = re.fullmatch(pattern, slices.message).groups()
    assert float(auc) >= float(limit)


def test_slice_with_one_high_tip_is_not_checked(trips):
    scores, features = trips
    good = probabilities(trips, 1.5)
    hour = (features["pickup_hour"] == 8).to_numpy()
    first = int(np.flatnonzero(hour)[0])
    label = scores["high_tip"].to_numpy() & ~hour
    label[first] = True
    relabeled = scores.assign(high_tip=label), features
    gate = check(relabeled, np.where(np.arange(len(hour)) == first, 0, good))
    assert gate.checks[-1].passed, gate.rejection_reasons


def test_miscalibrated_probabilities_are_rejected_despite_their_ranking(trips):
    good = probabilities(trips, 1.5)
    assert failed(check(trips, good**3, good))[-1] == "not worse than the champion (log loss)"


def test_model_without_test_rows_is_rejected(trips):
    scores, features = trips
    encoding = replace(ENCODING, split=replace(SPLIT, test=SPLIT.train))
    tallies = summarize_predictions(postprocess(scores, 0.5, TLC), features, encoding)
    gate = evaluate_gate(tallies, BASELINES, "all", TLC)
    assert gate.rejection_reasons == ("the test months have no trips in segment all",)
