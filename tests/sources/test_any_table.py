"""Any file is either refused, or its check and a run agree about every row."""

import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.any_trips import any_tables, law
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.engine.graph import _read_source_trips
from toytip.errors import ToytipError
from toytip.sources.discovery import open_source
from toytip.sources.inspection import inspect_source
from toytip.stages.clean import clean, count_reasons
from toytip.stages.featurize import featurize

FILE_NAMES = st.sampled_from(["yellow_tripdata_2023-01", "trips", "yellow_2022_and_2023"])
PARQUET_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "row_group_size": st.integers(1, 3),
        "use_dictionary": st.booleans(),
        "store_schema": st.just(False),
        "use_deprecated_int96_timestamps": st.just(True),
        "write_statistics": st.just(False),
    },
)


def write_parquet(table, path, options):
    """Write the table as Parquet, and return whether Parquet has its types."""
    try:
        pq.write_table(table, path, **options)
    except (pa.ArrowException, OverflowError):
        return False
    return True


def write_csv(table, path):
    """Write the table as CSV, and return whether CSV has its types."""
    try:
        pv.write_csv(table, path)
    except pa.ArrowException:
        return False
    return True


def read_run(source, partition_rows):
    """Return the trips, the rejects and the features of a source, as a run computes them."""
    raw = [_read_source_trips(partition, TLC) for partition in source.partitions(partition_rows)]
    kept, rejects = zip(*(clean(trips, TLC) for trips in raw), strict=True)
    features = [featurize(trips, TLC) for trips in kept]
    return tuple(pd.concat(frames, ignore_index=True) for frames in (kept, rejects, features))


def check_file(folder, partition_rows):
    """Compare the check of a file with a run over the file."""
    try:
        source = open_source(str(folder))
    except ToytipError:
        return
    try:
        report = inspect_source(source, lambda _: None).report
    except ToytipError as error:
        with pytest.raises(type(error)):
            read_run(source, partition_rows)
        return
    kept, rejects, features = read_run(source, partition_rows)
    assert len(kept) + len(rejects) == report.rows == source.rows
    assert len(features) == len(kept)
    expected: dict[str, int] = {}
    for month in report.months:
        for reason, count in month.rejects.items():
            expected[reason] = expected.get(reason, 0) + count
    assert count_reasons(rejects) == expected
    others = read_run(source, 1_000)
    for frame, other in zip((kept, rejects, features), others, strict=True):
        pd.testing.assert_frame_equal(frame, other)


@law(60)
@given(any_tables(), FILE_NAMES, PARQUET_OPTIONS, st.integers(1, 6))
def test_the_check_of_a_parquet_file_agrees_with_a_run(table, name, options, partition_rows):
    with tempfile.TemporaryDirectory() as folder:
        if write_parquet(table, Path(folder, f"{name}.parquet"), options):
            check_file(folder, partition_rows)


@law(40)
@given(any_tables(), FILE_NAMES, st.integers(1, 6))
def test_the_check_of_a_csv_file_agrees_with_a_run(table, name, partition_rows):
    with tempfile.TemporaryDirectory() as folder:
        if write_csv(table, Path(folder, f"{name}.csv")):
            check_file(folder, partition_rows)
