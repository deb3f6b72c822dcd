"""Find out whether a run can train on a source, without a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from toytip.config import Settings
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import MISSING_VALUE, OUT_OF_MONTH
from toytip.core.months import Month
from toytip.core.splits import Split
from toytip.core.tables import FEATURES
from toytip.errors import DataCheckError, StoreError, ToytipError
from toytip.monitoring.data_check import check_months
from toytip.monitoring.required_trips import (
    CleanedRows,
    find_empty_segment,
    require_accepted_rows,
    require_labels_in_months,
    require_trips,
)
from toytip.pipeline.plan import require_segment, split_months
from toytip.pipeline.startup.project import open_dataset
from toytip.sources.discovery import require_months_of_files
from toytip.sources.inspection import SourceReport, inspect_source
from toytip.sources.row_check import RowCheck
from toytip.sources.source import Source
from toytip.sources.zones import read_boroughs_near

CORRECT_SOURCE = (
    "Correct the files, select other months with --months, or set other --train-months, --validation-month "
    "and --test-months of `toytip run`."
)


@dataclass(frozen=True, kw_only=True)
class SourceCheck:
    """The report on a source, and the error of a run that cannot train on it."""

    report: SourceReport
    error: ToytipError | None


def check_source(settings: Settings, source: Source, on_rows_read: Callable[[int], None]) -> SourceCheck:
    """Inspect a source, and find the error of a run with these settings that cannot train on it.

    `on_rows_read` receives the row count of each month. Raises SourceError if the data is corrupt.
    """
    dataset = open_dataset(settings, source.taxi)
    inspection = inspect_source(source, on_rows_read, dataset)
    report, checks = inspection.report, inspection.checks
    try:
        read_boroughs_near(settings, settings.source)
        split = split_months(settings, source.months)
        report = _with_held_months(report, checks, split, dataset)
        report = _with_empty_segment(report, checks, dataset)
        _require_trainable(settings, source, checks, split, dataset)
    except (DataCheckError, StoreError) as error:
        cause: ToytipError | None = type(error)(str(error), hint=CORRECT_SOURCE)
    except ToytipError as error:
        cause = error
    else:
        cause = None
    return SourceCheck(report=replace(report, error=None if cause is None else str(cause)), error=cause)


def _require_trainable(
    settings: Settings, source: Source, checks: Mapping[Month, RowCheck], split: Split, dataset: Dataset
) -> None:
    """Raise the first error of a run that cannot train on these months."""
    require_segment(settings.segment, dataset)
    outside = {month: check.rejects.get(OUT_OF_MONTH, 0) for month, check in checks.items()}
    require_months_of_files(source, outside)
    rows = {
        month: CleanedRows(accepted=check.summary.kept_rows, rejects=check.rejects)
        for month, check in checks.items()
    }

    def find_missing(months: Sequence[Month]) -> str | None:
        return _missing_column(source.taxi, dataset, [checks[month] for month in months])

    require_accepted_rows(FEATURES.name, rows, dataset.leaking_columns, find_missing)
    summaries = {month: check.summary for month, check in checks.items()}
    require_trips(summaries, split, settings.segment)
    require_labels_in_months(summaries, split, settings.segment, dataset)


def _missing_column(taxi: str, dataset: Dataset, checks: Sequence[RowCheck]) -> str | None:
    """Return the column that is null in most rows, or None if no row lacks a required value."""
    if not any(MISSING_VALUE in check.rejects for check in checks):
        return None
    nulls = Counter[str]()
    for check in checks:
        for column, share in check.null_shares.items():
            nulls[dataset.field_names.field_of(column) or column] += round(share * check.summary.rows)
    return dataset.layout.source_column(max(dataset.required_columns, key=nulls.__getitem__), taxi)


def _with_empty_segment(
    report: SourceReport, checks: Mapping[Month, RowCheck], dataset: Dataset
) -> SourceReport:
    """Return a report with a warning if no row is in the segment of the data set."""
    summaries = {month: check.summary for month, check in checks.items()}
    warning = find_empty_segment(summaries, dataset, trains=True)
    return report if warning is None else replace(report, warnings=(*report.warnings, warning))


def _with_held_months(
    report: SourceReport, checks: Mapping[Month, RowCheck], split: Split, dataset: Dataset
) -> SourceReport:
    """Return a report with a warning about each month that the data check of a run holds.

    The check reads no store, so it does not know the months that somebody has accepted.
    """
    training = [month for month in checks if split.covers(month, "train")]
    check = check_months({month: checked.summary for month, checked in checks.items()}, training, {}, dataset)
    warnings = {
        month.month: f"the data check of a run holds this month until you accept it: {month.describe_findings()}"
        for month in check.months
        if month.is_held
    }
    return replace(
        report,
        months=tuple(
            replace(month, warnings=(*month.warnings, warnings[month.month]))
            if month.month in warnings
            else month
            for month in report.months
        ),
    )
