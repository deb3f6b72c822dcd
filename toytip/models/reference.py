"""The reference of a registered model: the histograms of all months of its training run.

    artifacts/files/reference.json              rows and rejected rows by month
    artifacts/files/reference_features.parquet  feature histograms by month
    artifacts/files/reference_metrics.parquet   metric histograms by day

The reference travels with the model. A new month is therefore checked and monitored even if the
store no longer has the training months.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd

from toytip.core.jsonable import dump_json
from toytip.core.months import Month
from toytip.core.tables import FEATURE_HISTOGRAMS
from toytip.errors import RegistryError
from toytip.evaluation.tally import tallies_from_parquet, tallies_to_parquet
from toytip.monitoring.history import MonitoringHistory, daily_tallies_of
from toytip.monitoring.month_counts import MonthSummary

COUNTS_FILE = "reference.json"
FEATURES_FILE = "reference_features.parquet"
METRICS_FILE = "reference_metrics.parquet"


def write_reference(folder: Path, history: MonitoringHistory) -> None:
    """Write the files of a reference to a folder."""
    counts = {
        str(month): {"rows": summary.rows, "rejects": dict(summary.rejects)}
        for month, summary in history.months.items()
    }
    (folder / COUNTS_FILE).write_text(dump_json(counts, indent=1))
    frames = [summary.histograms.assign(month=str(month)) for month, summary in history.months.items()]
    empty = FEATURE_HISTOGRAMS.empty().assign(month=pd.Series(dtype="str"))
    pd.concat([empty, *frames], ignore_index=True).to_parquet(folder / FEATURES_FILE, index=False)
    tallies = daily_tallies_of(history.tallies, history.months)
    (folder / METRICS_FILE).write_bytes(tallies_to_parquet(tallies))


def read_reference(folder: Path) -> MonitoringHistory:
    """Return the reference in a folder of package files.

    Raises RegistryError if a file is missing or has a different format.
    """
    try:
        counts = json.loads((folder / COUNTS_FILE).read_text())
        frame = pd.read_parquet(io.BytesIO((folder / FEATURES_FILE).read_bytes()))
        frames = {str(name): group.drop(columns="month") for name, group in frame.groupby("month")}
        months = {
            Month.parse(name): MonthSummary(
                histograms=frames[name], rows=item["rows"], rejects=item["rejects"]
            )
            for name, item in counts.items()
        }
        tallies = tallies_from_parquet((folder / METRICS_FILE).read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(
            f"cannot read the reference of the model in {folder}: {error!r}",
            hint="Train and register the model again.",
        ) from None
    return MonitoringHistory(months=months, tallies=tallies)
