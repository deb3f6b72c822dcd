"""page: sections to one page of HTML that needs nothing else, not even a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from toytip import __version__
from toytip.report import say
from toytip.report.blocks import Page, Section
from toytip.report.facts import Facts

FOLDER = "templates"
# Name, value, and what stands beside it.
Figure = tuple[str, str, str]


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    return environment.from_string(_text("page.html"))


def _text(name: str) -> str:
    return (resources.files("toytip.report") / FOLDER / name).read_text(encoding="utf-8")


def render(page: Page) -> str:
    """Return a page as HTML. All that is not a picture is escaped: names of sources and columns may be anything."""
    style = Markup(_text("style.css"))  # noqa: S704 - our own file
    return str(_template().render(page=page, style=style))


def run_page(facts: Facts, sections: Iterable[Section]) -> str:
    """Return the page of a version."""
    months = say.months(facts.months)
    return render(
        Page(
            title=f"{facts.taxi.capitalize()} taxis, {months}" if facts.taxi and months else facts.version,
            kicker="toytip run report",
            subtitle=[f"{facts.version} · {say.moment(facts.created)}"],
            figures=figures(lambda: _figures(facts)),
            sections=list(sections),
            foot=foot(),
        )
    )


def foot() -> str:
    """Return the last line of a page."""
    return f"Made by toytip {__version__}. The page is whole: it loads nothing and runs no script."


def figures(make: Callable[[], list[Figure]]) -> list[Figure]:
    """Return the few numbers at the top of a page; none where they cannot be told, as the sections will say."""
    try:
        return make()
    except Exception:  # noqa: BLE001 - see `sections`
        return []


def _figures(facts: Facts) -> list[Figure]:
    found = []
    if facts.rows:
        read, kept = (sum(getattr(told, name) for told in facts.rows.values()) for name in ("read", "kept"))
        beside = f"of {say.count(read)} read" if "rejects" not in facts.missing else ""
        found.append(("trips kept", say.count(kept), beside))
    population = facts.population or "all"
    told = facts.told(population)
    if told:
        values, span = told["metrics"], told["intervals"].get("auc")
        beside = f"95 %: {span[0]:.3f} to {span[1]:.3f}" if span else f"{population} trips"
        found.append((f"AUC, {facts.split_shown}", _short(values["auc"]), beside))
        found.append(
            (
                f"F1, {facts.split_shown}",
                _short(values["f1"]),
                f"always yes {_short(values['f1_always_yes'])}",
            )
        )
        card = facts.told("card")
        if population == "all" and card:
            found.append(
                (
                    "AUC among card trips",
                    _short(card["metrics"]["auc"]),
                    f"{say.count(card['metrics']['rows'])} trips",
                )
            )
    if facts.run:
        found.append(
            (
                "seconds, without this page",
                f"{facts.run['seconds']:.1f}",
                f"{facts.run['rows_per_s']:,.0f} rows/s, {facts.run['peak_memory_mb']:,.0f} MB",
            )
        )
    return found


def _short(value: float | None) -> str:
    return say.NONE if value is None else f"{value:.3f}"
