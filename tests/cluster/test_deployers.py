"""Tests of clusters that real daemons start (sshd, Slurm): the same model as on this machine."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.support import network_namespaces, ssh_and_slurm
from tests.support.clusters import free_port, tls_flags
from tests.support.requirements import missing_requirements
from tests.support.runs import parse_summary, require_error, run_toytip

pytestmark = pytest.mark.hosts
OPTIONS = ("--rounds", 5, "--partition-rows", 500, "--json")


@pytest.fixture(scope="module")
def booster(synthetic, tmp_path_factory):
    """The bytes of the model of a local run."""
    store = tmp_path_factory.mktemp("local")
    run = run_toytip("run", "--source", synthetic, "--store", store, "--workers", 2, *OPTIONS)
    return booster_of(parse_summary(run))


def booster_of(summary):
    return (Path(summary["model"]["path"]) / "model.ubj").read_bytes()


@pytest.fixture
def define_lab(tmp_path, monkeypatch):
    """A function that defines the cluster `lab`, with certificates."""
    monkeypatch.setenv("TOYTIP_STATE_DIR", str(tmp_path / "state"))

    def define(**definition):
        if not (tmp_path / "tls").exists():
            process = run_toytip("cluster", "create-certs", "--output-dir", tmp_path / "tls")
            assert process.returncode == 0, process.stderr
        tls = {"tls_ca_file": "ca.pem", "tls_cert": "node.pem", "tls_key": "node.key"}
        files = {name: str(tmp_path / "tls" / file) for name, file in tls.items()}
        monkeypatch.setenv("TOYTIP_CLUSTERS", json.dumps({"lab": {**definition, **files}}))

    return define


def check_runs(synthetic, folder, booster, **env):
    """Run on a cluster that stops with the run, then on a persistent one. Check it too."""
    data = ("--source", synthetic, "--store", folder / "store", "--cluster", "lab")
    summary = parse_summary(run_toytip("run", *data, *OPTIONS, **env))
    assert summary["workers"] == 2
    assert booster_of(summary) == booster
    assert not parse_summary(run_toytip("cluster", "status", "lab", "--json", **env))["running"]

    up = parse_summary(run_toytip("cluster", "up", "lab", "--json", **env))
    assert up["address"].startswith("tls://")
    try:
        doctor = run_toytip("cluster", "doctor", "lab", *data[:4], "--json", **env)
        assert [check for check in json.loads(doctor.stdout)["checks"] if not check["ok"]] == [], (
            doctor.stderr
        )
        summary = parse_summary(run_toytip("run", *data, "--full-refresh", *OPTIONS, **env))
        assert booster_of(summary) == booster
    finally:
        assert parse_summary(run_toytip("cluster", "down", "lab", "--json", **env))["stopped"]


def check_adaptive_runs(synthetic, folder, booster, **env):
    """Run on an adaptive cluster of the run, then on a persistent one by its address."""
    data = ("--source", synthetic, "--store", folder / "store", "--full-refresh")
    own = parse_summary(run_toytip("run", *data, "--cluster", "lab", "--adapt", "1:2", *OPTIONS, **env))
    assert booster_of(own) == booster
    up = parse_summary(run_toytip("cluster", "up", "lab", "--adapt", "1:2", "--json", **env))
    connection = ("--scheduler", up["address"], *tls_flags(folder / "tls", "client"))
    try:
        summary = parse_summary(run_toytip("run", *data, *connection, *OPTIONS, **env))
        assert booster_of(summary) == booster
    finally:
        assert parse_summary(run_toytip("cluster", "down", "lab", "--json", **env))["stopped"]


@pytest.mark.skipif(bool(missing_requirements("ssh")), reason=missing_requirements("ssh"))
def test_ssh(synthetic, tmp_path, booster, define_lab):
    port = free_port()
    ssh_and_slurm.make_ssh_keys(tmp_path)
    loopback = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    connect_options = {
        "port": port,
        "username": "root",
        "client_keys": [str(tmp_path / "user")],
        "known_hosts": str(tmp_path / "known_hosts"),
    }
    define_lab(
        kind="ssh",
        hosts=["127.0.0.1", "127.0.0.1"],
        threads_per_worker=1,
        memory_limit="2GB",
        options={
            "connect_options": connect_options,
            "worker_options": loopback,
            "scheduler_options": loopback,
        },
    )
    env = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with ssh_and_slurm.run_sshd(tmp_path, "127.0.0.1", port, env):
        check_runs(synthetic, tmp_path, booster)


@pytest.mark.skipif(
    bool(missing_requirements("hosts", "slurm")), reason=missing_requirements("hosts", "slurm")
)
def test_slurm(synthetic, tmp_path, booster, define_lab):
    """Slurm runs on a host of its own, because its address must not be on loopback."""
    options = {
        "interface": "eth0",
        "walltime": "00:10:00",
        "local_directory": str(tmp_path / "scratch"),
        "log_directory": str(tmp_path / "log"),
        "scheduler_options": {"dashboard_address": "127.0.0.1:0"},
        "python": sys.executable,
    }
    define_lab(kind="slurm", workers=2, threads_per_worker=1, memory_limit="1500MB", options=options)
    (tmp_path / "hosts").mkdir()
    with (
        network_namespaces.build_hosts(tmp_path / "hosts") as hosts,
        network_namespaces.enter_host(hosts, "client"),
        ssh_and_slurm.run_slurm(tmp_path) as env,
    ):
        check_runs(synthetic, tmp_path, booster, **env)
        check_adaptive_runs(synthetic, tmp_path, booster, **env)
        define_lab(kind="slurm", memory_limit="1500MB", options={**options, "queue": "nowhere"})
        rejected = run_toytip("cluster", "up", "lab", **env)
        message = "no job could be submitted: sbatch: error: Batch job submission failed"
        require_error(rejected, message)
