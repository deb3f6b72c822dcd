"""A rank, which is one of the workers that train together: its shard of rows, and its rounds.

`toytip.training.driver` assigns the rows to ranks.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import distributed
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb
from xgboost.dask import CommunicatorContext

from toytip.cluster import Rank, trim_memory
from toytip.training.boosting import (
    BoostConfig,
    LearningCurve,
    RoundCallback,
    boost,
    checkpoint_bytes,
    model_bytes,
)
from toytip.training.local import load_rows, training_labels
from toytip.training.memory import fits_in_memory
from toytip.training.objective import LabelStats
from toytip.training.process import training_process
from toytip.training.rows import TrainingRows
from toytip.training.spec import TrainingSpec

# A matrix is stored in the local directory only if the free space there is more than this many
# times the size of the matrix, because Dask and other programs may need the same space.
SCRATCH_SPACE_FACTOR = 4
SCRATCH_BYTES_PER_BIN_INDEX = 2


class Checkpoints(Protocol):
    """Stores the progress of a training. The ranks get a pickled copy of this object."""

    @property
    def interval_rounds(self) -> int:
        """The number of rounds between two checkpoints."""

    def load(self) -> bytes | None:
        """Return the latest checkpoint, or None if there is none."""

    def save(self, checkpoint: bytes) -> None:
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

    boost: BoostConfig
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


class BinStorage(Enum):
    """Where a rank stores its bin indices."""

    MEMORY = "memory"
    LOCAL_DIRECTORY = "local directory"
    MEMORY_WITHOUT_SPACE = "memory, because the local directory does not have enough space"


class ShardSummary(NamedTuple):
    """Facts about the rows of a rank, and where their bin indices are stored."""

    labels: LabelStats
    """Labels and weights of the training rows."""
    validation_labels: LabelStats | None
    storage: BinStorage


class TrainingResult(NamedTuple):
    """The result of a rank. Only the first rank has the bytes of the model."""

    booster: bytes
    rounds: int
    curve: LearningCurve
    rows: int


class _Shard(NamedTuple):
    """The data of a rank during training."""

    train: TrainingRows
    validation: TrainingRows | None
    partitions: Sequence[int]
    """The numbers of the partitions in the shard."""
    positions: list[npt.NDArray[np.uint32]]
    """For each partition, the positions of its rows before sorting."""
    scratch: tempfile.TemporaryDirectory[str]


# The shards of this worker by rank, and the ranks that are training on this worker now.
_SHARDS: dict[RankId, _Shard] = {}
_TRAINING_RANKS: set[RankId] = set()


def load_shard(
    rank: RankId,
    partitions: list[int],
    parts: list[pd.DataFrame],
    validation_parts: list[pd.DataFrame] | None,
    spec: TrainingSpec,
    resources: Rank,
) -> ShardSummary:
    """Build the matrices of a rank's rows, and keep them until `release_shard` is called.

    `partitions` has the partition numbers of `parts`. `validation_parts` is None for a training
    without validation, and empty if all validation rows are on other ranks.
    """
    scratch = tempfile.TemporaryDirectory(dir=distributed.get_worker().local_directory)
    folder, rows, threads = Path(scratch.name), sum(map(len, parts)), resources.threads
    free_bytes = shutil.disk_usage(folder).free
    storage = choose_storage(rows, len(spec.bin_counts), resources.pooled_memory, free_bytes)
    cache_folder = folder if storage is BinStorage.LOCAL_DIRECTORY else None
    with training_process(threads):
        train = TrainingRows.of(
            parts, spec.bin_counts, threads, cache_folder=cache_folder, missing_bin=spec.missing_bin
        )
        validation = None
        if validation_parts is not None:
            validation = load_rows(validation_parts or [parts[0].iloc[:0]], spec, threads)
    _SHARDS[rank] = _Shard(
        train=train,
        validation=validation,
        partitions=partitions,
        positions=[part.index.to_numpy() for part in parts],
        scratch=scratch,
    )
    validation_labels = None if validation is None else LabelStats.of(validation.label, validation.weight)
    return ShardSummary(training_labels(train, spec), validation_labels, storage)


def choose_storage(rows: int, features: int, memory: int, free_disk_bytes: int) -> BinStorage:
    """Return where a rank stores its bin indices, given its memory and the free disk space."""
    if fits_in_memory(rows, features, memory):
        return BinStorage.MEMORY
    matrix_bytes = rows * features * SCRATCH_BYTES_PER_BIN_INDEX
    if free_disk_bytes > SCRATCH_SPACE_FACTOR * matrix_bytes:
        return BinStorage.LOCAL_DIRECTORY
    return BinStorage.MEMORY_WITHOUT_SPACE


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
        training_process(config.boost.threads),
        _connect(communicator) if communicator else contextlib.nullcontext(),
    ):
        booster, best = boost(
            shard.train,
            shard.validation,
            config.boost,
            checkpoint=config.checkpoint,
            on_round=_round_callback(rank, config),
        )
    if config.checkpoints and best.round == booster.num_boosted_rounds():
        _save_training_scores(shard, booster, config.checkpoints)
    curve = LearningCurve.from_booster(booster)
    model = model_bytes(booster, best.round) if rank.number == 0 else b""
    return TrainingResult(model, best.round, curve, len(shard.train.label))


def _round_callback(rank: RankId, config: RankConfig) -> RoundCallback:
    """Return a function that trims memory after the first round.

    On the first rank, the function also reports and saves progress.
    """
    worker, checkpoints = distributed.get_worker(), config.checkpoints
    is_first = itertools.chain([True], itertools.repeat(False))

    def finish_round(number: int, curve: LearningCurve, booster: xgb.Booster) -> None:
        if next(is_first):  # the input of the matrix is no longer needed
            trim_memory()
        if rank.number == 0:
            loss = curve.validation[-1] if curve.validation else None
            worker.log_event(config.topic, RoundEvent(number, loss, curve.train[-1])._asdict())
            if checkpoints and number % checkpoints.interval_rounds == 0:
                checkpoints.save(checkpoint_bytes(booster, curve))

    return finish_round


def _save_training_scores(shard: _Shard, booster: xgb.Booster, checkpoints: Checkpoints) -> None:
    """Store the probabilities of the training rows. The booster still has them in its cache."""
    ends = np.cumsum([len(positions) for positions in shard.positions])[:-1]
    parts = np.split(booster.predict(shard.train.matrix), ends)
    for partition, positions, probabilities in zip(shard.partitions, shard.positions, parts, strict=True):
        checkpoints.save_scores(partition, probabilities[np.argsort(positions)])


@contextlib.contextmanager
def _connect(communicator: dict[str, Any]) -> Iterator[None]:
    """Connect to the other ranks."""
    with _STDERR.silenced(), CommunicatorContext(**communicator):
        yield


class _Stderr:
    """Discards XGBoost's messages about ranks, which no verbosity level disables.

    All threads of a process have the same stderr, and several of them can be ranks.
    """

    def __init__(self) -> None:
        self._lock, self._ranks, self._stderr = threading.Lock(), 0, -1

    @contextlib.contextmanager
    def silenced(self) -> Iterator[None]:
        with self._lock:
            if not self._ranks:
                self._stderr = os.dup(2)
                with Path(os.devnull).open("wb") as null:
                    os.dup2(null.fileno(), 2)
            self._ranks += 1
        try:
            yield
        finally:
            with self._lock:
                self._ranks -= 1
                if not self._ranks:
                    os.dup2(self._stderr, 2)
                    os.close(self._stderr)


_STDERR = _Stderr()
