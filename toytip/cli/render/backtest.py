"""The result of `toytip backtest` as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from toytip.cli.render.tables import format_number, make_console, new_table, show_table

if TYPE_CHECKING:
    from toytip.monitoring.aging import AgedPerformance, AgeLoss, BacktestResult

BACKTEST_TITLES = (
    "month",
    "AUC",
    "log loss",
    "F1",
    "always positive",
    "F1 change",
    "due to prevalence",
    "due to model",
)


def show_backtest(result: BacktestResult, max_auc_loss: float) -> None:
    """Print the performance of each model by month, the AUC loss by age, and the maximum age."""
    console = make_console()
    for segment, losses in result.auc_loss_by_age.items():
        performance = [
            row for row in result.performance_by_month if row.segment == segment and row.age_months
        ]
        show_table(
            console, _performance_table(segment, performance), drop=("always positive", "due to prevalence")
        )
        for loss in losses:
            console.print(_loss_line(loss), soft_wrap=True)
        console.print(
            f"segment {segment}: maximum age {_months(result.max_age_months[segment])} "
            f"with a mean AUC loss of at most {max_auc_loss:g}\n",
            soft_wrap=True,
        )
    for location in result.files.values():
        console.print(location, soft_wrap=True)


def _performance_table(segment: str, performance: Sequence[AgedPerformance]) -> Table:
    table = new_table("validation month", *BACKTEST_TITLES, title=f"segment {segment}")
    for row in performance:
        change = row.f1_change
        parts = (change.total, change.prevalence, change.model) if change else ()
        values = (row.metrics.auc, row.metrics.log_loss, row.metrics.f1, row.f1_always_positive)
        cells = [format_number(value) for value in values]
        table.add_row(row.validation_month, row.month, *cells, *(f"{part:+.4f}" for part in parts))
    return table


def _loss_line(loss: AgeLoss) -> str:
    return (
        f"AUC loss at age {_months(loss.age_months)}, compared with a one-month-old model: "
        f"mean {loss.auc.mean:+.4f} ({loss.auc.minimum:+.4f} to {loss.auc.maximum:+.4f}, "
        f"{_months(loss.n_months)} tested)"
    )


def _months(count: int) -> str:
    return f"{count} month{'' if count == 1 else 's'}"
