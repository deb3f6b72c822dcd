"""Hooks of Schemathesis, which loads this module in a process of its own."""

import datetime as dt

import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
TIMES = st.datetimes(
    dt.datetime(1, 1, 3),  # noqa: DTZ001
    dt.datetime(9999, 12, 28),  # noqa: DTZ001
    timezones=st.none() | OFFSETS,
)
schemathesis.openapi.format(
    "date-time", st.builds(dt.datetime.isoformat, TIMES, sep=st.sampled_from(["T", " "]))
)


@schemathesis.check
def only_rules_reject_valid_trips(_ctx, response, case):
    """A trip that the schema describes has a score, or the reason why it has none."""
    is_valid = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if is_valid and response.status_code == 422:
        assert "reason" in response.json(), response.text
