"""Paired differences between contenders, with the bootstrap over days of `toytip judge`."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from benchmarks.conformance.definition import DefinedMonth, define_month
from benchmarks.contenders import last_month_folder
from benchmarks.workloads import BenchmarkSource
from toytip.evaluation.bootstrap import paired_bootstrap
from toytip.evaluation.judgment import MetricDifference
from toytip.evaluation.tally import SLICE_BINS, Tally


@dataclass(frozen=True)
class ScoredDays:
    """The predictions of the test month: the AUC, and the counts of each day by probability."""

    auc: float
    days: list[Tally]

    def difference_to(self, other: ScoredDays) -> MetricDifference:
        """Return the difference in AUC. It is positive if this contender is better."""
        interval = paired_bootstrap(self.days, other.days)["auc"]
        return MetricDifference.of(self.auc - other.auc, interval)


def score_days(predictions: Path, source: BenchmarkSource) -> ScoredDays:
    """Return the scored days of a contender that predicted exactly the kept trips of the source."""
    test = _test_month(source)
    tables = [
        pq.ParquetFile(file).read(["trip_id", "probability"])
        for file in sorted(last_month_folder(predictions).glob("*.parquet"))
    ]
    trip_id, probability = (
        np.concatenate([table[name].to_numpy() for table in tables]) for name in ("trip_id", "probability")
    )
    probability = probability[np.argsort(trip_id)].astype(np.float64)
    auc = float(roc_auc_score(test.high_tip, probability))
    return ScoredDays(auc, [_tally(test, probability, day) for day in np.unique(test.day)])


@functools.lru_cache(maxsize=1)
def _test_month(source: BenchmarkSource) -> DefinedMonth:
    return define_month(max(source.folder.glob("*.parquet"), key=lambda path: path.stem[-7:]))


def _tally(test: DefinedMonth, probability: npt.NDArray[np.float64], day: Any) -> Tally:
    """Return the counts of a day, without losses and decisions, which the AUC does not need."""
    rows = test.day == day
    bins = np.minimum((probability[rows] * SLICE_BINS).astype(np.int64), SLICE_BINS - 1)
    label = test.high_tip[rows]
    negatives, positives = (
        np.bincount(bins[label == side], minlength=SLICE_BINS).astype(np.int64) for side in (False, True)
    )
    return Tally(negatives, positives, 0, 0, 0, 0)
