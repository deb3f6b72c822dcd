"""Runs are killed at many moments; nothing half-made is ever seen, and what comes after has every row, once.

`make test-faults` runs these and prints the figures that docs/reliability.md shows.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

from tests.support import run_probes, s3_server
from tests.support.clusters import run_dask_cluster
from tests.support.reference_run import ROW_DIFFERENCES, check_complete, check_same_results
from tests.support.runs import parse_summary, run_toytip, start_toytip, wait_for_message
from toytip.core.access import StorageOptions
from toytip.io.s3 import S3FileIO, has_credentials, s3_filesystem
from toytip.store.store import Store

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


@pytest.fixture(scope="module")
def calm(synthetic, tmp_path_factory):
    """The store of an undisturbed run, and its summary."""
    root = tmp_path_factory.mktemp("calm")
    return root, parse_summary(run_toytip("run", "--source", synthetic, "--store", root, *OPTIONS))


def strike(victim, run, moment, delay):
    """Kill the driver, or one of its workers, so long after it said something."""
    wait_for_message(run, moment)
    time.sleep(delay)
    if victim == "driver":
        run.kill()
        run.wait(30)
        return
    server = next(child for child in psutil.Process(run.pid).children() if child.children())
    workers = sorted(server.children(), key=lambda child: child.memory_info().rss)
    os.kill(workers[-1].pid, signal.SIGKILL)


@pytest.mark.parametrize(("number", "moment", "delay"), [(n, *m) for n, m in enumerate(DRIVER)])
def test_the_driver_is_killed(number, moment, delay, synthetic, calm, tmp_path):
    """Every other time the run is made again under the version of the one that was killed."""
    name = ("--version", "vkilled")
    command = ("run", "--source", synthetic, "--store", tmp_path, *OPTIONS)
    with start_toytip(*command, *name) as run:
        family = psutil.Process(run.pid).children(recursive=True)
        strike("driver", run, moment, delay)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, "its workers end by themselves"
    ROW_DIFFERENCES["driver killed"] += 1
    store = Store(str(tmp_path), "dev")
    check_complete(store, calm)
    whole = store.get_manifest("predictions", "vkilled") is not None
    again = run_toytip(*command, *(name if number % 2 and not whole else ()))
    summary = parse_summary(again)
    taken = "reused" in again.stderr
    assert taken or moment in ("dashboard", "featurize:"), again.stderr
    ROW_DIFFERENCES["went on from whole parts"] += taken
    check_same_results(store, summary, calm)
    check_complete(store, calm)
    ROW_DIFFERENCES["survived"] += 1


@pytest.mark.parametrize(("moment", "delay"), WORKER)
def test_a_worker_is_killed(moment, delay, synthetic, calm, tmp_path):
    with start_toytip("run", "--source", synthetic, "--store", tmp_path, *OPTIONS) as run:
        strike("worker", run, moment, delay)
        out, said = run.communicate(timeout=200)
        assert run.returncode == 0, said
    ROW_DIFFERENCES["worker killed"] += 1
    store = Store(str(tmp_path), "dev")
    check_same_results(store, json.loads(out), calm)
    check_complete(store, calm)
    assert not list((tmp_path / "dev" / "_staging").iterdir())
    ROW_DIFFERENCES["survived"] += 1


@pytest.fixture(scope="module")
def server(tmp_path_factory, synthetic):
    with (
        s3_server.run_s3_server(tmp_path_factory.mktemp("weed")) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in running.env().items():
            patch.setenv(name, value)
        has_credentials.cache_clear()
        s3_filesystem.cache_clear()
        bucket = S3FileIO(f"s3://{s3_server.PRIVATE_BUCKET}/in", StorageOptions(running.endpoint))
        for path in synthetic.glob("*.parquet"):
            bucket.write(path.name, path.read_bytes())
        yield running
    has_credentials.cache_clear()
    s3_filesystem.cache_clear()


@pytest.mark.parametrize(("number", "moment", "delay"), [(n, *m) for n, m in enumerate(REMOTE)])
def test_a_run_on_an_object_store_is_killed(number, moment, delay, server, calm):
    root = f"s3://{s3_server.PRIVATE_BUCKET}/killed-{number}"
    command = ("run", "--source", f"s3://{s3_server.PRIVATE_BUCKET}/in", "--store", root, *OPTIONS)
    with start_toytip(*command, "--version", "vkilled") as run:
        family = psutil.Process(run.pid).children(recursive=True)
        strike("driver", run, moment, delay)
        psutil.wait_procs(family, timeout=30)
    ROW_DIFFERENCES["driver killed, object store"] += 1
    store = Store(root, "dev", StorageOptions(server.endpoint))
    check_complete(store, calm)
    whole = store.get_manifest("predictions", "vkilled") is not None
    summary = parse_summary(
        run_toytip(*command, *(("--version", "vkilled") if number % 2 and not whole else ()))
    )
    check_same_results(store, summary, calm)
    check_complete(store, calm)
    ROW_DIFFERENCES["survived"] += 1


# Long enough to be struck ten times while it trains; every ten rounds leave a checkpoint.
ROUNDS = 400
LONG = (
    "--rounds",
    ROUNDS,
    "--early-stop",
    0,
    "--max-depth",
    6,
    "--workers",
    2,
    "--partition-rows",
    500,
    "--explain",
    "--json",
)
# Before the first round; when so many rounds have been kept, every other time half-way to the next checkpoint; the last ones.
TRAINING = ("rows are taken", "ranks meet", 10, 60, 110, 160, 210, 260, 320, 380)
# When so many twentieths of a table's parts are whole.
ROWS = [
    (stage, table, share)
    for stage, table in (("featurize", "features"), ("infer", "predictions"))
    for share in (0, 4, 8, 12, 16)
]
SIGNALS = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}
# A worker that says nothing for so long is taken for frozen: a minute otherwise.
NOTICED = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "6s"}
# When the blows fell.
WHEN: defaultdict[str, list[str]] = defaultdict(list)


@pytest.fixture(scope="module")
def steady(synthetic, tmp_path_factory):
    """The store of an undisturbed run of many rounds, and its summary."""
    root = tmp_path_factory.mktemp("steady")
    return root, parse_summary(run_toytip("run", "--source", synthetic, "--store", root, *LONG))


def finish(run, store, undisturbed):
    """Wait for the end of a run that was struck: it must be as if nothing had happened."""
    out, said = run.communicate(timeout=400)
    assert run.returncode == 0, said
    check_same_results(store, json.loads(out), undisturbed)
    check_complete(store, undisturbed)
    assert not list(Path(store.path("_checkpoints")).glob("*")), "it is done with"
    ROW_DIFFERENCES["survived"] += 1


@contextlib.contextmanager
def under_way(synthetic, folder, **env):
    """Start a long run with a scratch disk of its own; yield it, its store and that disk."""
    scratch = folder / "scratch"
    command = ("run", "--source", synthetic, "--store", folder / "store", *LONG)
    with start_toytip(*command, DASK_TEMPORARY_DIRECTORY=str(scratch), **env) as run:
        yield run, Store(str(folder / "store"), "dev"), scratch


def hit(run, what, number):
    """Strike one of the two workers."""
    os.kill(run_probes.worker_processes(run)[number // 2 % 2].pid, SIGNALS[what])


def struck(what, where, when, *, inside):
    """Count a blow, whether it fell inside, and when."""
    ROW_DIFFERENCES[f"worker {what}, {where}"] += 1
    ROW_DIFFERENCES[f"worker {what}, inside {where}"] += inside
    WHEN[f"worker {what}, {where}"].append(when)
    assert inside, f"struck too late: {when}"


@pytest.mark.parametrize("what", SIGNALS)
@pytest.mark.parametrize(("number", "moment"), list(enumerate(TRAINING)))
def test_a_worker_is_lost_in_training(number, moment, what, synthetic, steady, tmp_path):
    with under_way(synthetic, tmp_path, **NOTICED) as (run, store, scratch):
        if moment == "rows are taken":  # a rank keeps its codes there
            run_probes.wait_for_run(run, lambda: any(scratch.glob("*/worker-*/tmp*")))
        elif moment == "ranks meet":
            wait_for_message(run, "train:")
            run_probes.wait_for_run(run, lambda: len(run_probes.worker_processes(run)) > 2)
        else:
            run_probes.wait_for_round(run, store, moment, between=number % 2 == 1)
        hit(run, what, number)
        inside = run_probes.is_training(store, ROUNDS)
        wait_for_message(run, run_probes.RANK_LOST_MESSAGE)
        kept = run_probes.checkpoint_rounds(store)  # it has not begun again: what it had when it was struck
        assert (kept > 0) == isinstance(moment, int)
        struck(what, "training", f"round {kept}-{kept + 9}" if kept else moment, inside=inside)
        finish(run, store, steady)


@pytest.mark.parametrize("what", SIGNALS)
@pytest.mark.parametrize(("number", "stage", "table", "share"), [(n, *m) for n, m in enumerate(ROWS)])
def test_a_worker_is_lost_in_a_row_stage(number, stage, table, share, what, synthetic, steady, tmp_path):
    parts = run_probes.count_parts(steady, table)
    with under_way(synthetic, tmp_path, **NOTICED) as (run, store, _):
        wait_for_message(run, f"{stage}:")
        run_probes.wait_for_parts(run, store, table, parts * share // 20)
        hit(run, what, number)
        inside, kept = (
            run_probes.is_being_built(store, table, parts),
            run_probes.count_staged_parts(store, table),
        )
        struck(what, "row stages", f"{stage} {kept} of {parts}", inside=inside)
        finish(run, store, steady)


def test_two_workers_are_lost_one_after_the_other(synthetic, steady, tmp_path):
    with under_way(synthetic, tmp_path) as (run, store, _):
        run_probes.wait_for_round(run, store, 110)
        first, second = run_probes.worker_processes(run)[:2]
        os.kill(first.pid, signal.SIGKILL)
        time.sleep(0.3)
        os.kill(second.pid, signal.SIGKILL)
        ROW_DIFFERENCES["two workers killed, 0.3 s apart"] += 1
        wait_for_message(run, run_probes.RANK_LOST_MESSAGE)
        finish(run, store, steady)


def preloaded(folder, code):
    """Return the environment in which every worker runs some code before its first task."""
    script = folder / "preload.py"
    script.write_text(code)
    return {"DASK_DISTRIBUTED__WORKER__PRELOAD": json.dumps([str(script)])}


# A worker that is started again runs its preload twice, in one module: the real one must not be lost.
LOADS = """
import os, pathlib, signal, time
from toytip.sources import reader
reader.real = getattr(reader, "real", reader.read_partition)

def worse(part):
    if part.month.month == 3 and part.start == 0:
        {what}
    return reader.real(part)

reader.read_partition = worse
"""


def test_a_worker_out_of_memory_is_started_again(synthetic, steady, tmp_path):
    """Dask's nanny ends it at its limit; the partition is made by another."""
    marker = tmp_path / "marker"
    hog = f"""
        if not pathlib.Path({str(marker)!r}).exists():
            pathlib.Path({str(marker)!r}).touch()
            hog = bytearray(3_000_000_000); hog[::4096] = b"x" * len(hog[::4096])
            time.sleep(60)"""
    env = preloaded(tmp_path, LOADS.format(what=hog.strip()))
    store = tmp_path / "store"
    limit = ("--memory-limit", "1500MB")
    with start_toytip("run", "--source", synthetic, "--store", store, *LONG, *limit, **env) as run:
        finish(run, Store(str(store), "dev"), steady)
    assert marker.exists()
    ROW_DIFFERENCES["worker killed for its memory"] += 1


def test_a_partition_that_kills_every_worker_is_named(synthetic, tmp_path):
    env = preloaded(tmp_path, LOADS.format(what="os.kill(os.getpid(), signal.SIGKILL)"))
    done = run_toytip("run", "--source", synthetic, "--store", tmp_path / "store", *LONG, **env)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "yellow_tripdata_2020-03.parquet, rows 0 to" in last, done.stderr
    assert "killed 4 workers" in last
    assert not Store(str(tmp_path / "store"), "dev").list_manifests()
    ROW_DIFFERENCES["poison partition named"] += 1


@pytest.mark.parametrize("stage", ["featurize", "train", "infer"])
def test_the_scheduler_is_lost(stage, synthetic, steady, tmp_path):
    """It is said in one line; the next run goes on from what is whole."""
    command = ("run", "--source", synthetic, "--store", tmp_path, *LONG)
    store = Store(str(tmp_path), "dev")
    with (
        run_dask_cluster(tmp_path, 2) as (address, scheduler, _),
        start_toytip(*command, "--scheduler", address) as run,
    ):
        if stage == "train":
            run_probes.wait_for_round(run, store, 60)
        else:
            run_probes.wait_for_parts(run, store, "features" if stage == "featurize" else "predictions", 3)
        scheduler.kill()
        _, said = run.communicate(timeout=200)
        assert run.returncode == 1, said
        assert "Traceback" not in said, said
        assert not re.search(rf"^{stage} +\d+ done", said, re.MULTILINE), said
        ROW_DIFFERENCES["scheduler killed"] += 1
    again = run_toytip(*command)
    check_same_results(store, parse_summary(again), steady)
    assert "reused" in again.stderr
    ROW_DIFFERENCES["survived"] += 1


def test_a_worker_that_comes_late_does_its_share(synthetic, steady, tmp_path):
    with run_dask_cluster(tmp_path, 1) as (address, _, add):
        command = ("run", "--source", synthetic, "--store", tmp_path, *LONG, "--scheduler", address)
        with start_toytip(*command) as run:
            wait_for_message(run, "featurize:")
            add()
            ROW_DIFFERENCES["worker came late"] += 1
            finish(run, Store(str(tmp_path), "dev"), steady)


def test_eight_workers_on_three_partitions(synthetic, tmp_path):
    few = ("run", "--source", synthetic, "--months", "2020-01:2020-03", "--rounds", 30, "--json")
    summaries = [
        parse_summary(run_toytip(*few, "--store", tmp_path / str(count), "--workers", count))
        for count in (1, 8)
    ]
    boosters = [(Path(s["model"]["path"]) / "model.ubj").read_bytes() for s in summaries]
    assert boosters[0] == boosters[1]
    assert summaries[0]["metrics"] == summaries[1]["metrics"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_scratch_disk(synthetic, steady, tmp_path):
    """Nothing is spilled where the plan fits, so that nothing needs it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", scratch], check=True)
    try:
        with contextlib.suppress(OSError):
            (scratch / "filler").write_bytes(b"x" * 200_000)
        env = {"DASK_TEMPORARY_DIRECTORY": str(scratch)}
        with start_toytip("run", "--source", synthetic, "--store", tmp_path / "store", *LONG, **env) as run:
            ROW_DIFFERENCES["full scratch disk"] += 1
            finish(run, Store(str(tmp_path / "store"), "dev"), steady)
    finally:
        subprocess.run(["umount", "-l", scratch], check=True)


def test_the_figures(capsys):
    ROW_DIFFERENCES.update({"rows lost": 0, "rows doubled": 0})
    harmless = ("survived", "went on from whole parts", "poison partition named", "rows lost", "rows doubled")
    kills = sum(
        count for name, count in ROW_DIFFERENCES.items() if name not in harmless and "inside" not in name
    )
    with capsys.disabled():
        print("\n\n" + "\n".join(f"{name:<36}{ROW_DIFFERENCES[name]:>6}" for name in ROW_DIFFERENCES))  # noqa: T201
        print("\n".join(f"{name}: {', '.join(when)}" for name, when in WHEN.items()))  # noqa: T201
    assert kills == ROW_DIFFERENCES["survived"]
    assert ROW_DIFFERENCES["rows lost"] == ROW_DIFFERENCES["rows doubled"] == 0
