"""A rank, which is one of the workers that train together: its shard of rows, and its rounds.

`toytip.training.driver` assigns the rows to ranks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import distributed
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb
from xgboost.dask import CommunicatorContext

from toytip.cluster import trim_memory
from toytip.training.boosting import (
    LearningCurve,
    RoundCallback,
    boost,
    build_matrix,
    checkpoint_bytes,
    model_bytes,
)

TRIM_INTERVAL_ROUNDS = 10
# A matrix is stored in the local directory if the free space there is more than this many times the
# size of the matrix, because other ranks on the host may need the same space.
SCRATCH_SPACE_FACTOR = 4
SCRATCH_BYTES_PER_BIN_INDEX = 2
SCRATCH_BYTES_PER_ROW = 12


class Checkpoints(Protocol):
    """Stores the progress of a training. The ranks get a pickled copy of this object."""

    @property
    def interval_rounds(self) -> int:
        """The number of rounds between two checkpoints."""

    def load(self) -> bytes | None:
        """Return the booster of the latest checkpoint, or None if there is none."""

    def save(self, booster: bytes) -> None:
        """Replace the checkpoint."""

    def save_scores(self, partition: int, probabilities: npt.NDArray[np.float32]) -> None:
        """Store the probabilities of a partition's training rows, in the order of the index."""


@dataclass(frozen=True)
class RankId:
    """A rank: the token of its training, and its number."""

    token: str
    number: int


@dataclass(frozen=True, kw_only=True)
class RankConfig:
    """The configuration of a rank. The rank reports rounds under the `topic` of this training."""

    params: dict[str, Any]
    """XGBoost's parameters."""
    rounds: int
    early_stopping_rounds: int
    threads: int
    checkpoint: bytes | None
    """The booster from which training resumes."""
    checkpoints: Checkpoints | None
    topic: str
    communicator: dict[str, Any] | None
    """The arguments of XGBoost's communicator, or None for a single rank."""


class RoundEvent(NamedTuple):
    """A finished round, the validation loss after the round, and the training loss before it."""

    round: int
    validation_loss: float | None
    previous_train_loss: float

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        """Return the event in a message.

        The scheduler has added the worker's address to the message.
        """
        return cls(**{name: message[name] for name in cls._fields})


class ShardSummary(NamedTuple):
    """The number of rows, the number of high tips, and whether the matrix is on disk."""

    rows: int
    positives: int
    is_on_disk: bool


class TrainingResult(NamedTuple):
    """The result of a rank. Only the first rank has the bytes of the model."""

    booster: bytes
    rounds: int
    curve: LearningCurve
    rows: int


class _Shard(NamedTuple):
    """The data of a rank during training."""

    train: xgb.QuantileDMatrix
    label: npt.NDArray[np.bool_]
    validation: xgb.QuantileDMatrix | None
    partitions: Sequence[int]
    """The numbers of the partitions in the shard. Empty if partitions were split over the ranks."""
    orders: list[npt.NDArray[np.uint32]]
    """For each partition, the order of rows that sorts its index."""
    scratch: tempfile.TemporaryDirectory[str]


# The shards of this worker by rank, and the ranks that are training on this worker now.
_SHARDS: dict[RankId, _Shard] = {}
_TRAINING_RANKS: set[RankId] = set()


def load_shard(
    rank: RankId,
    partitions: list[int],
    parts: list[pd.DataFrame],
    validation_parts: list[pd.DataFrame],
    bin_counts: tuple[int, ...],
    threads: int,
) -> ShardSummary:
    """Build the matrices of a rank's rows, and keep them until `release_shard` is called.

    `partitions` has the partition numbers of `parts`. The list is empty if the parts are not
    complete partitions.
    """
    scratch = tempfile.TemporaryDirectory(dir=distributed.get_worker().local_directory)
    folder, rows = Path(scratch.name), sum(map(len, parts))
    has_space = _has_scratch_space(folder, rows, len(bin_counts))
    train_parts = [(_drop_label(part), None) for part in parts]
    validation = [(_drop_label(part), part["high_tip"].to_numpy(np.float32)) for part in validation_parts]
    label = np.concatenate([part["high_tip"].to_numpy() for part in parts])
    orders = [np.argsort(part.index.to_numpy()).astype(np.uint32) for part in parts]
    if has_space:
        orders = [_memory_map(order, folder / f"{index}.npy") for index, order in enumerate(orders)]
    _SHARDS[rank] = _Shard(
        train=build_matrix(train_parts, bin_counts, threads, folder if has_space else None),
        label=label,
        validation=build_matrix(validation, bin_counts, threads) if validation else None,
        partitions=partitions,
        orders=orders,
        scratch=scratch,
    )
    return ShardSummary(rows, int(label.sum()), has_space)


def _has_scratch_space(folder: Path, rows: int, columns: int) -> bool:
    bytes_per_row = SCRATCH_BYTES_PER_BIN_INDEX * columns + SCRATCH_BYTES_PER_ROW
    return shutil.disk_usage(folder).free > SCRATCH_SPACE_FACTOR * rows * bytes_per_row


def _drop_label(part: pd.DataFrame) -> pd.DataFrame:
    return part.drop(columns="high_tip")


def _memory_map(values: npt.NDArray[Any], file: Path) -> npt.NDArray[Any]:
    """Move an array to a file that is mapped into memory, and read on use."""
    np.save(file, values)
    return np.asarray(np.load(file, mmap_mode="r"))


def train_rank(rank: RankId, config: RankConfig) -> TrainingResult:
    """Train as one of the ranks."""
    _TRAINING_RANKS.add(rank)
    try:
        return _train_shard(rank, config)
    finally:
        _TRAINING_RANKS.discard(rank)


def is_training() -> bool:
    """Return whether a rank is training on this worker now."""
    return bool(_TRAINING_RANKS)


def release_shard(token: str) -> None:
    """Release the data of this worker's ranks in a training."""
    for rank in [rank for rank in _SHARDS if rank.token == token]:
        _SHARDS.pop(rank).scratch.cleanup()


def _train_shard(rank: RankId, config: RankConfig) -> TrainingResult:
    shard = _SHARDS[rank]
    communicator = config.communicator
    with (
        _silence_stderr(),
        CommunicatorContext(**communicator) if communicator else contextlib.nullcontext(),
    ):
        booster, best = boost(
            shard.train,
            shard.label,
            shard.validation,
            config.params,
            rounds=config.rounds,
            early_stopping_rounds=config.early_stopping_rounds,
            threads=config.threads,
            checkpoint=config.checkpoint,
            on_round=_round_callback(rank, config),
        )
    if config.checkpoints and best.round == booster.num_boosted_rounds():
        _save_training_scores(shard, booster, config.checkpoints)
    curve = LearningCurve.from_booster(booster)
    model = model_bytes(booster, best.round) if rank.number == 0 else b""
    return TrainingResult(model, best.round, curve, len(shard.label))


def _round_callback(rank: RankId, config: RankConfig) -> RoundCallback:
    """Return a function that trims memory.

    On the first rank, the function also reports and saves progress.
    """
    worker, checkpoints = distributed.get_worker(), config.checkpoints

    def finish_round(number: int, curve: LearningCurve, booster: xgb.Booster) -> None:
        # After the first round, the input of the matrix is no longer needed.
        if number % TRIM_INTERVAL_ROUNDS == 1:
            trim_memory()
        if rank.number == 0:
            loss = curve.validation[-1] if curve.validation else None
            worker.log_event(config.topic, RoundEvent(number, loss, curve.train[-1])._asdict())
            if checkpoints and number % checkpoints.interval_rounds == 0:
                checkpoints.save(checkpoint_bytes(booster, curve))

    return finish_round


def _save_training_scores(shard: _Shard, booster: xgb.Booster, checkpoints: Checkpoints) -> None:
    """Store the probabilities of the training rows. The booster still has them in its cache."""
    if not shard.partitions:
        return
    ends = np.cumsum([len(order) for order in shard.orders])[:-1]
    parts = np.split(booster.predict(shard.train), ends)
    for partition, order, probabilities in zip(shard.partitions, shard.orders, parts, strict=True):
        checkpoints.save_scores(partition, probabilities[order])


@contextlib.contextmanager
def _silence_stderr() -> Iterator[None]:
    """Discard XGBoost's messages about ranks, which no verbosity level disables."""
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)
