"""Tests of the workers of a cluster: which workers train, and local workers."""

import os
import socket
import urllib.error
import urllib.request

import dask
import distributed
import pytest

from tests.support.clusters import run_dask_cluster
from toytip import cluster
from toytip.config import Settings
from toytip.engine import source_tasks


def test_only_workers_that_announce_the_resource_train(tmp_path):
    with run_dask_cluster(tmp_path, 1) as (address, _, add_worker), distributed.Client(address) as client:
        client.wait_for_workers(1, timeout=120)
        assert len(cluster.training_ranks(client)) == 1, "all workers train if none announces it"
        add_worker("--resources", "TRAIN=1")
        client.wait_for_workers(2, timeout=120)
        (rank,) = cluster.training_ranks(client)
        assert client.scheduler_info()["workers"][rank.address]["resources"] == {"TRAIN": 1}


@pytest.mark.cluster
def test_a_worker_that_leaves_during_a_call_is_omitted(monkeypatch):
    cluster.prestart_forkserver("forkserver")
    monkeypatch.setattr("toytip.io.access.source_bytes_read", _return_seven)
    with cluster.connect(Settings(workers=2, threads_per_worker=1)) as client:
        total = source_tasks.worker_bytes_read(client)
        assert total == 7 + 7, "of the worker that stays, and of this process"


def _return_seven(dask_worker=None):
    if dask_worker is not None and dask_worker.name == 0:
        os._exit(1)
    return 7


@pytest.mark.parametrize("is_in_use", [True, False])
def test_a_dashboard_port_in_use_is_replaced(monkeypatch, is_in_use):
    monkeypatch.delenv("TOYTIP_DASHBOARD_PORT")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # not Dask's usual port, which another process may use
        port = other.getsockname()[1]
        monkeypatch.setattr("toytip.cluster.local.DEFAULT_DASHBOARD_PORT", port)
        if is_in_use:
            other.listen()
        else:
            other.close()
        with cluster.connect(Settings(workers=1)) as client:
            assert client.submit(sum, [1, 2]).result() == 3
            assert client.dashboard_link.startswith("http://127.0.0.1:")
            assert (f":{port}/" in client.dashboard_link) is not is_in_use


def test_dasks_pages_are_added_when_somebody_opens_one():
    with cluster.connect(Settings(workers=1)) as client:
        address = client.dashboard_link.removesuffix("/status")
        applications = client.cluster.scheduler.http_application.applications
        assert not [item for item in applications if "bokeh" in str(item)]
        for path in ("", "/workers", "/status"):
            with urllib.request.urlopen(address + path) as response:  # noqa: S310
                assert b"<title>Dask Diagnostic UI" in response.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/toytip")  # noqa: S310


def test_a_large_model_in_the_graph_does_not_warn():
    with cluster.connect(Settings(workers=1)) as client:
        model = dask.delayed(bytes(12_000_000), pure=True)
        assert client.compute(dask.delayed(len)(model)).result() == 12_000_000
