"""The benchmarks: what is measured is true, the peers do the same work, and a comparison says no more than it knows."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import plots, results, scale
from benchmarks.harness import measure
from benchmarks.workloads import PEERS, Task, quality, toytip

WORK = """
import subprocess, sys, time
block = bytearray(120_000_000)
subprocess.run([sys.executable, "-c", "b = bytearray(150_000_000); import time; time.sleep(1.5)"])
sum(range(3_000_000)); time.sleep(0.6); print("done")
"""


def test_a_command_is_measured_with_its_children():
    told = measure(["-c", WORK])
    assert told.out == "done\n"
    assert told.wall_s > 2
    assert 270 < told.peak_mb < 400, "both at once"
    assert told.cpu_s > 0
    assert max(mb for _, mb in told.memory) == told.peak_mb


def test_a_command_that_fails_says_why():
    with pytest.raises(RuntimeError, match="no such luck"):
        measure(["-c", "import sys; sys.exit('no such luck')"])


@pytest.fixture(scope="module")
def ours(synthetic, tmp_path_factory):
    contender, out = toytip(2), tmp_path_factory.mktemp("ours")
    task = Task(synthetic, rounds=20, max_depth=6)
    told = contender.told(measure(contender.command(task, out)), out)
    return told, quality(Path(told["predictions"]))


@pytest.mark.parametrize("name", ["polars_xgboost", "duckdb_xgboost", "pandas_xgboost", "limit", "original"])
def test_a_peer_keeps_the_same_rows_and_learns_the_same(name, ours, synthetic, tmp_path):
    told, auc = ours
    contender = PEERS[name]
    peer = contender.told(
        measure(contender.command(Task(synthetic, rounds=20, max_depth=6), tmp_path)), tmp_path
    )
    assert peer["kept"] == told["kept"]
    if contender.alike:
        assert quality(tmp_path / "version=1") == pytest.approx(auc, abs=0.02)


def row(name, repeat, seconds, auc=0.8, kept=100, **more):
    return {
        "name": name, "repeat": repeat, "seconds": seconds, "peak_mb": 100.0, "rows": 100, "rounds": 5, "max_depth": 8,
        "workers": 2, "alike": True, "auc": auc, "kept": kept, "stages": {"train": seconds}, "memory": [[0.5, 90.0]],
        **more,
    }  # fmt: skip


def test_ratios_are_of_pairs_and_say_how_sure_they_are():
    rows = [row("a", k, 10 * noise) for k, noise in enumerate((1, 2, 3))]
    rows += [row("b", k, 20 * noise) for k, noise in enumerate((1, 2, 3))]
    found = results.ratios(rows, "a")["b"]
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert found.changed, "each pair says the same, however the machine's speed changes"
    assert not results.ratio([10.0], [20.0]).changed, "once is never sure"
    assert not results.ratio([10.0, 30.0], [20.0, 20.0]).changed


def test_what_is_no_result_is_said():
    good = [row("toytip-2", 0, 10), row("polars", 0, 11), row("pandas", 0, 12)]
    assert results.out_of_band(good) == []
    worse, fewer = row("dask", 0, 5, auc=0.79), row("duckdb", 0, 5, kept=90)
    assert results.out_of_band([*good, worse, fewer]) == [worse, fewer]


def test_weak_scaling_is_each_workers_speed_in_shares_of_one_alone():
    rows = [row("toytip-1", 0, 10, workers=1), row("toytip-4", 0, 12.5, workers=4, rows=400)]
    rows += [row("toytip-1", 1, 10, workers=1), row("toytip-4", 1, 12.5, workers=4, rows=400)]
    told = {(workers, stage): share for workers, stage, share in results.weak(rows)}
    assert told == {(1, "train"): 1, (4, "train"): 0.8, (1, "end to end"): 1, (4, "end to end"): 0.8}


def test_the_model_of_cost_finds_what_made_the_times():
    rows = []
    for size in (1e6, 4e6, 16e6):
        for workers in (1, 2):
            share = size / workers
            stages = {"featurize": 1 + 2e-6 * share, "train": 3 + 4e-8 * 5 * share, "infer": 1e-6 * share}
            told = row(f"toytip-{workers}", 0, sum(stages.values()) + 4, workers=workers, cores=2)
            rows.append({**told, "rows": size, "stages": stages})
    costs = scale.fit(rows)
    assert costs["featurize"] == pytest.approx((1, 2e-6))
    assert costs["train"] == pytest.approx((3, 4e-8))
    assert costs["the rest"].at(0) == pytest.approx(4)
    given = {"rounds": 5, "depth": 8, "features": 11, "network": 1e9, "delay": 1e-4}
    few, many = (scale.predict(costs, 1e9, workers, **given) for workers in (16, 64))
    assert many["featurize"] < few["featurize"]
    assert many["histograms"] > few["histograms"] > 0


def test_two_files_are_compared(tmp_path, monkeypatch, capsys):
    from benchmarks.__main__ import main

    for name, factor in (("before", 1.0), ("after", 1.3)):
        for repeat, noise in enumerate((1.0, 1.02, 0.99, 1.01)):
            results.append(tmp_path / name, row("toytip-2", repeat, 10 * factor * noise))
    for pair, code, said in ((("before", "after"), 1, "more"), (("after", "before"), 0, "less")):
        monkeypatch.setattr(sys, "argv", ["benchmarks", "compare", *(str(tmp_path / name) for name in pair)])
        assert main() == code
        assert f"seconds: {'1.30' if code else '0.77'}" in (out := capsys.readouterr().out)
        assert f"pairs): {said}" in out
        assert "peak_mb: 1.00 (1.00 to 1.00, 4 pairs): no change" in out


def test_results_are_drawn(tmp_path):
    rows = [row(f"toytip-{count}", 0, 10 / count, workers=count, rows=100 * count) for count in (1, 2)]
    rows = json.loads(json.dumps(rows))
    assert [file.name for file in plots.draw(rows, tmp_path)] == [
        "scaling-by-workers.png", "scaling-by-rows.png", "stages.png", "memory.png",
    ]  # fmt: skip
