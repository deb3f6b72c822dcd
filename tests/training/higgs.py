"""A generated data set with the shape of HIGGS: 28 float columns, of which 7 are derived."""

import concurrent.futures

import numpy as np
import pandas as pd
from xgboost.collective import CommunicatorContext
from xgboost.tracker import RabitTracker

from toytip.training.boosting import boost
from toytip.training.local import load_rows, training_labels
from toytip.training.objective import LabelStats
from toytip.training.spec import boost_config, merge_labels

FEATURES = [f"column_{number}" for number in range(28)]


def make_higgs(rows, seed=0):
    """Return features, a label, a target for regression, weights, and IDs."""
    rng = np.random.default_rng(seed)
    low = rng.normal(size=(rows, 21))
    low[:, 3::4] = rng.exponential(size=low[:, 3::4].shape)
    low[:, 4::8] = rng.integers(0, 3, low[:, 4::8].shape)
    high = np.stack(
        [np.hypot(low[:, k], low[:, k + 7]) * (1 + low[:, 20 - k] ** 2) for k in range(7)], axis=1
    )
    values = np.concatenate([low, high], axis=1).astype(np.float32)
    signal = np.log(high).sum(axis=1) - low[:, :3].sum(axis=1) + low[:, 4] * low[:, 5]
    target = signal + rng.logistic(size=rows) * 2
    values[rng.random(values.shape) < 0.01] = np.nan
    return pd.DataFrame(values, columns=FEATURES).assign(
        label=target > np.median(target),
        target=target.astype(np.float32),
        weight=rng.integers(0, 8, rows) / 4,
        id=rng.permutation(rows),
    )


def train_on_ranks(rank_count):
    """Return a replacement of `train_in_process` that trains on ranks, which are threads."""

    def train(parts, validation_parts, spec, *, threads=1, checkpoint=None, on_round=None):
        shards = [parts[number::rank_count] or [parts[0][:0]] for number in range(rank_count)]
        rows = [load_rows(shard, spec, 1) for shard in shards]
        validation, validation_labels = [None] * rank_count, None
        if validation_parts is not None:
            shards = [validation_parts[number::rank_count] for number in range(rank_count)]
            validation = [load_rows(shard or [validation_parts[0][:0]], spec, 1) for shard in shards]
            stats = [LabelStats.of(shard.label, shard.weight) for shard in validation]
            validation_labels = merge_labels(stats)
        labels = merge_labels(training_labels(shard, spec) for shard in rows)
        config = boost_config(spec, labels, validation_labels, threads=1)
        tracker = RabitTracker(host_ip="127.0.0.1", n_workers=rank_count, sortby="task")
        tracker.start()

        def train_rank(number):
            with CommunicatorContext(**tracker.worker_args(), dmlc_task_id=str(number)):
                on_first = on_round if number == 0 else None
                return boost(
                    rows[number], validation[number], config, checkpoint=checkpoint, on_round=on_first
                )

        with concurrent.futures.ThreadPoolExecutor(rank_count) as pool:
            results = list(pool.map(train_rank, range(rank_count)))
        tracker.wait_for()
        return results[0]

    return train
