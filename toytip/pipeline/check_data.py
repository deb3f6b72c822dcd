"""Check the months of a run before a model learns from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toytip.config import Settings
from toytip.core.months import Month
from toytip.core.partitions import input_files
from toytip.core.splits import Split
from toytip.core.tables import FEATURES
from toytip.datasets.registry import dataset_of
from toytip.datasets.words import describe_kinds
from toytip.errors import ConfigError, DataCheckError, StoreError
from toytip.monitoring.data_check import DataCheck, MonthCheck, check_months
from toytip.monitoring.data_measures import repeated_share
from toytip.monitoring.month_counts import MonthSummary
from toytip.monitoring.required_trips import find_empty_segment, require_trips
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.history import summarize_months
from toytip.progress.tracker import Progress
from toytip.store.acceptances import Acceptance, accept_month, accepted_months, combine_checksums
from toytip.store.manifest import Manifest
from toytip.store.store import store_from_settings

# The estimate of the share of repeated trips can be wrong by a few percent.
MAX_REPEATED_SHARE = 0.2


def check_data(
    context: RunContext,
    tables: PublishedTables,
    split: Split,
    reference: Mapping[Month, MonthSummary] | None = None,
) -> DataCheck:
    """Compare each month with the training months, or with the months of `reference`.

    Prints every month that does not pass, and a warning if no trip is in the segment of the data
    set. Raises DataCheckError if the validation or test months of a training have no trips.
    """
    months = summarize_months(context.store, tables)
    if reference is None:
        require_trips(months, split, context.settings.segment)
    with context.progress.stage("check", len(months)) as stage:
        training = [month for month in months if split.covers(month, "train")]
        features = tables[FEATURES.name]
        accepted = accepted_months(context.store, str(features.config["taxi"]), source_checksums(features))
        dataset = dataset_of(str(features.config["taxi"]), features.module)
        check = check_months(
            {**(reference or {}), **months}, list(reference) if reference else training, accepted, dataset
        )
        check = replace(
            check, months=tuple(item for item in check.months if Month.parse(item.month) in months)
        )
        stage.advance(steps=len(months), note=_note(check))
    for month in check.months:
        _report(context, month)
    warn_of_repeated_trips(context.progress, months)
    if warning := find_empty_segment(months, dataset, trains=reference is None):
        context.progress.warn(warning)
    return check


def warn_of_repeated_trips(progress: Progress, months: Mapping[Month, MonthSummary]) -> None:
    """Warn about months in which many trips repeat another trip.

    The data check compares months with each other. If all months have this fault, the check finds
    no difference.
    """
    shares = {month: repeated_share(summary) for month, summary in months.items()}
    repeated = {month: share for month, share in shares.items() if share > MAX_REPEATED_SHARE}
    if repeated:
        progress.warn(
            f"about {100 * max(repeated.values()):.0f} % of the trips of {', '.join(map(str, repeated))} repeat an "
            "earlier trip (count the repeated rows with `toytip source check`)"
        )


def source_checksums(features: Manifest) -> dict[str, str]:
    """Return the checksum of the source files of each month, by month."""
    files = [
        (str(file.key.month), checksum)
        for file in features.files
        for checksum, _ in input_files(file.input_fingerprint)
    ]
    return combine_checksums(files)


def accept_held_month(settings: Settings, month: str, reason: str, taxi: str | None) -> Acceptance:
    """Accept the file of a month that the data check of the newest run holds.

    Raises StoreError if no run holds the month, and ConfigError if runs of both taxi types hold it
    or if there is no reason.
    """
    store, text = store_from_settings(settings), str(Month.parse(month))
    held = {run.run.taxi: run for run in store.list_runs() if run.run and text in run.run.data_check.held}
    matches = {name: run for name, run in held.items() if taxi in (None, name)}
    if not matches:
        raise StoreError(
            f"cannot accept {text}: no run in {store.display_uri} holds this month",
            hint="Run `toytip run` first. Its output names the months that the data check holds.",
        )
    if len(matches) > 1:
        raise ConfigError(
            f"cannot accept {text}: runs of {describe_kinds(sorted(matches))} hold this month",
            hint="Set --taxi.",
        )
    taxi_type, run = next(iter(matches.items()))
    features = store.require_manifest(FEATURES.name, run.tables[FEATURES.name])
    return accept_month(store, taxi_type, Month.parse(text), reason, source_checksums(features)[text])


def _note(check: DataCheck) -> str:
    counts = {
        verdict: sum(month.verdict == verdict for month in check.months) for verdict in ("hold", "warn")
    }
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


def _report(context: RunContext, month: MonthCheck) -> None:
    """Print the findings of a month that does not pass."""
    if month.is_held:
        context.progress.warn(f"data check holds {month.month}: {month.describe_findings()}")
    elif month.findings:
        accepted = f" (accepted: {month.accepted})" if month.accepted else ""
        context.progress.info(f"data check of {month.month}{accepted}: {month.describe_findings()}")


def describe_held(month: MonthCheck) -> str:
    """Return the reason why a month is held."""
    return f"the data check holds {month.month}: {month.describe_findings()}"


def split_without_held(split: Split, check: DataCheck) -> Split:
    """Return a split that leaves out the held training months.

    Raises DataCheckError if no training month remains, or if the validation month is held.
    """
    held = {month.month: month for month in check.months if month.is_held}
    needed = [
        month
        for name, month in held.items()
        if split.is_by_day or split.covers(Month.parse(name), "validation")
    ]
    trained = [month for month in check.months if split.covers(Month.parse(month.month), "train")]
    if not needed and trained and all(month.is_held for month in trained):
        needed = trained
    if needed:
        raise DataCheckError(
            f"cannot train: {describe_held(needed[0])}",
            hint=f"Correct the file, leave the month out with --months, or run `toytip source accept "
            f"{needed[0].month} --reason TEXT`.",
        )
    return replace(split, held=tuple(name for name in held if split.covers(Month.parse(name), "train")))


def held_test_months(split: Split, check: DataCheck) -> list[MonthCheck]:
    """Return the held test months. The gate cannot judge a model by these months."""
    return [
        month for month in check.months if month.is_held and split.covers(Month.parse(month.month), "test")
    ]


def require_usable(check: DataCheck) -> None:
    """Raise DataCheckError if a month is held that a model shall score."""
    for month in check.months:
        if month.is_held:
            raise DataCheckError(
                f"cannot score {month.month}: the data check holds it: {month.describe_findings()}",
                hint=f"Correct the file, or run `toytip source accept {month.month} --reason TEXT`.",
            )
