"""The parts of a change add up to it, and a single cause is attributed to itself alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.score_histograms import tally_of_rates
from toytip.evaluation.tally import SLICE_BINS, Tally
from toytip.monitoring import attribution

share = st.floats(0.05, 0.95)


@given(*[share] * 10)
def test_the_three_parts_add_up(
    card, later_card, tip, later_tip, hit, later_hit, alarm, cash_alarm, loss, later_loss
):
    rows = 10**6

    def card_and_other(card, tip, hit, loss):
        card_rows = round(card * rows)
        return (
            tally_of_rates(card_rows, tip, hit, alarm, loss),
            tally_of_rates(rows - card_rows, 0, 0, cash_alarm, loss),
        )

    reference = card_and_other(card, tip, hit, loss)
    month = card_and_other(later_card, later_tip, later_hit, later_loss)
    prevalence, f1, log_loss = attribution.attribute_change(reference, month)
    for change in (prevalence, f1, log_loss):
        assert change.segment_share + change.prevalence + change.model == pytest.approx(
            change.total, abs=1e-9
        )
    assert prevalence.model == pytest.approx(0, abs=1e-12)
    two_parts = attribution.f1_and_log_loss_changes(
        reference[0].merge(reference[1]), month[0].merge(month[1])
    )
    assert [f1.total, log_loss.total] == pytest.approx([part.total for part in two_parts], abs=1e-9)


def test_a_single_cause_is_attributed_to_itself():
    def card_and_other(cards=700_000, tip=0.8, hit=0.9):
        return (
            tally_of_rates(cards, tip, hit, 0.5, 0.4),
            tally_of_rates(1_000_000 - cards, 0.0, 0.0, 0.3, 0.4),
        )

    for cause, part in (
        ({"cards": 500_000}, "segment_share"),
        ({"tip": 0.7}, "prevalence"),
        ({"hit": 0.7}, "model"),
    ):
        _, f1, _ = attribution.attribute_change(card_and_other(), card_and_other(**cause))
        assert getattr(f1, part) == pytest.approx(f1.total)
        assert f1.total < -0.02
    empty = Tally.empty(SLICE_BINS)
    assert attribution.attribute_change(card_and_other(), (empty, empty)) == (None, None, None)
