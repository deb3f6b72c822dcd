"""Measure the performance of models by model age in months, for a backtest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from toytip.evaluation import metrics
from toytip.evaluation.report import Metrics
from toytip.evaluation.tally import Tally
from toytip.monitoring.attribution import ChangeSplit, f1_and_log_loss_changes


@dataclass(frozen=True, kw_only=True)
class AgedPerformance:
    """Performance of one model in one month, and its change since the validation month."""

    validation_month: str
    """Validation month of the model."""
    month: str
    """Month of the trips."""
    age_months: int
    """Age of the model: number of months since its validation month, 0 for that month itself."""
    segment: str
    """Segment of the trips, such as `all`."""
    metrics: Metrics
    """Metrics of the model on the segment."""
    f1_always_positive: float | None
    """F1 of the always-positive baseline. Null without trips."""
    f1_change: ChangeSplit | None
    """Change in F1 since the validation month. Null if one of the two months has trips of one class
    only."""
    log_loss_change: ChangeSplit | None
    """Change in log loss since the validation month. Null if one of the two months has trips of one
    class only."""


@dataclass(frozen=True, kw_only=True)
class LossSummary:
    """Mean, smallest and largest loss over the compared months."""

    mean: float
    """Mean loss of the months. A loss is a decrease in AUC or an increase in log loss, compared
    with a one-month-old model."""
    minimum: float
    """Smallest loss of a month."""
    maximum: float
    """Largest loss of a month."""

    @classmethod
    def of(cls, losses: Sequence[float]) -> Self:
        """Summarize the losses of one or more months."""
        return cls(mean=sum(losses) / len(losses), minimum=min(losses), maximum=max(losses))


@dataclass(frozen=True, kw_only=True)
class AgeLoss:
    """Loss of models of one age, compared with one-month-old models on the same trips."""

    age_months: int
    """Age of the models in months."""
    n_months: int
    """Number of months in which a model of this age and a one-month-old model were tested."""
    auc: LossSummary
    """AUC loss: AUC of the one-month-old model minus AUC of the older model."""
    log_loss: LossSummary
    """Log loss increase: log loss of the older model minus log loss of the one-month-old model."""


@dataclass(frozen=True, kw_only=True)
class BacktestResult:
    """Performance of each model by month, and AUC loss by model age."""

    version: str
    """Version of the `features` table that the models were trained and tested on."""
    performance_by_month: tuple[AgedPerformance, ...]
    """Performance of each model in its validation month and in each of its test months."""
    auc_loss_by_age: Mapping[str, tuple[AgeLoss, ...]]
    """AUC loss and log loss increase of each model age above one month, by segment."""
    max_age_months: Mapping[str, int]
    """Largest model age in months up to which the mean AUC loss stays within `--max-auc-loss`, by
    segment."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Paths or URIs of the saved result, by format (`json`, `csv`, `png`)."""


def performance_by_age(
    validation_month: str, months: Sequence[tuple[str, Tally]], segment: str
) -> list[AgedPerformance]:
    """Return the performance of a model by month. The first of `months` is its validation month."""
    reference = months[0][1]
    performance = []
    for age, (month, tally) in enumerate(months):
        f1_change, log_loss_change = f1_and_log_loss_changes(reference, tally)
        performance.append(
            AgedPerformance(
                validation_month=validation_month,
                month=month,
                age_months=age,
                segment=segment,
                metrics=metrics.compute_metrics(tally),
                f1_always_positive=metrics.f1_always_positive(tally),
                f1_change=f1_change,
                log_loss_change=log_loss_change,
            )
        )
    return performance


def loss_by_age(performance: Sequence[AgedPerformance], segment: str) -> tuple[AgeLoss, ...]:
    """Compare models of each age with one-month-old models, in each test month of both."""
    by_month_and_age = {
        (row.month, row.age_months): row.metrics for row in performance if row.segment == segment
    }
    losses = []
    for age in sorted({row.age_months for row in performance if row.age_months > 1}):
        pairs = [
            (by_month_and_age[month, 1], values)
            for (month, row_age), values in by_month_and_age.items()
            if row_age == age and (month, 1) in by_month_and_age
        ]
        auc = _differences([(fresh.auc, old.auc) for fresh, old in pairs])
        log_loss = _differences([(old.log_loss, fresh.log_loss) for fresh, old in pairs])
        if auc:
            losses.append(
                AgeLoss(
                    age_months=age,
                    n_months=len(auc),
                    auc=LossSummary.of(auc),
                    log_loss=LossSummary.of(log_loss),
                )
            )
    return tuple(losses)


def _differences(pairs: Sequence[tuple[float | None, float | None]]) -> list[float]:
    """Return the difference of each pair that has both values."""
    return [a - b for a, b in pairs if a is not None and b is not None]


def max_model_age(losses: Sequence[AgeLoss], max_auc_loss: float) -> int:
    """Return the largest model age in months up to which no mean AUC loss exceeds `max_auc_loss`.

    The result is at least 1.
    """
    last = 1
    for loss in losses:
        if loss.auc.mean > max_auc_loss:
            break
        last = loss.age_months
    return last
