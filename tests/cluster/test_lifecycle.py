"""Tests of starting and stopping clusters: interrupts, concurrent starts, Kubernetes, compose."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.clusters import free_port, kill_processes, run_dask_cluster, tls_flags
from tests.support.runs import parse_summary, require_error, run_toytip, start_toytip, wait_until
from toytip.cli.command import STOPPED_MESSAGE
from toytip.cluster import certificates, workers_by_address

ROOT = Path(__file__).parents[2]


@pytest.fixture
def records(tmp_path, monkeypatch):
    """The records of clusters. The clusters of a test that fails end with the test."""
    monkeypatch.setenv("TOYTIP_STATE_DIR", str(tmp_path / "state"))
    yield tmp_path / "state" / "clusters"
    kill_processes("TOYTIP_STATE_DIR", str(tmp_path / "state"))


def test_the_clusters_of_a_failed_test_end_with_it(tmp_path):
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    environment = {**os.environ, "TOYTIP_STATE_DIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        kill_processes("TOYTIP_STATE_DIR", "another folder")
        assert process.poll() is None
        kill_processes("TOYTIP_STATE_DIR", str(tmp_path))
        assert process.wait(60) == -signal.SIGKILL


def session_processes(leader):
    """Return the processes of a session, except zombies."""
    processes = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return processes


def wait_for_daemon(up):
    """Return the daemon of an `up` command, after it has started its first child process."""

    def find_daemon():
        return next((child for child in psutil.Process(up.pid).children() if child.children()), None)

    return wait_until(find_daemon).pid


# Interrupts


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing_behind(number, records):
    with start_toytip("cluster", "up", "local", "--workers", 2) as up:
        daemon = wait_for_daemon(up)
        up.send_signal(number)
        out, err = up.communicate(timeout=100)
        assert (up.returncode, out, err) == (128 + number, "", f"{STOPPED_MESSAGE}\n")
        assert wait_until(lambda: not session_processes(daemon))
    assert not (records / "local.json").exists()
    assert not parse_summary(run_toytip("cluster", "down", "local", "--json"))["stopped"]


# Concurrent starts


@pytest.mark.cluster
def test_one_of_two_concurrent_starts_succeeds(records):
    with (
        start_toytip("cluster", "up", "local", "--workers", 1) as one,
        start_toytip("cluster", "up", "local", "--workers", 1) as other,
    ):
        outputs = [process.communicate(timeout=200) for process in (one, other)]
        try:
            codes = [one.returncode, other.returncode]
            assert sorted(codes) == [0, 1], outputs
            assert "cannot start cluster local: " in outputs[codes.index(1)][1]
        finally:
            assert parse_summary(run_toytip("cluster", "down", "local", "--json"))["stopped"]
    up = run_toytip("cluster", "up", "local", "--workers", 1, "--json")
    assert parse_summary(up)["address"], "the name is not locked any more"
    assert parse_summary(run_toytip("cluster", "down", "local", "--json"))["stopped"]


# Servers that are not schedulers


@pytest.mark.cluster
def test_servers_that_are_not_schedulers(tmp_path):
    """The commands are processes, because Dask leaves sockets of failed connections open."""
    command = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=env) as web,
        run_dask_cluster(tmp_path, 1) as (scheduler, _, _),
    ):
        try:
            web_address = f"tcp://127.0.0.1:{web.stdout.readline().split(' port ')[1].split()[0]}"
            for address in (web_address, worker_address(scheduler)):
                process = run_toytip("run", "--scheduler", address)
                require_error(process, f"cannot connect to {address}: the server is not a Dask scheduler")
            certificates.create_certificates(tmp_path, ["127.0.0.1"])
            flags = tls_flags(tmp_path, "client")
            causes = [
                (scheduler, "the scheduler does not use TLS"),
                (web_address, "the server is not a Dask scheduler"),
            ]
            for address, cause in causes:
                secure = address.replace("tcp", "tls")
                require_error(run_toytip("run", "--scheduler", secure, *flags), cause)
        finally:
            web.terminate()


def worker_address(scheduler):
    import distributed

    with distributed.Client(scheduler, timeout=30) as client:
        client.wait_for_workers(1, timeout=120)
        return next(iter(workers_by_address(client)))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("existing", "set its address under [clusters.existing]"),
        ("compose", "Start the cluster with `toytip cluster up compose`"),
    ],
)
@pytest.mark.usefixtures("short_probe")
def test_the_hint_depends_on_the_kind_of_cluster(name, hint, monkeypatch, invoke_cli):
    clusters = json.dumps({name: {"scheduler": f"tcp://127.0.0.1:{free_port()}"}})
    monkeypatch.setenv("TOYTIP_CLUSTERS", clusters)
    process = invoke_cli("cluster", "status", name)
    require_error(process, "no Dask scheduler answers", hint)
    assert "--scheduler" not in process.stderr


# Kubernetes


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """The folder of a fake kubectl, which is on the path."""
    folder = tmp_path / "kubectl"
    folder.mkdir()
    binary = folder / "kubectl"
    script = ROOT / "tests" / "support" / "fake_kubectl.py"
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_KUBECTL_DIR", str(folder))
    config_file = str(ROOT / "cluster" / "kubernetes" / "cluster.yaml")
    definition = {"scheduler": f"tls://127.0.0.1:{free_port()}", "config_file": config_file}
    monkeypatch.setenv("TOYTIP_CLUSTERS", json.dumps({"kubernetes": definition}))
    certificates.create_certificates(tmp_path / "tls", ["127.0.0.1"])
    return folder


def kubectl_calls(folder):
    return (folder / "calls").read_text().splitlines()


def kubectl_commands(folder):
    return [call.split()[0] for call in kubectl_calls(folder)]


@pytest.mark.cluster
def test_a_cluster_in_kubernetes(synthetic, tmp_path, records, kubectl):
    """With a fake kubectl, and a local scheduler instead of the pod's."""
    client = tls_flags(tmp_path / "tls", "client")
    node = tls_flags(tmp_path / "tls", "node")
    pod = parse_summary(run_toytip("cluster", "up", "local", "--workers", 2, *node, "--json"))
    (kubectl / "scheduler_port").write_text(pod["address"].rpartition(":")[2])
    data = ("--source", synthetic, "--store", tmp_path / "store")
    run = ("run", *data, "--rounds", 2, "--cluster", "kubernetes", *client, "--json")
    try:
        check_persistent(run, client, kubectl)
        check_own(run, kubectl)
    finally:
        assert parse_summary(run_toytip("cluster", "down", "local", "--json"))["stopped"]


def check_persistent(run, client, kubectl):
    """Start the cluster, run on it, and stop it."""
    up = parse_summary(run_toytip("cluster", "up", "kubernetes", "--workers", 2, *client, "--json"))
    status = parse_summary(run_toytip("cluster", "status", "kubernetes", *client, "--json"))
    assert (len(status["workers"]), status["address"]) == (2, up["address"])
    assert "it is already running at" in run_toytip("cluster", "up", "kubernetes", *client).stderr
    assert parse_summary(run_toytip(*run))["workers"] == 2
    assert parse_summary(run_toytip("cluster", "down", "kubernetes", "--json"))["stopped"]
    assert kubectl_commands(kubectl) == ["get", "create", "port-forward", "scale", "delete"]
    (scale,) = [call for call in kubectl_calls(kubectl) if call.startswith("scale")]
    assert scale == "scale --namespace toytip daskworkergroup/toytip-default --replicas=2"
    assert not parse_summary(run_toytip("cluster", "status", "kubernetes", "--json"))["running"]


def check_own(run, kubectl):
    """Let a run start and stop the cluster. It does not touch objects that already exist."""
    assert parse_summary(run_toytip(*run, "--full-refresh"))["workers"] == 2
    assert kubectl_commands(kubectl)[5:] == ["get", "create", "port-forward", "delete"]
    (kubectl / "exists").touch()
    require_error(run_toytip(*run, "--full-refresh"), "they already exist", "run `kubectl delete -f")
    assert (kubectl / "exists").exists()


@pytest.mark.cluster
def test_a_cluster_in_kubernetes_that_does_not_start_is_deleted(tmp_path, records, kubectl):
    client = tls_flags(tmp_path / "tls", "client")
    clusters = json.loads(os.environ["TOYTIP_CLUSTERS"])
    clusters["kubernetes"]["start_timeout"] = 1
    process = run_toytip("cluster", "up", "kubernetes", *client, TOYTIP_CLUSTERS=json.dumps(clusters))
    cause = "within 1 s: error: unable to forward port because pod is not running"
    require_error(process, cause)
    assert not (kubectl / "exists").exists()
    with start_toytip("cluster", "up", "kubernetes", *client) as up:
        children = wait_until(lambda: (kubectl / "exists").exists() and psutil.Process(up.pid).children())
        up.terminate()
        assert up.wait(100) == 143
    assert not session_processes(children[0].pid)
    assert not (kubectl / "exists").exists()
    assert kubectl_commands(kubectl)[-1] == "delete"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--adapt", "1:2"), "a cluster of kind kubernetes does not support it"),
        ((), "it needs certificates"),
    ],
)
def test_invalid_options_of_a_cluster_in_kubernetes(flags, message, records, kubectl):
    require_error(run_toytip("cluster", "up", "kubernetes", *flags), message, code=2)
    assert not (kubectl / "calls").exists()


def test_a_missing_kubectl_and_an_unreachable_cluster(tmp_path, records, kubectl):
    client = tls_flags(tmp_path / "tls", "client")
    up = ("cluster", "up", "kubernetes", *client)
    require_error(run_toytip(*up, PATH=str(Path(sys.executable).parent)), "kubectl is not installed")
    (kubectl / "kubectl").unlink()
    if not shutil.which("kubectl"):
        pytest.skip("an unreachable cluster needs a real kubectl")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "none",
        "users": [],
        "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": ""}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    process = run_toytip(*up, KUBECONFIG=str(tmp_path / "kubeconfig"))
    require_error(process, "cannot run `kubectl get`")
    assert "127.0.0.1:9" in process.stderr


# Compose


def test_docker_without_its_compose_plugin(tmp_path):
    (tmp_path / "docker").write_text(
        "#!/bin/sh\necho 'unknown flag: --file'; echo; echo \"Run 'docker --help'\"; exit 125\n"
    )
    (tmp_path / "docker").chmod(0o755)
    process = run_toytip("cluster", "up", "compose", PATH=f"{tmp_path}:{os.environ['PATH']}")
    require_error(process, "docker has no compose plugin")
