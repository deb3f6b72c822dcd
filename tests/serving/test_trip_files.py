"""Files of trips as programs write them: the same trips, or one line that names the fault."""

import gzip
import io
import json
import os
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.models import raw_month, train_model
from toytip.errors import SchemaError, SourceError
from toytip.models import scoring
from toytip.serving import batch, trip_files
from toytip.serving.request import RequestError, parse_body
from toytip.sources.csv_files import rows as csv_rows

MODEL = train_model("green")
FRAME = raw_month("green").slice(0, 30).to_pandas()
TEXT = FRAME.to_csv(index=False)
RECORDS = json.loads(FRAME.to_json(orient="records", date_format="iso", double_precision=15))
LINES = "".join(f"{json.dumps(trip)}\n" for trip in RECORDS)
EXPECTED = scoring.score_raw(MODEL, FRAME)


def score(content, folder, on_note=lambda _: None):
    """Score the bytes of a file, and return the probabilities and the reasons."""
    (folder / "trips").write_bytes(content)
    tables = []
    batches = trip_files.read_batches(str(folder / "trips"), io.BytesIO())
    batch.score_batches(MODEL, batches, lambda table, _: tables.append(table), 0, lambda _: None, on_note)
    scores = pa.concat_tables(tables) if tables else batch.ANSWER_SCHEMA.empty_table()
    return scores["probability"].to_pylist(), scores["reason"].to_pylist()


CONTENTS = {
    "parquet": pq.write_table,
    "comma": TEXT.encode(),
    "byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "UTF-16": FRAME.to_csv(index=False, sep="\t").encode("utf-16"),
    "semicolon": FRAME.to_csv(index=False, sep=";").encode(),
    "tab": FRAME.to_csv(index=False, sep="\t").encode(),
    "decimal comma": FRAME.to_csv(index=False, sep=";", decimal=",").encode(),
    "CRLF": TEXT.replace("\n", "\r\n").encode(),
    "capitals": (TEXT.partition("\n")[0].upper() + "\n" + TEXT.partition("\n")[2]).encode(),
    "spaces in the header": TEXT.replace(",", ", ", 5).encode(),
    "index": FRAME.to_csv().encode(),
    "trailing comma": TEXT.replace("\n", ",\n").encode(),
    "quotes": FRAME.to_csv(index=False, quoting=1).encode(),
    "empty lines": TEXT.replace("\n", "\n\n", 3).encode() + b"\n\n",
    "no end of line": TEXT.rstrip("\n").encode(),
    "gzip": gzip.compress(TEXT.encode()),
    "gzip twice": gzip.compress(gzip.compress(TEXT.encode())),
    "JSON Lines": LINES.encode(),
    "JSON Lines with mark": b"\xef\xbb\xbf" + LINES.encode(),
    "JSON Lines with gzip": gzip.compress(LINES.encode()),
    "JSON Lines with CRLF": LINES.replace("\n", "\r\n").encode(),
    "JSON list": json.dumps(RECORDS).encode(),
    "NULL": FRAME.to_csv(index=False, na_rep="NULL").encode(),
    "NaN": FRAME.to_csv(index=False, na_rep="NaN").encode(),
    "backslash": FRAME.to_csv(index=False, na_rep="\\N").encode(),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_files_of_other_programs_have_the_same_scores(name, tmp_path):
    content = CONTENTS[name]
    if name == "parquet":
        pq.write_table(pa.Table.from_pandas(FRAME), tmp_path / "t")
        content = (tmp_path / "t").read_bytes()
    probability, reason = score(content, tmp_path)
    expected = [
        None if why else value
        for value, why in zip(EXPECTED.probability.tolist(), EXPECTED.reason, strict=True)
    ]
    assert (probability, reason) == (expected, EXPECTED.reason)
    assert sum(value is not None for value in expected) > 20


@pytest.mark.parametrize("name", ["parquet", "comma", "gzip", "JSON Lines", "JSON list", "Parquet with gzip"])
def test_a_pipe_has_the_same_scores_as_a_file(name, tmp_path):
    """A shell gives the name of a pipe to `toytip score <(zcat trips.csv.gz)`."""
    pq.write_table(pa.Table.from_pandas(FRAME), tmp_path / "t")
    parquet = (tmp_path / "t").read_bytes()
    files = {**CONTENTS, "parquet": parquet, "Parquet with gzip": gzip.compress(parquet)}
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[files[name]])
    writer.start()
    batches = list(trip_files.read_batches(str(tmp_path / "pipe"), io.BytesIO()))
    writer.join()
    reasons = [reason for item in batches for reason in scoring.score_trips(MODEL, item.table).reason]
    assert reasons == EXPECTED.reason


def test_an_empty_path_is_an_error():
    """A shell gives an empty path if a variable is not set."""
    with pytest.raises(SourceError, match="cannot read trips: the path of the file is empty"):
        next(trip_files.read_batches("", io.BytesIO()))


def test_commas_between_thousands_are_read(tmp_path):
    thousands = FRAME.assign(fare_amount=FRAME["fare_amount"] + 1_000)
    grouped = thousands.assign(fare_amount=[f"{fare:,.2f}" for fare in thousands["fare_amount"]])
    european = grouped.assign(
        fare_amount=[fare.translate(str.maketrans(",.", ".,")) for fare in grouped["fare_amount"]]
    )
    expected = score(thousands.to_csv(index=False).encode(), tmp_path)
    assert '"1,0' in grouped.to_csv(index=False)
    assert score(grouped.to_csv(index=False).encode(), tmp_path) == expected
    assert score(european.to_csv(index=False, sep=";").encode(), tmp_path) == expected


REQUESTS = {
    "key trips": json.dumps({"trips": RECORDS}),
    "key trips, several lines": json.dumps({"trips": RECORDS}, indent=2),
    "key trips, one trip per line": '{"trips": [\n' + ",\n".join(map(json.dumps, RECORDS)) + "\n]}\n",
    "key trips, one trip": json.dumps({"trips": RECORDS[0]}),
    "a trip": json.dumps(RECORDS[0]),
    "a trip, several lines": json.dumps(RECORDS[0], indent=2),
    "a list, several lines": json.dumps(RECORDS, indent=2),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_body_of_a_request_is_also_a_file(name, tmp_path):
    """`toytip score` reads each JSON text that `toytip serve` accepts, as the same trips."""
    body = parse_body(REQUESTS[name].encode(), max_trips=1_000)
    trips = body if isinstance(body, list) else [body]
    expected = score("\n".join(map(json.dumps, trips)).encode(), tmp_path)
    assert score(REQUESTS[name].encode(), tmp_path) == expected
    assert len(expected[0]) == len(trips)


NO_TRIPS = {
    "an object per column": FRAME.to_json(date_format="iso"),
    "a list per column": json.dumps(FRAME[["VendorID", "extra"]].to_dict("list")),
    "columns in the key trips": json.dumps({"trips": FRAME[["VendorID"]].to_dict("list")}),
    "text in the key trips": json.dumps({"trips": "none"}),
    "broken in the middle": json.dumps({"trips": RECORDS}, indent=2)[:-9],
    "two objects with trips": (json.dumps({"trips": RECORDS}) + "\n") * 2,
}


@pytest.mark.parametrize("name", NO_TRIPS)
def test_a_body_that_is_refused_is_no_file_of_trips(name, tmp_path):
    with pytest.raises(RequestError):
        parse_body(NO_TRIPS[name].encode(), max_trips=1_000)
    with pytest.raises((SchemaError, SourceError)) as caught:
        score(NO_TRIPS[name].encode(), tmp_path)
    assert "\n" not in str(caught.value)
    assert "Write one object per trip" in caught.value.hint or "per column" not in name


@pytest.mark.parametrize("columns", [[], ["VendorID"]])
def test_a_parquet_file_without_rows_needs_the_columns(columns, tmp_path):
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(FRAME[columns].iloc[:0], preserve_index=False), content)
    with pytest.raises(SchemaError, match=r"cannot score the trips: .*lpep_pickup_datetime.* are missing"):
        score(content.getvalue(), tmp_path)


@pytest.mark.parametrize("content", [TEXT.partition("\n")[0], TEXT.partition("\n")[0] + "\n", "[]"])
def test_files_without_trips_have_no_scores(content, tmp_path):
    assert score(content.encode(), tmp_path) == ([], [])


@pytest.mark.parametrize(
    ("column", "value"),
    [("fare_amount", "ten"), ("fare_amount", "1,5"), ("VendorID", 1.5), ("lpep_pickup_datetime", "soon")],
)
def test_a_value_that_cannot_be_read_is_a_reason(column, value, tmp_path):
    values = FRAME[column].astype(object)
    values[2] = value
    frame = FRAME.assign(**{column: values})
    lines = frame.astype(object).to_json(orient="records", lines=True, date_format="iso")
    for content in (frame.to_csv(index=False), lines):
        _, reasons = score(content.encode(), tmp_path)
        assert reasons[2] == "unreadable_value"
        assert reasons.count("unreadable_value") == 1


ROWS = TEXT.splitlines()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            FRAME.assign(fare_amount="ten").to_csv(index=False),
            (
                "cannot use the trips: column fare_amount has 30 of 30 values that are not a number up to "
                "1,000,000,000,000, for example 'ten' in line 2 of {}"
            ),
        ),
        (
            "\n".join([ROWS[0], ROWS[1], ROWS[2].replace(",", ",ten,", 1)]),
            "cannot read trips from {}: line 3 has 21 values, and the header has 20 columns",
        ),
        (
            "\n".join([*ROWS[:2], "1,2"]),
            "cannot read trips from {}: line 3 has 2 values, and the header has 20 columns",
        ),
        ("", "cannot read trips from {}: it is empty"),
        ("\ufeff", "cannot read trips from {}: it is empty"),
        ("no trips\n", "cannot read trips from {}: unknown format"),
        ("<!DOCTYPE html>", "cannot read trips from {}: it is a web page or an XML document"),
        (b"PK\x03\x04,,", "cannot read trips from {}: it is a ZIP archive or an Excel file"),
        (gzip.compress(TEXT.encode(), mtime=0)[:100], "cannot read trips from {}: "),
        (b"\x1f\x8bno gzip", "cannot read trips from {}: "),
        (
            LINES + '{"VendorID": 1, "VendorID": 2}\n',
            "cannot read line 31 of {}: the line is not a trip as a JSON object (the key 'VendorID' occurs 2 times",
        ),
        (
            LINES.replace("\n", "\n[1]\n", 1),
            "cannot read line 2 of {}: the line is not a trip as a JSON object",
        ),
        (
            FRAME.to_json(orient="split", date_format="iso"),
            "cannot read line 1 of {}: no key of the object is a column of trips (it has 'columns', 'index', 'data')",
        ),
        (
            FRAME.to_json(orient="index", date_format="iso"),
            "cannot read line 1 of {}: no key of the object is a column of trips (it has '0', '1', '2')",
        ),
        (
            json.dumps({"data": RECORDS, "count": 30}, indent=1),
            "cannot read trip 0 of {}: no key of the object is a column of trips (it has 'data', 'count')",
        ),
        (
            FRAME.to_json(orient="values", date_format="iso"),
            "cannot read trip 0 of {}: it is not a JSON object",
        ),
        (
            FRAME.add_prefix("trips.").to_csv(index=False),
            "cannot score the trips: no column is a column of trips (the first columns are 'trips.VendorID', ",
        ),
        (
            TEXT.partition("\n")[2],
            "cannot score the trips: the columns have no names, but values such as '1' and '2023-",
        ),
        (json.dumps([RECORDS[0], 3]), "cannot read trip 1 of {}: it is not a JSON object"),
        (
            json.dumps({**RECORDS[0], "VendorID": "x"}),
            (
                "cannot use the trips: column VendorID has 1 of 1 values that are not a whole number up to "
                "16,777,216, for example 'x' in line 1 of {}"
            ),
        ),
        (
            FRAME.assign(Extra=1).to_csv(index=False),
            "cannot score the trips: 2 columns contain extra (extra, Extra)",
        ),
        (
            FRAME.assign(copy=1).rename(columns={"copy": "extra"}).to_csv(index=False),
            "cannot score the trips: 2 columns contain extra (extra, extra)",
        ),
        (
            json.dumps({**RECORDS[0], "EXTRA": 1}),
            "cannot score line 1 of {}: 2 columns contain extra (extra, EXTRA)",
        ),
    ],
)
def test_a_fault_is_one_line_with_the_place(content, message, tmp_path):
    content = content if isinstance(content, bytes) else content.encode()
    with pytest.raises((SchemaError, SourceError)) as caught:
        score(content, tmp_path)
    assert str(caught.value).startswith(message.format(tmp_path / "trips"))
    assert "\n" not in f"{caught.value}{caught.value.hint}"
    assert caught.value.hint


def in_formats(frame, folder):
    """Return the content of a Parquet file, a CSV file, a JSON Lines file and a JSON list."""
    pq.write_table(pa.Table.from_pandas(frame), folder / "frame")
    as_json = frame.astype(object).to_json
    return (
        (folder / "frame").read_bytes(),
        frame.to_csv(index=False).encode(),
        as_json(orient="records", lines=True, date_format="iso").encode(),
        as_json(orient="records", date_format="iso").encode(),
    )


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(trip_files, "SCORING_BATCH_ROWS", 10)
    monkeypatch.setattr(csv_rows, "CSV_BLOCK_BYTES", 1_400)


def test_a_parquet_file_names_the_row(tmp_path, small_batches):
    content = in_formats(FRAME.assign(VendorID=[1.0] * 2 + [1.5] * 28), tmp_path)[0]
    with pytest.raises(
        SchemaError,
        match=r"VendorID has 8 of 10 values .* for example '1.5' in row 2 \(counted from 0\) of .*trips",
    ):
        score(content, tmp_path)


def test_the_last_rows_do_not_stop_the_scores_of_the_others(tmp_path, small_batches):
    """Only the first rows show whether most values of a column cannot be read."""
    for content in in_formats(FRAME.assign(VendorID=[2.0] * 20 + [1.5] * 10), tmp_path):
        _, reasons = score(content, tmp_path)
        assert reasons[:20] == EXPECTED.reason[:20]
        assert set(reasons[20:]) == {"unreadable_value"}


TIMES = ["lpep_pickup_datetime", "lpep_dropoff_datetime"]
ZONED = {
    "instants": lambda times: times.dt.tz_localize("America/New_York").dt.tz_convert("UTC"),
    "epoch numbers": lambda times: times.astype("datetime64[ms]").astype("int64"),
    "text": lambda times: times.dt.strftime("%Y-%m-%d %H:%M:%S"),
}
NOTES = {
    "instants": "to New York time",
    "epoch numbers": "from epoch numbers",
    "text": None,
}


@pytest.mark.parametrize("form", ZONED)
def test_a_score_says_how_times_are_converted(form, tmp_path, small_batches):
    frame = FRAME.assign(**{name: ZONED[form](FRAME[name]) for name in TIMES})
    for content in in_formats(frame, tmp_path):
        notes = []
        _, reasons = score(content, tmp_path, notes.append)
        assert reasons == EXPECTED.reason
        assert [note.split()[1] for note in notes] == (TIMES if NOTES[form] else [])
        assert all(NOTES[form] in note for note in notes)


@pytest.mark.parametrize(
    ("path", "hint"),
    [(".", "Name one file. To score a folder"), ("*.csv", "Name one file in place of a pattern")],
)
def test_a_folder_or_a_pattern_is_an_error(path, hint, tmp_path):
    with pytest.raises(
        SourceError, match=r"cannot read trips from .*: (it is a folder|the file does not exist)"
    ) as caught:
        list(trip_files.read_batches(str(tmp_path / path), io.BytesIO()))
    assert caught.value.hint.startswith(hint)
