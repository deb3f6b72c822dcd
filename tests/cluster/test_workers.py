"""Tests of the workers of a cluster: which workers train, and local workers."""

import os
import socket
import urllib.error
import urllib.request
from types import SimpleNamespace

import dask
import distributed
import pytest
from distributed.core import Status
from distributed.scheduler import WorkerState as SchedulerWorker

from tests.support.clusters import run_dask_cluster
from toytip import cluster
from toytip.cluster.workers import HostResources, WorkerInfo, choose_ranks
from toytip.config import Settings
from toytip.engine import source_tasks
from toytip.engine.compute import wait_for
from toytip.errors import ClusterError

GIB = 2**30
# Workers as (host, memory limit), the resources of hosts as (cores that a process can use, memory),
# and the expected ranks as (worker, number of workers on the host, threads, pooled memory).
LAYOUTS = {
    "one machine": (["a:2", "a:2"], {"a": ("0,1", 16)}, [(0, 2, 2, 4)]),
    "more workers than cores": (["a:2"] * 8, {"a": ("0,1", 16)}, [(0, 8, 2, 16)]),
    "limits above the memory": (["a:9", "a:9"], {"a": ("0,1", 16)}, [(0, 2, 2, 16)]),
    "no limits": (["a:0", "a:0"], {"a": ("0,1,2", 16)}, [(0, 2, 3, 16)]),
    "two hosts": (
        ["a:2", "b:3", "a:2", "b:3"],
        {"a": ("0,1", 16), "b": ("0,1,2", 32)},
        [(0, 2, 2, 4), (1, 2, 3, 6)],
    ),
    "a worker that left": (["a:2", "b:2"], {"b": ("0,1", 16)}, [(1, 1, 2, 2)]),
}


@pytest.mark.parametrize(("workers", "hosts", "expected"), LAYOUTS.values(), ids=LAYOUTS)
def test_one_worker_per_host_trains(workers, hosts, expected):
    infos, resources = {}, {}
    for number, (host, limit) in enumerate(worker.split(":") for worker in workers):
        infos[f"tcp://{number}"] = WorkerInfo(
            host=host, threads=1, memory_limit=int(limit) * GIB, is_trainer=False
        )
        if host in hosts:
            cpus = frozenset(map(int, hosts[host][0].split(",")))
            resources[f"tcp://{number}"] = HostResources(cpus, len(cpus), hosts[host][1] * GIB)
    ranks = choose_ranks(infos, resources)
    assert [
        (int(rank.address[6:]), len(rank.host_workers), rank.threads, rank.pooled_memory / GIB)
        for rank in ranks
    ] == expected
    assert all(rank.address == rank.host_workers[0] for rank in ranks)


def test_workers_of_a_host_that_share_no_core_are_separate_ranks():
    """For example, the workers of two Slurm jobs on one node."""
    worker = WorkerInfo(host="a", threads=1, memory_limit=GIB, is_trainer=False)
    resources = {
        "tcp://0": HostResources(frozenset({0, 1}), 2, 4 * GIB),
        "tcp://1": HostResources(frozenset({2, 3}), 2, 4 * GIB),
    }
    ranks = choose_ranks(dict.fromkeys(resources, worker), resources)
    assert [rank.address for rank in ranks] == list(resources)
    assert [rank.threads for rank in ranks] == [2, 2]


@pytest.mark.cluster
def test_a_rank_can_use_the_memory_of_its_host_only_during_training(client):
    """Dask would pause or restart a rank that uses more than its own share."""
    (rank,) = cluster.training_ranks(client)
    factor = rank.pooled_memory / rank.memory_limit
    assert factor > 1
    before = _memory_thresholds(client)
    with cluster.pooled_for_training(client, [rank]):
        inside = _memory_thresholds(client)
    assert inside[rank.address] == pytest.approx([value * factor for value in before[rank.address]])
    others = set(before) - {rank.address}
    assert others
    assert {address: inside[address] for address in others} == {
        address: before[address] for address in others
    }
    assert _memory_thresholds(client) == before


@pytest.mark.cluster
def test_idle_training_threads_of_local_workers_sleep(client):
    """libgomp reads the variable when it is loaded, in the environment of the fork server."""

    def spin_count():
        return os.environ.get("GOMP_SPINCOUNT")

    assert set(client.run(spin_count).values()) == {"1000"}


def _memory_thresholds(client):
    """Return the thresholds of each worker and of its nanny: pause, spill and terminate."""

    def pause_and_spill(dask_worker):
        manager = dask_worker.memory_manager
        return [manager.memory_pause_fraction, manager.memory_spill_fraction]

    def terminate(dask_worker):
        return dask_worker.worker_address, dask_worker.memory_manager.memory_terminate_fraction

    by_worker = client.run(pause_and_spill)
    by_nanny = dict(client.run(terminate, nanny=True).values())
    return {address: [*values, by_nanny[address]] for address, values in by_worker.items()}


def test_only_workers_that_announce_the_resource_train(tmp_path):
    with run_dask_cluster(tmp_path, 1) as (address, _, add_worker), distributed.Client(address) as client:
        client.wait_for_workers(1, timeout=120)
        (rank,) = cluster.training_ranks(client)
        assert len(rank.host_workers) == 1, "any worker can train if none announces it"
        add_worker("--resources", "TRAIN=1")
        client.wait_for_workers(2, timeout=120)
        (rank,) = cluster.training_ranks(client)
        assert rank.host_workers == (rank.address,)
        assert client.scheduler_info()["workers"][rank.address]["resources"] == {"TRAIN": 1}


@pytest.mark.parametrize(
    ("limits", "host", "advice"),
    [
        ({0: 2, 1: 2}, "127.0.0.1", "a larger --memory-limit"),
        ({0: 4, 1: 4}, "127.0.0.1", "a machine or container with more memory"),
        ({1: 4}, "127.0.0.1", "a machine or container with more memory"),  # 0 is not restarted yet
        ({0: 8}, "127.0.0.1", "a machine or container with more memory"),
        ({0: 0, 1: 0}, "127.0.0.1", "a machine or container with more memory"),
        ({0: 4, 1: 4}, "192.0.2.1", "a larger --memory-limit"),
    ],
)
def test_the_hint_for_killed_workers_depends_on_the_memory_that_no_worker_has(
    limits, host, advice, monkeypatch
):
    address = f"tcp://{host}:1"
    lost = SchedulerWorker(
        address=address,
        status=Status.running,
        pid=1,
        name=0,
        nthreads=1,
        memory_limit=limits.get(0, 4) * GIB,
        local_directory="",
        nanny="",
        server_id="x",
    )
    workers = {f"tcp://{name}": {"name": name, "memory_limit": limit * GIB} for name, limit in limits.items()}
    monkeypatch.setattr("toytip.cluster.workers._identify_workers", lambda _: workers)
    monkeypatch.setattr("toytip.cluster.workers.available_memory", lambda: 8 * GIB)
    future = SimpleNamespace(key="x", client=None, done=lambda: True)
    error = distributed.KilledWorker("x", lost, 3)
    monkeypatch.setattr("distributed.as_completed", lambda *_, **__: iter([(future, error)]))
    with pytest.raises(ClusterError, match="the task killed 4 workers") as caught:
        wait_for([future], SimpleNamespace(name="features"), rows=len)
    assert caught.value.hint.endswith(f"fewer --workers, or {advice}.")


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
