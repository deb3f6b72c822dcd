"""report: keeps the page that tells a version, and writes the one of two versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toytip.config import Settings, first_line, mask
from toytip.errors import ConfigError, ToytipError
from toytip.history import resolve
from toytip.pipeline.gather import gather, outlines_of
from toytip.progress import Progress
from toytip.report import contrast
from toytip.report.facts import Facts
from toytip.report.page import run_page
from toytip.report.sections import sections
from toytip.report.warn import failures
from toytip.store import REPORTS, Store, store_of


def written(settings: Settings, version: str | None, to: str | None, progress: Progress) -> dict[str, Any]:
    """Write the page of a version, or of the newest predictions, to the store or to a file; return where, and what it lacks.

    Raises StoreError where there is no such version, ConfigError where the file cannot be written.
    """
    store = store_of(settings)
    facts = gather(store, version or resolve(store, "predictions").version, settings)
    _warn(progress, facts)
    if to is None:
        where = mask(save(store, facts))
    else:
        where = to
        write("--to", to, page_of(facts))
    return {"version": facts.version, "report": where, "missing": dict(facts.missing)}


def write_contrast(settings: Settings, compared: Mapping[str, Any], to: str) -> None:
    """Write the page of two versions, and of what `toytip.compare` found different, to a file.

    Raises ConfigError where it cannot be written.
    """
    a, b = (gather(store_of(settings), version, settings) for version in compared["versions"])
    write("--html", to, contrast.page(a, b, compared))


def write(option: str, to: str, page: str) -> None:
    """Write a page to the file that an option names. Raises ConfigError where that cannot be."""
    try:
        Path(to).write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{option} {to or repr(to)} cannot be written: {error.strerror}") from None


def of_run(store: Store, settings: Settings, progress: Progress, summary: dict[str, Any]) -> str | None:
    """Keep what a run says of itself, and its page; return where the page is.

    None where it cannot be made: what is published stays so, and a line says what is wrong.
    """
    version = str(summary["version"])
    where = mask(store.path(REPORTS, f"{version}.html"))
    try:
        with progress.stage("report", 1) as shown:
            told = {**summary, "report": where}
            store.save_report(f"{version}.run.json", json.dumps(told, indent=1).encode())
            facts = gather(store, version, settings, run=told)
            _warn(progress, facts)
            save(store, facts)
            shown.advance()
    except Exception as error:  # noqa: BLE001 - a picture is no reason to fail a run whose tables are published
        reason = (
            first_line(error)
            if isinstance(error, ToytipError)
            else f"{type(error).__name__}: {first_line(error)}"
        )
        progress.say(f"warning: no report of the run: {reason}; `toytip report {version}` tries again")
        return None
    return where


def check(settings: Settings) -> None:
    """Raise SourceError for a map that is none: what a page takes of the user, before hours of work rather than after."""
    outlines_of(settings)


def _warn(progress: Progress, facts: Facts) -> None:
    for line, _ in failures(facts):
        progress.warn(line)


def page_of(facts: Facts) -> str:
    """Return the page of a version."""
    return run_page(facts, sections(facts))


def save(store: Store, facts: Facts) -> str:
    """Keep the page beside the store's tables; return where."""
    return store.save_report(f"{facts.version}.html", page_of(facts).encode())
