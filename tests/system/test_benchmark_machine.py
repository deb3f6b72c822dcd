"""The machine of a measurement: its other work, its page cache, its memory, and A/A comparisons."""

import json
import subprocess
import sys

import pytest

from benchmarks import aa, results
from benchmarks.harness import CommandFailedError, Limits, Measurement, measure
from benchmarks.machine import activity
from benchmarks.machine.activity import Activity, Ticks, describe_noise, observe
from benchmarks.machine.memory_cap import memory_group
from benchmarks.rows import cost_columns
from tests.system.test_benchmarks import call

QUIET = Activity(load=0.5, busy_cores=0.02, steal=0.001, pressure=0.01)


@pytest.mark.parametrize(
    ("before", "after", "steal", "noise"),
    [
        (QUIET, QUIET, 0.001, ""),
        (None, None, 0.0, ""),
        (Activity(9.0, 0.02, 0.0, None), QUIET, 0.0, ""),
        (Activity(0.5, 0.8, 0.0, 0.0), QUIET, 0.0, "before: other processes used 0.80 cores"),
        (QUIET, Activity(0.5, 0.0, 0.1, 0.0), 0.0, "after: the host took 10% of the CPU time"),
        (QUIET, Activity(0.5, 0.0, 0.0, 0.5), 0.0, "after: processes waited for a core for 50% of the time"),
        (QUIET, QUIET, 0.05, "during: the host took 5% of the CPU time"),
    ],
)
def test_noise_has_a_cause(before, after, steal, noise):
    assert describe_noise(before, after, steal) == noise


@pytest.mark.skipif(not activity.STAT_FILE.exists(), reason="the system does not have Linux's /proc")
def test_a_busy_process_is_observed():
    program = "import time; end = time.time() + 1\nwhile time.time() < end: pass"
    with subprocess.Popen([sys.executable, "-c", program]):
        found = observe(0.5)
    assert found.busy_cores > 0.05
    assert found.noise()


def test_shares_are_of_the_time_between_two_readings():
    before, after = Ticks(busy=100, stolen=10, total=1_000), Ticks(busy=150, stolen=30, total=1_200)
    assert (after.busy_since(before), after.steal_since(before)) == (0.25, 0.1)


def test_without_linux_nothing_is_observed(tmp_path, monkeypatch):
    monkeypatch.setattr(activity, "STAT_FILE", tmp_path / "missing")
    assert observe(0) is None


def test_a_page_cache_that_cannot_be_dropped_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(activity, "DROP_FILE", tmp_path / "missing" / "drop_caches")
    code, output = call(monkeypatch, capsys, "run", "--cold", "--output", tmp_path / "out.jsonl")
    assert code == 2
    assert output.endswith("Run the command as root, or without --cold\n")


def has_cgroups():
    with memory_group(1_000) as group:
        return group is not None


LEAK = "blocks = [b'x' * 40_000_000 for _ in range(20)]"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LEAK!r}])"


@pytest.mark.skipif(not has_cgroups(), reason="the system does not allow cgroups for this user")
def test_the_kernel_ends_a_command_that_needs_more_memory_than_the_cap():
    with pytest.raises(
        CommandFailedError, match="the kernel ended a process at the limit of 200 MB"
    ) as failed:
        measure(["-c", LEAK], limits=Limits(memory_mb=200))
    assert failed.value.outcome == "out of memory"
    assert failed.value.measurement.memory_cap == "cgroup"


@pytest.mark.skipif(not has_cgroups(), reason="the system does not allow cgroups for this user")
def test_a_command_that_survives_the_end_of_a_child_is_a_result():
    assert measure(["-c", CHILD], limits=Limits(memory_mb=200)).memory_cap == "cgroup"
    with memory_group(200) as group:
        folder = group.folder
        assert folder.exists()
    assert not folder.exists()


def test_the_cost_is_that_of_all_cores():
    assert cost_columns({"cores": 2, "seconds": 1_800.0}, 0.04) == {"price_per_core_hour": 0.04, "cost": 0.04}
    assert cost_columns({"cores": 2, "seconds": 1_800.0}, None)["cost"] is None


def fake_measure(seconds):
    """Return a replacement of `measure` whose times come from an iterator."""

    def run(_command):
        result = {
            "stage_seconds": {},
            "rows": {"kept": 23_000},
            "tables": {"predictions": {"path": "predictions"}},
            "model": {"features": [], "rounds": 5},
        }
        return Measurement(output=json.dumps(result), wall_s=next(seconds), peak_mb=100.0)

    return run


def test_comparisons_of_toytip_with_itself_are_counted(tmp_path, monkeypatch, capsys):
    # Sides A and B take turns to be first. In the second comparison, side B is always slower.
    equal, slower = [10.0, 10.1, 10.0, 10.1, 10.1, 10.0], [12.1, 10.0, 10.0, 12.0, 12.2, 10.0]
    monkeypatch.setattr(aa, "measure", fake_measure(iter([*equal, *slower])))
    output = tmp_path / "out.jsonl"
    words = ("aa", "--trials", 2, "--repeats", 3, "--rows", 500, "--data", tmp_path, "--output", output)
    code, printed = call(monkeypatch, capsys, *words)
    assert code == 0
    assert "no change in 1 of 2 comparisons of toytip with itself, with 3 pairs each" in printed
    (row,) = results.load_single_values(output, "aa").values()
    counts = {name: row[name] for name in ("comparisons", "pairs", "no_change", "slower", "faster")}
    assert counts == {"comparisons": 2, "pairs": 3, "no_change": 1, "slower": 1, "faster": 0}
    assert row["ratios"][1] == pytest.approx(1.21, abs=0.01)
    assert not row["partial"]


def then_fail(seconds):
    yield from seconds
    raise RuntimeError("the program failed")


def test_interrupted_comparisons_count_only_without_complete_ones(tmp_path, monkeypatch, capsys):
    output = tmp_path / "out.jsonl"
    words = ("aa", "--repeats", 2, "--rows", 500, "--data", tmp_path, "--output", output, "--trials")
    times = [10.0, 10.1, 10.1, 10.0]

    def compared(trials, seconds):
        monkeypatch.setattr(aa, "measure", fake_measure(then_fail(seconds)))
        code, _ = call(monkeypatch, capsys, *words, trials)
        (row,) = results.load_single_values(output, "aa").values()
        return code, row["comparisons"], row["partial"]

    assert compared(3, [*times, *times]) == (2, 2, True)
    assert compared(1, times) == (0, 1, False)
    assert compared(3, [*times, *times]) == (2, 1, False), "the complete row still counts"


@pytest.mark.parametrize("words", ["aa --repeats 1", "aa --trials 0", "run --price 0"])
def test_invalid_input_is_refused(words, monkeypatch, capsys):
    assert call(monkeypatch, capsys, *words.split())[0] == 2
