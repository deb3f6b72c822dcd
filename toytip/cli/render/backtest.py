"""The result of `toytip backtest` as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from toytip.cli.render.tables import (
    format_number,
    make_console,
    new_table,
    print_wrapped,
    show_table,
)
from toytip.core.text import plural

if TYPE_CHECKING:
    from toytip.monitoring.aging import AgedPerformance, AgeLoss, BacktestResult

BACKTEST_TITLES = (
    "month",
    "AUC",
    "log loss",
    "F1",
    "always\npositive",
    "F1\nchange",
    "due to\nprevalence",
    "due to\nmodel",
)


def show_backtest(result: BacktestResult, max_auc_loss: float) -> None:
    """Print the maximum age of a model, the AUC loss by age, and the performance by month."""
    console = make_console()
    for segment, losses in result.auc_loss_by_age.items():
        print_wrapped(console, _age_line(segment, losses, result.max_age_months[segment], max_auc_loss))
        for loss in losses:
            print_wrapped(console, _loss_line(loss), "    ", "  ")
    for location in result.files.values():
        console.print(location, soft_wrap=True)
    for segment in result.auc_loss_by_age:
        performance = [
            row for row in result.performance_by_month if row.segment == segment and row.age_months
        ]
        console.print()
        show_table(
            console, _performance_table(segment, performance), drop=("always\npositive", "due to\nprevalence")
        )


def _age_line(segment: str, losses: Sequence[AgeLoss], age: int, max_auc_loss: float) -> str:
    """Return the maximum age of a model. If no tested model was too old, the age is a minimum."""
    limit = f"a mean AUC loss of at most {max_auc_loss:g}"
    if age == max((loss.age_months for loss in losses), default=1):
        return f"segment {segment}: maximum age at least {plural(age, 'month')}, all with {limit}"
    return f"segment {segment}: maximum age {plural(age, 'month')}, with {limit}"


def _performance_table(segment: str, performance: Sequence[AgedPerformance]) -> Table:
    table = new_table("validation\nmonth", *BACKTEST_TITLES, title=f"segment {segment}")
    for row in performance:
        change = row.f1_change
        parts = (change.total, change.prevalence, change.model) if change else ()
        values = (row.metrics.auc, row.metrics.log_loss, row.metrics.f1, row.f1_always_positive)
        cells = [format_number(value) for value in values]
        table.add_row(row.validation_month, row.month, *cells, *(f"{part:+.4f}" for part in parts))
    return table


def _loss_line(loss: AgeLoss) -> str:
    return (
        f"AUC loss at age {plural(loss.age_months, 'month')}, compared with a one-month-old model: "
        f"mean {loss.auc.mean:+.4f} ({loss.auc.minimum:+.4f} to {loss.auc.maximum:+.4f}, "
        f"{plural(loss.n_months, 'month')} tested)"
    )
