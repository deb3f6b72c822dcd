"""Tests of the comparison of stage timings with earlier versions."""

import pytest

from tests.support.states import stage_timing
from toytip.store import timings

HISTORY = [stage_timing(10), stage_timing(9), stage_timing(11), stage_timing(10), stage_timing(10)]


@pytest.mark.parametrize(
    ("timing", "history", "is_slow"),
    [
        (stage_timing(25), HISTORY, True),
        (stage_timing(20), HISTORY, False),  # twice is not more than twice
        (stage_timing(25, work=2_000), HISTORY, False),  # twice the rows
        (stage_timing(25), [], False),  # no history
        (stage_timing(25), [stage_timing(10, workers=4)] * 5, False),  # other workers
        (stage_timing(25), [stage_timing(10, threads=4)] * 5, False),
        (stage_timing(25), [stage_timing(10, stage="clean")] * 5, False),
        (stage_timing(25), [stage_timing(10)], True),
        (stage_timing(4.9), [stage_timing(1)] * 5, False),  # too short to matter
        (stage_timing(5), [stage_timing(1)] * 5, True),
        (stage_timing(25), [stage_timing(10)] * 3 + [stage_timing(20)] * 5, False),  # the last five count
        (stage_timing(25), [stage_timing(20)] * 3 + [stage_timing(10)] * 5, True),
        (
            stage_timing(25),
            [stage_timing(10), stage_timing(10), stage_timing(10), stage_timing(90), stage_timing(90)],
            True,
        ),  # the median, not the mean
        (stage_timing(25, work=0), HISTORY, False),
    ],
)
def test_when_a_stage_is_slow(timing, history, is_slow):
    assert bool(timings.slow_warning(timing, history)) is is_slow
