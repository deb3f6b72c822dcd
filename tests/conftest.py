"""What the tests share: rows of trips, small sources, one cluster, and the command line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from toytip.cli.json_keys import JSON_KEYS
from toytip.core.model import TrainedModel
from toytip.core.months import Month, parse_months
from toytip.core.partitions import DataFile, DataFileKey
from toytip.core.tables import TRIPS
from toytip.core.tlc import FIELDS, trip_id_base
from toytip.sources.synthetic import SyntheticSpec, generate_month, month_file_name
from toytip.store.manifest import Manifest

# A suite that is started in the background, or by nohup, inherits that signals are ignored, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# No test asserts a time, not even a generous one.
hypothesis.settings.register_profile("toytip", deadline=None)
hypothesis.settings.load_profile("toytip")

# Only tests of the gate meet the registry: it takes seconds to import and to set up.
os.environ.setdefault("TOYTIP_GATE", "off")
# Two clusters that want the same port in the same instant: Dask's server leaves the socket of the loser open.
os.environ.setdefault("TOYTIP_DASHBOARD_PORT", "0")

REAL_DATA_DIR = Path(os.environ.get("TOYTIP_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

GOOD_TRIP: dict[str, Any] = {
    "pickup_at": "2023-01-10 08:00:00",
    "dropoff_at": "2023-01-10 08:20:00",
    "VendorID": 2,
    "passenger_count": 1,
    "trip_distance": 5.0,
    "PULocationID": 74,
    "DOLocationID": 75,
    "RatecodeID": 1,
    "payment_type": 1,
    "trip_type": 1,
    "fare_amount": 10.0,
    "tip_amount": 2.5,
    "extra": 0.5,
    "mta_tax": 0.5,
    "tolls_amount": 0.0,
    "improvement_surcharge": 0.3,
    "congestion_surcharge": 2.5,
    "airport_fee": None,
    "cbd_congestion_fee": None,
}


# A trip for the scoring server: with the TLC's names, and without a tip.
SCORING_TRIP = {
    {"pickup_at": "tpep_pickup_datetime", "dropoff_at": "tpep_dropoff_datetime"}.get(name, name): value
    for name, value in GOOD_TRIP.items()
    if name not in ("tip_amount", "trip_type")
}


def make_trips(*changes: dict[str, Any], month: Month = Month(2023, 1)) -> pd.DataFrame:  # noqa: B008
    """Return `trips`: a good trip for each of the changes to it, in the file of the month."""
    frame = pd.DataFrame([{**GOOD_TRIP, **change} for change in changes], columns=list(GOOD_TRIP))
    frame.insert(0, "trip_id", trip_id_base("yellow", *month) + np.arange(len(frame)))
    for name in ("pickup_at", "dropoff_at"):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601")
    return TRIPS.validate(frame[TRIPS.names].astype(TRIPS.dtypes))


def raw_table(rows: int = 50, month: Month = Month(2023, 1), prefix: str = "tpep", seed: int = 1) -> pa.Table:  # noqa: B008
    """Return a raw monthly file of good trips, under the TLC's names."""
    rng = np.random.default_rng(seed)
    pickup = np.datetime64(month.start, "us") + np.sort(rng.integers(0, 27 * 86_400, rows)).astype(
        "timedelta64[s]"
    )
    columns: dict[str, Any] = {}
    for field in FIELDS:
        if field.name == "trip_type" and prefix == "tpep":
            continue
        value = GOOD_TRIP[field.name]
        columns[field.name] = pa.array([value] * rows, pa.null() if value is None else None)
    columns["pickup_at"] = pa.array(pickup)
    columns["dropoff_at"] = pa.array(pickup + np.timedelta64(900, "s"))
    columns["tip_amount"] = pa.array(rng.choice([0.0, 1.0, 2.5, 4.0], rows))
    columns["PULocationID"] = pa.array(rng.integers(1, 264, rows))
    names = {"pickup_at": f"{prefix}_pickup_datetime", "dropoff_at": f"{prefix}_dropoff_datetime"}
    return pa.table({names.get(name, name): column for name, column in columns.items()})


def write_months(folder: Path, tables: dict[str, pa.Table], taxi: str = "yellow") -> Path:
    """Write raw tables as monthly files."""
    folder.mkdir(parents=True, exist_ok=True)
    for month, table in tables.items():
        pq.write_table(table, folder / f"{taxi}_tripdata_{month}.parquet")
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder and what is in them."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def make_part_record(month=Month(2023, 1), number=0, fingerprint="id"):  # noqa: B008
    key = DataFileKey(month, number)
    return DataFile(
        path=key.path, rows=0, bytes=0, checksum="", month=month, number=number, fingerprint=fingerprint
    )


def make_manifest(records, version="v1", table="trips"):
    return Manifest(
        table=table,
        version=version,
        created_at=f"2026-01-{int(version[1:]) + 1:02d}T00:00:00+00:00",
        files=tuple(records),
        config={},
        parents=(),
        schema_digest="x",
    )


def publish_trips(store, version="v1", rows=3):
    record = store.write_data_file(TRIPS, version, make_part_record(), make_trips(*[{}] * rows))
    return store.publish(make_manifest([record], version))


def run_toytip(
    *args: Any, timeout: float = 240, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "toytip", *map(str, args)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        env={**os.environ, **env},
        check=False,
    )


@contextlib.contextmanager
def start_toytip(*args: Any, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command line in a process group of its own; whatever is left of it at the end is killed."""
    command = [sys.executable, "-m", "toytip", *map(str, args)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **env},
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for_message(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process says until a line with a text in it."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return
    raise AssertionError(f"it never said {text!r}: {said}")


def parse_summary(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the object that `--json` printed, and nothing else did."""
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("\n") == 1, process.stdout
    told = dict(json.loads(process.stdout))
    check_json_keys(list(map(str, process.args)), told)
    return told


def check_json_keys(words: list[str], summary: dict[str, Any]) -> None:
    """Check that the reference has the keys that a command printed, and of `run` that it prints all of them."""
    words = words[words.index("toytip") + 1 :] if "toytip" in words else words
    known = JSON_KEYS.get(" ".join(words[:2])) or JSON_KEYS.get(words[0])
    if known is not None:
        assert set(summary) <= set(known), "a key that toytip/cli/json_keys.py does not have"
        assert words[0] != "run" or list(summary) == list(known), (
            "toytip/cli/json_keys.py tells other keys of run"
        )


@contextlib.contextmanager
def run_dask_cluster(
    folder: Path, workers: int
) -> Iterator[tuple[str, subprocess.Popen[bytes], Callable[..., Any]]]:
    """Yield a scheduler's address, its process, and what starts one more worker; all end with the context."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    host, port = address.split(":")
    binary = str(Path(sys.executable).parent / "dask")
    there: list[subprocess.Popen[bytes]] = []

    def start(*words: str, within: Sequence[str] = (), **env: str) -> subprocess.Popen[bytes]:
        there.append(subprocess.Popen(
            [*within, binary, *words, "--host", host, "--no-dashboard"], cwd=folder, env={**os.environ, **env},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ))  # fmt: skip
        return there[-1]

    def add(*more: str, within: Sequence[str] = (), **env: str) -> subprocess.Popen[bytes]:
        words = ("worker", address, "--nthreads", "1", "--death-timeout", "5", *more)
        return start(*words, within=within, **env)

    try:
        scheduler = start("scheduler", "--port", port)
        for _ in range(workers):
            add()
        yield f"tcp://{address}", scheduler, add
    finally:
        for process in there:
            process.terminate()
        for process in there:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


@pytest.fixture
def invoke_cli(monkeypatch, capsys, tmp_path):
    """The command line in this process, in an empty folder."""
    from toytip.cli import app, run_cli

    def call(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["toytip", *map(str, arguments)])
        code = run_cli(app)
        told = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, told.out, told.err)

    return call


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
    """A store with two runs over the same months, the second of card trips, without validation or the payment; what each said."""
    store = tmp_path_factory.mktemp("two-runs")
    common = ("run", "--source", synthetic, "--store", store, "--workers", 1, "--max-depth", 4, "--json")
    first = parse_summary(
        run_toytip(*common, "--version", "va", "--rounds", 30, "--eta", 0.4, "--early-stop", 4)
    )
    other = ("--population", "card", "--features", "dropoff", "--valid", "none")
    second = parse_summary(run_toytip(*common, "--version", "vb", "--rounds", 8, *other))
    return store, [first, second]


class ModelRun(NamedTuple):
    """A run with a registered model: its store, months, source files and predictions by trip ID."""

    store: Path
    months: str
    files: list[Path]
    predictions: pd.DataFrame


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
    return ModelRun(store, months, sorted(source.glob("*.parquet")), predictions)


@pytest.fixture(scope="session")
def scoring_model(model_run: ModelRun) -> TrainedModel:
    """The champion of `model_run`."""
    from toytip.config import Settings
    from toytip.models import resolve

    return resolve.load_model(Settings.load(store=str(model_run.store)), "champion")


FAST_RUN = ("--rounds", 6, "--max-depth", 3, "--workers", 2, "--json")


@pytest.fixture(scope="session")
def three_month_run(
    synthetic: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, dict[str, Any]]:
    """A source folder of three months, a store with a run over them, and its summary."""
    root = tmp_path_factory.mktemp("three-months")
    folder = root / "in"
    folder.mkdir()
    for path in sorted(synthetic.glob("*.parquet"))[:3]:
        shutil.copy2(path, folder)
    summary = parse_summary(run_toytip("run", "--source", folder, "--store", root / "st", *FAST_RUN))
    return folder, root / "st", summary


@pytest.fixture
def real_data_dir() -> Path:
    """The folder of the published months."""
    if not REAL_DATA_DIR.is_dir():
        pytest.skip(f"no published months in {REAL_DATA_DIR}; set TOYTIP_TEST_DATA to a folder that has them")
    return REAL_DATA_DIR


@pytest.fixture(scope="session")
def client() -> Any:
    """One small cluster of two workers, for all that needs a client."""
    from toytip import cluster
    from toytip.config import Settings

    cluster.prestart_forkserver("forkserver")
    with cluster.connect(Settings.load(workers=2, threads_per_worker=1)) as connected:
        yield connected
