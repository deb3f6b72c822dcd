"""Tests that a command on one machine listens on the loopback interface only, in every stage."""

import shutil
import socket
import subprocess
import sys

import pytest

from benchmarks.contenders import BenchmarkTask
from benchmarks.workloads import WORKLOADS
from tests.support.clusters import free_port
from tests.support.listening_sockets import (
    is_loopback,
    listening_addresses,
    start_command,
    watch_command,
    watch_until,
)

pytestmark = pytest.mark.cluster
SMALL = ("--workers", 2, "--partition-rows", 1_000)
ALL_INTERFACES = {"0.0.0.0"}  # noqa: S104 - no socket is opened here


def require_loopback(addresses):
    assert addresses, "no socket was seen"
    assert all(map(is_loopback, addresses)), addresses


def test_a_socket_on_all_interfaces_is_seen():
    code = "import socket, time; server = socket.create_server(('0.0.0.0', 0)); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        addresses = watch_until(process, lambda: bool(listening_addresses(process.pid)))
        process.kill()
    assert addresses == ALL_INTERFACES


def test_a_run_listens_on_loopback_only(synthetic, tmp_path):
    """The run trains, registers and promotes its model, and writes its reports."""
    options = ("--rounds", 150, "--gate", "on", *SMALL)
    stages = watch_command(
        "run", "--source", synthetic, "--store", tmp_path / "store", *options, folder=tmp_path
    )
    # The keys are the stages that ended last. A sample can miss a stage of a tenth of a second.
    assert {"featurize", "preprocess", "train"} <= set(stages)
    require_loopback(set().union(*stages.values()))
    require_loopback(stages["preprocess"])  # while the model trains


@pytest.mark.parametrize("command", ["tune", "backtest"])
def test_experiments_listen_on_loopback_only(command, two_runs, tmp_path):
    store = shutil.copytree(two_runs[0], tmp_path / "store")
    options = {"tune": ("--trials", 2, "--folds", 1), "backtest": ("--min-train-months", 1)}[command]
    stages = watch_command(command, "--store", store, "--rounds", 40, *options, *SMALL, folder=tmp_path)
    require_loopback(set().union(*stages.values()))


def test_the_scoring_server_listens_on_loopback_only(model_run, tmp_path):
    port = free_port()

    def answers():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    command = ("serve", "--store", model_run.store, "--port", port)
    with start_command(*command, output=tmp_path / "output") as process:
        require_loopback(watch_until(process, answers))


@pytest.mark.parametrize("name", ["lower_bound", "polars_xgboost", "polars_defaults", "dask_xgboost"])
def test_peers_of_the_benchmark_listen_on_loopback_only(name, synthetic, tmp_path):
    """The benchmark isolates a peer whose ranks have no option for their address."""
    (peer,) = (peer for workload in WORKLOADS.values() for peer in workload.select_peers([name]))
    command = peer.command(BenchmarkTask(synthetic, rounds=5, max_depth=3), tmp_path)
    program, variables = peer.program(tmp_path)
    stages = watch_command(program, *command, folder=tmp_path, **variables)
    addresses = set().union(*stages.values())
    assert all(map(is_loopback, addresses)) or peer.isolated, addresses
