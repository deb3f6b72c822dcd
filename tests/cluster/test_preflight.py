"""Tests of the preflight checks."""

import json
import os
import re

import pytest

from tests.support.clusters import run_dask_cluster
from tests.support.projects import feature_source
from tests.support.runs import run_toytip


@pytest.mark.cluster
def test_a_store_that_the_workers_do_not_share(synthetic, tmp_path):
    """A relative path is another folder on workers with another working directory."""
    (tmp_path / "elsewhere").mkdir()
    data = ("--source", synthetic, "--store", "relative")
    with run_dask_cluster(tmp_path / "elsewhere", 1) as (address, _, _):
        process = run_toytip("run", "--scheduler", address, *data, cwd=tmp_path)
        assert process.returncode == 1
        assert "cannot see the files that the client process writes" in process.stderr
        assert "Use a file system that all hosts mount" in process.stderr
        doctor = run_toytip(
            "cluster",
            "doctor",
            "existing",
            *data,
            "--json",
            cwd=tmp_path,
            TOYTIP_CLUSTERS=json.dumps({"existing": {"scheduler": address}}),
        )
        assert doctor.returncode == 1, doctor.stderr
        checks = {check["name"]: check["ok"] for check in json.loads(doctor.stdout)["checks"]}
        assert [name for name, ok in checks.items() if not ok] == ["store"]


@pytest.mark.cluster
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide files from a worker")
def test_a_source_that_a_worker_cannot_read(synthetic, tmp_path):
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs tmpfs {synthetic}; exec "$@"', "-")
    with run_dask_cluster(tmp_path, 0) as (address, _, add_worker):
        add_worker(within=hidden)
        run = ("run", "--scheduler", address, "--source", synthetic, "--store", tmp_path / "store")
        process = run_toytip(*run)
    assert (process.returncode, process.stderr.count("error:")) == (1, 1)
    message = r"worker tcp://\S+ cannot read \S+2020-01.parquet: No such file or directory\nhint: Use"
    assert re.search(message, process.stderr)


# An error on a worker, and the module of the project that causes it.
UNUSABLE_MODULES = {
    "its values differ between processes": "K = os.getpid()",
    "No module named 'package_of_the_client'": "from package_of_the_client import K",
}


@pytest.mark.cluster
@pytest.mark.parametrize("cause", UNUSABLE_MODULES)
def test_a_module_that_a_worker_cannot_use(cause, synthetic, tmp_path):
    """Without this check, Dask would wait forever for the worker."""
    source = feature_source("trips['pickup_at'].astype(np.int64) % K", dtype="float32")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "package_of_the_client.py").write_text("K = 3\n")
    (tmp_path / "mine.py").write_text(f"import os\n{source}\n{UNUSABLE_MODULES[cause]}\n")
    (tmp_path / "toytip.toml").write_text('[project]\nmodule = "mine.py"\n')
    with run_dask_cluster(tmp_path, 1) as (address, _, _):
        run = ("run", "--scheduler", address, "--source", synthetic, "--store", tmp_path / "store")
        path = os.pathsep.join([str(tmp_path / "packages"), os.environ.get("PYTHONPATH", "")])
        process = run_toytip(*run, cwd=tmp_path, PYTHONPATH=path)
    assert process.returncode == 2, process.stderr
    assert re.search(
        rf"error: cannot use .*mine.py, line \d+.*{re.escape(cause)} \(worker tcp://", process.stderr
    )
