"""Train a booster on delayed frames of bin indices, and report its rounds.

This module does not import scikit-learn, whose import takes as long as the other imports of a
training together.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import distributed

from toytip.training.driver import TrainingJob, train_with_retries
from toytip.training.rank import Checkpoints, RoundEvent, TrainingResult
from toytip.training.spec import TrainingSpec


def fit_booster(
    data: Sequence[Any],
    validation: Sequence[Any] | None,
    spec: TrainingSpec,
    *,
    rows: Sequence[int] | None = None,
    checkpoints: Checkpoints | None = None,
    on_round: Callable[[RoundEvent], None] | None = None,
) -> TrainingResult:
    """Train on delayed frames of bin indices, with the columns of `toytip.core.columns`.

    Each item of `data` is a partition, and so is each item of `validation`, the rows for early
    stopping. `rows` has the number of rows per partition of `data`, or is None if unknown. If a
    worker is lost, training resumes from the latest checkpoint in `checkpoints`. Raises
    ClusterError after three failed attempts.
    """
    client = distributed.get_client()
    # Each training has its own topic, because other runs may train on the same scheduler.
    topic = f"toytip-round-{secrets.token_hex(8)}"
    job = TrainingJob(
        data=data,
        validation=validation,
        rows=rows,
        spec=spec,
        checkpoints=checkpoints,
        topic=topic,
    )
    with _report_rounds(client, topic, on_round):
        return train_with_retries(client, job)


@contextlib.contextmanager
def _report_rounds(client: Any, topic: str, on_round: Callable[[RoundEvent], None] | None) -> Iterator[None]:
    """Call `on_round` for each round that is reported under a topic.

    Dask calls it in another thread. If it raises an error, this error is raised after the training.
    """
    if on_round is None:
        yield
        return
    errors: list[Exception] = []

    def report(event: Any) -> None:
        try:
            if not errors:
                on_round(RoundEvent.from_message(event[1]))
        except Exception as error:  # noqa: BLE001 - any error of the function of the user
            errors.append(error)

    client.subscribe_topic(topic, report)
    try:
        yield
    finally:
        client.unsubscribe_topic(topic)
    if errors:
        raise errors[0]
