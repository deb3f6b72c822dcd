"""Metrics from tallies: ranking, loss, decision, calibration; trivial baselines; intervals by a bootstrap of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from toytip.core.arrays import Float64Array, Int64Array
from toytip.evaluation.tally import LOSS_SCALE, Tally

Metrics = dict[str, float | int | None]

BOOTSTRAP_RESAMPLES = 500
# Fewer days than this say nothing of how days differ.
MIN_BOOTSTRAP_DAYS = 7
MIN_GROUP_TRIPS = 50
# An AUC of fewer trips of either class says nothing: of one cash trip with a high tip it is where that one happens to stand,
# and its standard error by the formula is next to zero.
MIN_CLASS_TRIPS = 30
# A feature that alone ranks trips so well knows the tip, or nearly: payment_type, which tells whether a tip could be
# recorded at all, reaches 0.80 on green 2023.
LEAKAGE_AUC = 0.95
# Divides the number of bins.
CALIBRATION_BANDS = 16
CURVE_POINTS = 50
HIGHER_IS_BETTER = {"auc": True, "pr_auc": True, "f1": True, "log_loss": False, "brier": False}


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the trivial predictors learned.

    The rate of the training rows; and the threshold of the rates by hour and zone, tuned on the validation rows as
    the model's is.
    """

    rate: float
    threshold: float = 0.5


def compute_metrics(tally: Tally) -> Metrics:
    """Return rows, prevalence, ranking, loss and decision metrics, and the F1 of answering yes to all.

    None where a metric is undefined, as the AUC without positives.
    """
    positive, rows = int(tally.positives.sum()), tally.rows
    hits, alarms = tally.true_positives, tally.false_positives
    return {
        "rows": rows,
        "prevalence": _ratio(positive, rows),
        "auc": auc(tally.negatives, tally.positives),
        "pr_auc": pr_auc(tally.negatives, tally.positives),
        "log_loss": _ratio(tally.log_loss / LOSS_SCALE, rows),
        "brier": _ratio(tally.squared_error / LOSS_SCALE, rows),
        "f1": _ratio(2 * hits, hits + alarms + positive),
        "precision": _ratio(hits, hits + alarms),
        "recall": _ratio(hits, positive),
        "f1_always_yes": _ratio(2 * positive, rows + positive),
    }


def auc(negatives: Int64Array | Float64Array, positives: Int64Array | Float64Array) -> float | None:
    """Return the area under the ROC curve: the share of pairs in order, pairs in one bin counted half.

    Of counts by bin of probability, or of what is expected of them.
    """
    below = np.cumsum(negatives) - negatives
    pairs = float(positives.sum()) * float(negatives.sum())
    ordered = float((positives * (below + negatives / 2)).sum())
    return _ratio(ordered, pairs)


def has_enough_for_auc(tally: Tally) -> bool:
    """Tell whether there are trips enough of both classes for the AUC to say something."""
    return min(int(tally.negatives.sum()), int(tally.positives.sum())) >= MIN_CLASS_TRIPS


def auc_binning_error(negatives: Int64Array, positives: Int64Array) -> float | None:
    """Return the most by which the bins can have changed the AUC: half the share of pairs in one bin."""
    pairs = float(positives.sum()) * float(negatives.sum())
    return _ratio(float((positives * negatives.astype(float)).sum()) / 2, pairs)


def pr_auc(negatives: Int64Array, positives: Int64Array) -> float | None:
    """Return the average precision: the precision at every threshold, weighted by the recall it adds."""
    hits, alarms = np.cumsum(positives[::-1]), np.cumsum(negatives[::-1])
    precision = hits / np.maximum(hits + alarms, 1)
    return _ratio(float((precision * positives[::-1]).sum()), float(positives.sum()))


def single_feature_auc(
    counts: Int64Array, positives: Int64Array, rows: int, total_positives: int
) -> float | None:
    """Return the AUC of one feature alone: each trip given the rate of the trips with about its value.

    `counts` and `positives` are trips, and those with a high tip, by value in order of the values; of `rows` trips,
    `total_positives` with a high tip, the rest have none. Neighbouring values are put together until they have a hundredth of
    the trips, and fifty at least, so that rare values do not tell the label by chance.
    """
    if not 0 < total_positives < rows:
        return None
    place = (np.cumsum(counts) - counts) // max(rows // 100, MIN_GROUP_TRIPS)
    _, group = np.unique(place, return_inverse=True)
    size = int(group.max()) + 1 if len(group) else 0
    trips, hits = np.zeros((2, size + 1), np.int64)
    np.add.at(trips, group, counts)
    np.add.at(hits, group, positives)
    trips[-1], hits[-1] = rows - counts.sum(), total_positives - positives.sum()
    order = np.argsort(hits / np.maximum(trips, 1), kind="stable")
    return auc((trips - hits)[order], hits[order])


def confusion_counts(tally: Tally) -> dict[str, int]:
    """Return the trips by decision and truth."""
    hits, alarms = tally.true_positives, tally.false_positives
    return {
        "true_positives": hits,
        "false_positives": alarms,
        "false_negatives": int(tally.positives.sum()) - hits,
        "true_negatives": int(tally.negatives.sum()) - alarms,
    }


def calibration_bands(tally: Tally) -> tuple[float | None, list[dict[str, float | int]]]:
    """Return the expected calibration error, and for equal bands of probability what was predicted and what happened.

    The error is the mean distance of both, weighted by trips (Naeini et al., 2015). The predicted mean of a band is
    exact to half a bin, 2^-15.
    """
    bins = len(tally.positives)
    centre = (np.arange(bins) + 0.5) / bins
    counts = (tally.positives + tally.negatives).reshape(CALIBRATION_BANDS, -1)
    happened = tally.positives.reshape(counts.shape).sum(axis=1)
    predicted = (counts * centre.reshape(counts.shape)).sum(axis=1)
    trips = counts.sum(axis=1)
    bands: list[dict[str, float | int]] = [
        {
            "from": k / len(trips),
            "to": (k + 1) / len(trips),
            "trips": int(trips[k]),
            "predicted": float(predicted[k] / trips[k]),
            "happened": float(happened[k] / trips[k]),
        }
        for k in np.flatnonzero(trips).tolist()
    ]
    return _ratio(float(np.abs(predicted - happened).sum()), float(trips.sum())), bands


def threshold_curve(tally: Tally) -> list[dict[str, float | None]]:
    """Return precision, recall and F1 at equally spaced thresholds."""
    bins, positive = len(tally.positives), float(tally.positives.sum())
    hits, alarms = (np.cumsum(counts[::-1])[::-1] for counts in (tally.positives, tally.negatives))
    points = []
    for point in range(CURVE_POINTS):
        k = point * bins // CURVE_POINTS
        found, wrong = float(hits[k]), float(alarms[k])
        points.append(
            {
                "threshold": k / bins,
                "precision": _ratio(found, found + wrong),
                "recall": _ratio(found, positive),
                "f1": _ratio(2 * found, found + wrong + positive),
            }
        )
    return points


def with_threshold(tally: Tally, threshold: float) -> Tally:
    """Return the tally with its decisions taken at a threshold, to the bin."""
    k = round(threshold * len(tally.positives))
    hits, alarms = int(tally.positives[k:].sum()), int(tally.negatives[k:].sum())
    return replace(tally, true_positives=hits, false_positives=alarms)


def always_positive_metrics(tally: Tally) -> Metrics:
    """Return the metrics of answering yes to every trip, with no probability."""
    positive, rows = int(tally.positives.sum()), tally.rows
    prevalence = _ratio(positive, rows)
    f1 = _ratio(2 * positive, rows + positive)
    return {"auc": 0.5, "pr_auc": prevalence, "f1": f1, "log_loss": None, "brier": None}


def constant_probability_metrics(tally: Tally, rate: float) -> Metrics:
    """Return the metrics of giving every trip the rate of the training rows."""
    positive, rows = int(tally.positives.sum()), tally.rows
    share = _ratio(positive, rows)
    if share is None:
        return dict.fromkeys(HIGHER_IS_BETTER)
    loss = -(share * np.log(rate) + (1 - share) * np.log(1 - rate))
    brier = share * (1 - rate) ** 2 + (1 - share) * rate**2
    f1 = _ratio(2 * positive, rows + positive) if rate >= 0.5 else 0.0
    return {"auc": 0.5, "pr_auc": share, "f1": f1, "log_loss": float(loss), "brier": float(brier)}


def improvement(values: Metrics, baseline: Metrics) -> Metrics:
    """Return by how much metrics are better than a baseline's: positive is better, of losses too."""
    found: Metrics = {}
    for name, higher in HIGHER_IS_BETTER.items():
        a, b = values.get(name), baseline.get(name)
        found[name] = None if a is None or b is None else (a - b if higher else b - a)
    return found


def bootstrap_intervals(days: Sequence[Tally], seed: int = 0) -> dict[str, list[float] | None]:
    """Return 95 % intervals of the metrics, by resampling whole days: trips of one day are no independent witnesses.

    Percentiles of `BOOTSTRAP_RESAMPLES` bootstrap resamples (Efron, 1979), in coarse bins; None for fewer than seven days.
    """
    names = ("auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "prevalence")
    if len(days) < MIN_BOOTSTRAP_DAYS:
        return dict.fromkeys(names)
    resampled = _bootstrap_metrics(days, seed)
    return {name: _percentiles(resampled[name]) for name in names}


def _bootstrap_metrics(days: Sequence[Tally], seed: int) -> dict[str, Float64Array]:
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(days), np.full(len(days), 1 / len(days)), BOOTSTRAP_RESAMPLES).astype(
        np.float64
    )
    negatives, positives = (
        weights @ np.stack([getattr(day, side) for day in days]) for side in ("negatives", "positives")
    )
    sums = {
        name: weights @ np.array([float(getattr(day, name)) for day in days])
        for name in ("true_positives", "false_positives", "log_loss", "squared_error")
    }
    return _resampled_metrics(negatives, positives, sums)


def paired_bootstrap(
    model_days: Sequence[Tally], baseline_days: Sequence[Tally], seed: int = 0
) -> dict[str, list[float] | None]:
    """Return 95 % intervals of how much better ours is than theirs on the same days; positive is better, of losses too.

    Both are resampled with the same days: what makes a day hard for both does not blur their difference.
    """
    if len(model_days) < MIN_BOOTSTRAP_DAYS:
        return dict.fromkeys(HIGHER_IS_BETTER)
    a, b = (_bootstrap_metrics(days, seed) for days in (model_days, baseline_days))
    return {
        name: _percentiles(a[name] - b[name] if higher else b[name] - a[name])
        for name, higher in HIGHER_IS_BETTER.items()
    }


def auc_standard_error(tally: Tally) -> float:
    """Return the standard error of the AUC by the formula of Hanley and McNeil (1982); infinite where it has none."""
    area, positive = auc(tally.negatives, tally.positives), int(tally.positives.sum())
    negative = tally.rows - positive
    if area is None:
        return float("inf")
    twice, twice_negative = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (positive - 1) * (twice - area**2) + (negative - 1) * (twice_negative - area**2)
    return float(np.sqrt((area * (1 - area) + spread) / (positive * negative)))


def _percentiles(values: Float64Array) -> list[float] | None:
    known = values[~np.isnan(values)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return [float(low), float(high)] if len(known) else None


def _resampled_metrics(
    negatives: Float64Array, positives: Float64Array, sums: dict[str, Float64Array]
) -> dict[str, Float64Array]:
    positive, negative = positives.sum(axis=1), negatives.sum(axis=1)
    rows, hits, alarms = positive + negative, sums["true_positives"], sums["false_positives"]
    below = np.cumsum(negatives, axis=1) - negatives
    found, wrong = (np.cumsum(counts[:, ::-1], axis=1) for counts in (positives, negatives))
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = found / np.maximum(found + wrong, 1)
        return {
            "auc": (positives * (below + negatives / 2)).sum(axis=1) / (positive * negative),
            "pr_auc": (precision * positives[:, ::-1]).sum(axis=1) / positive,
            "log_loss": sums["log_loss"] / LOSS_SCALE / rows,
            "brier": sums["squared_error"] / LOSS_SCALE / rows,
            "f1": 2 * hits / (hits + alarms + positive),
            "precision": hits / (hits + alarms),
            "recall": hits / positive,
            "prevalence": positive / rows,
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
