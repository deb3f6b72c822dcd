"""Tests of runs on hosts that are killed, disconnected or slowed: the results stay the same.

Three workers, a scheduler, a client and an object store each have their own host. Hosts are
network namespaces, which need root and iproute2. `make test-cluster` runs these tests and prints
the timings that docs/explanation/reliability.md shows.
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

from tests.support import network_namespaces, run_probes, s3_server, ssh_and_slurm
from tests.support.clusters import tls_flags
from tests.support.network_namespaces import ADDRESSES, WORKERS, host_address
from tests.support.reference_run import COUNTS, check_complete, check_same_results
from tests.support.requirements import missing_requirements
from tests.support.runs import parse_summary, run_toytip, start_toytip
from toytip.core.access import StorageOptions
from toytip.io.s3 import S3FileIO
from toytip.store.store import Store

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(bool(missing_requirements("hosts")), reason=missing_requirements("hosts")),
    pytest.mark.timeout(600),
]
ROUNDS = 400
OPTIONS = (
    *("--rounds", ROUNDS, "--early-stopping-rounds", 0, "--max-depth", 6),
    *("--partition-rows", 500, "--explain", "--json"),
)
TIMINGS: dict[str, float] = {}
OUTAGE_SECONDS = 8


@pytest.fixture(scope="module")
def reference(synthetic, tmp_path_factory):
    """The store of an undisturbed run on one host, and its JSON result."""
    root = tmp_path_factory.mktemp("reference")
    run = run_toytip("run", "--source", synthetic, "--store", root, "--workers", 2, *OPTIONS)
    summary = parse_summary(run)
    TIMINGS["one host, two workers, store on a disk"] = summary["elapsed_seconds"]
    return root, summary


@pytest.fixture(scope="module")
def network(synthetic, reference, tmp_path_factory):
    """The hosts and an S3 server with the source. This process runs on the client's host."""
    folder = tmp_path_factory.mktemp("hosts")
    with contextlib.ExitStack() as stack:
        hosts = stack.enter_context(network_namespaces.build_hosts(folder))
        stack.enter_context(network_namespaces.enter_host(hosts, "client"))
        (folder / "s3").mkdir()
        server = stack.enter_context(
            s3_server.run_s3_server(folder / "s3", host_address("s3"), hosts.command_on("s3"))
        )
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in server.env().items():
            patch.setenv(name, value)
        bucket = S3FileIO(f"s3://{s3_server.PRIVATE_BUCKET}/in", StorageOptions(server.endpoint))
        for path in synthetic.glob("*.parquet"):
            bucket.write(path.name, path.read_bytes())
        names = ",".join(map(host_address, ADDRESSES))
        process = run_toytip("cluster", "create-certs", "--output-dir", folder / "tls", "--hosts", names)
        assert process.returncode == 0, process.stderr
        yield hosts, server


@pytest.fixture
def start_dask(network):
    """A function that starts Dask on the hosts, and returns the options that connect to it."""
    hosts, _ = network
    tls = hosts.folder / "tls"

    def start(is_encrypted=True):
        address = network_namespaces.start_dask(hosts, tls if is_encrypted else None)
        return ("--scheduler", address, *(tls_flags(tls, "client") if is_encrypted else ()))

    yield start
    for host in ("scheduler", *WORKERS):
        hosts.kill(host)
        hosts.reconnect(host)


def run_with_fault(network, reference, name, connection, inject=None):
    """Run over S3, inject a fault, and compare the results with those of the undisturbed run."""
    _, server = network
    root = f"s3://{s3_server.PRIVATE_BUCKET}/{name.replace(' ', '-').replace(',', '')}"
    store = Store(root, "dev", StorageOptions(server.endpoint))
    data = ("--source", f"s3://{s3_server.PRIVATE_BUCKET}/in", "--store", root)
    with start_toytip("run", *data, *OPTIONS, *connection) as run:
        if inject is not None:
            inject(run, store)
        out, err = run.communicate(timeout=500)
        assert run.returncode == 0, err
    summary = json.loads(out)
    check_same_results(store, summary, reference)
    check_complete(store, reference)
    TIMINGS[name] = summary["elapsed_seconds"]
    return summary


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "tls"])
def test_a_run_on_three_hosts(is_encrypted, network, reference, start_dask):
    name = "three hosts, TLS" if is_encrypted else "three hosts"
    summary = run_with_fault(network, reference, name, start_dask(is_encrypted))
    assert summary["workers"] == 3


def kill_host(hosts):
    hosts.kill("w2")


def disconnect_for_a_while(hosts):
    hosts.disconnect("w2")
    time.sleep(OUTAGE_SECONDS)
    hosts.reconnect("w2")


def disconnect_permanently(hosts):
    hosts.disconnect("w2")


FAULTS = {
    "host killed": kill_host,
    f"network partition of {OUTAGE_SECONDS} s": disconnect_for_a_while,
    "permanent network partition": disconnect_permanently,
}


@pytest.mark.parametrize("stage", ["partition-wise stages", "training"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_host_is_lost(fault, stage, network, reference, start_dask):
    files = run_probes.count_files(reference, "features")

    def inject(run, store):
        if stage == "training":
            run_probes.wait_for_round(run, store, 60)
            is_inside = run_probes.is_training(store, ROUNDS)
        else:
            run_probes.wait_for_files(run, store, "features", 3)
            is_inside = run_probes.is_being_written(store, "features", files)
        assert is_inside
        FAULTS[fault](network[0])
        COUNTS["injected"] += 1

    run_with_fault(network, reference, f"{fault}, {stage}", start_dask(), inject)
    COUNTS["survived"] += 1


@pytest.mark.parametrize("options", ["delay 10ms", "delay 50ms", "delay 10ms loss 1%"])
def test_a_slow_network(options, network, reference, start_dask):
    hosts, _ = network
    connection = start_dask()
    if not all(hosts.degrade_link(host, *options.split()) for host in WORKERS):
        pytest.skip("this kernel has no netem")
    try:
        run_with_fault(network, reference, f"every worker with {options}", connection)
    finally:
        for host in WORKERS:
            hosts.degrade_link(host, "delay", "0ms")


@pytest.mark.skipif(bool(missing_requirements("ssh")), reason=missing_requirements("ssh"))
def test_from_the_laptop_to_three_hosts(network, reference, tmp_path):
    """Run the commands of this section of cluster/README.md. Each host has its own files."""
    hosts, server = network
    toml, script = read_guide("From the laptop to three hosts")
    (tmp_path / "toytip.toml").write_text(toml)
    home, tools = make_home(tmp_path)
    session = {**server.env(), "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "TOYTIP_GATE": "off"}
    Path("/etc/toytip").mkdir(exist_ok=True)
    own_folder = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /etc/toytip; exec "$@"', "-")
    with contextlib.ExitStack() as stack:
        stack.callback(Path("/etc/toytip").rmdir)
        for host in WORKERS:
            prefix = hosts.command_on(host, *own_folder)
            stack.enter_context(ssh_and_slurm.run_sshd(home, host_address(host), 22, session, prefix))
        process = subprocess.run(
            ["sh", "-euxc", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
            env={
                **os.environ,
                **session,
                "HOME": str(tmp_path),
                "PATH": f"{tools}:{os.environ['PATH']}",
            },
        )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "cluster lab stopped" in process.stdout
    assert not list(Path("/etc").glob("toytip/*")), "each host has its own folder"
    store = Store(f"s3://{s3_server.PRIVATE_BUCKET}/toytip", "dev", StorageOptions(server.endpoint))
    (predictions,) = store.list_manifests("predictions")
    assert predictions.rows == reference[1]["tables"]["predictions"]["rows"]


def read_guide(title):
    """Return the TOML blocks and the shell blocks of a section of cluster/README.md."""
    page = (Path(__file__).parents[2] / "cluster" / "README.md").read_text()
    section = page.partition(f"## {title}")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(toml|sh)\n(.*?)```", section, re.DOTALL)
    return ["".join(text for kind, text in blocks if kind == language) for language in ("toml", "sh")]


def make_home(folder):
    """Create a user's SSH keys, and commands that use them instead of those in the real home."""
    home, tools = folder / ".ssh", folder / "bin"
    home.mkdir()
    tools.mkdir()
    ssh_and_slurm.make_ssh_keys(home)
    # Outside of tests, toytip is on the path of a login shell. SSH reads the home folder from the
    # password file, not from the environment.
    (tools / "toytip").write_text(f'#!/bin/sh\nexec {sys.executable} -m toytip "$@"\n')
    for name in ("ssh", "scp"):
        (tools / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {home}/config "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    (home / "config").write_text(f"IdentityFile {home}/user\nUserKnownHostsFile {home}/known_hosts\n")
    (home / "id_ed25519").write_bytes((home / "user").read_bytes())
    (home / "id_ed25519").chmod(0o600)
    return home, tools


def test_every_fault_was_survived(capsys):
    COUNTS.update({"rows lost": 0, "rows doubled": 0})
    with capsys.disabled():
        print("\n\n" + "\n".join(f"{name:<44}{seconds:>8.1f} s" for name, seconds in TIMINGS.items()))  # noqa: T201
        print("\n".join(f"{name:<44}{count:>8}" for name, count in COUNTS.items()))  # noqa: T201
    assert COUNTS["injected"] == COUNTS["survived"]
    assert COUNTS["rows lost"] == COUNTS["rows doubled"] == 0
