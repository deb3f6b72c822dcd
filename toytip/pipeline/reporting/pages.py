"""Write the report of a version, and the page that compares two versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toytip.config import Settings
from toytip.core.redact import first_line, mask_credentials
from toytip.core.tables import PREDICTIONS
from toytip.errors import ToytipError
from toytip.pipeline.reporting.facts import (
    KnownResults,
    collect_facts,
    collect_run_facts,
)
from toytip.pipeline.result import RunResult, save_run_result
from toytip.progress.tracker import Progress
from toytip.report import diff_page
from toytip.report.blocks import Section
from toytip.report.facts import Facts
from toytip.report.findings import unreadable_sections
from toytip.report.page import render_run_page
from toytip.report.sections.order import NOTHING_PREPARED, Builder, build_sections, prepare_sections
from toytip.store.compare import VersionDiff
from toytip.store.manifest import Manifest
from toytip.store.refs import resolve_version
from toytip.store.reports import save_report
from toytip.store.store import Store, store_from_settings


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """The result of writing a report."""

    version: str
    """Version that the report describes."""
    report_path: str
    """Path of the HTML file."""
    missing_sections: dict[str, str]
    """Reason for each section that is missing in the report, by section."""


def write_report(
    settings: Settings, version: str | None, output: str | None, progress: Progress
) -> WrittenReport:
    """Write the report of a version, or of the current predictions, to the store or to a file.

    Raises StoreError if the version does not exist, and ToytipError if the file cannot be written.
    """
    store = store_from_settings(settings)
    facts = collect_facts(store, version or resolve_version(store, PREDICTIONS.name).version, settings)
    _warn_of_failures(progress, facts)
    if output is None:
        path = save_page(store, facts)
    else:
        path = output
        write_page(output, render_version_page(facts))
    return WrittenReport(
        version=facts.version, report_path=path, missing_sections=dict(facts.missing_reasons)
    )


def write_diff_page(settings: Settings, comparison: VersionDiff, output: str) -> None:
    """Write the HTML comparison of two versions to a file.

    Raises ToytipError if the file cannot be written.
    """
    a, b = (
        collect_facts(store_from_settings(settings), version, settings) for version in comparison.versions
    )
    write_page(output, diff_page.render_diff_page(a, b, comparison))


def write_page(output: str, page: str) -> None:
    """Write an HTML page to a file. Raises ToytipError if the file cannot be written."""
    try:
        Path(output).write_text(page, encoding="utf-8")
    except OSError as error:
        raise ToytipError(
            f"cannot write report {output!r}: {first_line(error)}", hint="Set --output to a writable file."
        ) from None


@dataclass(frozen=True)
class PreparedReport:
    """The facts and the sections of a report that do not depend on the result of the run."""

    facts: Facts
    sections: Mapping[Builder, Section]


def prepare_run_report(
    store: Store, settings: Settings, manifests: Sequence[Manifest], results: KnownResults
) -> PreparedReport:
    """Collect the facts about a run, and draw its charts, before the run is published.

    `manifests` are the tables that the run has written.
    """
    facts = collect_run_facts(store, manifests, settings, results)
    return PreparedReport(facts, prepare_sections(facts))


def write_run_report(
    store: Store,
    progress: Progress,
    result: RunResult,
    prepare: Callable[[], PreparedReport],
) -> str | None:
    """Save the result and the report of a run in the store, and return the path of the report.

    Returns None if the report cannot be written, because the tables are already published.
    """
    version = result.version
    path = mask_credentials(store.uri_of(store.layout.page(version)))
    try:
        with progress.stage("report", 1) as stage:
            result = replace(result, links=replace(result.links, report_path=path))
            save_run_result(store, result)
            prepared = prepare()
            facts = replace(prepared.facts, run_result=result)
            _warn_of_failures(progress, facts)
            save_page(store, facts, prepared.sections)
            stage.advance()
    except Exception as error:  # noqa: BLE001 - a failing chart must not fail a run that has published its tables
        reason = (
            first_line(error)
            if isinstance(error, ToytipError)
            else f"{type(error).__name__}: {first_line(error)}"
        )
        progress.warn(
            f"cannot write the report of the run: {reason}. To try again, run `toytip report {version}`"
        )
        return None
    return path


def _warn_of_failures(progress: Progress, facts: Facts) -> None:
    for finding in unreadable_sections(facts):
        progress.warn(finding.text)


def render_version_page(facts: Facts, prepared: Mapping[Builder, Section] = NOTHING_PREPARED) -> str:
    """Return the report of a version as HTML. `prepared` has sections that are already built."""
    return render_run_page(facts, build_sections(facts, prepared))


def save_page(store: Store, facts: Facts, prepared: Mapping[Builder, Section] = NOTHING_PREPARED) -> str:
    """Save the report in the store, and return its path."""
    return save_report(store, f"{facts.version}.html", render_version_page(facts, prepared).encode())
