"""Count predictions in metric histograms, by split, segment, day and evaluation slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from toytip.core.columns import columns_of
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.dataset.slices import SliceCodes
from toytip.core.model import Encoding
from toytip.core.splits import SPLITS, split_codes
from toytip.evaluation.tally import LOSS_SCALE, PROBABILITY_BINS, SLICE_BINS, Tallies, Tally, TallyKey

# A probability of exactly 0 or 1 would make the log loss infinite. scikit-learn clips float32
# probabilities in the same way.
PROBABILITY_EPSILON = float(np.finfo(np.float32).eps)


def summarize_predictions(
    predictions: pd.DataFrame,
    features: pd.DataFrame,
    encoding: Encoding,
    boroughs: tuple[str, ...] = (),
    predictor: str = "model",
) -> Tallies:
    """Return the metric histograms of every split, separately inside and outside of the segment.

    With `predictor="model"`, the result includes the histograms of the baseline `group_mean`.
    Histograms of all trips have fine bins. Histograms of days and slices have coarse bins.
    `boroughs` is the borough of each zone, or empty without a zone lookup file.
    """
    if predictions.empty:
        return {}
    dataset, columns = encoding.dataset, columns_of(features)
    label = predictions[dataset.label.name]
    scored = _ScoredRows.of(predictions["probability"], label, predictions["prediction"].to_numpy())
    rates = encoding.baseline_rate(columns)
    baseline = _ScoredRows.of(pd.Series(rates), label, rates >= 0.5)
    split = split_codes(features, encoding.split, ALL_ROWS, dataset)
    segment_mask = dataset.segment_mask(columns)
    slices = dict(_slice_codes(features, dataset, boroughs))
    tallies: Tallies = {}
    segments = {"": ~segment_mask} | ({dataset.segment.name: segment_mask} if dataset.segment else {})
    for (index, name), (segment, inside) in product(enumerate(SPLITS), segments.items()):
        rows = np.flatnonzero((split == index) & inside)
        if not len(rows):
            continue
        tallies[TallyKey(name, segment, predictor)] = _total_tally(scored.take(rows))
        if predictor == "model":
            tallies[TallyKey(name, segment, "group_mean")] = _total_tally(baseline.take(rows))
        for slice_name, (codes, values) in slices.items():
            by_value = _count_tallies(codes[rows], len(values), SLICE_BINS, scored.take(rows))
            for value, tally in zip(values, by_value, strict=True):
                if tally.rows:
                    tallies[TallyKey(name, segment, predictor, slice_name, value)] = tally
    return tallies


@dataclass(frozen=True)
class _ScoredRows:
    """Columns of scored trips. The losses are integers in units of 1 / LOSS_SCALE."""

    probability: Float32Array
    label: BoolArray
    decision: BoolArray
    log_loss: Int64Array
    squared_error: Int64Array

    @classmethod
    def of(cls, probability: pd.Series, label: pd.Series, decision: BoolArray) -> _ScoredRows:
        probabilities, labels = probability.to_numpy(), label.to_numpy()
        exact = probabilities.astype(np.float64)
        clipped = np.clip(exact, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)
        log_loss = -np.log(np.where(labels, clipped, 1 - clipped))
        squared_error = (exact - labels) ** 2
        return cls(probabilities, labels, decision, _to_units(log_loss), _to_units(squared_error))

    def take(self, rows: npt.NDArray[np.intp]) -> _ScoredRows:
        return _ScoredRows(
            self.probability[rows],
            self.label[rows],
            self.decision[rows],
            self.log_loss[rows],
            self.squared_error[rows],
        )


def _to_units(losses: Float64Array) -> Int64Array:
    return np.asarray(np.rint(losses * LOSS_SCALE).astype(np.int64))


def _total_tally(rows: _ScoredRows) -> Tally:
    (tally,) = _count_tallies(np.zeros(len(rows.label), np.int64), 1, PROBABILITY_BINS, rows)
    return tally


def _count_tallies(codes: Int64Array, count: int, bins: int, rows: _ScoredRows) -> list[Tally]:
    """Return one histogram for each code, 0 to `count` - 1."""
    bin_index = np.minimum((rows.probability * bins).astype(np.int64), bins - 1)
    cell = (codes * bins + bin_index) * 2 + rows.label
    labeled_code = codes * 2 + rows.label
    by_bin = np.bincount(cell, minlength=count * bins * 2).reshape(count, bins, 2)
    by_decision = np.bincount(labeled_code * 2 + rows.decision, minlength=count * 4).reshape(count, 2, 2)
    log_losses, squared_errors = np.zeros(2 * count, np.int64), np.zeros(count, np.int64)
    np.add.at(log_losses, labeled_code, rows.log_loss)
    np.add.at(squared_errors, codes, rows.squared_error)
    return [
        Tally(
            negatives=by_bin[code, :, 0],
            positives=by_bin[code, :, 1],
            true_positives=int(by_decision[code, 1, 1]),
            false_positives=int(by_decision[code, 0, 1]),
            log_loss=int(log_losses[2 * code] + log_losses[2 * code + 1]),
            squared_error=int(squared_errors[code]),
            log_loss_positives=int(log_losses[2 * code + 1]),
        )
        for code in range(count)
    ]


def _slice_codes(
    features: pd.DataFrame, dataset: Dataset, boroughs: tuple[str, ...]
) -> Iterator[tuple[str, SliceCodes]]:
    """Yield each slice attribute, with the code of every row and the value of each code."""
    codes, days = pd.factorize(features[dataset.time_column].to_numpy().astype("datetime64[D]"))
    yield "day", (codes.astype(np.int64), np.datetime_as_string(days, "D").tolist())
    for item in dataset.slices:
        if (grouped := item.group(features, boroughs)) is not None:
            yield item.name, grouped
