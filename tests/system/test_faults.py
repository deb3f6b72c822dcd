"""Tests that kill runs at many injection points: no partial output is visible, no row is lost.

`make test-faults` runs these and prints the counts that docs/explanation/reliability.md shows.
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

import distributed
import psutil
import pytest

from tests.support import run_probes, s3_server
from tests.support.clusters import run_dask_cluster
from tests.support.reference_run import COUNTS, check_complete, check_same_results
from tests.support.runs import parse_summary, run_toytip, start_toytip, wait_for_message
from toytip.core.access import StorageOptions
from toytip.store.store import Store

pytestmark = pytest.mark.faults
OPTIONS = ("--rounds", 30, "--max-depth", 4, "--workers", 2, "--partition-rows", 500, "--explain", "--json")
STAGES = ("featurize:", "preprocess:", "train:", "infer:")
# The injection points: a message of the run, and the seconds after it.
CLIENT_POINTS = [
    ("dashboard", 0.0),
    *((stage, delay) for stage in STAGES for delay in (0, 0.02, 0.05, 0.1, 0.2, 0.4)),
    ("evaluate", 0.0),
]
WORKER_POINTS = [(stage, delay) for stage in STAGES for delay in (0, 0.1, 0.3)]
OBJECT_STORE_POINTS = [(stage, delay) for stage in STAGES for delay in (0.0, 0.5)]


def numbered(points):
    return [(number, *point) for number, point in enumerate(points)]


@pytest.fixture(scope="module")
def reference(synthetic, tmp_path_factory):
    """The store of an undisturbed run, and its JSON result."""
    root = tmp_path_factory.mktemp("reference")
    return root, parse_summary(run_toytip("run", "--source", synthetic, "--store", root, *OPTIONS))


def kill_client(run, message, delay):
    """Kill the client process some time after it prints a message."""
    wait_for_message(run, message)
    time.sleep(delay)
    run.kill()
    run.wait(30)


def kill_worker(run, message, delay):
    """Kill the largest worker some time after the run prints a message."""
    wait_for_message(run, message)
    time.sleep(delay)
    workers = sorted(run_probes.worker_processes(run), key=lambda child: child.memory_info().rss)
    os.kill(workers[-1].pid, signal.SIGKILL)


def has_reused(summary):
    """Return whether a run reused output of an earlier one."""
    return any(decision["reused"] for decision in summary["stage_decisions"].values())


@pytest.mark.parametrize(("number", "message", "delay"), numbered(CLIENT_POINTS))
def test_the_client_process_is_killed(number, message, delay, synthetic, reference, tmp_path):
    """Every other test repeats the run with the version ID of the killed one."""
    version = ("--version-id", "vkilled")
    command = ("run", "--source", synthetic, "--store", tmp_path, *OPTIONS)
    with start_toytip(*command, *version) as run:
        children = psutil.Process(run.pid).children(recursive=True)
        kill_client(run, message, delay)
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive, "the workers do not exit by themselves"
    COUNTS["client process killed"] += 1
    store = Store(str(tmp_path), "dev")
    check_complete(store, reference)
    is_published = store.get_manifest("predictions", "vkilled") is not None
    repeated = run_toytip(*command, *(version if number % 2 and not is_published else ()))
    summary = parse_summary(repeated)
    resumed = has_reused(summary)
    assert resumed or message in ("dashboard", "featurize:"), repeated.stderr
    COUNTS["resumed from complete files"] += resumed
    check_same_results(store, summary, reference)
    check_complete(store, reference)
    COUNTS["survived"] += 1


@pytest.mark.parametrize(("message", "delay"), WORKER_POINTS)
def test_a_worker_is_killed(message, delay, synthetic, reference, tmp_path):
    with start_toytip("run", "--source", synthetic, "--store", tmp_path, *OPTIONS) as run:
        kill_worker(run, message, delay)
        out, err = run.communicate(timeout=200)
        assert run.returncode == 0, err
    COUNTS["worker killed"] += 1
    store = Store(str(tmp_path), "dev")
    check_same_results(store, json.loads(out), reference)
    check_complete(store, reference)
    assert not list((tmp_path / "dev" / "_staging").iterdir())
    COUNTS["survived"] += 1


@pytest.mark.parametrize(("number", "message", "delay"), numbered(OBJECT_STORE_POINTS))
def test_a_client_process_on_an_object_store_is_killed(number, message, delay, server, reference):
    root = f"s3://{s3_server.PRIVATE_BUCKET}/killed-{number}"
    version = ("--version-id", "vkilled")
    command = ("run", "--source", f"s3://{s3_server.PRIVATE_BUCKET}/in", "--store", root, *OPTIONS)
    with start_toytip(*command, *version) as run:
        children = psutil.Process(run.pid).children(recursive=True)
        kill_client(run, message, delay)
        psutil.wait_procs(children, timeout=30)
    COUNTS["client process killed, object store"] += 1
    store = Store(root, "dev", StorageOptions(server.endpoint))
    check_complete(store, reference)
    is_published = store.get_manifest("predictions", "vkilled") is not None
    summary = parse_summary(run_toytip(*command, *(version if number % 2 and not is_published else ())))
    check_same_results(store, summary, reference)
    check_complete(store, reference)
    COUNTS["survived"] += 1


# Long runs: ten faults are injected while they train. Every ten rounds they write a checkpoint.
ROUNDS = 400
LONG_OPTIONS = (
    *("--rounds", ROUNDS, "--early-stopping-rounds", 0, "--max-depth", 6),
    *("--workers", 2, "--partition-rows", 500, "--explain", "--json"),
)
# Before the first round, and after checkpoints: every second one halfway to the next checkpoint.
TRAINING_POINTS = ("rows loaded", 30, 10, 60, 110, 160, 210, 260, 320, 380)
TWO_HOST_POINTS = ("rows loaded", "ranks connect", 10, 160)
# By the completed twentieths of a table's files.
ROW_STAGE_POINTS = [
    (stage, table, twentieths)
    for stage, table in (("featurize", "features"), ("infer", "predictions"))
    for twentieths in (0, 4, 8, 12, 16)
]
SIGNALS = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}
# A worker without a heartbeat for this long is frozen. The default is a minute.
SHORT_TTL = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "6s"}
# The progress at which faults were injected.
PROGRESS: defaultdict[str, list[str]] = defaultdict(list)


@pytest.fixture(scope="module")
def long_reference(synthetic, tmp_path_factory):
    """The store of an undisturbed long run, and its JSON result."""
    root = tmp_path_factory.mktemp("long-reference")
    return root, parse_summary(run_toytip("run", "--source", synthetic, "--store", root, *LONG_OPTIONS))


def finish(run, store, reference):
    """Wait for the end of a disturbed run, and compare it with an undisturbed one."""
    out, err = run.communicate(timeout=400)
    assert run.returncode == 0, err
    check_same_results(store, json.loads(out), reference)
    check_complete(store, reference)
    assert not list(Path(store.uri("_checkpoints")).glob("*")), "a checkpoint is left"
    COUNTS["survived"] += 1


@contextlib.contextmanager
def start_long_run(synthetic, folder, **env):
    """Start a long run with its own local directory. Yields the run, store and directory."""
    scratch = folder / "scratch"
    command = ("run", "--source", synthetic, "--store", folder / "store", *LONG_OPTIONS)
    with start_toytip(*command, DASK_TEMPORARY_DIRECTORY=str(scratch), **env) as run:
        yield run, Store(str(folder / "store"), "dev"), scratch


def send_fault(process, fault):
    """Kill or freeze a worker."""
    os.kill(process.pid, SIGNALS[fault])


def count_fault(fault, stage, progress, *, is_inside):
    """Count an injected fault, and require that the stage was running."""
    COUNTS[f"worker {fault}, {stage}"] += 1
    COUNTS[f"worker {fault}, inside {stage}"] += is_inside
    PROGRESS[f"worker {fault}, {stage}"].append(progress)
    assert is_inside, f"the fault was injected too late: {progress}"


@pytest.mark.parametrize("fault", SIGNALS)
@pytest.mark.parametrize(("number", "point"), list(enumerate(TRAINING_POINTS)))
def test_a_worker_is_lost_in_training(number, point, fault, synthetic, long_reference, tmp_path):
    with start_long_run(synthetic, tmp_path, **SHORT_TTL) as (run, store, scratch):
        if point == "rows loaded":
            run_probes.wait_for_run(run, lambda: run_probes.has_loaded_rows(scratch))
        else:
            run_probes.wait_for_round(run, store, point, between=number % 2 == 1)
        send_fault(run_probes.rank_process(run_probes.worker_processes(run), scratch), fault)
        require_lost_rank(run, store, fault, point, "training")
        finish(run, store, long_reference)


def require_lost_rank(run, store, fault, point, stage):
    """Count a fault, and require that the run noticed it, before or after the expected rounds."""
    is_inside = run_probes.is_training(store, ROUNDS)
    wait_for_message(run, run_probes.RANK_LOST_MESSAGE)
    rounds = run_probes.checkpoint_rounds(store)  # training has not resumed: the rounds at the fault
    assert (rounds > 0) == isinstance(point, int)
    progress = f"round {rounds}-{rounds + 9}" if rounds else point
    count_fault(fault, stage, progress, is_inside=is_inside)


@pytest.mark.parametrize("fault", SIGNALS)
@pytest.mark.parametrize(("number", "point"), list(enumerate(TWO_HOST_POINTS)))
def test_a_worker_is_lost_in_training_on_two_hosts(
    number, point, fault, synthetic, long_reference, tmp_path, monkeypatch
):
    """Each host has a rank. The hosts are two addresses of the loopback interface."""
    scratch, store = tmp_path / "scratch", Store(str(tmp_path / "store"), "dev")
    for name, value in {**SHORT_TTL, "DASK_TEMPORARY_DIRECTORY": str(scratch)}.items():
        monkeypatch.setenv(name, value)
    with run_dask_cluster(tmp_path, 0) as (address, scheduler, add_worker):
        nannies = [psutil.Process(add_worker("--host", host).pid) for host in ("127.0.0.1", "127.0.0.2")]
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=120)
        command = ("run", "--source", synthetic, "--store", tmp_path / "store", *LONG_OPTIONS)
        with start_toytip(*command, "--scheduler", address) as run:
            if point == "rows loaded":
                run_probes.wait_for_run(run, lambda: run_probes.has_loaded_rows(scratch))
            elif point == "ranks connect":
                children = psutil.Process(scheduler.pid).children
                run_probes.wait_for_run(run, children)
            else:
                run_probes.wait_for_round(run, store, point, between=number % 2 == 1)
            workers = [child for nanny in nannies for child in nanny.children(recursive=True)]
            send_fault(run_probes.rank_process(workers[:: 1 - 2 * (number % 2)], scratch), fault)
            require_lost_rank(run, store, fault, point, "training on two hosts")
            finish(run, store, long_reference)


@pytest.mark.parametrize("fault", SIGNALS)
@pytest.mark.parametrize(("number", "stage", "table", "twentieths"), numbered(ROW_STAGE_POINTS))
def test_a_worker_is_lost_in_a_partition_wise_stage(
    number, stage, table, twentieths, fault, synthetic, long_reference, tmp_path
):
    files = run_probes.count_files(long_reference, table)
    with start_long_run(synthetic, tmp_path, **SHORT_TTL) as (run, store, _):
        wait_for_message(run, f"{stage}:")
        run_probes.wait_for_files(run, store, table, files * twentieths // 20)
        send_fault(run_probes.worker_processes(run)[number // 2 % 2], fault)
        is_inside = run_probes.is_being_written(store, table, files)
        progress = f"{stage} {run_probes.count_staged_files(store, table)} of {files}"
        count_fault(fault, "partition-wise stages", progress, is_inside=is_inside)
        finish(run, store, long_reference)


def test_two_workers_are_lost_one_after_the_other(synthetic, long_reference, tmp_path):
    with start_long_run(synthetic, tmp_path) as (run, store, _):
        run_probes.wait_for_round(run, store, 110)
        first, second = run_probes.worker_processes(run)[:2]
        os.kill(first.pid, signal.SIGKILL)
        time.sleep(0.3)
        os.kill(second.pid, signal.SIGKILL)
        COUNTS["two workers killed, 0.3 s apart"] += 1
        wait_for_message(run, run_probes.RANK_LOST_MESSAGE)
        finish(run, store, long_reference)


def preload(folder, code):
    """Return the environment in which every worker runs some code before its first task."""
    script = folder / "preload.py"
    script.write_text(code)
    return {"DASK_DISTRIBUTED__WORKER__PRELOAD": json.dumps([str(script)])}


# A restarted worker runs its preload twice in the same module, so the original function is saved.
READER_WITH_FAULT = """
import os, pathlib, signal, time
from toytip.sources import reader
reader.original = getattr(reader, "original", reader.read_partition)

def read_partition(part, dataset=None):
    if part.month.month == 3 and part.start == 0:
        {fault}
    return reader.original(part, dataset)

reader.read_partition = read_partition
"""


def test_a_worker_out_of_memory_is_restarted(synthetic, long_reference, tmp_path):
    """Dask's nanny kills it at its limit, and another worker repeats the partition."""
    marker = tmp_path / "marker"
    fault = f"""
        if not pathlib.Path({str(marker)!r}).exists():
            pathlib.Path({str(marker)!r}).touch()
            block = bytearray(3_000_000_000); block[::4096] = b"x" * len(block[::4096])
            time.sleep(60)"""
    env = preload(tmp_path, READER_WITH_FAULT.format(fault=fault.strip()))
    store = tmp_path / "store"
    limit = ("--memory-limit", "1500MB")
    command = ("run", "--source", synthetic, "--store", store, *LONG_OPTIONS, *limit)
    with start_toytip(*command, **env) as run:
        finish(run, Store(str(store), "dev"), long_reference)
    assert marker.exists()
    COUNTS["worker killed for its memory"] += 1


def test_the_error_names_a_partition_that_kills_every_worker(synthetic, tmp_path):
    env = preload(tmp_path, READER_WITH_FAULT.format(fault="os.kill(os.getpid(), signal.SIGKILL)"))
    process = run_toytip("run", "--source", synthetic, "--store", tmp_path / "store", *LONG_OPTIONS, **env)
    assert process.returncode == 1
    error, hint = process.stderr.strip().splitlines()[-2:]
    assert "yellow_tripdata_2020-03.parquet, rows 0 to" in error, process.stderr
    assert "killed 4 workers" in error
    assert "--partition-rows" in hint
    assert not Store(str(tmp_path / "store"), "dev").list_manifests()
    COUNTS["poison partition named"] += 1


@pytest.mark.parametrize("stage", ["featurize", "train", "infer"])
def test_the_scheduler_is_lost(stage, synthetic, long_reference, tmp_path):
    """The error has one line, and the next run resumes from the complete files."""
    command = ("run", "--source", synthetic, "--store", tmp_path, *LONG_OPTIONS)
    store = Store(str(tmp_path), "dev")
    with (
        run_dask_cluster(tmp_path, 2) as (address, scheduler, _),
        start_toytip(*command, "--scheduler", address) as run,
    ):
        if stage == "train":
            run_probes.wait_for_round(run, store, 60)
        else:
            run_probes.wait_for_files(run, store, "features" if stage == "featurize" else "predictions", 3)
        scheduler.kill()
        _, err = run.communicate(timeout=200)
        assert run.returncode == 1, err
        assert "Traceback" not in err, err
        assert len(re.findall("^error: ", err, re.MULTILINE)) == 1, err
        assert not re.search(rf"^{stage} +\d+ done", err, re.MULTILINE), err
        COUNTS["scheduler killed"] += 1
    repeated = run_toytip(*command)
    summary = parse_summary(repeated)
    check_same_results(store, summary, long_reference)
    assert has_reused(summary)
    COUNTS["survived"] += 1


def test_a_worker_that_joins_late_gets_tasks(synthetic, long_reference, tmp_path):
    with run_dask_cluster(tmp_path, 1) as (address, _, add_worker):
        command = ("run", "--source", synthetic, "--store", tmp_path, *LONG_OPTIONS, "--scheduler", address)
        with start_toytip(*command) as run:
            wait_for_message(run, "featurize:")
            add_worker()
            COUNTS["worker joined late"] += 1
            finish(run, Store(str(tmp_path), "dev"), long_reference)


def test_eight_workers_on_three_partitions(synthetic, tmp_path):
    command = ("run", "--source", synthetic, "--months", "2020-01:2020-03", "--rounds", 30, "--json")
    summaries = [
        parse_summary(run_toytip(*command, "--store", tmp_path / str(count), "--workers", count))
        for count in (1, 8)
    ]
    boosters = [(Path(summary["model"]["path"]) / "model.ubj").read_bytes() for summary in summaries]
    assert boosters[0] == boosters[1]
    assert summaries[0]["metrics"] == summaries[1]["metrics"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_local_directory(synthetic, long_reference, tmp_path):
    """If the plan fits into memory, Dask spills nothing, and the directory is not needed."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", scratch], check=True)
    try:
        with contextlib.suppress(OSError):
            (scratch / "filler").write_bytes(b"x" * 200_000)
        env = {"DASK_TEMPORARY_DIRECTORY": str(scratch)}
        command = ("run", "--source", synthetic, "--store", tmp_path / "store", *LONG_OPTIONS)
        with start_toytip(*command, **env) as run:
            COUNTS["full local directory"] += 1
            finish(run, Store(str(tmp_path / "store"), "dev"), long_reference)
    finally:
        subprocess.run(["umount", "-l", scratch], check=True)


def test_every_fault_was_survived(capsys):
    COUNTS.update({"rows lost": 0, "rows doubled": 0})
    not_faults = (
        "survived",
        "resumed from complete files",
        "poison partition named",
        "rows lost",
        "rows doubled",
    )
    faults = sum(count for name, count in COUNTS.items() if name not in not_faults and "inside" not in name)
    with capsys.disabled():
        print("\n\n" + "\n".join(f"{name:<36}{count:>6}" for name, count in COUNTS.items()))  # noqa: T201
        print("\n".join(f"{name}: {', '.join(points)}" for name, points in PROGRESS.items()))  # noqa: T201
    assert faults == COUNTS["survived"]
    assert COUNTS["rows lost"] == COUNTS["rows doubled"] == 0
