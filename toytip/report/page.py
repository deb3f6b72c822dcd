"""page: sections to one page of HTML that needs nothing else, not even a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from toytip._version import __version__
from toytip.report import formatting
from toytip.report.blocks import Page, Section
from toytip.report.facts import Facts

TEMPLATE_FOLDER = "templates"
# Name, value, and what stands beside it.
KeyFigure = tuple[str, str, str]


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    return environment.from_string(_read_template("page.html"))


def _read_template(name: str) -> str:
    return (resources.files("toytip.report") / TEMPLATE_FOLDER / name).read_text(encoding="utf-8")


def render_html(page: Page) -> str:
    """Return a page as HTML. All that is not a picture is escaped: names of sources and columns may be anything."""
    style = Markup(_read_template("style.css"))  # noqa: S704 - our own file
    return str(_template().render(page=page, style=style))


def render_run_page(facts: Facts, sections: Iterable[Section]) -> str:
    """Return the page of a version."""
    months = formatting.format_month_range(facts.months)
    return render_html(
        Page(
            title=f"{facts.taxi.capitalize()} taxis, {months}" if facts.taxi and months else facts.version,
            kicker="toytip run report",
            subtitle=[f"{facts.version} · {formatting.format_minute(facts.created_at)}"],
            key_figures=key_figures_or_empty(lambda: _run_key_figures(facts)),
            sections=list(sections),
            footer=footer_text(),
        )
    )


def footer_text() -> str:
    """Return the last line of a page."""
    return f"Made by toytip {__version__}. The page is whole: it loads nothing and runs no script."


def key_figures_or_empty(compute: Callable[[], list[KeyFigure]]) -> list[KeyFigure]:
    """Return the few numbers at the top of a page; none where they cannot be told, as the sections will say."""
    try:
        return compute()
    except Exception:  # noqa: BLE001 - see `sections`
        return []


def _run_key_figures(facts: Facts) -> list[KeyFigure]:
    found = []
    if facts.rows:
        read, kept = (sum(getattr(told, name) for told in facts.rows.values()) for name in ("read", "kept"))
        beside = f"of {formatting.format_count(read)} read" if "rejects" not in facts.missing_reasons else ""
        found.append(("trips kept", formatting.format_count(kept), beside))
    population = facts.segment or "all"
    told = facts.evaluation_of(population)
    if told:
        values, span = told.metrics, told.intervals.get("auc")
        beside = f"95 %: {span.low:.3f} to {span.high:.3f}" if span else f"{population} trips"
        found.append((f"AUC, {facts.reported_split}", _format_metric(values.auc), beside))
        found.append(
            (
                f"F1, {facts.reported_split}",
                _format_metric(values.f1),
                f"always-positive {_format_metric(told.f1_always_positive)}",
            )
        )
        card = facts.evaluation_of("card")
        if population == "all" and card:
            found.append(
                (
                    "AUC among card trips",
                    _format_metric(card.metrics.auc),
                    f"{formatting.format_count(card.metrics.rows)} trips",
                )
            )
    if facts.run_result:
        timing = facts.run_result.timing
        found.append(
            (
                "seconds, without this page",
                f"{timing.elapsed_seconds:.1f}",
                f"{timing.rows_per_second:,.0f} rows/s, {timing.peak_memory_mb:,.0f} MB",
            )
        )
    return found


def _format_metric(value: float | None) -> str:
    return formatting.NO_VALUE if value is None else f"{value:.3f}"
