"""The process of a rank."""

import pytest
import threadpoolctl

from toytip.training.process import training_process


def openmp_limits():
    """Return the numbers of threads that XGBoost may use, before, during and after a training."""
    import xgboost  # noqa: F401 - loads OpenMP

    def limits():
        pools = threadpoolctl.threadpool_info()
        return {pool["num_threads"] for pool in pools if pool["user_api"] == "openmp"}

    before = limits()
    with training_process(2):
        during = limits()
    return before, during, limits()


@pytest.mark.cluster
def test_a_rank_uses_all_cores_although_other_tasks_use_one(client):
    assert client.submit(openmp_limits).result() == ({1}, {2}, {1})
