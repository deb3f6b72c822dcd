"""`toytip cluster doctor`: one result per check, even if workers are broken."""

import json
import os
import signal

import distributed
import pytest

from tests.support.clusters import run_dask_cluster
from tests.support.runs import run_toytip

pytestmark = pytest.mark.cluster
NAMES = ["workers", "versions", "source", "store", "memory", "scratch", "clocks", "tls", "dashboard"]


def run_doctor(address, folder):
    clusters = json.dumps({"existing": {"scheduler": address}})
    done = run_toytip(
        "cluster", "doctor", "existing", "--store", folder / "store", "--json", TOYTIP_CLUSTERS=clusters
    )
    assert (done.returncode, done.stderr) == (1, "")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert list(checks) == NAMES
    assert all(check["ok"] or check["advice"] for check in checks.values())
    return checks


def failed_checks(checks):
    return [name for name, check in checks.items() if not check["ok"]]


def test_a_worker_that_cannot_import_toytip(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "toytip.py").write_text("")
    with run_dask_cluster(tmp_path, 0) as (address, _, add):
        add(PYTHONPATH=str(other))
        checks = run_doctor(address, tmp_path)
    assert failed_checks(checks) == ["versions", "source", "store", "memory", "scratch", "clocks"]
    assert "cannot import toytip" in checks["versions"]["message"]
    assert checks["store"]["advice"] == "Fix the check versions first."


def test_a_frozen_worker_is_named(tmp_path):
    with run_dask_cluster(tmp_path, 1) as (address, _, add), distributed.Client(address) as client:
        client.wait_for_workers(1, timeout=60)
        frozen = add("--no-nanny")
        client.wait_for_workers(2, timeout=60)
        (name,) = (who for who, pid in client.run(os.getpid).items() if pid == frozen.pid)
        frozen.send_signal(signal.SIGSTOP)
        try:
            checks = run_doctor(address, tmp_path)
        finally:
            frozen.kill()
    assert failed_checks(checks) == ["workers", "versions", "source", "store", "memory", "scratch", "clocks"]
    assert checks["workers"]["message"].startswith(f"worker {name} does not answer within")
    assert "; " not in checks["workers"]["message"], "the other does"


def test_a_store_that_cannot_be_written_comes_with_advice(tmp_path):
    (tmp_path / "store").write_text("a file, where a folder should be")
    with run_dask_cluster(tmp_path, 1) as (address, _, _):
        checks = run_doctor(address, tmp_path)
    assert failed_checks(checks) == ["store"]
    assert "cannot write" in checks["store"]["message"]
    assert "--store s3://" in checks["store"]["advice"]
