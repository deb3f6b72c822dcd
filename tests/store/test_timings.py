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
        (stage_timing(25, work=1_250), HISTORY, True),  # about as many rows
        (stage_timing(25, work=2_000), HISTORY, False),  # twice the rows
        (stage_timing(25, work=500), HISTORY, False),  # half of the rows, because fewer rounds were needed
        (stage_timing(25, shape="23 features"), HISTORY, False),  # other features or parameters
        (stage_timing(25), [], False),  # no history
        (stage_timing(25), HISTORY[:4], False),  # four runs do not show what is normal
        (stage_timing(25), [stage_timing(10, workers=4)] * 5, False),  # other workers
        (stage_timing(25), [stage_timing(10, threads=4)] * 5, False),
        (stage_timing(25), [stage_timing(10, stage="clean")] * 5, False),
        (stage_timing(4.9), [stage_timing(1)] * 5, False),  # too short to matter
        (stage_timing(5), [stage_timing(1)] * 5, True),
        (stage_timing(25), [stage_timing(10)] * 3 + [stage_timing(20)] * 5, False),  # the last five count
        (stage_timing(25), [stage_timing(20)] * 3 + [stage_timing(10)] * 5, True),
        (stage_timing(91), [*HISTORY[:3], stage_timing(90), stage_timing(90)], True),  # the median
        (stage_timing(89), [*HISTORY[:3], stage_timing(90), stage_timing(90)], False),  # it was slower before
        (stage_timing(25, work=0), HISTORY, False),
    ],
)
def test_when_a_stage_is_slow(timing, history, is_slow):
    assert bool(timings.slow_warning(timing, history)) is is_slow


def test_the_warning_names_seconds_of_comparable_runs():
    slow = stage_timing(5.3, stage="train")
    history = [stage_timing(seconds, stage="train") for seconds in (2.1, 2.6, 2.2, 2.3, 2.4)]
    assert timings.slow_warning(slow, history) == (
        "train took 5.3 s, and the last 5 runs of this size with 2 workers took 2.1 to 2.6 s "
        "(check whether other programs use the machine)"
    )
