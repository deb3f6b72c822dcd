"""cluster: how clusters come up and down: interrupted, two at once, in Kubernetes, and what is told where they do not."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import parse_summary, run_dask_cluster, run_toytip, start_toytip
from toytip.cluster import certificates

ROOT = Path(__file__).parents[2]


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("TOYTIP_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state" / "clusters"


def pair(folder, name):
    return ("--tls-ca-file", folder / "ca.pem", "--tls-cert", folder / f"{name}.pem", "--tls-key", folder / f"{name}.key")  # fmt: skip


def until(done, seconds=120):
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def session(leader):
    """Return the processes of a session, zombies left out."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def holder_of(up):
    """Return the process that an `up` has started, once it has begun to start workers."""

    def found():
        return next((child for child in psutil.Process(up.pid).children() if child.children()), None)

    return until(found).pid


# Interrupted


@pytest.mark.cluster
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_up_that_is_interrupted_leaves_nothing_behind(how, state):
    with start_toytip("cluster", "up", "local", "--workers", 2) as up:
        holder = holder_of(up)
        up.send_signal(how)
        out, err = up.communicate(timeout=100)
        assert (up.returncode, out, err) == (130, "", "stopped; nothing half-made was left behind\n")
        assert until(lambda: not session(holder))
    assert not (state / "local.json").exists()
    assert not parse_summary(run_toytip("cluster", "down", "local", "--json"))["ended"]


# Two at once


@pytest.mark.cluster
def test_of_two_that_start_the_same_cluster_one_does(state):
    with (
        start_toytip("cluster", "up", "local", "--workers", 1) as one,
        start_toytip("cluster", "up", "local", "--workers", 1) as other,
    ):
        ended = [process.communicate(timeout=200) for process in (one, other)]
        try:
            codes = [one.returncode, other.returncode]
            assert sorted(codes) == [0, 1], ended
            assert "cluster local is" in ended[codes.index(1)][1]
        finally:
            assert parse_summary(run_toytip("cluster", "down", "local", "--json"))["ended"]
    assert parse_summary(run_toytip("cluster", "up", "local", "--workers", 1, "--json"))["address"], (
        "nothing bars the next"
    )
    assert parse_summary(run_toytip("cluster", "down", "local", "--json"))["ended"]


# What answers, and is no scheduler


@pytest.mark.cluster
def test_what_answers_and_is_no_scheduler_is_said(tmp_path):
    page = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with (
        subprocess.Popen(
            page, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        ) as web,
        run_dask_cluster(tmp_path, 1) as (address, _, _),
    ):
        try:
            port = web.stdout.readline().split(" port ")[1].split()[0]
            up = until(lambda: worker_of(address))
            for there in (f"tcp://127.0.0.1:{port}", up):
                done = run_toytip("run", "--scheduler", there)
                assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
                assert f"something answers at {there}, but it is no Dask scheduler" in done.stderr
            certificates.create_certificates(tmp_path, ["127.0.0.1"])
            secure = [(address, "speaks no TLS"), (f"tcp://127.0.0.1:{port}", "is no Dask scheduler")]
            for there, said in secure:
                done = run_toytip(
                    "run", "--scheduler", there.replace("tcp", "tls"), *pair(tmp_path, "client")
                )
                assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
                assert said in done.stderr
        finally:
            web.terminate()


def worker_of(address):
    import distributed

    with distributed.Client(address, timeout=30) as client:
        return next(iter(client.scheduler_info()["workers"]), None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("existing", "say where it is: [clusters.existing]"),
        ("compose", "`toytip cluster up compose` starts it"),
    ],
)
def test_what_to_do_is_of_the_kind_of_cluster(name, said, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        done = run_toytip(
            "cluster", "status", name, TOYTIP_CLUSTERS=json.dumps({name: {"scheduler": nobody}})
        )
    assert done.returncode == 1
    assert "no Dask scheduler answers" in done.stderr
    assert said in done.stderr
    assert "--scheduler" not in done.stderr


# Kubernetes


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """Put the stand-in on the path; return its folder, and the flags of clients."""
    folder = tmp_path / "kubectl"
    folder.mkdir()
    binary = folder / "kubectl"
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests" / "kubectl.py"} "$@"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("KUBECTL", str(folder))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        here = f"tls://127.0.0.1:{probe.getsockname()[1]}"
    manifest = str(ROOT / "cluster" / "kubernetes" / "cluster.yaml")
    monkeypatch.setenv(
        "TOYTIP_CLUSTERS", json.dumps({"kubernetes": {"scheduler": here, "config_file": manifest}})
    )
    certificates.create_certificates(tmp_path / "tls", ["127.0.0.1"])
    return folder


def asked(folder):
    return [line.split()[0] for line in (folder / "asked").read_text().splitlines()]


@pytest.mark.cluster
def test_a_cluster_in_kubernetes(synthetic, tmp_path, state, kubectl):
    """With a stand-in for kubectl, and a real scheduler in place of the pod: up, status, a run, down; and a run that starts it."""
    own = pair(tmp_path / "tls", "client")
    pod = parse_summary(
        run_toytip("cluster", "up", "local", "--workers", 2, *pair(tmp_path / "tls", "node"), "--json")
    )
    (kubectl / "scheduler").write_text(pod["address"].rpartition(":")[2])
    run = (
        "run",
        "--source",
        synthetic,
        "--store",
        tmp_path / "store",
        "--rounds",
        2,
        "--cluster",
        "kubernetes",
        *own,
        "--json",
    )
    try:
        up = parse_summary(run_toytip("cluster", "up", "kubernetes", "--workers", 2, *own, "--json"))
        there = parse_summary(run_toytip("cluster", "status", "kubernetes", *own, "--json"))
        assert (len(there["workers"]), there["address"]) == (2, up["address"])
        assert "is up already" in run_toytip("cluster", "up", "kubernetes", *own).stderr
        assert parse_summary(run_toytip(*run))["workers"] == 2
        assert parse_summary(run_toytip("cluster", "down", "kubernetes", "--json"))["ended"]
        assert asked(kubectl) == ["get", "create", "port-forward", "scale", "delete"]
        (scale,) = [line for line in (kubectl / "asked").read_text().splitlines() if line.startswith("scale")]
        assert scale == "scale --namespace toytip daskworkergroup/toytip-default --replicas=2"
        assert not parse_summary(run_toytip("cluster", "status", "kubernetes", "--json"))["up"]

        assert parse_summary(run_toytip(*run, "--fresh"))["workers"] == 2
        assert asked(kubectl)[5:] == ["get", "create", "port-forward", "delete"]
        (kubectl / "made").touch()
        done = run_toytip(*run)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert "is there already, and whoever made it ends it: `kubectl delete -f" in done.stderr
        assert (kubectl / "made").exists()
    finally:
        assert parse_summary(run_toytip("cluster", "down", "local", "--json"))["ended"]


@pytest.mark.cluster
def test_a_cluster_in_kubernetes_that_does_not_come_is_taken_away_again(
    tmp_path, state, kubectl, monkeypatch
):
    own = pair(tmp_path / "tls", "client")
    known = json.loads(os.environ["TOYTIP_CLUSTERS"])
    known["kubernetes"]["start_timeout"] = 1
    done = run_toytip("cluster", "up", "kubernetes", *own, TOYTIP_CLUSTERS=json.dumps(known))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "is not there within 1 s: error: unable to forward port because pod is not running" in done.stderr
    assert not (kubectl / "made").exists()
    with start_toytip("cluster", "up", "kubernetes", *own) as up:
        holder = until(lambda: (kubectl / "made").exists() and psutil.Process(up.pid).children())[0].pid
        up.terminate()
        assert up.wait(100) == 130
    assert not session(holder)
    assert not (kubectl / "made").exists()
    assert asked(kubectl)[-1] == "delete"


@pytest.mark.parametrize(
    ("more", "said"),
    [(("--adapt", "1:2"), "a cluster of kind kubernetes takes --workers"), ((), "needs certificates")],
)
def test_what_a_cluster_in_kubernetes_cannot_be(more, said, state, kubectl):
    done = run_toytip("cluster", "up", "kubernetes", *more)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert said in done.stderr
    assert not (kubectl / "asked").exists()


def test_no_kubectl_and_no_cluster_to_reach(tmp_path, state, kubectl):
    own = pair(tmp_path / "tls", "client")
    done = run_toytip("cluster", "up", "kubernetes", *own, PATH=str(Path(sys.executable).parent))
    assert "there is no kubectl here" in done.stderr
    (kubectl / "kubectl").unlink()
    if not shutil.which("kubectl"):
        pytest.skip("a cluster that cannot be reached needs a real kubectl")
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "none", "users": [],
        "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": ""}}],
    }))  # fmt: skip
    done = run_toytip("cluster", "up", "kubernetes", *own, KUBECONFIG=str(nowhere))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "`kubectl get` failed" in done.stderr
    assert "127.0.0.1:9" in done.stderr


# Compose


def test_docker_without_its_compose_plugin(tmp_path):
    (tmp_path / "docker").write_text(
        "#!/bin/sh\necho 'unknown flag: --file'; echo; echo \"Run 'docker --help'\"; exit 125\n"
    )
    (tmp_path / "docker").chmod(0o755)
    done = run_toytip("cluster", "up", "compose", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "docker has no compose plugin here" in done.stderr
