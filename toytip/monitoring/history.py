"""The histograms and counts of the months that a model has scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from toytip.core.months import Month
from toytip.evaluation.tally import Tallies
from toytip.monitoring.month_counts import MonthSummary

DAY_SLICE = "day"


@dataclass(frozen=True, kw_only=True)
class MonitoringHistory:
    """All that monitoring uses of the months that a model has scored. It contains no trips."""

    months: Mapping[Month, MonthSummary]
    """Feature histograms and row counts by month, oldest first."""
    tallies: Tallies
    """Metric histograms by day."""

    @property
    def histograms(self) -> dict[Month, pd.DataFrame]:
        """The feature histograms of each month."""
        return {month: summary.histograms for month, summary in self.months.items()}

    @property
    def reject_rates(self) -> dict[Month, dict[str, float]]:
        """The share of rejected rows by month and reason."""
        return {
            month: {reason: count / max(summary.rows, 1) for reason, count in summary.rejects.items()}
            for month, summary in self.months.items()
        }

    def extended(self, older: MonitoringHistory) -> MonitoringHistory:
        """Return this history with the months of another history that it does not have."""
        added = {month: summary for month, summary in older.months.items() if month not in self.months}
        return MonitoringHistory(
            months=dict(sorted({**added, **self.months}.items())),
            tallies={**daily_tallies_of(older.tallies, added), **daily_tallies_of(self.tallies, self.months)},
        )


def daily_tallies_of(tallies: Tallies, months: Mapping[Month, object]) -> Tallies:
    """Return the tallies by day of the given months."""
    names = {str(month) for month in months}
    return {key: tally for key, tally in tallies.items() if key.slice == DAY_SLICE and key.value[:7] in names}
