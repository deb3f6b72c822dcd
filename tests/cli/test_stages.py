"""Commands that run a single stage."""

import re

from tests.support.runs import parse_summary, run_toytip
from toytip.store.store import Store

TWO_MONTHS = ("--months", "2020-01:2020-02")


def test_quiet_prints_errors_only(synthetic, tmp_path):
    where = ("--source", synthetic, *TWO_MONTHS, "--store", tmp_path, "--workers", 1)
    done = run_toytip("stage", "clean", *where, "--quiet", "--version-id", "v1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Store(str(tmp_path), "dev").get_manifest("trips", "v1") is not None
    again = run_toytip("stage", "clean", *where, "-q", "--version-id", "v1")
    assert (again.returncode, again.stdout) == (1, "")
    assert re.match(r"error: .* already published", again.stderr)


def test_quiet_keeps_the_json(synthetic, tmp_path):
    where = ("--source", synthetic, *TWO_MONTHS, "--store", tmp_path, "--workers", 1)
    done = run_toytip("stage", "clean", *where, "--quiet", "--json")
    assert done.stderr == ""
    assert set(parse_summary(done)["tables"]) == {"trips", "rejects"}


def test_no_progress_keeps_the_result(synthetic, tmp_path):
    where = ("--source", synthetic, *TWO_MONTHS, "--store", tmp_path, "--workers", 1)
    done = run_toytip("stage", "clean", *where, "--progress", "none")
    assert done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["trips", "rejects"]
