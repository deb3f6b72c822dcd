"""Tests of adaptive scaling: the number of workers follows the load, except in training."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import dask
import distributed
import pytest

from tests.support.runs import parse_summary, run_toytip
from toytip import cluster
from toytip.config import Settings
from toytip.errors import ConfigError

ADAPTIVE = Settings(adapt="1:3", threads_per_worker=1)
# Another run, which trains until its stdin is closed.
OTHER_RUN = """
import sys
from toytip import cluster
from toytip.config import Settings
with cluster.connect(Settings(scheduler=sys.argv[1])) as client, cluster.hold_size(client):
    print("trains", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def adaptive_client():
    cluster.prestart_forkserver("forkserver")
    with dask.config.set({"distributed.adaptive.interval": "50ms"}), cluster.connect(ADAPTIVE) as client:
        yield client


@contextlib.contextmanager
def start_other_run(address):
    command = [sys.executable, "-c", OTHER_RUN, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "trains\n"
            yield process
        finally:
            process.kill()


def count_workers(client):
    return len(cluster.workers_by_address(client))


def wait_until_minimum(client):
    deadline = time.monotonic() + 60
    while count_workers(client) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def require_constant_maximum(client):
    """Wait for many of the three intervals after which Dask stops idle workers."""
    for _ in range(20):
        assert count_workers(client) == 3
        time.sleep(0.1)


@pytest.mark.cluster
def test_training_uses_the_maximum(adaptive_client):
    assert count_workers(adaptive_client) < 3
    with cluster.hold_size(adaptive_client):
        require_constant_maximum(adaptive_client)
    wait_until_minimum(adaptive_client)


@pytest.mark.cluster
def test_the_size_is_held_while_any_run_trains(adaptive_client):
    with start_other_run(adaptive_client.scheduler.address) as other:
        assert count_workers(adaptive_client) == 3
        with cluster.hold_size(adaptive_client):
            other.communicate("")
            assert other.returncode == 0
            require_constant_maximum(adaptive_client)
        wait_until_minimum(adaptive_client)


@pytest.mark.cluster
def test_a_killed_run_releases_its_workers(adaptive_client):
    with start_other_run(adaptive_client.scheduler.address) as other:
        require_constant_maximum(adaptive_client)
        other.kill()
        wait_until_minimum(adaptive_client)


@pytest.mark.cluster
def test_a_disconnected_client_cannot_hold_the_size(adaptive_client):
    with distributed.Client(adaptive_client.scheduler.address, set_as_default=False) as other:
        disconnected = other.id
    hold = adaptive_client.scheduler.toytip_hold_size
    adaptive_client.sync(hold, token="late", client=disconnected, active=True)  # noqa: S106 - not a password
    with cluster.hold_size(adaptive_client):
        pass
    wait_until_minimum(adaptive_client)


@pytest.mark.parametrize("adapt", ["3:1", "0:2", "1:99999", "0:0"])
def test_limits_out_of_range(adapt):
    with pytest.raises(ConfigError, match=f"cannot use --adapt {adapt}") as error:
        cluster.apply_cluster_definition(Settings(adapt=adapt))
    assert "MIN:MAX, two numbers from 1 to 512" in error.value.hint


@pytest.mark.hosts
def test_an_adaptive_run_produces_the_same_model(synthetic, tmp_path):
    run = ("run", "--source", synthetic, "--rounds", 5, "--partition-rows", 500, "--json")
    sizes = [("--workers", 2), ("--adapt", "1:3")]
    summaries = [parse_summary(run_toytip(*run, *size, "--store", tmp_path / size[0])) for size in sizes]
    models = [(Path(summary["model"]["path"]) / "model.ubj").read_bytes() for summary in summaries]
    assert models[0] == models[1]
    assert summaries[0]["metrics"] == summaries[1]["metrics"]


@pytest.mark.hosts
def test_an_adaptive_run_with_rapid_scaling(synthetic, tmp_path):
    """Workers start and stop from the first moment of the run on."""
    run = ("run", "--source", synthetic, "--store", tmp_path, "--rounds", 2, "--adapt", "1:4", "--json")
    env = {"DASK_DISTRIBUTED__ADAPTIVE__INTERVAL": "20ms", "DASK_DISTRIBUTED__ADAPTIVE__WAIT_COUNT": "1"}
    parse_summary(run_toytip(*run, "--threads-per-worker", 1, "--memory-limit", "2GB", **env))
