"""Train a booster on lazy frames of bin indices, and report its rounds.

This module does not import scikit-learn, whose import takes as long as the other imports of a
training together.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import dask.dataframe as dd
import distributed

from toytip.core.parameters import BoosterParams
from toytip.training.driver import TrainingJob, train_with_retries
from toytip.training.rank import Checkpoints, RoundEvent, TrainingResult

_TREE_PARAMS = ("max_depth", "learning_rate", "min_child_weight", "reg_lambda", "gamma")


def fit_booster(
    data: dd.DataFrame,
    validation: dd.DataFrame | None,
    params: BoosterParams,
    *,
    bin_counts: Sequence[int],
    rows: Sequence[int] | None = None,
    checkpoints: Checkpoints | None = None,
    on_round: Callable[[RoundEvent], None] | None = None,
) -> TrainingResult:
    """Train on lazy frames of bin indices, with the label as the last column.

    `validation` is the data for early stopping. `rows` has the number of rows per partition of
    `data`, or is None if unknown. If a worker is lost, training resumes from the latest checkpoint
    in `checkpoints`. Raises ClusterError after three failed attempts.
    """
    client = distributed.get_client()
    # Each training has its own topic, because other runs may train on the same scheduler.
    topic = f"toytip-round-{secrets.token_hex(8)}"
    values = asdict(params)
    job = TrainingJob(
        data=data,
        validation=validation,
        rows=rows,
        bin_counts=tuple(bin_counts),
        rounds=params.rounds,
        early_stopping_rounds=params.early_stopping_rounds,
        params={name: values[name] for name in _TREE_PARAMS},
        checkpoints=checkpoints,
        topic=topic,
    )
    with _report_rounds(client, topic, on_round):
        return train_with_retries(client, job)


@contextlib.contextmanager
def _report_rounds(client: Any, topic: str, on_round: Callable[[RoundEvent], None] | None) -> Iterator[None]:
    """Call `on_round` for each round that is reported under a topic."""
    if on_round is None:
        yield
        return
    client.subscribe_topic(topic, lambda event: on_round(RoundEvent.from_message(event[1])))
    try:
        yield
    finally:
        client.unsubscribe_topic(topic)
