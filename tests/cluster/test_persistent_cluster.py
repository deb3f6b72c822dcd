"""Tests of a persistent cluster with TLS: who can connect, and commands on it."""

import stat

import pytest

from tests.support.clusters import tls_flags
from tests.support.runs import parse_summary, require_error, run_toytip
from toytip.cluster import certificates, lifecycle
from toytip.config import Settings


@pytest.mark.cluster
def test_a_persistent_cluster_and_the_clients_that_it_rejects(synthetic, tmp_path, monkeypatch):
    """Start with TLS, reject clients without a certificate or of another authority, run, stop."""
    monkeypatch.setenv("TOYTIP_STATE_DIR", str(tmp_path / "state"))
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    certificates.create_certificates(ours, ["127.0.0.1"])
    certificates.create_certificates(theirs, ["127.0.0.1"])
    record = tmp_path / "state" / "clusters" / "local.json"
    run = ("run", "--source", synthetic, "--store", tmp_path / "store", "--rounds", 2, "--json")
    up = run_toytip("cluster", "up", "local", "--workers", 2, *tls_flags(ours, "node"), "--json")
    try:
        address = parse_summary(up)["address"]
        assert address.startswith("tls://127.0.0.1:")
        assert stat.S_IMODE(record.stat().st_mode) == 0o600
        assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700
        require_error(run_toytip("cluster", "up", "local"), "it is already running at")
        check_rejected_clients(run, address, ours, theirs)
        assert not any((tmp_path / "store").rglob("*.parquet"))
        check_commands(run, address, ours, synthetic, tmp_path / "store")
    finally:
        down = run_toytip("cluster", "down", "local", "--json")
    assert parse_summary(down)["stopped"]
    assert not record.exists()
    assert not parse_summary(run_toytip("cluster", "down", "local", "--json"))["stopped"]
    assert not parse_summary(run_toytip("cluster", "status", "local", "--json"))["running"]


def check_rejected_clients(run, address, ours, theirs):
    plain = address.replace("tls", "tcp")
    rejected = [
        (2, "it needs certificates", address),
        (1, "the scheduler refuses unencrypted connections", plain),
        (1, "do not trust each other", address, *tls_flags(theirs, "client")),
        (2, "the connection is not encrypted", plain, *tls_flags(ours, "client")),
    ]
    for code, message, scheduler, *flags in rejected:
        require_error(run_toytip(*run, "--scheduler", scheduler, *flags), message, code=code)


def check_commands(run, address, ours, source, store):
    flags = tls_flags(ours, "client")
    assert parse_summary(run_toytip(*run, "--cluster", "local", *flags))["workers"] == 2
    doctor = run_toytip("cluster", "doctor", "local", "--source", source, "--store", store, *flags, "--json")
    checks = {check["name"]: check["ok"] for check in parse_summary(doctor)["checks"]}
    names = ("workers", "versions", "source", "store", "memory", "scratch", "clocks", "tls", "dashboard")
    assert checks == dict.fromkeys(names, True)
    status = parse_summary(run_toytip("cluster", "status", "local", *flags, "--json"))
    assert [len(status["workers"]), status["address"]] == [2, address]


def test_the_record_of_a_daemon_that_exited_is_removed(tmp_path):
    settings = Settings(cluster="local", state_dir=str(tmp_path))
    record = lifecycle.ClusterRecord(
        name="local",
        kind="local",
        address="tcp://127.0.0.1:1",
        dashboard_url="",
        pid=1,
        process_started_at=0.0,
    )
    lifecycle.save_record(settings, record)
    assert lifecycle.find_record(settings) is None
    assert lifecycle.plan_cluster(settings).starts_local_workers
    assert not list((tmp_path / "clusters").glob("*.json"))


@pytest.mark.parametrize("command", ["up", "down"])
def test_toytip_does_not_manage_an_existing_scheduler(command, tmp_path):
    process = run_toytip("cluster", command, "existing", TOYTIP_STATE_DIR=str(tmp_path))
    require_error(process, "it refers to an existing scheduler (tcp://127.0.0.1:8786)")


@pytest.mark.parametrize(
    "message",
    [
        lifecycle.DaemonMessage(address="tls://127.0.0.1:8786"),
        lifecycle.DaemonMessage(error="cannot start cluster lab: failed\nup", hint="Check it."),
    ],
)
def test_a_message_of_the_daemon_is_one_line(message):
    line = message.to_line()
    assert "\n" not in line
    assert lifecycle.DaemonMessage.from_line(line) == message


@pytest.mark.parametrize("line", ["", "up tcp://127.0.0.1:1", "failed x", "1", "null", '{"other": 1}', "[]"])
def test_other_lines_are_not_messages_of_the_daemon(line):
    assert lifecycle.DaemonMessage.from_line(line) is None
