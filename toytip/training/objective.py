"""Gradients, hessians and losses whose sums are exact in any order of the rows.

XGBoost adds up gradients in float64. A sum of multiples of a power of two, the step, is exact as
long as it is less than 2^53 steps. All values are therefore rounded to multiples of a step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from toytip.core.arrays import BoolArray, Float32Array
from toytip.errors import ConfigError
from toytip.training.exact_sums import UNITS_PER_ONE, exact_sum, next_power_of_two, to_fraction
from toytip.training.sampling import RowSampler

# A value is rounded to a multiple of its scale times this step. Between 2 and 4, the distance
# between adjacent float32 values is 2^-22, so that adding and subtracting 3 rounds a value below 1.
RELATIVE_STEP = np.float32(2**-22)
# A sum of more than this many values below the scale could be rounded.
MAX_EXACT_ROWS = 2**31
# Other weights, and larger or smaller sums of squared gradients, could be 0 or infinite in float32.
SMALLEST_MAX_WEIGHT, LARGEST_MAX_WEIGHT = 2.0**-60, 2.0**60
SMALLEST_SQUARES, LARGEST_SQUARES = 2.0**-100, 2.0**120
# Gradients of the squared error can exceed the largest gradient of the first round by this factor.
GRADIENT_HEADROOM = 8
# Losses are rounded to multiples of their scale times this step, the step of float32 below 1.
LOSS_STEP = np.float32(2**-24)
# Gradients are computed for this many rows at a time, so that they fit into the cache of a core.
BLOCK_ROWS = 2**16
# Each rank computes the training loss on a sample of about this many rows. The loss on all rows
# would cost one logarithm per row and round.
LOSS_SAMPLE_ROWS = 2**15


class Loss(Enum):
    """A loss, under the name of XGBoost's objective."""

    LOGISTIC = "binary:logistic"
    SQUARED_ERROR = "reg:squarederror"


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """The loss of a training, and the scales of its values, which are the same on all ranks."""

    loss: Loss = Loss.LOGISTIC
    gradient_scale: float = 1.0
    """A power of two that is at least the largest gradient of the first round."""
    weight_scale: float = 1.0
    """A power of two that is at least the largest weight."""
    positive_weight: float = 1.0
    """Factor of the weights of positive rows."""
    subsample: float = 1.0
    """Share of the rows that a round uses."""
    seed: int = 0


class LabelStats(NamedTuple):
    """Exact facts about the labels and weights of rows. Sums are in units of 2^-149."""

    rows: int
    weight_sum: int
    label_sum: int
    """The sum of the labels, multiplied by their weights."""
    lowest: float
    highest: float
    max_weight: float

    @classmethod
    def of(cls, label: npt.NDArray[Any], weight: Float32Array | None) -> LabelStats:
        """Compute the facts about rows. The product of a label and a weight is a float32.

        Raises ConfigError if such a product is too large.
        """
        if label.dtype == bool and weight is None:  # without copies of the label as floats
            weighted, lowest, highest = int(label.sum()) * UNITS_PER_ONE, 0.0, 1.0
        else:
            values = label.astype(np.float32)
            with np.errstate(over="ignore"):
                products = values if weight is None else values * weight
            if not np.isfinite(products).all():
                raise ConfigError("cannot train exactly: the product of a label and a weight is too large")
            weighted = exact_sum(products)
            lowest, highest = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
        return cls(
            rows=len(label),
            weight_sum=len(label) * UNITS_PER_ONE if weight is None else exact_sum(weight),
            label_sum=weighted,
            lowest=lowest,
            highest=highest,
            max_weight=1.0 if weight is None else float(weight.max(initial=0)),
        )

    def merge(self, other: LabelStats) -> LabelStats:
        """Return the facts about both sets of rows."""
        return LabelStats(
            rows=self.rows + other.rows,
            weight_sum=self.weight_sum + other.weight_sum,
            label_sum=self.label_sum + other.label_sum,
            lowest=min(self.lowest, other.lowest),
            highest=max(self.highest, other.highest),
            max_weight=max(self.max_weight, other.max_weight),
        )

    @property
    def total_weight(self) -> float:
        """The sum of the weights."""
        return float(to_fraction(self.weight_sum))

    @property
    def mean(self) -> float:
        """The weighted mean of the labels."""
        return float(to_fraction(self.label_sum) / to_fraction(self.weight_sum))


def row_weights(
    label: npt.NDArray[Any], weight: Float32Array | None, positive_weight: float
) -> Float32Array | None:
    """Return the weights of rows, multiplied by `positive_weight` for positive rows."""
    if positive_weight == 1:
        return weight
    factors = np.where(label, np.float32(positive_weight), np.float32(1))
    return factors if weight is None else factors * weight


def gradient_scale(loss: Loss, stats: LabelStats, base_score: float) -> float:
    """Return a power of two that is at least the largest gradient of the first round."""
    weight_scale = next_power_of_two(stats.max_weight)
    if loss is Loss.LOGISTIC:
        return weight_scale
    largest = max(stats.highest - base_score, base_score - stats.lowest)
    return weight_scale * (next_power_of_two(largest) if largest > 0 else 1.0)


class ExactObjective(ABC):
    """Gradients, hessians and losses of rows, as multiples of steps."""

    def __init__(
        self,
        config: ObjectiveConfig,
        label: npt.NDArray[Any],
        weight: Float32Array | None = None,
        row_ids: npt.NDArray[Any] | None = None,
    ) -> None:
        self._config, self._label = config, label
        self._weight = row_weights(label, weight, config.positive_weight)
        self._hessian = np.empty(len(label), np.float32)
        self._step = max(len(label) // LOSS_SAMPLE_ROWS, 1)
        self._sampler = None
        if config.subsample < 1 and row_ids is not None:
            self._sampler = RowSampler(row_ids, config.subsample, config.seed)

    def compute(self, margin: Float32Array, round_number: int) -> tuple[Float32Array, Float32Array]:
        """Return gradient and hessian of a round for the margins of the rows.

        The gradient overwrites the array `margin`. The next call overwrites the returned hessian.
        """
        for start in range(0, len(margin), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            gradient, hessian = margin[rows], self._hessian[rows]
            weight = None if self._weight is None else self._weight[rows]
            self._compute_block(gradient, hessian, self._label[rows], weight)
            if self._sampler is not None:
                is_drawn = self._sampler.draw(round_number, rows)
                gradient *= is_drawn
                hessian *= is_drawn
        return margin, self._hessian

    def sampled_loss(self, margin: Float32Array) -> float:
        """Return the mean loss on a sample of the rows (every n-th row)."""
        if not len(margin):
            return 0.0
        sample = slice(None, None, self._step)
        losses = self._row_losses(margin[sample], self._label[sample])
        weight = None if self._weight is None else self._weight[sample]
        if weight is not None and not weight.any():
            return 0.0
        return self.mean_loss(float(np.average(losses.astype(np.float64), weights=weight)), 1)

    def total_loss(self, margin: Float32Array) -> float:
        """Return the exact sum of the rounded losses of the rows."""
        total, step = 0.0, np.float32(self._config.weight_scale) * LOSS_STEP
        for start in range(0, len(margin), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            losses = self._row_losses(margin[rows], self._label[rows])
            if self._weight is not None:
                losses *= self._weight[rows]
            losses /= step
            total += float(np.rint(losses, out=losses).sum(dtype=np.float64))
        return total * float(step)

    def mean_loss(self, total: float, total_weight: float) -> float:
        """Return the loss that is reported for the sum of the losses of rows."""
        return total / total_weight

    @abstractmethod
    def _row_losses(self, margin: Float32Array, label: npt.NDArray[Any]) -> Float32Array:
        """Return the losses of rows without their weights, as numbers near 1 or below."""

    @abstractmethod
    def _compute_block(
        self,
        gradient: Float32Array,
        hessian: Float32Array,
        label: npt.NDArray[Any],
        weight: Float32Array | None,
    ) -> None:
        """Replace the margins in `gradient` by gradients, and fill in the hessians."""


class ExactLogistic(ExactObjective):
    """The logistic loss, with gradients and hessians as multiples of 2^-22 times the weight scale.

    The sum of two billion such values is exact. Rounding changes a single value by at most half a
    step. Without weights, a hessian below one step becomes one step.
    """

    def _row_losses(self, margin: Float32Array, label: BoolArray) -> Float32Array:
        signed = np.where(label, -margin, margin)
        # The softplus, in a form that does not overflow and that NumPy vectorizes.
        losses = np.log1p(np.exp(-np.abs(signed))) + np.maximum(signed, 0)
        return np.asarray(losses, np.float32)

    def _compute_block(
        self, gradient: Float32Array, hessian: Float32Array, label: BoolArray, weight: Float32Array | None
    ) -> None:
        with np.errstate(over="ignore"):  # after an overflow the probability is 0, which is correct
            np.exp(np.negative(gradient, out=gradient), out=gradient)
        gradient += np.float32(1)
        probability = np.reciprocal(gradient, out=gradient)
        np.subtract(np.float32(1), probability, out=hessian)
        hessian *= probability
        gradient -= label
        scale = np.float32(self._config.weight_scale)
        if weight is not None:
            gradient *= weight
            hessian *= weight
        # Adding and subtracting a number between 2 and 4 scales rounds to a multiple of the step.
        gradient += 3 * scale
        gradient -= 3 * scale
        hessian += 3 * scale
        hessian -= 3 * scale
        if weight is None:
            np.maximum(hessian, RELATIVE_STEP, out=hessian)


class ExactSquaredError(ExactObjective):
    """The squared error, with gradients as multiples of 2^-22 times the gradient scale."""

    def mean_loss(self, total: float, total_weight: float) -> float:
        """Return the root of the mean squared error."""
        return float(np.sqrt(total / total_weight)) * self._error_scale

    @property
    def _error_scale(self) -> float:
        """A power of two that is at least the largest error of the first round."""
        return self._config.gradient_scale / self._config.weight_scale

    def _row_losses(self, margin: Float32Array, label: npt.NDArray[Any]) -> Float32Array:
        return np.asarray(np.square((margin - label) / np.float32(self._error_scale)), np.float32)

    def _compute_block(
        self,
        gradient: Float32Array,
        hessian: Float32Array,
        label: npt.NDArray[Any],
        weight: Float32Array | None,
    ) -> None:
        gradient -= label
        hessian[:] = 1 if weight is None else weight
        gradient *= hessian
        if np.abs(gradient).max(initial=0) > GRADIENT_HEADROOM * self._config.gradient_scale:
            raise ConfigError(
                "cannot train exactly: the predictions move away from the labels",
                hint="Set a lower learning rate.",
            )
        _round_to_steps(gradient, self._config.gradient_scale)
        _round_to_steps(hessian, self._config.weight_scale)


def _round_to_steps(values: Float32Array, scale: float) -> None:
    """Round values of any size to multiples of a scale times the relative step."""
    step = np.float32(scale) * RELATIVE_STEP
    values /= step
    np.rint(values, out=values)
    values *= step


_OBJECTIVES: dict[Loss, type[ExactObjective]] = {
    Loss.LOGISTIC: ExactLogistic,
    Loss.SQUARED_ERROR: ExactSquaredError,
}


def exact_objective(
    config: ObjectiveConfig,
    label: npt.NDArray[Any],
    weight: Float32Array | None = None,
    row_ids: npt.NDArray[Any] | None = None,
) -> ExactObjective:
    """Return the objective of rows."""
    return _OBJECTIVES[config.loss](config, label, weight, row_ids)
