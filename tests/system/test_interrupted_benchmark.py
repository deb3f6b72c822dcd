"""A benchmark that is interrupted keeps its finished results, which are marked as partial."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq
import pytest

from benchmarks import results, run
from benchmarks.__main__ import main
from benchmarks.contenders import make_engine
from benchmarks.engine_folders import load_engine
from benchmarks.quality import validate_rows
from benchmarks.run_rows import RunRows
from benchmarks.workloads import ELEVEN_FEATURES, BenchmarkSource, Workload
from tests.support.runs import wait_until
from tests.system.test_benchmarks import row, write_results
from tests.system.test_conformance import ENGINE
from tests.system.test_engine_folders import write_engine

# The first engine replaces toytip, and is correct. The second one writes its ID, and waits.
FIRST, SECOND = "toytip-first", "waiting"
DRIVER = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from tests.system.test_interrupted_benchmark import run_suite; sys.exit(run_suite(*sys.argv[1:]))"
)


def write_engines(folder):
    first = write_engine(folder, FIRST, extra='[options]\nfault = "none"\n')
    (first / "run").write_text(ENGINE.format(root=str(Path.cwd()), other=""))
    write_engine(folder, SECOND, f"echo $$ > {folder}/pid.tmp; mv {folder}/pid.tmp {folder}/pid; sleep 600")


def run_suite(folder, source, *words):
    """Run the benchmark with the engines of a folder, and return its exit code."""
    first, second = (load_engine(Path(folder) / name) for name in (FIRST, SECOND))
    rows = sum(pq.ParquetFile(file).metadata.num_rows for file in Path(source).glob("*.parquet"))
    found = BenchmarkSource(Path(source), "synthetic", rows, synthetic=True)
    options = ("run", "--conformance-rows", "0", "--series", "small", *words)
    small = replace(ELEVEN_FEATURES, engines=(second,))
    with (
        mock.patch("benchmarks.run.WORKLOADS", {"eleven-features": small}),
        mock.patch("benchmarks.run._source", return_value=found),
        mock.patch("benchmarks.run.observe", return_value=None),
        mock.patch("benchmarks.__main__.PEER_NAMES", (SECOND,)),
        mock.patch.object(Workload, "make_toytip", return_value=make_engine(first)),
        mock.patch.object(sys, "argv", ["benchmarks", *options]),
    ):
        return main()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["Ctrl-C", "terminated", "killed"],
)
def test_an_interrupted_benchmark_keeps_its_results(number, code, synthetic, tmp_path):
    write_engines(tmp_path)
    output = write_results(tmp_path / "out.jsonl", [row("toytip-2", 0, 10)])
    before, pid = output.read_text(), tmp_path / "pid"
    words = (tmp_path, synthetic, "--peers", SECOND, "--repeats", "2", "--output", output)
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *map(str, words)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: pid.exists() or process.poll() is not None)
        process.send_signal(number)
        _, stderr = process.communicate()
    finally:
        process.kill()
        if pid.exists():
            _kill_group(int(pid.read_text()))
    assert process.returncode == code, stderr
    assert output.read_text().startswith(before), "other rows stay"
    _, found = results.load_results(output)
    assert (found["name"], found["outcome"], found["why"]) == (FIRST, "ok", "")
    assert (found["partial"], found["valid"], found["series"]) == (True, True, "small")
    message = f"The run is partial: {output} has 1 of its results"
    assert (message in stderr) == (number != signal.SIGKILL)
    assert "Traceback" not in stderr


def _kill_group(pid):
    """End the processes of an engine, which outlive a benchmark that was killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def test_a_complete_run_replaces_a_partial_run(synthetic, tmp_path, monkeypatch):
    write_engines(tmp_path)
    output = tmp_path / "out.jsonl"
    monkeypatch.setattr(run, "timestamp", mock.Mock(side_effect=[f"2026-01-0{day}" for day in (1, 2, 3)]))

    def interrupted(*arguments):
        with mock.patch("benchmarks.run._measure_entry", side_effect=[measured, KeyboardInterrupt]):
            return run_suite(tmp_path, synthetic, *arguments)

    words = ("--peers", "none", "--repeats", "1", "--output", str(output))
    measure = run._measure_entry
    with mock.patch("benchmarks.run._measure_entry", side_effect=measure) as calls:
        assert run_suite(tmp_path, synthetic, *words) == 0
    measured = measure(*calls.call_args.args)
    with pytest.raises(SystemExit, match="130"):
        interrupted("--peers", SECOND, "--repeats", "1", "--output", str(output))
    assert [(item["run"], item["partial"]) for item in results.load_results(output)] == [
        ("2026-01-01", False),
        ("2026-01-02", True),
    ]
    (counted,) = results.newest_run(results.load_results(output))
    assert counted["run"] == "2026-01-01", "a partial run does not replace a complete one"
    assert run_suite(tmp_path, synthetic, *words) == 0
    (counted,) = results.newest_run(results.load_results(output))
    assert counted["run"] == "2026-01-03"


def test_a_partial_run_counts_if_there_is_no_complete_run():
    rows = [
        {**row("toytip-2", 0, 10), "run": day, "partial": True, "machine_id": "m", "series": ""}
        for day in ("1", "3", "2")
    ]
    assert [found["run"] for found in results.newest_run(rows)] == ["3"]


def test_the_validity_of_a_row_can_depend_on_later_rows(tmp_path):
    output = tmp_path / "out.jsonl"
    names = ("toytip-2", "polars", "pandas", "duckdb", "daft")
    measured = [row(name, 0, 10, auc=0.60 if name == "polars" else 0.63) for name in names]
    with RunRows(output) as stored:
        for count in range(1, 6):
            stored.store(0, measured[:count])
            assert json.loads(output.read_text().splitlines()[-1])["partial"]
            results.append_result(output, row("other", count, 10))
        stored.store(1, [row("toytip-2", 1, 10)])
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    others, own = rows[:5], rows[5:]
    assert {found["name"] for found in others} == {"other"}
    expected = validate_rows([*measured, row("toytip-2", 1, 10)])
    assert own == [{**found, "partial": False} for found in expected]
    assert [found["name"] for found in own if not found["valid"]] == ["polars"]


def test_a_result_file_is_complete_if_a_write_fails(tmp_path, monkeypatch):
    output = write_results(tmp_path / "out.jsonl", [row("toytip-2", 0, 10)])
    before = output.read_text()
    monkeypatch.setattr(results.os, "fsync", mock.Mock(side_effect=OSError("no space left")))
    with pytest.raises(OSError, match="no space left"):
        RunRows(output).store(0, [row("polars", 0, 10)])
    assert output.read_text() == before


def test_a_device_is_not_a_result_file(tmp_path):
    """The benchmark replaces its result file, which must not happen to a device."""
    with pytest.raises(results.InvalidInputError, match="it is neither a file nor a folder"):
        results.check_output(Path(os.devnull))
    results.check_output(tmp_path)
    results.check_output(tmp_path / "new.jsonl")


def test_a_link_to_a_result_file_stays_a_link(tmp_path):
    output = write_results(tmp_path / "out.jsonl", [row("toytip-2", 0, 10)])
    link = tmp_path / "link.jsonl"
    link.symlink_to(output)
    with RunRows(link) as stored:
        stored.store(0, [row("polars", 0, 10)])
    assert link.is_symlink()
    assert [found["name"] for found in results.load_results(output)] == ["toytip-2", "polars"]
