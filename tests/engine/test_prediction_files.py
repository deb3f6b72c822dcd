"""Reading predictions that any program wrote."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from toytip.engine import prediction_files
from toytip.engine.prediction_files import ALL_IDS, find_prediction_files, load_chunk
from toytip.errors import SchemaError, SourceError
from toytip.evaluation.judgment import FaultCount, PredictionFaults

PREDICTIONS = {"trip_id": [3, 1, 2], "probability": [0.25, 0.5, 1.0]}


def load(location):
    files = find_prediction_files(str(location))
    return [load_chunk(chunk, has_decisions=files.has_decisions) for chunk in files.chunks]


def write(path, **columns):
    pq.write_table(pa.table({**PREDICTIONS, **columns}), path)
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_predictions_are_sorted_by_trip_id(name, tmp_path):
    frame = pd.DataFrame({**PREDICTIONS, "other": "x"})
    (frame.to_csv if name.endswith("csv") else frame.to_parquet)(tmp_path / name, index=False)
    (chunk,) = load(tmp_path / name)
    assert chunk.rows == 3
    assert not chunk.faults
    assert chunk.predictions.trip_id.tolist() == [1, 2, 3]
    assert chunk.predictions.probability.tolist() == [0.5, 1.0, 0.25]
    assert chunk.predictions.probability.dtype == np.float32
    assert chunk.predictions.decision is None
    assert chunk.predictions.within((2, 9)).trip_id.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("columns", "faults"),
    [
        ({"probability": [0.5, None, 0.5]}, PredictionFaults(null=FaultCount(1, 1))),
        ({"probability": [0.5, float("nan"), None]}, PredictionFaults(null=FaultCount(2, 1))),
        ({"trip_id": [1, None, None]}, PredictionFaults(null=FaultCount(2))),
        ({"trip_id": [1.0, 2.0, float("nan")]}, PredictionFaults(null=FaultCount(1))),
        ({"probability": [-1e-9, 1.0, 0.0]}, PredictionFaults(out_of_range=FaultCount(1, 3))),
        (
            {"probability": [1.0000001, float("inf"), -float("inf")]},
            PredictionFaults(out_of_range=FaultCount(3, 1)),
        ),
        ({"prediction": [True, None, False]}, PredictionFaults(null=FaultCount(1, 1))),
        (
            {"trip_id": [None, 2, 3], "probability": [None, 2.0, None]},
            PredictionFaults(null=FaultCount(2, 3), out_of_range=FaultCount(1, 2)),
        ),
    ],
)
def test_invalid_predictions_are_counted_and_the_first_one_is_named(columns, faults, tmp_path):
    (chunk,) = load(write(tmp_path / "a.parquet", **columns))
    assert chunk.faults == faults
    assert chunk.rows == 3


@pytest.mark.parametrize(
    ("columns", "ids", "probabilities"),
    [
        ({"trip_id": pa.array([3, 1, 2], pa.uint32())}, [1, 2, 3], [0.5, 1.0, 0.25]),
        ({"trip_id": ["3", "1", "2"]}, [1, 2, 3], [0.5, 1.0, 0.25]),
        ({"probability": pa.array([0.25, 0.5, 1.0], pa.float32())}, [1, 2, 3], [0.5, 1.0, 0.25]),
        ({"probability": [0, 1, 1]}, [1, 2, 3], [1.0, 1.0, 0.0]),
    ],
)
def test_other_types_of_numbers_are_converted(columns, ids, probabilities, tmp_path):
    (chunk,) = load(write(tmp_path / "a.parquet", **columns))
    assert chunk.predictions.trip_id.tolist() == ids
    assert chunk.predictions.probability.tolist() == probabilities


@pytest.mark.parametrize("decisions", [[True, False, True], [1, 0, 1], [1.0, 0.0, 1.0]])
def test_decisions_are_booleans_or_zeros_and_ones(decisions, tmp_path):
    (chunk,) = load(write(tmp_path / "a.parquet", prediction=decisions))
    assert chunk.predictions.decision.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"trip_id": [1.5, 2.0, 3.0]}, "column trip_id has values of type double that are not whole numbers"),
        ({"trip_id": ["a", "b", "c"]}, "column trip_id has values of type string that are not whole numbers"),
        ({"probability": ["high", "low", ""]}, "column probability has values of type string"),
        ({"prediction": [0.2, 0.4, 1.0]}, "column prediction has values other than true and false"),
        ({"prediction": ["yes", "no", "no"]}, "column prediction has values other than true and false"),
    ],
)
def test_columns_of_other_types_are_refused(columns, message, tmp_path):
    with pytest.raises(SchemaError, match=message):
        load(write(tmp_path / "a.parquet", **columns))


def test_files_without_the_columns_are_refused(tmp_path):
    pd.DataFrame({"id": [1], "probability": [0.5]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(SchemaError, match=r"a\.parquet: there is no column trip_id"):
        load(tmp_path)
    (tmp_path / "b.csv").write_text("trip,p\n1,0.5\n")
    with pytest.raises(SchemaError, match=r"b\.csv: there is no columns? trip_id and probability"):
        load(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.parquet", None, r"cannot use predictions .*missing\.parquet: it does not exist"),
        ("a.parquet", b"PAR1 and nothing else", r"cannot read predictions .*a\.parquet: "),
        ("empty", "folder", r"cannot use predictions .*empty: it contains no Parquet or CSV files"),
    ],
)
def test_files_that_cannot_be_read_are_refused(name, content, message, tmp_path):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as refused:
        load(path)
    assert refused.value.hint == prediction_files.FILES_HINT


def test_a_folder_is_divided_into_chunks_of_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_files, "CHUNK_ROWS", 4)
    for number, name in enumerate("ab"):
        ids = np.arange(10) + 10 * number
        pq.write_table(
            pa.table({"trip_id": ids, "probability": ids / 20}),
            tmp_path / f"{name}.parquet",
            row_group_size=2,
        )
    files = find_prediction_files(str(tmp_path))
    assert files.files == 2
    assert [chunk.row_groups for chunk in files.chunks] == [(0, 1), (2, 3), (4,)] * 2
    assert [chunk.id_range for chunk in files.chunks][:3] == [(0, 3), (4, 7), (8, 9)]
    loaded = load(tmp_path)
    assert sum(chunk.rows for chunk in loaded) == 20
    assert np.concatenate([chunk.predictions.trip_id for chunk in loaded]).tolist() == list(range(20))


def test_only_statistics_of_integers_limit_the_trip_ids(tmp_path):
    write(tmp_path / "a.parquet", trip_id=["10", "9", "8"])
    (chunk,) = find_prediction_files(str(tmp_path)).chunks
    assert chunk.id_range == ALL_IDS
    pq.write_table(pa.table(PREDICTIONS), tmp_path / "a.parquet", write_statistics=False)
    (chunk,) = find_prediction_files(str(tmp_path)).chunks
    assert chunk.id_range == ALL_IDS


def test_decisions_count_only_if_all_files_have_them(tmp_path):
    write(tmp_path / "a.parquet", prediction=[True, False, True])
    assert find_prediction_files(str(tmp_path)).has_decisions
    write(tmp_path / "b.parquet", trip_id=[4, 5, 6])
    assert not find_prediction_files(str(tmp_path)).has_decisions
