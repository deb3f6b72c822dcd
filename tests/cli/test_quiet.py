"""Tests of `--quiet`."""

import re

from tests.support.runs import run_toytip
from toytip.store.store import Store


def test_quiet_prints_errors_only(synthetic, tmp_path):
    where = ("--source", synthetic, "--store", tmp_path, "--workers", 1)
    done = run_toytip("clean", *where, "--quiet", "--version", "v1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Store(str(tmp_path), "dev").get_manifest("trips", "v1") is not None
    again = run_toytip("clean", *where, "--quiet", "--version", "v1")
    assert again.returncode == 1
    assert re.fullmatch(r"error: .* already published .*\n", again.stderr)
