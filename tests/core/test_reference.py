"""Reference tables are joined as of the time at which their rows were known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toytip.core.dataset.block_minima import block_minima, last_at_most
from toytip.core.dataset.reference import ReferenceRows, index_of, join_rows

NOON = np.datetime64("2023-01-10T12:00", "us")


def hours(values):
    return NOON + np.array(values, "timedelta64[h]")


def make_rows(rows, *, key=("zone",), valid_for=0):
    """Return a table of tuples (zone, hour from which it is valid, hour it became known, value)."""
    columns = [np.array(column, np.float64) for column in zip(*rows, strict=True)] or [np.empty(0)] * 4
    numbers = {"zone": columns[0], "rain": columns[3]} if key else {"rain": columns[3]}
    times = [hours(column.astype(np.int64)) for column in columns[1:3]]
    return ReferenceRows.of("weather", key, valid_for, times, numbers)


def join(rows, trips):
    """Return the values for trips, which are tuples (zone, pickup hour, dropoff hour)."""
    zones, pickups, dropoffs = zip(*trips, strict=True)
    columns = {
        "zone": np.array(zones, np.float32),
        "pickup_at": hours(pickups),
        "dropoff_at": hours(dropoffs),
    }
    return join_rows(rows, columns, "pickup_at", "dropoff_at")["weather.rain"].tolist()


ROWS = [(1, 0, 1, 10), (1, 4, 5, 14), (1, 4, 8, 15), (2, 0, 0, 20)]
# A trip, and the value of its row.
TRIPS = {
    "not valid yet": ((1, -1, 9), None),
    "not known yet": ((1, 0, 0), None),
    "known at the dropoff": ((1, 0, 1), 10),
    "the later row is not known": ((1, 4, 4), 10),
    "the later row is known": ((1, 4, 5), 14),
    "the correction is known": ((1, 4, 8), 15),
    "the correction counts later": ((1, 6, 9), 15),
    "other key": ((2, 6, 9), 20),
    "unknown key": ((3, 6, 9), None),
    "missing key": ((np.nan, 6, 9), None),
}


@pytest.mark.parametrize(("trip", "value"), TRIPS.values(), ids=TRIPS)
def test_a_trip_gets_the_latest_row_that_was_known(trip, value):
    (joined,) = join(make_rows(ROWS), [trip])
    assert joined == value or (value is None and np.isnan(joined))


def test_a_row_can_be_valid_for_a_limited_time():
    rows = make_rows(ROWS, valid_for=int(2 * 3600e6))
    assert np.isnan(join(rows, [(1, 6, 9)])[0])
    assert join(rows, [(1, 5, 9)]) == [15]


def test_a_table_without_a_key_is_for_all_trips():
    rows = make_rows([(0, 0, 0, 7)], key=())
    assert join(rows, [(1, 0, 0), (np.nan, 3, 3)]) == [7, 7]


def test_an_empty_table_has_no_values():
    assert np.isnan(join(make_rows([]), [(1, 0, 0)])).all()


def test_the_order_of_the_rows_does_not_matter():
    trips = [trip for trip, _ in TRIPS.values()]
    np.testing.assert_array_equal(join(make_rows(ROWS), trips), join(make_rows(ROWS[::-1]), trips))


def test_the_rows_survive_json_and_have_a_checksum():
    rows = make_rows(ROWS)
    assert ReferenceRows.from_json(rows.to_json()) == rows
    assert index_of(rows) is index_of(ReferenceRows.from_json(rows.to_json()))
    assert rows.checksum.startswith("sha256:")
    assert rows.digest == replace(rows, content="").digest
    changed = make_rows([*ROWS[:-1], (2, 0, 0, 21)])
    assert changed.digest != rows.digest != replace(rows, valid_for=1).digest


def test_a_join_skips_many_rows_that_were_not_known_in_few_steps(monkeypatch):
    """An hourly table of a year whose rows became known only at its end."""
    late = [(1, hour, 9000, hour) for hour in range(1, 8760)]
    rows, lengths = make_rows([(1, 0, 0, -7), *late, (2, 0, 9000, 3)]), []

    def counted(minima, last, limit):
        lengths.append((len(minima), len(last)))
        return last_at_most(minima, last, limit)

    monkeypatch.setattr("toytip.core.dataset.reference.last_at_most", counted)
    trips = [(1, hour, hour) for hour in range(0, 8760, 10)] + [(2, 5, 5), (1, 8759, 9000)]
    values = join(rows, trips)
    assert set(values[:-2]) == {-7}
    assert np.isnan(values[-2])
    assert values[-1] == 8759
    assert lengths == [(15, 876)], "one search, with two steps per size of blocks"


@given(
    values=st.lists(st.integers(0, 9), max_size=40),
    queries=st.lists(st.tuples(st.integers(-1, 39), st.integers(-1, 10)), max_size=9),
)
def test_the_last_value_at_most_a_limit_is_the_definition(values, queries):
    queries = [(min(last, len(values) - 1), limit) for last, limit in queries]
    found = last_at_most(
        block_minima(np.array(values, np.int64)),
        np.array([last for last, _ in queries], np.int64),
        np.array([limit for _, limit in queries], np.int64),
    )
    expected = [
        max((place for place in range(last + 1) if values[place] <= limit), default=-1)
        for last, limit in queries
    ]
    assert found.tolist() == expected


small = st.integers(0, 6)
table_rows = st.lists(st.tuples(st.integers(0, 2), small, small, st.integers(0, 99)), max_size=12)
some_trips = st.lists(st.tuples(st.integers(0, 3), small, small), min_size=1, max_size=8)


@given(rows=table_rows, later=table_rows, trips=some_trips, delay=st.integers(1, 9))
def test_a_row_that_becomes_known_later_changes_no_earlier_feature(rows, later, trips, delay):
    """The later rows can be valid at any time, also before the trips."""
    now = max(dropoff for _, _, dropoff in trips)
    future = [(zone, valid, now + delay + known, value) for zone, valid, known, value in later]
    np.testing.assert_array_equal(join(make_rows(rows), trips), join(make_rows([*rows, *future]), trips))


@given(rows=table_rows, trips=some_trips)
def test_the_join_is_the_definition(rows, trips):
    def value_of(zone, pickup, dropoff):
        matching = [row for row in rows if row[0] == zone and row[1] <= pickup and row[2] <= dropoff]
        best = max(matching, key=lambda row: row[1:3], default=None)
        # Equal times of equal keys: the last row counts, because the sort is stable.
        return np.nan if best is None else [row[3] for row in matching if row[1:3] == best[1:3]][-1]

    np.testing.assert_array_equal(join(make_rows(rows), trips), [value_of(*trip) for trip in trips])
