"""Parts of times are those of pandas, for any time, for arrays and for Series."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toytip.core import times

any_times = st.lists(st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)), max_size=9)  # noqa: DTZ001
PARTS = {
    times.weekday: lambda series: series.dt.day_of_week,
    times.hour: lambda series: series.dt.hour,
    times.minute: lambda series: series.dt.minute,
    times.month_index: lambda series: series.dt.year * 12 + series.dt.month - 1,
}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
@given(values=any_times)
def test_parts_are_those_of_pandas(part, values):
    series = pd.Series(values, dtype="datetime64[us]")
    expected = PARTS[part](series).tolist()
    assert part(series).tolist() == part(series.to_numpy()).tolist() == expected


@given(any_times, st.randoms())
def test_durations_have_the_bits_of_pandas(values, random):
    starts = pd.Series(values, dtype="datetime64[us]")
    stops = pd.Series(random.sample(values, len(values)), dtype="datetime64[us]")
    expected = (stops - starts).dt.total_seconds().to_numpy()
    seconds = times.seconds_between(starts.to_numpy(), stops.to_numpy())
    # pandas moves seconds beyond 285 years to a neighbor, so that a whole second stays below them.
    near = np.abs((stops - starts).to_numpy().astype(np.int64)) < 2**53
    assert seconds[near].tobytes() == expected[near].tobytes()
    assert seconds.tobytes() == times.seconds_between(starts, stops).tobytes()
