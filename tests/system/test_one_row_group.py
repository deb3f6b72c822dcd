"""A run over a large month in one row group, within a memory limit that the kernel enforces."""

import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.machine.memory_cap import memory_group
from tests.support.runs import parse_summary, require_error
from toytip.core.months import Month
from toytip.datasets.tlc.taxis.synthetic import (
    INVALID_ROW_SHARES,
    SyntheticSpec,
    generate_month,
    invalid_rows,
    month_file_name,
)

pytestmark = [pytest.mark.volume, pytest.mark.timeout(1_800)]
# January has 1.42 times the mean number of trips. To save memory, the test repeats its trips.
MONTH, SPEC, REPEATS = Month(2020, 1), SyntheticSpec(rows_per_month=1_000_000), 8
ROWS = 11_360_000
# The estimate of the plan is 2,058 MB for training, of which 70 % of the limit must be enough.
LIMIT_MB = 3_000


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with one file, which has one row group."""
    folder = tmp_path_factory.mktemp("one-row-group")
    table, file = pa.concat_tables([generate_month(MONTH, SPEC)] * REPEATS), folder / month_file_name(MONTH)
    pq.write_table(table, file, row_group_size=len(table))
    metadata = pq.read_metadata(file)
    assert (metadata.num_rows, metadata.num_row_groups) == (ROWS, 1)
    return folder


def run_within(limit_mb, *words):
    """Run toytip with a memory limit. Any worker that is killed makes the command fail."""
    with memory_group(limit_mb) as group:
        if group is None:
            pytest.skip("the system does not allow cgroups for this user")
        process = subprocess.run(
            [*group.prefix, sys.executable, "-m", "toytip", *map(str, words)],
            env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert group.ended_processes() == 0, process.stderr
    return process


@pytest.fixture(scope="module")
def finished(source, tmp_path_factory):
    """The store and the output of a run."""
    store = tmp_path_factory.mktemp("store")
    options = ("--source", source, "--store", store, "--workers", 2, "--rounds", 5, "--gate", "off")
    return store, run_within(LIMIT_MB, "run", *options, "--progress", "plain", "--json")


def test_a_run_trains_and_scores_within_the_memory(finished):
    _, process = finished
    summary = parse_summary(process)
    rejects = {reason: REPEATS * rows for reason, rows in invalid_rows(MONTH, SPEC.rows_per_month).items()}
    assert set(rejects) == set(INVALID_ROW_SHARES)
    assert summary["rejects"] == rejects
    kept = ROWS - sum(rejects.values())
    assert summary["rows"] == {"read": ROWS, "kept": kept, "rejected": ROWS - kept}
    assert summary["tables"]["predictions"]["rows"] == kept
    assert sum(part["all"]["rows"] for part in summary["metrics"].values()) == kept
    assert summary["model"]["rounds"] == 5
    assert summary["peak_memory_mb"] < LIMIT_MB
    assert "attempt" not in process.stderr, "no rank was lost"


def test_a_file_is_scored_in_batches(finished, source, tmp_path):
    """The compressed row group alone has 270 MB."""
    store, output = finished[0], tmp_path / "scores.parquet"
    words = ("score", source / month_file_name(MONTH), "--store", store, "--output", output, "--json")
    scored = parse_summary(run_within(1_000, *words))
    rejects = parse_summary(finished[1])["rejects"]
    # A score needs no tip, and trips of any month have one.
    assert scored["unscored"].keys() == rejects.keys() - {"out_of_month"}
    assert {name for name, rows in scored["unscored"].items() if rows != rejects[name]} == {"missing_value"}
    assert scored["scored_count"] + sum(scored["unscored"].values()) == ROWS
    assert pq.read_metadata(output).num_rows == ROWS


def test_too_little_memory_is_an_error_before_the_run(source, tmp_path):
    store = tmp_path / "store"
    options = ("--source", source, "--store", store, "--workers", 2, "--gate", "off", "--progress", "none")
    require_error(run_within(2_000, "run", *options), "MB", "--memory-limit")
    assert not list(store.rglob("*.parquet"))
