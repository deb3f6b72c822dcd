"""Compare each month with the other reference months, and find the months that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from toytip.core.arrays import BoolArray, Float64Array
from toytip.monitoring.data_measures import Distances

# A month is compared with the reference months that are most similar to it, so that a season or a
# new tariff has neighbors. Three months with the same fault look normal to each other.
NEIGHBORS = 3
# With fewer months to compare with, only gross faults are held.
MIN_OTHER_MONTHS = 3
# With fewer months to compare with, normal differences are hardly known, and limits are larger.
ENOUGH_OTHER_MONTHS = 6
FEW_MONTHS_FACTOR = 2.0
# Limits are at least this factor of the distance that is typical between reference months.
WARN_FACTOR = 2.0
HOLD_FACTOR = 3.0
# At most a quarter of the reference months have a larger distance than the typical distance.
TYPICAL_QUANTILE = 0.75


class Effects(NamedTuple):
    """The effect of each measure in one month, its typical value, and its limits."""

    value: Float64Array
    typical: Float64Array
    warn: Float64Array
    hold: Float64Array

    @property
    def severity(self) -> float:
        """The largest effect relative to the limit above which the month is held."""
        return float((self.value / self.hold).max(initial=0.0))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The distances of all measures between all pairs of months."""

    items: tuple[Distances, ...]
    """Measures by feature."""
    distances: npt.NDArray[np.float64]
    """Distance by measure, month, and the month that it is compared with."""
    floors: Float64Array
    """Smallest limits of each measure: a row each for warn, hold and gross faults."""
    any_month: BoolArray
    """Whether a single similar month is enough, for each measure."""

    @classmethod
    def of(cls, items: Sequence[Distances]) -> Self:
        """Return the comparison of these measures."""
        measures = [item.measure for item in items]
        return cls(
            items=tuple(items),
            distances=np.stack([item.matrix for item in items]),
            floors=np.array([(measure.warn, measure.hold, measure.gross) for measure in measures]).T,
            any_month=np.array([measure.any_month for measure in measures]),
        )

    def effects(self, month: int, reference: Sequence[int]) -> Effects:
        """Compare a month with the other months of the reference."""
        others = [other for other in reference if other != month]
        zeros = np.zeros(len(self.items))
        warn, hold, gross = self.floors
        if not others:
            return Effects(zeros, zeros, hold, gross)
        to_others = self.distances[:, month, others]
        value = np.where(self.any_month, to_others.max(axis=1), _to_neighbors(to_others))
        if len(others) < MIN_OTHER_MONTHS:
            return Effects(value, zeros, hold, gross)
        typical = np.where(self.any_month, 0.0, _typical(self.distances[:, others][:, :, others]))
        factor = FEW_MONTHS_FACTOR if len(others) < ENOUGH_OTHER_MONTHS else 1.0
        factors = np.where(self.any_month, 1.0, factor)
        return Effects(
            value,
            typical,
            np.maximum(WARN_FACTOR * typical, factors * warn),
            np.maximum(HOLD_FACTOR * typical, factors * hold),
        )

    def normal_months(self, reference: Sequence[int]) -> list[int]:
        """Return the months of the reference without faulty months.

        The month with the largest effect is removed first, so that it does not hide or cause other
        effects. If two months differ equally, the later month is removed.
        """
        normal = list(reference)
        while normal:
            severity, worst = max((self.effects(month, normal).severity, month) for month in normal)
            if severity < 1:
                break
            normal.remove(worst)
        return normal


def _to_neighbors(distances: npt.NDArray[np.float64]) -> Float64Array:
    """Return the distance from the third nearest month, or from a nearer one if there are few."""
    position = min(NEIGHBORS, (distances.shape[-1] + 1) // 2) - 1
    return np.asarray(np.partition(distances, position, axis=-1)[..., position])


def _typical(distances: npt.NDArray[np.float64]) -> Float64Array:
    """Return the typical distance of a reference month from its neighbors."""
    months = distances.shape[-1]
    pairs = distances[:, ~np.eye(months, dtype=bool)].reshape(len(distances), months, months - 1)
    return np.asarray(np.quantile(_to_neighbors(pairs), TYPICAL_QUANTILE, axis=1))
