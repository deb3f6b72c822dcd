"""Runs are killed at many moments; nothing half-made is ever seen, and what comes after has every row, once.

`make test-faults` runs these and prints the figures that docs/reliability.md shows.
"""

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import duckdb
import psutil
import pytest

from tests import weed
from tests.conftest import started, summary_of, toytip, wait_for
from toytip import upkeep
from toytip.s3 import Bucket, has_credentials, s3
from toytip.schema import PREDICTIONS
from toytip.stages.featurize import TABLE as FEATURES
from toytip.store import Store
from toytip.values import Access

pytestmark = pytest.mark.faults
OPTIONS = ("--rounds", 30, "--max-depth", 4, "--workers", 2, "--partition-rows", 500, "--explain", "--json")
STAGES = ("featurize:", "preprocess:", "train:", "infer:")
DRIVER = [
    ("dashboard", 0.0),
    *((stage, d) for stage in STAGES for d in (0, 0.02, 0.05, 0.1, 0.2, 0.4)),
    ("evaluate", 0.0),
]
WORKER = [(stage, d) for stage in STAGES for d in (0, 0.1, 0.3)]
REMOTE = [(stage, d) for stage in STAGES for d in (0.0, 0.5)]
TALLY: Counter[str] = Counter()


@pytest.fixture(scope="module")
def calm(synthetic, tmp_path_factory):
    """The store of an undisturbed run, and its summary."""
    root = tmp_path_factory.mktemp("calm")
    return root, summary_of(toytip("run", "--source", synthetic, "--store", root, *OPTIONS))


def strike(victim, run, moment, delay):
    """Kill the driver, or one of its workers, so long after it said something."""
    wait_for(run, moment)
    time.sleep(delay)
    if victim == "driver":
        run.kill()
        run.wait(30)
        return
    server = next(child for child in psutil.Process(run.pid).children() if child.children())
    workers = sorted(server.children(), key=lambda child: child.memory_info().rss)
    os.kill(workers[-1].pid, signal.SIGKILL)


def check_nothing_half(store, calm):
    """What is published verifies; and what a glob sees on a disk is whole."""
    expected = {name: told["rows"] for name, told in calm[1]["tables"].items()}
    for manifest in store.versions():
        assert manifest.rows == expected[manifest.table]
        assert not [
            f for f in upkeep.verify(store, manifest.version, lambda _: None) if f.table == manifest.table
        ]
    if store.place.renames:
        for table in ("features", "rejects", "predictions"):
            pattern = f"{store.path(table)}/*/*/*/*.parquet"
            if list(Path(store.path(table)).glob("*/*/*/*.parquet")):
                query = f"select version, count(*) from read_parquet('{pattern}', hive_partitioning=true) group by 1"
                assert {rows for _, rows in duckdb.sql(query).fetchall()} == {expected[table]}


def count_rows(store, summary, calm):
    """Compare predictions and features with those of the undisturbed run, row for row, by trip."""
    root, first = calm
    undisturbed = Store(str(root), "dev")
    for table in (PREDICTIONS, FEATURES):
        versions = [s["tables"][table.name]["version"] for s in (first, summary)]
        frames = [
            [side.read(table, version, part) for part in side.published(table.name, version).parts]
            for side, version in zip((undisturbed, store), versions, strict=True)
        ]
        ids = [Counter(i for frame in frames_of for i in frame["trip_id"].tolist()) for frames_of in frames]
        TALLY["rows lost"] += sum((ids[0] - ids[1]).values())
        TALLY["rows doubled"] += sum((ids[1] - ids[0]).values())
        assert ids[0] == ids[1]
        for a, b in zip(*frames, strict=True):
            assert a.drop(columns="model_version", errors="ignore").equals(
                b.drop(columns="model_version", errors="ignore")
            )
    assert summary["metrics"] == first["metrics"]
    models = [
        side.published("models", s["model"]["version"])
        for side, s in ((undisturbed, first), (store, summary))
    ]
    boosters = [p.checksum for manifest in models for p in manifest.parts if p.path == "model.ubj"]
    assert len(boosters) == 2
    assert len(set(boosters)) == 1, "the same model bytes"


@pytest.mark.parametrize(("number", "moment", "delay"), [(n, *m) for n, m in enumerate(DRIVER)])
def test_the_driver_is_killed(number, moment, delay, synthetic, calm, tmp_path):
    """Every other time the run is made again under the version of the one that was killed."""
    name = ("--version", "vkilled")
    command = ("run", "--source", synthetic, "--store", tmp_path, *OPTIONS)
    with started(*command, *name) as run:
        family = psutil.Process(run.pid).children(recursive=True)
        strike("driver", run, moment, delay)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, "its workers end by themselves"
    TALLY["driver killed"] += 1
    store = Store(str(tmp_path), "dev")
    check_nothing_half(store, calm)
    whole = store.published("predictions", "vkilled") is not None
    again = toytip(*command, *(name if number % 2 and not whole else ()))
    summary = summary_of(again)
    taken = "taken over" in again.stderr or "is reused" in again.stderr
    assert taken or moment in ("dashboard", "featurize:"), again.stderr
    TALLY["went on from whole parts"] += taken
    count_rows(store, summary, calm)
    check_nothing_half(store, calm)
    TALLY["survived"] += 1


@pytest.mark.parametrize(("moment", "delay"), WORKER)
def test_a_worker_is_killed(moment, delay, synthetic, calm, tmp_path):
    with started("run", "--source", synthetic, "--store", tmp_path, *OPTIONS) as run:
        strike("worker", run, moment, delay)
        out, said = run.communicate(timeout=200)
        assert run.returncode == 0, said
    TALLY["worker killed"] += 1
    store = Store(str(tmp_path), "dev")
    count_rows(store, json.loads(out), calm)
    check_nothing_half(store, calm)
    assert not list((tmp_path / "dev" / "_staging").iterdir())
    TALLY["survived"] += 1


@pytest.fixture(scope="module")
def server(tmp_path_factory, synthetic):
    with weed.running(tmp_path_factory.mktemp("weed")) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.env().items():
            patch.setenv(name, value)
        has_credentials.cache_clear()
        s3.cache_clear()
        bucket = Bucket(f"s3://{weed.PRIVATE}/in", Access(running.endpoint))
        for path in synthetic.glob("*.parquet"):
            bucket.write(path.name, path.read_bytes())
        yield running
    has_credentials.cache_clear()
    s3.cache_clear()


@pytest.mark.parametrize(("number", "moment", "delay"), [(n, *m) for n, m in enumerate(REMOTE)])
def test_a_run_on_an_object_store_is_killed(number, moment, delay, server, calm):
    root = f"s3://{weed.PRIVATE}/killed-{number}"
    command = ("run", "--source", f"s3://{weed.PRIVATE}/in", "--store", root, *OPTIONS)
    with started(*command, "--version", "vkilled") as run:
        family = psutil.Process(run.pid).children(recursive=True)
        strike("driver", run, moment, delay)
        psutil.wait_procs(family, timeout=30)
    TALLY["driver killed, object store"] += 1
    store = Store(root, "dev", Access(server.endpoint))
    check_nothing_half(store, calm)
    whole = store.published("predictions", "vkilled") is not None
    summary = summary_of(toytip(*command, *(("--version", "vkilled") if number % 2 and not whole else ())))
    count_rows(store, summary, calm)
    check_nothing_half(store, calm)
    TALLY["survived"] += 1


def test_the_figures(capsys):
    TALLY.update({"rows lost": 0, "rows doubled": 0})
    kills = sum(count for name, count in TALLY.items() if "killed" in name)
    with capsys.disabled():
        print("\n\n" + "\n".join(f"{name:<32}{TALLY[name]:>6}" for name in TALLY))  # noqa: T201
    assert kills == TALLY["survived"]
    assert TALLY["rows lost"] == TALLY["rows doubled"] == 0
