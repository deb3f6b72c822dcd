"""Runs on several hosts, which are killed, cut off and slowed: the same tables and the same model bytes as on one.

Three workers, a scheduler, a client and an object store, each on a host of its own: network namespaces, so root and iproute2
are needed. `make test-cluster` runs these and prints the figures that docs/reliability.md shows.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import network_namespaces as of
from tests.support import run_probes, s3_server, ssh_and_slurm
from tests.support.reference_run import ROW_DIFFERENCES, check_complete, check_same_results
from tests.support.requirements import missing_requirements
from tests.support.runs import parse_summary, run_toytip, start_toytip
from toytip.core.access import StorageOptions
from toytip.io.s3 import S3FileIO, has_credentials, s3_filesystem
from toytip.store.store import Store

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(bool(missing_requirements("hosts")), reason=missing_requirements("hosts")),
    pytest.mark.timeout(600),
]
ROUNDS = 400
OPTIONS = (
    "--rounds", ROUNDS, "--early-stop", 0, "--max-depth", 6, "--partition-rows", 500, "--explain", "--json",
)  # fmt: skip
SECONDS: dict[str, float] = {}
CUT_S = 8


@pytest.fixture(scope="module")
def calm(synthetic, tmp_path_factory):
    """The store of an undisturbed run on one host, and its summary."""
    root = tmp_path_factory.mktemp("calm")
    done = run_toytip("run", "--source", synthetic, "--store", root, "--workers", 2, *OPTIONS)
    summary = parse_summary(done)
    SECONDS["one host, two workers, store on a disk"] = summary["elapsed_seconds"]
    return root, summary


@pytest.fixture(scope="module")
def network(synthetic, calm, tmp_path_factory):
    """The hosts, with a store that has the source, and certificates; this process is on the client's."""
    folder = tmp_path_factory.mktemp("hosts")
    with contextlib.ExitStack() as stack:
        hosts = stack.enter_context(of.build_hosts(folder))
        stack.enter_context(of.enter_host(hosts, "client"))
        (folder / "weed").mkdir()
        server = stack.enter_context(
            s3_server.run_s3_server(folder / "weed", of.host_address("s3"), hosts.command_on("s3"))
        )
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in server.env().items():
            patch.setenv(name, value)
        for cache in (has_credentials, s3_filesystem):
            cache.cache_clear()
            stack.callback(cache.cache_clear)
        bucket = S3FileIO(f"s3://{s3_server.PRIVATE_BUCKET}/in", StorageOptions(server.endpoint))
        for path in synthetic.glob("*.parquet"):
            bucket.write(path.name, path.read_bytes())
        names = ",".join(map(of.host_address, of.ADDRESSES))
        done = run_toytip("cluster", "certs", "--out", folder / "tls", "--hosts", names)
        assert done.returncode == 0, done.stderr
        yield hosts, server


@pytest.fixture
def cluster(network):
    """Return what starts Dask on the hosts, with TLS or without, and gives the options that lead there."""
    hosts, _ = network
    tls = hosts.folder / "tls"

    def start(encrypted=True):
        there = of.start_dask(hosts, tls if encrypted else None)
        files = (
            "--tls-ca-file",
            tls / "ca.pem",
            "--tls-cert",
            tls / "client.pem",
            "--tls-key",
            tls / "client.key",
        )
        return ("--scheduler", there, *(files if encrypted else ()))

    yield start
    for host in ("scheduler", *of.WORKERS):
        hosts.kill(host)
        hosts.mend(host)


def run_struck(network, calm, name, where, strike=None):
    """Run over S3, do something to the hosts meanwhile, and compare with the undisturbed run."""
    _, server = network
    root = f"s3://{s3_server.PRIVATE_BUCKET}/{name.replace(' ', '-').replace(',', '')}"
    store = Store(root, "dev", StorageOptions(server.endpoint))
    with start_toytip(
        "run", "--source", f"s3://{s3_server.PRIVATE_BUCKET}/in", "--store", root, *OPTIONS, *where
    ) as run:
        if strike is not None:
            strike(run, store)
        out, said = run.communicate(timeout=500)
        assert run.returncode == 0, said
    summary = json.loads(out)
    check_same_results(store, summary, calm)
    check_complete(store, calm)
    SECONDS[name] = summary["elapsed_seconds"]
    return summary


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_a_run_on_three_hosts(encrypted, network, calm, cluster):
    name = "three hosts, TLS" if encrypted else "three hosts"
    assert run_struck(network, calm, name, cluster(encrypted))["workers"] == 3


def kill(hosts):
    hosts.kill("w2")


def cut_for_a_while(hosts):
    hosts.cut("w2")
    time.sleep(CUT_S)
    hosts.mend("w2")


def cut_for_good(hosts):
    hosts.cut("w2")


FAULTS = {"host killed": kill, f"link cut {CUT_S} s": cut_for_a_while, "link cut for good": cut_for_good}


@pytest.mark.parametrize("stage", ["row stages", "training"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_host_is_lost(fault, stage, network, calm, cluster):
    parts = run_probes.count_parts(calm, "features")

    def strike(run, store):
        if stage == "training":
            run_probes.wait_for_round(run, store, 60)
            inside = run_probes.is_training(store, ROUNDS)
        else:
            run_probes.wait_for_parts(run, store, "features", 3)
            inside = run_probes.is_being_built(store, "features", parts)
        assert inside
        FAULTS[fault](network[0])
        ROW_DIFFERENCES["struck"] += 1

    run_struck(network, calm, f"{fault}, {stage}", cluster(), strike)
    ROW_DIFFERENCES["survived"] += 1


@pytest.mark.parametrize("line", ["delay 10ms", "delay 50ms", "delay 10ms loss 1%"])
def test_a_slow_line(line, network, calm, cluster):
    hosts, _ = network
    where = cluster()
    if not all(hosts.slow(host, *line.split()) for host in of.WORKERS):
        pytest.skip("this kernel has no netem")
    try:
        run_struck(network, calm, f"every worker behind {line}", where)
    finally:
        for host in of.WORKERS:
            hosts.slow(host, "delay", "0ms")


@pytest.mark.skipif(bool(missing_requirements("ssh")), reason=missing_requirements("ssh"))
def test_from_the_laptop_to_three_hosts(network, calm, tmp_path):
    """What cluster/README.md has under that title is run word for word; the files of the hosts are their own."""
    hosts, server = network
    page = (Path(__file__).parents[2] / "cluster" / "README.md").read_text()
    section = page.partition("## From the laptop to three hosts")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(toml|sh)\n(.*?)```", section, re.DOTALL)
    (tmp_path / "toytip.toml").write_text("".join(text for kind, text in blocks if kind == "toml"))
    home, script = tmp_path / ".ssh", "".join(text for kind, text in blocks if kind == "sh")
    home.mkdir()
    ssh_and_slurm.make_ssh_keys(home)
    session = {**server.env(), "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "TOYTIP_GATE": "off"}
    # A login shell would have it in its path; ssh itself looks for its files where the password file says.
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "toytip").write_text(f'#!/bin/sh\nexec {sys.executable} -m toytip "$@"\n')
    for name in ("ssh", "scp"):
        (tools / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {home}/config "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    (home / "config").write_text(f"IdentityFile {home}/user\nUserKnownHostsFile {home}/known_hosts\n")
    (home / "id_ed25519").write_bytes((home / "user").read_bytes())
    (home / "id_ed25519").chmod(0o600)
    Path("/etc/toytip").mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(Path("/etc/toytip").rmdir)
        for host in of.WORKERS:
            alone = hosts.words(
                host, "unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /etc/toytip; exec "$@"', "-"
            )
            stack.enter_context(ssh_and_slurm.run_sshd(home, of.host_address(host), 22, session, alone))
        done = subprocess.run(
            ["sh", "-euxc", script], cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False,
            env={**os.environ, **session, "HOME": str(tmp_path), "PATH": f"{tools}:{os.environ['PATH']}"},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lab is down" in done.stdout
    assert not list(Path("/etc").glob("toytip/*")), "each host has its own"
    store = Store(f"s3://{s3_server.PRIVATE_BUCKET}/toytip", "dev", StorageOptions(server.endpoint))
    (predictions,) = store.list_manifests("predictions")
    assert predictions.rows == calm[1]["tables"]["predictions"]["rows"]


def test_the_figures(capsys):
    ROW_DIFFERENCES.update({"rows lost": 0, "rows doubled": 0})
    with capsys.disabled():
        print("\n\n" + "\n".join(f"{name:<44}{seconds:>8.1f} s" for name, seconds in SECONDS.items()))  # noqa: T201
        print("\n".join(f"{name:<44}{ROW_DIFFERENCES[name]:>8}" for name in ROW_DIFFERENCES))  # noqa: T201
    assert ROW_DIFFERENCES["struck"] == ROW_DIFFERENCES["survived"]
    assert ROW_DIFFERENCES["rows lost"] == ROW_DIFFERENCES["rows doubled"] == 0
