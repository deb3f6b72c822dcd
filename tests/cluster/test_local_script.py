"""cluster/local.sh: a scheduler and workers of their own, and a run on them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster


def test_a_run_on_separate_processes(synthetic, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = Path(__file__).parents[2] / "cluster" / "local.sh"

    done = subprocess.run(
        [script, "2", "--source", synthetic, "--store", tmp_path, "--rounds", "3", "--json"],
        env={
            **os.environ,
            "TOYTIP_SCHEDULER_PORT": str(port),
            "TOYTIP_BIN": f"{Path(sys.executable).parent}/",
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["workers"] >= 1
