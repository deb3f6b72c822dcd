"""Tests of the training driver: assignment of rows, lost ranks, and the tracker."""

import os
import signal

import distributed
import psutil
import pytest

from toytip import cluster
from toytip.config import Settings
from toytip.training import driver, tracker
from toytip.training.driver import balance


def test_partitions_are_assigned_evenly():
    sizes = [500, 10, 490, 1_000, 20, 980]
    shares = balance(sizes, 3)
    assert sorted(item for share in shares for item in share) == list(range(6))
    assert [sum(sizes[item] for item in share) for share in shares] == [1_000, 1_000, 1_000]
    assert balance([7], 2) == [[0], []]


@pytest.mark.cluster
def test_a_rank_that_is_lost_with_its_result_is_detected():
    """No other worker may repeat its task, so waiting for the result would never end."""
    cluster.prestart_forkserver("forkserver")
    with cluster.connect(Settings.load(workers=2, threads_per_worker=1)) as client:
        ranks = cluster.training_ranks(client)
        futures = [client.submit(os.getpid, workers=[rank.address], pure=False) for rank in ranks]
        distributed.wait(futures)
        address = ranks[-1].address
        os.kill(client.run(os.getpid, workers=[address])[address], signal.SIGKILL)
        with pytest.raises(RuntimeError, match="lost"):
            driver._wait_for_ranks(client, futures, ranks)
        client.wait_for_workers(2, timeout=60)  # a cluster that stops while a worker starts logs errors


@pytest.mark.cluster
def test_the_tracker_has_its_own_process_which_ends_with_the_training(client):
    """XGBoost ends the process of the tracker if a rank dies during the handshake."""
    previous = set(psutil.Process().children(recursive=True))
    worker_args = client.run_on_scheduler(tracker.start_tracker, "token", 2)
    assert {"dmlc_tracker_uri", "dmlc_tracker_port"} <= set(worker_args)
    (process,) = set(psutil.Process().children(recursive=True)) - previous
    client.run_on_scheduler(tracker.stop_tracker, "token")
    assert psutil.wait_procs([process], timeout=30)[1] == []
