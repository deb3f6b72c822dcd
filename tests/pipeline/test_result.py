"""The result of a run: the exact keys of its JSON, and reading it back."""

import json

import pytest

from tests.support.results import RUN_KEYS, RUN_RESULT, TABLE
from toytip.core.jsonable import to_json
from toytip.errors import StoreError
from toytip.pipeline.result import RunResult, StageResult, read_run_result
from toytip.store.store import Store


def test_the_keys_of_a_run():
    record = to_json(RUN_RESULT)
    assert set(record) == RUN_KEYS
    assert set(record["rows"]) == {"read", "kept", "rejected"}
    assert set(record["tables"]["trips"]) == {"version", "path", "manifest", "rows", "bytes"}
    assert set(record["model"]) == {"version", "rounds", "features", "threshold", "path"}
    assert record["stage_decisions"]["train"] == {
        "reused": False,
        "reason": "the store has no earlier version",
    }


def test_the_keys_of_a_stage():
    record = to_json(StageResult(version="v1", tables={"trips": TABLE}, stage_seconds={"clean": 1.0}))
    assert set(record) == {"version", "tables", "stage_seconds"}


def test_a_result_is_read_back():
    assert RunResult.from_json(json.loads(json.dumps(to_json(RUN_RESULT)))) == RUN_RESULT


def test_a_result_without_a_key_is_rejected():
    record = to_json(RUN_RESULT)
    del record["elapsed_seconds"]
    with pytest.raises(ValueError, match="elapsed_seconds"):
        RunResult.from_json(record)


def test_the_stored_result_of_a_run(tmp_path):
    store = Store(str(tmp_path), "dev")
    assert read_run_result(store, "v1") is None
    store.file_io.write(store.layout.run_result("v1"), json.dumps(to_json(RUN_RESULT)).encode())
    assert read_run_result(store, "v1") == RUN_RESULT
    for damaged in (b"{", b"{}"):
        store.file_io.write(store.layout.run_result("v1"), damaged)
        with pytest.raises(StoreError, match=r"cannot read .*v1\.run\.json: it is not the result of a run"):
            read_run_result(store, "v1")
