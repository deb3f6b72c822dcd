"""A run that changes nothing publishes nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import FAST_RUN, parse_summary, run_toytip
from toytip.config import Settings
from toytip.pipeline.unchanged import find_unchanged_run
from toytip.store.store import Store

pytestmark = pytest.mark.cluster


@pytest.fixture
def first(three_month_run, tmp_path):
    """A copy of the source and of the store, and the JSON result of the run."""
    folder, store, summary = three_month_run
    source = Path(shutil.copytree(folder, tmp_path / "in", copy_function=shutil.copy2))
    return source, Path(shutil.copytree(store, tmp_path / "st")), summary


# Runs a command, and prints which of the slow or unnecessary modules it has imported.
IMPORTED = """
import sys
from toytip.cli import app, run_cli
code = run_cli(app)
names = ("dask", "distributed", "xgboost", "sklearn", "mlflow", "multiprocessing.forkserver")
print("imported:", *(name for name in names if name in sys.modules))
sys.exit(code)
"""


def settings_of(source, store, **changes):
    options = {"rounds": 6, "max_depth": 3, "workers": 2, **changes}
    return Settings.load(source=str(source), store=str(store), **options)


def test_an_unchanged_run_prints_the_earlier_result(first):
    source, store, summary = first
    command = ("run", "--source", source, "--store", store, *FAST_RUN)
    repeated = parse_summary(run_toytip(*command))
    assert repeated["up_to_date"]
    assert repeated["version"] == summary["version"]
    assert repeated["metrics"] == summary["metrics"]
    assert [run.version for run in Store(str(store), "dev").list_runs()] == [summary["version"]]
    assert not list((store / "dev" / "_staging").glob("*"))
    printed = run_toytip(*command[:-1])
    assert printed.stdout.startswith(f"version {summary['version']} (not-gated) is up to date")
    assert "featurize" not in printed.stderr


def test_an_unchanged_run_imports_no_dask_and_starts_no_fork_server(first):
    source, store, _ = first
    command = ("run", "--source", source, "--store", store, *FAST_RUN[:-1])
    process = subprocess.run(
        [sys.executable, "-c", IMPORTED, *map(str, command)], capture_output=True, text=True, check=True
    )
    assert "is up to date" in process.stdout
    assert process.stdout.splitlines()[-1] == "imported:"


def test_only_the_content_of_the_source_counts(first):
    """The path and the time of a file do not matter, and neither does the number of workers."""
    source, store, summary = first
    for path in source.iterdir():
        os.utime(path, (1, 1))
    moved = source.rename(source.with_name("moved"))
    assert find_unchanged_run(settings_of(moved, store, workers=1)).version == summary["version"]
    file = min(moved.iterdir())
    file.write_bytes(file.read_bytes()[:-4] + b"PAR1")
    assert find_unchanged_run(settings_of(moved, store, workers=1)).up_to_date
    shutil.copy2(sorted(moved.iterdir())[1], file)
    assert find_unchanged_run(settings_of(moved, store)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"rounds": 7},
        {"feature_set": "pickup"},
        {"test_months": "2020-03"},
        {"gate": "dry-run"},
        {"full_refresh": True},
        {"version_id": "v2"},
        {"months": "2020-01:2020-02"},
    ],
    ids=str,
)
def test_a_changed_run_is_not_skipped(first, changes):
    source, store, _ = first
    assert find_unchanged_run(settings_of(source, store, **changes)) is None


def test_a_run_with_a_deleted_table_is_not_skipped(first):
    source, store, summary = first
    (store / "dev" / "_versions" / "monitoring" / f"{summary['version']}.json").unlink()
    assert find_unchanged_run(settings_of(source, store)) is None
