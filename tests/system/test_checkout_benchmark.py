"""The benchmark of a fresh checkout."""

import json
import subprocess
import sys

import pytest

from benchmarks import checkout

MAKEFILE = """
run:
\tmkdir -p .venv && head -c 3000000 /dev/zero > .venv/library && ln -s library .venv/link
test:
\t@echo "==== 1 failed, 12 passed in 3 s ====" && test ! -e fails
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A small repository in place of this one."""
    root = tmp_path / "repository"
    root.mkdir()
    (root / "Makefile").write_text(MAKEFILE)
    commit(root)
    monkeypatch.setattr(checkout, "ROOT", root)
    monkeypatch.setattr(checkout, "machine_columns", lambda: {"cores": 2})
    return root


def commit(root):
    name = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*name, "commit", "-q", "-m", "Add files"]):
        subprocess.run(["git", *command], cwd=root, check=True)


def run_benchmark(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["checkout", *map(str, words)])
    return checkout.main()


def test_both_targets_are_measured(repository, tmp_path, monkeypatch):
    out = tmp_path / "out.jsonl"
    assert run_benchmark(monkeypatch, "--output", out) == 0
    run, tests = map(json.loads, out.read_text().splitlines())
    assert (run["name"], run["environment_mb"]) == ("make run", 3.0)
    assert (tests["name"], tests["tests"], tests["cores"]) == ("make test", 12, 2)
    assert run["seconds"] >= 0


def test_a_target_that_fails_has_no_row(repository, tmp_path, monkeypatch, capsys):
    (repository / "fails").touch()
    commit(repository)
    out = tmp_path / "out.jsonl"
    assert run_benchmark(monkeypatch, "--targets", "test", "--output", out) == 1
    assert "make test failed with exit code 2" in capsys.readouterr().err
    assert not out.exists()
