"""Test of cluster/local.sh: a scheduler and workers as separate processes, and a run on them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clusters import free_port

pytestmark = pytest.mark.cluster


def test_a_run_on_separate_processes(synthetic, tmp_path):
    script = Path(__file__).parents[2] / "cluster" / "local.sh"
    process = subprocess.run(
        [script, "2", "--source", synthetic, "--store", tmp_path, "--rounds", "3", "--json"],
        env={
            **os.environ,
            "TOYTIP_SCHEDULER_PORT": str(free_port()),
            "TOYTIP_BIN": f"{Path(sys.executable).parent}/",
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["workers"] >= 1
