"""A CSV file has the same rows in a run and in `toytip score`, or both refuse it with one cause."""

import gzip
import io
import re

import numpy as np
import pandas as pd
import pyarrow.csv as pv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.trips import raw_table
from toytip.core.months import Month
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.fields import FIELDS
from toytip.engine.graph import _read_source_trips
from toytip.errors import ToytipError
from toytip.serving import trip_files
from toytip.sources.csv_files import rows as csv_rows
from toytip.sources.discovery import open_source
from toytip.stages.conform import conform_columns

ROWS = 60
TABLE = raw_table(ROWS, Month(2023, 1), "lpep")
FRAME = TABLE.to_pandas()
TIMES = ["lpep_pickup_datetime", "lpep_dropoff_datetime"]
AMOUNTS = [field.name for field in FIELDS if field.kind == "amount" and not FRAME[field.name].isna().all()]
COLUMNS = [*(field.name for field in FIELDS), "unreadable"]


def read_for_a_run(path, partition_rows=17):
    partitions = open_source(str(path)).partitions(partition_rows)
    return pd.concat([_read_source_trips(partition, TLC) for partition in partitions], ignore_index=True)


def read_to_score(path):
    batches = trip_files.read_batches(str(path), io.BytesIO())
    columns = [
        conform_columns(batch.table, "the trips", TLC, batch.label, refuse_most=number < 2)
        for number, batch in enumerate(batches)
    ]
    return pd.concat([pd.DataFrame(values) for values in columns], ignore_index=True)


ENTRANCES = (read_for_a_run, read_to_score)


def write(folder, content, name="green_2023-01.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def require_equal(frame, expected):
    for name in COLUMNS:
        if name in frame:
            np.testing.assert_array_equal(frame[name].to_numpy(), expected[name].to_numpy(), name)


TEXT = FRAME.to_csv(index=False)


def grouped(points):
    """Return amounts with separators of groups, with a decimal comma if points separate groups."""
    swap = str.maketrans(",.", ".,") if points else {}
    texts = {name: [f"{value + 4_000:,.2f}".translate(swap) for value in FRAME[name]] for name in AMOUNTS}
    return FRAME.assign(**texts)


# Each content has the trips of FRAME.
CONTENTS = {
    "comma": TEXT,
    "byte order mark": "\ufeff" + TEXT,
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-16 of the other byte order": "\ufeff".encode("utf-16-be") + TEXT.encode("utf-16-be"),
    "UTF-32": TEXT.encode("utf-32"),
    "UTF-32 of the other byte order": ("\ufeff" + TEXT).encode("utf-32-be"),
    "UTF-16 with odd letters": FRAME.assign(note="\u0a0d\u0d0a\u010a").to_csv(index=False).encode("utf-16"),
    "semicolon": FRAME.to_csv(index=False, sep=";"),
    "tab": FRAME.to_csv(index=False, sep="\t"),
    "pipe": FRAME.to_csv(index=False, sep="|"),
    "decimal comma": FRAME.to_csv(index=False, sep=";", decimal=","),
    "decimal comma and tab": FRAME.to_csv(index=False, sep="\t", decimal=","),
    "decimal comma in quotes": FRAME.to_csv(index=False, decimal=","),
    "CRLF": TEXT.replace("\n", "\r\n"),
    "CR": TEXT.replace("\n", "\r"),
    "capitals": TEXT.partition("\n")[0].upper() + "\n" + TEXT.partition("\n")[2],
    "spaces": TEXT.replace(",", " , "),
    "index": FRAME.to_csv(),
    "trailing comma": TEXT.replace("\n", ",\n"),
    "quotes": FRAME.to_csv(index=False, quoting=1),
    "single quotes": FRAME.to_csv(index=False, quoting=1, quotechar="'"),
    "single quotes without a quoted header": TEXT.partition("\n")[0]
    + "\n"
    + FRAME.to_csv(index=False, quoting=1, quotechar="'").partition("\n")[2],
    "single quotes around some values": FRAME.to_csv(index=False, quoting=2, quotechar="'"),
    "single quotes and separators": FRAME.assign(note="it''s a,b;c").to_csv(
        index=False, quoting=1, quotechar="'", doublequote=True
    ),
    "single quotes, semicolons and UTF-16": FRAME.to_csv(
        index=False, quoting=1, quotechar="'", sep=";", decimal=","
    ).encode("utf-16"),
    "single quotes in another column": FRAME.assign(note="'fine'", other="a,b").to_csv(index=False),
    "Excel's line with the delimiter": "sep=;\r\n" + FRAME.to_csv(index=False, sep=";"),
    "Excel's line with the delimiter in quotes": '\ufeff"sep=,"\n' + TEXT,
    "empty lines before the header": "\n\r\n" + TEXT,
    "empty lines before the header in UTF-16": ("\n\n" + TEXT).encode("utf-16"),
    "hours of one digit": FRAME.assign(
        **{name: [f"{t:%Y-%m-%d} {t.hour}:{t:%M:%S}" for t in FRAME[name]] for name in TIMES}
    ).to_csv(index=False),
    "hours of one digit with a T": FRAME.assign(
        **{name: [f"{t:%Y-%m-%d}T{t.hour}:{t:%M:%S}" for t in FRAME[name]] for name in TIMES}
    ).to_csv(index=False),
    "empty lines": TEXT.replace("\n", "\n\n", 3) + "\n\n",
    "no end of line": TEXT.rstrip("\n"),
    "American times": FRAME.assign(
        **{t: FRAME[t].dt.strftime("%m/%d/%Y %I:%M:%S %p") for t in TIMES}
    ).to_csv(),
    "times with a part of a second": FRAME.assign(
        **{t: FRAME[t].astype(str) + ".000" for t in TIMES}
    ).to_csv(),
    "another column in Latin-1": FRAME.assign(note="é").to_csv(index=False).encode("latin-1"),
    "a separator in another column": FRAME.assign(note="a;b;c;d;e;f;g,h,i|j|k").to_csv(index=False),
    "separators in the name of another column": FRAME.assign(
        **{"a;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q;r;s;t;u": 1}
    )
    .to_csv(index=False)
    .replace('"', ""),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "green_2023-01.csv"
    pv.write_csv(TABLE, path)
    return read_for_a_run(path)


@pytest.mark.parametrize("block_bytes", [700, csv_rows.CSV_BLOCK_BYTES])
@pytest.mark.parametrize("name", CONTENTS)
def test_every_spelling_has_the_same_trips_in_a_run_and_a_score(
    name, block_bytes, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(csv_rows, "CSV_BLOCK_BYTES", block_bytes)
    path = write(tmp_path, CONTENTS[name])
    for read in ENTRANCES:
        require_equal(read(path), expected)


@pytest.mark.parametrize("times", [1, 2])
def test_compressed_files_have_the_same_trips(times, expected, tmp_path):
    content = TEXT.encode()
    for _ in range(times):
        content = gzip.compress(content)
    path = write(tmp_path, content, "green_2023-01.csv.gz")
    for read in ENTRANCES:
        require_equal(read(path), expected)


@pytest.mark.parametrize(("points", "delimiter"), [(False, ","), (False, ";"), (True, ","), (True, ";")])
def test_groups_of_digits_are_read(points, delimiter, expected, tmp_path):
    path = write(tmp_path, grouped(points).to_csv(index=False, sep=delimiter))
    for read in ENTRANCES:
        for name in AMOUNTS:
            values = (expected[name] + 4_000).round(2).to_numpy()
            np.testing.assert_array_equal(read(path)[name].to_numpy(), values)


# Fares of a file, its delimiter, and the numbers that they are. None is unreadable.
FARES = {
    "points": (",", ["14.25", "1,008.60", "1,234", "0,5", "1,23"], [14.25, 1008.6, 1234, None, None]),
    "commas": (";", ["14,25", "1.008,60", "1.234", "14.5", "12,5"], [14.25, 1008.6, 1234, None, 12.5]),
    "points and semicolons": (";", ["14.25", "1.5", "1,234", "1,5", "7"], [14.25, 1.5, 1234, None, 7]),
    "groups or decimals": (";", ["1,234", "7", "8", "9", "0"], [1.234, 7, 8, 9, 0]),
    "groups in quotes": (",", ["1,234", "7", "8", "9", "0"], [1234, 7, 8, 9, 0]),
    "a leading zero": (";", ["0,123", "1.234", "2.345", "7", "1e-2"], [0.123, 1234, 2345, 7, 0.01]),
    "not numbers": (",", ["1", "0x1F", "1_0", "inf", "-nan"], [1, None, None, None, np.nan]),
    "missing": (",", ["1", r"\N", "#NA", "NULL", " "], [1, np.nan, np.nan, np.nan, np.nan]),
}


@pytest.mark.parametrize("name", FARES)
def test_a_number_has_one_meaning_in_a_run_and_a_score(name, tmp_path):
    delimiter, texts, numbers = FARES[name]
    whole = FRAME.astype({column: int for column in AMOUNTS if column != "fare_amount"})
    whole = whole.iloc[: len(texts) * 2].assign(fare_amount=[*texts, *["5"] * len(texts)])
    path = write(tmp_path, whole.to_csv(index=False, sep=delimiter))
    for read in ENTRANCES:
        frame = read(path).iloc[: len(texts)]
        assert frame["unreadable"].tolist() == [number is None for number in numbers]
        expected = [np.nan if number is None else number for number in numbers]
        np.testing.assert_array_equal(frame["fare_amount"].to_numpy(), expected)


LINES = TEXT.splitlines(keepends=True)


def with_notes(notes):
    """Return the lines with a last column of texts, some of which replace `good`."""
    texts = ["note", *(notes.get(row, "good") for row in range(ROWS))]
    return "".join(f"{line.rstrip()},{text}\n" for line, text in zip(LINES, texts, strict=True))


FAULTS = {
    "a value too many": (
        "".join([*LINES[:2], LINES[2].replace(",", ",ten,", 1), *LINES[3:]]),
        "line 3 has 20 values, and the header has 19 columns",
    ),
    "a value too few": ("".join([*LINES, "1,2\n"]), "line 62 has 2 values, and the header has 19 columns"),
    "a quote without an end in two lines": (
        with_notes({5: '"5 stars', 40: '"fine'}),
        "line 7: a quoted text contains a line break",
    ),
    "a quote without an end": (with_notes({5: '"5 stars'}), "line 7: a quoted text contains a line break"),
    "a line break in a text": (
        with_notes({5: '"5\nstars"', 9: '"4\r\nstars"'}),
        "line 7: a quoted text contains a line break",
    ),
    "a line break before a value too many": (
        with_notes({5: '"5\nstars"', 9: "4,stars"}),
        "line 7: a quoted text contains a line break",
    ),
    "no number": (
        FRAME.assign(fare_amount="ten").to_csv(index=False),
        "column fare_amount has 60 of 60 values that are not a number up to 1,000,000,000,000, for example 'ten'",
    ),
    "short American times": (
        FRAME.assign(**{t: FRAME[t].dt.strftime("%m/%d/%y %H:%M") for t in TIMES}).to_csv(index=False),
        "column lpep_pickup_datetime has 60 of 60 values that are not a time, for example '01/",
    ),
    "days before months": (
        FRAME.assign(**{t: FRAME[t].dt.strftime("%d/%m/%Y %I:%M:%S %p") for t in TIMES}).to_csv(index=False),
        "column lpep_pickup_datetime has times of 12 hours with the day before the month",
    ),
    "a line break in single quotes": (
        FRAME.assign(note="5\nstars").to_csv(index=False, quoting=1, quotechar="'"),
        "line 2: a quoted text contains a line break",
    ),
    "a title": (
        "Trips of January\n\n" + TEXT,
        "line 3 has the names of the columns, which must be the first line",
    ),
    "comments": (
        "# exported, 2023-02-01\n# by me\n" + TEXT,
        "line 3 has the names of the columns, which must be the first line",
    ),
    "two files in one": (TEXT + TEXT, "line 62 repeats the names of the columns"),
    "values in two kinds of quotes": (
        FRAME.assign(VendorID="'2'").to_csv(index=False, quoting=1),
        "column VendorID has 60 of 60 values that are not a whole number up to 16,777,216, for example \"'2'\" in line 2",
    ),
    "a web page": ("<!DOCTYPE html>", "it is a web page or an XML document"),
    "a pointer": ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a Git LFS pointer"),
    "an Excel file": (b"PK\x03\x04,,\n", "it is a ZIP archive or an Excel file"),
    "an old Excel file": (b"\xd0\xcf\x11\xe0,,\n", "it is an old Excel file"),
    "a zstd file": (b"\x28\xb5\x2f\xfd,,\n", "it is compressed with zstd"),
    "nothing": (b"", "empty"),
    "half of a gzip": (gzip.compress(TEXT.encode())[:900], "the compressed data is corrupt or incomplete"),
    "text after a gzip": (
        gzip.compress(TEXT.encode()) + b"the end",
        "the compressed data is corrupt or incomplete",
    ),
    "half of a character": (TEXT.encode("utf-16")[:-1], "codec can't decode"),
    "one long line": (b"VendorID,extra\n" + b"1" * 9 * 2**20, "a line is longer than 4,194,304 bytes"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_one_cause_in_a_run_and_a_score(name, tmp_path):
    content, cause = FAULTS[name]
    path = write(tmp_path, content)
    for read in ENTRANCES:
        with pytest.raises(ToytipError, match=re.escape(cause)) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert caught.value.hint


def test_a_value_has_the_number_of_its_line_in_a_run_and_a_score(tmp_path):
    fares = ["1", "2", "ten", *["eleven"] * (ROWS - 3)]
    path = write(tmp_path, FRAME.assign(fare_amount=fares).to_csv(index=False))
    for read in ENTRANCES:
        with pytest.raises(ToytipError, match=r"for example 'ten' in line 4\b"):
            read(path)
    assert path.read_text().splitlines()[4 - 1].count("ten") == 1


@pytest.mark.parametrize("name", ["green_2023-01.parquet", "trips.jsonl", "trips.csv.gz", "-"])
def test_a_pointer_is_named_whatever_the_name_of_the_file(name, tmp_path):
    content = FAULTS["a pointer"][0].encode()
    path = name if name == "-" else write(tmp_path, content, name)
    with pytest.raises(ToytipError, match="it is a Git LFS pointer instead of the file") as caught:
        next(trip_files.read_batches(str(path), io.BytesIO(content)))
    assert "git lfs pull" in caught.value.hint


def test_a_single_value_in_an_empty_column_rejects_its_row(tmp_path):
    """It does not show that the column has other content than its name says."""
    frame = pd.concat([FRAME] * 3, ignore_index=True)
    path = write(tmp_path, frame.assign(airport_fee=["x", *[""] * (len(frame) - 1)]).to_csv(index=False))
    for read in ENTRANCES:
        assert read(path)["unreadable"].tolist() == [True, *[False] * (len(frame) - 1)]


CELLS = st.sampled_from(
    [
        "",
        "1",
        "1.5",
        "1,5",
        "1.234",
        "1,234",
        "1,234.5",
        "1.234,5",
        "-",
        "nan",
        "x",
        '"',
        "1e3",
        "é",
        " 2 ",
        "\\N",
    ]
) | st.text("0123456789.,-eE ", max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(CELLS, min_size=1, max_size=12),
    delimiter=st.sampled_from([",", ";", "\t"]),
    block_bytes=st.integers(1_000, 5_000),
)
def test_any_numbers_are_the_same_in_a_run_and_a_score(cells, delimiter, block_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "CSV_BLOCK_BYTES", block_bytes)
    fares = [fare for cell in cells for fare in ("5", "6", cell)]
    path = write(
        tmp_path, FRAME.iloc[: len(fares)].assign(fare_amount=fares).to_csv(index=False, sep=delimiter)
    )
    require_equal(read_to_score(path), read_for_a_run(path))
