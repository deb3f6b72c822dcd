"""The age up to which a model is usable, and the two parts of a change of performance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toytip.evaluation.tally import LOSS_SCALE, PROBABILITY_BINS, Tally
from toytip.monitoring.aging import AgeLoss, LossSummary, max_model_age
from toytip.monitoring.attribution import f1_and_log_loss_changes

share = st.floats(0.01, 0.99)


def tally(positives, negatives, hits, false_alarms, positive_loss=0.5, negative_loss=0.3):
    counts = np.zeros((2, PROBABILITY_BINS), np.int64)
    counts[0, 0], counts[1, 0] = negatives, positives
    losses = [
        round(trips * loss * LOSS_SCALE)
        for trips, loss in ((positives, positive_loss), (negatives, negative_loss))
    ]
    return Tally(counts[0], counts[1], hits, false_alarms, sum(losses), 0, losses[0])


@given(share, share, share, share, share, share)
def test_the_two_parts_add_up(p, q, hit, alarm, later_hit, later_alarm):
    rows = 10**6

    def month(prevalence, hit_rate, alarm_rate, loss):
        positives = round(prevalence * rows)
        negatives = rows - positives
        return tally(
            positives, negatives, round(hit_rate * positives), round(alarm_rate * negatives), loss, 1 - loss
        )

    reference, current = month(p, hit, alarm, 0.4), month(q, later_hit, later_alarm, 0.7)
    changes = f1_and_log_loss_changes(reference, current)
    for change in changes:
        assert change.prevalence + change.model == pytest.approx(change.total, abs=1e-12)
    reverse = f1_and_log_loss_changes(current, reference)
    assert [change.prevalence for change in reverse] == pytest.approx(
        [-change.prevalence for change in changes], abs=1e-9
    )


def test_a_change_of_the_prevalence_is_not_attributed_to_the_model():
    f1, log_loss = f1_and_log_loss_changes(tally(1_000, 1_000, 800, 300), tally(500, 1_500, 400, 450))
    assert f1.model == pytest.approx(0, abs=1e-12)
    assert f1.total == f1.prevalence < -0.1
    assert log_loss.model == pytest.approx(0, abs=1e-9)


def test_a_worse_model_is_not_attributed_to_the_prevalence():
    reference = tally(1_000, 1_000, 800, 300)
    f1, log_loss = f1_and_log_loss_changes(reference, tally(1_000, 1_000, 600, 400, 0.7))
    assert f1.prevalence == pytest.approx(0, abs=1e-12)
    assert f1.model < 0 < log_loss.model
    assert log_loss.prevalence == pytest.approx(0, abs=1e-9)
    assert f1_and_log_loss_changes(reference, tally(0, 10, 0, 1)) == (None, None)


def test_the_maximum_age_of_a_model():
    losses = [
        AgeLoss(
            age_months=age,
            n_months=3,
            auc=LossSummary(mean=loss, minimum=0, maximum=1),
            log_loss=LossSummary(mean=0, minimum=0, maximum=0),
        )
        for age, loss in ((2, 0.001), (3, 0.01), (4, 0.0))
    ]
    assert [max_model_age(losses, limit) for limit in (0, 0.005, 0.02)] == [1, 2, 4]
