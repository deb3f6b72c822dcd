"""The benchmarks: what is measured is true, the peers do the same work, and a comparison says no more than it knows."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import plots, results, scale
from benchmarks.__main__ import main
from benchmarks.comparison import compare_results
from benchmarks.harness import measure
from benchmarks.quality import validate_rows
from benchmarks.ratios import paired_ratio, peer_ratios, weak_scaling
from benchmarks.workloads import PEERS, BenchmarkTask, last_month_auc, make_toytip
from toytip.cluster import available_cores
from toytip.sources.synthetic import SYNTHETIC_MONTHS, SyntheticSpec, generate_month, month_file_name

WORK = """
import subprocess, sys, time
block = bytearray(120_000_000)
subprocess.run([sys.executable, "-c", "b = bytearray(150_000_000); import time; time.sleep(1.5)"])
sum(range(3_000_000)); time.sleep(0.6); print("done")
"""


def test_a_command_is_measured_with_its_children():
    told = measure(["-c", WORK])
    assert told.output == "done\n"
    assert told.wall_s > 2
    assert 270 < told.peak_mb < 400, "both at once"
    assert told.cpu_s > 0
    assert told.first_task_s is None, "it has no cluster"
    assert max(mb for _, mb in told.memory) == told.peak_mb


def test_a_command_that_fails_says_why():
    with pytest.raises(RuntimeError, match="no such luck"):
        measure(["-c", "import sys; sys.exit('no such luck')"])


@pytest.fixture(scope="module")
def ours(synthetic, tmp_path_factory):
    contender, out = make_toytip(2), tmp_path_factory.mktemp("ours")
    task = BenchmarkTask(synthetic, rounds=20, max_depth=6)
    taken = measure(contender.command(task, out))
    told = contender.read_result(taken, out)
    return told, last_month_auc(Path(told["predictions"])), taken


def test_the_first_task_and_the_workers_of_a_cluster_are_told(ours):
    taken = ours[2]
    assert 0 < taken.first_task_s < taken.wall_s
    assert taken.threads == 2 * max(1, available_cores() // 2)
    assert taken.memory_limit_mb > 100


@pytest.mark.parametrize("name", ["polars_xgboost", "duckdb_xgboost", "pandas_xgboost", "limit", "original"])
def test_a_peer_keeps_the_same_rows_and_learns_the_same(name, ours, synthetic, tmp_path):
    told, auc, _ = ours
    contender = PEERS[name]
    peer = contender.read_result(
        measure(contender.command(BenchmarkTask(synthetic, rounds=20, max_depth=6), tmp_path)), tmp_path
    )
    assert peer["kept"] == told["kept"]
    if contender.trains_alike:
        assert last_month_auc(tmp_path / "version=1") == pytest.approx(auc, abs=0.02)


def row(name, repeat, seconds, auc=0.63, kept=990_000, **more):
    return {
        "name": name, "repeat": repeat, "seconds": seconds, "peak_mb": 100.0, "rows": 1_000_000, "rounds": 5, "max_depth": 8,
        "workers": 2, "threads": 2, "alike": True, "auc": auc, "kept": kept, "stages": {"train": seconds}, "run": "1",
        "memory": [[0.5, 90.0]], "seed": 1, "cores": 2, "machine": "x86_64", "machine_gb": 25.0, **more,
    }  # fmt: skip


def written(file, rows):
    for each in rows:
        results.append_result(file, each)
    return file


def called(monkeypatch, capsys, *words):
    """Return the exit code of a command, and what it said."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, words)])
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    return code, said.out + said.err


def test_ratios_are_of_pairs_and_say_how_sure_they_are():
    rows = [row("a", k, 10 * noise) for k, noise in enumerate((1, 2, 3))]
    rows += [row("b", k, 20 * noise) for k, noise in enumerate((1, 2, 3))]
    found = peer_ratios(rows, "a")["b"]
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert found.changed, "each pair says the same, however the machine's speed changes"
    assert not paired_ratio([10.0], [20.0]).changed, "once is never sure"
    assert "one repeat: no spread" in str(paired_ratio([10.0], [20.0]))
    assert not paired_ratio([10.0, 30.0], [20.0, 20.0]).changed


def odd(rows):
    """Return the names of the rows that are no results, and why."""
    return {each["name"]: each["why"] for each in validate_rows(rows) if not each["valid"]}


def test_what_is_no_result_is_said():
    good = [row("toytip-2", 0, 10), row("polars", 0, 11), row("pandas", 0, 12)]
    assert odd(good) == {}
    forest = row("original", 0, 12, alike=False, auc=0.59)
    worse, fewer = row("dask", 0, 5, auc=0.61), row("duckdb", 0, 5, kept=950_000)
    assert list(odd([*good, forest, worse, fewer])) == ["dask", "duckdb"]
    assert list(odd([*good[1:], row("toytip-2", 0, 9, auc=0.622)])) == ["toytip-2"]


def test_toytip_is_measured_from_its_peers_and_alone_from_what_is_known():
    ours = [row("toytip-2", 0, 10, auc=0.60), row("toytip-8", 0, 10, auc=0.60)]
    assert list(odd([*ours, row("polars", 0, 11), row("pandas", 0, 11)])) == ["toytip-2", "toytip-8"], (
        "two that agree are no majority"
    )
    assert set(odd([ours[0], row("polars", 0, 11)])) == {"toytip-2", "polars"}, "nobody can tell which"
    assert "guessing" in odd([row("toytip-2", 0, 10, auc=0.5)])["toytip-2"]
    assert "kept 3 of" in odd([row("toytip-2", 0, 10, kept=3)])["toytip-2"]
    usual = {"rows": 1_200_000, "seed": 2020, "rounds": 100, "kept": 1_189_803}
    assert odd([row("toytip-2", 0, 10, auc=0.62991, **usual)]) == {}
    assert "0.6299" in odd([row("toytip-2", 0, 10, auc=0.62, **usual)])["toytip-2"]


def test_weak_scaling_is_each_workers_speed_in_shares_of_one_alone():
    one = {"stages": {"checksum": 1, "featurize": 5, "preprocess": 2, "infer": 2}, "workers": 1}
    four = {"stages": {"checksum": 1, "featurize": 7, "preprocess": 2, "infer": 2.5}, "workers": 4}
    rows = [row("toytip-1", 0, 10, **one), row("toytip-4", 0, 12.5, **four)]
    rows += [row("toytip-1", 1, 10, **one), row("toytip-4", 1, 12.5, **four)]
    told = {stage: share for workers, stage, share in weak_scaling(rows) if workers == 4}
    assert told == {
        "checksum": 1, "featurize": 5 / 7, "preprocess": 1, "infer": 0.8, "row stages": 0.8, "end to end": 0.8,
    }  # fmt: skip


def made_of(cost):
    """Return runs that cost a stage so much and so much for every row of a core's share, and four seconds beside."""
    rows = []
    for size in (1e6, 4e6, 16e6):
        for workers in (1, 2):
            share = size / workers
            stages = {"featurize": cost(share), "train": 3 + 4e-8 * 5 * share, "infer": 1e-6 * share}
            seconds = sum(stages.values()) + 4
            told = row(f"toytip-{workers}", 0, seconds, workers=workers, rows=size, kept=size)
            rows.append({**told, "stages": {**stages, "evaluate": 1.0, "report": 2.0}})
    return rows


def test_the_model_of_cost_finds_what_made_the_times():
    costs = scale.fit_costs(made_of(lambda share: 1 + 2e-6 * share))
    assert costs["featurize"] == pytest.approx((1, 2e-6))
    assert costs["train"] == pytest.approx((3, 4e-8))
    assert costs["the rest"].predict(0) == pytest.approx(4), "also what other stages take"
    given = {"rounds": 5, "depth": 8, "features": 11, "network": 1e9, "delay": 1e-4}
    few, many = (scale.predict_seconds(costs, 1e9, workers, **given) for workers in (16, 64))
    assert many["featurize"] < few["featurize"]
    assert many["histograms"] > few["histograms"] > 0


def test_the_model_of_cost_wants_runs_of_two_sizes(tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").touch()
    written(tmp_path / "one", [row("toytip-2", 0, 10), row("toytip-1", 0, 10, workers=1)])
    broken = [row("toytip-2", 0, 10, rows=size, kept=size, auc=0.5) for size in (1e6, 4e6)]
    written(tmp_path / "broken", broken)
    written(tmp_path / "good", made_of(lambda share: 1 + 2e-6 * share))
    for name, code, told in (
        ("empty", 2, "no row"), ("one", 2, "two sizes"), ("broken", 2, "two sizes"), ("good", 0, "16 workers"),
    ):  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["scale", str(tmp_path / name)])
        if code:
            with pytest.raises(SystemExit, match="2"):
                scale.main()
        else:
            assert scale.main() == 0
        said = capsys.readouterr()
        assert told in said.out + said.err


NOISE = (1.0, 1.02, 0.99, 1.01)


def side(factor, machine=1.0, peers=("polars", "pandas"), **more):
    """Return four repeats of toytip and of peers, toytip `factor` times as slow, all on a machine that is so much slower."""
    rows = [row("toytip-2", k, 10 * factor * machine * noise, **more) for k, noise in enumerate(NOISE)]
    return rows + [
        row(peer, k, 12 * machine * noise, **more) for peer in peers for k, noise in enumerate(NOISE)
    ]


@pytest.mark.parametrize(
    ("before", "after", "code", "said"),
    [
        (side(1.0), side(1.3), 1, "seconds by pandas, polars: 1.30 (1.30 to 1.30, 4 pairs): more"),
        (side(1.3), side(1.0), 0, "seconds by pandas, polars: 0.77"),
        (side(1.0), side(1.0, machine=3, machine_gb=9.0), 0, "seconds by pandas, polars: 1.00"),
        (side(1.0), side(1.0)[:4] + side(2.0, peers=["pandas"])[4:], 0, "by pandas: 1.00"),
        (side(1.0, peers=()), side(1.3, peers=["polars"]), 1, "the same machine, no peer in both): 1.30"),
        (side(1.0, peers=()), side(1.3, peers=(), machine_gb=9.0), 2, "nothing to compare"),
        (side(1.0), side(1.3, seed=2), 2, "nothing to compare"),
        (side(1.0), side(1.3, threads=8), 2, "nothing to compare"),
        (side(1.0), [{**each, "repeat": each["repeat"] + 4} for each in side(1.3)], 2, "nothing to compare"),
        (side(1.0), side(0.5, auc=0.5), 1, "left out of"),
        (side(1.0), side(0.5, kept=3), 1, "kept 3 of 1,000,000 rows"),
        (side(1.0), side(1.0, auc=0.60), 1, "not the same quality"),
        (side(1.0), side(0.5, run="1") + side(1.3, run="2"), 1, "1.30 (1.30 to 1.30"),
    ],
    ids=[
        "slower", "faster", "a slower machine", "a slower peer", "no peer", "no peer, another machine", "another year",
        "another cluster", "other repeats", "guessing", "rows lost", "worse, as its peers", "the last run counts",
    ],
)  # fmt: skip
def test_two_files_are_compared(before, after, code, said, tmp_path, monkeypatch, capsys):
    files = written(tmp_path / "before", before), written(tmp_path / "after", after)
    found, told = called(monkeypatch, capsys, "compare", *files)
    assert said in told
    assert found == code
    assert code != 2 or len(told.splitlines()) == 1


def test_repeats_are_paired_by_their_number():
    before, after = side(1.0), side(1.0)
    (seconds, _memory) = compare_results(validate_rows(before), validate_rows(after[::-1]))
    assert (seconds.ratio.low, seconds.ratio.high) == pytest.approx((1, 1))


def test_a_peer_that_got_slower_alone_is_not_toytip_slower():
    before = side(1.0)
    after = [{**each, "seconds": each["seconds"] * (1 + (each["name"] == "polars"))} for each in before]
    assert not any(change.slower for change in compare_results(validate_rows(before), validate_rows(after)))


@pytest.mark.parametrize(
    "words",
    [
        "run --peers foo", "run --workers x", "run --workers 0", "run --workers 1,,2", "run --repeats 0", "run --rows 1.5",
        "run --out {}/missing/x.jsonl", "compare {}/missing {}/missing", "compare {}/garbage {}/garbage",
        "compare {}/binary {}/binary", "compare {}/cut {}/cut", "plot {}/missing", "plot {}/garbage",
    ],
)  # fmt: skip
def test_bad_input_is_one_line(words, tmp_path, monkeypatch, capsys):
    (tmp_path / "garbage").write_text("[1, 2]\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x80")
    (tmp_path / "cut").write_text('{"name": "toytip-2", "rows": 5}\n')
    code, said = called(monkeypatch, capsys, *words.format(tmp_path, tmp_path).split())
    assert code == 2
    assert len([line for line in said.splitlines() if not line.startswith(("usage", " "))]) == 1


def test_a_run_keeps_its_rows(tmp_path, monkeypatch, capsys):
    code, said = called(
        monkeypatch, capsys, "run", "--rows", 2_000, "--rounds", 5, "--repeats", 1, "--peers", "polars_xgboost",
        "--data", tmp_path, "--out", tmp_path / "out.jsonl",
    )  # fmt: skip
    assert code == 0
    assert "one repeat: no spread" in said
    toytip_, polars = results.load_results(tmp_path / "out.jsonl")
    assert toytip_["run"] == polars["run"]
    assert (toytip_["valid"], polars["valid"]) == (True, True)
    assert 0 < toytip_["first_task_s"] < toytip_["seconds"]
    assert toytip_["memory_limit_mb"] > 0
    assert (polars["threads"], polars["memory_limit_mb"]) == (available_cores(), None)
    assert {"polars", "duckdb", "xgboost"} <= {name.removesuffix("-cpu") for name in polars["environment"]}


def test_a_run_that_only_guesses_is_marked_and_an_error(tmp_path, monkeypatch, capsys):
    year = tmp_path / "synthetic-2000-7"
    year.mkdir()
    for month in SYNTHETIC_MONTHS:
        trips = generate_month(month, SyntheticSpec(rows_per_month=2_000, seed=7))
        shares = np.random.default_rng(month.month).choice([0.1, 0.3], len(trips))
        tips = np.abs(trips["fare_amount"].to_numpy()) * shares
        where = trips.schema.get_field_index("tip_amount")
        pq.write_table(
            trips.set_column(where, trips.schema.field(where), pa.array(tips)), year / month_file_name(month)
        )
    code, said = called(
        monkeypatch, capsys, "run", "--rows", 2_000, "--rounds", 5, "--repeats", 1, "--peers", "none", "--seed", 7,
        "--data", tmp_path, "--out", tmp_path / "out.jsonl",
    )  # fmt: skip
    assert code == 1
    assert "no result: toytip-2, repeat 0: AUC" in said
    (kept,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert kept["valid"] is False
    assert "guessing" in kept["why"]
    assert called(monkeypatch, capsys, "plot", tmp_path / "out.jsonl", "--out", tmp_path)[0] == 2


def test_results_are_drawn(tmp_path):
    rows = [row(f"toytip-{count}", 0, 10 / count, workers=count, rows=100 * count) for count in (1, 2)]
    rows += [row("toytip-1", 0, 20, workers=1, rows=200), row("polars", 0, 5, rows=200)]
    rows = [row("toytip-4", 0, 5, workers=4, rounds=9), *json.loads(json.dumps(rows))]
    assert [file.name for file in plots.draw_all(rows, tmp_path)] == [
        "scaling-by-workers.png", "scaling-by-rows.png", "throughput-by-stage.png", "memory.png",
    ]  # fmt: skip


def test_a_picture_mixes_no_sizes():
    rows = [row("toytip-1", 0, 10, workers=1, rows=1_000), row("toytip-2", 0, 5, rows=1_000)]
    rows += [row("toytip-1", 0, 100, workers=1, rows=20_000), row("toytip-2", 0, 50, rows=20_000)]
    lines = {
        line.get_label(): list(line.get_ydata())
        for line in plots.draw_scaling(rows, "workers", "rows").axes[0].lines
    }
    assert lines == {"1,000 rows": [100, 200], "20,000 rows": [200, 400]}
    (stage,) = plots.draw_throughput(rows[2:]).axes[0].lines
    assert list(stage.get_xdata()) == [200, 400], "rows a second, not seconds"
