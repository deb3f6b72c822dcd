"""rank: one of the workers that train together: what it holds, and its rounds. `toytip.training.driver` says who has which rows."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import distributed
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb
from xgboost.dask import CommunicatorContext

from toytip.cluster import trim_memory
from toytip.training.boosting import LearningCurve, boost, build_matrix, checkpoint_bytes, model_bytes

# Every so many rounds a rank gives back memory that is free.
TRIM_INTERVAL_ROUNDS = 10
# A matrix is kept on the scratch disk where that has so many times the room: other ranks may want as much. It takes
# two bytes a code, and these a row.
SCRATCH_SPACE_FACTOR = 4
SCRATCH_ROW_BYTES = 12


class Checkpoints(Protocol):
    """Keeps what training should not lose; the ranks get a pickle of it."""

    @property
    def interval_rounds(self) -> int:
        """How many rounds it is from one checkpoint to the next."""

    def load(self) -> bytes | None:
        """Return the booster that was kept last; None where there is none."""

    def save(self, booster: bytes) -> None:
        """Keep a booster half-way, in place of the one before."""

    def save_scores(self, partition: int, probabilities: npt.NDArray[np.float32]) -> None:
        """Keep what the model says of the rows of a partition that it was trained on, in the order of the index."""


@dataclass(frozen=True, kw_only=True)
class RankConfig:
    """What a rank must know of it; its rounds are told under the `topic`, which no other training has."""

    params: dict[str, Any]
    rounds: int
    early_stopping_rounds: int
    threads: int
    checkpoint: bytes | None
    checkpoints: Checkpoints | None
    topic: str
    communicator: dict[str, Any] | None


class _Shard(NamedTuple):
    """What a rank holds while it trains.

    The matrices, the labels of the first, which partitions its rows are of, the order of the index of each; and the
    folder of what is on the scratch disk.
    """

    train: xgb.QuantileDMatrix
    label: npt.NDArray[np.bool_]
    validation: xgb.QuantileDMatrix | None
    partitions: Sequence[int]
    orders: list[npt.NDArray[np.uint32]]
    scratch: tempfile.TemporaryDirectory[str]


class TrainingResult(NamedTuple):
    """What a rank says when it is done: the losses by round and of how many rows; the first, the model's bytes and rounds."""

    booster: bytes
    rounds: int
    curve: LearningCurve
    rows: int


# On a worker: what its ranks hold, and which of them are training.
_SHARDS: dict[tuple[str, int], _Shard] = {}
_RANKS_IN_TRAINING: set[tuple[str, int]] = set()


def load_shard(
    token: str,
    rank: int,
    partitions: list[int],
    parts: list[pd.DataFrame],
    validation_parts: list[pd.DataFrame],
    bin_counts: tuple[int, ...],
    threads: int,
) -> tuple[int, int, bool]:
    """Hold a share of the rows as matrices, from then on.

    Return how many they are, how many have a high tip, and whether the scratch disk had room for the codes.

    `partitions` say which partitions `parts` are, where they are whole ones; `validation_parts` are parts of the validation rows.
    """
    scratch = tempfile.TemporaryDirectory(dir=distributed.get_worker().local_directory)
    folder, rows = Path(scratch.name), sum(map(len, parts))
    roomy = shutil.disk_usage(folder).free > SCRATCH_SPACE_FACTOR * rows * (
        2 * len(bin_counts) + SCRATCH_ROW_BYTES
    )
    train = build_matrix(
        [(_drop_label(part), None) for part in parts], bin_counts, threads, folder if roomy else None
    )
    valid = [(_drop_label(part), part["high_tip"].to_numpy(np.float32)) for part in validation_parts]
    label = np.concatenate([part["high_tip"].to_numpy() for part in parts])
    orders = [np.argsort(part.index.to_numpy()).astype(np.uint32) for part in parts]
    _SHARDS[token, rank] = _Shard(
        train, label, build_matrix(valid, bin_counts, threads) if valid else None, partitions,
        [_memory_map(order, folder / f"{k}.npy") for k, order in enumerate(orders)] if roomy else orders, scratch,
    )  # fmt: skip
    return rows, int(label.sum()), roomy


def _drop_label(part: pd.DataFrame) -> pd.DataFrame:
    return part.drop(columns="high_tip")


def _memory_map(values: npt.NDArray[Any], file: Path) -> npt.NDArray[Any]:
    """Keep an array in a file, and only there, until it is looked at."""
    np.save(file, values)
    return np.asarray(np.load(file, mmap_mode="r"))


def train_rank(token: str, rank: int, config: RankConfig) -> TrainingResult:
    """Train as one of the ranks."""
    _RANKS_IN_TRAINING.add((token, rank))
    try:
        return _train_shard(token, rank, config)
    finally:
        _RANKS_IN_TRAINING.discard((token, rank))


def is_training() -> bool:
    """Tell whether a rank of this worker is training."""
    return bool(_RANKS_IN_TRAINING)


def _train_shard(token: str, rank: int, config: RankConfig) -> TrainingResult:
    held, worker, keeper = _SHARDS[token, rank], distributed.get_worker(), config.checkpoints

    def seen(done: int, curve: LearningCurve, booster: xgb.Booster) -> None:
        if (
            done % TRIM_INTERVAL_ROUNDS == 1
        ):  # what the matrix was made of is free by the end of the first round
            trim_memory()
        if rank == 0:
            loss = curve.validation[-1] if curve.validation else None
            event = {"round": done, "log_loss": loss, "train_log_loss_before": curve.train[-1]}
            worker.log_event(config.topic, event)
            if keeper and done % keeper.interval_rounds == 0:
                keeper.save(checkpoint_bytes(booster, curve))

    with (
        _silence_stderr(),
        CommunicatorContext(**config.communicator) if config.communicator else contextlib.nullcontext(),
    ):
        booster, best = boost(
            held.train, held.label, held.validation, config.params, rounds=config.rounds, early_stopping_rounds=config.early_stopping_rounds,
            threads=config.threads, checkpoint=config.checkpoint, on_round=seen,
        )  # fmt: skip
    if keeper and held.partitions and best.round == booster.num_boosted_rounds():
        # The booster still has them: to ask is free, now.
        cuts = np.cumsum([len(order) for order in held.orders])[:-1]
        told = np.split(booster.predict(held.train), cuts)
        for part, order, chances in zip(held.partitions, held.orders, told, strict=True):
            keeper.save_scores(part, chances[order])
    curve = LearningCurve.from_booster(booster)
    return TrainingResult(
        model_bytes(booster, best.round) if rank == 0 else b"", best.round, curve, len(held.label)
    )


def release_shard(token: str) -> None:
    """Let go of what this worker's ranks hold."""
    for key in [key for key in _SHARDS if key[0] == token]:
        scratch = _SHARDS.pop(key).scratch
        scratch.cleanup()


@contextlib.contextmanager
def _silence_stderr() -> Iterator[None]:
    """Keep XGBoost's own lines about ranks, which no verbosity turns off, out of the progress display."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
