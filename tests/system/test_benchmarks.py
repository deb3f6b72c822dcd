"""The benchmarks: measurements, the same work for all contenders, validity and comparisons."""

import json
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import ablation, cost_model, inference, plots, reruns, results, workloads
from benchmarks.__main__ import main
from benchmarks.comparison import compare_results
from benchmarks.contenders import BenchmarkTask, last_month_auc, make_engine
from benchmarks.harness import CommandFailedError, Limits, Measurement, loopback_prefix, measure
from benchmarks.quality import validate_rows
from benchmarks.ratios import paired_ratio, peer_ratios, weak_scaling
from benchmarks.run import rotate
from benchmarks.workloads import DEFAULTS, ELEVEN_FEATURES, PEER_NAMES, WORKLOADS, real_source
from tests.support.runs import wait_until
from toytip.cluster import available_cores
from toytip.datasets.tlc.taxis.synthetic import (
    SYNTHETIC_MONTHS,
    SyntheticSpec,
    generate_month,
    month_file_name,
)

WORK = """
import subprocess, sys, time
block = bytearray(120_000_000)
subprocess.run([sys.executable, "-c", "b = bytearray(150_000_000); import time; time.sleep(3)"])
sum(range(3_000_000)); time.sleep(0.6); print("done")
"""


def test_a_command_is_measured_with_its_children():
    measurement = measure(["-c", WORK])
    assert measurement.output == "done\n"
    assert measurement.wall_s > 2
    assert 270 < measurement.peak_mb < 400, "the memory of both processes"
    assert measurement.cpu_s > 0
    assert measurement.first_task_s is None, "the command has no cluster"
    assert max(mb for _, mb in measurement.memory) == measurement.peak_mb


def test_a_failed_command_is_an_error_with_its_output():
    with pytest.raises(RuntimeError, match="no such luck"):
        measure(["-c", "import sys; sys.exit('no such luck')"])
    assert measure(["-c", "import sys; sys.exit(3)"], exit_codes=(0, 3)).output == ""


@pytest.mark.parametrize(
    ("program", "exit_code", "cause"),
    [
        ("import sys; sys.exit('first\\nlast')", 1, "it failed with exit code 1: last"),
        ("print(1 / 0)", 1, "it failed with exit code 1: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('error: a cause.\\nhint: a hint.')", 1, "exit code 1: error: a cause."),
        ("import sys; sys.exit(7)", 7, "it failed with exit code 7: no message"),
        ("import os; os.kill(os.getpid(), 15)", -15, "it was ended by signal 15 (Terminated): no message"),
        (
            "import os, sys; os.write(2, bytes([255, 10])); sys.exit(1)",
            1,
            "it failed with exit code 1: \N{REPLACEMENT CHARACTER}",
        ),
    ],
)
def test_a_failure_has_a_name_an_exit_code_and_the_last_line(program, exit_code, cause):
    with pytest.raises(CommandFailedError) as failed:
        measure(["-c", program], name="mine")
    assert str(failed.value).startswith("cannot measure mine: it ")
    assert str(failed.value).endswith(cause)
    assert (failed.value.outcome, failed.value.exit_code) == ("failed", exit_code)


LEAK = "import time; blocks = [bytearray(40_000_000) for _ in range(5) if time.sleep(0.4) is None]; time.sleep(60)"


@pytest.mark.parametrize(
    ("program", "limits", "outcome", "cause"),
    [
        ("import time; time.sleep(60)", Limits(seconds=0.2), "timeout", "it ran for more than 0.2 s"),
        (LEAK, Limits(memory_mb=100), "out of memory", "and the limit is 100 MB"),
        ("import sys; sys.exit('no such luck')", Limits(60, 1_000), "failed", "no such luck"),
    ],
)
def test_a_command_that_exceeds_a_limit_is_killed(program, limits, outcome, cause, monkeypatch):
    monkeypatch.setattr("benchmarks.harness.memory_group", lambda _: nullcontext())
    with pytest.raises(CommandFailedError, match=cause) as failed:
        measure(["-c", program], limits=limits)
    assert failed.value.outcome == outcome
    assert failed.value.measurement.wall_s > 0
    assert failed.value.measurement.memory_cap == ("sampled" if limits.memory_mb else None)


def test_children_do_not_outlive_a_command():
    child = "import subprocess, sys; print(subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL).pid)"
    pid = int(measure(["-c", child]).output)
    wait_until(lambda: has_ended(pid))


def has_ended(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("action", ["SIG_DFL", "SIG_IGN"])
def test_a_benchmark_that_is_terminated_ends_its_command(action, tmp_path):
    file = tmp_path / "pid"
    command = (
        f"import os, signal, time; signal.signal(signal.SIGTERM, signal.{action}); "
        f"open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    code = (
        "from benchmarks import harness; harness.GRACE_S = 0.5; harness.exit_on_sigterm(); "
        f"harness.measure(['-c', {command!r}])"
    )
    benchmark = subprocess.Popen([sys.executable, "-c", code])
    pid = wait_until(lambda: file.exists() and int(file.read_text() or 0))
    benchmark.terminate()
    assert benchmark.wait() == 128 + signal.SIGTERM
    wait_until(lambda: has_ended(pid))


def test_a_command_has_no_settings_of_the_shell(monkeypatch):
    monkeypatch.setenv("TOYTIP_GATE", "off")
    assert measure(["-c", "import os; print(os.environ.get('TOYTIP_GATE'))"]).output == "None\n"


@pytest.mark.skipif(not loopback_prefix(), reason="the system has no network namespaces for this user")
def test_an_isolated_command_has_only_the_loopback_interface():
    measurement = measure(["-c", "import psutil; print(*psutil.net_if_stats())"], isolated=True)
    assert measurement.output == "lo\n"


@pytest.fixture(scope="module")
def toytip_run(synthetic, tmp_path_factory):
    """The measurement, the output and the AUC of toytip."""
    contender, out = ELEVEN_FEATURES.make_toytip(2), tmp_path_factory.mktemp("toytip")
    measurement = measure(contender.command(BenchmarkTask(synthetic, rounds=20, max_depth=6), out))
    output = contender.read_output(measurement, out)
    return measurement, output, last_month_auc(output.predictions)


def test_the_first_task_and_the_workers_of_a_cluster_are_measured(toytip_run):
    measurement, output, _ = toytip_run
    assert 0 < measurement.first_task_s < measurement.wall_s
    assert measurement.threads == 2 * max(1, available_cores() // 2)
    assert measurement.memory_limit_mb > 100
    assert {"featurize", "train", "infer"} <= set(output.stage_seconds)


def run_engine(contender, task, out):
    """Run an engine in this environment."""
    program, variables = contender.program(out / "environments")
    return measure(contender.command(task, out), program=program, variables=variables)


def trip_ids(predictions):
    """Return the sorted IDs of all trips with a prediction."""
    files = predictions.rglob("*.parquet")
    return sorted(value for file in files for value in pq.ParquetFile(file).read(["trip_id"])[0].to_pylist())


@pytest.mark.parametrize(
    "name",
    ["polars_xgboost", "polars_tuned", "duckdb_xgboost", "pandas_xgboost", "lower_bound", "random_forest"],
)
def test_a_peer_accepts_the_same_rows_and_has_the_same_auc(name, toytip_run, synthetic, tmp_path):
    _, output, auc = toytip_run
    (contender,) = ELEVEN_FEATURES.select_peers([name])
    measurement = run_engine(contender, BenchmarkTask(synthetic, rounds=20, max_depth=6), tmp_path)
    peer = contender.read_output(measurement, tmp_path)
    assert trip_ids(peer.predictions) == trip_ids(output.predictions)
    assert peer.accepted_rows == output.accepted_rows
    assert set(peer.features) == set(output.features)
    assert measurement.open_addresses == set()
    if contender.trains_alike:
        assert last_month_auc(peer.predictions) == pytest.approx(auc, abs=0.02)


PEERS = {
    peer.name: peer for workload in WORKLOADS.values() for peer in workload.select_peers(list(PEER_NAMES))
}


def test_the_peer_with_the_default_settings_does_the_work_of_toytip(two_runs, synthetic, tmp_path):
    result = two_runs[1][0]
    task = BenchmarkTask(synthetic, rounds=30, max_depth=4, learning_rate=0.4)
    engine = replace(PEERS["polars_defaults"].engine, options={"early_stopping_rounds": 4})
    contender = make_engine(engine)
    measurement = run_engine(contender, task, tmp_path)
    peer = contender.read_output(measurement, tmp_path)
    assert measurement.open_addresses == set()
    assert peer.accepted_rows == result["rows"]["kept"]
    assert set(peer.features) == set(result["model"]["features"])
    assert last_month_auc(peer.predictions) == pytest.approx(
        result["metrics"]["test"]["all"]["auc"], abs=0.01
    )


def test_addresses_other_than_loopback_are_measured():
    program = "import socket, time; a, b = (socket.create_server((host, 0)) for host in ('', '127.0.0.1'))"
    assert measure(["-c", f"{program}; time.sleep(1.5)"]).open_addresses == {"0.0.0.0"}  # noqa: S104


def test_a_peer_with_ports_on_all_interfaces_is_isolated():
    isolated = {name for name, peer in PEERS.items() if peer.isolated}
    assert isolated == {"dask_xgboost", "pyspark", "ray", "ray_documented"}


def test_the_names_of_the_contenders():
    assert PEER_NAMES == (
        "toytip-everything",
        "lower_bound",
        "polars_xgboost",
        "polars_tuned",
        "duckdb_xgboost",
        "pandas_xgboost",
        "dask_xgboost",
        "random_forest",
        "random_forest_year",
        "daft",
        "lightgbm",
        "pyspark",
        "ray",
        "ray_documented",
        "polars_defaults",
        "duckdb_fhvhv",
        "polars_fhvhv",
    )
    optional = {"random_forest_year", "daft", "lightgbm", "pyspark", "ray", "ray_documented"}
    assert {peer.name for peer in ELEVEN_FEATURES.select_peers(None)} == {
        engine.name for engine in ELEVEN_FEATURES.engines
    } - optional
    assert [peer.name for peer in DEFAULTS.select_peers(["polars_xgboost", "polars_defaults"])] == [
        "polars_defaults"
    ]


def test_each_repeat_starts_with_another_contender():
    assert [rotate(["a", "b", "c"], repeat) for repeat in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_the_source_of_the_defaults_is_named_or_downloaded(synthetic, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOYTIP_BENCH_SOURCE", raising=False)
    assert real_source(None) is None, "the command uses the synthetic year"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "green-2023").symlink_to(synthetic)
    assert real_source(None).rows == real_source(synthetic).rows > 7_000
    monkeypatch.setenv("TOYTIP_BENCH_SOURCE", str(synthetic))
    assert real_source(None).name == synthetic.name
    with pytest.raises(results.InvalidInputError, match="does not exist"):
        real_source(tmp_path / "missing")


def row(name, repeat, seconds, **columns):
    return {
        "name": name,
        "repeat": repeat,
        "workload": "eleven-features",
        "source": "synthetic-1-1",
        "seconds": seconds,
        "peak_mb": 100.0,
        "rows": 1_000_000,
        "rounds": 5,
        "max_depth": 8,
        "workers": 2,
        "threads": 2,
        "trains_alike": True,
        "auc": 0.63,
        "kept": 990_000,
        "stage_seconds": {"train": seconds},
        "run": "1",
        "memory": [[0.5, 90.0]],
        "cores": 2,
        "machine": "x86_64",
        "machine_gb": 25.0,
        **columns,
    }


def write_results(file, rows):
    for result in rows:
        results.append_result(file, result)
    return file


def call(monkeypatch, capsys, *words):
    """Return the exit code and the output of a command."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, words)])
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    output = capsys.readouterr()
    return code, output.out + output.err


def test_ratios_are_paired_and_have_intervals():
    rows = [row("a", k, 10 * noise) for k, noise in enumerate((1, 2, 3))]
    rows += [row("b", k, 20 * noise) for k, noise in enumerate((1, 2, 3))]
    ratio = peer_ratios(rows, "a")["b"]
    assert (ratio.mean, ratio.low, ratio.high) == pytest.approx((0.5, 0.5, 0.5))
    assert ratio.is_significant, "pairs cancel changes of the speed of the machine"
    assert not paired_ratio([10.0], [20.0]).is_significant, "one repeat has no interval"
    assert "one repeat: no interval" in str(paired_ratio([10.0], [20.0]))
    assert not paired_ratio([10.0, 30.0], [20.0, 20.0]).is_significant


def invalid(rows):
    """Return the invalid rows: name and cause."""
    return {result["name"]: result["why"] for result in validate_rows(rows) if not result["valid"]}


def test_results_with_other_rows_or_another_auc_are_invalid():
    good = [row("toytip-2", 0, 10), row("polars", 0, 11), row("pandas", 0, 12)]
    assert invalid(good) == {}
    forest = row("random_forest", 0, 12, trains_alike=False, auc=0.59)
    worse, fewer = row("dask", 0, 5, auc=0.61), row("duckdb", 0, 5, kept=950_000)
    assert list(invalid([*good, forest, worse, fewer])) == ["dask", "duckdb"]
    assert list(invalid([*good[1:], row("toytip-2", 0, 9, auc=0.622)])) == ["toytip-2"]


def test_the_reference_is_the_peers_or_else_the_known_auc():
    runs = [row("toytip-2", 0, 10, auc=0.60), row("toytip-8", 0, 10, auc=0.60)]
    assert list(invalid([*runs, row("polars", 0, 11), row("pandas", 0, 11)])) == ["toytip-2", "toytip-8"], (
        "two results of toytip do not outvote the peers"
    )
    assert set(invalid([runs[0], row("polars", 0, 11)])) == {"toytip-2", "polars"}, (
        "it is unknown which is wrong"
    )
    assert "random predictor" in invalid([row("toytip-2", 0, 10, auc=0.5)])["toytip-2"]
    assert "kept 3 of" in invalid([row("toytip-2", 0, 10, kept=3)])["toytip-2"]


KNOWN_YEAR = {"source": "synthetic-100000-2020", "rows": 1_200_000, "rounds": 100, "kept": 1_189_803}


@pytest.mark.parametrize(
    ("auc", "trains_alike", "cause"),
    [
        (0.6299, True, ""),
        (0.6314, True, ""),
        (0.6199, True, "outside of the band"),
        (0.6414, True, "outside of the band"),
        (0.5903, False, ""),
    ],
)
def test_the_auc_of_a_published_year_has_a_band(auc, trains_alike, cause):
    (only,) = validate_rows([row("polars", 0, 10, auc=auc, trains_alike=trains_alike, **KNOWN_YEAR)])
    assert cause in only["why"]
    assert only["valid"] == (not cause)
    level = only["conformance"]["model"]
    assert level["status"] == ("failed" if cause else "passed" if trains_alike else "not checked")


def test_weak_scaling_is_the_speed_per_worker_relative_to_one_worker():
    one = {"stage_seconds": {"checksum": 1, "featurize": 5, "preprocess": 2, "infer": 2}, "workers": 1}
    four = {"stage_seconds": {"checksum": 1, "featurize": 7, "preprocess": 2, "infer": 2.5}, "workers": 4}
    rows = [row("toytip-1", 0, 10, **one), row("toytip-4", 0, 12.5, **four)]
    rows += [row("toytip-1", 1, 10, **one), row("toytip-4", 1, 12.5, **four)]
    efficiencies = {stage: value for workers, stage, value in weak_scaling(rows) if workers == 4}
    assert efficiencies == {
        "checksum": 1,
        "featurize": 5 / 7,
        "preprocess": 1,
        "infer": 0.8,
        "partition-wise": 0.8,
        "total": 0.8,
    }


def runs_with_cost(cost):
    """Return runs in which `featurize` has a cost by the rows per worker, with a remainder of 4 s.

    Training uses both cores on any number of workers.
    """
    rows = []
    for size in (1e6, 4e6, 16e6):
        for workers in (1, 2):
            share = size / workers
            stages = {"featurize": cost(share), "train": 3 + 4e-8 * 5 * size / 2, "infer": 1e-6 * share}
            seconds = sum(stages.values()) + 4
            stages |= {"evaluate": 1.0, "report": 2.0}
            columns = {"workers": workers, "rows": size, "kept": size, "stage_seconds": stages}
            rows.append(row(f"toytip-{workers}", 0, seconds, **columns))
    return rows


def test_the_cost_model_recovers_the_costs():
    costs = cost_model.fit_costs(runs_with_cost(lambda share: 1 + 2e-6 * share))
    assert costs["featurize"] == pytest.approx((1, 2e-6))
    assert costs["train"] == pytest.approx((3, 4e-8))
    assert costs["remainder"].predict(0) == pytest.approx(4), "the other stages are in the remainder"
    training = cost_model.Training(rounds=5, depth=8, features=11, network=1e9, delay=1e-4)
    few, many = (cost_model.predict_seconds(costs, 1e9, workers, training) for workers in (16, 64))
    assert many["featurize"] < few["featurize"]
    assert many["histograms"] > few["histograms"] > 0


def test_the_cost_model_needs_runs_of_two_sizes(tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").touch()
    write_results(tmp_path / "one", [row("toytip-2", 0, 10), row("toytip-1", 0, 10, workers=1)])
    broken = [row("toytip-2", 0, 10, rows=size, kept=size, auc=0.5) for size in (1e6, 4e6)]
    write_results(tmp_path / "broken", broken)
    write_results(tmp_path / "good", runs_with_cost(lambda share: 1 + 2e-6 * share))
    messages = {"empty": "no results", "one": "no two valid", "broken": "no two valid", "good": "16 workers"}
    for name, message in messages.items():
        monkeypatch.setattr(sys, "argv", ["cost_model", str(tmp_path / name)])
        if name == "good":
            assert cost_model.main() == 0
        else:
            with pytest.raises(SystemExit, match="2"):
                cost_model.main()
        output = capsys.readouterr()
        assert message in output.out + output.err


@pytest.mark.parametrize(
    ("module", "words"), [(inference, ["{}"]), (ablation, ["--source", "{}"])], ids=["inference", "ablation"]
)
def test_a_missing_source_is_one_error(module, words, tmp_path, monkeypatch, capsys):
    source = tmp_path / "none"
    monkeypatch.setattr(sys, "argv", ["benchmarks", *(word.format(source) for word in words)])
    with pytest.raises(SystemExit, match="2"):
        module.main()
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.endswith(f"error: cannot use source {source}: it does not exist")


NOISE = (1.0, 1.02, 0.99, 1.01)


def repeats(factor, machine=1.0, peers=("polars", "pandas"), **columns):
    """Return four repeats of toytip and of peers.

    toytip takes `factor` times as long, and the machine is slower by the factor `machine`.
    """
    rows = [row("toytip-2", k, 10 * factor * machine * noise, **columns) for k, noise in enumerate(NOISE)]
    return rows + [
        row(peer, k, 12 * machine * noise, **columns) for peer in peers for k, noise in enumerate(NOISE)
    ]


COMPARISONS = {
    "slower": (
        repeats(1.0),
        repeats(1.3),
        1,
        "relative to pandas, polars: 1.30 (1.30 to 1.30, 4 pairs): more",
    ),
    "faster": (repeats(1.3), repeats(1.0), 0, "seconds relative to pandas, polars: 0.77"),
    "a slower machine": (
        repeats(1.0),
        repeats(1.0, machine=3, machine_gb=9.0),
        0,
        "seconds relative to pandas, polars: 1.00",
    ),
    "a slower peer": (
        repeats(1.0),
        repeats(1.0)[:4] + repeats(2.0, peers=["pandas"])[4:],
        0,
        "relative to pandas: 1.00",
    ),
    "no common peer": (
        repeats(1.0, peers=()),
        repeats(1.3, peers=["polars"]),
        1,
        "(same machine, no common peer): 1.30",
    ),
    "no common peer, another machine": (
        repeats(1.0, peers=()),
        repeats(1.3, peers=(), machine_gb=9.0),
        2,
        "cannot compare",
    ),
    "another year": (repeats(1.0), repeats(1.3, source="synthetic-1-2"), 2, "cannot compare"),
    "another cluster": (repeats(1.0), repeats(1.3, threads=8), 2, "cannot compare"),
    "other repeats": (
        repeats(1.0),
        [{**result, "repeat": result["repeat"] + 4} for result in repeats(1.3)],
        2,
        "cannot compare",
    ),
    "a random predictor": (repeats(1.0), repeats(0.5, auc=0.5), 1, "excluded from"),
    "lost rows": (repeats(1.0), repeats(0.5, kept=3), 1, "kept 3 of 1,000,000 rows"),
    "a lower AUC, also of the peers": (repeats(1.0), repeats(1.0, auc=0.60), 1, "the quality changed"),
    "the last run counts": (
        repeats(1.0),
        repeats(0.5, run="1") + repeats(1.3, run="2"),
        1,
        "1.30 (1.30 to 1.30",
    ),
    "the last complete run counts": (
        repeats(1.0),
        repeats(1.3, run="1") + repeats(0.5, run="2", partial=True),
        1,
        "1.30 (1.30 to 1.30",
    ),
}


@pytest.mark.parametrize(
    ("before", "after", "expected_code", "message"), COMPARISONS.values(), ids=COMPARISONS
)
def test_two_files_are_compared(before, after, expected_code, message, tmp_path, monkeypatch, capsys):
    files = write_results(tmp_path / "before", before), write_results(tmp_path / "after", after)
    code, output = call(monkeypatch, capsys, "compare", *files)
    assert message in output
    assert code == expected_code
    assert code != 2 or len(output.splitlines()) == 1


def test_repeats_are_paired_by_their_number():
    before, after = repeats(1.0), repeats(1.0)
    (seconds, _memory) = compare_results(validate_rows(before), validate_rows(after[::-1]))
    assert (seconds.ratio.low, seconds.ratio.high) == pytest.approx((1, 1))


def test_one_slower_peer_does_not_make_toytip_slower():
    before = repeats(1.0)
    after = [
        {**result, "seconds": result["seconds"] * (1 + (result["name"] == "polars"))} for result in before
    ]
    assert not any(
        change.is_slower for change in compare_results(validate_rows(before), validate_rows(after))
    )


@pytest.mark.parametrize(
    "words",
    [
        "run --peers foo",
        "run --workers x",
        "run --workers 0",
        "run --workloads foo",
        "run --workloads defaults --weak --output {}/x.jsonl",
        "run --workloads defaults --source {}/missing --output {}/x.jsonl",
        "run --workers 1,,2",
        "run --repeats 0",
        "run --rows 1.5",
        "run --output {}/missing/x.jsonl",
        "compare {}/missing {}/missing",
        "compare {}/garbage {}/garbage",
        "compare {}/binary {}/binary",
        "compare {}/cut {}/cut",
        "compare {}/no-auc {}/no-auc",
        "plot {}/missing",
        "plot {}/garbage",
    ],
)
def test_invalid_input_is_one_error(words, tmp_path, monkeypatch, capsys):
    (tmp_path / "garbage").write_text("[1, 2]\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x80")
    (tmp_path / "cut").write_text('{"name": "toytip-2", "rows": 5}\n')
    write_results(tmp_path / "no-auc", [row("toytip-2", 0, 10, auc=None)])
    code, output = call(monkeypatch, capsys, *words.replace("{}", str(tmp_path)).split())
    assert code == 2
    assert len([line for line in output.splitlines() if not line.startswith(("usage", " "))]) == 1


SMALL_RUN = ("run", "--rows", 2_000, "--rounds", 5, "--repeats", 1)


def test_a_run_writes_its_results(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TOYTIP_BENCH_SOURCE", raising=False)
    monkeypatch.setattr(workloads, "DOWNLOADED_YEAR", tmp_path / "missing")
    out = ("--data", tmp_path, "--output", tmp_path / "out.jsonl")
    names = ("--workloads", "eleven-features,defaults", "--peers", "polars_xgboost,polars_defaults")
    names = (*names, "--price", 1, "--series", "small")
    code, output = call(monkeypatch, capsys, *SMALL_RUN, *names, *out)
    assert code == 0
    assert "one repeat: no interval" in output
    rows = results.load_results(tmp_path / "out.jsonl")
    assert [(row["workload"], row["name"]) for row in rows] == [
        ("eleven-features", "toytip-2"),
        ("eleven-features", "polars_xgboost"),
        ("defaults", "toytip-2"),
        ("defaults", "polars_defaults"),
    ]
    assert all(row["valid"] for row in rows)
    for toytip_, polars in (rows[:2], rows[2:]):
        assert toytip_["run"] == polars["run"]
        assert toytip_["auc_difference"] is None
        difference = polars["auc_difference"]
        assert difference["to"] == "toytip-2"
        assert difference["low"] < difference["difference"] < difference["high"]
        assert toytip_["conformance"]["rows"] == polars["conformance"]["rows"]
        assert polars["conformance"]["rows"]["status"] == "passed"
        assert polars["activity"]["before"]["load"] >= 0
        assert 0 < toytip_["first_task_s"] < toytip_["seconds"]
        assert toytip_["memory_limit_mb"] > 0
        assert (polars["threads"], polars["memory_limit_mb"]) == (available_cores(), None)
        packages = {name.removesuffix("-cpu") for name in polars["environment"]}
        assert {"polars", "duckdb", "xgboost"} <= packages
        assert (toytip_["features"], toytip_["source"]) == (polars["features"], "synthetic-2000-2020")
    assert [row["conformance"]["features"]["status"] for row in rows] == ["passed"] * 2 + ["not checked"] * 2
    assert all(row["cost"] == pytest.approx(row["seconds"] * row["cores"] / 3_600, abs=1e-6) for row in rows)
    assert {row["series"] for row in rows} == {"small"}
    assert "gate" in rows[2]["stage_seconds"], "the workload has all default settings"
    assert "gate" not in rows[0]["stage_seconds"]


def fake_run(up_to_date=True, stages=("infer",), status="passed"):
    """Return a replacement of `measure` that writes predictions in place of `toytip run`."""

    def run(command, **_):
        store = Path(command[command.index("--store") + 1])
        is_repeated = (store / "year=2020").exists()
        (store / "year=2020" / "month=4").mkdir(parents=True, exist_ok=True)
        label = np.arange(1_000) % 2 == 0
        probability = np.where(np.arange(1_000) % 10 < 7, label, ~label).astype(float)
        table = pa.table({"high_tip": label, "probability": probability})
        pq.write_table(table, store / "year=2020" / "month=4" / "part.parquet")
        result = {
            "status": status,
            "up_to_date": up_to_date and is_repeated,
            "stage_seconds": dict.fromkeys(stages if "--model" in command else ("train",), 1.0),
            "rows": {"kept": 7_950 if "--model" not in command else 1_990},
            "tables": {"predictions": {"path": str(store)}},
            "model": {"features": ["trip_time"], "rounds": 3},
        }
        return Measurement(output=json.dumps(result), wall_s=2.0, memory=[(0.5, 90.0)], peak_mb=90.0)

    return run


RERUNS = {
    "as expected": (fake_run(), {}),
    "computed again": (fake_run(up_to_date=False), {"toytip-2-unchanged": "it published 0 tables"}),
    "trained": (fake_run(stages=("train", "infer")), {"toytip-2-new-month": "it trained a model"}),
}


@pytest.mark.parametrize(("run", "problems"), RERUNS.values(), ids=RERUNS)
def test_a_rerun_that_does_too_much_is_invalid(run, problems, synthetic, tmp_path, monkeypatch):
    output = tmp_path / "out.jsonl"
    words = ("--source", synthetic, "--repeats", 2, "--output", output)
    monkeypatch.setattr(sys, "argv", ["reruns", *map(str, words)])
    monkeypatch.setattr(reruns, "measure", run)
    assert reruns.main() == bool(problems)
    rows = results.load_results(output)
    order = ["toytip-2", "toytip-2-unchanged", "toytip-2-new-month"]
    assert [row["name"] for row in rows] == [*order, order[2], *order[:2]], "the order changes"
    for row in rows:
        assert row["valid"] == (row["name"] not in problems)
        assert row["why"].startswith(problems.get(row["name"], ""))


def test_without_a_champion_no_month_can_be_scored(synthetic, tmp_path, monkeypatch, capsys):
    words = ("--source", synthetic, "--output", tmp_path / "out.jsonl")
    monkeypatch.setattr(sys, "argv", ["reruns", *map(str, words)])
    monkeypatch.setattr(reruns, "measure", fake_run(status="refused"))
    with pytest.raises(SystemExit, match="2"):
        reruns.main()
    assert "cannot score a month with the champion: the run of 2020-01,2020-02,2020-03 is refused" in (
        capsys.readouterr().err
    )


def test_runs_in_an_existing_store_are_measured(synthetic, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out.jsonl"
    words = ("--source", synthetic, "--rounds", 20, "--repeats", 1, "--output", output)
    monkeypatch.setattr(sys, "argv", ["reruns", *map(str, words)])
    code = reruns.main()
    rows = results.load_results(output)
    assert [(row["name"], row["why"]) for row in rows] == [
        ("toytip-2", ""),
        ("toytip-2-unchanged", ""),
        ("toytip-2-new-month", ""),
    ]
    assert code == 0
    assert "time, toytip-2-new-month / toytip-2: " in capsys.readouterr().out
    full, unchanged, new_month = rows
    assert (unchanged["kept"], unchanged["auc"]) == (full["kept"], full["auc"])
    assert unchanged["seconds"] < full["seconds"]
    assert new_month["rows"] < full["rows"] / 3


def test_a_result_of_a_random_predictor_is_invalid(tmp_path, monkeypatch, capsys):
    year = tmp_path / "synthetic-2000-7"
    year.mkdir()
    for month in SYNTHETIC_MONTHS:
        trips = generate_month(month, SyntheticSpec(rows_per_month=2_000, seed=7))
        shares = np.random.default_rng(month.month).choice([0.1, 0.3], len(trips))
        tips = np.abs(trips["fare_amount"].to_numpy()) * shares
        index = trips.schema.get_field_index("tip_amount")
        pq.write_table(
            trips.set_column(index, trips.schema.field(index), pa.array(tips)), year / month_file_name(month)
        )
    out = ("--data", tmp_path, "--output", tmp_path / "out.jsonl")
    code, output = call(monkeypatch, capsys, *SMALL_RUN, "--peers", "none", "--seed", 7, *out)
    assert code == 1
    assert "invalid result: toytip-2, repeat 0: AUC" in output
    (result,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert result["valid"] is False
    assert "random predictor" in result["why"]
    assert call(monkeypatch, capsys, "plot", tmp_path / "out.jsonl", "--output", tmp_path)[0] == 2


def test_results_are_drawn(tmp_path):
    rows = [row(f"toytip-{count}", 0, 10 / count, workers=count, rows=100 * count) for count in (1, 2)]
    rows += [row("toytip-1", 0, 20, workers=1, rows=200), row("polars", 0, 5, rows=200)]
    rows = [row("toytip-4", 0, 5, workers=4, rounds=9), *json.loads(json.dumps(rows))]
    assert [file.name for file in plots.draw_all(rows, tmp_path)] == [
        "scaling-by-workers.png",
        "scaling-by-rows.png",
        "throughput-by-stage.png",
        "memory.png",
    ]


def test_a_chart_does_not_mix_sizes():
    rows = [row("toytip-1", 0, 10, workers=1, rows=1_000), row("toytip-2", 0, 5, rows=1_000)]
    rows += [row("toytip-1", 0, 100, workers=1, rows=20_000), row("toytip-2", 0, 50, rows=20_000)]
    lines = {
        line.get_label(): list(line.get_ydata())
        for line in plots.draw_scaling(rows, "workers", "rows").axes[0].lines
    }
    assert lines == {"1,000 rows": [100, 200], "20,000 rows": [200, 400]}
    (stage,) = plots.draw_throughput(rows[2:]).axes[0].lines
    assert list(stage.get_xdata()) == [200, 400], "rows a second, not seconds"
