"""Render a page as one HTML file, without external resources and without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from toytip._version import __version__
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.text import plural
from toytip.report import formatting
from toytip.report.blocks import Page, Section
from toytip.report.facts import Facts

TEMPLATE_FOLDER = "templates"
# Name, value and detail.
KeyFigure = tuple[str, str, str]


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    return environment.from_string(_read_template("page.html"))


def _read_template(name: str) -> str:
    return (resources.files("toytip.report") / TEMPLATE_FOLDER / name).read_text(encoding="utf-8")


def render_html(page: Page) -> str:
    """Return a page as HTML. Escapes all text, because names can contain markup."""
    style = Markup(_read_template("style.css"))  # noqa: S704 - our own file
    return str(_template().render(page=page, style=style))


def render_run_page(facts: Facts, sections: Iterable[Section]) -> str:
    """Return the report of a version as HTML."""
    months, title = (
        formatting.format_month_range(facts.months),
        facts.words.title.format(facts.taxi.capitalize()),
    )
    return render_html(
        Page(
            title=f"{title}, {months}" if facts.taxi and months else facts.version,
            kicker="toytip run report",
            subtitle=[f"{facts.version} · {formatting.format_minute(facts.created_at)}"],
            key_figures=key_figures_or_empty(lambda: _run_key_figures(facts)),
            sections=list(sections),
            footer=footer_text(),
        )
    )


def footer_text() -> str:
    """Return the last line of a page."""
    return f"Created by toytip {__version__}. This file loads no other resources and runs no scripts."


def key_figures_or_empty(compute: Callable[[], list[KeyFigure]]) -> list[KeyFigure]:
    """Return the key figures, or none if `compute` fails. The sections then report the reason."""
    try:
        return compute()
    except Exception:  # noqa: BLE001 - the sections report the error
        return []


def _run_key_figures(facts: Facts) -> list[KeyFigure]:
    return [*_row_figures(facts), *metric_figures(facts), *_time_figures(facts)]


def _row_figures(facts: Facts) -> Iterator[KeyFigure]:
    if facts.rows:
        read = sum(rows.read for rows in facts.rows.values())
        accepted = sum(rows.accepted for rows in facts.rows.values())
        detail = "" if "rejects" in facts.missing_reasons else f"of {formatting.format_count(read)} read"
        yield "trips kept", formatting.format_count(accepted), detail


def metric_figures(facts: Facts) -> Iterator[KeyFigure]:
    """Yield the key figures of the reported split."""
    segment = facts.segment or ALL_ROWS
    evaluation = facts.evaluation_of(segment)
    if evaluation is None:
        return
    interval = evaluation.intervals.get("auc")
    detail = f"95 % interval {interval.low:.3f} to {interval.high:.3f}" if interval else f"{segment} trips"
    yield f"AUC, {facts.reported_split}", _format_metric(evaluation.metrics.auc), detail
    baseline = f"always-positive baseline {_format_metric(evaluation.f1_always_positive)}"
    yield f"F1, {facts.reported_split}", _format_metric(evaluation.metrics.f1), baseline
    for name, other in facts.evaluation.get(facts.reported_split, {}).items():
        if segment == ALL_ROWS and name != segment:
            trips = plural(other.metrics.rows, "trip")
            yield f"AUC of {name} trips", _format_metric(other.metrics.auc), trips


def _time_figures(facts: Facts) -> Iterator[KeyFigure]:
    if facts.run_result:
        timing = facts.run_result.timing
        detail = f"{timing.rows_per_second:,.0f} rows/s, peak memory {timing.peak_memory_mb:,.0f} MB"
        yield "run time in seconds, without this report", f"{timing.elapsed_seconds:.1f}", detail


def _format_metric(value: float | None) -> str:
    return formatting.NO_VALUE if value is None else f"{value:.3f}"
