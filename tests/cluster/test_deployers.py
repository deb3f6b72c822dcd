"""Clusters that toytip starts elsewhere, over a real sshd and a real Slurm: the same model as on this machine."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from tests.support import network_namespaces as of
from tests.support import ssh_and_slurm
from tests.support.requirements import missing_requirements
from tests.support.runs import parse_summary, run_toytip

pytestmark = pytest.mark.hosts
OPTIONS = ("--rounds", 5, "--partition-rows", 500, "--json")


@pytest.fixture(scope="module")
def booster(synthetic, tmp_path_factory):
    store = tmp_path_factory.mktemp("here")
    return booster_of(
        parse_summary(run_toytip("run", "--source", synthetic, "--store", store, "--workers", 2, *OPTIONS))
    )


def booster_of(summary):
    return (Path(summary["model"]["path"]) / "model.ubj").read_bytes()


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Return what defines the cluster `lab` in toytip.toml, with certificates."""
    monkeypatch.setenv("TOYTIP_STATE_DIR", str(tmp_path / "state"))

    def define(**definition):
        if not (tmp_path / "tls").exists():
            done = run_toytip("cluster", "certs", "--out", tmp_path / "tls")
            assert done.returncode == 0, done.stderr
        tls = {"tls_ca_file": "ca.pem", "tls_cert": "node.pem", "tls_key": "node.key"}
        files = {name: str(tmp_path / "tls" / file) for name, file in tls.items()}
        monkeypatch.setenv("TOYTIP_CLUSTERS", json.dumps({"lab": {**definition, **files}}))

    return define


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check(synthetic, folder, booster, **env):
    """Run on a cluster that ends with the run; then on one that stays, which the doctor looks at; then on elastic ones."""
    where = ("--source", synthetic, "--store", folder / "store", "--cluster", "lab")
    summary = parse_summary(run_toytip("run", *where, *OPTIONS, **env))
    assert summary["workers"] == 2
    assert booster_of(summary) == booster
    assert not parse_summary(run_toytip("cluster", "status", "lab", "--json", **env))["up"]

    up = parse_summary(run_toytip("cluster", "up", "lab", "--json", **env))
    assert up["address"].startswith("tls://")
    try:
        told = run_toytip("cluster", "doctor", "lab", *where[:4], "--json", **env)
        assert [c for c in json.loads(told.stdout)["checks"] if not c["ok"]] == [], told.stderr
        again = parse_summary(run_toytip("run", *where, "--fresh", *OPTIONS, **env))
        assert booster_of(again) == booster
    finally:
        assert parse_summary(run_toytip("cluster", "down", "lab", "--json", **env))["ended"]


def check_elastic(synthetic, folder, booster, **env):
    """The same on a cluster that grows for a run and ends with it, and on one that stays, known by its address alone."""
    data = ("--source", synthetic, "--store", folder / "store", "--fresh")
    own = parse_summary(run_toytip("run", *data, "--cluster", "lab", "--adapt", "1:2", *OPTIONS, **env))
    assert booster_of(own) == booster
    up = parse_summary(run_toytip("cluster", "up", "lab", "--adapt", "1:2", "--json", **env))
    pair = [f"--tls-{name}={folder / 'tls' / file}" for name, file in
            [("ca-file", "ca.pem"), ("cert", "client.pem"), ("key", "client.key")]]  # fmt: skip
    try:
        found = parse_summary(run_toytip("run", *data, "--scheduler", up["address"], *pair, *OPTIONS, **env))
        assert booster_of(found) == booster
    finally:
        assert parse_summary(run_toytip("cluster", "down", "lab", "--json", **env))["ended"]


@pytest.mark.skipif(bool(missing_requirements("ssh")), reason=missing_requirements("ssh"))
def test_ssh(synthetic, tmp_path, booster, lab):
    port = free_port()
    ssh_and_slurm.make_ssh_keys(tmp_path)
    loopback = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    connect = {
        "port": port, "username": "root", "client_keys": [str(tmp_path / "user")],
        "known_hosts": str(tmp_path / "known_hosts"),
    }  # fmt: skip
    options = {"connect_options": connect, "worker_options": loopback, "scheduler_options": loopback}
    lab(
        kind="ssh",
        hosts=["127.0.0.1", "127.0.0.1"],
        threads_per_worker=1,
        memory_limit="2GB",
        options=options,
    )
    env = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with ssh_and_slurm.run_sshd(tmp_path, "127.0.0.1", port, env):
        check(synthetic, tmp_path, booster)


@pytest.mark.skipif(
    bool(missing_requirements("hosts", "slurm")), reason=missing_requirements("hosts", "slurm")
)
def test_slurm(synthetic, tmp_path, booster, lab):
    """On a host of its own: Slurm wants an address that is no loopback."""
    options = {
        "interface": "eth0", "walltime": "00:10:00", "local_directory": str(tmp_path / "scratch"),
        "log_directory": str(tmp_path / "log"), "scheduler_options": {"dashboard_address": "127.0.0.1:0"},
        "python": sys.executable,
    }  # fmt: skip
    lab(kind="slurm", workers=2, threads_per_worker=1, memory_limit="1500MB", options=options)
    (tmp_path / "hosts").mkdir()
    with (
        of.build_hosts(tmp_path / "hosts") as hosts,
        of.enter_host(hosts, "client"),
        ssh_and_slurm.run_slurm(tmp_path) as env,
    ):
        check(synthetic, tmp_path, booster, **env)
        check_elastic(synthetic, tmp_path, booster, **env)
        lab(kind="slurm", memory_limit="1500MB", options={**options, "queue": "nowhere"})
        refused = run_toytip("cluster", "up", "lab", **env)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
        assert "no job could be submitted: sbatch: error: Batch job submission failed" in refused.stderr
