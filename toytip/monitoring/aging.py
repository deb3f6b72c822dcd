"""Performance of a model by its age in months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toytip.evaluation import metrics
from toytip.evaluation.report import Metrics
from toytip.evaluation.tally import Tally
from toytip.monitoring.attribution import ChangeSplit, f1_and_log_loss_changes


@dataclass(frozen=True, kw_only=True)
class MonthResult:
    """A model, trained until a month and tuned on it, on the trips of a month `age` months later."""

    trained: str
    month: str
    age: int
    population: str
    metrics: Metrics
    f1_always_positive: float | None
    f1: ChangeSplit | None
    log_loss: ChangeSplit | None


def month_results(trained_until: str, months: Sequence[tuple[str, Tally]], segment: str) -> list[MonthResult]:
    """Return how a model does month by month; the first month is the one that it was tuned on, at age 0."""
    tuned = months[0][1]
    found = []
    for age, (month, tally) in enumerate(months):
        f1, log_loss = f1_and_log_loss_changes(tuned, tally)
        found.append(
            MonthResult(
                trained=trained_until, month=month, age=age, population=segment, metrics=metrics.compute_metrics(tally),
                f1_always_positive=metrics.f1_always_positive(tally), f1=f1, log_loss=log_loss,
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, kw_only=True)
class AgeLoss:
    """What a model of an age loses beside one that was tuned the month before, on the same trips: mean, least, most."""

    age: int
    months: int
    auc: tuple[float, float, float]
    log_loss: tuple[float, float, float]


def loss_by_age(rows: Sequence[MonthResult], segment: str) -> list[AgeLoss]:
    """Compare models of every age with the freshest, test month by test month; positive is a loss."""
    there = {(row.month, row.age): row.metrics for row in rows if row.population == segment}
    found = []
    for age in sorted({row.age for row in rows if row.age > 1}):
        pairs = [(values, there.get((month, 1))) for (month, a), values in there.items() if a == age]
        lost = {
            name: [
                (getattr(fresh, name) - getattr(old, name)) * (1 if name == "auc" else -1)
                for old, fresh in pairs
                if fresh and getattr(old, name) is not None and getattr(fresh, name) is not None
            ]
            for name in ("auc", "log_loss")
        }
        if lost["auc"]:
            sums = {name: (sum(v) / len(v), min(v), max(v)) for name, v in lost.items()}
            found.append(AgeLoss(age=age, months=len(lost["auc"]), **sums))
    return found


def max_model_age(ages: Sequence[AgeLoss], tolerance: float) -> int:
    """Return how old a model may be: the last age up to which no mean loss of AUC is above a tolerance; 1 is always."""
    last = 1
    for age in ages:
        if age.auc[0] > tolerance:
            break
        last = age.age
    return last
