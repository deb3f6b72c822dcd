"""evaluate: the tally of a split -> its metrics, beside the trivial baseline."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toytip.tally import UNIT, Summary, Tally

Metrics = dict[str, float | int | None]


def evaluate(summary: Summary) -> dict[str, Metrics]:
    """Return the metrics of the splits train, valid and test that have trips; None where undefined."""
    return {name: metrics(summary[name]) for name in ("train", "valid", "test") if name in summary}


def metrics(tally: Tally) -> Metrics:
    """Return rows, prevalence, ranking, loss and decision metrics, and the F1 of answering yes to all."""
    positive, negative = int(tally.positives.sum()), int(tally.negatives.sum())
    rows = positive + negative
    hits, alarms = tally.true_positives, tally.false_positives
    return {
        "rows": rows,
        "prevalence": _ratio(positive, rows),
        "auc": auc(tally.negatives, tally.positives),
        "pr_auc": pr_auc(tally.negatives, tally.positives),
        "log_loss": _ratio(tally.log_loss / UNIT, rows),
        "brier": _ratio(tally.squared_error / UNIT, rows),
        "f1": _ratio(2 * hits, hits + alarms + positive),
        "precision": _ratio(hits, hits + alarms),
        "recall": _ratio(hits, positive),
        "f1_always_yes": _ratio(2 * positive, rows + positive),
    }


def auc(negatives: npt.NDArray[np.int64], positives: npt.NDArray[np.int64]) -> float | None:
    """Return the area under the ROC curve: the share of pairs in order, pairs in one bin counted half."""
    below = np.cumsum(negatives) - negatives
    pairs = float(positives.sum()) * float(negatives.sum())
    ordered = float((positives * (below + negatives / 2)).sum())
    return _ratio(ordered, pairs)


def auc_error(negatives: npt.NDArray[np.int64], positives: npt.NDArray[np.int64]) -> float | None:
    """Return the most by which the bins can have changed the AUC: half the share of pairs in one bin."""
    pairs = float(positives.sum()) * float(negatives.sum())
    return _ratio(float((positives * negatives.astype(float)).sum()) / 2, pairs)


def pr_auc(negatives: npt.NDArray[np.int64], positives: npt.NDArray[np.int64]) -> float | None:
    """Return the average precision: the precision at every threshold, weighted by the recall it adds."""
    hits, alarms = np.cumsum(positives[::-1]), np.cumsum(negatives[::-1])
    precision = hits / np.maximum(hits + alarms, 1)
    return _ratio(float((precision * positives[::-1]).sum()), float(positives.sum()))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
