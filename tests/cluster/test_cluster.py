"""cluster: definitions and what goes before them, certificates, who is refused, clusters that stay, elastic ones."""

import datetime as dt
import json
import os
import re
import shutil
import socket
import stat
import sys
from pathlib import Path

import dask
import distributed
import pytest

import toytip as package
from tests.conftest import parse_summary, run_dask_cluster, run_toytip
from toytip.cluster import (
    apply_cluster_definition,
    certificates,
    connect,
    lifecycle,
    load_definition,
    training_ranks,
)
from toytip.cluster.versions import require_same
from toytip.config import Settings
from toytip.errors import ClusterError, ConfigError

ROOT = Path(__file__).parents[2]


def load(folder, monkeypatch, text="", **flags):
    monkeypatch.chdir(folder)
    (folder / "toytip.toml").write_text(text)
    return apply_cluster_definition(Settings.load(**flags))


LAB = '[clusters.lab]\nkind = "ssh"\nhosts = ["10.0.0.1"]\nworkers = 8\n'


@pytest.mark.parametrize(
    ("text", "env", "flag", "workers"),
    [
        ("", None, None, 4),
        ("[clusters.slurm]\nworkers = 5", None, None, 5),
        ("workers = 6\n[clusters.slurm]\nworkers = 5", None, None, 6),
        ("workers = 6\n[clusters.slurm]\nworkers = 5", "7", None, 7),
        ("workers = 6\n[clusters.slurm]\nworkers = 5", "7", 8, 8),
    ],
)
def test_what_goes_first(text, env, flag, workers, tmp_path, monkeypatch):
    if env:
        monkeypatch.setenv("TOYTIP_WORKERS", env)
    settings = load(tmp_path, monkeypatch, text, cluster="slurm", workers=flag)
    assert settings.workers == workers
    assert load_definition(settings).kind == "slurm"


def test_the_shipped_file_is_the_one_beside_the_docs():
    shipped = Path(package.__file__).parent / "cluster" / "clusters.toml"
    assert (ROOT / "cluster" / "clusters.toml").read_text() == shipped.read_text()


def test_a_cluster_of_ones_own(tmp_path, monkeypatch):
    settings = load(tmp_path, monkeypatch, LAB, cluster="lab")
    assert (load_definition(settings).hosts, settings.workers) == (("10.0.0.1",), 8)


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        (LAB, {"cluster": "lap"}, "there are compose, existing, kubernetes, lab, local, slurm, ssh"),
        (LAB + "host = 1", {"cluster": "lab"}, "cluster lab: host: extra inputs"),
        ('[clusters.lab]\nkind = "ssh"', {"cluster": "lab"}, "needs hosts"),
        ('[clusters.lab]\nkind = "ssh"\nworkers = 0', {"cluster": "lab"}, "cluster lab: workers"),
        (LAB, {"cluster": "lab", "scheduler": "tcp://10.0.0.1:8786"}, "only one of them"),
    ],
)
def test_definitions_that_make_no_sense(text, flags, said, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, monkeypatch, text, **flags)


def test_a_missing_extra_is_one_line(monkeypatch):
    from toytip.cluster.deploy import deploy_cluster

    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(ClusterError, match=r"pip install 'toytip\[ssh\]'"):
        deploy_cluster(Settings(cluster="ssh"))


def test_certificates(tmp_path):
    from cryptography import x509

    made = certificates.create_certificates(tmp_path / "tls", ["10.0.0.1", "node.example"])
    assert [path.name for path in made] == [
        "ca.pem",
        "ca.key",
        "node.pem",
        "node.key",
        "client.pem",
        "client.key",
    ]
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.suffix == ".key" else 0o644)
    authority, node = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (made[0], made[2]))
    node.verify_directly_issued_by(authority)
    days = [(each.not_valid_after_utc - each.not_valid_before_utc).days for each in (authority, node)]
    assert days == [3650, 397]
    assert node.not_valid_before_utc < dt.datetime.now(dt.UTC)
    names = node.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]


@pytest.mark.parametrize("hosts", ["", " , ", "10.0.0.1:8786", "a,http://x", "ü", "10.0.0.256", "a b", "-a"])
def test_hosts_that_are_none_are_refused_before_anything_is_written(hosts, tmp_path):
    done = run_toytip("cluster", "certs", "--out", tmp_path / "tls", f"--hosts={hosts}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "error: --hosts " in done.stderr
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize(
    "host",
    [
        "::1",
        "localhost",
        "Node-1.example",
        "*.lab.example",
        "toytip-scheduler.toytip.svc",
        "xn--tda",
        "1node",
    ],
)
def test_hosts_as_they_are_written(host, tmp_path):
    assert certificates.create_certificates(tmp_path, [host])


def test_certificates_are_renewed_by_the_same_authority_and_never_overwritten(tmp_path):
    first = {path.name: path.read_bytes() for path in certificates.create_certificates(tmp_path, ["a"])}
    with pytest.raises(ConfigError, match=r"node\.pem is there already"):
        certificates.create_certificates(tmp_path, ["a"])
    for name in ("node", "client"):
        (tmp_path / f"{name}.pem").unlink()
        (tmp_path / f"{name}.key").unlink()
    assert [path.name for path in certificates.create_certificates(tmp_path, ["b"])] == [
        "node.pem",
        "node.key",
        "client.pem",
        "client.key",
    ]
    assert (tmp_path / "ca.pem").read_bytes() == first["ca.pem"]
    (tmp_path / "ca.key").unlink()
    for name in ("node", "client"):
        (tmp_path / f"{name}.pem").unlink()
        (tmp_path / f"{name}.key").unlink()
    with pytest.raises(ConfigError, match=r"ca\.pem is there already"):
        certificates.create_certificates(tmp_path, ["c"])


def pair(folder, name):
    return ("--tls-ca-file", folder / "ca.pem", "--tls-cert", folder / f"{name}.pem", "--tls-key", folder / f"{name}.key")  # fmt: skip


@pytest.mark.cluster
def test_a_cluster_that_stays_and_whom_it_refuses(synthetic, tmp_path, monkeypatch):
    """Up with TLS; a client without certificates and one of another authority are refused; a run, the doctor; down."""
    monkeypatch.setenv("TOYTIP_STATE_DIR", str(tmp_path / "state"))
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    certificates.create_certificates(ours, ["127.0.0.1"])
    certificates.create_certificates(theirs, ["127.0.0.1"])
    up = run_toytip("cluster", "up", "local", "--workers", 2, *pair(ours, "node"), "--json")
    try:
        address = parse_summary(up)["address"]
        assert address.startswith("tls://127.0.0.1:")
        state = tmp_path / "state" / "clusters" / "local.json"
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
        assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
        assert "is up already" in run_toytip("cluster", "up", "local").stderr
        run = ("run", "--source", synthetic, "--store", tmp_path / "store", "--rounds", 2, "--json")
        refused = [
            ("needs certificates", "--scheduler", address),
            ("refuses plain connections", "--scheduler", address.replace("tls", "tcp")),
            ("do not trust each other", "--scheduler", address, *pair(theirs, "client")),
            ("is not encrypted", "--scheduler", address.replace("tls", "tcp"), *pair(ours, "client")),
        ]
        for said, *where in refused:
            done = run_toytip(*run, *where)
            assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
            assert said in done.stderr
        assert not (tmp_path / "store" / "dev").exists() or not any((tmp_path / "store").rglob("*.parquet"))
        assert parse_summary(run_toytip(*run, "--cluster", "local", *pair(ours, "client")))["workers"] == 2
        told = run_toytip("cluster", "doctor", "local", "--source", synthetic, "--store", tmp_path / "store",
                      *pair(ours, "client"), "--json")  # fmt: skip
        checks = {check["name"]: check["ok"] for check in parse_summary(told)["checks"]}
        names = ("workers", "versions", "source", "store", "memory", "scratch", "clocks", "tls", "dashboard")
        assert checks == dict.fromkeys(names, True)
        there = parse_summary(run_toytip("cluster", "status", "local", *pair(ours, "client"), "--json"))
        assert [len(there["workers"]), there["address"]] == [2, address]
    finally:
        down = run_toytip("cluster", "down", "local", "--json")
    assert parse_summary(down)["ended"]
    assert not state.exists()
    assert not parse_summary(run_toytip("cluster", "down", "local", "--json"))["ended"]
    assert not parse_summary(run_toytip("cluster", "status", "local", "--json"))["up"]


def test_a_holder_that_is_gone_is_forgotten(tmp_path):
    settings = Settings(cluster="local", state_dir=str(tmp_path))
    lifecycle.save_record(settings, lifecycle.ClusterRecord(
        name="local", kind="local", address="tcp://127.0.0.1:1", dashboard="", pid=1, started=0.0,
    ))  # fmt: skip
    assert lifecycle.find_record(settings) is None
    assert lifecycle.starts_local_workers(settings)


@pytest.mark.parametrize("command", ["up", "down"])
def test_what_others_started_is_theirs(command, tmp_path):
    done = run_toytip("cluster", command, "existing", TOYTIP_STATE_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "whoever started it at tcp://127.0.0.1:8786 ends it" in done.stderr


@pytest.mark.cluster
def test_workers_of_other_versions_and_places_that_are_not_shared(synthetic, tmp_path, monkeypatch):
    """Dask's own scheduler and workers, as somebody starts them by hand."""
    other = tmp_path / "other"
    shutil.copytree(
        Path(package.__file__).parent, other / "toytip", ignore=shutil.ignore_patterns("__pycache__")
    )
    with (other / "toytip" / "values.py").open("a") as module:
        module.write("# changed\n")
    monkeypatch.chdir(ROOT)
    (tmp_path / "elsewhere").mkdir()
    with run_dask_cluster(tmp_path / "elsewhere", 1) as (address, _, add):
        run = ("run", "--scheduler", address, "--rounds", 2, "--json")

        done = run_toytip(*run, "--source", synthetic, "--store", "relative", cwd=tmp_path)
        assert done.returncode == 1
        assert (
            "does not see what is written here; put it on a file system that all hosts mount" in done.stderr
        )
        told = run_toytip("cluster", "doctor", "existing", "--source", synthetic, "--store", "relative", "--json",
                      cwd=tmp_path, TOYTIP_CLUSTERS=json.dumps({"existing": {"scheduler": address}}))  # fmt: skip
        assert told.returncode == 1, told.stderr
        checks = {check["name"]: check["ok"] for check in json.loads(told.stdout)["checks"]}
        assert [name for name, ok in checks.items() if not ok] == ["store"]

        with distributed.Client(address) as client, require_same(client):
            late = add(PYTHONPATH=str(other))
            late.wait(60)
            assert len(client.nthreads()) == 1, "one that comes late is refused, too"

    with run_dask_cluster(tmp_path / "elsewhere", 0) as (address, _, add):
        add(PYTHONPATH=str(other))
        done = run_toytip("run", "--scheduler", address, "--source", synthetic, "--store", tmp_path / "store")
        assert done.returncode == 1
        version = rf"{package.__version__} \(code [0-9a-f]{{8}}\)"
        assert re.search(
            rf"worker tcp://127.0.0.1:\d+ has toytip {version}; this client has {version}", done.stderr
        )


@pytest.mark.cluster
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a worker files of its own")
def test_a_source_that_a_worker_does_not_have(synthetic, tmp_path):
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs tmpfs {synthetic}; exec "$@"', "-")
    with run_dask_cluster(tmp_path, 0) as (address, _, add):
        add(within=hidden)
        done = run_toytip("run", "--scheduler", address, "--source", synthetic, "--store", tmp_path / "store")
    assert (done.returncode, done.stderr.count("error:")) == (1, 1)
    assert re.search(
        r"worker tcp://\S+ cannot read \S+2020-01.parquet: No such file or directory; put the", done.stderr
    )


@pytest.mark.hosts
def test_an_elastic_run_gives_the_same_model(synthetic, tmp_path):
    run = ("run", "--source", synthetic, "--rounds", 5, "--partition-rows", 500, "--json")
    sizes = [("--workers", 2), ("--adapt", "1:3")]
    summaries = [parse_summary(run_toytip(*run, *size, "--store", tmp_path / size[0])) for size in sizes]
    models = [(Path(s["model"]["path"]) / "model.ubj").read_bytes() for s in summaries]
    assert models[0] == models[1]
    assert summaries[0]["metrics"] == summaries[1]["metrics"]


def test_only_workers_that_announce_it_train(tmp_path):
    with run_dask_cluster(tmp_path, 1) as (address, _, add), distributed.Client(address) as client:
        client.wait_for_workers(1, timeout=30)
        assert len(training_ranks(client)) == 1, "where none does, all may"
        add("--resources", "TRAIN=1")
        client.wait_for_workers(2, timeout=30)
        (chosen,) = training_ranks(client)
        assert client.scheduler_info()["workers"][chosen.address]["resources"] == {"TRAIN": 1}


@pytest.mark.parametrize("taken", [True, False])
def test_a_dashboard_port_that_is_taken_is_no_trouble(monkeypatch, taken):
    monkeypatch.delenv("TOYTIP_DASHBOARD_PORT")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # a port of our own: the usual one may be somebody else's
        usual = other.getsockname()[1]
        monkeypatch.setattr("toytip.cluster.local.DEFAULT_DASHBOARD_PORT", usual)
        if taken:
            other.listen()
        else:
            other.close()
        with connect(Settings(workers=1)) as client:
            assert client.submit(sum, [1, 2]).result() == 3
            assert client.dashboard_link.startswith("http://127.0.0.1:")
            assert (f":{usual}/" in client.dashboard_link) is not taken


def test_a_large_model_in_the_graph_is_nothing_to_warn_of():
    with connect(Settings(workers=1)) as client:
        model = dask.delayed(bytes(12_000_000), pure=True)
        assert client.compute(dask.delayed(len)(model)).result() == 12_000_000
