"""Boosting rounds on one rank, with gradient sums that are exact in any order of the rows.

A rank is a process that trains. Each rank holds some of the rows as a matrix of bin indices. If
there are several ranks, XGBoost adds up their gradient histograms (allreduce).
`toytip.training.driver` assigns the rows to ranks.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import xgboost as xgb
from xgboost.core import _LIB, _check_call

from toytip.core.arrays import BoolArray, Float32Array
from toytip.core.jsonable import dump_json

GRADIENT_STEP = np.float32(2**-22)
# Gradients are computed for this many rows at a time, so that they fit into the cache of a core.
BLOCK_ROWS = 2**16
# Each rank computes the training loss on a sample of about this many rows. The loss on all rows
# would cost one logarithm per row and round.
LOSS_SAMPLE_ROWS = 2**15
# A matrix in a cache folder consists of pages. Threads wait for each other at the end of a page, so
# training on small pages is slow.
MIN_PAGE_ROWS = 500_000
BEST_ROUND_ATTRIBUTE, BEST_LOSS_ATTRIBUTE, CURVE_ATTRIBUTE = "best_round", "best_loss", "curve"
# Parameters whose name in XGBoost differs from the name of the setting.
XGBOOST_NAMES = {"learning_rate": "eta"}

# A frame of bin indices, and the labels of its rows (0 or 1) if the matrix is for evaluation.
MatrixPart = tuple[pd.DataFrame, Float32Array | None]


class BestRound(NamedTuple):
    """The number of the round with the lowest validation loss so far (from 1), and this loss."""

    round: int
    loss: float

    @classmethod
    def from_booster(cls, booster: xgb.Booster) -> BestRound:
        """Read the values from the booster of a checkpoint."""
        best_round = int(booster.attr(BEST_ROUND_ATTRIBUTE) or 0)
        return cls(best_round, float(booster.attr(BEST_LOSS_ATTRIBUTE) or "inf"))

    def save_to(self, booster: xgb.Booster) -> None:
        """Store the values as attributes of a booster."""
        booster.set_attr(**{BEST_ROUND_ATTRIBUTE: str(self.round), BEST_LOSS_ATTRIBUTE: repr(self.loss)})


@dataclass(frozen=True)
class LearningCurve:
    """The log loss per round, on the validation rows and on a sample of the training rows.

    The validation loss is measured after each round, and the training loss before each round.
    """

    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)

    @classmethod
    def from_booster(cls, booster: xgb.Booster) -> Self:
        """Read the curve from a finished booster, or from the booster of a checkpoint."""
        return cls(**json.loads(booster.attr(CURVE_ATTRIBUTE) or "{}"))

    def save_to(self, booster: xgb.Booster) -> None:
        """Store the curve as an attribute of a booster."""
        booster.set_attr(**{CURVE_ATTRIBUTE: dump_json(asdict(self))})


# A function that is called after each round with the number of the round (from 1), the losses so
# far, and the booster.
RoundCallback = Callable[[int, LearningCurve, xgb.Booster], None]


def boost(
    train: xgb.QuantileDMatrix,
    label: BoolArray,
    validation: xgb.QuantileDMatrix | None,
    params: dict[str, Any],
    *,
    rounds: int,
    early_stopping_rounds: int = 0,
    threads: int = 1,
    checkpoint: bytes | None = None,
    on_round: RoundCallback | None = None,
) -> tuple[xgb.Booster, BestRound]:
    """Train up to `rounds` rounds.

    Training stops after `early_stopping_rounds` rounds without a lower validation loss (0: never).
    With a `checkpoint`, training resumes after the rounds of the checkpoint, and the model is the
    same as without an interruption.

    Returns the booster with all of its rounds, and the best round. Without early stopping, the best
    round is the last round.
    """
    booster = xgb.Booster(
        {**params, "nthread": threads},
        [train] if validation is None else [train, validation],
        model_file=bytearray(checkpoint) if checkpoint else None,
    )
    objective, curve = ExactLogistic(label), LearningCurve.from_booster(booster)
    best = BestRound.from_booster(booster)
    stops_early = validation is not None and early_stopping_rounds > 0
    for number in range(booster.num_boosted_rounds() + 1, rounds + 1):
        if stops_early and best.round and number - best.round > early_stopping_rounds:
            break
        _boost_round(booster, number, train, objective, curve)
        loss = None if validation is None else _validation_loss(booster, number, validation, curve)
        if not stops_early or (loss is not None and loss < best.loss):
            best = BestRound(number, best.loss if loss is None else loss)
            best.save_to(booster)
        if on_round is not None:
            on_round(number, curve, booster)
    curve.save_to(booster)
    return booster, best


def _boost_round(
    booster: xgb.Booster,
    number: int,
    train: xgb.QuantileDMatrix,
    objective: ExactLogistic,
    curve: LearningCurve,
) -> None:
    """Add one tree to the booster, and the training loss before this tree to the curve."""
    margins = _predict_margins(booster, train)
    curve.train.append(round(objective.sampled_log_loss(margins), 6))
    gradient, hessian = objective(margins)
    booster.boost(train, number - 1, grad=gradient, hess=hessian)


def _validation_loss(
    booster: xgb.Booster, number: int, validation: xgb.QuantileDMatrix, curve: LearningCurve
) -> float:
    """Return the validation loss after a round, and add it to the curve."""
    loss = float(booster.eval(validation, "validation", number - 1).rpartition(":")[2])
    curve.validation.append(loss)
    return loss


def checkpoint_bytes(booster: xgb.Booster, curve: LearningCurve) -> bytes:
    """Serialize a booster during training, for `boost(checkpoint=...)`."""
    curve.save_to(booster)
    return bytes(booster.save_raw("ubj"))


def model_bytes(booster: xgb.Booster, rounds: int) -> bytes:
    """Serialize the first rounds of a booster, without the attributes that training added."""
    model = booster[:rounds]
    model.set_attr(**dict.fromkeys(model.attributes()))
    return bytes(model.save_raw("ubj"))


def xgboost_params(params: dict[str, Any], max_bin: int, positive_share: float) -> dict[str, Any]:
    """Return XGBoost's parameters. `positive_share` is the share of high tips in training rows."""
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        **{XGBOOST_NAMES.get(name, name): value for name, value in params.items()},
        "max_bin": max_bin,
        # A fixed value: XGBoost's own estimate could depend on the number of workers.
        "base_score": positive_share,
        "verbosity": 0,
        "seed": 0,
    }


def max_bin(bin_counts: Sequence[int]) -> int:
    """Return XGBoost's `max_bin` for columns with these numbers of bin indices."""
    return max(*bin_counts, 2)


def build_matrix(
    parts: Sequence[MatrixPart],
    bin_counts: Sequence[int],
    threads: int,
    cache_folder: Path | None = None,
) -> xgb.QuantileDMatrix:
    """Return XGBoost's matrix for the parts. Column k has `bin_counts[k]` different bin indices.

    A reference matrix that contains all bin indices defines the bins. Each index is a bin of its
    own, so XGBoost needs no quantile sketch of the rows. The parts are frames because XGBoost reads
    a frame column by column, in three quarters of the time that an array takes. With a
    `cache_folder`, the matrix is stored in this folder and mapped into memory on use. The trees are
    the same with and without a cache folder.
    """
    most_bins = max_bin(bin_counts)
    all_bins = {
        name: (np.arange(most_bins) % count).astype(np.uint16)
        for name, count in zip(parts[0][0].columns, bin_counts, strict=True)
    }
    reference = xgb.QuantileDMatrix(pd.DataFrame(all_bins), max_bin=most_bins, nthread=threads)
    matrix = xgb.ExtMemQuantileDMatrix if cache_folder else xgb.QuantileDMatrix
    non_empty = [part for part in parts if len(part[0])] or parts
    batches = batch_parts(non_empty, MIN_PAGE_ROWS) if cache_folder else [[part] for part in non_empty]
    return matrix(_PartIterator(batches, cache_folder), max_bin=most_bins, nthread=threads, ref=reference)


def batch_parts(parts: Sequence[MatrixPart], min_rows: int) -> list[list[MatrixPart]]:
    """Group consecutive parts into batches of at least `min_rows` rows.

    The last batch can be smaller.
    """
    batches: list[list[MatrixPart]] = []
    rows = min_rows
    for part in parts:
        if rows >= min_rows:
            batches.append([])
            rows = 0
        batches[-1].append(part)
        rows += len(part[0])
    return batches


class _PartIterator(xgb.DataIter):  # type: ignore[misc]
    """Passes batches of parts to XGBoost one at a time, so that they are never all concatenated."""

    def __init__(self, batches: Sequence[Sequence[MatrixPart]], cache_folder: Path | None = None) -> None:
        self._batches, self._next_index = batches, 0
        super().__init__(cache_prefix=str(cache_folder / "bins") if cache_folder else None, release_data=True)

    def next(self, input_data: Callable[..., Any]) -> bool:
        if self._next_index == len(self._batches):
            return False
        bins, labels = zip(*self._batches[self._next_index], strict=True)
        self._next_index += 1
        is_single = len(bins) == 1
        input_data(
            data=bins[0] if is_single else pd.concat(bins),
            label=None if labels[0] is None else np.concatenate(labels),
        )
        return True

    def reset(self) -> None:
        self._next_index = 0


class ExactLogistic:
    """Gradient and hessian of the logistic loss, as multiples of 2^-22.

    XGBoost adds up these values in float64. The sum of two billion such values below 1 is exact, in
    any order. The sums, and therefore the trees, do not depend on how the rows are distributed over
    ranks. Between 2 and 4, the distance between adjacent float32 values is 2^-22. Rounding changes
    a single value by at most 2^-23, except that a hessian below 2^-22 becomes 2^-22.
    """

    def __init__(self, label: BoolArray) -> None:
        self._label = label
        self._hessian = np.empty(len(label), np.float32)
        self._step = max(len(label) // LOSS_SAMPLE_ROWS, 1)

    def __call__(self, margin: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return gradient and hessian for the margins of the rows.

        The gradient overwrites the array `margin`. The next call overwrites the returned hessian.
        """
        for start in range(0, len(margin), BLOCK_ROWS):
            self._compute_block(margin, start)
        return margin, self._hessian

    def sampled_log_loss(self, margin: Float32Array) -> float:
        """Return the mean log loss on a sample of the rows (every n-th row)."""
        sample = margin[:: self._step]
        if not len(sample):
            return 0.0
        signed = np.where(self._label[:: self._step], -sample, sample)
        # The softplus, in a form that does not overflow and that NumPy vectorizes.
        losses = np.log1p(np.exp(-np.abs(signed))) + np.maximum(signed, 0)
        return float(losses.mean(dtype=np.float64))

    def _compute_block(self, margin: Float32Array, start: int) -> None:
        rows = slice(start, start + BLOCK_ROWS)
        gradient, hessian = margin[rows], self._hessian[rows]
        with np.errstate(over="ignore"):  # after an overflow the probability is 0, which is correct
            np.exp(np.negative(gradient, out=gradient), out=gradient)
        gradient += np.float32(1)
        probability = np.reciprocal(gradient, out=gradient)
        np.subtract(np.float32(1), probability, out=hessian)
        hessian *= probability
        gradient -= self._label[rows]
        # Between 2 and 4, every float32 is a multiple of GRADIENT_STEP.
        gradient += np.float32(3)
        gradient -= np.float32(3)
        hessian += np.float32(3)
        hessian -= np.float32(3)
        np.maximum(hessian, GRADIENT_STEP, out=hessian)


_MARGIN_OPTIONS = {
    "type": 1,
    "training": True,
    "iteration_begin": 0,
    "iteration_end": 0,
    "strict_shape": False,
}


def _predict_margins(booster: xgb.Booster, matrix: xgb.DMatrix) -> Float32Array:
    """Return `booster.predict(matrix, output_margin=True, training=True)` without a copy.

    The result is XGBoost's own array. Callers may overwrite this array, which is valid until the
    next prediction. The copy that `predict` makes would take four more bytes per row.
    """
    shape, dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
    margins = ctypes.POINTER(ctypes.c_float)()
    _check_call(
        _LIB.XGBoosterPredictFromDMatrix(
            booster.handle,
            matrix.handle,
            dump_json(_MARGIN_OPTIONS).encode(),
            ctypes.byref(shape),
            ctypes.byref(dimensions),
            ctypes.byref(margins),
        )
    )
    rows = matrix.num_row()
    # Without rows, the pointer is null.
    return np.ctypeslib.as_array(margins, shape=(rows,)) if rows else np.empty(0, np.float32)
