"""gate: who may become the champion, from counts of the test rows."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.test_evaluation import ENCODING, SPLIT, made
from toytip.evaluation.gate import evaluate_gate
from toytip.evaluation.metrics import Baseline
from toytip.evaluation.tally import combine_tallies
from toytip.stages.postprocess import postprocess
from toytip.stages.summarize import summarize_predictions

TRIVIAL = Baseline(rate=0.4, threshold=0.5)


@pytest.fixture(scope="module")
def trips():
    scores, features = made(60_000)
    rows = (scores["split"] == "test").to_numpy()
    return scores[rows].reset_index(drop=True), features[rows].reset_index(drop=True)


def summary_of(trips, chance, predictor="model", threshold=0.5):
    scores, features = trips
    said = postprocess(scores.assign(probability=chance.astype(np.float32)), threshold)
    return summarize_predictions(said, features, ENCODING, predictor=predictor)


def knowing(trips, skill, seed=0):
    """Return probabilities that know the label so well: 0 is nothing."""
    rng = np.random.default_rng(seed)
    label = trips[0]["high_tip"].to_numpy()
    base = label.mean()
    evidence = rng.normal(skill * (label - 0.5), 1.0)
    odds = base / (1 - base) * np.exp(skill * evidence)
    return odds / (1 + odds)


def verdict_of(trips, challenger, champion=None):
    summary = summary_of(trips, challenger, threshold=0.3)
    if champion is not None:
        summary = combine_tallies(summary, summary_of(trips, champion, "champion"))
    return evaluate_gate(summary, TRIVIAL, "all")


def test_the_first_good_model_passes(trips):
    verdict = verdict_of(trips, knowing(trips, 1.5))
    assert verdict.passed, verdict.rejection_reasons
    assert {check.name.split(" (")[0] for check in verdict.checks} == {
        "beats always yes", "beats the base rate", "beats the rate of the hour and zone", "holds in the worst slice",
    }  # fmt: skip


def test_one_that_knows_nothing_is_refused_with_reasons(trips):
    verdict = verdict_of(trips, knowing(trips, 0.0))
    assert not verdict.passed
    assert any("by the rate of the hour and zone" in reason for reason in verdict.rejection_reasons)


@pytest.mark.parametrize(
    ("challenger", "champion", "passes"),
    [
        ((1.5, 1), (1.2, 1), True),
        ((1.2, 1), (1.5, 1), False),
        ((1.5, 1), (1.5, 1), True),
        ((1.49, 3), (1.5, 1), True),
    ],
    ids=["better", "worse", "as good", "worse by less than chance"],
)
def test_beside_a_champion(trips, challenger, champion, passes):
    verdict = verdict_of(trips, knowing(trips, *challenger), knowing(trips, *champion))
    assert verdict.passed is passes, verdict.checks
    assert passes or any("the champion's" in reason for reason in verdict.rejection_reasons)


def test_one_slice_that_breaks_is_named(trips):
    good = knowing(trips, 1.5)
    hour = (trips[1]["pickup_hour"] == 8).to_numpy()
    verdict = verdict_of(trips, np.where(hour, 1 - good, good), good)
    assert any("hour 8" in reason for reason in verdict.rejection_reasons)
    assert any(
        "hour 8" in reason for reason in verdict_of(trips, np.where(hour, 1 - good, good)).rejection_reasons
    )


def test_a_slice_with_one_high_tip_says_nothing(trips):
    scores, features = trips
    good = knowing(trips, 1.5)
    hour = (features["pickup_hour"] == 8).to_numpy()
    one = int(np.flatnonzero(hour)[0])
    label = scores["high_tip"].to_numpy() & ~hour
    label[one] = True
    verdict = verdict_of(
        (scores.assign(high_tip=label), features), np.where(np.arange(len(hour)) == one, 0, good)
    )
    assert verdict.checks[-1].passed, verdict.rejection_reasons


def test_probabilities_that_are_not_true_are_refused_though_they_rank(trips):
    good = knowing(trips, 1.5)
    verdict = verdict_of(trips, good**3, good)
    assert [check.name for check in verdict.checks if not check.passed][-1] == (
        "not worse than the champion (log loss)"
    )


def test_without_test_rows_nobody_passes(trips):
    scores, features = trips
    early = replace(ENCODING, split=replace(SPLIT, test=SPLIT.train))
    said = postprocess(scores, 0.5)
    verdict = evaluate_gate(summarize_predictions(said, features, early), TRIVIAL, "all")
    assert verdict.rejection_reasons == ["no all trips in the test months to judge by"]
