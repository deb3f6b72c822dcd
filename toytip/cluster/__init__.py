"""Workers on this machine or on a cluster, and the client through which a run uses them."""

from toytip.cluster.adaptive import adaptive_limits, hold_size
from toytip.cluster.connect import connect, dask_report, scheduler_answers
from toytip.cluster.definitions import SIZE_SETTINGS
from toytip.cluster.host_limits import available_cores
from toytip.cluster.lifecycle import ClusterPlan, plan_cluster
from toytip.cluster.local import WORKER_TTL_S, local_shape, prestart_forkserver, set_worker_variables
from toytip.cluster.memory import MemorySampler, pooled_for_training, trim_memory
from toytip.cluster.sizing import apply_cluster_definition
from toytip.cluster.workers import (
    ClusterShape,
    Rank,
    cluster_shape,
    has_spare_memory,
    run_on_workers,
    task_capacity,
    training_ranks,
    workers_by_address,
)

__all__ = [
    "SIZE_SETTINGS",
    "WORKER_TTL_S",
    "ClusterPlan",
    "ClusterShape",
    "MemorySampler",
    "Rank",
    "adaptive_limits",
    "apply_cluster_definition",
    "available_cores",
    "cluster_shape",
    "connect",
    "dask_report",
    "has_spare_memory",
    "hold_size",
    "local_shape",
    "plan_cluster",
    "pooled_for_training",
    "prestart_forkserver",
    "run_on_workers",
    "scheduler_answers",
    "set_worker_variables",
    "task_capacity",
    "training_ranks",
    "trim_memory",
    "workers_by_address",
]
