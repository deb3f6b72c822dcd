"""Fixtures that the tests share: sources, runs, the command line, and one cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.support.runs import FAST_RUN, ModelRun, parse_summary, run_toytip
from tests.support.trips import REAL_DATA_DIR
from tests.support.warm_process import COMMAND_VARIABLES
from toytip.core.model import TrainedModel
from toytip.core.months import parse_months
from toytip.datasets.tlc.taxis.synthetic import SyntheticSpec, generate_month, month_file_name

# Tests that run in the background, or with nohup, inherit ignored signals, and would pass them to
# the processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# No test asserts a time, not even a generous one.
hypothesis.settings.register_profile("toytip", deadline=None)
hypothesis.settings.load_profile("toytip")

# Only tests of the promotion gate use the registry, which takes seconds to import and to set up.
# Parallel test processes can have COLUMNS and LINES, which would wrap the output of the commands.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)
os.environ.setdefault("TOYTIP_GATE", "off")
# No test reads or writes the state of the user.
_STATE_FOLDER = tempfile.TemporaryDirectory(prefix="state-")
os.environ["XDG_STATE_HOME"] = _STATE_FOLDER.name
# If two clusters request the same port at once, Dask's server leaks the socket of one of them.
os.environ.setdefault("TOYTIP_DASHBOARD_PORT", "0")


# The stores that all tests of a process share, with the names of their runs.
_SHARED_STORES: dict[Path, list[str]] = {}


def _share_store(store: Path) -> Path:
    """Return a store to which no test may publish a run from now on."""
    _SHARED_STORES[store] = _run_names(store)
    assert _SHARED_STORES[store]
    return store


def _run_names(store: Path) -> list[str]:
    return sorted(path.name for path in store.glob("*/_runs/*"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that start workers first, so that short files keep all processes busy later."""
    slow = {item.path for item in items if item.get_closest_marker("cluster")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """Restore what one test could leave to all later tests: the folder and the variables."""
    folder, variables = Path.cwd(), dict(os.environ)
    yield
    os.chdir(folder)
    for name in set(os.environ) - set(variables):
        if not name.startswith(COMMAND_VARIABLES):
            del os.environ[name]
    os.environ.update(variables)
    for store, runs in _SHARED_STORES.items():
        assert _run_names(store) == runs, "the test published a run to a shared store: use a copy"


@pytest.fixture
def invoke_cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in this process, in an empty folder."""
    from toytip.cli import app, run_cli

    def invoke(*arguments: Any) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["toytip", *map(str, arguments)])
        code = run_cli(app)
        output = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, output.out, output.err)

    return invoke


@pytest.fixture
def short_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a second for the answer of a server that does not answer, in this process."""
    monkeypatch.setattr("toytip.cluster.probe.IDENTITY_TIMEOUT_S", 1)


@pytest.fixture
def short_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a second for the answer of an HTTP server that does not answer, in this process."""
    monkeypatch.setattr("toytip.io.connection.ANSWER_TIMEOUT_S", 1)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four synthetic months of about 2,000 trips."""
    folder = tmp_path_factory.mktemp("synthetic")
    for month in parse_months("2020-01:2020-04"):
        pq.write_table(
            generate_month(month, SyntheticSpec(rows_per_month=2_000, seed=1)),
            folder / month_file_name(month),
        )
    return folder


@pytest.fixture(scope="session")
def two_runs(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A store with two runs over the same months, and their JSON results.

    The second run has card trips only, no validation month, and no payment features.
    """
    store = tmp_path_factory.mktemp("two-runs")
    common = ("run", "--source", synthetic, "--store", store, "--workers", 1, "--max-depth", 4, "--json")
    first = parse_summary(
        run_toytip(
            *common,
            "--version-id",
            "va",
            "--rounds",
            30,
            "--learning-rate",
            0.4,
            "--early-stopping-rounds",
            4,
        )
    )
    other = ("--segment", "card", "--feature-set", "dropoff", "--validation-month", "none")
    second = parse_summary(run_toytip(*common, "--version-id", "vb", "--rounds", 8, *other))
    return _share_store(store), [first, second]


@pytest.fixture(scope="session")
def three_month_run(
    synthetic: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, dict[str, Any]]:
    """A source folder of three months, a store with a run over them, and its JSON result."""
    root = tmp_path_factory.mktemp("three-months")
    folder = root / "in"
    folder.mkdir()
    for path in sorted(synthetic.glob("*.parquet"))[:3]:
        shutil.copy2(path, folder)
    summary = parse_summary(run_toytip("run", "--source", folder, "--store", root / "st", *FAST_RUN))
    return folder, _share_store(root / "st"), summary


@pytest.fixture(scope="session")
def model_run(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelRun:
    """A run of three months with a champion, of real trips if they exist."""
    real = REAL_DATA_DIR / "green-2023"
    source, months = (real, "2023-01:2023-03") if real.is_dir() else (synthetic, "2020-01:2020-03")
    store = tmp_path_factory.mktemp("model-run") / "store"
    options = ("--months", months, "--store", store, "--workers", 2, "--rounds", 20, "--gate", "on", "--json")
    summary = parse_summary(run_toytip("run", "--source", source, *options))
    folder = Path(summary["tables"]["predictions"]["path"])
    parts = [pq.read_table(file, partitioning=None).to_pandas() for file in folder.rglob("*.parquet")]
    predictions = pd.concat(parts).set_index("trip_id")
    return ModelRun(_share_store(store), months, sorted(source.glob("*.parquet")), predictions)


@pytest.fixture(scope="session")
def scoring_model(model_run: ModelRun) -> TrainedModel:
    """The champion of `model_run`."""
    from toytip.config import Settings
    from toytip.models import resolve

    return resolve.load_model(Settings.load(store=str(model_run.store)), "champion")


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder of the published months."""
    if not REAL_DATA_DIR.is_dir():
        pytest.skip(f"no published months in {REAL_DATA_DIR} (set TOYTIP_TEST_DATA to their folder)")
    return REAL_DATA_DIR


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """A client of a cluster with two workers."""
    from toytip import cluster
    from toytip.config import Settings

    cluster.prestart_forkserver("forkserver")
    with cluster.connect(Settings.load(workers=2, threads_per_worker=1)) as connected:
        yield connected
