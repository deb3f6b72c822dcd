"""elastic: as many workers as there is work for; all of them, and unchanging, while any run trains; who holds them and goes."""

import contextlib
import os
import subprocess
import sys
import time

import dask
import distributed
import pytest

from tests.conftest import parse_summary, run_toytip
from toytip import cluster
from toytip.cluster import adaptive
from toytip.config import Settings
from toytip.engine import source_tasks
from toytip.errors import ConfigError

ELASTIC = Settings(adapt="1:3", threads_per_worker=1)
# Another run, which trains until somebody speaks to it, or ends it.
OTHER = """
import sys
from toytip import cluster
from toytip.config import Settings
with cluster.connect(Settings(scheduler=sys.argv[1])) as client, cluster.hold_size(client):
    print("trains", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder():
    cluster.prestart_forkserver("forkserver")
    with dask.config.set({"distributed.adaptive.interval": "50ms"}), cluster.connect(ELASTIC) as client:
        yield client


@contextlib.contextmanager
def another(address):
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "trains\n"
            yield process
        finally:
            process.kill()


def workers(client):
    return len(cluster.workers_by_address(client))


def shrinks(client):
    end = time.monotonic() + 60
    while workers(client) > 1:
        assert time.monotonic() < end
        time.sleep(0.1)


def stays(client):
    """Look through many times the three looks after which Dask ends workers that have nothing to do."""
    for _ in range(20):
        assert workers(client) == 3
        time.sleep(0.1)


@pytest.mark.cluster
def test_all_that_there_can_be_while_it_trains(holder):
    assert workers(holder) < 3
    with adaptive.hold_size(holder):
        stays(holder)
    shrinks(holder)


@pytest.mark.cluster
def test_as_long_as_any_run_trains(holder):
    with another(holder.scheduler.address) as other:
        assert workers(holder) == 3
        with adaptive.hold_size(holder):
            other.communicate("")
            assert other.returncode == 0
            stays(holder)
        shrinks(holder)


@pytest.mark.cluster
def test_a_run_that_is_killed_holds_nothing(holder):
    with another(holder.scheduler.address) as other:
        stays(holder)
        other.kill()
        shrinks(holder)


@pytest.mark.cluster
def test_a_client_that_has_gone_cannot_take_hold(holder):
    with distributed.Client(holder.scheduler.address, set_as_default=False) as other:
        gone = other.id
    holder.sync(holder.scheduler.toytip_hold, token="late", client=gone, wanted=True)  # noqa: S106 - no password
    with adaptive.hold_size(holder):
        pass
    shrinks(holder)


@pytest.mark.cluster
def test_who_goes_while_all_are_asked_is_left_out(monkeypatch):
    cluster.prestart_forkserver("forkserver")
    monkeypatch.setattr("toytip.io.access.source_bytes_read", _seven)
    with cluster.connect(Settings(workers=2, threads_per_worker=1)) as client:
        assert source_tasks.worker_bytes_read(client) == 7 + 7, (
            "of the worker that stays, and of this process"
        )


def _seven(dask_worker=None):
    if dask_worker is not None and dask_worker.name == 0:
        os._exit(1)
    return 7


@pytest.mark.parametrize("adapt", ["3:1", "0:2", "1:99999", "0:0"])
def test_bounds_that_make_no_sense(adapt):
    with pytest.raises(ConfigError, match="MIN:MAX, two numbers from 1 to 512"):
        cluster.apply_cluster_definition(Settings(adapt=adapt))


@pytest.mark.hosts
def test_an_elastic_run_whose_most_are_many(synthetic, tmp_path):
    """Workers come and go from its first moment on."""
    run = ("run", "--source", synthetic, "--store", tmp_path, "--rounds", 2, "--adapt", "1:4", "--json")
    env = {"DASK_DISTRIBUTED__ADAPTIVE__INTERVAL": "20ms", "DASK_DISTRIBUTED__ADAPTIVE__WAIT_COUNT": "1"}
    parse_summary(run_toytip(*run, "--threads-per-worker", 1, "--memory-limit", "2GB", **env))
