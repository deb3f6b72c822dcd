"""The engines of the benchmark: their descriptions, environments and failures."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import engine_folders, results, workloads
from benchmarks.__main__ import main
from benchmarks.contenders import BenchmarkTask, make_engine
from benchmarks.engine_folders import (
    ENGINES,
    InstallationError,
    engine_versions,
    find_engines,
    load_engine,
    prepare_environment,
)
from benchmarks.results import InvalidInputError
from benchmarks.workloads import ELEVEN_FEATURES, WORKLOADS, BenchmarkSource

TOML = """
name = "{name}"
description = "A test."
languages = ["shell"]
kind = "vanilla"
job = "eleven-features"
requirements = {requirements}
version_of = ["pip"]
"""


def write_engine(folder, name="mine", script="exit 0", requirements="[]", extra=""):
    engine = folder / name
    engine.mkdir(parents=True)
    (engine / "engine.toml").write_text(TOML.format(name=name, requirements=requirements) + extra)
    (engine / "run").write_text(f"#!/bin/sh\n{script}\n")
    (engine / "run").chmod(0o755)
    return engine


@pytest.mark.parametrize("engine", find_engines(), ids=lambda engine: engine.name)
def test_every_engine_of_the_benchmark_is_complete(engine):
    assert engine.job in WORKLOADS
    assert engine.description.endswith(".")
    assert set(engine.version_of) <= {name.partition("[")[0] for name in engine.requirements}
    mode = subprocess.run(
        ["git", "ls-files", "-s", engine.program.relative_to(Path.cwd())],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[:1]
    assert mode == ["100755"], "git stores that the file is executable"


def test_an_engine_is_loaded_from_its_folder(tmp_path):
    engine = load_engine(write_engine(tmp_path, extra="trains_alike = false\n[options]\nsize = 3\n"))
    assert (engine.name, engine.trains_alike, engine.options) == ("mine", False, {"size": 3})
    contender = make_engine(engine)
    assert (contender.name, contender.trains_alike, contender.uses_wall_time) == ("mine", False, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "engine.toml").unlink(), "No such file"),
        (lambda folder: (folder / "engine.toml").write_text("name = "), "cannot use engine mine: "),
        (lambda folder: (folder / "engine.toml").write_text('name = "mine"'), "missing .* required"),
        (lambda folder: (folder / "run").chmod(0o644), "run is not executable"),
        (lambda folder: _edit(folder, 'name = "mine"', 'name = "other"'), "name is not mine"),
        (lambda folder: _edit(folder, "vanilla", "fast"), "kind is not vanilla or tuned"),
        (lambda folder: _edit(folder, "languages", "colors"), "unexpected keyword argument 'colors'"),
    ],
)
def test_an_invalid_engine_is_refused(change, message, tmp_path):
    folder = write_engine(tmp_path)
    change(folder)
    with pytest.raises(InvalidInputError, match=message):
        load_engine(folder)


def _edit(folder, old, new):
    file = folder / "engine.toml"
    file.write_text(file.read_text().replace(old, new))


def test_an_engine_without_other_packages_runs_in_the_environment_of_the_benchmark(tmp_path):
    engine = load_engine(write_engine(tmp_path, requirements='["pyarrow", "xgboost-cpu"]'))
    assert prepare_environment(engine, tmp_path / "environments") == Path(sys.executable).parent
    assert not (tmp_path / "environments").exists()
    versions = engine_versions(load_engine(ENGINES / "pandas_xgboost"), Path(sys.executable).parent)
    assert "pandas" in versions


def test_other_engines_get_an_environment_of_their_own(tmp_path, monkeypatch):
    """The environment is created once. A failed installation is an error."""
    commands = []
    monkeypatch.setattr(engine_folders.venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(engine_folders, "_install", lambda *given: commands.append(given[1]))
    extra = 'install = ["make"]\n'
    engine = load_engine(write_engine(tmp_path, requirements='["no-such-package-x"]', extra=extra))
    for _ in range(2):
        programs = prepare_environment(engine, tmp_path / "environments")
        assert programs == tmp_path / "environments" / "mine" / "bin"
    pip = str(programs / "pip")
    assert commands == [[pip, "install", "--quiet", "no-such-package-x"], ["make"]]


def test_an_installation_that_fails_is_an_error(tmp_path):
    install = 'install = ["sh", "-c", "echo no compiler >&2; exit 1"]\n'
    engine = load_engine(write_engine(tmp_path, extra=install))
    with pytest.raises(InstallationError, match="cannot install engine mine: no compiler"):
        prepare_environment(engine, tmp_path)


@pytest.fixture
def small_suite(synthetic, tmp_path, monkeypatch):
    """A workload of three engines in place of `eleven-features`: the first also replaces toytip."""
    # The third engine drops almost all rows, and guesses the probability of the others.
    month = tmp_path / "guessed" / "predictions" / "year=2020" / "month=4"
    month.mkdir(parents=True)
    rows = {"trip_id": range(10), "high_tip": [n % 2 == 0 for n in range(10)], "probability": [0.5] * 10}
    pq.write_table(pa.table({name: list(values) for name, values in rows.items()}), month / "a.parquet")
    laps = {"laps": {"read": 0.1}, "kept": 10, "features": [], "model_rounds": 5}
    (tmp_path / "guessed" / "laps.json").write_text(json.dumps(laps))
    scripts = {
        "broken": "echo no such column >&2; exit 1",
        "killed": "kill -KILL $$",
        "slow": "sleep 60",
        "silent": "exit 0",
        "liar": f'cp -r {tmp_path}/guessed/* "$2"',
    }
    engines = [load_engine(write_engine(tmp_path, name, script)) for name, script in scripts.items()]
    install = 'install = ["sh", "-c", "echo no compiler >&2; exit 1"]\n'
    engines.append(load_engine(write_engine(tmp_path, "absent", extra=install)))
    scripts = {engine.name: "" for engine in engines}
    small = replace(ELEVEN_FEATURES, engines=tuple(engines))
    source = BenchmarkSource(synthetic, "synthetic", 8_000, synthetic=True)
    monkeypatch.setattr("benchmarks.run.WORKLOADS", {"eleven-features": small})
    monkeypatch.setattr("benchmarks.run._source", lambda *_: source)
    monkeypatch.setattr("benchmarks.__main__.PEER_NAMES", tuple(scripts))
    monkeypatch.setattr(workloads.Workload, "make_toytip", lambda *_: make_engine(engines[0]))


def test_failures_of_engines_are_rows_of_the_result(small_suite, tmp_path, monkeypatch, capsys):
    """The other contenders run on, and a wrong engine is refused."""
    output = tmp_path / "out.jsonl"
    words = ("run", "--peers", "killed,slow,silent,liar,absent", "--repeats", 1, "--timeout", 5)
    words = (*words, "--conformance-rows", 0, "--environments", tmp_path / "env", "--output", output)
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, words)])
    assert main() == 1
    rows = {row["name"]: row for row in results.load_results(output)}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "broken": "failed",
        "killed": "failed",
        "slow": "timeout",
        "silent": "failed",
        "liar": "ok",
        "absent": "not installed",
    }
    causes = {
        "broken": "cannot measure broken: it failed with exit code 1: no such column",
        "killed": "cannot measure killed: it was ended by signal 9 (Killed): no message",
        "slow": "cannot measure slow: it ran for more than 5 s",
        "absent": "cannot install engine absent: no compiler",
    }
    assert {name: rows[name]["why"] for name in causes} == causes
    assert "cannot use the output of silent: FileNotFoundError" in rows["silent"]["why"]
    assert rows["liar"]["why"].startswith("it fails the level rows: ")
    assert not any(row["valid"] for row in rows.values())
    assert [(row["exit_code"], row["stderr"]) for row in rows.values() if row["exit_code"] is not None] == [
        (1, "no such column"),
        (-9, ""),
    ]
    assert [name for name, row in rows.items() if row["auc"] is not None] == ["liar"]
    lines = capsys.readouterr().out.splitlines()
    for name, cause in causes.items():
        (line,) = [line for line in lines if line.startswith(f"name {name} ")]
        assert line.endswith(f"  {cause}")
        assert "auc" not in line
        assert f"invalid result: {name}, repeat 0: {cause}" in lines


def test_the_job_reaches_the_engine(tmp_path):
    engine = load_engine(write_engine(tmp_path, extra="[options]\nsize = 3\n"))
    contender = make_engine(engine)
    task = BenchmarkTask(tmp_path, rounds=7, memory_mb=500)
    source, out, job = contender.command(task, tmp_path)
    assert (source, out) == (str(tmp_path), str(tmp_path))
    assert json.loads(Path(job).read_text()) == {
        "rounds": 7,
        "max_depth": 8,
        "learning_rate": 0.1,
        "threads": contender.workers,
        "memory_mb": 500,
        "features": False,
        "options": {"size": 3},
    }
    program, variables = contender.program(tmp_path)
    assert program == str(tmp_path / "mine" / "run")
    assert variables["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
