"""ranks: who has which rows, and a rank that is lost."""

import os
import signal

import distributed
import psutil
import pytest

from toytip import cluster
from toytip.config import Settings
from toytip.training import driver, tracker


@pytest.mark.cluster
def test_a_rank_lost_with_a_result_that_nobody_has_fetched_is_missed():
    """No other worker may do its task again: to wait for it would be for ever."""
    cluster.prestart_forkserver("forkserver")
    with cluster.connect(Settings.load(workers=2, threads_per_worker=1)) as client:
        chosen = cluster.training_ranks(client)
        done = [client.submit(os.getpid, workers=[rank.address], pure=False) for rank in chosen]
        distributed.wait(done)
        victim = client.run(os.getpid, workers=[chosen[-1].address])[chosen[-1].address]
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="lost"):
            driver._wait_for_ranks(client, done, chosen)
        client.wait_for_workers(2, timeout=60)  # a cluster that ends while it starts a worker complains of it


@pytest.mark.cluster
def test_the_tracker_is_a_process_of_its_own_and_ends_with_its_training(client):
    """XGBoost ends the process that it is in where a rank dies while it is greeted."""
    before = set(psutil.Process().children(recursive=True))
    told = client.run_on_scheduler(tracker.start_tracker, "here", 2)
    assert {"dmlc_tracker_uri", "dmlc_tracker_port"} <= set(told)
    (process,) = set(psutil.Process().children(recursive=True)) - before
    client.run_on_scheduler(tracker.stop_tracker, "here")
    assert psutil.wait_procs([process], timeout=30)[1] == []
