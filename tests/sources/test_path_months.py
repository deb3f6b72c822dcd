"""The month that the path of a file names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toytip.core.months import Month
from toytip.sources.path_months import month_of_path

JANUARY = Month(2023, 1)
UUID = "1531545a-2019-4a01-9c53-2018aaaaaaaa"
CERTAIN = [
    "green_tripdata_2023-01.parquet",
    "green_tripdata_2023_01.parquet",
    "green_tripdata_2023-1.csv.gz",
    "trips 2023.01.parquet",
    "2024-05-17_green_tripdata_2023-01.parquet",
    "2024-05_green_tripdata_2023-01.parquet",
    "green_tripdata_2023-01_created_20240517.parquet",
    "year=2023/month=1/part-00000.parquet",
    "year=2023/month=01/day=7/part-00000.parquet",
    f"puYear=2023/puMonth=1/part-00000-tid-{UUID}-c000.snappy.parquet",
    "year=2023.0/month=1.0/0.parquet",
    "taxi=green/year=2023/month=1/part.parquet",
    "pickup_month=2023-01/part-0.parquet",
    "green_tripdata_2023-01.parquet/part-00000.parquet",
    "green_tripdata_2023-01.parts/7.parquet",
    "2022/12/green_tripdata_2023-01.parquet",
]
UNCERTAIN = [
    "202301.parquet",
    "green20230115.parquet",
    "green_2023-01-15.parquet",
    "green_2023-01-01_2023-01-31.parquet",
    "date=2023-01-15/part-0.parquet",
    "2023/01/trips.parquet",
    "2023/1/green/part-0.parquet",
    "2023-01/trips.parquet",
    "2023-01-15/trips.parquet",
]
WITHOUT_MONTH = [
    "trips.parquet",
    "green_2023.parquet",
    "green_tripdata_2023-01_to_2023-03.parquet",
    "green_2023-13.parquet",
    "green_2023-01-01_2023-03-31.parquet",
    "2009-2010.parquet",
    f"part-00000-{UUID}-c000.snappy.parquet",
    "part-000120230115.parquet",
    "month=1/part-0.parquet",
    "year=2023/part-0.parquet",
    "backup-2024-05/trips.parquet",
    "",
]


@pytest.mark.parametrize("folder", ["", "data/", "/srv/2019-backup/x=1/", "s3://bucket/green/"])
@pytest.mark.parametrize("path", CERTAIN)
def test_a_path_names_a_month(path, folder):
    found = month_of_path(folder + path)
    assert (found.month, found.is_certain) == (JANUARY, True)


@pytest.mark.parametrize("path", UNCERTAIN)
def test_dates_and_digits_are_uncertain(path):
    found = month_of_path(f"data/{path}")
    assert (found.month, found.is_certain) == (JANUARY, False)


@pytest.mark.parametrize("path", WITHOUT_MONTH)
def test_other_paths_name_no_month(path):
    assert month_of_path(f"data/{path}") is None


months = st.builds(Month, st.integers(2009, 2099), st.integers(1, 12))
words = st.text("abcXYZ ._-=()", max_size=12)


@given(months, words, words)
def test_a_month_between_words_is_found(month, before, after):
    path = f"{before}green_tripdata_{month}{after}.parquet"
    assert month_of_path(path).month == month


@given(months, months, st.integers(1, 28))
def test_a_date_does_not_win_over_a_month(month, other, day):
    assert month_of_path(f"{other}-{day:02d}_green_{month}.parquet").month == month


@given(
    months, st.integers(1, 28), st.sampled_from(["{:%Y-%m-%d}", "{:%Y_%m_%d}", "{:%Y%m%d}", "{:%Y.%m.%d}"])
)
def test_a_day_is_in_its_month(month, day, form):
    name = form.format(month.start.replace(day=day))
    assert month_of_path(f"x/trips_{name}.parquet").month == month


@given(months, months)
def test_two_months_are_none(first, last):
    found = month_of_path(f"green_tripdata_{first}_to_{last}.parquet")
    assert found is None if first != last else found.month == first


@given(st.text(max_size=60))
def test_any_text_is_a_path(text):
    found = month_of_path(text)
    assert found is None or 1 <= found.month.month <= 12
